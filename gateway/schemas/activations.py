"""Shapes of activations and recoveries by letter, of lost letters and of the general conditions."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Day, Flag, Id, Listed, Matricule, Moment, Number, Part, Secret, Text
from gateway.schemas.people import ID, MATRICULE, OTHER_ID, TIME
from services.directory.contract import PROFESSIONS, SEXES
from services.identity.contract import (
    ACTIVATION_STEPS,
    CONDITIONS_VERSION,
    CONTACT_KINDS,
    LANGUAGES,
    REPLY_KINDS,
    SUBJECT_KINDS,
)

FLOWS = ("patient", "app", "professional", "agent", "recovery")


class ActivationBegin(Shape):
    """What stands on the letter; `flow` for the order of steps of the app."""

    matricule = Matricule(required=True)
    activation_code = Secret("From the letter.", maximum=64, required=True)
    flow = Choice(("app",), "The app's order: the password first, the conditions at the first log-in.", allow_none=True)
    example: ClassVar = {"matricule": MATRICULE, "activation_code": "P7KQ-4MXT-9RWB"}


class ConditionsAccepted(Shape):
    version = Text("The version shown to the person.", maximum=32, required=True)
    language = Choice(LANGUAGES, required=True)
    example: ClassVar = {"version": CONDITIONS_VERSION, "language": "fr"}


class LetterShown(Shape):
    """What stands on a professional's letter; the matricule with its 13 digits, or the first 11."""

    matricule = Matricule(required=True)
    activation_code = Secret("From the letter.", maximum=64, required=True)
    example: ClassVar = {"matricule": MATRICULE, "activation_code": "H7KQ-4MXT-9RWB"}


class StepShown(Shape):
    step = Choice(ACTIVATION_STEPS)
    state = Choice(("open", "code_sent", "done", "kept"), "`kept`: somebody who has an account brings it along.")


class Activation(Shape):
    """How far an activation is: its steps in their order, for a step indicator; `next` names the one to do."""

    activation_id = Id()
    flow = Choice(FLOWS)
    subject_kind = Choice(SUBJECT_KINDS)
    conditions_version = Text("The version in force.")
    steps = Listed(Part(StepShown))
    next = Choice((*ACTIVATION_STEPS, "contact_proof"), allow_none=True)
    complete = Flag()
    expires_at = Moment()
    example: ClassVar = {
        "activation_id": ID,
        "flow": "patient",
        "subject_kind": "patient",
        "conditions_version": CONDITIONS_VERSION,
        "steps": [
            {"step": "personal_data", "state": "done"},
            {"step": "conditions", "state": "done"},
            {"step": "contact", "state": "open"},
            {"step": "password", "state": "open"},
        ],
        "next": "contact",
        "complete": False,
        "expires_at": TIME,
    }


class ActivationBegun(Activation):
    """The token is shown this once; send it as the header Activation-Token with each further step."""

    activation_token = Secret()
    example: ClassVar = {
        **Activation.example,
        "activation_token": "b7c1Zk…",
        "steps": [{"step": step, "state": "open"} for step in ("personal_data", "conditions", "contact", "password")],
        "next": "personal_data",
    }


class ProfessionalActivationBegun(ActivationBegun):
    """A professional's activation, its conditions accepted; LuxTrust comes next."""

    example: ClassVar = {
        **ActivationBegun.example,
        "flow": "professional",
        "subject_kind": "professional",
        "steps": [
            {"step": "conditions", "state": "done"},
            *({"step": step, "state": "open"}
              for step in ("luxtrust", "code", "personal_data", "contact", "password")),
        ],
        "next": "luxtrust",
    }  # fmt: skip


class PersonShown(Shape):
    """Whom the letter is addressed to; null what the other kind of person has. Never a matricule."""

    subject_kind = Choice(SUBJECT_KINDS)
    birth_name = Text(allow_none=True)
    usual_name = Text(allow_none=True)
    first_names = Text(allow_none=True)
    birth_date = Day(allow_none=True)
    sex = Choice(SEXES, allow_none=True)
    family_name = Text(allow_none=True)
    first_name = Text(allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    workplaces = Listed(Text(), "Names of establishments.", allow_none=True)
    example: ClassVar = {
        "subject_kind": "patient",
        "birth_name": "Weber",
        "usual_name": None,
        "first_names": "Zoé",
        "birth_date": "1990-01-01",
        "sex": "F",
        "family_name": None,
        "first_name": None,
        "profession": None,
        "workplaces": None,
    }


class PersonConfirmed(Shape):
    """Whether the data are right; when they are not, what is wrong and where the helpdesk may answer."""

    correct = Flag(required=True)
    message = Text("What is wrong.", maximum=4000, allow_none=True)
    reply_kind = Choice(REPLY_KINDS, allow_none=True)
    reply_value = Text("Address, number or postal address for the answer.", maximum=1000, allow_none=True)
    example: ClassVar = {"correct": True}


class HelpdeskOpened(Shape):
    request_id = Id()
    reference = Text("To be named on the telephone.")
    tracking_token = Secret("Shown once; send it as the header Tracking-Token.")


class PersonAnswered(Activation):
    """How far the activation is now; `helpdesk` when the data were wrong."""

    helpdesk = Part(HelpdeskOpened, allow_none=True)
    example: ClassVar = {**Activation.example, "helpdesk": None}


class ContactGiven(Shape):
    kind = Choice(CONTACT_KINDS, required=True)
    value = Text("The e-mail address or mobile number to prove.", maximum=254, required=True)
    example: ClassVar = {"kind": "mobile", "value": "+352 621 123 456"}


class ContactAdded(Activation):
    """A one-time code is on its way to the address."""

    challenge_id = Id()
    code_expires_at = Moment()
    example: ClassVar = {
        **Activation.example,
        "next": "contact_proof",
        "challenge_id": OTHER_ID,
        "code_expires_at": TIME,
    }


class PasswordChosen(Shape):
    password = Secret("12 to 128 characters, not among the common ones.", maximum=512, required=True)
    example: ClassVar = {"password": "quatre chevaux bleus"}


class LetterRequest(Shape):
    """Who has no letter any more, or none of whose codes is accepted."""

    matricule = Matricule(required=True)
    kind = Choice(("patient", "professional"), "Which of the two letters.", required=True)
    example: ClassVar = {"matricule": MATRICULE, "kind": "patient"}


class LetterRequested(Shape):
    """The same for everybody: whether a letter goes out is said by the letter alone."""

    again_after = Number("Seconds after which another letter may be asked for.")
    example: ClassVar = {"again_after": 86400}


class LanguageAsked(Query):
    language = Choice(LANGUAGES, load_default=None, allow_none=True)


class Conditions(Shape):
    """The general conditions of one version in one language."""

    version = Text()
    language = Choice(LANGUAGES)
    text = Text(maximum=100_000)
    example: ClassVar = {"version": CONDITIONS_VERSION, "language": "fr", "text": "Conditions générales…"}
