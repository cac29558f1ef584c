"""The limits of secure messages, read once from CSV when the process starts: a broken table stops it there."""

import csv
from collections.abc import Sequence
from datetime import timedelta
from importlib.resources import files

from services.notifications.rules_thread_limits import ThreadLimit, wrong_limits


def limits_of(text: str) -> tuple[ThreadLimit, ...]:
    """The limits in a table. Raises ValueError where something is wrong with it."""
    limits = tuple(
        ThreadLimit(row["limit"], row["counts"], int(row["most"]), timedelta(minutes=int(row["window_minutes"])))
        for row in csv.DictReader(text.splitlines())
    )
    wrong = wrong_limits(limits)
    if wrong is not None:
        raise ValueError(f"thread_limits.csv: {wrong}")
    return limits


LIMITS: Sequence[ThreadLimit] = limits_of(
    files("services.notifications").joinpath("thread_limits.csv").read_text(encoding="utf-8")
)
