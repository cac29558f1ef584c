"""Shapes of requests for a record, and of the letters that wait to go out."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import (
    Accepted,
    Choice,
    Day,
    Flag,
    Id,
    Listed,
    Matricule,
    Moment,
    Number,
    Part,
    Secret,
    Text,
)
from gateway.schemas.people import ADDRESS, ID, MATRICULE, OTHER_ID, TIME, Address
from services.directory.contract import (
    LANGUAGES,
    LAPSED,
    OPENING_DOCUMENTS,
    OPENING_REASONS,
    OPENING_STATEMENT,
    OPENING_STATES,
    SEXES,
)
from services.notifications.contract import LETTER_OCCASIONS, LETTER_STATES

REFERENCE = "7KQM-4TXP"
DUE = "2026-11-28T09:30:00.000000Z"


# --- the public -----------------------------------------------------------------------------------------------------


class Statement(Shape):
    """What is signed with a request, in one language."""

    version = Text()
    language = Choice(LANGUAGES)
    title = Text()
    text = Listed(Text(maximum=2000), "Its paragraphs.")
    example: ClassVar = {
        "version": OPENING_STATEMENT,
        "language": "en",
        "title": "Voluntary request to open a shared care record",
        "text": ["I ask for my shared care record (DSP) to be opened."],
    }


class StatementAccepted(Shape):
    version = Text("The one in force.", maximum=40, required=True)
    accepted = Accepted(required=True)


class OpeningForm(Shape):
    """The form of the voluntary request: e-mail or phone, at least one; no matricule for who is not affiliated."""

    matricule = Matricule(allow_none=True)
    birth_name = Text(required=True)
    usual_name = Text(allow_none=True)
    first_names = Text(required=True)
    sex = Choice(SEXES, required=True)
    birth_date = Day("Of an adult.", required=True)
    language = Choice(LANGUAGES, "Of the letter.", required=True)
    address = Part(Address, "Where the letter goes.", required=True)
    email = Text(maximum=254, allow_none=True)
    phone = Text(maximum=40, allow_none=True)
    statement = Part(StatementAccepted, required=True)
    signed_on = Day("Not in days to come, and not more than 90 days ago.", required=True)
    signed_at = Text("The place.", maximum=120, required=True)
    example: ClassVar = {
        "matricule": MATRICULE,
        "birth_name": "DOE",
        "first_names": "Jane",
        "sex": "F",
        "birth_date": "1990-01-01",
        "language": "fr",
        "address": ADDRESS,
        "email": "jane.doe@example.lu",
        "statement": {"version": OPENING_STATEMENT, "accepted": True},
        "signed_on": "2026-11-20",
        "signed_at": "Luxembourg",
    }


class OpeningReceived(Shape):
    """The token is shown this once; send it as the header Tracking-Token to follow or withdraw the request."""

    request_id = Id()
    reference = Text("To name the request on the phone.")
    tracking_token = Secret()
    due_by = Moment("Until when the letter is on its way.")
    example: ClassVar = {"request_id": ID, "reference": REFERENCE, "tracking_token": "b7c1Zk…", "due_by": DUE}


class OpeningFollowed(Shape):
    request_id = Id()
    reference = Text()
    state = Choice(OPENING_STATES)
    due_by = Moment()
    reason = Choice((*OPENING_REASONS, LAPSED), "Why it was refused.", allow_none=True)
    example: ClassVar = {
        "request_id": ID,
        "reference": REFERENCE,
        "state": "checked",
        "due_by": DUE,
        "reason": None,
    }


# --- the agency -----------------------------------------------------------------------------------------------------


class OpeningsQuery(Query):
    state = Choice(OPENING_STATES, "All in which work is left, when left out.")
    limit = Number(minimum=1, maximum=100, load_default=50)
    cursor = Text("From next_cursor.", maximum=64)


class OpeningLine(Shape):
    request_id = Id()
    reference = Text()
    state = Choice(OPENING_STATES)
    language = Choice(LANGUAGES)
    affiliated = Flag("Whether a matricule was given; null once the request is decided.", allow_none=True)
    received_at = Moment()
    due_by = Moment()
    overdue = Flag()
    checked_at = Moment(allow_none=True)
    decided_at = Moment(allow_none=True)
    reason = Choice((*OPENING_REASONS, LAPSED), allow_none=True)
    patient_id = Id("Who it was accepted for.", allow_none=True)
    example: ClassVar = {
        "request_id": ID,
        "reference": REFERENCE,
        "state": "checked",
        "language": "fr",
        "affiliated": True,
        "received_at": TIME,
        "due_by": DUE,
        "overdue": False,
        "checked_at": TIME,
        "decided_at": None,
        "reason": None,
        "patient_id": None,
    }


class Openings(Shape):
    requests = Listed(Part(OpeningLine))
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"requests": [OpeningLine.example], "next_cursor": None}


class OpeningSheet(OpeningLine):
    """A request with what its form says; all of the person is null once it is decided."""

    matricule = Text(allow_none=True)
    birth_name = Text(allow_none=True)
    usual_name = Text(allow_none=True)
    first_names = Text(allow_none=True)
    sex = Choice(SEXES, allow_none=True)
    birth_date = Day(allow_none=True)
    birth_date_differs = Flag("The birth date is not the matricule's: look at the papers well.")
    address = Part(Address, allow_none=True)
    email = Text(allow_none=True)
    phone = Text(allow_none=True)
    statement_version = Text()
    signed_on = Day()
    signed_at = Text()
    checked_with = Choice(OPENING_DOCUMENTS, allow_none=True)
    checked_by = Id("The account of the agent who saw the paper.", allow_none=True)
    agent_name = Text("The name with which that agent signed the form.", allow_none=True)
    decided_by = Id(allow_none=True)
    example: ClassVar = {
        **OpeningLine.example,
        "matricule": MATRICULE,
        "birth_name": "DOE",
        "usual_name": None,
        "first_names": "Jane",
        "sex": "F",
        "birth_date": "1990-01-01",
        "birth_date_differs": False,
        "address": ADDRESS,
        "email": "jane.doe@example.lu",
        "phone": None,
        "statement_version": OPENING_STATEMENT,
        "signed_on": "2026-11-20",
        "signed_at": "Luxembourg",
        "checked_with": "identity_card",
        "checked_by": OTHER_ID,
        "agent_name": "Anne MÜLLER",
        "decided_by": None,
    }


class OpeningCheck(Shape):
    document = Choice(OPENING_DOCUMENTS, "The paper that was seen.", required=True)
    agent_name = Text("The name with which you sign the form.", maximum=120, required=True)
    example: ClassVar = {"document": "identity_card", "agent_name": "Anne MÜLLER"}


class OpeningRefused(Shape):
    reason = Choice(OPENING_REASONS, "Told to whoever follows the request.", required=True)
    example: ClassVar = {"reason": "identity_not_established"}


# --- letters --------------------------------------------------------------------------------------------------------


_LETTER = {
    "letter_id": ID, "occasion": "record_opened", "state": "waiting", "due_by": DUE, "overdue": False,
    "printed_at": None,
}  # fmt: skip


class LettersQuery(Query):
    state = Choice(LETTER_STATES, load_default="waiting")
    limit = Number(minimum=1, maximum=100, load_default=50)
    cursor = Text("From next_cursor.", maximum=64)


class LetterLine(Shape):
    letter_id = Id()
    occasion = Choice(LETTER_OCCASIONS)
    state = Choice(LETTER_STATES)
    due_by = Moment("Until when it must be on its way.")
    overdue = Flag()
    printed_at = Moment(allow_none=True)
    example: ClassVar = _LETTER


class Letters(Shape):
    letters = Listed(Part(LetterLine))
    next_cursor = Text(allow_none=True)
    example: ClassVar = {
        "letters": [_LETTER],
        "next_cursor": None,
    }
