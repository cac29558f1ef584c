"""Queries on what was put down for foreign systems: put down, numbered, claimed, settled, played again, forgotten."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from services.notifications.contract import DOCUMENT_NO_LONGER_AVAILABLE
from services.notifications.models_deliveries import Delivery, Outlet
from services.notifications.models_subscriptions import Subscription
from services.notifications.rules_subscriptions import ForeignEvent
from services.plans import named, planned_once
from services.words import say_last

CHANNEL = "deliveries"
"""What a commit notifies that puts deliveries down which go into queues."""

WEBHOOKS = "webhooks"
"""The same for those that go to webhooks."""


@dataclass(frozen=True)
class Put:
    """A delivery without a number yet, whose readers have to be asked for anew."""

    delivery_id: int
    establishment_id: str
    document_id: str | None
    record_id: str
    type: str


@dataclass(frozen=True)
class Due:
    """A delivery with its number on its way. fresh: dossier allowed it a moment ago; failures: of its outlet."""

    delivery_id: int
    subscription_id: str
    establishment_id: str
    queue: str
    url: str | None
    document_id: str | None
    record_id: str
    type: str
    sequence: int
    fresh: bool
    failures: int
    since: datetime
    event: ForeignEvent


@dataclass(frozen=True)
class Numbered:
    """What a round of numbering came to; stale: how many wait until their readers were asked for anew."""

    count: int
    stale: int


def add_deliveries(
    session: Session, event: ForeignEvent, subscription_ids: Sequence[str], document_id: str | None, at: datetime
) -> None:
    """Puts an event down for subscriptions whose readers may have it now, and wakes the sender, both with the commit.

    What stands there already is left as it is.
    """
    if subscription_ids:
        say_last(
            session, _ADD, told_to=list(subscription_ids), told_event=event.event_id, told_type=event.type,
            told_of=document_id, told_by=event.source, told_subject=event.subject, told_number=event.number,
            told_time=event.time, told_data=json.dumps(event.data), told_at=at,
        )  # fmt: skip


def number(
    session: Session, way: str, at: datetime, *, fresh_since: datetime, held_since: datetime, each: int
) -> Numbered:
    """Gives their numbers to what was put down and allowed since `fresh_since`, in an order that keeps each record's.

    Younger than `held_since`, a delivery stays without one while an event with a lower number about the same thing is
    still being worked. A subscription gets numbers when all that has one was taken, from one process at a time.
    """
    asked = _asked(way, at, fresh_since, held_since, each)
    return _numbered(session.execute(_LOCK_AND_NUMBER, asked).one())


def number_and_claim_queued(
    session: Session, at: datetime, *, fresh_since: datetime, held_since: datetime, each: int
) -> tuple[Numbered, list[Due]]:
    """Numbers what goes into queues, and gives what has a number then, claimed until the end of this transaction.

    The numbers stand before anything is claimed, whatever becomes of the transaction; yet it is one word. It is the
    first of the transaction. Each subscription is in one hand, and its deliveries are in the order of their numbers: so
    many of each at most, one alone after a failure.
    """
    asked = _asked("queue", at, fresh_since, held_since, each) | {"most": AT_ONCE}
    rows = session.execute(_LOCK_AND_NUMBER_AND_CLAIM, asked).all()
    return _numbered(rows[0]), [_due(row, fresh_since) for row in rows if row.delivery_id is not None]


def _asked(way: str, at: datetime, fresh_since: datetime, held_since: datetime, each: int) -> dict[str, Any]:
    return {
        "way": way, "at": at, "fresh_since": fresh_since, "held_since": held_since, "each": each, "outlets": OUTLETS,
    }  # fmt: skip


def _numbered(row: Any) -> Numbered:
    count, stale_ones = row.numbered.split()
    return Numbered(int(count), int(stale_ones))


def stale(session: Session, way: str, at: datetime, fresh_since: datetime, limit: int) -> list[Put]:
    """What would be numbered now, were it known who may read it: nobody asked since `fresh_since`; the oldest first."""
    numbered = aliased(Delivery)
    rows = session.execute(
        sa.select(Delivery.delivery_id, Subscription.establishment_id, Delivery.document_id,
                  Delivery.subject.label("record_id"), Delivery.type)
        .join(Subscription, Subscription.subscription_id == Delivery.subscription_id)
        .join(Outlet, Outlet.subscription_id == Delivery.subscription_id)
        .where(
            Subscription.state == "active", Subscription.suspended_at.is_(None),
            Outlet.way == way, Outlet.state != "parked",
            sa.or_(Outlet.retry_at.is_(None), Outlet.retry_at <= at),
            Delivery.state == "waiting", Delivery.sequence.is_(None),
            ~sa.exists().where(numbered.subscription_id == Delivery.subscription_id, numbered.state == "waiting",
                               numbered.sequence.is_not(None)),
            sa.or_(Delivery.allowed_at.is_(None), Delivery.allowed_at <= fresh_since),
        ).order_by(Delivery.delivery_id).limit(limit)
    )  # fmt: skip
    return [Put(**row._mapping) for row in rows]


def allow(session: Session, delivery_ids: Sequence[int], at: datetime) -> None:
    """Notes that somebody there may read of these now."""
    session.execute(
        sa.update(Delivery).where(Delivery.delivery_id.in_(delivery_ids), Delivery.state == "waiting")
        .values(allowed_at=at)
    )  # fmt: skip


def withhold(session: Session, delivery_ids: Sequence[int], at: datetime) -> None:
    """Has these never go out: they have no number yet, and nobody will miss one.

    Where nothing of a document has gone out, its loss does not either: it would be the first that is heard of it.
    """
    session.execute(_WITHHOLD, {"ids": list(delivery_ids), "at": at, "loss": DOCUMENT_NO_LONGER_AVAILABLE})


def lease_webhook(session: Session, at: datetime, until: datetime, fresh_since: datetime, each: int) -> list[Due]:
    """What has a number and goes to the webhook that waited longest for its turn; nobody else has it until then."""
    rows = session.execute(
        _LOCK_AND_CLAIM, {"at": at, "each": each, "outlets": 1, "way": "webhook", "most": each}
    )
    dues = [_due(row, fresh_since) for row in rows]
    if dues:
        session.execute(
            sa.update(Outlet).where(Outlet.subscription_id == dues[0].subscription_id)
            .values(leased_until=until, turn_at=at)
        )  # fmt: skip
    return dues


def publish(session: Session, delivery_ids: Sequence[int], at: datetime) -> None:
    """Notes with the commit that these were taken."""
    say_last(session, _PUBLISH, published=list(delivery_ids), published_at=at)


def replay(session: Session, subscription_id: str, from_sequence: int | None, since: datetime | None) -> Any:
    """Has what was sent go out once more, from this number or this time on, each under its own number.

    Gives (count, first): how many, and the lowest of their numbers.
    """
    again = sa.update(Delivery).where(Delivery.subscription_id == subscription_id, Delivery.state == "published")
    if from_sequence is not None:
        again = again.where(Delivery.sequence >= from_sequence)
    if since is not None:
        again = again.where(Delivery.time >= since)
    done = again.values(state="waiting", settled_at=None, allowed_at=None).returning(Delivery.sequence).cte("done")
    woken, hook = sa.func.pg_notify(CHANNEL, ""), sa.func.pg_notify(WEBHOOKS, "")
    counted = sa.select(sa.func.count(), sa.func.min(done.c.sequence)).select_from(done).subquery()
    row = session.execute(sa.select(*counted.c, woken, hook)).one()
    return row[0], row[1]


def forget(session: Session, before: datetime, limit: int) -> int:
    """Drops what was put down before this time, the oldest first; says how many.

    What never got a number takes one along, so that the subscriber sees that something is missing.
    """
    return int(session.execute(_FORGET, {"before": before, "limit": limit}).scalar_one())


def waiting(session: Session, at_most: int) -> list[tuple[str, int]]:
    """(subscription, how many wait) of the active ones for which more than so many wait."""
    count = sa.func.count()
    rows = session.execute(
        sa.select(Delivery.subscription_id, count).where(Delivery.state == "waiting")
        .group_by(Delivery.subscription_id).having(count > at_most)
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


def _due(row: Any, fresh_since: datetime) -> Due:
    return Due(
        delivery_id=row.delivery_id, subscription_id=str(row.subscription_id), queue=row.queue, url=row.url,
        establishment_id=str(row.establishment_id), sequence=row.sequence, failures=row.failures, since=row.since,
        document_id=None if row.document_id is None else str(row.document_id), record_id=row.subject, type=row.type,
        fresh=row.allowed_at is not None and row.allowed_at > fresh_since,
        event=ForeignEvent(str(row.event_id), row.type, row.subject, row.time, row.data),
    )  # fmt: skip


OUTLETS = 200  # subscriptions that one round serves
AT_ONCE = 1000  # events that one round sends: the broker has no more of them unconfirmed

_ADD = """
    with added as (
        insert into deliveries (event_id, subscription_id, type, document_id, source, subject, number, time, data,
                                state, allowed_at, created_at)
        select cast(:told_event as uuid), subscription_id, cast(:told_type as text), cast(:told_of as uuid),
               cast(:told_by as text), cast(:told_subject as text), cast(:told_number as bigint), :told_time,
               cast(:told_data as jsonb), 'waiting', :told_at, :told_at
          from unnest(cast(:told_to as uuid[])) as given (subscription_id)
            on conflict do nothing)
    select pg_notify(case used.way when 'queue' then 'deliveries' else 'webhooks' end, '')
      from (select distinct way from outlets where subscription_id = any(cast(:told_to as uuid[]))) used
"""

_PUBLISH = """
    update deliveries set state = 'published', settled_at = :published_at
     where delivery_id = any(cast(:published as bigint[]))
"""

# The rows are locked in a statement of their own: the next one has a newer look at the table, and sees what whoever
# held them before has done. The names of the locked travel from one to the other in a setting of the transaction, and
# what was numbered in one of the session: it has to be told after a commit, by the statement that is said last.
_WITHHOLD = sa.text("""
    with kept as (
        select subscription_id, document_id, delivery_id from deliveries
         where delivery_id = any(:ids) and state = 'waiting' and sequence is null for update),
    unheard as (
        select distinct subscription_id, document_id from kept
         where document_id is not null and not exists (
             select from deliveries d where d.subscription_id = kept.subscription_id
                and d.document_id = kept.document_id and d.sequence is not null)),
    untold as (
        delete from told_documents t using unheard u
         where t.subscription_id = u.subscription_id and t.document_id = u.document_id
           and not exists (select from deliveries d where d.subscription_id = t.subscription_id
                              and d.document_id = t.document_id and d.state = 'waiting' and d.sequence is null
                              and d.type <> :loss and not d.delivery_id = any(:ids)))
    update deliveries d set state = 'withheld', settled_at = :at
     where d.delivery_id in (select delivery_id from kept)
        or (d.type = :loss and d.state = 'waiting' and d.sequence is null
            and (d.subscription_id, d.document_id) in (select subscription_id, document_id from unheard))
""")

_LOCK = """
    select set_config('opendsp.claimed', coalesce(string_agg(cast(subscription_id as text), ','), ''), true)
      from (select o.subscription_id
              from outlets o join subscriptions s on s.subscription_id = o.subscription_id
             where s.state = 'active' and s.suspended_at is null and o.state <> 'parked'
               and (o.retry_at is null or o.retry_at <= :at) and o.way = :way
               and (o.leased_until is null or o.leased_until <= :at)
               and exists (select from deliveries d where d.subscription_id = o.subscription_id
                              and d.state = 'waiting' and (d.sequence is not null) = {numbered})
               and ({numbered} or not exists (
                       select from deliveries d where d.subscription_id = o.subscription_id
                          and d.state = 'waiting' and d.sequence is not null))
             order by o.turn_at nulls first, o.subscription_id limit :outlets
               for no key update of o skip locked) as locked;
"""

# `first_stale`: nothing goes before what has to be asked for first. `earlier`: events that came before one of these and
# are not done yet; the inbox is worked in this order, so they are few. `place`: each delivery stands where the last of
# those stands that come before it in its own subject's count.
_NUMBER = """
    with new as materialized (
        select o.sequence as top, d.*, coalesce(
                   min(d.delivery_id) filter (where d.allowed_at is null or d.allowed_at <= :fresh_since)
                       over (partition by o.subscription_id), 9223372036854775807) as first_stale
          from outlets o cross join lateral (
               select delivery_id, subscription_id, event_id, source, subject, number, created_at, allowed_at
                 from deliveries
                where subscription_id = o.subscription_id and state = 'waiting' and sequence is null
                order by delivery_id limit :each) d
         where o.subscription_id = any(cast(string_to_array(current_setting('opendsp.claimed'), ',') as uuid[]))),
    earlier as materialized (
        select i.source, cast(i.envelope as json) ->> 'subject' as subject,
               min(cast(cast(i.envelope as json) ->> 'number' as bigint)) as number
          from inbox i
         where i.state = 'due' and i.seq < (select max(k.seq) from inbox k join new on new.event_id = k.event_id
                                             where new.created_at > :held_since)
         group by 1, 2),
    ready as (
        select new.*, max(new.delivery_id) over (
                   partition by new.subscription_id, new.source, new.subject
                   order by new.number, new.delivery_id rows unbounded preceding) as place
          from new
         where new.delivery_id < new.first_stale
           and (created_at <= :held_since or not exists (
                   select from earlier e
                    where e.source = new.source and e.subject = new.subject and e.number < new.number))),
    placed as (
        select delivery_id,
               top + row_number() over (partition by subscription_id order by place, number, delivery_id) as sequence
          from ready),
    numbered as (
        update deliveries d set sequence = placed.sequence from placed
         where d.delivery_id = placed.delivery_id returning d.subscription_id, d.sequence),
    raised as (
        update outlets o set sequence = told.sequence
          from (select subscription_id, max(sequence) as sequence from numbered group by 1) told
         where o.subscription_id = told.subscription_id)
    select set_config('opendsp.numbered', concat_ws(' ', (select count(*) from numbered),
               (select count(*) from new where allowed_at is null or allowed_at <= :fresh_since)), false) as numbered
"""

# Fair turns: the first of each subscription before the second of any.
_CLAIM = """
    select d.*, s.establishment_id, s.queue, o.url, o.failures, o.since
      from outlets o join subscriptions s on s.subscription_id = o.subscription_id cross join lateral (
           select delivery_id, subscription_id, event_id, document_id, type, subject, time, data, sequence, allowed_at,
                  row_number() over (order by sequence) as nth
             from deliveries
            where subscription_id = o.subscription_id and state = 'waiting' and sequence is not null
            order by sequence limit case when o.failures > 0 then 1 else :each end) d
     where o.subscription_id = any(cast(string_to_array(current_setting('opendsp.claimed'), ',') as uuid[]))
     order by d.nth, d.subscription_id limit :most
"""

_TOLD_WITH = """
    select told.numbered, due.*
      from (select current_setting('opendsp.numbered') as numbered) as told left join ({claimed}) as due on true
     order by due.nth, due.subscription_id
"""

_CLAIMED = (
    "delivery_id subscription_id event_id document_id type subject time data sequence allowed_at nth establishment_id"
    " queue url failures since"
)
_LOCK_AND_NUMBER = planned_once(sa.text(_LOCK.format(numbered="false") + _NUMBER).columns(*named("numbered")))
_LOCK_AND_CLAIM = planned_once(sa.text(_LOCK.format(numbered="true") + _CLAIM).columns(*named(_CLAIMED)))
_LOCK_AND_NUMBER_AND_CLAIM = planned_once(sa.text(
    _LOCK.format(numbered="false") + _NUMBER + "; commit; begin; "
    + _LOCK.format(numbered="true") + _TOLD_WITH.format(claimed=_CLAIM)
).columns(*named(f"numbered {_CLAIMED}")))  # fmt: skip

_FORGET = sa.text("""
    with old as (
        select delivery_id from deliveries where created_at < :before order by created_at limit :limit),
    gone as (
        delete from deliveries d using old where d.delivery_id = old.delivery_id
        returning d.subscription_id, d.state, d.sequence),
    missing as (
        update outlets o set sequence = o.sequence + lost.count
          from (select subscription_id, count(*) as count from gone
                 where state = 'waiting' and sequence is null group by 1) lost
         where o.subscription_id = lost.subscription_id)
    select count(*) from gone
""")
