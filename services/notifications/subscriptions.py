"""Subscriptions of foreign systems: a queue and a credential of their own, and the events that go there.

dossier is asked at the moment of sending who may read; an event never tells more than ids and codes.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit, fresh_context, on, rpc
from services.db import new_id, now, rfc3339
from services.documents.contract import (
    ConfidentialityChanged,
    DocumentBlocked,
    DocumentCorrected,
    DocumentDeposited,
    DocumentReleased,
    DocumentRestricted,
    DocumentVersioned,
)
from services.notifications import rules, store
from services.notifications.contract import (
    CreatedSubscription,
    EndedSubscription,
    SubscriptionCreated,
    SubscriptionEnded,
    SubscriptionNotFound,
    SubscriptionPage,
)
from services.notifications.desk import Desk
from services.notifications.rules import ForeignEvent, KnownDocument
from services.refusals import InvalidInput, NotAllowed, Refusal, Unavailable
from services.tokens import Caller, Context

SENT_AT_ONCE = 200
PAGE_LIMIT = 100

log = logging.getLogger(__name__)


class DepositNotYetKnown(Exception):
    """Something befell a document before its deposit arrived here: the event is tried again after it."""


class Subscriptions(Desk):
    """The entrypoints of foreign systems, and what is sent to them."""

    @rpc
    def create_subscription(
        self, caller: Caller, *, establishment_id: str, event_types: list[str]
    ) -> CreatedSubscription | Refusal:
        """Opens a foreign system's own queue and gives its credential, whose password is in no later answer.

        establishment_id: whose professionals must be able to read a document for its events to go out.
        event_types: CloudEvents types (contract.FOREIGN_EVENT_TYPES). No Idempotency-Key is honoured: a kept answer
        would keep the password; a repeat opens a second subscription, which can be ended.

        Refuses: NotAllowed (agents only), InvalidInput (an establishment or type that does not exist), Unavailable (no
        half-made subscription stays: it cannot be used, and is cleared away). [interfaces.md; decisions.md]
        """
        if not rules.may_manage_subscriptions(caller.capacity):
            return self._refused(caller, "subscription.created", NotAllowed())
        self._require_subscribable(caller, establishment_id, event_types)
        subscription_id, at = new_id(), now()
        credential = rules.credential_from(secrets.token_bytes(64))
        with self.db.transaction(caller) as session:
            store.add_subscription(
                session, subscription_id=subscription_id, establishment_id=establishment_id,
                event_types=sorted(set(event_types)), queue=credential.queue, username=credential.username,
                password_digest=rules.password_digest(credential.password), created_by=caller.account_id, created_at=at,
            )  # fmt: skip
        self.outside.subscribers.declare(credential.queue)
        with self.db.transaction(caller) as session:
            if not store.activate_subscription(session, subscription_id):
                raise Unavailable(service="subscribers")
            emit(session, SubscriptionCreated(
                subscription_id=subscription_id, establishment_id=establishment_id,
                event_types=sorted(set(event_types)), created_at=rfc3339(at),
            ))  # fmt: skip
            emit(session, traced(caller, "subscription.created", at=at, object_id=subscription_id,
                                 object_type="subscription"))  # fmt: skip
        settings = self.outside.settings
        return {
            "subscription_id": subscription_id,
            "vhost": settings.subscriber_vhost,
            "queue": credential.queue,
            "username": credential.username,
            "password": credential.password,
            "host": settings.subscriber_broker_host,
            "port": settings.subscriber_broker_port,
        }

    @rpc
    def list_subscriptions(
        self, caller: Caller, *, establishment_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> SubscriptionPage | Refusal:
        """The subscriptions, ended ones too, newest first, without their passwords; one trace.

        Refuses: NotAllowed (agents only), InvalidInput.
        """
        if not rules.may_manage_subscriptions(caller.capacity):
            return self._refused(caller, "subscription.searched", NotAllowed())
        errors = rules.wrong_page(establishment_id, limit, cursor, PAGE_LIMIT)
        if errors:
            raise InvalidInput(errors=errors)
        with self.db.transaction(caller) as session:
            found = store.subscriptions(session, establishment_id, cursor, limit + 1)
            page = found[:limit]
            emit(session, traced(caller, "subscription.searched", at=now(), count=len(page)))
        return {
            "subscriptions": [rules.shown(one, rfc3339) for one in page],
            "next_cursor": page[-1]["subscription_id"] if len(found) > limit else None,
        }

    @rpc
    def end_subscription(self, caller: Caller, *, subscription_id: str) -> EndedSubscription | Refusal:
        """Ends a subscription: its credential is refused from now on, its queue is deleted with what lies in it.

        Who is consuming at that moment is cut off by the deletion. Ending it again gives the first answer.
        Refuses: NotAllowed (agents only), SubscriptionNotFound.
        """
        if not rules.may_manage_subscriptions(caller.capacity):
            return self._refused(caller, "subscription.ended", NotAllowed())
        at = now()
        with self.db.transaction(caller) as session:
            found = store.subscription(session, subscription_id) if rules.is_id(subscription_id) else None
            if found is None:
                emit(session, traced(caller, "subscription.ended", at=at, outcome="refused",
                                     reason=SubscriptionNotFound.code))  # fmt: skip
                return SubscriptionNotFound()
            if store.end_subscription(session, subscription_id, at):
                emit(session, SubscriptionEnded(subscription_id, found["establishment_id"], rfc3339(at)))
                emit(session, traced(caller, "subscription.ended", at=at, object_id=subscription_id,
                                     object_type="subscription"))  # fmt: skip
            else:
                at = found["ended_at"] or at
        self._clear_queues()
        return {"subscription_id": subscription_id, "ended_at": rfc3339(at)}

    def _require_subscribable(self, caller: Caller, establishment_id: str, event_types: list[str]) -> None:
        errors = rules.wrong_event_types(event_types)
        if not rules.is_id(establishment_id):
            errors.append({"pointer": "/establishment_id", "message": "id"})
        elif (
            establishment_id
            not in self.directory.names(
                caller, patient_ids=[], professional_ids=[], establishment_ids=[establishment_id]
            )["establishments"]
        ):
            errors.append({"pointer": "/establishment_id", "message": "unknown"})
        if errors:
            raise InvalidInput(errors=errors)

    def _refused(self, caller: Caller, action: str, refusal: Refusal) -> Refusal:
        with self.db.transaction(caller) as session:
            emit(session, traced(caller, action, at=now(), outcome="refused", reason=refusal.code))
        return refusal

    def _clear_queues(self) -> None:
        """Deletes the queues of subscriptions that ended, or that were cut short while being made."""
        at = now()
        with self.db.transaction() as session:
            for one in store.claim_queues_to_remove(session, at - rules.UNFINISHED_AFTER):
                try:
                    self.outside.subscribers.remove(one["queue"])
                except Unavailable:
                    log.warning("subscriber queue not yet removed", extra={"object_id": one["subscription_id"]})
                    return
                if rules.queue_stays_removed(one["ended_at"], at):
                    store.note_queue_removed(session, one["subscription_id"], at)

    # --- events for foreign systems -----------------------------------------------------------------------------------

    @on("documents", DocumentDeposited)
    def on_document_deposited(self, session: Session, event: Received) -> None:
        """Tells of a deposit, ids and codes only, to the subscribers whose professionals may read the document now.

        Kept is the record it is at home in: dossier knows where that one leads, now and when a merge is undone.
        """
        told: DocumentDeposited = event.data
        deposited = KnownDocument(
            document_id=told.document_id, record_id=told.home_record_id or told.record_id, version_id=told.version_id,
            document_type=told.document_type, category=told.category, author_id=told.author_id, level=told.level,
        )  # fmt: skip
        document = store.keep_document(session, deposited, datetime.fromisoformat(told.deposited_at))
        foreign = rules.deposited_event(event.id, replace(document, record_id=told.record_id), told.deposited_at)
        self._tell_systems(session, event.context, foreign, document)

    @on("documents", ConfidentialityChanged)
    def on_confidentiality_changed(self, session: Session, event: Received) -> None:
        """Tells of a new level to those who may read the document at that level; nobody learns the level before."""
        told: ConfidentialityChanged = event.data
        document = store.keep_level(session, told.document_id, told.level, datetime.fromisoformat(told.changed_at))
        if document is None:
            raise DepositNotYetKnown()
        shown = replace(document, record_id=told.record_id)
        foreign = rules.confidentiality_changed_event(event.id, shown, told.changed_at)
        self._tell_systems(session, event.context, foreign, document)

    @on("documents", DocumentBlocked)
    def on_document_blocked(self, session: Session, event: Received) -> None:
        """Tells the systems of professionals who may read the document that its patient must not hear of it yet."""
        told: DocumentBlocked = event.data
        document = self._known(session, told.document_id)
        foreign = rules.blocked_event(event.id, replace(document, record_id=told.record_id), told.at)
        self._tell_systems(session, event.context, foreign, document)

    @on("documents", DocumentReleased)
    def on_document_released(self, session: Session, event: Received) -> None:
        """Tells the same systems that the patient sees the document again."""
        told: DocumentReleased = event.data
        document = self._known(session, told.document_id)
        foreign = rules.released_event(event.id, replace(document, record_id=told.record_id), told.at)
        self._tell_systems(session, event.context, foreign, document)

    @on("documents", DocumentVersioned)
    def on_document_versioned(self, session: Session, event: Received) -> None:
        """Keeps which version is the current one, for all that is told of the document from now on."""
        told: DocumentVersioned = event.data
        if store.keep_version(session, told.document_id, told.version_id, told.number) is None:
            raise DepositNotYetKnown()

    @on("documents", DocumentCorrected)
    def on_document_corrected(self, session: Session, event: Received) -> None:
        """Keeps of which type and category a document is now: by that it is decided who hears of it."""
        told: DocumentCorrected = event.data
        if store.keep_wording(session, told.document_id, told.document_type, told.category, told.number) is None:
            raise DepositNotYetKnown()

    @on("documents", DocumentRestricted)
    def on_document_restricted(self, session: Session, event: Received) -> None:
        """Keeps whom a document is hidden from, for all that is told of it from now on; nobody hears of that itself."""
        told: DocumentRestricted = event.data
        at = datetime.fromisoformat(told.at)
        store.keep_restriction(session, told.document_id, told.professional_id, told.restricted, at)

    def _known(self, session: Session, document_id: str) -> KnownDocument:
        document = store.known_document(session, document_id)
        if document is None:
            raise DepositNotYetKnown()
        return document

    def _tell_systems(self, session: Session, context: Context, event: ForeignEvent, document: KnownDocument) -> None:
        """Puts an event down for each subscription that may have it and tries to send it at once.

        What cannot be sent (the queue is full, the broker away) waits for `send_waiting`: a dead subscriber holds up
        neither this event's other readers nor the events behind it.
        """
        wishing = store.subscriptions_to(session, event.type)
        reading = self._reading(context, rules.establishments_of(wishing), document)
        reachable = True
        for one in wishing:
            if one["establishment_id"] not in reading:
                continue
            delivery = store.add_delivery(session, event, one["subscription_id"], document.document_id, now())
            if delivery is None or not reachable or store.waits_behind(session, one["subscription_id"], delivery):
                continue
            try:
                sent = self.outside.subscribers.publish(one["queue"], event)
            except Unavailable:
                reachable = False
                continue
            if sent:
                store.settle_delivery(session, delivery, "published", now())

    def _reading(self, context: Context, establishments: list[str], document: KnownDocument) -> set[str]:
        """The establishments of whose professionals one may read the document now; mostly one question: nobody."""
        facts = rules.facts_for_readers(document)
        if not establishments or not self._may_read(context, establishments, facts):
            return set()
        if len(establishments) == 1:
            return set(establishments)
        return {one for one in establishments if self._may_read(context, [one], facts)}

    def _may_read(self, context: Context, establishments: list[str], facts: dict[str, Any]) -> bool:
        # Each question gets the full time: a long row of them must not run out of the first one's.
        context = fresh_context(context.request_id, context.traceparent)
        answer = self.dossier.readers_at(context, establishment_ids=establishments, facts=facts)
        return bool(answer["may_read"])

    def _send_waiting(self) -> None:
        """Sends what waits, oldest first and one replica per subscription, asking again who may read it by now."""
        with self.db.transaction() as session:
            behind = store.behind(session)
        try:
            for subscription_id in behind:
                with self.db.transaction() as session:
                    self._send_waiting_of(session, subscription_id)
        except Unavailable as unavailable:
            log.warning("deliveries wait", extra={"service": unavailable.detail.get("service"), "count": len(behind)})

    def _send_waiting_of(self, session: Session, subscription_id: str) -> None:
        one = store.claim_subscription(session, subscription_id)
        if one is None:
            return
        for delivery, document_id, event in store.waiting(session, subscription_id, SENT_AT_ONCE):
            document = store.known_document(session, document_id)
            if document is None or not self._reading(fresh_context(), [one["establishment_id"]], document):
                store.settle_delivery(session, delivery, "withheld", now())
                continue
            if not self.outside.subscribers.publish(one["queue"], event):
                return  # full: the rest keeps its place
            store.settle_delivery(session, delivery, "published", now())
