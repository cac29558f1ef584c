"""Shapes of accounts, sessions, patients, professionals and the agency's registrations."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import (
    Choice,
    Flag,
    Id,
    Matricule,
    Secret,
    Text,
)
from services.identity.contract import ROLES

ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
OTHER_ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"
MATRICULE = "1990010112347"
TIME = "2026-11-21T09:30:00.000000Z"


# --- codes ----------------------------------------------------------------------------------------------------------


class CodeGiven(Shape):
    code = Secret("The one-time code.", maximum=32, required=True)
    example: ClassVar = {"code": "6wqxU4"}


# --- agency ---------------------------------------------------------------------------------------------------------


class Address(Shape):
    line = Text(required=True)
    postal_code = Text(maximum=12, required=True)
    locality = Text(required=True)
    country = Text("ISO 3166, two letters.", minimum=2, maximum=2, required=True)


ADDRESS = {"line": "1, rue du Parc", "postal_code": "L-1234", "locality": "Luxembourg", "country": "LU"}


class Opened(Shape):
    patient_id = Id()
    record_id = Id()
    state = Text("State of the record.")
    created = Flag("False when the patient had a record already.")
    example: ClassVar = {"patient_id": ID, "record_id": OTHER_ID, "state": "open", "created": True}


class Invitation(Shape):
    """Either a professional of the directory, or a new agent by matricule and role."""

    professional_id = Id()
    matricule = Matricule()
    role = Choice(ROLES)
    example: ClassVar = {"professional_id": ID}


class InvitationMade(Shape):
    invitation_id = Id()
    example: ClassVar = {"invitation_id": ID}
