"""The pure decisions of forgotten passwords: a mailbox alone must not own an account.

After a reset by e-mail the next code goes by something else the owner has; where e-mail is all there is, a day passes
first, and every address has been told meanwhile. [decisions.md, Identity on the bus]
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.identity.rules import invalid, require_contact
from services.refusals import InvalidInput

RESET_LIFETIME = timedelta(minutes=30)
RESETS_PER_DAY = 3
MAIL_DELAY = timedelta(hours=24)
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""No time lifts the bar, only a log-in with another factor does."""

MAIL = "email"
_WITH_MAIL = "password email"


def require_mail(value: object) -> str:
    """An e-mail address in its field of a reset's form. Refuses: InvalidInput."""
    try:
        return require_contact(MAIL, value)
    except InvalidInput:
        raise invalid("/email", "email_format") from None


def mail_codes_from(others: Sequence[str], now: datetime) -> datetime:
    """From when on a code may go by e-mail again after a reset by e-mail; others: the ways in besides e-mail."""
    return NEVER if others else now + MAIL_DELAY


def mail_is_barred(mail_codes_from: datetime | None, now: datetime) -> bool:
    """Whether e-mail counts as not held for now: a code by e-mail would prove no more than the reset did."""
    return mail_codes_from is not None and now < mail_codes_from


def lifts_mail_bar(factors: str) -> bool:
    """Whether a log-in with these factors (contract.FACTORS) shows more than the mailbox: then e-mail counts again."""
    return factors != _WITH_MAIL


def next_ways(others: Sequence[str]) -> list[str]:
    """How to get in after a reset: by anything but e-mail where there is something, else by e-mail, later."""
    return list(others) or [MAIL]
