"""The codes of the AuditEvents: which pattern of IHE BALP an action follows, which resource it is about, and the words
that DICOM, HL7 and we ourselves have for it. Made of the catalogue of actions; a new action needs no row in here unless
it is something else than its code there says.

Pure: no I/O, no clock.
"""

from dataclasses import dataclass
from typing import Final, Literal

from services.audit.rules_catalogue import CATALOGUE

PROFILE: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit"
DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"


@dataclass(frozen=True)
class Code:
    """A code of a system."""

    system: str
    code: str
    display: str | None = None

    def coding(self) -> dict[str, str]:
        """Returns it as FHIR's Coding."""
        said = {"system": self.system, "code": self.code}
        return said if self.display is None else {**said, "display": self.display}

    def concept(self) -> dict[str, list[dict[str, str]]]:
        """Returns it as FHIR's CodeableConcept."""
        return {"coding": [self.coding()]}

    def is_token(self, system: str | None, code: str) -> bool:
        """Returns whether a token of a search means it; no code is any code of the system."""
        return system in (None, self.system) and code in ("", self.code)


def HL7(name: str, code: str, display: str | None = None) -> Code:  # noqa: N802 (the name of who keeps the system)
    """Returns a code of HL7's terminology."""
    return Code(f"{TERMINOLOGY}/{name}", code, display)


def DCM(code: str, display: str | None = None) -> Code:  # noqa: N802
    """Returns a code of DICOM's controlled terminology."""
    return Code(DICOM, code, display)


def OWN(kind: str, code: str) -> Code:  # noqa: N802
    """Returns a word of ours; kind: action, capacity, profession or ground."""
    return Code(f"urn:dsp:{kind}", code)


def _rest(code: str) -> Code:
    return Code("http://hl7.org/fhir/restful-interaction", code, code)


REST: Final = HL7("audit-event-type", "rest", "RESTful Operation")
PERSON: Final = HL7("audit-entity-type", "1", "Person")
SYSTEM_OBJECT: Final = HL7("audit-entity-type", "2", "System Object")
REST_OBJECT: Final = HL7("object-role", "4", "Domain Resource")
CONSENT: Final = Code("http://hl7.org/fhir/resource-types", "Consent", "Consent")
AUTHZ_CONSENT: Final = Code("https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "AuthZ-Consent")
REQUEST_ID: Final = Code("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")
DISCLOSE: Final = HL7("iso-21089-lifecycle", "disclose", "Disclose Record Lifecycle Event")

_RECIPIENT: Final = HL7("v3-ParticipationType", "IRCP", "information recipient")
_AUTHOR: Final = HL7("v3-ParticipationType", "AUT", "author (originator)")
_APPLICATION: Final = DCM("110150", "Application")
_TO: Final = DCM("110152", "Destination Role ID")
_FROM: Final = DCM("110153", "Source Role ID")

Name = Literal["create", "read", "update", "delete", "query", "operation", "disclosure", "authentication", "denied"]


@dataclass(frozen=True)
class Pattern:
    """One of BALP's, or what we write where it has none (profile None): an operation, a log-in.

    client, server, user: the types of its agents. source: the type of who recorded it.
    """

    name: Name
    profile: str | None
    type: Code
    subtypes: tuple[Code, ...]
    action: str
    client: Code
    server: Code
    user: Code
    source: str = "4"


PATTERNS: Final[dict[str, Pattern]] = {
    each.name: each
    for each in (
        Pattern("create", "Create", REST, (_rest("create"),), "C", _FROM, _TO, _AUTHOR),
        Pattern("read", "Read", REST, (_rest("read"),), "R", _TO, _FROM, _RECIPIENT),
        Pattern("update", "Update", REST, (_rest("update"),), "U", _FROM, _TO, _AUTHOR),
        Pattern(
            "delete", "Delete", REST, (_rest("delete"),), "D", _APPLICATION,
            HL7("provenance-participant-type", "custodian", "Custodian"), _AUTHOR,
        ),
        Pattern("query", "Query", REST, (_rest("search"),), "E", _FROM, _TO, _RECIPIENT),
        Pattern("operation", None, REST, (_rest("operation"),), "E", _FROM, _TO, _AUTHOR),
        Pattern(
            "disclosure", "PrivacyDisclosure.Source", DCM("110106", "Export"), (DISCLOSE,), "R", _TO, _FROM, _RECIPIENT,
        ),
        Pattern(
            "authentication", None, DCM("110114", "User Authentication"), (), "E", _APPLICATION, _TO, _AUTHOR, "6"
        ),
        Pattern(
            "denied", "AuthZconsent", DCM("110113", "Security Alert"), (AUTHZ_CONSENT,), "E", _APPLICATION,
            HL7("extra-security-role-type", "authserver", "authorization server"), _RECIPIENT, "6",
        ),
    )
}  # fmt: skip
"""By name [BALP 3:5.7.3, 3:5.7.6, 3:5.7.7]."""

_BY_CODE: Final[dict[str, Name]] = {"C": "create", "R": "read", "U": "update", "D": "delete", "E": "operation"}
_DISCLOSURES: Final = frozenset({"record.exported"})
_LOG_INS: Final = {
    "log_in.begun": (),
    "log_in.continued": (),
    "session.opened": (DCM("110122", "Login"),),
    "session.authenticated": (DCM("110122", "Login"),),
    "session.refreshed": (),
    "session.ended": (DCM("110123", "Logout"),),
}
_EXTRA: Final[dict[str, tuple[Code, ...]]] = {
    **_LOG_INS,
    "emergency.opened": (DCM("110127", "Emergency Override Started"),),
    "emergency.ended": (DCM("110138", "Emergency Override Stopped"),),
    "log.read": (DCM("110101", "Audit Log Used"),),
    "log.exported": (DCM("110106", "Export"),),
    **dict.fromkeys(
        (
            "document.level_changed", "document.restricted", "document.unrestricted", "document.blocked",
            "document.released", "document.withheld", "document.unwithheld",
        ),
        (DCM("110135", "Object Security Attributes Changed"),),
    ),
    **dict.fromkeys(
        (
            "account.locked", "account.unlocked", "password.changed", "password.reset", "luxtrust.linked",
            "luxtrust.unlinked", "passkey.added", "passkey.removed", "authenticator.added", "authenticator.removed",
        ),
        (DCM("110137", "User Security Attributes Changed"),),
    ),
}  # fmt: skip


def of_action(action: str) -> Name:
    """Returns the pattern of an action that is done."""
    if action in _DISCLOSURES:
        return "disclosure"
    if action in _LOG_INS:
        return "authentication"
    row = CATALOGUE[action]
    searches = row.code == "E" and action.endswith((".searched", ".listed"))
    return "query" if searches else _BY_CODE[row.code]


QUERIES: Final = frozenset(name for name in CATALOGUE if of_action(name) == "query")
"""The searches, whose events say what was searched for and no one thing."""


def authentication(action: str) -> bool:
    """Returns whether an action is a step into or out of a session."""
    return action in _LOG_INS


def extra(action: str) -> tuple[Code, ...]:
    """Returns the word that DICOM has for an action, beside the pattern's."""
    return _EXTRA.get(action, ())


_RESOURCES: Final[dict[str, str]] = {
    "document": "DocumentReference",
    "patient": "Patient",
    "professional": "Practitioner",
    "establishment": "Organization",
    "record": "Patient",
    "access_history": "AuditEvent",
    "binder": "List",
    "prescription": "MedicationRequest",
    "dispensation": "MedicationDispense",
    "study": "ImagingStudy",
    "circle": "CareTeam",
    "referring": "CareTeam",
    "representative": "RelatedPerson",
    "assistant": "RelatedPerson",
    "subscription": "Subscription",
    "software": "Device",
    "letter": "Communication",
    "account": "Person",
    **dict.fromkeys(
        ("mandate", "emergency", "responsibility", "restriction", "blocklist", "rights", "setting", "setup"), "Consent"
    ),
    **dict.fromkeys(("rectification", "removal", "deposit_wish", "review", "helpdesk_request", "opening"), "Task"),
}
OTHER: Final = "Basic"
"""The resource of whatever FHIR has none for."""
REFERRED: Final = frozenset({"DocumentReference", "Practitioner", "Organization"})
"""The resources that go under our own ids in FHIR; of a record, the id is not its patient's."""


def resource_of(action: str, object_type: str | None = None) -> str:
    """Returns the type of resource an action is about: as the entry names its object, or as the catalogue does."""
    return _RESOURCES.get(object_type or "") or _RESOURCES.get(CATALOGUE[action].of, OTHER)


_PURPOSE: Final = {
    "TREAT": "treatment",
    "ETREAT": "Emergency Treatment",
    "CAREMGT": "care management",
    "COC": "coordination of care",
    "HPAYMT": "healthcare payment",
    "HOPERAT": "healthcare operations",
    "PATADMIN": "patient administration",
    "PATRQT": "patient requested",
    "FAMRQT": "family requested",
    "PUBHLTH": "public health",
    "SYSADMIN": "system administration",
    "BTG": "break the glass",
}
PURPOSES: Final = {code: HL7("v3-ActReason", code, display) for code, display in _PURPOSE.items()}
"""The purposes of use that software states, by their code; what else stands in an entry's `purpose` is our own word."""

GROUND_PURPOSES: Final[dict[str, Code]] = {
    "holder": PURPOSES["PATRQT"],
    "legal_representative": PURPOSES["FAMRQT"],
    "assistant": PURPOSES["FAMRQT"],
    "emergency": PURPOSES["BTG"],
    "hospital_emergency": PURPOSES["ETREAT"],
    **dict.fromkeys(
        ("author", "referring_physician", "circle", "presence", "admission", "order", "responsibility"),
        PURPOSES["TREAT"],
    ),
}
"""What somebody came for, as the ground that let them in tells."""

AUTHORIZATION: Final = frozenset({
    "not_allowed", "insufficient_scope", "record_not_found", "record_closed", "document_not_found", "study_not_found",
    "prescription_not_found", "rectification_not_found", "type_not_depositable", "presence_code_refused",
    "emergency_refused", "responsibility_refused", "professional_blocked", "licence_not_valid", "second_agent_needed",
})  # fmt: skip
"""The refusals that are decisions about who may: what else is refused was not done for another reason."""
