"""Shapes of identity sheets: opened, read, changed, checked, with their history [seed 002, Fiche identité]."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Flag, Id, Listed, Matricule, Moment, Number, Part, Text
from gateway.schemas.people import ADDRESS, ID, MATRICULE, OTHER_ID, TIME, Address
from gateway.schemas.representatives import RepresentativeNamed
from services.directory.contract import (
    ADDRESS_USES,
    CHECK_DOCUMENTS,
    EVIDENCES,
    IDENTIFIER_SYSTEMS,
    LANGUAGES,
    MARITAL_STATUSES,
    MATRICULE_CAUSES,
    MATRICULE_SYSTEM,
    SEXES,
)
from services.dossier.contract import STATES

EVIDENCE = "What the birth date rests on."
COUNTRY = "ISO 3166, two letters."
PHONE = "E.164; a number of Luxembourg needs no prefix."
OTHERS = "Numbers in other systems; the matricule has a place of its own."


class FurtherAddress(Address):
    """An address beside the registered one; letters go to the postal one where there is one."""

    use = Choice(ADDRESS_USES, required=True)


class Identifier(Shape):
    system = Choice(IDENTIFIER_SYSTEMS, required=True)
    value = Text(maximum=64, required=True)


POSTAL = {"use": "postal", "line": "B.P. 12", "postal_code": "L-2010", "locality": "Luxembourg", "country": "LU"}
FEDERATOR = {"system": IDENTIFIER_SYSTEMS[0], "value": "F-000123"}


# --- taken ------------------------------------------------------------------------------------------------------------


class _Further(Shape):
    """What a sheet may say beside what it must; null says nothing."""

    usual_name = Text(allow_none=True)
    birth_date_evidence = Choice(EVIDENCES, EVIDENCE, allow_none=True)
    birth_place = Text(allow_none=True)
    birth_commune = Text(allow_none=True)
    birth_postal_code = Text(maximum=12, allow_none=True)
    birth_country = Text(COUNTRY, minimum=2, maximum=2, allow_none=True)
    marital_status = Choice(MARITAL_STATUSES, allow_none=True)
    mobile = Text(PHONE, maximum=40, allow_none=True)
    phone = Text(PHONE, maximum=40, allow_none=True)
    email = Text(maximum=254, allow_none=True)
    addresses = Listed(Part(FurtherAddress), "Addresses beside the registered one.", maximum=5)
    identifiers = Listed(Part(Identifier), OTHERS, maximum=20)


class Opening(_Further):
    """The identity sheet of the patient whose record is to be opened; who is not affiliated has no matricule."""

    matricule = Matricule(allow_none=True)
    birth_name = Text(required=True)
    first_names = Text(required=True)
    sex = Choice(SEXES, required=True)
    birth_date = Day(required=True)
    language = Choice(LANGUAGES, required=True)
    address = Part(Address, "The registered address.", required=True)
    representatives = Listed(
        Part(RepresentativeNamed), "Who acts for the holder: the first letter goes to parents or guardian.", maximum=4
    )
    example: ClassVar = {
        "matricule": MATRICULE,
        "birth_name": "DOE",
        "first_names": "Jane",
        "sex": "F",
        "birth_date": "1990-01-01",
        "birth_date_evidence": "identity_document",
        "birth_place": "Luxembourg",
        "birth_country": "LU",
        "mobile": "+352621123456",
        "language": "fr",
        "address": ADDRESS,
        "identifiers": [FEDERATOR],
    }


class SheetChange(_Further):
    """The fields to change, and no others; null empties one. Lists are given whole."""

    birth_name = Text()
    first_names = Text()
    sex = Choice(SEXES)
    birth_date = Day()
    language = Choice(LANGUAGES)
    address = Part(Address, "The registered address.")
    example: ClassVar = {"usual_name": "MILLER", "marital_status": "married", "addresses": [POSTAL]}


class SheetCheck(Shape):
    document = Choice(tuple(CHECK_DOCUMENTS), "What the identity was compared with.", required=True)
    example: ClassVar = {"document": "identity_card"}


class MatriculeChange(Shape):
    matricule = Matricule(required=True)
    cause = Choice(MATRICULE_CAUSES, required=True)
    example: ClassVar = {"matricule": MATRICULE, "cause": "correction"}


# --- answered ---------------------------------------------------------------------------------------------------------


class SheetVersion(Shape):
    """The sheet after a change; the ETag is its version."""

    patient_id = Id()
    version = Number()
    identity_check_due = Flag("The birth date is not the matricule's: an agent should look at the papers.")
    example: ClassVar = {"patient_id": ID, "version": 4, "identity_check_due": False}


class PatientIdentified(Shape):
    """Who a patient is, and no more."""

    patient_id = Id("Of the sheet that speaks for the patient: another than was asked for after a merge.")
    version = Number()
    matricule = Text("The present one.", allow_none=True)
    birth_name = Text()
    usual_name = Text(allow_none=True)
    first_names = Text()
    sex = Choice(SEXES)
    birth_date = Day()
    birth_date_evidence = Choice(EVIDENCES, EVIDENCE)
    birth_place = Text(allow_none=True)
    birth_country = Text(COUNTRY, allow_none=True)
    example: ClassVar = {
        "patient_id": ID,
        "version": 3,
        "matricule": MATRICULE,
        "birth_name": "DOE",
        "usual_name": "MILLER",
        "first_names": "Jane",
        "sex": "F",
        "birth_date": "1990-01-01",
        "birth_date_evidence": "identity_document",
        "birth_place": "Luxembourg",
        "birth_country": "LU",
    }


class DatedIdentifier(Shape):
    system = Choice((MATRICULE_SYSTEM, *IDENTIFIER_SYSTEMS))
    value = Text()
    since = Moment()
    until = Moment("Null while it holds.", allow_none=True)


class Written(Shape):
    at = Moment()
    by = Choice(("agency", "feed"))
    account_id = Id("Of the agent; shown to agents.", allow_none=True)
    software = Text(allow_none=True)


class RecordFacts(Shape):
    """The record that speaks for the patient."""

    record_id = Id()
    record_number = Number()
    state = Choice(STATES)
    since = Moment("When it came into this state.")
    cause = Text("Why.", allow_none=True)


WRITTEN = {"at": TIME, "by": "agency", "account_id": OTHER_ID, "software": "portal"}


class Sheet(PatientIdentified):
    """The whole identity sheet."""

    identifiers = Listed(Part(DatedIdentifier), "Matricules, former ones too, and numbers in other systems.")
    birth_commune = Text(allow_none=True)
    birth_postal_code = Text(allow_none=True)
    marital_status = Choice(MARITAL_STATUSES, allow_none=True)
    mobile = Text(PHONE, allow_none=True)
    phone = Text(PHONE, allow_none=True)
    email = Text(allow_none=True)
    language = Choice(LANGUAGES)
    address = Part(Address, "The registered address.")
    addresses = Listed(Part(FurtherAddress))
    identity_check_due = Flag("The birth date is not the matricule's, and nobody has looked at the papers since.")
    created = Part(Written)
    changed = Part(Written, allow_none=True)
    record = Part(RecordFacts, "Null when there is none.", allow_none=True)
    example: ClassVar = {
        **PatientIdentified.example,
        "identifiers": [
            {"system": MATRICULE_SYSTEM, "value": MATRICULE, "since": TIME, "until": None},
            {**FEDERATOR, "since": TIME, "until": None},
        ],
        "birth_commune": "Luxembourg",
        "birth_postal_code": "1234",
        "marital_status": "married",
        "mobile": "+352621123456",
        "phone": None,
        "email": "jane.doe@example.lu",
        "language": "fr",
        "address": ADDRESS,
        "addresses": [POSTAL],
        "identity_check_due": False,
        "created": WRITTEN,
        "changed": WRITTEN,
        "record": {"record_id": OTHER_ID, "record_number": 70012, "state": "active", "since": TIME,
                   "cause": "activation"},
    }  # fmt: skip


class FieldChange(Written):
    """One field that changed."""

    field = Text("Such as `usual_name`, `address.line`, `address:postal`, `matricule`, `identifier:urn:dsp:federator`.")
    old = Text(allow_none=True)
    new = Text(allow_none=True)


class SheetChanges(Shape):
    """Newest first."""

    changes = Listed(Part(FieldChange))
    next_cursor = Text("The next page; null on the last.", allow_none=True)
    example: ClassVar = {
        "changes": [{**WRITTEN, "field": "marital_status", "old": "single", "new": "married"}],
        "next_cursor": None,
    }
