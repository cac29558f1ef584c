"""The rows of the tables that decisions rest on, and the clauses they add up to.

The tables stand as CSV under versions/, one folder per version with the moment it came into force; tables.py reads
them, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.dossier.contract import CATEGORIES, PROFESSIONS, Clause

Matrix = Mapping[tuple[str, str], str]  # (category, matrix column) -> "", "r" or "rw"
Narrowings = Mapping[tuple[str, str], str]  # (document type, matrix column) -> "" or "r"


@dataclass(frozen=True)
class Condition:
    """A setting of the record and its values under which a row holds."""

    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Ground:
    """One row of grounds.csv: how much of the matrix a ground opens, and at which levels.

    `rule` names the clause while the ground lets read, `rule_afterwards` the one while it only lets deposit ("" =
    it ends). `dispenses`: whether prescriptions that it lets read may be dispensed, by who dispenses at all.
    A row with a condition holds while the record's setting has one of these values.
    """

    ground: str
    rule: str
    rule_afterwards: str
    reads: str  # all | matrix | own | none
    deposits: str | tuple[str, ...]  # matrix | none | the document types
    folders: tuple[str, ...] | None
    levels: tuple[str, ...]
    condition: Condition | None = None
    dispenses: bool = False


@dataclass(frozen=True)
class StateRow:
    """One row of states.csv: what a record in this state shows to whom: everything, its state, nothing."""

    professionals: str
    holder_side: str
    assistants: str


@dataclass(frozen=True)
class MandateKind:
    """One row of mandate_kinds.csv: how long a mandate reads and how long it lets deposit, both from its start.

    opened_for: a professional, or an establishment with all who work there. prolonged_by: by how much at most.
    after_closing: how long it lets deposit after the discharge or the validation. consent_adds: how much longer at most
    with the patient's consent to a result that comes later.
    """

    kind: str
    reads: timedelta
    deposits: timedelta
    opened_for: str
    prolonged_by: timedelta
    after_closing: timedelta = timedelta(0)
    consent_adds: timedelta = timedelta(0)


@dataclass(frozen=True)
class MandateWarning:
    """One row of mandate_warnings.csv: how long before a mandate of this kind ends its end is announced.

    lives: how long it has to last in all, from its start to that end: nobody is warned of what has only just begun.
    """

    kind: str
    before: timedelta
    lives: timedelta


@dataclass(frozen=True)
class Setting:
    """One row of settings.csv: the values a holder's setting may have; risk_of: those that need the risk accepted.

    said: chosen, by_folder (one for each folder), declared (with its day and the holder's own words) or flagged (by a
    professional). action: the row of holder_actions.csv by which it is said. category, folder, type: as which document
    a declaration is read by professionals. guarded: the values in the order in which they guard the holder, where
    they do; of two records of one person the better guard holds.
    """

    setting: str
    values: tuple[str, ...]
    default: str
    risk_of: tuple[str, ...]
    said: str = "chosen"
    action: str = ""
    category: str = ""
    folder: str = ""
    type: str = ""
    guarded: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnAccess:
    """One row of own_accesses.csv: who may open an access on their own word.

    professions: none named = every one. rw_on: the category on which their matrix cell must be `rw`, "" = none.
    attached: only where they are attached to the emergency service of the workplace chosen at log-in.
    """

    kind: str
    professions: tuple[str, ...]
    rw_on: str
    attached: bool


@dataclass(frozen=True)
class RepresentativeKind:
    """One row of representative_kinds.csv: whether they act alone or together with the holder, and until when.

    for_adults: whether there is this kind for a holder of age. together: how long the holder lets act, at once, who
    acts only together. gets_letter: whether the letters about the record go to them.
    """

    kind: str
    acts_alone: bool
    ends_at_majority: bool
    for_adults: bool = True
    together: timedelta = timedelta(0)
    gets_letter: bool = False


@dataclass(frozen=True)
class SetupStep:
    """One row of setup_steps.csv: a step of the set-up assistant, and the holder's action that it is about."""

    step: str
    action: str


@dataclass(frozen=True)
class Throttle:
    """One row of throttles.csv: so many tries are free, each further one waits longer than the last, up to a bound."""

    free_tries: int
    first_delay: timedelta
    growth: int
    longest_delay: timedelta
    window: timedelta


@dataclass(frozen=True)
class Period:
    """One row of life_periods.csv: how long until time alone takes a step in a record's life."""

    days: int
    years: int

    def after(self, moment: datetime) -> datetime:
        """The moment at which the period is over; years end on the same day, on the last one of a shorter February."""
        try:
            ends = moment.replace(year=moment.year + self.years)
        except ValueError:  # 29 February [Regulation 1182/71 3(2)(c)]
            ends = moment.replace(year=moment.year + self.years, day=28)
        return ends + timedelta(days=self.days)


Conditional = tuple[tuple[Condition | None, Clause], ...]
"""The clauses of one ground, each with the condition under which it is given."""


@dataclass(frozen=True)
class Tables:
    """All tables of one version, and the clauses they add up to: (ground, matrix column, still reading) -> clauses."""

    version: str
    matrix: Matrix
    narrowings: Narrowings
    grounds: Mapping[str, tuple[Ground, ...]]
    states: Mapping[str, StateRow]
    life_cycle: frozenset[tuple[str | None, str, str]]
    life_periods: Mapping[str, Period]
    mandate_kinds: Mapping[str, MandateKind]
    mandate_warnings: tuple[MandateWarning, ...]
    settings: Mapping[str, Setting]
    representative_kinds: Mapping[str, RepresentativeKind]
    holder_actions: Mapping[tuple[str, str], bool]
    throttles: Mapping[str, Throttle]
    own_accesses: Mapping[str, OwnAccess]
    emergency_reasons: tuple[str, ...]
    setup_steps: tuple[SetupStep, ...]
    invitations: Mapping[str, timedelta]
    remedies: Mapping[str, tuple[str, ...]]
    clauses: Mapping[tuple[str, str, bool], Conditional]


def compile_clauses(
    matrix: Matrix, narrowings: Narrowings, grounds: Mapping[str, tuple[Ground, ...]]
) -> dict[tuple[str, str, bool], Conditional]:
    """Every clause the tables can give: ground x matrix column x (reading or only depositing), without the empty."""
    clauses: dict[tuple[str, str, bool], Conditional] = {}
    for name, rows in grounds.items():
        for column in PROFESSIONS:
            for reading in (True, False):
                made = ((row.condition, clause_of(matrix, narrowings, row, column, reading)) for row in rows)
                given = tuple((condition, clause) for condition, clause in made if clause is not None)
                if given:
                    clauses[name, column, reading] = given
    return clauses


def clause_of(matrix: Matrix, narrowings: Narrowings, ground: Ground, column: str, reading: bool) -> Clause | None:
    """What one ground gives in one matrix column, while it reads or afterwards; None when that is nothing."""
    rule = ground.rule if reading else ground.rule_afterwards
    if not rule:
        return None
    by_matrix = ground.reads == "matrix"
    read: tuple[str, ...] = ()
    if reading and ground.reads == "all":
        read = CATEGORIES
    elif reading and by_matrix:
        read = tuple(category for category in CATEGORIES if matrix[category, column])
    deposit: tuple[str, ...] = ()
    types: tuple[str, ...] | None = None
    if ground.deposits == "matrix":
        deposit = tuple(category for category in CATEGORIES if matrix[category, column] == "rw")
    elif ground.deposits != "none":
        deposit, types = ("personal_expression",), tuple(ground.deposits)
    if not read and not deposit:
        return None
    narrowed = {type: cell for (type, narrowed_column), cell in narrowings.items() if narrowed_column == column}
    return Clause(
        ground.ground, rule, read, deposit, ground.folders, ground.levels,
        unread=tuple(sorted(type for type, cell in narrowed.items() if not cell)) if by_matrix else (),
        undeposited=tuple(sorted(narrowed)) if ground.deposits == "matrix" else (),
        deposit_types=types,
        dispenses=reading and ground.dispenses and dispenses(matrix, narrowings, column),
    )  # fmt: skip


def dispenses(matrix: Matrix, narrowings: Narrowings, column: str) -> bool:
    """Whether this profession dispenses: its cell for dispensations is `rw`, and not narrowed [RGD Annex 1]."""
    return matrix["dispensation", column] == "rw" and ("drug_dispensation", column) not in narrowings
