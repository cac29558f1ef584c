"""Stays and orders: who registers one, how long each kind lasts, and that nothing noted gives more than the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier import rules_stays
from services.dossier.contract import RESULT_CONSENT_WORDINGS
from services.dossier.rules import Facts
from services.dossier.rules_stays import Times
from services.dossier.tables import tables_at
from services.refusals import InvalidInput

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = tables_at(AT)
ADMISSION, EMERGENCY, ORDER = (TABLES.mandate_kinds[kind] for kind in ("admission", "hospital_emergency", "order"))
ADMITTED = rules_stays.opened(ADMISSION, AT)


# --- how long ---------------------------------------------------------------------------------------------------------


def test_an_admission_reads_45_days_and_deposits_15_more() -> None:
    assert Times(AT + 45 * DAY, AT + 60 * DAY) == ADMITTED


def test_a_registration_in_an_emergency_department_reads_24_hours_and_deposits_15_days_more() -> None:
    assert rules_stays.opened(EMERGENCY, AT) == Times(AT + DAY, AT + 16 * DAY)


def test_an_order_never_reads_and_deposits_until_15_days_after_validation() -> None:
    ordered = rules_stays.opened(ORDER, AT)
    assert ordered.read_until == AT
    later = AT + 40 * DAY
    assert rules_stays.validated(ORDER, ordered, later).deposit_until == later + 15 * DAY


def test_an_order_that_is_never_validated_ends_all_the_same() -> None:
    ordered = rules_stays.opened(ORDER, AT)
    assert ordered.deposit_until == AT + 365 * DAY
    assert rules_stays.validated(ORDER, ordered, AT + 360 * DAY).deposit_until == AT + 365 * DAY


def test_a_discharge_ends_reading_and_leaves_15_days_of_depositing() -> None:
    left = AT + 5 * DAY
    assert rules_stays.discharged(ADMISSION, ADMITTED, False, left) == Times(left, left + 15 * DAY)


def test_a_discharge_after_the_45_days_gives_nothing_back() -> None:
    assert rules_stays.discharged(ADMISSION, ADMITTED, False, AT + 50 * DAY) == ADMITTED


def test_a_stay_is_prolonged_by_30_days_in_all_however_often_it_is_asked_for() -> None:
    once = rules_stays.prolonged(ADMISSION, ADMITTED, 30)
    assert once == Times(AT + 75 * DAY, AT + 90 * DAY, 30)
    in_parts = rules_stays.prolonged(ADMISSION, rules_stays.prolonged(ADMISSION, ADMITTED, 10), 30)
    assert in_parts == once == rules_stays.prolonged(ADMISSION, once, 30) == rules_stays.prolonged(ADMISSION, once, 10)


@pytest.mark.parametrize("days", [1, 30])
def test_so_many_days_are_asked_for(days: int) -> None:
    assert rules_stays.require_days(days, ADMISSION) == days


@pytest.mark.parametrize("days", [0, 31, -1, True, 1.5, "10", None])
def test_so_many_are_not(days: object) -> None:
    with pytest.raises(InvalidInput):
        rules_stays.require_days(days, ADMISSION)


@pytest.mark.parametrize(
    ("kind", "closed", "at", "grows"),
    [
        (ADMISSION, False, AT + 50 * DAY, True),
        (ADMISSION, True, AT + 50 * DAY, False),
        (ADMISSION, False, AT + 60 * DAY, False),
        (EMERGENCY, False, AT, False),
        (ORDER, False, AT, False),
    ],
)
def test_only_an_admission_that_goes_on_grows(kind: Any, closed: bool, at: datetime, grows: bool) -> None:
    assert rules_stays.may_grow(kind, ADMITTED, closed, at) is grows


def test_a_result_that_was_consented_to_may_come_later_but_reading_does_not_last_longer() -> None:
    awaiting = rules_stays.with_consent(ADMISSION, ADMITTED)
    assert awaiting == Times(AT + 45 * DAY, AT + 150 * DAY)
    left = rules_stays.discharged(ADMISSION, awaiting, True, AT + 5 * DAY)
    assert left == Times(AT + 5 * DAY, AT + 110 * DAY)
    assert rules_stays.validated(ADMISSION, left, AT + 30 * DAY) == Times(AT + 5 * DAY, AT + 45 * DAY)


def test_a_result_that_was_validated_during_the_stay_is_waited_for_no_more_after_the_discharge() -> None:
    awaiting = rules_stays.with_consent(ADMISSION, ADMITTED)
    settled = rules_stays.validated(ADMISSION, awaiting, AT + 3 * DAY)
    left = AT + 5 * DAY
    assert rules_stays.discharged(ADMISSION, settled, True, left) == Times(left, left + 15 * DAY)
    late = rules_stays.validated(ADMISSION, awaiting, AT + 50 * DAY)  # after the 45 days: its own 15 days hold
    assert rules_stays.discharged(ADMISSION, late, True, AT + 52 * DAY) == Times(AT + 45 * DAY, AT + 65 * DAY)


@given(
    st.lists(
        st.tuples(st.sampled_from(["prolong", "consent", "discharge", "validate"]), st.integers(1, 30)), max_size=12
    )
)
def test_nothing_noted_of_an_admission_gives_more_than_the_table(notes: list[tuple[str, int]]) -> None:
    stay, at, consented = ADMITTED, AT, False
    for what, days in notes:
        at += days * DAY / 3
        before = stay
        if what == "prolong":
            stay = rules_stays.prolonged(ADMISSION, stay, days)
        elif what == "consent":
            stay, consented = rules_stays.with_consent(ADMISSION, stay), True
        elif what == "discharge":
            stay = rules_stays.discharged(ADMISSION, stay, consented, at)
        else:
            stay = rules_stays.validated(ADMISSION, stay, at)
        if what in ("discharge", "validate"):
            assert stay.read_until <= before.read_until and stay.deposit_until <= before.deposit_until
        assert stay.read_until <= stay.deposit_until
        assert stay.read_until <= AT + (45 + 30) * DAY
        assert stay.deposit_until <= stay.read_until + (15 + 90) * DAY
        assert stay.deposit_until <= AT + (45 + 30 + 15 + 90) * DAY


# --- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacity", "establishment_id", "speaks"),
    [("professional", "e", True), ("professional", None, False), ("patient", None, False), ("agent", None, False),
     ("machine", "e", False)],
)  # fmt: skip
def test_who_speaks_for_an_establishment(capacity: str, establishment_id: str | None, speaks: bool) -> None:
    assert rules_stays.speaks_for_establishment(capacity, establishment_id) is speaks


@pytest.mark.parametrize("kind", ["admission", "hospital_emergency"])
@pytest.mark.parametrize(
    ("by_software", "emergency_service", "may"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_a_stay_is_registered_by_attested_software_or_where_there_is_an_emergency_service(
    kind: str, by_software: bool, emergency_service: bool, may: bool
) -> None:
    assert rules_stays.may_register(kind, by_software=by_software, emergency_service=emergency_service) is may


def test_an_order_is_registered_anywhere_for_it_shows_nothing() -> None:
    assert rules_stays.may_register("order", by_software=False, emergency_service=False)


@pytest.mark.parametrize(
    ("changes", "opens"),
    [
        ({}, True),
        ({"state": "open_by_lapse"}, True),
        ({"blocked": True}, True),
        ({"state": None}, False),
        ({"state": "closed"}, False),
        ({"state": "open"}, False),
        ({"licence": "suspended"}, False),
        ({"claimed_profession": "nurse"}, False),
    ],
)
def test_what_a_registration_opens(changes: dict[str, Any], opens: bool) -> None:
    facts = Facts(**{
        "record_id": "r", "patient_id": "h", "state": "active", "capacity": "professional", "professional_id": "p",
        "profession": "physician", "claimed_profession": "physician", "licence": "valid", **changes,
    })  # fmt: skip
    assert rules_stays.opens_to_establishment(TABLES, facts) is opens


# --- what was asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["2026/048213", "LAB-1.2_3", "a", "x" * 64])
def test_a_reference_is_a_number_of_the_establishment_s(reference: str) -> None:
    assert rules_stays.require_reference(reference) == reference


@pytest.mark.parametrize("reference", ["", "Jane Doe", "x" * 65, "a\n", "é", None, 7])
def test_a_reference_is_nothing_else(reference: object) -> None:
    with pytest.raises(InvalidInput):
        rules_stays.require_reference(reference)


@pytest.mark.parametrize("kind", ["order", "presence", "", None, ["admission"]])
def test_no_other_kind_is_a_stay(kind: object) -> None:
    with pytest.raises(InvalidInput):
        rules_stays.require_stay_kind(kind)


@pytest.mark.parametrize(("consented", "version"), [(False, None), ("yes", None), (True, "mine"), (True, ["x"])])
def test_consent_is_given_in_a_wording_we_know(consented: object, version: object) -> None:
    with pytest.raises(InvalidInput):
        rules_stays.require_consent(consented, version or next(iter(RESULT_CONSENT_WORDINGS)))
