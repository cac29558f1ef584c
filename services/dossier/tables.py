"""Reads the tables beside this file, once, when the process starts; rules.py gets them as an argument.

access_matrix.csv is RGD Annex 1. A broken table stops the process at its start, never a decision later.
"""

from __future__ import annotations

import csv
from datetime import timedelta
from importlib.resources import files

from services.dossier.contract import CATEGORIES, GROUNDS, LEVELS, PROFESSIONS, STATES
from services.dossier.rules import Ground, MandateKind, Matrix, StateRow, Tables, Throttle, compile_clauses


def load() -> Tables:
    """All tables of the dossier, checked against the words of its contract."""
    matrix = _matrix(_rows("access_matrix.csv"))
    grounds = {row["ground"]: _ground(row) for row in _rows("grounds.csv")}
    _require(set(grounds) <= set(GROUNDS), "grounds.csv names a ground the contract does not")
    states = {row["state"]: StateRow(row["professionals"], row["holder_side"]) for row in _rows("states.csv")}
    _require(set(states) == set(STATES), "states.csv and the contract name different states")
    return Tables(
        matrix=matrix,
        grounds=grounds,
        states=states,
        life_cycle=frozenset((row["state"] or None, row["becomes"], row["cause"]) for row in _rows("life_cycle.csv")),
        mandate_kinds={row["kind"]: _mandate_kind(row) for row in _rows("mandate_kinds.csv")},
        throttles={row["throttle"]: _throttle(row) for row in _rows("throttles.csv")},
        clauses=compile_clauses(matrix, grounds),
    )


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(files("services.dossier").joinpath(name).read_text("utf-8").splitlines()))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _matrix(rows: list[dict[str, str]]) -> Matrix:
    _require(
        tuple(row["category"] for row in rows) == CATEGORIES, "access_matrix.csv has other categories than the contract"
    )
    _require(tuple(rows[0])[2:] == PROFESSIONS, "access_matrix.csv has other columns than the contract")
    cells = {(row["category"], column): row[column] for row in rows for column in PROFESSIONS}
    _require(set(cells.values()) <= {"", "r", "rw"}, "access_matrix.csv has a cell that is neither empty, r nor rw")
    return cells


def _ground(row: dict[str, str]) -> Ground:
    _require(row["reads"] in {"all", "matrix", "own", "none"}, "grounds.csv: unknown word under reads")
    _require(row["deposits"] in {"matrix", "none", *CATEGORIES}, "grounds.csv: unknown word under deposits")
    return Ground(
        ground=row["ground"],
        rule=row["rule"],
        rule_afterwards=row["rule_afterwards"],
        reads=row["reads"],
        deposits=row["deposits"],
        folders=tuple(row["folders"].split("|")) if row["folders"] else None,
        levels=tuple(level for level in LEVELS if row[level] == "yes"),  # `setting` waits for the holder's own
    )


def _mandate_kind(row: dict[str, str]) -> MandateKind:
    return MandateKind(
        row["kind"], timedelta(hours=int(row["reads_hours"])), timedelta(days=int(row["deposits_until_day"]))
    )


def _throttle(row: dict[str, str]) -> Throttle:
    return Throttle(
        free_tries=int(row["free_tries"]),
        first_delay=timedelta(seconds=int(row["first_delay_seconds"])),
        growth=int(row["growth"]),
        longest_delay=timedelta(seconds=int(row["longest_delay_seconds"])),
        window=timedelta(hours=int(row["window_hours"])),
    )


TABLES = load()
