"""The privacy officer's desk over a real database: queue, taking, verdict, statistics, and who never comes near it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.dossier.models import CircleMember, FirstAccess, Mandate, Professional
from services.dossier.models_desk import Review
from services.dossier.rules_settings import HERE
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import refusal_code
from tests.services.own_access_house import REASON, OwnAccessHouse

HOUSE = OwnAccessHouse


@pytest.fixture
def waiting(house: OwnAccessHouse) -> tuple[str, Caller, str]:
    """An emergency access that waits for its review: the review, its holder, and the record."""
    holder, record_id = house.holder()
    house.break_glass(house.of_emergency(), record_id)
    [review] = house.rows(Review)
    return review.review_id, holder, record_id


def today() -> dict[str, str]:
    day = datetime.now(HERE).date().isoformat()
    return {"since": day, "until": day}


# --- who may ------------------------------------------------------------------------------------------------


def test_only_a_privacy_officer_comes_near_the_desk(house: OwnAccessHouse, waiting: tuple[str, Caller, str]) -> None:
    review_id, holder, _ = waiting
    administrator = builders.caller("agent", role="administrator")
    doctor = replace(house.of_emergency(), role="privacy_officer")  # a role counts for an agent alone
    for who in (house.agent, administrator, doctor, holder):
        for answer in (
            house.dossier.reviews(who),
            house.dossier.review(who, review_id=review_id),
            house.dossier.take_review(who, review_id=review_id),
            house.dossier.release_review(who, review_id=review_id),
            house.dossier.settle_review(who, review_id=review_id, verdict="justified", note="x"),
            house.dossier.review_statistics(who, **today()),
        ):
            assert refusal_code(answer) == "not_allowed"
    [row] = house.rows(Review)
    assert (row.state, row.version) == ("waiting", 1)
    officer = house.officer()
    assert [each["review_id"] for each in house.dossier.reviews(officer)["reviews"]] == [review_id]
    assert house.dossier.review(officer, review_id=review_id)["reason"] == REASON


def test_each_look_at_the_desk_leaves_one_trace_and_a_look_at_a_review_one_in_its_record(
    house: OwnAccessHouse, waiting: tuple[str, Caller, str]
) -> None:
    review_id, _, record_id = waiting
    officer = house.officer()
    house.dossier.reviews(officer)
    house.dossier.review(officer, review_id=review_id)
    house.dossier.review_statistics(officer, **today())
    house.dossier.review(house.agent, review_id=review_id)
    traces = [trace for trace in house.traces() if trace["action"].startswith("review.")]
    assert [(t["action"], t["outcome"], t["record_id"], t["count"]) for t in traces] == [
        ("review.searched", "allowed", None, 1), ("review.read", "allowed", record_id, None),
        ("review.counted", "allowed", None, 1), ("review.read", "refused", None, None),
    ]  # fmt: skip


def test_an_unknown_review_is_not_found(house: OwnAccessHouse) -> None:
    officer = house.officer()
    for unknown in (new_id(), "no id"):
        assert refusal_code(house.dossier.review(officer, review_id=unknown)) == "review_not_found"
        assert refusal_code(house.dossier.take_review(officer, review_id=unknown)) == "review_not_found"


# --- taking and settling ------------------------------------------------------------------------------------


def test_a_review_is_taken_and_settled_by_the_officer_who_took_it_and_the_holder_sees_how(
    house: OwnAccessHouse, waiting: tuple[str, Caller, str]
) -> None:
    review_id, holder, record_id = waiting
    officer = house.officer()
    taken = house.dossier.take_review(officer, review_id=review_id, version=1)
    assert (taken["state"], taken["taken_by"], taken["version"]) == ("taken", officer.account_id, 2)
    settled = house.dossier.settle_review(
        officer, review_id=review_id, verdict="not_justified", note="Aucun passage.", version=2
    )
    assert (settled["state"], settled["verdict"], settled["version"]) == ("settled", "not_justified", 3)
    assert (settled["settled_by"], settled["note"]) == (officer.account_id, "Aucun passage.")
    [mandate] = house.dossier.list_mandates(holder, record_id=record_id)["mandates"]
    assert mandate["review"] == {"verdict": "not_justified", "settled_at": settled["settled_at"]}
    steps = [t for t in house.traces() if t["action"] in ("review.taken", "review.settled")]
    assert [(t["action"], t["record_id"], t["object_id"], t["purpose"]) for t in steps] == [
        ("review.taken", record_id, review_id, None), ("review.settled", record_id, review_id, "not_justified"),
    ]  # fmt: skip
    assert "Aucun passage." not in str(house.events("access_traced.v1"))


def test_of_two_officers_at_once_one_takes_it(house: OwnAccessHouse, waiting: tuple[str, Caller, str]) -> None:
    review_id, _, _ = waiting
    officers = [house.officer() for _ in range(4)]
    start = threading.Barrier(len(officers))

    def take(officer: Caller) -> Any:
        start.wait()
        return house.dossier.take_review(officer, review_id=review_id, version=1)

    with ThreadPoolExecutor(len(officers)) as pool:
        answers = list(pool.map(take, officers))
    took = [answer for answer in answers if isinstance(answer, dict)]
    assert len(took) == 1
    assert {refusal_code(each) for each in answers if not isinstance(each, dict)} == {"changed_meanwhile"}
    [row] = house.rows(Review)
    assert (row.taken_by, row.version) == (took[0]["taken_by"], 2)


def test_who_did_not_take_it_cannot_settle_it_and_whoever_took_it_keeps_it(
    house: OwnAccessHouse, waiting: tuple[str, Caller, str]
) -> None:
    review_id, _, _ = waiting
    officer, colleague = house.officer(), house.officer()
    verdict = {"review_id": review_id, "verdict": "justified", "note": "x"}
    assert refusal_code(house.dossier.settle_review(officer, **verdict)) == "review_not_taken"
    house.dossier.take_review(officer, review_id=review_id)
    assert house.dossier.take_review(officer, review_id=review_id)["version"] == 2, "taken again it stays as it is"
    assert refusal_code(house.dossier.take_review(colleague, review_id=review_id)) == "review_taken"
    assert refusal_code(house.dossier.settle_review(colleague, **verdict)) == "review_taken"
    assert house.dossier.settle_review(officer, **verdict)["state"] == "settled"
    for step in (house.dossier.take_review, house.dossier.release_review):
        assert refusal_code(step(officer, review_id=review_id)) == "review_settled"
    again = {**verdict, "verdict": "not_justified"}
    assert refusal_code(house.dossier.settle_review(officer, **again)) == "review_settled", "a verdict stays"


def test_what_an_officer_took_another_may_give_back_and_take(
    house: OwnAccessHouse, waiting: tuple[str, Caller, str]
) -> None:
    review_id, _, _ = waiting
    away, colleague = house.officer(), house.officer()
    assert refusal_code(house.dossier.release_review(colleague, review_id=review_id)) == "review_not_taken"
    house.dossier.take_review(away, review_id=review_id)
    released = house.dossier.release_review(colleague, review_id=review_id, version=2)
    assert (released["state"], released["taken_by"], released["taken_at"]) == ("waiting", None, None)
    assert house.dossier.take_review(colleague, review_id=review_id, version=3)["taken_by"] == colleague.account_id


def test_what_changed_since_it_was_read_is_read_again_first(
    house: OwnAccessHouse, waiting: tuple[str, Caller, str]
) -> None:
    review_id, _, _ = waiting
    officer = house.officer()
    assert refusal_code(house.dossier.take_review(officer, review_id=review_id, version=7)) == "changed_meanwhile"
    house.dossier.take_review(officer, review_id=review_id, version=1)
    stale = house.dossier.settle_review(officer, review_id=review_id, verdict="justified", note="x", version=1)
    assert refusal_code(stale) == "changed_meanwhile"
    assert [row.state for row in house.rows(Review)] == ["taken"]


def test_nobody_judges_an_access_of_their_own(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    house.break_glass(doctor, record_id)
    same_person = replace(house.officer(), account_id=doctor.account_id)
    [row] = house.rows(Review)
    assert refusal_code(house.dossier.take_review(same_person, review_id=row.review_id)) == "not_allowed"
    assert house.dossier.take_review(house.officer(), review_id=row.review_id)["state"] == "taken"


def test_a_request_repeated_under_its_key_gets_its_first_answer(
    house: OwnAccessHouse, waiting: tuple[str, Caller, str]
) -> None:
    review_id, _, _ = waiting
    officer = replace(house.officer(), context=builders.context(idempotency_key=new_id()))
    first = house.dossier.take_review(officer, review_id=review_id, version=1)
    assert house.dossier.take_review(officer, review_id=review_id, version=1) == first


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"verdict": "fine"}, {"pointer": "/verdict", "message": "choice"}),
        ({"verdict": None}, {"pointer": "/verdict", "message": "choice"}),
        ({"note": " "}, {"pointer": "/note", "message": "required"}),
        ({"note": "x" * 2001}, {"pointer": "/note", "message": "too_long"}),
    ],
)
def test_a_verdict_is_one_of_two_and_has_its_reason(
    house: OwnAccessHouse, waiting: tuple[str, Caller, str], changes: dict[str, Any], error: dict[str, str]
) -> None:
    review_id, _, _ = waiting
    officer = house.officer()
    house.dossier.take_review(officer, review_id=review_id)
    with pytest.raises(InvalidInput) as refused:
        house.dossier.settle_review(officer, review_id=review_id, **{"verdict": "justified", "note": "x"} | changes)
    assert refused.value.detail["errors"] == [error]
    assert [row.state for row in house.rows(Review)] == ["taken"]


# --- the queue ----------------------------------------------------------------------------------------------


def test_the_queue_is_narrowed_and_comes_in_pages_the_longest_waiting_first(house: OwnAccessHouse) -> None:
    doctor, pharmacist, officer = house.of_emergency(), house.professional("pharmacist"), house.officer()
    records = [house.holder()[1] for _ in range(5)]
    for record_id in records:
        house.break_glass(doctor, record_id)
    house.engage(pharmacist, records[0])
    everything = house.dossier.reviews(officer)["reviews"]
    assert [each["record_id"] for each in everything] == [*records, records[0]]
    taken = everything[1]["review_id"]
    house.dossier.take_review(officer, review_id=taken)
    assert [each["review_id"] for each in house.dossier.reviews(officer, state="taken")["reviews"]] == [taken]
    assert [each["kind"] for each in house.dossier.reviews(officer, kind="responsibility")["reviews"]] == [
        "responsibility"
    ]
    seen, cursor = [], None
    while True:
        page = house.dossier.reviews(officer, state="waiting", kind="emergency", limit=3, cursor=cursor)
        seen.append([each["record_id"] for each in page["reviews"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [[records[0], records[2], records[3]], [records[4]]]
    assert house.dossier.reviews(officer, cursor=new_id())["reviews"] == []
    one = everything[2]
    assert [each["review_id"] for each in house.dossier.reviews(officer, mandate_id=one["mandate_id"])["reviews"]] == [
        one["review_id"]
    ]
    assert house.dossier.reviews(officer, mandate_id=one["mandate_id"], state="taken")["reviews"] == []


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"state": "lost"}, {"pointer": "/state", "message": "choice"}),
        ({"kind": "presence"}, {"pointer": "/kind", "message": "choice"}),
        ({"limit": 0}, {"pointer": "/limit", "message": "range"}),
        ({"limit": 101}, {"pointer": "/limit", "message": "range"}),
        ({"cursor": "there"}, {"pointer": "/cursor", "message": "cursor"}),
        ({"mandate_id": "that one"}, {"pointer": "/mandate_id", "message": "uuid"}),
    ],
)
def test_a_queue_that_cannot_be_shown_is_pointed_at(
    house: OwnAccessHouse, asked: dict[str, Any], error: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        house.dossier.reviews(house.officer(), **asked)
    assert refused.value.detail["errors"] == [error]


# --- statistics ---------------------------------------------------------------------------------------------


class Doings:
    """What professionals did over some days, written as it would have been."""

    def __init__(self, house: OwnAccessHouse, at: datetime) -> None:
        self.house, self.at = house, at
        self.rows: list[Any] = []

    def professional(self) -> str:
        professional_id = new_id()
        self.rows.append(
            Professional(
                professional_id=professional_id, profession="physician", licence="valid", establishment_ids=[],
                version=1,
            )
        )  # fmt: skip
        return professional_id

    def mandate(self, whose: str, kind: str, at: datetime | None = None, **more: Any) -> str:
        begun, mandate_id = at or self.at, new_id()
        self.rows.append(
            Mandate(
                mandate_id=mandate_id, record_id=self.house.holder()[1], professional_id=whose, kind=kind,
                wording_version="x", starts_at=begun, read_until=begun, deposit_until=begun, **more,
            )
        )  # fmt: skip
        return mandate_id

    def own(self, whose: str, kind: str, verdict: str | None = None, at: datetime | None = None) -> None:
        mandate_id = self.mandate(whose, kind, at)
        record_id = self.rows[-1].record_id
        self.rows.append(
            Review(
                review_id=new_id(), record_id=record_id, mandate_id=mandate_id, kind=kind, professional_id=whose,
                opened_at=at or self.at, state="settled" if verdict else "waiting", verdict=verdict,
            )
        )  # fmt: skip

    def first(self, whose: str, ground: str, at: datetime | None = None, **more: Any) -> None:
        self.rows.append(
            FirstAccess(
                record_id=self.house.holder()[1], professional_id=whose, ground=ground, at=at or self.at,
                last_at=at or self.at, **more,
            )
        )  # fmt: skip

    def written(self) -> None:
        with self.house.sessions.transaction() as session:
            for kind in (Professional, Mandate, Review, FirstAccess):
                session.add_all([row for row in self.rows if isinstance(row, kind)])
                session.flush()


def test_statistics_set_each_professionals_own_accesses_beside_those_that_people_gave_them(
    house: OwnAccessHouse,
) -> None:
    at = datetime(2026, 3, 3, 12, tzinfo=UTC)
    doings = Doings(house, at)
    keen, careful, calm = (doings.professional() for _ in range(3))
    for verdict in ("justified", "not_justified", "not_justified", None):
        doings.own(keen, "emergency", verdict)
    doings.own(keen, "responsibility", "justified")
    doings.own(careful, "emergency", "justified")
    for _ in range(3):
        doings.mandate(careful, "presence")
        doings.first(careful, "presence")  # the same coming once more: its mandate counts already
    doings.first(careful, "circle")
    doings.first(careful, "referring_physician")
    doings.first(careful, "admission")
    doings.first(careful, "emergency")
    doings.mandate(calm, "presence")
    for elsewhere in (at - timedelta(days=3), at + timedelta(days=3)):
        doings.mandate(careful, "presence", elsewhere)
        doings.first(careful, "circle", elsewhere)
        doings.own(careful, "emergency", "justified", elsewhere)
    doings.mandate(careful, "presence", copied_from=new_id())
    doings.first(careful, "circle", copied_from=new_id())
    doings.written()
    with house.statements() as said:
        answer = house.dossier.review_statistics(house.officer(), since="2026-03-02", until="2026-03-04")
    assert len([statement for statement in said if "reviews" in statement]) == 1, "one statement counts it all"
    none = {"opened": 0, "justified": 0, "not_justified": 0, "waiting": 0}
    assert answer["professionals"] == [
        {
            "professional_id": keen, "normal": 0,
            "emergency": {"opened": 4, "justified": 1, "not_justified": 2, "waiting": 1},
            "responsibility": {"opened": 1, "justified": 1, "not_justified": 0, "waiting": 0},
        },
        {
            "professional_id": careful, "normal": 6, "emergency": {**none, "opened": 1, "justified": 1},
            "responsibility": none,
        },
    ]  # fmt: skip
    assert answer["next_cursor"] is None
    assert calm not in str(answer), "whoever never came on their own word is not counted"


def test_what_really_happens_is_what_is_counted(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    house.enter(doctor, record_id, house.code(record_id))
    house.dossier.read_record(doctor, record_id=record_id)
    other_holder, other = house.holder()
    house.dossier.add_to_circle(other_holder, record_id=other, professional_id=doctor.professional_id)
    house.dossier.read_record(doctor, record_id=other)
    house.break_glass(doctor, house.holder()[1])
    [counted] = house.dossier.review_statistics(house.officer(), **today())["professionals"]
    assert (counted["professional_id"], counted["normal"]) == (doctor.professional_id, 2)
    assert counted["emergency"] == {"opened": 1, "justified": 0, "not_justified": 0, "waiting": 1}
    assert len(house.rows(CircleMember)) == 1


def test_days_begin_and_end_at_midnight_in_luxembourg(house: OwnAccessHouse) -> None:
    doings = Doings(house, datetime(2026, 7, 1, 22, 30, tzinfo=UTC))  # half past midnight on 2 July there
    whose = doings.professional()
    doings.own(whose, "emergency")
    doings.written()
    for day, found in (("2026-07-01", 0), ("2026-07-02", 1), ("2026-07-03", 0)):
        page = house.dossier.review_statistics(house.officer(), since=day, until=day)
        assert len(page["professionals"]) == found, day


def test_statistics_come_in_pages_without_gaps(house: OwnAccessHouse) -> None:
    doings = Doings(house, now())
    wanted = {doings.professional(): turn // 2 + 1 for turn in range(7)}
    for whose, times in wanted.items():
        for _ in range(times):
            doings.own(whose, "emergency")
    doings.written()
    seen, cursor = [], None
    while True:
        page = house.dossier.review_statistics(house.officer(), **today(), limit=3, cursor=cursor)
        seen += [(each["professional_id"], each["emergency"]["opened"]) for each in page["professionals"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert dict(seen) == wanted and len(seen) == 7
    assert [times for _, times in seen] == sorted(wanted.values(), reverse=True)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"since": "hier"}, {"pointer": "/from", "message": "date"}),
        ({"until": None}, {"pointer": "/to", "message": "date"}),
        ({"until": "2026-01-31"}, {"pointer": "/to", "message": "before_beginning"}),
        ({"since": "2020-01-01"}, {"pointer": "/to", "message": "range"}),
        ({"since": "0001-01-01"}, {"pointer": "/from", "message": "range"}),
        ({"cursor": "12"}, {"pointer": "/cursor", "message": "cursor"}),
        ({"cursor": "²." + new_id()}, {"pointer": "/cursor", "message": "cursor"}),
    ],
)
def test_a_period_that_is_none_is_pointed_at(
    house: OwnAccessHouse, asked: dict[str, Any], error: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        house.dossier.review_statistics(house.officer(), **{"since": "2026-02-01", "until": "2026-02-28"} | asked)
    assert refused.value.detail["errors"] == [error]


def test_every_own_access_has_exactly_one_review(house: OwnAccessHouse) -> None:
    house.break_glass(house.of_emergency(), house.holder()[1])
    house.engage(house.professional("pharmacist"), house.holder()[1])
    house.enter(house.professional(), *(lambda record_id: (record_id, house.code(record_id)))(house.holder()[1]))
    mandates = {row.mandate_id: row.kind for row in house.rows(Mandate)}
    reviewed = [mandates[row.mandate_id] for row in house.rows(Review)]
    assert sorted(reviewed) == ["emergency", "responsibility"]
    with pytest.raises(sa.exc.IntegrityError), house.sessions.transaction() as session:
        [row, _] = session.scalars(sa.select(Review)).all()
        session.add(
            Review(
                review_id=new_id(), record_id=row.record_id, mandate_id=row.mandate_id, kind=row.kind,
                professional_id=row.professional_id, opened_at=row.opened_at, state="waiting",
            )
        )  # fmt: skip
