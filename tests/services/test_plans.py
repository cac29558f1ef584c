"""What is planned once: by the database's own word, whatever the values are, whatever fails, in its transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.db import Sessions, ended_sessions, inbox, new_id, now
from services.plans import planned_once

_PLANS = "select count(*) from pg_prepared_statements"
_FOUND = planned_once(
    sa.select(ended_sessions.c.ended_at).where(ended_sessions.c.session_id == sa.bindparam("session_id"))
)
_ADD = planned_once(sa.insert(ended_sessions))


@pytest.fixture(scope="module")
def url(database: Callable[[str], str]) -> str:
    return database("dossier")


@pytest.fixture
def sessions(url: str) -> Iterator[Sessions]:
    """One connection, so that all of its plans are seen."""
    made = Sessions(url)
    made.engine.dispose()
    yield made
    made.engine.dispose()


def plans(sessions: Sessions) -> int:
    with sessions.transaction() as session:
        return int(session.scalar(sa.text(_PLANS)))


def test_it_answers_the_same_and_is_planned_once_in_a_connection(sessions: Sessions) -> None:
    known, at = new_id(), now()
    for number in range(12):
        with sessions.transaction() as session:
            if number == 3:
                session.execute(_ADD, {"session_id": known, "ended_at": at})
            assert session.scalar(_FOUND, {"session_id": new_id()}) is None
            assert session.scalar(_FOUND, {"session_id": known}) == (at if number >= 3 else None)
    assert plans(sessions) == 2
    other = Sessions(str(sessions.engine.url.render_as_string(hide_password=False)))
    with other.transaction() as session:
        assert session.scalar(_FOUND, {"session_id": known}) == at, "another connection has a plan of its own"
    other.engine.dispose()


def test_its_first_time_is_one_word_with_its_plan_and_the_begin(sessions: Sessions) -> None:
    said: list[str] = []
    sa.event.listen(sessions.engine, "after_cursor_execute", lambda _c, _k, statement, *_: said.append(statement))
    for _ in range(2):
        with sessions.transaction() as session:
            session.scalar(_FOUND, {"session_id": new_id()})
    assert [word.split(" ")[0] for word in said] == ["begin;", "commit", "begin;", "commit"]
    assert "prepare" in said[0] and "prepare" not in said[2] and "execute" in said[2]


@pytest.mark.parametrize("value", [
    "été d'hiver\\", "100 %", "%(no)s", True, False, 0, 2**31, -(2**62), b"\x00\xff", None, now(), date(2026, 2, 28),
    timedelta(days=3, seconds=7), UUID(int=7), [], ["a", None, "b,}{'"], [1, 2], [True, None], [b"\x00"], [None],
], ids=repr)  # fmt: skip
def test_a_value_goes_in_as_it_would_have_been_written(sessions: Sessions, value: Any) -> None:
    kinds: dict[type, Any] = {
        str: sa.Text(), bool: sa.Boolean(), int: sa.BigInteger(), bytes: sa.LargeBinary(), date: sa.Date(),
        datetime: sa.DateTime(timezone=True), timedelta: sa.Interval(), UUID: sa.Uuid(), type(None): sa.Text(),
    }  # fmt: skip
    if isinstance(value, list):
        kind = ARRAY(kinds[next((type(one) for one in value if one is not None), str)])
    else:
        kind = kinds[type(value)]
    for once in (planned_once, lambda statement: statement):
        with sessions.transaction() as session:
            asked = sa.select(sa.cast(sa.bindparam("value", type_=kind), kind), sa.literal_column("'50 %'"))
            answer, percent = session.execute(once(asked), {"value": value}).one()
            assert percent == "50 %"
            found = bytes(answer) if isinstance(answer, memoryview) else answer
            if isinstance(value, list):
                found = [bytes(one) if isinstance(one, memoryview) else one for one in answer]
            assert found == value


def test_what_has_no_kind_is_said_as_it_always_was(sessions: Sessions) -> None:
    with sessions.transaction() as session:
        assert session.scalar(planned_once(sa.text("select :value")), {"value": Decimal("1.5")}) == Decimal("1.5")
        assert session.scalar(planned_once(sa.text("select 7"))) == 7
        many = [{"session_id": new_id(), "ended_at": now()} for _ in range(3)]
        session.execute(_ADD, many)
    assert plans(sessions) == 1


def test_a_plan_outlives_what_failed_with_it_and_is_asked_for_again_where_there_is_none(sessions: Sessions) -> None:
    known = new_id()
    for _ in range(3):  # the plan is made, then the row is refused, or was there
        with pytest.raises(sa.exc.IntegrityError), sessions.transaction() as session:
            session.execute(_ADD, {"session_id": known, "ended_at": None})
    nonsense = planned_once(sa.text("select there_is_no_such_function(:value)"))
    for _ in range(2):
        with pytest.raises(sa.exc.ProgrammingError), sessions.transaction() as session:
            session.execute(nonsense, {"value": "x"})
    with sessions.transaction() as session:
        session.execute(_ADD, {"session_id": known, "ended_at": now()})
        assert session.scalar(_FOUND, {"session_id": known}) is not None


def test_several_in_one_word_are_planned_each_by_itself_and_the_rest_is_said_as_it_is(sessions: Sessions) -> None:
    both = planned_once(sa.text(
        "select set_config('opendsp.one', :one, true); set local work_mem = '8MB';"
        " select current_setting('opendsp.one') || cast(:two as text), current_setting('work_mem')"
    ))  # fmt: skip
    for number in range(3):
        with sessions.transaction() as session:
            assert session.execute(both, {"one": "a", "two": number}).one() == (f"a{number}", "8MB")
    assert plans(sessions) == 2


def test_a_type_that_is_told_holds_for_every_value(sessions: Sessions) -> None:
    asked = planned_once(sa.text("select :one is null, cast(:many as text)"), one="uuid", many="uuid[]")
    known = new_id()
    for one, many in ((None, []), (known, [known]), (None, [known, known])):
        with sessions.transaction() as session:
            assert session.execute(asked, {"one": one, "many": many}).one() == (
                one is None, "{" + ",".join(many) + "}",
            )  # fmt: skip
    assert plans(sessions) == 1


def test_how_many_rows_were_changed_is_told(sessions: Sessions) -> None:
    change = planned_once(
        sa.update(inbox).where(inbox.c.event_id == sa.any_(sa.bindparam("ids", type_=ARRAY(inbox.c.event_id.type))))
        .values(cause="x")
    )  # fmt: skip
    ids = [new_id() for _ in range(3)]
    with sessions.transaction() as session:
        session.execute(sa.insert(inbox), [
            {"event_id": one, "source": "audit", "type": "x.v1", "envelope": "{}", "state": "parked"} for one in ids
        ])  # fmt: skip
        for count in (2, 3):
            assert session.execute(change, {"ids": ids[:count]}).rowcount == count  # type: ignore[attr-defined]


def test_it_goes_on_when_a_migration_adds_a_column(sessions: Sessions) -> None:
    with sessions.transaction() as session:
        assert session.scalar(_FOUND, {"session_id": new_id()}) is None
    with sessions.transaction() as session:
        session.execute(sa.text("alter table ended_sessions add column added text"))
    known, at = new_id(), datetime(2026, 1, 2, tzinfo=UTC)
    with sessions.transaction() as session:
        session.execute(_ADD, {"session_id": known, "ended_at": at})
        assert session.scalar(_FOUND, {"session_id": known}) == at
        session.execute(sa.text("alter table ended_sessions drop column added"))
