"""The helpdesk's decisions as tables: every action in every state for everybody, what a request holds, how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import pytest

from services.identity import rules_helpdesk as rules
from services.identity.contract import REQUEST_STATES, RequestClosed, RequestNotTaken, RequestTaken
from services.refusals import InvalidInput, Refusal

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TOPICS = "activation, contact,other"

# One row per action: what it makes of a request that is open, and of one in hand, answered, closed: of the agent's own,
# of another agent's, of another agent's for an administrator. T taken, R not taken yet, C closed.
T, R, C = RequestTaken, RequestNotTaken, RequestClosed
OWN = {
    "take": ("taken", "taken", "answered", C),
    "release": ("open", "open", "open", C),
    "identity_check": (R, "taken", "answered", C),
    "letter": (R, "taken", "answered", C),
    "contact": (R, "taken", "answered", C),
    "answer": (R, "answered", "answered", C),
    "close": (R, "closed", "closed", "closed"),
}


def outcome(action: Any, state: Any, whose: Any, role: str) -> Any:
    after = rules.step(action, state, whose, role)
    return type(after) if isinstance(after, Refusal) else after


def test_the_table_knows_every_action_and_state() -> None:
    assert set(OWN) == set(get_args(rules.Action))
    assert get_args(rules.State) == REQUEST_STATES


@pytest.mark.parametrize("role", ["agent", "administrator"])
@pytest.mark.parametrize(("action", "number"), list(product(OWN, range(4))))
def test_what_an_agent_may_do_with_an_open_request_and_with_their_own(action: str, number: int, role: str) -> None:
    state = REQUEST_STATES[number]
    whose = "nobodys" if state == "open" else "mine"
    assert outcome(action, state, whose, role) == OWN[action][number]


@pytest.mark.parametrize("role", ["agent", "administrator", None])
@pytest.mark.parametrize(("action", "state"), list(product(OWN, ("taken", "answered", "closed"))))
def test_another_agents_request_is_nobody_elses_but_an_administrator_may_give_it_back(
    action: str, state: str, role: Any
) -> None:
    given_back = action == "release" and role == "administrator" and state != "closed"
    expected = "open" if given_back else C if state == "closed" else T
    assert outcome(action, state, "anothers", role) == expected


@pytest.mark.parametrize(
    ("taken_by", "me", "whose"), [(None, "a", "nobodys"), ("a", "a", "mine"), ("b", "a", "anothers")]
)
def test_whose_a_request_is(taken_by: str | None, me: str, whose: str) -> None:
    assert rules.standing(taken_by, me) == whose


@pytest.mark.parametrize(
    ("age", "counts"),
    [(timedelta(0), True), (timedelta(days=30), True), (timedelta(days=30, seconds=1), False), (None, False)],
)
def test_an_identity_check_counts_for_thirty_days(age: timedelta | None, counts: bool) -> None:
    assert rules.check_counts(None if age is None else NOW - age, NOW) is counts


@pytest.mark.parametrize(
    ("role", "held", "own", "may"),
    [
        ("agent", set(), False, True),
        ("agent", {"patient"}, False, True),
        ("agent", {"patient", "professional"}, False, True),
        ("agent", {"patient"}, True, False),
        ("agent", {"agent"}, False, False),
        ("agent", {"patient", "agent"}, False, False),
        ("administrator", {"patient", "agent"}, False, True),
        ("administrator", {"patient", "agent"}, True, False),
        ("administrator", {"patient"}, True, False),
        (None, {"agent"}, False, False),
    ],
)
def test_nobody_opens_a_way_into_their_own_account_and_only_administrators_into_an_agents(
    role: str | None, held: set[str], own: bool, may: bool
) -> None:
    assert rules.may_help(role, held, own) is may


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("email", "jane.doe@example.lu", "jane.doe@example.lu"),
        ("mobile", "+352 621 123 456", "+352621123456"),
        ("letter", "  4, Rue des Tests\nL-1427 Luxembourg ", "4, Rue des Tests\nL-1427 Luxembourg"),
    ],
)
def test_a_reply_goes_to_an_address_that_can_be_one(kind: str, value: str, kept: str) -> None:
    assert rules.require_reply(kind, value) == (kind, kept)


@pytest.mark.parametrize(
    ("kind", "value", "pointer", "message"),
    [
        ("email", "jane.doe", "/reply_value", "email_format"),
        ("email", "+352621123456", "/reply_value", "email_format"),
        ("mobile", "jane.doe@example.lu", "/reply_value", "mobile_format"),
        ("letter", "   ", "/reply_value", "required"),
        ("letter", "x" * 501, "/reply_value", "too_long"),
        ("letter", None, "/reply_value", "required"),
        ("totp", "123456", "/reply_kind", "unknown"),
        ("pigeon", "roof", "/reply_kind", "unknown"),
        (None, "jane.doe@example.lu", "/reply_kind", "unknown"),
    ],
)
def test_a_reply_to_nowhere_is_refused_at_its_field(kind: Any, value: Any, pointer: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        rules.require_reply(kind, value)
    assert refusal.value.detail == {"errors": [{"pointer": pointer, "message": message}]}


@pytest.mark.parametrize(
    ("require", "right"),
    [
        (lambda value: rules.require_topic(value, TOPICS), ("activation", "contact", "other")),
        (rules.require_language, ("fr", "lb", "pt", "en", "de")),
        (rules.require_paper, ("identity_card", "social_security_card", "passport")),
        (rules.require_purpose, ("activation", "recovery")),
    ],
)
def test_words_of_closed_lists_pass_and_all_others_do_not(require: Any, right: tuple[str, ...]) -> None:
    assert [require(word) for word in right] == list(right)
    for wrong in ("", "nothing", "Activation", "activation,contact", None, 7, ["fr"]):
        with pytest.raises(InvalidInput):
            require(wrong)


@pytest.mark.parametrize(
    ("state", "states"),
    [(None, ("open", "taken", "answered")), ("open", ("open",)), ("closed", ("closed",))],
)
def test_a_list_without_a_state_holds_all_in_which_work_is_left(state: str | None, states: tuple[str, ...]) -> None:
    assert rules.require_states(state) == states


@pytest.mark.parametrize("wrong", ["", "gone", "OPEN", 3])
def test_a_state_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        rules.require_states(wrong)


@pytest.mark.parametrize("limit", [0, 101, -1, True, None, "5", 1.5])
def test_a_page_of_no_size_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidInput):
        rules.require_limit(limit)
    assert rules.require_limit(1) == 1 and rules.require_limit(100) == 100


@pytest.mark.parametrize(("text", "fine"), [("x", True), ("x" * 4000, True), ("", False), (" \n", False),
                                            ("x" * 4001, False), (None, False), (5, False)])  # fmt: skip
def test_a_message_says_something_and_ends(text: Any, fine: bool) -> None:
    if fine:
        assert rules.require_message(text) == text
    else:
        with pytest.raises(InvalidInput):
            rules.require_message(text)


def test_what_a_request_says_about_a_person_is_kept_a_year_after_closing() -> None:
    assert rules.wiped_before(NOW) == NOW - timedelta(days=365)


@pytest.mark.parametrize(
    ("before", "message", "kept"),
    [
        (None, None, None),
        (None, "a", "a"),
        ("a", None, "a"),
        ("a", "b", "a\n\nb"),
        ("a\n\nb", "b", "a\n\nb"),
    ],
)
def test_what_is_said_later_stands_beside_what_was_said_before(before: Any, message: Any, kept: Any) -> None:
    assert rules.joined(before, message) == kept


def test_what_is_too_long_together_is_refused_and_not_cut() -> None:
    with pytest.raises(InvalidInput):
        rules.joined("x" * 2000, "y" * 2000)
