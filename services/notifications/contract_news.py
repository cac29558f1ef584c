"""What notifications tells itself: that people may hear of a document, once foreign systems were told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class DocumentNewsDue:
    """People may hear of a document that is new to them; who that is, is asked when this arrives.

    What foreign systems hear waits for none of this: it is told after them, and in no hurry. what: added, or shown
    where the holder side sees again what was blocked from them. hidden: from whom of the holder side it is hidden:
    blocked from all, withheld from representatives. at: RFC 3339.
    """

    type: ClassVar[str] = "document_news_due.v1"
    subject: ClassVar[str | None] = None
    prompt: ClassVar[bool] = False

    what: str
    document_id: str
    hidden: str | None
    at: str
