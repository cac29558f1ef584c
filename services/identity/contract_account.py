"""The part of identity's contract about the account page and forgotten passwords.

With a token: `describe_account()` and `set_language(language)` -> `AccountDescribed`,
`add_account_contact(kind, value)` and `resend_account_code(challenge_id)` -> `CodeSent`,
`prove_account_contact(challenge_id, code)` and `remove_contact(contact_id)` -> `AccountDescribed`,
`change_password(current_password, password)` -> `{}`.

Public: `request_password_reset(matricule, email)` -> `ResetRequested`, the same whoever asks for whom;
`reset_password(reset_id, token, password)` -> `PasswordReset`.

System call of notifications: `account_notice(notice_id)` -> `AccountNotice` or `{"spent": true}`.
"""

from typing import ClassVar, Literal, TypedDict

from services.refusals import Refusal

ContactKind = Literal["email", "mobile"]


class HeldCapacity(TypedDict):
    capacity: str
    role: str | None
    conditions_version: str | None
    activated_at: str


class ProvedContact(TypedDict):
    contact_id: str
    kind: ContactKind
    value: str
    proved_at: str


class LinkedLuxTrust(TypedDict):
    product_id: str
    product: str
    linked_at: str


class NamedAuthenticator(TypedDict):
    authenticator_id: str
    name: str
    added_at: str


class AccountDescribed(TypedDict):
    account_id: str
    language: str
    capacities: list[HeldCapacity]
    contacts: list[ProvedContact]
    luxtrust: list[LinkedLuxTrust]
    authenticators: list[NamedAuthenticator]
    devices: int
    password_changed_at: str


class CodeSent(TypedDict):
    challenge_id: str
    expires_at: str


class ResetRequested(TypedDict):
    expires_in: int
    """Seconds that the link works, if one was sent: nobody learns whether."""


class NextLogIn(TypedDict):
    channels: list[str]
    """How to log in next: email, mobile, totp, passkey, luxtrust."""
    mail_codes_from: str | None
    """From when on a code goes by e-mail, where e-mail is all there is."""


class PasswordReset(TypedDict):
    next: NextLogIn


class AccountNotice(TypedDict):
    occasion: str
    language: str
    recipients: list[dict[str, str]]
    """`{"kind": "email"|"mobile", "value"}`, always in the same order."""
    values: dict[str, str]
    """at: when it happened; reset: id and token of a reset link, for that occasion only."""


class PasswordTooShort(Refusal):
    """detail: minimum."""

    code: ClassVar[str] = "password_too_short"


class PasswordTooLong(Refusal):
    """detail: maximum."""

    code: ClassVar[str] = "password_too_long"


class PasswordTooCommon(Refusal):
    """The password is among those that are guessed first."""

    code: ClassVar[str] = "password_too_common"


class ContactNotFound(Refusal):
    """The caller's account has no such proved contact."""

    code: ClassVar[str] = "contact_not_found"


class LastContact(Refusal):
    """An account keeps one proved contact at least: add another before this one is removed."""

    code: ClassVar[str] = "last_contact"


class PasswordResetRefused(Refusal):
    """Unknown, wrong, used or expired link, or a locked account: nobody learns which."""

    code: ClassVar[str] = "password_reset_refused"
