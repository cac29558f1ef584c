"""What the tables give a profession, as rows for a query; and cursors that name one place or none."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier.rules_patients_lists import from_cursor, giving, is_page_limit, to_cursor
from services.dossier.tables import tables_at

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
TABLES = tables_at(AT)
ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"


def ways(profession: str | None) -> set[tuple[str, bool, str | None]]:
    return {(row.ground, row.reading, row.value) for row in giving(TABLES, profession).rows}


def test_a_physician_is_let_in_by_every_ground_of_a_professional() -> None:
    assert {ground for ground, _, _ in ways("physician")} == {
        "referring_physician", "circle", "presence", "admission", "hospital_emergency", "order", "responsibility",
        "emergency",
    }  # fmt: skip


def test_what_only_lets_deposit_afterwards_lets_in_afterwards_and_nothing_else_does() -> None:
    afterwards = {ground for ground, reading, _ in ways("physician") if not reading}
    assert afterwards == {"presence", "admission", "hospital_emergency", "order"}


def test_who_deposits_nothing_is_not_let_in_where_a_ground_only_lets_deposit() -> None:
    technician = ways("laboratory_technician")
    assert ("presence", True, None) in technician and ("presence", False, None) not in technician
    assert not [way for way in technician if way[0] == "order"]
    assert ("order", False, None) in ways("medical_biologist")


def test_nobody_but_a_physician_is_a_referring_one_and_an_unknown_profession_is_let_in_by_nothing() -> None:
    assert not [way for way in ways("nurse") if way[0] == "referring_physician"]
    for unknown in (None, "referring_physician", "clown"):
        assert ways(unknown) == set()


def test_a_setting_that_refuses_a_ground_is_not_among_its_values() -> None:
    values = {row.value for row in giving(TABLES, "physician").rows if row.setting == "emergency"}
    assert values == {"normal", "with_confidential"}
    assert set(giving(TABLES, "physician").states) == {"open_by_lapse", "active"}


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_names_the_place_it_was_made_of(at: datetime, record_id: object) -> None:
    assert from_cursor(to_cursor(at, str(record_id))) == (at, str(record_id))


@pytest.mark.parametrize(
    "text",
    [
        '["2026-11-21T09:00:00+00:00", "x"]',
        f'["2026-11-21T09:00:00", "{ID}"]',
        "[]",
        "7",
        '{"a": 1}',
        "[null, null]",
        f'["x", "{ID}"]',
    ],
)
def test_a_forged_cursor_names_none(text: str) -> None:
    assert from_cursor(base64.urlsafe_b64encode(text.encode()).decode()) is None


@given(st.text() | st.none() | st.integers() | st.binary())
def test_any_other_thing_names_none(cursor: object) -> None:
    assert from_cursor(cursor) is None


@pytest.mark.parametrize(("limit", "fine"), [(1, True), (100, True), (0, False), (101, False), (True, False)])
def test_a_page_has_1_to_100_lines(limit: object, fine: bool) -> None:
    assert is_page_limit(limit) is fine
