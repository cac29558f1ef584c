"""One decision about one document, with the rule that made it: the scope applied, and, refused, the step that refused.

The scope decides, here as everywhere; only the reason is sought anew, by going down the dictionary's conditions in
their order. The words of a rule: `matrix/nurse/laboratory` is a cell of the matrix, `level/private` a column of the
table of confidentiality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.dossier.contract import AccessScope, Clause, DocumentFacts
from services.dossier.rules import (
    HOLDER_SIDE,
    Facts,
    Grant,
    clauses_of_grant,
    column_of,
    grant_of_reading,
    hidden,
    holds,
    lets_act,
    may_practise,
    runs,
    scope,
    strongest_first,
)
from services.dossier.rules_tables import Ground, Tables

Reason = tuple[str, str]
"""A step, and the rule in it."""

Pair = tuple[Grant, Ground]
"""A grant and one row of its ground."""


@dataclass(frozen=True)
class Decision:
    """What was decided. ground: what lets it be done; step: what refused, None when nothing did."""

    allowed: bool
    ground: str | None
    rule: str
    step: str | None = None
    remedies: tuple[str, ...] = ()
    clause: Clause | None = None


def decide(tables: Tables, facts: Facts, document: DocumentFacts, action: str, now: datetime) -> Decision:
    """Whether this caller may read, deposit or change the level of a document like this, and why.

    action: read | deposit | change_level [domain: Who may see what, Confidentiality].
    """
    given = scope(tables, facts, now)
    granted = _GRANTING[action](given, document)
    if granted is not None:
        ground, rule = granted
        clause = next((each for each in given.clauses if (each.ground, each.rule) == granted), None)
        return Decision(True, ground, rule, clause=clause)
    refusing = _refusing_holder_side if facts.capacity == "patient" else _refusing_professional
    step, rule = refusing(tables, facts, given, document, action, now)
    return Decision(False, None, rule, step, tables.remedies[step])


def told_to_themself(
    tables: Tables, facts: Facts, decision: Decision, document: DocumentFacts, action: str, now: datetime, *, past: bool
) -> Decision:
    """The decision as a professional is told it of themself: a closed record and a block are the lack of a ground.

    past: of a moment that has passed ended grounds are told, so what ran then is told as ended; and a restriction that
    was lifted since is told as little as one that runs, under which the document is absent.
    """
    if decision.step not in ("state", "blocklist") and not (past and decision.step == "restriction"):
        return decision
    shown = next(state for state, row in tables.states.items() if row.professionals == "everything")
    ended = tuple(replace(each, read_until=now, deposit_until=now) for each in facts.grants) if past else ()
    groundless = replace(facts, state=shown, blocked=False, grants=ended)
    step, rule = _refusing_professional(tables, groundless, scope(tables, groundless, now), document, action, now)
    return Decision(False, None, rule, step, tables.remedies[step])


def ends(tables: Tables, facts: Facts, decision: Decision, now: datetime) -> datetime | None:
    """When what was allowed ends: with the last grant that gives the clause; None when none of them has an end."""
    giving = grants_giving(tables, facts, decision.clause, now)
    moments = [grant.read_until if runs(grant.read_until, now) else grant.deposit_until for grant in giving]
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def grants_giving(tables: Tables, facts: Facts, clause: Clause | None, now: datetime) -> list[Grant]:
    """The grants that give one clause now; none for the holder's own and for authorship."""
    if clause is None:
        return []
    if clause.ground in HOLDER_SIDE:
        return [grant for grant in facts.grants if grant.ground == clause.ground and lets_act(tables, grant, now)]
    return [grant for grant in facts.grants if clause in clauses_of_grant(tables, facts, grant, now)]


# --- what grants --------------------------------------------------------------------------------------------


def _depositing(given: AccessScope, document: DocumentFacts) -> Reason | None:
    for clause in given.clauses:
        if clause.deposits(document.category, document.type, document.folder):
            return clause.ground, clause.rule
    return None


def _changing_level(given: AccessScope, document: DocumentFacts) -> Reason | None:
    """The holder side for whatever it reads, others where one and the same clause reads and lets deposit."""
    if given.holder_side:
        return grant_of_reading(given, document)
    if hidden(given, document):
        return None
    for clause in given.clauses:
        reads = clause.reads(document.category, document.level, document.type, document.folder)
        if reads and clause.deposits(document.category, document.type, document.folder):
            return clause.ground, clause.rule
    return None


_GRANTING: dict[str, Callable[[AccessScope, DocumentFacts], Reason | None]] = {
    "read": grant_of_reading,
    "deposit": _depositing,
    "change_level": _changing_level,
}


# --- what refuses a professional ----------------------------------------------------------------------------


def _refusing_professional(
    tables: Tables, facts: Facts, given: AccessScope, document: DocumentFacts, action: str, now: datetime
) -> Reason:
    if facts.state is None or tables.states[facts.state].professionals != "everything":
        return "state", f"state/{facts.state or 'none'}"
    if facts.capacity != "professional" or facts.professional_id is None:
        return "ground", "ground/none"
    if not may_practise(facts):
        return "licence", _licence_rule(facts)
    if facts.blocked:
        return "blocklist", "blocklist"
    reason: Reason | None = None
    if action in ("read", "change_level"):
        reason = _not_reading(tables, facts, given, document, now)
    if reason is None and action in ("deposit", "change_level"):
        reason = _not_depositing(tables, facts, document, now)
    # One ground reads it and another lets deposit such: no cell of either does both.
    return reason or ("matrix", f"matrix/{facts.profession}/{document.category}")


def _licence_rule(facts: Facts) -> str:
    if facts.licence is None or facts.profession is None:
        return "licence/unknown"
    return f"licence/{facts.licence}" if facts.licence != "valid" else "licence/profession"


def _not_reading(
    tables: Tables, facts: Facts, given: AccessScope, document: DocumentFacts, now: datetime
) -> Reason | None:
    pairs = _pairs(tables, facts)
    reading = [pair for pair in pairs if pair[1].reads == "matrix" and _began(pair, now)]
    running = [pair for pair in reading if runs(pair[0].read_until, now)]
    if not running:
        deposits_only = any(_began(pair, now) and runs(pair[0].deposit_until, now) for pair in pairs)
        return "ground", _no_ground(pairs, ended=bool(reading), rule="ground/deposit-only" if deposits_only else None)
    left, reason = _by_condition_and_cell(tables, facts, document, running, lambda cell: cell != "")
    if reason is not None:
        return reason
    left = [pair for pair in left if pair[1].folders is None or document.folder in pair[1].folders]
    if not left:
        return "level", "level/folders"
    if not any(document.level in row.levels for _, row in left):
        return "level", f"level/{document.level}"
    if given.reader_id in document.restricted:
        return "restriction", "restriction"
    return None


def _not_depositing(tables: Tables, facts: Facts, document: DocumentFacts, now: datetime) -> Reason | None:
    pairs = _pairs(tables, facts)
    begun = [pair for pair in pairs if _began(pair, now)]
    depositing = [pair for pair in begun if pair[1].deposits == "matrix"]
    running = [pair for pair in depositing if _may_still_deposit(pair, now)]
    if not running:
        reads_only = any(runs(grant.read_until, now) for grant, row in begun if row.deposits == "none")
        return "ground", _no_ground(pairs, ended=bool(depositing), rule="ground/read-only" if reads_only else None)
    return _by_condition_and_cell(tables, facts, document, running, lambda cell: cell == "rw")[1]


def _may_still_deposit(pair: Pair, now: datetime) -> bool:
    grant, row = pair
    return runs(grant.read_until, now) or (row.rule_afterwards != "" and runs(grant.deposit_until, now))


def _by_condition_and_cell(
    tables: Tables, facts: Facts, document: DocumentFacts, running: Sequence[Pair], enough: Callable[[str], bool]
) -> tuple[list[Pair], Reason | None]:
    """The pairs whose condition holds and whose cell is enough, or why none is left. [RGD Annex 1]"""
    left = [pair for pair in running if holds(tables, facts, pair[1].condition)]
    if not left:
        return [], ("ground", "ground/setting")
    columns = [(pair, column) for pair in left if (column := column_of(pair[0].ground, facts.profession)) is not None]
    columns = [each for each in columns if enough(tables.matrix[document.category, each[1]])]
    if not columns:
        return [], ("matrix", f"matrix/{facts.profession}/{document.category}")
    left = [pair for pair, column in columns if _not_narrowed(tables, document.type, column, enough)]
    return left, None if left else ("matrix", f"matrix/{facts.profession}/{document.type}")


def _not_narrowed(tables: Tables, type: str, column: str, enough: Callable[[str], bool]) -> bool:
    cell = tables.narrowings.get((type, column))
    return cell is None or enough(cell)


def _no_ground(pairs: Sequence[Pair], *, ended: bool, rule: str | None) -> str:
    """The rule where no ground runs: `rule` where one runs that gives something else."""
    if rule is not None:
        return rule
    if ended:
        return "ground/ended"
    return "ground/not_begun" if pairs else "ground/none"


def _pairs(tables: Tables, facts: Facts) -> list[Pair]:
    theirs = [grant for grant in strongest_first(facts.grants) if grant.ground not in HOLDER_SIDE]
    return [(grant, row) for grant in theirs for row in tables.grounds[grant.ground]]


def _began(pair: Pair, now: datetime) -> bool:
    return pair[0].since <= now


# --- what refuses the holder side ---------------------------------------------------------------------------


def _refusing_holder_side(
    tables: Tables, facts: Facts, given: AccessScope, document: DocumentFacts, action: str, now: datetime
) -> Reason:
    theirs = [grant for grant in facts.grants if grant.ground in HOLDER_SIDE]
    if facts.state is None or tables.states[facts.state].holder_side != "everything":
        return "state", f"state/{facts.state or 'none'}"
    if not given.clauses:
        if any(lets_act(tables, grant, now) for grant in theirs):
            return "state", f"state/{facts.state}"
        running = [grant for grant in theirs if grant.since <= now and runs(grant.read_until, now)]
        ended = any(grant.since <= now for grant in theirs)
        # Of a kind that acts only together with the holder [L14 14].
        return "ground", "ground/together" if running else "ground/ended" if ended else "ground/none"
    if action == "deposit":
        return "ground", f"ground/{given.clauses[0].ground}/deposits"
    return "patient_block", "patient_block" if document.patient_blocked else "withholding"
