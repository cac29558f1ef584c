"""The privacy officer's work: who does it, the steps with what waits, what is asked, and how far a page reaches."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.audit import rules_oversight as rules
from services.audit import rules_search
from services.audit.contract import SEARCH_DAYS, WORDS_LENGTH, traced
from services.audit.contract_oversight import OVERSEER
from services.audit.rules import require_position
from services.dossier.contract import PRIVACY_OFFICER
from services.identity.contract import ROLES
from services.refusals import InvalidInput

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ME, OTHER, HOLDER = "me", "other", "holder"
ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"


def code(refusal: Any) -> str | None:
    return None if refusal is None else str(refusal.code)


def pointers(wrong: pytest.ExceptionInfo[InvalidInput]) -> list[tuple[str, str]]:
    return [(error["pointer"], error["message"]) for error in wrong.value.detail["errors"]]


# --- who --------------------------------------------------------------------------------------------------------------


def test_the_role_is_the_one_that_identity_gives_and_dossier_asks_for() -> None:
    assert OVERSEER == PRIVACY_OFFICER and OVERSEER in ROLES


@pytest.mark.parametrize("capacity", ["agent", "professional", "patient", "machine"])
@pytest.mark.parametrize("role", [*ROLES, None])
def test_a_privacy_officer_among_the_agents_oversees_and_nobody_else(capacity: str, role: str | None) -> None:
    assert rules.may_oversee(capacity, role) is (capacity == "agent" and role == OVERSEER)


def test_holder_and_representatives_ask_and_an_assistant_reads_along() -> None:
    assert rules.may_ask(["holder"]) and rules.may_ask(["assistant", "legal_representative"])
    assert not rules.may_ask(["assistant"]) and not rules.may_ask([])


# --- steps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "state", "taken_by", "refusal"), [
    ("take", "waiting", None, None), ("take", "taken", ME, None), ("take", "taken", OTHER, "in_other_hands"),
    ("release", "waiting", None, "not_in_hand"), ("release", "taken", ME, None), ("release", "taken", OTHER, None),
    ("settle", "waiting", None, "not_in_hand"), ("settle", "taken", ME, None),
    ("settle", "taken", OTHER, "in_other_hands"),
    ("take", "settled", ME, "already_settled"), ("release", "settled", ME, "already_settled"),
    ("settle", "settled", ME, "already_settled"),
])  # fmt: skip
def test_each_step_in_each_state(action: rules.Action, state: str, taken_by: str | None, refusal: str | None) -> None:
    assert code(rules.step(action, state, taken_by, ME, (HOLDER, None))) == refusal


@pytest.mark.parametrize("action", ["take", "settle"])
def test_nobody_judges_what_they_did_or_asked_themselves(action: rules.Action) -> None:
    assert code(rules.step(action, "taken", ME, ME, (HOLDER, ME))) == "not_allowed"
    assert rules.step("release", "taken", ME, ME, (HOLDER, ME)) is None


def test_what_is_given_back_is_in_nobodys_hand() -> None:
    assert rules.written("release", ME, AT) == {"state": "waiting", "taken_by": None, "taken_at": None}
    assert rules.written("take", ME, AT)["taken_by"] == rules.written("settle", ME, AT)["settled_by"] == ME


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "pointer"), [
    ({"state": "gone"}, "/state"), ({"kind": "other"}, "/rule"), ({"limit": 0}, "/limit"), ({"limit": 101}, "/limit"),
    ({"limit": True}, "/limit"), ({"cursor": "x"}, "/cursor"), ({"cursor": 7}, "/cursor"),
])  # fmt: skip
def test_a_queue_is_asked_for_in_its_own_words(given: dict[str, Any], pointer: str) -> None:
    asked = {"state": None, "limit": 50, "cursor": None, "most": 100, "kinds": ("one",)}
    assert rules.require_queue(**asked) == rules.Queue(None, None, 50, None)
    with pytest.raises(InvalidInput) as wrong:
        rules.require_queue(**(asked | given))
    assert pointers(wrong)[0][0] == pointer


@pytest.mark.parametrize(("verdict", "note", "fault"), [
    ("perhaps", "x", ("/verdict", "choice")), (None, "x", ("/verdict", "choice")),
    ("justified", " ", ("/answer", "required")), ("justified", None, ("/answer", "required")),
    ("justified", "x" * (WORDS_LENGTH + 1), ("/answer", "too_long")),
])  # fmt: skip
def test_a_finding_has_one_of_its_words_and_a_reason(verdict: object, note: object, fault: tuple[str, str]) -> None:
    assert rules.require_finding("not_justified", " why ", "/answer") == ("not_justified", "why")
    with pytest.raises(InvalidInput) as wrong:
        rules.require_finding(verdict, note, "/answer")
    assert pointers(wrong) == [fault]


def test_a_question_is_asked_in_words_or_in_none() -> None:
    assert rules.require_comment(None) is None
    assert rules.require_comment(" Who is this? ") == "Who is this?"
    for wrong in ("", "   ", 7, "x" * (WORDS_LENGTH + 1)):
        with pytest.raises(InvalidInput):
            rules.require_comment(wrong)


def test_a_day_is_one_in_luxembourg_whatever_the_season() -> None:
    winter, summer = rules.require_period("2026-01-10", "2026-01-10"), rules.require_period("2026-07-10", "2026-07-11")
    assert winter.since.astimezone(UTC) == datetime(2026, 1, 9, 23, tzinfo=UTC)
    assert winter.until.astimezone(UTC) == datetime(2026, 1, 10, 23, tzinfo=UTC)
    assert summer.until.astimezone(UTC) == datetime(2026, 7, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(("since", "until"), [
    ("2026-01-02", "2026-01-01"), ("2024-01-01", "2026-12-31"), ("1.1.2026", "2026-01-01"), (None, "2026-01-01"),
    ("2026-01-01", None), ("0001-01-01", "0001-01-02"), ("9999-12-31", "9999-12-31"),
])  # fmt: skip
def test_a_period_is_no_longer_than_two_years_and_begins_before_it_ends(since: object, until: object) -> None:
    with pytest.raises(InvalidInput):
        rules.require_period(since, until)


# --- the reach of a search --------------------------------------------------------------------------------------------

KNOWN = {"action": frozenset({"log.read"}), "ground": frozenset({"holder"}), "outcome": frozenset({"allowed"})}


def search(cursor: str | None = None, since: str = "2026-01-01", **ids: object) -> rules_search.Search:
    return rules_search.require_search(since, "2026-01-31", 50, cursor, ids, {}, KNOWN)


def test_without_a_record_a_page_reaches_so_far_and_the_next_one_goes_on_there_until_the_first_day() -> None:
    reached, cursor, pages = None, None, 0
    while True:
        asked = search(cursor, professional_id=ID)
        assert reached is None or asked.until == reached
        assert asked.until - asked.since <= timedelta(days=SEARCH_DAYS)
        reached, pages, cursor = asked.since, pages + 1, asked.next_cursor(None)
        if cursor is None:
            break
    assert reached == asked.period.since and pages == 5


def test_within_a_record_one_page_reaches_through_all_of_the_time() -> None:
    asked = search(record_id=ID)
    assert asked.since == asked.period.since and asked.next_cursor(None) is None


def test_a_full_page_goes_on_after_its_last_entry() -> None:
    cursor = search().next_cursor((AT, ID))
    assert require_position(cursor) == (AT, ID)


def test_a_cursor_reaches_no_further_than_the_time_that_is_asked_about() -> None:
    later = search(since="2026-01-30").next_cursor((datetime(2030, 1, 1, tzinfo=UTC), ID))
    asked = search(later, since="2026-01-30")
    assert asked.until == asked.period.until


@pytest.mark.parametrize(("ids", "words"), [
    ({"record_id": "x"}, {}), ({}, {"action": "document.eaten"}), ({}, {"ground": "mood"}), ({}, {"outcome": "maybe"}),
])  # fmt: skip
def test_what_cannot_be_found_is_not_looked_for(ids: dict[str, object], words: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        rules_search.require_search("2026-01-01", "2026-01-02", 50, None, ids, words, KNOWN)


def test_the_trace_of_a_search_names_the_first_whom_it_looked_for() -> None:
    assert search(account_id=ID, professional_id=ID).person == ("professional", ID)
    assert search(establishment_id=ID).person == ("establishment", ID)
    assert search(record_id=ID).person is None


def test_the_ids_of_traces_of_a_moment_begin_where_its_millisecond_does() -> None:
    ids = [traced(None, "log.read", at=AT + timedelta(milliseconds=number)).trace_id for number in (-1, 0, 1)]
    first = rules_search.first_id_at(AT)
    assert [uuid.UUID(each) >= uuid.UUID(first) for each in ids] == [False, True, True]
