"""The part of identity's contract about business software: clients of organisations, their attestation, their tokens.

With a token: `register_client(establishment_id, name, version, vendor, scopes, jwks)`, `list_clients(establishment_id)`
and `replace_client_keys(establishment_id, client_id, jwks)` for the organisation's managers and the agency;
`name_manager(establishment_id, professional_id)`, `end_manager(establishment_id, professional_id)`,
`change_client_state(client_id, state)` and `clients_in_state(state, limit, cursor)` for the agency.

Public: `list_software()`; `issue_token`, `introspect_token` and `revoke_token`, which a client authenticates itself
with a signed assertion, and which refuse in the words of RFC 6749 (`TokenRefused`).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypedDict

from services.refusals import Refusal

ClientState = Literal["requested", "tested", "in_production", "suspended"]
CLIENT_STATES: tuple[ClientState, ...] = ("requested", "tested", "in_production", "suspended")
"""How far the agency has attested a software [RGD 11]."""

SCOPES: tuple[str, ...] = (
    "system/Practitioner.rs", "system/Patient.rs", "system/Consent.cs", "system/DocumentReference.rs",
    "system/DocumentReference.c", "system/Encounter.cu", "system/ServiceRequest.cu", "system/Subscription.cruds",
)  # fmt: skip
"""What software may be given (SMART App Launch 2, system scopes); any other word is none of ours."""

PURPOSES_OF_USE: dict[str, str] = {
    "TREAT": "treatment",
    "ETREAT": "emergency treatment",
    "CAREMGT": "care management",
    "COC": "coordination of care",
    "HPAYMT": "healthcare payment",
    "HOPERAT": "healthcare operations",
    "PATADMIN": "patient administration",
    "PATRQT": "patient requested",
    "PUBHLTH": "public health",
    "SYSADMIN": "system administration",
}
"""HL7 v3 PurposeOfUse: the codes software may state, with their meaning."""

GRANT_TYPE: Final = "client_credentials"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS: tuple[str, ...] = ("ES384", "EdDSA", "Ed25519")
TOKEN_PATH: Final = "/api/v1/oauth/token"  # noqa: S105 (an address)


@dataclass(frozen=True)
class ClientStateChanged:
    """The agency moved a software on in its attestation, suspended it, or gave it back."""

    type: ClassVar[str] = "client_state_changed.v1"
    subject: ClassVar[str | None] = "client_id"

    client_id: str
    establishment_id: str
    state: str
    at: str


class ClientShown(TypedDict):
    """A client as its organisation and the agency see it; keys by their ids."""

    client_id: str
    establishment_id: str
    name: str
    version: str
    vendor: str
    scopes: list[str]
    key_ids: list[str]
    state: ClientState
    registered_at: str


class SoftwareShown(TypedDict):
    """A line of the public list; establishments: how many use it in this state."""

    name: str
    version: str
    vendor: str
    state: ClientState
    establishments: int


class TokenIssued(TypedDict):
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


class TokenRefused(Refusal):
    """A refusal of the OAuth endpoints. detail: error (a code of RFC 6749 5.2), description (English, for developers).

    Over HTTP it is the JSON of RFC 6749, not a problem document.
    """

    code: ClassVar[str] = "token_refused"


class OrganisationUnknown(Refusal):
    """The directory knows no establishment with this id. Said to agents of the agency only."""

    code: ClassVar[str] = "organisation_unknown"


class ClientUnknown(Refusal):
    """This organisation has no such client."""

    code: ClassVar[str] = "client_unknown"


class ManagerUnknown(Refusal):
    """This professional does not manage the software of this organisation."""

    code: ClassVar[str] = "manager_unknown"


class StateOutOfOrder(Refusal):
    """Attestation goes its way: requested, tested, in production; detail: state, the present one."""

    code: ClassVar[str] = "state_out_of_order"


Jwks = dict[str, list[dict[str, Any]]]
