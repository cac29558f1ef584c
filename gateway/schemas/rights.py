"""Shapes of rights made plain: mine, somebody's with the rule, everybody's who holds a ground, the ways to ask."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Moment, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.directory.contract import PROFESSIONS
from services.documents.contract import LEVELS
from services.dossier.contract import CATEGORIES, DECISION_ACTIONS, GROUNDS, STEPS

RULE = "The rule that decides, as it stands in the access history."


class OwnRight(Shape):
    ground = Choice(GROUNDS)
    rule = Text(RULE)
    levels = Listed(Choice(LEVELS))
    read = Listed(Choice(CATEGORIES), "Categories of documents.")
    deposit = Listed(Choice(CATEGORIES))
    folders = Listed(Text(), "Null: documents of every folder.", allow_none=True)
    deposit_types = Listed(Text(), "The only types that may be deposited; null: every type.", allow_none=True)
    until = Moment("Null: without end.", allow_none=True)


class OwnRights(Shape):
    rights = Listed(Part(OwnRight), "The strongest ground first. What you wrote yourself you read besides.")
    example: ClassVar = {
        "rights": [
            {
                "ground": "presence",
                "rule": "presence/24h",
                "levels": ["standard"],
                "read": ["care_reports", "laboratory"],
                "deposit": ["care_reports"],
                "folders": None,
                "deposit_types": None,
                "until": TIME,
            }
        ]
    }


class Who(Shape):
    """One of the two."""

    professional_id = Id("A professional.")
    patient_id = Id("A person, as an assistant or a representative; for the holder's side.")


class Question(Shape):
    who = Part(Who, "Somebody else; null: the caller themself.", allow_none=True, load_default=None)
    action = Choice(DECISION_ACTIONS, required=True)
    category = Choice(CATEGORIES, required=True)
    level = Choice(LEVELS, required=True)
    type = Text("A type of documents, where it matters.", maximum=60, load_default="")
    folder = Text("A folder, where it matters.", maximum=60, load_default="")
    moment = Moment("A moment that has passed; null: now.", allow_none=True, load_default=None)
    example: ClassVar = {
        "who": {"professional_id": ID},
        "action": "read",
        "category": "laboratory",
        "type": "laboratory_results",
        "folder": "laboratory",
        "level": "confidential",
        "moment": None,
    }


class Answered(Shape):
    allowed = Flag()
    ground = Choice(GROUNDS, "What lets it be done.", allow_none=True)
    rule = Text(RULE)
    step = Choice(STEPS, "The condition that is not met; the first of them, in this order.", allow_none=True)
    remedies = Listed(Text(), "What would change a refusal, as codes.")
    until = Moment("When the ground ends; null: without end.", allow_none=True)
    example: ClassVar = {
        "allowed": False,
        "ground": None,
        "rule": "level/confidential",
        "step": "level",
        "remedies": ["lower_level", "stronger_ground"],
        "until": None,
    }


class GivenRight(Shape):
    ground = Choice(GROUNDS)
    grant_id = Id("Of the mandate, membership, designation …; null: the holder's own.", allow_none=True)
    professional_id = Id(allow_none=True)
    patient_id = Id("A person of the holder side.", allow_none=True)
    establishment_id = Id("Whose professionals it serves.", allow_none=True)
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    establishment_name = Text(allow_none=True)
    since = Moment()
    read_until = Moment("Null: without end.", allow_none=True)
    deposit_until = Moment("Null: without end.", allow_none=True)


class GivenRights(Shape):
    rights = Listed(Part(GivenRight), "The latest given first.")
    example: ClassVar = {
        "rights": [
            {
                "ground": "circle",
                "grant_id": OTHER_ID,
                "professional_id": ID,
                "patient_id": None,
                "establishment_id": None,
                "name": "MÜLLER Anne",
                "profession": "physician",
                "establishment_name": None,
                "since": TIME,
                "read_until": None,
                "deposit_until": None,
            }
        ]
    }


class AccessOption(Shape):
    option = Choice(("presence_code", "emergency", "responsibility", "author_only"))
    text = Text("In the reader's language.")


class AccessOptions(Shape):
    text = Text("In the reader's language.")
    options = Listed(Part(AccessOption))
    example: ClassVar = {
        "text": "You do not have the right to access this patient's record.",
        "options": [{"option": "author_only", "text": "I read, without changing them, the documents I wrote."}],
    }
