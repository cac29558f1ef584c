"""The health fund's list of referring physicians over a real database: each line for itself, and once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from services.db import new_id, now
from services.dossier import rules_referring, store_deadlines, store_referring
from services.dossier.models_entourage import ReferringPhysician
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.dossier_twins import grounds, merged

FIRST = now().astimezone(rules_referring.HERE).date().replace(day=1)
LAST_MONTH = (FIRST - timedelta(days=1)).replace(day=1)
BEFORE_THAT = (LAST_MONTH - timedelta(days=1)).replace(day=1)
NEXT = (FIRST + timedelta(days=32)).replace(day=1)


def line(record_id: str, doctor: Caller, on: date | None = None, ended: date | None = None) -> dict[str, Any]:
    days = {"effective_on": on and on.isoformat(), "ended_on": ended and ended.isoformat()}
    return {"record_id": record_id, "professional_id": doctor.professional_id,
            **{name: day for name, day in days.items() if day}}  # fmt: skip


def feed(house: DossierHouse, *lines: dict[str, Any]) -> list[tuple[str, str | None]]:
    answer = house.dossier.transcribe_referring_physicians(house.agent, lines=list(lines))
    assert [each["line"] for each in answer["lines"]] == list(range(1, len(lines) + 1))
    return [(each["outcome"], each["reason"]) for each in answer["lines"]]


def steps(house: DossierHouse) -> list[tuple[str, str]]:
    while house.dossier._do_due(now()):
        pass
    events = house.events("referring_physician_changed.v1")
    return [(each["state"], each["professional_id"]) for each in events]


def test_a_line_makes_a_referring_physician_and_the_same_line_again_changes_nothing(house: DossierHouse) -> None:
    (_, record_id), doctor = house.holder(), house.professional()
    asked = line(record_id, doctor, FIRST)
    assert feed(house, asked) == [("added", None)]
    assert grounds(house, doctor, record_id) == ["referring_physician"]
    assert feed(house, asked, asked) == [("unchanged", None)] * 2
    [row] = house.rows(ReferringPhysician)
    assert (row.proposed_by, row.effective_at) == ("health_fund", rules_referring.midnight(FIRST))
    assert steps(house) == [("effective", doctor.professional_id)]
    assert [trace["count"] for trace in house.traces("referring.transcribed")] == [1, 2]


def test_what_begins_next_month_is_no_ground_before(house: DossierHouse) -> None:
    (_, record_id), doctor = house.holder(), house.professional()
    assert feed(house, line(record_id, doctor, NEXT)) == [("added", None)]
    assert grounds(house, doctor, record_id) == [] and steps(house) == []


def test_a_new_physician_ends_the_one_before_in_whatever_order_the_lines_come(house: DossierHouse) -> None:
    (_, one), (_, other) = house.holder(), house.holder()
    old, new = house.professional(), house.professional()
    assert feed(
        house, line(one, old, LAST_MONTH), line(one, new, FIRST), line(other, new, FIRST), line(other, old, LAST_MONTH)
    ) == [("added", None)] * 4  # fmt: skip
    for record_id in (one, other):
        assert grounds(house, new, record_id) == ["referring_physician"] and grounds(house, old, record_id) == []
        rows = {row.professional_id: row for row in house.rows(ReferringPhysician) if row.record_id == record_id}
        assert rows[str(old.professional_id)].ends_at == rules_referring.midnight(FIRST)


def test_whom_the_list_ends_late_had_the_ground_until_it_was_told(house: DossierHouse) -> None:
    (_, record_id), old, new = house.holder(), house.professional(), house.professional()
    feed(house, line(record_id, old, BEFORE_THAT))
    assert grounds(house, old, record_id) == ["referring_physician"]
    before = now()
    feed(house, line(record_id, new, LAST_MONTH))
    rows = {row.professional_id: row for row in house.rows(ReferringPhysician)}
    ended = rows[str(old.professional_id)]
    assert (ended.ends_at, ended.end_cause) == (rules_referring.midnight(LAST_MONTH), "replaced")
    assert ended.ended_at >= before, "no page of the past is written anew"
    assert grounds(house, old, record_id) == []
    assert set(steps(house)) == {("ended", old.professional_id), ("effective", new.professional_id)}


def test_an_end_is_transcribed_and_then_nobody_is_there(house: DossierHouse) -> None:
    (_, record_id), doctor = house.holder(), house.professional()
    feed(house, line(record_id, doctor, LAST_MONTH))
    end = line(record_id, doctor, ended=FIRST)
    assert feed(house, end) == [("changed", None)] and feed(house, end) == [("unchanged", None)]
    assert grounds(house, doctor, record_id) == []
    assert feed(house, line(record_id, house.professional(), ended=FIRST)) == [("refused", "designation_not_found")]
    assert feed(house, line(record_id, doctor, LAST_MONTH, FIRST)) == [("unchanged", None)]


def test_whoever_stands_in_ends_with_whom_the_list_ends_and_it_is_told_now(house: DossierHouse) -> None:
    (_, record_id), main, stand_in = house.holder(), house.professional(), house.professional()
    feed(house, line(record_id, main, BEFORE_THAT))
    [replaced] = house.rows(ReferringPhysician)
    begun, foreseen = rules_referring.midnight(LAST_MONTH), rules_referring.midnight(FIRST) + timedelta(days=200)
    with house.sessions.transaction() as session:
        row = ReferringPhysician(
            designation_id=new_id(), record_id=record_id, professional_id=stand_in.professional_id,
            replaces_id=replaced.designation_id, proposed_by="holder", proposed_at=begun, holder_signed_at=begun,
            physician_signed_at=begun, notified_at=begun, effective_at=begun, ends_at=foreseen,
        )  # fmt: skip
        session.add(row)
        store_deadlines.put(session, store_referring.END, row.designation_id, record_id, foreseen)
    assert grounds(house, stand_in, record_id) == ["referring_physician"]
    assert feed(house, line(record_id, main, ended=FIRST)) == [("changed", None)]
    assert grounds(house, stand_in, record_id) == []
    assert {who for state, who in steps(house) if state == "ended"} == {
        main.professional_id, stand_in.professional_id
    }  # fmt: skip


def test_a_designation_made_here_is_known_to_the_list_and_ended_by_it(house: DossierHouse) -> None:
    (holder, record_id), doctor, other = house.holder(), house.professional(), house.professional()
    d, asked = house.dossier, {"record_id": record_id}
    proposed = d.propose_referring_physician(holder, **asked, professional_id=doctor.professional_id)
    asked["designation_id"] = proposed["designation_id"]
    d.sign_referring_physician(doctor, **asked)
    d.notify_referring_physician(doctor, **asked)
    effective = rules_referring.effective_after(now()).astimezone(rules_referring.HERE).date()
    assert feed(house, line(record_id, doctor, effective)) == [("unchanged", None)]
    assert feed(house, line(record_id, other, effective)) == [("added", None)], "of the same day the list is believed"
    rows = {row.professional_id: row for row in house.rows(ReferringPhysician)}
    assert rows[str(doctor.professional_id)].ends_at == rows[str(doctor.professional_id)].effective_at


def test_every_faulty_line_is_refused_for_itself_with_its_reason(house: DossierHouse) -> None:
    (_, record_id), (_, closed), doctor = house.holder(), house.holder(), house.professional()
    house.set_state(closed, "closed")
    nurse, unknown = house.professional("nurse"), builders.caller("professional")
    given = [
        line(record_id, doctor, FIRST), line(new_id(), doctor, FIRST), line(closed, doctor, FIRST),
        line(record_id, nurse, FIRST), line(record_id, unknown, FIRST), line(record_id, doctor),
        line(record_id, doctor, FIRST + timedelta(days=1)), {**line(record_id, doctor, FIRST), "patient_id": new_id()},
        {"professional_id": "x", "record_id": 7, "effective_on": []},
        *({**line(record_id, doctor), name: day} for name in ("effective_on", "ended_on")
          for day in ("0001-01-01", "9999-12-01")),
    ]  # fmt: skip
    assert feed(house, *given) == [
        ("added", None), ("refused", "record_not_found"), ("refused", "record_closed"), ("refused", "not_a_physician"),
        ("refused", "professional_not_found"), ("refused", "incomplete"), ("refused", "not_first_of_month"),
        ("refused", "incomplete"), ("refused", "date"), *[("refused", "date")] * 4,
    ]  # fmt: skip
    assert len(house.rows(ReferringPhysician)) == 1


def test_a_patient_is_named_as_well_and_after_a_merge_both_names_mean_one_record(house: DossierHouse) -> None:
    (holder, record_id), (twin, other), doctor = house.holder(), house.holder(), house.professional()
    of_patient = {"patient_id": holder.patient_id, "professional_id": doctor.professional_id,
                  "effective_on": FIRST.isoformat()}  # fmt: skip
    assert feed(house, of_patient) == [("added", None)]
    merged(house, holder, twin)
    assert feed(house, {**of_patient, "patient_id": twin.patient_id}) == [("unchanged", None)]
    assert feed(house, line(other, doctor, FIRST)) == [("unchanged", None)]
    assert [row.record_id for row in house.rows(ReferringPhysician)] == [record_id]


def test_agents_alone_transcribe_and_no_more_than_the_lines_of_one_feed(house: DossierHouse) -> None:
    (holder, record_id), doctor = house.holder(), house.professional()
    lines = [line(record_id, doctor, FIRST)]
    for caller in (holder, doctor):
        answer = house.dossier.transcribe_referring_physicians(caller, lines=lines)
        assert refusal_code(answer) == "not_allowed"
    for wrong in ([], lines * 501, "lines", [7]):
        with pytest.raises(InvalidInput):
            house.dossier.transcribe_referring_physicians(house.agent, lines=wrong)
    assert house.rows(ReferringPhysician) == []
    again = replace(house.agent, context=builders.context(idempotency_key="feed"))
    first = house.dossier.transcribe_referring_physicians(again, lines=lines)
    assert house.dossier.transcribe_referring_physicians(again, lines=lines) == first
    assert first["lines"][0]["outcome"] == "added"


def test_hundreds_of_lines_cost_hardly_more_statements_than_two(house: DossierHouse) -> None:
    doctor, records = house.professional(), [house.holder()[1] for _ in range(12)]

    def cost(lines: list[dict[str, Any]]) -> int:
        with house.statements() as seen:
            house.dossier.transcribe_referring_physicians(house.agent, lines=lines)
        return len(seen)

    few = cost([line(record_id, doctor, LAST_MONTH) for record_id in records[:2]])
    many = cost([line(record_id, doctor, FIRST) for record_id in records for _ in range(40)])
    assert many <= few + 2
