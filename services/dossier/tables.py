"""Reads the tables under versions/, once, when the process starts; rules get those in force as an argument.

access_matrix.csv is RGD Annex 1. A broken table stops the process at its start, never a decision later.
"""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable

from services.dossier.contract import (
    CATEGORIES,
    EMERGENCY_REASONS,
    GROUNDS,
    LEVELS,
    LIFE_PERIODS,
    PROFESSIONS,
    REPRESENTATIVE_KINDS,
    SETUP_STEPS,
    STATES,
    STEPS,
)
from services.dossier.rules_tables import (
    Condition,
    Ground,
    MandateKind,
    MandateWarning,
    Matrix,
    OwnAccess,
    Period,
    RepresentativeKind,
    Setting,
    SetupStep,
    StateRow,
    Tables,
    Throttle,
    compile_clauses,
)

_FOLDER = files("services.dossier").joinpath("versions")


def load(folder: Traversable, version: str) -> Tables:
    """All tables of one version, checked against the words of dossier's contract."""
    rows = _Rows(folder)
    matrix = _matrix(rows("access_matrix"))
    grounds: dict[str, tuple[Ground, ...]] = {}
    for row in rows("grounds"):
        grounds[row["ground"]] = (*grounds.get(row["ground"], ()), _ground(row))
    _require(set(grounds) == set(GROUNDS), "grounds.csv and the contract name different grounds")
    states = {
        row["state"]: StateRow(row["professionals"], row["holder_side"], row["assistants"]) for row in rows("states")
    }
    _require(set(states) == set(STATES), "states.csv and the contract name different states")
    settings = {row["setting"]: _setting(row) for row in rows("settings")}
    for ground in (row for several in grounds.values() for row in several if row.condition):
        _require(
            set(ground.condition.values) <= set(settings[ground.condition.setting].values),  # type: ignore[union-attr]
            "grounds.csv names a value that settings.csv does not",
        )
    setup_steps = tuple(SetupStep(row["step"], row["action"]) for row in rows("setup_steps"))
    _require(
        tuple(each.step for each in setup_steps) == SETUP_STEPS, "setup_steps.csv has other steps than the contract"
    )
    narrowings = {(row["type"], row["profession"]): row["cell"] for row in rows("narrowings")}
    _require(set(narrowings.values()) <= {"", "r"}, "narrowings.csv widens instead of narrowing")
    _require({column for _, column in narrowings} <= set(PROFESSIONS), "narrowings.csv names an unknown profession")
    life_periods = {row["period"]: _period(row) for row in rows("life_periods")}
    _require(set(life_periods) == set(LIFE_PERIODS), "life_periods.csv and the contract name different periods")
    return Tables(
        version=version,
        matrix=matrix,
        narrowings=narrowings,
        grounds=grounds,
        states=states,
        life_cycle=frozenset((row["state"] or None, row["becomes"], row["cause"]) for row in rows("life_cycle")),
        life_periods=life_periods,
        mandate_kinds={row["kind"]: _mandate_kind(row) for row in rows("mandate_kinds")},
        mandate_warnings=_mandate_warnings(rows("mandate_warnings"), {row["kind"] for row in rows("mandate_kinds")}),
        settings=settings,
        representative_kinds={row["kind"]: _representative_kind(row) for row in rows("representative_kinds")},
        holder_actions={
            (row["action"], ground): row[ground] == "yes"
            for row in rows("holder_actions")
            for ground in ("holder", "legal_representative", "assistant")
        },
        throttles={row["throttle"]: _throttle(row) for row in rows("throttles")},
        own_accesses={row["kind"]: _own_access(row) for row in rows("own_accesses")},
        emergency_reasons=_emergency_reasons(rows("emergency_reasons")),
        setup_steps=setup_steps,
        invitations={row["invitation"]: timedelta(days=int(row["valid_days"])) for row in rows("invitations")},
        remedies=_remedies(rows("remedies")),
        clauses=compile_clauses(matrix, narrowings, grounds),
    )


class _Rows:
    """The rows of a table of one version."""

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder

    def __call__(self, table: str) -> list[dict[str, str]]:
        return list(csv.DictReader(self._folder.joinpath(f"{table}.csv").read_text("utf-8").splitlines()))


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
    for level in LEVELS:
        _require(row[level] in {"yes", "no"}, "grounds.csv: a level is neither yes nor no")
    _require(row["dispenses"] in {"yes", "no"}, "grounds.csv: dispenses is neither yes nor no")
    word = row["deposits"]
    return Ground(
        ground=row["ground"],
        rule=row["rule"],
        rule_afterwards=row["rule_afterwards"],
        reads=row["reads"],
        deposits=word if word in {"matrix", "none"} else tuple(word.split("|")),
        folders=_words(row["folders"]) or None,
        levels=tuple(level for level in LEVELS if row[level] == "yes"),
        condition=Condition(row["setting"], _words(row["values"])) if row["setting"] else None,
        dispenses=row["dispenses"] == "yes",
    )


def _words(cell: str) -> tuple[str, ...]:
    return tuple(cell.split("|")) if cell else ()


def _mandate_kind(row: dict[str, str]) -> MandateKind:
    _require(row["kind"] in GROUNDS, "mandate_kinds.csv names a kind that is no ground")
    return MandateKind(
        row["kind"],
        timedelta(hours=int(row["reads_hours"])),
        timedelta(days=int(row["deposits_until_day"])),
        row["opened_for"],
        timedelta(days=int(row["prolonged_by_days"])),
        timedelta(days=int(row["deposits_after_closing_days"])),
        timedelta(days=int(row["consent_adds_days"])),
    )


def _mandate_warnings(rows: list[dict[str, str]], kinds: set[str]) -> tuple[MandateWarning, ...]:
    made = tuple(
        MandateWarning(row["kind"], timedelta(days=int(row["days_before"])), timedelta(days=int(row["lives_days"])))
        for row in rows
    )
    _require({one.kind for one in made} <= kinds, "mandate_warnings.csv names an unknown kind")
    _require(len({one.kind for one in made}) == len(made), "mandate_warnings.csv names a kind twice")
    _require(
        all(timedelta(0) < one.before < one.lives for one in made),
        "mandate_warnings.csv warns of a mandate before it has begun, or once it is over",
    )
    return made


def _period(row: dict[str, str]) -> Period:
    _require(row["unit"] in {"days", "years"}, "life_periods.csv: a unit is neither days nor years")
    amount = int(row["amount"])
    _require(amount > 0, "life_periods.csv: a period that is none")
    return Period(days=amount if row["unit"] == "days" else 0, years=amount if row["unit"] == "years" else 0)


def _setting(row: dict[str, str]) -> Setting:
    values = _words(row["values"])
    _require(row["default"] in values, "settings.csv: a default that is no value")
    _require(row["said"] in {"chosen", "by_folder", "declared", "flagged"}, "settings.csv: unknown word under said")
    _require(set(_words(row["risk_of"])) <= set(values), "settings.csv: a risk of what is no value")
    _require(row["category"] in {"", *CATEGORIES}, "settings.csv names an unknown category")
    _require(set(_words(row["guarded"])) in (set(), set(values)), "settings.csv orders other values than there are")
    return Setting(
        row["setting"], values, row["default"], _words(row["risk_of"]),
        row["said"], row["action"], row["category"], row["folder"], row["type"], _words(row["guarded"]),
    )  # fmt: skip


def _own_access(row: dict[str, str]) -> OwnAccess:
    _require(row["kind"] in GROUNDS, "own_accesses.csv names a kind that is no ground")
    _require(set(_words(row["professions"])) <= set(PROFESSIONS), "own_accesses.csv names an unknown profession")
    _require(row["rw_on"] in {"", *CATEGORIES}, "own_accesses.csv names an unknown category")
    return OwnAccess(row["kind"], _words(row["professions"]), row["rw_on"], row["attached"] == "yes")


def _emergency_reasons(rows: list[dict[str, str]]) -> tuple[str, ...]:
    reasons = tuple(row["reason"] for row in rows)
    _require(reasons == EMERGENCY_REASONS, "emergency_reasons.csv and the contract name different reasons")
    return reasons


def _representative_kind(row: dict[str, str]) -> RepresentativeKind:
    _require(row["acts"] in {"alone", "together"}, "representative_kinds.csv: unknown word under acts")
    _require(row["kind"] in REPRESENTATIVE_KINDS, "representative_kinds.csv names a kind that the contract does not")
    return RepresentativeKind(
        kind=row["kind"],
        acts_alone=row["acts"] == "alone",
        ends_at_majority=row["ends_at_majority"] == "yes",
        for_adults=row["for_adults"] == "yes",
        together=timedelta(hours=int(row["together_hours"])),
        gets_letter=row["gets_letter"] == "yes",
    )


def _remedies(rows: list[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    remedies = {row["step"]: _words(row["remedies"]) for row in rows}
    _require(tuple(remedies) == STEPS, "remedies.csv and the contract name different steps")
    return remedies


def _throttle(row: dict[str, str]) -> Throttle:
    return Throttle(
        free_tries=int(row["free_tries"]),
        first_delay=timedelta(seconds=int(row["first_delay_seconds"])),
        growth=int(row["growth"]),
        longest_delay=timedelta(seconds=int(row["longest_delay_seconds"])),
        window=timedelta(hours=int(row["window_hours"])),
    )


def _versions() -> tuple[tuple[datetime, Tables], ...]:
    rows = csv.DictReader(_FOLDER.joinpath("versions.csv").read_text("utf-8").splitlines())
    made = [
        (datetime.fromisoformat(row["valid_from"]), load(_FOLDER.joinpath(row["version"]), row["version"]))
        for row in rows
    ]
    _require(bool(made), "versions.csv names no version")
    return tuple(sorted(made, key=lambda version: version[0], reverse=True))


VERSIONS = _versions()
"""Since when it is in force, and the tables; the newest first."""


def tables_at(moment: datetime) -> Tables:
    """The tables in force at a moment; before the first version, the first."""
    return next((tables for since, tables in VERSIONS if since <= moment), VERSIONS[-1][1])


def next_tables_after(moment: datetime) -> datetime | None:
    """When other tables come into force; None: none are known."""
    return min((since for since, _ in VERSIONS if since > moment), default=None)
