"""Patients: identity sheets and matricules, as agents register them and other services ask for them."""

from typing import Any, cast

from services.bus import rpc, rpc_system
from services.db import day_of, now, once, remember
from services.directory import (
    contract,
    rules,
    rules_sheets,
    store,
    store_patients,
    store_professionals,
    store_sheets,
)
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context


class Patients(Desk):
    """The entrypoints of identity sheets."""

    @rpc
    def register_patient(
        self, caller: Caller, *, birth_name: str, first_names: str, sex: str, birth_date: str, language: str,
        address: dict[str, str], matricule: str | None = None, usual_name: str | None = None,
        birth_date_evidence: str | None = None, birth_place: str | None = None, birth_commune: str | None = None,
        birth_postal_code: str | None = None, birth_country: str | None = None, marital_status: str | None = None,
        mobile: str | None = None, phone: str | None = None, email: str | None = None,
        addresses: list[dict[str, str]] | None = None, identifiers: list[dict[str, str]] | None = None,
    ) -> dict[str, str] | Refusal:  # fmt: skip
        """Gives a patient an identity sheet, or finds the one that this matricule and these names already have.

        An existing sheet stays as it is, whatever else is said of the person here. A birth date other than the
        matricule's is accepted and flagged for an identity check. Who has no matricule is not recognised by one: two
        registrations are two sheets, which the search for duplicates shows side by side.
        Refuses: NotAllowed (no agent), InvalidInput, PatientExists (the matricule is somebody else's), IdentifierTaken.
        [domain, Matricule; seed 002]
        """
        given: dict[str, Any] = {
            "matricule": matricule, "birth_name": birth_name, "usual_name": usual_name, "first_names": first_names,
            "sex": sex, "birth_date": birth_date, "birth_date_evidence": birth_date_evidence,
            "birth_place": birth_place, "birth_commune": birth_commune, "birth_postal_code": birth_postal_code,
            "birth_country": birth_country, "marital_status": marital_status, "mobile": mobile, "phone": phone,
            "email": email, "language": language, "address": address, "addresses": addresses,
            "identifiers": identifiers,
        }  # fmt: skip
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "patient.registered", NotAllowed())
            answered: dict[str, str] | None = once(session, caller, "register_patient", given)
            if answered:
                return answered
            at = now()
            try:
                with session.begin_nested():
                    sheet = rules_sheets.require_patient_sheet(given, day_of(at))
                    patient_id = self._registered(session, caller, sheet, at)
            except contract.PatientExists as refusal:
                whose, _ = store.person_of_matricule(session, sheet.matricule or "")
                return self._refused(session, caller, "patient.registered", refusal, whose)
            except contract.IdentifierTaken as refusal:
                return self._refused(session, caller, "patient.registered", refusal)
            self._traced(session, caller, "patient.registered", patient_id)
            return cast(
                dict[str, str], remember(session, caller, "register_patient", given, {"patient_id": patient_id})
            )

    @rpc_system("identity")
    def person_of_matricule(self, context: Context, *, matricule: str) -> contract.PersonOfMatricule:
        """Who a present or former matricule stands for; nulls for nobody, and for what is no matricule at all.

        Eleven digits are the beginning of one: looked up, and nobody's when two begin with them. `matricule` is the
        one that the patient has today, which may be another than was asked for. [domain, Matricule]
        """
        digits = rules.normalise_matricule(matricule)
        with self.db.transaction() as session:
            whole = store.whole_matricule(session, digits) if rules.is_beginning(digits) else digits
            patient_id, professional_id = store.person_of_matricule(session, whole or "")
            facts = store_professionals.capacity_facts(session, professional_id)
            today = store_sheets.current_matricule(session, patient_id)
        known = patient_id is not None or professional_id is not None
        return {
            "matricule": (today or whole) if known else None,
            "patient_id": patient_id,
            "professional_id": professional_id,
            **facts,
        }

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

    @rpc_system("identity")
    def current_matricule(self, context: Context, *, patient_id: str) -> dict[str, str | None]:
        """The matricule that a patient logs in with today; null for nobody, and for who has none.

        Of this very sheet, merged or not: a log-in name is its account's own. [domain, Matricule]
        """
        with self.db.transaction() as session:
            return {"matricule": store_sheets.current_matricule(session, rules.as_id(patient_id))}
