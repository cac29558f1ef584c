"""What the others may know of identity: its events, its refusals and the shapes of its answers.

Calls and answers (all times RFC 3339, all ids UUIDv7 strings, plain JSON values only).

Public (no token; the gateway only):

- `start_log_in(matricule, password, channel="email")` -> `LogInStarted`
- `resend_code(challenge_id)` -> `LogInStarted`
- `confirm_log_in(challenge_id, code, capacity=None, establishment_id=None, stay_connected=False, conditions=None)` ->
  `Tokens`; conditions: `{"version", "language"}`, accepted after a refusal ConditionsDue
- `refresh(refresh_token)` -> `Tokens`
- `jwks()` -> `{"keys": [public JWK, ...]}`

With a token: `log_out()` -> `{}`, `describe_session()` -> `SessionDescribed`, `list_sessions()` -> `Sessions`,
`end_session(session_id)` -> `{}`, `end_sessions(others_only=True)` -> `{"ended"}`, `authenticate(password)` ->
`{"fresh_until"}`, `account_services()` -> `AccountServices`, `add_authenticator(name)` -> `AuthenticatorBegun`,
`prove_authenticator(authenticator_id, code)` -> `{"authenticator_id"}`, `remove_authenticator(authenticator_id)` ->
`{}`; of the agency only `invite_professional(professional_id)` and `invite_agent(matricule, role)` -> `Invited` (the
second for administrators only), `lock_account(matricule, cause)` and `unlock_account(matricule)` -> `AccountLockState`.

System calls of notifications: `issue_activation_code(letter_id, subject_kind, subject_id, purpose="activation")` ->
`CodeIssued`, `one_time_code(challenge_id)` -> `OneTimeCode` or `{"spent": true}`, `contacts_of(patient_id=None,
professional_id=None)` -> `Contacts`.

Activation and recovery by letter, the account page and machines have contract files of their own.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict

from services.identity.contract_account import ContactNotFound as ContactNotFound
from services.identity.contract_account import LastContact as LastContact
from services.identity.contract_account import PasswordResetRefused as PasswordResetRefused
from services.identity.contract_account import PasswordTooCommon as PasswordTooCommon
from services.identity.contract_account import PasswordTooLong as PasswordTooLong
from services.identity.contract_account import PasswordTooShort as PasswordTooShort
from services.identity.contract_activation import ACTIVATION_STEPS as ACTIVATION_STEPS
from services.identity.contract_activation import ActivationComplete as ActivationComplete
from services.identity.contract_activation import ActivationNotFound as ActivationNotFound
from services.identity.contract_activation import ActivationRefused as ActivationRefused
from services.identity.contract_activation import ActivationStarted as ActivationStarted
from services.identity.contract_activation import ActivationState as ActivationState
from services.identity.contract_activation import ActivationStep as ActivationStep
from services.identity.contract_activation import ContactAdded as ContactAdded
from services.identity.contract_activation import HelpdeskOpened as HelpdeskOpened
from services.identity.contract_activation import LetterRequested as LetterRequested
from services.identity.contract_activation import LuxTrustTaken as LuxTrustTaken
from services.identity.contract_activation import NotActivated as NotActivated
from services.identity.contract_activation import OppositionReceived as OppositionReceived
from services.identity.contract_activation import PersonConfirmed as PersonConfirmed
from services.identity.contract_activation import PersonShown as PersonShown
from services.identity.contract_activation import RecordOpposed as RecordOpposed
from services.identity.contract_activation import StepOutOfOrder as StepOutOfOrder
from services.identity.contract_activation import StepShown as StepShown
from services.identity.contract_helpdesk import CHECK_METHODS as CHECK_METHODS
from services.identity.contract_helpdesk import REPLY_KINDS as REPLY_KINDS
from services.identity.contract_helpdesk import REQUEST_STATES as REQUEST_STATES
from services.identity.contract_helpdesk import IdentityCheckDue as IdentityCheckDue
from services.identity.contract_helpdesk import PersonNotKnown as PersonNotKnown
from services.identity.contract_helpdesk import RequestClosed as RequestClosed
from services.identity.contract_helpdesk import RequestNotFound as RequestNotFound
from services.identity.contract_helpdesk import RequestNotTaken as RequestNotTaken
from services.identity.contract_helpdesk import RequestTaken as RequestTaken
from services.identity.contract_machines import ASSERTION_ALGORITHMS as ASSERTION_ALGORITHMS
from services.identity.contract_machines import ASSERTION_TYPE as ASSERTION_TYPE
from services.identity.contract_machines import CLIENT_STATES as CLIENT_STATES
from services.identity.contract_machines import PURPOSES_OF_USE as PURPOSES_OF_USE
from services.identity.contract_machines import SCOPES as SCOPES
from services.identity.contract_machines import TOKEN_PATH as TOKEN_PATH
from services.identity.contract_machines import ClientStateChanged as ClientStateChanged
from services.identity.contract_machines import TokenRefused as TokenRefused
from services.refusals import Refusal

NAME = "identity"
CALLS: tuple[str, ...] = ("directory",)
SUBSCRIPTIONS: dict[tuple[str, str], str] = {
    ("directory", "licence_withdrawn.v1"): "on_licence_withdrawn",
    ("directory", "patient_matricule_changed.v1"): "on_patient_matricule_changed",
    ("dossier", "record_state_changed.v1"): "on_record_state_changed",
}

SubjectKind = Literal["patient", "professional", "agent"]
SUBJECT_KINDS: tuple[SubjectKind, ...] = ("patient", "professional", "agent")
ROLES: tuple[str, ...] = ("agent", "administrator", "privacy_officer")
"""Of agents. privacy_officer: reviews accesses that nobody had allowed; such a one does an agent's work too."""
LANGUAGES: tuple[str, ...] = ("fr", "lb", "pt", "en", "de")
CONTACT_KINDS: tuple[str, ...] = ("email", "mobile")
CHANNELS: tuple[str, ...] = (*CONTACT_KINDS, "totp")
"""By which a one-time code reaches its owner; `totp`: from an authenticator app, nothing is sent."""
FACTORS: tuple[str, ...] = (*(f"password {channel}" for channel in CHANNELS), "luxtrust", "passkey")
NOTICE_OCCASIONS: tuple[str, ...] = (
    "contact_added", "contact_removed", "password_changed", "password_reset_requested", "password_reset",
    "luxtrust_linked", "luxtrust_unlinked", "passkey_added", "passkey_removed", "authenticator_added",
    "authenticator_removed", "account_locked", "account_unlocked", "helpdesk_answered", "new_device",
)  # fmt: skip
LOCK_CAUSES: tuple[str, ...] = ("lost_device", "suspected_misuse", "death", "request")
"""Why the agency locks an account."""
ACCOUNT_SERVICES: tuple[tuple[str, tuple[SubjectKind, ...]], ...] = (
    ("dsp", ("patient", "professional")),
    ("edocuments", ("patient",)),
    ("messaging", ("professional",)),
    ("agency", ("agent",)),
)
"""Which service is open to whom, in the order in which "Mes services eSanté" shows them [domain.md, Accounts]."""
DEVICE_NAME_MAXIMUM = 64
LETTER_PURPOSES: tuple[str, ...] = ("activation", "recovery")
CONDITIONS_VERSION = "2026-11"
"""The general conditions in force: what `accept_conditions` must name, and what the pages show."""


# --- answers -------------------------------------------------------------------------------------------------------


class LogInStarted(TypedDict):
    challenge_id: str
    expires_at: str


class Tokens(TypedDict):
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    session_id: str
    account_id: str
    capacity: SubjectKind
    patient_id: str | None
    professional_id: str | None


class SessionDescribed(TypedDict):
    account_id: str
    session_id: str
    capacity: str
    patient_id: str | None
    professional_id: str | None
    profession: str | None
    establishment_id: str | None
    role: str | None
    expires_at: str


class SessionListed(TypedDict):
    """One running session of the caller's account."""

    session_id: str
    capacity: SubjectKind
    current: bool
    factors: str
    software: str | None
    stay_connected: bool
    started_at: str
    last_used_at: str
    expires_at: str


class Sessions(TypedDict):
    sessions: list[SessionListed]


class AccountService(TypedDict):
    service: str
    capacity: SubjectKind
    available: bool
    reason: Literal["licence_not_valid", "conditions_due"] | None


class AccountServices(TypedDict):
    services: list[AccountService]


class AuthenticatorBegun(TypedDict):
    authenticator_id: str
    secret: str
    otpauth_uri: str


class AccountLockState(TypedDict):
    account_id: str
    locked: bool


class Invited(TypedDict):
    invitation_id: str


class CodeIssued(TypedDict):
    code: str
    expires_at: str


class OneTimeCode(TypedDict):
    code: str
    address: str
    kind: Literal["email", "mobile"]
    language: str
    purpose: Literal["contact", "account_contact", "helpdesk_contact", "log_in"]


class Contact(TypedDict):
    kind: Literal["email", "mobile"]
    value: str


class Contacts(TypedDict):
    contacts: list[Contact]
    language: str | None


# --- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AccountInvited:
    """Somebody shall get a letter with an activation code: a patient only for a letter that was lost.

    purpose: `recovery` for somebody who has an account already and lost the way into it.
    """

    type: ClassVar[str] = "account_invited.v1"
    subject: ClassVar[str | None] = "subject_id"
    invitation_id: str
    subject_kind: str
    subject_id: str
    purpose: str = "activation"


@dataclass(frozen=True)
class AccountActivated:
    """A person may now log in in this capacity."""

    type: ClassVar[str] = "account_activated.v1"
    subject: ClassVar[str | None] = "account_id"
    account_id: str
    subject_kind: str
    patient_id: str | None
    professional_id: str | None


@dataclass(frozen=True)
class OneTimeCodeRequested:
    """A one-time code is to be sent; its text and address are asked for by id, they never travel in an event."""

    type: ClassVar[str] = "one_time_code_requested.v1"
    subject: ClassVar[str | None] = None
    challenge_id: str
    purpose: str


@dataclass(frozen=True)
class SigningKeyPublished:
    """A public key with which tokens are, or from `not_before` on will be, signed."""

    type: ClassVar[str] = "signing_key_published.v1"
    subject: ClassVar[str | None] = "kid"
    kid: str
    jwk: dict[str, Any]
    not_before: str
    not_after: str


@dataclass(frozen=True)
class SessionEnded:
    """Tokens of this session are worth nothing from now on, whatever their expiry says."""

    type: ClassVar[str] = "session_ended.v1"
    subject: ClassVar[str | None] = "session_id"
    session_id: str
    at: str


@dataclass(frozen=True)
class AccountNoticeDue:
    """The owner of an account is to be told something; addresses and text facts are asked for by id.

    occasion: one of NOTICE_OCCASIONS.
    """

    type: ClassVar[str] = "account_notice_due.v1"
    subject: ClassVar[str | None] = None
    notice_id: str
    occasion: str


@dataclass(frozen=True)
class HelpdeskRequested:
    """A new request waits at the helpdesk; its agents are told that one does, nothing of whom or what."""

    type: ClassVar[str] = "helpdesk_requested.v1"
    subject: ClassVar[str | None] = None
    request_id: str
    at: str


# --- refusals ------------------------------------------------------------------------------------------------------


class ContactTaken(Refusal):
    """A professional's address is individual and another account has proved this one. Said only to its reader."""

    code: ClassVar[str] = "contact_taken"


class LogInRefused(Refusal):
    """Unknown matricule or wrong password: nobody learns which."""

    code: ClassVar[str] = "log_in_refused"


class OneTimeCodeRefused(Refusal):
    """Wrong, used or expired one-time code, or one with too many wrong tries: start again for a new one."""

    code: ClassVar[str] = "one_time_code_refused"


class LicenceNotValid(Refusal):
    """The directory does not know a valid licence for this professional."""

    code: ClassVar[str] = "licence_not_valid"


class RefreshRefused(Refusal):
    """Unknown, used or expired refresh token; a used one has ended its session."""

    code: ClassVar[str] = "refresh_refused"


class ProfessionalUnknown(Refusal):
    """The directory does not know this professional."""

    code: ClassVar[str] = "professional_unknown"


class AlreadyActivated(Refusal):
    """This person already has an account in this capacity."""

    code: ClassVar[str] = "already_activated"


class ChannelNotAvailable(Refusal):
    """No one-time code can reach this account by the channel asked for; said only after a right password.

    detail: channels, by which one can.
    """

    code: ClassVar[str] = "channel_not_available"


class ConditionsDue(Refusal):
    """The capacity has yet to accept the general conditions in force; the same code with them opens the session.

    detail: version.
    """

    code: ClassVar[str] = "conditions_due"


class AccountLocked(Refusal):
    """The agency has locked this account; said only to who has shown the right factors."""

    code: ClassVar[str] = "account_locked"


class AccountNotFound(Refusal):
    """Nobody with this matricule has an account; said to agents of the agency only."""

    code: ClassVar[str] = "account_not_found"


class SessionNotFound(Refusal):
    """No running session of the caller has this id."""

    code: ClassVar[str] = "session_not_found"


class ReauthenticationDue(Refusal):
    """A sensitive change, and the owner last showed longer ago than 15 minutes that it is them: password again."""

    code: ClassVar[str] = "reauthentication_due"


class PasswordRefused(Refusal):
    """Not the password of the account that is logged in."""

    code: ClassVar[str] = "password_refused"


class AuthenticatorNotFound(Refusal):
    """The caller has no authenticator app with this id."""

    code: ClassVar[str] = "authenticator_not_found"


class TooManyAuthenticators(Refusal):
    """An account holds a few authenticator apps. detail: maximum."""

    code: ClassVar[str] = "too_many_authenticators"


class LuxTrustPending(Refusal):
    """Nobody has come back from LuxTrust on this journey yet: ask again in a moment."""

    code: ClassVar[str] = "luxtrust_pending"


class LuxTrustRefused(Refusal):
    """LuxTrust said no, or this browser is not the one that set out, or the journey is over."""

    code: ClassVar[str] = "luxtrust_refused"


class LuxTrustNotFound(Refusal):
    """The account has no LuxTrust product with this id."""

    code: ClassVar[str] = "luxtrust_not_found"


class PasskeyRefused(Refusal):
    """Unknown or removed passkey, a signature that is not its own, or a ceremony that is over: nobody learns which."""

    code: ClassVar[str] = "passkey_refused"


class DeviceNotFound(Refusal):
    """The account has no device with this id."""

    code: ClassVar[str] = "device_not_found"


class TooManyDevices(Refusal):
    """An account holds a bounded number of passkeys. detail: maximum."""

    code: ClassVar[str] = "too_many_devices"
