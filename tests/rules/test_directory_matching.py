"""When two sheets are one person's, and by which keys they find each other."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import date
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.directory import rules_matching as matching
from services.directory.rules_blocking import blocking_keys, search_keys
from services.directory.rules_matching import MISSING, SCALE, TABLE, THRESHOLDS, Agreement, Identity
from services.directory.rules_names import PARTICLES, VARIANTS, WORDS_READ, read_name, sound

LEA = Identity("Müller-Weiß", "Léa Anne", "1980-05-17", "F", "Schmit")

FAMILY_NAMES = (
    "Schmit", "Schmidt", "Müller", "Mueller", "Muller", "da Silva", "Silva", "Pereira da Silva", "Ferreira",
    "Weber-Thill", "Thill", "Weber", "D'Almeida", "van den Berg", "Weiß", "Gonçalves", "Gonsalves", "Ng", "Li",
    "Łukasz", "O", "",
)  # fmt: skip
FIRST_NAMES = (
    "Jean", "Jang", "Jean-Pierre", "Jean Pierre", "Jeanpierre", "Pierre", "Josée", "Josy", "José", "Maria",
    "Maria João", "João Maria", "Léa", "Lea Anne", "Anne", "J.", "Alex", "Alexandre", "Philippe", "Filipe", "Luc",
    "Lou Marc Tom Pit Jo", "",
)  # fmt: skip

dates = st.one_of(
    st.dates(date(1920, 1, 1), date(2026, 11, 21)).map(date.isoformat),
    st.sampled_from(
        ["1980-05-17", "1980-05-18", "1980-05-00", "1980-00-00", "1980-04-06", "1980-06-04", "1908-05-17", ""]
    ),
)
letters = st.text(st.sampled_from("abceéèhijklmnoöprstuüvwyzßç -'."), max_size=14)
family_names = st.one_of(st.sampled_from(FAMILY_NAMES), letters)
identities = st.builds(
    Identity,
    birth_name=family_names,
    first_names=st.one_of(st.sampled_from(FIRST_NAMES), letters),
    birth_date=dates,
    sex=st.sampled_from(["F", "M", "X", ""]),
    usual_name=st.one_of(st.none(), family_names),
)


def rate(one: Identity, other: Identity) -> int:
    return matching.match_rate(matching.read(one), matching.read(other))


def agreement(one: Identity, other: Identity) -> Agreement:
    return matching.agreement(matching.read(one), matching.read(other))


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", TABLE)
def test_the_levels_of_a_field_stand_from_the_strongest_to_the_weakest(field: str) -> None:
    bits = [SCALE.bits[field][level] for level in TABLE[field]]
    assert all(stronger > weaker for stronger, weaker in pairwise(bits))


@pytest.mark.parametrize("field", [field for field in TABLE if field != "elsewhere"])
def test_how_often_is_a_share_of_all_pairs(field: str) -> None:
    for shares in ([odds.m for odds in TABLE[field].values()], [odds.u for odds in TABLE[field].values()]):
        assert all(0 < share < 1 for share in shares)
        assert sum(shares) == pytest.approx(1, abs=0.005)


def test_every_number_has_its_reason() -> None:
    assert all(len(odds.why) > 15 for levels in TABLE.values() for odds in levels.values())


LADDERS = {field: [*levels, MISSING] for field, levels in TABLE.items()}


def test_whatever_the_other_fields_say_agreeing_better_in_one_never_lowers_the_rate() -> None:
    for levels in product(*(LADDERS[field] for field in Agreement._fields)):
        agreed = Agreement(*levels)
        for field in Agreement._fields:
            for better in _better(field, getattr(agreed, field)):
                risen = SCALE.sum_of(agreed._replace(**{field: better}))
                assert risen >= SCALE.sum_of(agreed), (agreed, field, better)


def _better(field: str, level: str) -> list[str]:
    """The next better level, if any; what is missing has none, save `elsewhere`, of which missing is the worst."""
    ladder = list(TABLE[field])
    if level == MISSING:
        return [ladder[-1]] if field == "elsewhere" else []
    place = ladder.index(level)
    return ladder[place - 1 : place] if place else []


# --- properties -------------------------------------------------------------------------------------------------------


@given(identities, identities)
def test_it_does_not_matter_which_sheet_comes_first(one: Identity, other: Identity) -> None:
    assert agreement(one, other) == agreement(other, one)
    assert rate(one, other) == rate(other, one)


@given(identities, identities)
def test_a_rate_is_a_per_cent(one: Identity, other: Identity) -> None:
    assert 0 <= rate(one, other) <= 100
    assert isinstance(rate(one, other), int)


@given(identities, identities)
def test_a_hundred_is_identity_and_nothing_else(one: Identity, other: Identity) -> None:
    complete = matching.read(one).complete
    assert rate(one, one) == (100 if complete else rate(one, one)) <= 100
    assert (rate(one, other) == 100) == (complete and matching.read(one) == matching.read(other))
    if not complete:
        assert rate(one, one) < 100


@pytest.mark.parametrize("lost", ["birth_name", "first_names", "birth_date", "sex"])
def test_two_sheets_that_lack_a_field_are_not_known_to_be_identical(lost: str) -> None:
    assert rate(LEA, LEA) == 100
    assert rate(replace(LEA, **{lost: ""}), replace(LEA, **{lost: ""})) < 100


@given(identities, identities, st.sampled_from(["birth_name", "first_names", "birth_date", "sex", "usual_name"]))
@settings(max_examples=400)
def test_taking_over_a_field_from_the_other_sheet_never_lowers_the_rate(
    one: Identity, other: Identity, field: str
) -> None:
    value = getattr(one, field)
    if not value or not read_name(str(value)).folded:
        return  # what one sheet does not say, the other cannot agree with
    assert rate(one, replace(other, **{field: value})) >= rate(one, other)


@given(identities, identities)
def test_case_accents_and_hyphens_change_nothing(one: Identity, other: Identity) -> None:
    for written in (_shouted, _bare, _spaced):
        changed = replace(
            other,
            birth_name=written(other.birth_name),
            first_names=written(other.first_names),
            usual_name=written(other.usual_name) if other.usual_name is not None else None,
        )
        assert agreement(one, changed) == agreement(one, other)
        assert rate(one, changed) == rate(one, other)
        assert blocking_keys(matching.read(changed)) == blocking_keys(matching.read(other))


def _shouted(text: str) -> str:
    return text.upper()


def _bare(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def _spaced(text: str) -> str:
    return text.replace("-", "  ").replace("'", "’")


@given(st.text(max_size=120), st.text(max_size=120))
def test_whatever_is_typed_is_compared(one: str, other: str) -> None:
    sheet, search = Identity(one, other, one[:10], other[:1], other), Identity(other, one, other[:10], one[:1], one)
    assert 0 <= rate(sheet, search) <= 100
    assert blocking_keys(matching.read(sheet)) >= search_keys(matching.read(sheet))


def test_sixty_first_names_are_compared_as_fast_as_a_few() -> None:
    many, others = " ".join(["Jean"] * 60), " ".join(["Jang"] * 60)
    assert len(read_name(many).words) == WORDS_READ
    assert agreement(replace(LEA, first_names=many), replace(LEA, first_names=others)).first_names == "variant"


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Müller-Weiß", "MULLER WEISS", "same"),
        ("Müller", "Mueller", "alike"),
        ("Gödert", "Goedert", "alike"),
        ("Weiß", "Weis", "alike"),
        ("Schmit", "Schmidt", "alike"),
        ("Schmitz", "Schmits", "alike"),
        ("Schneider", "Chneider", "alike"),
        ("Becker", "Beker", "alike"),
        ("Kieffer", "Kiefer", "alike"),
        ("Meyer", "Maier", "alike"),
        ("Thys", "This", "alike"),
        ("Marques", "Marquez", "alike"),
        ("Gonçalves", "Gonsalves", "alike"),
        ("Guimarães", "Guimaraes", "same"),
        ("Magalhães", "Magalaes", "alike"),
        ("Marinho", "Marino", "alike"),
        ("da Silva", "Silva", "alike"),
        ("D'Almeida", "Almeida", "alike"),
        ("D'Almeida", "Dalmeida", "alike"),
        ("dos Santos", "Dossantos", "alike"),
        ("Van den Berg", "Vandenberg", "alike"),
        ("von der Heyden", "Heyden", "alike"),
        ("Weber-Thill", "Thill Weber", "alike"),
        ("Weber-Thill", "Weberthill", "alike"),
        ("Wagner", "Wagber", "slip"),
        ("Wagner", "Wanger", "slip"),
        ("Marx", "Max", "slip"),
        ("Pereira da Silva", "Silva", "part"),
        ("Schmit-Weber", "Schmidt", "part"),
        ("Ferreira Costa", "Ferreira Lopes", "shared"),
        ("Weber", "Thill", "other"),
        ("Ng", "Li", "other"),
        ("", "Thill", MISSING),
    ],
)
def test_family_names_agree_by_degrees(one: str, other: str, level: str) -> None:
    assert agreement(replace(LEA, birth_name=one), replace(LEA, birth_name=other)).birth_name == level


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Jean Pierre", "jean-pierre", "several_same"),
        ("Jean", "JEAN", "same"),
        ("Jean-Pierre", "Jeanpierre", "same"),
        ("Maria de Fátima", "Maria Fátima", "several_same"),
        ("Pierre Jean", "Jean Pierre", "reordered"),
        ("Jean", "Jean Pierre", "part"),
        ("Pierre", "Jean Pierre", "part"),
        ("Philippe", "Filipe", "variant"),
        ("Jang", "Jean", "variant"),
        ("Josy", "Joseph", "variant"),
        ("Josy", "Josée", "variant"),
        ("João", "Jean Claude", "variant"),
        ("Jempi", "Jean-Pierre", "variant"),
        ("Catarina", "Katharina", "variant"),
        ("Nathalie", "Nathlaie", "slip"),
        ("Luca", "Lua", "slip"),
        ("J.", "Jean", "beginning"),
        ("Luca E.", "Luca Eric", "beginning"),
        ("Alex", "Alexia", "beginning"),
        ("Tim", "Tom", "beginning"),
        ("Jean Paul", "Jean Claude", "shared"),
        ("Paul", "Claude", "other"),
        ("--", "Claude", MISSING),
    ],
)
def test_first_names_agree_by_degrees(one: str, other: str, level: str) -> None:
    assert agreement(replace(LEA, first_names=one), replace(LEA, first_names=other)).first_names == level


def test_the_order_of_first_names_does_not_hide_their_forms() -> None:
    one, other = replace(LEA, first_names="Jos Metty"), replace(LEA, first_names="Mathias Joseph")
    assert agreement(one, other).first_names == "variant"


@pytest.mark.parametrize("row", VARIANTS)
def test_the_names_of_a_row_are_one_name_and_written_folded(row: str) -> None:
    names = row.split()
    assert len(names) == len(set(names)) > 1
    assert [read_name(name).folded for name in names] == names
    assert not PARTICLES & set(names)


@given(st.text(st.characters(codec="ascii", categories=["Ll"]), max_size=20))
def test_hearing_a_word_never_lengthens_it_nor_empties_more_than_silence(word: str) -> None:
    assert len(sound(word)) <= len(word)
    assert sound(word) or not word.replace("h", "")


# --- crosswise --------------------------------------------------------------------------------------------------------

BORN = {"first_names": "Anne", "birth_date": "1980-05-17", "sex": "F"}


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        (("Thill", "Weber"), ("Weber", None), "same"),
        (("Thill", "Weber"), ("Weber", "Thill"), "same"),
        (("Thill", "Weber"), ("Klein", "Weber"), "same"),
        (("Thill", "Weber-Thill"), ("Weber", None), "near"),
        (("Thill", "Weber"), ("Klein", None), MISSING),
        (("Thill", None), ("Weber", None), MISSING),
        (("Thill", "Weber"), ("Thill", None), MISSING),
    ],
)
def test_a_usual_name_may_stand_where_the_birth_name_should(
    one: tuple[str, str | None], other: tuple[str, str | None], level: str
) -> None:
    first, second = (Identity(birth, usual_name=usual, **BORN) for birth, usual in (one, other))
    assert agreement(first, second).elsewhere == level


def test_a_usual_name_equal_to_the_birth_name_is_none() -> None:
    assert rate(Identity("Thill", usual_name="THILL", **BORN), Identity("Thill", **BORN)) == 100


def test_a_changed_usual_name_costs_little_beside_a_birth_name() -> None:
    married, again = Identity("Thill", usual_name="Weber", **BORN), Identity("Thill", usual_name="Klein", **BORN)
    assert THRESHOLDS.certain < rate(married, again) < 100


# --- dates and sex ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("1980-05-17", "1980-05-17", "same"),
        ("1980-05-06", "1980-06-05", "swapped"),
        ("1980-05-17", "1980-05-00", "month"),
        ("1980-05-00", "1980-05-00", "month"),
        ("1980-05-17", "1980-00-00", "year_known"),
        ("1980-00-00", "1980-00-00", "year_known"),
        ("1980-05-17", "1980-05-19", "slip"),
        ("1980-05-17", "1990-05-17", "slip"),
        ("1980-05-17", "1908-05-17", "slip"),
        ("1980-05-12", "1980-05-21", "slip"),
        ("1980-05-17", "1980-07-23", "year"),
        ("1980-05-17", "1980-06-00", "year"),
        ("1980-05-17", "1979-04-23", "other"),
        ("1980-00-00", "1981-00-00", "other"),
        ("1980-05-17", "", MISSING),
    ],
)
def test_birth_dates_agree_by_degrees(one: str, other: str, level: str) -> None:
    assert agreement(replace(LEA, birth_date=one), replace(LEA, birth_date=other)).birth_date == level


@pytest.mark.parametrize(
    ("born", "matricule", "known"),
    [
        ("1980-05-17", "1980051712345", "1980-05-17"),
        ("1980-05-01", "1980050012345", "1980-05-00"),
        ("1980-01-01", "1980000012345", "1980-00-00"),
        ("1980-05-17", "1980050012345", "1980-05-17"),
        ("1980-05-01", "1980000012345", "1980-05-01"),
        ("1980-05-17", "", "1980-05-17"),
    ],
)
def test_the_first_of_a_month_is_no_day_when_the_matricule_knows_none(born: str, matricule: str, known: str) -> None:
    assert matching.known_birth_date(born, matricule) == known


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [("F", "F", "same"), ("F", "M", "other"), ("X", "X", "same"), ("X", "F", MISSING), ("", "F", MISSING)],
)
def test_an_x_contradicts_nobody(one: str, other: str, level: str) -> None:
    assert agreement(replace(LEA, sex=one), replace(LEA, sex=other)).sex == level


# --- what the rate says -----------------------------------------------------------------------------------------------

TOM = Identity("Thill", "Thomas", "1980-05-06", "M")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (TOM, "certain"),
        (replace(TOM, birth_name="Till"), "certain"),
        (replace(TOM, birth_name="Thull"), "certain"),
        (replace(TOM, first_names="Thomas Jean"), "certain"),
        (replace(TOM, first_names="Tom"), "certain"),
        (replace(TOM, birth_date="1980-06-05"), "certain"),
        (replace(TOM, birth_date="1980-05-16"), "certain"),
        (replace(TOM, birth_date="1980-00-00"), "certain"),
        (replace(TOM, sex="F"), "certain"),
        (replace(TOM, sex=""), "certain"),
        (replace(TOM, birth_date="1980-05-16", first_names="Thomsa"), "possible"),
        (replace(TOM, first_names="Marc"), "shown"),  # a twin
        (replace(TOM, birth_name="Weber"), "shown"),
        (replace(TOM, birth_date=""), "shown"),
        (replace(TOM, birth_date="1953-11-28"), "nothing"),  # a namesake
        (Identity("Weber", "Marc", "1980-05-06", "M"), "nothing"),  # born the same day
        (Identity("Thill", "Marc", "1979-11-23", "M"), "nothing"),
    ],
)
def test_a_rate_means_what_its_thresholds_say(other: Identity, says: str) -> None:
    found = rate(TOM, other)
    meaning = next((name for name in ("certain", "possible", "shown") if found >= getattr(THRESHOLDS, name)), "nothing")
    assert meaning == says, found


@pytest.mark.parametrize("lost", ["birth_name", "first_names", "birth_date"])
def test_a_search_without_name_first_name_or_year_is_not_answered(lost: str) -> None:
    assert matching.tells_enough(matching.read(replace(TOM, birth_date="1980-00-00", sex="")))
    assert not matching.tells_enough(matching.read(replace(TOM, **{lost: ""})))
    assert not matching.tells_enough(matching.read(replace(TOM, **{lost: "--"})))


def test_what_is_certain_among_few_is_not_among_a_country() -> None:
    assert matching.thresholds_for(1_000) == THRESHOLDS == matching.thresholds_for(matching.CALIBRATED_FOR)
    country = matching.thresholds_for(1_200_000)
    assert THRESHOLDS.shown < THRESHOLDS.possible < THRESHOLDS.certain < country.certain < 100
    assert country == (country.certain, THRESHOLDS.possible, THRESHOLDS.shown)


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        replace(TOM, birth_name="Mxxl", first_names="Qz"),
        replace(TOM, birth_date="1980-06-05", birth_name="Mxxl"),
        replace(TOM, birth_date="1980-11-23", first_names="Qz"),
        replace(TOM, birth_date="1908-05-06"),
        replace(TOM, birth_name="Thull", birth_date="1980-05-16"),
        replace(TOM, birth_name="Thull", birth_date="1981-05-06"),
        replace(TOM, birth_date="1980-00-00"),
        replace(TOM, birth_date="1980-05-00", birth_name="Thull"),
        replace(TOM, birth_date="", first_names="Thomas Jean"),
        replace(TOM, birth_name="Weber", usual_name="Thill", birth_date="1980-11-23"),
        replace(TOM, birth_name="Thill-Weber", birth_date="1980-11-23"),
    ],
)
def test_a_search_with_such_a_mistake_still_finds_the_sheet(other: Identity) -> None:
    stored, searched = matching.read(TOM), matching.read(other)
    assert blocking_keys(stored) & search_keys(searched)
    assert blocking_keys(searched) & search_keys(stored) or not matching.read(other).complete


@pytest.mark.parametrize(
    "stranger",
    [
        Identity("Weber", "Marc", "1979-05-06", "M"),
        Identity("Thill", "Marc", "1979-11-23", "M"),
        Identity("Thill", "Thomas", "1979-11-23", "M"),  # a namesake, but for a search without a date
    ],
)
def test_a_stranger_is_not_even_compared(stranger: Identity) -> None:
    assert not blocking_keys(matching.read(TOM)) & search_keys(matching.read(stranger))


@given(identities)
def test_a_sheet_has_few_keys_and_finds_itself(identity: Identity) -> None:
    sheet = matching.read(identity)
    assert search_keys(sheet) <= blocking_keys(sheet)
    assert len(blocking_keys(sheet)) <= 400
    if sheet.complete:
        assert search_keys(sheet)
