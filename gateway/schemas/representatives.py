"""Shapes of legal representatives and of sittings with them."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Moment, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.dossier.contract import REPRESENTATIVE_KINDS

LATER = "2031-05-17T22:00:00.000000Z"


class RepresentativeNamed(Shape):
    """Who represents a holder, as what, and what an agent saw of it."""

    patient_id = Id("The patient who represents.", required=True)
    kind = Choice(REPRESENTATIVE_KINDS, required=True)
    proof = Text("What the agent saw, and its reference.", maximum=300, required=True)
    until = Moment("When it ends; a minor's ends at majority at the latest.", allow_none=True)
    example: ClassVar = {"patient_id": OTHER_ID, "kind": "parent", "proof": "Livret de famille 2019/114"}


class RepresentativeRecorded(RepresentativeNamed):
    """What an agent records; the holder is named too, so that nobody is recorded in the wrong record."""

    holder_id = Id("The patient whose record it is.", required=True)
    example: ClassVar = {**RepresentativeNamed.example, "holder_id": ID}


class RepresentativeMade(Shape):
    representative_id = Id()
    since = Moment()
    until = Moment(allow_none=True)
    example: ClassVar = {"representative_id": ID, "since": TIME, "until": LATER}


class Representative(Shape):
    representative_id = Id()
    patient_id = Id()
    name = Text("Null while the directory cannot be asked.", allow_none=True)
    kind = Choice(REPRESENTATIVE_KINDS)
    acts_alone = Flag("False for who acts only together with the holder.")
    in_force = Flag()
    since = Moment()
    until = Moment("When it ends by itself.", allow_none=True)
    together_until = Moment("Until when the holder lets them act now.", allow_none=True)
    ended_at = Moment("When an agent ended it.", allow_none=True)
    proof = Text("For agents alone.", allow_none=True)


class Representatives(Shape):
    representatives = Listed(Part(Representative))
    example: ClassVar = {
        "representatives": [
            {
                "representative_id": ID,
                "patient_id": OTHER_ID,
                "name": "DOE Jane",
                "kind": "parent",
                "acts_alone": True,
                "in_force": True,
                "since": TIME,
                "until": LATER,
                "together_until": None,
                "ended_at": None,
                "proof": None,
            }
        ]
    }


class Sitting(Shape):
    representative_id = Id()
    together_until = Moment()
    example: ClassVar = {"representative_id": ID, "together_until": TIME}
