"""Reading one document: what is known of it, its bytes, and what was made of them to be shown.

Whatever shows anything of a document's bytes opens the document: the bytes, a page with them, a first page, a small
picture in a list. One session opens one version once in 15 minutes, with one trace, in however many of these ways.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import rpc
from services.db import new_id, now
from services.documents import (
    answers,
    answers_versions,
    contract,
    renditions,
    rules,
    rules_versions,
    store,
    store_finding,
)
from services.documents.asking import Asking
from services.documents.contract import Document, OpenedContent, PreviewNotFound, ShownRendition
from services.dossier.contract import AccessScope
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller

OPENED = "document.opened"


class Reading(Asking):
    """The entrypoints that read one document."""

    blobs: Any
    keys: Any
    _sealed_key: Any  # tries.py

    @rpc(scope="system/DocumentReference.rs")
    def read_document(self, caller: Caller, *, document_id: str) -> Document | Refusal:
        """Gives what is known of one document, with its versions, newest first; its bytes are another call's.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; DocumentGone, to who could see it, once
        the agency removed it [RGD 5, RGD 8].
        """
        asked, record_id, home_id = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            rows = store.history(session, scope, record_id or new_id(), asked or new_id())
            if not rows:
                return answers.refuse_reading(session, caller, "document.read", scope, place)
            grant = rules.may_read(scope, answers.facts_of(rows[0]))
            answers.allow(session, caller, "document.read", grant, record_id=home_id, object_id=asked)
            return {
                **answers.item(rows[0]),
                "versions": [answers.version(row) for row in rows],
                "version": rules_versions.revision(rows[0].current_number, rows[0].wording),
            }

    @rpc(scope="system/DocumentReference.rs")
    def open_content(
        self, caller: Caller, *, document_id: str, gateway_key: str, version_id: str | None = None,
        from_start: bool = True,
    ) -> OpenedContent | Refusal:  # fmt: skip
        """Gives the gateway what it needs to stream a version's bytes: a URL for its sealed bytes and their key.

        version_id: None for the current one. from_start: false when the reader asks for a later range or reads on; such
        a request joins the opening of its session (last read within 15 minutes), and begins one where none stands.
        From the start it begins one, if the last began 15 minutes ago. An opening leaves exactly one trace, however
        many requests it is made of.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; DocumentGone; InvalidInput (gateway_key)
        [RGD 5, RGD 8].
        """
        asked, record_id, _ = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        at = now()
        with self.db.transaction(caller) as session:
            row = self._content(session, caller, scope, record_id, asked, version_id)
            if row is None or record_id is None:
                return answers.refuse_reading(session, caller, OPENED, scope, place)
            note_opening(session, caller, scope, row, at, from_start=from_start)
            return {
                "document_id": row.document_id,
                "version_id": row.version_id,
                "content_id": row.content_id,
                "get_url": self.blobs.get_url(row.content_id, row.store_version, contract.URL_LIFETIME),
                "sealed_key": self._sealed_key(
                    row.key_record_id,
                    bytes(row.wrapped_record_key),
                    row.content_id,
                    bytes(row.wrapped_key),
                    gateway_key,
                ),
                "size": row.size,
                "media_type": row.media_type,
                "filename": rules.filename(row.type, row.created_at.date(), row.media_type),
                "sha256": bytes(row.sha256).hex(),
            }

    @rpc(scope="system/DocumentReference.rs")
    def open_rendition(
        self, caller: Caller, *, document_id: str, kind: str, gateway_key: str, version_id: str | None = None
    ) -> ShownRendition | Refusal:
        """Gives the gateway what it needs to show a document: what its page has in the head, and what was made of it.

        kind: thumbnail, page or view. For a view of a PDF, a picture or a text there is nothing but the bytes
        themselves, and no rendition. It opens the document as `open_content` does, from the start.

        Refuses: DocumentNotFound, DocumentGone, as `open_content`; PreviewNotFound; InvalidInput (kind, gateway_key)
        [RGD 5, RGD 8].
        """
        answers.require(kind=kind in contract.SHOWN_KINDS)
        asked, record_id, home_id = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        at = now()
        with self.db.transaction(caller) as session:
            row = self._content(session, caller, scope, record_id, asked, version_id)
            if row is None or record_id is None:
                return answers.refuse_reading(session, caller, OPENED, scope, place)
            made = None
            if kind != "view" or row.media_type not in rules_versions.SHOWN_AS_THEY_ARE:
                made = self._made(session, row.content_id, kind, gateway_key)
                if made is None:
                    refused = PreviewNotFound()
                    return answers.refuse(session, caller, OPENED, refused, record_id=home_id, object_id=asked)
            note_opening(session, caller, scope, row, at, from_start=True)
            return {"document": answers_versions.head(row, caller.context.locale), "rendition": made}

    def _content(
        self, session: Session, caller: Caller, scope: AccessScope, record_id: str | None, document_id: str | None,
        version_id: str | None,
    ) -> store.Row | None:  # fmt: skip
        wanted = None if version_id is None else rules.canonical_id(version_id) or new_id()
        return store.content(session, scope, record_id or new_id(), document_id or new_id(), wanted, caller.session_id)

    def _made(self, session: Session, content_id: str, kind: str, gateway_key: str) -> contract.HandedRendition | None:
        try:
            return renditions.hand_over(session, self.blobs, self.keys, content_id, kind, gateway_key)
        except ValueError:
            raise InvalidInput(errors=[{"pointer": "/gateway_key", "message": "invalid"}]) from None


def note_opening(
    session: Session, caller: Caller, scope: AccessScope, row: store.Row, at: datetime, *,
    from_start: bool,
) -> None:  # fmt: skip
    """Begins an opening of a version with its one trace, or reads on in the one that stands."""
    opening = (session, caller.session_id, row.version_id, at)
    if not rules.reads_on(row.read_at, from_start, at) and store.open_version(*opening, at - rules.OPEN_WINDOW):
        grant = rules.may_read(scope, answers.facts_of(row))
        answers.allow(session, caller, OPENED, grant, record_id=row.home_record_id, object_id=row.document_id)
        store_finding.note_opened(session, caller, row.document_id, at)
    elif row.read_at is not None and row.read_at <= at - rules.OPEN_NOTED:
        store.note_reading(*opening)
