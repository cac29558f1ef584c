"""Who is who, or may be kin: asked about accesses to records, and answered without a name."""

from services.bus import rpc_system
from services.directory import contract, rules_likeness, store_likeness
from services.directory.desk import Desk
from services.tokens import Context


class Likeness(Desk):
    """The entrypoint of the comparison."""

    @rpc_system("audit")
    def alike(self, context: Context, *, pairs: list[list[str]]) -> contract.Alike:
        """Of many pairs of a professional and a patient, those who share a surname, and those who are one person.

        One person: by a matricule that both have or had, or one that was merged into the patient. A surname is shared
        where they write it alike, or one word of a double name. Three statements, however many pairs.
        Refuses: InvalidInput (no list of pairs, more than 1000).
        """
        asked = rules_likeness.require_pairs(pairs)
        with self.db.transaction(context) as session:
            same = store_likeness.one_person(session, asked)
            of_professionals = store_likeness.names_of_professionals(session, {who for who, _ in asked})
            of_patients = store_likeness.names_of_patients(session, {whom for _, whom in asked})
        return {
            "same_surname": [
                (who, whom) for who, whom in asked
                if rules_likeness.share_surname(of_professionals.get(who, ()), of_patients.get(whom, ()))
            ],
            "same_person": [pair for pair in asked if pair in same],
        }  # fmt: skip
