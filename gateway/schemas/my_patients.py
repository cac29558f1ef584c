"""Shapes of a professional's own lists."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Day, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.dossier.contract import GROUNDS, LIST_LIMIT


class PatientsPage(Query):
    limit = Number("How many at most.", minimum=1, maximum=LIST_LIMIT, load_default=50)
    cursor = Text("`next_cursor` of the page before.", maximum=200)


class ListedPatient(Shape):
    record_id = Id()
    patient_id = Id()
    patient_name = Text("Null while the directory cannot be asked.", allow_none=True)
    birth_date = Day("Null while the directory cannot be asked.", allow_none=True)
    ground = Choice(GROUNDS, "The strongest that lets in.")
    since = Moment("Of my patients, when this ground began; of the latest records, about when one last came.")
    until = Moment("When it stops to give what it gives now; null without end.", allow_none=True)


class ListedPatients(Shape):
    patients = Listed(Part(ListedPatient))
    next_cursor = Text(allow_none=True)
    example: ClassVar = {
        "patients": [
            {
                "record_id": ID,
                "patient_id": OTHER_ID,
                "patient_name": "DOE Jane",
                "birth_date": "1990-01-01",
                "ground": "admission",
                "since": TIME,
                "until": "2027-01-05T09:30:00.000000Z",
            }
        ],
        "next_cursor": None,
    }
