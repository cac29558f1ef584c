"""The rules of documents: what one scope lets through, what a depositor may say, what a cursor is."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.documents import contract, rules
from services.documents.document_types import document_types
from services.documents.rules import Facts, Grant, Position
from services.dossier.contract import CATEGORIES, NOBODY, AccessScope, Clause

TODAY = date(2026, 11, 21)
A = "0190a8b0-0000-7000-8000-00000000000a"
B = "0190a8b0-0000-7000-8000-00000000000b"
RECORD = "0190a8b0-0000-7000-8000-0000000000ff"


def clause(
    ground: str, read: str = "", deposit: str = "", levels: str = "standard", folders: str | None = None
) -> Clause:
    return Clause(
        ground, f"{ground}/rule", tuple(read.split()), tuple(deposit.split()),
        None if folders is None else tuple(folders.split()), tuple(levels.split()),
    )  # fmt: skip


def scope(
    *clauses: Clause, author_id: str | None = A, holder_side: bool = False, may_see_blocked: bool = True
) -> AccessScope:
    return AccessScope(RECORD, None, None, holder_side, may_see_blocked, author_id, clauses)


def holder() -> AccessScope:
    everything = clause("holder", " ".join(CATEGORIES), "personal_expression", levels="standard confidential private")
    return scope(everything, author_id=None, holder_side=True, may_see_blocked=False)


PRESENCE = clause("presence", "care_reports laboratory", "care_reports")
CIRCLE = clause("circle", "care_reports", "care_reports", levels="standard confidential")
REPORT = document_types()["medical_report"]


def facts(category: str = "care_reports", level: str = "standard", author_id: str | None = B, **more: object) -> Facts:
    return Facts(category, str(more.get("folder", "medical_data")), level, author_id, bool(more.get("blocked", False)))


# --- the list of types ------------------------------------------------------------------------------------------------


def test_all_37_types_stand_in_one_of_the_matrix_categories_and_in_a_folder() -> None:
    types = document_types()
    assert len(types) == 37
    assert {kind.category for kind in types.values()} <= set(CATEGORIES)
    assert {kind.folder for kind in types.values()} == {
        "personal_data", "summaries", "certificates", "dispensations", "medical_data", "social_data", "imaging",
        "laboratory", "prevention", "care_follow_up", "prescription", "vaccination",
    }  # fmt: skip


def test_the_holder_expresses_themselves_in_three_types() -> None:
    own = {kind.slug for kind in document_types().values() if kind.category == "personal_expression"}
    assert own == {"holder_expression", "advance_directives", "organ_donation_statement"}


def test_access_traces_are_no_document() -> None:
    assert not [kind for kind in document_types().values() if kind.category == "access_traces"]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_first_clause_that_lets_a_document_through_is_the_one_named() -> None:
    both = scope(CIRCLE, PRESENCE)
    assert rules.may_read(both, facts()) == Grant("circle", "circle/rule")
    assert rules.may_read(both, facts("laboratory")) == Grant("presence", "presence/rule")


def test_categories_of_one_ground_never_join_the_levels_of_another() -> None:
    assert rules.may_read(scope(CIRCLE, PRESENCE), facts("laboratory", "confidential")) is None
    assert rules.may_read(scope(CIRCLE, PRESENCE), facts("care_reports", "confidential")) is not None


@pytest.mark.parametrize(
    ("level", "by_presence", "by_circle", "by_holder"),
    [("standard", True, True, True), ("confidential", False, True, True), ("private", False, False, True)],
)
def test_a_level_shuts_out_the_grounds_below_it(
    level: str, by_presence: bool, by_circle: bool, by_holder: bool
) -> None:
    assert (rules.may_read(scope(PRESENCE), facts(level=level)) is not None) == by_presence
    assert (rules.may_read(scope(CIRCLE), facts(level=level)) is not None) == by_circle
    assert (rules.may_read(holder(), facts(level=level)) is not None) == by_holder


@pytest.mark.parametrize("level", contract.LEVELS)
def test_an_author_reads_their_own_document_at_every_level(level: str) -> None:
    assert rules.may_read(scope(), facts(level=level, author_id=A)) == rules.AUTHOR


@pytest.mark.parametrize("level", contract.LEVELS)
def test_another_professional_is_no_author(level: str) -> None:
    assert rules.may_read(scope(), facts(level=level, author_id=B)) is None


def test_nobody_is_the_author_of_a_document_of_the_holder() -> None:
    assert rules.may_read(scope(author_id=None), facts(author_id=None)) is None
    assert rules.may_read(scope(author_id=NOBODY), facts(author_id=A)) is None


def test_a_patient_block_hides_a_document_from_the_holder() -> None:
    assert rules.may_read(holder(), facts(blocked=True)) is None
    assert rules.may_read(holder(), facts()) is not None


def test_a_patient_block_hides_nothing_from_care_and_from_the_author() -> None:
    assert rules.may_read(scope(PRESENCE), facts(blocked=True)) is not None
    assert rules.may_read(scope(may_see_blocked=False), facts(author_id=A, blocked=True)) == rules.AUTHOR


def test_a_clause_for_some_folders_lets_nothing_else_through() -> None:
    narrow = scope(clause("responsibility", "prescriptions", folders="prescription"))
    assert rules.may_read(narrow, facts("prescriptions", folder="prescription")) is not None
    assert rules.may_read(narrow, facts("prescriptions", folder="medical_data")) is None


# --- openings ---------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes", "from_start", "joins"),
    [(0, False, True), (14.9, False, True), (15, False, False), (0, True, False), (14.9, True, False)],
)
def test_a_later_range_joins_an_opening_read_within_fifteen_minutes(
    minutes: float, from_start: bool, joins: bool
) -> None:
    assert rules.reads_on(NOON - timedelta(minutes=minutes), from_start, NOON) == joins


def test_without_an_opening_there_is_nothing_to_join() -> None:
    assert not rules.reads_on(None, False, NOON)


# --- depositing -------------------------------------------------------------------------------------------------------


def test_a_clause_with_the_category_lets_deposit() -> None:
    assert rules.may_deposit(scope(PRESENCE), REPORT) == Grant("presence", "presence/rule")


def test_reading_a_category_is_no_right_to_deposit_in_it() -> None:
    assert rules.may_deposit(scope(PRESENCE), document_types()["laboratory_results"]) is None


def test_a_deposit_only_ground_deposits_and_reads_nothing() -> None:
    late = scope(clause("presence", deposit="care_reports"))
    assert rules.may_deposit(late, REPORT) is not None
    assert rules.may_read(late, facts()) is None


def test_the_holder_deposits_an_expression() -> None:
    assert rules.may_deposit(holder(), document_types()["holder_expression"]) is not None


def test_the_holder_deposits_no_medical_report() -> None:
    assert rules.may_deposit(holder(), REPORT) is None


@pytest.mark.parametrize("media_type", [contract.PDF, contract.PNG, contract.JPEG, contract.TEXT, contract.CDA])
def test_every_type_takes_the_ordinary_kinds_of_bytes(media_type: str) -> None:
    for kind in document_types().values():
        assert rules.refused_content(kind, media_type, 1, 10) is None


def test_dicom_is_taken_where_there_are_images_and_reports() -> None:
    types = document_types()
    assert rules.refused_content(types["imaging"], contract.DICOM, 1, 10) is None
    assert rules.refused_content(types["key_images"], contract.DICOM, 1, 10) is None
    assert rules.refused_content(types["diagnostic_report"], contract.DICOM, 1, 10) is None


def test_dicom_is_refused_as_a_certificate() -> None:
    refusal = rules.refused_content(document_types()["medical_certificate"], contract.DICOM, 1, 10)
    assert isinstance(refusal, contract.MediaTypeNotAllowed)
    assert contract.DICOM not in refusal.detail["allowed"]


@pytest.mark.parametrize("media_type", ["text/html", "application/zip", "image/svg+xml", "application/x-dosexec", ""])
def test_other_kinds_of_bytes_are_refused(media_type: str) -> None:
    assert isinstance(rules.refused_content(REPORT, media_type, 1, 10), contract.MediaTypeNotAllowed)


def test_a_file_has_at_least_one_byte_and_at_most_the_limit() -> None:
    assert isinstance(rules.refused_content(REPORT, contract.PDF, 0, 10), contract.UploadEmpty)
    assert rules.refused_content(REPORT, contract.PDF, 10, 10) is None
    assert isinstance(rules.refused_content(REPORT, contract.PDF, 11, 10), contract.UploadTooLarge)


# --- levels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", contract.LEVELS)
def test_the_holder_changes_every_level(level: str) -> None:
    assert rules.may_change_level(holder(), facts(level=level)) is not None


def test_a_professional_who_may_deposit_the_category_changes_the_level() -> None:
    assert rules.may_change_level(scope(PRESENCE), facts()) is not None


def test_a_professional_who_only_reads_the_category_does_not() -> None:
    assert rules.may_change_level(scope(PRESENCE), facts("laboratory")) is None


def test_a_professional_changes_no_level_that_the_depositing_ground_does_not_reach() -> None:
    reads_only = clause("circle", "care_reports", levels="standard confidential")
    assert rules.may_change_level(scope(reads_only, PRESENCE), facts(level="confidential")) is None
    assert rules.may_change_level(scope(reads_only, PRESENCE), facts(level="standard")) is not None


def test_an_author_without_another_ground_only_reads() -> None:
    assert rules.may_read(scope(), facts(author_id=A)) is not None
    assert rules.may_change_level(scope(), facts(author_id=A)) is None


def test_a_deposit_only_ground_changes_no_level() -> None:
    late = scope(clause("presence", deposit="care_reports"))
    assert rules.may_change_level(late, facts(author_id=A)) is None


# --- what a depositor says --------------------------------------------------------------------------------------------


def said(**changes: object) -> dict[str, object]:
    return {"type": "medical_report", "title": "Compte rendu", "act_date": "2026-11-20", "language": "fr"} | changes


def pointers(**changes: object) -> list[str]:
    metadata, errors = rules.read_metadata(document_types(), today=TODAY, **said(**changes))
    assert (metadata is None) == bool(errors)
    return [error["pointer"] for error in errors]


def test_right_words_are_taken_with_the_title_cleaned() -> None:
    metadata, errors = rules.read_metadata(
        document_types(), type="medical_report", title="  Compte\trendu \n d'e\u0301cho ", act_date="2026-11-20",
        language=None, today=TODAY,
    )  # fmt: skip
    assert not errors and metadata is not None
    assert (metadata.title, metadata.act_date, metadata.language) == ("Compte rendu d'écho", date(2026, 11, 20), None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "report"), ("type", None), ("type", ["medical_report"]), ("type", ""),
        ("title", ""), ("title", "   "), ("title", "x" * 201), ("title", None), ("title", 7), ("title", "a\x00b"),
        ("title", "a\u202egnp.exe"), ("title", "\u200b"), ("title", "\u200d\ufe0f"), ("title", "a\ud800"),
        ("act_date", "2026-11-23"), ("act_date", "1899-12-31"), ("act_date", "21/11/2026"), ("act_date", "20261121"),
        ("act_date", 20261121), ("act_date", ""), ("act_date", "2026-02-30"),
        ("language", "fra"), ("language", "FR"), ("language", ""), ("language", 1), ("language", "f\n"),
    ],
)  # fmt: skip
def test_wrong_words_are_pointed_at(field: str, value: object) -> None:
    assert pointers(**{field: value}) == [f"/{field}"]


def test_every_wrong_word_is_pointed_at_in_one_answer() -> None:
    assert pointers(type="x", title="", act_date="x", language="x") == ["/type", "/title", "/act_date", "/language"]


@pytest.mark.parametrize("act_date", [None, "1900-01-01", "2026-11-21", "2026-11-22"])
def test_an_act_may_have_no_date_or_one_of_the_depositors_today(act_date: str | None) -> None:
    assert pointers(act_date=act_date) == []


@given(st.text())
def test_whatever_the_title_it_is_taken_clean_or_refused(title: str) -> None:
    metadata, _ = rules.read_metadata(
        document_types(), type="medical_report", title=title, act_date=None, language=None, today=TODAY
    )
    if metadata is not None:
        assert 1 <= len(metadata.title) <= rules.TITLE_LENGTH
        assert metadata.title == metadata.title.strip()
        metadata.title.encode()  # can be stored
        assert "\x00" not in metadata.title


# --- digests, cursors, ids, names -------------------------------------------------------------------------------------


def test_a_digest_is_64_lower_case_hexadecimal_digits() -> None:
    assert rules.is_digest("0" * 63 + "f")
    for wrong in ("0" * 63, "0" * 65, "0" * 63 + "F", "0" * 63 + "g", "0" * 64 + "\n", None, 0, b"0" * 64):
        assert not rules.is_digest(wrong)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_gives_its_position_back(moment: datetime, identity: object) -> None:
    position = Position(moment, str(identity))
    assert rules.from_cursor(rules.to_cursor(position)) == position


def test_a_cursor_is_fit_for_an_address() -> None:
    cursor = rules.to_cursor(Position(datetime(2026, 11, 21, 12, 0, 0, 1, UTC), A))
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "é", None, 5, "=" * 8, "bnVsbA", "W10", "WzEsMl0", "A" * 201,
        "WyIyMDI2LTExLTIxVDAwOjAwOjAwIiwiMDE5MGE4YjAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDBhIl0",  # a time without zone
        "WyIyMDI2LTExLTIxVDAwOjAwOjAwKzAwOjAwIiwieCJd",  # not an id
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_told_apart(cursor: object) -> None:
    assert rules.from_cursor(cursor) is None


@pytest.mark.parametrize(
    "moment",
    ["2026-01-01T00:00:00+23:59:59", "2026-01-01T00:00:00+00:00:00.000001", "2026-11-21T01:00:00+01:00",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)  # fmt: skip
def test_a_moment_that_we_never_wrote_is_no_cursor(moment: str) -> None:
    text = json.dumps([moment, A], separators=(",", ":"))
    assert rules.from_cursor(base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")) is None


@given(st.text(max_size=120))
def test_no_text_upsets_the_reading_of_cursors(text: str) -> None:
    rules.from_cursor(text)


def test_a_page_holds_1_to_100_documents() -> None:
    assert rules.is_page_limit(1) and rules.is_page_limit(100)
    for wrong in (0, 101, -1, True, 1.0, "1", None):
        assert not rules.is_page_limit(wrong)


def test_an_id_has_one_spelling() -> None:
    assert rules.canonical_id(A.upper()) == A
    for wrong in ("", "x", A + " ", A[:-1], "{" + A[1:-1] + "}", A.replace("-", ""), None, 5, "\x00" * 36):
        assert rules.canonical_id(wrong) is None


def test_a_file_name_tells_type_and_day_only() -> None:
    assert rules.filename("medical_report", TODAY, contract.PDF) == "medical_report-2026-11-21.pdf"
    assert rules.filename("imaging", TODAY, contract.DICOM) == "imaging-2026-11-21.dcm"
