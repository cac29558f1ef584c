"""What the dossier service says to the others: its name, its events, its refusals and the shape of an access scope.

The words are those of the grand-ducal regulation on the shared care record (RGD) as named in the project's
dictionary: a record has a *holder*, a *ground* lets somebody in, a *clause* says what one ground gives. This is
the only file of this service that others import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict

from services.refusals import Refusal

NAME = "dossier"

CALLS: tuple[str, ...] = ()

SUBSCRIPTIONS: dict[tuple[str, str], str] = {
    ("identity", "account_activated.v1"): "on_account_activated",
    ("directory", "professional_updated.v1"): "on_professional_updated",
    ("directory", "record_openings_due.v1"): "on_record_openings_due",
    ("directory", "patients_merged.v1"): "on_patients_merged",
    ("directory", "patients_unmerged.v1"): "on_patients_unmerged",
}

# --- the words of the decisions -----------------------------------------------------------------------------

LEVELS: tuple[str, ...] = ("standard", "confidential", "private")

# The strongest first: when several grounds let somebody in, the first of this order is named.
GROUNDS: tuple[str, ...] = (
    "holder",
    "legal_representative",
    "assistant",
    "author",
    "referring_physician",
    "circle",
    "presence",
    "admission",
    "hospital_emergency",
    "order",
    "responsibility",
    "emergency",
)

# RGD Annex 1, in its order.
CATEGORIES: tuple[str, ...] = (
    "personal_expression",
    "summaries",
    "history",
    "allergies",
    "devices",
    "care_reports",
    "certificates",
    "imaging",
    "laboratory",
    "dispensation",
    "care_assessments",
    "prescriptions",
    "prevention",
    "socio_educational",
    "social_environment",
    "legal_protection",
    "social_coverage",
    "education",
    "access_traces",
)

# The columns of the matrix. `referring_physician` is the column of a physician who holds that ground, not a
# profession of its own.
PROFESSIONS: tuple[str, ...] = (
    "physician",
    "referring_physician",
    "pharmacist",
    "nurse",
    "allied_health",
    "midwife",
    "laboratory_technician",
    "radiology_technologist",
    "care_assistant",
    "social_worker",
    "medical_biologist",
)

STATES: tuple[str, ...] = ("requested", "open", "open_by_lapse", "active", "closed", "deleted")

# Matches no document ever written. A professional who may not even read what they wrote (closed record, licence
# not valid) gets this author id in place of their own, so that the asking service does the same work as for a
# record that does not exist.
NOBODY = "00000000-0000-0000-0000-000000000000"

# The sentence a professional accepts with the presence code, by version; the version is kept with the mandate.
DECLARATION_WORDINGS: dict[str, str] = {
    "presence-2026-1": "Le patient (ou son représentant légal) m'a autorisé à accéder à son dossier.",
}


@dataclass(frozen=True)
class Clause:
    """What one ground gives: these categories, at these levels, to read and to deposit; folders None = any folder."""

    ground: str
    rule: str
    read: tuple[str, ...]
    deposit: tuple[str, ...]
    folders: tuple[str, ...] | None
    levels: tuple[str, ...]

    def to_wire(self) -> dict[str, Any]:
        return {
            "ground": self.ground,
            "rule": self.rule,
            "read": list(self.read),
            "deposit": list(self.deposit),
            "folders": None if self.folders is None else list(self.folders),
            "levels": list(self.levels),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Clause:
        folders = wire["folders"]
        return cls(
            ground=wire["ground"],
            rule=wire["rule"],
            read=tuple(wire["read"]),
            deposit=tuple(wire["deposit"]),
            folders=None if folders is None else tuple(folders),
            levels=tuple(wire["levels"]),
        )


@dataclass(frozen=True)
class AccessScope:
    """What one caller may do in one record, now.

    A document may be read when one clause holds its category in `read` and its level in `levels` (and its folder,
    when `folders` is given), or when `author_id` wrote it, whatever its level. Clauses are never merged: a union
    of categories times a union of levels would grant too much. The first clause that lets an item through is the
    one a trace names; for the author, ground `author`, rule `author/own`. An empty scope looks the same for an
    unknown record, a closed one, a block and the lack of a ground.
    """

    record_id: str
    patient_id: str | None
    state: str | None
    holder_side: bool
    may_see_blocked: bool
    author_id: str | None
    clauses: tuple[Clause, ...]
    deposit_by_author: bool = False

    def reading_clause(self, category: str, level: str) -> Clause | None:
        """The first clause that lets this caller read a document of this category and level."""
        for clause in self.clauses:
            if category in clause.read and level in clause.levels:
                return clause
        return None

    def to_wire(self) -> dict[str, Any]:
        return {
            "record_id": self.record_id,
            "patient_id": self.patient_id,
            "state": self.state,
            "holder_side": self.holder_side,
            "may_see_blocked": self.may_see_blocked,
            "author_id": self.author_id,
            "deposit_by_author": self.deposit_by_author,
            "clauses": [clause.to_wire() for clause in self.clauses],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> AccessScope:
        return cls(
            record_id=wire["record_id"],
            patient_id=wire["patient_id"],
            state=wire["state"],
            holder_side=wire["holder_side"],
            may_see_blocked=wire["may_see_blocked"],
            author_id=wire["author_id"],
            clauses=tuple(Clause.from_wire(clause) for clause in wire["clauses"]),
            deposit_by_author=wire["deposit_by_author"],
        )


AUTHOR_RULE = "author/own"

# --- events -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RecordOpened:
    """A record was opened; the letter to its holder may be printed (RGD 2).

    requested_at: RFC 3339, since when it was due: the affiliation or the request; null where an agent just opened it.
    """

    type: ClassVar[str] = "record_opened.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    requested_at: str | None = None


@dataclass(frozen=True)
class RecordStateChanged:
    """A record passed to another state of its life cycle (RGD 2-4)."""

    type: ClassVar[str] = "record_state_changed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    state: str
    cause: str


@dataclass(frozen=True)
class RecordsMerged:
    """A record leads to another one of the same person: what lies in it is found there from now on.

    merge_id: directory's merge of the two patients. patient_id: who speaks for both. version: of this record's moves,
    of which the highest is the truth in whatever order they arrive; merged once more, it leads to another record.
    """

    type: ClassVar[str] = "records_merged.v1"
    subject: ClassVar[str | None] = "merged_record_id"

    merge_id: str
    record_id: str
    merged_record_id: str
    patient_id: str
    version: int


@dataclass(frozen=True)
class RecordsUnmerged:
    """A record leads to no other one any more: what was moved out of it is found in it again.

    merge_id: the merge that was undone. patient_id: whose record it is. version: as in RecordsMerged.
    """

    type: ClassVar[str] = "records_unmerged.v1"
    subject: ClassVar[str | None] = "merged_record_id"

    merge_id: str
    record_id: str
    merged_record_id: str
    patient_id: str
    version: int


@dataclass(frozen=True)
class RecordFirstAccessedBy:
    """A professional has a ground in this record for the first time: its holder is told [RGD 3(3)]."""

    type: ClassVar[str] = "record_first_accessed_by.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    professional_id: str
    ground: str
    at: str


@dataclass(frozen=True)
class MandateOpened:
    """A professional got a time-limited ground in a record."""

    type: ClassVar[str] = "mandate_opened.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    mandate_id: str
    professional_id: str
    kind: str


@dataclass(frozen=True)
class MandateEnded:
    """A mandate was ended before its term."""

    type: ClassVar[str] = "mandate_ended.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    mandate_id: str
    professional_id: str
    kind: str


@dataclass(frozen=True)
class CircleMemberAdded:
    """The holder added a professional to the circle of trust."""

    type: ClassVar[str] = "circle_member_added.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    professional_id: str


@dataclass(frozen=True)
class CircleMemberRemoved:
    """The holder removed a professional from the circle of trust."""

    type: ClassVar[str] = "circle_member_removed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    professional_id: str


@dataclass(frozen=True)
class PresenceCodeTried:
    """Somebody entered a presence code that opened nothing; the holder may be told."""

    type: ClassVar[str] = "presence_code_tried.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    professional_id: str
    at: str


# --- refusals -----------------------------------------------------------------------------------------------


class RecordNotFound(Refusal):
    """No such record for this caller: unknown, closed, blocked and without a ground are one answer."""

    code = "record_not_found"


class RecordClosed(Refusal):
    """The holder's own record is closed: its state may be seen, nothing else. Only the holder side gets this."""

    code = "record_closed"


class PresenceCodeRefused(Refusal):
    """The presence code opened nothing; wrong code, unknown or closed record, blocked professional: one answer."""

    code = "presence_code_refused"


class MandateNotFound(Refusal):
    """The holder's record has no such mandate."""

    code = "mandate_not_found"


class ProfessionalNotFound(Refusal):
    """No professional of the directory has this id."""

    code = "professional_not_found"


class CircleMemberNotFound(Refusal):
    """This professional is not in the circle of trust."""

    code = "circle_member_not_found"


# --- shapes on the wire -------------------------------------------------------------------------------------


class Stay(TypedDict):
    """An admission that runs: since when, and until when it gives access."""

    since: str
    until: str


class RecordFacts(TypedDict):
    """What an identity sheet shows of a record; `cause`: of the last step in its life [RGD 2-4]."""

    record_id: str
    record_number: int
    state: str
    since: str
    cause: str | None


class FoundRecord(TypedDict):
    """What a search for patients says of a record; `actions`: what the reader may do next with the patient.

    admissions: those that run at the reader's own establishment. record_id, record_number: null where it is not said
    whether there is a record.
    """

    record_id: str | None
    accessible: bool
    record_number: int | None
    actions: list[str]
    admissions: list[Stay]


FINDING_ACTIONS: tuple[str, ...] = (
    "read_record", "enter_presence_code", "read_sheet", "change_sheet", "merge", "open_record",
)  # fmt: skip
"""What may be done next with a patient who was found."""
