"""Plain text: UTF-8, or Latin-1 where it is not; kept for searching, shown as it is."""

from __future__ import annotations

import re

from services.documents.rules_findings import TEXT_LENGTH, Findings, NotPassed
from services.sealing import Buffer

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_READ = 4 * TEXT_LENGTH  # bytes that hold so many characters, however long each is


def examine(data: Buffer, media_type: str, facts: dict[str, object]) -> Findings:
    """The text for searching. Raises NotPassed: broken for what is no text."""
    head = bytes(data[:_READ])
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as broken:
        cut = len(data) > len(head) and broken.start >= len(head) - 3
        text = head[: broken.start].decode("utf-8") if cut else head.decode("latin-1")
    if _CONTROL.search(text):
        raise NotPassed("broken")
    return Findings(text=text.removeprefix("\ufeff")[:TEXT_LENGTH])


def warm_up() -> None:
    """Loads the codecs."""
    examine(b"\xe9", "text/plain", {})
