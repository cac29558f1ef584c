"""Whom a document may be told of, as what: pure, from who may read it and by which ground."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.dossier.contract import DocumentHearers

LASTING: Final = ("referring_physician", "circle")
"""The grounds of a professional who has somebody in their care for longer than a mandate runs."""


def hearers(record_id: str, reading: Mapping[str, str], author_id: str | None) -> DocumentHearers:
    """Who is told of a document, each as what lets them read it.

    reading: each who may read it, and by which ground: the strongest, so that nobody stands here twice.
    """

    def those(*grounds: str) -> list[str]:
        return [person for person, ground in reading.items() if ground in grounds and person != author_id]

    return {
        "record_id": record_id,
        "holder": next(iter(those("holder")), None),
        "representatives": those("legal_representative"),
        "assistants": those("assistant"),
        "professionals": those(*LASTING),
    }
