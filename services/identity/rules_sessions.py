"""The pure decisions about running sessions: freshness, what ends them, what an account may open.

No I/O and no clock: whoever asks brings the facts and the moment.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Literal

from services.identity.contract import (
    ACCOUNT_SERVICES,
    CHANNELS,
    CONDITIONS_VERSION,
    LANGUAGES,
    LOCK_CAUSES,
    AccountService,
)
from services.identity.rules import Held, invalid
from services.identity.rules_recovery import mail_is_barred

CLOCKS = timedelta(seconds=5)
"""By how much the clocks of two machines may differ."""
FRESH = timedelta(minutes=15)
"""How long after a log-in, or after the password was given again, sensitive changes need no other proof `[ours]`."""


_VERSIONS = re.compile(r"[0-9]+([._][0-9]+)*")
DEVICE_KEPT = timedelta(days=730)
"""For how long a kind of device is remembered after its last log-in `[ours]`."""

CODE_SENT_TIMES = 3
AUTHENTICATORS = 5
AUTHENTICATOR_TRIES = 5
AUTHENTICATOR_BEGUN = timedelta(hours=1)


def channels_of(
    contact_kinds: Collection[str], has_app: bool, mail_codes_from: datetime | None, now: datetime
) -> list[str]:
    """By which channels a one-time code can reach an account, in the order in which they are offered.

    After a reset by e-mail the mailbox alone must not own the account: until `mail_codes_from` no code goes there.
    [decisions.md, Identity on the bus]
    """
    barred = mail_is_barred(mail_codes_from, now)
    held = {kind for kind in contact_kinds if not (barred and kind == "email")} | ({"totp"} if has_app else set())
    return [channel for channel in CHANNELS if channel in held]


def seconds_until(moment: datetime, now: datetime) -> int:
    """How long to wait for it, at least a second."""
    return max(1, ceil((moment - now).total_seconds()))


def device_of(software: str | None) -> str:
    """The kind of device behind a log-in: what its software calls itself, without versions, which change by themselves.

    "" where it says nothing. Two browsers of one kind are one device to us: nothing is left on anybody's machine to
    tell them apart.
    """
    return " ".join(_VERSIONS.sub("", software or "").split())


def is_fresh(authenticated_at: datetime | None, now: datetime) -> bool:
    """Whether the owner of this session has shown lately that it is them."""
    return authenticated_at is not None and now - authenticated_at <= FRESH


def conditions_are_due(accepted_version: str | None) -> bool:
    """Whether a capacity has yet to accept the conditions in force: never asked, or an older version."""
    return accepted_version != CONDITIONS_VERSION


def require_accepted(conditions: object) -> tuple[str, str] | None:
    """Version and language of the conditions accepted with a log-in; None when none came with it.

    Refuses: InvalidInput for a version that is not in force and for a language that they do not exist in.
    """
    if conditions is None:
        return None
    given = conditions if isinstance(conditions, Mapping) else {}
    version, language = given.get("version"), given.get("language")
    if version != CONDITIONS_VERSION:
        raise invalid("/conditions/version", "not_in_force")
    if language not in LANGUAGES:
        raise invalid("/conditions/language", "unknown")
    return str(version), str(language)


def parsed(moment: str) -> datetime:
    """A moment as it stands in an event (RFC 3339)."""
    return datetime.fromisoformat(moment)


def licence_was_lost_since(lost_at: datetime | None, asked_at: datetime) -> bool:
    """Whether the directory's word on a licence, given at `asked_at`, was overtaken by news of its end."""
    return lost_at is not None and lost_at >= asked_at


def require_lock_cause(cause: object) -> str:
    """Refuses: InvalidInput for a cause that is not of the list."""
    if not isinstance(cause, str) or cause not in LOCK_CAUSES:
        raise invalid("/cause", "unknown")
    return cause


# --- what an account may open -----------------------------------------------------------------------------------------


def services_of(held: Sequence[Held], licence_is_valid: bool, conditions_due: Sequence[str]) -> list[AccountService]:
    """What each held capacity may open, and why something is not available.

    reason: null, `licence_not_valid`, or `conditions_due` (accepting them at log-in makes it available).
    """
    return [
        AccountService(service=service, capacity=one.kind, available=reason is None, reason=reason)
        for service, kinds in ACCOUNT_SERVICES
        for one in held
        if one.kind in kinds
        for reason in (_why_not(one, licence_is_valid, conditions_due),)
    ]


def _why_not(
    one: Held, licence_is_valid: bool, conditions_due: Sequence[str]
) -> Literal["licence_not_valid", "conditions_due"] | None:
    if one.kind == "professional" and not licence_is_valid:
        return "licence_not_valid"
    return "conditions_due" if one.kind in conditions_due else None
