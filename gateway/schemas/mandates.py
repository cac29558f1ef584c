"""Shapes of mandates, stays, orders and presence codes."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Accepted, Choice, Id, Listed, Moment, Number, Part, Secret, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.directory.contract import PROFESSIONS
from services.dossier.contract import (
    DECLARATION_WORDINGS,
    REFERENCE_LENGTH,
    RESULT_CONSENT_WORDINGS,
    STAY_KINDS,
    VERDICTS,
)

WORDING = max(DECLARATION_WORDINGS)
CONSENT = max(RESULT_CONSENT_WORDINGS)


# --- mandates -------------------------------------------------------------------------------------------------------


class MandateWanted(Shape):
    """The presence code, and the declaration that the patient allowed the access."""

    presence_code = Secret("From the patient.", maximum=64, required=True)
    declaration_accepted = Accepted(DECLARATION_WORDINGS[WORDING], required=True)
    wording_version = Choice(tuple(DECLARATION_WORDINGS), "Version of the declaration that was shown.", required=True)
    example: ClassVar = {"presence_code": "7HXK2MPQ", "declaration_accepted": True, "wording_version": WORDING}


class MandateOpened(Shape):
    mandate_id = Id()
    kind = Text()
    starts_at = Moment()
    read_until = Moment("24 hours after.")
    deposit_until = Moment("Deposit-only until day 15.")
    example: ClassVar = {
        "mandate_id": ID,
        "kind": "presence",
        "starts_at": TIME,
        "read_until": "2026-11-22T09:30:00.000000Z",
        "deposit_until": "2026-12-06T09:30:00.000000Z",
    }


class Reviewed(Shape):
    """How the agency's privacy officer found an access that the professional had opened on their own word."""

    verdict = Choice(("waiting", *VERDICTS))
    settled_at = Moment(allow_none=True)


class Mandate(Shape):
    mandate_id = Id()
    kind = Text()
    professional_id = Id("Null where the mandate serves everybody who works at the establishment.", allow_none=True)
    name = Text("The professional's name; null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    establishment_id = Id(allow_none=True)
    establishment_name = Text(allow_none=True)
    starts_at = Moment()
    read_until = Moment()
    deposit_until = Moment()
    ended_at = Moment("When somebody ended it before its time.", allow_none=True)
    reference = Text("The establishment's own number of the stay or the order.", allow_none=True)
    closes_at = Moment("When the patient was discharged, or the result validated.", allow_none=True)
    consent_at = Moment("When the patient's consent to a later result was recorded.", allow_none=True)
    reason_category = Text("What the professional stated who came on their own responsibility.", allow_none=True)
    reason = Text("In their own words; shown to the holder side.", allow_none=True)
    review = Part(Reviewed, "Null for the others, and for all but the holder side.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        **MandateOpened.example,
        "professional_id": OTHER_ID,
        "name": "MÜLLER Anne",
        "profession": "physician",
        "establishment_id": OTHER_ID,
        "establishment_name": "Cabinet du Parc",
        "ended_at": None,
        "reference": None,
        "closes_at": None,
        "consent_at": None,
        "reason_category": None,
        "reason": None,
        "review": None,
    }


class Mandates(Shape):
    mandates = Listed(Part(Mandate))
    example: ClassVar = {"mandates": [Mandate.example]}


class MandatesEnded(Shape):
    count = Number("How many ran.")
    ended_at = Moment()
    example: ClassVar = {"count": 2, "ended_at": TIME}


# --- stays and orders -----------------------------------------------------------------------------------------------


class Reference(Text):
    """An establishment's own number: letters, digits and . _ / - without spaces, and nobody's name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "The establishment's own number; the same one again is the same stay or order. No personal data.",
            maximum=REFERENCE_LENGTH,
            pattern=r"\A[A-Za-z0-9._/-]+\Z",
            code="reference",
            **kwargs,
        )


class StayWanted(Shape):
    kind = Choice(STAY_KINDS, required=True)
    reference = Reference(required=True)
    example: ClassVar = {"kind": "admission", "reference": "2026/048213"}


class StayShown(Shape):
    """A mandate of an establishment, which serves everybody who works there."""

    mandate_id = Id()
    kind = Text()
    reference = Text(allow_none=True)
    starts_at = Moment()
    read_until = Moment()
    deposit_until = Moment()
    closes_at = Moment("When the patient was discharged, or the result validated.", allow_none=True)
    consent_at = Moment("When the patient's consent to a later result was recorded.", allow_none=True)
    ended_at = Moment("When the holder ended it.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        "mandate_id": ID,
        "kind": "admission",
        "reference": "2026/048213",
        "starts_at": TIME,
        "read_until": "2027-01-05T09:30:00.000000Z",
        "deposit_until": "2027-01-20T09:30:00.000000Z",
        "closes_at": None,
        "consent_at": None,
        "ended_at": None,
    }


class Prolongation(Shape):
    days = Number("By how many days in all the stay reads longer than it began with.", minimum=1, required=True)
    example: ClassVar = {"days": 10}


class ResultConsent(Shape):
    patient_consented = Accepted(RESULT_CONSENT_WORDINGS[CONSENT], required=True)
    wording_version = Choice(tuple(RESULT_CONSENT_WORDINGS), "Version of the sentence that was read.", required=True)
    example: ClassVar = {"patient_consented": True, "wording_version": CONSENT}


class OrderWanted(Shape):
    reference = Reference(required=True)
    example: ClassVar = {"reference": "LAB-2026-77120"}


class OrderShown(StayShown):
    example: ClassVar[dict[str, Any]] = {
        **StayShown.example,
        "kind": "order",
        "reference": "LAB-2026-77120",
        "read_until": TIME,
        "deposit_until": "2027-11-21T09:30:00.000000Z",
    }


class Orders(Shape):
    orders = Listed(Part(Mandate))
    example: ClassVar = {
        "orders": [
            {
                **Mandate.example,
                **OrderShown.example,
                "professional_id": None,
                "name": None,
                "profession": None,
                "establishment_name": "Laboratoires du Nord",
            }
        ]
    }


# --- the presence code ----------------------------------------------------------------------------------------------


class PresenceCodeSince(Shape):
    issued_at = Moment("Null where none was ever issued.", allow_none=True)
    example: ClassVar = {"issued_at": TIME}


class PresenceCodeMade(Shape):
    """The code is shown this once; under a key that was answered before it is null."""

    code = Secret(allow_none=True)
    issued_at = Moment()
    example: ClassVar = {"code": "7HXK2MPQ", "issued_at": TIME}
