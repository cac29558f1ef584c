"""What every question about a document begins with: which record it lies in, and what dossier says of the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.bus import Service
from services.db import new_id
from services.documents import rules, store
from services.dossier.contract import AccessScope, RecordClosed, RecordNotFound
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Asking(Service):
    """The two looks before a transaction begins."""

    dossier: Any  # the service's way to dossier

    def _scope(self, caller: Caller, record_id: str | None) -> AccessScope:
        """What the caller may do; for no record dossier is asked about a made-up one, so that it takes as long."""
        return AccessScope.from_wire(self.dossier.access_scope(caller, record_id=record_id or new_id()))

    def _find(self, document_id: str) -> tuple[str | None, str | None]:
        """The id in its one spelling and the record it lies in, where there is one."""
        asked = rules.canonical_id(document_id)
        with self.db.transaction() as session:
            return asked, store.record_of(session, asked or new_id())


def of_others(ask: Callable[..., Any], caller: Caller, **about: Any) -> Any | Refusal:
    """What dossier says about people who are not calling, or its refusal, to be traced by who answers the caller."""
    try:
        return ask(caller, **about)
    except (RecordNotFound, RecordClosed, NotAllowed) as refusal:
        return refusal
