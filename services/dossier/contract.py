"""What the dossier service says to the others: its name, its events, its refusals and the shape of an access scope.

The words are those of the grand-ducal regulation on the shared care record (RGD) as named in the project's
dictionary: a record has a *holder*, a *ground* lets somebody in, a *clause* says what one ground gives. This is
the only file of this service that others import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypedDict

from services.dossier.contract_care import DESIGNATION_ENDS as DESIGNATION_ENDS
from services.dossier.contract_care import DESIGNATION_STATES as DESIGNATION_STATES
from services.dossier.contract_care import FEED_LINES as FEED_LINES
from services.dossier.contract_care import FEED_OUTCOMES as FEED_OUTCOMES
from services.dossier.contract_care import PROPOSED_BY as PROPOSED_BY
from services.dossier.contract_care import AccessNarrowed as AccessNarrowed
from services.dossier.contract_care import BlockNotFound as BlockNotFound
from services.dossier.contract_care import DesignationNotFound as DesignationNotFound
from services.dossier.contract_care import DesignationNotSigned as DesignationNotSigned
from services.dossier.contract_care import DesignationOver as DesignationOver
from services.dossier.contract_care import DesignationPending as DesignationPending
from services.dossier.contract_care import LicenceStopsGrants as LicenceStopsGrants
from services.dossier.contract_care import NotAPhysician as NotAPhysician
from services.dossier.contract_care import PracticeChanged as PracticeChanged
from services.dossier.contract_care import ProfessionalBlocked as ProfessionalBlocked
from services.dossier.contract_care import ReferringPhysicianChanged as ReferringPhysicianChanged
from services.dossier.contract_care import ReferringPhysicianProposed as ReferringPhysicianProposed
from services.dossier.contract_correspondence import Correspondence as Correspondence
from services.dossier.contract_correspondence import Side as Side
from services.dossier.contract_correspondence import Sides as Sides
from services.dossier.contract_emergency import EMERGENCY_REASONS as EMERGENCY_REASONS
from services.dossier.contract_emergency import OWN_ACCESSES as OWN_ACCESSES
from services.dossier.contract_emergency import PRIVACY_OFFICER as PRIVACY_OFFICER
from services.dossier.contract_emergency import REASON_LENGTH as REASON_LENGTH
from services.dossier.contract_emergency import RESPONSIBILITY_CONDITIONS as RESPONSIBILITY_CONDITIONS
from services.dossier.contract_emergency import RESPONSIBILITY_WORDINGS as RESPONSIBILITY_WORDINGS
from services.dossier.contract_emergency import REVIEW_NOTE_LENGTH as REVIEW_NOTE_LENGTH
from services.dossier.contract_emergency import REVIEW_PAGE as REVIEW_PAGE
from services.dossier.contract_emergency import REVIEW_STATES as REVIEW_STATES
from services.dossier.contract_emergency import VERDICTS as VERDICTS
from services.dossier.contract_emergency import Counted as Counted
from services.dossier.contract_emergency import EmergencyAccessOpened as EmergencyAccessOpened
from services.dossier.contract_emergency import EmergencyRefused as EmergencyRefused
from services.dossier.contract_emergency import OwnAccessOpened as OwnAccessOpened
from services.dossier.contract_emergency import ProfessionalCounted as ProfessionalCounted
from services.dossier.contract_emergency import ResponsibilityAccessOpened as ResponsibilityAccessOpened
from services.dossier.contract_emergency import ResponsibilityRefused as ResponsibilityRefused
from services.dossier.contract_emergency import ReviewNotFound as ReviewNotFound
from services.dossier.contract_emergency import ReviewNotTaken as ReviewNotTaken
from services.dossier.contract_emergency import ReviewPage as ReviewPage
from services.dossier.contract_emergency import ReviewSettled as ReviewSettled
from services.dossier.contract_emergency import ReviewShown as ReviewShown
from services.dossier.contract_emergency import ReviewStatistics as ReviewStatistics
from services.dossier.contract_emergency import ReviewTaken as ReviewTaken
from services.dossier.contract_entourage import ASSISTANT_STATES as ASSISTANT_STATES
from services.dossier.contract_entourage import HOLDER_SIDE as HOLDER_SIDE
from services.dossier.contract_entourage import REPRESENTATIVE_KINDS as REPRESENTATIVE_KINDS
from services.dossier.contract_entourage import SETUP_STATES as SETUP_STATES
from services.dossier.contract_entourage import SETUP_STEPS as SETUP_STEPS
from services.dossier.contract_entourage import AlreadyRepresentative as AlreadyRepresentative
from services.dossier.contract_entourage import AssistantAccepted as AssistantAccepted
from services.dossier.contract_entourage import AssistantNotFound as AssistantNotFound
from services.dossier.contract_entourage import GrantEnded as GrantEnded
from services.dossier.contract_entourage import InvitationRefused as InvitationRefused
from services.dossier.contract_entourage import NotMinor as NotMinor
from services.dossier.contract_entourage import RepresentativeNotFound as RepresentativeNotFound
from services.dossier.contract_entourage import RepresentativeRecorded as RepresentativeRecorded
from services.dossier.contract_entourage import RepresentativeRefused as RepresentativeRefused
from services.dossier.contract_entourage import SetupStepNotFound as SetupStepNotFound
from services.dossier.contract_life import CLOSING_CAUSES as CLOSING_CAUSES
from services.dossier.contract_life import LIFE_PERIODS as LIFE_PERIODS
from services.dossier.contract_life import OPPOSITION_WAYS as OPPOSITION_WAYS
from services.dossier.contract_life import STATE_AUTHORS as STATE_AUTHORS
from services.dossier.contract_life import STATE_CAUSES as STATE_CAUSES
from services.dossier.contract_life import NotInThisState as NotInThisState
from services.dossier.contract_life import RecordState as RecordState
from services.dossier.contract_life import StateReached as StateReached
from services.dossier.contract_mandates import DECLARATION_WORDINGS as DECLARATION_WORDINGS
from services.dossier.contract_mandates import LIST_LIMIT as LIST_LIMIT
from services.dossier.contract_mandates import ORDER_KIND as ORDER_KIND
from services.dossier.contract_mandates import REFERENCE_LENGTH as REFERENCE_LENGTH
from services.dossier.contract_mandates import RESULT_CONSENT_WORDINGS as RESULT_CONSENT_WORDINGS
from services.dossier.contract_mandates import STAY_KINDS as STAY_KINDS
from services.dossier.contract_mandates import ListedPatient as ListedPatient
from services.dossier.contract_mandates import ListedPatients as ListedPatients
from services.dossier.contract_mandates import MandateEnded as MandateEnded
from services.dossier.contract_mandates import MandateEnding as MandateEnding
from services.dossier.contract_mandates import MandateNotFound as MandateNotFound
from services.dossier.contract_mandates import MandateOpened as MandateOpened
from services.dossier.contract_mandates import PresenceCodeRefused as PresenceCodeRefused
from services.dossier.contract_mandates import PresenceCodeRegenerated as PresenceCodeRegenerated
from services.dossier.contract_mandates import PresenceCodeTried as PresenceCodeTried
from services.dossier.contract_mandates import StayOver as StayOver
from services.dossier.contract_rights import DECISION_ACTIONS as DECISION_ACTIONS
from services.dossier.contract_rights import STEPS as STEPS
from services.dossier.contract_rights import AccessOption as AccessOption
from services.dossier.contract_rights import Explanation as Explanation
from services.dossier.contract_rights import GivenRight as GivenRight
from services.dossier.contract_rights import GroundedAt as GroundedAt
from services.dossier.contract_rights import OwnClause as OwnClause
from services.dossier.contract_rights import ReadableAt as ReadableAt
from services.dossier.contract_rights import ReadableThrough as ReadableThrough
from services.dossier.contract_rights import Reader as Reader
from services.dossier.contract_scope import AccessScope as AccessScope
from services.dossier.contract_scope import Clause as Clause
from services.dossier.contract_scope import DocumentFacts as DocumentFacts
from services.dossier.contract_settings import DECLARATIONS as DECLARATIONS
from services.dossier.contract_settings import FOLDER_PATTERN as FOLDER_PATTERN
from services.dossier.contract_settings import NOTE_LENGTH as NOTE_LENGTH
from services.dossier.contract_settings import RISK_WORDINGS as RISK_WORDINGS
from services.dossier.contract_settings import SETTINGS as SETTINGS
from services.dossier.contract_settings import Declaration as Declaration
from services.dossier.contract_settings import SettingShown as SettingShown
from services.dossier.contract_settings import SettingWord as SettingWord
from services.dossier.contract_timeline import MANDATE_EVENT as MANDATE_EVENT
from services.dossier.contract_timeline import STATE_EVENT as STATE_EVENT
from services.dossier.contract_timeline import TimelineEvent as TimelineEvent
from services.dossier.contract_timeline import TimelineFacts as TimelineFacts
from services.refusals import Refusal

NAME = "dossier"

CALLS: tuple[str, ...] = ()

SUBSCRIPTIONS: dict[tuple[str, str], str] = {
    ("identity", "account_activated.v1"): "on_account_activated",
    ("identity", "record_opposed.v1"): "on_record_opposed",
    ("directory", "professional_updated.v1"): "on_professional_updated",
    ("directory", "licence_withdrawn.v1"): "on_licence_withdrawn",
    ("directory", "record_openings_due.v1"): "on_record_openings_due",
    ("directory", "patient_came_of_age.v1"): "on_patient_came_of_age",
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
    patient_id: str | None = None


@dataclass(frozen=True)
class RecordHolderChanged:
    """A record is another patient's now: two were found to be one, or to be two after all. former_id: whose it was."""

    type: ClassVar[str] = "record_holder_changed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    former_id: str


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
    """A professional has a ground in this record for the first time: its holder is told [RGD 3(3)].

    first: whether nobody had one before them: of that the holder is told whatever they set; null where it is not known.
    """

    type: ClassVar[str] = "record_first_accessed_by.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    professional_id: str
    ground: str
    at: str
    first: bool | None = None


@dataclass(frozen=True)
class CircleMemberAdded:
    """The holder side added a professional to the circle of trust; `by`: the patient who did."""

    type: ClassVar[str] = "circle_member_added.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    professional_id: str
    by: str | None = None


@dataclass(frozen=True)
class CircleMemberRemoved:
    """The holder side removed a professional from the circle of trust; `by`: the patient who did."""

    type: ClassVar[str] = "circle_member_removed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    professional_id: str
    by: str | None = None


# --- refusals -----------------------------------------------------------------------------------------------


class RecordNotFound(Refusal):
    """No such record for this caller: unknown, closed, blocked and without a ground are one answer."""

    code = "record_not_found"


class RecordClosed(Refusal):
    """The holder's own record is closed: its state may be seen, nothing else. Only the holder side gets this."""

    code = "record_closed"


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


class RecordPeople(TypedDict):
    """Answer of `people_of`: the holder side of a record, as patients; the holder is null for an unknown record."""

    holder: str | None
    representatives: list[str]
    assistants: list[str]


class DocumentHearers(RecordPeople):
    """Of one document: those of the holder side who may read it, and professionals whose ground lasts.

    record_id: where the document is found now.
    """

    record_id: str
    professionals: list[str]


class HearersOfDocuments(TypedDict):
    """Answer of `hearers_of_documents`: in the order in which they were asked about."""

    hearers: list[DocumentHearers]


class RecordHolders(TypedDict):
    """Answer of `holders_of`: whose each record is; an unknown one is absent."""

    holders: dict[str, str]


HOLDERS_PAGE = 1000
"""How many records one page of `holders_of_records` has."""


class HoldersOfRecords(TypedDict):
    """Answer of `holders_of_records`; `next`: after which record the next page begins, null on the last one."""

    patient_ids: list[str]
    next: str | None


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
