"""Queries on digests: the one message a day that stands for all that could wait, and what goes with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from services.db import rfc3339
from services.notifications.models_messages import Message
from services.notifications.rules_digests import OneKind
from services.notifications.rules_notices import NEWS_LAST
from services.notifications.rules_occasions import DIGEST, HOLDER
from services.notifications.store_hidden import HIDDEN_NOW

_ONE_AT_A_TIME = 0x6D657373616765  # an advisory lock: two makers would share out one person's news between two days

# One for each person and day, by the day it was due: the name of a digest says so, whatever channel it goes by. What
# comes too late for the one of its day waits for the next day's.
_MAKE = sa.text("""
    with people as materialized (
        select distinct recipient_kind, recipient_id from messages
        where state = 'queued' and digest and digest_id is null and due_at <= :at limit :most
    ), due as materialized (
        select m.message_id, m.seq, m.recipient_kind, m.recipient_id, m.channel, m.due_at
        from messages as m join people using (recipient_kind, recipient_id)
        where m.state = 'queued' and m.digest and m.digest_id is null and m.due_at <= :at
        for update of m
    ), planned as materialized (
        select recipient_kind, recipient_id, max(due_at) as due_at, count(*) as count,
               (array_agg(channel order by seq desc))[1] as channel,
               cast(md5('digest/' || recipient_kind || '/' || recipient_id || '/'
                        || cast(max(due_at) at time zone 'Europe/Luxembourg' as date)) as uuid) as event_id
        from due group by recipient_kind, recipient_id
    ), made as (
        insert into messages (
            message_id, event_id, recipient_kind, recipient_id, channel, occasion, count, happened_at, state, due_at,
            expires_at, history)
        select gen_random_uuid(), event_id, recipient_kind, recipient_id, channel, :digest, count, due_at, 'queued',
               :at, :until, cast(:history as jsonb)
        from planned where not exists (
            select from messages as sent
            where sent.event_id = planned.event_id and sent.recipient_id = planned.recipient_id)
        returning message_id, recipient_kind, recipient_id, channel
    ), moved as (
        update messages as m set
            digest_id = made.message_id,
            due_at = case when made.message_id is not null then m.due_at
                else (m.due_at at time zone 'Europe/Luxembourg' + interval '1 day') at time zone 'Europe/Luxembourg' end
        from due left join made using (recipient_kind, recipient_id)
        where m.message_id = due.message_id
        returning 1
    )
    select (select count(*) from moved) as moved, count(pg_notify('messages_' || channel, '')) as made from made
""")


def make_digests(session: Session, at: datetime, most: int) -> tuple[int, int]:
    """Makes the digests that are due, for so many people at most; how many, and how many messages were looked at.

    While another process makes them, none.
    """
    if not session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_ONE_AT_A_TIME))):
        return 0, 0
    history = json.dumps([{"state": "queued", "at": rfc3339(at), "cause": None}])
    asked = {"at": at, "until": at + NEWS_LAST, "most": most, "digest": DIGEST, "history": history}
    done = session.execute(_MAKE, asked).one()
    return done.made, done.moved


def news_of_others(session: Session, digest_id: str) -> list[Any]:
    """What goes with a digest and is about the record of somebody else: {message_id, record_id, role, occasion,
    queued_at (RFC 3339)}."""
    query = sa.select(
        Message.message_id, Message.record_id, Message.role, Message.occasion,
        Message.history[0]["at"].astext.label("queued_at"),
    ).where(
        Message.digest_id == digest_id, Message.state == "queued", Message.role != HOLDER,
        Message.record_id.is_not(None),
    )  # fmt: skip
    return list(session.execute(query))


def give_up(session: Session, message_ids: Sequence[str], at: datetime) -> None:
    """Notes that its reader is not told of these any more: they have left the record since."""
    _fail(session, Message.message_id.in_(message_ids), "ended", at)


def news_of(session: Session, digest_id: str, at: datetime) -> list[OneKind]:
    """What goes with a digest now, how many of each occasion in each role; what is hidden from its reader by now does
    not, and is given up."""
    _fail(session, sa.and_(Message.digest_id == digest_id, HIDDEN_NOW), "hidden", at)
    query = (
        sa.select(Message.occasion, Message.role, sa.func.sum(Message.count).label("number"))
        .where(Message.digest_id == digest_id, Message.state == "queued")
        .group_by(Message.occasion, Message.role).order_by(Message.occasion, Message.role)
    )  # fmt: skip
    return [OneKind(row.occasion, row.role, int(row.number)) for row in session.execute(query)]


def _fail(session: Session, which: sa.ColumnElement[bool], cause: str, at: datetime) -> None:
    entry = sa.func.jsonb_build_array(
        sa.cast(json.dumps({"state": "failed", "at": rfc3339(at), "cause": cause}), JSONB)
    )
    session.execute(
        sa.update(Message).where(which, Message.state == "queued")
        .values(state="failed", cause=cause, due_at=None, settled_at=at, history=Message.history.op("||")(entry))
        .execution_options(synchronize_session=False)
    )  # fmt: skip
