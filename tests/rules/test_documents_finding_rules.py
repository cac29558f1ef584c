"""What is wanted, where pages end, and how words are read: pure rules of finding."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.db import new_id
from services.documents import rules, rules_words
from services.documents.contract import LEVELS
from services.documents.document_types import document_types, folders, name_in, type_names
from services.documents.rules_finding import EVERYTHING, Place, Wanted, cursor_after, place_in, read_wanted
from services.documents.rules_words import Stems, Term, fold, indexed, pieces, read_query, sought, whole_words, words

AT = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=60)

places = st.builds(
    Place, st.datetimes(timezones=st.just(UTC)), st.uuids().map(str), st.none() | st.dates(), st.none()
)  # fmt: skip
wishes = st.builds(
    Wanted, type=st.sampled_from((None, "imaging")), level=st.sampled_from((None, *LEVELS)), new_to_me=st.booleans(),
    acted_from=st.none() | st.dates(), order=st.just("deposited"),
)  # fmt: skip

# --- what is wanted ---------------------------------------------------------------------------------------------------


def test_every_word_of_a_wish_is_read() -> None:
    author = new_id()
    wish = {
        "type": "imaging", "category": "imaging", "folder": "imaging", "acted_from": "2026-01-01",
        "acted_until": "2026-12-31", "author": author.upper(), "level": "private", "new_to_me": True,
        "binder_id": author, "order": "acted",
    }  # fmt: skip
    read, errors = read_wanted(document_types(), wish)
    assert errors == []
    days = {"acted_from": date(2026, 1, 1), "acted_until": date(2026, 12, 31)}
    assert read == Wanted(**{**wish, **days, "author": author})
    assert read_wanted(document_types(), None) == read_wanted(document_types(), {"type": None}) == (EVERYTHING, [])
    assert read_wanted(document_types(), {"author": "holder"})[0].author == "holder"


@given(st.dictionaries(
    st.sampled_from(("type", "author", "acted_from", "binder_id", "new_to_me", "order", "x", "level")),
    st.text(max_size=12) | st.integers() | st.lists(st.none(), max_size=1) | st.just({}), max_size=4,
))  # fmt: skip
def test_a_wish_that_makes_no_sense_is_pointed_at_and_never_breaks(wish: dict[str, object]) -> None:
    read, errors = read_wanted(document_types(), wish)
    right = {name for name in wish if name != "x" and getattr(read, name) != getattr(EVERYTHING, name)}
    wrong = {error["pointer"].removeprefix("/") for error in errors}
    assert not right & wrong and wrong <= set(wish)
    assert ("x" in wish) <= ("x" in wrong)


# --- pages ------------------------------------------------------------------------------------------------------------


@given(place=places, wanted=wishes, query=st.sampled_from(("", "radio")), rank=st.integers(0, 60))
def test_a_cursor_leads_back_to_its_place_for_its_own_question_only(
    place: Place, wanted: Wanted, query: str, rank: int
) -> None:
    at = Place(place.deposited_at, place.document_id, None, rank if query else None)
    cursor = cursor_after(at, wanted, query)
    assert place_in(cursor, wanted, query) == at
    assert place_in(cursor, Wanted(**{**vars(wanted), "folder": "imaging"}), query) is None
    assert place_in(cursor, wanted, query + "x") is None
    assert place_in(cursor + "A", wanted, query) is None


def test_a_cursor_of_acts_needs_a_day_and_one_of_deposits_none() -> None:
    acted = Wanted(order="acted")
    for day in (None, date(2026, 1, 1)):
        cursor = cursor_after(Place(AT, new_id(), day), acted)
        assert (place_in(cursor, acted) is not None) == (day is not None)


def test_the_plain_list_keeps_its_plain_cursor() -> None:
    place = Place(AT, new_id())
    assert cursor_after(place, EVERYTHING) == rules.to_cursor(rules.Position(AT, place.document_id))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_any_other_text_is_no_cursor(text: str) -> None:
    assert place_in(text, Wanted(level="private"), "") is None and place_in(text, EVERYTHING, "radio") is None


# --- words ------------------------------------------------------------------------------------------------------------


def test_words_are_folded_alike_however_they_are_written() -> None:
    assert words("L'Œdème, la Straße_12 — cœur: e\u0301te\u0301 & ﬁèvre 12,5 mg") == [
        "l", "oedeme", "la", "strasse", "12", "coeur", "ete", "fievre", "12", "5", "mg"
    ]  # fmt: skip
    assert words("ÆØÅ Łódź Ünal ñ") == ["aeoa", "lodz", "unal", "n"]


@given(LATIN)
def test_to_fold_again_changes_nothing_and_case_never_matters(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert words(" ".join(words(text))) == [word for word in words(text) if word]
    assert words(text.lower()) == words(text)


def test_a_document_is_found_by_as_many_words_as_fit() -> None:
    many = indexed(" ".join(f"mot{number}" for number in range(50_000)))
    assert sum(map(len, many)) <= rules_words.INDEX_ROOM and many[:2] == ["mot0", "mot1"]
    assert indexed("un un deux " + "x" * 500) == ["un", "deux", "x" * rules_words.WORD_LENGTH]


@given(st.text(max_size=400))
def test_a_kept_text_can_be_stored_and_is_one_line(text: str) -> None:
    kept = rules_words.body(text, 300)
    kept.encode()
    assert len(kept) <= 300 and "\n" not in kept and "\x00" not in kept


# --- what is sought ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("Radio thorax", (Term(("radio",)), Term(("thorax",)))),
        ('"Prise de sang" radio', (Term(("prise", "de", "sang"), True), Term(("radio",)))),
        ("«prise de» „sang”", (Term(("prise", "de"), True), Term(("sang",), True))),
        ('"prise de', (Term(("prise",)), Term(("de",)))),
        ("post-op l'été radio radio", tuple(Term((word,)) for word in ("post", "op", "l", "ete", "radio"))),
        ("", None), ('""', None), ("!?", None), ("x" * 201, None), (None, None), (5, None),
        (" ".join(f"m{number}" for number in range(13)), None),
    ],
)  # fmt: skip
def test_what_is_typed_is_read_as_words_and_phrases(typed: object, terms: object) -> None:
    assert read_query(typed) == terms


@given(st.text(max_size=80))
def test_nothing_of_a_query_reaches_the_database_but_letters_and_digits(typed: str) -> None:
    terms = read_query(typed)
    for term in terms or ():
        assert all(word.isalnum() for word in term.words), term
    asked = sought(terms, {}) if terms else None
    for each in asked.questions if asked else ():
        assert set(each.in_title) <= set("'\":*|&= A") | set(
            "".join(word for term in terms or () for word in term.words)
        )


def test_a_word_that_says_little_is_required_only_where_all_do() -> None:
    stems = {"du": Stems((), True), "sein": Stems((), True)}
    with_more = sought((Term(("radio",)), Term(("du",))), stems)
    assert [each.optional for each in with_more.questions] == [False, True] and "'du'" not in with_more.required
    alone = sought((Term(("du",)), Term(("sein",))), stems)
    assert [each.optional for each in alone.questions] == [False, False] and "'du'" in alone.required


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_marks_lie_on_words_and_never_change_the_text() -> None:
    text = "L'Œdème & <b>l'analysé</b> d'une prise de sang, pas de prise"
    terms = (Term(("oedeme",)), Term(("analyses",)), Term(("prise", "de", "sang"), True))
    told = pieces(text, terms, {"analyses": Stems(("analys",))})
    assert "".join(piece["text"] for piece in told) == text
    assert [piece["text"] for piece in told if piece["found"]] == ["Œdème", "analysé", "prise", "de", "sang"]


@given(LATIN, LATIN)
def test_the_pieces_of_any_text_are_the_text(text: str, query: str) -> None:
    assert "".join(piece["text"] for piece in pieces(text, read_query(query) or (), {})) == text


def test_halves_of_words_are_cut_off_at_the_ends_of_a_piece() -> None:
    assert whole_words("ive du foie inv", from_start=False, to_end=False) == "du foie"
    assert whole_words("ive du foie inv", from_start=True, to_end=True) == "ive du foie inv"
    assert whole_words("sansespace", from_start=False, to_end=False) == "sansespace"


# --- names ------------------------------------------------------------------------------------------------------------


def test_every_type_and_every_folder_has_a_name_in_five_languages() -> None:
    assert list(type_names()) == list(document_types())
    assert {kind.folder for kind in document_types().values()} <= set(folders()) and len(folders()) == 12
    for names in (*type_names().values(), *folders().values()):
        assert set(names) == {"fr", "lb", "pt", "en", "de"} and all(names.values())
    assert {kind.label_fr for kind in document_types().values()} == {names["fr"] for names in type_names().values()}
    assert name_in(folders()["laboratory"], "de") == "Labor" and name_in(folders()["laboratory"], "xx") == "Laboratoire"
