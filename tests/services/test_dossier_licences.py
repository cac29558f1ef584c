"""What the directory says of professionals and their licences, and what that ends, rests or leaves in the records."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, rfc3339
from services.directory.contract import LicenceWithdrawn, ProfessionalUpdated
from services.dossier import models
from services.dossier.models_entourage import ReferringPhysician
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse
from tests.services.dossier_twins import circle, grounds, merged, trust

DAY = timedelta(days=1)
MANY = 1000


def update(
    house: DossierHouse, who: Caller, version: int, licence: str = "valid", at: datetime | None = None
) -> None:  # fmt: skip
    house.hear("directory", ProfessionalUpdated(
        who.professional_id or "", who.profession or "", licence, [who.establishment_id or ""], version,
        at=rfc3339(at or now()),
    ))  # fmt: skip


def stop(house: DossierHouse, who: Caller, licence: str = "withdrawn", at: datetime | None = None) -> None:
    house.hear("directory", LicenceWithdrawn(who.professional_id or "", licence, rfc3339(at or now())))


def refer(house: DossierHouse, record_id: str, who: Caller, **facts: Any) -> str:
    """A referring physician since some days."""
    at = now()
    row = {"designation_id": new_id(), "record_id": record_id, "professional_id": who.professional_id,
           "proposed_by": "holder", "proposed_at": at - 60 * DAY, "holder_signed_at": at - 59 * DAY,
           "physician_signed_at": at - 59 * DAY, "notified_at": at - 50 * DAY, "effective_at": at - 20 * DAY,
           **facts}  # fmt: skip
    with house.sessions.transaction() as session:
        session.add(ReferringPhysician(**row))
    return str(row["designation_id"])


def told(house: DossierHouse) -> list[tuple[str, str]]:
    return [(each["record_id"], each["licence"]) for each in house.events("licence_stops_grants.v1")]


def everything(house: DossierHouse, who: Caller) -> tuple[Caller, str]:
    """A record in which somebody is in the circle, has a mandate and is the referring physician."""
    holder, record_id = house.holder()
    trust(house, holder, record_id, who)
    house.enter(who, record_id, house.code(record_id))
    refer(house, record_id, who)
    assert grounds(house, who, record_id) == ["referring_physician", "circle", "presence"]
    return holder, record_id


# --- withdrawn for good -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["the professional", "the licence"])
def test_a_licence_withdrawn_for_good_ends_every_ground_of_their_own_whichever_news_comes_first(
    house: DossierHouse, first: str
) -> None:
    doctor, other = house.professional(), house.professional()
    holder, record_id = everything(house, doctor)
    trust(house, holder, record_id, other)
    at = now()
    if first == "the professional":
        update(house, doctor, 2, "withdrawn", at)
    stop(house, doctor, at=at + timedelta(milliseconds=1))
    update(house, doctor, 2, "withdrawn", at)
    update(house, doctor, 3, "valid", at + DAY)
    assert grounds(house, doctor, record_id) == [], "and nothing comes back with a new licence"
    assert grounds(house, other, record_id) == ["circle"]
    [event] = house.events("licence_stops_grants.v1")
    assert (event["record_id"], event["patient_id"]) == (record_id, holder.patient_id)
    assert (event["professional_id"], event["licence"]) == (doctor.professional_id, "withdrawn")
    [row] = house.rows(ReferringPhysician)
    assert row.end_cause == "licence" and row.ended_at is not None
    [ended] = house.events("referring_physician_changed.v1")
    assert (ended["state"], ended["professional_id"]) == ("ended", doctor.professional_id)
    assert circle(house, holder, record_id) == {other.professional_id}


def test_what_serves_an_establishment_goes_on_for_its_others(house: DossierHouse) -> None:
    (_, record_id), doctor = house.holder(), house.professional()
    colleague, at = house.colleague(doctor), now()
    with house.sessions.transaction() as session:
        session.add(models.Mandate(
            mandate_id=new_id(), record_id=record_id, establishment_id=doctor.establishment_id, kind="admission",
            wording_version="", starts_at=at - DAY, read_until=at + DAY, deposit_until=at + DAY,
        ))  # fmt: skip
    update(house, doctor, 2, "withdrawn")
    stop(house, doctor)
    assert grounds(house, colleague, record_id) == ["admission"] and grounds(house, doctor, record_id) == []
    assert told(house) == []


def test_whoever_stood_in_for_them_ends_with_them_and_proposals_come_to_nothing(house: DossierHouse) -> None:
    (_, record_id), doctor, stand_in = house.holder(), house.professional(), house.professional()
    main = refer(house, record_id, doctor)
    refer(house, record_id, stand_in, replaces_id=main, effective_at=now() - DAY, ends_at=now() + 90 * DAY)
    (_, asked), unsigned = house.holder(), {"effective_at": None, "notified_at": None, "physician_signed_at": None}
    refer(house, asked, doctor, **unsigned)
    assert grounds(house, stand_in, record_id) == ["referring_physician"]
    stop(house, doctor)
    assert grounds(house, stand_in, record_id) == []
    assert {row.end_cause for row in house.rows(ReferringPhysician)} == {"licence"}
    assert sorted(told(house)) == sorted([(record_id, "withdrawn"), (asked, "withdrawn")])
    changed = [each["record_id"] for each in house.events("referring_physician_changed.v1")]
    assert changed == [record_id], "of what was only proposed nobody is told that it ended"


def test_what_had_run_out_before_keeps_its_end_and_a_merged_record_is_not_told_of(house: DossierHouse) -> None:
    (holder, record_id), (twin, other), doctor = house.holder(), house.holder(), house.professional()
    for whose, where in ((holder, record_id), (twin, other)):
        trust(house, whose, where, doctor)
    with house.sessions.transaction() as session:
        gone = models.CircleMember.record_id == record_id
        session.execute(sa.update(models.CircleMember).where(gone).values(ends_at=now() - DAY, since=now() - 2 * DAY))
    merged(house, holder, twin)
    stop(house, doctor)
    assert [row.until is not None for row in house.rows(models.CircleMember)] == [True] * 3
    assert [row.until == row.ends_at for row in house.rows(models.CircleMember) if row.ends_at] == [True]
    assert told(house) == [(record_id, "withdrawn")]


# --- a stop for now ---------------------------------------------------------------------------------------------------


def test_a_suspension_rests_every_ground_and_its_end_brings_them_back(house: DossierHouse) -> None:
    doctor = house.professional()
    _, record_id = everything(house, doctor)
    update(house, doctor, 2, "suspended")
    stop(house, doctor, "suspended")
    assert grounds(house, doctor, record_id) == [] and told(house) == [(record_id, "suspended")]
    update(house, doctor, 3, "valid")
    assert grounds(house, doctor, record_id) == ["referring_physician", "circle", "presence"]
    assert house.events("mandate_ended.v1") == house.events("referring_physician_changed.v1") == []


def test_a_suspension_that_becomes_a_withdrawal_ends_them_and_tells_again(house: DossierHouse) -> None:
    doctor = house.professional()
    _, record_id = everything(house, doctor)
    update(house, doctor, 2, "suspended")
    stop(house, doctor, "suspended")
    update(house, doctor, 3, "withdrawn")
    stop(house, doctor, "withdrawn")
    assert told(house) == [(record_id, "suspended"), (record_id, "withdrawn")]
    assert [row.ended_at is not None for row in house.rows(models.Mandate)] == [True]


# --- repeats, and late ones -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("licence", ["suspended", "withdrawn"])
def test_the_same_stop_heard_again_tells_and_ends_nothing(house: DossierHouse, licence: str) -> None:
    doctor, at = house.professional(), now()
    holder, record_id = everything(house, doctor)
    stop(house, doctor, licence, at)
    trust(house, holder, record_id, doctor)
    stop(house, doctor, licence, at)
    stop(house, doctor, licence, at - DAY)
    assert told(house) == [(record_id, licence)]
    update(house, doctor, 2)
    assert "circle" in grounds(house, doctor, record_id), "what was given after the stop stands"


def test_a_stop_that_comes_after_a_later_licence_changes_nothing(house: DossierHouse) -> None:
    doctor, at = house.professional(), now()
    _, record_id = everything(house, doctor)
    update(house, doctor, 3, "valid", at)
    stop(house, doctor, "withdrawn", at - timedelta(hours=1))
    update(house, doctor, 2, "withdrawn", at - timedelta(hours=1))
    assert told(house) == [] and len(grounds(house, doctor, record_id)) == 3


def test_a_stop_of_somebody_who_was_never_announced_is_nobodys(house: DossierHouse) -> None:
    stop(house, builders.caller("professional"))
    assert told(house) == []


# --- periods ----------------------------------------------------------------------------------------------------------


def test_every_version_keeps_its_period_and_a_late_one_changes_the_past_alone(house: DossierHouse) -> None:
    doctor, at = house.professional(version=1), now()
    update(house, doctor, 4, "valid", at)
    update(house, doctor, 3, "suspended", at - DAY)
    update(house, doctor, 3, "suspended", at - DAY)
    periods = sorted((row.version, row.licence, row.since) for row in house.rows(models.ProfessionalPeriod))
    assert [(version, licence) for version, licence, _ in periods] == [(1, "valid"), (3, "suspended"), (4, "valid")]
    assert [since for *_, since in periods[1:]] == [at - DAY, at]
    [row] = house.rows(models.Professional)
    assert (row.version, row.licence) == (4, "valid")


def test_news_without_a_moment_counts_from_when_it_is_heard(house: DossierHouse) -> None:
    before = now()
    house.professional()
    [row] = house.rows(models.ProfessionalPeriod)
    assert before <= row.since <= now()


# --- how much it costs ------------------------------------------------------------------------------------------------


def many_records(house: DossierHouse, who: Caller, number: int) -> None:
    """So many records with a membership, a mandate and a designation of one professional each."""
    at, ids = now(), [new_id() for _ in range(number)]
    with house.sessions.transaction() as session:
        session.execute(sa.insert(models.Record), [
            {"record_id": each, "patient_id": new_id(), "state": "active", "since": at} for each in ids
        ])  # fmt: skip
        session.execute(sa.insert(models.CircleMember), [
            {"member_id": new_id(), "record_id": each, "professional_id": who.professional_id, "since": at}
            for each in ids
        ])  # fmt: skip
        session.execute(sa.insert(models.Mandate), [
            {"mandate_id": new_id(), "record_id": each, "professional_id": who.professional_id, "kind": "presence",
             "wording_version": "x", "starts_at": at, "read_until": at + DAY, "deposit_until": at + 15 * DAY}
            for each in ids
        ])  # fmt: skip
        session.execute(sa.insert(ReferringPhysician), [
            {"designation_id": new_id(), "record_id": each, "professional_id": who.professional_id,
             "proposed_by": "health_fund", "proposed_at": at - DAY, "effective_at": at - DAY}
            for each in ids
        ])  # fmt: skip


def test_a_thousand_records_are_settled_in_as_many_statements_as_two(house: DossierHouse) -> None:
    few, busy = house.professional(), house.professional()
    many_records(house, few, 2)
    many_records(house, busy, MANY)

    def cost(who: Caller) -> int:
        with house.statements() as seen:
            stop(house, who)
        return len(seen)

    assert cost(few) == cost(busy)
    assert len(told(house)) == MANY + 2 == len(set(told(house)))
    with house.sessions.transaction() as session:
        for table, ended in (
            (models.CircleMember, models.CircleMember.until), (models.Mandate, models.Mandate.ended_at),
            (ReferringPhysician, ReferringPhysician.ended_at),
        ):  # fmt: skip
            running = sa.select(sa.func.count()).select_from(table).where(ended.is_(None))
            assert session.scalar(running) == 0
