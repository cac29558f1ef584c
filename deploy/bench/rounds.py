"""Measuring two things side by side on a machine that is never quiet: in turns, and the middle of what was seen."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.bench.figures import BY_ID, Row, Size, spread


@dataclass(frozen=True)
class Compared:
    """What was seen in each round of ours and of the baseline."""

    ours: tuple[float, ...]
    baseline: tuple[float, ...]

    def row(self, figure_id: str, size: Size) -> Row:
        """The medians as a row; its noise is the range of the rounds' own ratios."""
        ratios = [ours / baseline for ours, baseline in zip(self.ours, self.baseline, strict=True)]
        middle = statistics.median
        return Row(BY_ID[figure_id], middle(self.ours), middle(self.baseline), size, spread(ratios))


def alternate(ours: Callable[[], float], baseline: Callable[[], float], rounds: int) -> Compared:
    """Measures both in each round, the first of a round taking turns: a slow minute then touches both."""
    seen: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for which in order:
            seen[which].append((ours, baseline)[which]())
    return Compared(tuple(seen[0]), tuple(seen[1]))


def absolute(figure_id: str, values: Sequence[float], size: Size) -> Row:
    """The median of a figure that is compared with nothing."""
    noise = spread(values) if len(values) > 1 else ""
    return Row(BY_ID[figure_id], statistics.median(values), None, size, noise)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all do not exceed (nearest rank).

    Refuses: ValueError when there is nothing to choose from.
    """
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
