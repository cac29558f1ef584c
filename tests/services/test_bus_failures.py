"""What goes wrong on the bus and in its processes: no event is lost, held up or parked for it, and all is told."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from services.db import inbox, new_id, now
from tests.services.probe import Poked
from tests.services.test_bus import PATIENCE, Bus, bus, eventually
from tests.services.test_bus import _done as done
from tests.services.test_bus import _empty as empty
from tests.services.test_bus import _tried as tried
from tests.services.wire import Wire

__all__ = ["bus"]  # the probe's process is a fixture of both


def test_an_error_the_database_finds_in_what_a_handler_left_to_be_written_is_the_events_own(bus: Bus) -> None:
    thing, other = new_id(), new_id()
    event_id = bus.ask("poke", thing_id=thing, mood="forgetful")[0]
    row = eventually(lambda: tried(bus.row(event_id)), "the first try")
    assert (row.state, row.cause) == ("due", "IntegrityError") and row.due_at > now()
    behind = bus.ask("poke", thing_id=other, mood="well noted")[0]
    eventually(lambda: done(bus.row(behind)), "the event behind it")
    assert bus.marks()[f"poked {other}"][0] == 1 and f"poked {thing}" not in bus.marks()
    with bus.engine.begin() as connection:  # the cause is mended
        mended = row.envelope.replace('"forgetful"', '"well noted"')
        connection.execute(inbox.update().where(inbox.c.event_id == event_id).values(envelope=mended, due_at=now()))
    eventually(lambda: done(bus.row(event_id)), "the next try")
    assert bus.marks()[f"poked {thing}"][0] == 1


def test_such_an_error_undoes_none_of_those_worked_together_with_it(bus: Bus) -> None:
    thing = new_id()
    row = _worked_once(bus, thing, mood="well noted")
    due = [_again(row) for _ in range(20)]
    due[9]["envelope"] = row.envelope.replace('"well noted"', '"forgetful"')
    with bus.engine.begin() as connection:
        connection.execute(inbox.insert(), due)
    eventually(lambda: all(done(bus.row(one["event_id"])) for one in due if one is not due[9]), "the others")
    failed = eventually(lambda: tried(bus.row(due[9]["event_id"])), "the failing one's first try")
    assert (failed.state, failed.cause) == ("due", "IntegrityError")
    assert bus.marks()[f"poked {thing}"][0] == 20


@pytest.mark.parametrize("together", [1, 5])
def test_a_handler_that_loses_its_connection_leaves_its_event_due_and_its_process_alive(
    bus: Bus, together: int
) -> None:
    row = _worked_once(bus, thing := new_id())
    due = [_again(row) | {"envelope": row.envelope.replace('"good"', '"cut off"')} for _ in range(together)]
    before = len(lines(bus))
    assert bus.process is not None
    process = bus.process.pid
    with bus.engine.begin() as connection:
        connection.execute(inbox.insert(), due)
    told = eventually(lambda: [line for line in lines(bus)[before:] if line["event"] == "inbox waits"], "the loss")
    assert {line["error"] for line in told} == {"OperationalError"}
    with bus.engine.begin() as connection:  # the database is back
        mended = inbox.update().where(inbox.c.event_id.in_([one["event_id"] for one in due]))
        connection.execute(mended.values(envelope=row.envelope))
    for one in due:
        assert eventually(lambda: done(bus.row(one["event_id"])), "the next try").attempts == 0  # noqa: B023 at once
    assert bus.marks()[f"poked {thing}"][0] == 1 + together
    assert bus.process.poll() is None and bus.process.pid == process
    assert not [line for line in lines(bus)[before:] if line["level"] == "critical"]


@pytest.mark.parametrize("damage", [{"data": None}, {"data": []}], ids=str)
def test_an_event_that_cannot_be_read_holds_up_no_other(bus: Bus, damage: dict[str, Any]) -> None:
    row = _worked_once(bus, new_id())
    damaged = _again(row) | {"envelope": json.dumps(json.loads(row.envelope) | damage)}
    with bus.engine.begin() as connection:
        connection.execute(inbox.insert(), damaged)
    eventually(lambda: tried(bus.row(damaged["event_id"])), "the first try")
    _worked_once(bus, new_id())
    assert (bus.row(damaged["event_id"]).state, bus.row(damaged["event_id"]).cause) == ("due", "AttributeError")


def _worked_once(bus: Bus, thing: str, mood: str = "good") -> Any:
    event_id = bus.ask("poke", thing_id=thing, mood=mood)[0]
    return eventually(lambda: done(bus.row(event_id)), "the first event")


def _again(row: Any) -> dict[str, Any]:
    return {"event_id": new_id(), "source": "audit", "type": Poked.type, "envelope": row.envelope}


def test_the_end_of_the_process_is_no_fault_of_an_event_and_never_parks_it(bus: Bus) -> None:
    last_try = _again(_worked_once(bus, new_id())) | {"attempts": 9}
    bus.ask("die")
    time.sleep(0.5)
    with bus.engine.begin() as connection:
        connection.execute(inbox.insert(), last_try)
    assert bus.process is not None
    bus.process.wait(PATIENCE)
    row = bus.row(last_try["event_id"])
    assert (row.state, row.attempts, row.cause) == ("due", 10, "ContainerBeingKilled")
    with bus.engine.begin() as connection:  # its pause is over
        connection.execute(inbox.update().where(inbox.c.event_id == row.event_id).values(due_at=now()))
    bus.start()
    eventually(lambda: done(bus.row(row.event_id)), "the next try")


def test_a_link_lost_and_reopened_in_the_middle_of_a_batch_leaves_nothing_unpublished(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing, total, cut_at = new_id(), 300, 100
    bus.stop()
    with Wire(bus.settings.broker_host, bus.settings.broker_port, cut_at) as wire:
        with monkeypatch.context() as patched:
            patched.setenv("OPENDSP_BROKER_PORT", str(wire.port))
            bus.start()
        try:
            bus.ask("slow_down_the_relay", pause=0.004)
            ids = bus.ask("poke", thing_id=thing, mood="good", times=total)
            eventually(lambda: empty(bus), "the relay")
            eventually(lambda: all(done(bus.row(event_id)) for event_id in ids), "the last event")
        finally:
            bus.stop()
            bus.start()
    lost, reopened = [carried for carried in wire.carried if carried]
    assert cut_at <= len(lost) < total, "the line was not cut in the middle of the batch"
    assert reopened[0] in ids[cut_at:], "the link was not reopened in the middle of the batch"
    assert bus.marks()[f"poked {thing}"] == (total, total)


def test_a_link_opened_anew_under_the_reader_of_the_old_one_is_no_error(bus: Bus) -> None:
    assert bus.ask("reopen_a_link")
    assert "error nobody handled" not in {line["event"] for line in lines(bus)}


@pytest.mark.parametrize("where, event", [
    ("greenlet", "greenlet ended"), ("thread", "error nobody handled"), ("process", "error nobody handled"),
])  # fmt: skip
def test_an_error_nobody_handles_is_one_line_without_its_text(bus: Bus, where: str, event: str) -> None:
    before = len(lines(bus))
    bus.ask("fail", where=where)
    if where == "process":
        assert bus.process is not None and bus.process.wait(PATIENCE) != 0
        bus.start()
    told = eventually(lambda: [line for line in lines(bus)[before:] if line["event"] == event], "the line")
    assert {line["error"] for line in told} == {"RuntimeError"} and told[0]["at"]
    assert "secret-in-an-error" not in bus.log.read_text()


def test_a_process_begins_its_log_with_a_line_of_its_own(bus: Bus) -> None:
    first = lines(bus)[0]
    assert (first["event"], first["process"], first["level"]) == ("started", "audit", "info")


def lines(bus: Bus) -> list[dict[str, Any]]:
    """What the probe has logged: one JSON object per line and nothing else."""
    return [json.loads(line) for line in bus.log.read_text().splitlines()]
