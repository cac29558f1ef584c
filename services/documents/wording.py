"""What documents are found by is kept up with them: title and text of the current version, and names of authors."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Received, Service, fresh_context, on
from services.db import now
from services.directory.contract import ProfessionalUpdated
from services.documents import rules_words, store_words
from services.documents.rules_findings import TEXT_LENGTH, Findings
from services.refusals import Unavailable

AUTHORS_AT_ONCE = 500

log = logging.getLogger(__name__)


def keep_text(session: Session, row: Any, findings: Findings, at: datetime) -> None:
    """Has a version that passed found by what is in it, instead of what was in the one before."""
    body = rules_words.body(findings.text, TEXT_LENGTH)
    store_words.keep(
        session, row.document_id, body, title_words=rules_words.indexed(row.title),
        body_words=rules_words.indexed(body),
    )  # fmt: skip
    if row.author_id is not None:
        store_words.add_author(session, row.author_id)


def keep_title(session: Session, document_id: str, title: str) -> None:
    """Has a document found by another title; the names of its type are looked up as they are needed."""
    body = store_words.body_of(session, document_id)
    store_words.keep(
        session, document_id, None, title_words=rules_words.indexed(title), body_words=rules_words.indexed(body)
    )


class Wording(Service):
    """The names of authors, which are directory's."""

    directory: Any  # the service's way to directory

    @on("directory", ProfessionalUpdated)
    def on_professional_updated(self, session: Session, event: Received) -> None:
        """Has the name of an author asked for again; who wrote nothing here is nobody to know."""
        store_words.ask_again(session, event.data.professional_id)

    def _name_authors(self) -> None:
        """Asks for the names that are due, many in one question; what nobody is called stays without."""
        with self.db.transaction() as session:
            due = list(store_words.authors_due(session, AUTHORS_AT_ONCE))
        if not due:
            return
        try:
            told = self.directory.names_of_professionals(fresh_context(), professional_ids=due)["names"]
        except Unavailable:
            log.warning("names wait", extra={"kind": "directory"})
            return
        at = now()
        with self.db.transaction() as session:
            for professional_id in due:
                name = told.get(professional_id, "")
                store_words.name_author(session, professional_id, name, rules_words.indexed(name), at)
