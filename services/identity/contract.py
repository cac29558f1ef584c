"""What the others may know of identity: its events, its refusals and the shapes of its answers.

Calls and answers (all times RFC 3339, all ids UUIDv7 strings, plain JSON values only).

Public (no token; the gateway only):

- `start_activation(matricule, activation_code)` -> `ActivationStarted`
- `accept_conditions(activation_id, activation_token, version, language)` -> `ActivationState`
- `add_contact(activation_id, activation_token, kind, value)` -> `ContactAdded`
- `prove_contact(activation_id, activation_token, code)` -> `ActivationState`
- `set_password(activation_id, activation_token, password)` -> `ActivationState` with `complete` true
- `activation_state(activation_id, activation_token)` -> `ActivationState`
- `start_log_in(matricule, password, channel="email")` -> `LogInStarted`
- `confirm_log_in(challenge_id, code, capacity=None, establishment_id=None, stay_connected=False)` -> `Tokens`
- `refresh(refresh_token)` -> `Tokens`
- `jwks()` -> `{"keys": [public JWK, ...]}`

With a token: `log_out()` -> `{}`, `describe_session()` -> `SessionDescribed`, `invite_professional(professional_id)`
and `invite_agent(matricule, role)` -> `Invited` (agency only; the second for administrators only).

System calls of notifications: `issue_activation_code(letter_id, subject_kind, subject_id)` -> `CodeIssued`,
`one_time_code(challenge_id)` -> `OneTimeCode` or `{"spent": true}`, `contacts_of(patient_id=None,
professional_id=None)` -> `Contacts`.

Order of an activation: conditions, contact (added, then proved), password. Somebody who already has an account (a
patient who becomes an agent, a physician who is a patient too) keeps contact and password: accepting the conditions
completes their activation at once; `next` always says what is to be done.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict

from services.refusals import Refusal

NAME = "identity"
CALLS: tuple[str, ...] = ("directory",)
SUBSCRIPTIONS: dict[tuple[str, str], str] = {}

SubjectKind = Literal["patient", "professional", "agent"]
SUBJECT_KINDS: tuple[SubjectKind, ...] = ("patient", "professional", "agent")
ROLES: tuple[str, ...] = ("agent", "administrator")
LANGUAGES: tuple[str, ...] = ("fr", "lb", "pt", "en", "de")
CHANNELS: tuple[str, ...] = ("email",)
CONDITIONS_VERSION = "2026-11"
"""The general conditions in force: what `accept_conditions` must name, and what the pages show."""


# --- answers -------------------------------------------------------------------------------------------------------


class Steps(TypedDict):
    """The state of each step; "kept" belongs to somebody who already has an account."""

    conditions: Literal["open", "done"]
    contact: Literal["open", "code_sent", "done", "kept"]
    password: Literal["open", "done", "kept"]


class ActivationState(TypedDict):
    activation_id: str
    subject_kind: SubjectKind
    conditions_version: str
    steps: Steps
    next: Literal["conditions", "contact", "contact_proof", "password"] | None
    complete: bool
    expires_at: str


class ActivationStarted(ActivationState):
    activation_token: str
    """Shown once; travels in the header Activation-Token."""


class ContactAdded(ActivationState):
    challenge_id: str
    code_expires_at: str


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


class Invited(TypedDict):
    invitation_id: str


class CodeIssued(TypedDict):
    code: str
    expires_at: str


class OneTimeCode(TypedDict):
    code: str
    address: str
    kind: Literal["email"]
    language: str
    purpose: Literal["contact", "log_in"]


class Contact(TypedDict):
    kind: Literal["email"]
    value: str


class Contacts(TypedDict):
    contacts: list[Contact]
    language: str | None


# --- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AccountInvited:
    """Somebody shall get a letter with an activation code; `subject_id` is the professional's or the agent's id."""

    type: ClassVar[str] = "account_invited.v1"
    subject: ClassVar[str | None] = "subject_id"
    invitation_id: str
    subject_kind: str
    subject_id: str


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


# --- refusals ------------------------------------------------------------------------------------------------------


class ActivationRefused(Refusal):
    """Unknown matricule, wrong, used, replaced or expired code: nobody learns which."""

    code: ClassVar[str] = "activation_refused"


class ActivationNotFound(Refusal):
    """No running activation has this id and this token."""

    code: ClassVar[str] = "activation_not_found"


class ActivationComplete(Refusal):
    """This activation is done: nothing in it can be changed any more."""

    code: ClassVar[str] = "activation_complete"


class ConditionsFirst(Refusal):
    """The general conditions must be accepted before anything else."""

    code: ClassVar[str] = "conditions_first"


class ContactFirst(Refusal):
    """A contact must be proved before the password is chosen."""

    code: ClassVar[str] = "contact_first"


class ContactTaken(Refusal):
    """A professional's address is individual and another account has proved this one. Said only to its reader."""

    code: ClassVar[str] = "contact_taken"


class PasswordTooShort(Refusal):
    """detail: minimum."""

    code: ClassVar[str] = "password_too_short"


class PasswordTooLong(Refusal):
    """detail: maximum."""

    code: ClassVar[str] = "password_too_long"


class PasswordTooCommon(Refusal):
    """The password is among those that are guessed first."""

    code: ClassVar[str] = "password_too_common"


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
