"""Queries on who has left the holder side of a record, and hears of it no more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.notifications.models_inbox import Departure
from services.notifications.models_messages import Message
from services.notifications.rules_occasions import ASSISTANT, REPRESENTATIVE

_OTHERS = (REPRESENTATIVE, ASSISTANT)

LEFT_NOW = sa.and_(
    Message.record_id.is_not(None), Message.recipient_kind == "patient", Message.role.in_(_OTHERS),
    sa.exists().where(Departure.record_id == Message.record_id, Departure.person_id == Message.recipient_id),
)  # fmt: skip
"""Whether a message is about a record that its reader acted or read in for its holder, and does no more: a condition
on `Message`. [domain: Words (until an end date); L14 14]"""

# A record that was merged is spoken for by the one it leads to, and with it all others that lead there.
_FAMILY = sa.text(
    """
    with recursive up (record_id, steps) as (
        select cast(:record_id as uuid), 0
        union all
        select l.record_id, up.steps + 1 from up join led_records l on l.merged_record_id = up.record_id
         where l.record_id is not null and up.steps < 100),
    speaks as (select record_id from up order by steps desc limit 1),
    family (record_id) as (
        select record_id from speaks
        union
        select l.merged_record_id from family join led_records l on l.record_id = family.record_id)
    select cast(record_id as text) from family order by record_id <> (select record_id from speaks), record_id
    """
)
_HOLD = sa.text("select pg_advisory_xact_lock(hashtextextended('departures ' || :record_id, 0))")
_SETTLE = sa.text(
    """
    with still as materialized (
        select person.id from unnest(cast(:people as text[])) as one cross join lateral same_person('patient', one)
               as person (id)),
    told as (
        select distinct record_id, recipient_id from messages
         where record_id = any (cast(:record_ids as uuid[])) and channel = 'inbox'
           and role in ('representative', 'assistant') and recipient_kind = 'patient'
        union
        select one, :person_id from unnest(cast(:record_ids as uuid[])) as one where :person_id is not null),
    back as (
        delete from departures
         where record_id = any (cast(:record_ids as uuid[])) and person_id in (select id from still))
    insert into departures (record_id, person_id, since)
    select record_id, recipient_id, :at from told where recipient_id not in (select id from still)
        on conflict do nothing
    """
)


def family_of(session: Session, record_id: str) -> list[str]:
    """The record that speaks for this one, first, and all that lead to it, this one among them."""
    return list(session.scalars(_FAMILY, {"record_id": record_id}))


def hold(session: Session, record_id: str) -> None:
    """Has whoever else settles who has left this record wait for this transaction."""
    session.execute(_HOLD, {"record_id": record_id})


def settle(
    session: Session, record_ids: Sequence[str], people: Collection[str], person_id: str | None, at: datetime
) -> None:  # fmt: skip
    """Notes who has left these records, and who is back: of all who were told of them as more than their holder.

    people: who stands on their holder side now. person_id: somebody of whom is heard beside.
    """
    asked = {"record_ids": list(record_ids), "people": sorted(people), "person_id": person_id, "at": at}
    session.execute(_SETTLE.bindparams(sa.bindparam("person_id", type_=sa.Text)), asked)


def forget(session: Session, before: datetime) -> None:
    """Forgets who left before a moment and has no notice of that record any more."""
    kept = sa.exists().where(
        Message.record_id == Departure.record_id, Message.recipient_id == Departure.person_id,
        Message.channel == "inbox", Message.role.in_(_OTHERS),
    )  # fmt: skip
    session.execute(sa.delete(Departure).where(Departure.since <= before, ~kept))
