"""Which of the agency's agents hear of which queue. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.notifications.rules_notices import Notice
from services.notifications.rules_record_news import Reader, once_an_hour

_OFFICERS: Final = ("privacy_officer",)
_EVERYBODY: Final = ("agent", "administrator", "privacy_officer")

ROLES_OF_QUEUE: Final[dict[str, tuple[str, ...]]] = {
    "queue.reviews": _OFFICERS,
    "queue.cases": _OFFICERS,
    "queue.alerts": _OFFICERS,
    "queue.removals": _EVERYBODY,
    "queue.helpdesk": _EVERYBODY,
    "queue.letters": _EVERYBODY,
}
"""Who works off what waits, by identity's roles: officers do an agent's work too, an agent none of theirs."""


def notices(queue: str, account_ids: Iterable[str], at: str, count: int = 1) -> list[Notice]:
    """That something waits in a queue, for each of these agents: once within an hour of the clock, whatever follows.

    at: when it came there (RFC 3339). Neither whom nor what it concerns is said.
    """
    once = once_an_hour(queue, "agency", at)
    return [Notice(Reader("account", each, queue, None), at, count=count, told_as=once) for each in account_ids]
