"""What the close look at a file may find: facts only, made in a process that can do nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TEXT_LENGTH = 200_000
"""The characters of a file's text that are kept for searching."""


class NotPassed(Exception):
    """Raised by an examiner of a file that does not pass; `code` is one of contract.REJECTIONS."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Rendition:
    """Something made of a file to be shown instead of it: kind is thumbnail, page, view or frame."""

    kind: str
    media_type: str
    data: bytes
    number: int = 1


@dataclass(frozen=True)
class Line:
    """A line of a prescription. quantity: as a decimal in text, None where no number was prescribed."""

    text: str
    quantity: str | None = None
    unit: str | None = None
    code: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class Entry:
    """A coded entry. kind: risk_factor, allergy, problem. since: an ISO day, where it is told."""

    kind: str
    display: str
    code: str | None = None
    system: str | None = None
    since: str | None = None


@dataclass(frozen=True)
class Image:
    """A DICOM object: its place in a study, its attributes as DICOM JSON, and where its frames lie in the file.

    frames: of each frame, offset and length of its parts one after the other; empty where they cannot be told apart.
    frame_count: how many there are all the same; 0 for what is no image.
    """

    study_uid: str
    series_uid: str
    instance_uid: str
    class_uid: str
    transfer_syntax: str
    attributes: dict[str, Any]
    frames: tuple[tuple[int, ...], ...] = ()
    frame_count: int = 0


@dataclass(frozen=True)
class Reference:
    """An instance that a manifest or a report points to; of one that names a study alone the other ids are empty."""

    study_uid: str
    series_uid: str
    instance_uid: str
    class_uid: str


@dataclass(frozen=True)
class Findings:
    """All that was found in one file. rejection: a code of contract.REJECTIONS, None when it passed."""

    rejection: str | None = None
    text: str = ""
    renditions: tuple[Rendition, ...] = ()
    lines: tuple[Line, ...] = ()
    entries: tuple[Entry, ...] = ()
    image: Image | None = None
    references: tuple[Reference, ...] = ()
    valid_until: str | None = None
    noted: dict[str, Any] = field(default_factory=dict)
