"""`Prefer: wait=N`: read as RFC 7240 says, bounded, and never a reason to lose the answer of a deposit."""

from __future__ import annotations

import pytest
from flask import Flask

from gateway import caller, streams, waiting

MADE = {"document_id": "x"}


@pytest.mark.parametrize(("header", "seconds"), [
    (None, None), ("", None), ("wait=10", 10), ("respond-async, wait=5", 5), ("WAIT=7; foo", 7), ('wait="3"', 3),
    ("wait = 4", 4), ("wait=999999", 30), ("wait=0", 0), ("wait", None), ("wait=-1", None), ("wait=ten", None),
    ("await=10", None), ("return=minimal", None), ("wait=1.5", None),
])  # fmt: skip
def test_a_wait_is_read_as_the_standard_has_it(app: Flask, header: str | None, seconds: int | None) -> None:
    headers = {} if header is None else {"Prefer": header}
    with app.test_request_context("/", headers=headers):
        assert waiting.preferred() == seconds


def test_the_wait_may_stand_in_a_second_line(app: Flask) -> None:
    with app.test_request_context("/", headers=[("Prefer", "return=minimal"), ("Prefer", "wait=2")]):
        assert waiting.preferred() == 2


def test_who_does_not_want_to_wait_is_told_that_it_is_checked(app: Flask) -> None:
    with app.test_request_context("/"):
        assert waiting.settled("account", "upload", MADE) == {**MADE, "state": "checking", "reason": None}


def test_a_deposit_is_answered_even_when_nobody_can_say_how_far_it_is(app: Flask) -> None:
    with app.test_request_context("/", headers={"Prefer": "wait=1"}):
        caller.begin()
        assert waiting.settled("account", "upload", MADE)["state"] == "checking"
    assert "account" not in streams._running


def test_who_has_no_place_for_an_upload_left_does_not_wait_in_one(app: Flask) -> None:
    with app.test_request_context("/", headers={"Prefer": "wait=30"}):
        caller.begin()
        for _ in range(streams.UPLOADS_AT_ONCE):
            streams._enter("busy")
        try:
            assert waiting.settled("busy", "upload", MADE)["state"] == "checking"
        finally:
            for _ in range(streams.UPLOADS_AT_ONCE):
                streams._leave("busy")
