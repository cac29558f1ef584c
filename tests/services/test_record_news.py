"""What happens in a record reaches whom it concerns, each once, and nobody else; with a real mailbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local.stack import Stack
from services.audit.contract import CaseAnswered
from services.db import new_id, now, rfc3339
from services.documents.contract import (
    BlockReminderDue,
    DepositOpposed,
    DepositRequested,
    DepositWishChanged,
    DocumentBlocked,
    DocumentDeposited,
    DocumentDispensed,
    DocumentRejected,
    DocumentReleased,
    DocumentRemoved,
    DocumentRestricted,
    RectificationAnswered,
    RectificationAsked,
    RectificationOverdue,
)
from services.dossier import contract as dossier
from services.notifications.models_messages import Message
from services.notifications.ports.texts import catalogue
from services.refusals import NotAllowed
from tests.builders import House, context
from tests.services.news_house import AGENT, AT, FUTURE, SIDE, Newsroom, Ring, Told, mandate, who
from tests.services.post_house import text_of

WHEN = ("3 mars 2026", "09:30")


@pytest.fixture
def post(together: House, infra: Stack, tmp_path: Path) -> Newsroom:
    """Its mailboxes are empty, and nobody has been told anything."""
    return Newsroom.fresh(together, infra, tmp_path)


# --- who is on the holder side ----------------------------------------------------------------------------------------


def people_of(post: Newsroom, record_id: str) -> Any:
    return post.house.ask("dossier", "people_of", context(), process="notifications", record_id=record_id)


def test_the_holder_side_is_who_is_in_force_now_and_nobody_else(post: Newsroom, ring: Ring) -> None:
    assert people_of(post, ring.record_id) == {
        "holder": ring.holder.patient_id, "representatives": [ring.representative.patient_id],
        "assistants": [ring.assistant.patient_id],
    }  # fmt: skip


def test_an_unknown_record_has_nobody(post: Newsroom) -> None:
    for unknown in (new_id(), "no id"):
        assert people_of(post, unknown) == {"holder": None, "representatives": [], "assistants": []}


def test_after_a_death_nobody_is_written_to_until_it_turns_out_to_be_none(post: Newsroom) -> None:
    holder, parent = post.person(), post.person()
    record_id = post.record(holder)
    post.represents(parent, record_id)
    post.house.ask("dossier", "close_record_by_agency", AGENT, record_id=record_id, cause="death")
    assert people_of(post, record_id) == {"holder": None, "representatives": [], "assistants": []}
    deleted = dossier.RecordStateChanged(record_id, "deleted", "ten_years_closed")
    assert post.occasions(post.happen(deleted, source="dossier")) == {}
    post.house.ask("dossier", "reopen_record", AGENT, record_id=record_id)
    assert people_of(post, record_id)["holder"] == holder.patient_id


def test_a_curator_counts_while_the_holder_lets_them_act(post: Newsroom) -> None:
    holder, lets, no_more = post.person(), post.person(), post.person()
    record_id = post.record(holder)
    post.represents(lets, record_id, kind="curator", together_until=now() + FUTURE)
    post.represents(no_more, record_id, kind="curator", together_until=now() - timedelta(seconds=1))
    assert people_of(post, record_id)["representatives"] == [lets.patient_id]


def test_whoever_is_recorded_twice_is_one_person(post: Newsroom) -> None:
    holder, parent = post.person(), post.person()
    record_id = post.record(holder)
    for kind in ("parent", "guardian"):
        post.represents(parent, record_id, kind=kind)
    assert people_of(post, record_id)["representatives"] == [parent.patient_id]


def test_nobody_but_notifications_may_ask_who_they_are(post: Newsroom, ring: Ring) -> None:
    for process in ("gateway", "documents", "audit"):
        with pytest.raises(NotAllowed):
            post.house.ask("dossier", "people_of", context(), process=process, record_id=ring.record_id)


# --- each event, told once to each ------------------------------------------------------------------------------------


def state(state: str, cause: str) -> Told:
    return lambda ring: dossier.RecordStateChanged(ring.record_id, state, cause)


def ended(ground: str, cause: str) -> Told:
    return lambda ring: dossier.GrantEnded(
        ring.record_id, str(ring.holder.patient_id), ground, new_id(), "professional", new_id(), cause, AT
    )


def changed(state: str) -> Told:
    return lambda ring: dossier.ReferringPhysicianChanged(
        ring.record_id, str(ring.holder.patient_id), new_id(), str(ring.physician.professional_id), state, AT
    )


def proposed(by: str) -> Told:
    return lambda ring: dossier.ReferringPhysicianProposed(
        ring.record_id, str(ring.holder.patient_id), new_id(), str(ring.physician.professional_id), by, AT
    )


def rejected(depositor: str) -> Told:
    return lambda ring: DocumentRejected(
        ring.record_id, new_id(), new_id(), who(ring, depositor).account_id, "patient", "infected", AT
    )


def dispensed(hidden: str | None) -> Told:
    return lambda ring: DocumentDispensed(
        ring.record_id, ring.document_id, new_id(), "partial", False, AT, hidden
    )  # fmt: skip


def removed(cause: str, author: str | None = None, hidden: str | None = None) -> Told:
    return lambda ring: DocumentRemoved(
        ring.record_id, new_id(), cause, AT, author and who(ring, author).professional_id, hidden
    )


def asked_for(outcome: str | None = None) -> Told:
    """A deposit that a holder asked of the professional: begun, or how it ended."""

    def made(ring: Ring) -> Any:
        whom = str(ring.professional.professional_id)
        if outcome is None:
            return DepositRequested(ring.record_id, new_id(), whom, "imaging", AT, AT)
        return DepositWishChanged(ring.record_id, new_id(), whom, outcome, AT)

    return made


def opposed(mandate_id: str | None = None) -> Told:
    return lambda ring: DepositOpposed(
        ring.record_id, new_id(), mandate_id, str(ring.professional.professional_id), AT
    )  # fmt: skip


def reminder(escalated: bool, physician: bool = True) -> Told:
    return lambda ring: BlockReminderDue(
        ring.record_id, new_id(), str(ring.professional.professional_id), escalated,
        str(ring.physician.professional_id) if physician else None, AT,
    )  # fmt: skip


def plain(kind: Any, *more: str) -> Told:
    return lambda ring: kind(ring.record_id, str(ring.holder.patient_id), *(new_id() for _ in more), AT)


TOLD: list[tuple[str, Told, dict[str, str]]] = [
    ("emergency access", plain(dossier.EmergencyAccessOpened, "mandate", "professional"),
     dict.fromkeys(SIDE, "emergency_access_opened")),
    ("access on responsibility", plain(dossier.ResponsibilityAccessOpened, "mandate", "professional"),
     dict.fromkeys(SIDE, "responsibility_access_opened")),
    ("admission", mandate("admission"), dict.fromkeys(SIDE, "mandate_opened")),
    ("hospital emergency", mandate("hospital_emergency"), dict.fromkeys(SIDE, "mandate_opened")),
    ("order", mandate("order"), dict.fromkeys(SIDE, "mandate_opened")),
    ("new presence code", plain(dossier.PresenceCodeRegenerated), dict.fromkeys(SIDE, "presence_code_regenerated")),
    ("presence code tried", plain(dossier.PresenceCodeTried, "professional"),
     dict.fromkeys(SIDE, "presence_code_tried")),
    ("circle over", ended("circle", "time"), dict.fromkeys(SIDE, "grant_ended")),
    ("of age", ended("legal_representative", "majority"), dict.fromkeys(SIDE, "grant_ended")),
    ("assistant resigned", ended("assistant", "resigned"), dict.fromkeys(SIDE, "grant_ended")),
    ("licence", lambda ring: dossier.LicenceStopsGrants(
        ring.record_id, str(ring.holder.patient_id), new_id(), "suspended", AT),
     dict.fromkeys(SIDE, "licence_stops_grants")),
    ("lapsed", state("open_by_lapse", "lapse"), dict.fromkeys(SIDE, "lapsed")),
    ("closed", state("closed", "holder_request"), dict.fromkeys(SIDE, "closed")),
    ("closed unused", state("closed", "ten_years_without_access"), dict.fromkeys(SIDE, "closed")),
    ("reopened", state("active", "reopening"), dict.fromkeys(SIDE, "reopened")),
    ("opposed", state("deleted", "opposition"), dict.fromkeys(SIDE, "deleted")),
    ("deleted", state("deleted", "ten_years_closed"), dict.fromkeys(SIDE, "deleted")),
    ("assistant", plain(dossier.AssistantAccepted, "assistant"), dict.fromkeys(SIDE, "assistant_accepted")),
    ("representative", lambda ring: dossier.RepresentativeRecorded(
        ring.record_id, str(ring.holder.patient_id), new_id(), "parent", AT),
     dict.fromkeys(SIDE, "representative_recorded")),
    ("proposed by the physician", proposed("professional"), dict.fromkeys(SIDE, "referring_proposed")),
    ("proposed by the holder", proposed("holder"), {"physician": "physician.referring_proposed"}),
    *((f"designation {how}", changed(how),
       {**dict.fromkeys(SIDE, f"referring_{how}"), "physician": f"physician.referring_{how}"})
      for how in ("effective", "ending", "ended")),
    ("block reminder", reminder(False), {"professional": "block_reminder"}),
    ("block escalated", reminder(True),
     {"professional": "block_escalated", "physician": "physician.block_escalated"}),
    ("block escalated to nobody else", reminder(True, physician=False), {"professional": "block_escalated"}),
    ("deposit rejected", rejected("professional"), {"professional": "deposit_rejected"}),
    ("deposit asked for", asked_for(), {"professional": "deposit_requested"}),
    ("deposit asked for no more", asked_for("withdrawn"), {"professional": "deposit_withdrawn"}),
    ("deposit overdue", asked_for("overdue"), dict.fromkeys(SIDE, "deposit_overdue")),
    ("deposits opposed, told to the holder side alone", opposed(), dict.fromkeys(SIDE, "deposit_opposed")),
    ("rectification asked", lambda ring: RectificationAsked(
        ring.record_id, new_id(), new_id(), str(ring.professional.professional_id), AT, AT),
     {"professional": "rectification_asked"}),
    ("rectification overdue", lambda ring: RectificationOverdue(
        ring.record_id, new_id(), new_id(), str(ring.professional.professional_id), AT),
     {"professional": "rectification_overdue"}),
    ("rectification answered", lambda ring: RectificationAnswered(
        ring.record_id, new_id(), new_id(), str(ring.professional.professional_id), "done", AT),
     dict.fromkeys(SIDE, "rectification_answered")),
    ("case answered", lambda ring: CaseAnswered(ring.record_id, new_id(), AT), dict.fromkeys(SIDE, "case_answered")),
    ("case answered, about what is hidden from representatives",
     lambda ring: CaseAnswered(ring.record_id, new_id(), AT, "withheld"), {"holder": "case_answered"}),
    ("deposit of the holder rejected", rejected("holder"), {"holder": "deposit_rejected"}),
    ("deposit of an assistant rejected", rejected("assistant"), {"assistant": "deposit_rejected"}),
    ("dispensed", dispensed(None), dict.fromkeys(SIDE, "dispensed")),
    ("dispensed, hidden from representatives", dispensed("withheld"), {"holder": "dispensed"}),
    ("document removed", removed("request", "professional"),
     {**dict.fromkeys(SIDE, "document_removed"), "professional": "author.document_removed"}),
    ("document removed, of the holder's own", removed("request"), dict.fromkeys(SIDE, "document_removed")),
    ("document removed, hidden from the patient", removed("request", "professional", "blocked"),
     {"professional": "author.document_removed"}),
    ("document removed, hidden from representatives", removed("request", None, "withheld"),
     {"holder": "document_removed"}),
    ("document at its term", removed("term", "professional"), dict.fromkeys(SIDE, "documents_expired")),
    ("first access", lambda ring: dossier.RecordFirstAccessedBy(
        ring.record_id, str(ring.holder.patient_id), new_id(), "circle", AT),
     {"holder": "record_first_accessed_by", "representative": "first_access", "assistant": "first_access"}),
]  # fmt: skip

SILENT: list[tuple[str, Told]] = [
    (
        "case answered, about what is hidden from the patient",
        lambda ring: CaseAnswered(ring.record_id, new_id(), AT, "blocked"),
    ),
    ("deposit asked for and met, told by the document itself to who may see it", asked_for("met")),
    ("presence mandate", mandate("presence")),
    ("dispensed, hidden from the patient", dispensed("blocked")),
    ("document of a deleted record, told by the record's own event", removed("record_deleted", "professional")),
    ("document removed while it was checked", removed("request", None, "unfinished")),
    ("emergency mandate, told by its own event", mandate("emergency")),
    ("responsibility mandate, told by its own event", mandate("responsibility")),
    ("transcribed from the health fund", proposed("health_fund")),
    ("activated by the holder", state("active", "activation")),
    ("merged", state("closed", "merged")),
    ("unmerged", state("active", "unmerged")),
    ("died", state("closed", "death")),
    ("not dead after all, and closed as before", state("closed", "death_withdrawn")),
    ("licence, told once for the record", ended("circle", "licence")),
    ("referring physician, told by its own event", ended("referring_physician", "time")),
]


def source_of(data: Any) -> str:
    return "documents" if type(data).__module__.startswith("services.documents") else "dossier"


@pytest.mark.parametrize(("data", "told"), [each[1:] for each in TOLD], ids=[each[0] for each in TOLD])
def test_each_whom_it_concerns_gets_one_message_and_nobody_else_any(
    post: Newsroom, ring: Ring, data: Told, told: dict[str, str]
) -> None:
    happened = data(ring)
    event_id = post.happen(happened, source=source_of(happened))
    post.happen(happened, event_id, source=source_of(happened))
    readers = {name: who(ring, name) for name in told}
    for person in ring.everybody:
        assert len(post.received(person)) == (1 if person in readers.values() else 0), person
    for name, occasion in told.items():
        [mail] = post.received(readers[name])
        subject = catalogue("fr")["mail"][_key(occasion)]["subject"]
        assert mail["Subject"] == subject


def _key(occasion: str) -> str:
    return occasion if occasion == "record_first_accessed_by" else f"record_news.{occasion}"


@pytest.mark.parametrize("data", [each[1] for each in SILENT], ids=[each[0] for each in SILENT])
def test_what_is_told_otherwise_or_was_the_holders_own_doing_sends_nothing(
    post: Newsroom, ring: Ring, data: Told
) -> None:
    happened = data(ring)
    event_id = post.happen(happened, source=source_of(happened))
    assert post.occasions(event_id) == {}
    assert [person for person in ring.everybody if post.received(person)] == []


# --- what stands in it ------------------------------------------------------------------------------------------------


def test_a_message_says_when_and_whose_and_neither_who_nor_what(post: Newsroom, ring: Ring) -> None:
    professional_id, mandate_id = new_id(), new_id()
    opened = dossier.EmergencyAccessOpened(ring.record_id, str(ring.holder.patient_id), mandate_id, professional_id, AT)
    post.happen(opened, source="dossier")
    words = catalogue("fr")["concerns"]
    for person, role in zip(ring.whole_side, ("holder", "representative", "assistant"), strict=True):
        [mail] = post.received(person)
        text, whole = text_of(mail), mail.as_string() + text_of(mail)
        assert words[role]["mail"] in text and all(part in text for part in WHEN)
        assert not [word for other, word in words.items() if other != role and word["mail"] in text]
        told = {professional_id, mandate_id, ring.record_id, *(str(each.patient_id) for each in ring.everybody),
                *(each.matricule for each in ring.everybody), "Weber", "Zoé", "Schmit", "Léa"}  # fmt: skip
        assert [one for one in told if one in whole] == []


def test_who_has_no_mail_hears_by_sms_whose_record_it_is(post: Newsroom) -> None:
    holder, parent = post.person(), post.person()
    record_id, number = post.record(holder), post.by_mobile_alone(parent)
    post.represents(parent, record_id)
    opened = dossier.EmergencyAccessOpened(record_id, str(holder.patient_id), new_id(), new_id(), AT)
    event_id = post.happen(opened, source="dossier")
    [sms] = post.sms()
    assert sms["to"] == number and WHEN[0] in sms["text"]
    assert sms["text"].startswith("DSP (personne représentée) : ")
    assert sorted(post.states(event_id)) == [("email", "sent"), ("sms", "sent")]


def test_a_holder_without_an_account_holds_up_nobody(post: Newsroom) -> None:
    holder, parent = post.front.patient(), post.person()
    record_id = post.record(holder)
    post.represents(parent, record_id)
    opened = dossier.EmergencyAccessOpened(record_id, str(holder.patient_id), new_id(), new_id(), AT)
    event_id = post.happen(opened, source="dossier")
    assert len(post.received(parent)) == 1
    assert sorted(state for _, state in post.states(event_id)) == ["no_channel", "sent"]


# --- once, whatever happens -------------------------------------------------------------------------------------------


def test_a_mail_server_that_is_away_holds_up_nobody_else_and_doubles_nobodys_message(post: Newsroom) -> None:
    holder, parent = post.person(), post.person()
    record_id, number = post.record(holder), post.by_mobile_alone(parent)
    post.represents(parent, record_id)
    opened = dossier.EmergencyAccessOpened(record_id, str(holder.patient_id), new_id(), new_id(), AT)
    event_id = new_id()
    post.go_out(replace(post.settings, smtp_port=1))
    post.happen(opened, event_id, source="dossier")
    with post.house.sessions["notifications"].transaction() as session:
        rows = session.scalars(sa.select(Message).where(Message.event_id == event_id, Message.channel != "inbox")).all()
        assert {row.recipient_id: row.state for row in rows if row.channel != "push"} == {
            parent.patient_id: "sent", holder.patient_id: "queued"
        }  # fmt: skip
    post.go_out(post.settings)
    post.later(1)
    for _ in range(2):
        post.happen(opened, event_id, source="dossier")
    assert len(post.received(holder)) == 1 and [one["to"] for one in post.sms()] == [number]


def test_killed_before_its_commit_the_repeat_tells_nobody_twice(post: Newsroom, ring: Ring) -> None:
    made, event_id = dossier.PresenceCodeRegenerated(ring.record_id, str(ring.holder.patient_id), AT), new_id()
    with pytest.raises(KeyboardInterrupt):
        post.happen(made, event_id, source="dossier", die=True)
    post.happen(made, event_id, source="dossier")
    assert [len(post.received(person)) for person in ring.side] == [1, 1]


# --- presence codes ---------------------------------------------------------------------------------------------------


def tried(ring: Ring, at: str) -> Any:
    return dossier.PresenceCodeTried(ring.record_id, str(ring.holder.patient_id), new_id(), at)


def test_many_tries_in_an_hour_are_one_message_and_the_next_hour_is_another(post: Newsroom, ring: Ring) -> None:
    for minute in (5, 6, 20, 59):
        post.happen(tried(ring, f"2026-03-03T08:{minute:02d}:00.000000Z"), source="dossier")
    assert len(post.received(ring.holder)) == 1
    post.happen(tried(ring, "2026-03-03T09:00:00.000000Z"), source="dossier")
    assert len(post.received(ring.holder)) == 2


def test_tries_at_another_record_are_told_to_the_same_representative(post: Newsroom, ring: Ring) -> None:
    sibling = post.person()
    record_id = post.record(sibling)
    post.represents(ring.representative, record_id)
    post.happen(tried(ring, AT), source="dossier")
    post.happen(dossier.PresenceCodeTried(record_id, str(sibling.patient_id), new_id(), AT), source="dossier")
    assert len(post.received(ring.representative)) == 2 and len(post.received(sibling)) == 1


# --- hidden documents -------------------------------------------------------------------------------------------------


def test_nothing_about_a_document_hidden_from_the_holder_side_ever_reaches_them(post: Newsroom, ring: Ring) -> None:
    document_id, at = new_id(), rfc3339(now())
    deposited = DocumentDeposited(
        ring.record_id, document_id, new_id(), "medical_report", "care_reports", "standard",
        ring.professional.professional_id, "application/pdf", 10, at, hidden="blocked",
    )  # fmt: skip
    for data in (
        deposited, DocumentBlocked(ring.record_id, document_id, at),
        DocumentRestricted(ring.record_id, document_id, new_id(), True, at),
        reminder(False)(ring), reminder(True)(ring), DocumentReleased(ring.record_id, document_id, at, at),
    ):  # fmt: skip
        post.happen(data, source="documents")
    assert [person for person in [*ring.whole_side, *ring.outsiders] if post.received(person)] == []
    assert (len(post.received(ring.professional)), len(post.received(ring.physician))) == (2, 1)


def test_the_physician_who_hid_it_is_not_told_twice_as_referring_physician(post: Newsroom, ring: Ring) -> None:
    author = str(ring.professional.professional_id)
    event_id = post.happen(
        BlockReminderDue(ring.record_id, new_id(), author, True, author, AT), source="documents"
    )  # fmt: skip
    assert post.occasions(event_id) == {author: "block_escalated"}


def test_a_merged_holder_is_told_at_the_account_of_either(post: Newsroom) -> None:
    owner, survivor = post.person(), post.front.patient()
    post.house.ask("directory", "merge_patients", AGENT, survivor_id=survivor.patient_id, merged_id=owner.patient_id,
                   reason="other")  # fmt: skip
    record_id = post.record(survivor)
    post.happen(dossier.PresenceCodeRegenerated(record_id, str(survivor.patient_id), AT), source="dossier")
    assert len(post.received(owner)) == 1
