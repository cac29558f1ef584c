"""What befalls a document, as documents tells it: kept as far as telling needs it, and told on.

Each handler keeps the projection, then lets foreign systems hear (foreign_news.py), and people.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from services.bus import Received, on
from services.db import now
from services.documents.contract import (
    ConfidentialityChanged,
    DocumentBlocked,
    DocumentCorrected,
    DocumentDeposited,
    DocumentDispensed,
    DocumentReleased,
    DocumentRemoved,
    DocumentRestricted,
    DocumentVersioned,
    DocumentWithheld,
)
from services.notifications import rules_subscriptions as systems
from services.notifications import store, store_hidden, store_told
from services.notifications.document_notices import DocumentNotices
from services.notifications.foreign_news import ForeignNews
from services.notifications.losing import Losing
from services.notifications.rules_subscriptions import KnownDocument


class DepositNotYetKnown(Exception):
    """Something befell a document before its deposit arrived here: the event is tried again after it."""


class DocumentNews(ForeignNews, Losing, DocumentNotices):
    """The handlers of documents' events."""

    @on("documents", DocumentDeposited)
    def on_document_deposited(self, session: Session, event: Received) -> None:
        """Tells of a deposit, ids and codes only, to the subscribers whose professionals may read the document now.

        Kept is the record it is at home in: dossier knows where that one leads, now and when a merge is undone.
        """
        told: DocumentDeposited = event.data
        deposited = KnownDocument(
            document_id=told.document_id, record_id=told.home_record_id or told.record_id, version_id=told.version_id,
            document_type=told.document_type, category=told.category, author_id=told.author_id, level=told.level,
            folder=told.folder or "", establishment_id=told.establishment_id,
        )  # fmt: skip
        document = store.keep_document(session, deposited, datetime.fromisoformat(told.deposited_at))
        if document is not None:
            foreign = systems.deposited_event(event.id, replace(document, record_id=told.record_id), told.deposited_at)
            self._systems_hear(session, event, foreign, document)
            self._people_hear(session, event)

    @on("documents", ConfidentialityChanged)
    def on_confidentiality_changed(self, session: Session, event: Received) -> None:
        """Tells of a new level to those who may read the document at that level; nobody learns the level before."""
        told: ConfidentialityChanged = event.data
        document = self._changed(
            session, told.document_id,
            store.keep_level(session, told.document_id, told.level, datetime.fromisoformat(told.changed_at)),
        )  # fmt: skip
        if document is not None:
            shown = replace(document, record_id=told.record_id)
            foreign = systems.confidentiality_changed_event(event.id, shown, told.changed_at)
            self._systems_hear(session, event, foreign, document)

    @on("documents", DocumentBlocked)
    def on_document_blocked(self, session: Session, event: Received) -> None:
        """Tells the systems of professionals who may read the document that its patient must not hear of it yet."""
        told: DocumentBlocked = event.data
        store_hidden.hide(session, told.document_id, store_hidden.BLOCKED, datetime.fromisoformat(told.at))
        document = self._known(session, told.document_id)
        if document is not None:
            foreign = systems.blocked_event(event.id, replace(document, record_id=told.record_id), told.at)
            self._systems_hear(session, event, foreign, document)

    @on("documents", DocumentReleased)
    def on_document_released(self, session: Session, event: Received) -> None:
        """Tells the same systems that the patient sees the document again."""
        told: DocumentReleased = event.data
        since, until = datetime.fromisoformat(told.blocked_at), datetime.fromisoformat(told.at)
        store_hidden.show(session, told.document_id, store_hidden.BLOCKED, since, until)
        document = self._known(session, told.document_id)
        if document is not None:
            foreign = systems.released_event(event.id, replace(document, record_id=told.record_id), told.at)
            self._systems_hear(session, event, foreign, document)
            self._people_hear(session, event)

    @on("documents", DocumentWithheld)
    def on_document_withheld(self, session: Session, event: Received) -> None:
        """Keeps that a document is hidden from representatives; to professionals it is nothing. [L14 13]"""
        told: DocumentWithheld = event.data
        since, at = datetime.fromisoformat(told.since), datetime.fromisoformat(told.at)
        if told.withheld:
            store_hidden.hide(session, told.document_id, store_hidden.WITHHELD, since)
        else:
            store_hidden.show(session, told.document_id, store_hidden.WITHHELD, since, at)

    @on("documents", DocumentVersioned)
    def on_document_versioned(self, session: Session, event: Received) -> None:
        """Tells of a new version, and keeps which is the current one for all that is told of the document later."""
        told: DocumentVersioned = event.data
        document = self._changed(
            session, told.document_id, store.keep_version(session, told.document_id, told.version_id, told.number)
        )
        if document is not None:
            shown = replace(document, record_id=told.record_id, version_id=told.version_id)
            foreign = systems.versioned_event(event.id, shown, told.number, told.at)
            self._systems_hear(session, event, foreign, document)

    @on("documents", DocumentCorrected)
    def on_document_corrected(self, session: Session, event: Received) -> None:
        """Keeps of which type and category a document is now: by that it is decided who hears of it."""
        told: DocumentCorrected = event.data
        said = (told.document_type, told.category, told.folder)
        self._changed(session, told.document_id, store.keep_wording(session, told.document_id, *said, told.number))

    @on("documents", DocumentRestricted)
    def on_document_restricted(self, session: Session, event: Received) -> None:
        """Keeps whom a document is hidden from, for all that is told of it from now on; nobody hears of that itself."""
        told: DocumentRestricted = event.data
        at = datetime.fromisoformat(told.at)
        store.keep_restriction(session, told.document_id, told.professional_id, told.restricted, at)
        store_told.ask_of_document(session, told.document_id, now())

    def _systems_hear_of_dispensing(self, session: Session, event: Received) -> None:
        """Tells what is left of a prescription to those who may read it."""
        told: DocumentDispensed = event.data
        document = self._known(session, told.document_id)
        if document is not None:
            shown = replace(document, record_id=told.record_id)
            foreign = systems.dispensed_event(event.id, shown, told.state, told.at)
            self._systems_hear(session, event, foreign, document)

    def _document_gone(self, session: Session, event: Received) -> None:
        """Forgets a document that was removed; whoever was told of it loses it."""
        told: DocumentRemoved = event.data
        store.keep_gone(session, told.document_id, datetime.fromisoformat(told.at))
        store_told.ask_of_document(session, told.document_id, now())

    def _changed(self, session: Session, document_id: str, document: KnownDocument | None) -> KnownDocument | None:
        """What is known of a document after a change that can have hidden it from somebody; None: it is gone."""
        if document is None and not store.is_gone(session, document_id):
            raise DepositNotYetKnown()
        store_told.ask_of_document(session, document_id, now())
        return document

    def _known(self, session: Session, document_id: str) -> KnownDocument | None:
        """What is known of a document; None: it is gone."""
        document = store.known_document(session, document_id)
        if document is None and not store.is_gone(session, document_id):
            raise DepositNotYetKnown()
        return document
