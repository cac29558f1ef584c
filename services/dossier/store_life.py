"""The queries of a record's life: where it stands, how it came there, and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.models import Record, StateChange
from services.dossier.models_desk import Deadline
from services.dossier.rules_life import BEGINNINGS, MOVES, Life
from services.dossier.store import lock_record

HISTORY_SHOWN = 100

_LIFE = sa.text(
    """
    select cast(r.record_id as text) as record_id, cast(r.patient_id as text) as patient_id, r.state, r.since,
           r.merged_into is not null as merged, coalesce(past.began_at, r.since) as began_at,
           coalesce(past.opened_at, r.since) as opened_at, r.last_access_on as accessed_on,
           closing.cause as closed_for, closing.previous as closed_from
      from records r
      cross join lateral (
           select max(at) filter (where cause = any (cast(:beginnings as text[]))) as began_at, min(at) as opened_at
             from state_changes where record_id = r.record_id) as past
      left join lateral (
           select cause, previous from state_changes
            where record_id = r.record_id and r.state = 'closed' and state = 'closed'
              and cause <> all (cast(:moves as text[]))
            order by at desc, change_id desc limit 1) as closing on true
     where r.record_id = :record_id
    """
)


def life(session: Session, record_id: str) -> Life | None:
    """Where a record stands in its life; None where there is no such record, or none any more."""
    asked = {"record_id": record_id, "beginnings": list(BEGINNINGS), "moves": list(MOVES)}
    row = session.execute(_LIFE, asked).first()
    return None if row is None or row.state == "deleted" else Life(**row._mapping)


def locked_life(session: Session, record_id: str) -> Life | None:
    """The same, held until the commit: looked at once nobody else can take a step."""
    lock_record(session, record_id)
    return life(session, record_id)


def history(session: Session, record_id: str) -> Sequence[Any]:
    """The last steps in a record's life, the newest first: at, previous, state, cause, capacity."""
    steps = sa.select(
        StateChange.at, StateChange.previous, StateChange.state, StateChange.cause, StateChange.capacity
    ).where(StateChange.record_id == record_id)
    newest = steps.order_by(StateChange.at.desc(), StateChange.change_id.desc())
    return session.execute(newest.limit(HISTORY_SHOWN)).all()


def due_at(session: Session, kind: str, record_id: str) -> datetime | None:
    """When a step of a record falls due."""
    return session.scalar(sa.select(Deadline.due_at).where(Deadline.kind == kind, Deadline.subject_id == record_id))


def had_record(session: Session, patient_id: str) -> bool:
    """Whether this patient had a record that is deleted now."""
    gone = sa.select(sa.literal(1)).where(
        sa.or_(Record.patient_id == patient_id, Record.opened_for == patient_id), Record.state == "deleted"
    )
    return session.execute(gone.limit(1)).first() is not None


# Who had which ground when stays, without what was written of them; what a professional gave as a reason is not the
# record's, but stands in the privacy officer's queue.
_FORGET_WORDS = sa.text(
    """
    with comments as (update circle_members set comment = null where record_id = :record_id and comment is not null),
         names as (update assistants set name = '', code_digests = '{}' where record_id = :record_id),
         proofs as (update representatives set proof = '' where record_id = :record_id),
         codes as (delete from presence_codes where record_id = :record_id),
         steps as (delete from setup_steps where record_id = :record_id)
    delete from record_settings where record_id = :record_id
    """
)


def forget_words(session: Session, record_id: str) -> None:
    """Destroys what was set, declared and written of people in a record that is deleted, and its presence codes."""
    session.execute(_FORGET_WORDS, {"record_id": record_id})


_MERGED_IN = sa.text(
    """
    with recursive within (record_id, state) as (
        select record_id, state from records where record_id = :record_id
        union all
        select r.record_id, r.state_before from within join records r on r.merged_into = within.record_id
         where r.state <> 'deleted' and (r.state_before <> 'closed' or within.state = 'closed')
    )
    select cast(record_id as text) from within where record_id <> :record_id order by 1
    """
)


def merged_in(session: Session, record_id: str) -> list[str]:
    """The records that lead to this one with all that was in them, however far down."""
    return list(session.scalars(_MERGED_IN, {"record_id": record_id}))
