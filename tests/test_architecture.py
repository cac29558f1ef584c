"""The floor plan as code: R1–R8 of the architecture, and that contracts and handlers agree."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR

from services.bus import EventHandler, Remote, Rpc, Service

ROOT = Path(__file__).parent.parent
SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")
# What every service may lean on: the bus, the database, and what lies outside of several services alike.
PLUMBING = {
    "bus", "db.py", "keys.py", "logs.py", "object_store.py", "plans.py", "plumbing.py", "process.py", "refusals.py",
    "rpc.py", "sealing.py", "settings.py", "tokens.py", "virus_scan.py", "words.py",
}  # fmt: skip
IO_MODULES = {"os", "socket", "subprocess", "pathlib", "io", "time"}
PURE_LIBRARIES = {"stdnum", "rapidfuzz", "jellyfish"}
EDGES = {
    "identity": {"directory"},
    "directory": set(),
    "dossier": set(),
    "documents": {"dossier", "directory"},
    "audit": {"dossier", "directory"},
    "notifications": {"identity", "dossier", "directory"},
}
NAMELESS = {"common", "utils", "util", "helpers", "helper", "manager", "base", "misc"}
PROCESSES = {
    "first_key.py", "first_agent.py", "reference_subscriber.py", "examine.py", "notarise.py", "stream.py",
    "export_log.py",
}  # fmt: skip

VERIFIER = "services/audit/verifier.py"  # people take it home as one file, so it is one


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "__pycache__" not in path.parts]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{shown(path)}: relative imports hide the room they come from"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def contract(service: str) -> Any:
    return importlib.import_module(f"services.{service}.contract")


def service_class(service: str) -> type[Service]:
    kind: type[Service] = getattr(importlib.import_module(f"services.{service}.service"), service.capitalize())
    return kind


def entrypoints(kind: type) -> Iterator[tuple[str, Any]]:
    for name in dir(kind):
        for entry in getattr(getattr(kind, name, None), ENTRYPOINT_EXTENSIONS_ATTR, ()):
            yield name, entry


def rules_files(service: str) -> list[Path]:
    folder = ROOT / "services" / service
    return [path for path in sources(f"services/{service}") if path.parent == folder and path.name.startswith("rules")]


@pytest.mark.parametrize("service", SERVICES)
def test_r1_rules_import_the_standard_library_their_contract_and_pure_libraries_only(service: str) -> None:
    assert rules_files(service)
    for path in rules_files(service):
        for name in imports(path):
            top = name.split(".")[0]
            own = name.startswith((f"services.{service}.contract", f"services.{service}.rules"))
            pure = top in sys.stdlib_module_names or top in PURE_LIBRARIES
            assert pure or own or name.startswith("services.refusals"), f"{shown(path)} imports {name}"
            assert top not in IO_MODULES, f"{shown(path)} does I/O by {name}"


@pytest.mark.parametrize("service", SERVICES)
def test_r1_rules_read_no_clock(service: str) -> None:
    for path in rules_files(service):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"now", "utcnow", "today", "monotonic"}, f"{shown(path)} reads the clock"


def test_r2_other_services_are_reached_through_their_contract_only() -> None:
    for path in sources("services", "gateway"):
        parts = path.relative_to(ROOT).parts
        room = parts[1] if parts[0] == "services" else "gateway"
        for name in imports(path):
            bits = name.split(".")
            if bits[0] == "services" and len(bits) > 2 and bits[1] in SERVICES and bits[1] != room:
                assert bits[2] == "contract", f"{shown(path)} imports {name}"


def test_r3_the_plumbing_is_a_closed_list_that_knows_no_service() -> None:
    top = {path.name for path in (ROOT / "services").iterdir() if path.name not in {"__pycache__", "__init__.py"}}
    assert top == PLUMBING | set(SERVICES)
    words = ("patient_name", "document", "mandate", "pharmac", "physician", "dossier", "matricule")
    for path in sources("services"):
        if path.relative_to(ROOT).parts[1] in PLUMBING:
            for name in imports(path):
                assert not any(name.startswith(f"services.{service}") for service in SERVICES), f"{shown(path)}: {name}"
            # The settings name the outside parts of every process; no rule or row of the domain stands there.
            text = "" if path.name == "settings.py" else path.read_text().lower()
            assert not [word for word in words if word in text], f"{shown(path)} speaks of the domain"


def test_r4_nameko_and_eventlet_stay_behind_the_seam() -> None:
    for path in sources("services", "gateway"):
        parts = path.relative_to(ROOT).parts
        at_home = path.name == "service.py" or parts[1] in {"bus", "db.py", "refusals.py", "clients.py"}
        if not at_home:
            for name in imports(path):
                assert name.split(".")[0] not in {"nameko", "eventlet"}, f"{shown(path)} imports {name}"


def test_r5_sql_stands_in_store_and_models_only() -> None:
    for path in sources("services", "gateway"):
        parts = path.relative_to(ROOT).parts
        own_file = path.stem.split("_")[0] in {"store", "models"} or "migrations" in parts
        at_home = own_file or parts[1] in {"bus", "db.py", "plans.py", "words.py"}
        if not at_home:
            for name in imports(path):
                session_type = name in {"sqlalchemy.orm", "sqlalchemy.orm.Session"}
                assert session_type or name.split(".")[0] not in {"sqlalchemy", "psycopg2"}, f"{shown(path)}: {name}"


def test_r6_no_file_has_a_name_that_says_nothing() -> None:
    for path in sources("services", "gateway", "deploy", "tests"):
        assert path.stem not in NAMELESS, shown(path)


@pytest.mark.parametrize("service", SERVICES)
def test_r7_a_service_calls_only_along_the_edges(service: str) -> None:
    called = {value.service for value in vars(service_class(service)).values() if isinstance(value, Remote)}
    assert called <= set(contract(service).CALLS) <= EDGES[service]


def test_r7_the_call_graph_has_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(SERVICES):
        free = {s for s in SERVICES if s not in done and set(contract(s).CALLS) <= done}
        assert free, f"a cycle among {set(SERVICES) - done}"
        done |= free


def test_r8_the_environment_is_read_in_settings_only() -> None:
    for path in sources("services", "gateway"):
        if path.name == "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            read = isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}
            assert not read, f"{shown(path)}:{getattr(node, 'lineno', '?')} reads the environment"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_rooms(service: str) -> None:
    folder = ROOT / "services" / service
    for room in ("contract.py", "service.py", "rules.py", "models.py", "store.py", "migrations/env.py"):
        assert (folder / room).is_file(), f"{service} lacks {room}"


@pytest.mark.parametrize("service", SERVICES)
def test_the_files_of_one_service_class_do_not_shadow_each_other(service: str) -> None:
    owner: dict[str, str] = {}
    for kind in service_class(service).__mro__:
        for name in vars(kind) if kind.__module__.startswith(f"services.{service}.") else ():
            if not name.startswith("__"):
                assert name not in owner, f"{owner.get(name)} and {kind.__name__} both define {name}"
                owner[name] = kind.__name__


@pytest.mark.parametrize("service", SERVICES)
def test_handlers_are_the_ones_the_contract_names(service: str) -> None:
    handled = {
        (source, entry.event_type): name
        for name, entry in entrypoints(service_class(service))
        if isinstance(entry, EventHandler)
        for source in entry.sources
    }
    shared = {("identity", "signing_key_published.v1"), ("identity", "session_ended.v1")}
    assert {key: name for key, name in handled.items() if key not in shared} == contract(service).SUBSCRIPTIONS
    for source, kind in contract(service).SUBSCRIPTIONS:
        assert kind in event_types(source) or kind == "access_traced.v1", f"{source} emits no {kind}"


def event_types(service: str) -> set[str]:
    return {value.type for value in vars(contract(service)).values() if isinstance(getattr(value, "type", None), str)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_system_method_names_the_services_that_have_an_edge_to_it(service: str) -> None:
    for name, entry in entrypoints(service_class(service)):
        if isinstance(entry, Rpc) and entry.processes is not None:
            for process in entry.processes:
                has_edge = process in {"gateway", "operator"} or service in contract(process).CALLS
                assert has_edge, f"{service}.{name} lets {process} in, which has no edge to it"


def test_no_file_has_grown_past_one_idea() -> None:
    for path in sources("services", "gateway", "deploy"):
        lines = len(path.read_text().splitlines())
        most = 650 if shown(path) == VERIFIER else 450
        assert lines <= most, f"{shown(path)} has {lines} lines"
