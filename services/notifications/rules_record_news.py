"""Who is told what of a record's news, and in which role: the holder side, or the professional whom it concerns.

No I/O, no clock. Which of them are in force is dossier's answer (`people_of`), at the moment of telling.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from services.notifications.rules_occasions import ASSISTANT, HOLDER, PROFESSIONAL, REPRESENTATIVE, ROLES, told_to
from services.notifications.rules_occasions import OCCASIONS as ALL

AUDIENCE: Final[dict[str, tuple[str, ...]]] = {
    name: occasion.audience for name, occasion in ALL.items()
    if name.startswith("record_news.") and set(occasion.audience) <= set(ROLES)
}  # fmt: skip
"""Which of the holder side hear of what, as the table of all occasions says."""

FOR_PROFESSIONALS: Final[tuple[str, ...]] = tuple(
    occasion.name for occasion in told_to(PROFESSIONAL) if occasion.name.startswith("record_news.")
)
"""What a professional hears, at their own address: nothing of this ever reaches the holder side by this way."""

FOR_DEPOSITORS: Final[tuple[str, ...]] = ("record_news.deposit_rejected",)
"""What whoever deposited something hears, in whatever capacity they did it."""

OCCASIONS: Final[tuple[str, ...]] = (*AUDIENCE, *FOR_PROFESSIONALS, *FOR_DEPOSITORS)
"""Everything that is told of a record; each has its words in five languages."""

TOLD_MANDATES: Final = frozenset({"admission", "hospital_emergency", "order"})
"""Mandates that nobody asked the holder for. Emergency and responsibility have news of their own."""

_STATES: Final = {
    "open_by_lapse": "record_news.lapsed",
    "closed": "record_news.closed",
    "deleted": "record_news.deleted",
}

_TOLD_OTHERWISE: Final = frozenset({"closing", "death", "licence", "merged", "unmerged", "opposition"})
"""Why a grant may end without news of its own: other news of the same moment says it."""

ENDS_THE_SIDE: Final = frozenset({"death", "death_withdrawn"})
"""Upon which a record has no holder side any more, or has one again."""

# A name space of our own, for news that is told at most once within a span of time.
_DAMPED: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:dsp:record-news")


@dataclass(frozen=True)
class Reader:
    """One person to tell: a patient in a role; a professional, who has none; or who has an account, whoever it is."""

    kind: str
    person_id: str
    occasion: str
    role: str | None


def readers(occasion: str, people: Mapping[str, Any]) -> list[Reader]:
    """Those of the holder side who hear of this, each once, as the first of what they are.

    people: dossier's answer to `people_of`.
    """
    of_role: dict[str, Iterable[str]] = {
        HOLDER: [people["holder"]] if people["holder"] else [],
        REPRESENTATIVE: people["representatives"],
        ASSISTANT: people["assistants"],
    }
    told: dict[str, str] = {}
    for role in AUDIENCE[occasion]:
        for person in of_role[role]:
            told.setdefault(person, role)
    return [Reader("patient", person, occasion, role) for person, role in told.items()]


def professional(occasion: str, professional_id: str) -> Reader:
    """A professional who hears of what concerns them."""
    assert occasion in FOR_PROFESSIONALS, occasion
    return Reader("professional", professional_id, occasion, None)


def who_had_it(ground: str, person_id: str) -> Reader:
    """The person whose own ground in somebody's record ended."""
    role = REPRESENTATIVE if ground == "legal_representative" else ASSISTANT
    return Reader("patient", person_id, "record_news.own_access_ended", role)


def depositor(occasion: str, account_id: str) -> Reader:
    """Who deposited something and hears what became of it."""
    assert occasion in FOR_DEPOSITORS, occasion
    return Reader("account", account_id, occasion, None)


def occasion_of_state(state: str, cause: str) -> str | None:
    """Which news a record's new state is; None for what its holder did, hears of otherwise, or cannot hear any more."""
    if cause in ("merged", "unmerged", "death", "death_withdrawn"):
        return None
    if state == "active":
        return "record_news.reopened" if cause == "reopening" else None
    return _STATES.get(state)


def occasion_of_grant(ground: str, cause: str) -> str | None:
    """Which news the end of a grant is; a referring physician's has its own (ReferringPhysicianChanged)."""
    if cause in _TOLD_OTHERWISE or ground == "referring_physician":
        return None
    if cause == "holder":
        return "record_news.assistant_ended" if ground == "assistant" else None
    return "record_news.grant_ended"


def once_an_hour(occasion: str, record_id: str, at: str) -> str:
    """The id that all such news of one record share within an hour of the clock: whoever heard one hears no other.

    at: when it happened (RFC 3339).
    """
    hour = datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%dT%H")
    return str(uuid.uuid5(_DAMPED, f"{occasion}/{record_id}/{hour}"))


def occasion_of_removal(cause: str) -> str | None:
    """Which news the end of a document is for the holder side; None where the record itself is gone, and told of."""
    return {"request": "record_news.document_removed", "term": "record_news.documents_expired"}.get(cause)


def may_hear_of(reader: Reader, hidden: str | None) -> bool:
    """Whether somebody of the holder side hears of what concerns a document that is, or was to its end, hidden so.

    [L14 16(5), L14 13]
    """
    return hidden is None or (hidden == "withheld" and reader.role == HOLDER)
