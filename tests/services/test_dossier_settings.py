"""Settings and declarations over a real database: who says them, what they change at once, what stays of them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.dossier import contract, store, store_settings
from services.dossier.models import Record
from services.dossier.models_desk import Setting
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import refusal_code
from tests.services.own_access_house import RISK, OwnAccessHouse

VERSION = RISK["risk_version"]


HOUSE = OwnAccessHouse


def values(house: OwnAccessHouse, who: Caller, record_id: str) -> dict[tuple[str, str | None], str]:
    found = house.dossier.settings(who, record_id=record_id)["settings"]
    return {(each["name"], each["folder"]): each["value"] for each in found}


def history(house: OwnAccessHouse, who: Caller, record_id: str, name: str, **more: Any) -> list[dict[str, Any]]:
    page = house.dossier.setting_history(who, record_id=record_id, name=name, **more)
    return list(page["history"])


def declare(house: OwnAccessHouse, who: Caller, record_id: str, **changes: Any) -> Any:
    given = {"name": "organ_donation", "value": "donor", "declared_on": "2026-03-01", "note": None} | changes
    return house.dossier.declare(who, record_id=record_id, **given)


# --- settings -----------------------------------------------------------------------------------------------


def test_while_nobody_has_said_anything_the_defaults_hold(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    shown = house.dossier.settings(holder, record_id=record_id)["settings"]
    assert {each["since"] for each in shown} == {None}
    assert {(each["name"], each["value"]) for each in shown} == {
        ("emergency", "normal"), ("responsibility", "allowed"), ("autonomous_minor", "no"),
        ("default_level", "standard"), ("longer_keeping", "no"),
    }  # fmt: skip
    [trace] = house.traces("setting.read")
    assert (trace["outcome"], trace["ground"], trace["count"]) == ("allowed", "holder", 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("emergency", "with_confidential"), ("responsibility", "refused"), ("default_level", "private"),
     ("longer_keeping", "yes")],
)  # fmt: skip
def test_what_the_holder_sets_holds_from_then_on_and_stands_in_the_history(
    house: OwnAccessHouse, name: str, value: str
) -> None:
    holder, record_id = house.holder()
    said = house.set(holder, record_id, name, value)
    assert (said["value"], said["folder"]) == (value, None)
    assert values(house, holder, record_id)[name, None] == value
    [word] = history(house, holder, record_id, name)
    assert (word["value"], word["since"], word["until"]) == (value, said["since"], None)
    assert word["account_id"] == holder.account_id
    [trace] = house.traces("setting.changed")
    assert (trace["outcome"], trace["ground"], trace["rule"], trace["purpose"]) == ("allowed", "holder", "holder", name)
    assert value not in (trace["purpose"], trace["object_id"]), "what was said stands in no trace"


def test_refusing_emergency_access_needs_the_risk_accepted_and_keeps_which_wording(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    for wrong, errors in (
        ({}, [{"pointer": "/risk_accepted", "message": "must_be_accepted"}]),
        ({"risk_accepted": False, "risk_version": VERSION}, [{"pointer": "/risk_accepted",
                                                              "message": "must_be_accepted"}]),
        ({"risk_accepted": True, "risk_version": "risk-1999-1"}, [{"pointer": "/risk_version", "message": "unknown"}]),
        ({"risk_accepted": True}, [{"pointer": "/risk_version", "message": "unknown"}]),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as refused:
            house.set(holder, record_id, "emergency", "refused", **wrong)
        assert refused.value.detail["errors"] == errors
    assert house.rows(Setting) == [], "nothing was said"
    house.set(holder, record_id, "emergency", "refused", **RISK)
    house.set(holder, record_id, "emergency", "normal")
    words = history(house, holder, record_id, "emergency")
    assert [(word["value"], word["risk_version"]) for word in words] == [("normal", None), ("refused", VERSION)]
    assert words[1]["until"] == words[0]["since"], "one word holds until the next"


def test_the_same_word_again_changes_nothing_and_keeps_since_when_it_holds(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    first = house.set(holder, record_id, "longer_keeping", "yes")
    assert house.set(holder, record_id, "longer_keeping", "yes") == first
    assert len(house.rows(Setting)) == 1
    assert len(house.traces("setting.changed")) == 2, "each request is traced"


def test_a_request_repeated_under_its_key_does_not_take_back_what_was_said_since(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    once = replace(holder, context=builders.context(idempotency_key=new_id()))
    first = house.set(once, record_id, "longer_keeping", "yes")
    house.set(holder, record_id, "longer_keeping", "no")
    assert house.set(once, record_id, "longer_keeping", "yes") == first
    assert values(house, holder, record_id)["longer_keeping", None] == "no"


def test_every_setting_that_decisions_ask_for_is_repeated_in_the_record(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.refuse_emergency(holder, record_id)
    house.set(holder, record_id, "responsibility", "refused")
    house.set(holder, record_id, "longer_keeping", "yes")
    house.set(holder, record_id, "default_level", "confidential")
    house.set(holder, record_id, "default_level", "private", folder="imaging")
    [record] = house.rows(Record)
    assert (record.emergency, record.responsibility) == ("refused", "refused")
    assert record.default_levels == {"": "confidential", "imaging": "private"}


def test_a_default_level_holds_for_its_folder_and_the_overall_one_for_every_other(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.set(holder, record_id, "default_level", "confidential")
    house.set(holder, record_id, "default_level", "private", folder="imaging")
    scope = house.scope(holder, record_id)
    assert (scope.level_at_deposit("imaging"), scope.level_at_deposit("laboratory")) == ("private", "confidential")
    house.set(holder, record_id, "default_level", "inherited", folder="imaging")
    assert house.scope(holder, record_id).level_at_deposit("imaging") == "confidential"
    assert values(house, holder, record_id)["default_level", "imaging"] == "inherited"
    words = history(house, holder, record_id, "default_level", folder="imaging")
    assert [word["value"] for word in words] == ["inherited", "private"]
    assert [word["value"] for word in history(house, holder, record_id, "default_level")] == ["confidential"]


@pytest.mark.parametrize(
    ("name", "more", "error"),
    [
        ("colour", {"value": "red"}, {"pointer": "/name", "message": "unknown"}),
        ("default_level_of_folder", {"value": "private"}, {"pointer": "/name", "message": "unknown"}),
        ("autonomous_minor", {"value": "yes"}, {"pointer": "/name", "message": "unknown"}),
        ("organ_donation", {"value": "donor"}, {"pointer": "/name", "message": "unknown"}),
        ("emergency", {"value": "maybe"}, {"pointer": "/value", "message": "choice"}),
        ("emergency", {"value": None}, {"pointer": "/value", "message": "choice"}),
        ("default_level", {"value": "inherited"}, {"pointer": "/value", "message": "choice"}),
        ("emergency", {"value": "normal", "folder": "imaging"}, {"pointer": "/folder", "message": "unknown_member"}),
        ("default_level", {"value": "private", "folder": "No Folder"}, {"pointer": "/folder", "message": "invalid"}),
        ("default_level", {"value": "private", "folder": ""}, {"pointer": "/folder", "message": "invalid"}),
    ],
)
def test_what_is_no_setting_or_no_value_of_it_is_pointed_at(
    house: OwnAccessHouse, name: str, more: dict[str, Any], error: dict[str, str]
) -> None:
    holder, record_id = house.holder()
    with pytest.raises(InvalidInput) as refused:
        house.dossier.change_setting(holder, record_id=record_id, name=name, **more)
    assert refused.value.detail["errors"] == [error]
    assert house.rows(Setting) == []


@pytest.mark.parametrize(
    ("name", "value", "may"),
    [("default_level", "private", True), ("emergency", "with_confidential", False),
     ("responsibility", "refused", False), ("longer_keeping", "yes", False)],
)  # fmt: skip
def test_an_assistant_sets_what_their_row_allows_and_nothing_else(
    house: OwnAccessHouse, name: str, value: str, may: bool
) -> None:
    holder, record_id = house.holder()
    assistant = house.assistant(record_id)
    answer = house.set(assistant, record_id, name, value)
    [trace] = house.traces("setting.changed")
    if may:
        assert answer["value"] == value
        assert (trace["outcome"], trace["ground"]) == ("allowed", "assistant")
    else:
        assert refusal_code(answer) == "not_allowed"
        assert (trace["outcome"], trace["reason"]) == ("refused", "not_allowed")
    assert (values(house, holder, record_id)[name, None] == value) is may
    assert values(house, assistant, record_id) == values(house, holder, record_id), "they read as the holder does"


def test_a_representative_sets_all_that_the_holder_does(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    parent = house.representative(record_id)
    house.refuse_emergency(parent, record_id)
    assert declare(house, parent, record_id)["value"] == "donor"
    assert {trace["ground"] for trace in house.traces("setting.changed")} == {"legal_representative"}


def test_nobody_else_reads_or_sets_anything(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.set(holder, record_id, "longer_keeping", "yes")
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    for who in (doctor, house.agent, house.officer(), builders.caller("patient")):
        for answer in (
            house.dossier.settings(who, record_id=record_id),
            house.dossier.setting_history(who, record_id=record_id, name="longer_keeping"),
            house.set(who, record_id, "longer_keeping", "no"),
            declare(house, who, record_id),
        ):
            assert refusal_code(answer) == "record_not_found"
    assert refusal_code(house.set(holder, new_id(), "longer_keeping", "no")) == "record_not_found"
    assert values(house, holder, record_id)["longer_keeping", None] == "yes"


def test_in_a_closed_record_its_holder_sets_and_reads_nothing(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.set(holder, record_id, "longer_keeping", "yes")
    house.set_state(record_id, "closed")
    for answer in (
        house.dossier.settings(holder, record_id=record_id),
        house.dossier.setting_history(holder, record_id=record_id, name="longer_keeping"),
        house.set(holder, record_id, "longer_keeping", "no"),
        house.dossier.declaration(holder, record_id=record_id, name="organ_donation"),
        declare(house, holder, record_id),
    ):
        assert refusal_code(answer) == "record_closed"
    assert [row.value for row in house.rows(Setting)] == ["yes"]


def test_of_words_said_at_once_each_stays_and_one_holds(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    said = ["normal", "with_confidential"] * 4
    start = threading.Barrier(len(said))

    def say(value: str) -> None:
        start.wait()
        house.set(holder, record_id, "emergency", value)

    with ThreadPoolExecutor(len(said)) as pool:
        list(pool.map(say, said))
    [holds] = [row for row in house.rows(Setting) if row.until is None]
    [record] = house.rows(Record)
    assert holds.value == record.emergency, "the record repeats the word that holds"
    rows = sorted(house.rows(Setting), key=lambda row: row.setting_id)
    assert all(row.until >= row.since for row in rows if row.until)


def test_a_word_waits_for_another_that_is_being_said(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.dossier.settings(holder, record_id=record_id)  # the day's access is noted: nothing else holds the record up
    with ThreadPoolExecutor(1) as pool:
        with house.sessions.transaction() as session:
            store.lock_record(session, record_id)
            said = {"account_id": holder.account_id, "at": datetime.now(UTC)}
            store_settings.put(session, record_id, "longer_keeping", "yes", **said)
            session.flush()
            later = pool.submit(house.set, holder, record_id, "longer_keeping", "no")
            until_somebody_waits(house)
        assert later.result()["value"] == "no"
    assert sorted((row.value, row.until is None) for row in house.rows(Setting)) == [("no", True), ("yes", False)]


def until_somebody_waits(house: OwnAccessHouse) -> None:
    """Until a transaction of this database waits for another; it is ours, as nobody else is there."""
    waits = sa.text(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
    with house.sessions.engine.connect() as connection:
        while not connection.scalar(waits):
            time.sleep(0.02)


def test_a_word_said_by_a_replica_whose_clock_is_behind_ends_no_word_before_it_began(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    now = datetime.now(UTC)
    with house.sessions.transaction() as session:
        for value, at in (("yes", now), ("no", now - timedelta(seconds=3))):
            store_settings.put(session, record_id, "longer_keeping", value, account_id=holder.account_id, at=at)
    ended = next(row for row in house.rows(Setting) if row.until)
    assert ended.until >= ended.since
    assert values(house, holder, record_id)["longer_keeping", None] == "no"


def test_a_long_history_comes_in_pages_without_gaps(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    for turn in range(7):
        house.set(holder, record_id, "longer_keeping", "yes" if turn % 2 == 0 else "no")
    pages, cursor = [], None
    while True:
        page = house.dossier.setting_history(holder, record_id=record_id, name="longer_keeping", limit=3, cursor=cursor)
        pages.append([word["since"] for word in page["history"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [len(page) for page in pages] == [3, 3, 1]
    read = [since for page in pages for since in page]
    assert read == sorted(read, reverse=True) and len(set(read)) == 7


def test_two_settings_of_one_name_can_never_hold_at_once(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.set(holder, record_id, "longer_keeping", "yes")
    with pytest.raises(sa.exc.IntegrityError), house.sessions.transaction() as session:
        session.add(
            Setting(
                setting_id=new_id(), record_id=record_id, name="longer_keeping", value="no",
                account_id=holder.account_id, since=datetime.now(UTC),
            )
        )  # fmt: skip


# --- declarations -------------------------------------------------------------------------------------------


def test_a_declaration_is_dated_carries_the_holders_own_words_and_stays_in_the_history(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    nothing = house.dossier.declaration(holder, record_id=record_id, name="organ_donation")
    assert nothing == {"value": "not_said", "declared_on": None, "note": None, "since": None}
    said = declare(house, holder, record_id, note="  Sauf les cornées.  ")
    assert (said["value"], said["declared_on"], said["note"]) == ("donor", "2026-03-01", "Sauf les cornées.")
    assert house.dossier.declaration(holder, record_id=record_id, name="organ_donation") == said
    declare(house, holder, record_id, value="not_a_donor", declared_on="2026-04-01")
    words = history(house, holder, record_id, "organ_donation")
    assert [(word["value"], word["declared_on"], word["note"]) for word in words] == [
        ("not_a_donor", "2026-04-01", None), ("donor", "2026-03-01", "Sauf les cornées."),
    ]  # fmt: skip
    assert "Sauf les cornées." not in str(house.events("access_traced.v1"))


def test_the_same_declaration_on_another_day_is_another_one(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    declare(house, holder, record_id)
    declare(house, holder, record_id)
    declare(house, holder, record_id, declared_on="2026-05-01")
    declare(house, holder, record_id, declared_on="2026-05-01", note="Relu.")
    assert len(house.rows(Setting)) == 3


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"declared_on": None}, {"pointer": "/declared_on", "message": "required"}),
        ({"declared_on": "hier"}, {"pointer": "/declared_on", "message": "date"}),
        ({"declared_on": "20260301"}, {"pointer": "/declared_on", "message": "date"}),
        ({"declared_on": (date.today() + timedelta(days=2)).isoformat()},
         {"pointer": "/declared_on", "message": "future"}),
        ({"value": "yes"}, {"pointer": "/value", "message": "choice"}),
        ({"note": "x" * 2001}, {"pointer": "/note", "message": "too_long"}),
        ({"note": 7}, {"pointer": "/note", "message": "text"}),
        ({"name": "emergency", "value": "normal"}, {"pointer": "/name", "message": "unknown"}),
    ],
)  # fmt: skip
def test_a_declaration_that_is_none_is_pointed_at(
    house: OwnAccessHouse, changes: dict[str, Any], error: dict[str, str]
) -> None:
    holder, record_id = house.holder()
    with pytest.raises(InvalidInput) as refused:
        declare(house, holder, record_id, **changes)
    assert refused.value.detail["errors"] == [error]
    assert house.rows(Setting) == []


@pytest.mark.parametrize("name", contract.DECLARATIONS)
def test_an_assistant_reads_declarations_and_never_makes_one(house: OwnAccessHouse, name: str) -> None:
    _, record_id = house.holder()
    assistant = house.assistant(record_id)
    value = {"organ_donation": "donor", "end_of_life": "statement_made"}[name]
    assert refusal_code(declare(house, assistant, record_id, name=name, value=value)) == "not_allowed"
    assert house.dossier.declaration(assistant, record_id=record_id, name=name)["value"] == "not_said"
    assert house.rows(Setting) == []


def test_a_professional_with_a_ground_reads_organ_donation_and_the_trace_names_the_ground(
    house: OwnAccessHouse,
) -> None:
    holder, record_id = house.holder()
    declare(house, holder, record_id, note="Lettre dans mon portefeuille.")
    doctor = house.professional()
    house.enter(doctor, record_id, house.code(record_id))
    read = house.dossier.declaration(doctor, record_id=record_id, name="organ_donation")
    assert (read["value"], read["note"]) == ("donor", "Lettre dans mon portefeuille.")
    trace = house.traces("setting.read")[-1]
    assert (trace["professional_id"], trace["ground"], trace["rule"], trace["purpose"]) == (
        doctor.professional_id, "presence", "presence/24h", "organ_donation",
    )  # fmt: skip
    assert refusal_code(declare(house, doctor, record_id)) == "record_not_found", "to read is not to declare"


def test_no_ground_a_deposit_only_one_and_one_for_prescriptions_alone_show_no_declaration(
    house: OwnAccessHouse,
) -> None:
    holder, record_id = house.holder()
    declare(house, holder, record_id)
    stranger, late, pharmacist = house.professional(), house.professional(), house.professional("pharmacist")
    house.enter(late, record_id, house.code(record_id))
    house.age_mandates(record_id, timedelta(hours=25))
    house.engage(pharmacist, record_id)
    blocked = house.professional()
    house.enter(blocked, record_id, house.code(record_id))
    house.block(record_id, blocked)
    for who in (stranger, late, pharmacist, blocked, house.agent):
        answer = house.dossier.declaration(who, record_id=record_id, name="organ_donation")
        assert refusal_code(answer) == "record_not_found"
    assert {trace["outcome"] for trace in house.traces("setting.read")} == {"refused"}
