"""The circle of trust over a real database: who may add, until when somebody belongs to it, what stays of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, rfc3339
from services.dossier import models, models_desk
from services.refusals import InvalidInput
from services.tokens import Caller
from tests.services.dossier_house import RISK, DossierHouse, refusal_code
from tests.services.dossier_twins import circle, grounds, trust

DAY = timedelta(days=1)
RENEWED = ("circle.added", "circle.changed")


def add(house: DossierHouse, holder: Caller, record_id: str, who: Caller, **facts: Any) -> Any:
    return house.dossier.add_to_circle(holder, record_id=record_id, professional_id=who.professional_id, **facts)


def members(house: DossierHouse, holder: Caller, record_id: str) -> list[dict[str, Any]]:
    return list(house.dossier.circle(holder, record_id=record_id)["members"])


def age(house: DossierHouse, by: timedelta) -> None:
    """Lets time pass for every membership and everything that falls due."""
    with house.sessions.transaction() as session:
        member, due = models.CircleMember, models_desk.Deadline
        session.execute(sa.update(member).values(since=member.since - by, ends_at=member.ends_at - by))
        session.execute(sa.update(due).where(due.kind == "circle_end").values(due_at=due.due_at - by))


def steps(house: DossierHouse) -> int:
    taken = 0
    while house.dossier._do_due(now()):
        taken += 1
    return taken


# --- the end that is foreseen -----------------------------------------------------------------------------------------


def test_a_member_with_an_end_is_let_in_until_then_and_not_after_even_before_the_scheduler_came(
    house: DossierHouse,
) -> None:
    (holder, record_id), friend, for_good = house.holder(), house.professional(), house.professional()
    until = rfc3339(now() + 10 * DAY)
    assert add(house, holder, record_id, friend, until=until)["until"] == until
    add(house, holder, record_id, for_good)
    assert {one["professional_id"]: one["until"] for one in members(house, holder, record_id)} == {
        friend.professional_id: until, for_good.professional_id: None,
    }  # fmt: skip
    assert grounds(house, friend, record_id) == grounds(house, for_good, record_id) == ["circle"]
    assert house.dossier.read_record(friend, record_id=record_id)["access_until"] == until
    age(house, 11 * DAY)
    assert grounds(house, friend, record_id) == [] and grounds(house, for_good, record_id) == ["circle"]
    assert circle(house, holder, record_id) == {for_good.professional_id}
    assert house.events("grant_ended.v1") == []


def test_the_scheduler_closes_what_came_to_its_end_and_tells_of_it_once(house: DossierHouse) -> None:
    (holder, record_id), friend = house.holder(), house.professional()
    add(house, holder, record_id, friend, until=rfc3339(now() + DAY))
    assert steps(house) == 0
    age(house, 2 * DAY)
    assert steps(house) == 1 and steps(house) == 0
    [row] = house.rows(models.CircleMember)
    assert row.until == row.ends_at
    [told] = house.events("grant_ended.v1")
    assert (told["ground"], told["professional_id"], told["cause"]) == ("circle", friend.professional_id, "time")
    assert (told["patient_id"], told["grant_id"], told["at"]) == (holder.patient_id, row.member_id, rfc3339(row.until))


def test_adding_again_moves_the_end_and_null_removes_it(house: DossierHouse) -> None:
    (holder, record_id), friend = house.holder(), house.professional()
    add(house, holder, record_id, friend, until=rfc3339(now() + DAY), comment="pour l'opération")
    later = rfc3339(now() + 5 * DAY)
    assert add(house, holder, record_id, friend, until=later)["created"] is False
    age(house, 2 * DAY)
    assert steps(house) == 0 and grounds(house, friend, record_id) == ["circle"]
    add(house, holder, record_id, friend)
    [member] = members(house, holder, record_id)
    assert (member["until"], member["comment"]) == (None, None)
    age(house, 100 * DAY)
    assert steps(house) == 0 and grounds(house, friend, record_id) == ["circle"]
    assert [trace["action"] for trace in house.traces() if trace["action"] in RENEWED] == [
        "circle.added", "circle.changed", "circle.changed",
    ]  # fmt: skip
    assert len(house.events("circle_member_added.v1")) == 1


def test_adding_again_after_the_end_begins_anew_before_and_after_the_scheduler_came(house: DossierHouse) -> None:
    (holder, record_id), hasty, patient = house.holder(), house.professional(), house.professional()
    for friend in (hasty, patient):
        add(house, holder, record_id, friend, until=rfc3339(now() + DAY))
    age(house, 2 * DAY)
    assert add(house, holder, record_id, hasty)["created"] is True
    assert steps(house) == 2, "who came back before the scheduler is told of it all the same"
    assert add(house, holder, record_id, patient)["created"] is True
    assert grounds(house, hasty, record_id) == grounds(house, patient, record_id) == ["circle"]
    assert len(house.rows(models.CircleMember)) == 4, "what was stays"
    assert len(house.events("grant_ended.v1")) == 2
    assert len(house.events("circle_member_added.v1")) == 4


def test_a_member_taken_out_before_the_end_is_not_told_to_have_come_to_it(house: DossierHouse) -> None:
    (holder, record_id), friend = house.holder(), house.professional()
    add(house, holder, record_id, friend, until=rfc3339(now() + DAY))
    removed = {"record_id": record_id, "professional_id": friend.professional_id}
    house.dossier.remove_from_circle(holder, **removed)
    age(house, 2 * DAY)
    assert steps(house) == 0 and house.events("grant_ended.v1") == []
    assert len(house.events("circle_member_removed.v1")) == 1
    assert refusal_code(house.dossier.remove_from_circle(holder, **removed)) == "circle_member_not_found"


def test_a_member_whose_time_ran_out_cannot_be_taken_out(house: DossierHouse) -> None:
    (holder, record_id), friend = house.holder(), house.professional()
    add(house, holder, record_id, friend, until=rfc3339(now() + DAY))
    age(house, 2 * DAY)
    removed = house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=friend.professional_id)
    assert refusal_code(removed) == "circle_member_not_found"


@pytest.mark.parametrize(
    ("until", "code"),
    [("2020-01-01T00:00:00Z", "past"), ("2099-01-01T00:00:00", "moment"), ("soon", "moment"), (7, "moment")],
)
def test_an_end_lies_ahead_and_says_its_time_zone(house: DossierHouse, until: Any, code: str) -> None:
    (holder, record_id), friend = house.holder(), house.professional()
    with pytest.raises(InvalidInput) as refused:
        add(house, holder, record_id, friend, until=until)
    assert refused.value.detail["errors"] == [{"pointer": "/until", "message": code}]
    assert house.rows(models.CircleMember) == []


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_barred_professional_cannot_be_added_and_a_free_one_can(house: DossierHouse) -> None:
    (holder, record_id), barred, free = house.holder(), house.professional(), house.professional()
    house.dossier.block_professional(holder, record_id=record_id, professional_id=barred.professional_id, **RISK)
    assert refusal_code(add(house, holder, record_id, barred)) == "professional_blocked"
    assert add(house, holder, record_id, free)["created"]
    house.dossier.unblock_professional(holder, record_id=record_id, professional_id=barred.professional_id)
    assert add(house, holder, record_id, barred)["created"]
    reasons = [trace["reason"] for trace in house.traces("circle.added")]
    assert reasons == ["professional_blocked", None, None]


def test_nobody_else_is_told_whether_somebody_is_barred(house: DossierHouse) -> None:
    (holder, record_id), barred, friend = house.holder(), house.professional(), house.professional()
    house.dossier.block_professional(holder, record_id=record_id, professional_id=barred.professional_id, **RISK)
    trust(house, holder, record_id, friend)
    for caller in (friend, barred, house.agent, house.holder()[0]):
        assert refusal_code(add(house, caller, record_id, barred)) == "record_not_found"


def test_who_only_deposits_does_not_see_the_circle_and_who_reads_does(house: DossierHouse) -> None:
    (holder, record_id), friend, orders, reads = house.holder(), *(house.professional() for _ in range(3))
    add(house, holder, record_id, friend, comment="Ma cardiologue")
    made = house.dossier.register_order(house.software(orders), record_id=record_id, reference="LAB-1")
    assert (made["kind"], grounds(house, orders, record_id)) == ("order", ["order"])
    refused = house.dossier.circle(orders, record_id=record_id)
    assert refused.to_wire() == house.dossier.circle(house.professional(), record_id=record_id).to_wire()
    house.enter(reads, record_id, house.code(record_id))
    [seen] = house.dossier.circle(reads, record_id=record_id)["members"]
    assert (seen["professional_id"], seen["comment"]) == (friend.professional_id, None)
    house.age_mandates(record_id, 2 * DAY)
    assert grounds(house, reads, record_id) == ["presence"], "deposits still"
    assert refusal_code(house.dossier.circle(reads, record_id=record_id)) == "record_not_found"


def test_an_unknown_professional_cannot_be_added(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    unknown = house.dossier.add_to_circle(holder, record_id=record_id, professional_id=new_id())
    assert refusal_code(unknown) == "professional_not_found"


def test_the_same_professional_added_many_times_at_once_is_in_the_circle_once(house: DossierHouse) -> None:
    (holder, record_id), friend = house.holder(), house.professional()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: add(house, holder, record_id, friend), range(6)))
    assert sorted(answer["created"] for answer in answers) == [False] * 5 + [True]
    assert len(house.rows(models.CircleMember)) == len(house.events("circle_member_added.v1")) == 1
