"""The bus as a service sees it: questions come in, facts go out, facts come in. Nameko lives behind this seam.

RPC: `@rpc`, `@rpc_public`, `@rpc_system` serve requests of services/rpc.py; the sender is who the broker says it is
(`user_id`), an expired request is dropped, an answer is published on one long-lived link, a returned or raised
`Refusal` travels typed. Events: `emit` writes to the outbox in the change's transaction, a relay publishes with
confirms; `@on` handlers work from the inbox, each in one transaction with its inbox row, retried with backoff and
parked when they keep failing. Delivery is at least once, effect exactly once. A handler `at_once`, to which the same
event again changes nothing, works as events arrive, without rows of their own: these it gets when it fails. Events of
which there are far more than of all others travel several in one message. `@woken` methods work when a commit notified
their channel.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.bus.backlog import REPLICA, TALLY, delayed, waiting
from services.bus.inbox import EventHandler, Received, fresh_context, on
from services.bus.made import Made, MadeBucket
from services.bus.outbox import Relay, emit, emit_all, emitting, values_to_emit
from services.bus.requests import Remote, Rpc, rpc, rpc_public, rpc_system
from services.bus.start import Start
from services.bus.together import Together, side_by_side
from services.bus.woken import woken
from services.db import Database, ended_sessions, inbox, rfc3339, signing_keys
from services.tokens import Context

__all__ = ["EventHandler", "Made", "MadeBucket", "Received", "Remote", "Rpc", "Service", "Together", "emit", "emit_all",
           "emitting", "fresh_context", "keep_ended_session", "keep_signing_key", "on", "rpc", "rpc_public",
           "rpc_system", "side_by_side", "values_to_emit", "woken"]  # fmt: skip

AUTHORITY = "identity"  # whose word counts on keys and sessions
OPERATOR = "operator"


class Service:
    """The part all services share: database, relay, readiness, keys and ended sessions, the parking place."""

    start = Start()
    db = Database()
    relay = Relay()

    @rpc_public
    def ping(self, context: Context) -> dict[str, Any]:
        """Says that this service and its database answer, and whether the broker of events takes what it emits."""
        with self.db.transaction() as session:
            return {"ready": True, "delayed": delayed(session)}

    @on(AUTHORITY, "signing_key_published.v1")
    def on_signing_key_published(self, session: Session, event: Received) -> None:
        """Keeps a public signing key."""
        keep_signing_key(session, event.data)

    @on(AUTHORITY, "session_ended.v1")
    def on_session_ended(self, session: Session, event: Received) -> None:
        """Keeps the end of a session: from this commit on no replica of this service serves it."""
        keep_ended_session(session, event.data["session_id"])

    @rpc_system(OPERATOR)
    def backlog(self, context: Context) -> dict[str, Any]:
        """What waits here and since when, and what this replica has answered: numbers alone."""
        with self.db.transaction() as session:
            return {"replica": REPLICA, "questions": TALLY.told(), **waiting(session), "own": self._figures(session)}

    def _figures(self, session: Session) -> list[dict[str, Any]]:
        """What waits in this service beside: {"name", "labels", "value"}, few of them and each cheap to count."""
        return []

    @rpc_system(OPERATOR)
    def list_parked(self, context: Context) -> dict[str, Any]:
        """The events that kept failing, oldest first, with their cause; no bodies."""
        with self.db.transaction() as session:
            rows = session.execute(
                sa.select(inbox.c.event_id, inbox.c.source, inbox.c.type, inbox.c.cause, inbox.c.attempts,
                          inbox.c.received_at)
                .where(inbox.c.state == "parked").order_by(inbox.c.seq).limit(1000)
            ).all()  # fmt: skip
        return {"parked": [{"event_id": r.event_id, "source": r.source, "type": r.type, "cause": r.cause,
                            "attempts": r.attempts, "received_at": rfc3339(r.received_at)} for r in rows]}  # fmt: skip

    @rpc_system(OPERATOR)
    def replay_parked(self, context: Context, *, event_ids: list[str] | None = None) -> dict[str, Any]:
        """Gives parked events (all when None) their tries again."""
        again = sa.update(inbox).where(inbox.c.state == "parked", inbox.c.type != "undecodable")
        if event_ids is not None:
            again = again.where(inbox.c.event_id.in_(event_ids))
        with self.db.transaction() as session:
            done = session.execute(again.values(state="due", attempts=0, due_at=sa.func.now()))
            return {"replayed": done.rowcount}


def keep_signing_key(session: Session, key: dict[str, Any]) -> None:
    """Stores a public key in this service's table; a repeat changes nothing."""
    row = {name: key[name] for name in ("kid", "jwk", "not_before", "not_after")}
    session.execute(insert(signing_keys).values(**row).on_conflict_do_nothing())


def keep_ended_session(session: Session, session_id: str) -> None:
    """Stores the end of a session in this service's table; a repeat changes nothing."""
    row = insert(ended_sessions).values(session_id=session_id, ended_at=sa.func.now())
    session.execute(row.on_conflict_do_nothing())
