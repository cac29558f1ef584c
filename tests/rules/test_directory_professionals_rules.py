"""What is decided of professionals: the spellings a search sees past, changes, and licences over time."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.directory import rules, rules_professionals
from services.directory.contract import ESTABLISHMENT_KINDS, LICENCES, PROFESSIONS
from services.directory.rules_professionals import Licence
from services.refusals import InvalidInput

ID = "0192f0c1-0000-7000-8000-000000000001"
T = datetime(2026, 11, 21, 9, tzinfo=UTC)
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßéèêëàâçñãõôîïûœæøåłđABCDEÄÖÜÉ"
WORDS = st.text(LETTERS, min_size=1, max_size=12)
NAMES = st.lists(WORDS, min_size=1, max_size=3)


def day(number: int) -> datetime:
    return T + timedelta(days=number)


def faults(refused: pytest.ExceptionInfo[InvalidInput]) -> list[tuple[str, str]]:
    return [(each["pointer"], each["message"]) for each in refused.value.detail["errors"]]


# --- spellings --------------------------------------------------------------------------------------------------------


def finds(typed: str, stored: str) -> bool:
    """As the statement compares: each word begins one of the stored."""
    return all(f" {word}" in stored for word in rules.require_search_words(typed))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "in capitals": str.upper,
    "in small letters": str.lower,
    "without accents": lambda name: "".join(
        each for each in unicodedata.normalize("NFD", name) if not unicodedata.combining(each)
    ),
    "with accents apart": lambda name: unicodedata.normalize("NFD", name),
    "umlauts as two letters": lambda name: name.translate(
        str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "UE", "ø": "oe", "æ": "ae"})
    ),
    "sharp s as two letters": lambda name: name.replace("ß", "ss"),
    "with dots and hyphens": lambda name: f"  {name.replace(' ', ' - ')}. ",
}  # fmt: skip


@given(NAMES, st.sampled_from(sorted(SPELLINGS)), st.sampled_from(PROFESSIONS))
def test_a_name_is_found_in_any_spelling_the_fold_sees_past(words: list[str], spelling: str, profession: str) -> None:
    name = " ".join(words)
    typed = SPELLINGS[spelling](name)
    assume(len(rules.fold(typed).replace(" ", "")) >= rules.SHORTEST_QUERY)
    assert finds(typed, rules.searchable_names(name, "Anne"))
    assert finds(typed, rules.searchable_text("Anne", name, profession, ["Cardiologie"]))


@given(WORDS, st.data())
def test_what_is_typed_so_far_finds_what_it_becomes(name: str, data: st.DataObject) -> None:
    typed = name[: data.draw(st.integers(1, len(name)))]
    assume(len(rules.fold(typed)) >= rules.SHORTEST_QUERY)
    assert finds(typed, rules.searchable_names(name, "Anne"))


@pytest.mark.parametrize("typed", ["Müller", "muller", "MUELLER", "Mueller", "müll", "muel"])
@pytest.mark.parametrize("stored", ["Müller", "Mueller", "Muller"])
def test_an_umlaut_is_found_by_each_of_its_spellings(typed: str, stored: str) -> None:
    assert finds(typed, rules.searchable_names(stored, "Jean"))
    assert not finds(typed, rules.searchable_names("Möller", "Jean"))


@pytest.mark.parametrize(("typed", "right"), [("da silva", True), ("li xu", True), ("da", False), ("a b", False)])
def test_short_words_are_allowed_beside_others(typed: str, right: bool) -> None:
    if right:
        assert rules.require_search_words(typed) == typed.split()
        return
    with pytest.raises(InvalidInput):
        rules.require_search_words(typed)


@given(NAMES, NAMES, st.sampled_from(PROFESSIONS), st.lists(st.text(LETTERS + " -;", max_size=20), max_size=4))
def test_what_a_professional_is_found_by_begins_with_the_names(
    family: list[str], first: list[str], profession: str, specialities: list[str]
) -> None:
    """The search takes what stands behind the names for what is no name."""
    names = rules.searchable_names(" ".join(family), " ".join(first))
    whole = rules.searchable_text(" ".join(family), " ".join(first), profession, specialities)
    assert whole.startswith(f"{names} ")
    for each in specialities:
        folded = rules.fold_spelling(each)
        assert not folded or f"; {folded} ;" in whole


def test_a_speciality_is_told_from_its_beginning_and_a_locality_too() -> None:
    found_by = rules.searchable_text("Schmit", "Léa", "physician", ["Médecine interne", "Cardiologie"])
    assert "; cardiologie ;" in found_by and "; medecine interne ;" in found_by and "; cardio ;" not in found_by
    place = rules.searchable_establishment("Cabinet", "practice", "Esch-sur-Alzette")
    assert "; esch sur alzette ;" in place and "; esch ;" not in place
    assert ";" not in rules.searchable_establishment("Cabinet", "practice")


# --- what a search asks for -------------------------------------------------------------------------------------------


def test_a_search_is_read_whole() -> None:
    sought = rules_professionals.require_search(
        " Léa MÜLL", 20, profession="nurse", speciality="Diabétologie", locality="Pétange", establishment_id=ID.upper()
    )
    assert (sought.words, sought.speciality, sought.locality) == (("lea", "mull"), "diabetologie", "petange")
    assert (sought.profession, sought.establishment_id, sought.after) == ("nurse", ID, None)


def test_all_that_is_wrong_with_a_search_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_professionals.require_search(
            "sc", 51, profession="shaman", kind="shop", speciality="--", locality="x" * 121, establishment_id="x",
            cursor="%",
        )  # fmt: skip
    assert faults(refused) == [
        ("/q", "too_short"), ("/limit", "out_of_range"), ("/cursor", "uuid"), ("/profession", "choice"),
        ("/kind", "choice"), ("/speciality", "text"), ("/locality", "text"), ("/establishment_id", "uuid"),
    ]  # fmt: skip


@pytest.mark.parametrize("query", ["%%%", "", "a" * 121, 123, None])
def test_what_is_no_search_is_pointed_at_by_the_name_it_has_in_the_url(query: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_professionals.require_search(query, 20)
    assert [pointer for pointer, _ in faults(refused)] == ["/q"]


@pytest.mark.parametrize("kind", ESTABLISHMENT_KINDS)
def test_every_kind_of_establishment_can_be_asked_for(kind: str) -> None:
    assert rules_professionals.require_search("cab", 20, kind=kind).kind == kind


@pytest.mark.parametrize(
    ("capacity", "licence", "there"),
    [(capacity, licence, capacity == "agent" or licence != "withdrawn")
     for capacity in ("agent", "professional", "patient", "machine") for licence in LICENCES],
)  # fmt: skip
def test_who_lost_the_licence_for_good_is_there_for_agents_alone(capacity: str, licence: str, there: bool) -> None:
    assert rules_professionals.may_see_professional(capacity, licence) is there


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_change_names_only_what_changes() -> None:
    change = rules_professionals.require_professional_change({"family_name": " Weber ", "address": None})
    assert change == {"family_name": "Weber", "address": None}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, [("", "required")]),
        (None, [("", "required")]),
        ({"licence": "valid"}, [("/licence", "unknown_member")]),
        ({"matricule": "1900010100564"}, [("/matricule", "unknown_member")]),
        ({"family_name": "", "profession": "shaman"}, [("/family_name", "required"), ("/profession", "unknown")]),
        ({"family_name": None}, [("/family_name", "required")]),
        ({"language": "nl"}, [("/language", "unknown")]),
        ({"specialities": ["x"] * 21}, [("/specialities", "too_many")]),
    ],
)
def test_a_change_of_anything_else_or_of_nothing_is_refused(changes: Any, wrong: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_professionals.require_professional_change(changes)
    assert faults(refused) == wrong


def test_an_establishment_stays_of_its_kind() -> None:
    assert rules_professionals.require_establishment_change({"name": "Cabinet"}) == {"name": "Cabinet"}
    with pytest.raises(InvalidInput):
        rules_professionals.require_establishment_change({"kind": "hospital"})


def test_there_is_room_for_fifty_workplaces() -> None:
    rules_professionals.require_room_for("x", [str(number) for number in range(49)])
    full = [str(number) for number in range(50)]
    rules_professionals.require_room_for("7", full)
    with pytest.raises(InvalidInput):
        rules_professionals.require_room_for("x", full)


# --- licences ---------------------------------------------------------------------------------------------------------

VALID = Licence("valid", day(0))
STOP = Licence("suspended", day(5), day(10))


@pytest.mark.parametrize(
    ("noted", "at", "state", "since", "due"),
    [
        ([VALID], day(1), "valid", day(0), None),
        ([VALID, STOP], day(1), "valid", day(0), day(5)),
        ([VALID, STOP], day(5), "suspended", day(5), day(10)),
        ([VALID, STOP], day(10) - timedelta(microseconds=1), "suspended", day(5), day(10)),
        ([VALID, STOP], day(10), "valid", day(10), None),
        # withdrawn meanwhile: the end of the stop gives nothing back
        ([VALID, STOP, Licence("withdrawn", day(7))], day(8), "withdrawn", day(7), None),
        ([VALID, STOP, Licence("withdrawn", day(7))], day(11), "withdrawn", day(7), None),
        # given back early, and stopped again later
        ([VALID, STOP, Licence("valid", day(7))], day(11), "valid", day(7), None),
        ([VALID, STOP, Licence("suspended", day(20), day(30))], day(12), "valid", day(10), day(20)),
        # called off: of two that begin at one moment the later noted holds
        ([VALID, STOP, Licence("valid", day(5))], day(6), "valid", day(5), None),
        # prolonged
        ([VALID, STOP, Licence("suspended", day(7), day(15))], day(12), "suspended", day(7), day(15)),
    ],
)
def test_the_last_licence_whose_time_has_come_holds_to_its_end(
    noted: list[Licence], at: datetime, state: str, since: datetime, due: datetime | None
) -> None:
    holds = rules_professionals.licence_at(noted, at)
    assert holds is not None and (holds.state, holds.since) == (state, since)
    assert rules_professionals.next_change(noted, at) == due


def test_before_anything_was_noted_nothing_holds() -> None:
    assert rules_professionals.licence_at([], T) is None
    assert rules_professionals.licence_at([STOP], day(1)) is None
    assert rules_professionals.next_change([STOP], day(1)) == day(5)


def a_note(state: str, since: int, lasts: int) -> Licence:
    return Licence(state, day(since), day(since + lasts) if state == "suspended" and lasts else None)


NOTES = st.builds(a_note, st.sampled_from(LICENCES), st.integers(0, 30), st.integers(0, 10))


@given(st.lists(NOTES, min_size=1, max_size=6), st.integers(0, 40))
def test_nothing_changes_by_itself_before_it_is_due_and_something_may_then(notes: list[Licence], start: int) -> None:
    noted: list[Licence] = []
    for each in notes:
        noted = rules_professionals.with_note(noted, each)
    at = day(start)
    due = rules_professionals.next_change(noted, at)
    until = due or day(60)
    assert due is None or due > at
    holds = rules_professionals.licence_at(noted, at)
    for hours in range(0, int((until - at).total_seconds() // 3600), 12):
        assert rules_professionals.licence_at(noted, at + timedelta(hours=hours)) == holds


@given(st.lists(NOTES, max_size=6), NOTES)
def test_a_note_holds_from_its_beginning_on_whatever_was_noted_before(notes: list[Licence], note: Licence) -> None:
    noted: list[Licence] = []
    for each in notes:
        noted = rules_professionals.with_note(noted, each)
    if rules_professionals.is_news(noted, note):
        noted = rules_professionals.with_note(noted, note)
    holds = rules_professionals.licence_at(noted, note.since)
    assert holds is not None and (holds.state, holds.until) == (note.state, note.until)
    assert not rules_professionals.is_news(noted, note)


def test_only_a_stop_that_is_over_is_restored() -> None:
    noted = {"a": [VALID, STOP], "b": [VALID], "c": [VALID, STOP, Licence("withdrawn", day(6))], "d": []}
    assert rules_professionals.restored(noted, day(11)) == {"a": Licence("valid", day(10))}
    assert rules_professionals.restored(noted, day(6)) == {}


@pytest.mark.parametrize(
    ("licence", "since", "until", "wrong"),
    [
        ("suspended", None, "2026-11-22T09:00:00Z", []),
        ("suspended", "2026-11-22T09:00:00+01:00", "2026-11-23T09:00:00Z", []),
        ("withdrawn", "2026-11-22T09:00:00Z", None, []),
        ("lost", None, None, [("/licence", "choice")]),
        ("valid", "2026-11-20T09:00:00Z", None, [("/since", "past")]),
        ("valid", "2026-11-22T09:00:00", None, [("/since", "moment")]),
        ("valid", "tomorrow", None, [("/since", "moment")]),
        ("valid", 7, None, [("/since", "moment")]),
        ("valid", "0001-01-01T00:00:00+23:59", None, [("/since", "moment")]),
        ("suspended", None, "2026-11-21T08:00:00Z", [("/until", "before_beginning")]),
        ("suspended", "2026-11-23T09:00:00Z", "2026-11-23T09:00:00Z", [("/until", "before_beginning")]),
        ("withdrawn", None, "2026-11-22T09:00:00Z", [("/until", "only_of_suspension")]),
        ("valid", None, "2026-11-22T09:00:00Z", [("/until", "only_of_suspension")]),
    ],
)
def test_a_note_of_a_licence_is_of_now_or_later_and_only_a_suspension_ends(
    licence: str, since: Any, until: Any, wrong: list[tuple[str, str]]
) -> None:
    if not wrong:
        assert rules_professionals.require_licence_note(licence, since, until, T)[0] == licence
        return
    with pytest.raises(InvalidInput) as refused:
        rules_professionals.require_licence_note(licence, since, until, T)
    assert faults(refused) == wrong


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2027-01-01T10:00:00Z", T.replace(2027, 1, 1, 10)),
        ("2027-01-01T10:00:00+01:30", T.replace(2027, 1, 1, 8, 30)),
        ("2027-01-01T10:00:00-00:00", T.replace(2027, 1, 1, 10)),
        ("2027-01-01T10:00:00.5Z", T.replace(2027, 1, 1, 10, microsecond=500_000)),
        ("2027-01-01T10:00:00.123456789+00:00", T.replace(2027, 1, 1, 10, microsecond=123_456)),
        ("2027-W01-1T00:00:00Z", None),
        ("2027-001T00:00:00Z", None),
        ("20270101T000000Z", None),
        ("2027-01-01 10:00:00Z", None),
        ("2027-01-01T10:00Z", None),
        ("2027-01-01 10:00Z", None),
        ("2027-01-01", None),
        ("2027-01-01T10:00:00", None),
        ("2027-01-01T10:00:00+0100", None),
        ("2027-01-01T10:00:00+01", None),
        ("2027-01-01T10:00:00+01:00:30", None),
        ("2027-01-01T10:00:00+01:60", None),
        ("2027-01-01T10:00:00+24:00", None),
        ("2027-01-01T10:00:00,5Z", None),
        ("2027-01-01T10:00:00.Z", None),
        ("2027-01-01T10:00:00.1234567890Z", None),
        ("2027-01-01T10:00:00Z\n", None),
        ("٢٠٢٧-01-01T10:00:00Z", None),
        ("2027-02-29T10:00:00Z", None),
        ("2027-01-01T24:00:00Z", None),
    ],
)
def test_a_moment_of_a_licence_is_written_as_rfc_3339_says(written: str, meant: datetime | None) -> None:
    if meant is not None:
        assert rules_professionals.require_licence_note("valid", written, None, T) == ("valid", meant, None)
        assert rules_professionals.require_licence_note("suspended", None, written, T) == ("suspended", None, meant)
        return
    for since, until, field in ((written, None, "/since"), (None, written, "/until")):
        with pytest.raises(InvalidInput) as refused:
            rules_professionals.require_licence_note("suspended", since, until, T)
        assert faults(refused) == [(field, "moment")]


def test_a_note_that_waited_begins_when_it_is_written_and_not_after_its_end() -> None:
    assert rules_professionals.note_at("suspended", None, day(2), day(1)) == Licence("suspended", day(1), day(2))
    assert rules_professionals.note_at("suspended", day(1), day(3), day(2)) == Licence("suspended", day(2), day(3))
    assert rules_professionals.note_at("withdrawn", day(4), None, day(2)) == Licence("withdrawn", day(4))
    with pytest.raises(InvalidInput):
        rules_professionals.note_at("suspended", None, day(2), day(2))
