"""Shapes of the records that somebody holds, or stands by."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.dossier.contract import HOLDER_SIDE, STATES


class MyRecord(Shape):
    record_id = Id()
    patient_id = Id("Whose record it is.")
    patient_name = Text("Null while the directory cannot be asked.", allow_none=True)
    state = Choice(STATES)
    since = Moment("When the record came into this state.")
    ground = Choice(HOLDER_SIDE, "As whom the caller is let in; the strongest.")
    grant_id = Id("Of the representation or the assistance; null for the holder.", allow_none=True)
    until = Moment("When that ends by itself.", allow_none=True)


class MyRecords(Shape):
    records = Listed(Part(MyRecord))
    example: ClassVar = {
        "records": [
            {
                "record_id": ID,
                "patient_id": OTHER_ID,
                "patient_name": "DOE Jane",
                "state": "active",
                "since": TIME,
                "ground": "holder",
                "grant_id": None,
                "until": None,
            }
        ]
    }
