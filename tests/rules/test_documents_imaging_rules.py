"""What may be asked about images, what a token stands for, and what is never told of a patient."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.documents import rules_imaging as rules
from services.documents.contract import without_patient

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "SECRET-4711"


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.2", "0.1", "1" * 64])
def test_an_identifier_of_dicom_is_one(text: str) -> None:
    assert rules.is_uid(text)


@pytest.mark.parametrize("text", ["", "1.", ".1", "1..2", "1.2x", "1" * 65, "1.2\n", None, 1])
def test_anything_else_is_none(text: object) -> None:
    assert not rules.is_uid(text)


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("20260102", ("20260102", "20260102")), ("20260102-20260203", ("20260102", "20260203")),
        ("20260102-", ("20260102", "")), ("-20260203", ("", "20260203")),
    ],
)  # fmt: skip
def test_dates_are_matched_as_dicom_writes_them(text: str, dates: tuple[str, str]) -> None:
    assert rules.read_dates(text) == dates


@pytest.mark.parametrize("text", ["", "-", "2026", "20261301", "20260102 20260203", "2026010220260203", "x"])
def test_what_is_no_matching_of_dates_is_refused(text: str) -> None:
    assert rules.read_dates(text) is None


@given(st.lists(st.integers(-5, 2**40), max_size=80))
def test_numbers_of_frames_are_counted_from_one_and_are_not_too_many(numbers: list[int]) -> None:
    right = 1 <= len(numbers) <= 64 and all(1 <= number < 2**31 for number in numbers)
    assert rules.are_frames(numbers) is right
    assert not rules.are_frames([True]) and not rules.are_frames("1")


def test_a_token_opens_its_own_study_of_its_own_record_alone() -> None:
    assert rules.within(None, "record", "study") and rules.within(["record", "study"], "record", "study")
    for asked in (("record", "other"), ("other", "study"), (None, "study"), ("record", None)):
        assert not rules.within(["record", "study"], *asked)


@given(st.integers(1, 100_000))
def test_a_token_never_outlives_15_minutes_nor_the_access_it_was_asked_with(seconds: int) -> None:
    ends = NOW + timedelta(seconds=seconds)
    assert rules.token_until(NOW, ends) == NOW + timedelta(seconds=min(seconds, 900))


def test_what_is_kept_of_a_token_does_not_tell_its_key() -> None:
    token = "dst_" + "a" * 43
    assert rules.is_study_token(token) and not rules.is_study_token("dst_") and not rules.is_study_token(None)
    assert rules.token_digest(token) != rules.token_key(token) != rules.token_key(token[:-1] + "b")


def test_manifests_reports_and_images_are_told_apart() -> None:
    assert rules.kind_of("1.2.840.10008.5.1.4.1.1.88.59") == "manifest"
    assert rules.kind_of("1.2.840.10008.5.1.4.1.1.88.11") == rules.kind_of(None) == "report"
    assert rules.kind_of("1.2.840.10008.5.1.4.1.1.2") == "image"


# --- who the patient is -----------------------------------------------------------------------------------------------

MENTIONS: tuple[dict[str, Any], ...] = (
    {"00100010": {"vr": "PN", "Value": [{"Alphabetic": SECRET}]}}, {"00100020": {"vr": "LO", "Value": [SECRET]}},
    {"00100030": {"vr": "DA", "Value": [SECRET]}}, {"00101040": {"vr": "LO", "Value": [SECRET]}},
    {"0040A123": {"vr": "PN", "Value": [{"Alphabetic": SECRET}]}}, {"00111001": {"vr": "LO", "Value": [SECRET]}},
    {"00380010": {"vr": "LO", "Value": [SECRET]}}, {"00204000": {"vr": "LT", "Value": [SECRET]}},
    {"04000561": {"vr": "SQ", "Value": [{"00080050": {"vr": "SH", "Value": [SECRET]}}]}},
    {"00420011": {"vr": "OB", "InlineBinary": SECRET}}, {"7FE00010": {"vr": "OW", "BulkDataURI": SECRET}},
)  # fmt: skip


@given(st.sampled_from(MENTIONS), st.integers(0, 6))
def test_who_the_patient_is_is_left_out_however_deep_it_stands(mention: dict[str, Any], deep: int) -> None:
    model: dict[str, Any] = {**mention, "00080060": {"vr": "CS", "Value": ["CT"]}}
    for _ in range(deep):
        model = {"00400275": {"vr": "SQ", "Value": [model]}, "00080060": {"vr": "CS", "Value": ["CT"]}}
    told = json.dumps(without_patient(model))
    assert SECRET in json.dumps(model) and SECRET not in told and told.count('"CT"') == deep + 1


def test_what_a_viewer_needs_of_the_patient_stays() -> None:
    model = {"00100040": {"vr": "CS", "Value": ["F"]}, "00101030": {"vr": "DS", "Value": [60.0]}}
    assert without_patient(model) == model
