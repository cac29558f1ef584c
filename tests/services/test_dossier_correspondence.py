"""Who may write to whom, as dossier says it: lasting grounds, the holder side in force, and what ends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.directory.contract import PatientsMerged
from services.dossier import models
from services.dossier.models_entourage import Assistant, ReferringPhysician, Representative
from services.dossier.service import Dossier
from services.refusals import NotAllowed
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import RISK, DossierHouse

NOTIFICATIONS = builders.context("notifications")
DAY = timedelta(days=1)


def at(days: int = 0) -> datetime:
    return datetime.now(UTC) + days * DAY


def asked(house: DossierHouse, record_id: str, patient: Caller | None = None, *whom: Caller) -> Any:
    ids = [str(one.professional_id) for one in whom] or None
    return house.dossier.correspondence(
        NOTIFICATIONS, record_id=record_id, professional_ids=ids, patient_id=patient and patient.patient_id
    )


def trust(house: DossierHouse, holder: Caller, record_id: str, who: Caller) -> None:
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=who.professional_id or "")


def represents(house: DossierHouse, record_id: str, **changes: Any) -> Caller:
    who = builders.caller("patient")
    keep(house, Representative(**({
        "representative_id": new_id(), "record_id": record_id, "patient_id": who.patient_id, "kind": "parent",
        "proof": "x", "since": at(-30), "until": at(30), "until_cause": "time", "recorded_by": new_id(),
    } | changes)))  # fmt: skip
    return who


def keep(house: DossierHouse, row: Any) -> None:
    with house.sessions.transaction() as session:
        session.add(row)


def test_the_circle_writes_and_whoever_is_only_present_does_not(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    trusted, present, stranger = house.professional(), house.professional(), house.professional()
    trust(house, holder, record_id, trusted)
    house.enter(present, record_id, house.code(record_id))
    told = asked(house, record_id, None, trusted, present, stranger)
    assert told["professionals"] == {trusted.professional_id: "circle"}
    assert told["open"] is True and told["holder"] == holder.patient_id
    assert asked(house, record_id)["professionals"] == told["professionals"], "everybody who may, and nobody else"


def test_a_referring_physician_writes_once_the_designation_counts(house: DossierHouse) -> None:
    _, record_id = house.holder()
    physician, later = house.professional(), house.professional()
    for who, since in ((physician, at(-40)), (later, at(5))):
        keep(house, designated(record_id, who, since))
    assert asked(house, record_id)["professionals"] == {physician.professional_id: "referring_physician"}


def designated(record_id: str, who: Caller, since: datetime) -> ReferringPhysician:
    return ReferringPhysician(
        designation_id=new_id(), record_id=record_id, professional_id=who.professional_id, proposed_by="holder",
        proposed_at=since, holder_signed_at=since, physician_signed_at=since, notified_at=since, effective_at=since,
    )  # fmt: skip


@pytest.mark.parametrize("ended", ["removed", "blocked", "licence", "closed", "over"])
def test_what_ends_a_ground_ends_the_writing(house: DossierHouse, ended: str) -> None:
    holder, record_id = house.holder()
    who, other = house.professional(), house.professional()
    for one in (who, other):
        trust(house, holder, record_id, one)
    before = asked(house, record_id, holder, who)
    assert before["professionals"] and before["open"]
    if ended == "removed":
        house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=who.professional_id or "")
    elif ended == "blocked":
        house.dossier.block_professional(holder, record_id=record_id, professional_id=who.professional_id, **RISK)
    elif ended == "licence":
        house.told_of(who, licence="suspended", version=2)
    elif ended == "closed":
        house.set_state(record_id, "closed")
    else:
        change = sa.update(models.CircleMember).where(models.CircleMember.professional_id == who.professional_id)
        with house.sessions.transaction() as session:
            session.execute(change.values(ends_at=at(-1)))
    told = asked(house, record_id, holder, who)
    assert told["professionals"] == {}
    assert told["open"] is (ended != "closed")
    assert told["role"] == "holder", "what was written stays to be read"
    others = asked(house, record_id, holder, other)["professionals"]
    assert others == ({} if ended == "closed" else {other.professional_id: "circle"})


def test_the_holder_side_is_the_holder_and_who_represents_them_now(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    parent = represents(house, record_id)
    ended = represents(house, record_id, ended_at=at(-1))
    over = represents(house, record_id, until=at(-1))
    together = represents(house, record_id, kind="curator", until=None)
    assistant = builders.caller("patient")
    keep(house, Assistant(
        assistant_id=new_id(), record_id=record_id, patient_id=assistant.patient_id, name="x", invited_by=new_id(),
        invited_at=at(-3), code_until=at(3), accepted_at=at(-2),
    ))  # fmt: skip
    assert asked(house, record_id, parent)["role"] == "representative"
    assert asked(house, record_id, holder)["representatives"] == [parent.patient_id]
    for nobody in (ended, over, together, assistant, builders.caller("patient")):
        assert asked(house, record_id, nobody)["role"] is None
        assert house.dossier.sides_of(NOTIFICATIONS, patient_id=nobody.patient_id or "") == {"sides": []}
    own, other = house.holder()
    assert house.dossier.sides_of(NOTIFICATIONS, patient_id=own.patient_id or "") == {
        "sides": [{"record_id": other, "found_in": other, "role": "holder"}]
    }


def test_after_a_death_nobody_of_the_holder_side_is_left(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    parent = represents(house, record_id)
    house.dossier.close_record_by_agency(house.agent, record_id=record_id, cause="death")
    told = asked(house, record_id, parent)
    assert (told["holder"], told["representatives"], told["role"], told["open"]) == (None, [], None, False)
    assert house.dossier.sides_of(NOTIFICATIONS, patient_id=holder.patient_id or "") == {"sides": []}


def test_messages_of_a_merged_record_are_found_with_the_one_that_speaks_for_it(house: DossierHouse) -> None:
    survivor, record_id = house.holder()
    merged, other = house.holder()
    who = house.professional()
    trust(house, survivor, record_id, who)
    house.hear("directory", PatientsMerged(
        merge_id=new_id(), survivor_id=survivor.patient_id or "", merged_id=merged.patient_id or "",
        at=at().isoformat(),
    ))  # fmt: skip
    told = asked(house, other, merged)
    assert (told["record_id"], told["role"], told["speaks_id"]) == (record_id, "holder", survivor.patient_id)
    assert told["professionals"] == {who.professional_id: "circle"}
    for patient in (survivor, merged):
        sides = house.dossier.sides_of(NOTIFICATIONS, patient_id=patient.patient_id or "")["sides"]
        assert {(side["record_id"], side["found_in"]) for side in sides} == {(record_id, record_id), (other, record_id)}
    house.set_state(record_id, "deleted")
    gone = house.dossier.deleted_among(NOTIFICATIONS, record_ids=[record_id, other, new_id()])
    assert set(gone["record_ids"]) == {record_id, other}


def test_professionals_write_to_one_another_while_they_practise(house: DossierHouse) -> None:
    one, stopped = house.professional(), house.professional(licence="withdrawn")
    ids = [str(one.professional_id), str(stopped.professional_id), new_id(), "no id"]
    assert house.dossier.practising_among(NOTIFICATIONS, professional_ids=ids) == {
        "professional_ids": [one.professional_id]
    }


def test_an_unknown_record_has_nobody_and_nothing(house: DossierHouse) -> None:
    house.professional()
    for unknown in (new_id(), "no id"):
        told = asked(house, unknown, builders.caller("patient"))
        assert (told["holder"], told["open"], told["role"], told["professionals"]) == (None, False, None, {})


def test_nobody_but_notifications_may_ask(house: DossierHouse) -> None:
    from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR

    for name in ("correspondence", "sides_of", "practising_among", "deleted_among"):
        [entry] = getattr(getattr(Dossier, name), ENTRYPOINT_EXTENSIONS_ATTR)
        assert entry.admit(NOTIFICATIONS, None).process == "notifications"
        for process in ("gateway", "identity", "documents", ""):
            with pytest.raises(Exception) as refused:
                entry.admit(builders.context(process), None)
            assert process == "" or isinstance(refused.value, NotAllowed)


def test_an_answer_takes_few_statements_however_many_are_asked_about(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    many = [house.professional() for _ in range(12)]
    for who in many:
        trust(house, holder, record_id, who)
    with house.statements() as said:
        asked(house, record_id, holder, *many)
    assert len(said) <= 8, said
