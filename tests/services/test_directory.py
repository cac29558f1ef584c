"""Directory over a real database: registering once, finding without listing, names in bulk, traces without names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from services.bus import keep_ended_session
from services.db import new_id, now, plumbing
from services.directory.contract import PatientExists, PersonNotFound, ProfessionalExists
from services.directory.models import Establishment, Matricule, Patient, Professional, Workplace, metadata
from services.refusals import InvalidInput, KeyReused, NotAllowed, SessionEnded
from services.tokens import Caller
from tests.builders import House, any_matricule, caller, context, matricule

HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
AGENT = caller("agent")


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory",))
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    """The house as it was on its first day: emptying tables is much faster than making a database."""
    with built.sessions["directory"].transaction() as session:
        for table in (*reversed(metadata.sorted_tables), *plumbing.sorted_tables):
            session.execute(table.delete())
    return built


def a_patient(**changes: Any) -> dict[str, Any]:
    return {
        "matricule": any_matricule(), "birth_name": "Weber", "usual_name": None, "first_names": "Zoé Anne", "sex": "F",
        "birth_date": "1980-05-17", "language": "lb", "address": HOME, **changes,
    }  # fmt: skip


def a_professional(**changes: Any) -> dict[str, Any]:
    return {
        "matricule": any_matricule(), "family_name": "Schmit", "first_name": "Léa", "profession": "physician",
        "specialities": ["Cardiologie"], "establishment_ids": [], "language": "fr", **changes,
    }  # fmt: skip


def register_patient(house: House, who: Caller = AGENT, **changes: Any) -> str:
    return str(house.ask("directory", "register_patient", who, **a_patient(**changes))["patient_id"])


def register_professional(house: House, who: Caller = AGENT, **changes: Any) -> str:
    return str(house.ask("directory", "register_professional", who, **a_professional(**changes))["professional_id"])


def register_establishment(house: House, name: str = "Cabinet du Parc", kind: str = "practice") -> str:
    answer = house.ask("directory", "register_establishment", AGENT, name=name, kind=kind)
    return str(answer["establishment_id"])


def doctor(house: House) -> Caller:
    return caller("professional", professional_id=register_professional(house))


def events(house: House, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in house.events("directory") if event["type"] == kind]


def traces(house: House, action: str) -> list[dict[str, Any]]:
    return [trace for trace in events(house, "access_traced.v1") if trace["action"] == action]


def rows(house: House, table: Any) -> int:
    with house.sessions["directory"].transaction() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def set_licence(house: House, professional_id: str, licence: str) -> None:
    with house.sessions["directory"].transaction() as session:
        session.execute(
            sa.update(Professional).values(licence=licence).where(Professional.professional_id == professional_id)
        )


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_of_the_models(house: House) -> None:
    def ours(_thing: Any, name: str | None, kind: str, reflected: bool, _other: Any) -> bool:
        return not (kind == "table" and reflected and name in {*plumbing.tables, "alembic_version"})

    with house.sessions["directory"].engine.connect() as connection:
        found = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(found, metadata) == []


# --- patients ---------------------------------------------------------------------------------------------------------


def test_an_agent_registers_a_patient_once_with_event_and_trace(house: House) -> None:
    sheet = a_patient()
    patient_id = house.ask("directory", "register_patient", AGENT, **sheet)["patient_id"]
    assert events(house, "patient_registered.v1") == [{"patient_id": patient_id}]
    [trace] = traces(house, "patient.registered")
    assert (trace["outcome"], trace["object_id"], trace["object_type"]) == ("allowed", patient_id, "patient")
    assert trace["account_id"] == AGENT.account_id


def test_registering_the_same_patient_again_finds_them_and_tells_nobody(house: House) -> None:
    sheet = a_patient(birth_name="Müller", first_names="Zoé")
    first = house.ask("directory", "register_patient", AGENT, **sheet)
    spelt = {
        **sheet,
        "birth_name": "MULLER",
        "first_names": " zoe ",
        "matricule": f" {sheet['matricule'][:8]} " + sheet["matricule"][8:],
    }
    assert house.ask("directory", "register_patient", AGENT, **spelt) == first
    assert rows(house, Patient) == rows(house, Matricule) == 1
    assert len(events(house, "patient_registered.v1")) == 1
    assert len(traces(house, "patient.registered")) == 2


@pytest.mark.parametrize("other", [{"birth_name": "Wagner"}, {"first_names": "Zoé"}])
def test_a_matricule_of_somebody_else_is_refused_and_traced(house: House, other: dict[str, str]) -> None:
    sheet = a_patient()
    patient_id = house.ask("directory", "register_patient", AGENT, **sheet)["patient_id"]
    with pytest.raises(PatientExists) as refused:
        house.ask("directory", "register_patient", AGENT, **{**sheet, **other})
    assert refused.value.detail == {}
    trace = traces(house, "patient.registered")[-1]
    assert (trace["outcome"], trace["reason"], trace["object_id"]) == ("refused", "patient_exists", patient_id)
    assert rows(house, Patient) == 1


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
def test_nobody_but_an_agent_registers_anybody(house: House, capacity: str) -> None:
    who = caller(capacity)
    for method, given, action in [
        ("register_patient", a_patient(), "patient.registered"),
        ("register_professional", a_professional(), "professional.registered"),
        ("register_establishment", {"name": "Cabinet", "kind": "practice"}, "establishment.registered"),
    ]:
        with pytest.raises(NotAllowed):
            house.ask("directory", method, who, **given)
        [trace] = traces(house, action)
        assert (trace["outcome"], trace["reason"]) == ("refused", "not_allowed")
    assert (
        rows(house, Patient) == rows(house, Professional) == rows(house, Establishment) == rows(house, Matricule) == 0
    )


def test_a_wrong_matricule_leaves_nothing_behind(house: House) -> None:
    with pytest.raises(InvalidInput) as refused:
        register_patient(house, matricule="1900010100565")
    assert refused.value.detail == {"errors": [{"pointer": "/matricule", "message": "matricule_verhoeff"}]}
    assert rows(house, Patient) == 0
    assert house.events("directory") == []


def test_a_differing_birth_date_is_flagged_for_an_identity_check(house: House) -> None:
    register_patient(house, matricule=matricule(date(1980, 5, 17), 1), birth_date="1980-05-17")
    register_patient(house, matricule=matricule(date(1980, 5, 17), 2), birth_date="1980-05-18")
    with house.sessions["directory"].transaction() as session:
        due = session.scalars(sa.select(Patient.identity_check_due).order_by(Patient.birth_date)).all()
    assert due == [False, True]


def test_the_same_registration_many_times_at_once_makes_one_patient(house: House) -> None:
    sheet = a_patient()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: house.ask("directory", "register_patient", AGENT, **sheet), range(24)))
    assert len({answer["patient_id"] for answer in answers}) == 1
    assert rows(house, Patient) == rows(house, Matricule) == 1
    assert len(events(house, "patient_registered.v1")) == 1


def test_two_identities_at_once_under_one_matricule_leave_one(house: House) -> None:
    number = any_matricule()

    def attempt(name: str) -> bool:
        try:
            register_patient(house, matricule=number, birth_name=name)
        except PatientExists:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(attempt, ["Weber", "Wagner", "Klein", "Reuter", "Hoffmann", "Kieffer"]))
    assert won.count(True) == 1
    assert rows(house, Patient) == 1


def test_a_repeat_under_an_idempotency_key_gives_the_first_answer(house: House) -> None:
    who = replace(AGENT, context=context(idempotency_key="k-1"))
    given = {"name": "Cabinet du Parc", "kind": "practice"}
    first = house.ask("directory", "register_establishment", who, **given)
    assert house.ask("directory", "register_establishment", who, **given) == first
    assert rows(house, Establishment) == 1
    with pytest.raises(KeyReused):
        house.ask("directory", "register_establishment", who, **{**given, "kind": "hospital"})


def test_two_establishments_of_one_name_stay_two(house: House) -> None:
    assert register_establishment(house) != register_establishment(house)


def test_a_session_that_ended_registers_nobody(house: House) -> None:
    with house.sessions["directory"].transaction() as session:
        keep_ended_session(session, AGENT.session_id)
    with pytest.raises(SessionEnded):
        register_patient(house)
    assert rows(house, Patient) == 0


# --- professionals ----------------------------------------------------------------------------------------------------


def test_a_professional_is_registered_with_a_valid_licence_as_version_1(house: House) -> None:
    practice, hospital = sorted([register_establishment(house), register_establishment(house, kind="hospital")])
    professional_id = register_professional(house, establishment_ids=[hospital, practice])
    [told] = events(house, "professional_updated.v1")
    assert datetime.fromisoformat(told.pop("at")) <= now()
    assert told == {
        "professional_id": professional_id,
        "profession": "physician",
        "licence": "valid",
        "establishment_ids": [practice, hospital],
        "version": 1,
        "emergency_establishment_ids": [],
    }
    assert len(traces(house, "professional.registered")) == 1


def test_what_changes_for_a_professional_is_a_new_version_and_a_repeat_is_none(house: House) -> None:
    practice, hospital = register_establishment(house), register_establishment(house, kind="hospital")
    sheet = a_professional(establishment_ids=[practice])
    first = house.ask("directory", "register_professional", AGENT, **sheet)
    assert house.ask("directory", "register_professional", AGENT, **sheet) == first
    moved = {**sheet, "establishment_ids": [hospital], "specialities": ["Cardiologie", "Médecine interne"]}
    assert house.ask("directory", "register_professional", AGENT, **moved) == first
    assert house.ask("directory", "register_professional", AGENT, **sheet) == first
    told = events(house, "professional_updated.v1")
    assert [each["version"] for each in told] == [1, 2, 3]
    assert [each["establishment_ids"] for each in told] == [[practice], [hospital], [practice]]
    with house.sessions["directory"].transaction() as session:
        past = session.scalars(sa.select(Workplace).where(Workplace.until.is_not(None)).order_by(Workplace.since)).all()
    assert [each.establishment_id for each in past] == [practice, hospital]


def test_a_registration_never_gives_a_lost_licence_back(house: House) -> None:
    sheet = a_professional()
    professional_id = house.ask("directory", "register_professional", AGENT, **sheet)["professional_id"]
    set_licence(house, professional_id, "withdrawn")
    house.ask("directory", "register_professional", AGENT, **{**sheet, "specialities": []})
    assert events(house, "professional_updated.v1")[-1]["licence"] == "withdrawn"


def test_a_professional_of_another_name_keeps_the_matricule(house: House) -> None:
    sheet = a_professional()
    house.ask("directory", "register_professional", AGENT, **sheet)
    with pytest.raises(ProfessionalExists):
        house.ask("directory", "register_professional", AGENT, **{**sheet, "family_name": "Wagner"})
    assert traces(house, "professional.registered")[-1]["reason"] == "professional_exists"
    assert len(events(house, "professional_updated.v1")) == 1


def test_an_unknown_workplace_is_refused_and_registers_nobody(house: House) -> None:
    with pytest.raises(InvalidInput) as refused:
        register_professional(house, establishment_ids=[new_id()])
    assert refused.value.detail == {"errors": [{"pointer": "/establishment_ids/0", "message": "unknown"}]}
    assert rows(house, Professional) == rows(house, Matricule) == 0


def test_changes_of_a_professional_at_once_give_versions_without_gap_or_double(house: House) -> None:
    sheet = a_professional()
    house.ask("directory", "register_professional", AGENT, **sheet)
    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(
                lambda n: house.ask(
                    "directory", "register_professional", AGENT, **{**sheet, "specialities": [f"speciality {n}"]}
                ),
                range(12),
            )
        )
    assert sorted(each["version"] for each in events(house, "professional_updated.v1")) == list(range(1, 14))


def test_one_person_may_be_patient_and_professional_under_one_matricule(house: House) -> None:
    number = any_matricule()
    practice = register_establishment(house)
    patient_id = register_patient(house, matricule=number)
    professional_id = register_professional(house, matricule=number, establishment_ids=[practice])
    assert house.ask(
        "directory", "person_of_matricule", context(), process="identity", matricule=f"{number[:8]} {number[8:]}"
    ) == {
        "matricule": number,
        "patient_id": patient_id,
        "professional_id": professional_id,
        "profession": "physician",
        "licence": "valid",
        "establishment_ids": [practice],
    }


# --- the database keeps what the rules promise ------------------------------------------------------------------------


def test_the_database_refuses_a_second_owner_and_a_second_current_matricule(house: House) -> None:
    number = any_matricule()
    patient_id, other_id = register_patient(house, matricule=number), register_patient(house)
    for values in (
        {"matricule": number, "patient_id": other_id},
        {"matricule": any_matricule(), "patient_id": patient_id},
        {"matricule": "1234", "patient_id": other_id},
        {"matricule": any_matricule()},
        {"matricule": any_matricule(), "patient_id": new_id(), "until": now()},
    ):
        with pytest.raises(IntegrityError), house.sessions["directory"].transaction() as session:
            session.execute(sa.insert(Matricule).values(since=now(), **values))


def test_a_former_matricule_still_finds_the_patient(house: House) -> None:
    former, present = any_matricule(), any_matricule()
    patient_id = register_patient(house, matricule=former)
    with house.sessions["directory"].transaction() as session:
        session.execute(sa.update(Matricule).values(until=now()).where(Matricule.matricule == former))
        session.execute(sa.insert(Matricule).values(matricule=present, patient_id=patient_id, since=now()))
    for number in (former, present):
        found = house.ask("directory", "search_patients", AGENT, matricule=number)["patients"]
        assert [each["patient_id"] for each in found] == [patient_id]


# --- what identity asks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["1900010100564", "1900010100565", "", "x", "19041120001"])
def test_a_matricule_of_nobody_gives_nulls_and_no_refusal(house: House, typed: str) -> None:
    answer = house.ask("directory", "person_of_matricule", context(), process="identity", matricule=typed)
    assert answer == {
        "matricule": None, "patient_id": None, "professional_id": None, "profession": None, "licence": None,
        "establishment_ids": [],
    }  # fmt: skip


def test_eleven_digits_find_the_one_matricule_that_begins_with_them(house: House) -> None:
    number = any_matricule()
    patient_id = register_patient(house, matricule=number)
    professional_id = register_professional(house, matricule=number)

    def asked(typed: str) -> Any:
        return house.ask("directory", "person_of_matricule", context(), process="identity", matricule=typed)

    whole = asked(number[:11])
    assert whole == asked(number)
    assert (whole["matricule"], whole["patient_id"], whole["professional_id"]) == (number, patient_id, professional_id)
    for shorter in (number[:10], number[:12], f"{number[:10]}%", f"{number[:10]}_"):
        assert asked(shorter)["patient_id"] is None
    twin = number[:11] + f"{(int(number[11:]) + 1) % 100:02d}"
    with house.sessions["directory"].transaction() as session:
        session.execute(sa.insert(Matricule).values(
            matricule=twin, patient_id=register_patient(house), since=now(), until=now()))  # fmt: skip
    assert asked(number[:11]) == asked(any_matricule()), "of two nobody is meant"
    assert asked(number)["patient_id"] == patient_id


def test_a_sheet_to_confirm_shows_a_person_and_no_matricule(house: House) -> None:
    number, practice = any_matricule(), register_establishment(house)
    patient_id = register_patient(house, matricule=number)
    professional_id = register_professional(house, matricule=number, establishment_ids=[practice])

    def asked(**ids: str | None) -> Any:
        return house.ask("directory", "person_sheet", context(), process="identity", **ids)

    patient, professional = asked(patient_id=patient_id), asked(patient_id=None, professional_id=professional_id)
    assert {name for name, value in patient.items() if value is not None} >= {
        "birth_name", "first_names", "birth_date", "sex"}  # fmt: skip
    assert patient["family_name"] is patient["workplaces"] is professional["birth_date"] is None
    assert professional["profession"] == "physician" and len(professional["workplaces"]) == 1
    assert number not in str((patient, professional))
    for nobody in ({"patient_id": new_id()}, {"patient_id": "x"}, {"professional_id": new_id()}, {}):
        with pytest.raises(PersonNotFound):
            asked(**nobody)


def test_capacity_facts_tell_the_licence_of_a_professional_and_nothing_of_others(house: House) -> None:
    professional_id = register_professional(house)
    set_licence(house, professional_id, "suspended")

    def asked(**ids: str | None) -> Any:
        return house.ask("directory", "capacity_facts", context(), process="identity", **ids)

    nothing: dict[str, Any] = {"profession": None, "licence": None, "establishment_ids": []}
    assert asked(patient_id=None, professional_id=professional_id) == {
        "profession": "physician", "licence": "suspended", "establishment_ids": [],
    }  # fmt: skip
    assert asked(patient_id=register_patient(house), professional_id=None) == nothing
    assert asked(patient_id=None, professional_id=new_id()) == nothing
    assert asked(patient_id=None, professional_id="x") == nothing


@pytest.mark.parametrize(
    ("method", "given", "process"),
    [
        ("person_of_matricule", {"matricule": "1900010100564"}, "identity"),
        ("capacity_facts", {"professional_id": None}, "identity"),
        ("person_sheet", {"patient_id": None}, "identity"),
        ("letter_address", {"patient_id": None}, "notifications"),
    ],
)
@pytest.mark.parametrize(
    "asking", ["gateway", "identity", "dossier", "documents", "audit", "notifications", "operator"]
)
def test_system_methods_answer_the_one_service_that_needs_them(
    house: House, method: str, given: dict[str, Any], process: str, asking: str
) -> None:
    if asking == process:
        try:
            house.ask("directory", method, context(), process=asking, **given)
        except PersonNotFound:
            assert method in ("letter_address", "person_sheet")
        return
    with pytest.raises(NotAllowed):
        house.ask("directory", method, context(), process=asking, **given)


# --- searching patients -----------------------------------------------------------------------------------------------


def test_a_doctor_finds_a_patient_by_the_exact_matricule(house: House) -> None:
    who, number = doctor(house), any_matricule()
    patient_id = register_patient(house, matricule=number, usual_name="Klein")
    assert house.ask("directory", "search_patients", who, matricule=number) == {
        "patients": [
            {
                "patient_id": patient_id,
                "birth_name": "Weber",
                "usual_name": "Klein",
                "first_names": "Zoé Anne",
                "birth_date": "1980-05-17",
                "sex": "F",
                "insc": number,
                "identifier": None,
                "alerts": ["identity_unverified"],
                "rate": 100,
            }
        ],
        "more": False,
    }
    [trace] = traces(house, "patient.searched")
    assert (trace["outcome"], trace["object_id"], trace["count"]) == ("allowed", patient_id, 1)
    assert trace["professional_id"] == who.professional_id


def test_a_search_for_nobody_is_empty_and_traced(house: House) -> None:
    assert house.ask("directory", "search_patients", AGENT, matricule=any_matricule())["patients"] == []
    [trace] = traces(house, "patient.searched")
    assert (trace["outcome"], trace["object_id"], trace["count"]) == ("allowed", None, 0)


def test_a_professional_is_no_patient_to_be_found(house: House) -> None:
    number = any_matricule()
    register_professional(house, matricule=number)
    assert house.ask("directory", "search_patients", AGENT, matricule=number)["patients"] == []


@pytest.mark.parametrize("typed", ["", "1", "19800517", "%", "1980051712%", "1900010100565"])
def test_a_part_of_a_matricule_lists_nobody(house: House, typed: str) -> None:
    register_patient(house)
    with pytest.raises(InvalidInput):
        house.ask("directory", "search_patients", AGENT, matricule=typed)


def test_patients_machines_and_unlicensed_professionals_search_nobody(house: House) -> None:
    number = any_matricule()
    patient_id = register_patient(house, matricule=number)
    suspended = doctor(house)
    set_licence(house, str(suspended.professional_id), "suspended")
    refused = [caller("patient", patient_id=patient_id), caller("machine"), caller("professional"), suspended]
    for who in refused:
        with pytest.raises(NotAllowed):
            house.ask("directory", "search_patients", who, matricule=number)
    found = traces(house, "patient.searched")
    assert [(each["outcome"], each["reason"], each["object_id"]) for each in found] == [
        ("refused", "not_allowed", None)
    ] * len(refused)


def test_no_event_and_no_trace_carries_a_name_or_a_matricule(house: House) -> None:
    number = any_matricule()
    who = doctor(house)
    register_patient(house, matricule=number, birth_name="Quetsch", usual_name="Mirabell", first_names="Reineclaude")
    register_professional(house, matricule=number, family_name="Quetsch", first_name="Reineclaude")
    house.ask("directory", "search_patients", who, matricule=number)
    house.ask("directory", "search_professionals", who, query="quetsch")
    with pytest.raises(PatientExists):
        register_patient(house, matricule=number, birth_name="Mirabell")
    said = json.dumps(house.events("directory"))
    assert not [word for word in (number, "Quetsch", "Mirabell", "Reineclaude", "1427", "1980-05-17") if word in said]


# --- searching professionals ------------------------------------------------------------------------------------------


@pytest.fixture
def listed(house: House) -> dict[str, str]:
    practice = register_establishment(house, name="Cabinet du Parc")
    return {
        "schmit": register_professional(house, establishment_ids=[practice]),
        "muller": register_professional(
            house, family_name="Müller", first_name="Jean-Pierre", profession="pharmacist", specialities=[]
        ),
        "medernach": register_professional(
            house, family_name="Medernach", first_name="Élise", profession="nurse", specialities=["Diabétologie"]
        ),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sch", ["schmit"]),
        ("SCHMIT", ["schmit"]),
        ("lea sch", ["schmit"]),
        ("mul", ["muller"]),
        ("Müller", ["muller"]),
        ("jean-p", ["muller"]),
        ("pierre", ["muller"]),
        ("eli med", ["medernach"]),
        ("cardio", ["schmit"]),
        ("diabeto", ["medernach"]),
        ("pharmacien", ["muller"]),
        ("Apdikter", ["muller"]),
        ("médecin", ["schmit"]),
        ("Ärzt", ["schmit"]),
        ("med", ["medernach", "schmit"]),
        ("infirmière elise", ["medernach"]),
        ("schmit pharmacien", []),
        ("chmit", []),
        ("%%%schm", ["schmit"]),
        ("sch%it", []),
        ("zzz", []),
    ],
)
def test_professionals_are_found_by_beginnings_of_words(
    house: House, listed: dict[str, str], query: str, expected: list[str]
) -> None:
    found = house.ask("directory", "search_professionals", caller("patient"), query=query)["professionals"]
    assert [each["professional_id"] for each in found] == [listed[name] for name in expected]


def test_a_found_professional_comes_with_profession_and_workplaces(house: House, listed: dict[str, str]) -> None:
    [found] = house.ask("directory", "search_professionals", caller("patient"), query="schmit")["professionals"]
    assert found["family_name"] == "Schmit"
    assert found["first_name"] == "Léa"
    assert found["profession"] == "physician"
    assert found["specialities"] == ["Cardiologie"]
    assert [place["name"] for place in found["establishments"]] == ["Cabinet du Parc"]
    assert set(found) == {
        "professional_id", "family_name", "first_name", "profession", "specialities", "licence", "establishments",
    }  # fmt: skip


def test_who_lost_the_licence_for_good_is_not_found(house: House, listed: dict[str, str]) -> None:
    set_licence(house, listed["schmit"], "withdrawn")
    set_licence(house, listed["muller"], "suspended")
    asked = {name: house.ask("directory", "search_professionals", AGENT, query=name) for name in ("schmit", "muller")}
    assert asked["schmit"] == {"professionals": [], "next_cursor": None}
    assert len(asked["muller"]["professionals"]) == 1


def test_a_search_gives_no_more_than_asked_for(house: House) -> None:
    for number in range(5):
        register_professional(house, first_name=f"Léa {number}")
    assert len(house.ask("directory", "search_professionals", AGENT, query="schmit", limit=3)["professionals"]) == 3
    for limit in (0, 51):
        with pytest.raises(InvalidInput):
            house.ask("directory", "search_professionals", AGENT, query="schmit", limit=limit)


@pytest.mark.parametrize("query", ["", "sc", "%%%"])
def test_fewer_than_three_letters_list_nobody(house: House, query: str) -> None:
    with pytest.raises(InvalidInput):
        house.ask("directory", "search_professionals", AGENT, query=query)


# --- names and addresses ----------------------------------------------------------------------------------------------


def test_names_come_in_bulk_in_three_statements_and_unknown_ids_are_left_out(house: House) -> None:
    married = register_patient(house, usual_name="Klein")
    patients = [register_patient(house, birth_name="Doe", first_names=f"Jane {n}") for n in range(10)]
    professional_id, establishment_id = register_professional(house), register_establishment(house)
    said: list[str] = []
    engine = house.sessions["directory"].engine
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: said.append(statement))
    answer = house.ask(
        "directory",
        "names",
        caller("patient"),
        patient_ids=[married, *patients, new_id(), "x"],
        professional_ids=[professional_id, new_id()],
        establishment_ids=[establishment_id, new_id()],
    )
    assert "require_session" in said[0] and said[-1] == "commit"
    assert len(said[:-1]) == 3
    assert answer["patients"] == {married: "KLEIN Zoé Anne"} | {p: f"DOE Jane {n}" for n, p in enumerate(patients)}
    assert answer["professionals"] == {professional_id: {"name": "SCHMIT Léa", "profession": "physician"}}
    assert answer["establishments"] == {establishment_id: "Cabinet du Parc"}


def test_no_ids_are_no_names(house: House) -> None:
    nothing: dict[str, Any] = {"patients": {}, "professionals": {}, "establishments": {}}
    assert house.ask("directory", "names", caller("patient")) == nothing
    assert house.ask("directory", "names", AGENT, patient_ids=[], professional_ids=[], establishment_ids=[]) == nothing
    with pytest.raises(InvalidInput):
        house.ask("directory", "names", AGENT, patient_ids="abc")


def test_a_letter_goes_to_the_patients_address_without_a_matricule(house: House) -> None:
    number = any_matricule()
    patient_id = register_patient(house, matricule=number, usual_name="Klein")
    answer = house.ask("directory", "letter_address", context(), process="notifications", patient_id=patient_id)
    assert answer == {
        "name_lines": ["Zoé Anne KLEIN"],
        "address_lines": ["4, Rue des Tests", "1427 Luxembourg"],
        "language": "lb",
    }


def test_a_letter_to_a_professional_without_an_address_goes_to_a_workplace(house: House) -> None:
    practice = register_establishment(house)
    at_work = register_professional(house, establishment_ids=[practice])
    at_home = register_professional(house, establishment_ids=[practice], address={**HOME, "country": "DE"})

    def lines(professional_id: str) -> Any:
        who = {"patient_id": None, "professional_id": professional_id}
        return house.ask("directory", "letter_address", context(), process="notifications", **who)["address_lines"]

    assert lines(at_work) == ["Cabinet du Parc"]
    assert lines(at_home) == ["4, Rue des Tests", "1427 Luxembourg", "DE"]


@pytest.mark.parametrize("ids", [{}, {"patient_id": new_id()}, {"professional_id": new_id()}, {"patient_id": "x"}])
def test_a_letter_to_nobody_has_no_address(house: House, ids: dict[str, str]) -> None:
    with pytest.raises(PersonNotFound):
        house.ask("directory", "letter_address", context(), process="notifications", **ids)
