"""What is decided about the end of documents: who removes them, when their time is over. Pure, and without a clock."""

from __future__ import annotations

from datetime import datetime

from services.documents.contract import (
    REASON_LENGTH,
    REMOVAL_CAUSES,
    REMOVAL_STATES,
    RemovalDecided,
    SecondAgentNeeded,
)
from services.documents.contract_ends import REMOVALS_LIMIT
from services.documents.rules import canonical_id, clean_line
from services.refusals import InvalidInput


def may_work(capacity: str) -> bool:
    """Whether somebody is an agent of the agency: nobody else removes documents [domain, Documents]."""
    return capacity == "agent"


def refused_decision(state: str, asked_by: str | None, agent: str) -> RemovalDecided | SecondAgentNeeded | None:
    """Why an agent does not decide about a removal; None where they do. agent, asked_by: their accounts."""
    if state != "asked":
        return RemovalDecided()
    return SecondAgentNeeded() if asked_by == agent else None


def require_words(cause: object, reason: object) -> tuple[str, str]:
    """Cause and reason of a removal. Refuses: InvalidInput."""
    errors = []
    if not isinstance(cause, str) or cause not in REMOVAL_CAUSES:
        errors.append({"pointer": "/cause", "message": "choice"})
    clean = clean_line(reason, REASON_LENGTH)
    if clean is None:
        errors.append({"pointer": "/reason", "message": "invalid"})
    if errors or clean is None:
        raise InvalidInput(errors=errors)
    return str(cause), clean


def require_queue(state: object, limit: object, cursor: object) -> tuple[str | None, int, str | None]:
    """Of a list of removals: which state, how many, after which one. Refuses: InvalidInput."""
    after = None if cursor is None else canonical_id(cursor)
    errors = [
        {"pointer": pointer, "message": "invalid"}
        for pointer, right in (
            ("/state", state is None or state in REMOVAL_STATES),
            ("/limit", isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= REMOVALS_LIMIT),
            ("/cursor", cursor is None or after is not None),
        )
        if not right
    ]
    if errors or not isinstance(limit, int):
        raise InvalidInput(errors=errors)
    return state if isinstance(state, str) else None, limit, after


def years_before(moment: datetime, years: int) -> datetime:
    """The same day so many years ago; the 28th where it is the 29th of February and that year has none."""
    year = moment.year - years
    try:
        return moment.replace(year=year)
    except ValueError:
        return moment.replace(year=year, day=28)


def hidden_how(*, state: str, blocked: bool, withheld: bool) -> str | None:
    """From whom of the holder side the end of a document is hidden as the document was; None from nobody.

    What was never shown to them is not told of either: `unfinished` and `blocked` to nobody there, `withheld` to the
    holder alone [L14 16(5), L14 13].
    """
    if state != "available":
        return "unfinished"
    if blocked:
        return "blocked"
    return "withheld" if withheld else None
