"""Who is told what of a record's news, and in which role: the holder side, or the professional whom it concerns.

No I/O, no clock. Which of them are in force is dossier's answer (`people_of`), at the moment of telling.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

HOLDER: Final = "holder"
REPRESENTATIVE: Final = "representative"
ASSISTANT: Final = "assistant"
ROLES: Final = (HOLDER, REPRESENTATIVE, ASSISTANT)
"""As what somebody of the holder side hears of a record; the catalogues have words for each."""

_SIDE: Final = (HOLDER, REPRESENTATIVE)
_WHOLE_SIDE: Final = ROLES

AUDIENCE: Final[dict[str, tuple[str, ...]]] = {
    "record_news.emergency_access_opened": _WHOLE_SIDE,
    "record_news.responsibility_access_opened": _WHOLE_SIDE,
    "record_news.mandate_opened": _SIDE,
    "record_news.presence_code_tried": _SIDE,
    "record_news.presence_code_regenerated": _SIDE,
    "record_news.grant_ended": _SIDE,
    "record_news.licence_stops_grants": _SIDE,
    "record_news.lapsed": _SIDE,
    "record_news.closed": _SIDE,
    "record_news.reopened": _SIDE,
    "record_news.deleted": _SIDE,
    "record_news.assistant_accepted": _SIDE,
    "record_news.representative_recorded": _SIDE,
    "record_news.referring_proposed": _SIDE,
    "record_news.referring_effective": _SIDE,
    "record_news.referring_ending": _SIDE,
    "record_news.referring_ended": _SIDE,
    "record_news.dispensed": _SIDE,
    "record_news.deposit_overdue": _SIDE,
    "record_news.rectification_answered": _SIDE,
    "record_news.case_answered": _SIDE,
    "record_news.deposit_opposed": _SIDE,
    "record_news.document_removed": _SIDE,
    "record_news.documents_expired": _SIDE,
    "record_news.first_access": (REPRESENTATIVE,),  # the holder has a text of their own, which the law asks for
}
"""Which of the holder side hear of what: an assistant of what breaks the glass alone. [domain: Emergency access]"""

FOR_PROFESSIONALS: Final[tuple[str, ...]] = (
    "record_news.physician.referring_proposed", "record_news.physician.referring_effective",
    "record_news.physician.referring_ending", "record_news.physician.referring_ended",
    "record_news.block_reminder", "record_news.block_escalated", "record_news.physician.block_escalated",
    "record_news.author.document_removed",
    "record_news.deposit_requested", "record_news.deposit_withdrawn",
    "record_news.rectification_asked", "record_news.rectification_overdue",
)  # fmt: skip
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

_TOLD_OTHERWISE: Final = frozenset({"closing", "death", "holder", "licence", "merged", "unmerged", "opposition"})
"""Why a grant may end without news of its own: the holder did it, or other news of the same moment says it."""

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
