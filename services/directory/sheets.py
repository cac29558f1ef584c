"""Identity sheets as they are read, changed and checked, with their history [seed 002, Fiche identité].

Who reads what: an agent and the patient the whole sheet; a professional who they are, and no more. Contacts, addresses
and numbers of other systems are no business of whoever merely knows a patient's id: whether a professional has a
ground in the record is dossier's to say, and directory asks nobody.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy.orm import Session

from services.bus import emit, rpc
from services.db import day_of, now, once, remember
from services.directory import (
    contract,
    rules,
    rules_duplicates,
    rules_majority,
    rules_sheets,
    store_patients,
    store_professionals,
    store_sheets,
)
from services.directory.desk import Desk
from services.directory.rules_sheets import FieldChange, PatientSheet
from services.directory.store_sheets import StoredSheet
from services.refusals import ChangedMeanwhile, NotAllowed, Refusal
from services.tokens import Caller

Changed = contract.SheetVersion | Refusal


class Sheets(Desk):
    """The entrypoints of reading, changing and checking identity sheets."""

    # --- reading ------------------------------------------------------------------------------------------------------

    @rpc
    def read_sheet(self, caller: Caller, *, patient_id: str | None = None) -> contract.Sheet | Refusal:
        """The whole identity sheet that speaks for a patient: for an agent any, for a patient their own.

        patient_id: the caller's own when None. Which agent wrote it is told to agents alone.
        Refuses: NotAllowed (neither an agent nor a patient), PersonNotFound (another's, to a patient). [seed 002]
        """
        asked = rules.as_id(patient_id) if patient_id is not None else caller.patient_id
        with self.db.transaction(caller) as session:
            if not rules.may_read_sheets(caller.capacity):
                return self._refused(session, caller, "patient.read", NotAllowed())
            whose = self._readable(session, caller, asked)
            sheet = store_sheets.whole_sheet(session, whose, caller.capacity == "agent") if whose else None
            if sheet is None:
                return self._refused(session, caller, "patient.read", contract.PersonNotFound(), asked)
            self._traced(session, caller, "patient.read", sheet["patient_id"])
            return sheet

    @rpc(scope="system/Patient.rs")
    def identify_patient(self, caller: Caller, *, patient_id: str) -> contract.Identification | Refusal:
        """Who a patient is: names, sex, birth, matricule, what a search tells too. For professionals and agents.

        Contacts, addresses and other numbers are not told here, whatever ground the professional may have: that is
        for dossier to say. Refuses: NotAllowed (neither an agent nor a professional with a valid licence),
        PersonNotFound. [domain, Who may see what]
        """
        asked = rules.as_id(patient_id)
        with self.db.transaction(caller) as session:
            professional_id = caller.professional_id
            licence = store_professionals.licence_of(session, professional_id) if professional_id else None
            if not rules.may_search_patients(caller.capacity, licence):
                return self._refused(session, caller, "patient.read", NotAllowed())
            found = store_sheets.identification(session, asked) if asked else None
            if found is None:
                return self._refused(session, caller, "patient.read", contract.PersonNotFound(), asked)
            self._traced(session, caller, "patient.read", found["patient_id"])
            return found

    @rpc
    def sheet_changes(
        self, caller: Caller, *, patient_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> contract.SheetChanges | Refusal:
        """A page of what changed in an identity sheet, newest first: for an agent any, for a patient their own.

        patient_id: the caller's own when None. The patient sees that the agency or a feed did it, not who.
        Refuses: NotAllowed, PersonNotFound, InvalidInput (limit, cursor). [seed 002]
        """
        asked = rules.as_id(patient_id) if patient_id is not None else caller.patient_id
        most, after = rules_sheets.require_changes_limit(limit), rules_sheets.require_changes_cursor(cursor)
        with self.db.transaction(caller) as session:
            if not rules.may_read_sheets(caller.capacity):
                return self._refused(session, caller, "patient.read", NotAllowed())
            whose = self._readable(session, caller, asked)
            if whose is None:
                return self._refused(session, caller, "patient.read", contract.PersonNotFound(), asked)
            found = store_sheets.sheet_changes(session, whose, after, most + 1, caller.capacity == "agent")
            page = found[:most]
            self._traced(session, caller, "patient.read", whose, count=len(page))
        return {
            "changes": [change for _, change in page],
            "next_cursor": page[-1][0] if len(found) > most else None,
        }

    # --- changing -----------------------------------------------------------------------------------------------------

    @rpc
    def change_sheet(
        self, caller: Caller, *, patient_id: str, changes: dict[str, Any], version: int | None = None
    ) -> Changed:
        """Changes these fields of an identity sheet, each with its line in the history; the same again changes nothing.

        version: the one that was read; None takes the sheet as it is. changes: by field, null empties one;
        `addresses` and `identifiers` are whole lists. A birth date other than the matricule's is flagged.
        Refuses: NotAllowed (no agent), PersonNotFound, ChangedMeanwhile, IdentifierTaken, InvalidInput. [seed 002]
        """
        given = {"patient_id": patient_id, "changes": changes, "version": version}

        def change(session: Session, stored: StoredSheet, at: datetime) -> contract.SheetVersion:
            if version is not None and version != stored.version:
                raise ChangedMeanwhile()
            new = rules_sheets.require_changed_sheet(stored.sheet, changes, day_of(at))
            return self._written(session, caller, stored, new, at)

        return self._on_sheet(caller, "change_sheet", given, change)

    @rpc
    def check_identity(self, caller: Caller, *, patient_id: str, document: str) -> Changed:
        """Notes that an agent compared the sheet with a document: the birth date rests on it, no check is due any more.

        Refuses: NotAllowed (no agent), PersonNotFound, InvalidInput. [seed 002; domain, Matricule]
        """
        given = {"patient_id": patient_id, "document": document}

        def check(session: Session, stored: StoredSheet, at: datetime) -> contract.SheetVersion:
            evidence = rules_sheets.require_evidence(document)
            new = rules_sheets.checked(stored.sheet, evidence)
            return self._written(session, caller, stored, new, at, FieldChange("identity_check", None, document))

        return self._on_sheet(caller, "check_identity", given, check, action="identity.checked", purpose=document)

    @rpc
    def change_matricule(self, caller: Caller, *, patient_id: str, matricule: str, cause: str) -> Changed:
        """Gives a patient another matricule, or a first one; the former one stays theirs in the history for ever.

        The log-in name follows by event. The present one again changes nothing. Refuses: NotAllowed (no agent),
        PersonNotFound, PatientExists (another's, now or formerly), InvalidInput. [domain, Matricule]
        """
        given = {"patient_id": patient_id, "matricule": matricule, "cause": cause}

        def change(session: Session, stored: StoredSheet, at: datetime) -> contract.SheetVersion:
            wanted, why = rules.require_matricule(matricule), rules_sheets.require_matricule_cause(cause)
            if wanted == stored.sheet.matricule:
                return _version(stored)
            store_sheets.switch_matricule(session, stored.patient_id, wanted, why, at)
            emit(session, contract.PatientMatriculeChanged(patient_id=stored.patient_id))
            return self._written(session, caller, stored, rules_sheets.with_matricule(stored.sheet, wanted), at)

        return self._on_sheet(caller, "change_matricule", given, change, purpose=cause)

    # --- what they have in common -------------------------------------------------------------------------------------

    def _readable(self, session: Session, caller: Caller, asked: str | None) -> str | None:
        """The sheet that speaks for whom is asked about, when this caller may read it."""
        whose = store_patients.living(session, asked) if asked else None
        if caller.capacity == "agent" or whose is None or asked == caller.patient_id:
            return whose
        own = store_patients.living(session, caller.patient_id) if caller.patient_id else None
        return whose if own == whose else None

    def _on_sheet(
        self,
        caller: Caller,
        operation: str,
        given: Mapping[str, Any],
        step: Callable[[Session, StoredSheet, datetime], contract.SheetVersion],
        *,
        action: str = "patient.changed",
        purpose: str | None = None,
    ) -> Changed:
        """An agent's step on a held sheet, once per key, with its trace; what it refuses after a look undoes it."""
        asked = rules.as_id(given["patient_id"])
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, action, NotAllowed(), object_type="patient")
            answered: contract.SheetVersion | None = once(session, caller, operation, given)
            if answered:
                return answered
            stored = store_sheets.locked_sheet(session, asked) if asked else None
            if stored is None:
                refusal = contract.PersonNotFound()
                return self._refused(session, caller, action, refusal, asked, object_type="patient")
            try:
                with session.begin_nested():
                    answer = step(session, stored, now())
            except (ChangedMeanwhile, contract.PatientExists, contract.IdentifierTaken) as refusal:
                return self._refused(session, caller, action, refusal, stored.patient_id, object_type="patient")
            self._traced(session, caller, action, stored.patient_id, object_type="patient", purpose=purpose)
            return cast(contract.SheetVersion, remember(session, caller, operation, given, answer))

    def _written(
        self, session: Session, caller: Caller, stored: StoredSheet, new: PatientSheet, at: datetime,
        *also: FieldChange,
    ) -> contract.SheetVersion:  # fmt: skip
        changes = (*rules_sheets.changes_between(stored.sheet, new), *also)
        if not changes:
            return _version(stored)
        version = store_sheets.write_changes(session, stored, new, changes, caller, at)
        if rules_majority.came_of_age(stored.sheet.birth_date, new.birth_date, at):
            emit(session, contract.PatientCameOfAge(patient_id=stored.patient_id))
        if rules_duplicates.is_compared_by(change.field for change in changes):
            self._look_for_duplicates(session, stored.patient_id)
        return _version(StoredSheet(stored.patient_id, version, new))


def _version(stored: StoredSheet) -> contract.SheetVersion:
    return {
        "patient_id": stored.patient_id,
        "version": stored.version,
        "identity_check_due": stored.sheet.identity_check_due,
    }
