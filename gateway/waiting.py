"""`Prefer: wait=N` on a deposit: the answer waits until the bytes were looked at closely, for N seconds at the most.

A deposit is durable before anybody waits: whoever does not want to, or not so long, is told that it is being checked.
"""

from __future__ import annotations

import re
import time
from typing import Any

from flask import after_this_request, request

from gateway import streams
from gateway.caller import ask_anew
from services.refusals import Refusal

LONGEST = 30  # seconds
_FIRST, _GROWTH, _SLOWEST = 0.05, 1.5, 0.5  # seconds between two looks
_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,6})"?\s*(?=[;,]|$)', re.IGNORECASE)

PREFER: dict[str, Any] = {
    "in": "header",
    "name": "Prefer",
    "description": f"`wait=N` (RFC 7240): answer once the file was checked, or after N seconds, {LONGEST} at the most.",
    "schema": {"type": "string"},
    "example": "wait=10",
}
PARAMETERS = (PREFER,)
HEADERS = ("Preference-Applied",)
"""What every operation that deposits documents of it."""


def preferred() -> int | None:
    """The seconds that this request wants to wait; None where it does not say. [RFC 7240 4.3]"""
    found = _WAIT.search(",".join(request.headers.getlist("Prefer")))
    return None if found is None else min(int(found[1]), LONGEST)


def settled(account_id: str, upload_id: str, committed: dict[str, Any]) -> dict[str, Any]:
    """The answer of a deposit with the state of its bytes, once that is settled or the wait is over.

    account_id: whoever waits holds one of their places for uploads; where none is left, nobody waits.
    """
    return several(account_id, [upload_id], [committed])[0]


def several(account_id: str, upload_ids: list[str], committed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same of several deposits of one request, which wait together."""
    states: list[dict[str, Any]] = [{"state": "checking", "reason": None} for _ in committed]
    wait = preferred()
    if wait is not None:
        try:
            with streams.place(account_id):
                end = time.monotonic() + wait
                states = [_state(upload_id, end) for upload_id in upload_ids]
            after_this_request(_applied(wait))
        except Refusal:
            pass  # all of their places are taken: the deposit is made all the same
    return [{**each, **state} for each, state in zip(committed, states, strict=True)]


def _state(upload_id: str, end: float) -> dict[str, Any]:
    pause = _FIRST
    while True:
        try:
            state: dict[str, Any] = ask_anew("documents", "deposit_state", upload_id=upload_id)
        except Refusal:  # it is deposited, whatever became of the question
            return {"state": "checking", "reason": None}
        left = end - time.monotonic()
        if state["state"] != "checking" or left <= 0:
            return state
        time.sleep(min(pause, left))
        pause = min(_SLOWEST, pause * _GROWTH)


def _applied(wait: int) -> Any:
    def tell(response: Any) -> Any:
        response.headers["Preference-Applied"] = f"wait={wait}"
        return response

    return tell
