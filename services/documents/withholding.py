"""Documents of an autonomous minor that are hidden from the legal representatives [L14 13]."""

from __future__ import annotations

from services.bus import rpc
from services.db import new_id, now, rfc3339
from services.documents import answers, rules_hidden, store_hidden
from services.documents.asking import Asking
from services.documents.contract import DocumentWithheld, Withholding
from services.refusals import Refusal
from services.tokens import Caller


class Withholdings(Asking):
    """Withhold, show again."""

    @rpc
    def withhold_document(self, caller: Caller, *, document_id: str) -> Withholding | Refusal:
        """Hides a document from the legal representatives from this moment on; again changes nothing.

        By the minor, or by a professional who may deposit its category, while a physician holds the minor to be able
        to decide alone.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; NotAllowed to everybody else, and where
        the minor is not held to be autonomous; DocumentUnfinished for what did not pass [L14 13].
        """
        place = self._find(document_id)
        scope, at = self._scope(caller, place.record_id), now()
        with self.db.transaction(caller) as session:
            row = answers.held(
                session, caller, "document.withheld", scope, place, rules_hidden.may_withhold, at=at
            )
            if isinstance(row, Refusal):
                return row
            if row.withheld_at is None:
                store_hidden.withhold(
                    session, row.document_id, withholding_id=new_id(), account_id=caller.account_id, at=at
                )
                told = DocumentWithheld(row.record_id, row.document_id, True, rfc3339(at), rfc3339(at))
                answers.tell(session, row, told)
            return {"document_id": row.document_id, "withheld": True}

    @rpc
    def show_document(self, caller: Caller, *, document_id: str) -> Withholding | Refusal:
        """Shows a withheld document to the legal representatives again; where nothing hid it, nothing changes.

        By who may withhold it; the minor who has come of age keeps this right.

        Refuses: DocumentNotFound, NotAllowed, DocumentUnfinished, as `withhold_document` [L14 13].
        """
        place = self._find(document_id)
        scope = self._scope(caller, place.record_id)
        with self.db.transaction(caller) as session:
            row = answers.held(session, caller, "document.unwithheld", scope, place, rules_hidden.may_show)
            if isinstance(row, Refusal):
                return row
            if row.withheld_at is not None:
                at = now()
                store_hidden.show(session, row.document_id, at)
                since = rfc3339(row.withheld_at)
                told = DocumentWithheld(row.record_id, row.document_id, False, rfc3339(at), since)
                answers.tell(session, row, told)
            return {"document_id": row.document_id, "withheld": False}
