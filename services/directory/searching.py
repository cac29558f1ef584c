"""The search for patients: by matricule, traced; it never lists people."""

from services.audit.contract import traced
from services.bus import emit, rpc
from services.db import now
from services.directory import (
    contract,
    rules,
    store_professionals,
    store_search,
)
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Searching(Desk):
    """The entrypoints of the search for patients."""

    @rpc(scope="system/Patient.rs")
    def search_patients(self, caller: Caller, *, matricule: str) -> dict[str, list[contract.FoundPatient]] | Refusal:
        """Finds the one patient who has this very matricule, or nobody; it never lists people.

        Each search leaves a trace that names who was found, never what was typed.
        Refuses: NotAllowed (neither an agent nor a professional with a valid licence), InvalidInput.
        [seed 000; domain, Directories]
        """
        with self.db.transaction(caller) as session:
            licence = (
                store_professionals.licence_of(session, caller.professional_id) if caller.professional_id else None
            )
            if not rules.may_search_patients(caller.capacity, licence):
                return self._refused(session, caller, "patient.searched", NotAllowed())
            patient = store_search.find_patient_by_matricule(session, rules.require_matricule(matricule))
            found = [patient] if patient else []
            patient_id = patient["patient_id"] if patient else None
            emit(
                session,
                traced(
                    caller, "patient.searched", at=now(), object_id=patient_id, object_type="patient", count=len(found)
                ),
            )
            return {"patients": found}
