"""The pure decisions of secure messages: who may read, who may write, who hears what is written. No I/O, no clock."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from services.notifications.contract_threads import (
    ATTACHMENT_BYTES,
    ATTACHMENT_KINDS,
    ATTACHMENTS_MOST,
    CORRESPONDENTS_MOST,
    FILE_NAME_LENGTH,
    SUBJECT_LENGTH,
    TEXT_LENGTH,
    THREADS_PAGE,
    AttachmentNotFound,
    AttachmentRejected,
    CorrespondentNotFound,
    WritingEnded,
)
from services.notifications.rules import is_id
from services.refusals import InvalidInput, Refusal

PATIENT: Final = "patient"
PROFESSIONAL: Final = "professional"
HOLDER: Final = "holder"

CLEAN: Final = "clean"
HARMFUL: Final = "harmful"
DAMAGED: Final = "damaged"
"""What a look at a file finds: nothing; something harmful; that these are not the bytes that were sealed."""

LOOSE_FOR: Final = timedelta(days=1)
"""For how long a file waits to be sent."""

# Bidirectional overrides can make a name look like another kind of file; the rest is of no use in any text.
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
_UNFIT: Final = re.compile(r'[/\\:*?"<>|\r\n\t]')


# --- who --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """Who reads or writes: a professional, wherever they work, or a patient, for whichever record."""

    kind: str
    person_id: str


def person_of(capacity: str, patient_id: str | None, professional_id: str | None) -> Person | None:
    """As whom a caller takes part; None for agents and machines, who never do [domain: Agence]."""
    if capacity == PATIENT and patient_id is not None:
        return Person(PATIENT, patient_id)
    if capacity == PROFESSIONAL and professional_id is not None:
        return Person(PROFESSIONAL, professional_id)
    return None


@dataclass(frozen=True)
class Side:
    """The holder side of a thread's record now, and the professionals it may exchange messages with: dossier's answer.

    role: as what the patient who asks stands on it, None where they do not, or nobody asked.
    """

    record_id: str
    open: bool
    holder: str | None
    representatives: tuple[str, ...]
    autonomous_minor: bool
    role: str | None
    speaks_id: str | None
    professionals: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(told: Mapping[str, Any]) -> Side:
        return Side(**{**told, "representatives": tuple(told["representatives"])})


@dataclass(frozen=True)
class Part:
    """What somebody is to a thread, as far as our tables know: `added` and `left` of a professional alone."""

    added: bool
    left: bool


def may_read(person: Person, part: Part, role: str | None, holder_only: bool) -> bool:
    """Whether a thread is there for somebody. Professionals: who ever took part. Of the holder side: who stands on it
    now, its representatives only where the thread is not the holder's own [L14 13]."""
    if person.kind == PROFESSIONAL:
        return part.added
    return role is not None and (role == HOLDER or not holder_only)


def refused_writing(
    person: Person, part: Part, side: Side | None, allowed: Collection[str], others: Collection[str]
) -> Refusal | None:
    """Why somebody who may read a thread may not write in it now, one answer for every cause; None where they may.

    side: None in a thread among professionals. allowed: the professionals whom dossier lets write. others: those
    besides the writer who hear what is written there.
    """
    if person.kind == PROFESSIONAL:
        right = not part.left and person.person_id in allowed
    else:
        right = side is not None and side.role is not None
    if side is None:
        heard = bool(others)
    else:
        right = right and side.open
        heard = side.holder is not None and (person.kind == PROFESSIONAL or bool(others))
    return None if right and heard else WritingEnded()


def hearers(taking_part: Collection[str], looked_at: Collection[str], allowed: Collection[str]) -> list[str]:
    """The professionals who hear what is written now: those who take part and are let.

    looked_at: of whom was asked whether they are (`allowed`). Who was added since was let at that very moment.
    """
    return sorted(one for one in taking_part if one in allowed or one not in looked_at)


def refused_correspondents(wanted: Collection[str], allowed: Collection[str]) -> Refusal | None:
    """Why these professionals cannot be written to, one answer for every cause."""
    return None if set(wanted) <= set(allowed) else CorrespondentNotFound()


def told_of_side(side: Side, author: Person, holder_only: bool) -> list[tuple[str, str]]:
    """Who of the holder side is told that something was written, and as what; not who wrote it, nor twice."""
    people = [(side.holder, HOLDER)] if side.holder is not None else []
    if not holder_only:
        people += [(one, "representative") for one in side.representatives]
    own = {author.person_id, side.speaks_id} if author.kind == PATIENT else set()
    told: dict[str, str] = {}
    for patient_id, role in people:
        if patient_id is not None and patient_id not in own:
            told.setdefault(patient_id, role)
    return list(told.items())


def is_holders_own(side: Side, role: str | None) -> bool:
    """Whether a new thread is the holder's own: of a minor who decides alone, unless a representative begins it."""
    return side.autonomous_minor and role in (None, HOLDER)


def years_before(moment: datetime, years: int) -> datetime:
    """The same day so many years ago; of a 29 February the 28th."""
    try:
        return moment.replace(year=moment.year - years)
    except ValueError:
        return moment.replace(year=moment.year - years, day=28)


# --- attachments ------------------------------------------------------------------------------------------------------


def state_of(checked: bool, rejected: bool) -> str:
    """What is said of a file."""
    return "rejected" if rejected else "available" if checked else "checking"


def refused_sending(found: Sequence[Mapping[str, Any]], asked: Collection[str]) -> Refusal | None:
    """Why these files cannot be sent; not there for the sender, sent already and never come are one answer."""
    if len(found) != len(asked):
        return AttachmentNotFound()
    return AttachmentRejected() if any(one["rejected"] for one in found) else None


def file_name(name: str, media_type: str) -> str:
    """A file's name as it is offered for saving: never a path, and with the ending of what its bytes are."""
    ending = ATTACHMENT_KINDS[media_type]
    stem = _UNFIT.sub("_", name).strip(" .") or "file"
    base, dot, told = stem.rpartition(".")
    same = {ending} | ({"jpeg"} if ending == "jpg" else set())
    return stem if dot and base and told.lower() in same else f"{stem}.{ending}"


# --- input ------------------------------------------------------------------------------------------------------------


def text_of(value: object, most: int, *, lines: bool) -> str | None:
    """A text somebody wrote, without blanks around it; None for what is none, or holds what cannot be seen."""
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a character
        return None
    text = unicodedata.normalize("NFC", value.replace("\r\n", "\n")).strip()
    fit = 0 < len(text) <= most and not _UNSEEN.search(text) and (lines or "\n" not in text)
    return text if fit else None


def require_thread(
    subject: object, text: object, professional_ids: object, record_id: object
) -> tuple[str, str | None, list[str], str | None]:
    """What a new thread begins with, in its one spelling. Refuses: InvalidInput."""
    wrong: dict[str, bool] = {}
    title = text_of(subject, SUBJECT_LENGTH, lines=False)
    first = None if text is None else text_of(text, TEXT_LENGTH, lines=True)
    wrong["/subject"], wrong["/text"] = title is None, text is not None and first is None
    named = professional_ids if isinstance(professional_ids, list) else None
    ids = list(dict.fromkeys(one.lower() for one in named or () if is_id(one)))
    wrong["/professional_ids"] = named is None or any(not is_id(one) for one in named)
    wrong["/record_id"] = record_id is not None and not is_id(record_id)
    _refuse(wrong, "invalid")
    _refuse({"/professional_ids": len(ids) > CORRESPONDENTS_MOST}, "too_many")
    _refuse({"/professional_ids": not ids and record_id is None}, "required")
    return title or "", first, ids, str(record_id).lower() if record_id is not None else None


def require_message(text: object, attachment_ids: object) -> tuple[str, list[str]]:
    """What a message is made of; its files once each, in the order given. Refuses: InvalidInput."""
    said = text_of(text, TEXT_LENGTH, lines=True)
    given = [] if attachment_ids is None else attachment_ids
    listed = given if isinstance(given, list) else None
    _refuse({
        "/text": said is None,
        "/attachment_ids": listed is None or any(not is_id(one) for one in listed),
    }, "invalid")  # fmt: skip
    ids = list(dict.fromkeys(one.lower() for one in listed or ()))
    _refuse({"/attachment_ids": len(ids) > ATTACHMENTS_MOST}, "too_many")
    return said or "", ids


def require_name(name: object) -> str:
    """The name of a file. Refuses: InvalidInput."""
    said = text_of(name, FILE_NAME_LENGTH, lines=False)
    _refuse({"/name": said is None}, "invalid")
    return said or ""


def require_put(sha256: object, size: object, media_type: object) -> bytes:
    """What the gateway says of the bytes that went into the store; their digest. Refuses: InvalidInput."""
    digest = sha256 if isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256) else None
    whole = isinstance(size, int) and not isinstance(size, bool) and 0 < size <= ATTACHMENT_BYTES
    known = isinstance(media_type, str) and media_type in ATTACHMENT_KINDS
    _refuse({"/sha256": digest is None, "/size": not whole, "/media_type": not known}, "invalid")
    return bytes.fromhex(digest or "")


def require_page(limit: object, cursor: object) -> tuple[int, Any]:
    """How much of a list, and after which place of it, as `place_of` reads it. Refuses: InvalidInput."""
    most = limit if isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= THREADS_PAGE else None
    _refuse({"/limit": most is None}, "range")
    place = None if cursor is None else place_of(cursor)
    _refuse({"/cursor": cursor is not None and place is None}, "cursor")
    return most or 1, place


def require_flag(value: object, pointer: str) -> bool:
    """True or false. Refuses: InvalidInput."""
    _refuse({pointer: not isinstance(value, bool)}, "boolean")
    return value is True


def require_number(value: object) -> int:
    """The number of a message. Refuses: InvalidInput."""
    right = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
    _refuse({"/read_number": not right}, "range")
    return value if isinstance(value, int) else 0


def id_of(value: object, nobody: str) -> str:
    """An id in its one spelling; what is none leads nowhere, as an unknown one does."""
    return str(value).lower() if is_id(value) else nobody


def _refuse(wrong: Mapping[str, bool], message: str) -> None:
    errors = [{"pointer": pointer, "message": message} for pointer, is_wrong in wrong.items() if is_wrong]
    if errors:
        raise InvalidInput(errors=errors)


# --- pages ------------------------------------------------------------------------------------------------------------

_PLACE: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)_([0-9a-f-]{36})|n([0-9]{1,9})"
)


def place_of(cursor: object) -> tuple[str, str] | int | None:
    """The place a cursor names: a time and a thread, or the number of a message; None where it is none of ours."""
    found = _PLACE.fullmatch(cursor) if isinstance(cursor, str) else None
    if found is None:
        return None
    if found[3] is not None:
        return int(found[3])
    return (found[1], found[2]) if is_id(found[2]) and _is_moment(found[1]) else None


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text) is not None
    except ValueError:
        return False
