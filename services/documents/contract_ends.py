"""How documents end: removal by the agency, and what a whole record is exported as; the scrub of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

REMOVAL_CAUSES: tuple[str, ...] = ("wrong_patient", "deposited_in_error", "unlawful", "holder_request", "court_order")
"""Why the agency is asked to take a document out [domain, Documents]."""

END_CAUSES: tuple[str, ...] = ("term", "record_deleted")
"""Why a document ends without anybody asking: its time is over, or its record was deleted [RGD 9(5), RGD 4]."""

REMOVAL_STATES: tuple[str, ...] = ("asked", "approved", "refused", "destroyed")
"""Approved: the document is gone, its bytes are going; destroyed: the last of them is."""

REASON_LENGTH: Final = 500
REMOVALS_LIMIT: Final = 100
EXPORT_PAGE: Final = 100

SCRUB_FINDINGS: tuple[str, ...] = ("missing", "changed")


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RemovalAsked:
    """A removal waits for a second agent. asked_by: the account of the first, who cannot be the second."""

    type: ClassVar[str] = "removal_asked.v1"
    subject: ClassVar[str | None] = None

    removal_id: str
    asked_by: str
    at: str


# --- refusals ---------------------------------------------------------------------------------------------------------


class RemovalNotFound(Refusal):
    """No removal has this id."""

    code = "removal_not_found"


class RemovalUnderWay(Refusal):
    """Somebody asked for the removal of this document already, and it is not decided."""

    code = "removal_under_way"


class RemovalDecided(Refusal):
    """The removal was approved or refused before."""

    code = "removal_decided"


class SecondAgentNeeded(Refusal):
    """Who asked for a removal does not decide about it: it takes two agents."""

    code = "second_agent_needed"


class ExportOver(Refusal):
    """No export of this id runs: unknown, of an ended session, or a day old."""

    code = "export_over"


class Removal(TypedDict):
    """A removal as agents see it: ids, codes and the agents' own words. objects: how many have gone, or have to go."""

    removal_id: str
    document_id: str
    cause: str
    reason: str
    state: str
    asked_by: str | None
    asked_at: str
    decided_by: str | None
    decided_at: str | None
    destroyed_at: str | None
    objects: int


class Removals(TypedDict):
    """Answer of `list_removals`, newest first; `next_cursor` is null on the last page."""

    removals: list[Removal]
    next_cursor: str | None


class BegunExport(TypedDict):
    """Answer of `begin_export`: what follows is asked for under `export_id`. history: whether its access history too.

    documents, files: how many there are to come.
    """

    export_id: str
    record_id: str
    documents: int
    files: int
    begun_at: str
    history: bool


class ExportedVersion(TypedDict):
    """One version of an exported document."""

    version_id: str
    number: int
    media_type: str
    size: int
    sha256: str
    author_id: str | None
    created_at: str
    current: bool


class ExportedDocument(TypedDict):
    """A document of an export with all its versions, the oldest first."""

    document_id: str
    type: str
    category: str
    folder: str
    title: str
    act_date: str | None
    language: str | None
    author_id: str | None
    holder_authored: bool
    level: str
    deposited_at: str
    versions: list[ExportedVersion]


class ExportPage(TypedDict):
    """Answer of `export_page`, the oldest deposit first; `next_cursor` is null on the last page."""

    documents: list[ExportedDocument]
    next_cursor: str | None


class ExportedFile(TypedDict):
    """Answer of `export_file`; the names are those of `OpenedContent`."""

    content_id: str
    get_url: str
    sealed_key: str
    size: int
    media_type: str
    sha256: str


class ScrubFinding(TypedDict):
    """An object of the store that is not what it was: `missing` or `changed`; document_id: whose it is."""

    object_id: str
    document_id: str | None
    kind: str
    finding: str
    at: str


class Scrubs(TypedDict):
    """Answer of `list_scrubs`: what was found, newest first, and how far the scrub is.

    scrubbed: objects that were read since `since`, of `objects` there are.
    """

    findings: list[ScrubFinding]
    objects: int
    scrubbed: int
    since: str | None
    next_cursor: str | None
