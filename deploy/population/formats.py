"""How people are written down: CSV with the fields of the sheets, or FHIR R4, one resource type per NDJSON file.

FHIR refers by identifier, not by id: a matricule is Luxembourg's OID 1.3.182.4.4, an establishment a UUID.
"""

from __future__ import annotations

import csv
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TextIO

from deploy.population.care import Establishment, Professional
from deploy.population.people import Patient

MATRICULE: Final = "urn:oid:1.3.182.4.4"
UUID: Final = "urn:ietf:rfc:3986"
LANGUAGE: Final = "urn:ietf:bcp:47"
PROFESSION: Final = "urn:dsp:profession"
KIND: Final = "urn:dsp:establishment-kind"

NOT_ON_THE_SHEET: Final = {"duplicate_of", "errors"}
TRUTH: Final = ("matricule", "duplicate_of", "errors")
LIST_SEPARATOR: Final = "|"


def columns(kind: type) -> list[str]:
    """The columns of a CSV file of these."""
    return [field.name for field in fields(kind) if field.name not in NOT_ON_THE_SHEET]


class CsvFiles:
    """patients.csv, professionals.csv, establishments.csv; what is a list stands in one cell, separated by |."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[type, TextIO] = {}
        self._writers: dict[type, tuple[Any, list[str]]] = {}
        for kind in (Patient, Professional, Establishment):
            self._files[kind] = _opened(folder / f"{kind.__name__.lower()}s.csv")
            self._writers[kind] = (csv.writer(self._files[kind], lineterminator="\n"), columns(kind))
            self._writers[kind][0].writerow(columns(kind))

    def write(self, thing: Patient | Professional | Establishment) -> None:
        """Appends one line to the file of its kind."""
        writer, names = self._writers[type(thing)]
        writer.writerow([_cell(getattr(thing, name)) for name in names])

    def close(self) -> None:
        """Finishes every file."""
        for file in self._files.values():
            file.close()


class NdjsonFiles:
    """Patient.ndjson, Practitioner.ndjson, PractitionerRole.ndjson, Organization.ndjson: FHIR R4."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, TextIO] = {}

    def write(self, thing: Patient | Professional | Establishment) -> None:
        """Appends the resources of one person or establishment, each to the file of its type."""
        for resource in resources(thing):
            kind = str(resource["resourceType"])
            if kind not in self._files:
                self._files[kind] = _opened(self._folder / f"{kind}.ndjson")
            self._files[kind].write(json.dumps(resource, ensure_ascii=False, separators=(",", ":")) + "\n")

    def close(self) -> None:
        """Finishes every file."""
        for file in self._files.values():
            file.close()


class Truth:
    """truth.csv: each planted duplicate, its original, and what was done to it (several kinds separated by |)."""

    def __init__(self, folder: Path) -> None:
        self._file = _opened(folder / "truth.csv")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(TRUTH)

    def write(self, patient: Patient) -> None:
        """Appends one duplicate; of an original there is nothing to tell."""
        if patient.duplicate_of:
            self._writer.writerow([patient.matricule, patient.duplicate_of, _cell(patient.errors)])

    def close(self) -> None:
        """Finishes the file."""
        self._file.close()


def _opened(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")


def _cell(value: Any) -> str:
    return LIST_SEPARATOR.join(value) if isinstance(value, tuple) else value or ""


# --- FHIR R4 ----------------------------------------------------------------------------------------------------------


def resources(thing: Patient | Professional | Establishment) -> list[dict[str, Any]]:
    """The FHIR resources of one person or establishment."""
    if isinstance(thing, Patient):
        return [_patient(thing)]
    if isinstance(thing, Establishment):
        return [_organization(thing)]
    return [_practitioner(thing), *(_role(thing, workplace) for workplace in thing.establishment_ids)]


def _patient(patient: Patient) -> dict[str, Any]:
    given = patient.first_names.split()
    names = [{"use": "official", "family": patient.birth_name, "given": given}]
    if patient.usual_name:
        names.append({"use": "usual", "family": patient.usual_name, "given": given})
    return {
        "resourceType": "Patient",
        "identifier": [{"use": "official", "system": MATRICULE, "value": patient.matricule}],
        "name": names,
        "gender": _gender(patient.sex),
        "birthDate": patient.birth_date,
        "address": [_address(patient)],
        "communication": [{"language": _concept(LANGUAGE, patient.language), "preferred": True}],
    }


def _practitioner(professional: Professional) -> dict[str, Any]:
    return {
        "resourceType": "Practitioner",
        "identifier": [{"use": "official", "system": MATRICULE, "value": professional.matricule}],
        "active": True,
        "name": [{"use": "official", "family": professional.family_name, "given": [professional.first_name]}],
        "gender": _gender(professional.sex),
        "birthDate": professional.birth_date,
        "address": [_address(professional)],
        "communication": [_concept(LANGUAGE, professional.language)],
    }


def _role(professional: Professional, workplace: str) -> dict[str, Any]:
    role: dict[str, Any] = {
        "resourceType": "PractitionerRole",
        "active": True,
        "practitioner": {"identifier": {"system": MATRICULE, "value": professional.matricule}},
        "organization": {"identifier": {"system": UUID, "value": f"urn:uuid:{workplace}"}},
        "code": [_concept(PROFESSION, professional.profession)],
    }
    if professional.specialities:
        role["specialty"] = [{"text": name} for name in professional.specialities]
    return role


def _organization(establishment: Establishment) -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "identifier": [{"use": "official", "system": UUID, "value": f"urn:uuid:{establishment.establishment_id}"}],
        "active": True,
        "type": [_concept(KIND, establishment.kind)],
        "name": establishment.name,
        "address": [{**_address(establishment), "use": "work"}],
    }


def _gender(sex: str) -> str:
    return {"F": "female", "M": "male"}.get(sex, "other")


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _address(thing: Patient | Professional | Establishment) -> dict[str, Any]:
    return {
        "use": "home",
        "line": [thing.address_line],
        "city": thing.locality,
        "postalCode": thing.postal_code,
        "country": thing.country,
    }
