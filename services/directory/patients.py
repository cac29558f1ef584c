"""Patients: identity sheets and matricules, as agents register them and other services ask for them."""

from services.bus import emit, rpc, rpc_system
from services.db import new_id, now, once, remember
from services.directory import (
    contract,
    rules,
    rules_sheets,
    store,
    store_patients,
    store_professionals,
)
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context


class Patients(Desk):
    """The entrypoints of identity sheets."""

    @rpc
    def register_patient(
        self,
        caller: Caller,
        *,
        matricule: str,
        birth_name: str,
        first_names: str,
        sex: str,
        birth_date: str,
        language: str,
        address: dict[str, str],
        usual_name: str | None = None,
    ) -> dict[str, str] | Refusal:
        """Gives a patient an identity sheet, or finds the one that this matricule and these names already have.

        An existing sheet stays as it is, whatever else is said of the person here. A birth date other than the
        matricule's is accepted and flagged for an identity check.
        Refuses: NotAllowed (no agent), InvalidInput, PatientExists (the matricule is somebody else's).
        [domain, Matricule; seed 002]
        """
        given = {
            "matricule": matricule, "birth_name": birth_name, "usual_name": usual_name, "first_names": first_names,
            "sex": sex, "birth_date": birth_date, "language": language, "address": address,
        }  # fmt: skip
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "patient.registered", NotAllowed())
            answered = once(session, caller, "register_patient", given)
            if answered:
                return answered
            at = now()
            sheet = rules_sheets.require_patient_sheet(given, at.date())
            new = new_id()
            patient_id = store.claim_matricule_for_patient(session, sheet.matricule, new, at)
            if patient_id == new:
                store_patients.insert_patient(session, new, sheet, caller, at)
                emit(session, contract.PatientRegistered(patient_id=new))
            elif not rules_sheets.is_patient(sheet, *store_patients.patient_identity(session, patient_id)):
                return self._refused(session, caller, "patient.registered", contract.PatientExists(), patient_id)
            self._traced(session, caller, "patient.registered", patient_id)
            return remember(session, caller, "register_patient", given, {"patient_id": patient_id})

    @rpc_system("identity")
    def person_of_matricule(self, context: Context, *, matricule: str) -> contract.PersonOfMatricule:
        """Who a present or former matricule stands for; nulls for nobody, and for what is no matricule at all.

        Eleven digits are the beginning of one: looked up, and nobody's when two begin with them.
        [domain, Matricule]
        """
        digits = rules.normalise_matricule(matricule)
        with self.db.transaction() as session:
            whole = store.whole_matricule(session, digits) if rules.is_beginning(digits) else digits
            patient_id, professional_id = store.person_of_matricule(session, whole or "")
            facts = store_professionals.capacity_facts(session, professional_id)
        known = patient_id is not None or professional_id is not None
        return {"matricule": whole if known else None, "patient_id": patient_id, "professional_id": professional_id,
                **facts}  # fmt: skip

    @rpc_system("identity")
    def person_sheet(
        self, context: Context, *, patient_id: str | None = None, professional_id: str | None = None
    ) -> contract.PersonSheet:
        """What a person confirms about themselves when they activate an account; never a matricule.

        Refuses: PersonNotFound. [seed 003, step 3]
        """
        with self.db.transaction() as session:
            sheet = (
                store_patients.sheet_of_patient(session, rules.as_id(patient_id))
                if patient_id is not None
                else store_professionals.sheet_of_professional(session, rules.as_id(professional_id))
            )
        if sheet is None:
            raise contract.PersonNotFound()
        return sheet
