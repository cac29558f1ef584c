"""Assistants over a real database: invited with a code that is good once, reading as the holder, ended at once."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now, rfc3339
from services.dossier import rules
from services.dossier.invitation_code import digest_of
from services.dossier.models_entourage import Assistant
from services.dossier.presence_code import ALPHABET
from services.dossier.tables import tables_at
from services.refusals import InvalidInput
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.dossier_twins import merged
from tests.services.entourage_house import Home, with_key

SECOND = timedelta(seconds=1)


@pytest.fixture
def home(house: DossierHouse) -> Home:
    return Home(house)


def listed(home: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.dossier.assistants(home.holder, record_id=home.record)["assistants"]
    return found


# --- inviting ---------------------------------------------------------------------------------------------------------


def test_an_invitation_gives_its_code_once_and_keeps_only_a_digest(home: Home) -> None:
    invited = home.invite()
    assert re.fullmatch(rf"[{ALPHABET}]{{5}}(-[{ALPHABET}]{{5}}){{3}}", invited["code"])
    assert len(ALPHABET) ** 20 > 2**80
    [row] = home.house.rows(Assistant)
    assert [bytes(digest) for digest in row.code_digests] == [digest_of(invited["code"])]
    kept = str(home.house.traces() + home.house.events("assistant_accepted.v1")) + str(listed(home))
    assert invited["code"] not in kept and invited["code"].replace("-", "") not in kept
    assert "Ma fille" not in str(home.house.traces())
    assert home.invite()["code"] != invited["code"]


def test_an_invitation_is_good_for_14_days_and_never_longer_than_what_it_invites_to(home: Home) -> None:
    day = timedelta(days=1)
    good = home.invite()["code_until"]
    assert rfc3339(now() + 14 * day - SECOND) < good <= rfc3339(now() + 14 * day)
    until = rfc3339(now() + 3 * day)
    assert home.invite(until=until)["code_until"] == until


def test_the_holder_and_their_representative_invite_nobody_else_does(home: Home) -> None:
    parent, _ = home.represented_by()
    curator, _ = home.represented_by("curator", majority_at=None)
    assistant, _ = home.assisted_by()
    friend = home.house.professional()
    home.house.enter(friend, home.record, home.house.code(home.record))
    assert isinstance(home.invite(by=parent), dict)
    before = len(home.house.rows(Assistant))
    for who, code in (
        (assistant, "not_allowed"), (curator, "record_not_found"), (friend, "record_not_found"),
        (home.person(), "record_not_found"), (home.house.agent, "record_not_found"),
    ):  # fmt: skip
        assert refusal_code(home.invite(by=who)) == code
        assert refusal_code(home.dossier.assistants(who, record_id=home.record)) == code
    home.house.set_state(home.record, "closed")
    assert refusal_code(home.invite()) == "record_closed"
    assert len(home.house.rows(Assistant)) == before


@pytest.mark.parametrize(
    ("changes", "pointer", "message"),
    [
        ({"name": " "}, "/name", "required"),
        ({"name": "x" * 81}, "/name", "too_long"),
        ({"until": "2020-01-01T00:00:00Z"}, "/until", "past"),
        ({"until": "next year"}, "/until", "moment"),
    ],
)
def test_what_is_wrong_is_named(home: Home, changes: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        home.invite(**changes)
    assert wrong.value.detail["errors"] == [{"pointer": pointer, "message": message}]


def test_a_repeat_finds_the_same_invitation_and_every_code_it_gave_opens_it_once(home: Home) -> None:
    holder = with_key(home.holder, "k1")
    first, second = home.invite(by=holder), home.invite(by=holder)
    assert first["assistant_id"] == second["assistant_id"] and first["code"] != second["code"]
    assert isinstance(home.dossier.accept_invitation(home.person(), code=first["code"]), dict)
    late = home.dossier.accept_invitation(home.person(), code=second["code"])
    assert refusal_code(late) == refusal_code(home.invite(by=holder)) == "invitation_refused"
    assert len(home.house.rows(Assistant)) == 1


# --- accepting --------------------------------------------------------------------------------------------------------


def test_who_accepts_reads_as_the_holder_and_deposits_their_expression_alone(home: Home) -> None:
    who, invited = home.person(), home.invite()
    assert home.grounds(who) == []
    typed = invited["code"].lower().replace("-", " ")
    accepted = home.dossier.accept_invitation(who, code=typed)
    assert (accepted["record_id"], accepted["patient_id"]) == (home.record, home.holder.patient_id)
    [given], [whole] = home.house.scope(who, home.record).clauses, home.house.scope(home.holder, home.record).clauses
    assert (given.ground, given.read, given.levels) == ("assistant", whole.read, whole.levels)
    assert given.deposit_types == ("holder_expression",)
    for type, folder in (("advance_directives", "my_will"), ("organ_donation_statement", "my_will")):
        assert not given.deposits("personal_expression", type, folder)
        assert whole.deposits("personal_expression", type, folder)
    assert given.deposits("personal_expression", "holder_expression", "expression")
    [event] = home.house.events("assistant_accepted.v1")
    assert event["assistant_id"] == accepted["assistant_id"] and event["patient_id"] == home.holder.patient_id


def test_a_repeat_of_an_acceptance_hears_the_same_and_another_key_that_the_code_is_used(home: Home) -> None:
    who, code = home.person(), home.invite()["code"]
    first = home.dossier.accept_invitation(with_key(who, "k1"), code=code)
    assert home.dossier.accept_invitation(with_key(who, "k1"), code=code) == first
    for other in (with_key(who, "k2"), with_key(home.person(), "k1")):
        assert refusal_code(home.dossier.accept_invitation(other, code=code)) == "invitation_refused"
    assert len(home.house.events("assistant_accepted.v1")) == 1


def test_there_is_one_refusal_for_every_reason_there_is(home: Home, house: DossierHouse) -> None:
    who, twin = home.person(), home.person()
    merged(house, home.holder, twin)
    used, lapsed, over, ended, own, own_twin, doctors = (home.invite() for _ in range(7))
    home.dossier.accept_invitation(home.person(), code=used["code"])
    home.change(Assistant, lapsed["assistant_id"], code_until=now() - SECOND)
    home.change(Assistant, over["assistant_id"], until=now() - SECOND)
    home.dossier.end_assistant(home.holder, record_id=home.record, assistant_id=ended["assistant_id"])
    elsewhere = Home(house)
    of_closed = elsewhere.invite()
    house.set_state(elsewhere.record, "closed")
    first, again = home.invite(), home.invite()
    home.dossier.accept_invitation(who, code=first["code"])
    tries = [
        (who, "AAAAA-AAAAA-AAAAA-AAAAA"), (who, ""), (who, used["code"]), (who, lapsed["code"]), (who, over["code"]),
        (who, ended["code"]), (who, of_closed["code"]), (home.holder, own["code"]), (twin, own_twin["code"]),
        (house.professional(), doctors["code"]), (house.agent, doctors["code"]), (who, again["code"]), (who, 7),
    ]  # fmt: skip
    answers = [home.dossier.accept_invitation(person, code=code) for person, code in tries]
    assert {(refusal_code(answer), str(answer.detail)) for answer in answers} == {("invitation_refused", "{}")}
    refused = [trace for trace in house.traces("assistant.accepted") if trace["outcome"] == "refused"]
    assert len(refused) == len(tries)
    assert {(trace["record_id"], trace["object_id"]) for trace in refused} == {(None, None)}
    assert isinstance(
        home.dossier.accept_invitation(home.person(), code=own["code"]), dict
    )  # a refusal used up nothing


def test_of_two_who_accept_at_once_one_becomes_assistant(home: Home) -> None:
    for _ in range(5):
        invited, people, answers = home.invite(), [home.person() for _ in range(4)], []
        begin = threading.Barrier(len(people))

        def accept(who: Any, code: str = invited["code"], begin: Any = begin, answers: Any = answers) -> None:
            begin.wait()
            answers.append(home.dossier.accept_invitation(who, code=code))

        threads = [threading.Thread(target=accept, args=(who,)) for who in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(isinstance(answer, dict) for answer in answers) == 1
        assert [len(home.grounds(who)) for who in people].count(1) == 1


# --- the end ----------------------------------------------------------------------------------------------------------


def test_the_holder_side_with_the_right_ends_an_assistance_at_once(home: Home) -> None:
    parent, _ = home.represented_by()
    told = []
    for by in (home.holder, parent):
        who, assistance = home.assisted_by()
        other, _ = home.assisted_by()
        told.append({"grant_id": assistance, "cause": "holder", "person_id": who.patient_id, "by": by.patient_id})
        where = {"record_id": home.record, "assistant_id": assistance}
        assert refusal_code(home.dossier.end_assistant(other, **where)) == "not_allowed"
        assert refusal_code(home.dossier.end_assistant(home.person(), **where)) == "record_not_found"
        home.dossier.end_assistant(by, **where)
        assert home.grounds(who) == [] and home.grounds(other) == ["assistant"]
        assert refusal_code(home.dossier.read_record(who, record_id=home.record)) == "record_not_found"
        assert refusal_code(home.dossier.end_assistant(by, **where)) == "assistant_not_found"
    ended = home.house.events("grant_ended.v1")  # for the others to hear of, and who it was
    assert [{name: each[name] for name in told[0]} for each in ended] == told


def test_an_assistant_lets_go_themself_and_the_holder_is_told(home: Home) -> None:
    who, assistance = home.assisted_by()
    where = {"record_id": home.record, "assistant_id": assistance}
    home.dossier.end_assistant(who, **where)
    assert home.grounds(who) == []
    [event] = home.house.events("grant_ended.v1")
    assert (event["ground"], event["cause"], event["grant_id"]) == ("assistant", "resigned", assistance)
    assert refusal_code(home.dossier.end_assistant(who, **where)) == "record_not_found"
    leaves, second = home.assisted_by()
    home.house.set_state(home.record, "closed")
    assert isinstance(home.dossier.end_assistant(leaves, record_id=home.record, assistant_id=second), dict)


def test_an_assistant_of_another_record_is_no_assistant_here(home: Home, house: DossierHouse) -> None:
    elsewhere = Home(house)
    who, assistance = elsewhere.assisted_by()
    wrong = home.dossier.end_assistant(home.holder, record_id=home.record, assistant_id=assistance)
    assert refusal_code(wrong) == "assistant_not_found"
    assert elsewhere.grounds(who) == ["assistant"]


def test_the_end_date_is_judged_when_it_is_asked_about_and_announced_when_it_came(home: Home) -> None:
    who, assistance = home.assisted_by(until=rfc3339(now() + timedelta(days=30)))
    assert home.grounds(who) == ["assistant"]
    home.time_passes(now() + timedelta(days=29))
    assert home.house.events("grant_ended.v1") == []
    home.change(Assistant, assistance, until=now() - SECOND)
    assert home.grounds(who) == [] and home.dossier.my_records(who) == {"records": []}
    for _ in range(2):
        home.time_passes(now() + timedelta(days=31))
    [event] = home.house.events("grant_ended.v1")
    assert (event["cause"], event["grant_id"], event["holder_of"]) == ("time", assistance, "person")


def test_a_code_that_nobody_used_in_time_is_forgotten(home: Home) -> None:
    invited = home.invite()
    home.time_passes(now() + timedelta(days=13))
    assert home.house.rows(Assistant)[0].code_digests != []
    home.change(Assistant, invited["assistant_id"], code_until=now() - SECOND)
    home.time_passes(now() + timedelta(days=15))
    assert home.house.rows(Assistant)[0].code_digests == []


def test_the_list_names_them_as_the_holder_does_with_what_became_of_it(home: Home) -> None:
    _, accepted = home.assisted_by(name="Paul")
    lapsed, ended = home.invite(name="Marie")["assistant_id"], home.invite(name="Luc")["assistant_id"]
    home.change(Assistant, lapsed, code_until=now() - SECOND)
    home.dossier.end_assistant(home.holder, record_id=home.record, assistant_id=ended)
    home.invite(name=" Zoé ")
    shown = {each["name"]: each["state"] for each in listed(home)}
    assert shown == {"Paul": "accepted", "Marie": "lapsed", "Luc": "ended", "Zoé": "invited"}
    assert {key for each in listed(home) for key in each} & {"patient_id", "code"} == set()
    home.change(Assistant, accepted, until=now() - SECOND)
    assert [each["state"] for each in listed(home) if each["name"] == "Paul"] == ["ended"]


def test_every_answer_leaves_one_trace_with_its_ground(home: Home) -> None:
    who, assistance = home.assisted_by()
    listed(home)
    home.dossier.end_assistant(who, record_id=home.record, assistant_id=assistance)
    told = [(each["action"], each["outcome"], each["ground"], each["object_id"]) for each in home.house.traces()]
    assert [each for each in told if each[0].startswith("assistant.")] == [
        ("assistant.invited", "allowed", "holder", assistance),
        ("assistant.accepted", "allowed", "assistant", assistance),
        ("assistant.searched", "allowed", "holder", None),
        ("assistant.ended", "allowed", "assistant", assistance),
    ]


# --- what an assistant may ------------------------------------------------------------------------------------------

ROWS = sorted({action for action, _ in tables_at(now()).holder_actions})
FORBIDDEN = {
    "presence_code", "referring_physician", "assistants", "representatives", "sitting", "life_cycle", "emergency",
    "responsibility", "longer_keeping", "organ_donation", "end_of_life", "export",
}  # fmt: skip
"""What an assistant may not do [domain, Words]; whatever else the holder side does, they may."""


@pytest.mark.parametrize("row", ROWS)
def test_an_assistant_may_what_the_table_says_and_the_holder_may_all(home: Home, row: str) -> None:
    assistant, _ = home.assisted_by()
    parent, _ = home.represented_by()
    tables = tables_at(now())

    def refusal(who: Any) -> str | None:
        found = rules.require_holder_action(tables, home.house.scope(who, home.record), row)
        return None if found is None else found.code

    assert refusal(home.holder) is None
    assert refusal(parent) == ("not_allowed" if row == "sitting" else None)
    assert refusal(assistant) == ("not_allowed" if row in FORBIDDEN else None)
    assert refusal(home.person()) == "record_not_found"


# --- my records -------------------------------------------------------------------------------------------------------


def test_my_records_are_ones_own_and_those_one_stands_by(house: DossierHouse) -> None:
    mine, childs, mothers, strangers = (Home(house) for _ in range(4))
    me = mine.holder
    child = childs.record_one(me)["representative_id"]
    mother = mothers.dossier.accept_invitation(me, code=mothers.invite()["code"])["assistant_id"]
    strangers.invite()
    found = {each["record_id"]: each for each in house.dossier.my_records(me)["records"]}
    assert [each["ground"] for each in found.values()] == ["holder", "legal_representative", "assistant"]
    assert {key: (each["ground"], each["grant_id"]) for key, each in found.items()} == {
        mine.record: ("holder", None),
        childs.record: ("legal_representative", child),
        mothers.record: ("assistant", mother),
    }
    assert found[mothers.record]["patient_id"] == mothers.holder.patient_id
    assert found[childs.record]["until"] is not None and found[mine.record]["until"] is None
    [trace] = house.traces("record.searched")
    assert trace["count"] == 3
    childs.dossier.end_representative(house.agent, record_id=childs.record, representative_id=child)
    mothers.dossier.end_assistant(me, record_id=mothers.record, assistant_id=mother)
    assert [each["record_id"] for each in house.dossier.my_records(me)["records"]] == [mine.record]


def test_who_is_several_things_in_a_record_finds_it_once_by_the_strongest(home: Home) -> None:
    parent, _ = home.represented_by()
    home.dossier.accept_invitation(parent, code=home.invite()["code"])
    [found] = home.dossier.my_records(parent)["records"]
    assert found["ground"] == "legal_representative"
    assert home.grounds(parent) == ["legal_representative", "assistant"]


def test_of_a_closed_record_the_representative_sees_its_state_and_the_assistant_nothing(home: Home) -> None:
    parent, _ = home.represented_by()
    assistant, _ = home.assisted_by()
    home.house.set_state(home.record, "closed")
    assert [each["state"] for each in home.dossier.my_records(parent)["records"]] == ["closed"]
    assert home.dossier.my_records(assistant) == {"records": []}
    home.house.set_state(home.record, "deleted")
    assert home.dossier.my_records(parent) == home.dossier.my_records(home.holder) == {"records": []}


def test_an_assistant_is_found_under_every_id_they_have(home: Home) -> None:
    known, _ = home.assisted_by()
    account = home.person()
    undo = merged(home.house, account, known)
    for who in (known, account):
        assert [each["ground"] for each in home.dossier.my_records(who)["records"]] == ["assistant"]
        assert home.grounds(who) == ["assistant"]
    home.house.hear("directory", undo)
    assert home.dossier.my_records(account) == {"records": []} and home.grounds(account) == []
    assert home.grounds(known) == ["assistant"]


def test_my_records_are_one_statement_and_only_a_patients(home: Home, house: DossierHouse) -> None:
    Home(house).record_one(home.holder)
    with house.statements() as seen:
        home.dossier.my_records(home.holder)
    assert len([each for each in seen if "select" in each and "outbox" not in each]) == 1
    for who in (house.agent, house.professional(), builders.caller("machine")):
        assert refusal_code(home.dossier.my_records(who)) == "not_allowed"


def test_an_id_that_is_none_is_unknown(home: Home) -> None:
    for wrong in ("x", new_id(), ""):
        assert refusal_code(home.dossier.assistants(home.holder, record_id=wrong)) == "record_not_found"
        ended = home.dossier.end_assistant(home.holder, record_id=home.record, assistant_id=wrong)
        assert refusal_code(ended) == "assistant_not_found"
