"""Identity sheets over a real database: read by whom they concern, changed field by field, never forgetting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, plumbing
from services.directory.contract import IdentifierTaken, PatientExists, PersonNotFound
from services.directory.models import Matricule, Patient, PatientChange, PatientIdentifier, Professional, metadata
from services.directory.rules import check_digits
from services.directory.rules_blocking import stored_keys
from services.refusals import ChangedMeanwhile, InvalidInput, KeyReused, NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import House, any_matricule, caller, context, matricule
from tests.services.ward import at_once

HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
POSTAL = {"use": "postal", "line": "B.P. 12", "postal_code": "2010", "locality": "Luxembourg", "country": "LU"}
FEDERATOR = {"system": "urn:dsp:federator", "value": "F-0001"}
REGIONAL = {"system": "urn:dsp:regional", "value": "R-0001"}
AGENT = caller("agent")
BORN = date(1980, 5, 17)
FURTHER: dict[str, Any] = {
    "birth_date_evidence": "declared", "birth_place": "Coimbra", "birth_commune": "Sé Nova",
    "birth_postal_code": "3000-100", "birth_country": "PT", "marital_status": "separated", "mobile": "+352621123456",
    "phone": "+35227125018", "email": "zoe@example.lu", "addresses": [POSTAL],
}  # fmt: skip


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory",))
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    with built.sessions["directory"].transaction() as session:
        session.execute(sa.update(Patient).values(merged_into=None))
        for table in (*reversed(metadata.sorted_tables), *plumbing.sorted_tables):
            session.execute(table.delete())
    return built


def register(house: House, who: Caller = AGENT, **changes: Any) -> str:
    given = {
        "matricule": matricule(BORN, 1), "birth_name": "Weber", "first_names": "Zoé Anne", "sex": "F",
        "birth_date": "1980-05-17", "language": "lb", "address": HOME, **changes,
    }  # fmt: skip
    return str(house.ask("directory", "register_patient", who, **given)["patient_id"])


def doctor(house: House, licence: str = "valid") -> Caller:
    made = house.ask(
        "directory", "register_professional", AGENT, matricule=any_matricule(), family_name="Schmit",
        first_name="Léa", profession="physician", specialities=[], establishment_ids=[], language="fr",
    )  # fmt: skip
    with house.sessions["directory"].transaction() as session:
        session.execute(
            sa.update(Professional)
            .values(licence=licence)
            .where(Professional.professional_id == made["professional_id"])
        )
    return caller("professional", professional_id=made["professional_id"])


def read(house: House, patient_id: str | None, who: Caller = AGENT) -> dict[str, Any]:
    asked = {"patient_id": patient_id} if patient_id else {}
    return dict(house.ask("directory", "read_sheet", who, **asked))


def change(house: House, patient_id: str, version: int | None = None, who: Caller = AGENT, **changes: Any) -> Any:
    return house.ask("directory", "change_sheet", who, patient_id=patient_id, version=version, changes=changes)


def renumber(house: House, patient_id: str, number: str, cause: str = "correction", who: Caller = AGENT) -> Any:
    return house.ask("directory", "change_matricule", who, patient_id=patient_id, matricule=number, cause=cause)


def history(house: House, patient_id: str | None, who: Caller = AGENT, **page: Any) -> dict[str, Any]:
    asked = {"patient_id": patient_id} if patient_id else {}
    return dict(house.ask("directory", "sheet_changes", who, **asked, **page))


def steps(house: House, patient_id: str) -> list[tuple[Any, ...]]:
    return [(each["field"], each["old"], each["new"]) for each in history(house, patient_id)["changes"]]


def told(house: House, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in house.events("directory") if event["type"] == kind]


def traces(house: House, action: str) -> list[tuple[Any, ...]]:
    kept = [trace for trace in told(house, "access_traced.v1") if trace["action"] == action]
    return [(trace["outcome"], trace["object_id"], trace["reason"]) for trace in kept]


def row(house: House, patient_id: str) -> Patient:
    with house.sessions["directory"].transaction() as session:
        return session.get_one(Patient, patient_id)


def rows(house: House, table: Any) -> int:
    with house.sessions["directory"].transaction() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


# --- registering ------------------------------------------------------------------------------------------------------


def test_a_whole_sheet_is_kept_and_read_back_field_by_field(house: House) -> None:
    software = replace(AGENT, context=context(software="IDEOWEB"))
    patient_id = register(house, software, **FURTHER, identifiers=[FEDERATOR], usual_name="Klein")
    sheet = read(house, patient_id)
    created = sheet.pop("created")
    assert (created["by"], created["account_id"], created["software"]) == ("agency", AGENT.account_id, "IDEOWEB")
    identifiers = sheet.pop("identifiers")
    assert [(each["system"], each["value"], each["until"]) for each in identifiers] == [
        ("urn:oid:1.3.182.4.4", matricule(BORN, 1), None), (FEDERATOR["system"], FEDERATOR["value"], None),
    ]  # fmt: skip
    assert sheet == {
        "patient_id": patient_id, "version": 1, "matricule": matricule(BORN, 1), "birth_name": "Weber",
        "usual_name": "Klein", "first_names": "Zoé Anne", "sex": "F", "birth_date": "1980-05-17", "language": "lb",
        "address": HOME, "identity_check_due": False, "changed": None, **FURTHER,
    }  # fmt: skip


def test_who_is_not_affiliated_has_a_sheet_without_a_matricule(house: House) -> None:
    one, other = register(house, matricule=None), register(house, matricule=None)
    assert one != other
    assert rows(house, Matricule) == 0
    sheet = read(house, one)
    assert sheet["matricule"] is None and sheet["identifiers"] == [] and not sheet["identity_check_due"]


def test_the_keys_a_sheet_is_found_by_are_stored_with_it(house: House) -> None:
    number = matricule(BORN, 1)
    patient_id = register(house)
    assert row(house, patient_id).keys == stored_keys("Weber", None, "Zoé Anne", BORN, "F", number)
    change(house, patient_id, birth_name="Wagner")
    assert row(house, patient_id).keys == stored_keys("Wagner", None, "Zoé Anne", BORN, "F", number)
    # A matricule with an unknown day makes the first of the month an unknown day too.
    lost = "19800500001"
    with_checks = lost + check_digits(lost)
    change(house, patient_id, birth_date="1980-05-01")
    before = row(house, patient_id).keys
    renumber(house, patient_id, with_checks)
    assert row(house, patient_id).keys != before


def test_a_number_that_another_patient_has_registers_nobody(house: House) -> None:
    register(house, identifiers=[FEDERATOR])
    with pytest.raises(IdentifierTaken):
        register(house, matricule=matricule(BORN, 2), identifiers=[REGIONAL, FEDERATOR])
    assert rows(house, Patient) == rows(house, Matricule) == rows(house, PatientIdentifier) == 1
    assert traces(house, "patient.registered")[-1] == ("refused", None, "identifier_taken")
    register(house, matricule=matricule(BORN, 2), identifiers=[REGIONAL])


def test_an_existing_sheet_stays_as_it_is_whatever_else_is_said(house: House) -> None:
    patient_id = register(house)
    assert register(house, **FURTHER, identifiers=[FEDERATOR]) == patient_id
    sheet = read(house, patient_id)
    assert sheet["email"] is None and sheet["addresses"] == [] and sheet["version"] == 1
    assert rows(house, PatientIdentifier) == 0


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_patient_reads_their_own_sheet_and_nobody_elses(house: House) -> None:
    own, other = register(house), register(house, matricule=matricule(BORN, 2))
    patient = caller("patient", patient_id=own)
    assert read(house, None, patient) == read(house, own, patient)
    assert read(house, None, patient)["created"]["account_id"] is None
    for stranger in (other, new_id(), "x"):
        with pytest.raises(PersonNotFound):
            read(house, stranger, patient)
        with pytest.raises(PersonNotFound):
            history(house, stranger, patient)
    assert ("refused", other, "person_not_found") in traces(house, "patient.read")


@pytest.mark.parametrize("capacity", ["professional", "machine"])
def test_nobody_but_agents_and_patients_reads_whole_sheets(house: House, capacity: str) -> None:
    patient_id = register(house)
    who = doctor(house) if capacity == "professional" else caller(capacity)
    for call in (read, history):
        with pytest.raises(NotAllowed):
            call(house, patient_id, who)
    assert traces(house, "patient.read") == [("refused", None, "not_allowed")] * 2


def test_a_professional_learns_who_a_patient_is_and_no_more(house: House) -> None:
    patient_id = register(house, **FURTHER, identifiers=[FEDERATOR])
    found = house.ask("directory", "identify_patient", doctor(house), patient_id=patient_id)
    assert found == {
        "patient_id": patient_id, "version": 1, "matricule": matricule(BORN, 1), "birth_name": "Weber",
        "usual_name": None, "first_names": "Zoé Anne", "sex": "F", "birth_date": "1980-05-17",
        "birth_date_evidence": "declared", "birth_place": "Coimbra", "birth_country": "PT",
    }  # fmt: skip
    said = json.dumps(found)
    assert not [word for word in ("621123456", "example.lu", "Tests", "2010", "F-0001") if word in said]
    assert traces(house, "patient.read") == [("allowed", patient_id, None)]


@pytest.mark.parametrize("licence", ["suspended", "withdrawn"])
def test_who_may_not_practise_identifies_nobody(house: House, licence: str) -> None:
    patient_id = register(house)
    for who in (doctor(house, licence), caller("professional"), caller("patient", patient_id=patient_id),
                caller("machine")):  # fmt: skip
        with pytest.raises(NotAllowed):
            house.ask("directory", "identify_patient", who, patient_id=patient_id)
    with pytest.raises(PersonNotFound):
        house.ask("directory", "identify_patient", doctor(house), patient_id=new_id())


def test_a_merged_patient_reads_the_sheet_that_speaks_for_both(house: House) -> None:
    survivor, merged = register(house), register(house, matricule=matricule(BORN, 2), identifiers=[REGIONAL])
    change(house, merged, email="both@example.lu")
    given = {"survivor_id": survivor, "merged_id": merged, "reason": "other"}
    house.ask("directory", "merge_patients", AGENT, **given)
    for who, asked in [(AGENT, merged), (caller("patient", patient_id=merged), None),
                       (caller("patient", patient_id=merged), survivor),
                       (caller("patient", patient_id=survivor), merged)]:  # fmt: skip
        sheet = read(house, asked, who)
        assert (sheet["patient_id"], sheet["matricule"]) == (survivor, matricule(BORN, 1))
        assert [each["value"] for each in sheet["identifiers"]] == [
            matricule(BORN, 1), matricule(BORN, 2), REGIONAL["value"]
        ]  # fmt: skip
        assert ("email", None, "both@example.lu") in [
            (each["field"], each["old"], each["new"]) for each in history(house, asked, who)["changes"]
        ]
    assert house.ask("directory", "identify_patient", doctor(house), patient_id=merged)["patient_id"] == survivor
    assert change(house, merged, email="now@example.lu")["patient_id"] == survivor


def test_birth_dates_stand_beside_names_for_whom_a_patient_is_identified_to(house: House) -> None:
    merged, survivor = register(house), register(house, matricule=any_matricule(), birth_date="1999-12-31")
    with house.sessions["directory"].transaction() as session:
        session.execute(sa.update(Patient).where(Patient.patient_id == merged).values(merged_into=survivor))
    asked = [merged, survivor, new_id()]
    told = {merged: "1999-12-31", survivor: "1999-12-31"}
    for who in (doctor(house), AGENT):
        assert house.ask("directory", "birth_dates", who, patient_ids=asked)["birth_dates"] == told
    assert house.ask("directory", "birth_dates", AGENT, patient_ids=[])["birth_dates"] == {}
    for stranger in (caller("patient"), caller("professional")):
        with pytest.raises(NotAllowed):
            house.ask("directory", "birth_dates", stranger, patient_ids=asked)



# --- changing ---------------------------------------------------------------------------------------------------------


def test_a_change_is_a_new_version_with_one_line_per_field(house: House) -> None:
    patient_id = register(house, **FURTHER)
    who = replace(AGENT, context=context(software="portal"))
    answer = change(
        house, patient_id, 1, who, usual_name="Klein", marital_status="married", email=None,
        address={**HOME, "line": "5, Rue des Tests"}, addresses=[], identifiers=[FEDERATOR],
    )  # fmt: skip
    assert answer == {"patient_id": patient_id, "version": 2, "identity_check_due": False}
    assert set(steps(house, patient_id)) == {
        ("usual_name", None, "Klein"), ("marital_status", "separated", "married"), ("email", "zoe@example.lu", None),
        ("address.line", "4, Rue des Tests", "5, Rue des Tests"),
        ("address:postal", "B.P. 12, 2010 Luxembourg, LU", None), ("identifier:urn:dsp:federator", None, "F-0001"),
    }  # fmt: skip
    sheet = read(house, patient_id)
    assert (sheet["version"], sheet["usual_name"], sheet["email"], sheet["addresses"]) == (2, "Klein", None, [])
    assert sheet["phone"] == FURTHER["phone"], "what was not given stays"
    changed = sheet["changed"]
    assert (changed["by"], changed["account_id"], changed["software"]) == ("agency", AGENT.account_id, "portal")
    assert traces(house, "patient.changed") == [("allowed", patient_id, None)]


def test_saying_the_same_again_changes_nothing(house: House) -> None:
    patient_id = register(house, **FURTHER, identifiers=[FEDERATOR])
    same = {**FURTHER, "birth_name": "Weber", "address": HOME, "birth_date": "1980-05-17", "identifiers": [FEDERATOR]}
    assert change(house, patient_id, 1, **same)["version"] == 1
    assert change(house, patient_id, 1)["version"] == 1
    assert steps(house, patient_id) == [] and read(house, patient_id)["changed"] is None
    assert len(traces(house, "patient.changed")) == 2


def test_a_sheet_that_changed_meanwhile_is_not_overwritten(house: House) -> None:
    patient_id = register(house)
    change(house, patient_id, 1, email="first@example.lu")
    for stale in (1, 3, 0):
        with pytest.raises(ChangedMeanwhile):
            change(house, patient_id, stale, email="second@example.lu")
    assert read(house, patient_id)["email"] == "first@example.lu"
    assert traces(house, "patient.changed")[-1] == ("refused", patient_id, "changed_meanwhile")
    assert change(house, patient_id, None, email="second@example.lu")["version"] == 3


def test_of_agents_who_change_what_they_read_at_once_one_wins(house: House) -> None:
    patient_id = register(house)

    def attempt(number: int) -> bool:
        try:
            change(house, patient_id, 1, email=f"agent{number}@example.lu")
        except ChangedMeanwhile:
            return False
        return True

    assert at_once(6, attempt).count(True) == 1
    assert row(house, patient_id).version == 2 and rows(house, PatientChange) == 1


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
def test_nobody_but_an_agent_changes_a_sheet(house: House, capacity: str) -> None:
    patient_id = register(house)
    who = caller(capacity, patient_id=patient_id) if capacity == "patient" else caller(capacity)
    with pytest.raises(NotAllowed):
        change(house, patient_id, who=who, email=None)
    with pytest.raises(NotAllowed):
        renumber(house, patient_id, matricule(BORN, 2), who=who)
    with pytest.raises(NotAllowed):
        house.ask("directory", "check_identity", who, patient_id=patient_id, document="passport")
    assert traces(house, "patient.changed") == [("refused", None, "not_allowed")] * 2
    assert traces(house, "identity.checked") == [("refused", None, "not_allowed")]
    assert row(house, patient_id).version == 1


@pytest.mark.parametrize("nobody", [new_id(), "x"])
def test_a_patient_nobody_knows_cannot_be_changed(house: House, nobody: str) -> None:
    for call in (lambda: change(house, nobody, email=None), lambda: renumber(house, nobody, matricule(BORN, 2))):
        with pytest.raises(PersonNotFound):
            call()
    assert {reason for _, _, reason in traces(house, "patient.changed")} == {"person_not_found"}


def test_a_faulty_change_changes_nothing_and_names_every_fault(house: House) -> None:
    patient_id = register(house)
    with pytest.raises(InvalidInput) as refused:
        change(house, patient_id, 1, email="x", birth_country="ZZ", usual_name="Klein")
    assert {each["pointer"] for each in refused.value.detail["errors"]} == {"/email", "/birth_country"}
    assert row(house, patient_id).usual_name is None


def test_a_number_of_another_patient_cannot_be_given(house: House) -> None:
    one, other = register(house, identifiers=[FEDERATOR]), register(house, matricule=matricule(BORN, 2))
    with pytest.raises(IdentifierTaken):
        change(house, other, 1, usual_name="Klein", identifiers=[REGIONAL, FEDERATOR])
    assert (row(house, other).version, row(house, other).usual_name) == (1, None)
    assert traces(house, "patient.changed") == [("refused", other, "identifier_taken")]
    change(house, one, 1, identifiers=[])
    assert change(house, other, 1, identifiers=[REGIONAL, FEDERATOR])["version"] == 2
    assert steps(house, one) == [("identifier:urn:dsp:federator", "F-0001", None)]


def test_a_number_that_stays_keeps_its_beginning(house: House) -> None:
    patient_id = register(house, identifiers=[FEDERATOR])
    before = read(house, patient_id)["identifiers"]
    change(house, patient_id, 1, identifiers=[FEDERATOR, REGIONAL])
    assert read(house, patient_id)["identifiers"][:2] == before


def test_a_repeated_change_under_one_key_is_one_change(house: House) -> None:
    patient_id = register(house)
    who = replace(AGENT, context=context(idempotency_key="k-1"))
    first = change(house, patient_id, 1, who, email="a@example.lu")
    assert change(house, patient_id, 1, who, email="a@example.lu") == first
    assert row(house, patient_id).version == 2 and len(steps(house, patient_id)) == 1
    with pytest.raises(KeyReused):
        change(house, patient_id, 1, who, email="b@example.lu")


# --- identity checks --------------------------------------------------------------------------------------------------


def test_a_differing_birth_date_is_flagged_until_an_agent_has_seen_a_document(house: House) -> None:
    patient_id = register(house)
    assert change(house, patient_id, 1, birth_date="1980-05-18")["identity_check_due"] is True
    assert read(house, patient_id)["identity_check_due"] is True
    answer = house.ask("directory", "check_identity", AGENT, patient_id=patient_id, document="residence_permit")
    assert answer == {"patient_id": patient_id, "version": 3, "identity_check_due": False}
    assert read(house, patient_id)["birth_date_evidence"] == "identity_document"
    assert steps(house, patient_id)[:2] == [
        ("identity_check", None, "residence_permit"), ("birth_date_evidence", "unknown", "identity_document"),
    ]  # fmt: skip
    [trace] = [each for each in told(house, "access_traced.v1") if each["action"] == "identity.checked"]
    assert (trace["object_id"], trace["object_type"], trace["purpose"]) == (patient_id, "patient", "residence_permit")


def test_a_minor_who_is_of_age_after_all_is_told_of_without_the_day(house: House) -> None:
    today = now().date()
    minor, adult = today.replace(year=today.year - 10, day=1), today.replace(year=today.year - 30, day=1)
    patient_id = register(house, birth_date=minor.isoformat())
    change(house, patient_id, birth_date=(minor - timedelta(days=400)).isoformat(), birth_name="Autre")
    change(house, patient_id, mobile="+352621999888")
    assert told(house, "patient_came_of_age.v1") == []
    change(house, patient_id, birth_date=adult.isoformat())
    change(house, patient_id, birth_date=(adult - timedelta(days=1)).isoformat())
    assert told(house, "patient_came_of_age.v1") == [{"patient_id": patient_id}]
    change(house, patient_id, birth_date=minor.isoformat())
    assert len(told(house, "patient_came_of_age.v1")) == 1


def test_a_check_against_no_known_document_is_none(house: House) -> None:
    patient_id = register(house, birth_date="1980-05-18")
    with pytest.raises(InvalidInput):
        house.ask("directory", "check_identity", AGENT, patient_id=patient_id, document="driving_licence")
    assert row(house, patient_id).identity_check_due


# --- matricules -------------------------------------------------------------------------------------------------------


def test_a_matricule_changes_and_the_former_one_is_kept_for_ever(house: House) -> None:
    first, second = matricule(BORN, 1), matricule(BORN, 2)
    patient_id = register(house)
    assert renumber(house, patient_id, second, "adoption")["version"] == 2
    numbers = read(house, patient_id)["identifiers"]
    assert [(each["value"], each["until"] is None) for each in numbers] == [(second, True), (first, False)]
    assert steps(house, patient_id) == [("matricule", first, second)]
    assert told(house, "patient_matricule_changed.v1") == [{"patient_id": patient_id}]
    for number in (first, second):
        asked = house.ask("directory", "person_of_matricule", context(), process="identity", matricule=number)
        assert (asked["patient_id"], asked["matricule"]) == (patient_id, second), "who types the former one is them"
    with house.sessions["directory"].transaction() as session:
        assert session.scalar(sa.select(Matricule.cause).where(Matricule.matricule == second)) == "adoption"


def test_the_present_matricule_again_changes_nothing(house: House) -> None:
    patient_id = register(house)
    assert renumber(house, patient_id, matricule(BORN, 1))["version"] == 1
    assert steps(house, patient_id) == [] and told(house, "patient_matricule_changed.v1") == []


def test_a_change_back_takes_the_former_matricule_up_again(house: House) -> None:
    first, second = matricule(BORN, 1), matricule(BORN, 2)
    patient_id = register(house)
    renumber(house, patient_id, second)
    renumber(house, patient_id, first)
    sheet = read(house, patient_id)
    assert sheet["matricule"] == first
    assert [(each["value"], each["until"] is None) for each in sheet["identifiers"]] == [(first, True), (second, False)]
    assert rows(house, Matricule) == 2
    assert steps(house, patient_id) == [("matricule", second, first), ("matricule", first, second)]


def test_who_had_none_gets_a_first_matricule(house: House) -> None:
    patient_id = register(house, matricule=None)
    assert renumber(house, patient_id, matricule(BORN, 7))["version"] == 2
    assert read(house, patient_id)["matricule"] == matricule(BORN, 7)


@pytest.mark.parametrize("former", [False, True])
def test_a_matricule_that_is_or_was_anothers_is_refused(house: House, former: bool) -> None:
    owner, patient_id = register(house), register(house, matricule=matricule(BORN, 2))
    if former:
        renumber(house, owner, matricule(BORN, 3))
    with pytest.raises(PatientExists):
        renumber(house, patient_id, matricule(BORN, 1))
    assert read(house, patient_id)["matricule"] == matricule(BORN, 2)
    assert row(house, patient_id).version == 1
    assert traces(house, "patient.changed")[-1] == ("refused", patient_id, "patient_exists")
    assert len(told(house, "patient_matricule_changed.v1")) == former


@pytest.mark.parametrize(
    ("number", "cause", "pointer"),
    [("1900010100565", "correction", "/matricule"), ("190001", "correction", "/matricule"),
     (matricule(BORN, 9), "typo", "/cause")],
)  # fmt: skip
def test_a_wrong_matricule_or_cause_changes_nothing(house: House, number: str, cause: str, pointer: str) -> None:
    patient_id = register(house)
    with pytest.raises(InvalidInput) as refused:
        renumber(house, patient_id, number, cause)
    assert refused.value.detail["errors"][0]["pointer"] == pointer
    assert row(house, patient_id).version == 1


def test_a_matricule_of_another_birth_date_is_flagged_and_one_that_agrees_is_not(house: House) -> None:
    patient_id = register(house)
    assert renumber(house, patient_id, matricule(date(1981, 1, 2), 1))["identity_check_due"] is True
    assert renumber(house, patient_id, matricule(BORN, 1))["identity_check_due"] is False


def test_two_patients_cannot_get_one_matricule_at_once(house: House) -> None:
    people = [register(house, matricule=matricule(BORN, number)) for number in range(1, 6)]

    def attempt(place: int) -> bool:
        try:
            renumber(house, people[place], matricule(BORN, 99))
        except PatientExists:
            return False
        return True

    assert at_once(len(people), attempt).count(True) == 1
    with house.sessions["directory"].transaction() as session:
        present = session.scalars(sa.select(Matricule.patient_id).where(Matricule.until.is_(None))).all()
    assert sorted(present) == sorted(people), "everybody has one, and one only"


@pytest.mark.parametrize("asking", ["gateway", "dossier", "documents", "audit", "notifications", "operator"])
def test_identity_alone_asks_for_the_present_matricule(house: House, asking: str) -> None:
    patient_id = register(house)
    given = {"patient_id": patient_id}
    with pytest.raises(NotAllowed):
        house.ask("directory", "current_matricule", context(), process=asking, **given)
    asked = house.ask("directory", "current_matricule", context(), process="identity", **given)
    assert asked == {"matricule": matricule(BORN, 1)}
    for nobody in (new_id(), "x"):
        assert house.ask("directory", "current_matricule", context(), process="identity", patient_id=nobody) == {
            "matricule": None
        }


# --- history ----------------------------------------------------------------------------------------------------------


def test_the_history_comes_newest_first_in_pages(house: House) -> None:
    patient_id = register(house)
    for number in range(5):
        change(house, patient_id, email=f"n{number}@example.lu")
    seen: list[str] = []
    cursor = None
    while True:
        page = history(house, patient_id, limit=2, cursor=cursor)
        seen += [each["new"] for each in page["changes"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        change(house, patient_id, phone=f"2712501{len(seen)}")  # what is new meanwhile does not come in between
    assert seen == [f"n{number}@example.lu" for number in range(4, -1, -1)]
    for wrong in ({"limit": 0}, {"limit": 101}, {"cursor": "x"}):
        with pytest.raises(InvalidInput):
            history(house, patient_id, **wrong)


def test_the_patient_sees_that_the_agency_did_it_and_not_who(house: House) -> None:
    patient_id = register(house)
    change(house, patient_id, email="a@example.lu")
    with house.sessions["directory"].transaction() as session:
        by_feed = {"change_id": new_id(), "patient_id": patient_id, "field": "phone", "new": "+35227125018"}
        session.execute(sa.insert(PatientChange).values(at=sa.func.now(), **by_feed))
    fed, by_agent = history(house, None, caller("patient", patient_id=patient_id))["changes"]
    assert (fed["by"], fed["account_id"]) == ("feed", None)
    assert (by_agent["by"], by_agent["account_id"]) == ("agency", None)
    assert history(house, patient_id)["changes"][1]["account_id"] == AGENT.account_id


# --- what follows -----------------------------------------------------------------------------------------------------


def test_letters_go_to_the_postal_address_where_there_is_one(house: House) -> None:
    patient_id = register(house)

    def lines() -> Any:
        asked = {"patient_id": patient_id}
        return house.ask("directory", "letter_address", context(), process="notifications", **asked)["address_lines"]

    assert lines() == ["4, Rue des Tests", "1427 Luxembourg"]
    change(house, patient_id, addresses=[{**POSTAL, "use": "temporary"}])
    assert lines() == ["4, Rue des Tests", "1427 Luxembourg"]
    change(house, patient_id, addresses=[{**POSTAL, "use": "temporary"}, {**POSTAL, "country": "BE"}])
    assert lines() == ["B.P. 12", "2010 Luxembourg", "BE"]


def test_no_event_trace_or_refusal_carries_what_stands_on_a_sheet(house: House) -> None:
    patient_id = register(house, **FURTHER, identifiers=[FEDERATOR], birth_name="Quetsch")
    change(house, patient_id, 1, usual_name="Mirabell", birth_date="1980-05-18", email="mirabell@example.lu")
    renumber(house, patient_id, matricule(BORN, 2))
    read(house, patient_id)
    history(house, patient_id)
    said = json.dumps(house.events("directory"))
    refused: list[Refusal] = []
    for call in (lambda: register(house, matricule=matricule(BORN, 8), identifiers=[FEDERATOR]),
                 lambda: change(house, patient_id, 1, email="x@example.lu"),
                 lambda: change(house, patient_id, 9, email="not a mail of Mirabell")):  # fmt: skip
        with pytest.raises(Refusal) as refusal:
            call()
        refused.append(refusal.value)
    said += json.dumps([each.to_wire() for each in refused])
    private = ("Quetsch", "Mirabell", "example.lu", "621123456", "1980-05-1", "Coimbra", "F-0001", matricule(BORN, 1),
               matricule(BORN, 2), "Tests")  # fmt: skip
    assert not [word for word in private if word in said]
