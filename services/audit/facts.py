"""What documents tells of documents, kept as far as it says who may see one: facts for the histories, no content."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.audit import counted, store, store_facts
from services.bus import Received, Service, on
from services.documents.contract import (
    ConfidentialityChanged,
    DocumentBlocked,
    DocumentCorrected,
    DocumentDeposited,
    DocumentReleased,
    DocumentRestricted,
    DocumentWithheld,
)


class Facts(Service):
    """The handlers of documents' events. What may take a document from somebody's eyes goes before all else."""

    @on("documents", DocumentDeposited)
    def on_document_deposited(self, session: Session, event: Received) -> None:
        """From now on entries about this document are shown to whoever may see it."""
        told: DocumentDeposited = event.data
        store_facts.note_shown(session, told, _moment(told.deposited_at), _moment(event.time))
        counted.count_deposits(session, [told])

    @on("documents", ConfidentialityChanged, urgent=True)
    def on_confidentiality_changed(self, session: Session, event: Received) -> None:
        """From now on by its new level."""
        told: ConfidentialityChanged = event.data
        store_facts.note_level(session, told.document_id, told.level, _moment(event.time))

    @on("documents", DocumentCorrected, urgent=True)
    def on_document_corrected(self, session: Session, event: Received) -> None:
        """From now on by its new type and place."""
        store_facts.note_kind(session, event.data, _moment(event.time))
        counted.count_correction(session, event.data)

    @on("documents", DocumentRestricted, urgent=True)
    def on_document_restricted(self, session: Session, event: Received) -> None:
        """From now on this professional reads no entry about this document, or does again [RGD 6(3)]."""
        told: DocumentRestricted = event.data
        at = _moment(event.time)
        store_facts.note_restriction(session, told.document_id, told.professional_id, told.restricted, at)

    @on("documents", DocumentBlocked, urgent=True)
    def on_document_blocked(self, session: Session, event: Received) -> None:
        """From now on the holder side reads no entry about this document."""
        told: DocumentBlocked = event.data
        store.note_hidden(session, told.document_id, "blocked", _moment(told.at), None)

    @on("documents", DocumentReleased)
    def on_document_released(self, session: Session, event: Received) -> None:
        """All entries about it are there again, with their own times."""
        told: DocumentReleased = event.data
        store.note_hidden(session, told.document_id, "blocked", _moment(told.blocked_at), _moment(told.at))

    @on("documents", DocumentWithheld, urgent=True)
    def on_document_withheld(self, session: Session, event: Received) -> None:
        """The same for the legal representatives of an autonomous minor."""
        told: DocumentWithheld = event.data
        until = None if told.withheld else _moment(told.at)
        store.note_hidden(session, told.document_id, "withheld", _moment(told.since), until)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
