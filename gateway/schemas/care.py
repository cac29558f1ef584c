"""Shapes of professionals and establishments: found, read, registered, changed, their licences and workplaces."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Matricule, Moment, Number, Part, Text
from gateway.schemas.people import ADDRESS, ID, MATRICULE, OTHER_ID, TIME, Address
from services.directory.contract import ESTABLISHMENT_KINDS, LICENCES, PROFESSIONS
from services.identity.contract import LANGUAGES

LATER = "2027-01-31T00:00:00Z"
SPECIALITIES = "At most 20."
FOUND = ("valid", "suspended")  # who lost the licence for good is not found


# --- searching --------------------------------------------------------------------------------------------------------


class ProfessionalQuery(Query):
    q = Text("Three letters or more of name, profession or speciality.", minimum=3, maximum=100, required=True)
    profession = Choice(PROFESSIONS)
    speciality = Text("A whole speciality; case and accents do not count.", maximum=120)
    locality = Text("Where they work: a whole name of a place.", maximum=120)
    establishment_id = Id("Who works there.")
    limit = Number(minimum=1, maximum=50, load_default=20)
    cursor = Id("`next_cursor` of the page before.")


class OrganisationQuery(Query):
    q = Text("Three letters or more of name, kind or locality.", minimum=3, maximum=100, required=True)
    kind = Choice(ESTABLISHMENT_KINDS)
    locality = Text("A whole name of a place.", maximum=120)
    limit = Number(minimum=1, maximum=50, load_default=20)
    cursor = Id("`next_cursor` of the page before.")


class CarePage(Query):
    limit = Number(minimum=1, maximum=50, load_default=20)
    cursor = Id("`next_cursor` of the page before.")


class Organisation(Shape):
    establishment_id = Id()
    name = Text()
    kind = Choice(ESTABLISHMENT_KINDS)
    locality = Text(allow_none=True)
    example: ClassVar = {
        "establishment_id": OTHER_ID, "name": "Cabinet du Parc", "kind": "practice", "locality": "Luxembourg",
    }  # fmt: skip


class OrganisationsFound(Shape):
    organisations = Listed(Part(Organisation))
    next_cursor = Id(allow_none=True)
    example: ClassVar = {"organisations": [Organisation.example], "next_cursor": None}


class ProfessionalFound(Shape):
    professional_id = Id()
    family_name = Text()
    first_name = Text()
    profession = Choice(PROFESSIONS)
    specialities = Listed(Text())
    licence = Choice(LICENCES, "Whether they may practise now; withdrawn: seen by agents alone.")
    establishments = Listed(Part(Organisation), "Where they work now.")
    example: ClassVar = {
        "professional_id": ID,
        "family_name": "MÜLLER",
        "first_name": "Anne",
        "profession": "physician",
        "specialities": ["médecine générale"],
        "licence": "valid",
        "establishments": [Organisation.example],
    }


class ProfessionalsFound(Shape):
    professionals = Listed(Part(ProfessionalFound))
    next_cursor = Id(allow_none=True)
    example: ClassVar = {"professionals": [ProfessionalFound.example], "next_cursor": None}


# --- reading ----------------------------------------------------------------------------------------------------------


class WorkplaceInTime(Organisation):
    since = Moment()
    until = Moment(allow_none=True)
    emergency = Flag("Attached to the emergency service there.")


class LicenceInTime(Shape):
    licence = Choice(LICENCES)
    since = Moment()
    until = Moment("When a suspension ends by itself.", allow_none=True)
    noted_at = Moment()


class ProfessionalHistory(Shape):
    """For agents alone."""

    address = Part(Address, allow_none=True)
    workplaces = Listed(Part(WorkplaceInTime))
    licences = Listed(Part(LicenceInTime), "In the order of their beginnings; what is to come is among them.")


class ProfessionalRead(ProfessionalFound):
    version = Number("Of the entry; its ETag.")
    language = Choice(LANGUAGES)
    licence_since = Moment(allow_none=True)
    licence_until = Moment("When a suspension ends by itself.", allow_none=True)
    history = Part(ProfessionalHistory, "Null for who is no agent.", allow_none=True)
    example: ClassVar = {
        **ProfessionalFound.example,
        "version": 3,
        "language": "fr",
        "licence_since": TIME,
        "licence_until": None,
        "history": None,
    }


class OrganisationRead(Shape):
    establishment_id = Id()
    name = Text()
    kind = Choice(ESTABLISHMENT_KINDS)
    address = Part(Address, allow_none=True)
    closed_at = Moment(allow_none=True)
    example: ClassVar = {
        "establishment_id": OTHER_ID, "name": "Cabinet du Parc", "kind": "practice", "address": ADDRESS,
        "closed_at": None,
    }  # fmt: skip


# --- the agency's work ------------------------------------------------------------------------------------------------


class Establishment(Shape):
    name = Text(required=True)
    kind = Choice(ESTABLISHMENT_KINDS, required=True)
    address = Part(Address, allow_none=True)
    example: ClassVar = {"name": "Cabinet du Parc", "kind": "practice", "address": ADDRESS}


class EstablishmentMade(Shape):
    establishment_id = Id()
    example: ClassVar = {"establishment_id": ID}


class EstablishmentChange(Shape):
    """Only what is to change; `address` null: none is known."""

    name = Text()
    address = Part(Address, allow_none=True)
    example: ClassVar = {"name": "Cabinet du Parc municipal"}


class Professional(Shape):
    matricule = Matricule(required=True)
    family_name = Text(required=True)
    first_name = Text(required=True)
    profession = Choice(PROFESSIONS, "Column of the access matrix.", required=True)
    specialities = Listed(Text(), SPECIALITIES, maximum=20, load_default=list)
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


class ProfessionalChange(Shape):
    """Only what is to change; `address` null: letters go to a workplace."""

    family_name = Text()
    first_name = Text()
    profession = Choice(PROFESSIONS, "Column of the access matrix.")
    specialities = Listed(Text(), SPECIALITIES, maximum=20)
    language = Choice(LANGUAGES)
    address = Part(Address, allow_none=True)
    example: ClassVar = {"specialities": ["médecine générale", "gériatrie"]}


class ProfessionalChanged(Shape):
    professional_id = Id()
    version = Number("Of the entry now; the same as before when nothing was another.")
    example: ClassVar = {"professional_id": ID, "version": 4}


class WorkplaceBegun(Shape):
    establishment_id = Id(required=True)
    emergency = Flag("Attached to the emergency service there; left out: as it was noted, at first not.")
    example: ClassVar = {"establishment_id": OTHER_ID, "emergency": True}


class WorkplaceNoted(Shape):
    professional_id = Id()
    establishment_id = Id()
    emergency = Flag("Where it was said.")
    example: ClassVar = {"professional_id": ID, "establishment_id": OTHER_ID, "emergency": True}


class LicenceGiven(Shape):
    licence = Choice(LICENCES, required=True)
    since = Moment("From when on; now when it is left out.", allow_none=True)
    until = Moment("When a suspension ends by itself.", allow_none=True)
    example: ClassVar = {"licence": "suspended", "until": LATER}


class Licence(Shape):
    professional_id = Id()
    licence = Choice(LICENCES)
    example: ClassVar = {"professional_id": ID, "licence": "suspended"}
