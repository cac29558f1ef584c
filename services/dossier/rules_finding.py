"""What a search for patients may say of their records, and what its reader may do next.

Pure, as rules.py. A professional learns whether a record is accessible and nothing finer [seed 000]: a missing one, one
not yet open and a closed one look alike, and a block looks like the lack of a ground.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.dossier.contract import AccessScope

ACTIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("professional", "ground"): ("read_record",),
    ("professional", "accessible"): ("enter_presence_code",),
    ("professional", "not_accessible"): (),
    ("professional", "no_record"): (),
    ("agent", "accessible"): ("read_sheet", "change_sheet", "merge"),
    ("agent", "not_accessible"): ("read_sheet", "change_sheet", "merge"),
    ("agent", "no_record"): ("read_sheet", "change_sheet", "merge", "open_record"),
}
"""What may be done next with a patient who was found, by who asks and how the record stands."""


def may_search(capacity: str) -> bool:
    """Whether this capacity searches for patients at all."""
    return capacity in ("professional", "agent")


def standing(accessible: bool, given: AccessScope | None) -> str:
    """How a record stands to who asks. given: a professional's scope in it, None for an agent."""
    if given is not None and given.clauses:
        return "ground"
    return "accessible" if accessible else "not_accessible"


def shows_stays(given: AccessScope | None) -> bool:
    """Whether the stays at one's own establishment are told: to whom one of them lets in, so that a block says nothing.

    given: a professional's scope in the record, None for an agent.
    """
    return given is not None and any(clause.ground == "admission" for clause in given.clauses)


def shows_record(capacity: str, accessible: bool) -> bool:
    """Whether the record's id and number are told: to agents always, to professionals where it is accessible."""
    return accessible or capacity == "agent"
