"""Shapes of accounts, sessions, patients, professionals and the agency's registrations."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import (
    Choice,
    Day,
    Flag,
    Id,
    Listed,
    Matricule,
    Number,
    Part,
    Secret,
    Text,
)
from services.directory.contract import ESTABLISHMENT_KINDS, PROFESSIONS, SEXES
from services.identity.contract import LANGUAGES, ROLES

ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
OTHER_ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"
MATRICULE = "1990010112347"
TIME = "2026-11-21T09:30:00.000000Z"


# --- codes ----------------------------------------------------------------------------------------------------------


class CodeGiven(Shape):
    code = Secret("The one-time code.", maximum=32, required=True)
    example: ClassVar = {"code": "6wqxU4"}


# --- directory ------------------------------------------------------------------------------------------------------


class PatientSearch(Shape):
    matricule = Matricule(required=True)
    example: ClassVar = {"matricule": MATRICULE}


class RecordHint(Shape):
    """The record of a found patient, when the searcher may enter it."""

    record_id = Id(allow_none=True)
    accessible = Flag()


class PatientFound(Shape):
    patient_id = Id()
    birth_name = Text()
    usual_name = Text(allow_none=True)
    first_names = Text()
    birth_date = Day()
    sex = Choice(SEXES)
    rate = Number("How well it matches, in per cent.", maximum=100)
    record = Part(RecordHint, allow_none=True)


class PatientsFound(Shape):
    patients = Listed(Part(PatientFound))
    example: ClassVar = {
        "patients": [
            {
                "patient_id": ID,
                "birth_name": "DOE",
                "usual_name": None,
                "first_names": "Jane",
                "birth_date": "1990-01-01",
                "sex": "F",
                "rate": 100,
                "record": {"record_id": OTHER_ID, "accessible": True},
            }
        ]
    }


class ProfessionalQuery(Query):
    q = Text("Three letters or more of name, profession or speciality.", minimum=3, maximum=100, required=True)
    limit = Number(minimum=1, maximum=50, load_default=20)


class Workplace(Shape):
    establishment_id = Id()
    name = Text()


class ProfessionalFound(Shape):
    professional_id = Id()
    family_name = Text()
    first_name = Text()
    profession = Choice(PROFESSIONS)
    specialities = Listed(Text())
    establishments = Listed(Part(Workplace))


class ProfessionalsFound(Shape):
    professionals = Listed(Part(ProfessionalFound))
    example: ClassVar = {
        "professionals": [
            {
                "professional_id": ID,
                "family_name": "MÜLLER",
                "first_name": "Anne",
                "profession": "physician",
                "specialities": ["médecine générale"],
                "establishments": [{"establishment_id": OTHER_ID, "name": "Cabinet du Parc"}],
            }
        ]
    }


# --- agency ---------------------------------------------------------------------------------------------------------


class Address(Shape):
    line = Text(required=True)
    postal_code = Text(maximum=12, required=True)
    locality = Text(required=True)
    country = Text("ISO 3166, two letters.", minimum=2, maximum=2, required=True)


ADDRESS = {"line": "1, rue du Parc", "postal_code": "L-1234", "locality": "Luxembourg", "country": "LU"}


class Opening(Shape):
    """The identity sheet of the patient whose record is to be opened."""

    matricule = Matricule(required=True)
    birth_name = Text(required=True)
    usual_name = Text(allow_none=True)
    first_names = Text(required=True)
    sex = Choice(SEXES, required=True)
    birth_date = Day(required=True)
    language = Choice(LANGUAGES, required=True)
    address = Part(Address, required=True)
    example: ClassVar = {
        "matricule": MATRICULE,
        "birth_name": "DOE",
        "first_names": "Jane",
        "sex": "F",
        "birth_date": "1990-01-01",
        "language": "fr",
        "address": ADDRESS,
    }


class Opened(Shape):
    patient_id = Id()
    record_id = Id()
    state = Text("State of the record.")
    created = Flag("False when the patient had a record already.")
    example: ClassVar = {"patient_id": ID, "record_id": OTHER_ID, "state": "open", "created": True}


class Establishment(Shape):
    name = Text(required=True)
    kind = Choice(ESTABLISHMENT_KINDS, required=True)
    example: ClassVar = {"name": "Cabinet du Parc", "kind": "practice"}


class EstablishmentMade(Shape):
    establishment_id = Id()
    example: ClassVar = {"establishment_id": ID}


class Professional(Shape):
    matricule = Matricule(required=True)
    family_name = Text(required=True)
    first_name = Text(required=True)
    profession = Choice(PROFESSIONS, "Column of the access matrix.", required=True)
    specialities = Listed(Text(), maximum=20, load_default=list)
    establishment_ids = Listed(Id(), maximum=50, load_default=list)
    language = Choice(LANGUAGES, required=True)
    address = Part(Address, allow_none=True)
    example: ClassVar = {
        "matricule": MATRICULE,
        "family_name": "MÜLLER",
        "first_name": "Anne",
        "profession": "physician",
        "specialities": ["médecine générale"],
        "establishment_ids": [OTHER_ID],
        "language": "fr",
        "address": ADDRESS,
    }


class ProfessionalMade(Shape):
    professional_id = Id()
    example: ClassVar = {"professional_id": ID}


class Invitation(Shape):
    """Either a professional of the directory, or a new agent by matricule and role."""

    professional_id = Id()
    matricule = Matricule()
    role = Choice(ROLES)
    example: ClassVar = {"professional_id": ID}


class InvitationMade(Shape):
    invitation_id = Id()
    example: ClassVar = {"invitation_id": ID}
