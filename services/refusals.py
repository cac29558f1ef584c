"""Typed refusals: the one kind of "no" that travels unchanged from a service through the bus to the caller.

A subclass is named by the rule that was broken and carries a stable `code`; its detail holds ids, codes and
numbers only, never anything about a person, because refusals are logged and shown.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A use case said no; `code` says which rule, `detail` holds plain JSON values without personal data."""

    code: ClassVar[str] = "refused"
    _by_code: ClassVar[dict[str, type[Refusal]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = Refusal._by_code.setdefault(cls.code, cls)
        if known.__qualname__ != cls.__qualname__:
            raise TypeError(f"two refusals share the code {cls.code!r}: {known.__qualname__}, {cls.__qualname__}")

    def __init__(self, **detail: Any) -> None:
        super().__init__(self.code)
        self.detail = detail

    def to_wire(self) -> dict[str, Any]:
        """The refusal as plain JSON values."""
        return {"code": self.code, "detail": self.detail}

    @staticmethod
    def from_wire(wire: dict[str, Any]) -> Refusal:
        """The refusal as its own type where this process knows the code, else as a plain `Refusal` of that code."""
        code = str(wire["code"])
        kind = Refusal._by_code.get(code)
        if kind is not None:
            return kind(**wire.get("detail", {}))
        unknown = Refusal(**wire.get("detail", {}))
        unknown.code = code  # type: ignore[misc]
        return unknown


class InvalidInput(Refusal):
    """The input breaks its schema or a checksum; `errors` = [{"pointer": "/field", "message": "code"}]."""

    code = "invalid_input"


class Unauthenticated(Refusal):
    """No valid token came with the call."""

    code = "unauthenticated"


class SessionEnded(Refusal):
    """The token is genuine, but its session has ended (log-out, reuse of a refresh token, lock)."""

    code = "session_ended"


class NotAllowed(Refusal):
    """The caller's capacity does not reach this operation; tells nothing of any record."""

    code = "not_allowed"


class InsufficientScope(Refusal):
    """The software's token was not given the scope this operation needs; `scope` names it, null where none opens it."""

    code = "insufficient_scope"


class TooManyTries(Refusal):
    """Guessing is slowed down; `retry_after` in seconds."""

    code = "too_many_tries"


class Unavailable(Refusal):
    """A part of the platform did not answer within the deadline; `service` names it."""

    code = "unavailable"


class RequestInFlight(Refusal):
    """The same Idempotency-Key is being worked on right now."""

    code = "request_in_flight"


class KeyReused(Refusal):
    """The Idempotency-Key was used before with another body."""

    code = "idempotency_key_reused"


class ChangedMeanwhile(Refusal):
    """What is to be changed is no longer what was read (If-Match): read it again, then decide."""

    code = "changed_meanwhile"


class Internal(Refusal):
    """Something of ours failed; the log knows what, the answer does not."""

    code = "internal"
