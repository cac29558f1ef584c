"""The part of identity's contract about activation and recovery by letter.

Public (no token; the gateway only), all answering `ActivationState` with the fields named besides:

- `start_activation(matricule, activation_code, flow=None)` and `start_professional_activation(version, language)`:
  `activation_token`, which every other call takes with the `activation_id`
- `activation_state()`, `accept_conditions(version, language)`, `enter_letter_code(matricule, activation_code)`,
  `set_password(password)`
- `activation_person()` -> `PersonShown`; `confirm_person(correct, message=None, reply_kind=None, reply_value=None)`:
  `helpdesk`, the case opened when the data are wrong
- `add_contact(kind, value)` and `resend_contact_code()`: `challenge_id`, `code_expires_at`; `prove_contact(code)`
- `request_letter(matricule, kind)` -> `LetterRequested`, the same whoever asks for whom
- `oppose_record(matricule, activation_code)` -> `OppositionReceived`: instead of activating, with the same letter

The order of the steps is the table in rules_activation.py; `next` always says what is to be done. Somebody who already
has an account (a patient who becomes an agent, a physician who is a patient too) keeps contact and password.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypedDict

from services.refusals import Refusal

ActivationStep = Literal["personal_data", "conditions", "luxtrust", "code", "contact", "password"]
ACTIVATION_STEPS: tuple[ActivationStep, ...] = (
    "personal_data", "conditions", "luxtrust", "code", "contact", "password",
)  # fmt: skip


class StepShown(TypedDict):
    """One step of an activation; "kept" belongs to somebody who already has an account."""

    step: ActivationStep
    state: Literal["open", "code_sent", "done", "kept"]


class ActivationState(TypedDict):
    """How far an activation is, for a step indicator; the steps stand in their order."""

    activation_id: str
    flow: Literal["patient", "app", "professional", "agent", "recovery"]
    subject_kind: Literal["patient", "professional", "agent"]
    conditions_version: str
    steps: list[StepShown]
    next: ActivationStep | Literal["contact_proof"] | None
    complete: bool
    expires_at: str


class ActivationStarted(ActivationState):
    activation_token: str
    """Shown once; travels in the header Activation-Token."""


class ContactAdded(ActivationState):
    challenge_id: str
    code_expires_at: str


class HelpdeskOpened(TypedDict):
    request_id: str
    reference: str
    tracking_token: str


class PersonConfirmed(ActivationState):
    """helpdesk: the case that was opened because the data were said to be wrong."""

    helpdesk: HelpdeskOpened | None


class PersonShown(TypedDict):
    """Who the letter is addressed to, for the person to confirm; null what the other kind of person has."""

    subject_kind: Literal["patient", "professional", "agent"]
    birth_name: str | None
    usual_name: str | None
    first_names: str | None
    birth_date: str | None
    sex: str | None
    family_name: str | None
    first_name: str | None
    profession: str | None
    workplaces: list[str] | None


class LetterRequested(TypedDict):
    again_after: int
    """Seconds."""


class OppositionReceived(TypedDict):
    received_at: str
    """The same again for a repeat."""


@dataclass(frozen=True)
class RecordOpposed:
    """Somebody showed the code of a patient's activation letter to have no record: before it is active it goes."""

    type: ClassVar[str] = "record_opposed.v1"
    subject: ClassVar[str | None] = "patient_id"
    patient_id: str
    at: str


class ActivationRefused(Refusal):
    """Unknown matricule, wrong, used, replaced or expired code: nobody learns which."""

    code: ClassVar[str] = "activation_refused"


class ActivationNotFound(Refusal):
    """No running activation has this id and this token."""

    code: ClassVar[str] = "activation_not_found"


class ActivationComplete(Refusal):
    """This activation is done: nothing in it can be changed any more."""

    code: ClassVar[str] = "activation_complete"


class StepOutOfOrder(Refusal):
    """An activation's steps are taken in their order; detail: next, the step to be done now."""

    code: ClassVar[str] = "step_out_of_order"


class NotActivated(Refusal):
    """This person has no account in this capacity yet: a letter to activate one is what helps."""

    code: ClassVar[str] = "not_activated"


class LuxTrustTaken(Refusal):
    """Another account is opened by this LuxTrust product; one product opens one account."""

    code: ClassVar[str] = "luxtrust_taken"
