"""Whether a patient is a minor: asked where somebody begins to act for them, or they begin to decide themselves."""

from services.bus import rpc
from services.db import now, rfc3339
from services.directory import contract, rules, rules_majority, store_patients, store_professionals
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Majority(Desk):
    """The entrypoint of majority."""

    @rpc
    def majority_of(self, caller: Caller, *, patient_id: str) -> contract.Majority | Refusal:
        """Whether the patient is a minor now; to agents also when they come of age, to professionals yes or no alone.

        Refuses: NotAllowed (neither an agent nor a professional with a valid licence), PersonNotFound.
        [domain, Words; L14 13]
        """
        asked, at = rules.as_id(patient_id), now()
        with self.db.transaction(caller) as session:
            professional_id = caller.professional_id
            licence = store_professionals.licence_of(session, professional_id) if professional_id else None
            if not rules.may_search_patients(caller.capacity, licence):
                return self._refused(session, caller, "patient.read", NotAllowed())
            sheet = store_patients.living_sheet(session, asked)
            if sheet is None:
                return self._refused(session, caller, "patient.read", contract.PersonNotFound(), asked)
            self._traced(session, caller, "patient.read", sheet.patient_id, purpose="majority")
            comes = rules_majority.majority_at(sheet.birth_date)
            told = rfc3339(comes) if caller.capacity == "agent" else None
            return {"minor": at < comes, "majority_at": told}
