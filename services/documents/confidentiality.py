"""How confidential a document is, and was: every level stays in its history [RGD 6(3), seed 002]."""

from __future__ import annotations

from services.bus import rpc
from services.db import new_id, now, rfc3339
from services.documents import answers, rules, store
from services.documents.asking import Asking
from services.documents.contract import ChangedConfidentiality, ConfidentialityChanged
from services.refusals import Refusal
from services.tokens import Caller


class Confidentiality(Asking):
    """The change of a level."""

    @rpc
    def change_confidentiality(
        self, caller: Caller, *, document_id: str, level: str, risk_accepted: bool
    ) -> ChangedConfidentiality | Refusal:
        """Gives a document another level from this moment on; every level it had stays in its history.

        risk_accepted: that "I understand and accept the risks" was accepted, kept with the change. Setting the level
        a document already has changes nothing and is traced all the same.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; NotAllowed to a reader who may not
        deposit the category on a ground that reaches the document; DocumentUnfinished for what did not pass;
        InvalidInput (level, risk_accepted) [RGD 6(3), seed 002].
        """
        answers.require(level=rules.is_level(level), risk_accepted=risk_accepted is True)
        place = self._find(document_id)
        scope = self._scope(caller, place.record_id)
        action = "document.level_changed"
        with self.db.transaction(caller) as session:
            row = answers.held(session, caller, action, scope, place, rules.may_change_level)
            if isinstance(row, Refusal):
                return row
            if row.level != level:
                at = now()
                store.set_level(session, row.document_id, level, level_id=new_id(), account_id=caller.account_id, at=at)
                answers.tell(session, row, ConfidentialityChanged(
                    record_id=row.record_id, document_id=row.document_id, level=level, previous=row.level,
                    changed_at=rfc3339(at),
                ))  # fmt: skip
            return {"document_id": row.document_id, "level": level}
