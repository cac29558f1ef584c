"""Who reads, who writes, who hears: the decisions of secure messages, and what their input may be."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications import contract_threads as contract
from services.notifications import rules_threads as rules
from services.notifications.rules_threads import PATIENT, PROFESSIONAL, Part, Person, Side
from services.refusals import InvalidInput

PEOPLE = st.sets(st.sampled_from("abcdef"))
DOCTOR, HOLDER = Person(PROFESSIONAL, "a"), Person(PATIENT, "h")
ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
IN, OUT = Part(added=True, left=False), Part(added=False, left=False)


def side(**changes: Any) -> Side:
    given = {
        "record_id": "r", "open": True, "holder": "h", "representatives": ("p",), "autonomous_minor": False,
        "role": "holder", "speaks_id": "h", "professionals": {"a": "circle", "b": "circle"},
    }  # fmt: skip
    return Side(**(given | changes))  # type: ignore[arg-type]


# --- who --------------------------------------------------------------------------------------------------------------


def test_patients_and_professionals_take_part_and_nobody_else() -> None:
    assert rules.person_of("patient", "p", None) == Person(PATIENT, "p")
    assert rules.person_of("professional", None, "d") == Person(PROFESSIONAL, "d")
    for capacity in ("agent", "machine", "patient", "professional", ""):
        assert rules.person_of(capacity, None, None) is None
    assert rules.person_of("agent", "p", "d") is None and rules.person_of("machine", "p", "d") is None
    assert rules.person_of("patient", None, "d") is None, "a capacity never mixes with another"


@pytest.mark.parametrize(("role", "holder_only", "may"), [
    ("holder", False, True), ("holder", True, True), ("representative", False, True), ("representative", True, False),
    (None, False, False), (None, True, False),
])  # fmt: skip
def test_of_the_holder_side_reads_who_stands_on_it_now(role: str | None, holder_only: bool, may: bool) -> None:
    for part in (IN, OUT, Part(True, True)):
        assert rules.may_read(HOLDER, part, role, holder_only) is may


def test_a_professional_reads_what_they_ever_took_part_in_whoever_stands_where() -> None:
    for role, holder_only in product((None, "holder"), (True, False)):
        assert rules.may_read(DOCTOR, IN, role, holder_only) and rules.may_read(DOCTOR, Part(True, True), role, True)
        assert not rules.may_read(DOCTOR, OUT, role, holder_only)


def test_writing_needs_a_right_and_somebody_who_hears_it() -> None:
    ok = rules.refused_writing
    assert ok(DOCTOR, IN, side(), {"a"}, []) is None, "the holder hears it"
    assert ok(HOLDER, IN, side(), set(), ["a"]) is None
    assert ok(DOCTOR, IN, None, {"a", "b"}, ["b"]) is None
    refused = [
        ok(DOCTOR, IN, side(), set(), ["b"]), ok(DOCTOR, Part(True, True), side(), {"a"}, ["b"]),
        ok(DOCTOR, IN, side(open=False), {"a"}, ["b"]), ok(DOCTOR, IN, side(holder=None), {"a"}, ["b"]),
        ok(HOLDER, IN, side(), set(), []), ok(HOLDER, IN, side(role=None), set(), ["a"]),
        ok(HOLDER, IN, side(open=False), set(), ["a"]), ok(DOCTOR, IN, None, {"a"}, []),
        ok(DOCTOR, IN, None, {"b"}, ["b"]), ok(HOLDER, IN, None, {"a"}, ["a"]),
    ]  # fmt: skip
    assert [one and one.to_wire() for one in refused] == [contract.WritingEnded().to_wire()] * len(refused)


@given(PEOPLE, PEOPLE, PEOPLE)
def test_who_hears_takes_part_and_is_let_unless_they_came_since(
    taking_part: set[str], looked_at: set[str], allowed: set[str]
) -> None:
    heard = set(rules.hearers(taking_part, looked_at, allowed))
    assert heard <= taking_part
    assert not heard & (looked_at - allowed)
    assert taking_part & allowed <= heard and taking_part - looked_at <= heard


@given(st.sampled_from([None, "h", "p", "x"]), st.lists(st.sampled_from("ph"), max_size=3), st.booleans(),
       st.sampled_from([HOLDER, Person(PATIENT, "p"), Person(PATIENT, "old"), DOCTOR]))  # fmt: skip
def test_the_writer_is_never_told_nobody_twice_and_no_parent_of_what_is_not_theirs(
    holder: str | None, parents: list[str], holder_only: bool, author: Person
) -> None:
    speaks = "h" if author.person_id == "old" else author.person_id
    told = rules.told_of_side(
        side(holder=holder, representatives=tuple(parents), speaks_id=speaks), author, holder_only
    )
    people = [person for person, _ in told]
    assert len(people) == len(set(people))
    if author.kind == PATIENT:
        assert not {author.person_id, speaks} & set(people)
    if holder_only:
        assert {role for _, role in told} <= {"holder"}
    if author.kind == PROFESSIONAL and not holder_only:
        assert set(people) == {*parents, *([holder] if holder else [])}


def test_a_thread_is_the_holders_own_only_of_a_minor_who_decides_and_never_a_representatives() -> None:
    for minor, role in product((True, False), ("holder", "representative", None)):
        own = rules.is_holders_own(side(autonomous_minor=minor), role)
        assert own is (minor and role != "representative")


# --- files ------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=130), st.sampled_from(sorted(contract.ATTACHMENT_KINDS)))
def test_the_name_of_a_file_is_never_a_path_and_always_says_what_it_is(name: str, media_type: str) -> None:
    made = rules.file_name(name, media_type)
    assert made and not set(made) & set('/\\:*?"<>|\r\n\t') and not made.startswith(".")
    assert made.rpartition(".")[2].lower() in {contract.ATTACHMENT_KINDS[media_type], "jpeg"}
    assert rules.file_name(made, media_type) == made


@pytest.mark.parametrize(("name", "media_type", "made"), [
    ("Lettre.pdf", "application/pdf", "Lettre.pdf"), ("Photo.JPEG", "image/jpeg", "Photo.JPEG"),
    ("facture.pdf.exe", "application/pdf", "facture.pdf.exe.pdf"),
    ("../../etc/passwd", "text/plain", "_.._etc_passwd.txt"),
    ("..", "text/plain", "file.txt"), (".pdf", "application/pdf", "pdf.pdf"), ("x.png", "text/plain", "x.png.txt"),
])  # fmt: skip
def test_a_name_gets_the_ending_of_what_the_bytes_are(name: str, media_type: str, made: str) -> None:
    assert rules.file_name(name, media_type) == made


def test_what_is_said_of_a_file() -> None:
    assert rules.state_of(False, False) == "checking" and rules.state_of(True, False) == "available"
    assert rules.state_of(True, True) == "rejected"
    fit = [{"rejected": False}, {"rejected": False}]
    assert rules.refused_sending(fit, ["a", "b"]) is None and rules.refused_sending([], []) is None
    assert type(rules.refused_sending(fit[:1], ["a", "b"])) is contract.AttachmentNotFound
    assert type(rules.refused_sending([{"rejected": True}], ["a"])) is contract.AttachmentRejected


# --- input ------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_a_text_is_taken_as_it_is_or_not_at_all(text: str) -> None:
    taken = rules.text_of(text, 200, lines=True)
    if taken is not None:
        assert 0 < len(taken) <= 200 and taken == taken.strip() and rules.text_of(taken, 200, lines=True) == taken
        assert not any(char in taken for char in "\x00\x1b\u202e\u2066\ufeff")
        taken.encode()


@pytest.mark.parametrize("bad", [
    None, 1, [], "", "  \n ", "a\x00b", "\ud800", "\u202egnp.exe", "x" * 201, b"x", True,
])  # fmt: skip
def test_what_is_no_text_is_refused(bad: Any) -> None:
    assert rules.text_of(bad, 200, lines=True) is None
    with pytest.raises(InvalidInput):
        rules.require_name(bad)


def test_a_subject_is_one_line_and_a_text_may_have_many() -> None:
    assert rules.text_of("a\r\nb", 10, lines=True) == "a\nb" and rules.text_of("a\nb", 10, lines=False) is None


def test_a_thread_names_somebody_or_a_record_each_once() -> None:
    said = rules.require_thread(" Sujet ", None, [ID.upper(), ID], None)
    assert said == ("Sujet", None, [ID], None)
    assert rules.require_thread("S", "T", [], ID.upper()) == ("S", "T", [], ID)
    wrong: list[tuple[Any, ...]] = [
        ("", None, [ID], None), ("S", "", [ID], None), ("S", None, None, ID), ("S", None, ["x"], None),
        ("S", None, [ID], "x"), ("S", None, [], None), ("S", None, ID, None),
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(InvalidInput):
            rules.require_thread(*each)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(1, 10**8))
def test_a_place_in_a_list_is_read_as_it_was_written(at: datetime, number: int) -> None:
    moment = at.replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert rules.place_of(f"{moment}_{ID}") == (moment, ID) and rules.place_of(f"n{number}") == number


@pytest.mark.parametrize("cursor", [
    "", "n", "n-1", "n1.5", "x", 1, None, f"2026-13-41T99:00:00.000000Z_{ID}",
    f"2026-11-21T00:00:00.000000Z_{'a' * 36}",
    f"2026-11-21T00:00:00.000000Z_{ID}'", "n٣",
])  # fmt: skip
def test_what_is_no_place_is_none(cursor: Any) -> None:
    assert rules.place_of(cursor) is None


def test_ten_years_before_a_leap_day_are_a_day_that_was() -> None:
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert rules.years_before(leap, 10) == datetime(2018, 2, 28, 12, tzinfo=UTC)
    assert rules.years_before(leap, 8) == datetime(2020, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "1", None, contract.ATTACHMENT_BYTES + 1])
def test_a_file_has_a_size_within_bounds_a_digest_and_a_kind_we_take(size: Any) -> None:
    assert rules.require_put("ab" * 32, 1, "text/plain") == bytes.fromhex("ab" * 32)
    with pytest.raises(InvalidInput):
        rules.require_put("ab" * 32, size, "text/plain")
    for digest, kind in (
        ("AB" * 32, "text/plain"),
        ("ab", "text/plain"),
        (None, "text/plain"),
        ("ab" * 32, "text/html"),
    ):
        with pytest.raises(InvalidInput):
            rules.require_put(digest, 1, kind)
