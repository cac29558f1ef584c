"""Activating an account: letter, conditions, proved contact, password. All of it is identity's; nobody is logged in."""

from typing import Any

from apiflask import APIBlueprint
from flask import request

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import people as shapes
from services.refusals import InvalidInput

activations = APIBlueprint("activations", __name__, url_prefix="/activations")

_PROOF = "Activation-Token"
_REFUSALS = ("activation_not_found", "activation_complete", "too_many_tries", "invalid_input")


def _of(activation_id: str) -> dict[str, str]:
    """Which activation a step belongs to, with the token that proves it is the same person's."""
    token = request.headers.get(_PROOF, "")
    if not token or len(token) > 512:
        raise InvalidInput(errors=[{"pointer": f"/{_PROOF}", "message": "required"}])
    return {"activation_id": activation_id, "activation_token": token}


@operation(
    activations, "POST", "", summary="Begin an activation", answer=shapes.ActivationBegun, status=201,
    body=shapes.ActivationBegin, token=False, refuses=("activation_refused", "too_many_tries", "already_activated"),
)  # fmt: skip
def start_activation(body: dict[str, Any]) -> Any:
    """With the matricule and the code of the letter. Wrong, unknown, used and expired are one refusal."""
    return ask("identity", "start_activation", **body)


@operation(
    activations, "GET", "/<uuid:activation_id>", summary="Read how far an activation is", answer=shapes.Activation,
    token=False, security="activation", refuses=_REFUSALS,
)  # fmt: skip
def read_activation(activation_id: str) -> Any:
    """The state of each step and the next one."""
    return ask("identity", "activation_state", **_of(activation_id))


@operation(
    activations, "POST", "/<uuid:activation_id>/conditions", summary="Accept the general conditions",
    answer=shapes.Activation, body=shapes.ConditionsAccepted, token=False, security="activation", refuses=_REFUSALS,
)  # fmt: skip
def accept_conditions(activation_id: str, body: dict[str, Any]) -> Any:
    """Version and language are kept."""
    return ask("identity", "accept_conditions", **_of(activation_id), **body)


@operation(
    activations, "POST", "/<uuid:activation_id>/contact", summary="Give a contact", answer=shapes.ContactAdded,
    status=202, body=shapes.ContactGiven, token=False, security="activation", refuses=(*_REFUSALS, "conditions_first"),
)  # fmt: skip
def add_contact(activation_id: str, body: dict[str, Any]) -> Any:
    """A one-time code is sent to it."""
    return ask("identity", "add_contact", **_of(activation_id), **body)


@operation(
    activations, "POST", "/<uuid:activation_id>/contact/proof", summary="Prove the contact", answer=shapes.Activation,
    body=shapes.CodeGiven, token=False, security="activation",
    refuses=(*_REFUSALS, "conditions_first", "one_time_code_refused", "contact_taken", "contact_first"),
)  # fmt: skip
def prove_contact(activation_id: str, body: dict[str, Any]) -> Any:
    """With the one-time code that arrived there."""
    return ask("identity", "prove_contact", **_of(activation_id), **body)


@operation(
    activations, "POST", "/<uuid:activation_id>/password", summary="Choose the password and finish",
    answer=shapes.Activation, body=shapes.PasswordChosen, token=False, security="activation",
    refuses=(
        *_REFUSALS, "conditions_first", "contact_first",
        "password_too_short", "password_too_long", "password_too_common",
    ),
)  # fmt: skip
def set_password(activation_id: str, body: dict[str, Any]) -> Any:
    """The last step: the account is active afterwards."""
    return ask("identity", "set_password", **_of(activation_id), **body)
