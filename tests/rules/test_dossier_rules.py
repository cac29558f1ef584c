"""What a ground gives, cell by cell and row by row, each allowed case beside its forbidden twin."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.dossier import rules
from services.dossier.contract import CATEGORIES, GROUNDS, LEVELS, PROFESSIONS
from services.dossier.rules import Facts
from tests.rules.situations import (
    ANNEX_1,
    CELLS,
    COLUMNS,
    DEPOSITING,
    EMERGENCY_LEVELS,
    LEVELS_OF,
    MATRIX_READING,
    NOW,
    PROFESSIONAL,
    RECORD,
    SOMEBODY_ELSE,
    TABLES,
    document,
    grant,
    holder,
    may_deposit,
    may_read,
    presence,
    professional,
    reader,
    reads,
    scope,
)  # fmt: skip

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
@pytest.mark.parametrize("ground", GROUNDS)
def test_a_ground_reads_the_levels_of_its_row_and_no_other(ground: str, level: str) -> None:
    shown = document(level, author_id=PROFESSIONAL if ground == "author" else SOMEBODY_ELSE)
    assert reads(reader(ground), shown) is (level in LEVELS_OF[ground].split())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("setting", EMERGENCY_LEVELS)
def test_emergency_access_reads_the_levels_that_the_holder_s_setting_allows(setting: str, level: str) -> None:
    facts = reader("emergency", settings={"emergency": setting})
    assert reads(facts, document(level)) is (level in EMERGENCY_LEVELS[setting].split())


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
