"""Shapes of the account page and of forgotten passwords."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Id, Listed, Matricule, Moment, Number, Part, Secret, Text
from gateway.schemas.people import ID, MATRICULE, OTHER_ID, TIME
from services.identity.contract import CONDITIONS_VERSION, CONTACT_KINDS, LANGUAGES, ROLES, SUBJECT_KINDS

WAYS = (*CONTACT_KINDS, "totp", "passkey", "luxtrust")


class HeldCapacity(Shape):
    capacity = Choice(SUBJECT_KINDS)
    role = Choice(ROLES, "Of an agent.", allow_none=True)
    conditions_version = Text("The general conditions accepted last in this capacity.", allow_none=True)
    activated_at = Moment()


class AccountContact(Shape):
    contact_id = Id()
    kind = Choice(CONTACT_KINDS)
    value = Text(maximum=254)
    proved_at = Moment()


class LinkedProduct(Shape):
    product_id = Id()
    product = Text()
    linked_at = Moment()


class NamedAuthenticator(Shape):
    authenticator_id = Id()
    name = Text()
    added_at = Moment()


class Account(Shape):
    """All that its owner sees of an account."""

    account_id = Id()
    language = Choice(LANGUAGES, "In which the owner is written to.")
    capacities = Listed(Part(HeldCapacity))
    contacts = Listed(Part(AccountContact), "Proved ones only.")
    luxtrust = Listed(Part(LinkedProduct))
    authenticators = Listed(Part(NamedAuthenticator))
    devices = Number("How many devices open the account; /account/devices lists them.")
    password_changed_at = Moment()
    example: ClassVar = {
        "account_id": OTHER_ID,
        "language": "fr",
        "capacities": [
            {"capacity": "patient", "role": None, "conditions_version": CONDITIONS_VERSION, "activated_at": TIME}
        ],
        "contacts": [{"contact_id": ID, "kind": "email", "value": "jane.doe@example.lu", "proved_at": TIME}],
        "luxtrust": [],
        "authenticators": [],
        "devices": 1,
        "password_changed_at": TIME,
    }


class AccountChange(Shape):
    language = Choice(LANGUAGES, required=True)
    example: ClassVar = {"language": "lb"}


class NewContact(Shape):
    kind = Choice(CONTACT_KINDS, required=True)
    value = Text("An e-mail address, or a mobile number (E.164; without prefix it is one of Luxembourg).",
                 maximum=254, required=True)  # fmt: skip
    example: ClassVar = {"kind": "mobile", "value": "+352 621 123 456"}


class ContactCodeSent(Shape):
    """A one-time code is on its way; send it to /account/contacts/{challenge_id}/proof in the same session."""

    challenge_id = Id()
    expires_at = Moment()
    example: ClassVar = {"challenge_id": ID, "expires_at": TIME}


class ContactCode(Shape):
    code = Secret("The one-time code.", maximum=32, required=True)
    example: ClassVar = {"code": "6wqxU4"}


class PasswordChange(Shape):
    current_password = Secret(maximum=512, required=True)
    password = Secret("12 to 128 characters, not among the common ones.", maximum=512, required=True)
    example: ClassVar = {"current_password": "quatre chevaux bleus", "password": "cinq hérissons violets"}


class ResetRequest(Shape):
    matricule = Matricule(required=True)
    email = Text("A proved e-mail address of the account.", maximum=254, required=True)
    example: ClassVar = {"matricule": MATRICULE, "email": "jane.doe@example.lu"}


class ResetRequested(Shape):
    """The same for everybody: whether a link was sent is said by the mail alone."""

    expires_in = Number("Seconds that a link works.")
    example: ClassVar = {"expires_in": 1800}


class PasswordReset(Shape):
    token = Secret("From the link, behind the full stop.", maximum=128, required=True)
    password = Secret("12 to 128 characters, not among the common ones.", maximum=512, required=True)
    example: ClassVar = {"token": "b7c1Zk…", "password": "cinq hérissons violets"}


class NextLogIn(Shape):
    channels = Listed(Choice(WAYS), "How to log in next.")
    mail_codes_from = Moment("From when on a code goes by e-mail, where there is nothing else.", allow_none=True)


class PasswordResetDone(Shape):
    next = Part(NextLogIn)
    example: ClassVar = {"next": {"channels": ["mobile"], "mail_codes_from": None}}
