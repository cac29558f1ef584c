"""What may be asked about images, and what a study token is: pure decisions about texts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from services.documents.contract_imaging import (
    FRAMES_AT_ONCE,
    KEY_OBJECTS,
    LISTED_AT_ONCE,
    STUDY_TOKEN,
    STUDY_TOKEN_LIFETIME,
)

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
_DATES = re.compile(r"(\d{8})?(-)?(\d{8})?")
_REPORTS = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104.")  # structured reports; encapsulated ones
_FURTHEST = 100_000

Only = Sequence[str]  # record and study: all that a study token opens


def is_uid(text: object) -> bool:
    """Whether this is a unique identifier of DICOM (PS3.5, 9.1)."""
    return isinstance(text, str) and len(text) <= 64 and _UID.fullmatch(text) is not None


def is_code(text: object) -> bool:
    """Whether this can be a code string, as a modality is."""
    return isinstance(text, str) and _CODE.fullmatch(text) is not None


def is_offset(number: object) -> bool:
    """Whether a search may begin that far down."""
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _FURTHEST


def is_listed(number: object) -> bool:
    """Whether one answer may tell that many."""
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= LISTED_AT_ONCE


def are_frames(numbers: object) -> bool:
    """Whether these are numbers of frames, which are counted from 1, and no more than one answer tells."""
    if not isinstance(numbers, list) or not 1 <= len(numbers) <= FRAMES_AT_ONCE:
        return False
    return all(isinstance(number, int) and not isinstance(number, bool) and 1 <= number < 2**31 for number in numbers)


def read_dates(text: str) -> tuple[str, str] | None:
    """First and last day of a matching of dates (PS3.4, C.2.2.2.5), "" where it is open; None when it is none."""
    found = _DATES.fullmatch(text)
    if found is None or not (found[1] or found[3]) or (found[1] and found[3] and not found[2]):
        return None
    for day in (found[1], found[3]):
        try:
            datetime.strptime(day or "20000101", "%Y%m%d")
        except ValueError:
            return None
    return found[1] or "", found[3] or ("" if found[2] else found[1] or "")


def within(only: Only | None, record_id: str | None, study_uid: str | None) -> bool:
    """Whether a request stays inside what its study token opens; without one it goes wherever the rights go."""
    return only is None or list(only) == [record_id, study_uid]


def kind_of(class_uid: str | None) -> str:
    """What a document of a study is to a reader: report, manifest or image; without a class it is no DICOM object."""
    if class_uid == KEY_OBJECTS:
        return "manifest"
    return "report" if class_uid is None or class_uid.startswith(_REPORTS) else "image"


def first_value(attributes: dict[str, Any] | None, tag: str) -> str | None:
    """The first value of an element of a DICOM JSON model, as text."""
    values = ((attributes or {}).get(tag) or {}).get("Value") or [None]
    return None if values[0] is None else str(values[0])


# --- the study token --------------------------------------------------------------------------------------------------


def is_study_token(text: object) -> bool:
    """Whether this looks like a study token at all."""
    return isinstance(text, str) and text.startswith(STUDY_TOKEN) and 40 <= len(text) <= 80 and text.isascii()


def token_digest(token: str) -> bytes:
    """What is kept of a study token."""
    return hashlib.sha256(b"study token\0" + token.encode()).digest()


def token_key(token: str) -> bytes:
    """The key that only who holds the token can make; what it opens is useless to who reads the table."""
    return hashlib.sha256(b"key of a study token\0" + token.encode()).digest()


def token_until(at: datetime, access_ends: datetime) -> datetime:
    """When a study token ends: after 15 minutes, and never after the access it was asked for with."""
    return min(at + timedelta(seconds=STUDY_TOKEN_LIFETIME), access_ends)
