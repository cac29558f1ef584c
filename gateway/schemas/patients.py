"""Shapes of the search for patients, and of sheets that may be one person's."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Flag, Id, Listed, Matricule, Moment, Number, Part, Text
from gateway.schemas.people import ID, MATRICULE, OTHER_ID, TIME
from services.directory.contract import ALERTS, EVIDENCES, SETTLEMENTS, SEXES
from services.dossier.contract import FINDING_ACTIONS

STATES = ("accessible", "not_accessible")


class PatientSearch(Shape):
    """Either `matricule`, with its 13 digits or the first 11, or `name`, `first_names` and `birth_date`."""

    matricule = Matricule()
    name = Text("Family name, of birth or in use.", maximum=120)
    first_names = Text(maximum=120)
    birth_date = Text("YYYY-MM-DD, or YYYY-MM or YYYY when no more is known.", maximum=10)
    sex = Choice(SEXES)
    example: ClassVar = {"name": "DOE", "first_names": "Jane", "birth_date": "1990-01-01", "sex": "F"}


class Stay(Shape):
    """An admission that runs at the reader's own establishment."""

    since = Moment()
    until = Moment("Until when it gives access.")


class PatientFound(Shape):
    """One line of the answer."""

    patient_id = Id()
    birth_name = Text()
    usual_name = Text(allow_none=True)
    first_names = Text()
    birth_date = Day()
    sex = Choice(SEXES)
    insc = Text("The present matricule.", allow_none=True)
    record_id = Id("Null where it is not said whether there is a record.", allow_none=True)
    record_number = Number("Null where it is not said whether there is a record.", allow_none=True)
    identifier = Text("Number in the region.", allow_none=True)
    state = Choice(STATES, "Of the record: missing, closed and not yet open look alike.")
    alerts = Listed(Choice(ALERTS))
    rate = Number("How well it matches, in per cent; 100 by an exact matricule.", maximum=100)
    actions = Listed(Choice(FINDING_ACTIONS), "What may be done next with this patient.")
    care_pathway = Listed(Part(Stay), "Running admissions at the reader's own establishment.")
    example: ClassVar = {
        "patient_id": ID,
        "birth_name": "DOE",
        "usual_name": None,
        "first_names": "Jane",
        "birth_date": "1990-01-01",
        "sex": "F",
        "insc": MATRICULE,
        "record_id": OTHER_ID,
        "record_number": 1042,
        "identifier": None,
        "state": "accessible",
        "alerts": ["possible_duplicate"],
        "rate": 96,
        "actions": ["enter_presence_code"],
        "care_pathway": [{"since": TIME, "until": TIME}],
    }


class PatientsFound(Shape):
    """The ten who match best."""

    patients = Listed(Part(PatientFound), "The best first, ten at most.")
    more = Flag("There are others: say more of whom you mean.")
    example: ClassVar = {"patients": [PatientFound.example], "more": False}


# --- duplicates -----------------------------------------------------------------------------------------------------


class Identification(Shape):
    """Who a sheet is about."""

    patient_id = Id()
    version = Number("Of the sheet.")
    matricule = Text(allow_none=True)
    birth_name = Text()
    usual_name = Text(allow_none=True)
    first_names = Text()
    sex = Choice(SEXES)
    birth_date = Day()
    birth_date_evidence = Choice(EVIDENCES)
    birth_place = Text(allow_none=True)
    birth_country = Text(allow_none=True)
    example: ClassVar = {
        "patient_id": ID,
        "version": 1,
        "matricule": MATRICULE,
        "birth_name": "DOE",
        "usual_name": None,
        "first_names": "Jane",
        "sex": "F",
        "birth_date": "1990-01-01",
        "birth_date_evidence": "unknown",
        "birth_place": None,
        "birth_country": None,
    }


class PossiblePair(Shape):
    """Two sheets that may be one person's."""

    one = Part(Identification)
    other = Part(Identification)
    rate = Number("How alike they are, in per cent.", maximum=100)
    found_at = Moment()
    example: ClassVar = {
        "one": Identification.example,
        "other": {**Identification.example, "patient_id": OTHER_ID, "matricule": None, "first_names": "Jayne"},
        "rate": 91,
        "found_at": TIME,
    }


class PossiblePairs(Shape):
    """A page of pairs that nobody has looked at."""

    duplicates = Listed(Part(PossiblePair), "The most alike first.")
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"duplicates": [PossiblePair.example], "next_cursor": None}


class Settlement(Shape):
    """What an agent found of a pair."""

    one_id = Id(required=True)
    other_id = Id(required=True)
    settled = Choice(SETTLEMENTS, "That they are one person is said by merging them.", required=True)
    example: ClassVar = {"one_id": ID, "other_id": OTHER_ID, "settled": "distinct"}
