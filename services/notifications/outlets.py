"""What a subscriber does about its own deliveries: have them again, have sending begin anew, try it out."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc, rpc_public
from services.db import new_id, now, once, remember, rfc3339
from services.notifications import rules_sending, store_deliveries, store_outlets
from services.notifications import rules_subscriptions as systems
from services.notifications.contract import SubscriptionNotFound, WebhookRefused
from services.notifications.contract_sending import KeySet, Replayed, Resumed, Tested
from services.notifications.ports.subscriber_broker import Outgoing, encode
from services.notifications.ports.webhook import HANDSHAKE_SECONDS
from services.notifications.subscribing import SCOPE, Subscribing
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller, Context


class Outlets(Subscribing):
    """The entrypoints about deliveries."""

    @rpc(scope=SCOPE)
    def replay_subscription(
        self, caller: Caller, *, subscription_id: str, from_sequence: int | None = None, since: str | None = None
    ) -> Replayed | Refusal:
        """Has events that were sent go out once more, under their own ids and numbers, before anything new.

        from_sequence, since: from this number on, or from this time on; one of the two. Who may read is asked anew: in
        the place of what was lost its loss goes out. What is older than 14 days is not there any more.

        Refuses: NotAllowed, InvalidInput, SubscriptionNotFound (ended ones too). [interfaces.md: foreign systems]
        """
        errors = rules_sending.wrong_replay(from_sequence, since)
        if errors:
            raise InvalidInput(errors=errors)
        body = {"subscription_id": subscription_id, "from_sequence": from_sequence, "since": since}
        with self.db.transaction(caller) as session:
            found = self._running(session, caller, "subscription.replayed", subscription_id)
            if isinstance(found, Refusal):
                return found
            answered: Replayed | None = once(session, caller, "replay_subscription", body)
            if answered is not None:
                return answered
            after = rules_sending.moment(since) if since is not None else None
            count, first = store_deliveries.replay(session, subscription_id, from_sequence, after)
            emit(session, traced(caller, "subscription.replayed", at=now(), object_id=subscription_id,
                                 object_type="subscription", count=count))  # fmt: skip
            told: Replayed = {"subscription_id": subscription_id, "events": count, "first_sequence": first,
                              "last_sequence": found["sequence"]}  # fmt: skip
            remember(session, caller, "replay_subscription", body, told)
            return told

    @rpc(scope=SCOPE)
    def resume_subscription(self, caller: Caller, *, subscription_id: str) -> Resumed | Refusal:
        """Has sending to a subscription begin anew at once, also when it was parked; what waited goes out first.

        A webhook is asked first whether it still takes events. Refuses: NotAllowed, SubscriptionNotFound,
        WebhookRefused.
        """
        with self.db.transaction(caller) as session:
            found = self._running(session, caller, "subscription.resumed", subscription_id)
        if isinstance(found, Refusal):
            return found
        if found["url"] is not None:
            agreed = self.outside.webhooks.agree(found["url"])
            if agreed.cause is not None:
                return self._refused(caller, "subscription.resumed", WebhookRefused(cause=agreed.cause))
        at = now()
        with self.db.transaction(caller) as session:
            waiting = store_outlets.waiting_for(session, subscription_id)
            store_outlets.resume(session, subscription_id, at)
            emit(session, traced(caller, "subscription.resumed", at=at, object_id=subscription_id,
                                 object_type="subscription"))  # fmt: skip
        return {"subscription_id": subscription_id, "delivery": "active", "waiting": waiting}

    @rpc(scope=SCOPE)
    def test_subscription(self, caller: Caller, *, subscription_id: str) -> Tested | Refusal:
        """Sends an event that says nothing, outside of the row of numbers, and tells what became of it.

        Refuses: NotAllowed, SubscriptionNotFound, Unavailable (our own broker is away).
        """
        at = now()
        with self.db.transaction(caller) as session:
            found = self._running(session, caller, "subscription.tested", subscription_id)
            if not isinstance(found, Refusal):
                emit(session, traced(caller, "subscription.tested", at=at, object_id=subscription_id,
                                     object_type="subscription"))  # fmt: skip
        if isinstance(found, Refusal):
            return found
        event = systems.test_event(new_id(), subscription_id, at, rfc3339(at))
        begun = time.monotonic()
        if found["url"] is None:
            taken = self.outside.subscribers.publish([Outgoing(found["queue"], event, None)])
            cause = None if taken[found["queue"]] else "queue_full"
        else:
            outcome = self.outside.webhooks.send(
                found["url"], encode(event), audience=subscription_id, at=int(at.timestamp()), seconds=HANDSHAKE_SECONDS
            )
            cause = outcome.cause
        return {"delivered": cause is None, "cause": cause, "milliseconds": int((time.monotonic() - begun) * 1000)}

    @rpc_public
    def subscription_keys(self, context: Context) -> KeySet:
        """The public keys that webhooks are signed with, the one in use first."""
        return self.outside.webhooks.signer.public()

    def _running(self, session: Session, caller: Caller, action: str, subscription_id: str) -> dict[str, Any] | Refusal:
        """The caller's own subscription while it runs, or the refusal, traced."""
        found = self._own(session, caller, subscription_id)
        if not isinstance(found, Refusal) and found["state"] == "ended":
            found = SubscriptionNotFound()
        if isinstance(found, Refusal):
            emit(session, traced(caller, action, at=now(), outcome="refused", reason=found.code))
        return found
