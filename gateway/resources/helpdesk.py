"""Requests to the helpdesk: opened and followed by anybody, worked off by the agency's agents. All of it identity's."""

from typing import Any

from apiflask import APIBlueprint
from flask import g

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import helpdesk as shapes
from gateway.schemas.people import CodeGiven
from gateway.tracking import followed

helpdesk = APIBlueprint("helpdesk", __name__)

_ONE = "/helpdesk-requests/<uuid:request_id>"
_AGENCY = "/agency/helpdesk-requests"
_AGENCY_ONE = f"{_AGENCY}/<uuid:request_id>"
_STEP = ("not_allowed", "helpdesk_request_not_found", "request_taken", "request_closed")
_IN_HAND = (*_STEP, "request_not_taken")
_OPENING = (*_IN_HAND, "identity_check_due", "not_activated")


# --- the public -----------------------------------------------------------------------------------------------------


@operation(
    helpdesk, "POST", "/helpdesk-requests", summary="Ask the helpdesk", answer=shapes.RequestOpened, status=201,
    body=shapes.RequestForm, token=False, once=True, refuses=("too_many_tries",),
)  # fmt: skip
def open_helpdesk_request(body: dict[str, Any]) -> Any:
    """The answer is read with the tracking token; a mail or SMS to the reply address says when there is one."""
    return ask("identity", "open_request", **{"language": g.context.locale, **body})


@operation(
    helpdesk, "GET", _ONE, summary="Follow a request", answer=shapes.RequestFollowed, token=False, security="tracking",
    refuses=("helpdesk_request_not_found", "invalid_input"),
)  # fmt: skip
def follow_helpdesk_request(request_id: str) -> Any:
    """State and answer. A wrong token and a wrong id are one refusal."""
    return ask("identity", "follow_request", **followed(request_id))


@operation(
    helpdesk, "POST", f"{_ONE}/contact-proof", summary="Prove a corrected contact", status=204, body=CodeGiven,
    token=False, security="tracking",
    refuses=("helpdesk_request_not_found", "request_closed", "one_time_code_refused", "contact_taken"),
)  # fmt: skip
def prove_corrected_contact(request_id: str, body: dict[str, Any]) -> Any:
    """With the one-time code that an agent had sent to the new address; it replaces the others of its kind."""
    ask("identity", "prove_corrected_contact", **followed(request_id), **body)


# --- the agency -----------------------------------------------------------------------------------------------------


@operation(
    helpdesk, "GET", _AGENCY, summary="List helpdesk requests", answer=shapes.Requests, query=shapes.RequestsQuery,
    paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_helpdesk_requests(query: dict[str, Any]) -> Any:
    """Oldest first: those of a state, or all in which work is left."""
    return ask("identity", "list_requests", **query)


@operation(
    helpdesk, "GET", _AGENCY_ONE, summary="Read a helpdesk request", answer=shapes.RequestSheet,
    refuses=("not_allowed", "helpdesk_request_not_found"),
)  # fmt: skip
def read_helpdesk_request(request_id: str) -> Any:
    """With all that was said in it."""
    return ask("identity", "read_request", request_id=request_id)


@operation(
    helpdesk, "POST", f"{_AGENCY_ONE}/take", summary="Take a helpdesk request", answer=shapes.RequestLine, once=True,
    refuses=_STEP,
)  # fmt: skip
def take_helpdesk_request(request_id: str) -> Any:
    """One agent has a request in hand; every further step is theirs."""
    return ask("identity", "take_request", request_id=request_id)


@operation(
    helpdesk, "POST", f"{_AGENCY_ONE}/release", summary="Give a helpdesk request back", answer=shapes.RequestLine,
    once=True, refuses=_STEP,
)  # fmt: skip
def release_helpdesk_request(request_id: str) -> Any:
    """For others to take; an administrator may give back another agent's."""
    return ask("identity", "release_request", request_id=request_id)


@operation(
    helpdesk, "POST", f"{_AGENCY_ONE}/identity-check", summary="Note an identity check", answer=shapes.RequestLine,
    body=shapes.IdentityCheck, once=True, refuses=(*_IN_HAND, "person_not_known"),
)  # fmt: skip
def check_identity(request_id: str, body: dict[str, Any]) -> Any:
    """Which paper was seen, and whose account the request is about; the trace names the agent."""
    paper = body.pop("method")
    return ask("identity", "check_identity", request_id=request_id, paper=paper, **body)


@operation(
    helpdesk, "POST", f"{_AGENCY_ONE}/letter", summary="Send a new letter", answer=shapes.RequestLine, status=202,
    body=shapes.LetterWanted, once=True, refuses=(*_OPENING, "already_activated"),
)  # fmt: skip
def send_letter(request_id: str, body: dict[str, Any]) -> Any:
    """After an identity check: to activate, or to find the way back into an account."""
    return ask("identity", "send_letter", request_id=request_id, **body)


@operation(
    helpdesk, "POST", f"{_AGENCY_ONE}/contact", summary="Correct a contact", answer=shapes.CorrectionBegun, status=202,
    body=shapes.ContactCorrected, once=True, refuses=(*_OPENING, "too_many_tries"),
)  # fmt: skip
def correct_contact(request_id: str, body: dict[str, Any]) -> Any:
    """After an identity check: a one-time code goes to the new address; its owner enters it where they follow."""
    return ask("identity", "correct_contact", request_id=request_id, **body)


@operation(
    helpdesk, "POST", f"{_AGENCY_ONE}/answer", summary="Answer a helpdesk request", answer=shapes.RequestLine,
    body=shapes.Answer, once=True, refuses=_IN_HAND,
)  # fmt: skip
def answer_helpdesk_request(request_id: str, body: dict[str, Any]) -> Any:
    """The mail or SMS to the reply address says that there is an answer, not what it says."""
    return ask("identity", "answer_request", request_id=request_id, **body)


@operation(
    helpdesk, "POST", f"{_AGENCY_ONE}/close", summary="Close a helpdesk request", answer=shapes.RequestLine, once=True,
    refuses=_IN_HAND,
)  # fmt: skip
def close_helpdesk_request(request_id: str) -> Any:
    """What it says about a person is wiped a year later."""
    return ask("identity", "close_request", request_id=request_id)
