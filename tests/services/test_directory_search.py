"""The search for patients over a real database: every column and alert, who is not shown, how often one may ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import ended_sessions, new_id, now, plumbing
from services.directory import rules_search
from services.directory.models import Matricule, Patient, PatientIdentifier, PossibleDuplicate, Professional, metadata
from services.directory.models_desk import SearchCount
from services.refusals import InvalidInput, NotAllowed, SessionEnded, TooManyTries
from services.tokens import Caller
from tests.builders import House, any_matricule, caller

HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
AGENT = caller("agent")
ZOE = {"name": "Weber", "first_names": "Zoé Anne", "birth_date": "1980-05-17"}


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory",))
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    """The house as it was on its first day."""
    with built.sessions["directory"].transaction() as session:
        for table in (*reversed(metadata.sorted_tables), *plumbing.sorted_tables):
            session.execute(table.delete())
    return built


def register(house: House, **changes: Any) -> str:
    sheet = {
        "matricule": any_matricule(), "birth_name": "Weber", "usual_name": None, "first_names": "Zoé Anne", "sex": "F",
        "birth_date": "1980-05-17", "language": "lb", "address": HOME, **changes,
    }  # fmt: skip
    return str(house.ask("directory", "register_patient", AGENT, **sheet)["patient_id"])


def execute(house: House, *statements: Any) -> None:
    with house.sessions["directory"].transaction() as session:
        for statement in statements:
            session.execute(statement)


def search(house: House, who: Caller = AGENT, **given: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.ask("directory", "search_patients", who, **given)["patients"]
    return found


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [each["patient_id"] for each in found]


def traces(house: House) -> list[dict[str, Any]]:
    return [
        event["data"]
        for event in house.events("directory")
        if event["type"] == "access_traced.v1" and event["data"]["action"] == "patient.searched"
    ]


def merge(merged: str, survivor: str) -> Any:
    return sa.update(Patient).where(Patient.patient_id == merged).values(merged_into=survivor)


def pair(one: str, other: str, **more: Any) -> Any:
    smaller, larger = sorted((one, other))
    return sa.insert(PossibleDuplicate).values(one_id=smaller, other_id=larger, rate=90, found_at=now(), **more)


# --- columns ----------------------------------------------------------------------------------------------------------


def test_a_search_by_matricule_shows_every_column(house: House) -> None:
    number = any_matricule()
    patient_id = register(house, matricule=number, usual_name="Klein", birth_date=f"{number[:4]}-01-02")
    regional = {"system": "urn:dsp:regional", "value": "R-77", "patient_id": patient_id, "since": now()}
    local = {**regional, "system": "urn:dsp:local", "value": "L-1"}
    execute(house, sa.insert(PatientIdentifier).values([regional, local]))
    [found] = search(house, matricule=f"{number[:8]} {number[8:]}")
    assert found | {"alerts": None} == {
        "patient_id": patient_id, "birth_name": "Weber", "usual_name": "Klein", "first_names": "Zoé Anne",
        "birth_date": f"{number[:4]}-01-02", "sex": "F", "insc": number, "identifier": "R-77", "alerts": None,
        "rate": 100,
    }  # fmt: skip


def test_eleven_digits_find_who_has_them_and_never_more_than_two(house: House) -> None:
    number = any_matricule()
    patient_id = register(house, matricule=number)
    assert ids(search(house, matricule=number[:11])) == [patient_id]
    assert search(house, matricule=any_matricule()[:11]) == []
    others = [number[:11] + f"{(int(number[11:]) + step) % 100:02d}" for step in (1, 2)]
    for other in others:
        row = {"matricule": other, "patient_id": register(house), "since": now(), "until": now()}
        execute(house, sa.insert(Matricule).values(row))
    assert len(search(house, matricule=number[:11])) == 2
    assert ids(search(house, matricule=number)) == [patient_id]


def test_a_former_matricule_finds_its_bearer_with_the_present_one(house: House) -> None:
    former, present = any_matricule(), any_matricule()
    patient_id = register(house, matricule=former)
    execute(
        house,
        sa.update(Matricule).where(Matricule.matricule == former).values(until=now()),
        sa.insert(Matricule).values(matricule=present, patient_id=patient_id, since=now()),
    )
    [found] = search(house, matricule=former)
    assert (found["patient_id"], found["insc"], found["rate"]) == (patient_id, present, 100)


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({"sex": "F"}, 100),
        ({}, 95),
        ({"name": "WEBER", "first_names": "zoe-anne"}, 95),
        ({"first_names": "Zoé"}, 83),
        ({"name": "Veber"}, 83),
        ({"name": "Webet"}, 83),
        ({"birth_date": "1980-05-18"}, 83),
        ({"birth_date": "1980-05"}, 75),
        ({"birth_date": "1980"}, 65),
    ],
)
def test_a_name_with_this_mistake_still_finds_the_patient(house: House, given: dict[str, str], least: int) -> None:
    patient_id = register(house)
    [found] = search(house, **ZOE | given)
    assert found["patient_id"] == patient_id
    assert found["rate"] >= least and (found["rate"] == 100) == (least == 100)


def test_a_patient_is_found_by_the_name_in_use_too(house: House) -> None:
    patient_id = register(house, usual_name="Klein")
    assert ids(search(house, **ZOE | {"name": "Klein"})) == ids(search(house, **ZOE)) == [patient_id]


def test_the_best_match_comes_first_and_a_twin_after(house: House) -> None:
    twin = register(house, first_names="Lena")
    patient_id = register(house)
    found = search(house, **ZOE)
    assert ids(found) == [patient_id, twin] and found[0]["rate"] > found[1]["rate"] + 10
    assert ids(search(house, **ZOE | {"first_names": "Lena"})) == [twin, patient_id]


def test_the_ten_best_are_shown_and_whether_there_are_more_but_never_how_many(house: House) -> None:
    exact = [register(house, birth_name=name) for name in ["Weber"] * 9]
    answer = house.ask("directory", "search_patients", AGENT, **ZOE)
    assert (len(answer["patients"]), answer["more"]) == (9, False)
    exact.append(register(house))
    assert not house.ask("directory", "search_patients", AGENT, **ZOE)["more"]
    slip = register(house, birth_name="Wever")
    answer = house.ask("directory", "search_patients", AGENT, **ZOE)
    assert answer["more"] is True and set(answer) == {"patients", "more"}
    assert sorted(ids(answer["patients"])) == sorted(exact) and slip not in ids(answer["patients"])


def test_whose_day_of_birth_is_unknown_is_found_by_any_day_of_the_month(house: House) -> None:
    number = next(each for each in iter(any_matricule, "") if each)
    patient_id = register(house, matricule=number, birth_date="1980-05-01")
    unknown = sa.update(Matricule).where(Matricule.matricule == number).values(matricule="1980050012345")
    [strict] = search(house, **ZOE)
    execute(house, unknown)
    [found] = search(house, **ZOE)
    assert found["patient_id"] == strict["patient_id"] == patient_id
    assert found["rate"] != strict["rate"], "the day is compared no longer"


# --- alerts -----------------------------------------------------------------------------------------------------------


def alerts(house: House, patient_id: str) -> list[str]:
    return next(each["alerts"] for each in search(house, **ZOE) if each["patient_id"] == patient_id)


def test_an_open_pair_alerts_on_both_sheets_and_a_settled_one_on_none(house: House) -> None:
    one, other = register(house), register(house, birth_name="Klein")
    execute(house, sa.update(Patient).values(identity_check_due=False))
    execute(house, sa.delete(PossibleDuplicate))
    assert alerts(house, one) == []
    execute(house, pair(one, other))
    assert alerts(house, one) == alerts(house, other) == ["possible_duplicate"]
    execute(house, sa.update(PossibleDuplicate).values(settled="distinct", settled_at=now(), settled_by=new_id()))
    assert alerts(house, one) == alerts(house, other) == []


def test_a_pair_with_a_sheet_that_was_merged_alerts_nobody(house: House) -> None:
    one, other, survivor = register(house), register(house), register(house, first_names="Max", birth_date="1950-03-04")
    execute(house, sa.update(Patient).values(identity_check_due=False), sa.delete(PossibleDuplicate))
    execute(house, pair(one, other))
    assert alerts(house, one) == ["possible_duplicate"]
    execute(house, merge(other, survivor))
    assert alerts(house, one) == []


def test_an_identity_to_be_checked_and_an_estimated_date_alert(house: House) -> None:
    patient_id = register(house)
    mine = sa.update(Patient).where(Patient.patient_id == patient_id)
    execute(house, mine.values(identity_check_due=False))
    assert alerts(house, patient_id) == []
    execute(house, mine.values(birth_date_evidence="provisional"))
    assert alerts(house, patient_id) == ["identity_unverified"]
    execute(house, mine.values(birth_date_evidence="identity_document", identity_check_due=True))
    assert alerts(house, patient_id) == ["identity_unverified"]


# --- merged sheets ----------------------------------------------------------------------------------------------------


def test_a_merged_sheet_leads_to_the_one_that_speaks_for_it_by_name_and_by_matricule(house: House) -> None:
    number = any_matricule()
    merged, between = register(house, matricule=number), register(house, first_names="Max", birth_date="1950-03-04")
    survivor = register(house, birth_name="Thill", first_names="Berthe", birth_date="1931-12-30")
    execute(house, merge(merged, between), merge(between, survivor))
    by_name, by_matricule = search(house, **ZOE), search(house, matricule=number)
    assert ids(by_name) == ids(by_matricule) == [survivor]
    assert by_name[0]["birth_name"] == by_matricule[0]["birth_name"] == "Thill"


def test_two_sheets_of_one_person_are_one_line_with_the_better_rate(house: House) -> None:
    merged, survivor = register(house), register(house, birth_name="Wever")
    execute(house, merge(merged, survivor))
    [found] = search(house, **ZOE, sex="F")
    assert (found["patient_id"], found["birth_name"], found["rate"]) == (survivor, "Wever", 100)


# --- what is not told -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, [("/matricule", "matricule_or_name")]),
        ({"name": "Weber", "matricule": any_matricule()}, [("/matricule", "matricule_or_name")]),
        ({"name": "Weber"}, [("/first_names", "required"), ("/birth_date", "required")]),
        ({"birth_date": "1980-05-17"}, [("/name", "required"), ("/first_names", "required")]),
        ({**ZOE, "name": "%"}, [("/name", "required")]),
        ({**ZOE, "first_names": "_ -"}, [("/first_names", "required")]),
        ({**ZOE, "birth_date": "80-05-17"}, [("/birth_date", "birth_date")]),
        ({**ZOE, "birth_date": "1980-13"}, [("/birth_date", "birth_date")]),
        ({**ZOE, "birth_date": "1980-05-17%"}, [("/birth_date", "birth_date")]),
        ({**ZOE, "sex": "W"}, [("/sex", "choice")]),
        ({**ZOE, "name": "x" * 121}, [("/name", "too_long")]),
        ({**ZOE, "name": 7}, [("/name", "type")]),
    ],
)
def test_a_search_that_says_too_little_is_told_what_is_missing(
    house: House, given: dict[str, Any], wrong: list[tuple[str, str]]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        search(house, **given)
    assert [(each["pointer"], each["message"]) for each in refused.value.detail["errors"]] == wrong
    assert traces(house) == []


@pytest.mark.parametrize(
    "given",
    [
        {"name": "W", "first_names": "Z", "birth_date": "1980-05-17"},
        {"name": "We%", "first_names": "Zo%", "birth_date": "1980"},
        {"name": "Weber", "first_names": "Xaver", "birth_date": "1981"},
        {"name": "Xyz", "first_names": "Qqq", "birth_date": "1980-05-17"},
        {"name": "Weber", "first_names": "Zoé Anne", "birth_date": "1953-11-28"},
    ],
)
def test_beginnings_families_birthdays_and_namesakes_are_not_listed(house: House, given: dict[str, str]) -> None:
    assert register(house) in ids(search(house, **ZOE))
    assert search(house, **given) == []


def test_a_search_is_traced_with_how_many_and_with_whom_only_when_it_was_one(house: House) -> None:
    patient_id = register(house)
    search(house, **ZOE)
    search(house, **ZOE | {"birth_date": "1933-02-01"})
    register(house)
    search(house, **ZOE)
    told = [(each["outcome"], each["count"], each["object_id"]) for each in traces(house)]
    assert told == [("allowed", 1, patient_id), ("allowed", 0, None), ("allowed", 2, None)]
    said = json.dumps(house.events("directory"))
    assert not [word for word in ("Weber", "Zoé", "1980-05-17") if word in said]


def test_a_search_by_matricule_is_traced_alike_with_who_has_it(house: House) -> None:
    former, number = any_matricule(), any_matricule()
    merged, patient_id = register(house, matricule=former), register(house, matricule=number)
    execute(house, merge(merged, patient_id))
    who = caller("professional", professional_id=_professional(house))
    for given in (number, former, any_matricule()):
        search(house, who, matricule=given)
    told = [(each["outcome"], each["count"], each["object_id"]) for each in traces(house)]
    assert told == [("allowed", 1, patient_id), ("allowed", 1, patient_id), ("allowed", 0, None)]
    assert {(each["professional_id"], each["object_type"], each["reason"]) for each in traces(house)} == {
        (who.professional_id, "patient", None)
    }  # fmt: skip
    events = [event for event in house.events("directory") if event["type"] == "access_traced.v1"][-3:]
    assert [event["request_id"] for event in events] == [who.context.request_id] * 3
    assert len({event["id"] for event in events}) == len({each["trace_id"] for each in traces(house)}) == 3
    said = json.dumps(house.events("directory"))
    assert not [word for word in (number, former) if word in said]


@pytest.mark.parametrize("by", ["matricule", "name"])
def test_who_may_not_search_finds_nobody(house: House, by: str) -> None:
    number = any_matricule()
    register(house, matricule=number)
    given = {"matricule": {"matricule": number}, "name": ZOE}[by]
    for who in (caller("patient"), caller("machine")):
        with pytest.raises(NotAllowed):
            search(house, who, **given)
    assert counted(house) == {}
    with pytest.raises(NotAllowed):
        search(house, caller("professional"), **given)
    who = caller("professional", professional_id=_professional(house))
    assert len(search(house, who, **given)) == 1
    execute(house, sa.update(Professional).values(licence="suspended"))
    with pytest.raises(NotAllowed):
        search(house, who, **given)
    seen = [(each["outcome"], each["reason"], each["object_id"] is not None) for each in traces(house)]
    refused = ("refused", "not_allowed", False)
    assert seen == [refused] * 3 + [("allowed", None, True), refused]


def test_nobody_has_an_answer_that_left_no_trace(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    number = any_matricule()
    patient_id = register(house, matricule=number)
    assert ids(search(house, matricule=number)) == [patient_id]
    monkeypatch.setattr("services.directory.rules.licences_to_search_with", lambda capacity: [])
    with pytest.raises(NotAllowed):
        search(house, matricule=number)
    told = [(each["outcome"], each["object_id"]) for each in traces(house)]
    assert told == [("allowed", patient_id), ("refused", None)]


@pytest.mark.parametrize("by", ["matricule", "name"])
def test_whose_session_has_ended_finds_nobody_and_is_not_counted(house: House, by: str) -> None:
    number = any_matricule()
    register(house, matricule=number)
    execute(house, sa.insert(ended_sessions).values(session_id=AGENT.session_id, ended_at=now()))
    with pytest.raises(SessionEnded):
        search(house, **{"matricule": {"matricule": number}, "name": ZOE}[by])
    assert (traces(house), counted(house)) == ([], {})


# --- how often --------------------------------------------------------------------------------------------------------


def counted(house: House) -> dict[str, int]:
    with house.sessions["directory"].transaction() as session:
        rows = session.execute(sa.select(SearchCount.searcher, SearchCount.searches)).all()
    return {row.searcher: row.searches for row in rows}


def count(house: House, searcher: str, searches: int, ago: timedelta = timedelta()) -> None:
    stretch = rules_search.stretch_of(now() - ago)
    execute(house, sa.insert(SearchCount).values(searcher=searcher, stretch=stretch, searches=searches))


def test_the_121st_search_by_name_within_the_hour_is_refused_and_one_by_matricule_is_not(house: House) -> None:
    register(house)
    count(house, f"name {AGENT.account_id}", 119)
    assert search(house, **ZOE)
    with pytest.raises(TooManyTries) as refused:
        search(house, **ZOE)
    assert 1 <= refused.value.detail["retry_after"] <= 3600
    assert [(each["outcome"], each["reason"], each["count"]) for each in traces(house)] == [
        ("allowed", None, 1), ("refused", "too_many_tries", None),
    ]  # fmt: skip
    assert search(house, matricule=any_matricule()) == []
    assert search(house, caller("agent"), **ZOE), "another person's searches are another's"


def test_the_601st_by_matricule_is_refused(house: House) -> None:
    number = any_matricule()
    register(house, matricule=number)
    count(house, f"matricule {AGENT.account_id}", 599)
    assert search(house, matricule=number)
    with pytest.raises(TooManyTries) as refused:
        search(house, matricule=number)
    assert 1 <= refused.value.detail["retry_after"] <= 3600
    assert [(each["outcome"], each["reason"], each["count"]) for each in traces(house)] == [
        ("allowed", None, 1), ("refused", "too_many_tries", None),
    ]  # fmt: skip


def test_a_new_hour_counts_anew_and_forgets_the_last(house: House) -> None:
    register(house)
    count(house, f"name {AGENT.account_id}", 9_999, ago=timedelta(hours=1))
    assert search(house, **ZOE)
    assert counted(house) == {f"name {AGENT.account_id}": 1}


def test_software_asks_ten_times_as_often_for_each_person_it_acts_for(house: House) -> None:
    register(house)
    professionals = [_professional(house), _professional(house)]
    client_id = new_id()
    first, second = (
        caller("professional", professional_id=each, account_id=client_id, client_id=client_id, scope="")
        for each in professionals
    )
    count(house, f"name {client_id}|{professionals[0]}", 1_199)
    in_process = house.directory  # the scope of software is another test's
    assert in_process.search_patients(first, **ZOE)["patients"]
    assert isinstance(in_process.search_patients(first, **ZOE), TooManyTries)
    assert in_process.search_patients(second, **ZOE)["patients"]


def _professional(house: House) -> str:
    sheet = {
        "matricule": any_matricule(), "family_name": "Schmit", "first_name": "Léa", "profession": "physician",
        "specialities": [], "establishment_ids": [], "language": "fr",
    }  # fmt: skip
    professional_id = str(house.ask("directory", "register_professional", AGENT, **sheet)["professional_id"])
    execute(house, sa.update(Professional).values(licence="valid"))
    return professional_id


def test_searches_sent_at_once_are_all_counted(house: House) -> None:
    with ThreadPoolExecutor(8) as crew:
        list(crew.map(lambda _: search(house, matricule=any_matricule()), range(24)))
    assert counted(house) == {f"matricule {AGENT.account_id}": 24}


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_a_search_takes_few_journeys_to_the_database(house: House) -> None:
    register(house)
    for warm in (ZOE, {"matricule": any_matricule()}):
        search(house, **warm)  # a connection prepares its statements once
    said: list[str] = []

    def note(*args: Any) -> None:
        said.append(args[2])

    engine = house.sessions["directory"].engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        search(house, **ZOE)
        by_name, said[:] = len(said), []
        search(house, matricule=any_matricule())
        by_matricule = len(said)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    assert (by_name, by_matricule) == (4, 1), "begin and count, candidates, lines, commit; by matricule all in one"
