"""In which commune a postal code is, as far as it is in one alone. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Place(NamedTuple):
    """A locality, in small letters, and its postal codes; nought where they are not known."""

    commune: str
    locality: str
    first_code: int
    last_code: int


class Span(NamedTuple):
    """Postal codes that follow one another, all of one commune and of no other."""

    commune: str
    first_code: int
    last_code: int


def spans(places: Sequence[Place]) -> tuple[Span, ...]:
    """Returns what postal codes tell by themselves; none lies in two of the spans."""
    known = [place for place in places if place.first_code]
    edges = sorted({place.first_code for place in known} | {place.last_code + 1 for place in known})
    found: list[Span] = []
    for first, beyond in pairwise(edges):
        communes = {place.commune for place in known if place.first_code <= first <= place.last_code}
        if len(communes) == 1:
            found.append(Span(communes.pop(), first, beyond - 1))
    return tuple(found)
