"""Referring physicians and foreseen ends of two records that turned out to be one person's: along, back, and ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, rfc3339
from services.dossier import models, rules_referring
from services.dossier.models_desk import Deadline
from services.dossier.models_entourage import ReferringPhysician
from services.tokens import Caller
from tests.services.dossier_house import DossierHouse
from tests.services.dossier_twins import Pair, circle, grounds

DAY = timedelta(days=1)


@pytest.fixture
def pair(house: DossierHouse) -> Pair:
    return Pair(house)


def refer(house: DossierHouse, record_id: str, who: Caller, **facts: Any) -> str:
    """A referring physician for twenty days."""
    at = now()
    row = {"designation_id": new_id(), "record_id": record_id, "professional_id": who.professional_id,
           "proposed_by": "holder", "proposed_at": at - 60 * DAY, "holder_signed_at": at - 59 * DAY,
           "physician_signed_at": at - 59 * DAY, "notified_at": at - 50 * DAY, "effective_at": at - 20 * DAY,
           **facts}  # fmt: skip
    with house.sessions.transaction() as session:
        session.add(ReferringPhysician(**row))
    return str(row["designation_id"])


def due(house: DossierHouse, record_id: str) -> set[tuple[str, str]]:
    return {(row.kind, row.subject_id) for row in house.rows(Deadline) if row.record_id == record_id
            and row.kind.startswith(("referring", "circle"))}  # fmt: skip


def designations(house: DossierHouse, record_id: str) -> list[ReferringPhysician]:
    return [row for row in house.rows(ReferringPhysician) if row.record_id == record_id]


def end(house: DossierHouse, pair: Pair, who: Caller, designation_id: str) -> None:
    """Both sides ask, in the first year."""
    for side in (pair.holder, who):
        house.dossier.end_referring_physician(side, record_id=pair.record, designation_id=designation_id)


# --- referring physicians ---------------------------------------------------------------------------------------------


def test_a_referring_physician_comes_along_and_goes_back(house: DossierHouse, pair: Pair) -> None:
    doctor = house.professional()
    refer(house, pair.other, doctor)
    pair.merge()
    assert grounds(house, doctor, pair.record) == ["referring_physician"]
    current = house.dossier.referring_physician(pair.holder, record_id=pair.record)["current"]
    assert current["professional_id"] == doctor.professional_id
    [copy] = designations(house, pair.record)
    [own] = designations(house, pair.other)
    assert copy.effective_at == own.effective_at, "the first year is reckoned from the same day"
    pair.unmerge()
    assert grounds(house, doctor, pair.record) == [] and grounds(house, doctor, pair.other) == ["referring_physician"]
    pair.merge_id = new_id()
    pair.merge()
    assert grounds(house, doctor, pair.record) == ["referring_physician"], "merged once more it comes along once more"


def test_in_the_surviving_record_it_is_a_ground_from_the_merge_on(house: DossierHouse, pair: Pair) -> None:
    doctor, before = house.professional(), now()
    refer(house, pair.other, doctor)
    pair.merge()
    with house.sessions.transaction() as session:
        since = session.scalar(
            sa.text("select since from referring_grants where record_id = :record_id"), {"record_id": pair.record}
        )
    assert since >= before


def test_the_survivors_own_referring_physician_wins_and_the_other_comes_back_afterwards(
    house: DossierHouse, pair: Pair
) -> None:
    own, other = house.professional(), house.professional()
    refer(house, pair.record, own)
    refer(house, pair.other, other)
    pair.merge()
    assert grounds(house, own, pair.record) == ["referring_physician"] and grounds(house, other, pair.record) == []
    assert len(designations(house, pair.record)) == 1
    pair.unmerge()
    assert grounds(house, own, pair.record) == ["referring_physician"]
    assert grounds(house, other, pair.other) == ["referring_physician"] and grounds(house, own, pair.other) == []


def test_whoever_stands_in_comes_along_for_whom_they_stand_in_for(house: DossierHouse, pair: Pair) -> None:
    main, stand_in, soon = house.professional(), house.professional(), now() + 30 * DAY
    replaced = refer(house, pair.other, main)
    refer(house, pair.other, stand_in, replaces_id=replaced, effective_at=now() - DAY, ends_at=soon)
    pair.merge()
    assert grounds(house, stand_in, pair.record) == ["referring_physician"] and grounds(house, main, pair.record) == []
    copies = {row.professional_id: row for row in designations(house, pair.record)}
    assert copies[str(stand_in.professional_id)].replaces_id == copies[str(main.professional_id)].designation_id
    assert ("referring_end", copies[str(stand_in.professional_id)].designation_id) in due(house, pair.record)


def test_what_is_yet_to_count_comes_along_with_its_announcement_and_a_bare_proposal_does_not(
    house: DossierHouse, pair: Pair
) -> None:
    doctor, asked, soon = house.professional(), house.professional(), rules_referring.effective_after(now())
    refer(house, pair.other, doctor, effective_at=soon)
    house.dossier.propose_referring_physician(pair.twin, record_id=pair.other, professional_id=asked.professional_id)
    pair.merge()
    [copy] = designations(house, pair.record)
    assert copy.professional_id == doctor.professional_id and copy.effective_at == soon
    assert due(house, pair.record) == {("referring_effective", copy.designation_id)}


def test_what_ended_meanwhile_is_ended_on_both_sides(house: DossierHouse, pair: Pair) -> None:
    doctor = house.professional()
    refer(house, pair.other, doctor)
    pair.merge()
    [copy] = designations(house, pair.record)
    end(house, pair, doctor, copy.designation_id)
    pair.unmerge()
    assert grounds(house, doctor, pair.other) == [] == grounds(house, doctor, pair.record)
    [own] = designations(house, pair.other)
    assert own.end_cause == "mutual_agreement"
    pair.merge_id = new_id()
    pair.merge()
    assert grounds(house, doctor, pair.record) == [], "what ended is not made again"


def test_an_end_that_was_announced_meanwhile_comes_on_both_sides(house: DossierHouse, pair: Pair) -> None:
    doctor = house.professional()
    refer(house, pair.other, doctor, effective_at=now() - 500 * DAY, proposed_at=now() - 600 * DAY)
    pair.merge()
    [copy] = designations(house, pair.record)
    ended = house.dossier.end_referring_physician(
        pair.holder, record_id=pair.record, designation_id=copy.designation_id
    )
    pair.unmerge()
    [own] = designations(house, pair.other)
    assert own.ends_at is not None and rfc3339(own.ends_at) == ended["ends_at"]
    assert ("referring_end", own.designation_id) in due(house, pair.other)


# --- the circle's foreseen ends ---------------------------------------------------------------------------------------


def test_the_end_a_holder_foresaw_comes_along_and_is_announced(house: DossierHouse, pair: Pair) -> None:
    friend, until = house.professional(), rfc3339(now() + 9 * DAY)
    whose = {"professional_id": friend.professional_id}
    house.dossier.add_to_circle(pair.twin, record_id=pair.other, **whose, until=until)
    pair.merge()
    [member] = house.dossier.circle(pair.holder, record_id=pair.record)["members"]
    assert member["until"] == until
    [(kind, _)] = due(house, pair.record)
    assert kind == "circle_end"
    sooner = rfc3339(now() + 2 * DAY)
    house.dossier.add_to_circle(pair.holder, record_id=pair.record, **whose, until=sooner)
    pair.unmerge()
    [member] = house.dossier.circle(pair.twin, record_id=pair.other)["members"]
    assert member["until"] == sooner, "what the holder shortened meanwhile is shorter on both sides"


def test_whose_time_ran_out_comes_not_along_and_makes_room_in_the_surviving_record(
    house: DossierHouse, pair: Pair
) -> None:
    lapsed, back = house.professional(), house.professional()
    for holder, record_id, who in ((pair.twin, pair.other, lapsed), (pair.holder, pair.record, back)):
        house.dossier.add_to_circle(
            holder, record_id=record_id, professional_id=who.professional_id, until=rfc3339(now() + DAY)
        )
    member = models.CircleMember
    with house.sessions.transaction() as session:
        session.execute(sa.update(member).values(since=member.since - 2 * DAY, ends_at=member.ends_at - 2 * DAY))
    house.dossier.add_to_circle(pair.twin, record_id=pair.other, professional_id=back.professional_id)
    pair.merge()
    assert circle(house, pair.holder, pair.record) == {back.professional_id}
