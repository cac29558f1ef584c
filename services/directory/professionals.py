"""Professionals: who they are, what changes of them, and how they are found from three letters on."""

from typing import Any

from services.bus import emit, rpc, rpc_system
from services.db import new_id, now, once, remember
from services.directory import (
    contract,
    rules,
    rules_professionals,
    rules_sheets,
    store,
    store_establishments,
    store_professional_search,
    store_professionals,
)
from services.directory.desk import Desk
from services.refusals import ChangedMeanwhile, NotAllowed, Refusal
from services.tokens import Caller, Context


class Professionals(Desk):
    """The entrypoints of professionals."""

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
                return self._refused(session, caller, "professional.registered", NotAllowed())
            answered = once(session, caller, "register_professional", given)
            if answered:
                return answered
            sheet, at = rules_sheets.require_professional_sheet(given), now()
            there = store_establishments.hold_open_establishments(session, sheet.establishment_ids)
            rules_sheets.require_known_establishments(sheet.establishment_ids, there)
            new = new_id()
            professional_id = store.claim_matricule_for_professional(session, sheet.matricule, new, at)
            if professional_id == new:
                store_professionals.insert_professional(session, new, sheet, caller, at)
                told = store_professionals.updates(session, [new])
            else:
                professional = store_professionals.require_locked(session, professional_id)
                if not rules_sheets.is_professional(sheet, professional.family_name, professional.first_name):
                    refusal = contract.ProfessionalExists()
                    return self._refused(session, caller, "professional.registered", refusal, professional_id)
                at = store_professionals.moment_after(professional, now())
                changed = store_professionals.update_professional(session, professional, sheet, at)
                told = store_professionals.updates(session, [professional_id]) if changed else []
            for update in told:
                emit(session, update)
            self._traced(session, caller, "professional.registered", professional_id)
            return remember(session, caller, "register_professional", given, {"professional_id": professional_id})

    @rpc
    def change_professional(
        self, caller: Caller, *, professional_id: str, changes: dict[str, Any], version: int | None = None
    ) -> dict[str, Any] | Refusal:
        """Changes what is named of a professional: name, profession, specialities, language, address (null: none).

        version: the one that was read; None takes the entry as it is. A change is a new version, told by event; saying
        what is so already changes nothing and tells nobody.
        Refuses: NotAllowed (no agent), InvalidInput, PersonNotFound, ChangedMeanwhile. [domain, Directories]
        """
        given = {"professional_id": professional_id, "changes": changes, "version": version}
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "professional.changed", NotAllowed())
            answered = once(session, caller, "change_professional", given)
            if answered:
                return dict(answered)
            checked, asked = rules_professionals.require_professional_change(changes), rules.as_id(professional_id)
            professional = store_professionals.lock_professional(session, asked)
            if professional is None or asked is None:
                return self._refused(session, caller, "professional.changed", contract.PersonNotFound(), asked)
            if version is not None and version != professional.version:
                return self._refused(session, caller, "professional.changed", ChangedMeanwhile(), asked)
            at = store_professionals.moment_after(professional, now())
            if store_professionals.change_professional(professional, checked, at):
                for update in store_professionals.updates(session, [asked]):
                    emit(session, update)
            self._traced(session, caller, "professional.changed", asked)
            answer = {"professional_id": asked, "version": professional.version}
            return dict(remember(session, caller, "change_professional", given, answer))

    @rpc_system("identity")
    def capacity_facts(
        self, context: Context, *, patient_id: str | None = None, professional_id: str | None = None
    ) -> contract.CapacityFacts:
        """What a token says of a professional; nulls for a patient, and for nobody."""
        with self.db.transaction() as session:
            return store_professionals.capacity_facts(session, rules.as_id(professional_id))

    @rpc(scope="system/Practitioner.rs")
    def search_professionals(
        self,
        caller: Caller,
        *,
        query: str,
        profession: str | None = None,
        speciality: str | None = None,
        locality: str | None = None,
        establishment_id: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> contract.ProfessionalsFound:
        """Finds professionals by the beginnings of words of their name, speciality or profession (five languages).

        Accents, case and the spellings of an umlaut do not count; matches of the name come first. The rest narrows:
        locality and establishment_id to who works there now. Who has lost the licence for good is not found. No trace:
        the directory of professionals is open to all who are logged in, and each letter typed is a search.
        Refuses: InvalidInput (fewer than 3 letters, limit beyond 50, no such profession). [seed 000; domain,
        Directories]
        """
        sought = rules_professionals.require_search(
            query, limit, profession=profession, speciality=speciality, locality=locality,
            establishment_id=establishment_id, cursor=cursor,
        )  # fmt: skip
        with self.db.transaction(caller) as session:
            found = store_professional_search.search_professionals(session, sought)
        more = len(found) > sought.limit
        page = found[: sought.limit]
        return {"professionals": page, "next_cursor": page[-1]["professional_id"] if more else None}

    @rpc(scope="system/Practitioner.rs")
    def read_professional(self, caller: Caller, *, professional_id: str) -> contract.ProfessionalRead | Refusal:
        """One professional: names, profession, specialities, workplaces, licence; to agents with all that was before.

        Refuses: PersonNotFound (nobody, or to all but agents who has lost the licence for good). [domain, Directories]
        """
        asked = rules.as_id(professional_id)
        with self.db.transaction(caller) as session:
            found = store_professional_search.read_professional(session, asked, whole=caller.capacity == "agent")
            if found is None or not rules_professionals.may_see_professional(caller.capacity, found["licence"]):
                return self._refused(session, caller, "professional.read", contract.PersonNotFound(), asked)
            self._traced(session, caller, "professional.read", asked)
            return found
