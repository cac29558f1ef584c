"""Legal representatives over a real database: recorded by the agency, acting until an end, or only together."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now, rfc3339
from services.directory.contract import PatientCameOfAge
from services.dossier import models
from services.dossier.models_entourage import Representative
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.dossier_twins import merged
from tests.services.entourage_house import COMES_OF_AGE, Home, with_key

SECOND = timedelta(seconds=1)


@pytest.fixture
def home(house: DossierHouse) -> Home:
    return Home(house)


# --- recording --------------------------------------------------------------------------------------------------------


def test_a_parent_acts_as_the_holder_from_their_own_account_until_majority(home: Home) -> None:
    majority = rfc3339(now() + COMES_OF_AGE)
    parent = home.person()
    recorded = home.record_one(parent, majority_at=majority)
    assert recorded["until"] == majority
    assert home.grounds(parent) == ["legal_representative"]
    shown = home.dossier.read_record(parent, record_id=home.record)
    assert (shown["ground"], shown["may_deposit"]) == ("legal_representative", ["personal_expression"])
    assert home.grounds(home.person()) == []
    [event] = home.house.events("representative_recorded.v1")
    assert event["kind"] == "parent" and event["patient_id"] == home.holder.patient_id
    assert "acte" not in str(home.house.events("representative_recorded.v1") + home.house.traces())


@pytest.mark.parametrize(
    ("kind", "minor", "until", "ends"),
    [
        ("parent", True, None, "majority"),
        ("parent", True, 30, "until"),
        ("parent", True, 2000, "majority"),
        ("guardian", True, None, "majority"),
        ("guardian", False, None, None),
        ("guardian", False, 30, "until"),
        ("mandatary", True, None, None),
        ("mandatary", False, 30, "until"),
        ("curator", False, None, None),
    ],
)
def test_a_representation_ends_as_its_kind_says(
    home: Home, kind: str, minor: bool, until: int | None, ends: str | None
) -> None:
    majority = rfc3339(now() + (COMES_OF_AGE if minor else -COMES_OF_AGE))
    asked = None if until is None else rfc3339(now() + timedelta(days=until))
    recorded = home.record_one(home.person(), kind, majority_at=majority, until=asked)
    assert recorded["until"] == {"majority": majority, "until": asked, None: None}[ends]


@pytest.mark.parametrize("majority", [None, rfc3339(now() - SECOND), "tomorrow"])
def test_there_is_no_parent_of_an_adult(home: Home, majority: str | None) -> None:
    refused = home.record_one(home.person(), "parent", majority_at=majority)
    assert refusal_code(refused) == "representative_refused"
    assert home.house.rows(Representative) == []


def test_only_an_agent_records_ends_and_sees_the_proof(home: Home) -> None:
    parent, recorded = home.represented_by()
    others = [home.holder, parent, home.house.professional(), builders.caller("machine")]
    for who in others:
        assert refusal_code(home.record_one(home.person(), by=who)) == "not_allowed"
        ended = home.dossier.end_representative(who, record_id=home.record, representative_id=recorded)
        assert refusal_code(ended) == "not_allowed"
    [to_agent] = home.dossier.representatives(home.house.agent, record_id=home.record)["representatives"]
    [to_parent] = home.dossier.representatives(parent, record_id=home.record)["representatives"]
    assert to_agent["proof"] == "acte 4711" and to_parent["proof"] is None
    assert to_agent | {"proof": None} == to_parent


def test_the_list_is_for_the_holder_side_with_the_right_and_for_agents(home: Home) -> None:
    home.represented_by()
    assistant, _ = home.assisted_by()
    friend = home.house.professional()
    home.house.enter(friend, home.record, home.house.code(home.record))
    refusals = {
        refusal_code(home.dossier.representatives(who, record_id=home.record)): who
        for who in (assistant, friend, home.person())
    }
    assert set(refusals) == {"not_allowed", "record_not_found"} and refusals["not_allowed"] is assistant
    assert len(home.dossier.representatives(home.holder, record_id=home.record)["representatives"]) == 1
    unknown = home.dossier.representatives(home.house.agent, record_id=new_id())
    assert refusal_code(unknown) == "record_not_found"


def test_a_record_is_recorded_in_only_with_its_own_holder(home: Home) -> None:
    stranger = home.person().patient_id
    assert refusal_code(home.record_one(home.person(), holder_id=stranger)) == "record_not_found"
    assert refusal_code(home.record_one(home.person(), record_id=new_id())) == "record_not_found"


def test_nobody_represents_themself_or_twice(home: Home) -> None:
    parent, recorded = home.represented_by()
    assert refusal_code(home.record_one(home.holder)) == "already_representative"
    assert refusal_code(home.record_one(parent, "guardian")) == "already_representative"
    home.dossier.end_representative(home.house.agent, record_id=home.record, representative_id=recorded)
    assert home.record_one(parent, "guardian")["representative_id"] != recorded


def test_in_a_closed_record_nobody_is_recorded_and_a_representative_sees_its_state(home: Home) -> None:
    parent, _ = home.represented_by()
    home.house.set_state(home.record, "closed")
    assert refusal_code(home.record_one(home.person())) == "representative_refused"
    assert home.dossier.read_record(parent, record_id=home.record)["state"] == "closed"
    assert home.grounds(parent) == []


@pytest.mark.parametrize(
    ("changes", "pointer", "message"),
    [
        ({"kind": "uncle"}, "/kind", "choice"),
        ({"kind": None}, "/kind", "choice"),
        ({"proof": "  "}, "/proof", "required"),
        ({"proof": "x" * 301}, "/proof", "too_long"),
        ({"until": "2020-01-01T00:00:00Z"}, "/until", "past"),
        ({"until": "2090-01-01T00:00:00"}, "/until", "moment"),
        ({"until": "soon"}, "/until", "moment"),
        ({"patient_id": "x"}, "/patient_id", "id"),
        ({"holder_id": 7}, "/holder_id", "id"),
    ],
)
def test_what_is_wrong_is_named(home: Home, changes: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        home.record_one(home.person(), **changes)
    assert wrong.value.detail["errors"] == [{"pointer": pointer, "message": message}]


def test_a_repeat_under_the_same_key_records_once(home: Home) -> None:
    parent, agent = home.person(), with_key(home.house.agent, "k1")
    majority = rfc3339(now() + COMES_OF_AGE)
    first = home.record_one(parent, by=agent, majority_at=majority)
    assert home.record_one(parent, by=agent, majority_at=majority) == first
    assert len(home.house.rows(Representative)) == len(home.house.events("representative_recorded.v1")) == 1


# --- with the opening -------------------------------------------------------------------------------------------------


def opened_with(home: Home, child: Caller, *people: Caller, minor: bool = True, **changes: Any) -> Any:
    named = [{"patient_id": who.patient_id, "kind": "parent", "proof": "acte 4711", **changes} for who in people]
    return home.dossier.open_record(
        home.house.agent, patient_id=child.patient_id, representatives=named,
        majority_at=rfc3339(now() + (COMES_OF_AGE if minor else -COMES_OF_AGE)),
    )  # fmt: skip


def test_who_is_named_with_the_opening_acts_from_then_on_and_gets_the_letter(home: Home) -> None:
    child, mother, father = (home.person() for _ in range(3))
    opened = opened_with(home, child, mother, father)
    assert home.grounds(mother, opened["record_id"]) == home.grounds(father, opened["record_id"])
    assert home.grounds(father, opened["record_id"]) == ["legal_representative"]
    home.record = opened["record_id"]
    assert letters_go_to(home) == [mother.patient_id, father.patient_id]
    again = opened_with(home, child, mother, father)
    assert again == {**opened, "created": False} and len(home.house.rows(Representative)) == 2
    assert len(home.house.events("record_opened.v1")) == 2  # the home's own and this one


def test_what_cannot_be_represented_is_not_opened(home: Home) -> None:
    child, mother = home.person(), home.person()
    before = len(home.house.events("record_opened.v1"))
    assert refusal_code(opened_with(home, child, mother, minor=False)) == "representative_refused"
    assert refusal_code(opened_with(home, child, child)) == "already_representative"
    with pytest.raises(InvalidInput) as wrong:
        opened_with(home, child, mother, proof=" ")
    assert wrong.value.detail["errors"] == [{"pointer": "/representatives/0/proof", "message": "required"}]
    assert len(home.house.events("record_opened.v1")) == before and home.house.rows(Representative) == []
    assert home.dossier.my_records(child) == home.dossier.my_records(mother) == {"records": []}


# --- the end ----------------------------------------------------------------------------------------------------------


def test_an_ended_representation_opens_nothing_from_the_answer_on_and_the_holder_is_told(home: Home) -> None:
    parent, recorded = home.represented_by()
    where = {"record_id": home.record, "representative_id": recorded}
    home.dossier.end_representative(home.house.agent, **where)
    assert home.grounds(parent) == []
    assert refusal_code(home.dossier.read_record(parent, record_id=home.record)) == "record_not_found"
    again = home.dossier.end_representative(home.house.agent, **where)
    assert refusal_code(again) == "representative_not_found"
    [event] = home.house.events("grant_ended.v1")
    assert (event["ground"], event["cause"], event["grant_id"]) == ("legal_representative", "agency", recorded)
    home.time_passes(now() + 2 * COMES_OF_AGE)
    assert len(home.house.events("grant_ended.v1")) == 1  # majority is no news of who went before


def test_the_end_is_judged_when_it_is_asked_about_and_announced_when_it_came(home: Home) -> None:
    parent, recorded = home.represented_by()
    other, second = home.represented_by(until=rfc3339(now() + timedelta(days=30)))
    home.time_passes(now() + timedelta(days=29))
    assert home.house.events("grant_ended.v1") == []
    home.change(Representative, recorded, until=now() - SECOND)
    assert home.grounds(parent) == [] and home.grounds(other) == ["legal_representative"]
    home.time_passes(now() + 2 * COMES_OF_AGE)
    told = {event["grant_id"]: event["cause"] for event in home.house.events("grant_ended.v1")}
    assert told == {recorded: "majority", second: "time"}
    home.time_passes(now() + 2 * COMES_OF_AGE)
    assert len(home.house.events("grant_ended.v1")) == 2


def test_the_parent_of_somebody_who_came_of_age_acts_no_more_the_holder_does(home: Home) -> None:
    parent, recorded = home.represented_by()
    home.change(Representative, recorded, until=now())
    refused = home.dossier.add_to_circle(
        parent, record_id=home.record, professional_id=home.house.professional().professional_id
    )
    assert refusal_code(refused) == "record_not_found"
    assert home.dossier.circle(home.holder, record_id=home.record) == {"members": []}


@pytest.mark.parametrize(
    ("kind", "given", "goes_on"),
    [
        ("parent", {}, False), ("guardian", {}, False),
        ("parent", {"until": rfc3339(now() + timedelta(days=30))}, False),
        # of an adult there are guardians too, and whoever the holder named
        ("guardian", {"until": rfc3339(now() + timedelta(days=30))}, True), ("guardian", {"majority_at": None}, True),
        ("mandatary", {}, True),
    ],
)  # fmt: skip
def test_what_ends_at_majority_ends_when_the_holder_is_of_age_after_all(
    home: Home, kind: str, given: dict[str, Any], goes_on: bool
) -> None:
    who, recorded = home.represented_by(kind, **given)
    home.house.hear("directory", PatientCameOfAge(new_id()))
    assert home.grounds(who) == ["legal_representative"]
    for _ in range(2):
        home.house.hear("directory", PatientCameOfAge(str(home.holder.patient_id)))
        assert home.grounds(who) == (["legal_representative"] if goes_on else [])
    home.time_passes(now() + SECOND)
    told = [(event["grant_id"], event["cause"]) for event in home.house.events("grant_ended.v1")]
    assert told == ([] if goes_on else [(recorded, "majority")])


def test_who_ended_before_the_holder_was_of_age_after_all_is_told_of_no_more(home: Home) -> None:
    _, recorded = home.represented_by()
    home.dossier.end_representative(home.house.agent, record_id=home.record, representative_id=recorded)
    home.house.hear("directory", PatientCameOfAge(str(home.holder.patient_id)))
    home.time_passes(now() + 2 * COMES_OF_AGE)
    assert [event["cause"] for event in home.house.events("grant_ended.v1")] == ["agency"]


# --- together only ----------------------------------------------------------------------------------------------------


def test_a_curator_acts_only_while_the_holder_lets_them(home: Home) -> None:
    curator, recorded = home.represented_by("curator", majority_at=None)
    where = {"record_id": home.record, "representative_id": recorded}
    assert home.grounds(curator) == []
    assert refusal_code(home.dossier.read_record(curator, record_id=home.record)) == "record_not_found"
    assert home.dossier.my_records(curator) == {"records": []}
    opened = home.dossier.open_sitting(home.holder, **where)
    day = timedelta(hours=24)
    assert rfc3339(now() + day - timedelta(minutes=1)) < opened["together_until"] <= rfc3339(now() + day)
    assert home.grounds(curator) == ["legal_representative"]
    [mine] = home.dossier.my_records(curator)["records"]
    assert (mine["ground"], mine["until"]) == ("legal_representative", opened["together_until"])
    home.dossier.end_sitting(home.holder, **where)
    assert home.grounds(curator) == []
    home.dossier.open_sitting(home.holder, **where)
    home.change(Representative, recorded, together_until=now() - SECOND)
    assert home.grounds(curator) == []


def test_a_sitting_repeated_under_its_key_does_not_begin_again_once_it_was_ended(home: Home) -> None:
    curator, recorded = home.represented_by("curator", majority_at=None)
    where, keyed = {"record_id": home.record, "representative_id": recorded}, with_key(home.holder, "sit")
    opened = home.dossier.open_sitting(keyed, **where)
    assert home.grounds(curator) == ["legal_representative"]
    home.dossier.end_sitting(home.holder, **where)
    assert home.dossier.open_sitting(keyed, **where) == opened and home.grounds(curator) == []
    assert len(home.house.traces("representative.admitted")) == 1
    home.dossier.open_sitting(with_key(home.holder, "sit again"), **where)
    assert home.grounds(curator) == ["legal_representative"]


def test_only_the_holder_in_person_opens_a_sitting(home: Home) -> None:
    curator, recorded = home.represented_by("curator", majority_at=None)
    mandatary, _ = home.represented_by("mandatary", majority_at=None)
    assistant, _ = home.assisted_by()
    where = {"record_id": home.record, "representative_id": recorded}
    for who, code in (
        (curator, "record_not_found"), (mandatary, "not_allowed"), (assistant, "not_allowed"),
        (home.house.agent, "record_not_found"), (home.house.professional(), "record_not_found"),
    ):  # fmt: skip
        assert refusal_code(home.dossier.open_sitting(who, **where)) == code
        assert refusal_code(home.dossier.end_sitting(who, **where)) == code
    assert home.grounds(curator) == []
    home.dossier.open_sitting(home.holder, **where)
    assert refusal_code(home.dossier.open_sitting(curator, **where)) == "not_allowed"  # nor prolongs it


def test_a_sitting_is_with_somebody_in_force_who_acts_only_together(home: Home) -> None:
    _, alone = home.represented_by("mandatary", majority_at=None)
    curator, over = home.represented_by("curator", majority_at=None)
    home.change(Representative, over, until=now() - SECOND)
    for recorded in (alone, over, new_id()):
        refused = home.dossier.open_sitting(home.holder, record_id=home.record, representative_id=recorded)
        assert refusal_code(refused) == "representative_not_found"
    assert home.grounds(curator) == []


def test_a_sitting_lasts_no_longer_than_the_representation(home: Home) -> None:
    ends = rfc3339(now() + timedelta(hours=2))
    _, recorded = home.represented_by("curator", majority_at=None, until=ends)
    opened = home.dossier.open_sitting(home.holder, record_id=home.record, representative_id=recorded)
    assert opened["together_until"] == ends


# --- who is who after a merge -----------------------------------------------------------------------------------------


def test_a_representative_known_under_a_merged_id_still_acts(home: Home) -> None:
    known, account = home.person(), home.person()
    before, _ = home.represented_by()
    home.record_one(known)
    merged(home.house, account, known)
    undo = merged(home.house, home.person(), before)
    assert home.grounds(account) == ["legal_representative"], "the account is the survivor's"
    assert home.grounds(known) == ["legal_representative"], "the account is the merged one's"
    assert home.grounds(before) == ["legal_representative"]
    assert [each["record_id"] for each in home.dossier.my_records(account)["records"]] == [home.record]
    assert refusal_code(home.record_one(account)) == "already_representative"
    home.house.hear("directory", undo)
    assert home.grounds(before) == ["legal_representative"]
    assert home.grounds(home.person()) == []


# --- letters ----------------------------------------------------------------------------------------------------------


def letters_go_to(home: Home) -> list[str]:
    told = home.dossier.letter_recipients(builders.context("notifications"), record_id=home.record)
    return list(told["patient_ids"])


def test_letters_go_to_parents_or_guardian_else_to_the_holder(home: Home) -> None:
    assert letters_go_to(home) == [home.holder.patient_id]
    home.represented_by("mandatary", majority_at=None)
    home.represented_by("curator", majority_at=None)
    assert letters_go_to(home) == [home.holder.patient_id]
    mother, first = home.represented_by()
    father, second = home.represented_by()
    assert letters_go_to(home) == [mother.patient_id, father.patient_id]
    home.dossier.end_representative(home.house.agent, record_id=home.record, representative_id=first)
    assert letters_go_to(home) == [father.patient_id]
    home.change(Representative, second, until=now() - SECOND)
    assert letters_go_to(home) == [home.holder.patient_id]


# --- traces -----------------------------------------------------------------------------------------------------------


def test_every_answer_leaves_one_trace_with_its_ground(home: Home) -> None:
    curator, recorded = home.represented_by("curator", majority_at=None)
    where = {"record_id": home.record, "representative_id": recorded}
    home.dossier.open_sitting(home.holder, **where)
    home.dossier.representatives(curator, record_id=home.record)
    home.dossier.end_sitting(home.holder, **where)
    home.dossier.end_representative(home.holder, **where)
    home.dossier.end_representative(home.house.agent, **where)
    told = [(each["action"], each["outcome"], each["ground"]) for each in home.house.traces()]
    assert [each for each in told if each[0].startswith("representative.")] == [
        ("representative.recorded", "allowed", None),
        ("representative.admitted", "allowed", "holder"),
        ("representative.searched", "allowed", "legal_representative"),
        ("representative.dismissed", "allowed", "holder"),
        ("representative.ended", "refused", None),
        ("representative.ended", "allowed", None),
    ]
    assert {row.record_id for row in home.house.rows(models.Record)} == {home.record}
