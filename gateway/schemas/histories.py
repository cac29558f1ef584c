"""Shapes of a record's histories: the accesses, the chronology by person, and the changes."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Day, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.records import Page
from services.audit.contract import DAYS_LIMIT, GROUPS, OUTCOMES
from services.dossier.contract import GROUNDS as ACCESS_GROUNDS

_OUTCOMES = tuple(sorted(OUTCOMES))


class _Wanted(Query):
    """What each history can be narrowed to."""

    since = Day("From this day on, in UTC.")
    until = Day("Up to and on this day, in UTC.")
    professional_id = Id("What this professional did.")
    establishment_id = Id("What was done by people who worked there then.")
    group = Choice(GROUPS, "Actions of this group.")
    ground = Choice(ACCESS_GROUNDS, "What was done on this ground.")


class HistoryQuery(_Wanted, Page):
    object_id = Id("What was done to this document, mandate or other thing.")
    outcome = Choice(_OUTCOMES)


class ActivityQuery(_Wanted, Page):
    object_id = Id("What was done to this document, mandate or other thing.")


class ChronologyQuery(_Wanted):
    limit = Number("How many days at most on which something happened.", minimum=1, maximum=DAYS_LIMIT, load_default=10)
    cursor = Day("`next_cursor` of the page before.")
    outcome = Choice(_OUTCOMES)


class Words(Shape):
    """The parts of an entry in plain words, in the language of Accept-Language."""

    action = Text()
    who = Text("By name, profession or role, and establishment, as far as these are known.")
    document = Text("The type of the document it is about.", allow_none=True)
    ground = Text(allow_none=True)
    software = Text(allow_none=True)
    refused = Text("Why, where it was refused.", allow_none=True)


_WORDS = {
    "action": "Opening of a document", "who": "MÜLLER Anne, Physician, Cabinet du Parc",
    "document": "Laboratory results", "ground": "presence of the patient, presence code entered",
    "software": "praxis/4.2", "refused": None,
}  # fmt: skip


class Entry(Shape):
    entry_id = Id()
    at = Moment()
    text = Text("The whole entry in one sentence, in the language of Accept-Language.", maximum=2000)
    words = Part(Words)
    action = Text()
    outcome = Choice(_OUTCOMES)
    reason = Text("Code of the refusal.", allow_none=True)
    capacity = Text(allow_none=True)
    account_id = Id(allow_none=True)
    patient_id = Id(allow_none=True)
    professional_id = Id(allow_none=True)
    name = Text("Of the person who acted; null for an agent and while the directory cannot be asked.", allow_none=True)
    profession = Text(allow_none=True)
    establishment_id = Id(allow_none=True)
    establishment_name = Text(allow_none=True)
    object_id = Id(allow_none=True)
    object_type = Text(allow_none=True)
    document_type = Text("Of the document it is about, as far as the reader may see that.", allow_none=True)
    ground = Text(allow_none=True)
    rule = Text(allow_none=True)
    software = Text(allow_none=True)
    request_id = Text(allow_none=True)
    count = Number("How many objects one answer showed.", allow_none=True)


class AccessHistory(Shape):
    entries = Listed(Part(Entry), "Newest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {
        "entries": [
            {
                "entry_id": ID, "at": TIME,
                "text": "Opening of a document (Laboratory results) – MÜLLER Anne, Physician, Cabinet du Parc. Ground:"
                " presence of the patient, presence code entered. Software: praxis/4.2.",
                "words": _WORDS, "action": "document.opened", "outcome": "allowed", "reason": None,
                "capacity": "professional", "account_id": OTHER_ID, "patient_id": None, "professional_id": OTHER_ID,
                "name": "MÜLLER Anne", "profession": "physician", "establishment_id": OTHER_ID,
                "establishment_name": "Cabinet du Parc", "object_id": ID, "object_type": "document",
                "document_type": "laboratory_results", "ground": "presence", "rule": "mandate/presence",
                "software": "praxis/4.2", "request_id": ID, "count": None,
            }
        ],
        "next_cursor": None,
    }  # fmt: skip


class Done(Shape):
    """What somebody did on a day, and how often."""

    action = Text()
    text = Text("The action in words.")
    times = Number()
    refused = Number("How many of these times in vain.")


class Line(Shape):
    """What one person did with the record on one day, in one capacity and at one place."""

    day = Day("In UTC.")
    first_at = Moment()
    last_at = Moment()
    who = Text("By name, profession or role, and establishment, in words.", maximum=1000)
    account_id = Id(allow_none=True)
    capacity = Text(allow_none=True)
    professional_id = Id(allow_none=True)
    patient_id = Id(allow_none=True)
    name = Text(allow_none=True)
    profession = Text(allow_none=True)
    establishment_id = Id(allow_none=True)
    establishment_name = Text(allow_none=True)
    grounds = Listed(Text())
    grounds_text = Listed(Text(), "The same in words.")
    did = Listed(Part(Done))


class Chronology(Shape):
    lines = Listed(Part(Line), "Newest day first; on each day first who came last.")
    next_cursor = Day(allow_none=True)
    example: ClassVar = {
        "lines": [
            {
                "day": TIME[:10], "first_at": TIME, "last_at": TIME, "who": _WORDS["who"], "account_id": OTHER_ID,
                "capacity": "professional", "professional_id": OTHER_ID, "patient_id": None, "name": "MÜLLER Anne",
                "profession": "physician", "establishment_id": OTHER_ID, "establishment_name": "Cabinet du Parc",
                "grounds": ["presence"], "grounds_text": [_WORDS["ground"]],
                "did": [
                    {"action": "document.opened", "text": "Opening of a document", "times": 3, "refused": 0}
                ],
            }
        ],
        "next_cursor": None,
    }  # fmt: skip
