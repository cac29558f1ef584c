"""What may be deposited, read and changed: pure decisions over an access scope, a document's facts and a clock.

dossier says what a caller may do in a record (the scope); these rules apply it to one document. `store.visible` says
the same in SQL, and a property test holds the two together.
"""

import base64
import binascii
import json
import re
import unicodedata
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from services.documents.contract import (
    CDA,
    CDA_AS_TEXT,
    DICOM,
    JPEG,
    LEVELS,
    MEDIA_TYPES,
    MOST_BYTES,
    PAGE_LIMIT,
    PDF,
    PNG,
    TEXT,
    MediaTypeNotAllowed,
    UploadEmpty,
    UploadTooLarge,
)

UPLOAD_LIFETIME = timedelta(hours=24)
"""How long a prepared deposit waits for its bytes; what lies in the store without a row after that is swept."""

OPEN_WINDOW = timedelta(minutes=15)
"""Reads of one version in one session within this time are one opening, with one trace [decisions, Traces]."""

OPEN_NOTED = timedelta(minutes=1)
"""How much older than its last read an opening may look: a write per minute, not per range."""

OPEN_LONGEST = timedelta(days=1)
"""However long somebody reads on, after this time it is another opening."""

TITLE_LENGTH = 200
EARLIEST_ACT = date(1900, 1, 1)
_LANGUAGE = re.compile(r"[a-z]{2}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_DOCUMENT_BYTES = (PDF, PNG, JPEG, TEXT, CDA, CDA_AS_TEXT)
_DICOM_CATEGORIES = ("imaging", "care_reports")  # images and key images; structured reports

Errors = list[dict[str, str]]


class Place(NamedTuple):
    """A document that was asked for by an id: None where the id is none, or where there is no such document.

    record_id: where it lies. home_id: whose it is, which is another record where that one leads to `record_id` because
    two patients were merged. Traces of a document name its home: in the history of `record_id` they are read as long as
    the two are one, and afterwards they are in that of the person whom they are about.
    """

    document_id: str | None
    record_id: str | None
    home_id: str | None


class ClauseOfScope(Protocol):
    """One ground's rights, as dossier's contract shapes them."""

    @property
    def ground(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def read(self) -> Collection[str]: ...
    @property
    def deposit(self) -> Collection[str]: ...
    @property
    def folders(self) -> Collection[str] | None: ...
    @property
    def levels(self) -> Collection[str]: ...
    @property
    def unread(self) -> Collection[str]: ...
    @property
    def dispenses(self) -> bool: ...
    def reads(self, category: str, level: str, type: str | None = None, folder: str | None = None) -> bool: ...
    def deposits(self, category: str, type: str, folder: str) -> bool: ...


class Scope(Protocol):
    """What one caller may do in one record, as dossier's contract shapes it."""

    @property
    def holder_side(self) -> bool: ...
    @property
    def may_see_blocked(self) -> bool: ...
    @property
    def may_see_withheld(self) -> bool: ...
    @property
    def reader_id(self) -> str | None: ...
    @property
    def author_id(self) -> str | None: ...
    @property
    def account_id(self) -> str | None: ...
    @property
    def autonomous_minor(self) -> bool: ...
    @property
    def clauses(self) -> Sequence[ClauseOfScope]: ...


@dataclass(frozen=True)
class DocumentType:
    """A row of document_types.csv."""

    slug: str
    label_fr: str
    folder: str
    category: str
    loinc: str | None


@dataclass(frozen=True)
class Facts:
    """What a decision about one reader needs to know of a document. restricted: against this reader."""

    category: str
    folder: str
    level: str
    author_id: str | None
    patient_blocked: bool = False
    type: str = ""
    withheld: bool = False
    restricted: bool = False


@dataclass(frozen=True)
class Grant:
    """The ground and the rule that let somebody do something: what the trace names."""

    ground: str
    rule: str


AUTHOR = Grant("author", "author/own")


@dataclass(frozen=True)
class Metadata:
    """What a depositor says about a document, checked. details: of a prescription, as they are kept."""

    type: DocumentType
    title: str
    act_date: date | None
    language: str | None
    details: Mapping[str, Any] | None = None


# --- rights -----------------------------------------------------------------------------------------------------------


def may_read(scope: Scope, facts: Facts) -> Grant | None:
    """What lets this caller read the document, or None: the first clause that does, else authorship.

    An author reads their own document whatever its level, and a patient block never hides it from them [L14 18(2)].
    """
    if not hidden(scope, facts):
        for clause in scope.clauses:
            if reads(clause, facts):
                return Grant(clause.ground, clause.rule)
    if scope.author_id is not None and scope.author_id == facts.author_id:
        return AUTHOR
    return None


def may_deposit(scope: Scope, kind: DocumentType) -> Grant | None:
    """What lets this caller deposit a document of this type, or None [RGD Annex 1; domain, Who may see what]."""
    for clause in scope.clauses:
        if clause.deposits(kind.category, kind.slug, kind.folder):
            return Grant(clause.ground, clause.rule)
    return None


def may_change_level(scope: Scope, facts: Facts) -> Grant | None:
    """What lets this caller set another level, or None.

    The holder side may for every document it sees; a professional where one and the same clause reaches the document
    at its present level and lets them deposit its category. Authorship alone is read-only [domain, Confidentiality].
    """
    grant = may_read(scope, facts)
    if grant is None:
        return None
    if scope.holder_side:
        return grant
    if hidden(scope, facts):
        return None
    for clause in scope.clauses:
        if reads(clause, facts) and clause.deposits(facts.category, facts.type, facts.folder):
            return Grant(clause.ground, clause.rule)
    return None


def reads_on(read_at: datetime | None, from_start: bool, at: datetime) -> bool:
    """Whether a request joins an opening last read at `read_at`: a later range does, while no 15 minutes have passed.

    So one download or one walk through a file is one opening, however long it takes; to begin at the first byte again
    is to open again, 15 minutes after the last time.
    """
    return not from_start and read_at is not None and read_at > at - OPEN_WINDOW


def ground_of_list(scope: Scope) -> Grant:
    """The strongest ground of a whole list: the first clause, authorship where there is none."""
    for clause in scope.clauses:
        return Grant(clause.ground, clause.rule)
    return AUTHOR


def reads(clause: ClauseOfScope, facts: Facts) -> bool:
    """Whether this clause reaches the document; what hides it is another question."""
    return clause.reads(facts.category, facts.level, facts.type, facts.folder)


def hidden(scope: Scope, facts: Facts) -> bool:
    """Whether something hides the document from who has this scope, if they are not its author."""
    """Whether a block, a withholding or a restriction hides the document from this caller, their own excepted."""
    return (
        (facts.patient_blocked and not scope.may_see_blocked)
        or (facts.withheld and not scope.may_see_withheld)
        or facts.restricted
    )


# --- a deposit --------------------------------------------------------------------------------------------------------


def read_metadata(
    types: Mapping[str, DocumentType],
    *,
    type: object,
    title: object,
    act_date: object,
    language: object,
    today: date,
) -> tuple[Metadata | None, Errors]:
    """The depositor's words about the document, or every error in them as {pointer, message}.

    `today` in UTC; an act may be dated a day ahead, the depositor's calendar may be.
    """
    errors: Errors = []
    kind = types.get(type) if isinstance(type, str) else None
    if kind is None:
        errors.append({"pointer": "/type", "message": "unknown"})
    clean = clean_line(title)
    if clean is None:
        errors.append({"pointer": "/title", "message": "invalid"})
    acted: date | None = None
    if act_date is not None:
        try:
            acted = date.fromisoformat(act_date) if isinstance(act_date, str) and len(act_date) == 10 else None
        except ValueError:
            acted = None
        if acted is None or not EARLIEST_ACT <= acted <= today + timedelta(days=1):
            errors.append({"pointer": "/act_date", "message": "invalid"})
    if language is not None and not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
        errors.append({"pointer": "/language", "message": "invalid"})
    if errors or kind is None or clean is None:
        return None, errors
    return Metadata(kind, clean, acted, language if isinstance(language, str) else None), []


def clean_line(line: object, most: int = TITLE_LENGTH) -> str | None:
    """One line of somebody's words in its one spelling, or None when it is none, too long, or would read as another."""
    if not isinstance(line, str):
        return None
    clean = " ".join(unicodedata.normalize("NFC", line).split())
    if not 1 <= len(clean) <= most:
        return None
    kinds = {unicodedata.category(character) for character in clean}
    # control characters and direction overrides make a title read as another; unpaired surrogates cannot be stored
    if kinds & {"Cc", "Cs"} or any(character in _OVERRIDES for character in clean):
        return None
    if not any(kind[0] in "LNPS" for kind in kinds):  # nothing that shows
        return None
    return clean


def media_types_of(kind: DocumentType) -> tuple[str, ...]:
    """The kinds of bytes that documents of this type may have [domain, Documents: deposit]."""
    return (*_DOCUMENT_BYTES, DICOM) if kind.category in _DICOM_CATEGORIES else _DOCUMENT_BYTES


def refused_content(
    kind: DocumentType, media_type: str, size: int, max_size: int
) -> UploadEmpty | UploadTooLarge | MediaTypeNotAllowed | None:
    """Why these bytes cannot become a document of this type, or None."""
    if size == 0:
        return UploadEmpty()
    if media_type not in media_types_of(kind):
        return MediaTypeNotAllowed(allowed=list(media_types_of(kind)))
    most = most_bytes(media_type, max_size)
    return UploadTooLarge(max_size=most, media_type=media_type) if size > most else None


def most_bytes(media_type: str, max_size: int) -> int:
    """How many bytes a file of this kind may have, where the platform takes `max_size` at most."""
    return min(MOST_BYTES.get(media_type, max_size), max_size)


def is_digest(text: object) -> bool:
    """Whether this is a SHA-256 in lower-case hexadecimal."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_size(number: object) -> bool:
    """Whether this is a number of bytes."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def is_level(text: object) -> bool:
    """Whether this names a level of confidentiality."""
    return text in LEVELS


# --- a page -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Position:
    """Where a page of a list ended: the last document's moment of deposit and id."""

    deposited_at: datetime
    document_id: str


def to_cursor(position: Position) -> str:
    """The position as an opaque text: only `from_cursor` reads it."""
    text = json.dumps([position.deposited_at.astimezone(UTC).isoformat(), position.document_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(cursor: object) -> Position | None:
    """The position in a cursor that `to_cursor` made, or None when it is not one."""
    if not isinstance(cursor, str) or not 0 < len(cursor) <= 200 or not cursor.isascii():
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(parts, list) or len(parts) != 2:
            return None
        moment = datetime.fromisoformat(parts[0])
        identity = canonical_id(parts[1])
        if moment.tzinfo is None or identity is None:
            return None
        position = Position(moment, identity)
        # A time that only Python can read, in a zone of seconds or before the first year, must not reach the database.
        return position if to_cursor(position) == cursor else None
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
        return None


def is_page_limit(limit: object) -> bool:
    """Whether a page may hold this many documents."""
    return isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= PAGE_LIMIT


# --- names ------------------------------------------------------------------------------------------------------------


def canonical_id(text: object) -> str | None:
    """The id in its one spelling, or None when it is no id at all: such a text must reach neither SQL nor a trace."""
    if not isinstance(text, str) or len(text) != 36:
        return None
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def filename(type: str, day: date, media_type: str) -> str:
    """The name a downloaded file gets: type and day only, because a title may say more than a folder should show."""
    return f"{type}-{day.isoformat()}.{MEDIA_TYPES.get(media_type, 'bin')}"
