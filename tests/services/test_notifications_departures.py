"""Who acts or reads for a holder no more finds nothing of the record in their inbox, and finds it again when back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local.supervise import wait_until
from services.bus import Received
from services.db import new_id, now, rfc3339
from services.directory.contract import PatientsMerged, PatientsUnmerged, ProfessionalUpdated
from services.dossier import store_deadlines
from services.dossier.contract import AssistantAccepted, GrantEnded
from services.dossier.models_entourage import Assistant, Representative
from services.dossier.store_representatives import OVER
from services.identity.contract import AccountActivated
from services.notifications import store_departures
from services.notifications.contract import NotificationNotFound
from services.notifications.store_stream import Bell
from services.tokens import Caller
from tests.builders import House, caller, context

AGENT = caller("agent")
DAY = timedelta(days=1)
PATIENCE = 30


class Family:
    """A record with a holder, and those who act and read for them; what happens in it is real, and told by events."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.holder = caller("patient")
        self.record_id = self.record(self.holder)
        self.nurse = caller("professional", profession="nurse")
        place = [self.nurse.establishment_id or ""]
        told = ProfessionalUpdated(self.nurse.professional_id or "", "nurse", "valid", place, 1,
                                   emergency_establishment_ids=place)  # fmt: skip
        self.hear("directory", told)

    def record(self, holder: Caller) -> str:
        opened = self.house.ask("dossier", "open_record", AGENT, patient_id=holder.patient_id)
        self.hear("identity", AccountActivated(new_id(), "patient", holder.patient_id, None))
        self.house.deliver()
        return str(opened["record_id"])

    def hear(self, source: str, data: Any, service: str = "dossier") -> None:
        event = Received(new_id(), source, data.type, rfc3339(now()), None, None, data, context(source))
        with self.house.sessions[service].transaction(event.context) as session:
            getattr(getattr(self.house, service), "on_" + data.type.removesuffix(".v1"))(session, event)

    def keep(self, row: Any) -> str:
        with self.house.sessions["dossier"].transaction() as session:
            session.add(row)
        return str(getattr(row, "assistant_id", None) or row.representative_id)

    def assists(self, who: Caller, record_id: str | None = None, **changes: Any) -> str:
        return self.keep(Assistant(**({
            "assistant_id": new_id(), "record_id": record_id or self.record_id, "patient_id": who.patient_id,
            "name": "x", "invited_by": self.holder.account_id, "invited_at": now() - DAY, "code_until": now() - DAY,
            "accepted_at": now() - DAY,
        } | changes)))  # fmt: skip

    def represents(self, who: Caller, **changes: Any) -> str:
        return self.keep(Representative(**({
            "representative_id": new_id(), "record_id": self.record_id, "patient_id": who.patient_id, "kind": "parent",
            "proof": "x", "since": now() - DAY, "until": None, "until_cause": "majority", "recorded_by": new_id(),
        } | changes)))  # fmt: skip

    def happens(self, record_id: str | None = None) -> None:
        """Something that everybody of the holder side is told."""
        self.house.ask("dossier", "register_stay", self.nurse, record_id=record_id or self.record_id,
                       kind="admission", reference=new_id())  # fmt: skip
        self.house.deliver()

    def ends(self, who: Caller, assistant_id: str, record_id: str | None = None) -> None:
        self.house.ask("dossier", "end_assistant", who, record_id=record_id or self.record_id,
                       assistant_id=assistant_id)  # fmt: skip
        self.house.deliver()

    def ask(self, method: str, who: Caller, **said: Any) -> Any:
        return self.house.ask("notifications", method, who, **said)

    def sees(self, who: Caller) -> list[str]:
        """The occasions in somebody's inbox; as many are unread."""
        found = self.ask("list_notifications", who)["notifications"]
        assert self.ask("count_unread", who)["unread"] == len(found)
        return [one["occasion"].removeprefix("record_news.") for one in found]

    def settle(self, record_id: str | None = None, person: str | None = None) -> None:
        with self.house.sessions["notifications"].transaction() as session:
            self.house.notifications._settle_who_left(session, record_id or self.record_id, None, person)

    def left(self) -> set[tuple[str, str]]:
        with self.house.sessions["notifications"].transaction() as session:
            found = session.execute(sa.text("select cast(record_id as text), person_id from departures"))
            return {tuple(row) for row in found}


@pytest.fixture(scope="module")
def urls() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def together(database: Callable[[str], str], urls: dict[str, str]) -> Iterator[House]:
    def made(name: str) -> str:
        return urls.setdefault(name, database(name))

    house = House(made, ("dossier", "notifications"))
    yield house
    house.close()


@pytest.fixture
def family(together: House) -> Family:
    return Family(together)


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_an_assistant_who_was_removed_sees_nothing_of_the_record_and_everybody_else_as_before(family: Family) -> None:
    gone, stays, parent = (caller("patient") for _ in range(3))
    assistant_id = family.assists(gone)
    family.assists(stays)
    family.represents(parent)
    family.happens()
    assert [family.sees(who) for who in (gone, stays, parent, family.holder)] == [["mandate_opened"]] * 4
    family.ends(family.holder, assistant_id)
    assert family.sees(gone) == ["own_access_ended"], "what is about themself alone"
    for who in (stays, parent):
        assert family.sees(who) == ["assistant_ended", "mandate_opened"]
    assert family.sees(family.holder) == ["mandate_opened"]


def test_what_is_hidden_is_absent_for_every_question(family: Family) -> None:
    gone, stays = caller("patient"), caller("patient")
    assistant_id = family.assists(gone)
    family.assists(stays)
    family.happens()
    [before], [theirs] = (family.ask("list_notifications", who)["notifications"] for who in (gone, stays))
    family.ends(family.holder, assistant_id)
    [own] = family.ask("list_notifications", gone)["notifications"]
    assert own["record_id"] is None
    for question in ({"notification_id": before["notification_id"]}, {"notification_id": new_id()}):
        with pytest.raises(NotificationNotFound):
            family.ask("read_notification", gone, **question)
    with pytest.raises(NotificationNotFound):
        family.ask("read_notifications", gone, up_to=before["notification_id"])
    assert family.ask("read_notifications", gone, up_to=own["notification_id"]) == {"read": 1}
    assert family.ask("read_notification", stays, notification_id=theirs["notification_id"])["read_at"]


def test_who_goes_by_themself_sees_nothing_either(family: Family) -> None:
    gone = caller("patient")
    assistant_id = family.assists(gone)
    family.happens()
    family.ends(gone, assistant_id)
    assert family.sees(gone) == []


def test_the_parent_of_somebody_who_came_of_age_sees_nothing_and_one_of_a_child_does(family: Family) -> None:
    parent, guardian = caller("patient"), caller("patient")
    over = family.represents(parent, until=now() + DAY)
    family.represents(guardian, kind="guardian")
    family.happens()
    with family.house.sessions["dossier"].transaction() as session:
        session.execute(sa.update(Representative).where(Representative.representative_id == over)
                        .values(until=now() - timedelta(seconds=1)))  # fmt: skip
        store_deadlines.put(session, OVER, over, family.record_id, now())
    while family.house.dossier._do_due(now()):
        pass
    family.house.deliver()
    assert family.sees(parent) == ["own_access_ended"]
    assert family.sees(guardian) == ["grant_ended", "mandate_opened"]


def test_who_is_assistant_and_representative_sees_all_until_both_have_ended(family: Family) -> None:
    both = caller("patient")
    assistant_id = family.assists(both)
    representative_id = family.represents(both)
    family.happens()
    family.ends(family.holder, assistant_id)
    assert "mandate_opened" in family.sees(both)
    family.house.ask("dossier", "end_representative", AGENT, record_id=family.record_id,
                     representative_id=representative_id)  # fmt: skip
    family.house.deliver()
    assert set(family.sees(both)) == {"own_access_ended"}


def test_one_record_that_somebody_left_hides_nothing_of_another_that_they_did_not(family: Family) -> None:
    gone, other = caller("patient"), Family(family.house)
    assistant_id = family.assists(gone)
    family.assists(gone, other.record_id)
    family.happens()
    other.happens()
    family.ends(family.holder, assistant_id)
    assert family.sees(gone) == ["own_access_ended", "mandate_opened"]


def test_what_somebody_is_told_of_their_own_record_is_never_hidden(family: Family) -> None:
    gone = caller("patient")
    own = family.record(gone)
    assistant_id = family.assists(gone)
    family.happens(own)
    family.happens()
    family.ends(family.holder, assistant_id)
    assert family.sees(gone) == ["own_access_ended", "mandate_opened"]


def test_what_was_put_down_by_somebody_who_asked_too_early_is_hidden_too(family: Family) -> None:
    """Between dossier's answer and the commit of a notice its reader left, and was told nothing before."""
    gone = caller("patient")
    assistant_id = family.assists(gone)
    people = family.house.dossier.people_of(context("notifications"), record_id=family.record_id)
    family.ends(family.holder, assistant_id)
    family.house.notifications.dossier, real = Answering(people, family), family.house.notifications.dossier
    try:
        family.happens()
    finally:
        family.house.notifications.dossier = real
    assert family.sees(gone) == ["own_access_ended"]


class Answering:
    """dossier, whose first answer of who stands on the holder side is an old one."""

    def __init__(self, people: Any, family: Family) -> None:
        self.people, self.real = [people], family.house.notifications.dossier

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def people_of(self, *args: Any, **said: Any) -> Any:
        return self.people.pop() if self.people else self.real.people_of(*args, **said)


# --- coming back ------------------------------------------------------------------------------------------------------


def test_who_comes_back_finds_again_what_they_were_told(family: Family) -> None:
    who = caller("patient")
    assistant_id = family.assists(who)
    family.happens()
    family.ends(family.holder, assistant_id)
    again = family.assists(who)
    accepted = AssistantAccepted(family.record_id, str(family.holder.patient_id), again, rfc3339(now()))
    family.hear("dossier", accepted, "notifications")
    assert family.sees(who) == ["assistant_accepted", "own_access_ended", "mandate_opened"]


def test_an_old_farewell_that_comes_late_hides_nothing_from_who_is_back(family: Family) -> None:
    who = caller("patient")
    first = family.assists(who, ended_at=now() - timedelta(hours=1))
    family.assists(who)
    family.happens()
    late = GrantEnded(family.record_id, str(family.holder.patient_id), "assistant", first, "person", None, "time",
                      rfc3339(now()), who.patient_id)  # fmt: skip
    for _ in range(2):
        family.hear("dossier", late, "notifications")
    assert "mandate_opened" in family.sees(who)


def test_a_curator_finds_it_again_each_time_the_holder_lets_them_act(family: Family) -> None:
    curator = caller("patient")
    sitting = family.represents(curator, kind="curator", together_until=now() + DAY)
    family.happens()
    assert family.sees(curator) == ["mandate_opened"]

    def until(moment: Any) -> None:
        with family.house.sessions["dossier"].transaction() as session:
            session.execute(sa.update(Representative).where(Representative.representative_id == sitting)
                            .values(together_until=moment))  # fmt: skip

    until(now() - timedelta(seconds=1))
    family.settle()
    assert family.sees(curator) == []
    until(now() + DAY)
    family.happens()
    assert family.sees(curator) == ["mandate_opened"] * 2


# --- death, merged records --------------------------------------------------------------------------------------------


def test_after_a_death_nobody_reads_for_the_holder_until_it_turns_out_to_be_none(family: Family) -> None:
    parent = caller("patient")
    family.represents(parent)
    family.happens()
    family.house.ask("dossier", "close_record_by_agency", AGENT, record_id=family.record_id, cause="death")
    family.house.deliver()
    assert family.sees(parent) == []
    family.house.ask("dossier", "reopen_record", AGENT, record_id=family.record_id)
    family.house.deliver()
    assert "mandate_opened" in family.sees(parent)


def test_what_was_told_of_a_record_that_leads_to_another_goes_with_the_part_in_that_one(family: Family) -> None:
    gone, stays, twin = caller("patient"), caller("patient"), Family(family.house)
    family.assists(gone, twin.record_id)
    family.assists(stays, twin.record_id)
    twin.happens()
    told = PatientsMerged(new_id(), str(family.holder.patient_id), str(twin.holder.patient_id), rfc3339(now()))
    family.hear("directory", told)
    family.house.deliver()
    assert [family.sees(who) for who in (gone, stays)] == [["mandate_opened"]] * 2
    [copy] = [row for row in _assistants(family) if row.patient_id == gone.patient_id]
    family.ends(family.holder, copy.assistant_id)
    assert family.sees(gone) == ["own_access_ended"]
    assert "mandate_opened" in family.sees(stays)


def test_who_came_along_with_a_merged_record_sees_nothing_of_the_other_once_they_are_two_again(family: Family) -> None:
    along, twin = caller("patient"), Family(family.house)
    family.assists(along, twin.record_id)
    merge_id = new_id()
    whom = (str(family.holder.patient_id), str(twin.holder.patient_id))
    family.hear("directory", PatientsMerged(merge_id, *whom, rfc3339(now())))
    family.house.deliver()
    family.happens()
    assert family.sees(along) == ["mandate_opened"]
    family.hear("directory", PatientsUnmerged(merge_id, *whom, rfc3339(now())))
    family.house.deliver()
    assert family.sees(along) == []
    twin.happens()
    assert family.sees(along) == ["mandate_opened"]


def _assistants(family: Family) -> list[Assistant]:
    with family.house.sessions["dossier"].transaction() as session:
        return list(session.scalars(sa.select(Assistant).where(Assistant.record_id == family.record_id)))


def test_who_turned_out_to_be_two_and_lost_one_of_two_parts_still_has_the_other(family: Family) -> None:
    one, other = caller("patient"), caller("patient")
    assistant_id = family.assists(one)
    family.happens()
    told = PatientsMerged(new_id(), str(other.patient_id), str(one.patient_id), rfc3339(now()))
    family.hear("directory", told, "notifications")
    again = family.assists(other)
    family.ends(family.holder, assistant_id)
    assert "mandate_opened" in family.sees(other)
    family.ends(family.holder, again)
    assert "mandate_opened" not in family.sees(other)


# --- at once ----------------------------------------------------------------------------------------------------------


def test_of_two_who_settle_one_record_at_once_the_later_answer_counts(family: Family) -> None:
    gone = caller("patient")
    assistant_id = family.assists(gone)
    family.happens()
    with family.house.sessions["notifications"].transaction() as session:
        store_departures.hold(session, family.record_id)
        other = threading.Thread(target=family.settle)
        other.start()
        waits = sa.text("select count(*) from pg_locks where locktype = 'advisory' and not granted")
        assert wait_until(lambda: session.scalar(waits) == 1, PATIENCE)
        family.house.ask("dossier", "end_assistant", family.holder, record_id=family.record_id,
                         assistant_id=assistant_id)  # fmt: skip
    other.join(PATIENCE)
    assert (family.record_id, gone.patient_id) in family.left()


def test_whoever_follows_their_inbox_is_rung_for_when_something_goes_and_when_it_is_back(
    family: Family, urls: dict[str, str]
) -> None:
    who = caller("patient")
    assistant_id = family.assists(who)
    family.happens()
    bell, rung = Bell(urls["notifications"]), set()

    def rings() -> bool:
        rung.update(bell.rung())
        return ("patient", str(who.patient_id)) in rung

    with family.house.sessions["dossier"].transaction() as session:
        session.execute(sa.update(Assistant).where(Assistant.assistant_id == assistant_id).values(ended_at=now()))
    family.settle()
    assert wait_until(rings, PATIENCE)
    rung.clear()
    family.settle()
    family.assists(who)
    family.settle()
    assert wait_until(rings, PATIENCE)
    bell.close()


@pytest.mark.parametrize("older", ["survivor", "merged"])
def test_what_was_told_while_two_were_one_is_read_by_whose_record_it_is_afterwards(family: Family, older: str) -> None:
    twin, merge_id = Family(family.house), new_id()
    agents_choice, led_away = (family, twin) if older == "survivor" else (twin, family)
    whom = (str(agents_choice.holder.patient_id), str(led_away.holder.patient_id))
    family.hear("directory", PatientsMerged(merge_id, *whom, rfc3339(now())), "notifications")
    family.hear("directory", PatientsMerged(merge_id, *whom, rfc3339(now())))
    family.house.deliver()
    family.happens()  # the older of the two records is the one that stays
    assert [family.sees(who.holder) for who in (family, twin)] == [["mandate_opened"]] * 2
    family.hear("directory", PatientsUnmerged(merge_id, *whom, rfc3339(now())), "notifications")
    family.hear("directory", PatientsUnmerged(merge_id, *whom, rfc3339(now())))
    family.house.deliver()
    assert [family.sees(who.holder) for who in (family, twin)] == [["mandate_opened"], []]
