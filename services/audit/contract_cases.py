"""What audit says of cases: somebody does not recognise an access, and the privacy officer answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict

from services.audit.contract_oversight import WholeEntry
from services.refusals import Refusal

CASES_LIMIT: Final = 100
"""The most cases one page holds."""


# --- events -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CaseAnswered:
    """The privacy officer answered somebody who did not recognise an access: the holder side is told.

    hidden: "blocked" or "withheld" where the access was to a document that is hidden so now; who may not know of the
    document does not hear of the answer either [L14 16(5), L14 13]. at: RFC 3339.
    """

    type: ClassVar[str] = "case_answered.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    case_id: str
    at: str
    hidden: str | None = None


@dataclass(frozen=True)
class CaseOpened:
    """A case waits for a privacy officer; they are told that one does, nothing of whom or what. at: RFC 3339."""

    type: ClassVar[str] = "case_opened.v1"
    subject: ClassVar[str | None] = None

    case_id: str
    at: str


# --- refusals -----------------------------------------------------------------------------------------------


class CaseNotFound(Refusal):
    """There is no such case, or none that the caller may read."""

    code: ClassVar[str] = "case_not_found"


class CaseExists(Refusal):
    """There is a case about this entry already, named by `case_id`."""

    code: ClassVar[str] = "case_exists"


# --- shapes on the wire -------------------------------------------------------------------------------------


class CaseShown(TypedDict):
    """A case as the holder side reads it; who answered is the officer's office, not a name."""

    case_id: str
    version: int
    record_id: str
    entry_id: str
    state: str
    opened_at: str
    comment: str | None
    verdict: str | None
    answer: str | None
    answered_at: str | None


class Cases(TypedDict):
    """A page of a record's cases, newest first; next_cursor is null on the last one."""

    cases: list[CaseShown]
    next_cursor: str | None


class CaseRead(CaseShown):
    """A case as an officer reads it, with the entry; null once the entry's contents are destroyed."""

    opened_by: str
    patient_id: str | None
    taken_by: str | None
    taken_at: str | None
    answered_by: str | None
    entry: WholeEntry | None


class CaseQueue(TypedDict):
    """A page of all cases, the one that waits longest first; next_cursor is null on the last one."""

    cases: list[CaseRead]
    next_cursor: str | None
