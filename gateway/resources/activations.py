"""Activating an account, or finding back into one, with a letter. All of it is identity's; nobody is logged in."""

from typing import Any

from apiflask import APIBlueprint
from flask import request

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import activations as shapes
from gateway.schemas.people import CodeGiven
from services.refusals import InvalidInput

activations = APIBlueprint("activations", __name__, url_prefix="/activations")
letter_requests = APIBlueprint("letter_requests", __name__, url_prefix="/letter-requests")

_PROOF = "Activation-Token"
_READING = ("activation_not_found", "invalid_input")
_STEP = (*_READING, "activation_complete", "step_out_of_order")
_LAST = ("contact_taken", "luxtrust_taken")
"""Found out only when the account is made: whatever step comes last may meet them."""


def _of(activation_id: str) -> dict[str, str]:
    """Which activation a step belongs to, with the token that proves it is the same person's."""
    token = request.headers.get(_PROOF, "")
    if not token or len(token) > 512:
        raise InvalidInput(errors=[{"pointer": f"/{_PROOF}", "message": "required"}])
    return {"activation_id": activation_id, "activation_token": token}


@operation(
    activations, "POST", "", summary="Begin an activation", answer=shapes.ActivationBegun, status=201,
    body=shapes.ActivationBegin, token=False, refuses=("activation_refused", "too_many_tries"),
)  # fmt: skip
def start_activation(body: dict[str, Any]) -> Any:
    """With the matricule and the code of the letter. Wrong, unknown, used and expired are one refusal."""
    return ask("identity", "start_activation", **body)


@operation(
    activations, "POST", "/professional", summary="Begin a professional's activation",
    answer=shapes.ProfessionalActivationBegun, status=201, body=shapes.ConditionsAccepted, token=False,
    refuses=("too_many_tries",),
)  # fmt: skip
def start_professional_activation(body: dict[str, Any]) -> Any:
    """With the general conditions; LuxTrust and the letter follow as steps."""
    return ask("identity", "start_professional_activation", **body)


@operation(
    activations, "GET", "/<uuid:activation_id>", summary="Read how far an activation is", answer=shapes.Activation,
    token=False, security="activation", refuses=_READING,
)  # fmt: skip
def read_activation(activation_id: str) -> Any:
    """The state of each step and the next one."""
    return ask("identity", "activation_state", **_of(activation_id))


@operation(
    activations, "POST", "/<uuid:activation_id>/conditions", summary="Accept the general conditions",
    answer=shapes.Activation, body=shapes.ConditionsAccepted, token=False, security="activation",
    refuses=(*_STEP, *_LAST),
)  # fmt: skip
def accept_conditions(activation_id: str, body: dict[str, Any]) -> Any:
    """Version and language are kept."""
    return ask("identity", "accept_conditions", **_of(activation_id), **body)


@operation(
    activations, "POST", "/<uuid:activation_id>/code", summary="Show a professional's letter",
    answer=shapes.Activation, body=shapes.LetterShown, token=False, security="activation",
    refuses=(*_STEP, "activation_refused", "too_many_tries"),
)  # fmt: skip
def enter_letter_code(activation_id: str, body: dict[str, Any]) -> Any:
    """With 11 or 13 digits of the matricule and the code. Wrong, unknown, used and expired are one refusal."""
    return ask("identity", "enter_letter_code", **_of(activation_id), **body)


@operation(
    activations, "GET", "/<uuid:activation_id>/person", summary="Read whom the letter is addressed to",
    answer=shapes.PersonShown, token=False, security="activation", refuses=_STEP,
)  # fmt: skip
def read_activation_person(activation_id: str) -> Any:
    """Personal data as the directory knows them, to be confirmed."""
    return ask("identity", "activation_person", **_of(activation_id))


@operation(
    activations, "POST", "/<uuid:activation_id>/personal-data", summary="Confirm the personal data",
    answer=shapes.PersonAnswered, body=shapes.PersonConfirmed, token=False, security="activation", once=True,
    refuses=(*_STEP, *_LAST),
)  # fmt: skip
def confirm_person(activation_id: str, body: dict[str, Any]) -> Any:
    """Wrong data open a case at the helpdesk; the step stays open."""
    return ask("identity", "confirm_person", **_of(activation_id), **body)


@operation(
    activations, "POST", "/<uuid:activation_id>/contact", summary="Give a contact", answer=shapes.ContactAdded,
    status=202, body=shapes.ContactGiven, token=False, security="activation", refuses=(*_STEP, "too_many_tries"),
)  # fmt: skip
def add_contact(activation_id: str, body: dict[str, Any]) -> Any:
    """An e-mail address or a mobile number; a one-time code is sent to it."""
    return ask("identity", "add_contact", **_of(activation_id), **body)


@operation(
    activations, "POST", "/<uuid:activation_id>/contact/resend", summary="Have the one-time code sent once more",
    answer=shapes.ContactAdded, status=202, token=False, security="activation", refuses=(*_STEP, "too_many_tries"),
)  # fmt: skip
def resend_contact_code(activation_id: str) -> Any:
    """To the same address."""
    return ask("identity", "resend_contact_code", **_of(activation_id))


@operation(
    activations, "POST", "/<uuid:activation_id>/contact/proof", summary="Prove the contact", answer=shapes.Activation,
    body=CodeGiven, token=False, security="activation", refuses=(*_STEP, "one_time_code_refused", *_LAST),
)  # fmt: skip
def prove_contact(activation_id: str, body: dict[str, Any]) -> Any:
    """With the one-time code that arrived there."""
    return ask("identity", "prove_contact", **_of(activation_id), **body)


@operation(
    activations, "POST", "/<uuid:activation_id>/password", summary="Choose the password",
    answer=shapes.Activation, body=shapes.PasswordChosen, token=False, security="activation",
    refuses=(*_STEP, *_LAST, "password_too_short", "password_too_long", "password_too_common"),
)  # fmt: skip
def set_password(activation_id: str, body: dict[str, Any]) -> Any:
    """The last step for most; the account is active when none is left."""
    return ask("identity", "set_password", **_of(activation_id), **body)


@operation(
    letter_requests, "POST", "", summary="Ask for a new letter", answer=shapes.LetterRequested, status=202,
    body=shapes.LetterRequest, token=False, once=True, refuses=("too_many_tries",),
)  # fmt: skip
def request_letter(body: dict[str, Any]) -> Any:
    """It goes to the registered address. The answer is the same for everybody, known or not."""
    return ask("identity", "request_letter", **body)
