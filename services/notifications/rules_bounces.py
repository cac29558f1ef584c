"""What a mail server says when it could not deliver: a delivery status notification [RFC 3464], written by anybody.

It is hostile until proven: whoever knows the address for bounces can write one. So it counts only with the Message-ID
of one of our mails, it can only say that this one came back, and nothing else of it is kept or repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.policy import compat32
from typing import Final

LONGEST: Final = 256 * 1024
"""Bytes of a notification that are looked at; a mail server returns headers, or a mail of ours, which is smaller."""

_DEEPEST: Final = 10
_MESSAGE_ID: Final = re.compile(r"<[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f]{12}\.email@opendsp>")
_OUTCOMES: Final = {"failed": "bounced", "delivered": "delivered"}


def read_notification(raw: bytes) -> tuple[str, str] | None:
    """The Message-ID of the mail that is meant, and what became of it; None for what says neither.

    `bounced` for good alone (status 5.x.x): a delay is no end. Never raises, whatever the bytes are.
    """
    if len(raw) > LONGEST:
        return None
    try:
        message = BytesParser(policy=compat32).parsebytes(raw)
        parts = list(_parts(message, 0))
        outcome = next((told for part in parts if (told := _outcome(part)) is not None), None)
        ours = next((told for part in parts if (told := _message_id(part)) is not None), None)
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError):
        return None  # the parser forgives nearly everything; what it does not is no notification
    return None if outcome is None or ours is None else (ours, outcome)


def _parts(message: Message, depth: int) -> Iterator[Message]:
    yield message
    inside = message.get_payload()
    if depth < _DEEPEST and isinstance(inside, list):
        for part in inside:
            if isinstance(part, Message):
                yield from _parts(part, depth + 1)


def _outcome(part: Message) -> str | None:
    """What the fields of a recipient say; the parser makes each block of fields a part of its own."""
    action, status = str(part.get("Action", "")).strip().lower(), str(part.get("Status", "")).strip()
    outcome = _OUTCOMES.get(action.split(" ")[0])
    return None if outcome is None or not status.startswith("5" if outcome == "bounced" else "2") else outcome


def _message_id(part: Message) -> str | None:
    """Our Message-ID in the returned mail or its headers; the notification's own is its server's."""
    kind = part.get_content_type()
    if kind == "text/rfc822-headers" and isinstance(text := part.get_payload(decode=True), bytes):
        part = BytesHeaderParser(policy=compat32).parsebytes(text)
    found = _MESSAGE_ID.fullmatch(str(part.get("Message-ID", "")).strip())
    return found[0] if found is not None else None
