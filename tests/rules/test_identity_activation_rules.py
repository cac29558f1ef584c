"""The flows of activation, step by step: every step that is allowed beside every one that is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity import rules_activation as rules
from services.identity.contract import ACTIVATION_STEPS, ActivationComplete, StepOutOfOrder
from services.refusals import InvalidInput, Refusal

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STEPS = (*ACTIVATION_STEPS, "contact_proof")
WAYS = {  # as the seeds and domain.md tell them, not as the code does
    "patient": ["personal_data", "conditions", "contact", "password"],
    "app": ["password", "contact"],
    "professional": ["conditions", "luxtrust", "code", "personal_data", "contact", "password"],
    "agent": ["conditions", "contact", "password"],
    "recovery": ["contact", "password"],
}


def progress(flow: str, done: int, **facts: Any) -> rules.Progress:
    """As far as the first `done` steps of a flow."""
    return rules.Progress(flow=flow, done=frozenset(WAYS[flow][:done]), **facts)  # type: ignore[arg-type]


def verdict(at: rules.Progress, step: str) -> str | None:
    try:
        rules.require_step(at, step)  # type: ignore[arg-type]
    except Refusal as refusal:
        return refusal.code
    return None


PLACES = [(flow, done) for flow, way in WAYS.items() for done in range(len(way) + 1)]


@pytest.mark.parametrize(("flow", "done"), PLACES)
def test_a_step_may_be_taken_when_all_before_it_are_done_and_no_other(flow: str, done: int) -> None:
    way = WAYS[flow]
    at = progress(flow, done)
    allowed = set(way[: done + 1])
    due = way[done] if done < len(way) else None
    assert rules.next_step(at) == due
    for step in STEPS:
        assert verdict(at, step) == (None if step in allowed else "step_out_of_order"), (flow, done, step)
    with pytest.raises(StepOutOfOrder) as refusal:
        rules.require_step(at, "contact_proof")
    assert refusal.value.detail == {"next": due}, "it says what is to be done instead"


@pytest.mark.parametrize("flow", WAYS)
def test_a_code_is_entered_once_it_was_sent_and_not_before(flow: str) -> None:
    before = WAYS[flow].index("contact")
    assert verdict(progress(flow, before), "contact_proof") == "step_out_of_order"
    sent = progress(flow, before, code_sent=True)
    assert verdict(sent, "contact_proof") is None and rules.next_step(sent) == "contact_proof"
    assert {shown["step"]: shown["state"] for shown in rules.steps_of(sent)}["contact"] == "code_sent"
    after = WAYS[flow][before + 1 :]
    assert [verdict(sent, step) for step in after] == ["step_out_of_order"] * len(after)


@pytest.mark.parametrize("flow", WAYS)
def test_nothing_is_changed_in_an_activation_that_is_complete(flow: str) -> None:
    at = progress(flow, len(WAYS[flow]), complete=True)
    assert rules.next_step(at) is None
    for step in STEPS:
        with pytest.raises(ActivationComplete):
            rules.require_step(at, step)  # type: ignore[arg-type]
    assert [shown["state"] for shown in rules.steps_of(at)] == ["done"] * len(WAYS[flow])


@pytest.mark.parametrize("flow", ["patient", "professional", "agent"])
def test_what_an_account_keeps_is_passed_over_and_cannot_be_chosen_here(flow: str) -> None:
    kept = frozenset({"contact", "password"})
    mine = [step for step in WAYS[flow] if step not in kept]
    at = rules.Progress(flow=flow, done=frozenset(mine), kept=kept)  # type: ignore[arg-type]
    assert rules.next_step(at) is None
    assert [verdict(at, step) for step in ("contact", "contact_proof", "password")] == ["step_out_of_order"] * 3
    assert [verdict(at, step) for step in mine] == [None] * len(mine)
    shown = {one["step"]: one["state"] for one in rules.steps_of(at)}
    assert shown["contact"] == shown["password"] == "kept"
    without_contact = rules.Progress(flow=flow, done=frozenset(mine), kept=frozenset({"password"}))  # type: ignore[arg-type]
    assert rules.next_step(without_contact) == "contact" and verdict(without_contact, "contact") is None


@given(flow=st.sampled_from(get_args(rules.Flow)), done=st.sets(st.sampled_from(ACTIVATION_STEPS)), sent=st.booleans())
def test_however_an_activation_stands_what_is_next_may_be_done(flow: Any, done: set[Any], sent: bool) -> None:
    at = rules.Progress(flow=flow, done=frozenset(done), code_sent=sent and "contact" not in done)
    due = rules.next_step(at)
    if due is not None:
        rules.require_step(at, due)
    assert [shown["step"] for shown in rules.steps_of(at)] == WAYS[flow]


FLOWS = [  # kind of person, what the letter is for, asked for by the app, the flow it leads into
    ("patient", "activation", None, "patient"), ("patient", "activation", "app", "app"),
    ("agent", "activation", None, "agent"), ("agent", "activation", "app", "agent"),
    ("professional", "activation", "app", "professional"),
    ("patient", "recovery", "app", "recovery"), ("professional", "recovery", None, "recovery"),
    ("agent", "recovery", None, "recovery"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "purpose", "wanted", "flow"), FLOWS)
def test_a_letter_leads_into_its_flow(kind: str, purpose: str, wanted: str | None, flow: str) -> None:
    assert rules.flow_of(kind, purpose, wanted) == flow


def test_no_other_flow_can_be_asked_for() -> None:
    rules.require_flow(None), rules.require_flow("app")
    for wrong in ("professional", "recovery", "", 7):
        with pytest.raises(InvalidInput):
            rules.require_flow(wrong)


def test_each_letter_is_shown_in_one_place_only() -> None:
    sorts = [(kind, purpose) for kind in ("patient", "professional", "agent") for purpose in ("activation", "recovery")]
    for sort in sorts:
        assert rules.begins_activation(*sort) != rules.continues_activation(*sort), sort
    assert [sort for sort in sorts if rules.continues_activation(*sort)] == [("professional", "activation")]


def test_a_code_is_written_in_a_language_we_write() -> None:
    assert rules.language_of("pt") == "pt" and rules.language_of("es") == rules.language_of(None) == "fr"


DAY = timedelta(days=1)
LETTERS = [  # the newest letter, how many in thirty days, active already, another one?
    (NOON - DAY, 1, False, True), (NOON - DAY, 2, False, True), (NOON - 90 * DAY, 0, False, True),
    (NOON - DAY + timedelta(seconds=1), 1, False, False), (NOON, 1, False, False), (NOON - DAY, 3, False, False),
    (NOON - DAY, 1, True, False), (None, 0, False, False), (None, 0, True, False),
]  # fmt: skip


@pytest.mark.parametrize(("newest", "recent", "active", "due"), LETTERS)
def test_a_lost_letter_is_sent_again_once_a_day_and_three_times_in_a_month(
    newest: datetime | None, recent: int, active: bool, due: bool
) -> None:
    assert rules.another_letter_is_due(rules.LettersSent(newest, recent, active), NOON) is due


def test_a_lost_letter_of_an_agent_is_not_asked_for_here() -> None:
    assert rules.require_addressee("patient") == "patient" and rules.require_addressee("professional")
    for wrong in ("agent", "", None):
        with pytest.raises(InvalidInput):
            rules.require_addressee(wrong)
