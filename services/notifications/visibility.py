"""Whether somebody of a foreign system's establishment may see something now: dossier's answer, asked in bulk.

Nothing of dossier's rules is copied here. What comes back with a "yes" is through whom and until when by the clock, so
that it is known what can end it; neither ever leaves this service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.bus import fresh_context
from services.notifications import rules_subscriptions as systems
from services.notifications.desk import Desk
from services.notifications.rules_subscriptions import KnownDocument
from services.tokens import Context


@dataclass(frozen=True)
class Through:
    """Through whom an establishment reads a document, and until when by the clock alone; None: no end is set."""

    professional_id: str
    until: datetime | None


class Visibility(Desk):
    """Asks dossier."""

    def _readable(
        self, context: Context, establishment_ids: Sequence[str], documents: Sequence[KnownDocument]
    ) -> list[dict[str, Through]]:
        """Of each document the establishments where somebody may read it now, in one question; nobody: not there."""
        if not establishment_ids or not documents:
            return [{} for _ in documents]
        # A question gets its full time, however long what it was asked for has been waiting.
        context = fresh_context(context.request_id, context.traceparent)
        answer = self.dossier.readable_at(
            context, establishment_ids=list(establishment_ids),
            documents=[systems.facts_for_readers(document) for document in documents],
        )  # fmt: skip
        return [{place: _through(told) for place, told in places.items()} for places in answer["readable"]]

    def _grounded(self, context: Context, establishment_ids: Sequence[str], record_id: str) -> set[str]:
        """The establishments where somebody has a ground in a record, or would have one, were it not closed."""
        if not establishment_ids:
            return set()
        context = fresh_context(context.request_id, context.traceparent)
        asked = {"establishment_ids": list(establishment_ids), "record_id": record_id}
        return set(self.dossier.grounded_at(context, **asked)["establishment_ids"])


def _through(told: dict[str, str]) -> Through:
    until = told["until"]
    return Through(told["professional_id"], None if until is None else datetime.fromisoformat(until))
