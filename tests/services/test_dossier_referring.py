"""The referring physician over a real database: both sign, one at a time, from the 1st on, until it ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local.supervise import wait_until
from services.db import new_id, now, rfc3339
from services.dossier import rules_referring, store_referring
from services.dossier.models_desk import Deadline
from services.dossier.models_entourage import Assistant, ReferringPhysician, Representative
from services.dossier.rules_referring import HERE
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import RISK, DossierHouse, refusal_code
from tests.services.dossier_twins import grounds, trust

DAY = timedelta(days=1)
YEAR = timedelta(days=366)
MOMENTS = (
    "proposed_at",
    "holder_signed_at",
    "physician_signed_at",
    "notified_at",
    "effective_at",
    "ends_at",
    "ended_at",
)


class Desk:
    """One record, its holder, and the acts of designating."""

    def __init__(self, house: DossierHouse) -> None:
        self.house, self.dossier = house, house.dossier
        self.holder, self.record_id = house.holder()

    def propose(self, who: Caller, doctor: Caller | None = None, **facts: Any) -> Any:
        whose = {} if doctor is None else {"professional_id": doctor.professional_id}
        return self.dossier.propose_referring_physician(who, record_id=self.record_id, **whose, **facts)

    def sign(self, who: Caller, designation_id: str) -> Any:
        return self.dossier.sign_referring_physician(who, record_id=self.record_id, designation_id=designation_id)

    def notify(self, who: Caller, designation_id: str) -> Any:
        return self.dossier.notify_referring_physician(who, record_id=self.record_id, designation_id=designation_id)

    def end(self, who: Caller, designation_id: str, cause: str = "notice") -> Any:
        asked = {"record_id": self.record_id, "designation_id": designation_id, "cause": cause}
        return self.dossier.end_referring_physician(who, **asked)

    def read(self, who: Caller) -> Any:
        return self.dossier.referring_physician(who, record_id=self.record_id)

    def current(self) -> str | None:
        found = self.read(self.holder)["current"]
        return found and str(found["professional_id"])

    def designate(self, doctor: Caller, **facts: Any) -> str:
        """Proposed by the holder, signed and notified by the physician."""
        proposed = self.propose(self.holder, doctor, **facts)
        designation_id = str(proposed["designation_id"])
        assert self.sign(doctor, designation_id)["state"] == "signed"
        assert self.notify(doctor, designation_id)["state"] == "notified"
        return designation_id

    def refer(self, doctor: Caller) -> str:
        """A physician who has been the referring physician for some days."""
        designation_id = self.designate(doctor)
        self.pass_time(40 * DAY)
        self.steps()
        return designation_id

    def pass_time(self, by: timedelta) -> None:
        with self.house.sessions.transaction() as session:
            row = ReferringPhysician
            session.execute(sa.update(row).values({name: getattr(row, name) - by for name in MOMENTS}))
            due = Deadline.kind.startswith("referring")
            session.execute(sa.update(Deadline).where(due).values(due_at=Deadline.due_at - by))

    def steps(self) -> int:
        taken = 0
        while self.dossier._do_due(now()):
            taken += 1
        return taken

    def grounds(self, who: Caller) -> list[str]:
        return grounds(self.house, who, self.record_id)

    def told(self, state: str | None = None) -> list[tuple[str, str]]:
        events = self.house.events("referring_physician_changed.v1")
        return [(each["state"], each["professional_id"]) for each in events if state in (None, each["state"])]


def waiting(house: DossierHouse) -> int:
    """How many wait for somebody else's lock."""
    with house.sessions.transaction() as session:
        blocked = "datname = current_database() and wait_event_type = 'Lock'"
        return int(session.scalar(sa.text(f"select count(*) from pg_stat_activity where {blocked}")) or 0)


@pytest.fixture
def desk(house: DossierHouse) -> Desk:
    return Desk(house)


# --- designation ------------------------------------------------------------------------------------------------------


def test_a_designation_signed_by_both_and_notified_counts_from_the_1st_on_and_not_before(desk: Desk) -> None:
    doctor = desk.house.professional()
    proposed = desk.propose(desk.holder, doctor)
    assert (proposed["state"], proposed["proposed_by"], proposed["created"]) == ("proposed", "holder", True)
    [told] = desk.house.events("referring_physician_proposed.v1")
    assert (told["professional_id"], told["proposed_by"]) == (doctor.professional_id, "holder")
    assert desk.grounds(doctor) == []
    [own] = desk.read(doctor)["designations"]
    assert own["designation_id"] == proposed["designation_id"]
    desk.sign(doctor, proposed["designation_id"])
    assert desk.grounds(doctor) == [], "signed by both, and the health fund knows nothing yet"
    notified = desk.notify(doctor, proposed["designation_id"])
    effective = datetime.fromisoformat(notified["effective_at"])
    assert effective.astimezone(HERE).day == 1 and effective > now()
    assert desk.notify(doctor, proposed["designation_id"]) == notified, "a second notice is the first"
    assert desk.grounds(doctor) == [] and desk.current() is None and desk.steps() == 0
    desk.pass_time(effective - now() - timedelta(minutes=1))
    assert desk.grounds(doctor) == []
    desk.pass_time(timedelta(minutes=1))
    assert desk.grounds(doctor) == ["referring_physician"] and desk.current() == doctor.professional_id
    assert desk.told() == []
    assert desk.steps() == 1 and desk.steps() == 0
    assert desk.told() == [("effective", doctor.professional_id)]
    scope = desk.house.scope(doctor, desk.record_id)
    assert scope.clauses[0].rule == "referring_physician" and "access_traces" in scope.clauses[0].read


def test_a_physician_who_reads_proposes_themselves_and_the_holder_signs(desk: Desk) -> None:
    doctor = desk.house.professional()
    assert refusal_code(desk.propose(doctor)) == "record_not_found", "without a ground there is nothing to propose for"
    trust(desk.house, desk.holder, desk.record_id, doctor)
    proposed = desk.propose(doctor)
    assert (proposed["proposed_by"], proposed["state"]) == ("professional", "proposed")
    assert refusal_code(desk.notify(doctor, proposed["designation_id"])) == "designation_not_signed"
    assert desk.sign(desk.holder, proposed["designation_id"])["state"] == "signed"
    assert desk.notify(doctor, proposed["designation_id"])["state"] == "notified"


@pytest.mark.parametrize("side", ["holder", "physician"])
def test_a_designation_that_one_side_has_not_signed_never_counts(desk: Desk, side: str) -> None:
    doctor = desk.house.professional()
    trust(desk.house, desk.holder, desk.record_id, doctor)
    proposed = desk.propose(*((desk.holder, doctor) if side == "holder" else (doctor,)))
    signer = desk.holder if side == "holder" else doctor
    desk.sign(signer, proposed["designation_id"])
    assert refusal_code(desk.notify(doctor, proposed["designation_id"])) == "designation_not_signed"
    desk.pass_time(YEAR)
    assert desk.steps() == 0 and desk.grounds(doctor) == ["circle"] and desk.current() is None


def test_what_the_other_side_proposed_already_is_signed_by_proposing_it(desk: Desk) -> None:
    doctor = desk.house.professional()
    trust(desk.house, desk.holder, desk.record_id, doctor)
    first, again, other = desk.propose(doctor), desk.propose(doctor), desk.propose(desk.holder, doctor)
    assert {one["designation_id"] for one in (first, again, other)} == {first["designation_id"]}
    assert (again["created"], again["state"], other["state"]) == (False, "proposed", "signed")
    assert len(desk.house.events("referring_physician_proposed.v1")) == 1


def test_only_a_physician_may_be_designated(desk: Desk) -> None:
    nurse = desk.house.professional("nurse")
    trust(desk.house, desk.holder, desk.record_id, nurse)
    assert refusal_code(desk.propose(desk.holder, nurse)) == "not_a_physician"
    assert refusal_code(desk.propose(nurse)) == "not_a_physician"
    assert refusal_code(desk.propose(desk.holder, builders.caller("professional"))) == "professional_not_found"
    assert desk.propose(desk.holder, desk.house.professional())["created"]


def test_a_physician_proposes_nobody_else_and_a_mandate_that_only_deposits_is_no_reading_ground(desk: Desk) -> None:
    doctor, other = desk.house.professional(), desk.house.professional()
    desk.house.enter(doctor, desk.record_id, desk.house.code(desk.record_id))
    assert refusal_code(desk.propose(doctor, other)) == "not_allowed"
    desk.house.age_mandates(desk.record_id, 2 * DAY)
    assert refusal_code(desk.propose(doctor)) == "not_allowed"
    desk.house.age_mandates(desk.record_id, -2 * DAY)
    assert desk.propose(doctor)["created"]


def test_a_barred_physician_cannot_be_designated_nor_signed_for(desk: Desk) -> None:
    doctor = desk.house.professional()
    trust(desk.house, desk.holder, desk.record_id, doctor)
    proposed = desk.propose(doctor)
    bar = {"record_id": desk.record_id, "professional_id": doctor.professional_id, **RISK}
    desk.dossier.block_professional(desk.holder, **bar)
    assert refusal_code(desk.sign(desk.holder, proposed["designation_id"])) == "professional_blocked"
    assert refusal_code(desk.propose(desk.holder, doctor)) == "professional_blocked"
    for answer in (desk.read(doctor), desk.propose(doctor), desk.notify(doctor, proposed["designation_id"])):
        assert refusal_code(answer) == "record_not_found"


def test_assistants_read_who_it_is_and_representatives_sign(desk: Desk) -> None:
    house, doctor = desk.house, desk.house.professional()
    helper, guardian = builders.caller("patient"), builders.caller("patient")
    with house.sessions.transaction() as session:
        session.add(Assistant(
            assistant_id=new_id(), record_id=desk.record_id, patient_id=helper.patient_id, name="x",
            invited_by=new_id(), invited_at=now() - DAY, code_until=now(), accepted_at=now() - DAY,
        ))  # fmt: skip
        session.add(Representative(
            representative_id=new_id(), record_id=desk.record_id, patient_id=guardian.patient_id, kind="guardian",
            proof="x", since=now() - DAY, recorded_by=new_id(), until_cause="agency",
        ))  # fmt: skip
    assert refusal_code(desk.propose(helper, doctor)) == "not_allowed"
    assert desk.propose(guardian, doctor)["state"] == "proposed"
    assert len(desk.read(helper)["designations"]) == 1
    [trace] = [trace for trace in house.traces("referring.proposed") if trace["outcome"] == "allowed"]
    assert (trace["ground"], trace["account_id"]) == ("legal_representative", guardian.account_id)


def test_others_see_who_it_is_in_the_care_context_and_no_designations(desk: Desk) -> None:
    doctor, friend, stranger = (desk.house.professional() for _ in range(3))
    trust(desk.house, desk.holder, desk.record_id, friend)
    desk.refer(doctor)
    pending = desk.propose(desk.holder, desk.house.professional())
    assert refusal_code(desk.read(stranger)) == refusal_code(desk.read(desk.house.agent)) == "record_not_found"
    seen = desk.read(friend)
    assert seen["current"]["professional_id"] == doctor.professional_id and seen["designations"] == []
    assert refusal_code(desk.sign(friend, pending["designation_id"])) == "designation_not_found"
    assert refusal_code(desk.sign(stranger, pending["designation_id"])) == "record_not_found"
    assert refusal_code(desk.notify(desk.holder, pending["designation_id"])) == "not_allowed"
    assert refusal_code(desk.sign(desk.holder, new_id())) == "designation_not_found"
    desk.house.set_state(desk.record_id, "closed")
    assert refusal_code(desk.read(desk.holder)) == "record_closed"
    assert refusal_code(desk.read(doctor)) == "record_not_found"


def test_who_only_deposits_is_not_told_who_it_is_and_sees_their_own_designation_all_the_same(desk: Desk) -> None:
    doctor, laboratory = desk.house.professional(), desk.house.professional()
    desk.refer(doctor)
    order = {"record_id": desk.record_id, "reference": "LAB-1"}
    assert desk.dossier.register_order(desk.house.software(laboratory), **order)["kind"] == "order"
    assert refusal_code(desk.read(laboratory)) == "record_not_found"
    proposed = desk.propose(desk.holder, laboratory)
    seen = desk.read(laboratory)
    assert [one["designation_id"] for one in seen["designations"]] == [proposed["designation_id"]]
    assert seen["current"] is None
    trust(desk.house, desk.holder, desk.record_id, laboratory)
    assert desk.read(laboratory)["current"]["professional_id"] == doctor.professional_id, "once they read"


# --- one at a time ----------------------------------------------------------------------------------------------------


def test_a_new_one_takes_over_at_the_moment_the_old_one_ends(desk: Desk) -> None:
    old, new = desk.house.professional(), desk.house.professional()
    desk.refer(old)
    first = desk.designate(new)
    assert ("ending", old.professional_id) in desk.told()
    effective = next(row.effective_at for row in desk.house.rows(ReferringPhysician) if row.designation_id == first)
    assert desk.grounds(old) == ["referring_physician"] and desk.grounds(new) == []
    desk.pass_time(effective - now())
    assert desk.grounds(old) == [] and desk.grounds(new) == ["referring_physician"]
    assert desk.current() == new.professional_id
    assert desk.steps() == 2
    assert set(desk.told()[-2:]) == {("ended", old.professional_id), ("effective", new.professional_id)}
    ended = next(row for row in desk.house.rows(ReferringPhysician) if row.designation_id != first)
    assert ended.end_cause == "replaced" and ended.ended_at == ended.ends_at


def test_while_one_is_to_take_effect_no_other_is_notified(desk: Desk) -> None:
    first, second = desk.house.professional(), desk.house.professional()
    desk.designate(first)
    proposed = desk.propose(desk.holder, second)["designation_id"]
    desk.sign(second, proposed)
    assert refusal_code(desk.notify(second, proposed)) == "designation_pending"
    desk.pass_time(40 * DAY)
    assert desk.notify(second, proposed)["state"] == "notified"


def test_of_many_notices_at_the_same_moment_one_is_taken_and_no_two_ever_overlap(desk: Desk) -> None:
    doctors = [desk.house.professional() for _ in range(6)]
    desk.refer(doctors[0])
    ready = []
    for doctor in doctors[1:]:
        designation_id = desk.propose(desk.holder, doctor)["designation_id"]
        desk.sign(doctor, designation_id)
        ready.append((doctor, designation_id))
    with ThreadPoolExecutor(len(ready)) as pool:
        with desk.house.sessions.transaction() as session:
            # Whoever has decided waits for the number of the event: without turns all would have decided by then.
            number = sa.text("select number from outbox_subjects where subject = :record_id for update")
            assert session.scalar(number, {"record_id": desk.record_id})
            at_once = [pool.submit(desk.notify, *one) for one in ready]
            assert wait_until(lambda: waiting(desk.house) == len(ready), 20)
        answers = [one.result(30) for one in at_once]
    taken = [answer for answer in answers if isinstance(answer, dict)]
    assert len(taken) == 1
    assert {refusal_code(each) for each in answers if not isinstance(each, dict)} == {"designation_pending"}
    spans = sorted(
        (row.effective_at, row.ends_at or datetime.max.replace(tzinfo=UTC))
        for row in desk.house.rows(ReferringPhysician) if row.effective_at
    )  # fmt: skip
    assert len(spans) == 2 and spans[0][1] == spans[1][0]


# --- replacement ------------------------------------------------------------------------------------------------------


def test_whoever_stands_in_has_the_ground_alone_and_it_comes_back_when_they_go(desk: Desk) -> None:
    main, stand_in = desk.house.professional(), desk.house.professional()
    replaced = desk.refer(main)
    until = rfc3339(rules_referring.effective_after(now()) + 60 * DAY)
    designation_id = desk.designate(stand_in, replaces_id=replaced, until=until)
    assert desk.grounds(main) == ["referring_physician"]
    desk.pass_time(40 * DAY)
    assert desk.grounds(stand_in) == ["referring_physician"] and desk.grounds(main) == []
    seen = desk.read(desk.holder)["current"]
    assert (seen["professional_id"], seen["stands_in_for"]) == (stand_in.professional_id, main.professional_id)
    desk.pass_time(60 * DAY)
    assert desk.grounds(stand_in) == [] and desk.grounds(main) == ["referring_physician"]
    assert desk.current() == main.professional_id
    desk.steps()
    assert desk.told("ended") == [("ended", stand_in.professional_id)]
    assert refusal_code(desk.end(desk.holder, designation_id)) == "designation_over"


def test_a_replacement_is_of_somebody_lasts_twelve_months_at_most_and_ends_with_them(desk: Desk) -> None:
    main, stand_in = desk.house.professional(), desk.house.professional()
    replaced = desk.refer(main)
    soon = rfc3339(rules_referring.effective_after(now()) + 300 * DAY)
    for facts, message in (
        ({"replaces_id": replaced}, "required"), ({"until": soon}, "only_of_replacement"),
        ({"replaces_id": replaced, "until": rfc3339(now() + 500 * DAY)}, "replacement_too_long"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as refused:
            desk.propose(desk.holder, stand_in, **facts)
        assert refused.value.detail["errors"] == [{"pointer": "/until", "message": message}]
    unknown = desk.propose(desk.holder, stand_in, replaces_id=new_id(), until=soon)
    assert refusal_code(unknown) == "designation_not_found"
    of_oneself = desk.propose(desk.holder, main, replaces_id=replaced, until=soon)
    assert refusal_code(of_oneself) == "designation_not_found"
    desk.designate(stand_in, replaces_id=replaced, until=soon)
    desk.pass_time(40 * DAY)
    desk.end(desk.holder, replaced)
    desk.end(main, replaced)
    assert desk.grounds(stand_in) == desk.grounds(main) == [] and desk.current() is None


def test_whoever_stands_in_is_told_that_they_end_with_whom_they_stand_in_for_and_a_proposed_one_is_not(
    desk: Desk,
) -> None:
    main, stand_in, proposed = (desk.house.professional() for _ in range(3))
    replaced = desk.refer(main)
    until = rfc3339(rules_referring.effective_after(now()) + 300 * DAY)
    desk.designate(stand_in, replaces_id=replaced, until=until)
    desk.pass_time(40 * DAY)
    desk.steps()
    desk.propose(desk.holder, proposed, replaces_id=replaced, until=until)
    assert desk.told("ending") == desk.told("ended") == []
    desk.end(main, replaced, "refusal")
    assert desk.told("ending") == [("ending", main.professional_id), ("ending", stand_in.professional_id)]
    desk.end(main, replaced)
    desk.end(desk.holder, replaced)
    desk.steps()
    assert desk.told("ended") == [("ended", main.professional_id), ("ended", stand_in.professional_id)]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_in_the_first_year_it_ends_when_both_have_asked(desk: Desk) -> None:
    doctor = desk.house.professional()
    designation_id = desk.refer(doctor)
    assert desk.end(desk.holder, designation_id)["end_asked_by"] == "holder"
    assert desk.end(desk.holder, designation_id)["state"] == "effective"
    assert desk.grounds(doctor) == ["referring_physician"]
    ended = desk.end(doctor, designation_id)
    assert (ended["state"], ended["end_cause"]) == ("ended", "mutual_agreement")
    assert desk.grounds(doctor) == [] and desk.told("ended") == [("ended", doctor.professional_id)]
    assert refusal_code(desk.end(doctor, designation_id)) == "designation_over"
    [row] = desk.house.rows(ReferringPhysician)
    assert row.ended_by == doctor.account_id and desk.steps() == 0


@pytest.mark.parametrize("side", ["holder", "physician"])
def test_after_the_first_year_either_side_gives_two_months_notice(desk: Desk, side: str) -> None:
    doctor = desk.house.professional()
    designation_id = desk.refer(doctor)
    desk.pass_time(YEAR)
    ending = desk.end(desk.holder if side == "holder" else doctor, designation_id)
    ends_at = datetime.fromisoformat(ending["ends_at"])
    assert 59 * DAY <= ends_at - now() <= 63 * DAY and ending["end_cause"] == "notice"
    assert desk.told("ending") == [("ending", doctor.professional_id)]
    desk.pass_time(ends_at - now() - timedelta(minutes=1))
    assert desk.grounds(doctor) == ["referring_physician"]
    desk.pass_time(timedelta(minutes=1))
    assert desk.grounds(doctor) == []
    assert desk.steps() == 1 and desk.told("ended") == [("ended", doctor.professional_id)]


def test_an_end_sent_twice_under_one_key_hears_the_same_and_under_another_that_it_is_over(desk: Desk) -> None:
    doctor = desk.house.professional()
    designation_id = desk.refer(doctor)
    desk.end(doctor, designation_id)
    keyed = replace(desk.holder, context=builders.context(idempotency_key="end"))
    ended = desk.end(keyed, designation_id)
    assert ended["state"] == "ended" and desk.end(keyed, designation_id) == ended
    assert refusal_code(desk.end(desk.holder, designation_id)) == "designation_over"
    assert desk.told("ended") == [("ended", doctor.professional_id)]


def test_a_physician_who_goes_on_no_longer_is_free_on_the_1st_and_the_holder_cannot_refuse_so(desk: Desk) -> None:
    doctor = desk.house.professional()
    designation_id = desk.refer(doctor)
    assert refusal_code(desk.end(desk.holder, designation_id, "refusal")) == "not_allowed"
    ends_at = datetime.fromisoformat(desk.end(doctor, designation_id, "refusal")["ends_at"])
    assert ends_at == rules_referring.effective_after(now())
    assert desk.grounds(doctor) == ["referring_physician"]


def test_what_was_not_notified_is_taken_back_at_once_by_either_side(desk: Desk) -> None:
    doctor, other = desk.house.professional(), desk.house.professional()
    own, asked = (desk.propose(desk.holder, who)["designation_id"] for who in (doctor, other))
    assert desk.end(desk.holder, own)["end_cause"] == "withdrawn"
    assert desk.end(other, asked)["end_cause"] == "refusal"
    assert refusal_code(desk.sign(doctor, own)) == refusal_code(desk.notify(other, asked)) == "designation_over"
    assert desk.told() == []
    with pytest.raises(InvalidInput):
        desk.end(desk.holder, own, "whim")


@pytest.mark.parametrize("cause", ["closing", "death"])
def test_with_its_record_it_ends_on_the_1st_by_death_at_once(desk: Desk, cause: str) -> None:
    doctor, asked, at = desk.house.professional(), desk.house.professional(), now()
    desk.refer(doctor)
    desk.propose(desk.holder, asked)
    with desk.house.sessions.transaction() as session:
        store_referring.end_on_closing(session, desk.record_id, at, cause)
    rows = {row.professional_id: row for row in desk.house.rows(ReferringPhysician)}
    assert rows[str(asked.professional_id)].ended_at == at
    closing = rows[str(doctor.professional_id)]
    assert closing.ends_at == (at if cause == "death" else rules_referring.effective_after(at))
    assert closing.end_cause == cause and desk.steps() == 1
    assert desk.told("ending") == ([] if cause == "death" else [("ending", doctor.professional_id)])
    assert desk.told("ended") == ([("ended", doctor.professional_id)] if cause == "death" else [])
    desk.pass_time(40 * DAY)
    desk.steps()
    assert desk.told("ended") == [("ended", doctor.professional_id)]


# --- asked twice, asked by whom ---------------------------------------------------------------------------------------


def test_a_proposal_sent_twice_under_one_key_is_one(desk: Desk) -> None:
    doctor = desk.house.professional()
    again = replace(desk.holder, context=builders.context(idempotency_key="one"))
    first, second = desk.propose(again, doctor), desk.propose(again, doctor)
    assert first == second and len(desk.house.traces("referring.proposed")) == 1


def test_every_act_leaves_one_trace_of_who_acted_and_on_what(desk: Desk) -> None:
    doctor = desk.house.professional()
    designation_id = desk.designate(doctor)
    desk.read(doctor)
    desk.end(desk.holder, designation_id)
    told = [
        (trace["action"], trace["ground"], trace["rule"], trace["object_id"])
        for trace in desk.house.traces() if trace["action"].startswith("referring.")
    ]  # fmt: skip
    asked = ("referring_physician", "referring_physician/asked")
    assert told == [
        ("referring.proposed", "holder", "holder", designation_id),
        ("referring.signed", *asked, designation_id),
        ("referring.notified", *asked, designation_id),
        ("referring.read", *asked, None),
        ("referring.ended", "holder", "holder", designation_id),
    ]
