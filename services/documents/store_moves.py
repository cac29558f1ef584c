"""Every query about where records lead, and of the documents that follow."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.documents.models import record_moves

_ALONE = sa.text(
    """
    select pg_advisory_xact_lock(hashtextextended('record_moves', 0));
    select pg_advisory_xact_lock(hashtextextended('record_moves ' || cast(cast(:record_id as uuid) as text), 0))
    """
)
STAY = """
    select pg_advisory_xact_lock_shared(hashtextextended('record_moves ' || cast(record_id as text), 0))
      from (select distinct record_id from unnest(cast(:record_ids as uuid[])) as asked (record_id) order by 1) as each
"""
"""Has a move of any of `record_ids` wait for this transaction: said before it is read where these records lead.

Any number of them at once; the documents they write are there when the move looks for what it has to move.
"""

_END = sa.text(
    """
    with recursive way (record_id, leads_to) as (
        select record_id, leads_to from record_moves where record_id = :record_id
        union
        select on_way.*
          from way cross join lateral (
               select m.record_id, m.leads_to from record_moves m where m.record_id = way.leads_to
               union all
               select way.leads_to, null
                where not exists (select from record_moves m where m.record_id = way.leads_to)
          ) as on_way
         where way.leads_to is not null
    )
    select cast(record_id as text) from way where leads_to is null
    """
)

_LED_HERE = """
    with recursive led (record_id) as (
        select cast(:record_id as uuid)
        union
        select m.record_id from led join record_moves m on m.leads_to = led.record_id
    )
    update {table} set record_id = :now_in
     where home_record_id = any (array (select record_id from led)) and record_id <> :now_in
"""
# Uploads first: one that is being committed is waited for, and the document it became is then seen.
_MOVE = tuple(sa.text(_LED_HERE.format(table=table)) for table in ("uploads", "documents", "binders", "deposit_wishes"))


def move_alone(session: Session, record_id: str) -> None:
    """Makes every other move wait for this transaction, and this one for who writes into the record meanwhile."""
    session.execute(_ALONE, {"record_id": record_id})


def note(session: Session, record_id: str, leads_to: str | None, merge_id: str, version: int) -> bool:
    """Notes where a record leads; False when this, or something later, was known."""
    told = {"leads_to": leads_to, "merge_id": merge_id, "version": version}
    row = insert(record_moves).values(record_id=record_id, **told)
    noted = row.on_conflict_do_update(
        index_elements=["record_id"], set_=told, where=record_moves.c.version < version
    ).returning(record_moves.c.record_id)
    return session.execute(noted).first() is not None


def end_of(session: Session, record_id: str) -> str | None:
    """The record where this one leads in the end, itself if nowhere; None while the ways run in a circle."""
    end: str | None = session.scalar(_END, {"record_id": record_id})
    return end


def move(session: Session, record_id: str, now_in: str) -> None:
    """Puts what was deposited in a record, or in one that leads to it, into the one where it leads."""
    for statement in _MOVE:
        session.execute(statement, {"record_id": record_id, "now_in": now_in})
