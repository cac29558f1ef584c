"""Requests for a record, which anybody sends and follows and agents work off, and the letters that wait to go out."""

from typing import Any

from apiflask import APIBlueprint
from flask import g

from gateway.caller import ask
from gateway.errors import catalogue
from gateway.operations import operation
from gateway.schemas import openings as shapes
from gateway.schemas.activations import LanguageAsked
from gateway.tracking import followed
from services.directory.contract import OPENING_STATEMENT

openings = APIBlueprint("openings", __name__)

_ALL = "/record-requests"
_ONE = f"{_ALL}/<uuid:request_id>"
_AGENCY = f"/agency{_ALL}"
_AGENCY_ONE = f"/agency{_ONE}"
_WORK = ("not_allowed", "opening_not_found", "request_decided")


# --- the public -----------------------------------------------------------------------------------------------------


@operation(
    openings, "GET", f"{_ALL}/statement", summary="Read what is signed with a request for a record",
    answer=shapes.Statement, query=LanguageAsked, token=False,
)  # fmt: skip
def read_opening_statement(query: dict[str, Any]) -> Any:
    """The wording in force, in the language asked for, else in the one of Accept-Language."""
    language = query["language"] or g.context.locale
    return {"version": OPENING_STATEMENT, "language": language, **catalogue(language)["statements"][OPENING_STATEMENT]}


@operation(
    openings, "POST", _ALL, summary="Ask for a record", answer=shapes.OpeningReceived, status=201,
    body=shapes.OpeningForm, token=False, once=True, refuses=("too_many_tries",),
)  # fmt: skip
def request_record(body: dict[str, Any]) -> Any:
    """For adults, with a matricule or without. The answer is the same whether or not the person has a record."""
    return ask("directory", "request_opening", **body)


@operation(
    openings, "GET", _ONE, summary="Follow a request for a record", answer=shapes.OpeningFollowed, token=False,
    security="tracking", refuses=("opening_not_found", "invalid_input"),
)  # fmt: skip
def follow_record_request(request_id: str) -> Any:
    """A wrong token and a wrong id are one refusal."""
    return ask("directory", "follow_opening", **followed(request_id))


@operation(
    openings, "DELETE", _ONE, summary="Withdraw a request for a record", status=204, token=False, security="tracking",
    refuses=("opening_not_found", "request_decided", "invalid_input"),
)  # fmt: skip
def withdraw_record_request(request_id: str) -> Any:
    """While it is not decided; what it says of a person is gone at once."""
    ask("directory", "withdraw_opening", **followed(request_id))


# --- the agency -----------------------------------------------------------------------------------------------------


@operation(
    openings, "POST", _AGENCY, summary="Record a request that came on paper", answer=shapes.OpeningReceived, status=201,
    body=shapes.OpeningForm, once=True, refuses=("not_allowed",),
)  # fmt: skip
def record_record_request(body: dict[str, Any]) -> Any:
    """The tracking token is for whoever signed the form."""
    return ask("directory", "record_opening", **body)


@operation(
    openings, "GET", _AGENCY, summary="List requests for a record", answer=shapes.Openings, query=shapes.OpeningsQuery,
    paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_record_requests(query: dict[str, Any]) -> Any:
    """The one due first in front: those of a state, or all in which work is left."""
    return ask("directory", "list_openings", **query)


@operation(
    openings, "GET", _AGENCY_ONE, summary="Read a request for a record", answer=shapes.OpeningSheet,
    refuses=("not_allowed", "opening_not_found"),
)  # fmt: skip
def read_record_request(request_id: str) -> Any:
    """With all that its form says, while it is not decided."""
    return ask("directory", "read_opening", request_id=request_id)


@operation(
    openings, "POST", f"{_AGENCY_ONE}/identity-check", summary="Note the identity check of a request for a record",
    answer=shapes.OpeningLine, body=shapes.OpeningCheck, once=True, refuses=_WORK,
)  # fmt: skip
def check_record_request(request_id: str, body: dict[str, Any]) -> Any:
    """Which paper was seen, and the name with which the agent signed the form."""
    return ask("directory", "check_opening", request_id=request_id, **body)


@operation(
    openings, "POST", f"{_AGENCY_ONE}/acceptance", summary="Accept a request for a record", answer=shapes.OpeningLine,
    once=True, refuses=(*_WORK, "opening_check_due", "patient_exists"),
)  # fmt: skip
def accept_record_request(request_id: str) -> Any:
    """The person becomes a patient, if they are none yet; the record and the letter with the codes follow."""
    return ask("directory", "accept_opening", request_id=request_id)


@operation(
    openings, "POST", f"{_AGENCY_ONE}/refusal", summary="Refuse a request for a record", answer=shapes.OpeningLine,
    body=shapes.OpeningRefused, once=True, refuses=_WORK,
)  # fmt: skip
def refuse_record_request(request_id: str, body: dict[str, Any]) -> Any:
    """What it says of a person is gone at once; the reason is told to whoever follows it."""
    return ask("directory", "refuse_opening", request_id=request_id, **body)


@operation(
    openings, "GET", "/agency/letters", summary="List letters", answer=shapes.Letters, query=shapes.LettersQuery,
    paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_letters(query: dict[str, Any]) -> Any:
    """Those that wait, the one due first in front, or those printed, the newest in front. No names, no codes."""
    return ask("notifications", "list_letters", **query)
