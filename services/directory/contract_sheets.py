"""What directory answers about identity sheets, and what the calls that change them refuse [seed 002, Fiche identité].

Calls of agents: `register_patient(...)`, `read_sheet(patient_id)`, `change_sheet(patient_id, version, changes)`,
`check_identity(patient_id, document)`, `change_matricule(patient_id, matricule, cause)`,
`sheet_changes(patient_id, limit, cursor)`. Of the patient: `read_sheet()` and `sheet_changes()`, their own. Of
professionals: `identify_patient(patient_id)`.
"""

from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

SEXES: tuple[str, ...] = ("F", "M", "X")
EVIDENCES: tuple[str, ...] = ("unknown", "declared", "identity_document", "civil_register", "provisional")
"""What a birth date rests on [seed 002, Etat de la date de naissance]; `provisional`: an estimate, to be replaced."""

MARITAL_STATUSES: tuple[str, ...] = ("single", "married", "partnership", "separated", "divorced", "widowed")
ADDRESS_USES: tuple[str, ...] = ("home", "temporary", "postal")
MATRICULE_CAUSES: tuple[str, ...] = ("correction", "adoption", "other")
CHECK_DOCUMENTS: dict[str, str] = {
    "identity_card": "identity_document",
    "passport": "identity_document",
    "residence_permit": "identity_document",
    "civil_register": "civil_register",
}
"""What an agent checks an identity against, and what the birth date rests on from then on."""

MATRICULE_SYSTEM: Final = "urn:oid:1.3.182.4.4"
IDENTIFIER_SYSTEMS: tuple[str, ...] = ("urn:dsp:federator", "urn:dsp:regional", "urn:dsp:local")
"""Numbers of a patient beside the matricule, which has the OID 1.3.182.4.4 [domain, Directories]."""

CHANGES_LIMIT: Final = 100
"""The most changes of a sheet that one page holds."""


class IdentifierTaken(Refusal):
    """Another patient has this number of this system: an agent must look at both."""

    code: ClassVar[str] = "identifier_taken"


class Address(TypedDict):
    """A postal address; `country` is an ISO 3166 two-letter code."""

    line: str
    postal_code: str
    locality: str
    country: str


class FurtherAddress(Address):
    """An address beside the registered one; letters go to the `postal` one where there is one."""

    use: str


class Identifier(TypedDict):
    """A number in another system."""

    system: str
    value: str


class DatedIdentifier(Identifier):
    """A number of the sheet, the matricule and former ones among them; `until` is null while it holds."""

    since: str
    until: str | None


class Identification(TypedDict):
    """Who a patient is, and no more: what a professional checks before anything else. version: of the sheet."""

    patient_id: str
    version: int
    matricule: str | None
    birth_name: str
    usual_name: str | None
    first_names: str
    sex: str
    birth_date: str
    birth_date_evidence: str
    birth_place: str | None
    birth_country: str | None


class Written(TypedDict):
    """When, by whom and with which software; account_id: null for a feed, and for the patient, who sees no names."""

    at: str
    by: str
    account_id: str | None
    software: str | None


class Sheet(Identification):
    """The whole identity sheet."""

    identifiers: list[DatedIdentifier]
    birth_commune: str | None
    birth_postal_code: str | None
    marital_status: str | None
    mobile: str | None
    phone: str | None
    email: str | None
    language: str
    address: Address
    addresses: list[FurtherAddress]
    identity_check_due: bool
    created: Written
    changed: Written | None


class SheetVersion(TypedDict):
    """A sheet after a change; the same version again when the change said nothing new."""

    patient_id: str
    version: int
    identity_check_due: bool


class SheetChange(Written):
    """One field that changed, as text; null where there was, or is, nothing."""

    field: str
    old: str | None
    new: str | None


class SheetChanges(TypedDict):
    """A page of the history of a sheet, newest first; `next_cursor` is null on the last one."""

    changes: list[SheetChange]
    next_cursor: str | None


class Majority(TypedDict):
    """Whether somebody is a minor, and when they come of age: null to whoever is told yes or no alone."""

    minor: bool
    majority_at: str | None
