"""What somebody is told of an event, and the rows that stand for it until it is sent. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from services.notifications.rules import (
    CHANNEL_OF_KIND,
    RESET_LINK_MINUTES,
    notice_recipient,
    occasion_of_notice,
)
from services.notifications.rules_occasions import INBOX, OCCASIONS
from services.notifications.rules_record_news import Reader
from services.notifications.rules_ways import Way

NEWS_LAST: Final = timedelta(days=5)
"""For how long news are worth sending; until then no outage makes us give them up."""


@dataclass(frozen=True)
class Notice:
    """One thing that one person is told because of an event.

    at: when it happened (RFC 3339). record_id, object_type, object_id: what it is about, for the link behind the
    log-in. document_id: the document it would betray, where it is about one: while that is hidden from its reader it is
    not sent. document_type, author_id: for the reader's own choice of what to hear of; neither is kept. told_as: the id
    it shares with others that are told once together, where it is not told for each event.
    """

    reader: Reader
    at: str
    record_id: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    document_id: str | None = None
    count: int = 1
    document_type: str | None = None
    author_id: str | None = None
    told_as: str | None = None


def one_each(notices: Iterable[Notice], event_id: str) -> list[Notice]:
    """The notices without those that would tell somebody of the same thing twice: what comes first stands."""
    told: dict[tuple[str, str], Notice] = {}
    for notice in notices:
        told.setdefault((notice.told_as or event_id, notice.reader.person_id), notice)
    return list(told.values())


def rows_of(
    notice: Notice, ways: Sequence[Way], *, event_id: str, request_id: str | None, at: datetime, text_of_at: str
) -> list[dict[str, Any]]:
    """The rows of a notice, one for each way; what is in the inbox has arrived, all else waits until it is due.

    at: the present, and how it stands in a history.
    """
    reader = notice.reader
    about = {
        "event_id": notice.told_as or event_id, "request_id": request_id, "recipient_kind": reader.kind,
        "recipient_id": reader.person_id, "occasion": reader.occasion, "role": reader.role,
        "record_id": notice.record_id, "object_type": notice.object_type, "object_id": notice.object_id,
        "document_id": notice.document_id, "count": notice.count, "happened_at": notice.at,
    }  # fmt: skip
    urgent = OCCASIONS[reader.occasion].urgent
    return [about | {"urgent": urgent} | _begins(way, at, text_of_at) for way in ways]


def rows_of_notice(
    notice: Mapping[str, Any], notice_id: str, *, event_id: str, request_id: str | None, at: datetime, text_of_at: str
) -> list[dict[str, Any]]:
    """The rows of a notice to an account, one for each of its addresses, which are known by their place alone.

    notice: identity's answer. Nothing switches it off; a link in it ends it sooner than other news.
    """
    occasion = occasion_of_notice(notice["occasion"])
    last = timedelta(minutes=RESET_LINK_MINUTES) if "reset" in notice["values"] else NEWS_LAST
    about = {
        "event_id": event_id, "request_id": request_id, "recipient_kind": "notice", "occasion": occasion,
        "count": 1, "happened_at": notice["values"]["at"], "urgent": True,
    }  # fmt: skip
    return [
        about
        | _begins(Way(CHANNEL_OF_KIND[to["kind"]], at), at, text_of_at)
        | {"recipient_id": notice_recipient(notice_id, place), "expires_at": at + last}
        for place, to in enumerate(notice["recipients"])
    ]


def _begins(way: Way, at: datetime, text_of_at: str) -> dict[str, Any]:
    if way.channel == INBOX:
        return {
            "channel": way.channel, "state": "delivered", "due_at": None, "digest": False, "expires_at": None,
            "settled_at": at, "history": [{"state": "delivered", "at": text_of_at, "cause": None}],
        }  # fmt: skip
    return {
        "channel": way.channel, "state": "queued", "due_at": way.due_at, "digest": way.digest,
        "expires_at": way.due_at + NEWS_LAST, "settled_at": None,
        "history": [{"state": "queued", "at": text_of_at, "cause": None}],
    }  # fmt: skip
