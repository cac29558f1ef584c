"""Whom a document may be told of, as what: pure, from who may read it and by which ground."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.dossier.contract import AccessScope, DocumentFacts, DocumentHearers
from services.dossier.rules import Facts, grant_of_reading

LASTING: Final = ("referring_physician", "circle")
"""The grounds of a professional who has somebody in their care for longer than a mandate runs."""


def hearers(record_id: str, people: Iterable[tuple[Facts, AccessScope]], document: DocumentFacts) -> DocumentHearers:
    """Who is told of a document, each as what lets them read it: the strongest, so that nobody stands here twice.

    people: the situation of each who may come into question, and what it gives them.
    """
    granted = ((facts.own_patient_id or facts.professional_id or "", grant_of_reading(scope, document))
               for facts, scope in people)  # fmt: skip
    reading = {person: grant[0] for person, grant in granted if grant is not None}

    def those(*grounds: str) -> list[str]:
        return [person for person, ground in reading.items() if ground in grounds and person != document.author_id]

    return {
        "record_id": record_id,
        "holder": next(iter(those("holder")), None),
        "representatives": those("legal_representative"),
        "assistants": those("assistant"),
        "professionals": those(*LASTING),
    }
