"""What sending to foreign systems answers."""

from __future__ import annotations

from typing import Any, Final, TypedDict

WAYS: Final[tuple[str, ...]] = ("queue", "webhook")
DELIVERY_STATES: Final[tuple[str, ...]] = ("active", "lagging", "parked")
"""Of sending to a subscription: it works; it fails for now, or is behind; nothing is tried until it is resumed."""


class Replayed(TypedDict):
    """Answer of `replay_subscription`: how many events go out once more, and the lowest of their numbers.

    `last_sequence`: the number given last; what happens from now on has higher ones.
    """

    subscription_id: str
    events: int
    first_sequence: int | None
    last_sequence: int


class Resumed(TypedDict):
    """Answer of `resume_subscription`: how many events have been waiting."""

    subscription_id: str
    delivery: str
    waiting: int


class Tested(TypedDict):
    """Answer of `test_subscription`; cause: why the event was not taken, null when it was."""

    delivered: bool
    cause: str | None
    milliseconds: int


KeySet = dict[str, Any]
"""Answer of `subscription_keys`: a JWK set [RFC 7517]."""
