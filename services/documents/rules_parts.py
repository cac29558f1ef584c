"""How a file falls into parts: pure arithmetic. Every part but the last is PART bytes, a multiple of a segment."""

from __future__ import annotations

from collections.abc import Collection

from services.documents.contract import PART, PART_SEGMENTS
from services.refusals import InvalidInput

MISSING_SHOWN = 100


def count(size: int) -> int:
    """How many parts a file of this size has."""
    return max(1, -(-size // PART))


def size_of(number: int, size: int) -> int:
    """How many bytes a part of a file of this size has."""
    return PART if number < count(size) else size - PART * (count(size) - 1)


def first_segment(number: int) -> int:
    """The number of the segment with which a part begins."""
    return (number - 1) * PART_SEGMENTS


def require_part(number: object, size: int, whole: int) -> None:
    """Refuses: InvalidInput for a part that a file of `whole` bytes has not, or of a size that this part has not."""
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= count(whole):
        raise InvalidInput(errors=[{"pointer": "/number", "message": "range"}])
    if size != size_of(number, whole):
        raise InvalidInput(errors=[{"pointer": "/size", "message": "length"}])


def missing(stored: Collection[int], size: int) -> list[int]:
    """The first numbers of the parts that are not there."""
    return [number for number in range(1, count(size) + 1) if number not in stored][:MISSING_SHOWN]
