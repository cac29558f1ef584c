"""Whose inbox a caller reads, and what may stand in its pages. No I/O, no clock."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from services.notifications.rules import wrong_page as wrong_list
from services.notifications.rules_occasions import ACCOUNT, AGENT, OCCASIONS

PAGE_LIMIT: Final = 100
COOKIE_MOST: Final = timedelta(minutes=10)
"""For how long a ticket opens streams at the very most; never longer than the token it was asked with."""
TOLD_AT_ONCE: Final = 100
"""How many notices a stream tells when it is taken up again; who missed more reads the list."""

SILENCE_FROM: Final = timedelta(seconds=10)
SILENCE_TO: Final = timedelta(hours=1)
DEVICE_TRIES: Final = 130
"""How often in a row a device is tried that cannot be reached before it is forgotten: some five days."""

_BASE64URL: Final = re.compile(r"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2,3})?={0,2}\Z")
_PLACE: Final = re.compile(r"[0-9]{1,19}\Z")


@dataclass(frozen=True)
class Owner:
    """Whose notices somebody reads in the capacity they logged in with; all that is None has none.

    occasions: what of an account's own news is shown in this capacity.
    """

    patient_id: str | None
    professional_id: str | None
    account_id: str
    occasions: tuple[str, ...]

    @property
    def name(self) -> str:
        """One word that tells this owner from every other."""
        return f"{self.patient_id} {self.professional_id} {self.account_id} {len(self.occasions)}"

    @property
    def reader(self) -> tuple[str, str]:
        """Kind and id, as a message names whom it is for."""
        if self.patient_id is not None:
            return "patient", self.patient_id
        if self.professional_id is not None:
            return "professional", self.professional_id
        return "account", self.account_id


def owner(capacity: str, account_id: str, patient_id: str | None, professional_id: str | None) -> Owner:
    """The owner of the inbox that this capacity opens: what a person hears as a patient is not shown to them at work.

    An agent hears of their queues under their account; whoever deposited something hears of it in every capacity.
    """
    heard = (AGENT, ACCOUNT) if capacity == "agent" else (ACCOUNT,)
    occasions = tuple(sorted(name for name, one in OCCASIONS.items() if set(heard) & set(one.audience)))
    return Owner(
        patient_id if capacity == "patient" else None, professional_id if capacity == "professional" else None,
        account_id, occasions,
    )  # fmt: skip


def wrong_page(unread_only: object, limit: object, cursor: object) -> list[dict[str, str]]:
    """What is wrong with what a page was asked with."""
    errors = wrong_list(None, limit, cursor, PAGE_LIMIT)
    if not isinstance(unread_only, bool):
        errors.append({"pointer": "/unread_only", "message": "boolean"})
    return errors


def decoded(text: object) -> bytes | None:
    """The bytes of a key as browsers write it, base64url with or without its end; None for what is none."""
    if not isinstance(text, str) or not _BASE64URL.match(text):
        return None
    return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def wrong_keys(public_key: bytes | None, auth: bytes | None) -> list[dict[str, str]]:
    """What is wrong with a device's keys: a point of the curve, and 16 bytes (RFC 8291 3.1)."""
    errors = [] if public_key is not None else [{"pointer": "/public_key", "message": "push_key"}]
    if auth is None or len(auth) != 16:
        errors.append({"pointer": "/auth", "message": "push_key"})
    return errors


def wait_for_device(failures: int) -> timedelta:
    """For how long a device is left alone that could not be reached, so often before in a row."""
    return min(SILENCE_FROM * (1 << min(failures, 20)), SILENCE_TO)


def ticket_ends(token_ends: int, now: datetime) -> datetime:
    """Until when a ticket opens streams: as long as its owner's token, and never long."""
    return min(datetime.fromtimestamp(token_ends, now.tzinfo), now + COOKIE_MOST)


def origins_of(*urls: str) -> frozenset[str]:
    """The origins of these addresses, as browsers name them."""
    parts = [urlsplit(url) for url in urls if url]
    return frozenset(f"{one.scheme}://{one.netloc}".lower() for one in parts)


def place_in_stream(told: str | None) -> int | None:
    """Where a stream is taken up again (Last-Event-ID); None for the present, and for what no stream of ours said."""
    return int(told) if told is not None and _PLACE.match(told) and int(told) < 2**63 else None


@dataclass(frozen=True)
class News:
    """What a stream has to tell one owner: what is new since a place, how much is unread, and the place from now on.

    notices: {notification_id, occasion, record_id, object_type, object_id, happened_at}, each with its own transaction
    under `told_in`; oldest first.
    """

    unread: int
    place: int
    notices: tuple[dict[str, Any], ...]
