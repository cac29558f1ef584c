"""The demo is what a newcomer sees first: it plays through, twice in a row, on the platform under test."""

from __future__ import annotations

from deploy import demo
from tests.system.conftest import Village


def test_the_demo_plays_twice_in_a_row(village: Village) -> None:
    for _ in range(2):
        demo.play(village.town, village.agent)
