"""Shapes of removals, and of what the scrub of the store found."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.records import Page
from services.documents.contract import END_CAUSES, REASON_LENGTH, REMOVAL_CAUSES, REMOVAL_STATES, SCRUB_FINDINGS


class RemovalAsked(Shape):
    document_id = Id("Of the document; agents name it and never read it.", required=True)
    cause = Choice(REMOVAL_CAUSES, required=True)
    reason = Text("Why, in the agent's words; no names.", maximum=REASON_LENGTH, required=True)
    example: ClassVar = {"document_id": ID, "cause": "wrong_patient", "reason": "Demande écrite du 3 mars, vérifiée."}


class RemovalQuery(Page):
    state = Choice(REMOVAL_STATES)


class Removal(Shape):
    removal_id = Id()
    document_id = Id()
    cause = Choice((*REMOVAL_CAUSES, *END_CAUSES))
    reason = Text()
    state = Choice(REMOVAL_STATES, "Approved: gone for everybody; destroyed: the last of its bytes is gone too.")
    asked_by = Id("Account of the agent.", allow_none=True)
    asked_at = Moment()
    decided_by = Id("Account of the other agent.", allow_none=True)
    decided_at = Moment(allow_none=True)
    destroyed_at = Moment(allow_none=True)
    objects = Number("How many stored objects went, or have to go.")
    example: ClassVar[dict[str, Any]] = {
        "removal_id": ID,
        "document_id": OTHER_ID,
        "cause": "wrong_patient",
        "reason": "Demande écrite du 3 mars, vérifiée.",
        "state": "asked",
        "asked_by": OTHER_ID,
        "asked_at": TIME,
        "decided_by": None,
        "decided_at": None,
        "destroyed_at": None,
        "objects": 0,
    }


class Removals(Shape):
    removals = Listed(Part(Removal), "Newest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"removals": [Removal.example], "next_cursor": None}


class ScrubFinding(Shape):
    object_id = Id("The object's name in the store.")
    document_id = Id("Whose bytes these are.", allow_none=True)
    kind = Choice(("content", "rendition"), "The file itself, or what was made of it.")
    finding = Choice(SCRUB_FINDINGS)
    at = Moment()
    example: ClassVar = {"object_id": ID, "document_id": OTHER_ID, "kind": "content", "finding": "missing", "at": TIME}


class Scrubs(Shape):
    findings = Listed(Part(ScrubFinding), "Newest first.")
    objects = Number("How many there are to be read.")
    scrubbed = Number("How many of them were read since `since`.")
    since = Moment("The oldest reading; null before the first.", allow_none=True)
    next_cursor = Text(allow_none=True)
    example: ClassVar = {
        "findings": [ScrubFinding.example], "objects": 21, "scrubbed": 20, "since": TIME, "next_cursor": None,
    }  # fmt: skip
