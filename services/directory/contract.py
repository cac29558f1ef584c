"""What directory tells the house: who was registered, what a professional now is, and what its calls refuse."""

from dataclasses import dataclass, field
from typing import ClassVar, Final, TypedDict

from services.directory.contract_care import ESTABLISHMENT_CHANGES as ESTABLISHMENT_CHANGES
from services.directory.contract_care import PROFESSIONAL_CHANGES as PROFESSIONAL_CHANGES
from services.directory.contract_care import DatedWorkplace as DatedWorkplace
from services.directory.contract_care import EstablishmentClosed as EstablishmentClosed
from services.directory.contract_care import EstablishmentNotFound as EstablishmentNotFound
from services.directory.contract_care import EstablishmentRead as EstablishmentRead
from services.directory.contract_care import EstablishmentsFound as EstablishmentsFound
from services.directory.contract_care import FoundProfessional as FoundProfessional
from services.directory.contract_care import NamedEstablishment as NamedEstablishment
from services.directory.contract_care import NotedLicence as NotedLicence
from services.directory.contract_care import ProfessionalHistory as ProfessionalHistory
from services.directory.contract_care import ProfessionalRead as ProfessionalRead
from services.directory.contract_care import ProfessionalsFound as ProfessionalsFound
from services.directory.contract_merges import MERGE_REASONS as MERGE_REASONS
from services.directory.contract_merges import MERGES_LIMIT as MERGES_LIMIT
from services.directory.contract_merges import AlreadyMerged as AlreadyMerged
from services.directory.contract_merges import MergeNotFound as MergeNotFound
from services.directory.contract_merges import Merges as Merges
from services.directory.contract_merges import ShownMerge as ShownMerge
from services.directory.contract_openings import LAPSED as LAPSED
from services.directory.contract_openings import OPENING_DOCUMENTS as OPENING_DOCUMENTS
from services.directory.contract_openings import OPENING_REASONS as OPENING_REASONS
from services.directory.contract_openings import OPENING_STATEMENT as OPENING_STATEMENT
from services.directory.contract_openings import OPENING_STATEMENTS as OPENING_STATEMENTS
from services.directory.contract_openings import OPENING_STATES as OPENING_STATES
from services.directory.contract_openings import OPENINGS_LIMIT as OPENINGS_LIMIT
from services.directory.contract_openings import OpeningCheckDue as OpeningCheckDue
from services.directory.contract_openings import OpeningFollowed as OpeningFollowed
from services.directory.contract_openings import OpeningLine as OpeningLine
from services.directory.contract_openings import OpeningNotFound as OpeningNotFound
from services.directory.contract_openings import OpeningPage as OpeningPage
from services.directory.contract_openings import OpeningReceived as OpeningReceived
from services.directory.contract_openings import RequestDecided as RequestDecided
from services.directory.contract_search import ALERTS as ALERTS
from services.directory.contract_search import DUPLICATES_LIMIT as DUPLICATES_LIMIT
from services.directory.contract_search import SETTLEMENTS as SETTLEMENTS
from services.directory.contract_search import DuplicateNotFound as DuplicateNotFound
from services.directory.contract_search import PatientsFound as PatientsFound
from services.directory.contract_search import PossiblePair as PossiblePair
from services.directory.contract_search import PossiblePairs as PossiblePairs
from services.directory.contract_search import SearchedPatient as SearchedPatient
from services.directory.contract_search import Settled as Settled
from services.directory.contract_sheets import ADDRESS_USES as ADDRESS_USES
from services.directory.contract_sheets import CHANGES_LIMIT as CHANGES_LIMIT
from services.directory.contract_sheets import CHECK_DOCUMENTS as CHECK_DOCUMENTS
from services.directory.contract_sheets import EVIDENCES as EVIDENCES
from services.directory.contract_sheets import IDENTIFIER_SYSTEMS as IDENTIFIER_SYSTEMS
from services.directory.contract_sheets import MARITAL_STATUSES as MARITAL_STATUSES
from services.directory.contract_sheets import MATRICULE_CAUSES as MATRICULE_CAUSES
from services.directory.contract_sheets import MATRICULE_SYSTEM as MATRICULE_SYSTEM
from services.directory.contract_sheets import SEXES as SEXES
from services.directory.contract_sheets import Address as Address
from services.directory.contract_sheets import DatedIdentifier as DatedIdentifier
from services.directory.contract_sheets import FurtherAddress as FurtherAddress
from services.directory.contract_sheets import Identification as Identification
from services.directory.contract_sheets import Identifier as Identifier
from services.directory.contract_sheets import IdentifierTaken as IdentifierTaken
from services.directory.contract_sheets import Majority as Majority
from services.directory.contract_sheets import Sheet as Sheet
from services.directory.contract_sheets import SheetChange as SheetChange
from services.directory.contract_sheets import SheetChanges as SheetChanges
from services.directory.contract_sheets import SheetVersion as SheetVersion
from services.directory.contract_sheets import Written as Written
from services.refusals import Refusal

NAME: Final = "directory"

CALLS: tuple[str, ...] = ()
"""Directory calls no one (R7)."""

SUBSCRIPTIONS: dict[tuple[str, str], str] = {}
"""Directory owns its facts: it listens to nobody but identity's keys and ended sessions (plumbing)."""

PROFESSIONS: tuple[str, ...] = (
    "physician",
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
"""The matrix columns that are professions; `referring_physician` is a physician's ground in one record, not one."""

ESTABLISHMENT_KINDS: tuple[str, ...] = (
    "practice", "hospital", "laboratory", "pharmacy", "care_network", "health_fund",
)  # fmt: skip
LANGUAGES: tuple[str, ...] = ("fr", "lb", "pt", "en", "de")
LICENCES: tuple[str, ...] = ("valid", "suspended", "withdrawn")
OPENING_CAUSES: tuple[str, ...] = ("affiliation", "voluntary_request")

NAMES_LIMIT: Final = 1000
"""The most ids of one kind a single `names` call resolves."""


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PatientRegistered:
    """A patient got an identity sheet."""

    type: ClassVar[str] = "patient_registered.v1"
    subject: ClassVar[str | None] = "patient_id"

    patient_id: str


@dataclass(frozen=True)
class ProfessionalUpdated:
    """What a professional now is; the highest `version` is the truth, whatever order the events arrive in.

    emergency_establishment_ids: of establishment_ids, where they are attached to the emergency service. at: RFC 3339,
    since when they are that; null in what was told before it was said.
    """

    type: ClassVar[str] = "professional_updated.v1"
    subject: ClassVar[str | None] = "professional_id"

    professional_id: str
    profession: str
    licence: str
    establishment_ids: list[str]
    version: int
    emergency_establishment_ids: list[str] = field(default_factory=list)
    at: str | None = None


@dataclass(frozen=True)
class LicenceWithdrawn:
    """A professional may not practise any more, for now or for good: who works in their name stops.

    licence: suspended or withdrawn. at: RFC 3339, from when on; a session opened later is not meant by it.
    """

    type: ClassVar[str] = "licence_withdrawn.v1"
    subject: ClassVar[str | None] = "professional_id"

    professional_id: str
    licence: str
    at: str


@dataclass(frozen=True)
class PatientMatriculeChanged:
    """A patient has another matricule from now on; who needs it asks, by the id."""

    type: ClassVar[str] = "patient_matricule_changed.v1"
    subject: ClassVar[str | None] = "patient_id"

    patient_id: str


@dataclass(frozen=True)
class PatientCameOfAge:
    """A patient who was a minor by their sheet is none by the sheet as it was corrected: what ends at majority ends.

    Nobody is told of a birthday that was foreseen: whoever has something end then was told the moment.
    """

    type: ClassVar[str] = "patient_came_of_age.v1"
    subject: ClassVar[str | None] = "patient_id"

    patient_id: str


@dataclass(frozen=True)
class PatientsMerged:
    """Two patients were found to be one person: the survivor speaks for both, and both ids keep resolving.

    by: the agent's account.
    """

    type: ClassVar[str] = "patients_merged.v1"
    subject: ClassVar[str | None] = "survivor_id"

    merge_id: str
    survivor_id: str
    merged_id: str
    at: str
    by: str | None = None


@dataclass(frozen=True)
class PatientsUnmerged:
    """A merge was a mistake: the two patients are two again, each with what was theirs. by: the agent's account."""

    type: ClassVar[str] = "patients_unmerged.v1"
    subject: ClassVar[str | None] = "survivor_id"

    merge_id: str
    survivor_id: str
    merged_id: str
    at: str
    by: str | None = None


@dataclass(frozen=True)
class RecordOpeningsDue:
    """These patients are to have a record: newly affiliated, or at their own request [RGD 2; seed 002].

    requested_at: RFC 3339, when the affiliation was told or the request received: the letter goes out within 7 days.
    """

    type: ClassVar[str] = "record_openings_due.v1"
    subject: ClassVar[str | None] = None

    cause: str
    patient_ids: list[str]
    requested_at: str


@dataclass(frozen=True)
class PatientsLoaded:
    """These patients got an identity sheet by a load: told once per step of it instead of `PatientRegistered` each.

    A nation's load would be 1.2 million events that carry an id; in one event for some two thousand nothing is lost.
    """

    type: ClassVar[str] = "patients_loaded.v1"
    subject: ClassVar[str | None] = None

    load_id: str
    patient_ids: list[str]


EVENTS: tuple[type, ...] = (
    PatientRegistered,
    ProfessionalUpdated,
    LicenceWithdrawn,
    PatientMatriculeChanged,
    PatientCameOfAge,
    PatientsMerged,
    PatientsUnmerged,
    RecordOpeningsDue,
    PatientsLoaded,
)


# --- refusals ---------------------------------------------------------------------------------------------------------


class PatientExists(Refusal):
    """The matricule belongs to a patient of another identity: an agent must look at both."""

    code: ClassVar[str] = "patient_exists"


class ProfessionalExists(Refusal):
    """The matricule belongs to a professional of another identity: an agent must look at both."""

    code: ClassVar[str] = "professional_exists"


class PersonNotFound(Refusal):
    """No such patient or professional (asked by a system that should know better)."""

    code: ClassVar[str] = "person_not_found"


# --- shapes on the wire -----------------------------------------------------------------------------------------------


class NamedProfessional(TypedDict):
    """A professional as shown beside what they did."""

    name: str
    profession: str


class Names(TypedDict):
    """Display names by id; an unknown id is absent."""

    patients: dict[str, str]
    professionals: dict[str, NamedProfessional]
    establishments: dict[str, str]


class PersonOfMatricule(TypedDict):
    """Who a matricule stands for; all null when it stands for nobody.

    matricule: the whole one a patient has today, for whoever was asked for by a former one or by the first eleven
    digits; identity's log-in name follows from it.
    """

    matricule: str | None
    patient_id: str | None
    professional_id: str | None
    profession: str | None
    licence: str | None
    establishment_ids: list[str]


class CapacityFacts(TypedDict):
    """What identity puts into a token about a professional; null for a person who is none."""

    profession: str | None
    licence: str | None
    establishment_ids: list[str]


class PersonSheet(TypedDict):
    """Who a letter is addressed to, to be confirmed by them; null what the other kind of person has."""

    birth_name: str | None
    usual_name: str | None
    first_names: str | None
    birth_date: str | None
    sex: str | None
    family_name: str | None
    first_name: str | None
    profession: str | None
    workplaces: list[str] | None


class Alike(TypedDict):
    """Answer of `alike`: pairs of a professional and a patient, of those who were asked about; never a name."""

    same_surname: list[tuple[str, str]]
    same_person: list[tuple[str, str]]


class PatientsByCommune(TypedDict):
    """Answer of `patients_by_commune`: how many by commune, and `abroad` and `unknown`; who has nobody is left out."""

    communes: dict[str, int]


class LetterAddress(TypedDict):
    """Where and in which language a letter goes; never with a matricule."""

    name_lines: list[str]
    address_lines: list[str]
    language: str
