"""The image, compose and cluster files say what the code says: same processes, same commands, settings from a file."""

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.layout import REPOSITORY, SERVICES, database_of
from deploy.rabbitmq import topology

DEPLOY = REPOSITORY / "deploy"
SETTINGS = "/run/opendsp"


def manifests() -> Iterator[dict[str, Any]]:
    for file in sorted((DEPLOY / "k8s").glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


def pods() -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m["spec"]["template"]["spec"] for m in manifests() if m["kind"] == "Deployment"}


def jobs() -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m["spec"] for m in manifests() if m["kind"] == "Job"}


def composed() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return found


def commands() -> list[tuple[str, list[str]]]:
    everywhere = pods() | {name: job["template"]["spec"] for name, job in jobs().items()}
    told = [(name, container["command"]) for name, pod in everywhere.items() for container in pod["containers"]]
    return told + [(name, service["command"]) for name, service in composed().items() if service["image"] == "opendsp"]


def test_every_process_has_its_place_on_the_cluster_and_in_compose() -> None:
    wanted = {*SERVICES, "gateway", "monitor", "broker-auth", "examiner", "notary", "stream"}
    assert set(pods()) == wanted
    assert wanted <= set(composed())
    assert {file.stem for file in (DEPLOY / "k8s").glob("*.yaml")} == {*SERVICES, "gateway"}


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_command_names_what_exists(name: str, command: list[str]) -> None:
    if command[0] == "nameko":
        module, _, kind = command[-1].partition(":")
        assert getattr(importlib.import_module(module), kind).name == name
    elif command[0] == "gunicorn":
        module, _, application = command[-1].partition(":")
        assert hasattr(importlib.import_module(module), application.removesuffix("()"))
    elif command[0] == "python":
        assert command[1] == "-m" and importlib.util.find_spec(command[2]) is not None
    else:
        assert command[:2] == ["sh", "-c"]
        assert command[2].startswith(f"python -m services.db migrate {name.removeprefix('migrate-')}")
    for word in command:
        if word.startswith("deploy/"):
            assert (REPOSITORY / word).exists(), word


def test_every_process_reads_a_settings_file_of_its_own() -> None:
    assert f"OPENDSP_SETTINGS={SETTINGS}/settings.toml" in (DEPLOY / "Dockerfile").read_text()
    for name, pod in pods().items():
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "settings")
        assert volume["secret"]["secretName"] == f"settings-{name}"
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert {"name": "settings", "mountPath": SETTINGS, "readOnly": True} in container["volumeMounts"]
    for name, service in composed().items():
        if service["image"] == "opendsp":
            own = f"./settings/{name.removeprefix('migrate-').removeprefix('load-')}.toml:{SETTINGS}/settings.toml:ro"
            assert [volume for volume in service["volumes"] if "/settings/" in volume] == [own]


def test_no_process_runs_as_root_or_writes_outside_its_own_temporary_folder() -> None:
    for pod in pods().values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["terminationGracePeriodSeconds"] > 30
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for service in composed().values():
        if service["image"] == "opendsp":
            assert service["read_only"] is True


def test_a_load_runs_when_somebody_says_so_with_the_settings_of_its_service() -> None:
    [(name, job)] = jobs().items()
    pod = job["template"]["spec"]
    assert (name, job["suspend"], pod["restartPolicy"]) == ("load-directory", True, "Never")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert {"name": "settings", "secret": {"secretName": "settings-directory"}} in pod["volumes"]
    assert all(container["securityContext"]["readOnlyRootFilesystem"] for container in pod["containers"])
    assert composed()[name]["profiles"] == ["load"]


def test_the_databases_of_a_deployment_are_those_of_the_services() -> None:
    text = (DEPLOY / "databases.sql").read_text()
    for service in SERVICES:
        assert f"CREATE DATABASE {database_of(service)} OWNER {database_of(service)};" in text
        assert f"REVOKE ALL ON DATABASE {database_of(service)} FROM PUBLIC;" in text


def test_questions_have_a_broker_of_their_own_in_compose() -> None:
    both, found = {"rabbitmq", "rabbitmq-rpc"}, composed()
    mounted = {name: dict(volume.split(":")[:2] for volume in found[name]["volumes"]) for name in both}
    own = [{file for file in mounted[name] if file.startswith("./")} for name in sorted(both)]
    assert not own[0] & own[1], "each has files of its own"
    for name in both:
        [configured] = [file for file, place in mounted[name].items() if place.endswith("rabbitmq.conf")]
        assert "load_definitions = /etc/rabbitmq/definitions.json" in (DEPLOY / configured).read_text()
        assert "/etc/rabbitmq/definitions.json" in mounted[name].values()
    waits_for = {name: both & set(service.get("depends_on", ())) for name, service in found.items()}
    assert {name for name, needs in waits_for.items() if needs == both} == {*SERVICES, "monitor"}
    assert {name for name, needs in waits_for.items() if needs == {"rabbitmq-rpc"}} == {"gateway"}, "it tells no event"
    assert not [name for name, needs in waits_for.items() if needs == {"rabbitmq"}]


def test_the_definitions_of_a_deployment_are_printed_from_the_contracts(tmp_path: Path) -> None:
    passwords = {kind: f"secret of {kind}" for kind in topology.KINDS}
    file = tmp_path / "passwords.json"
    file.write_text(json.dumps(passwords))
    command = [sys.executable, "-m", "deploy.rabbitmq", str(file)]
    printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == topology.definitions(topology.contracts(), passwords)

    node = subprocess.run([*command, "rpc"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert json.loads(node) == topology.definitions(topology.contracts(), passwords, ["rpc"])
    odd = subprocess.run([*command, "questions"], cwd=REPOSITORY, capture_output=True, text=True)
    assert odd.returncode == 1 and "not questions" in odd.stderr

    file.write_text("{}")
    refused = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "no password for: gateway" in refused.stderr
