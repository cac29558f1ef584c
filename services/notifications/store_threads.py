"""Every query of threads: which are there for whom, who takes part, what was written, and who hears it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.notifications.models_threads import Thread, ThreadHearing, ThreadMessage, ThreadPerson
from services.notifications.rules_threads import PROFESSIONAL, Person

Row = Any  # a row of one of the queries below, read by column name

# --- one thread -------------------------------------------------------------------------------------------------------

_THREAD = (
    Thread.thread_id, Thread.record_id, Thread.holder_only, Thread.wrapped_key, Thread.subject, Thread.begun_by_kind,
    Thread.begun_by, Thread.begun_at, Thread.last_number, Thread.last_at,
)  # fmt: skip
_OWN = (
    ThreadPerson.added_at, ThreadPerson.left_at, ThreadPerson.heard_number, ThreadPerson.heard_at,
    ThreadPerson.read_number, ThreadPerson.archived_at,
)  # fmt: skip


def thread_of(session: Session, thread_id: str, person: Person, *, hold: bool = False) -> Row | None:
    """A thread, with what it is to this person (`added_at` is null where they have no row); None of an unknown one.

    hold: until the commit, so that its messages are numbered one after the other.
    """
    asked = sa.select(*_THREAD, *_OWN).outerjoin(ThreadPerson, _is(person)).where(Thread.thread_id == thread_id)
    return session.execute(asked.with_for_update(of=Thread) if hold else asked).first()


def professionals_in(session: Session, thread_id: str) -> set[str]:
    """The professionals who take part now."""
    asked = sa.select(ThreadPerson.person_id).where(
        ThreadPerson.thread_id == thread_id, ThreadPerson.kind == PROFESSIONAL, ThreadPerson.left_at.is_(None)
    )
    return set(session.scalars(asked))


def facts_of(session: Session, thread_id: str) -> tuple[str | None, set[str]] | None:
    """The record a thread was begun in, and the professionals in it: what dossier is asked about before all else."""
    record = session.execute(sa.select(Thread.record_id).where(Thread.thread_id == thread_id)).first()
    return None if record is None else (record.record_id, professionals_in(session, thread_id))


def add_thread(session: Session, **row: Any) -> None:
    """A new thread."""
    session.execute(sa.insert(Thread).values(**row))


def _is(person: Person) -> sa.ColumnElement[bool]:
    return sa.and_(
        ThreadPerson.thread_id == Thread.thread_id, ThreadPerson.kind == person.kind,
        ThreadPerson.person_id == person.person_id,
    )  # fmt: skip


# --- who takes part ---------------------------------------------------------------------------------------------------


def people_in(session: Session, thread_id: str) -> Sequence[Row]:
    """Everybody who takes part or took part, and of the holder side who read: in the order in which they came."""
    columns = (ThreadPerson.kind, ThreadPerson.person_id, ThreadPerson.added_at, ThreadPerson.left_at)
    asked = sa.select(*columns, ThreadPerson.read_number, ThreadPerson.read_at)
    return session.execute(
        asked.where(ThreadPerson.thread_id == thread_id).order_by(ThreadPerson.added_at, ThreadPerson.person_id)
    ).all()


def add_people(session: Session, thread_id: str, professional_ids: Collection[str], at: datetime) -> list[str]:
    """Lets professionals take part; who left comes back. Gives those who did not take part before."""
    rows = [
        {"thread_id": thread_id, "kind": PROFESSIONAL, "person_id": one, "added_at": at, "heard_at": at}
        for one in sorted(professional_ids)
    ]
    if not rows:
        return []
    added = insert(ThreadPerson).values(rows)
    again = added.on_conflict_do_update(
        index_elements=["thread_id", "kind", "person_id"], set_={"left_at": None},
        where=ThreadPerson.left_at.is_not(None),
    )  # fmt: skip
    return list(session.scalars(again.returning(ThreadPerson.person_id)))


def bring_up(session: Session, thread_id: str, newcomer: str, person: Person, at: datetime) -> int:
    """Lets a newcomer hear what whoever added them hears: nothing is shown that they could not show themselves. The
    number of the last message of it, 0 where there is none."""
    mine = sa.select(sa.cast(thread_id, sa.Uuid), sa.cast(newcomer, sa.Uuid), ThreadMessage.number).where(
        ThreadMessage.thread_id == thread_id, _heard_by(person)
    )
    columns = ["thread_id", "professional_id", "number"]
    session.execute(insert(ThreadHearing).from_select(columns, mine).on_conflict_do_nothing())
    own = Person(PROFESSIONAL, newcomer)
    last = last_heard(session, thread_id, own)
    session.execute(
        sa.update(ThreadPerson).where(_row_of(thread_id, own), ThreadPerson.heard_number < last)
        .values(heard_number=last, heard_at=at)
    )  # fmt: skip
    return last


def leave(session: Session, thread_id: str, person: Person, at: datetime) -> None:
    """Has a professional take part no more."""
    session.execute(
        sa.update(ThreadPerson).where(_row_of(thread_id, person), ThreadPerson.left_at.is_(None)).values(left_at=at)
    )


def note_read(session: Session, thread_id: str, person: Person, number: int, at: datetime) -> None:
    """Notes up to where somebody has read; it never goes back."""
    row = insert(ThreadPerson).values(
        thread_id=thread_id, kind=person.kind, person_id=person.person_id, added_at=at, heard_at=at, read_number=number,
        read_at=at,
    )  # fmt: skip
    session.execute(row.on_conflict_do_update(
        index_elements=["thread_id", "kind", "person_id"], set_={"read_number": number, "read_at": at},
        where=ThreadPerson.read_number < number,
    ))  # fmt: skip


def archive(session: Session, thread_id: str, person: Person, archived_at: datetime | None, at: datetime) -> None:
    """Puts a thread aside for one person, or takes it up again."""
    row = insert(ThreadPerson).values(
        thread_id=thread_id, kind=person.kind, person_id=person.person_id, added_at=at, heard_at=at,
        archived_at=archived_at,
    )  # fmt: skip
    session.execute(row.on_conflict_do_update(
        index_elements=["thread_id", "kind", "person_id"], set_={"archived_at": archived_at}
    ))  # fmt: skip


def _row_of(thread_id: str, person: Person) -> sa.ColumnElement[bool]:
    return sa.and_(
        ThreadPerson.thread_id == thread_id, ThreadPerson.kind == person.kind,
        ThreadPerson.person_id == person.person_id,
    )  # fmt: skip


# --- what was written -------------------------------------------------------------------------------------------------


def _heard_by(person: Person) -> sa.ColumnElement[bool]:
    """The messages that somebody hears who may read the thread: the holder side all, a professional their own ones."""
    if person.kind != PROFESSIONAL:
        return sa.true()
    return sa.exists().where(
        ThreadHearing.thread_id == ThreadMessage.thread_id, ThreadHearing.number == ThreadMessage.number,
        ThreadHearing.professional_id == person.person_id,
    )  # fmt: skip


def add_message(session: Session, hearers: Collection[str], **row: Any) -> None:
    """Writes a message, whose thread is held: it is heard by these, and its thread is put aside for nobody any more."""
    thread_id, number, at = row["thread_id"], row["number"], row["written_at"]
    session.execute(sa.insert(ThreadMessage).values(**row))
    heard = [{"thread_id": thread_id, "professional_id": one, "number": number} for one in hearers]
    if heard:
        session.execute(sa.insert(ThreadHearing).values(heard))
    theirs = (ThreadPerson.kind == PROFESSIONAL) & ThreadPerson.person_id.in_(hearers)
    session.execute(
        sa.update(ThreadPerson).where(ThreadPerson.thread_id == thread_id, theirs | (ThreadPerson.kind != PROFESSIONAL))
        .values(heard_number=number, heard_at=at, archived_at=None)
    )  # fmt: skip
    session.execute(sa.update(Thread).where(Thread.thread_id == thread_id).values(last_number=number, last_at=at))


def messages(session: Session, thread_id: str, person: Person, before: int | None, limit: int) -> Sequence[Row]:
    """A page of what somebody hears, newest first, before a number."""
    asked = sa.select(
        ThreadMessage.message_id, ThreadMessage.number, ThreadMessage.author_kind, ThreadMessage.author_id,
        ThreadMessage.role, ThreadMessage.text, ThreadMessage.written_at,
    ).where(ThreadMessage.thread_id == thread_id, _heard_by(person))  # fmt: skip
    if before is not None:
        asked = asked.where(ThreadMessage.number < before)
    return session.execute(asked.order_by(ThreadMessage.number.desc()).limit(limit)).all()


def last_heard(session: Session, thread_id: str, person: Person) -> int:
    """The number of the last message somebody hears; 0 where there is none."""
    asked = sa.select(sa.func.max(ThreadMessage.number)).where(ThreadMessage.thread_id == thread_id, _heard_by(person))
    return session.scalar(asked) or 0


# --- lists ------------------------------------------------------------------------------------------------------------


def threads(
    session: Session, person: Person, sides: Mapping[str, str], *, record_id: str | None, archived: bool,
    after: tuple[str, str] | None, limit: int,
) -> Sequence[Row]:  # fmt: skip
    """A page of what is there for somebody, where they last heard something first.

    sides: of a patient, the records whose messages they read, and as what. Of a thread without a message nobody knows
    but who began it.
    """
    heard_at, number = _last_of(person)
    asked = sa.select(
        *_THREAD, *_OWN, _unread(person).label("unread"), heard_at.label("own_at"), number.label("own_number")
    ).outerjoin(ThreadPerson, _is(person)).where(_there_for(person, sides))  # fmt: skip
    asked = asked.where(ThreadPerson.archived_at.is_not(None) if archived else ThreadPerson.archived_at.is_(None))
    begun = (Thread.begun_by_kind == person.kind) & (Thread.begun_by == person.person_id)
    asked = asked.where((number > 0) | begun)
    if record_id is not None:
        asked = asked.where(Thread.record_id == record_id)
    if after is not None:
        place = sa.tuple_(sa.cast(sa.literal(after[0]), sa.DateTime(timezone=True)), sa.cast(after[1], sa.Uuid))
        asked = asked.where(sa.tuple_(heard_at, Thread.thread_id) < place)
    return session.execute(asked.order_by(heard_at.desc(), Thread.thread_id.desc()).limit(limit)).all()


def standing(session: Session, thread_id: str, person: Person) -> Row:
    """What a thread is to somebody now: the number and the time of the last message they hear, how many are unread."""
    heard_at, number = _last_of(person)
    return session.execute(
        sa.select(number.label("number"), heard_at.label("at"), _unread(person).label("unread")).select_from(Thread)
        .outerjoin(ThreadPerson, _is(person)).where(Thread.thread_id == thread_id)
    ).one()  # fmt: skip


def unread(session: Session, person: Person, sides: Mapping[str, str]) -> tuple[int, int]:
    """How many threads, and messages in them, somebody has not read."""
    _, number = _last_of(person)
    each = (
        sa.select(_unread(person).label("unread")).select_from(Thread).outerjoin(ThreadPerson, _is(person))
        .where(_there_for(person, sides), number > sa.func.coalesce(ThreadPerson.read_number, 0)).subquery()
    )  # fmt: skip
    counted = sa.select(
        sa.func.count().filter(each.c.unread > 0), sa.func.coalesce(sa.func.sum(each.c.unread), 0)
    ).select_from(each)  # fmt: skip
    row = session.execute(counted).one()
    return int(row[0]), int(row[1])


def _there_for(person: Person, sides: Mapping[str, str]) -> sa.ColumnElement[bool]:
    """`rules_threads.may_read` as a WHERE clause over threads and the person's own rows."""
    if person.kind == PROFESSIONAL:
        return ThreadPerson.person_id.is_not(None)
    own = [record_id for record_id, role in sides.items() if role == "holder"]
    others = [record_id for record_id, role in sides.items() if role != "holder"]
    return Thread.record_id.in_(own) | (Thread.record_id.in_(others) & sa.not_(Thread.holder_only))


def _last_of(person: Person) -> tuple[sa.ColumnElement[datetime], sa.ColumnElement[int]]:
    if person.kind == PROFESSIONAL:
        return sa.type_coerce(ThreadPerson.heard_at, sa.DateTime(timezone=True)), sa.type_coerce(
            ThreadPerson.heard_number, sa.Integer
        )
    return sa.type_coerce(Thread.last_at, sa.DateTime(timezone=True)), sa.type_coerce(Thread.last_number, sa.Integer)


def _unread(person: Person) -> sa.ScalarSelect[int]:
    own = (ThreadMessage.author_kind == person.kind) & (ThreadMessage.author_id == person.person_id)
    return (
        sa.select(sa.func.count()).where(
            ThreadMessage.thread_id == Thread.thread_id, _heard_by(person), sa.not_(own),
            ThreadMessage.number > sa.func.coalesce(ThreadPerson.read_number, 0),
        ).correlate(Thread, ThreadPerson).scalar_subquery()
    )  # fmt: skip
