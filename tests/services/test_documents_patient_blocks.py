"""A document that a professional hides from the holder side until it was explained, and what falls due meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from nameko.testing.services import worker_factory

from services import settings
from services.db import new_id, now, rfc3339
from services.documents import patient_blocks
from services.documents.contract import (
    TEXT,
    BlockReminderDue,
    DocumentBlocked,
    DocumentNotFound,
    DocumentReleased,
)
from services.documents.service import Documents
from services.refusals import InvalidInput, KeyReused, NotAllowed, Refusal, Unavailable
from services.tokens import Caller
from tests.builders import InProcess, caller, context
from tests.services.test_documents_hidden import says, sees
from tests.services.ward import Ward, at_once

DAY = timedelta(days=1)

# --- hidden from the holder side --------------------------------------------------------------------------------------


def test_a_blocked_document_is_absent_for_the_whole_holder_side_and_for_no_professional(ward: Ward) -> None:
    author, nurse, reader = ward.present(), ward.present("nurse"), ward.present("pharmacist")
    family = (ward.holder, ward.representative(), ward.assistant())
    document_id = ward.deposit(author)
    assert all(sees(ward, who, document_id) for who in family)
    assert ward.block(nurse, document_id)["blocked"] is True
    assert not any(sees(ward, who, document_id) for who in family)
    assert all(sees(ward, who, document_id) for who in (author, nurse, reader))
    ward.release(author, document_id)
    assert all(sees(ward, who, document_id) for who in family)


def test_every_question_about_a_blocked_document_is_answered_as_about_none(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.set_in_record(autonomous_minor="yes")
    ward.block(doctor, document_id)
    ward.sql("delete from outbox")
    who = {"professional_id": doctor.professional_id}
    questions: list[tuple[str, dict[str, Any]]] = [
        ("read_document", {}),
        ("change_confidentiality", {"level": "private", "risk_accepted": True}),
        ("restrict_document", {**who, "risk_accepted": True, "risk_version": "risk-2026-1"}),
        ("unrestrict_document", who),
        ("list_restrictions", {}),
        ("readers", {}),
        ("explain_document", {"who": who, "action": "read"}),
        ("withhold_document", {}),
        ("show_document", {}),
        ("block_document", {"reason": "x"}),
        ("release_document", {}),
        ("read_patient_block", {}),
    ]
    for method, said in questions:
        words = []
        for asked in (document_id, new_id()):
            with ward.counted() as statements, pytest.raises(DocumentNotFound) as refused:
                ward.ask(method, ward.holder, document_id=asked, **said)
            words.append((refused.value.to_wire(), len(statements)))
        assert words[0] == words[1], method
    traces = ward.traces()
    assert len(traces) == 2 * len(questions)
    assert {(trace["outcome"], trace["reason"]) for trace in traces} == {("refused", "document_not_found")}


def test_a_blocked_document_changes_no_page_of_the_holder(ward: Ward) -> None:
    doctor = ward.present()
    kept = [ward.deposit(doctor) for _ in range(3)]
    ward.block(doctor, hidden := ward.deposit(doctor))
    page = ward.ask("list_documents", ward.holder, record_id=ward.record_id, limit=3)
    assert [item["document_id"] for item in page["documents"]] == kept[::-1] and page["next_cursor"] is None
    assert ward.traces("document.searched")[-1]["count"] == 3
    assert hidden in ward.listed(doctor)


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_professional_who_only_reads_the_category_neither_blocks_nor_releases(ward: Ward) -> None:
    doctor, reader = ward.present(), ward.present("pharmacist")
    document_id = ward.deposit(doctor)
    with pytest.raises(NotAllowed):
        ward.block(reader, document_id)
    assert sees(ward, ward.holder, document_id)
    ward.block(doctor, document_id)
    with pytest.raises(NotAllowed):
        ward.release(reader, document_id)
    assert not sees(ward, ward.holder, document_id)
    reasons = [(t["action"], t["reason"]) for t in ward.traces() if t["outcome"] == "refused"]
    assert reasons[0] == ("document.blocked", "not_allowed") and ("document.released", "not_allowed") in reasons


def test_who_may_release_a_document_reads_who_blocked_it_and_why(ward: Ward) -> None:
    author, nurse, reader = ward.present(), ward.present("nurse"), ward.present("pharmacist")
    document_id = ward.deposit(author)
    empty = {"document_id": document_id, "blocked": False, "since": None, "professional_id": None, "reason": None}
    assert ward.ask("read_patient_block", nurse, document_id=document_id) == empty
    since = ward.block(author, document_id, "À annoncer")["since"]
    assert ward.ask("read_patient_block", nurse, document_id=document_id) == {
        "document_id": document_id, "blocked": True, "since": since, "professional_id": author.professional_id,
        "reason": "À annoncer",
    }  # fmt: skip
    with pytest.raises(NotAllowed):
        ward.ask("read_patient_block", reader, document_id=document_id)
    ward.release(nurse, document_id)
    assert ward.ask("read_patient_block", author, document_id=document_id) == empty
    with pytest.raises(NotAllowed):
        ward.ask("read_patient_block", ward.holder, document_id=document_id)


def test_nobody_of_the_holder_side_blocks(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    for who in (ward.holder, ward.representative(), ward.assistant()):
        with pytest.raises(NotAllowed):
            ward.block(who, document_id)
        assert sees(ward, who, document_id)


def test_an_author_whose_ground_has_ended_blocks_nothing(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author)
    ward.end_mandates()
    with pytest.raises(NotAllowed):
        ward.block(author, document_id)
    assert sees(ward, author, document_id) and sees(ward, ward.holder, document_id)


def test_an_author_blocks_and_releases_at_every_level_while_a_ground_lets_them_deposit(ward: Ward) -> None:
    author, colleague = ward.present(), ward.present()
    document_id = ward.deposit(author)
    ward.set_level(ward.holder, document_id, "private")
    with pytest.raises(DocumentNotFound):
        ward.block(colleague, document_id)
    ward.block(author, document_id)
    assert not sees(ward, ward.holder, document_id)
    ward.release(author, document_id)
    assert sees(ward, ward.holder, document_id)
    ward.restrict(ward.holder, document_id, author)
    with pytest.raises(NotAllowed):
        ward.block(author, document_id)


def test_what_the_holder_deposited_is_not_blocked(ward: Ward) -> None:
    expression = ward.deposit(ward.holder, b"Mes souhaits", TEXT, type="holder_expression")
    doctor = ward.present()
    assert expression in ward.listed(doctor)
    with pytest.raises(NotAllowed):
        ward.block(doctor, expression)


def test_who_does_not_see_a_document_cannot_block_it(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    barred = ward.present()
    ward.restrict(ward.holder, document_id, barred)
    for who in (barred, ward.professional(), caller("agent")):
        with pytest.raises(DocumentNotFound):
            ward.block(who, document_id)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, None, 7, "a\ud800"])
def test_a_reason_is_due(ward: Ward, reason: Any) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    with pytest.raises(InvalidInput) as refused:
        ward.house.documents.block_document(doctor, document_id=document_id, reason=reason)
    assert refused.value.detail["errors"] == [{"pointer": "/reason", "message": "length"}]
    assert sees(ward, ward.holder, document_id)


# --- once, twice, at once ---------------------------------------------------------------------------------------------


def blocks(ward: Ward, document_id: str) -> list[Any]:
    return list(ward.sql(
        "select since, until, released_how, released_by::text as released_by, reason, professional_id::text as by,"
        " reminded_at, escalated_at from patient_blocks where document_id = :d order by since", d=document_id,
    ))  # fmt: skip


def test_blocking_twice_is_one_block_and_every_block_stays_with_its_time(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    document_id = ward.deposit(author)
    first = ward.block(author, document_id, "  Annonce   en consultation ")
    assert ward.block(other, document_id, "Autre")["since"] == first["since"]
    assert ward.release(other, document_id) == {"document_id": document_id, "blocked": False, "since": None}
    ward.release(other, document_id)
    ward.block(author, document_id)
    begun, running = blocks(ward, document_id)
    assert (begun.reason, begun.by, begun.released_how) == (
        "Annonce en consultation", author.professional_id, "explained",
    )  # fmt: skip
    assert begun.released_by == other.professional_id and begun.since <= begun.until <= running.since
    assert running.until is None and running.released_how is None
    blocked, released = ward.events(DocumentBlocked), ward.events(DocumentReleased)
    assert [event["at"] for event in blocked] == [rfc3339(begun.since), rfc3339(running.since)]
    assert [(e["blocked_at"], e["at"]) for e in released] == [(rfc3339(begun.since), rfc3339(begun.until))]
    assert ward.traces("document.blocked")[0]["at"] == blocked[0]["at"]
    assert len(ward.traces("document.blocked")) == 3 and len(ward.traces("document.released")) == 2


def test_simultaneous_blocks_and_releases_leave_whole_periods(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    answers = at_once(8, lambda n: (ward.block if n % 2 else ward.release)(doctor, document_id))
    assert not [answer for answer in answers if isinstance(answer, Refusal)]
    rows = blocks(ward, document_id)
    [[marked]] = ward.sql("select patient_blocked_at from documents where document_id = :d", d=document_id)
    running = [row.since for row in rows if row.until is None]
    assert running == ([] if marked is None else [marked])
    assert len(ward.events(DocumentBlocked)) == len(rows)
    assert len(ward.events(DocumentReleased)) == len(rows) - len(running)


def test_the_same_key_blocks_once_and_another_body_is_refused(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    keyed = replace(doctor, context=context(idempotency_key="k1"))
    first = ward.block(keyed, document_id)
    ward.release(doctor, document_id)
    assert ward.block(keyed, document_id) == first
    assert sees(ward, ward.holder, document_id) and len(blocks(ward, document_id)) == 1
    with pytest.raises(KeyReused):
        ward.block(keyed, document_id, "Autre")


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quiet(ward: Ward) -> Ward:
    """A ward in whose house nothing else falls due."""
    ward.sql("update patient_blocks set until = since, released_how = 'explained' where until is null")
    return ward


def blocked_days_ago(ward: Ward, days: float, doctor: Caller | None = None) -> tuple[str, Caller, datetime]:
    """A document that was blocked then, by its author; since when."""
    doctor = doctor or ward.present()
    document_id = ward.deposit(doctor)
    ward.block(doctor, document_id)
    since = now() - timedelta(days=days)
    ward.sql("update patient_blocks set since = :at where document_id = :d", at=since, d=document_id)
    ward.sql("update documents set patient_blocked_at = :at where document_id = :d", at=since, d=document_id)
    ward.sql("delete from outbox")
    return document_id, doctor, since


def look_after(ward: Ward, at: datetime) -> None:
    ward.house.documents._look_after_blocks(at)


def reminders(ward: Ward) -> list[tuple[str, bool, str | None]]:
    return [(event["professional_id"], event["escalated"], event["referring_physician_id"])
            for event in ward.events(BlockReminderDue)]  # fmt: skip


def referring_physician(ward: Ward) -> Caller:
    who = ward.professional()
    ward.dossier_sql(
        "insert into referring_physicians (designation_id, record_id, professional_id, proposed_by, proposed_at,"
        " effective_at) values (:id, :record, :who, 'health_fund', now() - interval '90 days',"
        " now() - interval '60 days')", id=new_id(), record=ward.record_id, who=who.professional_id,
    )  # fmt: skip
    return who


def test_the_author_is_reminded_on_day_23_and_not_before_and_once(quiet: Ward) -> None:
    document_id, doctor, since = blocked_days_ago(quiet, 0)
    look_after(quiet, since + 23 * DAY - timedelta(seconds=1))
    assert reminders(quiet) == []
    look_after(quiet, since + 23 * DAY)
    look_after(quiet, since + 23 * DAY)
    look_after(quiet, since + 29 * DAY)
    assert reminders(quiet) == [(doctor.professional_id, False, None)]
    [event] = quiet.events(BlockReminderDue)
    assert (event["record_id"], event["document_id"]) == (quiet.record_id, document_id)
    assert event["at"] == rfc3339(since + 23 * DAY)


def test_author_and_referring_physician_are_told_on_day_30_and_not_before(quiet: Ward) -> None:
    _, doctor, since = blocked_days_ago(quiet, 0)
    referring = referring_physician(quiet)
    look_after(quiet, since + 23 * DAY)
    look_after(quiet, since + 30 * DAY - timedelta(seconds=1))
    assert [escalated for _, escalated, _ in reminders(quiet)] == [False]
    look_after(quiet, since + 30 * DAY)
    look_after(quiet, since + 300 * DAY)
    assert reminders(quiet) == [
        (doctor.professional_id, False, None), (doctor.professional_id, True, referring.professional_id),
    ]  # fmt: skip


def test_without_a_referring_physician_the_author_alone_is_told(quiet: Ward) -> None:
    _, doctor, since = blocked_days_ago(quiet, 0)
    look_after(quiet, since + 31 * DAY)
    assert reminders(quiet) == [(doctor.professional_id, True, None)]
    look_after(quiet, since + 31 * DAY)
    assert len(reminders(quiet)) == 1


def test_who_blocked_somebody_elses_document_is_told_beside_the_author(quiet: Ward) -> None:
    author, nurse = quiet.present(), quiet.present("nurse")
    document_id = quiet.deposit(author)
    quiet.block(nurse, document_id)
    look_after(quiet, now() + 24 * DAY)
    assert [whom for whom, _, _ in reminders(quiet)] == [author.professional_id, nurse.professional_id]
    referring = referring_physician(quiet).professional_id
    look_after(quiet, now() + 31 * DAY)
    assert reminders(quiet)[2:] == [
        (author.professional_id, True, referring), (nurse.professional_id, True, None),
    ], "the referring physician is told once"  # fmt: skip


def test_of_a_released_block_nobody_is_reminded(quiet: Ward) -> None:
    document_id, doctor, since = blocked_days_ago(quiet, 5)
    quiet.release(doctor, document_id)
    look_after(quiet, since + 40 * DAY)
    assert reminders(quiet) == []


def test_no_block_ends_by_itself_where_the_agency_did_not_say_so(quiet: Ward) -> None:
    document_id, _, since = blocked_days_ago(quiet, 0)
    look_after(quiet, since + 3650 * DAY)
    assert not sees(quiet, quiet.holder, document_id) and quiet.events(DocumentReleased) == []


@pytest.fixture
def after_40_days(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The agency lets blocks end by themselves."""
    chosen = replace(settings.load(), patient_block_release_days=40)
    monkeypatch.setattr(patient_blocks, "load", lambda: chosen)
    yield


def test_a_block_ends_by_itself_after_the_days_the_agency_set(quiet: Ward, after_40_days: None) -> None:
    document_id, _, since = blocked_days_ago(quiet, 0)
    look_after(quiet, since + 40 * DAY - timedelta(seconds=1))
    assert not sees(quiet, quiet.holder, document_id)
    look_after(quiet, since + 40 * DAY)
    look_after(quiet, since + 41 * DAY)
    assert sees(quiet, quiet.holder, document_id)
    [row] = blocks(quiet, document_id)
    assert (row.released_how, row.released_by, row.until) == ("automatic", None, since + 40 * DAY)
    [event] = quiet.events(DocumentReleased)
    assert (event["blocked_at"], event["at"]) == (rfc3339(since), rfc3339(since + 40 * DAY))
    [trace] = quiet.traces("document.released")
    assert (trace["outcome"], trace["account_id"], trace["object_id"]) == ("allowed", None, document_id)
    assert [escalated for _, escalated, _ in reminders(quiet)] == [True], "the last reminder had been due before"


def replica(ward: Ward) -> Documents:
    """One more documents over the same database."""
    made: Documents = worker_factory(Documents, db=ward.house.sessions["documents"],
                                     dossier=InProcess(ward.house, "dossier", "documents"))  # fmt: skip
    return made


def test_two_replicas_remind_once_of_each(quiet: Ward) -> None:
    doctor = quiet.present()
    documents = [blocked_days_ago(quiet, 24, doctor)[0] for _ in range(6)]
    replicas, ready = [replica(quiet) for _ in range(2)], threading.Barrier(2)

    def work(one: Documents) -> None:
        ready.wait()
        one._look_after_blocks(now())

    threads = [threading.Thread(target=work, args=(one,)) for one in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look_after(quiet, now())
    assert sorted(event["document_id"] for event in quiet.events(BlockReminderDue)) == sorted(documents)


def test_a_block_that_another_replica_holds_is_left_to_it(quiet: Ward) -> None:
    document_id, _, _ = blocked_days_ago(quiet, 24)
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with quiet.house.sessions["documents"].transaction() as session:
            block_id = quiet.sql("select block_id::text from patient_blocks where document_id = :d", d=document_id)[0][
                0
            ]
            assert patient_blocks.store_hidden.claim_block(session, block_id) is not None
            held.set()
            go.wait(20)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(20)
    look_after(quiet, now())  # comes back at once, whoever holds the row
    assert reminders(quiet) == []
    go.set()
    other.join()
    look_after(quiet, now())
    assert len(reminders(quiet)) == 1


def test_killed_between_two_steps_it_goes_on_where_it_was(quiet: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = quiet.present()
    documents = [blocked_days_ago(quiet, 24 - n / 10, doctor)[0] for n in range(3)]
    noted: list[str] = []
    note = patient_blocks.store_hidden.note_reminder

    def killed_at_the_second(session: Any, block_id: str, at: datetime, **how: Any) -> None:
        note(session, block_id, at, **how)
        noted.append(block_id)
        if len(noted) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(patient_blocks.store_hidden, "note_reminder", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        look_after(quiet, now())
    assert [event["document_id"] for event in quiet.events(BlockReminderDue)] == documents[:1]
    monkeypatch.undo()
    look_after(quiet, now())
    assert [event["document_id"] for event in quiet.events(BlockReminderDue)] == documents


class Away:
    """A dossier that does not answer."""

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def unanswered(*_: Any, **__: Any) -> Any:
            raise Unavailable(service="dossier")

        return unanswered


def test_while_dossier_is_away_the_last_reminder_waits(quiet: Ward) -> None:
    _, doctor, since = blocked_days_ago(quiet, 0)
    alone = replica(quiet)
    alone.dossier = Away()
    alone._look_after_blocks(since + 30 * DAY)
    assert reminders(quiet) == []
    look_after(quiet, since + 30 * DAY)
    assert reminders(quiet) == [(doctor.professional_id, True, None)]


def test_the_timer_looks_at_what_is_due_now(quiet: Ward) -> None:
    _, doctor, _ = blocked_days_ago(quiet, 23.5)
    quiet.house.documents.look_after_blocks()
    assert reminders(quiet) == [(doctor.professional_id, False, None)]
    assert "consultation" not in json.dumps(quiet.house.events("documents"))


def test_a_professional_who_is_told_of_the_last_reminder_may_release(quiet: Ward) -> None:
    document_id, _, _ = blocked_days_ago(quiet, 31)
    referring = referring_physician(quiet)
    assert says(quiet, "release_document", referring, document_id=document_id) == "done"
    assert sees(quiet, quiet.holder, document_id)
