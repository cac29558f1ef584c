"""The decisions about print batches: what their manifest says, and which letter may be printed again. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from services.notifications.contract_letters import LetterInBatch, LetterSpent, Manifest, ManifestLine, ShownBatch
from services.refusals import Refusal

CODE_LIFETIME: Final = timedelta(days=90)
"""For how long the code of a letter is good, from its first printing on; identity decides it, as of each code."""


def file_of(letter_id: str) -> str:
    """The name of a letter's file."""
    return f"{letter_id}.pdf"


def shown_batch(batch: Mapping[str, Any], text_of: Callable[[datetime], str]) -> ShownBatch:
    """A batch as a list shows it."""
    confirmed_at = batch["confirmed_at"]
    return {
        "batch_id": batch["batch_id"],
        "state": batch["state"],
        "size": batch["size"],
        "made_at": text_of(batch["made_at"]),
        "confirmed_at": None if confirmed_at is None else text_of(confirmed_at),
    }


def manifest(
    batch: Mapping[str, Any], letters: Iterable[Mapping[str, Any]], text_of: Callable[[datetime], str]
) -> Manifest:
    """What the print shop checks its pile against: which letters, in which order, how many pages, which bytes."""
    lines: list[ManifestLine] = [
        {
            "place": letter["place"],
            "letter_id": letter["letter_id"],
            "file": file_of(letter["letter_id"]),
            "occasion": letter["occasion"],
            "pages": letter["pages"],
            "sha256": bytes(letter["digest"]).hex(),
        }
        for letter in letters
    ]
    return {**shown_batch(batch, text_of), "letters": sorted(lines, key=lambda line: line["place"])}


def cannot_reprint(
    state: str, printed_at: datetime | None, batch: str | None, activated: bool, now: datetime
) -> Refusal | None:
    """Why a letter may not be printed again; one that waits is going to be printed anyway.

    batch: the state of the batch it lies in. activated: whether its person has an account, for which it was sent.
    """
    if state == "waiting" or printed_at is None:
        return None
    if batch == "open":
        return LetterInBatch()
    return LetterSpent() if activated or printed_at + CODE_LIFETIME <= now else None
