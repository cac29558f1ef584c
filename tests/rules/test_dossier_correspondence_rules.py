"""Who may write to the holder side: by lasting grounds alone, whatever else somebody has."""

from __future__ import annotations

import pytest

from services.dossier.contract import GROUNDS, AccessScope, Clause
from services.dossier.rules_correspondence import LASTING, ground_of_writing


def scope(*grounds: str) -> AccessScope:
    clauses = tuple(Clause(ground, f"{ground}/x", ("summaries",), (), None, ("standard",)) for ground in grounds)
    return AccessScope("record", "patient", "active", False, True, "me", clauses, reader_id="me")


@pytest.mark.parametrize("ground", GROUNDS)
def test_only_whom_the_holder_trusts_for_good_may_write(ground: str) -> None:
    assert ground_of_writing(scope(ground)) == (ground if ground in ("circle", "referring_physician") else None)


def test_a_lasting_ground_counts_beside_others_and_the_strongest_is_named() -> None:
    assert ground_of_writing(scope("presence", "circle")) == "circle"
    assert ground_of_writing(scope(*GROUNDS)) == "referring_physician"
    assert set(LASTING) < set(GROUNDS)


def test_who_has_nothing_writes_to_nobody() -> None:
    assert ground_of_writing(scope()) is None
