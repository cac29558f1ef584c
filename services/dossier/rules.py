"""Who may do what in a record: pure decisions over the tables that stand beside this file as CSV.

No clock, no files, no database: a caller's situation goes in as `Facts`, the tables as `Tables` (read once by
tables.py), the moment as an argument. The order of a decision is the dictionary's: state of the record, licence,
blocklist, ground, matrix cell, level. Deny by default: what no row gives is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from services.dossier.contract import (
    AUTHOR_RULE,
    CATEGORIES,
    GROUNDS,
    NOBODY,
    PROFESSIONS,
    AccessScope,
    Clause,
    DocumentFacts,
    RecordClosed,
    RecordNotFound,
)
from services.dossier.rules_tables import Condition, Tables, Throttle
from services.refusals import NotAllowed

HOLDER_SIDE = ("holder", "legal_representative", "assistant")
"""The grounds of people in the capacity of a patient; the others are a professional's."""

# --- the caller's situation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    """One ground somebody holds in one record, with its times; None = without end.

    kind: of a legal representative, what they are. together_until: until when the holder lets them act, where they act
    only together. establishment_id: of a mandate that serves whoever works there.
    """

    ground: str
    since: datetime
    read_until: datetime | None
    deposit_until: datetime | None
    kind: str | None = None
    together_until: datetime | None = None
    establishment_id: str | None = None


@dataclass(frozen=True)
class Facts:
    """All that a decision about one caller and one record needs.

    patient_id, state: the record's; None when there is no such record.
    merged_into: the record that speaks for this one, where two patients turned out to be one; told to a holder.
    own_patient_id: the caller's own, when logged in as a patient: who speaks for them.
    profession, licence: the directory's word, None when it never announced this professional. claimed_profession:
    the token's.
    settings: the record's, by name; one not named has its default. accessed_on: the last day on which anybody was let
    in. seen_at: about when this professional last was.
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
    settings: Mapping[str, str] = field(default_factory=dict)
    default_levels: Mapping[str, str] = field(default_factory=dict)
    accessed_on: date | None = None
    seen_at: datetime | None = None


# --- decisions ----------------------------------------------------------------------------------------------


def scope(tables: Tables, facts: Facts, now: datetime) -> AccessScope:
    """What this caller may do in this record at this moment.

    An agent or a machine gets nothing here; the capacity chosen at log-in alone counts, so a professional who is
    also the holder has the holder's rights only when logged in as a patient [domain: Accounts].
    """
    if facts.capacity == "patient":
        return _holder_side_scope(tables, facts, now)
    if facts.capacity == "professional" and facts.professional_id is not None:
        return _professional_scope(tables, facts, facts.professional_id, now)
    return _nothing(facts.record_id)


def _holder_side_scope(tables: Tables, facts: Facts, now: datetime) -> AccessScope:
    """The scope of the holder, of who acts as the holder, and of who was invited to read along: the strongest first."""
    if facts.state is None or facts.patient_id is None:
        return _nothing(facts.record_id)
    state = tables.states[facts.state]
    shows = {"holder": state.holder_side, "legal_representative": state.holder_side, "assistant": state.assistants}
    held = holder_side_grounds(tables, facts, now)
    if all(shows[ground] == "nothing" for ground in held):
        return _nothing(facts.record_id)
    # The holder side's rights are no matter of a profession: every column gives the same clause.
    clauses = tuple(
        clause
        for ground in held
        if shows[ground] == "everything"
        for _, clause in tables.clauses[ground, PROFESSIONS[0], True]
    )
    return AccessScope(
        record_id=facts.record_id,
        patient_id=facts.patient_id,
        state=facts.state,
        holder_side=True,
        may_see_blocked=False,
        may_see_withheld=_sees_withheld({clause.ground for clause in clauses}),
        author_id=None,
        clauses=clauses,
        autonomous_minor=_setting(tables, facts, "autonomous_minor") == "yes",
        default_levels=facts.default_levels,
    )


def _sees_withheld(grounds: set[str]) -> bool:
    """Whether who has these grounds of the holder side sees what is hidden from representatives: none of them does,
    whatever else they were made [L14 13]."""
    return "holder" in grounds or grounds == {"assistant"}


def holder_side_grounds(tables: Tables, facts: Facts, now: datetime) -> list[str]:
    """The grounds of the holder side that this person has now, the strongest first."""
    own = ["holder"] if facts.own_patient_id == facts.patient_id else []
    others = [grant for grant in strongest_first(facts.grants) if grant.ground in HOLDER_SIDE]
    running = [grant.ground for grant in others if lets_act(tables, grant, now)]
    return list(dict.fromkeys(own + running))


def acting_ground(tables: Tables, facts: Facts, action: str, now: datetime) -> str | None:
    """The strongest ground of the holder side under which this may be done, whatever the state of the record.

    action: a row of holder_actions.csv.
    """
    held = holder_side_grounds(tables, facts, now)
    return next((ground for ground in held if tables.holder_actions.get((action, ground), False)), None)


def lets_act(tables: Tables, grant: Grant, now: datetime) -> bool:
    """Whether a representative or an assistant may act under this grant now."""
    if grant.since > now or not runs(grant.read_until, now):
        return False
    if grant.kind is None or tables.representative_kinds[grant.kind].acts_alone:
        return True
    return grant.together_until is not None and now < grant.together_until


def _professional_scope(tables: Tables, facts: Facts, professional_id: str, now: datetime) -> AccessScope:
    if facts.state is None:
        return _nothing(facts.record_id, professional_id, professional_id)
    if tables.states[facts.state].professionals != "everything" or not may_practise(facts):
        # Authors keep their own documents through blocks and ended grounds, not through a closed record or a lost
        # licence.
        return _nothing(facts.record_id, professional_id, NOBODY)
    clauses = () if facts.blocked else _clauses(tables, facts, now)
    if not clauses:
        return _nothing(facts.record_id, professional_id, professional_id)
    return AccessScope(
        record_id=facts.record_id,
        patient_id=facts.patient_id,
        state=facts.state,
        holder_side=False,
        may_see_blocked=True,
        author_id=professional_id,
        clauses=clauses,
        reader_id=professional_id,
        autonomous_minor=_setting(tables, facts, "autonomous_minor") == "yes",
        default_levels=facts.default_levels,
    )


def _nothing(record_id: str, reader_id: str | None = None, author_id: str | None = None) -> AccessScope:
    """The scope without a ground, the same for every reason there is. reader_id: the professional, None for others."""
    return AccessScope(
        record_id=record_id,
        patient_id=None,
        state=None,
        holder_side=False,
        may_see_blocked=reader_id is not None,
        author_id=author_id,
        clauses=(),
        reader_id=reader_id,
    )


def _setting(tables: Tables, facts: Facts, name: str) -> str:
    return facts.settings.get(name, tables.settings[name].default)


def _clauses(tables: Tables, facts: Facts, now: datetime) -> tuple[Clause, ...]:
    """The clauses of the grants that run now, the strongest ground first, each once."""
    return tuple(dict.fromkeys(
        clause for grant in strongest_first(facts.grants) for clause in clauses_of_grant(tables, facts, grant, now)
    ))  # fmt: skip


def clauses_of_grant(tables: Tables, facts: Facts, grant: Grant, now: datetime) -> tuple[Clause, ...]:
    """The clauses that one grant of a professional gives now."""
    column = column_of(grant.ground, facts.profession)
    if column is None or grant.since > now:
        return ()
    reading = runs(grant.read_until, now)
    if not reading and not runs(grant.deposit_until, now):
        return ()
    given = tables.clauses.get((grant.ground, column, reading), ())
    return tuple(clause for condition, clause in given if holds(tables, facts, condition))


def holds(tables: Tables, facts: Facts, condition: Condition | None) -> bool:
    """Whether the record's setting has a value that this condition asks for."""
    return condition is None or _setting(tables, facts, condition.setting) in condition.values


def runs(until: datetime | None, now: datetime) -> bool:
    """Whether an end has not come yet; None: it never does."""
    return until is None or now < until


def column_of(ground: str, profession: str | None) -> str | None:
    """The matrix column that answers: the profession, or a physician's own one under the ground of that name."""
    if ground in HOLDER_SIDE:
        return None
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
        if clauses_of_grant(tables, facts, grant, now):
            return grant.read_until if runs(grant.read_until, now) else grant.deposit_until
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


def grant_of_reading(given: AccessScope, document: DocumentFacts) -> tuple[str, str] | None:
    """Ground and rule that let one document be read under this scope, or None: the first clause, else authorship.

    What hides a document from others never hides it from its author [L14 18(2)].
    """
    if not hidden(given, document):
        clause = given.reading_clause(document.category, document.level, document.type, document.folder)
        if clause is not None:
            return clause.ground, clause.rule
    if document.author_id is not None and document.author_id == given.author_id:
        return "author", AUTHOR_RULE
    return None


def hidden(given: AccessScope, document: DocumentFacts) -> bool:
    """Whether something hides a document from who has this scope, if they are not its author."""
    return (
        (document.patient_blocked and not given.may_see_blocked)
        or (document.withheld and not given.may_see_withheld)
        or given.reader_id in document.restricted
    )


def require_ground(given: AccessScope) -> RecordNotFound | None:
    """The refusal for a caller without any ground; the holder of a closed record has one, to see its state."""
    return None if given.clauses or given.holder_side else RecordNotFound()


def require_open_ground(given: AccessScope) -> RecordNotFound | RecordClosed | None:
    """The refusal for a caller who may not look inside: as `require_ground`, and the holder of a closed record too."""
    if given.clauses:
        return None
    return RecordClosed() if given.holder_side else RecordNotFound()


def require_care_context(given: AccessScope) -> RecordNotFound | RecordClosed | None:
    """The refusal for a caller who may not see who else cares for this patient: as `require_open_ground`, and for a
    professional who deposits without reading, as under an order, which no patient was asked for."""
    if given.holder_side or any(clause.read for clause in given.clauses):
        return require_open_ground(given)
    return RecordNotFound()


def require_holder_action(
    tables: Tables, given: AccessScope, action: str
) -> RecordNotFound | RecordClosed | NotAllowed | None:
    """The refusal for everybody but those of the holder side whom holder_actions.csv lets do this, in an open record.

    action: a row of holder_actions.csv.
    """
    if not given.holder_side:
        return RecordNotFound()
    if not given.clauses:
        return RecordClosed()
    return None if acting_clause(tables, given, action) else NotAllowed()


def acting_clause(tables: Tables, given: AccessScope, action: str) -> Clause | None:
    """The first clause of the holder side under which this may be done: the one that the trace names."""
    return next((each for each in given.clauses if tables.holder_actions.get((action, each.ground), False)), None)


def may_open_presence_mandate(tables: Tables, facts: Facts) -> bool:
    """Whether a right presence code would open a mandate: record open to professionals, licence valid, not blocked."""
    if facts.capacity != "professional" or facts.professional_id is None or facts.state is None:
        return False
    if column_of("presence", facts.profession) is None or facts.blocked:
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
