"""Alerts over real databases: directory and dossier are asked, a notary seals the log, each cause is said once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.audit.alerting import AT_ONCE
from services.audit.contract import SUBSCRIPTIONS
from services.audit.models_cases import Alert, AlertProgress, Sighting
from services.db import new_id, now, rfc3339
from services.dossier.contract import (
    CircleMemberAdded,
    CircleMemberRemoved,
    GrantEnded,
    MandateEnded,
    MandateOpened,
    RecordsMerged,
    RecordsUnmerged,
    ReferringPhysicianChanged,
)
from services.refusals import Unavailable
from services.settings import load
from services.tokens import Caller
from tests.builders import any_matricule, caller
from tests.services.oversight_house import OversightHouse, rules_of
from tests.services.test_audit import AGENT, received

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(scope="module")
def built(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OversightHouse]:
    made = OversightHouse(database, Path(tmp_path_factory.mktemp("witness")))
    yield made
    made.close()


@pytest.fixture
def house(built: OversightHouse) -> OversightHouse:
    """One house for all, looked through: entries stay for ever, so each test looks at people of its own."""
    built.look()
    return built


# --- who is alike -----------------------------------------------------------------------------------------------------


def test_a_namesake_and_oneself_are_told_apart_and_strangers_are_not_asked_about(house: OversightHouse) -> None:
    own = any_matricule()
    doctor, stranger = house.doctor("Feltgen", own), house.doctor("Lopes")
    kin = house.record(house.patient("Weber", usual_name="Feltgen-Weber"))
    self_ = house.record(house.patient("Feltgen", own))
    for who in (doctor, stranger):
        for record_id in (kin, self_):
            house.came(who, record_id)
    house.look()
    assert rules_of(house.alerts_about(record_id=kin)) == ["same_surname"]
    assert rules_of(house.alerts_about(record_id=self_)) == ["own_record"]
    assert house.alerts_about(who=stranger) == []


def test_ones_own_record_is_found_under_a_sheet_that_was_merged_away(house: OversightHouse) -> None:
    own = any_matricule()
    doctor, former, survivor = house.doctor("Faber", own), house.patient("Faber", own), house.patient("Reuter")
    merged = {"survivor_id": survivor, "merged_id": former, "reason": "duplicate_registration"}
    house.ask("directory", "merge_patients", AGENT, **merged)
    record_id = house.record(survivor)
    house.came(doctor, record_id)
    house.look()
    assert rules_of(house.alerts_about(record_id=record_id)) == ["own_record"]


def test_no_name_is_in_what_audit_keeps_of_an_alert(house: OversightHouse) -> None:
    doctor, record_id = house.doctor("Ungewöhnlich"), house.record(house.patient("Ungewöhnlich"))
    house.came(doctor, record_id)
    house.look()
    with house.sessions["audit"].transaction() as session:
        kept = session.execute(sa.text("select row_to_json(a) from alerts a where record_id = :id"), {"id": record_id})
        assert "ngew" not in str(kept.all())


def test_who_was_refused_or_comes_as_a_patient_raises_nothing(house: OversightHouse) -> None:
    doctor, record_id = house.doctor("Majerus"), house.record(house.patient("Majerus"))
    house.came(doctor, record_id, outcome="refused", reason="record_not_found", ground=None)
    house.came(caller("patient"), record_id, ground="holder")
    house.look()
    assert house.alerts_about(record_id=record_id) == []


# --- what is counted --------------------------------------------------------------------------------------------------


def test_more_patients_than_the_setting_says_within_an_hour(house: OversightHouse) -> None:
    most = load().alert_patients_an_hour
    busy, busier, began = caller("professional"), caller("professional"), now() - 50 * MINUTE
    for number in range(most + 1):
        at = began + number * timedelta(seconds=30)
        house.came(busier, new_id(), at=at)
        if number < most:
            house.came(busy, new_id(), at=at)
    house.look(most=17)
    [alert] = house.alerts_about(who=busier)
    assert (alert.rule, alert.number) == ("many_patients", most + 1)
    assert house.alerts_about(who=busy) == []
    house.came(busier, new_id())
    house.look()
    assert len(house.alerts_about(who=busier)) == 1, "within the hour it is said once"


def test_more_wrong_codes_than_the_setting_says(house: OversightHouse) -> None:
    most = load().alert_failures_an_hour
    guesser, unlucky, patient = caller("professional"), caller("professional"), caller("patient")
    wrong = {"action": "mandate.opened", "outcome": "refused", "reason": "presence_code_refused", "ground": None}
    log_in = {**wrong, "action": "session.opened", "reason": "one_time_code_refused"}
    for number in range(most + 1):
        house.came(guesser, new_id(), **wrong)
        house.came(patient, **log_in)
        if number < most:
            house.came(unlucky, new_id(), **wrong)
    house.look()
    [alert] = house.alerts_about(who=guesser)
    assert (alert.rule, alert.number) == ("repeated_failures", most + 1)
    assert house.alerts_about(who=unlucky) == []
    with house.sessions["audit"].transaction() as session:
        of_patient = session.scalars(sa.select(Alert.rule).where(Alert.account_id == patient.account_id)).all()
    assert of_patient == ["repeated_failures"]


def test_what_was_counted_is_forgotten_after_a_day(house: OversightHouse) -> None:
    doctor = caller("professional")
    house.came(doctor, new_id())
    house.look()

    def kept() -> int:
        with house.sessions["audit"].transaction() as session:
            of_them = sa.select(sa.func.count()).where(Sighting.person_id == doctor.professional_id)
            return int(session.scalar(of_them) or 0)

    assert kept() == 1
    house.came(caller("professional"), new_id())
    house.look(now() + DAY + HOUR)
    assert kept() == 0


# --- care -------------------------------------------------------------------------------------------------------------


def hear(house: OversightHouse, event: Any, at: datetime) -> None:
    """Audit hears of something that dossier told at a time."""
    handler = getattr(house.audit, SUBSCRIPTIONS["dossier", event.type])
    with house.sessions["audit"].transaction() as session:
        handler(session, replace(received(event, "dossier"), time=rfc3339(at)))


Told = Callable[[str, Caller], Any]


def mandate_in(record_id: str) -> str:
    """One mandate of each record."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, record_id))


ENDS: list[tuple[str, Told, Told]] = [
    ("presence", lambda r, who: MandateOpened(r, mandate_in(r), who.professional_id, "presence", who.establishment_id),
     lambda r, who: MandateEnded(r, mandate_in(r), who.professional_id, "presence", who.establishment_id)),
    ("admission", lambda r, who: MandateOpened(r, mandate_in(r), None, "admission", who.establishment_id),
     lambda r, who: MandateEnded(r, mandate_in(r), None, "admission", who.establishment_id)),
    ("circle left", lambda r, who: CircleMemberAdded(r, str(who.professional_id)),
     lambda r, who: CircleMemberRemoved(r, str(who.professional_id))),
    ("circle over", lambda r, who: CircleMemberAdded(r, str(who.professional_id)),
     lambda r, who: GrantEnded(
         r, new_id(), "circle", new_id(), "professional", who.professional_id, "time", rfc3339(now() - 40 * DAY))),
    ("referring", lambda r, who: ReferringPhysicianChanged(
        r, new_id(), new_id(), str(who.professional_id), "effective", rfc3339(now() - 50 * DAY)),
     lambda r, who: ReferringPhysicianChanged(
         r, new_id(), new_id(), str(who.professional_id), "ended", rfc3339(now() - 40 * DAY))),
]  # fmt: skip


@pytest.mark.parametrize(("begins", "ends"), [each[1:] for each in ENDS], ids=[each[0] for each in ENDS])
@pytest.mark.parametrize("first", ["beginning", "end"])
def test_who_comes_back_after_the_care_ended_is_asked_about(
    house: OversightHouse, begins: Told, ends: Told, first: str
) -> None:
    record_id, doctor, stranger = new_id(), caller("professional"), caller("professional")
    told = [(begins(record_id, doctor), now() - 50 * DAY), (ends(record_id, doctor), now() - 40 * DAY)]
    for event, at in told if first == "beginning" else reversed(told):
        hear(house, event, at)
        hear(house, event, at)
    for who in (doctor, stranger):
        house.came(who, record_id, ground="author")
    house.look()
    [alert] = house.alerts_about(record_id=record_id)
    assert (alert.rule, alert.number, alert.professional_id) == ("after_care", 40, doctor.professional_id)


@pytest.mark.parametrize("again", [False, True])
def test_who_has_care_again_has_not_left(house: OversightHouse, again: bool) -> None:
    record_id, doctor = new_id(), caller("professional")
    who = str(doctor.professional_id)
    hear(house, CircleMemberAdded(record_id, who), now() - 90 * DAY)
    hear(house, CircleMemberRemoved(record_id, who), now() - 60 * DAY)
    if again:
        hear(house, CircleMemberAdded(record_id, who), now() - DAY)
    house.came(doctor, record_id, ground="author")
    house.look()
    assert rules_of(house.alerts_about(record_id=record_id)) == ([] if again else ["after_care"])


def test_an_emergency_that_ended_was_no_care(house: OversightHouse) -> None:
    record_id, doctor, mandate_id = new_id(), caller("professional"), new_id()
    whose = (record_id, mandate_id, doctor.professional_id, "emergency")
    hear(house, MandateOpened(*whose), now() - 50 * DAY)
    hear(house, MandateEnded(*whose), now() - 40 * DAY)
    house.came(doctor, record_id, ground="author")
    house.look()
    assert house.alerts_about(record_id=record_id) == []


@pytest.mark.parametrize("there", ["surviving", "merged", "merged beside it"])
@pytest.mark.parametrize("of", ["surviving", "merged"])
@pytest.mark.parametrize("lasts", [False, True])
def test_care_in_one_record_of_a_person_is_care_in_all_of_them(
    house: OversightHouse, of: str, there: str, lasts: bool
) -> None:
    records, doctor = {name: new_id() for name in ("surviving", "merged", "merged beside it")}, caller("professional")
    for name in ("merged", "merged beside it"):
        hear(house, RecordsMerged(new_id(), records["surviving"], records[name], new_id(), 1), now())
    hear(house, MandateEnded(records[there], new_id(), doctor.professional_id, "presence"), now() - 40 * DAY)
    if lasts:
        hear(house, MandateOpened(records[there], new_id(), doctor.professional_id, "presence"), now() - DAY)
    house.came(doctor, records[of], ground="author")
    house.look()
    assert rules_of(house.alerts_about(record_id=records[of])) == ([] if lasts else ["after_care"])


def test_care_in_a_record_that_was_taken_apart_again_is_none_in_the_other(house: OversightHouse) -> None:
    record_id, merged, doctor, merge_id = new_id(), new_id(), caller("professional"), new_id()
    hear(house, RecordsMerged(merge_id, record_id, merged, new_id(), 1), now())
    hear(house, RecordsUnmerged(merge_id, record_id, merged, new_id(), 2), now())
    hear(house, MandateEnded(merged, new_id(), doctor.professional_id, "presence"), now() - 40 * DAY)
    house.came(doctor, record_id, ground="author")
    house.look()
    assert house.alerts_about(record_id=record_id) == []


# --- out of hours -----------------------------------------------------------------------------------------------------


def test_an_emergency_at_night_names_its_mandate_and_one_at_noon_is_no_alert(house: OversightHouse) -> None:
    record_id, doctor, night, noon = new_id(), caller("professional"), new_id(), new_id()
    emergency = {"action": "emergency.opened", "ground": "emergency", "object_type": "mandate"}
    house.came(doctor, record_id, at=datetime(2026, 11, 18, 11, tzinfo=UTC), object_id=noon, **emergency)
    house.came(doctor, record_id, at=datetime(2026, 11, 18, 2, tzinfo=UTC), object_id=night, **emergency)
    house.look()
    [alert] = house.alerts_about(record_id=record_id)
    assert (alert.rule, alert.mandate_id) == ("out_of_hours", night)


# --- once for each cause, whatever happens ----------------------------------------------------------------------------


def some_of_each(house: OversightHouse) -> tuple[str, ...]:
    """Causes for several alerts; returns the records that they are about."""
    kin, left = house.record(house.patient("Noesen")), new_id()
    doctor = house.doctor("Noesen")
    hear(house, MandateEnded(left, new_id(), doctor.professional_id, "presence"), now() - 40 * DAY)
    for _ in range(3):
        house.came(doctor, kin)
        house.came(doctor, left, ground="author")
        house.came(caller("professional"), kin)
    return kin, left


EXPECTED = [["same_surname"], ["after_care"]]


def found_in(house: OversightHouse, records: tuple[str, ...]) -> list[list[str]]:
    return [rules_of(house.alerts_about(record_id=each)) for each in records]


def place(house: OversightHouse) -> int:
    with house.sessions["audit"].transaction() as session:
        return int(session.scalar(sa.select(AlertProgress.position)) or 0)


class Killed(BaseException):
    """The process dies here."""


def test_killed_at_any_statement_it_goes_on_and_says_each_thing_once(house: OversightHouse) -> None:
    records = some_of_each(house)
    house.deliver()
    house.seal()
    begun, engine, survived, step = place(house), house.sessions["audit"].engine, False, 0
    while not survived:
        left = iter(range(step))

        def dies(*_: Any, left: Any = left) -> None:
            if next(left, None) is None:
                raise Killed

        sa.event.listen(engine, "after_cursor_execute", dies)
        try:
            house.audit._raise_alerts(now())
            survived = True
        except Killed:
            step += 1
        finally:
            sa.event.remove(engine, "after_cursor_execute", dies)
        committed = survived or place(house) > begun  # the last word may have been heard, though not the answer
        assert found_in(house, records) == (EXPECTED if committed else [[], []]), step
        if committed:
            break
    assert step >= 8, "every statement was the last one once"
    house.look()
    assert found_in(house, records) == EXPECTED


def test_many_at_once_look_at_each_entry_once(house: OversightHouse) -> None:
    records = some_of_each(house)
    house.deliver()
    house.seal()
    begun, start = place(house), threading.Barrier(4)

    def look(_: int) -> int:
        start.wait()
        return sum(iter(lambda: house.audit._raise_alerts(now(), 3), 0))

    with ThreadPoolExecutor(4) as pool:
        went = list(pool.map(look, range(4)))
    assert sum(went) == place(house) - begun > 0
    assert found_in(house, records) == EXPECTED


def test_a_log_gone_through_again_from_its_beginning_says_nothing_twice(house: OversightHouse) -> None:
    records = some_of_each(house)
    house.look()
    with house.sessions["audit"].transaction() as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(Alert))
        session.execute(sa.update(AlertProgress).values(position=0))
        session.execute(sa.delete(Sighting))
    house.look(most=13)
    with house.sessions["audit"].transaction() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Alert)) == before
    assert found_in(house, records) == EXPECTED


@pytest.mark.parametrize("other", ["dossier", "directory"])
def test_while_another_part_is_away_the_place_stays_and_then_nothing_is_missing(
    house: OversightHouse, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise Unavailable(service=other)

    records = some_of_each(house)
    house.deliver()
    house.seal()
    begun = place(house)
    with monkeypatch.context() as away:
        away.setattr(house.audit, other, Away())
        assert house.audit._raise_alerts(now()) == 0
    assert place(house) == begun and found_in(house, records) == [[], []]
    house.look()
    assert found_in(house, records) == EXPECTED


def test_what_is_not_sealed_yet_is_not_looked_at(house: OversightHouse) -> None:
    doctor, record_id = house.doctor("Kremer"), house.record(house.patient("Kremer"))
    house.came(doctor, record_id)
    house.deliver()
    assert house.audit._raise_alerts(now(), AT_ONCE) == 0
    assert house.alerts_about(record_id=record_id) == []
    house.look()
    assert rules_of(house.alerts_about(record_id=record_id)) == ["same_surname"]
