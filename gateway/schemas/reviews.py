"""Shapes of the privacy officer's reviews and of their statistics."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.records import Page
from services.directory.contract import PROFESSIONS
from services.dossier.contract import EMERGENCY_REASONS, OWN_ACCESSES, REVIEW_NOTE_LENGTH, REVIEW_STATES, VERDICTS


class ReviewQuery(Page):
    state = Choice(REVIEW_STATES)
    kind = Choice(OWN_ACCESSES)
    mandate_id = Id("The review of this access alone.")


class Review(Shape):
    review_id = Id()
    version = Number("Its ETag.")
    kind = Choice(OWN_ACCESSES)
    state = Choice(REVIEW_STATES)
    record_id = Id()
    mandate_id = Id()
    professional_id = Id()
    name = Text("The professional's name; null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    establishment_id = Id("Where they logged in.", allow_none=True)
    establishment_name = Text(allow_none=True)
    opened_at = Moment()
    read_until = Moment()
    ended_at = Moment("When it was ended before its time.", allow_none=True)
    reason_category = Choice(EMERGENCY_REASONS, "Of an emergency access.", allow_none=True)
    reason = Text("In the professional's own words.", allow_none=True)
    taken_by = Id("Account of the officer who has it in hand.", allow_none=True)
    taken_at = Moment(allow_none=True)
    verdict = Choice(VERDICTS, allow_none=True)
    note = Text("Why, in the officer's words.", allow_none=True)
    settled_by = Id(allow_none=True)
    settled_at = Moment(allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        "review_id": ID,
        "version": 1,
        "kind": "emergency",
        "state": "waiting",
        "record_id": OTHER_ID,
        "mandate_id": OTHER_ID,
        "professional_id": OTHER_ID,
        "name": "MÜLLER Anne",
        "profession": "physician",
        "establishment_id": OTHER_ID,
        "establishment_name": "Centre hospitalier",
        "opened_at": TIME,
        "read_until": "2026-11-22T09:30:00.000000Z",
        "ended_at": None,
        "reason_category": "unable_to_consent",
        "reason": "Patient inconscient, sans entourage.",
        "taken_by": None,
        "taken_at": None,
        "verdict": None,
        "note": None,
        "settled_by": None,
        "settled_at": None,
    }


class Reviews(Shape):
    reviews = Listed(Part(Review), "The one that waits longest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"reviews": [Review.example], "next_cursor": None}


class VerdictGiven(Shape):
    verdict = Choice(VERDICTS, required=True)
    note = Text("Why; no names.", maximum=REVIEW_NOTE_LENGTH, required=True)
    example: ClassVar = {"verdict": "justified", "note": "Passage aux urgences confirmé par l'établissement."}


# --- statistics -----------------------------------------------------------------------------------------------------


# `from` is no name that a class can give to a field.
StatisticsQuery = Page.from_dict(
    {
        "from": Day("The first day, in Luxembourg.", required=True),
        "to": Day("The last day; at most two years.", required=True),
    },
    name="StatisticsQuery",
)


class Counted(Shape):
    opened = Number()
    justified = Number()
    not_justified = Number()
    waiting = Number("Not settled yet.")


class ProfessionalCounted(Shape):
    professional_id = Id()
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    normal = Number("Mandates and first accesses by grounds that people gave them.")
    emergency = Part(Counted)
    responsibility = Part(Counted)


class Statistics(Shape):
    professionals = Listed(Part(ProfessionalCounted), "The one with the most emergency accesses first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {
        "professionals": [
            {
                "professional_id": ID,
                "name": "MÜLLER Anne",
                "profession": "physician",
                "normal": 48,
                "emergency": {"opened": 3, "justified": 2, "not_justified": 0, "waiting": 1},
                "responsibility": {"opened": 0, "justified": 0, "not_justified": 0, "waiting": 0},
            }
        ],
        "next_cursor": None,
    }
