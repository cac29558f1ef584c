"""Shapes of prescriptions, of what is dispensed of them, and of certified copies."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Accepted, Choice, Day, Flag, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.records import QUANTITY_TEXT, Page
from services.directory.contract import PROFESSIONS
from services.documents.contract import (
    CANCEL_REASON_LENGTH,
    DISPENSATION_WORDINGS,
    LEVELS,
    LINES_MOST,
    SHOWN_STATES,
)

STATE = "`expired`: not all was dispensed, and the last day is over."


class PrescriptionPage(Page):
    state = Choice(SHOWN_STATES, "Only those in this state.")


class PrescriptionLine(Shape):
    number = Number("From 1.")
    text = Text("What is prescribed.")
    quantity = Text("How much in all; null: no number was prescribed, it is given whole.", allow_none=True)
    unit = Text(allow_none=True)
    code = Text(allow_none=True)
    system = Text("The object identifier or address of the code's system.", allow_none=True)
    given = Text("How much was given.")
    left = Text("How much is left; null where no number was prescribed.", allow_none=True)
    complete = Flag("All of it was given.")
    example: ClassVar[dict[str, Any]] = {
        "number": 1, "text": "Amoxicilline 1 g, comprimé", "quantity": "3", "unit": "boîte", "code": None,
        "system": None, "given": "1", "left": "2", "complete": False,
    }  # fmt: skip


class Prescription(Shape):
    document_id = Id()
    version_id = Id("Whose lines these are.")
    record_id = Id()
    type = Text("Slug of the document type.")
    title = Text()
    act_date = Day(allow_none=True)
    author_id = Id("Who deposited it.", allow_none=True)
    author_name = Text("Null while the directory cannot be asked.", allow_none=True)
    author_profession = Choice(PROFESSIONS, allow_none=True)
    level = Choice(LEVELS)
    deposited_at = Moment()
    dispensation_state = Choice(SHOWN_STATES, STATE)
    valid_until = Day("Its last day.", allow_none=True)
    lines = Listed(Part(PrescriptionLine))
    example: ClassVar[dict[str, Any]] = {
        "document_id": ID, "version_id": OTHER_ID, "record_id": OTHER_ID, "type": "drug_treatment",
        "title": "Ordonnance du 20 novembre",
        "act_date": "2026-11-20", "author_id": OTHER_ID, "author_name": "MÜLLER Anne",
        "author_profession": "physician", "level": "standard", "deposited_at": TIME,
        "dispensation_state": "partial", "valid_until": "2027-01-31", "lines": [PrescriptionLine.example],
    }  # fmt: skip


class Prescriptions(Shape):
    prescriptions = Listed(Part(Prescription), "Newest first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"prescriptions": [Prescription.example], "next_cursor": None}


class DispensedLine(Shape):
    number = Number("Of the line.")
    quantity = Text("How much; null: all of a line without a number.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {"number": 1, "quantity": "1"}


class Dispensation(Shape):
    """What a pharmacy gave at one time."""

    dispensation_id = Id()
    at = Moment()
    professional_id = Id()
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    establishment_id = Id(allow_none=True)
    establishment_name = Text(allow_none=True)
    lines = Listed(Part(DispensedLine))
    cancelled_at = Moment("When it was taken back.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        "dispensation_id": ID, "at": TIME, "professional_id": OTHER_ID, "name": "WEBER Luc",
        "profession": "pharmacist", "establishment_id": OTHER_ID, "establishment_name": "Pharmacie du Marché",
        "lines": [DispensedLine.example], "cancelled_at": None,
    }  # fmt: skip


class PrescriptionRead(Prescription):
    dispensations = Listed(Part(Dispensation), "The oldest first.")
    example: ClassVar[dict[str, Any]] = {**Prescription.example, "dispensations": [Dispensation.example]}


class LineToDispense(Shape):
    number = Number("Of the line.", minimum=1, maximum=LINES_MOST, required=True)
    quantity = Text("A decimal; all that is left where it is not told.", allow_none=True, **QUANTITY_TEXT)


class ToDispense(Shape):
    """All that is left, or some lines: one of the two."""

    whole = Flag("All that is left of every line.", load_default=False)
    lines = Listed(Part(LineToDispense), maximum=LINES_MOST, allow_none=True)
    version_id = Id("Whose lines were read: where others are prescribed by now, nothing is given.", allow_none=True)
    risk_accepted = Accepted("That a prescription so marked should not be used any more.", required=True)
    risk_version = Choice(tuple(DISPENSATION_WORDINGS), "Which wording was accepted.", required=True)
    example: ClassVar = {
        "lines": [{"number": 1, "quantity": "1"}, {"number": 2}], "risk_accepted": True,
        "risk_version": max(DISPENSATION_WORDINGS),
    }  # fmt: skip


class Dispensed(Shape):
    """What is left now. Of a partial dispensation the patient gets the certified copy."""

    dispensation_id = Id()
    document_id = Id()
    at = Moment()
    dispensation_state = Choice(SHOWN_STATES)
    lines = Listed(Part(PrescriptionLine))
    cancelled_at = Moment("When it was taken back.", allow_none=True)
    example: ClassVar = {
        "dispensation_id": ID, "document_id": OTHER_ID, "at": TIME, "dispensation_state": "partial",
        "lines": [PrescriptionLine.example], "cancelled_at": None,
    }  # fmt: skip


class Reason(Shape):
    reason = Text("Kept with it, told to nobody.", maximum=CANCEL_REASON_LENGTH, required=True)
    example: ClassVar = {"reason": "Erreur de saisie"}


class CopyVerified(Shape):
    """A genuine copy: what was given with it, and what is left now. Nobody's name, and of no document."""

    at = Moment("When it was dispensed.")
    cancelled = Flag("It was taken back.")
    dispensation_state = Choice(SHOWN_STATES, STATE)
    valid_until = Day("The prescription's last day.", allow_none=True)
    dispensed = Listed(Part(DispensedLine), "What the copy says was given.")
    lines = Listed(Part(PrescriptionLine), "As they stand now.")
    example: ClassVar = {
        "at": TIME, "cancelled": False, "dispensation_state": "partial", "valid_until": "2027-01-31",
        "dispensed": [DispensedLine.example], "lines": [PrescriptionLine.example],
    }  # fmt: skip
