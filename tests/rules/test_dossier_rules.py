"""Who may do what in a record, cell by cell and row by row, each allowed case beside its forbidden twin.

The tables of this file are its own statement of RGD Annex 1 and of the domain's tables, written down again and
not read from the service's files, so that a slip in either shows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dossier import contract, presence_code, rules
from services.dossier.contract import CATEGORIES, GROUNDS, LEVELS, NOBODY, PROFESSIONS, STATES, AccessScope
from services.dossier.rules import Facts, Grant
from services.dossier.tables import TABLES

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RECORD, PATIENT, PROFESSIONAL, SOMEBODY_ELSE = (f"0190aaaa-0000-7000-8000-00000000000{n}" for n in range(1, 5))

COLUMNS = [
    "physician", "referring_physician", "pharmacist", "nurse", "allied_health", "midwife",
    "laboratory_technician", "radiology_technologist", "care_assistant", "social_worker", "medical_biologist",
]  # fmt: skip

# RGD Annex 1. One character pair per column, in the order above: rw = read and deposit, r. = read, .. = nothing.
ANNEX_1 = {
    "personal_expression": "r. r. r. r. r. r. r. r. r. r. r.",
    "summaries":           "rw rw .. r. r. r. .. r. r. r. ..",
    "history":             "rw rw r. r. r. rw .. r. r. .. r.",
    "allergies":           "rw rw rw r. r. r. r. r. r. .. r.",
    "devices":             "rw rw .. r. r. r. .. r. r. .. r.",
    "care_reports":        "rw rw r. rw rw rw r. r. r. rw r.",
    "certificates":        "rw rw .. r. r. r. .. .. r. .. ..",
    "imaging":             "rw rw .. r. r. r. .. r. .. .. ..",
    "laboratory":          "rw rw r. r. r. r. r. r. r. .. rw",
    "dispensation":        "r. r. rw r. .. .. .. .. .. .. ..",
    "care_assessments":    "rw rw .. rw rw rw .. r. rw r. r.",
    "prescriptions":       "rw rw rw r. r. rw r. r. r. .. r.",
    "prevention":          "rw rw r. rw rw rw .. .. rw r. r.",
    "socio_educational":   "r. r. .. rw rw r. .. .. r. r. ..",
    "social_environment":  "r. r. .. rw rw rw .. .. r. rw ..",
    "legal_protection":    "r. r. .. r. r. rw .. .. r. rw ..",
    "social_coverage":     "r. r. r. r. rw r. r. .. r. rw r.",
    "education":           "rw rw r. rw rw rw .. .. rw .. ..",
    "access_traces":       ".. r. .. .. .. .. .. .. .. .. ..",
}  # fmt: skip

# Ground: which levels it reads, whether it deposits (domain, "Who may see what").
LEVELS_OF = {
    "holder": "standard confidential private",
    "legal_representative": "standard confidential private",
    "author": "standard confidential private",
    "referring_physician": "standard confidential",
    "circle": "standard confidential",
    "presence": "standard",
    "admission": "standard",
    "hospital_emergency": "standard",
    "order": "standard",
    "responsibility": "standard",
    "emergency": "standard",
}
DEPOSITING = {"referring_physician", "circle", "presence", "admission", "hospital_emergency", "order"}
MATRIX_READING = {
    "referring_physician",
    "circle",
    "presence",
    "admission",
    "hospital_emergency",
    "responsibility",
    "emergency",
}

CELLS = [
    (category, column, cell)
    for category, row in ANNEX_1.items()
    for column, cell in zip(COLUMNS, row.split(), strict=True)
]


def cell_of(category: str, column: str) -> str:
    return ANNEX_1[category].split()[COLUMNS.index(column)]


def grant(ground: str, *, since: timedelta = -timedelta(hours=1), until: timedelta | None = None) -> Grant:
    """A ground that has run for an hour, and goes on."""
    end = None if until is None else NOW + until
    return Grant(ground, NOW + since, end, end)


def presence(age: timedelta) -> Grant:
    """A presence mandate opened that long ago."""
    start = NOW - age
    return Grant("presence", start, start + timedelta(hours=24), start + timedelta(days=15))


def professional(*grants: Grant, profession: str | None = "physician", **changes: Any) -> Facts:
    """A licensed professional in an active record."""
    facts = Facts(
        record_id=RECORD, patient_id=PATIENT, state="active", capacity="professional", professional_id=PROFESSIONAL,
        profession=profession, claimed_profession=profession, licence="valid", grants=grants,
    )  # fmt: skip
    return replace(facts, **changes)


def holder(**changes: Any) -> Facts:
    """The patient, logged in as one, and their own active record."""
    facts = Facts(record_id=RECORD, patient_id=PATIENT, state="active", capacity="patient", own_patient_id=PATIENT)
    return replace(facts, **changes)


def scope(facts: Facts, now: datetime = NOW) -> AccessScope:
    return rules.scope(TABLES, facts, now)


def may_read(given_scope: AccessScope, category: str, level: str = "standard") -> bool:
    return given_scope.reading_clause(category, level) is not None


def may_deposit(given_scope: AccessScope, category: str) -> bool:
    return any(category in clause.deposit for clause in given_scope.clauses)


# --- the matrix ---------------------------------------------------------------------------------------------


def test_the_tables_speak_of_the_same_categories_and_professions() -> None:
    assert tuple(ANNEX_1) == CATEGORIES
    assert tuple(COLUMNS) == PROFESSIONS
    assert len(CELLS) == 19 * 11


@pytest.mark.parametrize(("category", "column", "cell"), CELLS, ids=[f"{c}-{p}" for c, p, _ in CELLS])
@pytest.mark.parametrize("ground", ["circle", "presence"])
def test_a_cell_of_annex_1_gives_what_it_says_and_nothing_more(
    ground: str, category: str, column: str, cell: str
) -> None:
    if column == "referring_physician":
        found = scope(professional(grant("referring_physician")))
    else:
        found = scope(professional(grant(ground, until=timedelta(hours=1)), profession=column))
    assert may_read(found, category) is (cell in ("r.", "rw"))
    assert may_deposit(found, category) is (cell == "rw")


@pytest.mark.parametrize(("category", "column", "cell"), CELLS, ids=[f"{c}-{p}" for c, p, _ in CELLS])
def test_no_cell_gives_anything_without_a_ground(category: str, column: str, cell: str) -> None:
    found = scope(professional(profession=column))
    assert not may_read(found, category)
    assert not may_deposit(found, category)


def test_a_pharmacist_deposits_a_dispensation() -> None:
    assert may_deposit(scope(professional(grant("circle"), profession="pharmacist")), "dispensation")


def test_a_pharmacist_cannot_deposit_a_laboratory_result() -> None:
    assert not may_deposit(scope(professional(grant("circle"), profession="pharmacist")), "laboratory")


def test_the_column_of_the_referring_physician_is_no_profession() -> None:
    assert scope(professional(grant("circle"), profession="referring_physician")).clauses == ()


def test_only_a_physician_can_be_a_referring_physician() -> None:
    assert may_read(scope(professional(grant("referring_physician"))), "access_traces")
    assert scope(professional(grant("referring_physician"), profession="nurse")).clauses == ()


def test_a_profession_that_annex_1_does_not_name_gets_nothing() -> None:
    assert scope(professional(grant("circle"), profession="homeopath")).clauses == ()


# --- grounds and levels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ground", sorted(LEVELS_OF))
def test_a_ground_reads_the_levels_of_its_row_and_no_other(ground: str, level: str) -> None:
    assert (level in TABLES.grounds[ground].levels) is (level in LEVELS_OF[ground].split())
    if ground in MATRIX_READING:
        found = scope(professional(grant(ground)))
        assert may_read(found, "history", level) is (level in LEVELS_OF[ground].split())


@pytest.mark.parametrize("ground", sorted(MATRIX_READING | {"order"}))
def test_a_ground_deposits_only_where_its_row_says(ground: str) -> None:
    assert may_deposit(scope(professional(grant(ground))), "care_reports") is (ground in DEPOSITING)


def test_an_order_deposits_and_reads_nothing() -> None:
    found = scope(professional(grant("order"), profession="medical_biologist"))
    assert rules.depositable(found) == ["laboratory"]
    assert rules.readable(found) == []


def test_responsibility_reads_two_folders_and_no_other() -> None:
    [clause] = scope(professional(grant("responsibility"), profession="pharmacist")).clauses
    assert clause.folders == ("prescription", "dispensations")
    assert clause.deposit == ()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("category", CATEGORIES)
def test_the_holder_reads_every_category_at_every_level(category: str, level: str) -> None:
    assert may_read(scope(holder()), category, level)


def test_the_holder_deposits_personal_expression_and_nothing_else() -> None:
    assert rules.depositable(scope(holder())) == ["personal_expression"]


def test_another_patient_gets_nothing_and_is_told_nothing() -> None:
    found = scope(holder(own_patient_id=SOMEBODY_ELSE))
    assert found == scope(Facts(RECORD, None, None, "patient", own_patient_id=SOMEBODY_ELSE))
    assert (found.clauses, found.holder_side, found.state, found.patient_id) == ((), False, None, None)


def test_two_grounds_add_up_without_mixing_their_levels() -> None:
    both = professional(presence(timedelta(hours=1)), grant("circle"), profession="nurse")
    assert [clause.rule for clause in scope(both).clauses] == ["circle", "presence/24h"]
    assert may_read(scope(both), "history", "confidential")
    assert not may_read(
        scope(professional(presence(timedelta(hours=1)), profession="nurse")), "history", "confidential"
    )


def test_the_strongest_ground_is_named_first_in_whatever_order_grants_come() -> None:
    grants = [grant(ground) for ground in ("emergency", "presence", "circle", "referring_physician")]
    for order in (grants, grants[::-1]):
        named = [clause.ground for clause in scope(professional(*order)).clauses]
        assert named == ["referring_physician", "circle", "presence", "emergency"]


def test_the_same_ground_twice_is_one_clause() -> None:
    assert len(scope(professional(presence(timedelta(hours=1)), presence(timedelta(hours=2)))).clauses) == 1


# --- time ---------------------------------------------------------------------------------------------------


def test_a_presence_mandate_reads_and_deposits_for_24_hours() -> None:
    found = scope(professional(presence(timedelta(hours=24) - timedelta(microseconds=1))))
    assert found.clauses[0].rule == "presence/24h"
    assert may_read(found, "care_reports")
    assert may_deposit(found, "care_reports")


def test_a_presence_mandate_only_deposits_from_the_25th_hour_on() -> None:
    found = scope(professional(presence(timedelta(hours=24))))
    assert found.clauses[0].rule == "presence/deposit-only"
    assert rules.readable(found) == []
    assert may_deposit(found, "care_reports")


def test_a_presence_mandate_is_over_on_day_15() -> None:
    assert scope(professional(presence(timedelta(days=15) - timedelta(microseconds=1)))).clauses
    assert scope(professional(presence(timedelta(days=15)))).clauses == ()


def test_who_may_deposit_nothing_has_no_ground_left_after_24_hours() -> None:
    technician = professional(presence(timedelta(hours=25)), profession="laboratory_technician")
    assert scope(technician).clauses == ()


def test_a_circle_membership_ends_at_its_date() -> None:
    assert scope(professional(grant("circle", until=timedelta(microseconds=1)))).clauses
    assert scope(professional(grant("circle", until=timedelta()))).clauses == ()


def test_a_grant_that_has_not_begun_gives_nothing() -> None:
    assert scope(professional(grant("circle", since=timedelta(seconds=1)))).clauses == ()
    assert scope(professional(grant("circle", since=timedelta()))).clauses


def test_access_ends_with_what_the_named_ground_gives_now() -> None:
    reading, depositing = presence(timedelta(hours=1)), presence(timedelta(days=2))
    assert rules.access_ends(TABLES, professional(reading), NOW) == reading.read_until
    assert rules.access_ends(TABLES, professional(depositing), NOW) == depositing.deposit_until
    assert rules.access_ends(TABLES, professional(reading, grant("circle")), NOW) is None


# --- state, licence, blocklist, capacity --------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_professionals_enter_active_and_lapsed_records_only(state: str) -> None:
    found = scope(professional(grant("circle"), state=state))
    assert bool(found.clauses) is (state in ("active", "open_by_lapse"))


@pytest.mark.parametrize("state", STATES)
def test_the_holder_enters_until_closing_and_sees_the_state_of_a_closed_record(state: str) -> None:
    found = scope(holder(state=state))
    assert bool(found.clauses) is (state not in ("closed", "deleted"))
    assert found.holder_side is (state != "deleted")
    assert found.state == (None if state == "deleted" else state)


@pytest.mark.parametrize("licence", ["suspended", "withdrawn", None])
def test_a_professional_without_a_valid_licence_gets_nothing(licence: str | None) -> None:
    assert scope(professional(grant("circle"))).clauses
    assert scope(professional(grant("circle"), licence=licence)).clauses == ()


def test_a_professional_the_directory_never_announced_gets_nothing() -> None:
    assert scope(professional(grant("circle"), profession=None, licence=None)).clauses == ()


def test_a_token_that_claims_another_profession_than_the_directory_gets_nothing() -> None:
    assert scope(professional(grant("circle"), profession="nurse", claimed_profession="physician")).clauses == ()


def test_a_blocked_professional_looks_like_one_without_a_ground() -> None:
    assert scope(professional(grant("circle"))).clauses
    assert scope(professional(grant("circle"), blocked=True)) == scope(professional())


def test_an_author_keeps_their_own_documents_without_a_ground_and_through_a_block() -> None:
    for facts in (professional(), professional(grant("circle"), blocked=True)):
        assert scope(facts).author_id == PROFESSIONAL
        assert rules.may_read_document(scope(facts), "certificates", "private", PROFESSIONAL)
        assert not rules.may_read_document(scope(facts), "certificates", "private", SOMEBODY_ELSE)


@pytest.mark.parametrize("state", ["requested", "open", "closed", "deleted"])
def test_a_closed_record_is_unreadable_to_its_authors_too(state: str) -> None:
    assert scope(professional(state=state)).author_id == NOBODY


def test_an_author_without_a_valid_licence_reads_nothing() -> None:
    assert scope(professional(licence="suspended")).author_id == NOBODY


def test_authorship_deposits_nothing() -> None:
    assert not scope(professional()).deposit_by_author
    assert rules.depositable(scope(professional())) == []


def test_a_document_without_an_author_belongs_to_no_one_without_a_ground() -> None:
    assert not rules.may_read_document(scope(Facts(RECORD, PATIENT, "active", "agent")), "history", "standard", None)


@pytest.mark.parametrize("capacity", ["agent", "machine", "nobody"])
def test_agents_and_machines_never_get_a_clause(capacity: str) -> None:
    facts = replace(professional(grant("circle")), capacity=capacity, own_patient_id=PATIENT)
    assert (scope(facts).clauses, scope(facts).author_id, scope(facts).holder_side) == ((), None, False)


def test_a_professional_who_is_also_the_holder_has_the_rights_of_the_chosen_capacity_alone() -> None:
    as_professional = professional(own_patient_id=PATIENT)
    as_patient = replace(professional(grant("circle")), capacity="patient", own_patient_id=PATIENT)
    assert scope(as_professional).clauses == ()
    assert [clause.ground for clause in scope(as_patient).clauses] == ["holder"]
    assert scope(as_patient).author_id is None


def test_a_professional_of_another_record_s_patient_gets_nothing_as_a_patient() -> None:
    facts = replace(professional(grant("circle")), capacity="patient", own_patient_id=SOMEBODY_ELSE)
    assert scope(facts).clauses == ()


def test_unknown_closed_blocked_and_groundless_differ_in_nothing_but_authorship() -> None:
    unknown = scope(professional(patient_id=None, state=None, licence="valid"))
    for facts in (
        professional(),
        professional(grant("circle"), blocked=True),
        professional(grant("circle"), state="closed"),
        professional(grant("circle"), licence="withdrawn"),
    ):
        assert replace(scope(facts), author_id=None) == replace(unknown, author_id=None)


def test_only_professionals_see_what_is_blocked_for_the_patient() -> None:
    assert scope(professional(grant("circle"))).may_see_blocked
    assert not scope(holder()).may_see_blocked


# --- first access, presence mandates ------------------------------------------------------------------------


def test_the_first_ground_is_told_and_the_second_is_not() -> None:
    newcomer = professional(grant("circle"))
    assert rules.is_first_access(newcomer, scope(newcomer))
    known = replace(newcomer, accessed_before=True)
    assert not rules.is_first_access(known, scope(known))


def test_authorship_and_the_holder_are_no_first_access() -> None:
    assert not rules.is_first_access(professional(), scope(professional()))
    assert not rules.is_first_access(holder(), scope(holder()))


def test_a_licensed_professional_may_open_a_presence_mandate() -> None:
    assert rules.may_open_presence_mandate(TABLES, professional())
    assert rules.may_open_presence_mandate(TABLES, professional(state="open_by_lapse"))


@pytest.mark.parametrize(
    "changes",
    [
        {"blocked": True},
        {"licence": "suspended"},
        {"licence": None, "profession": None},
        {"claimed_profession": "nurse"},
        {"profession": "homeopath", "claimed_profession": "homeopath"},
        {"state": "open"},
        {"state": "closed"},
        {"state": "deleted"},
        {"state": None, "patient_id": None},
        {"capacity": "patient"},
        {"capacity": "agent"},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items()),
)
def test_a_right_code_opens_nothing_for(changes: dict[str, Any]) -> None:
    assert not rules.may_open_presence_mandate(TABLES, professional(**changes))


def test_a_presence_mandate_reads_24_hours_and_deposits_15_days() -> None:
    kind = TABLES.mandate_kinds["presence"]
    assert (kind.reads, kind.deposits) == (timedelta(hours=24), timedelta(days=15))


# --- refusals -----------------------------------------------------------------------------------------------


def test_the_holder_of_a_closed_record_is_told_so_and_everybody_else_that_there_is_none() -> None:
    closed, stranger = scope(holder(state="closed")), scope(professional(grant("circle"), state="closed"))
    assert rules.require_ground(closed) is None
    assert isinstance(rules.require_open_ground(closed), contract.RecordClosed)
    assert isinstance(rules.require_holder_side(closed), contract.RecordClosed)
    for require in (rules.require_ground, rules.require_open_ground, rules.require_holder_side):
        assert isinstance(require(stranger), contract.RecordNotFound)


def test_grants_are_the_holder_s_to_change_and_nobody_else_s() -> None:
    assert rules.require_holder_side(scope(holder())) is None
    assert isinstance(rules.require_holder_side(scope(professional(grant("circle")))), contract.RecordNotFound)


# --- life cycle ---------------------------------------------------------------------------------------------

LIFE = {
    (None, "requested"): {"voluntary_request"},
    (None, "open"): {"affiliation"},
    ("requested", "open"): {"identity_checked"},
    ("open", "active"): {"activation"},
    ("open", "open_by_lapse"): {"lapse"},
    ("open", "deleted"): {"opposition"},
    ("open_by_lapse", "active"): {"activation"},
    ("closed", "active"): {"reopening", "unmerged"},
    ("closed", "deleted"): {"ten_years_closed"},
    ("requested", "closed"): {"merged"},
    ("closed", "closed"): {"merged", "unmerged"},
    ("closed", "requested"): {"unmerged"},
    ("closed", "open"): {"unmerged"},
    ("closed", "open_by_lapse"): {"unmerged"},
} | {
    (state, "closed"): {"holder_request", "agency_request", "death", "ten_years_without_access", "merged"}
    for state in ("open", "open_by_lapse", "active")
}


@pytest.mark.parametrize("becomes", STATES)
@pytest.mark.parametrize("state", [None, *STATES])
def test_a_record_passes_from_state_to_state_for_the_causes_of_its_life_cycle_only(
    state: str | None, becomes: str
) -> None:
    causes = {cause for _, _, cause in TABLES.life_cycle}
    allowed = LIFE.get((state, becomes), set())
    assert {cause for cause in causes if rules.may_become(TABLES, state, becomes, cause)} == allowed


@pytest.mark.parametrize("state", STATES)
def test_a_search_calls_a_record_accessible_when_professionals_may_be_let_in(state: str) -> None:
    assert rules.may_be_found(TABLES, state) is (state in ("active", "open_by_lapse"))


# --- guesses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tries", "wait"),
    [(0, 0), (1, 0), (4, 0), (5, 60), (6, 120), (7, 240), (8, 480), (10, 1920), (11, 3600), (12, 3600), (5000, 3600)],
)
def test_five_tries_are_free_and_each_further_one_waits_longer(tries: int, wait: int) -> None:
    throttle = TABLES.throttles["presence_code_per_record"]
    assert rules.wait_before_try(throttle, tries, NOW if tries else None, NOW) == wait


def test_the_wait_counts_from_the_last_try_and_ends() -> None:
    throttle = TABLES.throttles["presence_code_per_record"]
    assert rules.wait_before_try(throttle, 5, NOW - timedelta(seconds=59.2), NOW) == 1
    assert rules.wait_before_try(throttle, 5, NOW - timedelta(seconds=60), NOW) == 0


def test_a_professional_has_more_tries_over_all_records_than_on_one() -> None:
    throttle = TABLES.throttles["presence_code_per_professional"]
    assert rules.wait_before_try(throttle, 19, NOW, NOW) == 0
    assert rules.wait_before_try(throttle, 20, NOW, NOW) > 0


def test_a_presence_code_has_eight_characters_without_look_alikes() -> None:
    codes = [presence_code.draw() for _ in range(200)]
    assert {len(code) for code in codes} == {8}
    assert not set("".join(codes)) & set("0O1IL2Z5S8BUV") - {"U"}
    assert not {"U", "V"} <= set(presence_code.ALPHABET)
    assert len(set(codes)) == 200


@pytest.mark.parametrize("entry", ["ACDE3467", "acde3467", " ACDE-3467 ", "acde 3467\n"])
def test_case_spaces_and_hyphens_do_not_count_in_a_presence_code(entry: str) -> None:
    assert presence_code.as_issued(entry) == "ACDE3467"


# --- ids and the wire ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 7, "", "x", "'; drop table records", RECORD + "0", [RECORD]])
def test_what_is_no_id_becomes_the_id_that_nothing_has(value: object) -> None:
    assert rules.id_of(value) == NOBODY


def test_an_id_has_one_spelling() -> None:
    assert rules.id_of(RECORD.upper()) == RECORD
    assert rules.id_of("{" + RECORD.replace("-", "") + "}") == RECORD


def test_a_scope_comes_back_from_the_wire_as_it_left() -> None:
    for facts in (holder(), professional(), professional(grant("circle"), presence(timedelta(hours=1)))):
        assert AccessScope.from_wire(scope(facts).to_wire()) == scope(facts)


def test_a_scope_on_the_wire_is_plain_json() -> None:
    wire = scope(professional(grant("circle"))).to_wire()
    assert set(wire) == {
        "record_id", "patient_id", "state", "holder_side", "may_see_blocked", "author_id", "deposit_by_author",
        "clauses",
    }  # fmt: skip
    assert set(wire["clauses"][0]) == {"ground", "rule", "read", "deposit", "folders", "levels"}
    assert isinstance(wire["clauses"][0]["read"], list)


# --- the whole, against a reference written differently -----------------------------------------------------

MINUTES = st.integers(-40 * 24 * 60, 40 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
PROFESSIONAL_GROUNDS = [
    ground for ground in GROUNDS if ground not in ("holder", "legal_representative", "assistant", "author")
]


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    since = NOW + draw(MINUTES)
    read_until = draw(st.none() | MINUTES.map(lambda m: since + abs(m)))
    deposit_until = None if read_until is None else read_until + abs(draw(MINUTES))
    return Grant(draw(st.sampled_from(PROFESSIONAL_GROUNDS)), since, read_until, deposit_until)


@st.composite
def situations(draw: st.DrawFn) -> Facts:
    profession = draw(st.sampled_from([*PROFESSIONS, *PROFESSIONS, "homeopath", None]))
    claimed = draw(st.sampled_from([profession, profession, profession, "nurse"]))
    return Facts(
        record_id=RECORD,
        patient_id=PATIENT,
        state=draw(st.sampled_from(["active", "active", "active", *STATES])),
        capacity=draw(st.sampled_from(["professional"] * 5 + ["patient", "agent", "machine"])),
        own_patient_id=draw(st.sampled_from([None, PATIENT, SOMEBODY_ELSE])),
        professional_id=draw(st.sampled_from([PROFESSIONAL] * 5 + [None])),
        profession=profession,
        claimed_profession=claimed,
        licence=draw(st.sampled_from(["valid", "valid", "valid", "suspended", "withdrawn", None])),
        blocked=draw(st.sampled_from([False, False, False, True])),
        grants=tuple(draw(st.lists(grants(), max_size=4))),
    )


def reference(facts: Facts, action: str, category: str, level: str, author_id: str | None) -> bool:
    """One document, one question, answered by going down the domain's list of conditions."""
    if facts.capacity == "patient":
        if facts.own_patient_id != facts.patient_id or facts.state in ("closed", "deleted"):
            return False
        return action == "read" or category == "personal_expression"
    if facts.capacity != "professional" or facts.professional_id is None:
        return False
    if facts.state not in ("active", "open_by_lapse"):
        return False
    if facts.licence != "valid" or facts.profession is None or facts.profession != facts.claimed_profession:
        return False
    if action == "read" and author_id == facts.professional_id:
        return True
    return not facts.blocked and any(_by(one, facts.profession, action, category, level) for one in facts.grants)


def _by(one: Grant, profession: str, action: str, category: str, level: str) -> bool:
    column = profession
    if one.ground == "referring_physician":
        if profession != "physician":
            return False
        column = "referring_physician"
    elif profession == "referring_physician" or profession not in COLUMNS:
        return False
    reading = one.since <= NOW and (one.read_until is None or one.read_until > NOW)
    depositing = one.since <= NOW and (reading or one.deposit_until is None or one.deposit_until > NOW)
    cell = cell_of(category, column)
    if action == "read":
        return reading and one.ground in MATRIX_READING and level in LEVELS_OF[one.ground].split() and cell != ".."
    return depositing and one.ground in DEPOSITING and cell == "rw" and (reading or _goes_on(one.ground))


def _goes_on(ground: str) -> bool:
    """Mandates and orders let deposit after they let read; the others end as one."""
    return ground in ("presence", "admission", "hospital_emergency", "order")


@settings(max_examples=400, deadline=None)
@given(situations())
def test_a_scope_grants_exactly_what_matrix_levels_and_time_do(facts: Facts) -> None:
    found = scope(facts)
    for category, level, author in product(CATEGORIES, LEVELS, (PROFESSIONAL, SOMEBODY_ELSE, None)):
        expected = reference(facts, "read", category, level, author)
        assert rules.may_read_document(found, category, level, author) is expected, (category, level, author)
    for category in CATEGORIES:
        expected = reference(facts, "deposit", category, "standard", None)
        assert may_deposit(found, category) is expected, category


@settings(max_examples=200, deadline=None)
@given(situations())
def test_taking_a_grant_away_never_gives_anything(facts: Facts) -> None:
    whole = scope(facts)
    for index in range(len(facts.grants)):
        less = scope(replace(facts, grants=facts.grants[:index] + facts.grants[index + 1 :]))
        assert set(less.clauses) <= set(whole.clauses)
