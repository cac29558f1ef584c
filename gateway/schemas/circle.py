"""Shapes of the circle of trust and of the blocklist."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Accepted, Choice, Id, Listed, Moment, Part, Text
from gateway.schemas.people import ID, TIME
from services.directory.contract import PROFESSIONS
from services.dossier.contract import RISK_WORDINGS

RISK = max(RISK_WORDINGS)


class CircleEntry(Shape):
    comment = Text(minimum=0, maximum=500, allow_none=True)
    until = Moment("When it ends by itself; null: not before the holder ends it.", allow_none=True)
    example: ClassVar = {"comment": "Ma cardiologue", "until": None}


class CircleMember(Shape):
    professional_id = Id()
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    since = Moment()
    until = Moment("The end that the holder foresaw.", allow_none=True)
    comment = Text(allow_none=True)


class Circle(Shape):
    members = Listed(Part(CircleMember))
    example: ClassVar = {
        "members": [
            {
                "professional_id": ID,
                "name": "MÜLLER Anne",
                "profession": "physician",
                "since": TIME,
                "until": None,
                "comment": "Ma cardiologue",
            }
        ]
    }


class BlockWanted(Shape):
    risk_accepted = Accepted("The sentence of this version was read and accepted.", required=True)
    risk_version = Choice(tuple(RISK_WORDINGS), "The version of the sentence.", required=True)
    example: ClassVar = {"risk_accepted": True, "risk_version": RISK}


class BlockedProfessional(Shape):
    professional_id = Id()
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    since = Moment()


class Blocklist(Shape):
    blocked = Listed(Part(BlockedProfessional))
    example: ClassVar = {
        "blocked": [{"professional_id": ID, "name": "MÜLLER Anne", "profession": "physician", "since": TIME}]
    }
