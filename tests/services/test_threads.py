"""Secure messages: whoever may write is heard by whoever may hear, what was heard stays, and nobody else is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from services.audit.rules_catalogue import CATALOGUE
from services.db import new_id
from services.directory.contract import PatientsMerged
from services.dossier.contract import RecordClosed, RecordNotFound
from services.notifications.contract import (
    CorrespondentNotFound,
    ThreadNotFound,
    TooManyCorrespondents,
    WritingEnded,
)
from services.notifications.telling import Telling
from services.refusals import InsufficientScope, InvalidInput, KeyReused, NotAllowed, Refusal, RequestInFlight
from services.tokens import Caller
from tests.builders import caller, context
from tests.services.thread_house import Threads

SECRET = "Zwergpinscher im Rosengarten"


def refused(kind: type[Refusal], call: Callable[[], Any]) -> Any:
    with pytest.raises(Refusal) as refusal:
        call()
    assert type(refusal.value) is kind, refusal.value
    return refusal.value


# --- who reads and writes ---------------------------------------------------------------------------------------------


def test_a_holder_and_a_professional_of_their_circle_write_to_each_other(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor, text="Puis-je courir ?", subject="Genou")
    mail.write(doctor, thread_id, "Pas encore.")
    for who in (mail.holder, doctor):
        assert mail.texts(who, thread_id) == ["Puis-je courir ?", "Pas encore."]
        shown = mail.thread(who, thread_id)
        assert (shown["subject"], shown["may_write"], shown["record_id"]) == ("Genou", True, mail.record_id)
        assert mail.there(who) == mail.there(who, record_id=mail.record_id) == [thread_id]
    first, second = mail.ask("list_thread_messages", doctor, thread_id=thread_id)["messages"]
    assert (first["mine"], first["professional_id"], first["role"]) == (True, doctor.professional_id, None)
    assert (second["mine"], second["patient_id"], second["role"]) == (False, mail.holder.patient_id, "holder")
    again = mail.begin(doctor, text="Une question", subject="Suite")
    assert mail.texts(mail.holder, again) == ["Une question"]


def test_professionals_write_to_one_another_and_no_patient_comes_near(mail: Threads) -> None:
    one, other, third = (mail.professional() for _ in range(3))
    thread_id = mail.begin(one, other, record_id=None, text="Avis ?")
    mail.write(other, thread_id, "Oui.")
    assert mail.texts(one, thread_id) == ["Avis ?", "Oui."]
    assert mail.thread(one, thread_id)["record_id"] is None
    refused(ThreadNotFound, lambda: mail.texts(third, thread_id))
    refused(ThreadNotFound, lambda: mail.texts(mail.holder, thread_id))
    refused(InvalidInput, lambda: mail.begin(mail.holder, other, record_id=None))
    refused(CorrespondentNotFound, lambda: mail.begin(one, other, caller("professional"), record_id=None))
    refused(CorrespondentNotFound, lambda: mail.begin(one, mail.professional("withdrawn"), record_id=None))


def everything(mail: Threads, who: Caller, thread_id: str) -> dict[str, Callable[[], Any]]:
    return {
        "thread": lambda: mail.thread(who, thread_id),
        "messages": lambda: mail.texts(who, thread_id),
        "write": lambda: mail.write(who, thread_id),
        "receipts": lambda: mail.ask("read_receipts", who, thread_id=thread_id),
        "read": lambda: mail.ask("note_read", who, thread_id=thread_id, read_number=1),
        "archive": lambda: mail.ask("archive_thread", who, thread_id=thread_id, archived=True),
        "add": lambda: mail.ask("add_correspondent", who, thread_id=thread_id, professional_id=new_id()),
        "leave": lambda: mail.ask("leave_thread", who, thread_id=thread_id),
        "attach": lambda: mail.start(who, thread_id),
        "open": lambda: mail.open(who, thread_id, new_id()),
    }


def test_for_a_stranger_a_thread_is_not_there_whoever_they_are(mail: Threads) -> None:
    doctor, colleague = mail.trusted(), mail.trusted()
    thread_id = mail.begin(mail.holder, doctor, text="Privé")
    other_patient = caller("patient")
    mail.new_record(other_patient)
    strangers = [colleague, mail.professional(), other_patient, caller("patient"), mail.assistant()]
    for who in strangers:
        for name, call in (everything(mail, who, thread_id) | everything(mail, who, new_id())).items():
            assert refused(ThreadNotFound, call).to_wire() == ThreadNotFound().to_wire(), name
        for call in everything(mail, who, "no id at all").values():
            refused(ThreadNotFound, call)
        assert mail.there(who) == [] and mail.unread(who) == (0, 0)
    assert mail.texts(doctor, thread_id) == ["Privé"], "and nothing came of it"


def test_agents_and_software_never_read_a_message(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    agent = caller("agent", role="administrator")
    calls = everything(mail, agent, thread_id) | {
        "list": lambda: mail.there(agent), "count": lambda: mail.unread(agent),
        "begin": lambda: mail.begin(agent, doctor),
        "reach": lambda: mail.ask("list_correspondents", agent, record_id=mail.record_id),
    }  # fmt: skip
    for call in calls.values():
        refused(NotAllowed, call)
    software = replace(doctor, client_id=new_id(), scope="system/*.cruds user/*.cruds", purpose="TREAT")
    for call in everything(mail, software, thread_id).values():
        refused(InsufficientScope, call)


def test_a_thread_is_begun_only_with_whom_one_may_write_to(mail: Threads) -> None:
    doctor, stranger, blocked = mail.trusted(), mail.professional(), mail.trusted()
    mail.block(blocked)
    for whom in (stranger, blocked, caller("professional")):
        refused(CorrespondentNotFound, partial(mail.begin, mail.holder, whom))
        refused(CorrespondentNotFound, partial(mail.begin, doctor, whom))
        refused(RecordNotFound, partial(mail.begin, whom))
    unknown = new_id()
    for who in (doctor, mail.holder, mail.assistant(), caller("patient")):
        refused(RecordNotFound, partial(mail.begin, who, doctor, record_id=unknown))
    refused(RecordNotFound, lambda: mail.begin(mail.assistant(), doctor))
    refused(InvalidInput, lambda: mail.begin(mail.holder))
    refused(InvalidInput, lambda: mail.begin(doctor, record_id=None))
    refused(InvalidInput, lambda: mail.begin(doctor, doctor, record_id=None))
    assert mail.sql("select 1 from threads") == []
    reach = mail.ask("list_correspondents", mail.holder, record_id=mail.record_id)["correspondents"]
    assert reach == [{"professional_id": doctor.professional_id, "ground": "circle"}]
    refused(RecordNotFound, lambda: mail.ask("list_correspondents", stranger, record_id=mail.record_id))


# --- what ends, and what stays ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", ["removed", "blocked", "licence"])
def test_who_is_trusted_no_more_keeps_what_they_heard_and_hears_and_writes_nothing_new(
    mail: Threads, cause: str
) -> None:
    doctor, other = mail.trusted(), mail.trusted()
    thread_id = mail.begin(mail.holder, doctor, other, text="Avant")
    if cause == "licence":
        mail.practises(doctor, "suspended", 2)
    else:
        (mail.distrust if cause == "removed" else mail.block)(doctor)
    mail.sql("delete from messages")
    mail.write(mail.holder, thread_id, "Après")
    assert mail.texts(doctor, thread_id) == ["Avant"] and mail.texts(other, thread_id) == ["Avant", "Après"]
    shown = mail.ask("list_threads", doctor)["threads"][0]
    assert (shown["last_number"], shown["unread"]) == (1, 1), "not even that something was written"
    newcomer, parent = mail.trusted(), mail.representative()
    mail.ask("add_correspondent", mail.holder, thread_id=thread_id, professional_id=newcomer.professional_id)
    for who in (other, parent):
        mail.ask("note_read", who, thread_id=thread_id, read_number=2)
    seen = mail.thread(doctor, thread_id)
    assert seen["may_write"] is False
    assert {one["professional_id"] or one["patient_id"] for one in seen["correspondents"]} == {
        doctor.professional_id, other.professional_id, mail.holder.patient_id,
    }  # fmt: skip
    assert max(one["read_number"] for one in seen["correspondents"]) == 1, "nor how far others have read since"
    mail.sql("delete from messages where recipient_id = :id", id=newcomer.professional_id)
    assert refused(WritingEnded, lambda: mail.write(doctor, thread_id)).to_wire() == WritingEnded().to_wire()
    refused(WritingEnded, lambda: mail.start(doctor, thread_id))
    added = {"thread_id": thread_id, "professional_id": other.professional_id}
    refused(WritingEnded, lambda: mail.ask("add_correspondent", doctor, **added))
    assert mail.told() == [("professional", other.professional_id, None)]


def test_who_is_trusted_again_hears_from_then_on_and_not_what_was_between(mail: Threads) -> None:
    doctor, other = mail.trusted(), mail.trusted()
    thread_id = mail.begin(mail.holder, doctor, other, text="1")
    mail.distrust(doctor)
    mail.write(mail.holder, thread_id, "2")
    mail.trust(doctor)
    mail.write(other, thread_id, "3")
    mail.write(doctor, thread_id, "4")
    assert mail.texts(doctor, thread_id) == ["1", "3", "4"]
    assert mail.texts(mail.holder, thread_id) == ["1", "2", "3", "4"]


def test_a_closed_record_is_written_in_no_more_and_what_was_said_stays(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    mail.dossier("close_record_by_agency", caller("agent"), cause="agency_request")
    for who in (mail.holder, doctor):
        assert mail.texts(who, thread_id) == ["Bonjour"]
        refused(WritingEnded, partial(mail.write, who, thread_id))
    refused(RecordClosed, lambda: mail.begin(mail.holder, doctor))
    refused(RecordNotFound, lambda: mail.begin(doctor))


def test_after_a_death_professionals_keep_what_they_heard_and_nobody_writes(mail: Threads) -> None:
    doctor, parent = mail.trusted(), mail.representative()
    thread_id = mail.begin(mail.holder, doctor)
    mail.dossier("close_record_by_agency", caller("agent"), cause="death")
    assert mail.texts(doctor, thread_id) == ["Bonjour"]
    refused(WritingEnded, lambda: mail.write(doctor, thread_id))
    refused(ThreadNotFound, lambda: mail.texts(parent, thread_id))


def test_a_holder_to_whom_nobody_listens_any_more_writes_to_nobody(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    mail.ask("leave_thread", doctor, thread_id=thread_id)
    refused(WritingEnded, lambda: mail.write(mail.holder, thread_id))
    assert mail.thread(mail.holder, thread_id)["may_write"] is False


# --- the holder side --------------------------------------------------------------------------------------------------


def test_representatives_read_and_write_with_the_holder_while_they_represent(mail: Threads) -> None:
    doctor, parent = mail.trusted(), mail.representative()
    ended = mail.representative(ended_at=datetime.now(UTC) - timedelta(hours=1))
    thread_id = mail.begin(parent, doctor, text="Pour mon enfant")
    mail.write(mail.holder, thread_id, "Moi aussi")
    assert mail.texts(parent, thread_id) == mail.texts(doctor, thread_id) == ["Pour mon enfant", "Moi aussi"]
    roles = [message["role"] for message in mail.ask("list_thread_messages", doctor, thread_id=thread_id)["messages"]]
    assert roles == ["holder", "representative"]
    refused(ThreadNotFound, lambda: mail.texts(ended, thread_id))
    assert mail.there(ended) == []
    people = mail.thread(doctor, thread_id)["correspondents"]
    assert [(one["patient_id"], one["role"]) for one in people if one["patient_id"]] == [
        (mail.holder.patient_id, "holder"), (parent.patient_id, "representative"),
    ]  # fmt: skip


def test_what_a_minor_who_decides_alone_writes_their_parents_do_not_see(mail: Threads) -> None:
    doctor, parent = mail.trusted(), mail.representative()
    mail.dossier("flag_autonomous_minor", doctor, minor=True)
    own, theirs = mail.begin(mail.holder, doctor, text="Seul"), mail.begin(doctor, text="Entre nous")
    shared = mail.begin(parent, doctor, text="À deux")
    mail.write(doctor, own, "D’accord")
    assert mail.there(parent) == [shared] and set(mail.there(mail.holder)) == {own, theirs, shared}
    for hidden in (own, theirs):
        for call in everything(mail, parent, hidden).values():
            refused(ThreadNotFound, call)
        assert not any(one["role"] == "representative" for one in mail.thread(doctor, hidden)["correspondents"])
    about = [trace for trace in mail.traces() if trace["object_id"] in (own, theirs)]
    assert about and all(trace["record_id"] is None for trace in about), "nor is it in the record's history"
    told = mail.sql("select distinct cast(recipient_id as text) from messages where object_id = :id", id=own)
    assert {row[0] for row in told} == {doctor.patient_id or doctor.professional_id, mail.holder.patient_id}


def test_what_was_written_is_found_after_two_patients_turned_out_to_be_one(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    survivor = caller("patient")
    record_id = mail.new_record(survivor)
    mail.hear("on_patients_merged", "directory", PatientsMerged(
        merge_id=new_id(), survivor_id=survivor.patient_id or "", merged_id=mail.holder.patient_id or "",
        at=datetime.now(UTC).isoformat(),
    ))  # fmt: skip
    mail.sql("delete from messages")
    speaks = mail.thread(survivor, thread_id)["record_id"]
    assert speaks in (record_id, mail.record_id)
    for who in (survivor, mail.holder):
        assert mail.there(who) == mail.there(who, record_id=speaks) == [thread_id]
        assert mail.thread(who, thread_id)["record_id"] == speaks
    mail.write(mail.holder, thread_id, "Sous l’ancien numéro")
    assert mail.texts(survivor, thread_id) == ["Bonjour", "Sous l’ancien numéro"]
    assert mail.told() == [("professional", doctor.professional_id, None)], "one person is not told of themselves"


# --- taking part ------------------------------------------------------------------------------------------------------


def test_who_is_added_hears_what_whoever_added_them_hears(mail: Threads) -> None:
    one, other, third = mail.trusted(), mail.trusted(), mail.trusted()
    thread_id = mail.begin(mail.holder, one, other, text="1")
    mail.distrust(other)
    mail.write(mail.holder, thread_id, "2")
    mail.trust(other)
    mail.write(one, thread_id, "3")
    added = {"thread_id": thread_id, "professional_id": third.professional_id}
    mail.sql("delete from messages")
    mail.ask("add_correspondent", other, **added)
    assert mail.texts(third, thread_id) == mail.texts(other, thread_id) == ["1", "3"], "2 was not theirs to show"
    assert mail.told() == [("professional", third.professional_id, None)]
    mail.ask("add_correspondent", mail.holder, **added)
    assert mail.texts(third, thread_id) == ["1", "3"], "who takes part already is not added twice"
    assert mail.unread(third) == (1, 2)
    stranger = {"thread_id": thread_id, "professional_id": mail.professional().professional_id}
    refused(CorrespondentNotFound, lambda: mail.ask("add_correspondent", mail.holder, **stranger))


def test_who_leaves_keeps_what_they_heard_and_may_be_brought_back(mail: Threads) -> None:
    one, other, third = (mail.professional() for _ in range(3))
    thread_id = mail.begin(one, other, third, record_id=None, text="1")
    mail.ask("leave_thread", other, thread_id=thread_id)
    mail.ask("leave_thread", other, thread_id=thread_id)
    mail.write(one, thread_id, "2")
    assert mail.texts(other, thread_id) == ["1"]
    assert mail.ask("list_threads", other)["threads"][0]["left"] is True
    refused(WritingEnded, lambda: mail.write(other, thread_id))
    mail.ask("add_correspondent", one, thread_id=thread_id, professional_id=other.professional_id)
    assert mail.texts(other, thread_id) == ["1", "2"]
    mail.write(other, thread_id, "3")
    assert mail.texts(third, thread_id) == ["1", "2", "3"]
    refused(
        NotAllowed, lambda: mail.ask("leave_thread", mail.holder, thread_id=mail.begin(mail.holder, mail.trusted()))
    )


def test_a_thread_takes_so_many_and_no_more(mail: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifications.thread_people.CORRESPONDENTS_MOST", 2)
    one, other, third = (mail.professional() for _ in range(3))
    thread_id = mail.begin(one, other, record_id=None)
    added = {"thread_id": thread_id, "professional_id": third.professional_id}
    assert refused(TooManyCorrespondents, lambda: mail.ask("add_correspondent", one, **added)).detail == {"most": 2}
    many = [new_id() for _ in range(51)]
    refused(InvalidInput, lambda: mail.ask("begin_thread", one, subject="x", professional_ids=many))


# --- read, unread, put aside ------------------------------------------------------------------------------------------


def test_receipts_say_how_far_everybody_has_read_and_never_go_back(mail: Threads) -> None:
    doctor, parent = mail.trusted(), mail.representative()
    thread_id = mail.begin(mail.holder, doctor, text="1")
    mail.write(mail.holder, thread_id, "2")
    assert mail.unread(doctor) == (1, 2) and mail.unread(parent) == (1, 2) and mail.unread(mail.holder) == (0, 0)
    mail.ask("note_read", doctor, thread_id=thread_id, read_number=999)
    mail.ask("note_read", doctor, thread_id=thread_id, read_number=1)
    mail.ask("note_read", parent, thread_id=thread_id, read_number=1)
    told = mail.ask("read_receipts", mail.holder, thread_id=thread_id)["correspondents"]
    read = {one["professional_id"] or one["patient_id"]: one["read_number"] for one in told}
    assert read == {doctor.professional_id: 2, mail.holder.patient_id: 2, parent.patient_id: 1}
    assert mail.unread(doctor) == (0, 0) and mail.unread(parent) == (1, 1)
    mail.write(doctor, thread_id, "3")
    assert mail.unread(mail.holder) == (1, 1) and mail.unread(doctor) == (0, 0)


def test_what_is_put_aside_comes_back_when_something_is_written(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    for who in (mail.holder, doctor):
        mail.ask("archive_thread", who, thread_id=thread_id, archived=True)
        assert mail.there(who) == [] and mail.there(who, archived=True) == [thread_id]
    mail.ask("archive_thread", doctor, thread_id=thread_id, archived=False)
    assert mail.there(doctor) == [thread_id] and mail.there(mail.holder) == []
    mail.write(doctor, thread_id)
    assert mail.there(mail.holder) == [thread_id] and mail.there(mail.holder, archived=True) == []


def test_pages_hold_everything_once_whatever_their_size(mail: Threads) -> None:
    doctor = mail.trusted()
    made = [mail.begin(mail.holder, doctor, subject=str(number)) for number in range(7)]
    for thread_id in (made[2], made[5]):
        mail.write(doctor, thread_id)
    order = [made[5], made[2], *reversed([one for one in made if one not in (made[2], made[5])])]
    for who in (mail.holder, doctor):
        for size in (1, 2, 3, 7, 100):
            found: list[str] = []
            cursor: str | None = None
            while True:
                page = mail.ask("list_threads", who, limit=size, cursor=cursor)
                found += [each["thread_id"] for each in page["threads"]]
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            assert found == order
    for number in range(6):
        mail.write(doctor, made[0], str(number))
    texts: list[str] = []
    cursor = None
    while True:
        page = mail.ask("list_thread_messages", mail.holder, thread_id=made[0], limit=2, cursor=cursor)
        texts += [each["text"] for each in page["messages"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert texts == ["5", "4", "3", "2", "1", "0", "Bonjour"]


def test_a_thread_without_a_message_is_there_for_whoever_began_it_alone(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor, text=None)
    assert mail.there(mail.holder) == [thread_id] and mail.there(doctor) == [] and mail.told() == []
    mail.write(mail.holder, thread_id, "Enfin")
    assert mail.there(doctor) == [thread_id]


# --- told, and nothing said -------------------------------------------------------------------------------------------


def test_whoever_hears_is_told_once_an_hour_and_the_writer_is_not(mail: Threads) -> None:
    doctor, other, parent = mail.trusted(), mail.trusted(), mail.representative()
    mail.assistant()
    thread_id = mail.begin(mail.holder, doctor, other)
    everybody = [("patient", parent.patient_id, "representative"), ("professional", doctor.professional_id, None),
                 ("professional", other.professional_id, None)]  # fmt: skip
    assert mail.told() == mail.told("email") == sorted(everybody)
    for _ in range(3):
        mail.write(mail.holder, thread_id)
    assert mail.told() == sorted(everybody)
    mail.write(doctor, thread_id)
    assert mail.told() == sorted([*everybody, ("patient", mail.holder.patient_id, "holder")])
    [(kind, thread)] = set(mail.sql("select object_type, cast(object_id as text) from messages"))
    assert (kind, thread) == ("thread", thread_id)


def test_nothing_of_a_message_lies_anywhere_in_clear(mail: Threads) -> None:
    doctor = mail.trusted()
    keyed = replace(mail.holder, context=replace(context(), idempotency_key="k"))
    thread_id = mail.begin(keyed, doctor, subject=SECRET, text=SECRET)
    mail.write(keyed, thread_id, SECRET, [mail.attach(keyed, thread_id, SECRET.encode(), f"{SECRET}.txt")])
    assert mail.texts(doctor, thread_id) == [SECRET, SECRET]
    kept = mail.everything_kept()
    assert b"Rosengarten" not in kept and thread_id.encode() in kept
    wrapped, subject = mail.sql("select wrapped_key, subject from threads where thread_id = :id", id=thread_id)[0]
    other = mail.begin(mail.holder, doctor)
    mail.sql("update threads set subject = :subject where thread_id = :id", subject=bytes(subject), id=other)
    with pytest.raises(Exception, match="does not open"):
        mail.thread(doctor, other)
    mail.sql("delete from threads where thread_id = :id", id=other)
    assert bytes(wrapped) != bytes(subject)


def test_every_answer_leaves_exactly_one_trace_refusals_included(mail: Threads) -> None:
    doctor, other, stranger = mail.trusted(), mail.trusted(), mail.professional()
    thread_id = mail.begin(mail.holder, doctor)
    file_id = mail.attach(mail.holder, thread_id)
    mail.write(mail.holder, thread_id, "Voilà", [file_id])
    added = {"thread_id": thread_id, "professional_id": other.professional_id}
    good: list[tuple[str, Callable[[], Any]]] = [
        ("thread.created", lambda: mail.begin(mail.holder, doctor)),
        ("thread.searched", lambda: mail.there(doctor)),
        ("thread.searched", lambda: mail.unread(mail.holder)),
        ("thread.searched", lambda: mail.ask("list_correspondents", doctor, record_id=mail.record_id)),
        ("thread.read", lambda: mail.thread(doctor, thread_id)),
        ("thread.read", lambda: mail.texts(mail.holder, thread_id)),
        ("thread.read", lambda: mail.ask("read_receipts", doctor, thread_id=thread_id)),
        ("thread.noted", lambda: mail.ask("note_read", doctor, thread_id=thread_id, read_number=1)),
        ("thread.written", lambda: mail.write(doctor, thread_id)),
        ("thread.joined", lambda: mail.ask("add_correspondent", doctor, **added)),
        ("thread.archived", lambda: mail.ask("archive_thread", doctor, thread_id=thread_id, archived=True)),
        ("thread.attached", lambda: mail.attach(doctor, thread_id)),
        ("thread.opened", lambda: mail.open(doctor, thread_id, file_id)),
        ("thread.left", lambda: mail.ask("leave_thread", other, thread_id=thread_id)),
    ]
    for action, call in good:
        mail.sql("delete from outbox")
        call()
        [trace] = mail.traces()
        assert (trace["action"], trace["outcome"]) == (action, "allowed") and action in CATALOGUE
        if action != "thread.searched":
            assert trace["record_id"] == mail.record_id
    for call in everything(mail, stranger, thread_id).values():
        mail.sql("delete from outbox")
        refused(ThreadNotFound, call)
        [trace] = mail.traces()
        assert (trace["outcome"], trace["reason"]) == ("refused", "thread_not_found")
        assert (trace["object_id"], trace["record_id"]) == (thread_id, mail.record_id), "for its holder to see"
    for call in (
        lambda: mail.begin(stranger),
        lambda: mail.there(caller("agent")),
        lambda: mail.write(other, thread_id),
    ):
        mail.sql("delete from outbox")
        with pytest.raises(Refusal):
            call()
        assert [trace["outcome"] for trace in mail.traces()] == ["refused"]


# --- twice, at once, killed -------------------------------------------------------------------------------------------


def test_a_repeated_key_writes_once_and_another_body_is_refused(mail: Threads) -> None:
    doctor = mail.trusted()
    keyed = replace(mail.holder, context=replace(context(), idempotency_key="one"))
    thread_id = mail.begin(keyed, doctor, text="1")
    assert mail.begin(keyed, doctor, text="1") == thread_id
    first = mail.write(keyed, thread_id, "2")
    assert mail.write(keyed, thread_id, "2") == first
    refused(KeyReused, lambda: mail.write(keyed, thread_id, "3"))
    assert mail.texts(doctor, thread_id) == ["1", "2"] and mail.there(doctor) == [thread_id]
    mail.distrust(doctor)
    assert mail.write(keyed, thread_id, "2")["message_id"] == first["message_id"], "it was written, whatever is since"


def test_messages_written_at_the_same_moment_are_numbered_without_a_gap(mail: Threads) -> None:
    doctors = [mail.trusted() for _ in range(4)]
    thread_id = mail.begin(mail.holder, *doctors, text="0")
    keyed = replace(doctors[0], context=replace(context(), idempotency_key="same"))
    ready = threading.Barrier(8)
    failed: list[Any] = []

    def write(number: int) -> None:
        ready.wait()
        try:
            mail.write(doctors[number % 4] if number < 6 else keyed, thread_id, f"{min(number, 6)}")
        except RequestInFlight:
            pass
        except Refusal as refusal:
            failed.append(refusal)

    workers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    rows = mail.sql("select number from thread_messages where thread_id = :id order by number", id=thread_id)
    assert [row[0] for row in rows] == list(range(1, 9))
    assert sorted(mail.texts(doctors[1], thread_id)) == ["0", "0", "1", "2", "3", "4", "5", "6"]


def test_what_is_killed_on_the_way_was_never_written(mail: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    file_id = mail.attach(mail.holder, thread_id)
    mail.sql("delete from outbox")
    mail.sql("delete from messages")

    class Killed(Exception):
        pass

    def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(Telling, "_put_down", dies)
        with pytest.raises(Killed):
            mail.write(mail.holder, thread_id, "Perdu", [file_id])
    assert mail.texts(doctor, thread_id) == ["Bonjour"] and mail.told() == []
    assert [trace["action"] for trace in mail.traces()] == ["thread.read"]
    mail.write(mail.holder, thread_id, "Encore", [file_id])
    assert mail.texts(doctor, thread_id) == ["Bonjour", "Encore"]


# --- hostile input ----------------------------------------------------------------------------------------------------

NONSENSE: tuple[Any, ...] = (
    None, 0, -1, 1.5, True, "", " ", "\x00", "a\x00b", "\ud800", "\u202etxt.exe", {}, {"a": 1}, [[]], ["x"], [None],
    "x" * 100_000, "' or 1=1 --", new_id() + "'", "../../etc/passwd", float("inf"), 2**70,
)  # fmt: skip


@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: repr(value)[:20])
def test_nonsense_is_refused_as_nonsense_or_leads_nowhere(mail: Threads, value: Any) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    service, who = mail.service, replace(mail.holder, context=context())
    ids = [doctor.professional_id]
    put = {"attachment_id": new_id(), "sha256": "0" * 64, "size": 1, "media_type": "text/plain"}
    whole: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (service.begin_thread, {"subject": "x", "professional_ids": ids, "record_id": mail.record_id, "text": "x"}),
        (service.list_threads, {"limit": 1, "cursor": None, "archived": False, "record_id": None}),
        (service.list_thread_messages, {"thread_id": thread_id, "limit": 1, "cursor": None}),
        (service.write_message, {"thread_id": thread_id, "text": "x", "attachment_ids": []}),
        (service.note_read, {"thread_id": thread_id, "read_number": 1}),
        (service.add_correspondent, {"thread_id": thread_id, "professional_id": new_id()}),
        (service.archive_thread, {"thread_id": thread_id, "archived": False}),
        (service.read_thread, {"thread_id": thread_id}),
        (service.read_receipts, {"thread_id": thread_id}),
        (service.leave_thread, {"thread_id": thread_id}),
        (service.list_correspondents, {"record_id": mail.record_id}),
        (service.start_attachment, {"thread_id": thread_id, "gateway_key": mail.gateway.public, "name": "x"}),
        (service.commit_attachment, put),
        (service.open_attachment, {"thread_id": thread_id, "attachment_id": new_id(), "gateway_key": "x"}),
    ]
    calls = [(method, {**said, field: value}, field) for method, said in whole for field in said]
    for method, said, field in calls:
        try:
            answer = method(who, **said)
        except InvalidInput as wrong:
            assert all(error["pointer"] and error["message"] for error in wrong.detail["errors"])
            continue
        taken = field in ("text", "subject", "name", "archived", "limit", "read_number") or value is None
        nowhere = answer == {"threads": [], "next_cursor": None}
        assert isinstance(answer, Refusal) or taken or nowhere, (method.__name__, field, value, answer)


def test_a_text_stays_as_it_was_written_and_is_never_markup(mail: Threads) -> None:
    doctor = mail.trusted()
    said = "Ligne 1\r\nLigne 2\n<script>alert(1)</script> & « é » 👍 {text} %s"
    thread_id = mail.begin(mail.holder, doctor, text=said)
    assert mail.texts(doctor, thread_id) == [said.replace("\r\n", "\n")]


# --- how many words to the database -----------------------------------------------------------------------------------


def test_a_request_says_little_to_the_database_however_much_is_there(mail: Threads) -> None:
    doctor = mail.trusted()
    thread_id = mail.begin(mail.holder, doctor)
    most = {"write": 22, "messages": 6, "list": 4, "unread": 4}
    calls: dict[str, Callable[[], Any]] = {
        "write": lambda: mail.write(doctor, thread_id), "messages": lambda: mail.texts(doctor, thread_id),
        "list": lambda: mail.there(doctor), "unread": lambda: mail.unread(doctor),
    }  # fmt: skip
    few = {}
    for name, call in calls.items():
        with mail.counted() as said:
            call()
        few[name] = len(said)
    for _ in range(12):
        mail.begin(mail.holder, doctor)
        mail.write(mail.holder, thread_id)
    for name, call in calls.items():
        with mail.counted() as said:
            call()
        assert len(said) <= few[name] <= most[name], (name, len(said), few[name])
