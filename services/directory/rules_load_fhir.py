"""FHIR R4 resources as the fields of our sheets: Patient, Practitioner with PractitionerRole, Organization.

A resource may hold anything, and what a field holds is judged by the rules of sheets; here only what is no resource of
the kind is refused. Pure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.directory.contract import MATRICULE_SYSTEM
from services.directory.rules import normalise_matricule

UUID_SYSTEM: Final = "urn:ietf:rfc:3986"
BIRTH_PLACE: Final = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
EVIDENCE: Final = "urn:dsp:birth-date-evidence"

RESOURCES: Final = {"patients": "Patient", "professionals": "Practitioner", "establishments": "Organization"}
ROLE: Final = "PractitionerRole"
SEXES: Final = {"female": "F", "male": "M", "other": "X"}
MARITAL: Final = {"S": "single", "M": "married", "T": "partnership", "L": "separated", "D": "divorced", "W": "widowed"}
"""Codes of v3-MaritalStatus; T is a domestic partnership."""

BIRTH_PLACE_FIELDS: Final = ("birth_place", "birth_commune", "birth_postal_code", "birth_country")


@dataclass
class Role:
    """What the roles of one professional say together."""

    professions: set[str] = field(default_factory=set)
    specialities: set[str] = field(default_factory=set)
    workplaces: set[str] = field(default_factory=set)


class Roles:
    """The roles of a second file, by the matricule of whose they are; a nation's are some ten thousands."""

    def __init__(self) -> None:
        self.of: dict[str, Role] = {}

    def add(self, text: str) -> None:
        """Takes one line.

        Refuses: ValueError with the code of the message.
        """
        resource = _resource(text, ROLE)
        matricule = normalise_matricule(_item(_item(_dict(resource.get("practitioner")), "identifier"), "value"))
        if not matricule:
            raise ValueError("role_of_nobody")
        if resource.get("active") is False:
            return
        role = self.of.setdefault(matricule, Role())
        role.professions |= set(_codes(resource.get("code")))
        role.specialities |= {name for each in _dicts(resource.get("specialty")) if (name := _spoken(each))}
        workplace = _item(_item(_dict(resource.get("organization")), "identifier"), "value")
        role.workplaces |= {workplace} if isinstance(workplace, str) else set()


def values(kind: str, text: str, roles: Roles) -> tuple[dict[str, Any], str]:
    """Returns the fields that a line says, and those, separated by spaces, of which it says nothing.

    Refuses: ValueError with the code of the message.
    """
    resource = _resource(text, RESOURCES[kind])
    if kind == "patients":
        return _patient(resource)
    if kind == "professionals":
        return _practitioner(resource, roles), "" if resource.get("address") else "address_line"
    return _organization(resource), "" if resource.get("address") else "address_line"


def _resource(text: str, kind: str) -> dict[str, Any]:
    try:
        resource = json.loads(text)
    except (ValueError, RecursionError):
        resource = None
    if not isinstance(resource, dict):
        raise ValueError("object")
    if resource.get("resourceType") != kind:
        raise ValueError("resource_type")
    return resource


def _patient(resource: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    official, usual = _name(resource, "official"), _name(resource, "usual", otherwise=False)
    numbers = [each for each in _dicts(resource.get("identifier")) if each.get("use") != "old"]
    found: dict[str, Any] = {
        "matricule": next((each.get("value") for each in numbers if each.get("system") == MATRICULE_SYSTEM), None),
        "identifiers": [{"system": each.get("system"), "value": each.get("value")} for each in numbers
                        if each.get("system") != MATRICULE_SYSTEM],
        "birth_name": official.get("family"),
        "usual_name": usual.get("family"),
        "first_names": _joined(official.get("given")),
        "sex": SEXES.get(str(resource.get("gender"))),
        "birth_date": resource.get("birthDate"),
        "address": _address(resource),
        "language": _language(_preferred(resource.get("communication")).get("language")),
    }  # fmt: skip
    unsaid = []
    if "telecom" in resource:
        found |= _telecom(_dicts(resource["telecom"]))
    else:
        unsaid += ["mobile", "phone", "email"]
    if "maritalStatus" in resource:
        code = next(iter(_codes([resource["maritalStatus"]])), None)
        found["marital_status"] = MARITAL.get(code or "", code)
    else:
        unsaid.append("marital_status")
    place = _extension(resource, BIRTH_PLACE)
    if place is None:
        unsaid += BIRTH_PLACE_FIELDS
    else:
        where = _dict(place.get("valueAddress"))
        parts = ("city", "district", "postalCode", "country")
        found |= {name: where.get(part) for name, part in zip(BIRTH_PLACE_FIELDS, parts, strict=True)}
    evidence = _extension(resource, EVIDENCE)
    if evidence is None:
        unsaid.append("birth_date_evidence")
    else:
        found["birth_date_evidence"] = evidence.get("valueCode")
    return found, " ".join(unsaid)


def _practitioner(resource: Mapping[str, Any], roles: Roles) -> dict[str, Any]:
    name = _name(resource, "official")
    matricule = _identifier(resource, MATRICULE_SYSTEM)
    role = roles.of.get(normalise_matricule(matricule), Role())
    return {
        "matricule": matricule,
        "family_name": name.get("family"),
        "first_name": _joined(name.get("given")),
        # Of two professions none is chosen here: the line is refused, and somebody looks.
        "profession": " ".join(sorted(role.professions)) or None,
        "specialities": sorted(role.specialities),
        "establishment_ids": sorted(role.workplaces),
        "language": _language(_preferred(resource.get("communication"))),
        "address": _address(resource),
    }


def _organization(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "establishment_id": _identifier(resource, UUID_SYSTEM),
        "name": resource.get("name"),
        "kind": next(iter(_codes(resource.get("type"))), None),
        "address": _address(resource),
    }


# --- the parts of a resource ------------------------------------------------------------------------------------------


def _name(resource: Mapping[str, Any], use: str, otherwise: bool = True) -> Mapping[str, Any]:
    names = _dicts(resource.get("name"))
    without_use = (each for each in names if otherwise and "use" not in each)
    return next((each for each in names if each.get("use") == use), next(without_use, {}))


def _identifier(resource: Mapping[str, Any], system: str) -> Any:
    fitting = (each for each in _dicts(resource.get("identifier")) if each.get("system") == system)
    return next((each.get("value") for each in fitting if each.get("use") != "old"), None)


def _address(resource: Mapping[str, Any]) -> dict[str, Any] | None:
    given = _dicts(resource.get("address"))
    one = next((each for each in given if each.get("use") == "home"), given[0] if given else None)
    if one is None:
        return None
    return {"line": _joined(one.get("line"), ", "), "postal_code": one.get("postalCode"), "locality": one.get("city"),
            "country": one.get("country")}  # fmt: skip


def _telecom(given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"mobile": None, "phone": None, "email": None}
    for each in given:
        system = each.get("system")
        kind = ("mobile" if each.get("use") == "mobile" else "phone") if system == "phone" else system
        if isinstance(kind, str) and kind in found and found[kind] is None:
            found[kind] = each.get("value")
    return found


def _preferred(communication: Any) -> Mapping[str, Any]:
    given = _dicts(communication)
    return next((each for each in given if each.get("preferred") is True), given[0] if given else {})


def _language(concept: Any) -> str | None:
    code = next(iter(_codes([concept])), None)
    return None if code is None else code.partition("-")[0]


def _extension(resource: Mapping[str, Any], url: str) -> Mapping[str, Any] | None:
    return next((each for each in _dicts(resource.get("extension")) if each.get("url") == url), None)


def _codes(concepts: Any) -> list[str]:
    codings = [coding for concept in _dicts(concepts) for coding in _dicts(concept.get("coding"))]
    return [coding["code"] for coding in codings if isinstance(coding.get("code"), str)]


def _spoken(concept: Mapping[str, Any]) -> str | None:
    text = concept.get("text") or next((each.get("display") for each in _dicts(concept.get("coding"))), None)
    return text if isinstance(text, str) else next(iter(_codes([concept])), None)


def _joined(texts: Any, between: str = " ") -> Any:
    if isinstance(texts, list) and all(isinstance(each, str) for each in texts):
        return between.join(texts) or None
    return texts


def _item(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
