"""The invented country: the same seed the same people, valid, spread as Luxembourg's, in memory that does not grow."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections import Counter
from datetime import date
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from deploy.population import care, errors, people
from deploy.population.__main__ import main
from deploy.population.people import Patient, patients
from deploy.population.places import ACROSS, COMMUNES
from services.directory import rules, rules_sheets
from services.directory.contract import ESTABLISHMENT_KINDS, PROFESSIONS

TODAY = date(2026, 11, 21)
SAMPLE = 20_000


@pytest.fixture(scope="module")
def sample() -> list[Patient]:
    return list(patients(SAMPLE, 7, 0.05))


def written(folder: Path, *more: str) -> dict[str, bytes]:
    arguments = [
        "--patients",
        "600",
        "--professionals",
        "60",
        "--seed",
        "5",
        "--duplicates",
        "0.1",
        "--out",
        str(folder),
    ]
    assert main([*arguments, *more]) == 0
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def lines(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- the same again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path, form: str) -> None:
    once, again = (written(tmp_path / name, "--format", form) for name in ("once", "again"))
    other = written(tmp_path / "other", "--format", form, "--seed", "6")
    assert once == again
    assert once.keys() == other.keys()
    assert all(once[name] != other[name] for name in once)


def test_more_people_begin_with_the_same_ones() -> None:
    few, many = patients(300, 5, 0), patients(900, 5, 0)
    assert list(few) == list(islice(many, 300))


# --- valid ------------------------------------------------------------------------------------------------------------


def test_every_matricule_is_valid_and_belongs_to_one_person(sample: list[Patient]) -> None:
    professionals = list(care.professionals(2_000, 7))
    matricules = [person.matricule for person in (*sample, *professionals)]
    assert all(rules.matricule_fault(matricule) is None for matricule in matricules)
    assert len(set(matricules)) == len(matricules)


def test_a_day_with_more_births_than_matricules_is_told() -> None:
    matricules = people.Matricules(0, 2)
    assert matricules.of(date(1980, 5, 17)) != matricules.of(date(1980, 5, 17))
    with pytest.raises(ValueError, match="more than 2"):
        matricules.of(date(1980, 5, 17))


def test_every_patient_is_a_sheet_that_directory_accepts(sample: list[Patient]) -> None:
    for patient in sample:
        address = {
            "line": patient.address_line, "postal_code": patient.postal_code, "locality": patient.locality,
            "country": patient.country,
        }  # fmt: skip
        values = {name: getattr(patient, name) for name in rules_sheets.PatientSheet.__dataclass_fields__
                  if hasattr(patient, name)}  # fmt: skip
        sheet = rules_sheets.require_patient_sheet({**values, "address": address}, TODAY)
        assert not sheet.identity_check_due


def test_every_professional_and_establishment_is_one_that_directory_accepts() -> None:
    professionals, places = list(care.professionals(1_500, 7)), care.establishments_for(1_500)
    establishments = list(care.establishments(places, 7))
    known = {place.establishment_id for place in establishments}
    assert len(known) == places == 125
    for place in establishments:
        rules_sheets.require_establishment_sheet({"name": place.name, "kind": place.kind})
    for person in professionals:
        address = {
            "line": person.address_line, "postal_code": person.postal_code, "locality": person.locality,
            "country": person.country,
        }  # fmt: skip
        values = {name: getattr(person, name) for name in care.Professional.__dataclass_fields__}
        sheet = rules_sheets.require_professional_sheet({**values, "address": address})
        rules_sheets.require_known_establishments(sheet.establishment_ids, known)
    assert {person.profession for person in professionals} == set(PROFESSIONS)
    # the one health fund is the agency's to register: nobody works there as a professional of the record
    assert {place.kind for place in establishments} == set(ESTABLISHMENT_KINDS) - {"health_fund"}
    assert any(len(person.establishment_ids) > 1 for person in professionals)


# --- as in life -------------------------------------------------------------------------------------------------------


def test_names_are_spread_as_in_luxembourg(sample: list[Patient]) -> None:
    names = Counter(patient.birth_name for patient in sample)
    assert {"Schmit", "Muller", "Weber", "Hoffmann", "Wagner"} <= {name for name, _ in names.most_common(8)}
    assert 0.005 < names["Schmit"] / SAMPLE < 0.015
    assert "da Silva" in [name for name, _ in names.most_common(30)]
    assert len(names) > 0.3 * SAMPLE
    assert sum(number == 1 for number in names.values()) / len(names) > 0.3
    agreeing = sum(number * (number - 1) for number in names.values()) / (SAMPLE * (SAMPLE - 1))
    assert 0.0005 < agreeing < 0.002


def test_people_are_as_old_as_the_insured_and_of_either_sex(sample: list[Patient]) -> None:
    ages = [TODAY.year - int(patient.birth_date[:4]) for patient in sample]
    assert min(ages) >= 0 and max(ages) <= 102
    assert 35 < sum(ages) / SAMPLE < 50
    assert 0.1 < sum(age < 18 for age in ages) / SAMPLE < 0.25
    assert 0.48 < sum(patient.sex == "F" for patient in sample) / SAMPLE < 0.52
    assert sum(patient.sex == "X" for patient in sample) < 30
    assert 10 < sum(patient.matricule[6:8] == "00" for patient in sample) < 100


def test_people_live_in_communes_under_codes_that_are_theirs(sample: list[Patient]) -> None:
    places = {place.name: place for place in (*COMMUNES, *ACROSS)}
    for patient in sample:
        place = places[patient.locality]
        code = int(patient.postal_code.removeprefix("L-"))
        assert patient.country == place.country
        assert place.first <= code <= place.last
    homes = Counter(patient.locality for patient in sample if patient.country == "LU")
    assert homes.most_common(2)[0][0] == "Luxembourg"
    assert 0.15 < homes["Luxembourg"] / homes.total() < 0.3
    assert len({place.commune for place in COMMUNES}) > 50
    assert Counter(patient.language for patient in sample).keys() == {"fr", "lb", "de", "pt", "en"}


def test_there_are_twins_and_sons_of_one_name() -> None:
    born = Counter((each.birth_name, each.birth_date, each.address_line) for each in patients(5_000, 7, 0))
    assert 40 < sum(number > 1 for number in born.values()) < 130
    full = Counter((each.birth_name, each.first_names) for each in patients(5_000, 7, 0) if " " in each.first_names)
    assert any(number > 1 for number in full.values())


# --- duplicates -------------------------------------------------------------------------------------------------------


def test_a_duplicate_comes_after_its_original_and_differs_as_it_says(sample: list[Patient]) -> None:
    seen: dict[str, Patient] = {}
    kinds: Counter[str] = Counter()
    for patient in sample:
        if patient.duplicate_of:
            original = seen[patient.duplicate_of]
            assert original.duplicate_of is None
            fields = ("birth_name", "usual_name", "first_names", "sex", "birth_date")
            changed = [name for name in fields if getattr(patient, name) != getattr(original, name)]
            assert bool(changed) == bool(patient.errors) or patient.errors == ("date_unknown",)
            kinds.update(patient.errors)
        seen[patient.matricule] = patient
    assert 0.04 < sum(bool(patient.duplicate_of) for patient in sample) / SAMPLE < 0.05
    assert kinds.keys() == errors.KINDS.keys()


def test_the_last_duplicates_are_not_forgotten() -> None:
    few = list(patients(40, 5, 1.0))
    assert len(few) == 40
    assert sum(bool(patient.duplicate_of) for patient in few) == 20


@pytest.mark.parametrize("kind", errors.KINDS)
def test_a_mistake_changes_a_sheet_or_says_that_there_is_nothing_to_mistake(kind: str) -> None:
    random = Random(kind)
    rich = errors.Sheet("von Müller-Schmitt", "Weber", "Jean-Pierre José", "F", "1967-04-05")
    bare = errors.Sheet("Ng", None, "O", "X", "2020-01-01")
    mistake = errors.KINDS[kind][1]
    changed = [mistake(random, rich) for _ in range(30)]
    assert any(each is not None for each in changed) or kind == "pet_form"
    assert all(each != rich for each in changed) or kind == "date_unknown"
    assert all(
        each is None or date.fromisoformat(each.birth_date) for each in (mistake(random, bare) for _ in range(30))
    )


# --- files ------------------------------------------------------------------------------------------------------------


def test_csv_files_have_the_fields_of_the_sheets_and_the_truth_stands_apart(tmp_path: Path) -> None:
    files = written(tmp_path)
    assert list(files) == ["establishments.csv", "patients.csv", "professionals.csv", "truth.csv"]
    sheets, truth = lines(tmp_path, "patients.csv"), lines(tmp_path, "truth.csv")
    assert len(sheets) == 600
    assert set(sheets[0]) == set(Patient.__dataclass_fields__) - {"duplicate_of", "errors"}
    numbers = {sheet["matricule"] for sheet in sheets}
    assert 40 < len(truth) < 80
    assert all({line["matricule"], line["duplicate_of"]} <= numbers for line in truth)
    assert {kind for line in truth for kind in line["errors"].split("|") if kind} <= errors.KINDS.keys()
    places = {place["establishment_id"] for place in lines(tmp_path, "establishments.csv")}
    for professional in lines(tmp_path, "professionals.csv"):
        assert set(professional["establishment_ids"].split("|")) <= places


def test_ndjson_files_hold_one_fhir_resource_a_line_that_refers_to_others_by_identifier(tmp_path: Path) -> None:
    written(tmp_path, "--format", "ndjson")
    found: dict[str, list[dict[str, Any]]] = {}
    for path in tmp_path.glob("*.ndjson"):
        found[path.stem] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert {resource["resourceType"] for resource in found[path.stem]} == {path.stem}
    assert found.keys() == {"Patient", "Practitioner", "PractitionerRole", "Organization"}
    assert len(found["Patient"]) == 600
    usual = [each for each in found["Patient"] if len(each["name"]) == 2]
    assert usual and usual[0]["name"][1]["use"] == "usual"
    people_known = {each["identifier"][0]["value"] for each in found["Practitioner"]}
    places_known = {each["identifier"][0]["value"] for each in found["Organization"]}
    for role in found["PractitionerRole"]:
        assert role["practitioner"]["identifier"]["value"] in people_known
        assert role["organization"]["identifier"]["value"] in places_known


def test_both_formats_tell_of_the_same_people(tmp_path: Path) -> None:
    written(tmp_path / "csv")
    written(tmp_path / "ndjson", "--format", "ndjson")
    text = (tmp_path / "ndjson" / "Patient.ndjson").read_text(encoding="utf-8")
    told = [json.loads(line) for line in text.splitlines()]
    for sheet, resource in zip(lines(tmp_path / "csv", "patients.csv"), told, strict=True):
        assert resource["identifier"][0]["value"] == sheet["matricule"]
        assert resource["name"][0]["family"] == sheet["birth_name"]
        assert " ".join(resource["name"][0]["given"]) == sheet["first_names"]
        assert resource["birthDate"] == sheet["birth_date"]
    assert (tmp_path / "csv" / "truth.csv").read_bytes() == (tmp_path / "ndjson" / "truth.csv").read_bytes()


@pytest.mark.parametrize(
    "wrong", [["--patients", "-1"], ["--duplicates", "2"], ["--format", "xml"], ["--patients", "x"]]
)
def test_what_cannot_be_made_is_refused(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), *wrong])


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["--out", str(tmp_path / "file"), "--patients", "1", "--professionals", "0"]) == 1
    assert "what to do" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_numbers() -> None:
    _peak(1_000)  # what is made once and kept, such as compiled patterns
    few, many = _peak(3_000), _peak(9_000)
    assert many < 1.1 * few


def _peak(count: int) -> int:
    tracemalloc.start()
    try:
        for _ in patients(count, 9, 0.5):  # so many that the originals waiting for their duplicate are all there soon
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
