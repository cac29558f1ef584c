"""Shapes of what hides a document, who sees it, and what may be deposited."""

from __future__ import annotations

from typing import ClassVar

from marshmallow import fields

from gateway.operations import Query, Shape
from gateway.schemas.fields import Accepted, Choice, Flag, Id, Listed, Moment, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.rights import RULE, Who
from services.directory.contract import PROFESSIONS
from services.documents.contract import MEDIA_TYPES
from services.dossier.contract import CATEGORIES, DECISION_ACTIONS, GROUNDS, RISK_WORDINGS

RISK = max(RISK_WORDINGS)

# --- restrictions ---------------------------------------------------------------------------------------------------


class RestrictionWanted(Shape):
    """The risks, accepted in the wording that was shown."""

    risk_accepted = Accepted(RISK_WORDINGS[RISK], required=True)
    risk_version = Choice(tuple(RISK_WORDINGS), "Version of the wording that was shown.", required=True)
    example: ClassVar = {"risk_accepted": True, "risk_version": RISK}


class DocumentRestriction(Shape):
    professional_id = Id()
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    since = Moment()


class DocumentRestrictions(Shape):
    restrictions = Listed(Part(DocumentRestriction), "The first first.")
    example: ClassVar = {
        "restrictions": [{"professional_id": ID, "name": "MÜLLER Anne", "profession": "physician", "since": TIME}]
    }


# --- the patient block ----------------------------------------------------------------------------------------------


class PatientBlockWanted(Shape):
    reason = Text("For the professionals; the patient never reads it.", maximum=500, required=True)
    example: ClassVar = {"reason": "Résultat à annoncer en consultation."}


class PatientBlockSet(Shape):
    document_id = Id()
    blocked = Flag()
    since = Moment(allow_none=True)
    example: ClassVar = {"document_id": ID, "blocked": True, "since": TIME}


class PatientBlockRead(PatientBlockSet):
    professional_id = Id("Who blocked it.", allow_none=True)
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    reason = Text(allow_none=True)
    example: ClassVar = {
        **PatientBlockSet.example,
        "professional_id": OTHER_ID,
        "name": "MÜLLER Anne",
        "profession": "physician",
        "reason": "Résultat à annoncer en consultation.",
    }


# --- who sees it ----------------------------------------------------------------------------------------------------


class ReadersQuery(Query):
    moment = Moment("A moment that has passed, after the deposit; left out: now.")


class DocumentReader(Shape):
    professional_id = Id(allow_none=True)
    patient_id = Id("A person of the holder side.", allow_none=True)
    establishment_id = Id("Where the ground is given to all who work there.", allow_none=True)
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    establishment_name = Text(allow_none=True)
    ground = Choice(GROUNDS, "The strongest.")
    rule = Text(RULE)
    until = Moment("When the ground ends; null: without end.", allow_none=True)


class DocumentReaders(Shape):
    readers = Listed(Part(DocumentReader))
    example: ClassVar = {
        "readers": [
            {
                "professional_id": ID,
                "patient_id": None,
                "establishment_id": OTHER_ID,
                "name": "MÜLLER Anne",
                "profession": "physician",
                "establishment_name": "Hôpital du Nord",
                "ground": "admission",
                "rule": "admission/stay",
                "until": TIME,
            }
        ]
    }


class DocumentQuestion(Shape):
    who = Part(Who, "Somebody else; null: the caller themself.", allow_none=True, load_default=None)
    action = Choice(DECISION_ACTIONS, required=True)
    moment = Moment("A moment that has passed; null: now.", allow_none=True, load_default=None)
    example: ClassVar = {"who": {"professional_id": ID}, "action": "read", "moment": None}


# --- what may be deposited ------------------------------------------------------------------------------------------


class DepositableType(Shape):
    slug = Text("As `type` of a deposit.")
    label = Text("In French, as in the national list.")
    folder = Text()
    category = Choice(CATEGORIES)
    media_types = Listed(Choice(tuple(MEDIA_TYPES)), "The kinds of bytes it may have.")
    max_sizes = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "Of each kind, how many bytes."}
    )


class DepositableTypes(Shape):
    types = Listed(Part(DepositableType), "In the order of the national list.")
    example: ClassVar = {
        "types": [
            {
                "slug": "medical_report",
                "label": "Compte rendu médical",
                "folder": "medical_data",
                "category": "care_reports",
                "media_types": ["application/pdf", "image/png"],
                "max_sizes": {"application/pdf": 104857600, "image/png": 52428800},
            }
        ]
    }
