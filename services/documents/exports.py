"""The export of a whole record: begun under a caller's rights and traced once, then given piece by piece.

The pieces are asked for by the gateway under the export's id, not with the caller's token: a big record takes longer
to send than a token lives. Rights are asked anew for every piece, and an ended session ends its exports.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from services.audit.contract import traced
from services.bus import emit, rpc, rpc_system
from services.db import new_id, now, rfc3339
from services.documents import answers, contract, contract_ends, rules, store_exports
from services.documents.asking import Asking
from services.documents.contract_ends import BegunExport, ExportedDocument, ExportedFile, ExportOver, ExportPage
from services.dossier.contract import AccessScope, RecordClosed, RecordNotFound
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context

LONGEST = timedelta(days=1)
EXPORTED = "record.exported"


class Exporting(Asking):
    """The entrypoints of exports."""

    blobs: Any
    _sealed_key: Any  # tries.py

    @rpc
    def begin_export(self, caller: Caller, *, record_id: str) -> BegunExport | Refusal:
        """Begins the export of all that the holder side may see of a record, and leaves its one trace.

        For the holder, for a representative, and after the holder's death for a privacy officer of the agency, who
        hands it to entitled relatives. Nothing that is hidden from the holder side is in it.

        Refuses: RecordNotFound; RecordClosed (to the holder side alone); NotAllowed (assistants, other agents)
        [RGD 5; domain, Life of a record].
        """
        asked, at = rules.canonical_id(record_id), now()
        scope = self._export_scope(caller.context, asked, caller.capacity, caller.patient_id, caller.role)
        with self.db.transaction(caller) as session:
            if isinstance(scope, Refusal) or asked is None:
                refusal = scope if isinstance(scope, Refusal) else RecordNotFound()
                return answers.refuse(session, caller, EXPORTED, refusal, record_id=asked)
            documents, files = store_exports.counted(session, scope, asked)
            export_id = new_id()
            store_exports.add(session, {
                "export_id": export_id, "record_id": asked, "session_id": caller.session_id, "begun_at": at,
                "capacity": caller.capacity, "patient_id": caller.patient_id, "role": caller.role,
            })  # fmt: skip
            ground = rules.ground_of_list(scope)
            relatives = caller.capacity == "agent"
            emit(session, traced(
                caller, EXPORTED, at=at, record_id=asked, count=files, object_id=export_id, object_type="export",
                ground=None if relatives else ground.ground, rule="relatives" if relatives else ground.rule,
            ))  # fmt: skip
        return {
            "export_id": export_id, "record_id": asked, "documents": documents, "files": files,
            "begun_at": rfc3339(at), "history": not relatives,
        }  # fmt: skip

    @rpc_system("gateway")
    def export_page(self, context: Context, *, export_id: str, cursor: str | None = None) -> ExportPage | Refusal:
        """Gives what is in a running export, the oldest deposit first; a part of the export, under its trace.

        Refuses: ExportOver; what `begin_export` refuses, once the right has gone.
        """
        after = None if cursor is None else rules.from_cursor(cursor)
        found = self._running(context, export_id)
        if isinstance(found, Refusal):
            return found
        row, scope = found
        with self.db.transaction(context) as session:
            rows = store_exports.page(session, scope, row.record_id, row.begun_at, after, contract_ends.EXPORT_PAGE)
            shown = rows[: contract_ends.EXPORT_PAGE]
            each = store_exports.versions_of(session, scope, [document.document_id for document in shown])
        last = rules.Position(shown[-1].deposited_at, shown[-1].document_id) if len(rows) > len(shown) else None
        return {
            "documents": [_document(document, each) for document in shown],
            "next_cursor": None if last is None else rules.to_cursor(last),
        }

    @rpc_system("gateway")
    def export_file(
        self, context: Context, *, export_id: str, version_id: str, gateway_key: str
    ) -> ExportedFile | Refusal | None:
        """Gives the gateway what it needs to stream one file of a running export; None where it has gone meanwhile.

        Refuses: as `export_page`; InvalidInput (gateway_key).
        """
        found = self._running(context, export_id)
        if isinstance(found, Refusal):
            return found
        row, scope = found
        with self.db.transaction(context) as session:
            file = store_exports.file(session, scope, row.record_id, rules.canonical_id(version_id) or new_id())
        if file is None or file.wrapped_record_key is None:
            return None
        return {
            "content_id": file.content_id,
            "get_url": self.blobs.get_url(file.content_id, file.store_version, contract.URL_LIFETIME),
            "sealed_key": self._sealed_key(
                file.key_record_id, bytes(file.wrapped_record_key), file.content_id, bytes(file.wrapped_key),
                gateway_key,
            ),
            "size": file.size, "media_type": file.media_type, "sha256": bytes(file.sha256).hex(),
        }  # fmt: skip

    def _running(self, context: Context, export_id: str) -> tuple[Any, AccessScope] | Refusal:
        """A running export and what its caller may export now."""
        with self.db.transaction(context) as session:
            row = store_exports.running(session, rules.canonical_id(export_id) or new_id(), now() - LONGEST)
        if row is None:
            return ExportOver()
        scope = self._export_scope(context, row.record_id, row.capacity, row.patient_id, row.role)
        return scope if isinstance(scope, Refusal) else (row, scope)

    def _export_scope(
        self, context: Context, record_id: str | None, capacity: str, patient_id: str | None, role: str | None
    ) -> AccessScope | Refusal:
        """What may be exported; for no record dossier is asked about a made-up one, so that it takes as long."""
        asked = {"record_id": record_id or new_id(), "capacity": capacity, "patient_id": patient_id, "role": role}
        try:
            return AccessScope.from_wire(self.dossier.export_scope(context, **asked))
        except (RecordNotFound, RecordClosed, NotAllowed) as refusal:
            return refusal

    def _forget_exports(self, at: datetime) -> None:
        with self.db.transaction() as session:
            store_exports.forget(session, at - LONGEST)


def _document(row: store_exports.Row, versions: Sequence[store_exports.Row]) -> ExportedDocument:
    return {
        "document_id": row.document_id, "type": row.type, "category": row.category, "folder": row.folder,
        "title": row.title, "act_date": None if row.act_date is None else row.act_date.isoformat(),
        "language": row.language, "author_id": row.author_id, "holder_authored": row.author_kind == "holder",
        "level": row.level, "deposited_at": rfc3339(row.deposited_at),
        "versions": [
            {
                "version_id": each.version_id, "number": each.number, "media_type": each.media_type, "size": each.size,
                "sha256": bytes(each.sha256).hex(), "author_id": each.author_id,
                "created_at": rfc3339(each.created_at), "current": each.version_id == row.current_version_id,
            }
            for each in versions if each.document_id == row.document_id
        ],
    }  # fmt: skip
