"""People hear of a document that is new to them: of a deposit, or that what was blocked from them can be seen.

dossier says at the moment of telling who may read it. Its type, its author and its level never leave this service: by
the first two people choose of what they hear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Received, emit, fresh_context, on
from services.documents.contract import DocumentDeposited, DocumentReleased
from services.notifications import rules_record_news as news
from services.notifications import rules_subscriptions as systems
from services.notifications import store
from services.notifications.contract_news import DocumentNewsDue
from services.notifications.rules_notices import Notice
from services.notifications.rules_subscriptions import KnownDocument
from services.notifications.telling import Telling


class DocumentNotices(Telling):
    """Has people told of documents."""

    def _people_hear(self, session: Session, event: Received) -> None:
        """Has people told of a deposit or a release, later and by themselves: a foreign system waits for no mail."""
        told: DocumentDeposited | DocumentReleased = event.data
        what, at = ("added", told.deposited_at) if isinstance(told, DocumentDeposited) else ("shown", told.at)
        emit(session, DocumentNewsDue(what, told.document_id, told.hidden, at))

    @on("notifications", DocumentNewsDue, together=True, unhurried=True)
    def on_document_news_due(self, session: Session, events: Sequence[Received]) -> None:
        """Tells who may read each now: the holder side and, of a deposit, professionals who have the patient in care.

        Nobody from whom it is hidden, its author neither. However many there are, dossier is asked once, and asking
        changes nothing: so they may be worked together. [L14 16(5), L14 13, RGD 6(3)]
        """
        known = store.known_documents(session, sorted({event.data.document_id for event in events}))
        # What is gone since is nothing to read any more.
        told = [(event, known[event.data.document_id]) for event in events if event.data.document_id in known]
        if told:
            asked = [_facts(event.data, document) for event, document in told]
            answer = self.dossier.hearers_of_documents(fresh_context(told[0][0].context.request_id), documents=asked)
            self._put_all_down(session, [
                (event, _notices(event.data, document, hearers))
                for (event, document), hearers in zip(told, answer["hearers"], strict=True)
            ])  # fmt: skip


def _facts(due: DocumentNewsDue, document: KnownDocument) -> dict[str, Any]:
    """What dossier judges by: the document as it is known, hidden as it was when it came to be told of."""
    hidden = {"patient_blocked": due.hidden == "blocked", "withheld": due.hidden == "withheld"}
    return systems.facts_for_readers(document) | hidden


def _notices(due: DocumentNewsDue, document: KnownDocument, hearers: Mapping[str, Any]) -> list[Notice]:
    side = news.readers(f"record_news.document_{due.what}", hearers)
    readers = [reader for reader in side if news.may_hear_of(reader, due.hidden)]
    if due.what == "added":
        occasion = "record_news.professional.document_added"
        readers += [news.professional(occasion, each) for each in hearers["professionals"]]
    return [
        Notice(
            reader, due.at, record_id=hearers["record_id"], object_type="document", object_id=due.document_id,
            document_id=due.document_id, document_type=document.document_type, author_id=document.author_id,
        )
        for reader in readers
    ]  # fmt: skip
