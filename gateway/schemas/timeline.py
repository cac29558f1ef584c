"""Shapes of the timeline: documents, risk factors, states and mandates in the order of time."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Flag, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.records import Document, Page
from services.directory.contract import PROFESSIONS
from services.documents.contract import ENTRY_KINDS, TIMELINE_KINDS
from services.dossier.contract import STATE_AUTHORS, STATE_CAUSES, STATES

_KINDS = "|".join(TIMELINE_KINDS)


class TimelineQuery(Page):
    kinds = Text(
        f"Only these, with commas between them: {', '.join(TIMELINE_KINDS)}.",
        pattern=rf"\A(?:{_KINDS})(?:,(?:{_KINDS}))*\Z", code="choice",
    )  # fmt: skip
    since = Day("From this day on, in UTC.")
    until = Day("Up to and on this day, in UTC.")


class CodedEntry(Shape):
    """A coded entry that was read from a document."""

    number = Number("Its place in the document.")
    kind = Choice(ENTRY_KINDS)
    display = Text("As its author named it.")
    code = Text(allow_none=True)
    system = Text("The code system's OID.", allow_none=True)
    since = Day("When it began, as far as it is told.", allow_none=True)


class StateStep(Shape):
    """A state that the record came into; how and by whom is told to who may see its history."""

    state = Choice(STATES)
    previous = Choice(STATES, allow_none=True)
    cause = Choice(STATE_CAUSES, allow_none=True)
    by = Choice(STATE_AUTHORS, "As whom it was taken.", allow_none=True)


class MandateStep(Shape):
    """A mandate that was opened or ended."""

    step = Choice(("opened", "ended"))
    mandate_id = Id()
    kind = Text()
    professional_id = Id("Null where it serves everybody who works at the establishment.", allow_none=True)
    name = Text("The professional's name; null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    establishment_id = Id(allow_none=True)
    establishment_name = Text(allow_none=True)
    read_until = Moment()
    deposit_until = Moment()
    example: ClassVar = {
        "step": "opened", "mandate_id": ID, "kind": "presence", "professional_id": OTHER_ID, "name": "MÜLLER Anne",
        "profession": "physician", "establishment_id": None, "establishment_name": None, "read_until": TIME,
        "deposit_until": TIME,
    }  # fmt: skip


class TimelineItem(Shape):
    """One line: what its kind names is there, the rest is null."""

    at = Moment("Of a document the day of the act, else of the deposit; of a risk factor the day it began.")
    day_only = Flag("Of `at` the day alone is known.")
    kind = Choice(TIMELINE_KINDS)
    document = Part(Document, "Of an entry: the document it stands in.", allow_none=True)
    entry = Part(CodedEntry, "A risk factor without an entry is a document of that type.", allow_none=True)
    state = Part(StateStep, allow_none=True)
    mandate = Part(MandateStep, allow_none=True)


class Timeline(Shape):
    items = Listed(Part(TimelineItem), "Newest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {
        "items": [
            {
                "at": TIME, "day_only": False, "kind": "mandate", "document": None, "entry": None, "state": None,
                "mandate": MandateStep.example,
            },
            {
                "at": "2019-08-11T00:00:00.000000Z", "day_only": True, "kind": "risk_factor",
                "document": Document.example,
                "entry": {
                    "number": 1, "kind": "problem", "display": "Asthme", "code": "J45",
                    "system": "2.16.840.1.113883.6.3", "since": "2019-08-11",
                },
                "state": None, "mandate": None,
            },
        ],
        "next_cursor": None,
    }  # fmt: skip
