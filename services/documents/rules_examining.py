"""How the close look at a file goes: its limits, how its findings pass over a pipe, and what its end means.

What comes out of the pipe was written by a process that read hostile bytes: it is taken for what `Findings` says it is,
and for nothing else.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from typing import Any, Final

from services.documents.contract import DICOM, PDF, REJECTIONS
from services.documents.rules_findings import TEXT_LENGTH, Findings

WHOLE: Final = 32 * 1024 * 1024
"""Bytes up to which a file is given to its examiner at once; of a bigger one it reads what it asks for."""

HEAD: Final = 32 * 1024 * 1024
"""Bytes of a bigger file that an examiner gets which does not ask for parts."""

IN_PIECES: Final = frozenset({PDF, DICOM})
"""Media types whose examiner reads a bigger file where it needs to."""

MEMORY: Final = 1024**3
WALL: Final = 60  # seconds
FINDINGS_BYTES: Final = 16 * 1024 * 1024
RENDITIONS_BYTES: Final = 48 * 1024 * 1024
RENDITIONS: Final = 200

LEASE: Final = timedelta(seconds=90)
"""How long a version is one worker's; it renews that while it works."""

_MUCH_MEMORY = MEMORY * 6 // 10
_KINDS = ("thumbnail", "page", "view", "frame")


def due_again(tries: int) -> timedelta:
    """How long to wait after the outside world let a try fail: 2 s, doubling up to a minute."""
    return timedelta(seconds=min(60, 2 ** min(tries, 6)))


def rejection_of_end(signal: int, memory: int, seconds: float, wall: int = WALL) -> str:
    """What it says of a file that its examiner ended without a finding: killed by `signal`, or left by itself (0).

    memory: the most it ever held. seconds: how long it lived, of `wall` that it had.
    """
    if signal in (14, 24) or seconds >= wall:  # SIGALRM, SIGXCPU
        return "too_slow"
    if signal == 9 or memory >= _MUCH_MEMORY:
        return "too_large_inside"
    return "broken"


@dataclass(frozen=True)
class Limits:
    """What one file may take: bytes of memory, seconds of processor, seconds in all."""

    memory: int = MEMORY
    processor: int = 30
    wall: int = WALL


# --- over the pipe ----------------------------------------------------------------------------------------------------


def to_wire(findings: Findings) -> tuple[Any, list[bytes]]:
    """Findings as plain JSON values, and the bytes that go beside them."""
    beside: list[bytes] = []
    return _plain(findings, beside), beside


def _plain(value: Any, beside: list[bytes]) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), beside) for field in fields(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        beside.append(bytes(value))
        return len(beside) - 1
    if isinstance(value, list | tuple):
        return [_plain(each, beside) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each, beside) for name, each in value.items()}
    return value


def from_wire(told: Any, beside: list[bytes]) -> Findings:
    """The findings that a JSON value tells. Raises ValueError for everything that is not exactly such."""
    found: Findings = _read(Findings, told, beside)
    passed = found.rejection is None or found.rejection in REJECTIONS
    right = len(found.text) <= TEXT_LENGTH and len(found.renditions) <= RENDITIONS
    kinds = all(each.kind in _KINDS and each.number >= 0 for each in found.renditions)
    if not (passed and right and kinds):
        raise ValueError("no findings")
    return found


def _read(kind: Any, value: Any, beside: list[bytes]) -> Any:
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in inside:
            return None
        (one,) = (each for each in inside if each is not type(None))
        return _read(one, value, beside)
    if is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        if set(value) != {field.name for field in fields(kind)}:
            raise ValueError("other fields")
        made: Any = kind
        return made(**{name: _read(hints[name], each, beside) for name, each in value.items()})
    if origin is tuple and isinstance(value, list):
        kinds = [inside[0]] * len(value) if inside[1:] == (...,) else list(inside)
        return tuple(_read(each, told, beside) for each, told in zip(kinds, value, strict=True))
    if origin is dict and isinstance(value, dict):
        return {name: _read(inside[1], each, beside) for name, each in value.items()}
    if kind is bytes and type(value) is int and 0 <= value < len(beside):
        return beside[value]
    if kind in (str, int, float, bool) and type(value) is kind:
        if kind is str and "\0" in value:
            raise ValueError("a zero character")
        return value
    raise ValueError("another kind of value")
