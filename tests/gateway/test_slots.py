"""Slots: each for who has it, once, while its URL lives, and for a file that is small enough."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from gateway import slots
from gateway.slots import KEPT, LARGEST, Slots
from services.documents.contract import URL_LIFETIME
from tests.builders import caller

DOCTOR = caller("professional")
SLOT: dict[str, Any] = {"version_id": "a"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    at = [1000.0]
    monkeypatch.setattr(slots.time, "monotonic", lambda: at[0])
    return at


def test_a_slot_is_given_once_and_to_its_owner_alone() -> None:
    kept = Slots()
    kept.keep(DOCTOR, SLOT)
    for other in (caller("professional"), replace(DOCTOR, capacity="patient")):
        assert kept.take(other, 10) is None
    assert kept.take(DOCTOR, 10) == SLOT and kept.take(DOCTOR, 10) is None


@pytest.mark.parametrize(("length", "given"), [(LARGEST, True), (LARGEST + 1, False), (None, False), (0, True)])
def test_what_is_big_or_not_announced_is_asked_about_first(length: int | None, given: bool) -> None:
    kept = Slots()
    kept.keep(DOCTOR, SLOT)
    assert (kept.take(DOCTOR, length) is not None) is given
    assert (kept.take(DOCTOR, 10) is None) is given, "what was not given is still there"


def test_a_slot_is_given_while_its_url_lives(clock: list[float]) -> None:
    assert KEPT < URL_LIFETIME
    kept = Slots()
    for name in ("old", "young"):
        kept.keep(DOCTOR, {"version_id": name})
        clock[0] += KEPT / 2
    clock[0] += 1  # the old one's time is over, the young one's is not
    assert kept.take(DOCTOR, 10) == {"version_id": "young"} and kept.take(DOCTOR, 10) is None


def test_a_series_begins_with_the_second_deposit_and_ends_with_a_pause(clock: list[float]) -> None:
    kept = Slots()
    assert not kept.is_series(DOCTOR, 10)
    clock[0] += KEPT - 1
    assert kept.is_series(DOCTOR, 10) and not kept.is_series(replace(DOCTOR, capacity="patient"), 10)
    clock[0] += KEPT + 1
    assert not kept.is_series(DOCTOR, 10)


@pytest.mark.parametrize("length", [LARGEST + 1, None])
def test_what_fits_into_no_slot_is_no_series_and_asks_for_none(length: int | None) -> None:
    kept = Slots()
    assert not any(kept.is_series(DOCTOR, length) for _ in range(3)) and not kept.is_series(DOCTOR, 10)


def test_slots_that_nobody_takes_do_not_gather(clock: list[float]) -> None:
    kept = Slots()
    for _ in range(1000):
        kept.keep(DOCTOR, SLOT)
        clock[0] += 1
    assert len(kept._kept[DOCTOR.account_id, "professional"]) <= KEPT + 1


def test_who_is_gone_is_forgotten(clock: list[float]) -> None:
    kept = Slots()
    for _ in range(100):
        who = caller("professional")
        kept.is_series(who, 10)
        kept.keep(who, SLOT)
    clock[0] += KEPT + 1
    kept.is_series(DOCTOR, 10)
    assert list(kept._lately) == [(DOCTOR.account_id, "professional")] and not kept._kept


def test_many_threads_get_each_slot_once() -> None:
    kept, got = Slots(), []
    for number in range(200):
        kept.keep(DOCTOR, {"version_id": str(number)})

    def take() -> None:
        while slot := kept.take(DOCTOR, 10):
            got.append(slot["version_id"])
            time.sleep(0)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=int) == [str(number) for number in range(200)]
