"""Licences over time: what is noted for a day to come, what ends by itself, and what follows in the whole house."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import now, rfc3339
from services.directory.models import Professional
from services.refusals import InvalidInput
from tests.builders import House, said
from tests.services.care_house import Care


@pytest.fixture(scope="module")
def care(database: Callable[[str], str]) -> Iterator[Care]:
    house = House(database, services=("directory",))
    yield Care(house)
    house.close()


@pytest.fixture
def whose(care: Care) -> str:
    return care.professional()


def note(care: Care, whose: str, licence: str, since: datetime | None = None, until: datetime | None = None) -> None:
    times: dict[str, Any] = {"since": since and rfc3339(since), "until": until and rfc3339(until)}
    care.ask("set_licence", professional_id=whose, licence=licence, **times)


def pass_by(care: Care, at: datetime) -> int:
    """What the timer does at that moment; how many it looked at."""
    return int(care.house.directory._change_due_licences(at))  # type: ignore[attr-defined]


def states(care: Care, whose: str) -> list[tuple[int, str]]:
    return [(one["version"], one["licence"]) for one in care.told(whose)]


def ends(care: Care, whose: str) -> list[str]:
    return [one["licence"] for one in care.told(whose, "licence_withdrawn.v1")]


def history(care: Care, whose: str) -> list[tuple[str, bool]]:
    """(state, whether it has an end) of all that was noted, in the order of beginnings."""
    noted = care.ask("read_professional", professional_id=whose)["history"]["licences"]
    return [(one["licence"], one["until"] is not None) for one in noted]


def test_a_registration_begins_the_history(care: Care, whose: str) -> None:
    assert history(care, whose) == [("valid", False)]
    seen = care.ask("read_professional", professional_id=whose)
    assert seen["licence_since"] == seen["history"]["licences"][0]["since"] and seen["licence_until"] is None


def test_every_version_says_since_when_it_is_what_they_are(care: Care, whose: str) -> None:
    before = now()
    note(care, whose, "suspended")
    registered, stopped = care.told(whose)
    assert datetime.fromisoformat(registered["at"]) <= before <= datetime.fromisoformat(stopped["at"]) <= now()
    [stop] = care.told(whose, "licence_withdrawn.v1")
    assert stop["at"] >= stopped["at"], "a stop is never older than the version that tells of it"


def test_a_temporary_stop_ends_by_itself_and_is_told_as_any_change(care: Care, whose: str) -> None:
    over = now() + timedelta(days=30)
    note(care, whose, "suspended", until=over)
    pass_by(care, over - timedelta(seconds=1))
    assert states(care, whose) == [(1, "valid"), (2, "suspended")]
    pass_by(care, over)
    assert states(care, whose) == [(1, "valid"), (2, "suspended"), (3, "valid")]
    assert ends(care, whose) == ["suspended"]
    assert history(care, whose) == [("valid", False), ("suspended", True), ("valid", False)]
    pass_by(care, over + timedelta(days=1))
    assert len(states(care, whose)) == 3


def test_a_stop_without_an_end_goes_on(care: Care, whose: str) -> None:
    note(care, whose, "suspended")
    pass_by(care, now() + timedelta(days=3650))
    assert states(care, whose) == [(1, "valid"), (2, "suspended")]


@pytest.mark.parametrize("licence", ["suspended", "withdrawn"])
def test_what_is_noted_for_a_day_to_come_is_told_when_it_comes(care: Care, whose: str, licence: str) -> None:
    begins = now() + timedelta(days=10)
    note(care, whose, licence, since=begins)
    assert (states(care, whose), ends(care, whose)) == ([(1, "valid")], [])
    assert care.traces("professional.changed", whose) == [("allowed", None, licence)]
    assert care.ask("read_professional", professional_id=whose)["licence"] == "valid"
    pass_by(care, begins - timedelta(microseconds=1))
    assert states(care, whose) == [(1, "valid")]
    pass_by(care, begins)
    assert (states(care, whose), ends(care, whose)) == ([(1, "valid"), (2, licence)], [licence])


def test_what_is_to_come_is_noted_once_and_called_off_without_being_overwritten(care: Care, whose: str) -> None:
    begins = now() + timedelta(days=10)
    for _ in range(2):
        note(care, whose, "suspended", since=begins, until=begins + timedelta(days=5))
    assert history(care, whose) == [("valid", False), ("suspended", True)]
    note(care, whose, "valid", since=begins)
    assert history(care, whose) == [("valid", False), ("suspended", True), ("valid", False)]
    for days in (10, 15, 20):
        pass_by(care, now() + timedelta(days=days, hours=1))
    assert (states(care, whose), ends(care, whose)) == ([(1, "valid")], [])


def test_who_lost_the_licence_during_a_stop_does_not_get_it_back_at_its_end(care: Care, whose: str) -> None:
    over = now() + timedelta(days=30)
    note(care, whose, "suspended", until=over)
    note(care, whose, "withdrawn")
    pass_by(care, over + timedelta(days=1))
    assert states(care, whose) == [(1, "valid"), (2, "suspended"), (3, "withdrawn")]
    assert ends(care, whose) == ["suspended", "withdrawn"]


def test_a_stop_is_prolonged_shortened_and_lifted(care: Care, whose: str) -> None:
    over = now() + timedelta(days=30)
    note(care, whose, "suspended", until=over)
    note(care, whose, "suspended", until=over + timedelta(days=30))
    pass_by(care, over + timedelta(hours=1))
    assert states(care, whose) == [(1, "valid"), (2, "suspended")], "the same state is no new version"
    note(care, whose, "valid")
    pass_by(care, over + timedelta(days=31))
    assert states(care, whose)[2:] == [(3, "valid")]
    assert history(care, whose) == [("valid", False), ("suspended", True), ("suspended", True), ("valid", False)]


def test_many_that_are_due_are_changed_once_whoever_comes(care: Care) -> None:
    over = now() + timedelta(days=40)
    everybody = [care.professional() for _ in range(12)]
    for each in everybody:
        note(care, each, "suspended", until=over)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: pass_by(care, over), range(8)))
    for each in everybody:
        assert states(care, each) == [(1, "valid"), (2, "suspended"), (3, "valid")]
        assert history(care, each) == [("valid", False), ("suspended", True), ("valid", False)]
    assert pass_by(care, over) == 0


def test_a_row_that_somebody_holds_is_passed_over_and_changed_the_next_time(care: Care, whose: str) -> None:
    over = now() + timedelta(days=50)
    note(care, whose, "suspended", until=over)
    with care.house.sessions["directory"].transaction() as session:
        session.execute(sa.select(Professional).where(Professional.professional_id == whose).with_for_update())
        assert pass_by(care, over) == 0
    assert len(states(care, whose)) == 2
    assert pass_by(care, over) == 1
    assert states(care, whose)[-1] == (3, "valid")


def test_a_change_that_fails_half_way_is_made_whole_the_next_time(care: Care, whose: str) -> None:
    over = now() + timedelta(days=60)
    note(care, whose, "suspended", until=over)
    engine = care.house.sessions["directory"].engine

    def die(_c: Any, _k: Any, statement: str, _parameters: Any, asked: Any, _many: bool) -> None:
        if "insert into outbox" in said(statement, asked):
            raise ConnectionError

    sa.event.listen(engine, "before_cursor_execute", die)
    with pytest.raises(ConnectionError):
        pass_by(care, over)
    sa.event.remove(engine, "before_cursor_execute", die)
    assert history(care, whose) == [("valid", False), ("suspended", True)]
    pass_by(care, over)
    assert states(care, whose)[-1] == (3, "valid")


@pytest.mark.parametrize("since", ["2020-01-01T00:00:00Z", "soon", "2100-01-01T00:00:00"])
def test_a_note_of_the_past_or_of_no_moment_is_refused(care: Care, whose: str, since: str) -> None:
    with pytest.raises(InvalidInput):
        care.ask("set_licence", professional_id=whose, licence="suspended", since=since)
    assert history(care, whose) == [("valid", False)]


def test_the_timer_changes_what_is_due_now(care: Care, whose: str) -> None:
    note(care, whose, "suspended", until=now() + timedelta(days=1))
    with care.house.sessions["directory"].transaction() as session:
        session.execute(
            sa.update(Professional).values(licence_due_at=now()).where(Professional.professional_id == whose)
        )
    care.house.directory.change_licences()  # type: ignore[attr-defined]
    with care.house.sessions["directory"].transaction() as session:
        due = session.scalar(sa.select(Professional.licence_due_at).where(Professional.professional_id == whose))
    assert due is not None and due > now(), "it looked, and found that the end is yet to come"
    assert states(care, whose)[-1] == (2, "suspended")
