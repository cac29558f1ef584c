"""Names and addresses by id, for who shows them or writes to people."""

from services.bus import rpc, rpc_system
from services.directory import (
    contract,
    rules,
    store_establishments,
    store_patients,
    store_professionals,
)
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context


class Names(Desk):
    """The entrypoints of names."""

    @rpc(scope="any")
    def names(
        self,
        caller: Caller,
        *,
        patient_ids: list[str] | None = None,
        professional_ids: list[str] | None = None,
        establishment_ids: list[str] | None = None,
    ) -> contract.Names:
        """The names to show for many ids, in one call; unknown ids are left out.

        Three statements at most, and two more where patients were merged: a merged one has the survivor's name.

        Refuses: InvalidInput (no list, more than 1000 ids of a kind).
        """
        patients = rules.require_ids("patient_ids", patient_ids or [])
        professionals = rules.require_ids("professional_ids", professional_ids or [])
        establishments = rules.require_ids("establishment_ids", establishment_ids or [])
        with self.db.transaction(caller) as session:
            return {
                "patients": store_patients.patient_names(session, patients),
                "professionals": store_professionals.professional_names(session, professionals),
                "establishments": store_establishments.establishment_names(session, establishments),
            }

    @rpc_system("documents")
    def names_of_professionals(self, context: Context, *, professional_ids: list[str]) -> dict[str, dict[str, str]]:
        """The names to show for many professionals, by which what they wrote is found; unknown ids are left out.

        Refuses: InvalidInput (no list, more than 1000 ids).
        """
        asked = rules.require_ids("professional_ids", professional_ids)
        with self.db.transaction() as session:
            found = store_professionals.professional_names(session, asked)
            return {"names": {professional_id: told["name"] for professional_id, told in found.items()}}

    @rpc(scope="system/Patient.rs")
    def birth_dates(self, caller: Caller, *, patient_ids: list[str]) -> dict[str, dict[str, str]] | Refusal:
        """The birth dates to show beside the names of many patients, in one call; unknown ids are left out.

        As the names, of ids that somebody was told already: the answer that told them leaves the trace. For those to
        whom `identify_patient` tells more. Refuses: NotAllowed (neither an agent nor a professional with a valid
        licence), InvalidInput (no list, more than 1000 ids).
        """
        asked = rules.require_ids("patient_ids", patient_ids)
        with self.db.transaction(caller) as session:
            professional_id = caller.professional_id
            licence = store_professionals.licence_of(session, professional_id) if professional_id else None
            if not rules.may_search_patients(caller.capacity, licence):
                return self._refused(session, caller, "patient.read", NotAllowed())
            return {"birth_dates": store_patients.birth_dates(session, asked)}

    @rpc_system("documents")
    def has_matricule(self, context: Context, *, patient_id: str, matricule: str) -> dict[str, bool]:
        """Whether this is a matricule that the patient has or had, or one that was merged into them; tells no other."""
        with self.db.transaction() as session:
            asked = rules.as_id(patient_id)
            found = asked is not None and store_patients.has_matricule(session, asked, matricule)
        return {"has": found}

    @rpc_system("documents")
    def establishment_kind(self, context: Context, *, establishment_id: str | None) -> dict[str, str | None]:
        """What an establishment is, None of one that nobody knows."""
        with self.db.transaction() as session:
            return {"kind": store_establishments.kind_of(session, rules.as_id(establishment_id))}

    @rpc_system("notifications")
    def ids_of_patient(self, context: Context, *, patient_id: str) -> dict[str, list[str]]:
        """Every id that stands for this patient: who speaks for them first, then whoever was merged; none of nobody."""
        with self.db.transaction() as session:
            asked = rules.as_id(patient_id)
            speaks = store_patients.living(session, asked) if asked else None
            return {"patient_ids": [] if speaks is None else store_patients.ids_led_to(session, speaks)}

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
                store_patients.letter_address_of_patient(session, rules.as_id(patient_id))
                if patient_id is not None
                else store_professionals.letter_address_of_professional(session, rules.as_id(professional_id))
            )
        if address is None:
            raise contract.PersonNotFound()
        return address
