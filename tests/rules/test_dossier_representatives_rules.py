"""Who may represent a holder and until when, to whom letters go, and when a minor counts as autonomous: pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier import rules_representatives as rules
from services.dossier.contract import REPRESENTATIVE_KINDS, AccessScope, Clause, NotMinor, RecordNotFound
from services.dossier.rules import Facts
from services.dossier.tables import tables_at
from services.refusals import InvalidInput, NotAllowed

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = tables_at(NOW)
KINDS = TABLES.representative_kinds
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


@dataclass
class Known:
    """A representative as a store shows them."""

    kind: str = "parent"
    patient_id: str = "p"
    since: datetime = NOW - DAY
    until: datetime | None = None
    ended_at: datetime | None = None


def test_the_table_names_every_kind_of_the_contract() -> None:
    assert tuple(KINDS) == REPRESENTATIVE_KINDS
    assert [kind for kind, row in KINDS.items() if not row.acts_alone] == ["curator"]
    assert all(row.together > timedelta(0) for row in KINDS.values() if not row.acts_alone)
    assert KINDS["curator"].together == timedelta(hours=24)


@pytest.mark.parametrize("kind", REPRESENTATIVE_KINDS)
def test_only_a_parent_is_for_minors_alone(kind: str) -> None:
    assert rules.refusal_of_kind(KINDS[kind], NOW + DAY, NOW) is None
    for grown in (NOW, NOW - DAY, None):
        assert (rules.refusal_of_kind(KINDS[kind], grown, NOW) is not None) == (kind == "parent")


@given(st.sampled_from(REPRESENTATIVE_KINDS), st.none() | MOMENTS, st.none() | MOMENTS, MOMENTS)
def test_no_minor_s_parent_or_guardian_stays_beyond_majority(
    kind: str, until: datetime | None, majority: datetime | None, now: datetime
) -> None:
    ends, cause = rules.end_of(KINDS[kind], until, majority, now)
    assert ends in (until, majority) and (until is None or (ends is not None and ends <= until))
    minor = rules.is_minor(majority, now)
    if kind in ("parent", "guardian") and minor:
        assert majority is not None and ends is not None and ends <= majority
        assert (cause == "majority") == (ends == majority)
    else:
        assert (ends, cause) == (until, "time")


@given(MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS, MOMENTS)
def test_what_runs_has_begun_and_is_not_over(
    since: datetime, until: datetime | None, ended: datetime | None, now: datetime
) -> None:
    expected = since <= now and ended is None and not (until is not None and until <= now)
    assert rules.runs(Known(since=since, until=until, ended_at=ended), now) is expected


@given(st.none() | MOMENTS)
def test_a_sitting_is_a_day_and_never_longer_than_the_representation(until: datetime | None) -> None:
    ends = rules.sitting_until(KINDS["curator"], until, NOW)
    assert ends == NOW + DAY if until is None else ends == min(until, NOW + DAY)


@pytest.mark.parametrize(
    ("known", "may"),
    [
        (Known("curator"), True),
        (Known("curator", until=NOW), False),
        (Known("curator", ended_at=NOW), False),
        (Known("curator", since=NOW + DAY), False),
        (Known("parent"), False),
        (Known("guardian"), False),
        (Known("mandatary"), False),
        (None, False),
    ],
)
def test_a_sitting_is_with_a_curator_in_force(known: Known | None, may: bool) -> None:
    assert rules.may_sit(TABLES, known, NOW) is may


def test_letters_go_to_parents_and_guardians_in_force_each_once_else_to_the_patient() -> None:
    many = [
        Known("mandatary", "m"), Known("curator", "c"), Known("parent", "one"), Known("guardian", "two"),
        Known("parent", "one"), Known("parent", "gone", ended_at=NOW), Known("parent", "over", until=NOW),
    ]  # fmt: skip
    assert rules.letter_recipients(TABLES, many, "holder", NOW) == ["one", "two"]
    for nobody in ([], many[:2], many[5:]):
        assert rules.letter_recipients(TABLES, nobody, "holder", NOW) == ["holder"]


@pytest.mark.parametrize("text", ["2026-11-21T09:30:00Z", "2026-11-21T10:30:00+01:00"])
def test_a_moment_is_read_in_whatever_zone_it_comes(text: str) -> None:
    assert rules.moment_of(text) == NOW


@pytest.mark.parametrize("wrong", ["2026-11-21T09:30:00", "soon", "", 7, None, "0001-01-01T00:00:00+23:00"])
def test_what_is_no_moment_is_none(wrong: Any) -> None:
    assert rules.moment_of(wrong) is None


@pytest.mark.parametrize(("value", "longest"), [("", 5), ("  ", 5), (None, 5), (7, 5), ("abcdef", 5)])
def test_a_text_that_says_nothing_or_too_much_is_refused(value: Any, longest: int) -> None:
    with pytest.raises(InvalidInput):
        rules.require_text(value, "/name", longest)
    assert rules.require_text(" abcde ", "/name", 5) == "abcde"


# --- autonomy -----------------------------------------------------------------------------------------------------

READS = Clause("circle", "circle", ("laboratory",), (), None, ("standard",))
DEPOSITS = replace(READS, deposit=("laboratory",))
DOCTOR = Facts("r", "p", "active", "professional", professional_id="d", profession="physician")
SCOPE = AccessScope("r", "p", "active", False, True, "d", (DEPOSITS,), reader_id="d")


@pytest.mark.parametrize(
    ("facts", "scope", "minor", "refusal"),
    [
        (DOCTOR, SCOPE, True, None),
        (DOCTOR, SCOPE, False, NotMinor),
        (DOCTOR, replace(SCOPE, clauses=()), True, RecordNotFound),
        (DOCTOR, replace(SCOPE, clauses=()), False, RecordNotFound),
        (DOCTOR, replace(SCOPE, clauses=(READS,)), True, NotAllowed),
        (DOCTOR, replace(SCOPE, clauses=(READS, DEPOSITS)), True, None),
        (replace(DOCTOR, profession="nurse"), SCOPE, True, NotAllowed),
        (replace(DOCTOR, profession="nurse"), SCOPE, False, NotAllowed),
        (replace(DOCTOR, profession=None), replace(SCOPE, holder_side=True), True, NotAllowed),
    ],
)
def test_a_physician_who_may_deposit_notes_a_minor(
    facts: Facts, scope: AccessScope, minor: bool, refusal: type[Exception] | None
) -> None:
    found = rules.require_autonomy(facts, scope, minor)
    assert found is None if refusal is None else isinstance(found, refusal)
