"""What an operator may ask of notifications beside events: messages that came back, subscribers that are given up."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.bus import rpc_system
from services.db import now
from services.notifications import rules, store_operating
from services.notifications.desk import Desk
from services.tokens import Context

OPERATOR = "operator"


class Operating(Desk):
    """The operator's entrypoints, and the figures of this service."""

    def _figures(self, session: Session) -> list[dict[str, Any]]:
        """Messages by channel and state, deliveries by what their subscriber is like, letters."""
        return store_operating.figures(session)

    @rpc_system(OPERATOR)
    def list_parked(self, context: Context) -> dict[str, Any]:
        """Events that kept failing, messages that came back, subscriptions that are given up: each with its cause and
        nothing of what it says, or to whom."""
        with self.db.transaction() as session:
            messages = store_operating.returned_messages(session)
            subscriptions = store_operating.parked_subscriptions(session)
        return {**super().list_parked(context), "messages": messages, "subscriptions": subscriptions}

    @rpc_system(OPERATOR)
    def replay_parked(self, context: Context, *, event_ids: list[str] | None = None) -> dict[str, Any]:
        """Gives all of these, or those with these ids, their tries again.

        A message whose time is over, a code that does not open anything any more, stays what it is.
        """
        ids = None if event_ids is None else [one for one in event_ids if rules.is_id(one)]
        at = now()
        with self.db.transaction() as session:
            messages = store_operating.send_again(session, ids, at)
            subscriptions = store_operating.resume(session, ids, at)
        events = super().replay_parked(context, event_ids=ids)["replayed"]
        return {"replayed": events + messages + subscriptions, "events": events, "messages": messages,
                "subscriptions": subscriptions}  # fmt: skip
