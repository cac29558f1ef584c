"""Comparing one person with many sheets without keeping the process to oneself."""

import time
from collections.abc import Sequence

from services.directory.rules_matching import THRESHOLDS, Reading
from services.directory.rules_search import Candidate, Hit
from services.directory.rules_search import rated as rated_at_once

SLICE = 50


def rated(sought: Reading, candidates: Sequence[Candidate], least: int = THRESHOLDS.shown) -> list[Hit]:
    """Returns the candidates that match at least so well, each with its rate; others have their turn in between."""
    hits: list[Hit] = []
    for start in range(0, len(candidates), SLICE):
        hits += rated_at_once(sought, candidates[start : start + SLICE], least)
        time.sleep(0)  # where threads are green, the next one goes on here
    return hits
