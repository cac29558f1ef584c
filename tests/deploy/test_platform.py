"""The running platform as a whole: who listens where, what is logged, what comes back by itself."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local import processes
from deploy.local.layout import SERVICES
from deploy.local.operator import parked, replay
from deploy.local.supervise import wait_until

if TYPE_CHECKING:
    from tests.conftest import Platform

LOOPBACK = "0100007F"
LISTENING = "0A"


def listeners(ports: set[int]) -> dict[int, set[str]]:
    """For each of these ports the addresses somebody listens on."""
    found: dict[int, set[str]] = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        address, _, port = local.partition(":")
        if state == LISTENING and int(port, 16) in ports:
            found.setdefault(int(port, 16), set()).add(address)
    return found


def test_every_part_listens_and_none_beyond_loopback(platform: "Platform") -> None:
    ports = platform.stack.layout.ports
    found = listeners(set(ports.values()))
    assert all(addresses == {LOOPBACK} for addresses in found.values())
    wanted = ("gateway", "broker_auth", "monitor", "postgres", "rabbitmq", "s3", "smtp")
    assert {ports[name] for name in wanted} <= set(found)


def test_a_second_start_of_the_whole_is_quick_and_leaves_every_process_alone(platform: "Platform") -> None:
    platform.stack.up(with_people=False)  # whoever edits code while tests run has its processes started again here
    before = {process: platform.pid(process) for process in processes.PROCESSES}
    began = time.monotonic()
    platform.stack.up(with_people=False)
    assert time.monotonic() - began < 15
    assert {process: platform.pid(process) for process in processes.PROCESSES} == before


@pytest.mark.parametrize("process", ["dossier", "broker_auth", "gateway"])
def test_a_process_that_dies_is_started_again(platform: "Platform", process: str) -> None:
    killed = platform.kill(process)
    assert wait_until(lambda: platform.pid(process) not in (0, killed), 30)
    platform.wait_ready()


def test_a_service_is_scaled_by_starting_it_once_more(platform: "Platform") -> None:
    platform.stack.scale("directory", 2)
    try:
        assert platform.pid("directory-2") not in (0, platform.pid("directory"))
        platform.wait_ready()
    finally:
        platform.stack.scale("directory", 1)
    assert "directory-2" not in platform.stack.supervisor.states()


def test_an_operator_sees_what_is_parked_in_every_service_and_may_replay_it(platform: "Platform") -> None:
    assert parked(platform.stack.layout) == []
    assert replay(platform.stack.layout) == dict.fromkeys(SERVICES, 0)


@pytest.mark.parametrize("process", processes.PROCESSES)
def test_every_line_of_a_log_is_a_json_object_that_names_its_process(platform: "Platform", process: str) -> None:
    lines = platform.log_lines(process)
    for line in lines:
        told = json.loads(line)
        assert told["process"] == process, line
        assert told["level"]
        assert told["time"].endswith("Z")
