"""The inbox over a real database: who reads what, what is hidden stays hidden, what is read stays read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations

import pytest
import sqlalchemy as sa

from services.db import new_id, now, rfc3339
from services.directory.contract import PatientsMerged, PatientsUnmerged
from services.documents.contract import DocumentBlocked, DocumentReleased, DocumentRestricted, DocumentWithheld
from services.dossier.contract import RecordHolderChanged
from services.notifications.contract import NotificationNotFound
from services.notifications.models_messages import Message
from services.refusals import InvalidInput, KeyReused
from tests.builders import House, caller
from tests.services.inbox_house import OCCASION, QUEUE, InboxHouse, of, patient

DOCTORS = "record_news.deposit_requested"


@pytest.fixture(scope="module")
def together(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, ("notifications",))
    yield house
    house.close()


@pytest.fixture
def house(together: House) -> InboxHouse:
    made = InboxHouse(together)
    made.actions()
    return made


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_a_patient_reads_what_they_were_told_the_newest_first(house: InboxHouse) -> None:
    me = patient()
    first, second = house.told(of(me)), house.told(of(me))
    house.told(of(patient()))
    assert house.page(me) == [second, first]
    assert house.unread(me) == 2


def test_a_notice_is_in_the_readers_language_with_what_it_is_about_and_no_more(house: InboxHouse) -> None:
    me, record_id, thing = patient(), new_id(), new_id()
    told = house.told(of(me), record_id=record_id, object_type="mandate", object_id=thing)
    titles = set()
    for locale in ("fr", "lb", "pt", "en", "de"):
        [shown] = house.ask(
            "list_notifications", replace(me, context=replace(me.context, locale=locale))
        )["notifications"]  # fmt: skip
        titles.add(shown["title"])
        assert shown["title"] and shown["text"] and "{" not in shown["title"] + shown["text"]
    assert len(titles) == 5
    assert shown["notification_id"] == told and shown["occasion"] == OCCASION
    assert (shown["record_id"], shown["object_type"], shown["object_id"]) == (record_id, "mandate", thing)
    assert shown["read_at"] is None
    assert set(shown) == {"notification_id", "occasion", "title", "text", "record_id", "object_type", "object_id",
                          "count", "happened_at", "read_at"}  # fmt: skip


def test_what_went_by_mail_alone_is_not_in_the_inbox(house: InboxHouse) -> None:
    me = patient()
    house.told(of(me), channel="email")
    assert house.page(me) == [] and house.unread(me) == 0


def test_who_is_patient_and_professional_reads_in_each_capacity_what_belongs_there(house: InboxHouse) -> None:
    account = new_id()
    ill, doctor = patient(account_id=account), caller("professional", account_id=account)
    private, at_work = house.told(of(ill)), house.told(of(doctor), DOCTORS, role=None)
    assert house.page(ill) == [private]
    assert house.page(doctor) == [at_work]


def test_what_became_of_a_deposit_is_told_in_every_capacity_of_its_account_and_to_no_other(house: InboxHouse) -> None:
    account = new_id()
    told = house.told(("account", account), QUEUE, role=None)
    for who in (patient(account_id=account), caller("professional", account_id=account)):
        assert house.page(who) == [told]
    assert house.page(patient()) == []


def test_a_professional_whose_id_is_a_patients_is_not_that_patient(house: InboxHouse) -> None:
    me = patient()
    house.told(of(me))
    assert house.page(caller("professional", professional_id=me.patient_id)) == []


def test_an_agent_does_not_read_a_patients_inbox(house: InboxHouse) -> None:
    me = patient()
    house.told(of(me))
    assert house.page(caller("agent", patient_id=me.patient_id, account_id=me.account_id)) == []


# --- hidden -----------------------------------------------------------------------------------------------------------


def test_what_is_about_a_blocked_document_is_gone_for_the_whole_side_until_it_is_released(house: InboxHouse) -> None:
    holder, representative, author = patient(), patient(), caller("professional")
    document_id, at = new_id(), rfc3339(now())
    for who, role in ((holder, "holder"), (representative, "representative")):
        house.told(of(who), role=role, document_id=document_id)
    reminded = house.told(of(author), "record_news.block_reminder", role=None, document_id=document_id)
    house.hear_of_documents(DocumentBlocked(new_id(), document_id, at))
    for who in (holder, representative):
        assert house.page(who) == [] and house.unread(who) == 0
    assert house.page(author) == [reminded], "whoever blocked it has to hear of it"
    house.hear_of_documents(DocumentReleased(new_id(), document_id, rfc3339(now()), at))
    for who in (holder, representative):
        assert len(house.page(who)) == 1 and house.unread(who) == 1


def test_a_withheld_document_is_hidden_from_representatives_and_not_from_the_minor(house: InboxHouse) -> None:
    minor, parent = patient(), patient()
    document_id, at = new_id(), rfc3339(now())
    own = house.told(of(minor), role="holder", document_id=document_id)
    theirs = house.told(of(parent), role="representative", document_id=document_id)
    house.hear_of_documents(DocumentWithheld(new_id(), document_id, True, at, at))
    assert house.page(minor) == [own] and house.page(parent) == []
    house.hear_of_documents(DocumentWithheld(new_id(), document_id, False, rfc3339(now()), at))
    assert house.page(parent) == [theirs]


def test_a_document_hidden_from_a_professional_is_in_no_notice_of_theirs_and_in_those_of_others(
    house: InboxHouse,
) -> None:
    barred, other, document_id = caller("professional"), caller("professional"), new_id()
    for who in (barred, other):
        house.told(of(who), DOCTORS, role=None, document_id=document_id)
    assert barred.professional_id is not None
    house.hear_of_documents(DocumentRestricted(new_id(), document_id, barred.professional_id, True, rfc3339(now())))
    assert house.page(barred) == [] and len(house.page(other)) == 1
    house.hear_of_documents(DocumentRestricted(new_id(), document_id, barred.professional_id, False, rfc3339(now())))
    assert len(house.page(barred)) == 1


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_blocks_and_releases_may_come_in_any_order_and_twice(house: InboxHouse, order: tuple[int, ...]) -> None:
    me, document_id = patient(), new_id()
    house.told(of(me), document_id=document_id)
    times = [rfc3339(now()) for _ in range(4)]
    events = [
        DocumentBlocked(new_id(), document_id, times[0]),
        DocumentReleased(new_id(), document_id, times[1], times[0]),
        DocumentBlocked(new_id(), document_id, times[2]),
        DocumentReleased(new_id(), document_id, times[3], times[2]),
    ]
    for place in (*order, *order):
        house.hear_of_documents(events[place])
    assert len(house.page(me)) == 1
    house.hear_of_documents(DocumentBlocked(new_id(), document_id, rfc3339(now())))
    assert house.page(me) == []


def test_what_is_hidden_cannot_be_marked_and_is_unread_when_it_is_seen_again(house: InboxHouse) -> None:
    me, document_id = patient(), new_id()
    hidden = house.told(of(me), document_id=document_id)
    newer = house.told(of(me))
    since = house.hide(document_id, "blocked")
    with pytest.raises(NotificationNotFound):
        house.ask("read_notification", me, notification_id=hidden)
    with pytest.raises(NotificationNotFound):
        house.ask("read_notifications", me, up_to=hidden)
    assert house.ask("read_notifications", me, up_to=newer) == {"read": 1}
    house.show(document_id, "blocked", since)
    assert house.page(me, unread_only=True) == [hidden]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_what_was_read_is_no_more_unread_and_stays_in_the_list(house: InboxHouse) -> None:
    me = patient()
    old, new = house.told(of(me)), house.told(of(me))
    first = house.ask("read_notification", me, notification_id=old)
    assert house.page(me, unread_only=True) == [new] and house.page(me) == [new, old] and house.unread(me) == 1
    assert house.ask("read_notification", me, notification_id=old) == first, "the first time counts"


def test_all_up_to_one_are_read_and_what_came_later_is_not(house: InboxHouse) -> None:
    me = patient()
    told = [house.told(of(me)) for _ in range(4)]
    assert house.ask("read_notifications", me, up_to=told[2]) == {"read": 3}
    assert house.page(me, unread_only=True) == [told[3]]
    assert house.ask("read_notifications", me, up_to=told[2]) == {"read": 0}


def test_another_persons_notice_is_not_found_like_one_that_never_was(house: InboxHouse) -> None:
    told = house.told(of(patient()))
    me = patient()
    for unknown in (told, new_id(), "no id"):
        for method, given in (("read_notification", "notification_id"), ("read_notifications", "up_to")):
            with pytest.raises(NotificationNotFound) as refused:
                house.ask(method, me, **{given: unknown})
            assert refused.value.detail == {}
    assert set(house.actions()) == {("notification.marked", "refused")}


def test_a_repeat_under_the_same_key_gets_the_first_answer_and_another_body_none(house: InboxHouse) -> None:
    me = patient()
    told, more = house.told(of(me)), house.told(of(me))
    mine = replace(me, context=replace(me.context, idempotency_key="k1"))
    assert house.ask("read_notifications", mine, up_to=told) == {"read": 1}
    assert house.ask("read_notifications", mine, up_to=told) == {"read": 1}
    with pytest.raises(KeyReused):
        house.ask("read_notifications", mine, up_to=more)


def test_pages_follow_each_other_without_gap_or_repeat_while_news_arrives(house: InboxHouse) -> None:
    me = patient()
    told = [house.told(of(me)) for _ in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = house.ask("list_notifications", me, limit=3, cursor=cursor)
        seen += [one["notification_id"] for one in page["notifications"]]
        house.told(of(me))
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == told[::-1]


@pytest.mark.parametrize(
    ("given", "pointer"),
    [({"limit": 0}, "/limit"), ({"limit": 101}, "/limit"), ({"limit": True}, "/limit"), ({"cursor": "x"}, "/cursor"),
     ({"unread_only": "yes"}, "/unread_only")],
)  # fmt: skip
def test_what_no_page_can_be_asked_with_is_named(house: InboxHouse, given: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        house.ask("list_notifications", patient(), **given)
    assert [error["pointer"] for error in refused.value.detail["errors"]] == [pointer]


def test_each_answer_leaves_one_trace(house: InboxHouse) -> None:
    me = patient()
    told = house.told(of(me))
    house.actions()
    house.page(me)
    house.unread(me)
    house.ask("read_notification", me, notification_id=told)
    house.ask("read_notifications", me, up_to=told)
    house.ask("prepare_stream", me)
    assert house.actions() == [
        ("notification.searched", "allowed"), ("notification.counted", "allowed"), ("notification.marked", "allowed"),
        ("notification.marked", "allowed"), ("stream.prepared", "allowed"),
    ]  # fmt: skip


# --- one person -------------------------------------------------------------------------------------------------------


def test_who_was_merged_reads_what_was_told_to_either_and_to_nobody_else(house: InboxHouse) -> None:
    survivor, merged, third, stranger = (patient() for _ in range(4))
    told = [house.told(of(who)) for who in (survivor, merged, third)]
    house.told(of(stranger))
    house.merge(str(survivor.patient_id), str(merged.patient_id))
    house.merge(str(third.patient_id), str(survivor.patient_id))
    for who in (survivor, merged, third):
        assert house.page(who) == told[::-1]
    assert len(house.page(stranger)) == 1
    house.ask("read_notification", merged, notification_id=told[0])
    assert house.unread(survivor) == 2


def test_after_a_merge_was_undone_each_reads_their_own_again(house: InboxHouse) -> None:
    one, other = patient(), patient()
    mine, theirs = house.told(of(one)), house.told(of(other))
    house.unmerge(house.merge(str(one.patient_id), str(other.patient_id)))
    assert house.page(one) == [mine] and house.page(other) == [theirs]
    with pytest.raises(NotificationNotFound):
        house.ask("read_notification", one, notification_id=theirs)


def test_a_merge_heard_of_after_its_undoing_changes_nothing(house: InboxHouse) -> None:
    one, other = patient(), patient()
    told = PatientsMerged(new_id(), str(one.patient_id), str(other.patient_id), rfc3339(now()))
    house.told(of(other))
    house.hear(PatientsUnmerged(told.merge_id, told.survivor_id, told.merged_id, rfc3339(now())))
    house.hear(told)
    house.hear(told)
    assert house.page(one) == []


# --- whose record it is -----------------------------------------------------------------------------------------------


def test_what_was_told_of_a_record_goes_to_whoever_holds_it_now(house: InboxHouse) -> None:
    former, holder, record_id, other_id = patient(), patient(), new_id(), new_id()
    of_it = [house.told(of(former), record_id=record_id) for _ in range(2)]
    as_assistant = house.told(of(former), role="assistant", record_id=record_id)
    of_another = house.told(of(former), record_id=other_id)
    own = house.told(of(former))
    house.ask("read_notification", former, notification_id=of_it[0])
    changed = RecordHolderChanged(record_id, str(holder.patient_id), str(former.patient_id))
    for _ in range(2):
        house.hear(changed, "dossier")
    assert set(house.page(holder)) == set(of_it) and house.unread(holder) == 1
    assert set(house.page(former)) == {as_assistant, of_another, own}
    with pytest.raises(NotificationNotFound):
        house.ask("read_notification", former, notification_id=of_it[1])


def test_whoever_heard_of_it_already_hears_it_once(house: InboxHouse) -> None:
    former, holder, record_id, event_id = patient(), patient(), new_id(), new_id()
    twice = [house.told(of(who), role=role, record_id=record_id) for who, role in (
        (former, "holder"), (holder, "assistant"),
    )]  # fmt: skip
    with house.sessions.transaction() as session:
        session.execute(sa.update(Message).where(Message.message_id.in_(twice)).values(event_id=event_id))
    house.hear(RecordHolderChanged(record_id, str(holder.patient_id), str(former.patient_id)), "dossier")
    assert house.page(holder) == [twice[1]] and house.page(former) == []


def test_what_was_told_to_somebody_else_of_that_record_stays_theirs(house: InboxHouse) -> None:
    former, holder, child, record_id = patient(), patient(), patient(), new_id()
    theirs = house.told(of(child), record_id=record_id)
    house.hear(RecordHolderChanged(record_id, str(holder.patient_id), str(former.patient_id)), "dossier")
    assert house.page(child) == [theirs] and house.page(holder) == []
