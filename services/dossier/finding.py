"""What directory's search for patients says of their records."""

from __future__ import annotations

from services.bus import Service, rpc
from services.db import now, rfc3339
from services.dossier import contract, rules, rules_finding, store_finding
from services.dossier.answers import invalid, refused, require_id
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

MANY = 100


class Finding(Service):
    """The entrypoint of the search for patients."""

    @rpc(scope="system/Patient.rs")
    def accessible_records(
        self, caller: Caller, *, patient_ids: list[str]
    ) -> dict[str, dict[str, contract.FoundRecord]] | Refusal:
        """Which of these patients have a record that professionals may be let into, and what the reader may do next.

        patient_ids: as directory finds them, so of patients who were merged the one who speaks for them.

        A professional gets a record's id and number only with `accessible`: closed, not yet open and missing look
        alike, and a block is the lack of a ground. Nobody is told of a first access: to be found is none. The search
        that found the patients is the request that is traced, by directory.

        Refuses: NotAllowed (professionals and agents only), InvalidInput.
        [seed 000: record state = accessible or not]
        """
        if not isinstance(patient_ids, list) or len(patient_ids) > MANY:
            raise invalid("/patient_ids", "list")
        asked, at = [require_id(patient_id, "/patient_ids") for patient_id in patient_ids], now()
        if not rules_finding.may_search(caller.capacity):
            with self.db.transaction(caller) as session:
                return refused(session, caller, "record.searched", at, None, NotAllowed())
        with self.db.reading(caller) as session:
            found = store_finding.records_found(session, caller, asked, at)
        answer = {patient_id: _without_record(caller.capacity) for patient_id in asked}
        for each in found:
            accessible = rules.may_be_found(tables_at(at), each.facts.state or "")
            scope = rules.scope(tables_at(at), each.facts, at) if caller.capacity == "professional" else None
            standing = rules_finding.standing(accessible, scope)
            told = rules_finding.shows_record(caller.capacity, accessible)
            answer[each.facts.patient_id or ""] = {
                "record_id": each.facts.record_id if told else None,
                "accessible": accessible,
                "record_number": each.record_number if told else None,
                "actions": list(rules_finding.ACTIONS[caller.capacity, standing]),
                "admissions": [{"since": rfc3339(since), "until": rfc3339(until)} for since, until in each.stays]
                if rules_finding.shows_stays(scope)
                else [],
            }
        return {"records": answer}


def _without_record(capacity: str) -> contract.FoundRecord:
    return {
        "record_id": None,
        "accessible": False,
        "record_number": None,
        "actions": list(rules_finding.ACTIONS[capacity, "no_record"]),
        "admissions": [],
    }
