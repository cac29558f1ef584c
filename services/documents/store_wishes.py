"""Every query of a holder's wishes about deposits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.documents.models import documents
from services.documents.models_care import deposit_wishes
from services.documents.rules import Scope
from services.documents.store import Row, visible
from services.documents.store_rows import rows
from services.plans import planned_once
from services.words import say_last

_STANDS = deposit_wishes.c.until.is_(None)


class Opposition(NamedTuple):
    """A wish in force that stands against deposits, as the rules read it."""

    wish_id: str
    professional_id: str | None
    establishment_id: str | None
    ground: str | None
    type: str | None


def opposing(record_id: str) -> str:
    """The wishes in force of a record that stand against deposits, as a column of a statement, for `oppositions`; an
    order that was opposed has ended by itself. record_id: what it is called in that statement."""
    return f"""(
        select coalesce(json_agg(json_build_array({", ".join(Opposition._fields)})), '[]') from deposit_wishes
         where deposit_wishes.record_id = {record_id} and kind = 'opposed' and until is null
           and ground is distinct from 'order'
    )"""  # noqa: S608 (words of this file alone)


def oppositions(told: list[list[str | None]]) -> list[Opposition]:
    """What `opposing` told."""
    return [Opposition(*each) for each in told]  # type: ignore[arg-type]


def opposed(session: Session, record_id: str) -> list[Opposition]:
    """The wishes in force of a record that stand against deposits."""
    return oppositions(session.execute(_OPPOSED, {"record_id": record_id}).scalar_one())


_OPPOSED = planned_once(
    sa.text(f"select {opposing('cast(:record_id as uuid)')} as opposed").columns(sa.column("opposed", sa.JSON))
)


def note_try(session: Session, wish_id: str, at: datetime) -> None:
    """Counts with the commit a deposit that an opposition refused; nothing of what it would have been is kept."""
    say_last(session, _TRY, tried=rows([{"wish_id": wish_id, "tried_at": at}]))


# Held in the order of their ids: two transactions that count several never wait for each other.
_TRY = """
    select from deposit_wishes
     where wish_id = any(array(select wish_id from json_to_recordset(cast(:tried as json)) as told(wish_id uuid)))
     order by wish_id for update;
    update deposit_wishes set tries = deposit_wishes.tries + told.tries, tried_at = told.tried_at
      from (select wish_id, count(*) as tries, max(tried_at) as tried_at
              from json_to_recordset(cast(:tried as json)) as told(wish_id uuid, tried_at timestamptz)
             group by wish_id) as told
     where deposit_wishes.wish_id = told.wish_id
"""


def standing(session: Session, record_id: str) -> int:
    """How many wishes of a record stand."""
    query = sa.select(sa.func.count()).where(deposit_wishes.c.record_id == record_id, _STANDS)
    return session.scalar(query.select_from(deposit_wishes)) or 0


def add(session: Session, row: dict[str, Any]) -> Row:
    """Writes a wish."""
    return session.execute(sa.insert(deposit_wishes).values(**row).returning(*deposit_wishes.c)).one()


def of_record(session: Session, scope: Scope, record_id: str, limit: int) -> Sequence[Row]:
    """The wishes of a record, the newest first; `seen`: whether who asks may see what met it."""
    return session.execute(
        _shown(scope, record_id).where(deposit_wishes.c.record_id == record_id).limit(limit)
    ).all()  # fmt: skip


def asked_of(session: Session, professional_id: str, record_id: str | None, limit: int) -> Sequence[Row]:
    """The deposits that a professional was asked for, the newest first, in one record or in all."""
    query = (
        sa.select(deposit_wishes, sa.true().label("seen"))
        .where(deposit_wishes.c.professional_id == professional_id, deposit_wishes.c.kind == "requested")
        .order_by(deposit_wishes.c.since.desc(), deposit_wishes.c.wish_id.desc()).limit(limit)
    )  # fmt: skip
    if record_id is not None:
        query = query.where(deposit_wishes.c.record_id == record_id)
    return session.execute(query).all()


def _shown(scope: Scope, record_id: str) -> sa.Select[Any]:
    met = sa.exists().where(documents.c.document_id == deposit_wishes.c.document_id, visible(scope, record_id))
    return sa.select(deposit_wishes, met.label("seen")).order_by(
        deposit_wishes.c.since.desc(), deposit_wishes.c.wish_id.desc()
    )


def record_of(session: Session, wish_id: str) -> str | None:
    """The record that a wish is about."""
    return session.scalar(sa.select(deposit_wishes.c.record_id).where(deposit_wishes.c.wish_id == wish_id))


def withdraw(session: Session, record_id: str, wish_id: str, at: datetime) -> Row | None:
    """Ends a wish that stands; None where none did."""
    return session.execute(
        sa.update(deposit_wishes)
        .where(deposit_wishes.c.wish_id == wish_id, deposit_wishes.c.record_id == record_id, _STANDS)
        .values(until=at, outcome="withdrawn").returning(*deposit_wishes.c)
    ).first()  # fmt: skip


def is_withdrawn(session: Session, record_id: str, wish_id: str) -> bool:
    """Whether a wish of this record was withdrawn already."""
    query = sa.exists().where(
        deposit_wishes.c.wish_id == wish_id, deposit_wishes.c.record_id == record_id,
        deposit_wishes.c.outcome == "withdrawn",
    )  # fmt: skip
    return bool(session.scalar(sa.select(query)))


def meet(
    session: Session, record_id: str, professional_id: str, type: str, document_id: str, at: datetime
) -> Row | None:
    """Ends the request that waited longest for this deposit; None where none did."""
    oldest = (
        sa.select(deposit_wishes.c.wish_id)
        .where(
            deposit_wishes.c.record_id == record_id, deposit_wishes.c.professional_id == professional_id,
            deposit_wishes.c.kind == "requested", _STANDS,
            sa.or_(deposit_wishes.c.type.is_(None), deposit_wishes.c.type == type),
        ).order_by(deposit_wishes.c.due_at, deposit_wishes.c.wish_id).limit(1).with_for_update()
    )  # fmt: skip
    return session.execute(
        sa.update(deposit_wishes).where(deposit_wishes.c.wish_id.in_(oldest))
        .values(until=at, outcome="met", document_id=document_id).returning(*deposit_wishes.c)
    ).first()  # fmt: skip


def overdue(session: Session, at: datetime, limit: int) -> Sequence[Row]:
    """Marks the requests whose day has come and that nothing met; they still stand."""
    due = (
        sa.select(deposit_wishes.c.wish_id)
        .where(deposit_wishes.c.due_at <= at, _STANDS, deposit_wishes.c.outcome.is_(None))
        .order_by(deposit_wishes.c.due_at).limit(limit).with_for_update(skip_locked=True)
    )  # fmt: skip
    return session.execute(
        sa.update(deposit_wishes).where(deposit_wishes.c.wish_id.in_(due)).values(outcome="overdue")
        .returning(*deposit_wishes.c)
    ).all()  # fmt: skip
