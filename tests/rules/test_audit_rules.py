"""What audit decides, and what a trace is made of."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit import rules
from services.audit.contract import ACTIONS, SUBSCRIPTIONS, traced
from services.refusals import InvalidInput
from tests.builders import caller, context

AT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
ENTRY = "01a1fb67-1800-7ef3-9230-f011c4c785bb"


# --- who reads how much -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holder_side", "professional", "has_clause", "author", "view"),
    [
        (True, False, True, False, "record"),
        (True, False, False, False, "state"),
        (False, True, True, False, "own"),
        (False, True, True, True, "own"),
        (False, True, False, True, "own"),
        (False, True, False, False, "none"),
        (False, False, False, False, "none"),
        (False, False, True, False, "none"),
        (False, False, False, True, "none"),
    ],
)
def test_the_holder_reads_all_a_professional_their_own_and_nobody_else_anything(
    holder_side: bool, professional: bool, has_clause: bool, author: bool, view: str
) -> None:
    assert (
        rules.view_of(holder_side=holder_side, professional=professional, has_clause=has_clause, author=author) == view
    )


# --- pages ------------------------------------------------------------------------------------------------------------


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_marks_the_place_it_was_made_for(at: datetime, entry: uuid.UUID) -> None:
    assert rules.require_position(rules.cursor_after(at, str(entry))) == (at, str(entry))


def test_no_cursor_is_the_beginning() -> None:
    assert rules.require_position(None) is None


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "é",
        7,
        True,
        ["a"],
        encoded("2026-11-21T08:30:00+00:00"),
        encoded("2026-11-21T08:30:00+00:00|"),
        encoded("2026-11-21T08:30:00+00:00|x"),
        encoded(f"yesterday|{ENTRY}"),
        encoded(f"2026-11-21T08:30:00|{ENTRY}"),
        encoded(f"2026-11-21T09:30:00+01:00|{ENTRY}"),
        encoded(f"0001-01-01T00:00:00+14:00|{ENTRY}"),
        encoded(f"9999-12-31T23:59:59-14:00|{ENTRY}"),
        encoded(f"2026-11-21T08:30:00+00:00|{ENTRY.upper()}"),
        encoded(f"2026-11-21T08:30:00+00:00|{ENTRY}") + "==",
        rules.cursor_after(AT, ENTRY)[:-2],
        "A" * 10_000,
    ],
)
def test_what_is_no_cursor_of_ours_is_refused(cursor: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.require_position(cursor)
    assert refused.value.detail == {"errors": [{"pointer": "/cursor", "message": "format"}]}


@given(st.binary(max_size=80))
def test_random_bytes_are_refused_and_never_an_error(noise: bytes) -> None:
    with pytest.raises(InvalidInput):
        rules.require_position(base64.urlsafe_b64encode(noise).decode())


@pytest.mark.parametrize("limit", [0, -1, 101, True, "10", None, 2.5])
def test_a_page_holds_1_to_100_entries(limit: object) -> None:
    with pytest.raises(InvalidInput):
        rules.require_limit(limit)
    assert (rules.require_limit(1), rules.require_limit(100)) == (1, 100)


# --- traces -----------------------------------------------------------------------------------------------------------


def test_a_callers_facts_stand_in_the_trace() -> None:
    who = caller("professional", context=context(address="192.0.2.7", software="cabinet/3"))
    trace = traced(who, "record.read", at=AT, record_id=ENTRY, ground="presence", rule="presence/physician")
    assert (trace.account_id, trace.capacity, trace.session_id) == (who.account_id, "professional", who.session_id)
    assert (trace.professional_id, trace.profession) == (who.professional_id, "physician")
    assert (trace.establishment_id, trace.patient_id) == (who.establishment_id, None)
    assert (trace.request_id, trace.address, trace.software) == (who.context.request_id, "192.0.2.7", "cabinet/3")
    assert (trace.at, trace.outcome, trace.reason) == ("2026-11-21T08:30:00.000000Z", "allowed", None)


def test_a_call_without_a_session_is_traced_by_what_is_known() -> None:
    request = context()
    trace = traced(request, "session.opened", at=AT, account_id="a", capacity="patient", patient_id="p")
    assert (trace.account_id, trace.capacity, trace.patient_id) == ("a", "patient", "p")
    assert (trace.request_id, trace.session_id, trace.professional_id) == (request.request_id, None, None)


def test_a_timer_is_nobody() -> None:
    trace = traced(None, "record.state_changed", at="2026-11-21T09:30:00+01:00", record_id=ENTRY)
    assert (trace.account_id, trace.capacity, trace.request_id) == (None, None, None)
    assert trace.at == "2026-11-21T08:30:00.000000Z"


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "record.peeked"},
        {"action": ""},
        {"outcome": "maybe"},
        {"outcome": "refused"},
        {"at": datetime(2026, 11, 21)},
        {"at": "2026-11-21T08:30:00"},
        {"at": "now"},
    ],
)
def test_a_trace_that_could_not_be_understood_is_not_made(wrong: dict[str, Any]) -> None:
    given_facts: dict[str, Any] = {"action": "record.read", "at": AT, **wrong}
    with pytest.raises(ValueError, match=r"."):
        traced(None, given_facts.pop("action"), **given_facts)


def test_trace_ids_are_new_and_in_the_order_of_time() -> None:
    ids = [traced(None, "log.read", at=AT + timedelta(milliseconds=n)).trace_id for n in range(200)]
    assert ids == sorted(set(ids))
    assert all(uuid.UUID(each).version == 7 and uuid.UUID(each).variant == uuid.RFC_4122 for each in ids)
    assert traced(None, "log.read", at=AT).trace_id != traced(None, "log.read", at=AT).trace_id


def test_a_time_of_another_zone_is_the_same_time() -> None:
    there = AT.astimezone(timezone(timedelta(hours=2)))
    assert traced(None, "log.read", at=there).at == traced(None, "log.read", at=AT).at


def test_actions_name_a_thing_and_what_was_done_to_it() -> None:
    assert all(len(action.split(".")) == 2 and action == action.lower() for action in ACTIONS)


def test_every_service_is_listened_to() -> None:
    assert {source for source, _ in SUBSCRIPTIONS} == {
        "identity", "directory", "dossier", "documents", "audit", "notifications",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("view", "may_see_withheld", "kinds"),
    [
        ("record", True, ("blocked",)),
        ("record", False, ("blocked", "withheld")),
        ("own", True, ()),
        ("own", False, ()),
        ("none", False, ()),
    ],
)
def test_the_holder_side_reads_nothing_of_what_is_hidden_from_it(
    view: rules.View, may_see_withheld: bool, kinds: tuple[str, ...]
) -> None:
    assert rules.left_out(view, may_see_withheld=may_see_withheld) == kinds


@pytest.mark.parametrize("action", ["document.searched", "document.shown", "log.read", "something.new"])
@pytest.mark.parametrize(
    ("view", "own", "of_holder_side", "may_see_withheld", "told"),
    [
        ("record", True, True, False, True),
        ("record", False, True, True, True),
        ("record", False, True, False, False),
        ("record", False, False, True, False),
        ("own", True, False, False, True),
    ],
    ids=["their own", "the holder side's", "the minor's, to a parent", "a professional's", "a professional, of theirs"],
)
def test_how_much_an_answer_showed_is_told_to_nobody_from_whom_part_of_it_may_be_hidden(
    action: str, view: rules.View, own: bool, of_holder_side: bool, may_see_withheld: bool, told: bool
) -> None:
    facts = {"own": own, "of_holder_side": of_holder_side, "may_see_withheld": may_see_withheld}
    assert rules.tells_count(action, view, **facts) is told
    assert rules.tells_count("mandate.ended", view, **facts), "which counts no document"


def test_what_may_be_counted_before_everybody_are_nouns_of_the_catalogue_and_no_documents() -> None:
    nouns = {action.split(".")[0] for action in ACTIONS}
    assert nouns > rules.OPEN_COUNTS
    assert not {"document", "log", "restriction", "review", "patient"} & rules.OPEN_COUNTS
