"""What a history is narrowed to, what is kept from readers, and how the lines of a chronology are made."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit import rules, rules_histories
from services.audit.contract import GROUPS
from services.audit.rules_catalogue import CATALOGUE, CHANGES, actions_of
from services.refusals import InvalidInput

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(("holder_side", "professional", "has_clause", "view"), [
    (False, True, True, "seen"), (False, True, False, "none"), (False, False, True, "none"),
    (True, False, True, "record"),
])  # fmt: skip
def test_the_referring_physician_reads_what_they_see_and_being_one_opens_nothing_else(
    holder_side: bool, professional: bool, has_clause: bool, view: str
) -> None:
    assert view == rules.view_of(
        holder_side=holder_side, professional=professional, has_clause=has_clause, author=False, referring=True
    )


@pytest.mark.parametrize("of_holder_side", [True, False])
def test_the_referring_physician_is_told_only_their_own_counts_and_those_of_no_document(of_holder_side: bool) -> None:
    def told(action: str, own: bool) -> bool:
        return rules.tells_count(action, "seen", own=own, of_holder_side=of_holder_side, may_see_withheld=True)

    assert told("document.searched", own=True) and told("circle.read", own=False)
    assert not told("document.searched", own=False) and not told("log.read", own=False)
    assert rules.left_out("seen", may_see_withheld=True) == ()


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_nothing_asked_is_everything() -> None:
    assert rules_histories.read_wanted() == rules_histories.ALL


@given(st.dates(date(1, 1, 2), date(9999, 12, 30)), st.integers(0, 86_399))
def test_a_day_is_asked_for_whole(day: date, second: int) -> None:
    wanted = rules_histories.read_wanted(since=day.isoformat(), until=day.isoformat())
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    assert wanted.since is not None and wanted.before is not None
    assert wanted.since <= moment < wanted.before
    assert not wanted.since <= moment - timedelta(days=1) and not moment + timedelta(days=1) < wanted.before


def test_the_last_day_there_is_has_no_end() -> None:
    assert rules_histories.read_wanted(until="9999-12-31").before is None


@given(
    st.sampled_from(
        ["since", "until", "professional_id", "establishment_id", "object_id", "group", "outcome", "ground"]
    ),
    st.text() | st.integers() | st.lists(st.text(), max_size=2) | st.sampled_from(["2026-2-3", "٢٠٢٦-٠١-٠١", "circle"]),
)
def test_what_is_asked_is_understood_or_refused_by_its_name(name: str, value: Any) -> None:
    try:
        wanted = rules_histories.read_wanted(**{name: value})
    except InvalidInput as refused:
        assert [each["pointer"] for each in refused.detail["errors"]] == [f"/{name}"]
    else:
        assert wanted != rules_histories.ALL


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_asks_for_its_actions_and_the_activity_for_those_that_change(group: str) -> None:
    wanted = rules_histories.read_wanted(group=group)
    assert wanted.actions == actions_of(group)
    changing = rules_histories.changes_alone(wanted)
    assert changing.actions == actions_of(group) & CHANGES and changing.outcome == "allowed"


def test_the_activity_has_nothing_that_was_refused() -> None:
    assert rules_histories.changes_alone(rules_histories.ALL).actions == CHANGES
    assert rules_histories.changes_alone(rules_histories.read_wanted(outcome="refused")).actions == frozenset()


def test_what_is_kept_from_readers_are_actions_there_are() -> None:
    kept = rules_histories.kept_from_readers()
    assert kept <= set(CATALOGUE)
    assert {"document.prepared", "deposit.opposed", "review.settled"} <= kept
    assert not kept & {"document.searched", "document.opened", "circle.added", "log.read", "mandate.opened"}


@pytest.mark.parametrize("limit", [0, 32, True, "3", None])
def test_a_page_of_days_holds_1_to_31(limit: object) -> None:
    with pytest.raises(InvalidInput):
        rules_histories.require_days(limit)
    assert (rules_histories.require_days(1), rules_histories.require_days(31)) == (1, 31)


@pytest.mark.parametrize("cursor", ["", "x", 7, "2026-13-01", "2026-01-01T00:00:00Z"])
def test_a_cursor_of_days_is_a_day(cursor: object) -> None:
    with pytest.raises(InvalidInput):
        rules_histories.require_day(cursor)
    assert rules_histories.require_day(None) is None
    assert rules_histories.require_day("2026-03-05") == NOON.replace(hour=0)


# --- lines ------------------------------------------------------------------------------------------------------------


def row(
    who: str, action: str, ground: str | None, minutes: int, times: int = 1, refused: int = 0, days: int = 0
) -> Any:
    at = NOON + timedelta(days=days, minutes=minutes)
    nobody = dict.fromkeys(rules_histories.ACTOR)
    return SimpleNamespace(**{**nobody, "professional_id": who}, day=at.replace(hour=0, minute=0), action=action,
                           ground=ground, times=times, refused=refused, first_at=at, last_at=at)  # fmt: skip


def test_what_one_did_on_several_grounds_is_one_line_with_all_of_them() -> None:
    rows = [row("a", "document.read", "circle", 5, 2), row("a", "document.read", "author", 1, 3, 1),
            row("a", "record.read", None, 9)]  # fmt: skip
    [line] = rules_histories.lines(rows)
    assert line["grounds"] == ["author", "circle"]
    assert line["did"] == [
        {"action": "document.read", "times": 5, "refused": 1}, {"action": "record.read", "times": 1, "refused": 0},
    ]  # fmt: skip
    assert (line["first_at"], line["last_at"]) == ("2026-03-05T12:01:00.000000Z", "2026-03-05T12:09:00.000000Z")


def test_the_last_who_came_stands_first_on_each_day() -> None:
    rows = [
        row("a", "record.read", None, 1),
        row("b", "record.read", None, 5),
        row("c", "record.read", None, 0, days=1),
    ]
    assert [line["professional_id"] for line in rules_histories.lines(rows)] == ["c", "b", "a"]
    assert rules_histories.lines([]) == []
