"""What became of an invitation, its code, and the set-up assistant's list: pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier import invitation_code, rules_assistants, rules_setup
from services.dossier.contract import ASSISTANT_STATES, SETUP_STEPS, AccessScope, SetupStepNotFound
from services.dossier.presence_code import ALPHABET
from services.dossier.rules_setup import Progress
from services.dossier.tables import tables_at
from services.refusals import InvalidInput

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = tables_at(NOW)
MOMENTS = st.sampled_from([NOW - DAY, NOW, NOW + DAY])


@dataclass
class Invited:
    """An invitation as a store shows it."""

    code_until: datetime = NOW + DAY
    accepted_at: datetime | None = None
    until: datetime | None = None
    ended_at: datetime | None = None


@pytest.mark.parametrize(
    ("invited", "state"),
    [
        (Invited(), "invited"),
        (Invited(code_until=NOW), "lapsed"),
        (Invited(until=NOW), "lapsed"),
        (Invited(ended_at=NOW - DAY), "ended"),
        (Invited(code_until=NOW - DAY, ended_at=NOW - DAY), "ended"),
        (Invited(accepted_at=NOW - DAY), "accepted"),
        (Invited(accepted_at=NOW - DAY, code_until=NOW - DAY), "accepted"),
        (Invited(accepted_at=NOW - DAY, until=NOW + DAY), "accepted"),
        (Invited(accepted_at=NOW - DAY, until=NOW), "ended"),
        (Invited(accepted_at=NOW - DAY, ended_at=NOW), "ended"),
    ],
)
def test_an_invitation_is_in_one_state(invited: Invited, state: str) -> None:
    assert rules_assistants.state_of(invited, NOW) == state


@given(MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_no_state_is_unknown_and_nothing_over_is_open(
    code_until: datetime, accepted: datetime | None, until: datetime | None, ended: datetime | None
) -> None:
    state = rules_assistants.state_of(Invited(code_until, accepted, until, ended), NOW)
    assert state in ASSISTANT_STATES
    if ended is not None or (until is not None and until <= NOW):
        assert state not in ("invited", "accepted")


def test_an_invitation_is_good_for_its_period_or_shorter() -> None:
    assert rules_assistants.code_until(TABLES, None, NOW) == NOW + 14 * DAY
    assert rules_assistants.code_until(TABLES, NOW + DAY, NOW) == NOW + DAY
    assert rules_assistants.code_until(TABLES, NOW + 99 * DAY, NOW) == NOW + 14 * DAY


def test_an_invitation_is_good_where_the_holder_has_everything() -> None:
    assert set(rules_assistants.states_to_accept_in(TABLES)) == {"requested", "open", "open_by_lapse", "active"}


def test_assistants_see_open_records_alone_and_the_holder_also_that_theirs_is_closed() -> None:
    side, assistants = rules_assistants.states_shown(TABLES)
    assert set(assistants) == {"open_by_lapse", "active"}
    assert set(side) == {"requested", "open", "open_by_lapse", "active", "closed"}


# --- the code -----------------------------------------------------------------------------------------------------


def test_codes_are_long_legible_and_never_the_same() -> None:
    codes = {invitation_code.draw() for _ in range(500)}
    assert len(codes) == 500
    assert all(set(code) <= {*ALPHABET, "-"} and len(code.replace("-", "")) == 20 for code in codes)
    assert len(ALPHABET) ** 20 >= 2**80 and not set("01ILOS5ZBV8") & set(ALPHABET)


@given(st.data())
def test_a_code_is_the_same_however_it_is_typed_and_no_other(data: st.DataObject) -> None:
    code, other = invitation_code.draw(), invitation_code.draw()
    typed = "".join(data.draw(st.sampled_from((sign, sign.lower(), f" {sign}", f"{sign}-"))) for sign in code)
    assert invitation_code.digest_of(typed) == invitation_code.digest_of(code)
    assert invitation_code.digest_of(other) != invitation_code.digest_of(code)


@pytest.mark.parametrize("wrong", [None, 7, "", "\ud800", b"x", ["x"], "x" * 10_000])
def test_what_is_no_code_is_just_another_digest(wrong: object) -> None:
    assert len(invitation_code.digest_of(wrong)) == 32


# --- the set-up assistant ---------------------------------------------------------------------------------------------


def scope_of(*grounds: str) -> AccessScope:
    clauses = tuple(clause for ground in grounds for _, clause in TABLES.clauses[ground, "physician", True])
    return AccessScope("r", "p", "active", True, False, None, clauses)


@given(st.dictionaries(st.sampled_from((*SETUP_STEPS, "closing")), st.sampled_from(("done", "skipped"))))
def test_the_list_has_every_step_once_in_order_and_the_next_is_the_first_open_one(told: dict[str, str]) -> None:
    rows = [(step, state, "holder", NOW) for step, state in told.items()]
    steps = rules_setup.checklist(TABLES, scope_of("holder"), rows)
    assert tuple(each.step for each in steps) == SETUP_STEPS
    left = [step for step in SETUP_STEPS if step not in told]
    assert rules_setup.next_step(steps) == (left[0] if left else None)
    assert {each.step: each.state for each in steps if each.state != "open"} == {
        step: state for step, state in told.items() if step in SETUP_STEPS
    }


def test_what_is_not_for_the_caller_to_do_is_never_next() -> None:
    steps = rules_setup.checklist(TABLES, scope_of("assistant"), [])
    assert not steps[0].may_do and rules_setup.next_step(steps) == "circle"
    assert rules_setup.next_step([Progress("circle", "open", None, None, may_do=False)]) is None


def test_there_are_no_other_steps_and_states() -> None:
    found = rules_setup.require_step(TABLES, "circle")
    assert not isinstance(found, SetupStepNotFound) and found.action == "circle"
    for wrong in ("closing", "", None, 7):
        assert isinstance(rules_setup.require_step(TABLES, wrong), SetupStepNotFound)
        with pytest.raises(InvalidInput):
            rules_setup.require_state(wrong)


def test_every_step_is_about_something_the_holder_may_do() -> None:
    assert all(TABLES.holder_actions[each.action, "holder"] for each in TABLES.setup_steps)
