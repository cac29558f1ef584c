"""The search for patients: by matricule, or by name and birth; traced and counted, and it never lists people."""

from datetime import datetime

from services.audit.contract import traced
from services.bus import rpc, values_to_emit
from services.db import now
from services.directory import contract, rules, rules_search, store_search
from services.directory.comparing import rated
from services.directory.desk import Desk
from services.directory.rules_blocking import search_keys
from services.directory.rules_search import Sought
from services.directory.store_search import Counted
from services.refusals import NotAllowed, Refusal, TooManyTries
from services.tokens import Caller

SEARCHED = "patient.searched"


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
        if not rules.may_search_patients(caller.capacity, "valid"):
            with self.db.transaction(caller) as session:
                return self._refused(session, caller, SEARCHED, NotAllowed())
        return self._by_matricule(caller, sought) if sought.is_whole_matricule else self._by_likeness(caller, sought)

    def _by_matricule(self, caller: Caller, sought: Sought) -> contract.PatientsFound | Refusal:
        """Who has this very matricule, counted, found and traced in one word: nearly every visit begins with it."""
        at = now()
        with self.db.one_word(caller) as session:
            counted = store_search.count_and_find(
                session, *_counter(caller, sought, at), sought.matricule or "",
                values_to_emit(session, traced(caller, SEARCHED, at=at, object_type="patient")),
                rules.licences_to_search_with(caller.capacity), rules_search.most(sought.kind, _is_software(caller)),
            )  # fmt: skip
        if not counted.told:  # nobody has an answer that left no trace
            with self.db.transaction(caller) as session:
                refusal = _refusal(caller, sought, counted, at) or NotAllowed()
                return self._refused(session, caller, SEARCHED, refusal)
        return {"patients": list(counted.found), "more": False}

    def _by_likeness(self, caller: Caller, sought: Sought) -> contract.PatientsFound | Refusal:
        """Who has a matricule that begins so, or a name and birth like these."""
        at = now()
        with self.db.transaction(caller) as session:
            counted = store_search.count_search(session, *_counter(caller, sought, at))
            refusal = _refusal(caller, sought, counted, at)
            if refusal is not None:
                return self._refused(session, caller, SEARCHED, refusal)
            if sought.reading is None:
                found = store_search.patients_by_beginning(session, sought.matricule or "")
            else:
                candidates = store_search.candidates(session, search_keys(sought.reading))
                found = store_search.patients_by_id(session, rules_search.looked_at(rated(sought.reading, candidates)))
            patients, more = rules_search.shown(found)
            only = patients[0]["patient_id"] if len(patients) == 1 else None
            self._traced(session, caller, SEARCHED, only, count=len(patients))
        return {"patients": patients, "more": more}


def _counter(caller: Caller, sought: Sought, at: datetime) -> tuple[str, datetime, str | None]:
    """What this search counts against: whose searches of which kind, since when, and whose licence."""
    return f"{sought.kind} {caller.acts_as}", rules_search.stretch_of(at), caller.professional_id


def _refusal(caller: Caller, sought: Sought, counted: Counted, at: datetime) -> Refusal | None:
    if not rules.may_search_patients(caller.capacity, counted.licence):
        return NotAllowed()
    if not rules_search.may_ask(sought.kind, _is_software(caller), counted.searches):
        return TooManyTries(retry_after=rules_search.wait(at))
    return None


def _is_software(caller: Caller) -> bool:
    return caller.client_id is not None
