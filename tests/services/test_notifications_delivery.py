"""Messages on their way, over a real database, mail server and SMS provider: nothing is lost, nothing goes twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from deploy.local.stack import Stack
from services.bus import Received
from services.db import Sessions, new_id, now, rfc3339
from services.dossier.models_entourage import Representative
from services.identity.contract import OneTimeCodeRequested
from services.notifications import rules, store_hidden, store_messages
from services.notifications.contract import ReceiptNotTaken
from services.notifications.dispatching import Away
from services.notifications.models_messages import Message
from services.notifications.rules_notices import Notice
from services.notifications.rules_occasions import EMAIL, SMS
from services.notifications.rules_record_news import Reader
from services.notifications.service import Notifications
from services.refusals import InvalidInput, NotAllowed
from tests.builders import House, caller, context
from tests.rules.test_notifications_delivery_rules import notification
from tests.services.identity_house import Person
from tests.services.post_house import Post, Provider, number

AGENT = caller("agent")
NEWS = "record_news.dispensed"
TOKEN = "the provider's own"


class Depot(Post):
    """The house, and what lies there to be sent."""

    def tell(self, who: Person, occasion: str = NEWS, *, role: str = "holder", **about: Any) -> str:
        """One notice is put down for somebody, and nothing is sent yet; the event's id."""
        event = Received(new_id(), "dossier", "x", rfc3339(now()), None, None, None, context("dossier"))
        reader = Reader("patient", str(who.patient_id), occasion, role)
        with self.sessions.transaction() as session:
            self.service._put_down(session, event, [Notice(reader, rfc3339(now()), **about)])
        return event.id

    @property
    def service(self) -> Notifications:
        return self.house.notifications  # type: ignore[no-any-return, attr-defined]

    @property
    def sessions(self) -> Sessions:
        return self.house.sessions["notifications"]

    def rows(self, event_id: str) -> list[Message]:
        query = sa.select(Message).where(Message.event_id == event_id, Message.channel.in_((EMAIL, SMS)))
        with self.sessions.transaction() as session:
            return list(session.scalars(query.order_by(Message.recipient_id, Message.channel)))

    def row(self, event_id: str) -> Message:
        [one] = self.rows(event_id)
        return one

    def code(self, mobile: str | None = None) -> tuple[str, OneTimeCodeRequested]:
        """(The code, the event that asks for it to be sent.)"""
        _, me = self.owner()
        challenge_id = self.add(me, mobile or number())
        return self.front.mail(challenge_id)["code"], OneTimeCodeRequested(challenge_id, "account_contact")

    def by_http(self, provider: Provider, **settings: Any) -> None:
        self.go_out(replace(self.settings, sms_provider="http", sms_url=provider.url, **settings))

    def receipt(self, reference: str, status: str = "delivered", token: str = TOKEN) -> Any:
        return self.house.ask("notifications", "take_sms_receipt", context("gateway"), token=token,
                              client_reference=reference, status=status)  # fmt: skip


@pytest.fixture
def depot(together: House, infra: Stack, tmp_path: Path) -> Depot:
    return Depot.fresh(together, infra, tmp_path, sms_receipt_token=TOKEN)


def steps(message: Message) -> list[str]:
    return [step["state"] for step in message.history]


# --- a way out that is away -------------------------------------------------------------------------------------------


def test_a_mail_server_that_is_away_for_hours_delays_and_loses_nothing(depot: Depot) -> None:
    people = [depot.person() for _ in range(3)]
    depot.go_out(replace(depot.settings, smtp_port=1))
    events = [depot.tell(who) for who in people]
    for _ in range(12):
        depot.send()
        for event_id in events:
            row = depot.row(event_id)
            assert (row.state, row.cause, steps(row)) == ("queued", "away", ["queued"])
            assert row.due_at is not None and row.due_at <= now() + timedelta(minutes=15)
        depot.later(hours=1)
    assert [depot.row(event_id).attempts for event_id in events] == [12, 12, 12]
    depot.go_out(depot.settings)
    depot.send()
    for who, event_id in zip(people, events, strict=True):
        [mail] = depot.mails(who.email)
        assert mail["Message-ID"] == rules.message_id_for(event_id, str(who.patient_id), EMAIL)
        row = depot.row(event_id)
        assert (row.state, row.cause, row.due_at, steps(row)) == ("sent", None, None, ["queued", "sent"])


def test_what_is_tried_in_vain_rests_longer_each_time(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifications.dispatching.secrets.randbelow", lambda most: most - 1)
    depot.go_out(replace(depot.settings, smtp_port=1))
    event_id = depot.tell(depot.person())
    rests = []
    for _ in range(10):
        with pytest.raises(Away):
            depot.service._send_next(EMAIL)
        row = depot.row(event_id)
        assert row.due_at is not None
        rests.append((row.due_at - now()).total_seconds())
        depot.later(hours=1)
    assert all(longer > 1.5 * rest for rest, longer in pairwise(rests[:7]))
    assert rests[-1] == pytest.approx(900, rel=0.05)


def test_news_nobody_could_be_told_for_days_are_given_up_and_codes_when_they_are_over(depot: Depot) -> None:
    mobile = number()
    _, requested = depot.code(mobile)
    depot.go_out(replace(depot.settings, smtp_port=1, sms_provider="http", sms_url="http://127.0.0.1:1/m"))
    code, news = depot.happen(requested), depot.tell(depot.person())
    depot.send()
    assert [depot.row(event_id).state for event_id in (code, news)] == ["queued", "queued"]
    depot.later(hours=1)
    depot.send()
    assert (depot.row(code).state, depot.row(code).cause) == ("failed", "expired")
    assert depot.row(news).state == "queued"
    depot.later(hours=24 * 5)
    depot.go_out(depot.settings)
    depot.send()
    assert (depot.row(news).state, depot.row(news).cause) == ("failed", "expired") and depot.sms() == []


def test_a_code_that_could_not_be_sent_at_once_comes_while_it_is_good(depot: Depot, provider: Provider) -> None:
    mobile = number()
    code, requested = depot.code(mobile)
    provider.answers = [503]
    depot.by_http(provider)
    event_id = depot.happen(requested)
    row = depot.row(event_id)
    assert (row.state, row.urgent, row.attempts) == ("queued", True, 1) and provider.taken == []
    assert row.expires_at is not None and row.expires_at <= now() + timedelta(minutes=rules.ONE_TIME_CODE_MINUTES)
    assert code not in str(vars(row))
    depot.later(hours=1 / 60)
    depot.send()
    [sms] = provider.taken
    assert sms["to"] == mobile and f" {code} " in sms["text"] and depot.row(event_id).state == "sent"
    assert sms["client_reference"] == rules.client_reference_for(event_id, requested.challenge_id)


def test_an_sms_provider_that_is_away_holds_up_no_mail_and_is_not_asked_for_each_message(depot: Depot) -> None:
    reached, waiting = depot.person(), [depot.person() for _ in range(3)]
    for who in waiting:
        depot.by_mobile_alone(who)
    depot.go_out(replace(depot.settings, sms_provider="http", sms_url="http://127.0.0.1:1/m"))
    events = [depot.tell(who) for who in waiting]
    mail = depot.tell(reached)
    while depot.service._send_next(EMAIL):
        pass
    with pytest.raises(Away):  # whoever calls rests a little now, and the others wait untouched
        depot.service._send_next(SMS)
    assert depot.row(mail).state == "sent" and len(depot.mails(reached.email)) == 1
    assert sorted(depot.row(event_id).attempts for event_id in events) == [0, 0, 1]


def test_one_address_that_is_put_off_is_no_outage(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.services.test_notifications_mail import Server

    server = Server()
    server.start()
    try:
        depot.go_out(replace(depot.settings, smtp_port=server.port))
        event_id = depot.tell(depot.person())
        server.answer = "450 greylisted"
        assert depot.service._send_next(EMAIL) is True
        assert (depot.row(event_id).state, depot.row(event_id).cause) == ("queued", "put_off")
        server.answer = "550 no such user"
        depot.later(hours=1)
        assert depot.service._send_next(EMAIL) is True
        row = depot.row(event_id)
        assert (row.state, row.cause, steps(row)) == ("bounced", "refused", ["queued", "bounced"])
    finally:
        server.stop()


def test_a_message_that_cannot_be_written_stops_no_other(depot: Depot) -> None:
    event_id = depot.tell(depot.person())
    with depot.sessions.transaction() as session:
        session.execute(
            sa.update(Message).where(Message.event_id == event_id).values(occasion="record_news.unheard_of")
        )
    other = depot.tell(depot.person())
    depot.send()
    assert (depot.row(event_id).state, depot.row(event_id).cause) == ("queued", "fault")
    assert depot.row(other).state == "sent"


# --- once -------------------------------------------------------------------------------------------------------------


def test_killed_between_the_providers_answer_and_the_commit_it_goes_again_under_the_same_name(
    depot: Depot, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailed, texted = depot.person(), depot.person()
    depot.by_mobile_alone(texted)
    depot.by_http(provider)
    sms = depot.tell(texted)
    assert depot.service._send_next(EMAIL) is True  # there is no mail address: it is an SMS from now on
    events = [depot.tell(mailed), sms]

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(depot.service, "_note", die)
        for channel in (EMAIL, SMS):
            with pytest.raises(KeyboardInterrupt):
                depot.service._send_next(channel)
    assert [depot.row(event_id).state for event_id in events] == ["queued", "queued"]
    depot.send()
    assert len({mail["Message-ID"] for mail in depot.mails(mailed.email)}) == 1
    first, second = provider.taken
    assert first == second and first["client_reference"].startswith(events[1])
    assert [depot.row(event_id).state for event_id in events] == ["sent", "sent"]
    depot.send()
    assert len(provider.taken) == 2


def test_an_event_that_comes_twice_is_told_once(depot: Depot) -> None:
    who, event_id = depot.person(), new_id()
    event = Received(event_id, "dossier", "x", rfc3339(now()), None, None, None, context("dossier"))
    notice = Notice(Reader("patient", str(who.patient_id), NEWS, "holder"), rfc3339(now()))
    for _ in range(3):
        with depot.sessions.transaction() as session:
            depot.service._put_down(session, event, [notice, notice])
        depot.send()
    assert len(depot.mails(who.email)) == 1 and depot.row(event_id).state == "sent"


def test_two_replicas_send_each_message_once(depot: Depot, provider: Provider) -> None:
    people = [depot.person() for _ in range(2)]
    for who in people:
        depot.by_mobile_alone(who)
    provider.silence = 0.02
    depot.by_http(provider)
    events = [depot.tell(people[turn % 2]) for turn in range(24)]
    while depot.service._send_next(EMAIL):  # nobody has a mail address: all of them become SMS
        pass

    def work() -> None:
        while depot.service._send_next(SMS):
            pass

    replicas = [threading.Thread(target=work) for _ in range(4)]
    for replica in replicas:
        replica.start()
    for replica in replicas:
        replica.join()
    names = [sms["client_reference"] for sms in provider.taken]
    assert len(names) == len(set(names)) == 24
    assert {depot.row(event_id).state for event_id in events} == {"sent"}


def test_who_has_the_same_request_for_a_code_at_one_moment_waits_and_sends_nothing(
    depot: Depot, provider: Provider
) -> None:
    _, requested = depot.code()
    provider.silence = 0.2
    depot.by_http(provider)
    event_id = new_id()
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda _: depot.happen(requested, event_id), range(6))) == [event_id] * 6
    assert len(provider.taken) == 1 and depot.row(event_id).state == "sent"


def test_a_message_that_somebody_is_sending_holds_up_none_behind_it(depot: Depot) -> None:
    first, second = depot.tell(depot.person()), depot.tell(depot.person())
    with depot.sessions.transaction() as slow:
        claimed = store_messages.claim(slow, EMAIL, now())
        assert claimed is not None and claimed[0].event_id == first
        assert depot.service._send_next(EMAIL) is True and depot.service._send_next(EMAIL) is False
        assert depot.row(second).state == "sent" and depot.row(first).state == "queued"


def test_what_is_urgent_goes_before_whatever_waits(depot: Depot) -> None:
    waiting, urgent = depot.tell(depot.person()), depot.tell(depot.person(), "record_news.emergency_access_opened")
    assert depot.service._send_next(EMAIL) is True
    assert (depot.row(waiting).state, depot.row(urgent).state) == ("queued", "sent")


def test_senders_are_woken_by_the_commit_and_by_nothing_before_it(depot: Depot) -> None:
    url = depot.sessions.engine.url.render_as_string(hide_password=False).replace("+psycopg2", "")
    listener = psycopg2.connect(url)
    listener.autocommit = True
    listener.cursor().execute("listen messages_email")

    def heard() -> int:
        listener.cursor().execute("select 1")
        listener.poll()
        count = len(listener.notifies)
        listener.notifies.clear()
        return count

    try:
        reader = Reader("patient", str(depot.person().patient_id), NEWS, "holder")
        event = Received(new_id(), "dossier", "x", rfc3339(now()), None, None, None, context("dossier"))
        with depot.sessions.transaction() as session:
            depot.service._put_down(session, event, [Notice(reader, rfc3339(now()))])
            assert heard() == 0
        assert heard() == 1
        with depot.sessions.transaction() as session:
            depot.service._put_down(session, event, [Notice(reader, rfc3339(now()))])
        assert heard() == 0, "nothing was put down"
    finally:
        listener.close()


def test_a_code_costs_no_more_words_to_the_database_than_a_row_and_its_fate(depot: Depot) -> None:
    _, requested = depot.code()
    said: list[str] = []

    def listen(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    engine = depot.sessions.engine
    sa.event.listen(engine, "before_cursor_execute", listen)
    try:
        with depot.sessions.transaction() as session:
            event = Received(new_id(), "identity", requested.type, rfc3339(now()), None, None, requested,
                             context("identity"))  # fmt: skip
            depot.service.on_one_time_code_requested(session, event)
            told = list(said)
    finally:
        sa.event.remove(engine, "before_cursor_execute", listen)
    assert len(told) == 1 and len(said) == 2 and len(depot.sms()) == 1


# --- to whom ----------------------------------------------------------------------------------------------------------


def test_who_has_no_mail_address_hears_by_sms_unless_one_goes_anyway(depot: Depot) -> None:
    who = depot.person()
    mobile = depot.by_mobile_alone(who)
    event_id = depot.tell(who)
    assert depot.row(event_id).channel == EMAIL
    depot.send()
    row = depot.row(event_id)
    assert (row.channel, row.state, row.attempts) == (SMS, "sent", 0) and [one["to"] for one in depot.sms()] == [mobile]
    both = depot.tell(who)
    with depot.sessions.transaction() as session:
        columns = "event_id, recipient_kind, recipient_id, occasion, role, happened_at, state, due_at, history"
        session.execute(sa.text(
            f"insert into messages (message_id, channel, {columns}) select gen_random_uuid(), 'sms', {columns}"
            " from messages where event_id = :e and channel = 'email'"
        ), {"e": both})  # fmt: skip
    depot.send()
    assert sorted((row.channel, row.state, row.cause) for row in depot.rows(both)) == [
        (EMAIL, "failed", "no_channel"), (SMS, "sent", None)
    ]  # fmt: skip
    assert len(depot.sms()) == 2


def test_nobody_to_reach_is_noted(depot: Depot) -> None:
    event_id = depot.tell(depot.front.patient())
    depot.send()
    assert (depot.row(event_id).state, depot.row(event_id).cause) == ("failed", "no_channel")


@pytest.mark.parametrize(("kind", "role", "told"), [
    ("blocked", "holder", False), ("blocked", "representative", False),
    ("withheld", "holder", True), ("withheld", "representative", False),
])  # fmt: skip
def test_what_is_hidden_by_the_time_of_sending_is_not_told(depot: Depot, kind: str, role: str, told: bool) -> None:
    who, document_id, other = depot.person(), new_id(), new_id()
    event_id, shown = (depot.tell(who, role=role, document_id=each) for each in (document_id, other))
    with depot.sessions.transaction() as session:
        store_hidden.hide(session, document_id, kind, now())
        since = now() - timedelta(days=2)
        store_hidden.hide(session, other, kind, since)
        store_hidden.show(session, other, kind, since, now() - timedelta(days=1))
    depot.send()
    row = depot.row(event_id)
    assert (row.state, row.cause) == (("sent", None) if told else ("failed", "hidden"))
    assert depot.row(shown).state == "sent" and len(depot.mails(who.email)) == (2 if told else 1)


def test_who_left_a_record_while_its_news_waited_does_not_hear_them(depot: Depot) -> None:
    holder, parent, gone = depot.person(), depot.person(), depot.person()
    record_id = str(depot.house.ask("dossier", "open_record", AGENT, patient_id=holder.patient_id)["record_id"])
    with depot.house.sessions["dossier"].transaction() as session:
        for who, until in ((parent, now() + timedelta(days=9)), (gone, now() - timedelta(days=1))):
            session.add(Representative(
                representative_id=new_id(), record_id=record_id, patient_id=who.patient_id, kind="parent", proof="x",
                since=now() - timedelta(days=9), until=until, until_cause="time", recorded_by=new_id(),
            ))  # fmt: skip
    events = [depot.tell(who, role="representative", record_id=record_id) for who in (parent, gone)]
    farewell = depot.tell(gone, "record_news.own_access_ended", role="representative", record_id=record_id)
    early = [{"state": "queued", "at": rfc3339(now() - timedelta(hours=8)), "cause": None}]
    with depot.sessions.transaction() as session:
        session.execute(sa.update(Message).where(Message.channel == EMAIL).values(history=early))
    depot.send()
    assert [(depot.row(event_id).state, depot.row(event_id).cause) for event_id in (*events, farewell)] == [
        ("sent", None), ("failed", "ended"), ("sent", None)
    ]  # fmt: skip


# --- what is said of it afterwards ------------------------------------------------------------------------------------


def test_the_provider_says_what_became_of_an_sms_and_a_repeat_changes_nothing(depot: Depot) -> None:
    events = [depot.happen(depot.code()[1]) for _ in range(3)]
    references = [sms["client_reference"] for sms in depot.sms()]
    by_event = {next(e for e in events if reference.startswith(e)): reference for reference in references}
    for event_id, status in zip(events, ("delivered", "undelivered", "buffered"), strict=True):
        assert [depot.receipt(by_event[event_id], status) for _ in range(2)] == [{}, {}]
    assert [depot.row(event_id).state for event_id in events] == ["delivered", "bounced", "sent"]
    assert [steps(depot.row(event_id)) for event_id in events] == [
        ["queued", "sent", "delivered"], ["queued", "sent", "bounced"], ["queued", "sent"]
    ]  # fmt: skip
    depot.receipt(by_event[events[0]], "undelivered")
    assert depot.row(events[0]).state == "delivered", "what has arrived does not come back"


def test_a_wrong_token_and_an_unknown_reference_are_told_apart_by_nobody(depot: Depot) -> None:
    event_id = depot.happen(depot.code()[1])
    [sms] = depot.sms()
    reference = sms["client_reference"]
    wrong = [
        ("x", reference), ("", reference), (TOKEN, reference[:-1]), (TOKEN, f"{new_id()}.0123456789ab.sms"),
        (TOKEN, event_id), ("x", "nonsense"), (TOKEN, ""),
    ]  # fmt: skip
    refused = []
    for token, given in wrong:
        with pytest.raises(ReceiptNotTaken) as refusal:
            depot.receipt(given, token=token)
        refused.append(refusal.value.to_wire())
    assert all(one == refused[0] for one in refused) and depot.row(event_id).state == "sent"
    depot.go_out(replace(depot.settings, sms_receipt_token=""))
    with pytest.raises(ReceiptNotTaken):
        depot.receipt(reference, token="")


def test_a_mail_that_came_back_is_noted_by_the_process_to_which_the_mail_server_pipes_it(depot: Depot) -> None:
    who, other = depot.person(), depot.person()
    event_id, kept = depot.tell(who), depot.tell(other)
    depot.send()
    [mail] = depot.mails(who.email)
    environment = {
        **os.environ, "OPENDSP_PROCESS": "notifications",
        "OPENDSP_DATABASE_URL": depot.sessions.engine.url.render_as_string(hide_password=False),
    }  # fmt: skip

    def pipe(notice: bytes, **changes: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, "-m", "services.notifications.bounce"], input=notice,
                              env={**environment, **changes}, capture_output=True, check=False)  # fmt: skip

    forged = notification(message_id=rules.message_id_for(kept, str(who.patient_id), EMAIL))
    for notice in (b"", b"\xff" * 1000, notification(message_id="<x@example.lu>"), forged, notification("delayed")):
        assert pipe(notice).returncode == 0
    assert [depot.row(each).state for each in (event_id, kept)] == ["sent", "sent"]
    returned = pipe(notification(message_id=mail["Message-ID"]))
    assert returned.returncode == 0 and b"zoe@example.lu" not in returned.stdout + returned.stderr
    row = depot.row(event_id)
    assert (row.state, row.cause, steps(row)) == ("bounced", "returned", ["queued", "sent", "bounced"])
    assert depot.row(kept).state == "sent"
    away = pipe(
        notification(message_id=mail["Message-ID"]), OPENDSP_DATABASE_URL="postgresql+psycopg2://x@127.0.0.1:1/x"
    )
    assert away.returncode == os.EX_TEMPFAIL


# --- what the helpdesk sees -------------------------------------------------------------------------------------------


def test_an_agent_sees_what_became_of_somebodys_messages_and_nothing_else_of_them(depot: Depot) -> None:
    who, other = depot.person(), depot.person()
    events = [depot.tell(who) for _ in range(3)]
    depot.tell(other)
    depot.send()
    first = depot.house.ask("notifications", "list_outgoing", AGENT, patient_id=who.patient_id, limit=2)
    assert first["next_cursor"] is not None
    rest = depot.house.ask("notifications", "list_outgoing", AGENT, patient_id=who.patient_id, limit=2,
                           cursor=first["next_cursor"])  # fmt: skip
    shown = [*first["messages"], *rest["messages"]]
    assert rest["next_cursor"] is None
    assert [one["message_id"] for one in shown] == [depot.row(event_id).message_id for event_id in reversed(events)]
    assert {(one["channel"], one["about"], one["state"]) for one in shown} == {("email", "record", "sent")}
    for secret in (who.email, str(who.patient_id), "dispensed", *events):
        assert secret not in str(shown)


def test_a_code_that_never_came_is_found_by_the_request_that_asked_for_it(depot: Depot) -> None:
    _, requested = depot.code()
    depot.go_out(replace(depot.settings, sms_provider=""))
    event_id = depot.happen(requested)
    row = depot.row(event_id)
    for asked in ({"request_id": row.request_id}, {"message_id": row.message_id}):
        [shown] = depot.house.ask("notifications", "list_outgoing", AGENT, **asked)["messages"]
        assert (shown["about"], shown["state"], shown["cause"]) == ("code", "failed", "no_channel")
        assert [step["state"] for step in shown["history"]] == ["queued", "failed"]


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
def test_nobody_else_sees_messages_and_the_try_is_traced(depot: Depot, capacity: str) -> None:
    depot.empty()
    with pytest.raises(NotAllowed):
        depot.house.ask("notifications", "list_outgoing", caller(capacity), patient_id=new_id())
    [trace] = [one["data"] for one in depot.house.events("notifications") if one["type"] == "access_traced.v1"]
    assert (trace["action"], trace["outcome"]) == ("message.searched", "refused")


@pytest.mark.parametrize(("asked", "pointer"), [
    ({}, ""), ({"patient_id": new_id(), "message_id": new_id()}, ""), ({"patient_id": "1"}, "/patient_id"),
    ({"message_id": new_id(), "limit": 0}, "/limit"), ({"message_id": new_id(), "cursor": "x"}, "/cursor"),
])  # fmt: skip
def test_a_search_that_makes_no_sense_is_refused_where_it_stands(depot: Depot, asked: Any, pointer: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        depot.house.ask("notifications", "list_outgoing", AGENT, **asked)
    assert [error["pointer"] for error in wrong.value.detail["errors"]] == [pointer]


def test_times_are_told_in_utc(depot: Depot) -> None:
    event_id = depot.tell(depot.person())
    depot.send()
    assert all(datetime.fromisoformat(step["at"]).tzinfo == UTC for step in depot.row(event_id).history)
