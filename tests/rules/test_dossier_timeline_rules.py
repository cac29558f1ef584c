"""Who is told of which states and mandates: the holder side and the referring physician of all, others of little."""

from __future__ import annotations

import pytest

from services.dossier.contract import GROUNDS, AccessScope, Clause
from services.dossier.rules_timeline import Told, told_to

HOLDERS = ("holder", "legal_representative", "assistant")


def given(*grounds: str, holder_side: bool = False, reads: bool = True) -> AccessScope:
    read = ("laboratory",) if reads else ()
    clauses = tuple(Clause(ground, ground, read, (), None, ("standard",)) for ground in grounds)
    return AccessScope("r", "p", "active", holder_side, not holder_side, None, clauses)


@pytest.mark.parametrize("ground", HOLDERS)
def test_the_holder_side_is_told_everything(ground: str) -> None:
    assert told_to(given(ground, holder_side=True)) == Told("all", True)


def test_the_holder_of_a_closed_record_is_told_nothing_here() -> None:
    assert told_to(given(holder_side=True)) == Told("none", False)


def test_the_referring_physician_is_told_everything_whatever_other_ground_they_have() -> None:
    assert told_to(given("presence", "referring_physician")) == Told("all", True)


@pytest.mark.parametrize("ground", sorted(set(GROUNDS) - {*HOLDERS, "referring_physician"}))
def test_every_other_ground_tells_of_what_concerns_everybody(ground: str) -> None:
    assert told_to(given(ground)) == Told("common", False)


def test_who_deposits_without_reading_or_has_no_ground_is_told_of_no_state() -> None:
    assert told_to(given("order", reads=False)) == Told("none", False) == told_to(given())
