"""A transaction begins with its first word, is refused with it when the caller's session ended, and leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from threading import Event, Thread
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from services.bus import emit, values_to_emit
from services.db import (
    Savepoint,
    Sessions,
    begun,
    day_of,
    ended_sessions,
    hold,
    new_id,
    now,
    outbox,
    rfc3339,
    signing_keys,
    speak_for,
)
from services.plans import planned_once
from services.refusals import InvalidInput, SessionEnded
from services.words import Rows, add_to_outbox, say_last
from tests.builders import caller, context

KEY = {"jwk": {}, "not_before": now(), "not_after": now()}


@dataclass
class EventWithANumber:
    """As most events are: told at once, in the order of its subject."""

    type: ClassVar[str] = "numbered.v1"
    subject: ClassVar[str | None] = "about"
    prompt: ClassVar[bool] = False
    about: str = "it"


@dataclass
class EventSomebodyWaitsFor:
    """An event about no subject that wakes the relay."""

    type: ClassVar[str] = "prompt.v1"
    subject: ClassVar[str | None] = None


@pytest.fixture
def sessions(database: Callable[[str], str]) -> Iterator[Sessions]:
    made = Sessions(database("audit"))
    yield made
    made.engine.dispose()


@pytest.fixture
def said(sessions: Sessions) -> list[str]:
    """What the database gets to hear, word by word."""
    words: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        words.append(statement)

    sa.event.listen(sessions.engine, "before_cursor_execute", note)
    return words


def add_key(kid: str) -> Any:
    return sa.insert(signing_keys).values(kid=kid, **KEY)


def kept(sessions: Sessions) -> set[str]:
    with sessions.transaction() as session:
        return set(session.scalars(sa.select(signing_keys.c.kid)))


def end(sessions: Sessions, session_id: str) -> None:
    with sessions.transaction() as session:
        session.execute(sa.insert(ended_sessions).values(session_id=session_id, ended_at=now()))


def test_a_transaction_of_one_statement_is_two_words(sessions: Sessions, said: list[str]) -> None:
    with sessions.transaction(caller("patient")) as session:
        session.execute(add_key("one"))
    assert len(said) == 2 and said[0].startswith("begin; ") and "require_session" in said[0]
    assert kept(sessions) == {"one"}


def test_what_only_reads_is_one_word_for_each_question_and_asks_for_the_session_with_the_first(
    sessions: Sessions, said: list[str]
) -> None:
    sought = sa.select(signing_keys.c.kid)
    with sessions.reading(caller("patient")) as session:
        assert session.scalars(sought).all() == []
        with sessions.transaction() as other:
            other.execute(add_key("one"))
        mine = len(said)
        assert session.scalars(sought).all() == ["one"], "as in a transaction: what is committed when it is asked"
    assert said[0].startswith("select require_session") and len(said) == mine + 1
    assert not any(word in said[-1] for word in ("begin", "require_session", "commit"))
    with sessions.engine.connect() as connection:
        state = connection.connection.driver_connection.info.transaction_status
        assert state == 0, "nothing is left open"


def test_who_logged_out_reads_nothing_also_where_nothing_is_asked(sessions: Sessions) -> None:
    who = caller("patient")
    end(sessions, str(who.session_id))
    with pytest.raises(SessionEnded), sessions.reading(who) as session:
        session.execute(sa.select(signing_keys.c.kid))
        pytest.fail("an answer")
    with pytest.raises(SessionEnded), sessions.reading(who):
        pass
    with sessions.transaction(caller("patient")) as session:
        session.execute(add_key("after"))
    assert kept(sessions) == {"after"}


@pytest.mark.parametrize("statement", [
    add_key("x"), sa.update(signing_keys).values(kid="x"), sa.delete(signing_keys),
    sa.select(signing_keys.c.kid).with_for_update(), sa.text("select pg_notify('outbox', '')"),
    sa.text("with x as (delete from signing_keys returning kid) select * from x"),
    sa.text("select pg_advisory_xact_lock(1)"), planned_once(add_key("x")),
])  # fmt: skip
def test_nothing_is_written_or_locked_where_reading_was_announced(sessions: Sessions, statement: Any) -> None:
    with sessions.transaction() as session:
        session.execute(add_key("kept"))
    with pytest.raises(TypeError), sessions.reading() as session:
        session.execute(statement)
    assert kept(sessions) == {"kept"}
    with pytest.raises(KeyError), sessions.reading() as session:
        add_to_outbox(session, new_id(), "x", "{}", prompt=True, bundled=False)
    with sessions.transaction() as session:
        session.execute(sa.delete(signing_keys))  # the connection writes again where it may
    assert kept(sessions) == set()


def test_what_is_one_word_stands_when_it_is_answered_and_no_second_one_is_said(
    sessions: Sessions, said: list[str]
) -> None:
    with sessions.one_word() as session:
        session.execute(add_key("one"))
        assert kept(sessions) == {"one"}
    assert not any(word in said[0] for word in ("begin", "commit"))
    with pytest.raises(TypeError), sessions.one_word() as session:
        session.execute(add_key("two"))
        session.execute(add_key("three"))
    with pytest.raises(sa.exc.IntegrityError), sessions.one_word() as session:
        session.execute(sa.text(
            "insert into signing_keys values ('four', '{}', now(), now()), ('one', '{}', now(), now())"
        ))  # fmt: skip
    assert kept(sessions) == {"one", "two"}


def test_the_one_word_asks_for_the_session_too_and_does_nothing_without_it(
    sessions: Sessions, said: list[str]
) -> None:
    who = caller("patient")
    with sessions.one_word(who) as session:
        session.execute(add_key("one"))
    assert len(said) == 1 and said[0].startswith("select require_session")
    end(sessions, who.session_id)
    with pytest.raises(SessionEnded), sessions.one_word(who) as session:
        session.execute(add_key("two"))
    with sessions.one_word() as session:  # nothing of it is left on the connection
        session.execute(add_key("three"))
    assert said[-1].startswith("INSERT")
    assert kept(sessions) == {"one", "three"}


@pytest.mark.parametrize("event", [EventWithANumber(), EventSomebodyWaitsFor()])
def test_a_statement_writes_no_event_that_has_a_number_or_that_somebody_waits_for(
    sessions: Sessions, event: Any
) -> None:
    with pytest.raises(TypeError), sessions.one_word() as session:
        values_to_emit(session, event)


@pytest.mark.parametrize("fails", [False, True])
def test_a_part_of_a_transaction_costs_no_word_of_its_own_and_is_kept_or_undone_by_itself(
    sessions: Sessions, said: list[str], fails: bool
) -> None:
    with sessions.transaction() as session:
        session.execute(add_key("before"))
        part = Savepoint(session)
        session.execute(add_key("part"))
        inner = Savepoint(session)
        if fails:
            with pytest.raises(sa.exc.IntegrityError):
                session.execute(add_key("part"))
            inner.undo()
            part.undo()
        else:
            session.execute(add_key("inner"))
            inner.keep()
            part.keep()
        session.execute(add_key("after"))
    assert len(said) == 5
    assert kept(sessions) == ({"before", "after"} if fails else {"before", "part", "inner", "after"})


LATER = "insert into signing_keys values (:later, '{}', now(), now())"


@pytest.mark.parametrize("begun_before", [False, True])
@pytest.mark.parametrize("part_says", [False, True])
def test_a_transaction_ends_with_its_last_part_in_one_word(
    sessions: Sessions, said: list[str], begun_before: bool, part_says: bool
) -> None:
    with sessions.transaction() as session:
        if begun_before:
            session.execute(add_key("before"))
        part = Savepoint(session)
        if part_says:
            session.execute(add_key("part"))
        say_last(session, LATER, later="later")
        add_to_outbox(session, new_id(), "x", "{}", prompt=True, bundled=False)
        part.commit()
        assert len(said) == 1 + begun_before + part_says
        assert "later" in kept(sessions)
    assert len(said) == 1 + begun_before + part_says + 2, "the look into it, and no more"
    assert kept(sessions) == {"later"} | ({"before"} if begun_before else set()) | ({"part"} if part_says else set())
    with sessions.one_word() as session:
        session.execute(add_key("next"))
    assert "savepoint" not in said[-1]


@pytest.mark.parametrize(("asked_for", "waits"), [("it", True), ("another", False)])
def test_who_asks_for_what_somebody_holds_waits_for_their_end_and_sees_what_they_wrote(
    sessions: Sessions, said: list[str], asked_for: str, waits: bool
) -> None:
    held, seen = Event(), []

    def look() -> None:
        with sessions.transaction() as session:
            hold(session, asked_for)
            held.wait()
            seen.append(set(session.scalars(sa.select(signing_keys.c.kid))))

    other = Thread(target=look)
    with sessions.transaction() as session:
        hold(session, "it")
        session.execute(add_key("held"))
        assert len(said) == 1, "it is asked for in one word with the statement behind it"
        other.start()
        held.set()
        other.join(0.3)
        assert other.is_alive() is waits
    other.join()
    assert seen == [{"held"} if waits else set()]


def test_nothing_is_held_where_reading_was_announced(sessions: Sessions) -> None:
    with pytest.raises(TypeError), sessions.reading() as session:
        hold(session, "it")


@pytest.mark.parametrize("part_says", [False, True])
def test_a_part_that_could_not_end_its_transaction_is_undone_and_nothing_else(
    sessions: Sessions, part_says: bool
) -> None:
    with sessions.transaction() as session:
        session.execute(add_key("before"))
        part = Savepoint(session)
        if part_says:
            session.execute(add_key("part"))
        say_last(session, LATER, later="before")
        with pytest.raises(sa.exc.IntegrityError):
            part.commit()
        part.undo()
        session.execute(add_key("after"))
    assert kept(sessions) == {"before", "after"}


def test_what_fails_after_a_transaction_was_ended_takes_nothing_back(sessions: Sessions, said: list[str]) -> None:
    with pytest.raises(KeyError), sessions.transaction() as session:
        part = Savepoint(session)
        session.execute(add_key("one"))
        part.commit()
        raise KeyError
    assert len(said) == 2
    assert kept(sessions) == {"one"}


def test_rows_that_are_said_last_several_times_are_said_once_with_all_of_them(
    sessions: Sessions, said: list[str]
) -> None:
    add = (
        "insert into ended_sessions (session_id, ended_at)"
        " select session_id, ended_at from json_populate_recordset(cast(null as ended_sessions), cast(:ended as json))"
    )
    ids = [new_id() for _ in range(4)]
    rows = [Rows([{"session_id": each, "ended_at": rfc3339(now())}]) for each in ids]
    with sessions.transaction() as session:
        say_last(session, add, ended=rows[0])
        say_last(session, add, ended=rows[1])
        part = Savepoint(session)
        say_last(session, add, ended=rows[2])
        part.undo()
        part = Savepoint(session)
        say_last(session, add, ended=rows[3])
        part.keep()
    [word] = [word for word in said if "ended_sessions" in word]
    assert word.count("insert") == 1 and word.endswith("commit")
    with sessions.reading() as session:
        assert set(session.scalars(sa.select(ended_sessions.c.session_id))) == {ids[0], ids[1], ids[3]}


def test_what_is_no_row_is_said_twice_where_it_is_said_twice(sessions: Sessions, said: list[str]) -> None:
    strike = "delete from signing_keys where kid = :struck"
    with sessions.transaction() as session:
        session.execute(add_key("a"))
        session.execute(add_key("b"))
        say_last(session, strike, struck="a")
        say_last(session, strike, struck="b")
    assert kept(sessions) == set() and len([word for word in said if "execute plan_0" in word]) == 2


def test_a_transaction_of_several_asks_for_the_session_of_each_and_says_what_is_whose(
    sessions: Sessions, said: list[str]
) -> None:
    people = [caller("patient"), caller("patient")]
    people.append(replace(people[0], context=context()))  # the same session, another request
    with sessions.transaction(*people) as session:
        for who in people:
            speak_for(session, who)
            emit(session, EventSomebodyWaitsFor())
    assert said[0].count("require_session") == 2
    with sessions.reading() as session:
        told = [json.loads(each)["request_id"] for each in session.scalars(sa.select(outbox.c.envelope))]
    assert told == [who.context.request_id for who in people]


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_the_end_of_one_session_is_the_end_of_a_transaction_of_several(sessions: Sessions, ended: int) -> None:
    people = [caller("patient") for _ in range(3)]
    end(sessions, people[ended].session_id)
    with pytest.raises(SessionEnded), sessions.transaction(*people) as session:
        session.execute(add_key("together"))
    assert kept(sessions) == set()
    with sessions.transaction(*(who for number, who in enumerate(people) if number != ended)) as session:
        session.execute(add_key("without"))
    assert kept(sessions) == {"without"}


def test_a_part_in_which_nothing_was_said_is_never_made(sessions: Sessions, said: list[str]) -> None:
    with sessions.transaction() as session:
        Savepoint(session).keep()
        Savepoint(session).undo()
        session.execute(add_key("one"))
        Savepoint(session).undo()
    assert len(said) == 2 and not any("savepoint" in word for word in said)
    with pytest.raises(KeyError), sessions.transaction() as session:
        Savepoint(session)
        raise KeyError
    assert len(said) == 2 and kept(sessions) == {"one"}


def test_nothing_of_a_transaction_stays_whose_last_statement_fails(sessions: Sessions) -> None:
    with pytest.raises(sa.exc.IntegrityError), sessions.transaction() as session:
        session.execute(add_key("one"))
        session.execute(add_key("one"))
    assert kept(sessions) == set()


def test_nothing_stays_of_one_whose_first_statement_has_many_rows(sessions: Sessions) -> None:
    with sessions.transaction() as session:
        session.execute(add_key("one"))
        session.execute(add_key("two"))
    many = sa.update(signing_keys).where(signing_keys.c.kid == sa.bindparam("old")).values(kid=sa.bindparam("new"))
    with pytest.raises(KeyError), sessions.transaction() as session:
        session.connection().execute(many, [{"old": "one", "new": "1"}, {"old": "two", "new": "2"}])
        raise KeyError
    assert kept(sessions) == {"one", "two"}


def test_what_is_said_to_the_driver_itself_is_part_of_the_transaction(sessions: Sessions) -> None:
    with pytest.raises(KeyError), sessions.transaction() as session:
        driver = begun(session).connection.driver_connection
        with driver.cursor() as cursor:
            cursor.execute("insert into signing_keys values ('one', '{}', now(), now())")
        raise KeyError
    assert kept(sessions) == set()


def test_a_caller_whose_session_ended_is_refused_and_one_whose_session_runs_is_not(sessions: Sessions) -> None:
    asking = caller("patient")
    end(sessions, asking.session_id)
    with pytest.raises(SessionEnded), sessions.transaction(asking) as session:
        session.execute(add_key("theirs"))
        pytest.fail("went on")
    with sessions.transaction(replace(asking, session_id=new_id())) as session:
        session.execute(add_key("others"))
    assert kept(sessions) == {"others"}


def test_they_are_refused_too_where_nothing_is_asked_of_the_database(sessions: Sessions) -> None:
    asking = caller("patient")
    with sessions.transaction(asking):
        pass
    end(sessions, asking.session_id)
    with pytest.raises(SessionEnded), sessions.transaction(asking):
        pass


def test_a_begin_that_was_never_said_is_not_said_to_the_next(sessions: Sessions, said: list[str]) -> None:
    with pytest.raises(InvalidInput), sessions.transaction(caller("patient")):
        raise InvalidInput(errors=[])
    assert said == []
    with sessions.engine.connect() as connection:  # the same connection: the pool gives the one used last
        connection.execute(add_key("one"))
    assert not said[0].startswith("begin")
    assert kept(sessions) == {"one"}


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 21, 22, 59, tzinfo=UTC), date(2026, 11, 21)),
        (datetime(2026, 11, 21, 23, 0, tzinfo=UTC), date(2026, 11, 22)),
        (datetime(2026, 7, 1, 21, 59, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 7, 1, 22, 0, tzinfo=UTC), date(2026, 7, 2)),
    ],
)
def test_a_day_begins_at_midnight_in_luxembourg(moment: datetime, day: date) -> None:
    assert day_of(moment) == day
