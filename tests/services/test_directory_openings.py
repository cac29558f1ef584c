"""Requests for a record over a real database: a stranger asks, agents work off, what was said of a person goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, plumbing
from services.directory import rules_openings as rules
from services.directory.contract import (
    OPENING_STATEMENT,
    OpeningCheckDue,
    OpeningNotFound,
    PatientExists,
    RequestDecided,
)
from services.directory.models import Patient, PatientChange, metadata
from services.directory.models_desk import OpeningRequest, SearchCount
from services.refusals import InvalidInput, NotAllowed, Refusal, TooManyTries
from services.tokens import Caller
from tests.builders import House, any_matricule, birth_date, caller, context

HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
AGENT, COLLEAGUE = caller("agent"), caller("agent")
PERSONAL = ("matricule", "birth_name", "usual_name", "first_names", "sex", "birth_date", "address_line", "postal_code",
            "locality", "country", "email", "phone")  # fmt: skip
CHECK = {"document": "identity_card", "agent_name": "Anne Müller"}


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory",))
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    with built.sessions["directory"].transaction() as session:
        for table in (*reversed(metadata.sorted_tables), *plumbing.sorted_tables):
            session.execute(table.delete())
    return built


def a_form(**changes: Any) -> dict[str, Any]:
    number = any_matricule()
    return {
        "matricule": number, "birth_name": "Weber", "usual_name": None, "first_names": "Zoé", "sex": "F",
        "birth_date": birth_date(number), "language": "lb", "address": HOME, "email": "zoe@example.lu", "phone": None,
        "statement": {"version": OPENING_STATEMENT, "accepted": True}, "signed_on": now().date().isoformat(),
        "signed_at": "Luxembourg", **changes,
    }  # fmt: skip


def ask(house: House, who: Any = None, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = house.ask("directory", "request_opening", who or context(), **a_form(**changes))
    return made


def work(house: House, method: str, request: dict[str, Any], who: Caller = AGENT, **more: Any) -> Any:
    return house.ask("directory", method, who, request_id=request["request_id"], **more)


def follow(house: House, request: dict[str, Any], method: str = "follow_opening") -> Any:
    known = {"request_id": request["request_id"], "tracking_token": request["tracking_token"]}
    return house.ask("directory", method, context(), **known)


def row(house: House, request: dict[str, Any]) -> OpeningRequest:
    with house.sessions["directory"].transaction() as session:
        found = session.get(OpeningRequest, request["request_id"])
    assert found is not None
    return found


def says_something(request: OpeningRequest) -> set[str]:
    return {name for name in PERSONAL if getattr(request, name) is not None}


def events(house: House, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in house.events("directory") if event["type"] == kind]


def traces(house: House, action: str) -> list[dict[str, Any]]:
    return [trace for trace in events(house, "access_traced.v1") if trace["action"] == action]


def count(house: House, table: Any) -> int:
    with house.sessions["directory"].transaction() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def change(house: House, **values: Any) -> None:
    with house.sessions["directory"].transaction() as session:
        session.execute(sa.update(OpeningRequest).values(**values))


# --- the public -------------------------------------------------------------------------------------------------------


def test_a_stranger_asks_and_follows_with_the_token_alone(house: House) -> None:
    made = ask(house)
    assert set(made) == {"request_id", "reference", "tracking_token", "due_by"}
    told = follow(house, made)
    assert told == {"request_id": made["request_id"], "reference": made["reference"], "state": "received",
                    "due_by": made["due_by"], "reason": None}  # fmt: skip
    kept = row(house, made)
    assert kept.due_by - kept.received_at == timedelta(days=7)
    assert made["tracking_token"] not in str(vars(kept))
    assert [trace["object_id"] for trace in traces(house, "opening.requested")] == [made["request_id"]]


@pytest.mark.parametrize("wrong", ["id", "token", "both", "no id", "no token"])
def test_a_wrong_token_and_a_wrong_id_are_one_refusal(house: House, wrong: str) -> None:
    made = ask(house)
    other = {
        "id": {"request_id": new_id()}, "token": {"tracking_token": "x" * 43}, "no id": {"request_id": "1 or 1=1"},
        "no token": {"tracking_token": ""}, "both": {"request_id": new_id(), "tracking_token": "x"},
    }[wrong]  # fmt: skip
    for method in ("follow_opening", "withdraw_opening"):
        with pytest.raises(OpeningNotFound) as refused:
            follow(house, {**made, **other}, method)
        assert refused.value.detail == {}
    assert row(house, made).state == "received"


def test_the_answer_tells_nothing_of_who_is_known_already(house: House) -> None:
    form = a_form()
    house.ask("directory", "register_patient", AGENT, **{
        name: form[name] for name in ("matricule", "birth_name", "first_names", "sex", "birth_date", "language",
                                      "address")})  # fmt: skip
    of_known = house.ask("directory", "request_opening", context(), **form)
    of_unknown = ask(house)
    assert set(of_known) == set(of_unknown)
    assert {follow(house, one)["state"] for one in (of_known, of_unknown)} == {"received"}


def test_a_minor_a_late_signature_and_a_wrong_matricule_leave_nothing_behind(house: House) -> None:
    born = now().date() - timedelta(days=17 * 365)
    for wrong in (
        {"matricule": None, "birth_date": born.isoformat()},
        {"signed_on": (now().date() + timedelta(days=2)).isoformat()},
        {"matricule": "1900010100565"},
        {"email": None},
    ):
        with pytest.raises(InvalidInput):
            ask(house, **wrong)
    assert count(house, OpeningRequest) == 0 and house.events("directory") == []


def test_one_address_asks_ten_times_an_hour_and_no_clear_address_is_kept(house: House) -> None:
    for _ in range(rules.FROM_ADDRESS):
        ask(house)
    with pytest.raises(TooManyTries) as refused:
        ask(house)
    assert 0 < refused.value.detail["retry_after"] <= 3600
    assert traces(house, "opening.requested")[-1]["reason"] == "too_many_tries"
    assert count(house, OpeningRequest) == rules.FROM_ADDRESS
    ask(house, context(address="192.0.2.7"))
    with house.sessions["directory"].transaction() as session:
        kept = session.scalars(sa.select(SearchCount.searcher)).all()
    assert len(kept) == 2 and not any("127.0.0.1" in one or "192.0.2.7" in one for one in kept)


def test_a_repeat_under_a_key_makes_no_second_request_and_both_tokens_follow_it(house: House) -> None:
    who, form = context(idempotency_key="k-1"), a_form()
    first = house.ask("directory", "request_opening", who, **form)
    again = house.ask("directory", "request_opening", who, **form)
    assert again["request_id"] == first["request_id"] and count(house, OpeningRequest) == 1
    assert follow(house, first) == follow(house, again)
    with house.sessions["directory"].transaction() as session:
        kept = str(session.execute(sa.text("select response::text from requests")).scalars().all())
    assert first["tracking_token"] not in kept and again["tracking_token"] not in kept


def test_whoever_asked_withdraws_while_nothing_is_decided(house: House) -> None:
    made = ask(house)
    follow(house, made, "withdraw_opening")
    follow(house, made, "withdraw_opening")
    assert follow(house, made)["state"] == "withdrawn" and says_something(row(house, made)) == set()
    with pytest.raises(RequestDecided):
        work(house, "check_opening", made, **CHECK)
    accepted = ask(house)
    work(house, "check_opening", accepted, **CHECK)
    work(house, "accept_opening", accepted)
    with pytest.raises(RequestDecided):
        follow(house, accepted, "withdraw_opening")


# --- the agents -------------------------------------------------------------------------------------------------------


def test_an_agent_checks_and_accepts_and_the_record_is_due(house: House) -> None:
    form = a_form(phone="27 12 50 18")
    made = house.ask("directory", "request_opening", context(), **form)
    sheet = work(house, "read_opening", made)
    assert (sheet["matricule"], sheet["birth_name"], sheet["email"]) == (form["matricule"], "Weber", "zoe@example.lu")
    assert sheet["address"] == HOME and sheet["birth_date_differs"] is False
    checked = work(house, "check_opening", made, **CHECK)
    assert checked["state"] == "checked" and checked["checked_at"] is not None
    accepted = work(house, "accept_opening", made)
    kept = row(house, made)
    assert (kept.state, kept.patient_id, kept.decided_by) == ("accepted", accepted["patient_id"], AGENT.account_id)
    assert (kept.checked_by, kept.checked_by_name, kept.checked_with) == (
        AGENT.account_id, "Anne Müller", "identity_card",
    )  # fmt: skip
    assert says_something(kept) == set()
    [due] = events(house, "record_openings_due.v1")
    assert (due["cause"], due["patient_ids"]) == ("voluntary_request", [accepted["patient_id"]])
    with house.sessions["directory"].transaction() as session:
        patient = session.get(Patient, accepted["patient_id"])
    assert patient is not None
    assert (patient.email, patient.phone, patient.birth_name) == ("zoe@example.lu", "+35227125018", "Weber")
    assert [trace["purpose"] for trace in traces(house, "opening.changed")] == ["identity_card", "accept"]
    assert follow(house, made)["state"] == "accepted"


def test_nobody_is_accepted_without_an_identity_check(house: House) -> None:
    made = ask(house)
    with pytest.raises(OpeningCheckDue):
        work(house, "accept_opening", made)
    assert row(house, made).state == "received" and count(house, Patient) == 0
    assert events(house, "record_openings_due.v1") == []
    assert traces(house, "opening.changed")[-1]["reason"] == "opening_check_due"


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
@pytest.mark.parametrize(
    ("method", "more", "action"),
    [
        ("read_opening", {}, "opening.read"),
        ("check_opening", CHECK, "opening.changed"),
        ("accept_opening", {}, "opening.changed"),
        ("refuse_opening", {"reason": "other"}, "opening.changed"),
    ],
)
def test_nobody_but_an_agent_works_a_request_off(
    house: House, capacity: str, method: str, more: dict[str, str], action: str
) -> None:
    made = ask(house)
    with pytest.raises(NotAllowed):
        work(house, method, made, caller(capacity), **more)
    assert row(house, made).state == "received"
    [trace] = traces(house, action)
    assert (trace["outcome"], trace["reason"]) == ("refused", "not_allowed")
    assert work(house, "read_opening", made)["state"] == "received"  # and an agent may


@pytest.mark.parametrize("capacity", ["patient", "professional"])
def test_nobody_but_an_agent_lists_requests_or_records_paper(house: House, capacity: str) -> None:
    for method, given in (("list_openings", {}), ("record_opening", a_form())):
        with pytest.raises(NotAllowed):
            house.ask("directory", method, caller(capacity), **given)
    assert count(house, OpeningRequest) == 0


def test_a_paper_form_is_recorded_in_the_agents_name_and_without_a_limit(house: House) -> None:
    for _ in range(rules.FROM_ADDRESS + 1):
        made = house.ask("directory", "record_opening", AGENT, **a_form())
    assert follow(house, made)["state"] == "received"
    assert {trace["account_id"] for trace in traces(house, "opening.requested")} == {AGENT.account_id}


def test_a_patient_there_is_keeps_the_sheet_and_gets_the_contacts_of_the_form(house: House) -> None:
    form = a_form(birth_name="WEBER", email="new@example.lu")
    known = {name: form[name] for name in ("matricule", "first_names", "sex", "birth_date", "language")}
    elsewhere = {**HOME, "line": "9, Rue d'avant"}
    patient_id = house.ask("directory", "register_patient", AGENT, birth_name="Weber", address=elsewhere, **known)[
        "patient_id"
    ]
    made = house.ask("directory", "request_opening", context(), **form)
    work(house, "check_opening", made, **CHECK)
    assert work(house, "accept_opening", made)["patient_id"] == patient_id
    with house.sessions["directory"].transaction() as session:
        patient = session.get(Patient, patient_id)
        changed = session.scalars(sa.select(PatientChange.field)).all()
    assert patient is not None and (patient.birth_name, patient.address_line) == ("Weber", "9, Rue d'avant")
    assert (patient.email, patient.version, changed) == ("new@example.lu", 2, ["email"])
    assert count(house, Patient) == 1


def test_a_matricule_of_somebody_else_leaves_the_request_to_be_looked_at(house: House) -> None:
    form = a_form()
    known = {name: form[name] for name in ("matricule", "sex", "birth_date", "language", "address")}
    house.ask("directory", "register_patient", AGENT, birth_name="Wagner", first_names="Léa", **known)
    made = house.ask("directory", "request_opening", context(), **form)
    work(house, "check_opening", made, **CHECK)
    with pytest.raises(PatientExists):
        work(house, "accept_opening", made)
    kept = row(house, made)
    assert kept.state == "checked" and kept.birth_name == "Weber"
    assert count(house, Patient) == 1 and events(house, "record_openings_due.v1") == []
    assert traces(house, "opening.changed")[-1]["reason"] == "patient_exists"


def test_who_has_no_matricule_gets_a_sheet_without_one(house: House) -> None:
    made = ask(house, matricule=None)
    work(house, "check_opening", made, document="social_security_card", agent_name="Anne Müller")
    assert work(house, "accept_opening", made)["patient_id"] is not None
    assert count(house, Patient) == 1
    with house.sessions["directory"].transaction() as session:
        assert session.execute(sa.text("select count(*) from matricules")).scalar_one() == 0


def test_a_refused_request_says_why_and_no_more_of_whom(house: House) -> None:
    made = ask(house)
    work(house, "refuse_opening", made, reason="identity_not_established")
    assert says_something(row(house, made)) == set()
    told = follow(house, made)
    assert (told["state"], told["reason"]) == ("refused", "identity_not_established")
    assert events(house, "record_openings_due.v1") == []
    with pytest.raises(InvalidInput):
        work(house, "refuse_opening", ask(house), reason="because")


def test_of_two_agents_who_decide_at_once_one_does(house: House) -> None:
    made = ask(house)
    work(house, "check_opening", made, **CHECK)

    def decide(number: int) -> str:
        who = (AGENT, COLLEAGUE)[number % 2]
        try:
            if number % 2:
                work(house, "refuse_opening", made, who, reason="other")
            else:
                work(house, "accept_opening", made, who)
        except Refusal as refusal:
            return refusal.code
        return "won"

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(decide, range(6)))
    assert sorted(answers) == ["request_decided"] * 5 + ["won"]
    assert len(events(house, "record_openings_due.v1")) == count(house, Patient) <= 1


def test_a_repeated_acceptance_under_a_key_gives_the_first_answer(house: House) -> None:
    made = ask(house)
    work(house, "check_opening", made, **CHECK)
    who = replace(AGENT, context=context(idempotency_key="k-2"))
    assert work(house, "accept_opening", made, who) == work(house, "accept_opening", made, who)
    assert len(events(house, "record_openings_due.v1")) == 1
    with pytest.raises(RequestDecided):
        work(house, "accept_opening", made)


def test_the_list_goes_by_due_time_in_pages_and_flags_what_is_late(house: House) -> None:
    made = [ask(house) for _ in range(4)]
    decided = ask(house)
    work(house, "refuse_opening", decided, reason="other")
    with house.sessions["directory"].transaction() as session:
        late = sa.update(OpeningRequest).where(OpeningRequest.request_id == made[3]["request_id"])
        session.execute(late.values(due_by=now() - timedelta(hours=1)))
    page = house.ask("directory", "list_openings", AGENT, limit=3)
    rest = house.ask("directory", "list_openings", AGENT, limit=3, cursor=page["next_cursor"])
    listed = page["requests"] + rest["requests"]
    assert [one["request_id"] for one in listed] == [made[n]["request_id"] for n in (3, 0, 1, 2)]
    assert [one["overdue"] for one in listed] == [True, False, False, False] and rest["next_cursor"] is None
    assert "Weber" not in json.dumps(listed)
    refused = house.ask("directory", "list_openings", AGENT, state="refused")["requests"]
    assert [one["request_id"] for one in refused] == [decided["request_id"]]
    assert [trace["count"] for trace in traces(house, "opening.searched")] == [3, 1, 1]


def test_what_nobody_works_off_is_swept_after_a_year(house: House) -> None:
    old, young = ask(house), ask(house)
    with house.sessions["directory"].transaction() as session:
        of_old = sa.update(OpeningRequest).where(OpeningRequest.request_id == old["request_id"])
        session.execute(of_old.values(received_at=now() - rules.KEPT_UNWORKED - timedelta(days=1)))
    house.directory.sweep_openings()
    told = follow(house, old)
    assert (told["state"], told["reason"]) == ("refused", "lapsed") and says_something(row(house, old)) == set()
    assert follow(house, young)["state"] == "received" and "birth_name" in says_something(row(house, young))


def test_no_event_or_trace_carries_a_word_of_the_form(house: House) -> None:
    form = a_form(phone="27 12 50 18")
    made = house.ask("directory", "request_opening", context(), **form)
    work(house, "read_opening", made)
    work(house, "check_opening", made, **CHECK)
    work(house, "accept_opening", made)
    told = json.dumps(house.events("directory"), ensure_ascii=False)
    for word in (
        form["matricule"],
        "Weber",
        "Zoé",
        "zoe@example.lu",
        "Rue des Tests",
        made["tracking_token"],
        "Müller",
    ):
        assert word not in told
