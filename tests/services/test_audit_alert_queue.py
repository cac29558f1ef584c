"""The privacy officer's queue of alerts over real databases: read, taken, settled, counted, and for nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.db import new_id
from services.refusals import InvalidInput
from tests.builders import caller
from tests.services.oversight_house import OversightHouse, officer, refusal_code
from tests.services.test_audit import AGENT

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def house(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OversightHouse]:
    made = OversightHouse(database, Path(tmp_path_factory.mktemp("witness")))
    yield made
    made.close()


def raised(house: OversightHouse) -> dict[str, Any]:
    """An alert that waits, and the account it is about."""
    doctor, record_id = house.doctor("Thill"), house.record(house.patient("Thill"))
    house.came(doctor, record_id)
    house.look()
    [alert] = house.alerts_about(record_id=record_id)
    return {"alert_id": alert.alert_id, "record_id": record_id, "account_id": doctor.account_id}


@pytest.fixture
def alert(house: OversightHouse) -> dict[str, Any]:
    return raised(house)


def test_an_officer_reads_takes_and_settles_an_alert_and_each_step_leaves_its_trace(
    house: OversightHouse, alert: dict[str, Any]
) -> None:
    me, it = officer(), {"alert_id": alert["alert_id"]}
    read = house.audit.read_alert(me, **it)
    assert (read["rule"], read["state"], read["entry"]["action"]) == ("same_surname", "waiting", "document.opened")
    taken = house.audit.take_alert(me, **it, version=read["version"])
    assert (taken["state"], taken["taken_by"]) == ("taken", me.account_id)
    settled = house.audit.settle_alert(me, **it, verdict="justified", note="Homonyme.", version=taken["version"])
    assert (settled["state"], settled["verdict"], settled["note"]) == ("settled", "justified", "Homonyme.")
    traces = house.traces()
    assert [(t["action"], t["record_id"], t["object_id"], t["purpose"]) for t in traces] == [
        ("alert.read", alert["record_id"], alert["alert_id"], None),
        ("alert.taken", alert["record_id"], alert["alert_id"], None),
        ("alert.settled", alert["record_id"], alert["alert_id"], "justified"),
    ]  # fmt: skip
    assert "Homonyme" not in str(traces)


def test_only_a_privacy_officer_comes_near_the_alerts(house: OversightHouse, alert: dict[str, Any]) -> None:
    it, days = {"alert_id": alert["alert_id"]}, {"since": "2026-01-01", "until": "2026-12-31"}
    for who in (AGENT, caller("agent", role="administrator"), caller("professional", role="privacy_officer"),
                caller("patient")):  # fmt: skip
        for answer in (
            house.audit.alerts(who), house.audit.read_alert(who, **it), house.audit.take_alert(who, **it),
            house.audit.release_alert(who, **it), house.audit.alert_statistics(who, **days),
            house.audit.settle_alert(who, **it, verdict="justified", note="x"),
        ):  # fmt: skip
            assert refusal_code(answer) == "not_allowed"
    assert {(t["outcome"], t["reason"], t["record_id"]) for t in house.traces()} == {("refused", "not_allowed", None)}
    assert house.audit.read_alert(officer(), **it)["version"] == 1


def test_nobody_judges_an_access_of_their_own(house: OversightHouse, alert: dict[str, Any]) -> None:
    it = {"alert_id": alert["alert_id"]}
    self_ = caller("agent", role="privacy_officer", account_id=alert["account_id"])
    assert refusal_code(house.audit.take_alert(self_, **it)) == "not_allowed"
    assert house.audit.take_alert(officer(), **it)["state"] == "taken"


def test_what_one_officer_has_in_hand_no_other_settles_but_may_give_back(
    house: OversightHouse, alert: dict[str, Any]
) -> None:
    me, colleague, it = officer(), officer(), {"alert_id": alert["alert_id"]}
    verdict = {**it, "verdict": "not_justified", "note": "x"}
    assert refusal_code(house.audit.settle_alert(me, **verdict)) == "not_in_hand"
    assert refusal_code(house.audit.release_alert(me, **it)) == "not_in_hand"
    assert refusal_code(house.audit.take_alert(me, **it, version=7)) == "changed_meanwhile"
    house.audit.take_alert(me, **it)
    assert refusal_code(house.audit.take_alert(colleague, **it)) == "in_other_hands"
    assert refusal_code(house.audit.settle_alert(colleague, **verdict)) == "in_other_hands"
    assert house.audit.release_alert(colleague, **it)["state"] == "waiting"
    house.audit.take_alert(colleague, **it)
    assert house.audit.settle_alert(colleague, **verdict)["verdict"] == "not_justified"
    assert refusal_code(house.audit.settle_alert(colleague, **verdict)) == "already_settled"


def test_an_unknown_alert_is_not_found(house: OversightHouse) -> None:
    for unknown in (new_id(), "no id"):
        assert refusal_code(house.audit.read_alert(officer(), alert_id=unknown)) == "alert_not_found"
        assert refusal_code(house.audit.take_alert(officer(), alert_id=unknown)) == "alert_not_found"


def test_the_queue_shows_the_one_that_waits_longest_first_by_state_and_rule(
    house: OversightHouse, alert: dict[str, Any]
) -> None:
    me, last = officer(), [raised(house) for _ in range(3)][-1]
    seen: list[str] = []
    cursor = None
    while True:
        page = house.audit.alerts(me, rule="same_surname", limit=2, cursor=cursor)
        assert len(page["alerts"]) <= 2 and {each["rule"] for each in page["alerts"]} <= {"same_surname"}
        seen += [each["alert_id"] for each in page["alerts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(seen) and seen[-1] == last["alert_id"] and len(seen) >= 4
    house.audit.take_alert(me, alert_id=alert["alert_id"])
    waiting = house.audit.alerts(me, state="waiting", limit=100)["alerts"]
    assert alert["alert_id"] not in [each["alert_id"] for each in waiting]
    assert alert["alert_id"] in [each["alert_id"] for each in house.audit.alerts(me, state="taken")["alerts"]]
    with pytest.raises(InvalidInput):
        house.audit.alerts(me, rule="bad mood")


def test_the_statistics_say_of_every_rule_how_often_it_was_right(house: OversightHouse, alert: dict[str, Any]) -> None:
    me, day = officer(), datetime.now(UTC).date()
    days = {"since": (day - 1 * DAY).isoformat(), "until": (day + 1 * DAY).isoformat()}
    before = {each["rule"]: each for each in house.audit.alert_statistics(me, **days)["rules"]}
    house.audit.take_alert(me, alert_id=alert["alert_id"])
    house.audit.settle_alert(me, alert_id=alert["alert_id"], verdict="not_justified", note="x")
    after = {each["rule"]: each for each in house.audit.alert_statistics(me, **days)["rules"]}
    was, is_ = before.pop("same_surname"), after.pop("same_surname")
    assert after == before and len(after) == 5
    changed = {name: is_[name] - was[name] for name in ("raised", "justified", "not_justified", "waiting")}
    assert changed == {"raised": 0, "justified": 0, "not_justified": 1, "waiting": -1}
    long_ago = house.audit.alert_statistics(me, since="2001-01-01", until="2001-01-02")["rules"]
    assert {each["raised"] for each in long_ago} == {0}
