"""What the local stack decides before it starts anything: folders, ports, secrets, packages, and what it says."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local import layout as layouts
from deploy.local import packages, ports, processes, supervise
from deploy.local.failure import StackFailure
from deploy.local.layout import PORTS, SERVICES, Layout, resolve_state
from deploy.local.ports import PORTS_OF_OTHERS
from deploy.local.stack import Stack
from deploy.rabbitmq import topology

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any account may pass through, as `tmp_path` of root is not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def layout(place: Path) -> Layout:
    made = Layout(place / "state")
    made.create()
    return made


def test_ports_are_free_distinct_nobodys_default_and_kept(layout: Layout) -> None:
    ports = layout.ports
    assert set(ports) == set(PORTS)
    assert len(set(ports.values())) == len(PORTS)
    assert not set(ports.values()) & PORTS_OF_OTHERS
    assert Layout(layout.state).ports == ports


@pytest.fixture
def narrow(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where stacks know of each other, with ports for two of them."""
    monkeypatch.setattr(ports, "STACKS", place / "stacks")
    monkeypatch.setattr(ports, "PORTS_OF_OTHERS", frozenset())
    monkeypatch.setattr(ports, "is_free", lambda _: True)  # as long as all of them are stopped
    monkeypatch.setattr(ports, "PORT_RANGE", range(20000, 20000 + 2 * len(PORTS)))
    return place


def neighbour(place: Path, name: str) -> Layout:
    (place / name).mkdir()
    return Layout(place / name)


def test_a_stack_that_is_stopped_keeps_its_ports_until_it_is_removed(narrow: Path) -> None:
    first, second = neighbour(narrow, "first"), neighbour(narrow, "second")
    assert not set(first.ports.values()) & set(second.ports.values())
    third = neighbour(narrow, "third")
    with pytest.raises(StackFailure, match="only 0 of"):
        _ = third.ports
    with pytest.raises(StackFailure, match="only 0 of"):
        ports.free_ports(1, taken=[])
    shutil.rmtree(first.state)
    assert set(third.ports.values()) == set(first.ports.values())
    assert {link.resolve() for link in (narrow / "stacks").iterdir() if link.is_symlink()} == {
        second.state.resolve(), third.state.resolve(),
    }  # fmt: skip


def test_others_are_told_of_a_stack_s_ports_each_time_it_starts(narrow: Path) -> None:
    first = neighbour(narrow, "first")
    assert first.ports
    shutil.rmtree(narrow / "stacks")  # as a machine does that starts with an empty /tmp
    Layout(first.state).create()
    assert not set(first.ports.values()) & set(neighbour(narrow, "second").ports.values())
    with pytest.raises(StackFailure, match="only 0 of"):
        ports.free_ports(1, taken=[])


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"gateway": []}'])
def test_a_neighbour_whose_ports_are_damaged_holds_nobody_up(narrow: Path, damage: str) -> None:
    first = neighbour(narrow, "first")
    assert first.ports
    (first.state / "ports.json").write_text(damage)
    assert len(neighbour(narrow, "second").ports) == len(PORTS)


def test_who_chooses_waits_for_whoever_is_choosing(narrow: Path) -> None:
    first, second = neighbour(narrow, "first"), neighbour(narrow, "second")
    with ThreadPoolExecutor(1) as pool:
        with ports.known_to_others(first.state, "first"):
            chosen = pool.submit(lambda: second.ports)
            with pytest.raises(TimeoutError):
                chosen.result(0.5)
        assert len(chosen.result(10)) == len(PORTS)


def test_ports_are_not_chosen_where_others_may_write(narrow: Path) -> None:
    (narrow / "stacks").mkdir(mode=0o777)
    (narrow / "stacks").chmod(0o777)
    with pytest.raises(StackFailure, match="not a private folder"):
        _ = neighbour(narrow, "first").ports


def test_secrets_are_kept_and_differ_from_each_other_and_from_clone_to_clone(layout: Layout, place: Path) -> None:
    secrets = layout.secrets
    assert Layout(layout.state).secrets == secrets
    assert len(set(secrets.values())) == len(secrets)
    other = Layout(place / "other")
    other.create()
    assert not set(other.secrets.values()) & set(secrets.values())


def test_no_process_is_given_the_secrets_of_another(layout: Layout) -> None:
    own = {
        **{service: {f"database_{service}", f"broker_{service}"} for service in SERVICES},
        "gateway": {"broker_gateway", "seal"},
        "operator": {"broker_operator"},
        "monitor": {"broker_operator"},
        "broker_auth": {"database_notifications"},
        "stream": {"database_notifications"},
    }
    own["identity"] |= {"identity_key", "luxtrust_client_secret"}
    own["documents"] |= {"s3_access_key", "s3_secret_key"}
    own["audit"] |= {"s3_audit_access_key", "s3_audit_secret_key", "archive_key"}
    own["notifications"] |= {"vapid_key", "webhook_key", "s3_notifications_access_key", "s3_notifications_secret_key"}
    own["examiner"] = {"database_documents", "s3_access_key", "s3_secret_key"}
    own["notary"] = {"database_audit", "notary_key"}
    for process, allowed in own.items():
        told = json.dumps(processes.settings_of(layout, process))
        assert {name for name, secret in layout.secrets.items() if secret in told} == allowed, process


def test_every_settings_file_is_one_that_its_process_can_read(layout: Layout) -> None:
    processes.write_settings(layout)
    for process in (*processes.PROCESSES, processes.OPERATOR):
        settings = processes.load_settings(layout, process)
        assert settings.process == process
        assert settings.profile == "local"


def test_everything_listens_on_loopback_only(layout: Layout) -> None:
    for process in (*processes.PROCESSES, processes.OPERATOR):
        for name, value in processes.settings_of(layout, process).items():
            if name.endswith(("_bind", "_host", "_endpoint")):
                assert str(value).startswith("127.0.0.1"), (process, name)


def test_control_sockets_fit_even_when_the_folder_is_deep(place: Path) -> None:
    deep = Layout(place / ("d" * 60) / ("e" * 60))
    deep.create()
    longest = deep.sockets / "supervisor.sock.1234567"
    assert len(os.fsencode(longest)) <= layouts.SOCKET_PATH_LIMIT
    assert deep.sockets.stat().st_mode & 0o077 == 0
    if not deep.sockets.is_relative_to(deep.state):
        deep.sockets.rmdir()


@pytest.mark.skipif(not IS_ROOT, reason="only root hands PostgreSQL to another account")
def test_root_keeps_the_state_where_postgres_can_go_when_the_clone_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "RELOCATED", tmp_path / "relocated")
    closed = tmp_path / "root-home"
    closed.mkdir(mode=0o700)
    wanted = closed / ".run"
    real = resolve_state(wanted)
    assert real.parent == tmp_path / "relocated"
    assert wanted.resolve() == real.resolve()
    assert resolve_state(wanted).resolve() == real.resolve()


@pytest.mark.skipif(not IS_ROOT, reason="only root hands PostgreSQL to another account")
def test_a_state_folder_that_is_in_use_is_never_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "RELOCATED", tmp_path / "relocated")
    closed = tmp_path / "root-home"
    (closed / ".run" / "letters").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(StackFailure, match="not empty"):
        resolve_state(closed / ".run")


def test_a_port_that_another_program_took_is_told_with_its_name(place: Path) -> None:
    stack = Stack(place / "state")
    stack.layout.create()
    with socket.create_server(("127.0.0.1", stack.layout.ports["gateway"])), pytest.raises(StackFailure) as told:
        stack.infra()
    assert f"{stack.layout.ports['gateway']} (gateway)" in str(told.value)
    assert "ports.json" in told.value.advice


@pytest.mark.parametrize("damage", ["", "{", "[]"])
def test_a_damaged_file_of_the_stack_is_told_and_never_replaced(layout: Layout, damage: str) -> None:
    for kept in ("secrets", "ports"):
        file = layout.state / f"{kept}.json"
        file.write_text(damage)
        with pytest.raises(StackFailure, match=file.name) as told:
            getattr(Layout(layout.state), kept)
        assert "put a copy of it back" in told.value.advice
        assert file.read_text() == damage


def test_a_file_that_was_never_written_is_empty(layout: Layout) -> None:
    assert layouts.read_kept(layout.state / "people.json") == {}


def test_a_contract_that_cannot_be_read_is_told_before_anything_starts(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ImportError("services/dossier/contract.py cannot be imported: SyntaxError('invalid syntax')")

    monkeypatch.setattr(topology, "contracts", broken)
    stack = Stack(place / "state")
    with pytest.raises(StackFailure, match=r"services/dossier/contract\.py"):
        stack.infra()
    assert not stack.supervisor.is_up()


def test_a_failure_tells_what_where_and_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("one\ntwo\nthe last word\n")
    told = str(StackFailure("part does not answer", log=log, advice="restart it"))
    assert told.splitlines()[0] == "part does not answer"
    assert "the last word" in told
    assert str(log) in told
    assert "restart it" in told


def test_missing_packages_are_told_to_who_may_not_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "missing", lambda: ["rabbitmq-server"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StackFailure) as told:
        packages.ensure()
    assert "rabbitmq-server" in told.value.what
    assert "as root" in told.value.advice


def test_packages_are_installed_while_no_service_may_start_and_no_cluster_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of the name apt-get notes what it is asked, and what guards stand at that moment."""
    log, policy, cluster = tmp_path / "log", tmp_path / "policy-rc.d", tmp_path / "createcluster.d" / "opendsp.conf"
    policy.write_text("the administrator's own\n")
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {log}\n'
        f"cat {policy} {cluster} >> {log} 2>/dev/null\n"
        "exit 0\n"
    )  # fmt: skip
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{apt.parent}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "POLICY", policy)
    monkeypatch.setattr(packages, "NO_CLUSTER", cluster)
    monkeypatch.setattr(packages, "_keep_down_at_boot", lambda _packages: None)
    found = iter([["rabbitmq-server", "postgresql"], []])
    monkeypatch.setattr(packages, "missing", lambda: next(found))

    assert packages.ensure() == ["rabbitmq-server", "postgresql"]

    update, tools, servers = log.read_text().split("DPkg::Lock::Timeout=300 ")[1:]
    assert update.startswith("update")
    assert "postgresql-common" in tools
    assert "rabbitmq-server postgresql" in servers
    assert "create_main_cluster = false" in servers
    assert all("exit 101" in step for step in (update, tools, servers))
    assert policy.read_text() == "the administrator's own\n"
    assert not cluster.exists()


def test_the_administrators_policy_comes_back_when_the_installation_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "POLICY", tmp_path / "policy-rc.d")
    with pytest.raises(RuntimeError), packages.services_kept_down():
        assert "exit 101" in packages.POLICY.read_text()
        raise RuntimeError
    assert not packages.POLICY.exists()


def test_a_sweep_ends_a_marked_process_and_no_other(layout: Layout) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    ours = subprocess.Popen(sleep, env={supervise.MARK: str(layout.state)})
    theirs = subprocess.Popen(sleep, env={supervise.MARK: str(layout.state) + "-of-another"})
    try:
        assert supervise.wait_until(lambda: ours.pid in supervise._marked(layout.state), 5)
        assert supervise.sweep(layout) == [ours.pid]
        assert ours.wait(5) != 0
        assert theirs.poll() is None
    finally:
        theirs.kill()
        theirs.wait()


def test_code_that_changed_is_code_that_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("A = 1\n")
    before = processes.digest(tmp_path)
    assert processes.digest(tmp_path) == before
    (tmp_path / "rules.py").write_text("A = 2\n")
    assert processes.digest(tmp_path) != before
