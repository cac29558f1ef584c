"""What directory tells the house: who was registered, what a professional now is, and what its calls refuse."""

from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict

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

ESTABLISHMENT_KINDS: tuple[str, ...] = ("practice", "hospital", "laboratory", "pharmacy", "care_network")
LANGUAGES: tuple[str, ...] = ("fr", "lb", "pt", "en", "de")
LICENCES: tuple[str, ...] = ("valid", "suspended", "withdrawn")
SEXES: tuple[str, ...] = ("F", "M", "X")
EVIDENCES: tuple[str, ...] = ("unknown", "declared", "identity_document", "civil_register", "provisional")
"""What a birth date rests on [seed 002, Etat de la date de naissance]; `provisional`: an estimate, to be replaced."""

MARITAL_STATUSES: tuple[str, ...] = ("single", "married", "partnership", "separated", "divorced", "widowed")
ADDRESS_USES: tuple[str, ...] = ("home", "temporary", "postal")
MATRICULE_CAUSES: tuple[str, ...] = ("correction", "adoption", "other")
OPENING_CAUSES: tuple[str, ...] = ("affiliation", "voluntary_request")

MATRICULE_SYSTEM: Final = "urn:oid:1.3.182.4.4"
IDENTIFIER_SYSTEMS: tuple[str, ...] = ("urn:dsp:federator", "urn:dsp:regional", "urn:dsp:local")
"""Numbers of a patient beside the matricule, which has the OID 1.3.182.4.4 [domain, Directories]."""

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
    """What a professional now is; the highest `version` is the truth, whatever order the events arrive in."""

    type: ClassVar[str] = "professional_updated.v1"
    subject: ClassVar[str | None] = "professional_id"

    professional_id: str
    profession: str
    licence: str
    establishment_ids: list[str]
    version: int


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
class PatientsMerged:
    """Two patients were found to be one person: the survivor speaks for both, and both ids keep resolving."""

    type: ClassVar[str] = "patients_merged.v1"
    subject: ClassVar[str | None] = "survivor_id"

    merge_id: str
    survivor_id: str
    merged_id: str
    at: str


@dataclass(frozen=True)
class PatientsUnmerged:
    """A merge was a mistake: the two patients are two again, each with what was theirs."""

    type: ClassVar[str] = "patients_unmerged.v1"
    subject: ClassVar[str | None] = "survivor_id"

    merge_id: str
    survivor_id: str
    merged_id: str
    at: str


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


EVENTS: tuple[type, ...] = (
    PatientRegistered,
    ProfessionalUpdated,
    LicenceWithdrawn,
    PatientMatriculeChanged,
    PatientsMerged,
    PatientsUnmerged,
    RecordOpeningsDue,
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


class Address(TypedDict):
    """A postal address; `country` is an ISO 3166 two-letter code."""

    line: str
    postal_code: str
    locality: str
    country: str


class FoundPatient(TypedDict):
    """One line of a patient search; an exact matricule is a match of 100 per cent."""

    patient_id: str
    birth_name: str
    usual_name: str | None
    first_names: str
    birth_date: str
    sex: str
    rate: int


class NamedEstablishment(TypedDict):
    """An establishment as shown beside a professional."""

    establishment_id: str
    name: str


class FoundProfessional(TypedDict):
    """One line of a professional search."""

    professional_id: str
    family_name: str
    first_name: str
    profession: str
    specialities: list[str]
    establishments: list[NamedEstablishment]


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

    matricule: all its digits, for who was asked for by the first eleven; identity's log-in name follows from them.
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


class LetterAddress(TypedDict):
    """Where and in which language a letter goes; never with a matricule."""

    name_lines: list[str]
    address_lines: list[str]
    language: str
