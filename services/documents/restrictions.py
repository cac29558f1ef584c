"""Documents that the holder side hides from one professional or another [RGD 6(3)]."""

from __future__ import annotations

from services.bus import emit, rpc
from services.db import new_id, now, rfc3339
from services.documents import answers, rules, rules_hidden, store, store_hidden
from services.documents.asking import Asking, of_others
from services.documents.contract import DocumentRestricted, RestrictionList, RestrictionOf
from services.dossier.contract import RISK_WORDINGS, AccessScope, ProfessionalNotFound
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller


class Restrictions(Asking):
    """Restrict, lift, list."""

    @rpc
    def restrict_document(
        self, caller: Caller, *, document_id: str, professional_id: str, risk_accepted: bool, risk_version: str
    ) -> RestrictionOf | Refusal:
        """Hides a document from one professional from this moment on, unless they wrote it; again changes nothing.

        risk_accepted, risk_version: that "I understand and accept the risks" was accepted, in which wording; kept.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; NotAllowed to who is not of the holder
        side; DocumentUnfinished for what did not pass; InvalidInput (professional_id, also of nobody in the directory,
        which is open to everybody; risk_accepted, risk_version) [RGD 6(3); domain, Confidentiality].
        """
        whom = _professional(professional_id)
        answers.require_risk(risk_accepted, risk_version, RISK_WORDINGS)
        place = self._find(document_id)
        scope = self._scope(caller, place.record_id)
        known = self._known(caller, scope, place.record_id, whom)
        with self.db.transaction(caller) as session:
            row = answers.held(
                session, caller, "document.restricted", scope, place, rules_hidden.may_restrict
            )
            if isinstance(row, Refusal):
                return row
            if not known:
                raise InvalidInput(errors=[{"pointer": "/professional_id", "message": "unknown"}])
            at = now()
            begun = store_hidden.restrict(
                session, row.document_id, whom, restriction_id=new_id(), account_id=caller.account_id,
                risk_version=risk_version, at=at,
            )  # fmt: skip
            if begun:
                emit(session, DocumentRestricted(row.record_id, row.document_id, whom, True, rfc3339(at)))
            return {"document_id": row.document_id, "professional_id": whom, "restricted": True}

    @rpc
    def unrestrict_document(self, caller: Caller, *, document_id: str, professional_id: str) -> RestrictionOf | Refusal:
        """Lets a professional see the document again as their grounds say; where nothing hid it, nothing changes.

        Refuses: DocumentNotFound, NotAllowed, DocumentUnfinished, InvalidInput (professional_id), as
        `restrict_document` [RGD 6(3)].
        """
        whom = _professional(professional_id)
        place = self._find(document_id)
        scope = self._scope(caller, place.record_id)
        with self.db.transaction(caller) as session:
            row = answers.held(
                session, caller, "document.unrestricted", scope, place, rules_hidden.may_restrict
            )
            if isinstance(row, Refusal):
                return row
            at = now()
            if store_hidden.unrestrict(session, row.document_id, whom, at):
                emit(session, DocumentRestricted(row.record_id, row.document_id, whom, False, rfc3339(at)))
            return {"document_id": row.document_id, "professional_id": whom, "restricted": False}

    @rpc
    def list_restrictions(self, caller: Caller, *, document_id: str) -> RestrictionList | Refusal:
        """The professionals whom the holder side hides a document from now, the first first.

        Refuses: DocumentNotFound, NotAllowed, as `restrict_document` [RGD 6(3)].
        """
        place = self._find(document_id)
        scope = self._scope(caller, place.record_id)
        with self.db.transaction(caller) as session:
            row = answers.held(
                session, caller, "restriction.searched", scope, place, rules_hidden.may_restrict,
                look=store.seen_document,
            )  # fmt: skip
            if isinstance(row, Refusal):
                return row
            found = store_hidden.restrictions_of(session, row.document_id)
            return {
                "restrictions": [
                    {"professional_id": each.professional_id, "since": rfc3339(each.since)} for each in found
                ]
            }

    def _known(self, caller: Caller, scope: AccessScope, record_id: str | None, professional_id: str) -> bool:
        """Whether dossier knows a professional, as far as who asks may ask."""
        if record_id is None or not scope.holder_side:
            return True
        told = of_others(self.dossier.whom_of_wish, caller, record_id=record_id, professional_id=professional_id)
        return not isinstance(told, ProfessionalNotFound)


def _professional(professional_id: object) -> str:
    whom = rules.canonical_id(professional_id)
    if whom is None:
        raise InvalidInput(errors=[{"pointer": "/professional_id", "message": "invalid"}])
    return whom
