"""Who may do what in a record: pure decisions over the tables that stand beside this file as CSV.

No clock, no files, no database: a caller's situation goes in as `Facts`, the tables as `Tables` (read once by
tables.py), the moment as an argument. The order of a decision is the dictionary's: state of the record, licence,
blocklist, ground, matrix cell, level. Deny by default: what no row gives is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.dossier.contract import (
    CATEGORIES,
    GROUNDS,
    NOBODY,
    PROFESSIONS,
    AccessScope,
    Clause,
    RecordClosed,
    RecordNotFound,
)

Matrix = Mapping[tuple[str, str], str]  # (category, matrix column) -> "", "r" or "rw"

# --- the rows of the tables ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ground:
    """One row of grounds.csv: how much of the matrix a ground opens, and at which levels.

    `rule` names the clause while the ground lets read, `rule_afterwards` the one while it only lets deposit ("" =
    it ends).
    """

    ground: str
    rule: str
    rule_afterwards: str
    reads: str  # all | matrix | own | none
    deposits: str  # matrix | none | a category
    folders: tuple[str, ...] | None
    levels: tuple[str, ...]


@dataclass(frozen=True)
class StateRow:
    """One row of states.csv: what a record in this state shows: everything, its state, nothing."""

    professionals: str
    holder_side: str


@dataclass(frozen=True)
class MandateKind:
    """One row of mandate_kinds.csv: how long a mandate reads and how long it lets deposit, both from its start."""

    kind: str
    reads: timedelta
    deposits: timedelta


@dataclass(frozen=True)
class Throttle:
    """One row of throttles.csv: so many tries are free, each further one waits longer than the last, up to a bound."""

    free_tries: int
    first_delay: timedelta
    growth: int
    longest_delay: timedelta
    window: timedelta


@dataclass(frozen=True)
class Tables:
    """All tables, and the clauses they add up to: (ground, matrix column, still reading) -> clause."""

    matrix: Matrix
    grounds: Mapping[str, Ground]
    states: Mapping[str, StateRow]
    life_cycle: frozenset[tuple[str | None, str, str]]
    mandate_kinds: Mapping[str, MandateKind]
    throttles: Mapping[str, Throttle]
    clauses: Mapping[tuple[str, str, bool], Clause]


# --- the caller's situation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    """One ground somebody holds in one record, with its times; None = without end."""

    ground: str
    since: datetime
    read_until: datetime | None
    deposit_until: datetime | None


@dataclass(frozen=True)
class Facts:
    """All that a decision about one caller and one record needs.

    patient_id, state: the record's; None when there is no such record.
    merged_into: the record that speaks for this one, where two patients turned out to be one; told to a holder.
    own_patient_id: the caller's own, when logged in as a patient: who speaks for them.
    profession, licence: the directory's word, None when it never announced this professional. claimed_profession:
    the token's.
    """

    record_id: str
    patient_id: str | None
    state: str | None
    capacity: str
    own_patient_id: str | None = None
    merged_into: str | None = None
    professional_id: str | None = None
    profession: str | None = None
    claimed_profession: str | None = None
    licence: str | None = None
    blocked: bool = False
    accessed_before: bool = False
    grants: tuple[Grant, ...] = ()


# --- decisions ----------------------------------------------------------------------------------------------


def compile_clauses(matrix: Matrix, grounds: Mapping[str, Ground]) -> dict[tuple[str, str, bool], Clause]:
    """Every clause the tables can give: ground x matrix column x (reading or only depositing), without the empty."""
    clauses: dict[tuple[str, str, bool], Clause] = {}
    for ground in grounds.values():
        for column in PROFESSIONS:
            for reading in (True, False):
                clause = _clause(matrix, ground, column, reading)
                if clause is not None:
                    clauses[ground.ground, column, reading] = clause
    return clauses


def _clause(matrix: Matrix, ground: Ground, column: str, reading: bool) -> Clause | None:
    rule = ground.rule if reading else ground.rule_afterwards
    if not rule:
        return None
    read: tuple[str, ...] = ()
    if reading and ground.reads == "all":
        read = CATEGORIES
    elif reading and ground.reads == "matrix":
        read = tuple(category for category in CATEGORIES if matrix[category, column])
    deposit: tuple[str, ...] = ()
    if ground.deposits == "matrix":
        deposit = tuple(category for category in CATEGORIES if matrix[category, column] == "rw")
    elif ground.deposits != "none":
        deposit = (ground.deposits,)
    if not read and not deposit:
        return None
    return Clause(ground.ground, rule, read, deposit, ground.folders, ground.levels)


def scope(tables: Tables, facts: Facts, now: datetime) -> AccessScope:
    """What this caller may do in this record at this moment.

    An agent or a machine gets nothing here; the capacity chosen at log-in alone counts, so a professional who is
    also the holder has the holder's rights only when logged in as a patient [domain: Accounts].
    """
    if facts.capacity == "patient":
        return _holder_scope(tables, facts)
    if facts.capacity == "professional" and facts.professional_id is not None:
        return _professional_scope(tables, facts, facts.professional_id, now)
    return _nothing(facts.record_id, author_id=None, may_see_blocked=False)


def _holder_scope(tables: Tables, facts: Facts) -> AccessScope:
    if facts.state is None or facts.patient_id is None or facts.own_patient_id != facts.patient_id:
        return _nothing(facts.record_id, author_id=None, may_see_blocked=False)
    shows = tables.states[facts.state].holder_side
    if shows == "nothing":
        return _nothing(facts.record_id, author_id=None, may_see_blocked=False)
    return AccessScope(
        record_id=facts.record_id,
        patient_id=facts.patient_id,
        state=facts.state,
        holder_side=True,
        may_see_blocked=False,
        author_id=None,
        # The holder's rights are no matter of a profession: every column gives the same clause.
        clauses=(tables.clauses["holder", PROFESSIONS[0], True],) if shows == "everything" else (),
    )


def _professional_scope(tables: Tables, facts: Facts, professional_id: str, now: datetime) -> AccessScope:
    if facts.state is None:
        return _nothing(facts.record_id, author_id=professional_id, may_see_blocked=True)
    if tables.states[facts.state].professionals != "everything" or not may_practise(facts):
        # Authors keep their own documents through blocks and ended grounds, not through a closed record or a lost
        # licence.
        return _nothing(facts.record_id, author_id=NOBODY, may_see_blocked=True)
    clauses = () if facts.blocked else _clauses(tables, facts, now)
    if not clauses:
        return _nothing(facts.record_id, author_id=professional_id, may_see_blocked=True)
    return AccessScope(
        record_id=facts.record_id,
        patient_id=facts.patient_id,
        state=facts.state,
        holder_side=False,
        may_see_blocked=True,
        author_id=professional_id,
        clauses=clauses,
    )


def _nothing(record_id: str, *, author_id: str | None, may_see_blocked: bool) -> AccessScope:
    """The scope without a ground, the same for every reason there is."""
    return AccessScope(
        record_id=record_id,
        patient_id=None,
        state=None,
        holder_side=False,
        may_see_blocked=may_see_blocked,
        author_id=author_id,
        clauses=(),
    )


def _clauses(tables: Tables, facts: Facts, now: datetime) -> tuple[Clause, ...]:
    """The clauses of the grants that run now, the strongest ground first, each once."""
    running: dict[Clause, None] = {}
    for grant in strongest_first(facts.grants):
        clause = _clause_of(tables, grant, facts.profession, now)
        if clause is not None:
            running[clause] = None
    return tuple(running)


def _clause_of(tables: Tables, grant: Grant, profession: str | None, now: datetime) -> Clause | None:
    column = _column(grant.ground, profession)
    if column is None or grant.since > now:
        return None
    if _runs(grant.read_until, now):
        return tables.clauses.get((grant.ground, column, True))
    if _runs(grant.deposit_until, now):
        return tables.clauses.get((grant.ground, column, False))
    return None


def _runs(until: datetime | None, now: datetime) -> bool:
    return until is None or now < until


def _column(ground: str, profession: str | None) -> str | None:
    """The matrix column that answers: the profession, or a physician's own one under the ground of that name."""
    if ground == "referring_physician":
        return "referring_physician" if profession == "physician" else None
    if profession == "referring_physician" or profession not in PROFESSIONS:
        return None
    return profession


def may_practise(facts: Facts) -> bool:
    """Whether the directory knows this professional with a valid licence, in the profession that the token claims."""
    return facts.licence == "valid" and facts.profession is not None and facts.profession == facts.claimed_profession


def strongest_first(grants: Iterable[Grant]) -> list[Grant]:
    """The grants in the order of their grounds' strength."""
    return sorted(grants, key=lambda grant: GROUNDS.index(grant.ground))


def access_ends(tables: Tables, facts: Facts, now: datetime) -> datetime | None:
    """When the ground that is named stops to give what it gives now; None for a ground without end."""
    for grant in strongest_first(facts.grants):
        if _clause_of(tables, grant, facts.profession, now) is not None:
            return grant.read_until if _runs(grant.read_until, now) else grant.deposit_until
    return None


def is_first_access(facts: Facts, given: AccessScope) -> bool:
    """Whether a professional has a ground in this record for the first time [RGD 3(3)]; authorship is none."""
    return bool(given.clauses) and not given.holder_side and not facts.accessed_before


def readable(given: AccessScope) -> list[str]:
    """Every category that some clause reads, in the order of the matrix: for display, never for a decision."""
    return [category for category in CATEGORIES if any(category in clause.read for clause in given.clauses)]


def depositable(given: AccessScope) -> list[str]:
    """Every category that some clause lets deposit, in the order of the matrix."""
    return [category for category in CATEGORIES if any(category in clause.deposit for clause in given.clauses)]


def may_read_document(given: AccessScope, category: str, level: str, author_id: str | None) -> bool:
    """Whether one document may be read under this scope: by a clause, or as its author."""
    if author_id is not None and author_id == given.author_id:
        return True
    return given.reading_clause(category, level) is not None


def require_ground(given: AccessScope) -> RecordNotFound | None:
    """The refusal for a caller without any ground; the holder of a closed record has one, to see its state."""
    return None if given.clauses or given.holder_side else RecordNotFound()


def require_open_ground(given: AccessScope) -> RecordNotFound | RecordClosed | None:
    """The refusal for a caller who may not look inside: as `require_ground`, and the holder of a closed record too."""
    if given.clauses:
        return None
    return RecordClosed() if given.holder_side else RecordNotFound()


def require_holder_side(given: AccessScope) -> RecordNotFound | RecordClosed | None:
    """The refusal for everybody but the holder side of a record that is not closed: grants are theirs alone to end."""
    return require_open_ground(given) if given.holder_side else RecordNotFound()


def may_open_presence_mandate(tables: Tables, facts: Facts) -> bool:
    """Whether a right presence code would open a mandate: record open to professionals, licence valid, not blocked."""
    if facts.capacity != "professional" or facts.professional_id is None or facts.state is None:
        return False
    if _column("presence", facts.profession) is None or facts.blocked:
        return False
    return tables.states[facts.state].professionals == "everything" and may_practise(facts)


def with_grant(facts: Facts, grant: Grant) -> Facts:
    """The same situation with one more grant."""
    return replace(facts, grants=(*facts.grants, grant))


def may_become(tables: Tables, state: str | None, becomes: str, cause: str) -> bool:
    """Whether the life cycle has this transition, for this cause (RGD 2-4)."""
    return (state, becomes, cause) in tables.life_cycle


OPENING_STEPS: dict[str, tuple[tuple[str | None, str, str], ...]] = {
    "affiliation": ((None, "open", "affiliation"),),
    "voluntary_request": ((None, "requested", "voluntary_request"), ("requested", "open", "identity_checked")),
}
"""Why a record is opened -> the steps (state before, state after, cause) that its history begins with [RGD 2]."""


def may_be_found(tables: Tables, state: str) -> bool:
    """Whether a patient search may call a record in this state accessible to professionals."""
    return tables.states[state].professionals == "everything"


# --- guesses and ids ----------------------------------------------------------------------------------------


def wait_before_try(throttle: Throttle, tries: int, last: datetime | None, now: datetime) -> int:
    """Seconds to wait before the next try is looked at; 0 = now.

    tries: how many failed within the throttle's window, refused ones included, so that hammering only lengthens
    the wait.
    """
    if last is None or tries < throttle.free_tries:
        return 0
    doublings = min(tries - throttle.free_tries, 16)
    delay = min(throttle.first_delay * throttle.growth**doublings, throttle.longest_delay)
    remaining = (last + delay - now).total_seconds()
    return max(0, -int(-remaining // 1))


def id_of(value: object) -> str:
    """An id in its one spelling; what is none becomes the id that nothing has, and takes the way of an unknown one."""
    try:
        return str(UUID(value)) if isinstance(value, str) else NOBODY
    except ValueError:
        return NOBODY
