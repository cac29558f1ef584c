"""Shapes of the referring physician: who it is, the designations, the health fund's list."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.directory.contract import PROFESSIONS
from services.dossier.contract import (
    DESIGNATION_ENDS,
    DESIGNATION_STATES,
    FEED_LINES,
    FEED_OUTCOMES,
    PROPOSED_BY,
)

DESIGNATION_ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e05"
SIDES = PROPOSED_BY[:2]


class CurrentReferringPhysician(Shape):
    """Who it is now; while somebody stands in, whoever does."""

    designation_id = Id()
    professional_id = Id()
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    since = Moment()
    until = Moment(allow_none=True)
    stands_in_for = Id("The physician who is replaced meanwhile.", allow_none=True)


class Designation(Shape):
    designation_id = Id()
    professional_id = Id()
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    state = Choice(DESIGNATION_STATES)
    proposed_by = Choice(PROPOSED_BY)
    proposed_at = Moment()
    replaces_id = Id("Of a replacement: the designation it stands in for.", allow_none=True)
    holder_signed_at = Moment(allow_none=True)
    physician_signed_at = Moment(allow_none=True)
    notified_at = Moment("When the health fund had its notice.", allow_none=True)
    effective_at = Moment("The 1st of the month after the notice.", allow_none=True)
    ends_at = Moment(allow_none=True)
    end_cause = Text(allow_none=True)
    end_asked_by = Choice(SIDES, "Who asked for the end; in the first year the other side has to agree.",
                          allow_none=True)  # fmt: skip
    example: ClassVar[dict[str, Any]] = {
        "designation_id": DESIGNATION_ID,
        "professional_id": ID,
        "name": "MÜLLER Anne",
        "profession": "physician",
        "state": "proposed",
        "proposed_by": "holder",
        "proposed_at": TIME,
        "replaces_id": None,
        "holder_signed_at": TIME,
        "physician_signed_at": None,
        "notified_at": None,
        "effective_at": None,
        "ends_at": None,
        "end_cause": None,
        "end_asked_by": None,
    }


class ReferringPhysicians(Shape):
    current = Part(CurrentReferringPhysician, allow_none=True)
    designations = Listed(Part(Designation), "All for the holder side, their own for a physician.")
    example: ClassVar = {
        "current": {
            "designation_id": DESIGNATION_ID,
            "professional_id": ID,
            "name": "MÜLLER Anne",
            "profession": "physician",
            "since": TIME,
            "until": None,
            "stands_in_for": None,
        },
        "designations": [Designation.example],
    }


class DesignationWanted(Shape):
    professional_id = Id("Who is proposed; a physician proposes themselves and may leave it out.")
    replaces_id = Id("Of a replacement: the designation it stands in for.", allow_none=True)
    until = Moment("Of a replacement: when it ends; twelve months after it takes effect at the latest.",
                   allow_none=True)  # fmt: skip
    example: ClassVar = {"professional_id": ID}


class EndWanted(Shape):
    cause = Choice(DESIGNATION_ENDS, "refusal: the physician goes on no longer.", load_default="notice")
    example: ClassVar = {"cause": "notice"}


class FeedLine(Shape):
    """A line of the health fund's list: whose, who, from when on, until when."""

    record_id = Id("This, or patient_id.")
    patient_id = Id("This, or record_id.")
    professional_id = Id(required=True)
    effective_on = Day("The 1st of a month.", allow_none=True)
    ended_on = Day("From the beginning of this day on it is over.", allow_none=True)


class Feed(Shape):
    lines = Listed(Part(FeedLine), maximum=FEED_LINES, required=True)
    example: ClassVar = {
        "lines": [{"patient_id": OTHER_ID, "professional_id": ID, "effective_on": "2026-12-01"}],
    }


class FeedAnswer(Shape):
    line = Number("Its place in what was sent, from 1.")
    outcome = Choice(FEED_OUTCOMES)
    reason = Text("Of a line that was refused: a code.", allow_none=True)


class FeedAnswers(Shape):
    lines = Listed(Part(FeedAnswer))
    example: ClassVar = {"lines": [{"line": 1, "outcome": "added", "reason": None}]}
