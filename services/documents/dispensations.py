"""Dispensing: prescriptions marked as dispensed, whole or line by line, taken back, and their certified copies.

A prescription is held from the first look to the commit, its document before it: whoever comes at the same time waits
and finds what is left. The traces name the document, never the dispensation, so that they are as hidden as it is.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import answers, answers_prescriptions, rules, store, store_dispensations, store_prescriptions
from services.documents import rules_prescriptions as dispensing
from services.documents.asking import Asking
from services.documents.contract import (
    DISPENSATION_WORDINGS,
    PRESCRIPTIONS,
    CopyNotGenuine,
    DispensationCancelled,
    DispensationNotFound,
    DocumentDispensed,
    NotAPrescription,
)
from services.documents.contract_prescriptions import (
    CertifiedCopy,
    CopyVerified,
    Dispensed,
)
from services.documents.rules_ends import hidden_how
from services.dossier.contract import AccessScope
from services.refusals import ChangedMeanwhile, NotAllowed, Refusal, TooManyTries
from services.settings import load
from services.tokens import Caller

CREATED = "dispensation.created"
CANCELLED = "dispensation.cancelled"
COPIED = "dispensation.copied"
VERIFIED = "dispensation.verified"


class Dispensing(Asking):
    """The entrypoints of dispensing."""

    @rpc
    def dispense(
        self, caller: Caller, *, document_id: str, risk_accepted: bool, risk_version: str,
        lines: list[dict[str, Any]] | None = None, whole: bool = False, version_id: str | None = None,
    ) -> Dispensed | Refusal:  # fmt: skip
        """Marks a prescription as dispensed: all that is left of it, or so much of these lines; tells what is left.

        lines: [{number, quantity}], the quantity a decimal in text, all that is left where it is not told.
        risk_version: of contract.DISPENSATION_WORDINGS, the sentence that was accepted. The holder is told. version_id:
        whose lines were read, so that nothing else is given; None for whatever is prescribed by now.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; NotAllowed to who does not dispense, or
        not by a ground that reaches it; NotAPrescription; ChangedMeanwhile; PrescriptionCancelled, PrescriptionExpired,
        PrescriptionDispensed; QuantityNotLeft; RequestInFlight, KeyReused; InvalidInput [seed 003; RGD Annex 1].
        """
        wanted = dispensing.require_wanted(lines, whole)
        answers.require_risk(risk_accepted, risk_version, DISPENSATION_WORDINGS)
        asked, record_id, home_id = place = self._find(document_id)
        scope, at = self._scope(caller, record_id), now()
        read = rules.canonical_id(version_id)
        answers.require(version_id=version_id is None or read is not None)
        body = {"document_id": asked, "lines": lines, "whole": whole, "risk_version": risk_version, "version_id": read}
        with self.db.transaction(caller) as session:
            row = store.lock_document(session, scope, record_id or new_id(), asked or new_id())
            if row is None:
                return answers.refuse_document(session, caller, CREATED, place)
            named: dict[str, Any] = {"record_id": home_id, "object_id": asked}
            grant = _grant(caller, scope, row)
            if grant is None:
                return answers.refuse(session, caller, CREATED, NotAllowed(), **named)
            answer: Dispensed | None = once(session, caller, "dispense", body)
            if answer is not None:
                return answer
            stands = store_prescriptions.lock(session, row.document_id) if row.category == PRESCRIPTIONS else None
            if stands is None:
                return answers.refuse(session, caller, CREATED, NotAPrescription(), **named)
            head, before = stands
            refusal = ChangedMeanwhile() if read not in (None, row.current_version_id) else None
            refusal = refusal or dispensing.over(head.state, head.valid_until, dispensing.day_of(at))
            given = refusal or dispensing.given(before, wanted)
            if isinstance(given, Refusal):
                return answers.refuse(session, caller, CREATED, given, **named)
            state = dispensing.state_of(dispensing.after(before, given))
            store_prescriptions.give(session, row.document_id, given, state)
            dispensation_id = new_id()
            store_dispensations.add(session, _row(caller, dispensation_id, row.document_id, risk_version, at), given)
            left = store_prescriptions.lines_as_told(session, row.document_id)
            answers.allow(session, caller, CREATED, grant, **named, at=at)
            emit(session, _event(row, dispensation_id, state, at, cancelled=False))
            answer = answers_prescriptions.dispensed(dispensation_id, row.document_id, at, state, left)
            remember(session, caller, "dispense", body, answer)
            return answer

    @rpc
    def cancel_dispensation(self, caller: Caller, *, dispensation_id: str, reason: str) -> Dispensed | Refusal:
        """Takes a dispensation back by the same pharmacy, for 24 hours [ours, a setting]: so much is left again.

        reason: one line, kept with it and told to nobody. Also where the prescription was cancelled or has expired
        meanwhile: it stays so.

        Refuses: DispensationNotFound, the same for unknown and for what the caller does not see; NotAllowed to who
        does not dispense, and to another pharmacy; DispensationCancelled; DispensationFinal; RequestInFlight,
        KeyReused; InvalidInput.
        """
        why = dispensing.require_reason(reason)
        asked, document_id, record_id, home_id = self._dispensation(dispensation_id)
        scope, at = self._scope(caller, record_id), now()
        body = {"dispensation_id": asked, "reason": why}
        within = timedelta(hours=load().dispensation_cancel_hours)
        with self.db.transaction(caller) as session:
            row = store.lock_document(session, scope, record_id or new_id(), document_id or new_id())
            named: dict[str, Any] = {"record_id": home_id, "object_id": document_id}
            if row is None:
                return answers.refuse(session, caller, CANCELLED, DispensationNotFound(), **named)
            grant = _grant(caller, scope, row)
            stands = store_prescriptions.lock(session, row.document_id)
            given = store_dispensations.one(session, asked)
            assert stands is not None and given is not None, "a dispensation of no prescription"
            refusal: Refusal | None = NotAllowed() if grant is None else None
            if refusal is None:
                answer: Dispensed | None = once(session, caller, "cancel_dispensation", body)
                if answer is not None:
                    return answer
                refusal = dispensing.not_taken_back(
                    given.at, given.establishment_id, given.cancelled_at, establishment_id=caller.establishment_id,
                    at=at, within=within,
                )  # fmt: skip
            if refusal is not None:
                return answers.refuse(session, caller, CANCELLED, refusal, **named)
            head, before = stands
            back = store_dispensations.lines_of(session, asked)
            state = dispensing.state_of(dispensing.without(before, back))
            kept = head.state if head.state == "cancelled" else state
            store_prescriptions.take_back(session, row.document_id, back, kept)
            store_dispensations.cancel(session, asked, caller.account_id, why, at)
            left = store_prescriptions.lines_as_told(session, row.document_id)
            answers.allow(session, caller, CANCELLED, grant, **named, at=at)
            emit(session, _event(row, asked, state, at, cancelled=True))
            answer = answers_prescriptions.dispensed(asked, row.document_id, given.at, kept, left, at)
            remember(session, caller, "cancel_dispensation", body, answer)
            return answer

    @rpc
    def read_copy(self, caller: Caller, *, dispensation_id: str) -> CertifiedCopy | Refusal:
        """Gives what stands on the certified copy of a dispensation, for whoever sees its prescription.

        Refuses: DispensationNotFound, the same for unknown and for what the caller does not see;
        DispensationCancelled: there is no copy of what was taken back [seed 003].
        """
        asked, document_id, record_id, home_id = self._dispensation(dispensation_id)
        scope, today = self._scope(caller, record_id), dispensing.day_of(now())
        with self.db.transaction(caller) as session:
            row = store_prescriptions.one(session, scope, record_id or new_id(), document_id or new_id())
            named: dict[str, Any] = {"record_id": home_id, "object_id": document_id}
            if row is None:
                return answers.refuse(session, caller, COPIED, DispensationNotFound(), **named)
            given = store_dispensations.one(session, asked)
            assert given is not None, "a dispensation vanished"
            if given.cancelled_at is not None:
                return answers.refuse(session, caller, COPIED, DispensationCancelled(), **named)
            answers.allow(session, caller, COPIED, rules.may_read(scope, answers.facts_of(row)), **named)
            return answers_prescriptions.copy(given, row, scope.patient_id, today)

    @rpc
    def verify_copy(self, caller: Caller, *, code: str) -> CopyVerified | Refusal:
        """Tells a pharmacist who holds a certified copy that it is genuine, what was given, and what is left now.

        No ground is needed: the patient put the paper into their hands. Nobody's name, record or document is told;
        the record's trace is. code: as printed, with or without its dashes.

        Refuses: NotAllowed to who does not dispense; TooManyTries; CopyNotGenuine [domain, Documents: eDocuments].
        """
        at, read = now(), dispensing.read_code(code)
        may = self.dossier.may_dispense(caller)["may"]
        with self.db.transaction(caller) as session:
            if not may or caller.professional_id is None:
                return answers.refuse(session, caller, VERIFIED, NotAllowed(), record_id=None)
            wrong = store_dispensations.wrong_codes(session, caller.professional_id)
            wait = dispensing.wait_for_codes(wrong, at)
            if wait:
                return answers.refuse(session, caller, VERIFIED, TooManyTries(retry_after=wait), record_id=None)
            row = store_dispensations.by_code(session, read or "")
            if row is None:
                store_dispensations.note_wrong_code(session, caller.professional_id, at)
                return answers.refuse(session, caller, VERIFIED, CopyNotGenuine(), record_id=None)
            emit(session, traced(
                caller, VERIFIED, at=at, record_id=row.home_record_id, object_id=row.document_id,
                object_type="document", rule="dispensation/verification",
            ))  # fmt: skip
            return answers_prescriptions.verified(row, dispensing.day_of(at))

    def _dispensation(self, dispensation_id: str) -> tuple[str, str | None, str | None, str | None]:
        """The id in its one spelling, and where the document lies that it is of, where there is one."""
        asked = rules.canonical_id(dispensation_id) or new_id()
        with self.db.transaction() as session:
            return asked, *store_dispensations.place_of(session, asked)

    def _forget_wrong_codes(self, session: Session, at: datetime) -> None:
        store_dispensations.forget_wrong_codes(session, at - dispensing.WRONG_CODES_WITHIN)


def _grant(caller: Caller, scope: AccessScope, row: store.Row) -> rules.Grant | None:
    """What lets this caller dispense of a document they see; only somebody who works at a pharmacy, or the like."""
    return None if caller.establishment_id is None else dispensing.may_dispense(scope, answers.facts_of(row))


def _row(caller: Caller, dispensation_id: str, document_id: str, risk_version: str, at: datetime) -> dict[str, Any]:
    letters = (secrets.choice(dispensing.ALPHABET) for _ in range(dispensing.CODE_LETTERS))
    return {
        "dispensation_id": dispensation_id, "document_id": document_id, "professional_id": caller.professional_id,
        "establishment_id": caller.establishment_id, "account_id": caller.account_id, "at": at,
        "verification_code": "".join(letters), "risk_version": risk_version,
    }  # fmt: skip


def _event(row: store.Row, dispensation_id: str, state: str, at: datetime, *, cancelled: bool) -> DocumentDispensed:
    return DocumentDispensed(
        record_id=row.record_id, document_id=row.document_id, dispensation_id=dispensation_id, state=state,
        cancelled=cancelled, at=rfc3339(at),
        hidden=hidden_how(
            state="available", blocked=row.patient_blocked_at is not None, withheld=row.withheld_at is not None
        ),
    )  # fmt: skip
