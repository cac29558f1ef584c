"""Situations of callers, and the domain's tables written down once more: what the tests of dossier's rules stand on.

The tables of this file are its own statement of RGD Annex 1 and of the domain's tables, written down again and
not read from the service's files, so that a slip in either shows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.dossier import rules
from services.dossier.contract import AccessScope, DocumentFacts
from services.dossier.rules import Facts, Grant
from services.dossier.tables import tables_at

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TABLES = tables_at(NOW)
RECORD, PATIENT, PROFESSIONAL, SOMEBODY_ELSE = (f"0190aaaa-0000-7000-8000-00000000000{n}" for n in range(1, 5))

COLUMNS = [
    "physician", "referring_physician", "pharmacist", "nurse", "allied_health", "midwife",
    "laboratory_technician", "radiology_technologist", "care_assistant", "social_worker", "medical_biologist",
]  # fmt: skip

# RGD Annex 1. One character pair per column, in the order above: rw = read and deposit, r. = read, .. = nothing.
ANNEX_1 = {
    "personal_expression": "r. r. r. r. r. r. r. r. r. r. r.",
    "summaries":           "rw rw .. r. r. r. .. r. r. r. ..",
    "history":             "rw rw r. r. r. rw .. r. r. .. r.",
    "allergies":           "rw rw rw r. r. r. r. r. r. .. r.",
    "devices":             "rw rw .. r. r. r. .. r. r. .. r.",
    "care_reports":        "rw rw r. rw rw rw r. r. r. rw r.",
    "certificates":        "rw rw .. r. r. r. .. .. r. .. ..",
    "imaging":             "rw rw .. r. r. r. .. r. .. .. ..",
    "laboratory":          "rw rw r. r. r. r. r. r. r. .. rw",
    "dispensation":        "r. r. rw r. .. .. .. .. .. .. ..",
    "care_assessments":    "rw rw .. rw rw rw .. r. rw r. r.",
    "prescriptions":       "rw rw rw r. r. rw r. r. r. .. r.",
    "prevention":          "rw rw r. rw rw rw .. .. rw r. r.",
    "socio_educational":   "r. r. .. rw rw r. .. .. r. r. ..",
    "social_environment":  "r. r. .. rw rw rw .. .. r. rw ..",
    "legal_protection":    "r. r. .. r. r. rw .. .. r. rw ..",
    "social_coverage":     "r. r. r. r. rw r. r. .. r. rw r.",
    "education":           "rw rw r. rw rw rw .. .. rw .. ..",
    "access_traces":       ".. r. .. .. .. .. .. .. .. .. ..",
}  # fmt: skip

# Ground: which levels it reads (domain, "Who may see what"); of emergency, as the record's setting has it.
LEVELS_OF = {
    "holder": "standard confidential private",
    "legal_representative": "standard confidential private",
    "assistant": "standard confidential private",
    "author": "standard confidential private",
    "referring_physician": "standard confidential",
    "circle": "standard confidential",
    "presence": "standard",
    "admission": "standard",
    "hospital_emergency": "standard",
    "order": "",
    "responsibility": "standard",
    "emergency": "standard",
}
EMERGENCY_LEVELS = {"refused": "", "normal": "standard", "with_confidential": "standard confidential"}
HOLDER_SIDE = ("holder", "legal_representative", "assistant")
DEPOSITING = {"referring_physician", "circle", "presence", "admission", "hospital_emergency", "order"}
MATRIX_READING = {
    "referring_physician", "circle", "presence", "admission", "hospital_emergency", "responsibility", "emergency",
}  # fmt: skip
DECLARATIONS = ("holder_expression", "advance_directives", "organ_donation_statement")
# The folder each of these types lies in, and its category: enough of them to meet every folder and category that
# some ground treats in its own way.
TYPES = {
    "holder_expression": ("personal_data", "personal_expression"),
    "advance_directives": ("personal_data", "personal_expression"),
    "organ_donation_statement": ("personal_data", "personal_expression"),
    "patient_summary": ("summaries", "summaries"),
    "medical_report": ("medical_data", "care_reports"),
    "medical_surgical_history": ("medical_data", "history"),
    "laboratory_results": ("laboratory", "laboratory"),
    "drug_treatment": ("prescription", "prescriptions"),
    "preventive_treatment": ("vaccination", "prevention"),
    "drug_dispensation": ("dispensations", "dispensation"),
    "legal_protection": ("social_data", "legal_protection"),
}

CELLS = [
    (category, column, cell)
    for category, row in ANNEX_1.items()
    for column, cell in zip(COLUMNS, row.split(), strict=True)
]


def cell_of(category: str, column: str) -> str:
    return ANNEX_1[category].split()[COLUMNS.index(column)]


def grant(ground: str, *, since: timedelta = -timedelta(hours=1), until: timedelta | None = None) -> Grant:
    """A ground that has run for an hour, and goes on."""
    end = None if until is None else NOW + until
    return Grant(ground, NOW + since, end, end)


def presence(age: timedelta) -> Grant:
    """A presence mandate opened that long ago."""
    start = NOW - age
    return Grant("presence", start, start + timedelta(hours=24), start + timedelta(days=15))


def professional(*grants: Grant, profession: str | None = "physician", **changes: Any) -> Facts:
    """A licensed professional in an active record."""
    facts = Facts(
        record_id=RECORD, patient_id=PATIENT, state="active", capacity="professional", professional_id=PROFESSIONAL,
        profession=profession, claimed_profession=profession, licence="valid", grants=grants,
    )  # fmt: skip
    return replace(facts, **changes)


def holder(**changes: Any) -> Facts:
    """The patient, logged in as one, and their own active record."""
    facts = Facts(record_id=RECORD, patient_id=PATIENT, state="active", capacity="patient", own_patient_id=PATIENT)
    return replace(facts, **changes)


def person(ground: str, **changes: Any) -> Facts:
    """Somebody of the holder side by this ground alone, logged in as a patient."""
    if ground == "holder":
        return holder(**changes)
    kind = "parent" if ground == "legal_representative" else None
    held = Grant(ground, NOW - timedelta(hours=1), None, None, kind)
    return holder(**({"own_patient_id": SOMEBODY_ELSE, "grants": (held,)} | changes))


def reader(ground: str, **changes: Any) -> Facts:
    """Somebody who holds this ground alone; a physician where it is a professional's."""
    if ground in HOLDER_SIDE:
        return person(ground, **changes)
    return professional(**changes) if ground == "author" else professional(grant(ground), **changes)


def document(level: str = "standard", type: str = "drug_treatment", **changes: Any) -> DocumentFacts:
    """A document of a type, by somebody who is not here."""
    folder, category = TYPES[type]
    given: dict[str, Any] = {"category": category, "type": type, "folder": folder, "level": level}
    return DocumentFacts(**(given | {"author_id": SOMEBODY_ELSE} | changes))


def scope(facts: Facts, now: datetime = NOW) -> AccessScope:
    return rules.scope(TABLES, facts, now)


def reads(facts: Facts, shown: DocumentFacts) -> bool:
    return rules.grant_of_reading(scope(facts), shown) is not None


def deposits(facts: Facts, type: str) -> bool:
    folder, category = TYPES[type]
    return any(clause.deposits(category, type, folder) for clause in scope(facts).clauses)


def may_read(given_scope: AccessScope, category: str, level: str = "standard") -> bool:
    return given_scope.reading_clause(category, level) is not None


def may_deposit(given_scope: AccessScope, category: str) -> bool:
    return any(category in clause.deposit for clause in given_scope.clauses)
