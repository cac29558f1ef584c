"""Who may hide a document from whom, and what falls due while one is blocked for the patient."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.documents import rules_hidden
from services.documents.rules import Facts, Grant
from services.dossier.contract import AccessScope, Clause

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
REPORT = Facts("care_reports", "medical_data", "standard", "author", type="medical_report")
CLAUSE = Clause("circle", "circle", ("care_reports",), ("care_reports",), None, ("standard", "confidential"))
READS = replace(CLAUSE, rule="reads", deposit=())
DEPOSITS = replace(CLAUSE, rule="deposits", read=(), levels=("standard",))
HOLDER = Clause("holder", "holder", ("care_reports",), (), None, ("standard", "confidential", "private"))
PARENT = replace(HOLDER, ground="legal_representative", rule="legal_representative")


def professional(*clauses: Clause, whom: str = "somebody", **more: object) -> AccessScope:
    made = AccessScope("r", None, "active", False, True, whom, clauses, reader_id=whom)
    return replace(made, **more)  # type: ignore[arg-type]


def family(*clauses: Clause, **more: object) -> AccessScope:
    return replace(AccessScope("r", "p", "active", True, False, None, clauses), **more)  # type: ignore[arg-type]


def test_the_holder_side_restricts_what_it_sees_and_professionals_nothing() -> None:
    assert rules_hidden.may_restrict(family(HOLDER), REPORT) == Grant("holder", "holder")
    assert rules_hidden.may_restrict(family(HOLDER), replace(REPORT, patient_blocked=True)) is None
    assert rules_hidden.may_restrict(family(), REPORT) is None
    assert rules_hidden.may_restrict(professional(CLAUSE), REPORT) is None


def test_one_ground_that_reads_and_deposits_blocks_and_two_that_do_half_each_do_not() -> None:
    assert rules_hidden.may_block(professional(CLAUSE), REPORT) == Grant("circle", "circle")
    assert rules_hidden.may_block(professional(READS), REPORT) is None
    assert rules_hidden.may_block(professional(READS, DEPOSITS), REPORT) is None
    assert rules_hidden.may_block(professional(CLAUSE), replace(REPORT, level="private")) is None
    assert rules_hidden.may_block(professional(CLAUSE), replace(REPORT, restricted=True)) is None


def test_the_author_blocks_at_every_level_while_a_ground_lets_them_deposit() -> None:
    private = replace(REPORT, level="private")
    assert rules_hidden.may_block(professional(DEPOSITS, whom="author"), private) == Grant("circle", "deposits")
    assert rules_hidden.may_block(professional(READS, whom="author"), private) is None
    assert rules_hidden.may_block(professional(whom="author"), private) is None
    assert rules_hidden.may_block(professional(DEPOSITS, whom="author"), replace(private, restricted=True)) is None


def test_nobody_blocks_what_the_holder_wrote_and_no_holder_side_blocks() -> None:
    assert rules_hidden.may_block(professional(CLAUSE), replace(REPORT, author_id=None)) is None
    assert rules_hidden.may_block(family(replace(HOLDER, deposit=("care_reports",))), REPORT) is None


@pytest.mark.parametrize("autonomous", [True, False])
def test_the_minor_and_a_depositing_professional_withhold_while_the_minor_is_autonomous(autonomous: bool) -> None:
    minor = family(PARENT, HOLDER, autonomous_minor=autonomous)
    assert rules_hidden.may_withhold(minor, REPORT) == (Grant("holder", "holder") if autonomous else None)
    assert rules_hidden.may_show(minor, REPORT) == Grant("holder", "holder")
    nurse = professional(CLAUSE, autonomous_minor=autonomous)
    assert (rules_hidden.may_withhold(nurse, REPORT) is not None) is autonomous
    assert rules_hidden.may_withhold(professional(READS, autonomous_minor=True), REPORT) is None
    assert rules_hidden.may_withhold(family(PARENT, autonomous_minor=True), REPORT) is None
    assert rules_hidden.may_show(family(PARENT, autonomous_minor=True), REPORT) is None
    assert rules_hidden.may_show(family(HOLDER), replace(REPORT, patient_blocked=True)) is None


@pytest.mark.parametrize(
    ("days", "reminded", "escalated", "release", "step"),
    [
        (22.99, False, False, None, None),
        (23, False, False, None, "reminded"),
        (23, True, False, None, None),
        (29.99, True, False, None, None),
        (30, True, False, None, "escalated"),
        (30, False, False, None, "escalated"),
        (31, True, True, None, None),
        (31, False, True, None, None),
        (39.99, True, True, 40, None),
        (40, True, True, 40, "released"),
        (40, False, False, 40, "released"),
        (10, False, False, 10, "released"),
        (4000, True, True, None, None),
    ],
)
def test_what_is_due_about_a_block(
    days: float, reminded: bool, escalated: bool, release: int | None, step: str | None
) -> None:
    after = None if release is None else release * DAY
    done = {True: AT, False: None}
    since = AT - days * DAY
    assert rules_hidden.step_due(since, done[reminded], done[escalated], after, AT) == step


@pytest.mark.parametrize("wrong", ["", " \n", "x" * 501, None, 3, "a\x00b", "a\ud800"])
def test_no_reason_is_none(wrong: object) -> None:
    assert rules_hidden.read_reason(wrong) is None


def test_a_reason_is_one_line() -> None:
    assert rules_hidden.read_reason("  À annoncer\n en   consultation ") == "À annoncer en consultation"
    assert rules_hidden.read_reason("x" * 500) == "x" * 500


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_is_read_as_it_was_written(moment: datetime) -> None:
    assert rules_hidden.read_moment(moment.isoformat()) == moment
    assert rules_hidden.read_moment(moment.replace(tzinfo=None).isoformat()) is None


@pytest.mark.parametrize(
    "wrong", [None, "", "now", 7, "2026-11-21", "2026-11-21T09:30:00", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_moment_is_none(wrong: object) -> None:
    assert rules_hidden.read_moment(wrong) is None
