"""Directory: who patients, professionals and establishments are.

Owns identity sheets, matricules with their history, professions, licences and workplaces, and the names to show for
ids. It never decides about records, knows no account and no record, and calls no one; a matricule leaves it in no
event, trace, letter or refusal.
"""

from sqlalchemy.orm import Session

from services.audit.contract import AccessTraced, traced
from services.bus import Service, emit, rpc, rpc_system
from services.db import new_id, now, once, remember, rfc3339
from services.directory import contract, rules, rules_sheets, store
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context


class Directory(Service):
    """The directories of patients, professionals and establishments."""

    name = contract.NAME

    # --- registering --------------------------------------------------------------------------------------------------

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
                return _refused(session, caller, "patient.registered", NotAllowed())
            answered = once(session, caller, "register_patient", given)
            if answered:
                return answered
            at = now()
            sheet = rules_sheets.require_patient_sheet(given, at.date())
            new = new_id()
            patient_id = store.claim_matricule_for_patient(session, sheet.matricule, new, at)
            if patient_id == new:
                store.insert_patient(session, new, sheet, caller, at)
                emit(session, contract.PatientRegistered(patient_id=new))
            elif not rules_sheets.is_patient(sheet, *store.patient_identity(session, patient_id)):
                return _refused(session, caller, "patient.registered", contract.PatientExists(), patient_id)
            emit(session, _registered(caller, "patient", patient_id))
            return remember(session, caller, "register_patient", given, {"patient_id": patient_id})

    @rpc
    def register_establishment(self, caller: Caller, *, name: str, kind: str) -> dict[str, str] | Refusal:
        """Registers an establishment.

        Names do not tell establishments apart, and sharing one by mistake would share what its professionals may
        read: only the Idempotency-Key makes a repeat harmless.
        Refuses: NotAllowed (no agent), InvalidInput. [domain, Directories]
        """
        given = {"name": name, "kind": kind}
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return _refused(session, caller, "establishment.registered", NotAllowed())
            answered = once(session, caller, "register_establishment", given)
            if answered:
                return answered
            sheet = rules_sheets.require_establishment_sheet(given)
            establishment_id = new_id()
            store.insert_establishment(session, establishment_id, sheet, caller, now())
            emit(session, _registered(caller, "establishment", establishment_id))
            return remember(session, caller, "register_establishment", given, {"establishment_id": establishment_id})

    @rpc
    def register_professional(
        self,
        caller: Caller,
        *,
        matricule: str,
        family_name: str,
        first_name: str,
        profession: str,
        language: str,
        specialities: list[str] | None = None,
        establishment_ids: list[str] | None = None,
        address: dict[str, str] | None = None,
    ) -> dict[str, str] | Refusal:
        """Registers a professional with a valid licence, or brings the entry of the one already there up to date.

        The sheet is the whole truth: workplaces it no longer names end now. The licence is never touched by it.
        Each change is a new version, told by event; saying the same again changes nothing and tells nobody.
        Refuses: NotAllowed (no agent), InvalidInput, ProfessionalExists (the matricule is somebody else's).
        [domain, Directories]
        """
        given = {
            "matricule": matricule, "family_name": family_name, "first_name": first_name, "profession": profession,
            "specialities": specialities, "establishment_ids": establishment_ids, "language": language,
            "address": address,
        }  # fmt: skip
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return _refused(session, caller, "professional.registered", NotAllowed())
            answered = once(session, caller, "register_professional", given)
            if answered:
                return answered
            sheet, at = rules_sheets.require_professional_sheet(given), now()
            rules_sheets.require_known_establishments(
                sheet.establishment_ids, store.known_establishments(session, sheet.establishment_ids)
            )
            new = new_id()
            professional_id = store.claim_matricule_for_professional(session, sheet.matricule, new, at)
            if professional_id == new:
                store.insert_professional(session, new, sheet, caller, at)
                emit(session, store.professional_updated(session, new))
            elif not rules_sheets.is_professional(sheet, *store.lock_professional(session, professional_id)):
                refusal = contract.ProfessionalExists()
                return _refused(session, caller, "professional.registered", refusal, professional_id)
            elif store.update_professional(session, professional_id, sheet, at):
                emit(session, store.professional_updated(session, professional_id))
            emit(session, _registered(caller, "professional", professional_id))
            return remember(session, caller, "register_professional", given, {"professional_id": professional_id})

    @rpc
    def set_licence(self, caller: Caller, *, professional_id: str, licence: str) -> dict[str, str] | Refusal:
        """Notes that a professional may, or may not any more, practise; the licence they have already is no change.

        A change is a new version, told by event; a licence suspended or withdrawn is told by an event of its own,
        upon which what runs in the professional's name ends.
        Refuses: NotAllowed (no agent), InvalidInput, PersonNotFound. [domain, Directories]
        """
        given = {"professional_id": professional_id, "licence": licence}
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return _refused(session, caller, "professional.changed", NotAllowed())
            wanted, asked = rules.require_licence(licence), rules.as_id(professional_id)
            answered = once(session, caller, "set_licence", given)
            if answered:
                return answered
            changed = store.set_licence(session, asked, wanted, now())
            at = now()  # nobody's wait for the row lies between this moment and the commit
            if changed is None or asked is None:
                return _refused(session, caller, "professional.changed", contract.PersonNotFound(), asked)
            if changed:
                emit(session, store.professional_updated(session, asked))
            if changed and wanted != "valid":
                emit(session, contract.LicenceWithdrawn(professional_id=asked, licence=wanted, at=rfc3339(at)))
            emit(session, traced(
                caller, "professional.changed", at=at, object_id=asked, object_type="professional", purpose=wanted,
            ))  # fmt: skip
            return remember(session, caller, "set_licence", given, {"professional_id": asked, "licence": wanted})

    # --- what identity asks -------------------------------------------------------------------------------------------

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
            facts = store.capacity_facts(session, professional_id)
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
                store.sheet_of_patient(session, rules.as_id(patient_id))
                if patient_id is not None
                else store.sheet_of_professional(session, rules.as_id(professional_id))
            )
        if sheet is None:
            raise contract.PersonNotFound()
        return sheet

    @rpc_system("identity")
    def capacity_facts(
        self, context: Context, *, patient_id: str | None = None, professional_id: str | None = None
    ) -> contract.CapacityFacts:
        """What a token says of a professional; nulls for a patient, and for nobody."""
        with self.db.transaction() as session:
            return store.capacity_facts(session, rules.as_id(professional_id))

    # --- searching ----------------------------------------------------------------------------------------------------

    @rpc(scope="system/Patient.rs")
    def search_patients(self, caller: Caller, *, matricule: str) -> dict[str, list[contract.FoundPatient]] | Refusal:
        """Finds the one patient who has this very matricule, or nobody; it never lists people.

        Each search leaves a trace that names who was found, never what was typed.
        Refuses: NotAllowed (neither an agent nor a professional with a valid licence), InvalidInput.
        [seed 000; domain, Directories]
        """
        with self.db.transaction(caller) as session:
            licence = store.licence_of(session, caller.professional_id) if caller.professional_id else None
            if not rules.may_search_patients(caller.capacity, licence):
                return _refused(session, caller, "patient.searched", NotAllowed())
            patient = store.find_patient_by_matricule(session, rules.require_matricule(matricule))
            found = [patient] if patient else []
            patient_id = patient["patient_id"] if patient else None
            emit(
                session,
                traced(
                    caller, "patient.searched", at=now(), object_id=patient_id, object_type="patient", count=len(found)
                ),
            )
            return {"patients": found}

    @rpc(scope="system/Practitioner.rs")
    def search_professionals(
        self, caller: Caller, *, query: str, limit: int = 20
    ) -> dict[str, list[contract.FoundProfessional]]:
        """Finds professionals by the beginnings of words of their name, speciality or profession (five languages).

        Accents and case do not count; matches of the name come first. Who has lost the licence for good is not found.
        Refuses: InvalidInput (fewer than 3 letters, limit beyond 50). [seed 000; domain, Directories]
        """
        words, most = rules.require_search_words(query), rules.require_limit(limit)
        with self.db.transaction(caller) as session:
            return {"professionals": store.search_professionals(session, words, most)}

    # --- names --------------------------------------------------------------------------------------------------------

    @rpc(scope="any")
    def names(
        self,
        caller: Caller,
        *,
        patient_ids: list[str] | None = None,
        professional_ids: list[str] | None = None,
        establishment_ids: list[str] | None = None,
    ) -> contract.Names:
        """The names to show for many ids, in one call and at most three statements; unknown ids are left out.

        Refuses: InvalidInput (no list, more than 1000 ids of a kind).
        """
        patients = rules.require_ids("patient_ids", patient_ids or [])
        professionals = rules.require_ids("professional_ids", professional_ids or [])
        establishments = rules.require_ids("establishment_ids", establishment_ids or [])
        with self.db.transaction(caller) as session:
            return {
                "patients": store.patient_names(session, patients),
                "professionals": store.professional_names(session, professionals),
                "establishments": store.establishment_names(session, establishments),
            }

    @rpc_system("notifications")
    def letter_address(
        self, context: Context, *, patient_id: str | None = None, professional_id: str | None = None
    ) -> contract.LetterAddress:
        """Where a letter to this person goes, and in which language; never with a matricule.

        A professional without an address of their own gets it at a workplace, by its name.
        Refuses: PersonNotFound. [RGD 3]
        """
        with self.db.transaction() as session:
            address = (
                store.letter_address_of_patient(session, rules.as_id(patient_id))
                if patient_id is not None
                else store.letter_address_of_professional(session, rules.as_id(professional_id))
            )
        if address is None:
            raise contract.PersonNotFound()
        return address


def _registered(caller: Caller, kind: str, object_id: str) -> AccessTraced:
    return traced(caller, f"{kind}.registered", at=now(), object_id=object_id, object_type=kind)


def _refused(session: Session, caller: Caller, action: str, refusal: Refusal, object_id: str | None = None) -> Refusal:
    """Leaves the trace of a refusal and hands the refusal back, to be returned so that the trace is committed."""
    kind = action.partition(".")[0]
    emit(
        session,
        traced(caller, action, at=now(), object_id=object_id, object_type=kind, outcome="refused", reason=refusal.code),
    )
    return refusal
