"""What became of messages: what a provider reports of them, and what the helpdesk is shown."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Any

from services.audit.contract import traced
from services.bus import emit, rpc, rpc_public
from services.db import now, rfc3339
from services.notifications import rules, rules_delivery, store_messages
from services.notifications.contract_messages import OutgoingPage, ReceiptNotTaken
from services.notifications.desk import Desk
from services.notifications.rules_occasions import SMS
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller, Context

PAGE_LIMIT = 100


class MessageStates(Desk):
    """The entrypoints of receipts and of the helpdesk's look at messages."""

    @rpc_public
    def take_sms_receipt(
        self, context: Context, *, token: str, client_reference: str, status: str
    ) -> dict[str, Any] | Refusal:  # fmt: skip
        """Notes what the SMS provider says became of a message; a repeat, or what is no news, changes nothing.

        token: the provider's own, from the settings. status: `delivered` or `undelivered`; others mean nothing yet.
        Refuses: ReceiptNotTaken, one and the same for a wrong token and an unknown reference.
        """
        known = self._is_provider(token)
        event_id = rules_delivery.event_of_reference(client_reference) if known else None
        with self.db.transaction(context) as session:
            found = store_messages.claim_event(session, event_id, SMS) if event_id is not None else ()
            message = next((one for one in found if rules_delivery.is_sms_reference(
                client_reference, one.event_id, one.recipient_id)), None)  # fmt: skip
            if message is None:
                refusal = ReceiptNotTaken()
                emit(session, traced(context, "message.reported", at=now(), outcome="refused", reason=refusal.code))
                return refusal
            store_messages.settle(message, rules_delivery.RECEIPT_STATUSES.get(status), now())
            about = {"object_id": message.message_id, "object_type": "message"}
            emit(session, traced(context, "message.reported", at=now(), **about))  # type: ignore[arg-type]
        return {}

    def _is_provider(self, token: str) -> bool:
        own = self.outside.settings.sms_receipt_token
        return bool(own) and compare_digest(sha256(token.encode()).digest(), sha256(own.encode()).digest())

    @rpc
    def list_outgoing(
        self, caller: Caller, *, patient_id: str | None = None, professional_id: str | None = None,
        message_id: str | None = None, request_id: str | None = None, limit: int = 50, cursor: str | None = None,
    ) -> OutgoingPage | Refusal:  # fmt: skip
        """A page of what went out to one person, because of one request, or one message: its states, newest first.

        request_id: of the request that caused it, as it stands in every answer: by it a code is found that nobody got.
        Neither what a message says, nor what it is about in a record, nor where it went.
        Refuses: NotAllowed (agents only), InvalidInput (not exactly one of the four).
        """
        asked = {"patient": patient_id, "professional": professional_id, "message": message_id, "request": request_id}
        errors = rules_delivery.wrong_search(asked) + rules.wrong_page(None, limit, cursor, PAGE_LIMIT)
        if errors:
            raise InvalidInput(errors=errors)
        [(kind, value)] = [(kind, value) for kind, value in asked.items() if value is not None]
        with self.db.transaction(caller) as session:
            if not rules.may_see_letters(caller.capacity):
                refusal = NotAllowed()
                emit(session, traced(caller, "message.searched", at=now(), outcome="refused", reason=refusal.code))
                return refusal
            found = store_messages.messages_page(session, kind, value, cursor, limit + 1)
            page = found[:limit]
            about = {"object_id": value, "object_type": kind}
            emit(session, traced(caller, "message.searched", at=now(), count=len(page), **about))  # type: ignore[arg-type]
        return {
            "messages": [rules_delivery.shown_message(vars(message), rfc3339) for message in page],
            "next_cursor": page[-1].message_id if len(found) > limit else None,
        }
