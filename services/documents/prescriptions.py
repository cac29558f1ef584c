"""Prescriptions of a record by state ("Vue 360"), one with what was given of it, and their end by who wrote them."""

from __future__ import annotations

from services.bus import rpc
from services.db import new_id, now, once, remember
from services.documents import answers, answers_prescriptions, rules, store, store_dispensations, store_prescriptions
from services.documents import rules_prescriptions as prescribing
from services.documents.asking import Asking
from services.documents.contract import (
    PRESCRIPTIONS,
    SHOWN_STATES,
    NotAPrescription,
    PrescriptionCancelled,
    PrescriptionDispensed,
)
from services.documents.contract_prescriptions import (
    PrescriptionRead,
    Prescriptions,
)
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller

CANCELLED = "prescription.cancelled"


class Prescribed(Asking):
    """The entrypoints of prescriptions."""

    @rpc(scope="system/DocumentReference.rs")
    def list_prescriptions(
        self, caller: Caller, *, record_id: str, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Prescriptions | Refusal:
        """Gives the prescriptions of a record that this caller may see, newest first, their lines with what is left.

        state: one of contract.SHOWN_STATES, None for all. limit: 1 to 100. cursor: `next_cursor` of the page before.
        One trace for the page, with how many it showed.

        Refuses: RecordNotFound without a ground and without a document of one's own (RecordClosed to the holder);
        InvalidInput (state, limit, cursor) [domain, Documents: eDocuments; seed 003].
        """
        after = rules.from_cursor(cursor)
        if state is not None and state not in SHOWN_STATES:
            raise InvalidInput(errors=[{"pointer": "/state", "message": "choice"}])
        answers.require(cursor=cursor is None or after is not None, limit=rules.is_page_limit(limit))
        asked, today = rules.canonical_id(record_id), prescribing.day_of(now())
        scope = self._scope(caller, asked)
        with self.db.transaction(caller) as session:
            rows = store_prescriptions.page(session, scope, asked or new_id(), state, today, after, limit)
            if asked is None or (not rows and not scope.clauses and not store.sees_anything(session, scope, asked)):
                refusal = answers.no_ground(scope)
                return answers.refuse(session, caller, "prescription.searched", refusal, record_id=asked)
            grant = rules.ground_of_list(scope)
            count = min(len(rows), limit)
            answers.allow(session, caller, "prescription.searched", grant, record_id=asked, count=count)
            return answers_prescriptions.page(rows, limit, today)

    @rpc(scope="system/DocumentReference.rs")
    def read_prescription(self, caller: Caller, *, document_id: str) -> PrescriptionRead | Refusal:
        """Gives one prescription with its lines, what is left of them, and what was given when, by whom.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; NotAPrescription for another document that
        the caller sees.
        """
        asked, record_id, home_id = place = self._find(document_id)
        scope, today = self._scope(caller, record_id), prescribing.day_of(now())
        with self.db.transaction(caller) as session:
            row = store_prescriptions.one(session, scope, record_id or new_id(), asked or new_id())
            if row is None:
                refusal: Refusal | None = None
                if store.seen_document(session, scope, record_id or new_id(), asked or new_id()) is not None:
                    refusal = NotAPrescription()
                if refusal is None:
                    return answers.refuse_document(session, caller, "prescription.read", place)
                return answers.refuse(
                    session, caller, "prescription.read", refusal, record_id=home_id, object_id=asked
                )
            grant = rules.may_read(scope, answers.facts_of(row))
            answers.allow(session, caller, "prescription.read", grant, record_id=home_id, object_id=asked)
            given = store_dispensations.of_document(session, row.document_id)
            return {
                **answers_prescriptions.prescription(row, today),
                "dispensations": [answers_prescriptions.dispensation(each) for each in given],
            }

    @rpc
    def cancel_prescription(self, caller: Caller, *, document_id: str, reason: str) -> Refusal | None:
        """Ends a prescription by who wrote it, while they may still deposit such: nothing of it is dispensed any more.

        reason: one line, kept with it and told to nobody. What was given stays given.

        Refuses: DocumentNotFound, as `read_prescription`; NotAllowed to everybody but its author with such a ground;
        NotAPrescription; PrescriptionCancelled; PrescriptionDispensed; RequestInFlight, KeyReused; InvalidInput.
        """
        why = prescribing.require_reason(reason)
        asked, record_id, home_id = place = self._find(document_id)
        scope, body = self._scope(caller, record_id), {"document_id": asked, "reason": why}
        with self.db.transaction(caller) as session:
            row = store.lock_document(session, scope, record_id or new_id(), asked or new_id())
            if row is None:
                return answers.refuse_document(session, caller, CANCELLED, place)
            grant = prescribing.may_withdraw(scope, answers.facts_of(row))
            if grant is not None and once(session, caller, "cancel_prescription", body) is not None:
                return None
            stands = store_prescriptions.lock(session, row.document_id) if row.category == PRESCRIPTIONS else None
            refusal: Refusal | None = None
            if grant is None:
                refusal = NotAllowed()
            elif stands is None:
                refusal = NotAPrescription()
            elif stands[0].state in ("cancelled", "dispensed"):
                refusal = PrescriptionCancelled() if stands[0].state == "cancelled" else PrescriptionDispensed()
            if refusal is not None:
                return answers.refuse(session, caller, CANCELLED, refusal, record_id=home_id, object_id=asked)
            store_prescriptions.cancel(session, row.document_id, caller.account_id, why, now())
            answers.allow(session, caller, CANCELLED, grant, record_id=home_id, object_id=asked)
            remember(session, caller, "cancel_prescription", body, {})
            return None
