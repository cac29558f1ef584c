"""Queries on who was told of a document, and on its loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.notifications.contract import DOCUMENT_NO_LONGER_AVAILABLE
from services.notifications.models_subscriptions import LedRecord, Subscription, ToldDocument
from services.notifications.store_deliveries import CHANNEL, WEBHOOKS
from services.words import say_last


@dataclass(frozen=True)
class Told:
    """A document that a subscription was told of, and about which dossier is asked again."""

    subscription_id: str
    document_id: str
    establishment_id: str
    record_id: str


@dataclass(frozen=True)
class Looked:
    """What was found of a told document: through whom it is still read, and when to look again."""

    subscription_id: str
    document_id: str
    through_id: str
    ask_at: datetime


def note_told(session: Session, document_id: str, record_id: str, ask_at: datetime, through: Mapping[str, str]) -> None:
    """Notes with the commit that these subscriptions are told of a document, each through the professional named with
    it."""
    if not through:
        return
    told = sorted(through.items())
    say_last(
        session, _NOTE,
        listening=[subscription_id for subscription_id, _ in told],
        through=[professional_id for _, professional_id in told],
        losses=[new_id() for _ in told],
        heard_of=document_id, heard_in=record_id, ask_at=ask_at,
    )  # fmt: skip


# --- what may have ended something ------------------------------------------------------------------------------------


def ask_of_document(session: Session, document_id: str, at: datetime) -> None:
    """Has dossier asked again about a document, by all who were told of it."""
    session.execute(_sooner(at).where(ToldDocument.document_id == document_id))


def ask_of_record(session: Session, record_id: str, at: datetime) -> None:
    """The same about all that was told of a record, and of those that lead to it."""
    leading = sa.select(LedRecord.merged_record_id).where(LedRecord.record_id == record_id)
    session.execute(_sooner(at).where(sa.or_(ToldDocument.record_id == record_id, ToldDocument.record_id.in_(leading))))


def ask_of_professional(session: Session, professional_id: str, at: datetime) -> None:
    """The same about all that is read through one professional."""
    session.execute(_sooner(at).where(ToldDocument.through_id == professional_id))


def _sooner(at: datetime) -> sa.Update:
    return sa.update(ToldDocument).where(ToldDocument.ask_at > at).values(ask_at=at)


def keep_lead(session: Session, merged_record_id: str, record_id: str | None, version: int) -> None:
    """Notes where a record leads, None for nowhere any more, unless a later move of it is known."""
    row = insert(LedRecord).values(merged_record_id=merged_record_id, record_id=record_id, version=version)
    moved = {"record_id": row.excluded.record_id, "version": row.excluded.version}
    session.execute(
        row.on_conflict_do_update(
            index_elements=["merged_record_id"], set_=moved, where=LedRecord.version < row.excluded.version
        )
    )


# --- looking again ----------------------------------------------------------------------------------------------------


def claim_due(session: Session, at: datetime, limit: int) -> list[Told]:
    """What dossier is to be asked about again, the longest due first; held, and never waited for."""
    rows = session.execute(
        sa.select(ToldDocument.subscription_id, ToldDocument.document_id, Subscription.establishment_id,
                  ToldDocument.record_id)
        .join(Subscription, Subscription.subscription_id == ToldDocument.subscription_id)
        .where(ToldDocument.ask_at <= at)
        .order_by(ToldDocument.ask_at).limit(limit).with_for_update(of=ToldDocument, skip_locked=True)
    )  # fmt: skip
    return [Told(*row) for row in rows]


def keep_looked(session: Session, looked: Sequence[Looked]) -> None:
    """Notes through whom what was asked about is still read, and when to ask again."""
    if looked:
        session.execute(_LOOKED, _columns(looked, "subscription_id", "document_id", "through_id", "ask_at"))


def lose(session: Session, lost: Sequence[Told], at: datetime, text_of_at: str) -> int:
    """Tells each of these subscriptions that a document is not to be had any more; says how many are told.

    What waited for them without a number is withheld. Who was put down to be told and never was hears nothing now
    either: to them the document never was there. Of what nothing is left here they were told long ago.
    """
    if not lost:
        return 0
    pairs: dict[str, Any] = _columns(lost, "subscription_id", "document_id")
    pairs |= {"at": at, "type": DOCUMENT_NO_LONGER_AVAILABLE}
    session.execute(_WITHHOLD, pairs)
    return int(session.execute(_LOSE, pairs | {"text": text_of_at, "queues": CHANNEL, "webhooks": WEBHOOKS}).one().told)


def forget(session: Session, subscription_id: str) -> None:
    """Forgets what a subscription that ended was told of."""
    session.execute(sa.delete(ToldDocument).where(ToldDocument.subscription_id == subscription_id))


def _columns(rows: Sequence[Any], *names: str) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in names}


_NOTE = """
    insert into told_documents (subscription_id, document_id, record_id, through_id, ask_at, loss_id)
    select told.subscription_id, cast(:heard_of as uuid), cast(:heard_in as uuid), told.through_id, :ask_at,
           told.loss_id
      from unnest(cast(:listening as uuid[]), cast(:through as uuid[]), cast(:losses as uuid[]))
           as told (subscription_id, through_id, loss_id)
        on conflict (subscription_id, document_id) do update
       set record_id = excluded.record_id, through_id = excluded.through_id, ask_at = excluded.ask_at
"""
_LOOKED = sa.text(
    "update told_documents t set through_id = l.through_id, ask_at = l.ask_at from unnest(cast(:subscription_id as"
    " uuid[]), cast(:document_id as uuid[]), cast(:through_id as uuid[]), cast(:ask_at as timestamptz[])) as l"
    " (subscription_id, document_id, through_id, ask_at)"
    " where t.subscription_id = l.subscription_id and t.document_id = l.document_id"
)
# Before the next: whoever gives one of these a number at this moment is waited for, and then it was heard of.
_WITHHOLD = sa.text(
    """
    update deliveries d set state = 'withheld', settled_at = :at
      from unnest(cast(:subscription_id as uuid[]), cast(:document_id as uuid[])) as lost (subscription_id, document_id)
     where d.subscription_id = lost.subscription_id and d.document_id = lost.document_id
       and d.state = 'waiting' and d.sequence is null and d.type <> :type
    """
)
_LOSE = sa.text(
    """
    with gone as (
        delete from told_documents t
         using unnest(cast(:subscription_id as uuid[]), cast(:document_id as uuid[]))
               as lost (subscription_id, document_id)
         where t.subscription_id = lost.subscription_id and t.document_id = lost.document_id
        returning t.*),
    told as (
        insert into deliveries (event_id, subscription_id, type, document_id, subject, time, data, state, allowed_at,
                                created_at)
        select g.loss_id, g.subscription_id, :type, g.document_id, cast(g.record_id as text), :at,
               jsonb_build_object('record_id', g.record_id, 'document_id', g.document_id, 'at', cast(:text as text)),
               'waiting', :at, :at
          from gone g join subscriptions s on s.subscription_id = g.subscription_id and s.state = 'active'
         where (select coalesce(bool_or(d.sequence is not null), true) from deliveries d
                 where d.subscription_id = g.subscription_id and d.document_id = g.document_id and d.type <> :type)
        on conflict do nothing returning 1)
    select (select count(*) from told) as told, pg_notify(:queues, ''), pg_notify(:webhooks, '')
    """
)
