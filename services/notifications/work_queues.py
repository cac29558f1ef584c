"""The agency's agents hear that something waits: a review, a case, an alert, a removal, a request, a late letter."""

from __future__ import annotations

from sqlalchemy.orm import Session

from services.audit.contract import AlertsRaised, CaseOpened
from services.bus import Received, fresh_context, on
from services.db import new_id, now, rfc3339
from services.documents.contract import RemovalAsked
from services.identity.contract import HelpdeskRequested
from services.notifications import rules_queues
from services.notifications.telling import Telling


class WorkQueues(Telling):
    """The handlers of what comes into a queue."""

    @on("audit", CaseOpened)
    def on_case_opened(self, session: Session, event: Received) -> None:
        """Tells the privacy officers that somebody does not recognise an access."""
        self._agents_hear(session, event, "queue.cases", event.data.at)

    @on("audit", AlertsRaised)
    def on_alerts_raised(self, session: Session, event: Received) -> None:
        """Tells the privacy officers that the rules found something worth a look."""
        self._agents_hear(session, event, "queue.alerts", event.data.at)

    @on("documents", RemovalAsked)
    def on_removal_asked(self, session: Session, event: Received) -> None:
        """Tells the agents that a removal waits for a second one; the first one knows."""
        self._agents_hear(session, event, "queue.removals", event.data.at, but=event.data.asked_by)

    @on("identity", HelpdeskRequested)
    def on_helpdesk_requested(self, session: Session, event: Received) -> None:
        """Tells the agents that somebody asks for help."""
        self._agents_hear(session, event, "queue.helpdesk", event.data.at)

    def _agents_hear(
        self, session: Session, event: Received, queue: str, at: str, but: str | None = None
    ) -> None:  # fmt: skip
        """Tells those who work off a queue that something came into it, at most once an hour; at: when (RFC 3339)."""
        roles = rules_queues.ROLES_OF_QUEUE[queue]
        asked = self.identity.agents_of(event.context, roles=list(roles))
        hearing = [each for each in asked["account_ids"] if each != but]
        self._put_down(session, event, rules_queues.notices(queue, hearing, at))

    def _agents_hear_of_letters(self) -> None:
        """The same where letters are late, which no event tells."""
        at = rfc3339(now())
        event = Received(new_id(), "notifications", "", at, None, None, None, fresh_context())
        with self.db.transaction() as session:
            self._agents_hear(session, event, "queue.letters", at)
