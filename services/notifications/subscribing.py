"""Subscriptions of foreign systems: who may have one, what it hears, and its credential.

The agency manages all of them; business software its own, for the organisation it works for and no other. What is
another's is not there.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit, on, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.dossier.contract import CATEGORIES
from services.identity.contract import ClientStateChanged
from services.notifications import rules, store_subscriptions, store_told
from services.notifications import rules_subscriptions as systems
from services.notifications.contract import (
    CreatedSubscription,
    EndedSubscription,
    ShownSubscription,
    SubscriptionCreated,
    SubscriptionEnded,
    SubscriptionNotFound,
    SubscriptionPage,
    TooManySubscriptions,
    WebhookRefused,
)
from services.notifications.desk import Desk
from services.notifications.rules_subscriptions import Owner
from services.refusals import InvalidInput, NotAllowed, Refusal, Unavailable
from services.tokens import Caller

SCOPE = "system/Subscription.cruds"
PAGE_LIMIT = 100

log = logging.getLogger(__name__)


class Subscribing(Desk):
    """The entrypoints about subscriptions."""

    @rpc(scope=SCOPE)
    def create_subscription(
        self, caller: Caller, *, event_types: list[str], establishment_id: str | None = None,
        document_types: list[str] | None = None, categories: list[str] | None = None,
        establishments: list[str] | None = None, webhook: str | None = None,
    ) -> CreatedSubscription | Refusal:  # fmt: skip
        """Opens a foreign system's own queue and gives its credential, whose password is in no later answer.

        establishment_id: whose professionals must be able to read a document for its events to go out; software need
        not say it: its own. event_types: CloudEvents types (contract.FOREIGN_EVENT_TYPES). document_types, categories:
        those alone, None for all. establishments: only documents deposited in one of these, None for all, those of
        holders too. webhook: an https address to send to in place of a queue; whoever answers there is asked whether
        they want it, and there is no credential. No Idempotency-Key is honoured: a kept answer would keep the password;
        a repeat opens a second subscription, which can be ended.

        Refuses: NotAllowed (agents and software only), InvalidInput (an establishment, type or category that does not
        exist, or another's), TooManySubscriptions, WebhookRefused, Unavailable (no half-made subscription stays: it
        cannot be used, and is cleared away). [interfaces.md; decisions.md]
        """
        owner = systems.owner(caller.capacity, caller.client_id, caller.establishment_id)
        if owner is None:
            return self._refused(caller, "subscription.created", NotAllowed())
        wish = {"event_types": event_types, "document_types": document_types or [], "categories": categories or [],
                "establishments": establishments or []}  # fmt: skip
        place = self._require_subscribable(caller, owner, establishment_id, wish)
        agreed = None if webhook is None else self.outside.webhooks.agree(webhook).cause
        if agreed is not None:
            return self._refused(caller, "subscription.created", WebhookRefused(cause=agreed))
        subscription_id, at = new_id(), now()
        credential = systems.credential_from(secrets.token_bytes(64))
        with self.db.transaction(caller) as session:
            if store_subscriptions.count_of(session, place, owner.client_id) >= systems.MOST_OF_AN_OWNER:
                return _trace_refusal(session, caller, "subscription.created", TooManySubscriptions())
            store_subscriptions.add_subscription(
                session, webhook=webhook, subscription_id=subscription_id, establishment_id=place,
                client_id=owner.client_id, queue=credential.queue, username=credential.username,
                password_digest=systems.password_digest(credential.password), created_by=caller.account_id,
                created_at=at, **systems.kept_wish(wish),
            )  # fmt: skip
        if webhook is None:
            self.outside.subscribers.declare(credential.queue)
        with self.db.transaction(caller) as session:
            if not store_subscriptions.activate_subscription(session, subscription_id):
                raise Unavailable(service="subscribers")
            emit(session, SubscriptionCreated(
                subscription_id=subscription_id, establishment_id=place, event_types=sorted(set(event_types)),
                created_at=rfc3339(at),
            ))  # fmt: skip
            emit(session, traced(caller, "subscription.created", at=at, **_of(subscription_id)))
        return self._credential(subscription_id, credential if webhook is None else None)

    @rpc(scope=SCOPE)
    def list_subscriptions(
        self, caller: Caller, *, establishment_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> SubscriptionPage | Refusal:
        """The subscriptions, ended ones too, newest first, without their passwords; software sees its own. One trace.

        Refuses: NotAllowed (agents and software only), InvalidInput.
        """
        owner = systems.owner(caller.capacity, caller.client_id, caller.establishment_id)
        if owner is None:
            return self._refused(caller, "subscription.searched", NotAllowed())
        errors = rules.wrong_page(establishment_id, limit, cursor, PAGE_LIMIT)
        if errors:
            raise InvalidInput(errors=errors)
        with self.db.transaction(caller) as session:
            found = store_subscriptions.subscriptions(session, owner, establishment_id, cursor, limit + 1)
            page = found[:limit]
            emit(session, traced(caller, "subscription.searched", at=now(), count=len(page)))
        return {
            "subscriptions": [systems.shown(one, rfc3339) for one in page],
            "next_cursor": page[-1]["subscription_id"] if len(found) > limit else None,
        }

    @rpc(scope=SCOPE)
    def read_subscription(self, caller: Caller, *, subscription_id: str) -> ShownSubscription | Refusal:
        """One subscription, without its password, and how sending to it goes.

        Refuses: NotAllowed (agents and software only), SubscriptionNotFound (another's too).
        """
        with self.db.transaction(caller) as session:
            found = self._own(session, caller, subscription_id)
            if isinstance(found, Refusal):
                return _trace_refusal(session, caller, "subscription.read", found)
            emit(session, traced(caller, "subscription.read", at=now(), **_of(subscription_id)))
        return systems.shown(found, rfc3339)

    @rpc(scope=SCOPE)
    def change_subscription(
        self, caller: Caller, *, subscription_id: str, event_types: list[str] | None = None,
        document_types: list[str] | None = None, categories: list[str] | None = None,
        establishments: list[str] | None = None,
    ) -> ShownSubscription | Refusal:  # fmt: skip
        """Changes what a subscription hears from now on; what is not named stays, an empty list is for all there are.

        Of a document that it was told of before it still hears when that is lost.
        Refuses: NotAllowed (agents and software only), SubscriptionNotFound (another's too, and one that ended),
        InvalidInput.
        """
        named = {"event_types": event_types, "document_types": document_types, "categories": categories,
                 "establishments": establishments}  # fmt: skip
        wish = {name: said for name, said in named.items() if said is not None}
        chosen, errors = wish.get("establishments", []), systems.wrong_wish(wish, CATEGORIES)
        errors = errors or systems.unknown_establishments(chosen, self._establishments(caller, chosen))
        if errors:
            raise InvalidInput(errors=errors)
        body = {"subscription_id": subscription_id, **wish}
        with self.db.transaction(caller) as session:
            found = self._own(session, caller, subscription_id)
            if not isinstance(found, Refusal) and found["state"] == "ended":
                found = SubscriptionNotFound()
            if isinstance(found, Refusal):
                return _trace_refusal(session, caller, "subscription.changed", found)
            answered: ShownSubscription | None = once(session, caller, "change_subscription", body)
            if answered is not None:
                return answered
            store_subscriptions.change_wish(session, subscription_id, systems.kept_wish(wish))
            emit(session, traced(caller, "subscription.changed", at=now(), **_of(subscription_id)))
            shown = systems.shown({**found, **systems.kept_wish(wish)}, rfc3339)
            return remember(session, caller, "change_subscription", body, shown)

    @rpc(scope=SCOPE)
    def end_subscription(self, caller: Caller, *, subscription_id: str) -> EndedSubscription | Refusal:
        """Ends a subscription: its credential is refused from now on, its queue is deleted with what lies in it.

        Who is consuming at that moment is cut off by the deletion. Ending it again gives the first answer.
        Refuses: NotAllowed (agents and software only), SubscriptionNotFound (another's too).
        """
        at = now()
        with self.db.transaction(caller) as session:
            found = self._own(session, caller, subscription_id)
            if isinstance(found, Refusal):
                return _trace_refusal(session, caller, "subscription.ended", found)
            if store_subscriptions.end_subscription(session, subscription_id, at):
                store_told.forget(session, subscription_id)
                emit(session, SubscriptionEnded(subscription_id, found["establishment_id"], rfc3339(at)))
                emit(session, traced(caller, "subscription.ended", at=at, **_of(subscription_id)))
            else:
                at = found["ended_at"] or at
        self._clear_queues()
        return {"subscription_id": subscription_id, "ended_at": rfc3339(at)}

    @on("identity", ClientStateChanged)
    def on_client_state_changed(self, session: Session, event: Received) -> None:
        """Stops what a suspended software hears, at once; as its attestation is given back, it hears again.

        What happened meanwhile waits for it. Who is consuming is cut off with the queue, whose contents can be played
        again. [RGD 11]
        """
        told: ClientStateChanged = event.data
        store_subscriptions.note_client(session, told.client_id, told.state == "suspended", told.at)

    def _own(self, session: Session, caller: Caller, subscription_id: str) -> dict[str, Any] | Refusal:
        """The subscription, if the caller manages it. Gives NotAllowed, SubscriptionNotFound."""
        owner = systems.owner(caller.capacity, caller.client_id, caller.establishment_id)
        if owner is None:
            return NotAllowed()
        known = rules.is_id(subscription_id)
        found = store_subscriptions.subscription(session, owner, subscription_id) if known else None
        return SubscriptionNotFound() if found is None else found

    def _require_subscribable(
        self, caller: Caller, owner: Owner, establishment_id: str | None, wish: dict[str, list[str]]
    ) -> str:
        """Whose professionals' rights decide. Refuses: InvalidInput."""
        errors = systems.wrong_wish(wish, CATEGORIES)
        place, wrong = systems.place_of(owner, establishment_id)
        named = [place] if wrong is None and owner.establishment_id is None else []
        chosen = [] if errors else wish["establishments"]
        known = self._establishments(caller, [*named, *chosen])
        if not known.issuperset(named):
            wrong = "unknown"
        if wrong is not None:
            errors.append({"pointer": "/establishment_id", "message": wrong})
        errors += systems.unknown_establishments(chosen, known)
        if errors:
            raise InvalidInput(errors=errors)
        return place

    def _establishments(self, caller: Caller, establishment_ids: list[str]) -> set[str]:
        """Those of them that there are, in one question; in none where there are none."""
        if not establishment_ids:
            return set()
        asked = {"patient_ids": [], "professional_ids": [], "establishment_ids": establishment_ids}
        return set(self.directory.names(caller, **asked)["establishments"])

    def _credential(self, subscription_id: str, credential: systems.Credential | None) -> CreatedSubscription:
        settings = self.outside.settings
        if credential is None:
            none = dict.fromkeys(("vhost", "queue", "username", "password", "host", "port"))
            return {"subscription_id": subscription_id, **none}  # type: ignore[typeddict-item]
        return {
            "subscription_id": subscription_id,
            "vhost": settings.subscriber_vhost,
            "queue": credential.queue,
            "username": credential.username,
            "password": credential.password,
            "host": settings.subscriber_broker_host,
            "port": settings.subscriber_broker_port,
        }

    def _refused(self, caller: Caller, action: str, refusal: Refusal) -> Refusal:
        with self.db.transaction(caller) as session:
            return _trace_refusal(session, caller, action, refusal)

    def _clear_queues(self) -> None:
        """Deletes the queues of subscriptions that ended, are suspended, or were cut short while being made."""
        at = now()
        with self.db.transaction() as session:
            for one in store_subscriptions.claim_queues_to_remove(session, at - systems.UNFINISHED_AFTER):
                try:
                    self.outside.subscribers.remove(one["queue"])
                except Unavailable:
                    log.warning("subscriber queue not yet removed", extra={"object_id": one["subscription_id"]})
                    return
                if systems.queue_stays_removed(one["gone_at"], at):
                    store_subscriptions.note_queue_removed(session, one["subscription_id"], at)


def _trace_refusal(session: Session, caller: Caller, action: str, refusal: Refusal) -> Refusal:
    emit(session, traced(caller, action, at=now(), outcome="refused", reason=refusal.code))
    return refusal


def _of(subscription_id: str) -> dict[str, str]:
    return {"object_id": subscription_id, "object_type": "subscription"}
