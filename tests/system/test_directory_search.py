"""Finding a patient through the gateway: by name and by matricule, and telling two patients apart."""

from __future__ import annotations

from deploy.agency import newcomer, open_record
from tests.builders import any_matricule
from tests.services.test_directory_search import HOME
from tests.system.conftest import Village

BORN = "1951-03-09"


def test_a_patient_is_found_by_a_name_with_a_mistake_and_an_agent_tells_a_namesake_apart(village: Village) -> None:
    sheet = {
        "matricule": any_matricule(), "birth_name": "Quetschekraut", "first_names": "Hippolyte Zénon", "sex": "M",
        "birth_date": BORN, "language": "fr", "address": HOME,
    }  # fmt: skip
    mine = village.agent.ask("POST", "/agency/openings", expect=201, json=sheet)
    twin = {**sheet, "matricule": any_matricule(), "birth_name": "Quetschekrautt"}
    other = village.agent.ask("POST", "/agency/openings", expect=201, json=twin)
    sought = {"name": "Quetschekraud", "first_names": "Hippolyte", "birth_date": BORN[:7]}

    doctor = village.professional("doctor a")
    answer = doctor.ask("POST", "/patients/searches", json=sought)
    found = {each["patient_id"]: each for each in answer["patients"]}
    assert answer["more"] is False and set(found) == {mine["patient_id"], other["patient_id"]}
    line = found[mine["patient_id"]]
    assert line["state"] == "not_accessible" and line["actions"] == line["care_pathway"] == []
    assert line["record_id"] is line["record_number"] is None
    assert line["insc"] == sheet["matricule"] and 65 <= line["rate"] < 100

    [seen] = village.agent.ask("POST", "/patients/searches", json={"matricule": sheet["matricule"]})["patients"]
    assert (seen["rate"], seen["record_id"]) == (100, mine["record_id"]) and seen["record_number"] > 0
    assert seen["actions"] == ["read_sheet", "change_sheet", "merge"]
    missing = doctor.ask("POST", "/patients/searches", expect=422, json={"name": "Quetschekraut"})
    assert {each["pointer"] for each in missing["errors"]} == {"/first_names", "/birth_date"}
    assert "Quetschekraut" not in str(missing)

    pair = {"one_id": mine["patient_id"], "other_id": other["patient_id"]}
    listed = village.agent.ask("GET", "/agency/duplicates?limit=100")["duplicates"]
    ours = [each for each in listed if {each["one"]["patient_id"], each["other"]["patient_id"]} == set(pair.values())]
    assert len(ours) == 1 and seen["alerts"].count("possible_duplicate") == 1
    doctor.ask("GET", "/agency/duplicates", expect=403)
    settled = {**pair, "settled": "distinct"}
    doctor.ask("POST", "/agency/duplicates/settlements", expect=403, json=settled)
    village.agent.ask("POST", "/agency/duplicates/settlements", json=settled)
    [seen] = village.agent.ask("POST", "/patients/searches", json={"matricule": sheet["matricule"]})["patients"]
    assert "possible_duplicate" not in seen["alerts"]


def test_a_professional_with_a_ground_may_read_and_one_without_may_enter_the_code(village: Village) -> None:
    patient = village.patient()
    doctor, stranger = village.professional("doctor a"), village.professional("doctor b")
    village.mandate(doctor, patient)
    sought = {"matricule": patient.matricule[:11]}
    [mine] = doctor.ask("POST", "/patients/searches", json=sought)["patients"]
    [theirs] = stranger.ask("POST", "/patients/searches", json=sought)["patients"]
    assert (mine["actions"], theirs["actions"]) == (["read_record"], ["enter_presence_code"])
    assert mine["record_id"] == theirs["record_id"] == patient.ids["record_id"]
    assert {**mine, "actions": None} == {**theirs, "actions": None}


def test_a_stranger_without_a_capacity_to_search_finds_nobody(village: Village) -> None:
    person = village.remember(newcomer(village.town, "patient"))
    open_record(village.agent, person)
    patient = village.patient()
    patient.ask("POST", "/patients/searches", expect=403, json={"matricule": person.matricule})
