"""The search for patients: by matricule, or by name and birth; traced and counted, and it never lists people."""

from datetime import datetime

from sqlalchemy.orm import Session

from services.bus import rpc
from services.db import now
from services.directory import contract, rules, rules_search, store_search
from services.directory.comparing import rated
from services.directory.desk import Desk
from services.directory.rules_blocking import search_keys
from services.directory.rules_search import Sought
from services.directory.store_search import Counted
from services.refusals import NotAllowed, Refusal, TooManyTries
from services.tokens import Caller


class Searching(Desk):
    """The entrypoints of the search for patients."""

    @rpc(scope="system/Patient.rs")
    def search_patients(
        self,
        caller: Caller,
        *,
        matricule: str | None = None,
        name: str | None = None,
        first_names: str | None = None,
        birth_date: str | None = None,
        sex: str | None = None,
    ) -> contract.PatientsFound | Refusal:
        """Finds who has this very matricule, or the ten who match a name, first names and a birth date best.

        matricule: thirteen digits, or the first eleven. name: of birth or in use. birth_date: YYYY-MM-DD, YYYY-MM or
        YYYY. Each search counts against an hourly limit and leaves a trace: who was found when it was one person,
        never what was typed.
        Refuses: NotAllowed (neither an agent nor a professional with a valid licence), InvalidInput, TooManyTries.
        [seed 000; domain, Directories]
        """
        sought = rules_search.require_search(
            {"matricule": matricule, "name": name, "first_names": first_names, "birth_date": birth_date, "sex": sex}
        )
        at = now()
        with self.db.transaction(caller) as session:
            if not rules.may_search_patients(caller.capacity, "valid"):
                return self._refused(session, caller, "patient.searched", NotAllowed())
            counted = self._counted(session, caller, sought, at)
            if not rules.may_search_patients(caller.capacity, counted.licence):
                return self._refused(session, caller, "patient.searched", NotAllowed())
            if not rules_search.may_ask(sought.kind, caller.client_id is not None, counted.searches):
                refusal = TooManyTries(retry_after=rules_search.wait(at))
                return self._refused(session, caller, "patient.searched", refusal)
            if counted.found is not None:
                found = counted.found
            elif sought.reading is None:
                found = store_search.patients_by_beginning(session, sought.matricule or "")
            else:
                candidates = store_search.candidates(session, search_keys(sought.reading))
                found = store_search.patients_by_id(session, rules_search.looked_at(rated(sought.reading, candidates)))
            patients, more = rules_search.shown(found)
            only = patients[0]["patient_id"] if len(patients) == 1 else None
            self._traced(session, caller, "patient.searched", only, count=len(patients))
        return {"patients": patients, "more": more}

    def _counted(self, session: Session, caller: Caller, sought: Sought, at: datetime) -> Counted:
        """One more search of the caller; who has a whole matricule is found with it, whether it may be told or not."""
        mine = f"{sought.kind} {caller.acts_as}", rules_search.stretch_of(at), caller.professional_id
        if sought.is_whole_matricule:
            return store_search.count_and_find(session, *mine, sought.matricule or "")
        return store_search.count_search(session, *mine)
