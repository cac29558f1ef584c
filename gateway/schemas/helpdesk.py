"""Shapes of help and of the helpdesk's requests."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Matricule, Moment, Number, Part, Secret, Text
from gateway.schemas.people import ID, MATRICULE, OTHER_ID, TIME
from services.identity.contract import (
    CHECK_METHODS,
    CONTACT_KINDS,
    LANGUAGES,
    LETTER_PURPOSES,
    REPLY_KINDS,
    REQUEST_STATES,
    SUBJECT_KINDS,
)


class Topic(Shape):
    topic = Text("What to send with a request.")
    label = Text("In words.")


class Help(Shape):
    """Where people find help."""

    language = Choice(LANGUAGES)
    phone = Text()
    mail = Text()
    hours = Text()
    text = Text()
    topics = Listed(Part(Topic))
    example: ClassVar = {
        "language": "en",
        "phone": "+352 00 00 00",
        "mail": "help@opendsp.localhost",
        "hours": "Monday to Friday, 8 am to 6 pm",
        "text": "Ask for a new letter when your code is lost.",
        "topics": [{"topic": "activation", "label": "Activating an account"}],
    }


# --- the public -----------------------------------------------------------------------------------------------------


class RequestForm(Shape):
    topic = Text("One of the topics of /help.", maximum=40, required=True)
    name = Text("How we call you.", maximum=200, required=True)
    reply_kind = Choice(REPLY_KINDS, "Where we answer.", required=True)
    reply_value = Text("E-mail address, mobile number or postal address.", maximum=500, required=True)
    message = Text("Please nothing about your health.", maximum=4000, required=True)
    language = Choice(LANGUAGES, "That of Accept-Language when left out.")
    example: ClassVar = {
        "topic": "contact",
        "name": "Jane Doe",
        "reply_kind": "email",
        "reply_value": "jane.doe@example.lu",
        "message": "I have a new e-mail address and cannot read the old one any more.",
        "language": "en",
    }


class RequestOpened(Shape):
    """The token is shown this once; send it as the header Tracking-Token to follow the request."""

    request_id = Id()
    reference = Text("To name the request on the phone.")
    tracking_token = Secret()
    example: ClassVar = {"request_id": ID, "reference": "7KQM-4TXP", "tracking_token": "b7c1Zk…"}


class RequestFollowed(Shape):
    """`code_expires_at`: until when the one-time code sent to a corrected address can be entered."""

    request_id = Id()
    reference = Text()
    topic = Text()
    state = Choice(REQUEST_STATES)
    answer = Text(allow_none=True)
    created_at = Moment()
    taken_at = Moment(allow_none=True)
    answered_at = Moment(allow_none=True)
    closed_at = Moment(allow_none=True)
    code_expires_at = Moment(allow_none=True)
    example: ClassVar = {
        "request_id": ID,
        "reference": "7KQM-4TXP",
        "topic": "contact",
        "state": "answered",
        "answer": "Your new address is in place.",
        "created_at": TIME,
        "taken_at": TIME,
        "answered_at": TIME,
        "closed_at": None,
        "code_expires_at": None,
    }


# --- the agency -----------------------------------------------------------------------------------------------------


class RequestsQuery(Query):
    state = Choice(REQUEST_STATES, "All in which work is left, when left out.")
    limit = Number(minimum=1, maximum=100, load_default=50)
    cursor = Text("From next_cursor.", maximum=64)


class RequestLine(Shape):
    request_id = Id()
    reference = Text()
    topic = Text()
    state = Choice(REQUEST_STATES)
    language = Choice(LANGUAGES)
    created_at = Moment()
    taken_by = Id("The account of the agent who has it in hand.", allow_none=True)
    subject_kind = Choice(SUBJECT_KINDS, "Whose account it is about, once that is known.", allow_none=True)
    from_activation = Flag("Opened by a step of a running activation.")
    identity_checked_at = Moment(allow_none=True)
    example: ClassVar = {
        "request_id": ID,
        "reference": "7KQM-4TXP",
        "topic": "contact",
        "state": "taken",
        "language": "en",
        "created_at": TIME,
        "taken_by": OTHER_ID,
        "subject_kind": "patient",
        "from_activation": False,
        "identity_checked_at": TIME,
    }


class Requests(Shape):
    requests = Listed(Part(RequestLine))
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"requests": [RequestLine.example], "next_cursor": None}


class RequestSheet(RequestLine):
    name = Text(allow_none=True)
    reply_kind = Choice(REPLY_KINDS, allow_none=True)
    reply_value = Text(allow_none=True)
    message = Text(allow_none=True)
    subject_id = Id(allow_none=True)
    checked_by = Id(allow_none=True)
    check_method = Choice(CHECK_METHODS, allow_none=True)
    answer = Text(allow_none=True)
    answered_by = Id(allow_none=True)
    taken_at = Moment(allow_none=True)
    answered_at = Moment(allow_none=True)
    closed_at = Moment(allow_none=True)
    example: ClassVar = {
        **RequestLine.example,
        "name": "Jane Doe",
        "reply_kind": "email",
        "reply_value": "jane.doe@example.lu",
        "message": "I have a new e-mail address and cannot read the old one any more.",
        "subject_id": ID,
        "checked_by": OTHER_ID,
        "check_method": "identity_card",
        "answer": None,
        "answered_by": None,
        "taken_at": TIME,
        "answered_at": None,
        "closed_at": None,
    }


class IdentityCheck(Shape):
    matricule = Matricule(required=True)
    kind = Choice(SUBJECT_KINDS, "In which capacity.", required=True)
    method = Choice(CHECK_METHODS, "The paper that was seen.", required=True)
    example: ClassVar = {"matricule": MATRICULE, "kind": "patient", "method": "identity_card"}


class LetterWanted(Shape):
    purpose = Choice(LETTER_PURPOSES, required=True)
    example: ClassVar = {"purpose": "recovery"}


class ContactCorrected(Shape):
    kind = Choice(CONTACT_KINDS, required=True)
    value = Text("The new address, to be proved.", maximum=254, required=True)
    example: ClassVar = {"kind": "email", "value": "jane.doe@example.lu"}


class CorrectionBegun(RequestLine):
    """A one-time code is on its way to the new address."""

    code_expires_at = Moment()
    example: ClassVar = {**RequestLine.example, "code_expires_at": TIME}


class Answer(Shape):
    text = Text("Read with the tracking token.", maximum=4000, required=True)
    example: ClassVar = {"text": "Your new address is in place."}
