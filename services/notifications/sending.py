"""Deliveries to foreign systems: each gets its number, and goes out in the order of numbers.

What was put down is numbered in one transaction, and sent in the next: killed in between, the same goes out again under
the same numbers. Dossier's word that somebody may read of an event counts for a moment; after that it is asked anew.
What was lost before it had a number never goes out, what was lost later goes out as that under its number: no number is
ever missing. Several replicas send side by side, each subscription is in one hand at a time.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.bus import fresh_context
from services.db import now, rfc3339
from services.notifications import rules_sending as rules
from services.notifications import store, store_deliveries, store_outlets
from services.notifications.ports.subscriber_broker import Outgoing, encode
from services.notifications.ports.webhook import Outcome
from services.notifications.rules_sending import ALWAYS_TOLD, FRESH, HELD, KEPT, MOST_WAITING
from services.notifications.rules_subscriptions import ForeignEvent, KnownDocument
from services.notifications.store_deliveries import Due, Numbered, Put
from services.notifications.visibility import Visibility
from services.refusals import Unavailable

EACH = 100  # events of one subscription in one turn
TO_A_WEBHOOK = 20
ASKED_AT_ONCE = 200
FORGOTTEN_AT_ONCE = 10_000
LEASE = timedelta(seconds=30)  # a webhook is one process' own; a killed process keeps it for so long
LEASE_USED = 20.0  # seconds, so that the request begun last ends within the lease

log = logging.getLogger(__name__)


class Sending(Visibility):
    """Sends what was put down."""

    def _send_deliveries(self) -> bool:
        """One round over all queues; True when there may be more to do at once."""
        try:
            self.outside.subscribers.connect()  # what cannot be sent needs no number, and may yet be withheld
            numbered, sent = self._send_queued()
            asked = numbered.stale > 0 and self._ask_anew("queue")
            # All that was numbered went out, and nobody's turn was full: there is no more.
            return asked or sent != numbered.count or sent >= EACH
        except Unavailable as unavailable:
            log.warning("deliveries wait", extra={"service": unavailable.detail.get("service")})
            return False

    def _send_webhook(self) -> bool:
        """One turn of one webhook; True when there may be more to do at once."""
        try:
            with self.db.transaction() as session:
                at = now()
                dues = store_deliveries.lease_webhook(session, at, at + LEASE, at - FRESH, TO_A_WEBHOOK)
            if dues:
                self._send_to_webhook(dues)
                return True
            with self.db.one_word() as session:
                at = now()
                numbered = store_deliveries.number(session, "webhook", at, **_limits(at))
            return (numbered.stale > 0 and self._ask_anew("webhook")) or numbered.count > 0
        except Unavailable as unavailable:
            log.warning("webhooks wait", extra={"service": unavailable.detail.get("service")})
            return False

    def _ask_anew(self, way: str) -> bool:
        with self.db.transaction() as session:
            at = now()
            puts = store_deliveries.stale(session, way, at, at - FRESH, ASKED_AT_ONCE)
            known = store.known_documents(session, _documents_of(puts))
        allowed = self._allowed(puts, known)
        with self.db.transaction() as session:
            store_deliveries.allow(session, sorted(allowed), now())
            withheld = [put.delivery_id for put in puts if put.delivery_id not in allowed]
            if withheld:
                store_deliveries.withhold(session, withheld, now())
        return bool(puts)

    def _allowed(self, asked: Sequence[Put | Due], known: dict[str, KnownDocument]) -> set[int]:
        """The deliveries of which somebody at their establishment may read now."""
        readable = self._readers_of({one.establishment_id for one in asked}, list(known.values()))
        grounded = self._grounds_in({
            (one.record_id, one.establishment_id) for one in asked
            if one.document_id is None and one.type not in ALWAYS_TOLD
        })  # fmt: skip
        return {
            one.delivery_id for one in asked
            if one.type in ALWAYS_TOLD
            or (one.document_id is not None and one.establishment_id in readable.get(one.document_id, ()))
            or (one.document_id is None and (one.record_id, one.establishment_id) in grounded)
        }  # fmt: skip

    def _readers_of(self, establishments: Iterable[str], documents: list[KnownDocument]) -> dict[str, Iterable[str]]:
        found = self._readable(fresh_context(), sorted(establishments), documents)
        return {document.document_id: places for document, places in zip(documents, found, strict=True)}

    def _grounds_in(self, asked: set[tuple[str, str]]) -> set[tuple[str, str]]:
        places: dict[str, list[str]] = {}
        for record_id, establishment_id in sorted(asked):
            places.setdefault(record_id, []).append(establishment_id)
        return {
            (record_id, place)
            for record_id, some in places.items() for place in self._grounded(fresh_context(), some, record_id)
        }  # fmt: skip

    # --- queues -------------------------------------------------------------------------------------------------------

    def _send_queued(self) -> tuple[Numbered, int]:
        """Sends what has a number, while its subscriptions are this transaction's own; what was numbered before that,
        and how many there were to send."""
        with self.db.transaction() as session:
            at = now()
            numbered, dues = store_deliveries.number_and_claim_queued(session, at, **_limits(at))
            if dues:
                events = self._as_seen_now(session, dues)
                outgoing = [Outgoing(due.queue, event, due.sequence) for due, event in zip(dues, events, strict=True)]
                taken = self.outside.subscribers.publish(outgoing)
                self._note_queues(session, dues, taken)
        return numbered, len(dues)

    def _note_queues(self, session: Session, dues: Sequence[Due], taken: dict[str, int]) -> None:
        at = now()
        by_queue: dict[str, list[Due]] = {}
        for due in dues:
            by_queue.setdefault(due.queue, []).append(due)
        done = [due.delivery_id for queue, some in by_queue.items() for due in some[: taken[queue]]]
        if done:
            store_deliveries.publish(session, done, at)
        for queue, some in by_queue.items():
            first = some[0]
            if not taken[queue]:
                since = first.since if first.failures else None
                health = rules.failed("queue", first.failures, since, "queue_full", at, random.random())  # noqa: S311 - patience, not a secret
                store_outlets.note_health(session, first.subscription_id, health)
            elif first.failures:
                store_outlets.note_health(session, first.subscription_id, rules.well(at))
        if len(by_queue) == store_deliveries.OUTLETS:
            store_outlets.note_turn(session, [some[0].subscription_id for some in by_queue.values()], at)

    def _as_seen_now(self, session: Session, dues: Sequence[Due]) -> list[ForeignEvent]:
        """Each event as it goes out now: itself, or that its document was lost, where nobody may read it any more.

        What is about a record alone says no more than it did when it was allowed.
        """
        asked = [due for due in dues if not due.fresh and due.document_id is not None and due.type not in ALWAYS_TOLD]
        known = store.known_documents(session, _documents_of(asked)) if asked else {}
        lost = {due.delivery_id for due in asked} - self._allowed(asked, known) if asked else set()
        at = now()
        return [
            rules.instead(due.event, due.document_id, at, rfc3339(at))
            if due.delivery_id in lost and due.document_id is not None else due.event
            for due in dues
        ]  # fmt: skip

    # --- webhooks -----------------------------------------------------------------------------------------------------

    def _send_to_webhook(self, dues: Sequence[Due]) -> None:
        """Sends one after the other while the webhook is this process' own; the first that fails ends the turn."""
        with self.db.transaction() as session:
            events = self._as_seen_now(session, dues)
        until = time.monotonic() + LEASE_USED
        done: list[int] = []
        outcome = Outcome(None)
        for due, event in zip(dues, events, strict=True):
            assert due.url is not None
            body = encode(event, due.sequence)
            outcome = self.outside.webhooks.send(due.url, body, audience=due.subscription_id, at=int(time.time()))
            if outcome.cause is not None:
                break
            done.append(due.delivery_id)
            if time.monotonic() > until:
                break
        self._note_webhook(dues[0], done, outcome)

    def _note_webhook(self, first: Due, done: Sequence[int], outcome: Outcome) -> None:
        at = now()
        with self.db.transaction() as session:
            if done:
                store_deliveries.publish(session, done, at)
            if outcome.cause is None:
                if first.failures:
                    store_outlets.note_health(session, first.subscription_id, rules.well(at))
                else:
                    store_outlets.release(session, first.subscription_id)
                return
            failures, since = (0, None) if done or not first.failures else (first.failures, first.since)
            asked = rules.asked_wait(outcome.retry_after)
            health = rules.failed("webhook", failures, since, outcome.cause, at, random.random(), asked)  # noqa: S311 - patience, not a secret
            store_outlets.note_health(session, first.subscription_id, health)
        log.info("webhook failed", extra={"object_id": first.subscription_id, "code": outcome.cause})

    # --- limits -------------------------------------------------------------------------------------------------------

    def _keep_deliveries_small(self) -> None:
        """Parks those that are not coming back by themselves, and forgets what is too old to be played again."""
        at = now()
        with self.db.transaction() as session:
            crowded = [subscription_id for subscription_id, _ in store_deliveries.waiting(session, MOST_WAITING)]
            parked = store_outlets.park(session, crowded, "too_many_waiting", at)
            parked += store_outlets.park(session, store_outlets.lagging_since(session, at - KEPT), "queue_full", at)
        if parked:
            log.warning("subscriptions parked", extra={"count": parked})
        count = FORGOTTEN_AT_ONCE
        while count == FORGOTTEN_AT_ONCE:
            with self.db.transaction() as session:
                count = store_deliveries.forget(session, at - KEPT, FORGOTTEN_AT_ONCE)


def _limits(at: datetime) -> dict[str, Any]:
    """Of a round of numbering: since when dossier's word is fresh, and a delivery waits for those before it."""
    return {"fresh_since": at - FRESH, "held_since": at - HELD, "each": EACH}


def _documents_of(deliveries: Sequence[Put | Due]) -> list[str]:
    return sorted({one.document_id for one in deliveries if one.document_id is not None})
