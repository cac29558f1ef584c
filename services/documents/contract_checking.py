"""The words and shapes of the close look at a deposit."""

from __future__ import annotations

from typing import Final, TypedDict

DOCUMENT_STATES: Final[tuple[str, ...]] = ("checking", "available", "rejected")
"""What a document is to its depositor; everybody else sees it once it is available [decisions, Bytes]."""


class DepositState(TypedDict):
    """Answer of `deposit_state`; reason: a code of REJECTIONS, null unless it was rejected."""

    state: str
    reason: str | None


class HandedRendition(TypedDict):
    """All the gateway needs to stream what was made of a version; the names are those of `OpenedContent`."""

    content_id: str
    get_url: str
    sealed_key: str
    size: int
    media_type: str
    sha256: str
