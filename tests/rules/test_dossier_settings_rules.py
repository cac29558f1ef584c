"""Settings and declarations: the domain's words once more, who says them, and who reads a declaration."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier import rules, rules_settings
from services.dossier.contract import DECLARATIONS, GROUNDS, SETTINGS
from services.refusals import InvalidInput, Refusal
from tests.rules.situations import (
    CELLS,
    HOLDER_SIDE,
    NOW,
    TABLES,
    grant,
    holder,
    person,
    presence,
    professional,
    reader,
    scope,
)

# What the domain says may be set: the values, the one that holds at first, and the ones that need the risk accepted.
SAID = {
    "emergency": ("refused normal with_confidential", "normal", "refused"),
    "responsibility": ("allowed refused", "allowed", ""),
    "autonomous_minor": ("no yes", "no", ""),
    "default_level": ("standard confidential private", "standard", ""),
    "default_level_of_folder": ("inherited standard confidential private", "inherited", ""),
    "longer_keeping": ("no yes", "no", ""),
    "organ_donation": ("not_said donor donor_with_limits not_a_donor", "not_said", ""),
    "end_of_life": ("not_said statement_made no_statement", "not_said", ""),
}
# Who of the holder side says it [domain: Words, assistant].
BY = {
    "emergency": "holder legal_representative", "responsibility": "holder legal_representative",
    "default_level": "holder legal_representative assistant", "longer_keeping": "holder legal_representative",
    "organ_donation": "holder legal_representative", "end_of_life": "holder legal_representative",
}  # fmt: skip


def wrong(call: Any, *arguments: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        call(*arguments)
    [error] = refused.value.detail["errors"]
    return dict(error)


# --- what may be said ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAID)
def test_a_setting_has_the_values_the_default_and_the_risks_of_the_domain(name: str) -> None:
    values, default, risk_of = SAID[name]
    row = TABLES.settings[name]
    assert row.values == tuple(values.split())
    assert (row.default, row.risk_of) == (default, tuple(risk_of.split()))
    assert set(TABLES.settings) == set(SAID)


def test_what_is_chosen_and_what_is_declared_are_the_contracts_words() -> None:
    said = {row.setting: row.said for row in TABLES.settings.values()}
    assert tuple(name for name, how in said.items() if how == "chosen") == SETTINGS
    assert tuple(name for name, how in said.items() if how == "declared") == DECLARATIONS
    assert [name for name, how in said.items() if how == "flagged"] == ["autonomous_minor"]


@pytest.mark.parametrize("ground", HOLDER_SIDE)
@pytest.mark.parametrize("name", BY)
def test_each_of_the_holder_side_says_what_the_domain_lets_them_and_nothing_more(name: str, ground: str) -> None:
    refusal = rules.require_holder_action(TABLES, scope(person(ground)), TABLES.settings[name].action)
    assert (refusal is None) is (ground in BY[name].split())


@pytest.mark.parametrize("name", [*SETTINGS, *DECLARATIONS])
def test_no_professional_says_anything_for_a_holder(name: str) -> None:
    for ground in set(GROUNDS) - set(HOLDER_SIDE):
        given_scope = scope(reader(ground))
        assert rules.require_holder_action(TABLES, given_scope, TABLES.settings[name].action)
        assert rules_settings.require_holder_side(given_scope)


@given(st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text())))
def test_no_value_but_a_settings_own_is_taken(value: Any) -> None:
    for row in TABLES.settings.values():
        if value in row.values:
            assert rules_settings.require_value(row, value) == value
        else:
            assert wrong(rules_settings.require_value, row, value) == {"pointer": "/value", "message": "choice"}


# --- folders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["imaging", "care_follow_up", "x"])
def test_a_folder_has_a_default_level_of_its_own(folder: str) -> None:
    row, kept = rules_settings.setting_named(TABLES, "default_level", folder)
    assert (row.setting, kept) == ("default_level_of_folder", f"default_level:{folder}")
    assert rules_settings.code_of(kept) == "default_level", "no trace repeats what somebody typed as a folder"


@pytest.mark.parametrize("folder", ["", "Imaging", "imaging ", "imaging\n", "9", "a" * 41, "a:b", "é", 7, ["imaging"]])
def test_what_is_no_slug_is_no_folder(folder: Any) -> None:
    found = wrong(rules_settings.setting_named, TABLES, "default_level", folder)
    assert found == {"pointer": "/folder", "message": "invalid"}


def test_only_a_default_level_has_folders_and_a_folders_level_has_no_other_name() -> None:
    for name in set(SAID) - {"default_level", "default_level_of_folder"}:
        assert wrong(rules_settings.setting_named, TABLES, name, "imaging")["pointer"] == "/folder"
    for name in ("default_level_of_folder", "default_level:imaging", "colour", None, 7, ["emergency"]):
        assert wrong(rules_settings.setting_named, TABLES, name) == {"pointer": "/name", "message": "unknown"}


def test_what_stands_is_shown_with_its_folders_and_without_declarations() -> None:
    words = {name: SimpleNamespace(value="x") for name in ("emergency", "organ_donation", "default_level:imaging")}
    found = [(row.setting, folder, word and word.value) for row, folder, word in rules_settings.standing(TABLES, words)]
    assert found == [
        ("emergency", None, "x"), ("responsibility", None, None), ("autonomous_minor", None, None),
        ("default_level", None, None), ("default_level_of_folder", "imaging", "x"), ("longer_keeping", None, None),
    ]  # fmt: skip


# --- declarations -------------------------------------------------------------------------------------------


def test_a_day_has_begun_when_it_has_begun_in_luxembourg() -> None:
    late = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)  # half past midnight on 2 July there
    assert rules_settings.require_declared_on("2026-07-02", late) == date(2026, 7, 2)
    assert wrong(rules_settings.require_declared_on, "2026-07-03", late)["message"] == "future"
    before = late - timedelta(hours=1)
    assert wrong(rules_settings.require_declared_on, "2026-07-02", before)["message"] == "future"


@given(st.dates())
def test_every_day_that_has_begun_is_a_day_to_declare_on_and_no_other(day: date) -> None:
    if day <= NOW.date():
        assert rules_settings.require_declared_on(day.isoformat(), NOW) == day
    else:
        assert wrong(rules_settings.require_declared_on, day.isoformat(), NOW)["message"] == "future"


@given(st.one_of(st.none(), st.text(max_size=2100)))
def test_words_of_ones_own_are_kept_up_to_their_bound_and_blanks_are_none(note: str | None) -> None:
    if note is not None and len(note) > 2000:
        assert wrong(rules_settings.require_note, note)["message"] == "too_long"
    else:
        kept = rules_settings.require_note(note)
        assert kept == ((note or "").strip() or None)


@pytest.mark.parametrize("name", DECLARATIONS)
@pytest.mark.parametrize("ground", HOLDER_SIDE)
def test_all_of_the_holder_side_read_a_declaration(name: str, ground: str) -> None:
    given_scope, row = scope(person(ground)), TABLES.settings[name]
    assert rules_settings.require_declaration(given_scope, row) is None
    clause = rules_settings.declaration_clause(given_scope, row)
    assert clause is not None and clause.ground == ground


@pytest.mark.parametrize("name", DECLARATIONS)
@pytest.mark.parametrize(("category", "column", "cell"), [each for each in CELLS if each[0] == "personal_expression"])
def test_a_profession_reads_a_declaration_where_its_matrix_cell_reads_such_documents(
    name: str, category: str, column: str, cell: str
) -> None:
    if column == "referring_physician":
        given_scope = scope(professional(grant("referring_physician")))
    else:
        given_scope = scope(professional(presence(timedelta(hours=1)), profession=column))
    row = TABLES.settings[name]
    assert row.category == category
    assert (rules_settings.require_declaration(given_scope, row) is None) is (cell in ("r.", "rw"))


@pytest.mark.parametrize("name", DECLARATIONS)
def test_grounds_that_read_no_such_document_show_no_declaration_and_look_like_no_record(name: str) -> None:
    row = TABLES.settings[name]
    deposit_only = professional(presence(timedelta(hours=25)))
    engaged = professional(grant("responsibility", until=timedelta(hours=1)), profession="pharmacist")
    for facts in (
        professional(), deposit_only, engaged, professional(grant("order")), professional(grant("circle"), blocked=True)
    ):  # fmt: skip
        refusal = rules_settings.require_declaration(scope(facts), row)
        assert isinstance(refusal, Refusal) and refusal.code == "record_not_found"


def test_the_holder_of_a_closed_record_reads_and_says_nothing() -> None:
    closed = scope(holder(state="closed"))
    row = TABLES.settings["organ_donation"]
    for refusal in (
        rules_settings.require_declaration(closed, row),
        rules_settings.require_holder_side(closed),
        rules.require_holder_action(TABLES, closed, row.action),
    ):
        assert refusal is not None and refusal.code == "record_closed"


# --- two records of one person ------------------------------------------------------------------------------

EARLY, LATE = NOW - timedelta(days=2), NOW - timedelta(days=1)


def word(value: str, since: datetime = EARLY) -> Any:
    return SimpleNamespace(value=value, since=since)


@pytest.mark.parametrize("name", [row.setting for row in TABLES.settings.values() if row.guarded])
def test_of_two_words_the_one_that_guards_better_holds_whichever_came_later(name: str) -> None:
    values = TABLES.settings[name].guarded
    for place, ours in enumerate(values):
        for other_place, theirs in enumerate(values):
            for since in (EARLY, LATE):
                stands = {name: word(ours, EARLY if since == LATE else LATE)}
                along = rules_settings.going_along(TABLES, {name: word(theirs, since)}, stands)
                assert bool(along) is (other_place < place), (ours, theirs)


@pytest.mark.parametrize("name", ["longer_keeping", "organ_donation", "default_level:imaging"])
def test_of_two_words_that_guard_nothing_the_later_holds(name: str) -> None:
    ours, theirs = word("yes"), word("no", LATE)
    assert rules_settings.going_along(TABLES, {name: theirs}, {name: ours}) == [theirs]
    assert rules_settings.going_along(TABLES, {name: ours}, {name: theirs}) == []
    assert rules_settings.going_along(TABLES, {name: theirs}, {}) == [theirs], "where nobody had said anything"


def test_what_guards_better_than_the_default_goes_back_with_a_record_and_nothing_else() -> None:
    said = {"emergency": word("refused"), "responsibility": word("allowed"), "longer_keeping": word("yes"),
            "default_level": word("private"), "default_level:imaging": word("private")}  # fmt: skip
    assert rules_settings.guarding(TABLES, said, {}) == [said["emergency"], said["default_level"]]
    before = {"emergency": word("refused"), "default_level": word("confidential")}
    assert rules_settings.guarding(TABLES, said, before) == [said["default_level"]]


def test_the_best_guard_of_each_setting_is_the_domains() -> None:
    best = {row.setting: row.guarded[0] for row in TABLES.settings.values() if row.guarded}
    assert best == {
        "emergency": "refused", "responsibility": "refused", "autonomous_minor": "yes", "default_level": "private",
    }  # fmt: skip
