"""What the parts of the service share: refusals that leave their trace, registering, and a look at what is alike."""

from datetime import datetime

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit
from services.db import new_id, now
from services.directory import (
    contract,
    rules_duplicates,
    rules_search,
    rules_sheets,
    store,
    store_duplicates,
    store_patients,
    store_sheets,
)
from services.directory.comparing import rated
from services.directory.rules_blocking import search_keys
from services.directory.rules_sheets import PatientSheet
from services.refusals import Refusal
from services.tokens import Caller, Context


class Desk(Service):
    """What every part of directory brings along."""

    def _refused(
        self, session: Session, caller: Caller | Context, action: str, refusal: Refusal, object_id: str | None = None,
        *, object_type: str | None = None,
    ) -> Refusal:  # fmt: skip
        """Leaves the trace of a refusal and hands the refusal back, to be returned so that the trace is committed."""
        kind = object_type or action.partition(".")[0]
        emit(session, traced(
            caller, action, at=now(), object_id=object_id, object_type=kind, outcome="refused", reason=refusal.code,
        ))  # fmt: skip
        return refusal

    def _traced(
        self, session: Session, caller: Caller | Context, action: str, object_id: str | None = None, *,
        object_type: str | None = None, count: int | None = None, purpose: str | None = None,
    ) -> None:  # fmt: skip
        """Leaves the trace of an answer; object_type: the first word of the action when none is given."""
        kind = object_type or action.partition(".")[0]
        emit(session, traced(
            caller, action, at=now(), object_id=object_id, object_type=kind, count=count, purpose=purpose,
        ))  # fmt: skip

    def _registered(self, session: Session, caller: Caller, sheet: PatientSheet, at: datetime) -> str:
        """The patient of a checked sheet: a new one, or the one that its matricule and names already have.

        Refuses: PatientExists, IdentifierTaken, to be undone to a savepoint by whoever asked.
        """
        new = new_id()
        if sheet.matricule is not None:
            patient_id = store.claim_matricule_for_patient(session, sheet.matricule, new, at)
            if patient_id != new:
                if not rules_sheets.is_patient(sheet, *store_patients.patient_identity(session, patient_id)):
                    raise contract.PatientExists()
                return store_patients.living(session, patient_id) or patient_id
        store_sheets.insert_sheet(session, new, sheet, caller, at)
        self._look_for_duplicates(session, new)
        emit(session, contract.PatientRegistered(patient_id=new))
        return new

    def _look_for_duplicates(self, session: Session, patient_id: str) -> None:
        """Compares a sheet just written with those it may be one person with, and notes the pairs for an agent.

        A pair once told apart stays so; an open one that is no longer alike goes. `compared_at` stays: two sheets
        written at the same moment do not see each other, the nightly scan (`duplicates_scan.py`) does.
        """
        sheet = store_duplicates.sheet_to_compare(session, patient_id)
        if sheet is None:
            return
        sought = rules_search.reading_of(sheet)
        candidates = store_duplicates.candidates(session, patient_id, search_keys(sought))
        found = rated(sought, candidates, rules_duplicates.LEAST)
        store_duplicates.note(session, patient_id, rules_duplicates.pairs(patient_id, found), now())
