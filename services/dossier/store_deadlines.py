"""The queries of what falls due by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Due:
    """A step whose time has come: what kind, about what, in which record."""

    kind: str
    subject_id: str
    record_id: str
    due_at: datetime


# A kind and its subject have one row: whoever puts it off or brings it forward writes over what was there.
_PUT = sa.text(
    """
    insert into deadlines (kind, subject_id, record_id, due_at)
    select :kind, told.* from
      unnest(cast(:subject_ids as uuid[]), cast(:record_ids as uuid[]), cast(:due_at as timestamptz[])) as told
     order by 2
    on conflict (kind, subject_id) do update set due_at = excluded.due_at, record_id = excluded.record_id
    """
)
_PUT_FIRST = sa.text(
    """
    insert into deadlines (kind, subject_id, record_id, due_at) values (:kind, :subject_id, :record_id, :due_at)
    on conflict do nothing
    """
)
# With the step its record is held: one that somebody is changing this moment is left for a later round, so that no
# two wait for each other. What falls due in a merged record waits until the record is found to be none any more.
_CLAIM = sa.text(
    """
    with taken as materialized (
        select d.kind, d.subject_id from deadlines d join records r on r.record_id = d.record_id
         where d.due_at <= :at and r.merged_into is null
         order by d.due_at limit 1
           for update of d skip locked for no key update of r skip locked)
    delete from deadlines d using taken where d.kind = taken.kind and d.subject_id = taken.subject_id
    returning d.kind, cast(d.subject_id as text), cast(d.record_id as text), d.due_at
    """
)
_DROP = sa.text("delete from deadlines where subject_id = :subject_id and kind = any (cast(:kinds as text[]))")
_DROP_OF_RECORD = sa.text("delete from deadlines where record_id = :record_id and kind = any (cast(:kinds as text[]))")
_DROP_ALL = sa.text("delete from deadlines where record_id = :record_id")


def put(session: Session, kind: str, subject_id: str, record_id: str, due_at: datetime) -> None:
    """Has a step fall due at a moment; one of this kind about this subject that was planned before moves there."""
    put_many(session, kind, [(subject_id, record_id, due_at)])


def put_many(session: Session, kind: str, told: Sequence[tuple[str, str, datetime]]) -> None:
    """As `put`, for many at once: (subject id, record id, when)."""
    if told:
        subject_ids, record_ids, due_at = (list(column) for column in zip(*told, strict=True))
        asked = {"kind": kind, "subject_ids": subject_ids, "record_ids": record_ids, "due_at": due_at}
        session.execute(_PUT, asked)


def put_first(session: Session, kind: str, subject_id: str, record_id: str, due_at: datetime) -> None:
    """As `put`, but one that was planned before stays where it is."""
    asked = {"kind": kind, "subject_id": subject_id, "record_id": record_id, "due_at": due_at}
    session.execute(_PUT_FIRST, asked)


def drop(session: Session, subject_id: str, *kinds: str) -> None:
    """Has these steps about a subject not fall due any more."""
    session.execute(_DROP, {"subject_id": subject_id, "kinds": list(kinds)})


def drop_of_record(session: Session, record_id: str, *kinds: str) -> None:
    """Has every step of these kinds in a record not fall due any more."""
    session.execute(_DROP_OF_RECORD, {"record_id": record_id, "kinds": list(kinds)})


def drop_all(session: Session, record_id: str) -> None:
    """Has nothing fall due in a record any more."""
    session.execute(_DROP_ALL, {"record_id": record_id})


def claim(session: Session, at: datetime) -> Due | None:
    """Takes the step that is due longest, out of every other replica's reach; it is gone with this commit.

    Its record is held until then.
    """
    row = session.execute(_CLAIM, {"at": at}).first()
    return None if row is None else Due(*row)


def put_off(session: Session, due: Due, at: datetime, wait: timedelta) -> None:
    """Has a step that failed fall due again later."""
    put(session, due.kind, due.subject_id, due.record_id, at + wait)
