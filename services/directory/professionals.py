"""Professionals: who they are, where they work, whether they may practise; found from three letters on."""

from services.audit.contract import traced
from services.bus import emit, rpc, rpc_system
from services.db import new_id, now, once, remember, rfc3339
from services.directory import (
    contract,
    rules,
    rules_sheets,
    store,
    store_establishments,
    store_professionals,
)
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
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
            rules_sheets.require_known_establishments(
                sheet.establishment_ids, store_establishments.known_establishments(session, sheet.establishment_ids)
            )
            new = new_id()
            professional_id = store.claim_matricule_for_professional(session, sheet.matricule, new, at)
            if professional_id == new:
                store_professionals.insert_professional(session, new, sheet, caller, at)
                emit(session, store_professionals.professional_updated(session, new))
            elif not rules_sheets.is_professional(
                sheet, *store_professionals.lock_professional(session, professional_id)
            ):
                refusal = contract.ProfessionalExists()
                return self._refused(session, caller, "professional.registered", refusal, professional_id)
            elif store_professionals.update_professional(session, professional_id, sheet, at):
                emit(session, store_professionals.professional_updated(session, professional_id))
            self._traced(session, caller, "professional.registered", professional_id)
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
                return self._refused(session, caller, "professional.changed", NotAllowed())
            wanted, asked = rules.require_licence(licence), rules.as_id(professional_id)
            answered = once(session, caller, "set_licence", given)
            if answered:
                return answered
            changed = store_professionals.set_licence(session, asked, wanted, now())
            at = now()  # nobody's wait for the row lies between this moment and the commit
            if changed is None or asked is None:
                return self._refused(session, caller, "professional.changed", contract.PersonNotFound(), asked)
            if changed:
                emit(session, store_professionals.professional_updated(session, asked))
            if changed and wanted != "valid":
                emit(session, contract.LicenceWithdrawn(professional_id=asked, licence=wanted, at=rfc3339(at)))
            emit(session, traced(
                caller, "professional.changed", at=at, object_id=asked, object_type="professional", purpose=wanted,
            ))  # fmt: skip
            return remember(session, caller, "set_licence", given, {"professional_id": asked, "licence": wanted})

    @rpc_system("identity")
    def capacity_facts(
        self, context: Context, *, patient_id: str | None = None, professional_id: str | None = None
    ) -> contract.CapacityFacts:
        """What a token says of a professional; nulls for a patient, and for nobody."""
        with self.db.transaction() as session:
            return store_professionals.capacity_facts(session, rules.as_id(professional_id))

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
            return {"professionals": store_professionals.search_professionals(session, words, most)}
