"""Queries on messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import hold, new_id, rfc3339
from services.notifications import rules_delivery
from services.notifications.models_messages import Message
from services.notifications.store_hidden import HIDDEN_NOW
from services.plans import named, planned_once
from services.words import say_last

_TRIED = (
    "message_id", "event_id", "request_id", "recipient_kind", "recipient_id", "channel", "occasion", "language",
    "urgent", "count", "attempts", "happened_at", "expires_at", "state", "cause", "due_at", "settled_at", "history",
)  # fmt: skip
_TOLD = planned_once(sa.text(
    "select exists (select from messages where event_id = :event_id and recipient_id = :recipient_id) as told"
).columns(*named("told")), event_id="uuid", recipient_id="text")  # fmt: skip
_KEEP = (
    f"insert into messages ({', '.join(_TRIED)}) values ({', '.join(f':{name}' for name in _TRIED)})"  # noqa: S608 (columns)
    " on conflict (event_id, recipient_id, channel) do nothing"
)


def is_told(session: Session, event_id: str, recipient_id: str) -> bool:
    """Whether an event was told to this person, or is never going to be. Whoever is about to tell it at this moment is
    waited for, and who asks after us waits until the end of this transaction."""
    hold(session, f"told {event_id} {recipient_id}")
    return bool(session.scalar(_TOLD, {"event_id": event_id, "recipient_id": recipient_id}))


def keep_tried(session: Session, message: Message) -> None:
    """Keeps a message that was tried, and what became of it, with the commit."""
    say_last(session, _KEEP, **{name: getattr(message, name) for name in _TRIED} | {
        "history": json.dumps(message.history),
    })  # fmt: skip


def settled_recipients(session: Session, event_id: str) -> set[str]:
    """Everybody who was already told of this event, or is never going to be."""
    return set(session.scalars(sa.select(Message.recipient_id).where(Message.event_id == event_id)))


def keep_message(session: Session, **row: Any) -> None:
    """Notes what became of one notice; a second row for the same event, person and channel violates the constraint."""
    session.add(Message(**row))
    session.flush()


_PUT_DOWN = sa.text("""
    with told as (
        select * from jsonb_to_recordset(cast(:rows as jsonb)) as told (
            message_id uuid, event_id uuid, request_id text, recipient_kind text, recipient_id text, channel text,
            occasion text, role text, record_id uuid, object_type text, object_id uuid, document_id uuid, count int,
            happened_at timestamptz, state text, due_at timestamptz, urgent boolean, digest boolean,
            expires_at timestamptz, settled_at timestamptz, history jsonb)
    ), put as (
        insert into messages (
            message_id, event_id, request_id, recipient_kind, recipient_id, channel, occasion, role, record_id,
            object_type, object_id, document_id, count, happened_at, state, due_at, urgent, digest, expires_at,
            settled_at, history)
        select * from told
        where channel <> 'push' or exists (
            select from devices as of_theirs where of_theirs.recipient_kind = told.recipient_kind
            and of_theirs.recipient_id in (select same_person(told.recipient_kind, told.recipient_id)))
        on conflict (event_id, recipient_id, channel) do nothing
        returning channel, due_at, digest
    ), woken as (
        select count(pg_notify('messages_' || channel, '')) from put where due_at is not null and not digest
    )
    select array(
        select distinct cast(record_id as text) from told join departures using (record_id)
        where departures.person_id = told.recipient_id and told.role in ('representative', 'assistant')) as left_by_some
    from woken
""")


def put_down(session: Session, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Adds messages in one word, and wakes whoever sends them with the commit; what is there already stays as it is.

    A message is known by its event, its person and its channel. Push is for those alone who have a device that rings.
    Gives the records among those told of which somebody is told who is noted to have left.
    """
    written = [{"message_id": new_id()} | row for row in rows]
    found = session.execute(_PUT_DOWN, {"rows": json.dumps(written, default=_text_of)})
    return sorted(found.one().left_by_some)


def _text_of(moment: datetime) -> str:
    return rfc3339(moment)


def claim(session: Session, channel: str, at: datetime) -> tuple[Message, bool] | None:
    """The message that goes out next on a channel, locked for us, and whether it is hidden from its reader now.

    Urgent ones first, then those due first; another sender takes another one. What goes with a digest is not among
    them.
    """
    due = planned_once(
        sa.select(Message, HIDDEN_NOW.label("hidden"))
        .where(
            Message.channel == channel, Message.state == sa.literal_column("'queued'"), ~Message.digest,
            Message.due_at <= at,
        )
        .order_by(Message.urgent.desc(), Message.due_at, Message.seq)
        .limit(1).with_for_update(of=Message, skip_locked=True)
    )  # fmt: skip
    found = session.execute(due).first()
    return None if found is None else (found[0], found.hidden)


def stands(session: Session, event_id: str, recipient_id: str, channel: str) -> bool:
    """Whether somebody is told of this event on that channel too."""
    told = (Message.event_id == event_id, Message.recipient_id == recipient_id, Message.channel == channel)
    return session.scalar(sa.select(sa.exists().where(*told))) is True


def wake(session: Session, channel: str) -> None:
    """Wakes those who send on this channel, with the commit."""
    session.execute(sa.select(sa.func.pg_notify(f"messages_{channel}", "")))


def claim_event(session: Session, event_id: str, channel: str) -> Sequence[Message]:
    """The messages of an event on a channel, locked for us; one that is being sent right now is waited for."""
    query = sa.select(Message).where(Message.event_id == event_id, Message.channel == channel)
    return session.scalars(query.with_for_update()).all()


def settle(message: Message, state: str | None, at: datetime, cause: str | None = None) -> None:
    """Notes what somebody says became of a message that is on its way; state: None for what means nothing."""
    new = rules_delivery.state_after(message.state, state) if state is not None else None
    if new is not None:
        facts = {"history": message.history}
        for name, value in rules_delivery.settled(facts, new, cause, at, rfc3339(at)).items():
            setattr(message, name, value)


def messages_page(session: Session, kind: str, value: str, after: str | None, limit: int) -> Sequence[Message]:
    """What left the platform for a patient or professional, because of a request, or as one message; newest first.

    after: the message at the end of the page before.
    """
    query = sa.select(Message).where(Message.channel != "inbox")
    if kind == "message":
        query = query.where(Message.message_id == value)
    elif kind == "request":
        query = query.where(Message.request_id == value)
    else:
        query = query.where(Message.recipient_id == value, Message.recipient_kind == kind)
    if after is not None:
        last = sa.select(Message.seq).where(Message.message_id == after).scalar_subquery()
        query = query.where(Message.seq < last)
    return session.scalars(query.order_by(Message.seq.desc()).limit(limit)).all()


_FORGET = sa.text("""
    with gone as materialized (
        select message_id from messages where settled_at <= :before order by settled_at limit :most
        for update skip locked
    ), rung as (
        delete from woken_devices where message_id in (select message_id from gone)
    )
    delete from messages where message_id in (select message_id from gone)
""")


def forget(session: Session, before: datetime, most: int) -> int:
    """Deletes so many messages at most that were settled long ago, read or not; says how many. What another replica has
    in hand is left to it."""
    done = session.execute(_FORGET, {"before": before, "most": most})
    return int(done.rowcount)  # type: ignore[attr-defined]
