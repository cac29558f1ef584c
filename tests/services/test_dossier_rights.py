"""Rights made plain: mine, somebody's with the rule, everybody's; and what a refusal must not tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now, rfc3339
from services.dossier import models
from services.dossier.contract import AccessScope, DocumentFacts
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import RISK, DossierHouse, refusal_code
from tests.services.entourage_house import Home

HISTORY = {"category": "history", "type": "family_history", "folder": "medical_data", "level": "standard"}


def trust(house: DossierHouse, holder: Caller, record_id: str, who: Caller) -> None:
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=who.professional_id)


def explain(house: DossierHouse, who: Caller, record_id: str, about: Caller | None = None, **asked: Any) -> Any:
    named: Any = "me" if about is None else {"professional_id": about.professional_id}
    given = {"who": named, "document": HISTORY, "action": "read"} | asked
    return house.dossier.explain(who, record_id=record_id, **given)


# --- mine ---------------------------------------------------------------------------------------------------


def test_my_rights_are_my_clauses_with_their_rule_and_end(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional("pharmacist")
    opened = house.enter(doctor, record_id, house.code(record_id))
    trust(house, holder, record_id, doctor)
    circle, presence = house.dossier.my_rights(doctor, record_id=record_id)["rights"]
    assert (circle["ground"], circle["rule"], circle["until"]) == ("circle", "circle", None)
    assert circle["levels"] == ["standard", "confidential"]
    assert (presence["rule"], presence["until"]) == ("presence/24h", opened["read_until"])
    assert "summaries" not in presence["read"]
    assert presence["deposit"] == ["allergies", "dispensation", "prescriptions"]
    [trace] = house.traces("rights.read")
    assert (trace["rule"], trace["count"]) == ("circle", 2)


def test_who_has_no_right_is_told_that_there_is_no_such_record(house: DossierHouse) -> None:
    _, record_id = house.holder()
    answer = house.dossier.my_rights(house.professional(), record_id=record_id)
    assert answer.to_wire() == {"code": "record_not_found", "detail": {}}
    assert house.traces("rights.read")[0]["outcome"] == "refused"


# --- why ----------------------------------------------------------------------------------------------------


def test_the_holder_is_told_of_anybody_which_rule_decides_and_what_would_change_it(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    told = explain(house, holder, record_id, doctor)
    assert (told["allowed"], told["rule"], told["step"]) == (False, "ground/none", "ground")
    assert "circle_of_trust" in told["remedies"]
    trust(house, holder, record_id, doctor)
    told = explain(house, holder, record_id, doctor)
    assert (told["allowed"], told["ground"], told["rule"], told["remedies"]) == (True, "circle", "circle", [])
    told = explain(house, holder, record_id, doctor, document={**HISTORY, "level": "private"})
    assert told["rule"] == "level/private"
    house.block(record_id, doctor)
    assert explain(house, holder, record_id, doctor)["rule"] == "blocklist"
    assert explain(house, holder, record_id, house.professional(licence="suspended"))["rule"] == "licence/suspended"
    traces = house.traces("rights.explained")
    assert {(trace["outcome"], trace["ground"], trace["object_type"]) for trace in traces} == {
        ("allowed", "holder", "professional")
    }
    assert len(traces) == 5


def test_the_rule_that_is_explained_is_the_rule_of_the_trace(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.enter(doctor, record_id, house.code(record_id))
    house.dossier.read_record(doctor, record_id=record_id)
    [trace] = house.traces("record.read")
    assert explain(house, doctor, record_id)["rule"] == explain(house, holder, record_id, doctor)["rule"]
    assert explain(house, doctor, record_id)["rule"] == trace["rule"] == "presence/24h"


def test_a_professional_asks_about_themself_and_about_nobody_else(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor, colleague = house.professional("nurse"), house.professional()
    for who in (doctor, colleague):
        trust(house, holder, record_id, who)
    assert explain(house, doctor, record_id)["allowed"]
    assert explain(house, doctor, record_id, doctor) == explain(house, doctor, record_id)
    assert explain(house, doctor, record_id, action="deposit")["rule"] == "matrix/nurse/history"
    answer = explain(house, doctor, record_id, colleague)
    assert answer.to_wire() == {"code": "record_not_found", "detail": {}}


def test_the_holder_asks_about_the_persons_around_them_as_they_are_and_as_they_were(house: DossierHouse) -> None:
    home = Home(house)
    (helper, assistance), stranger = home.assisted_by(), home.person()
    doctor = house.professional()
    trust(house, home.holder, home.record, doctor)

    def told(asker: Caller, who: Caller, **asked: Any) -> Any:
        given: Any = {"who": {"patient_id": who.patient_id}, "document": HISTORY, "action": "read", **asked}
        return house.dossier.explain(asker, record_id=home.record, **given)

    assert told(home.holder, helper) == explain(house, helper, home.record)
    assert (told(home.holder, helper)["allowed"], told(home.holder, helper)["rule"]) == (True, "assistant")
    assert told(home.holder, helper, action="deposit")["rule"] == "ground/assistant/deposits"
    assert told(home.holder, home.holder) == explain(house, home.holder, home.record)
    assert told(home.holder, stranger)["rule"] == "ground/none"
    assert refusal_code(told(doctor, helper)) == refusal_code(told(stranger, helper)) == "record_not_found"
    last = house.traces("rights.explained")[-1]
    assert (last["outcome"], last["object_id"], last["object_type"]) == ("refused", helper.patient_id, "patient")
    inside = rfc3339(now())
    house.dossier.end_assistant(home.holder, record_id=home.record, assistant_id=assistance)
    assert told(home.holder, helper)["rule"] == "ground/ended"
    assert told(home.holder, helper, moment=inside)["rule"] == "assistant"


def test_who_may_not_ask_gets_the_answer_of_an_unknown_record(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    barred, closed_out = house.professional(), house.professional()
    trust(house, holder, record_id, barred)
    house.block(record_id, barred)
    for who in (barred, closed_out, builders.caller("patient"), house.agent):
        here, nowhere = explain(house, who, record_id), explain(house, who, new_id())
        assert here.to_wire() == nowhere.to_wire() == {"code": "record_not_found", "detail": {}}
    house.set_state(record_id, "closed")
    assert refusal_code(explain(house, holder, record_id)) == "record_closed"


def test_an_author_who_is_barred_is_told_what_an_author_without_a_ground_is(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    barred, stranger = house.professional(), house.professional()
    trust(house, holder, record_id, barred)
    house.block(record_id, barred)

    def told(who: Caller, asker: Caller, action: str) -> Any:
        document = DocumentFacts(**HISTORY, author_id=who.professional_id).to_wire()
        about: Any = "me" if who is asker else {"professional_id": who.professional_id}
        return house.dossier.explain_document(asker, record_id=record_id, who=about, document=document, action=action)

    for action in ("read", "deposit", "change_level"):
        assert told(barred, barred, action) == told(stranger, stranger, action)
    assert told(barred, barred, "deposit")["rule"] == "ground/none"
    assert told(barred, holder, "deposit")["rule"] == "blocklist"


def test_who_is_let_in_again_is_not_told_that_they_were_barred_or_that_the_record_was_closed(
    house: DossierHouse,
) -> None:
    holder, record_id = house.holder()
    doctor, asked = house.professional(), {"record_id": record_id, "professional_id": ""}
    asked["professional_id"] = str(doctor.professional_id)
    trust(house, holder, record_id, doctor)
    house.dossier.block_professional(holder, **asked, **RISK)
    barred = rfc3339(now())
    house.dossier.unblock_professional(holder, **asked)
    trust(house, holder, record_id, doctor)
    house.dossier.close_record(holder, record_id=record_id, confirmed=True)
    closed = rfc3339(now())
    house.dossier.reopen_record(holder, record_id=record_id)
    for moment, rule in ((barred, "blocklist"), (closed, "state/closed")):
        assert explain(house, holder, record_id, doctor, moment=moment)["rule"] == rule
        told = explain(house, doctor, record_id, moment=moment)
        assert (told["allowed"], told["step"], told["rule"]) == (False, "ground", "ground/ended")
        assert told["remedies"] == ["presence_code", "circle_of_trust", "referring_physician", "mandate"]
    assert explain(house, doctor, record_id)["allowed"]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"who": "Dr X"}, "/who"),
        ({"who": {"account_id": new_id()}}, "/who"),
        ({"who": {}}, "/who"),
        ({"who": {"patient_id": new_id(), "professional_id": new_id()}}, "/who"),
        ({"action": "print"}, "/action"),
        ({"document": {**HISTORY, "category": "everything"}}, "/category"),
        ({"document": {**HISTORY, "level": "secret"}}, "/level"),
        ({"moment": "2026-03-03"}, "/moment"),
        ({"moment": "2999-03-03T00:00:00Z"}, "/moment"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_what_cannot_be_asked_is_named(house: DossierHouse, asked: dict[str, Any], pointer: str) -> None:
    holder, record_id = house.holder()
    with pytest.raises(InvalidInput) as refused:
        house.dossier.explain(
            holder, record_id=record_id, **{"who": "me", "document": HISTORY, "action": "read", **asked}
        )
    assert [error["pointer"] for error in refused.value.detail["errors"]] == [pointer]


def test_nobody_becomes_an_author_by_saying_so_in_a_question_about_a_kind(house: DossierHouse) -> None:
    _, record_id = house.holder()
    doctor = house.professional()
    mine = {**HISTORY, "author_id": doctor.professional_id}
    assert refusal_code(explain(house, doctor, record_id, document=mine)) == "record_not_found"
    document = DocumentFacts(**mine).to_wire()
    told = house.dossier.explain_document(doctor, record_id=record_id, who="me", document=document, action="read")
    assert (told["allowed"], told["rule"]) == (True, "author/own")
    assert house.traces("rights.explained")[0]["outcome"] == "refused"
    assert len(house.traces("rights.explained")) == 1, "documents traces what it asked for"


# --- everybody's --------------------------------------------------------------------------------------------


def test_the_rights_granted_are_those_that_give_something_now(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor, barred, lapsed, out = (house.professional() for _ in range(4))
    for who in (doctor, barred, out):
        trust(house, holder, record_id, who)
    house.enter(lapsed, record_id, house.code(record_id))
    house.age_mandates(record_id, timedelta(days=16))
    house.enter(doctor, record_id, house.code(record_id))
    house.block(record_id, barred)
    house.told_of(out, licence="withdrawn", version=2)
    given = house.dossier.rights_given(holder, record_id=record_id)["rights"]
    assert [(right["ground"], right["professional_id"] or right["patient_id"]) for right in given] == [
        ("presence", doctor.professional_id),
        ("circle", doctor.professional_id),
        ("holder", holder.patient_id),
    ]
    assert given[1]["grant_id"] in {row.member_id for row in house.rows(models.CircleMember)}
    assert [trace["count"] for trace in house.traces("rights.searched")] == [3]


def test_nobody_but_the_holder_side_sees_the_rights_granted(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    trust(house, holder, record_id, doctor)
    for who in (doctor, builders.caller("patient"), house.agent):
        assert refusal_code(house.dossier.rights_given(who, record_id=record_id)) == "record_not_found"


# --- the ways to ask ----------------------------------------------------------------------------------------

WAYS = {
    "physician": ["presence_code", "author_only"],
    "pharmacist": ["presence_code", "responsibility", "author_only"],
    "nurse": ["presence_code", "author_only"],
    "social_worker": ["presence_code", "author_only"],
}


@pytest.mark.parametrize("profession", WAYS)
def test_the_ways_to_ask_for_access_follow_the_profession(house: DossierHouse, profession: str) -> None:
    answer = house.dossier.access_options(house.professional(profession), record_id=new_id())
    assert [option["option"] for option in answer["options"]] == WAYS[profession]


@pytest.mark.parametrize(("profession", "may"), [("physician", True), ("nurse", True), ("pharmacist", False)])
def test_emergency_is_a_way_for_physicians_and_nurses_of_an_emergency_service(
    house: DossierHouse, profession: str, may: bool
) -> None:
    doctor = house.colleague(house.professional(), profession, emergency=True)
    for who, attached in ((doctor, True), (replace(doctor, establishment_id=new_id()), False)):
        options = house.dossier.access_options(who, record_id=new_id())["options"]
        assert ("emergency" in [option["option"] for option in options]) is (may and attached)


def test_who_may_not_practise_has_no_way_to_ask_and_who_is_no_professional_is_refused(house: DossierHouse) -> None:
    suspended = house.professional(licence="suspended")
    assert house.dossier.access_options(suspended, record_id=new_id()) == {"options": []}
    claims = replace(house.professional("nurse"), profession="physician")
    assert house.dossier.access_options(claims, record_id=new_id()) == {"options": []}
    for who in (builders.caller("patient"), house.agent):
        assert refusal_code(house.dossier.access_options(who, record_id=new_id())) == "not_allowed"


# --- a refusal tells no more than absence -------------------------------------------------------------------


def absences(house: DossierHouse) -> Iterator[tuple[str, Caller, str]]:
    """A record that is unknown, without a ground, closed, barred, with a ground that ended, each for somebody new."""
    for why in ("unknown", "no ground", "closed", "blocked", "ended"):
        holder, record_id = house.holder()
        who = house.professional()
        if why != "no ground":
            trust(house, holder, record_id, who)
        if why == "closed":
            house.set_state(record_id, "closed")
        if why == "blocked":
            house.block(record_id, who)
        if why == "ended":
            house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=who.professional_id)
        yield why, who, new_id() if why == "unknown" else record_id


ASKED: dict[str, dict[str, Any]] = {
    "access_scope": {},
    "read_record": {},
    "my_rights": {},
    "rights_given": {},
    "access_options": {},
    "circle": {},
    "list_mandates": {},
    "explain": {"who": "me", "document": HISTORY, "action": "read"},
}


@pytest.mark.parametrize("method", ASKED)
def test_unknown_closed_blocked_and_groundless_have_one_answer_one_trace_and_the_same_statements(
    house: DossierHouse, method: str
) -> None:
    warm = house.professional()
    house.dossier.access_scope(warm, record_id=new_id())  # this connection has planned what it plans once
    answers, works, traced = [], [], []
    for _, who, record_id in absences(house):
        before = len(house.traces())
        with house.statements() as seen:
            answer = getattr(house.dossier, method)(who, record_id=record_id, **ASKED[method])
        works.append([statement.replace(who.session_id, "…") for statement in seen])
        traced.append(len(house.traces()) - before)
        wire = answer if isinstance(answer, dict) else answer.to_wire()
        answers.append({**wire, "record_id": "…", "author_id": "…", "reader_id": "…"})
    assert all(answer == answers[0] for answer in answers), answers
    assert all(work == works[0] for work in works), works
    assert traced == [0 if method == "access_scope" else 1] * 5


def test_only_the_holder_of_a_closed_record_is_told_that_it_is_closed(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    house.set_state(record_id, "closed")
    assert refusal_code(house.dossier.my_rights(holder, record_id=record_id)) == "record_closed"
    assert AccessScope.from_wire(house.dossier.access_scope(holder, record_id=record_id)).state == "closed"
