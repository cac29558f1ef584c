"""The pure decisions of notifications: identities that repeat, who may subscribe to what, what a foreign event says,
what a foreign account may do on the second vhost. No I/O, no clock, no database, no randomness of its own."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from services.notifications.contract import LANGUAGES, LETTER_STATES, ShownLetter

# --- people -----------------------------------------------------------------------------------------------------------

DEFAULT_LANGUAGE: Final = "fr"

ONE_TIME_CODE_MINUTES: Final = 5
"""What a message says of a one-time code's life; identity decides it (decisions.md, Identity on the bus)."""

RESET_LINK_MINUTES: Final = 30
"""The same for the link with which a forgotten password is replaced."""

EMAIL: Final = "email"
SMS: Final = "sms"
CHANNEL_OF_KIND: Final[dict[str, str]] = {"email": EMAIL, "mobile": SMS}
"""How something reaches an address, by the kind of address."""

OCCASION_OF_PURPOSE: Final[dict[str, str]] = {
    "contact": "one_time_code.contact",
    "account_contact": "one_time_code.contact",
    "helpdesk_contact": "one_time_code.helpdesk_contact",
    "log_in": "one_time_code.log_in",
}
"""Which text carries a one-time code, by what the code is for."""

LETTER_OF_INVITED: Final[dict[str, str]] = {
    "patient": "letter_activation",  # the first one came with the opening of the record
    "professional": "account_invited.professional",
    "agent": "account_invited.agent",
}
LETTER_OF_RECOVERY: Final = "letter_recovery"

# A name space of our own, so that a letter's id is the same at each retry of its event and nobody else's.
_LETTERS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:dsp:letters")


def language_of(language: str | None) -> str:
    """The person's language where we have texts in it, French otherwise."""
    return language if language in LANGUAGES else DEFAULT_LANGUAGE


def letter_of_invited(subject_kind: str, purpose: str) -> str:
    """Which letter somebody gets: to activate a capacity, or to find the way back into the account they have.

    Raises KeyError for a kind of person who gets none.
    """
    occasion = LETTER_OF_INVITED[subject_kind]
    return LETTER_OF_RECOVERY if purpose == "recovery" else occasion


def letter_id_for(event_id: str, recipient_id: str) -> str:
    """The id of the one letter that this event causes for this recipient, the same at every retry.

    The codes on a letter belong to its id: a retry replaces them and rewrites the file, so that what lies in the
    folder is always valid.
    """
    return str(uuid.uuid5(_LETTERS, f"{event_id}/{recipient_id}"))


def addressed_to(
    representatives: Sequence[Mapping[str, Any]], holder_name: Sequence[str], words: str
) -> dict[str, Any]:
    """One address of those who represent somebody: the first one's, with whoever else lives there, and for whom.

    words: what stands before the holder's {name}. A letter has codes, so there is one of it, not one for each.
    """
    first = representatives[0]
    there = [each for each in representatives if each["address_lines"] == first["address_lines"]]
    names = [line for each in there for line in each["name_lines"]]
    return {**first, "name_lines": [*names, *(words.format(name=name) for name in holder_name)]}


LETTER_WITHIN: Final = timedelta(days=7)
"""How long after the request a letter is on its way at the latest [seed 002; for the other letters ours]."""

_LONGEST_WAIT_IN_OUTAGE: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=1)


def letter_due_by(asked_at: str) -> datetime:
    """Until when the letter must be on its way that was asked for at this time (RFC 3339)."""
    return datetime.fromisoformat(asked_at) + LETTER_WITHIN


def wait_before_print(attempts: int, outage: bool) -> timedelta:
    """How long a letter rests that could not be printed for the n-th time; an outage is over sooner than a fault."""
    longest = _LONGEST_WAIT_IN_OUTAGE if outage else _LONGEST_WAIT
    return min(longest, timedelta(seconds=0.5 * 2 ** min(attempts, 20)))


def may_see_letters(capacity: str) -> bool:
    """Only the agency's agents see which letters wait."""
    return capacity == "agent"


def wrong_letter_page(state: object, limit: object, cursor: object, most: int) -> list[dict[str, str]]:
    """The errors of a wish for a page of letters, as JSON pointers."""
    errors = [] if state in LETTER_STATES else [{"pointer": "/state", "message": "choice"}]
    return errors + wrong_page(None, limit, cursor, most)


def shown_letter(letter: Mapping[str, Any], now: datetime, text_of: Callable[[datetime], str]) -> ShownLetter:
    """A letter as a list shows it; late is one that should be on its way and waits."""
    printed_at = letter["printed_at"]
    return {
        "letter_id": letter["letter_id"],
        "occasion": letter["occasion"],
        "state": letter["state"],
        "due_by": text_of(letter["due_by"]),
        "overdue": printed_at is None and letter["due_by"] < now,
        "printed_at": None if printed_at is None else text_of(printed_at),
    }


def message_id_for(event_id: str, recipient_id: str, channel: str) -> str:
    """The Message-ID of the one mail that this event causes for this person on this channel [RFC 5322 3.6.4].

    The person stands in it as a digest: a header crosses foreign mail servers, our internal ids need not.
    """
    person = hashlib.sha256(recipient_id.encode()).hexdigest()[:12]
    return f"<{event_id}.{person}.{channel}@opendsp>"


def client_reference_for(event_id: str, recipient_id: str) -> str:
    """The name by which an SMS provider knows a repeat; made like a Message-ID, fit for the name of a file."""
    return message_id_for(event_id, recipient_id, SMS).strip("<>").partition("@")[0]


def occasion_of_notice(occasion: str) -> str:
    """Which text tells an account's owner of a change."""
    return f"account_notice.{occasion}"


def notice_recipient(notice_id: str, place: int) -> str:
    """One recipient of a notice, by the place in its list: addresses are not kept here."""
    return f"{notice_id}.{place}"


def place_in_notice(recipient_id: str) -> tuple[str, int]:
    """The notice and the place that a recipient stands for."""
    notice_id, _, place = recipient_id.partition(".")
    return notice_id, int(place)


def reset_link(portal: str, reset: str) -> str:
    """The link of a forgotten password. What counts stands behind the #: no server on the way sees or logs it."""
    return f"{portal.rstrip('/')}/password-reset#{reset}"


# --- pages ------------------------------------------------------------------------------------------------------------


def is_id(value: object) -> bool:
    """Whether a value is the text of a UUID."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def wrong_page(establishment_id: object, limit: object, cursor: object, most: int) -> list[dict[str, str]]:
    """The errors of a wish for a page of subscriptions, as JSON pointers."""
    errors = []
    if establishment_id is not None and not is_id(establishment_id):
        errors.append({"pointer": "/establishment_id", "message": "id"})
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= most:
        errors.append({"pointer": "/limit", "message": "range"})
    if cursor is not None and not is_id(cursor):
        errors.append({"pointer": "/cursor", "message": "cursor"})
    return errors
