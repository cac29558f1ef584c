"""What people set of their notices, over a real database and mail server: who hears of what then, how, and when."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local.stack import Stack
from services.bus import Received
from services.db import new_id, now, rfc3339
from services.documents.contract import DocumentRejected
from services.dossier import contract as dossier
from services.notifications import store_digests, store_settings
from services.notifications.models_inbox import HiddenDocument, PatientMerge
from services.notifications.models_messages import Message
from services.notifications.models_settings import NotificationSettings
from services.notifications.ports.texts import catalogue
from services.notifications.rules_notices import Notice
from services.notifications.rules_record_news import Reader
from services.notifications.rules_ways import HERE
from services.refusals import ChangedMeanwhile, InvalidInput, Refusal
from services.tokens import Caller
from tests.builders import House, caller, context
from tests.services.identity_house import Person
from tests.services.news_house import AT, Newsroom, Ring
from tests.services.post_house import text_of

NOTHING: dict[str, Any] = {
    "version": None, "occasions": [], "quiet_hours": None, "digest": None, "new_documents": {},
}  # fmt: skip
EVENING = {"digest": {"at": "18:00", "channel": "email"}}


class SettingsRoom(Newsroom):
    """The house, with people who set what they wish to hear of."""

    def me(self, who: Person, capacity: str = "patient", **changes: Any) -> Caller:
        ids = {"patient_id": who.patient_id} if capacity == "patient" else {"professional_id": who.professional_id}
        return caller(capacity, account_id=who.account_id, **ids, **changes)

    def read(self, me: Caller) -> dict[str, Any]:
        return dict(self.house.ask("notifications", "notification_settings", me))

    def set(self, me: Caller, **wanted: Any) -> dict[str, Any]:
        return dict(self.house.ask("notifications", "change_notification_settings", me, **(NOTHING | wanted)))

    def refused(self, me: Caller, **wanted: Any) -> Refusal:
        with pytest.raises(Refusal) as refused:
            self.set(me, **wanted)
        return refused.value

    def traces(self, me: Caller) -> list[tuple[str, str, str | None]]:
        events = [each["data"] for each in self.house.events("notifications") if each["type"] == "access_traced.v1"]
        return [
            (one["action"], one["outcome"], one["reason"]) for one in events
            if one["account_id"] == me.account_id and one["object_id"] == me.account_id
        ]  # fmt: skip

    def tell(self, *readers: Reader, event_id: str | None = None, **about: Any) -> str:
        """Puts down, as a handler does, what these people are told of one event; the senders work it off."""
        event_id = event_id or new_id()
        with self.sessions.transaction() as session:
            event = Received(event_id, "dossier", "x.v1", rfc3339(now()), None, None, None, context("dossier"))
            self.notifications._put_down(session, event, [Notice(reader, AT, **about) for reader in readers])
        self.send()
        return event_id

    def news(self, ring: Ring) -> str:
        """A mandate is opened: news that everybody of the holder side may switch off."""
        opened = dossier.MandateOpened(ring.record_id, new_id(), ring.professional.professional_id, "admission")
        return self.happen(opened, source="dossier")

    def rows(self, event_id: str | None = None, **which: Any) -> list[Message]:
        query = sa.select(Message).filter_by(**({} if event_id is None else {"event_id": event_id}), **which)
        with self.sessions.transaction() as session:
            return list(session.scalars(query.order_by(Message.seq)))

    def make_digests(self) -> int:
        return int(self.notifications._make_digests())

    def next_day(self) -> None:
        """As if a day were over: digests are made, and what is due goes out."""
        self.later(hours=24.5)
        self.make_digests()
        self.send()

    @property
    def notifications(self) -> Any:
        return self.house.notifications

    @property
    def sessions(self) -> Any:
        return self.house.sessions["notifications"]


@pytest.fixture
def post(together: House, infra: Stack, tmp_path: Path) -> SettingsRoom:
    """Its mailboxes are empty, and nobody has set anything."""
    return SettingsRoom.fresh(together, infra, tmp_path, NotificationSettings, HiddenDocument, PatientMerge)


def chosen(name: str, *channels: str) -> dict[str, Any]:
    return {"occasions": [{"name": name, "channels": list(channels)}]}


def shown(settings: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in settings["occasions"] if one["name"] == name)


def holder_of(who: Person, occasion: str = "record_news.mandate_opened", role: str = "holder") -> Reader:
    return Reader("patient", str(who.patient_id), occasion, role)


# --- reading and changing ---------------------------------------------------------------------------------------------


def test_who_has_set_nothing_sees_the_defaults_and_what_the_law_fixes(post: SettingsRoom) -> None:
    me = post.me(post.person())
    settings = post.read(me)
    assert (settings["version"], settings["changed_at"]) == (1, None)
    assert (settings["quiet_hours"], settings["digest"]) == (None, None)
    assert settings["new_documents"] == {"types": None, "authors": None}
    assert shown(settings, "mandates") == {
        "name": "mandates", "title": "Mandats", "channels": ["email", "inbox", "push"],
        "default": ["email", "inbox", "push"], "choices": ["email", "sms", "inbox", "push"], "fixed": False,
        "source": None, "reason": None, "at_once": False,
    }  # fmt: skip
    first = shown(settings, "first_access")
    assert (first["fixed"], first["source"], first["at_once"]) == (True, "RGD 3(3)", True) and "RGD 3(3)" in first[
        "reason"
    ]
    assert post.traces(me) == [("notification_settings.read", "allowed", None)]


@pytest.mark.parametrize("language", ["fr", "lb", "pt", "en", "de"])
def test_titles_are_in_the_callers_language(post: SettingsRoom, language: str) -> None:
    me = post.me(post.person(), context=context(locale=language))
    assert shown(post.read(me), "mandates")["title"] == catalogue(language)["settings"]["mandates"]


def test_each_capacity_is_shown_what_it_hears_of_and_no_more(post: SettingsRoom) -> None:
    names = {
        capacity: {one["name"] for one in post.read(caller(capacity))["occasions"]}
        for capacity in ("patient", "professional", "agent")
    }
    assert all("account" in those for those in names.values())
    assert "first_access" in names["patient"] and "first_access" not in names["professional"] | names["agent"]
    assert "hidden_documents" in names["professional"] and "hidden_documents" not in names["patient"] | names["agent"]
    assert "own_deposits" in names["patient"] & names["professional"] and "own_deposits" not in names["agent"]


def test_what_is_set_is_shown_from_then_on_and_counted(post: SettingsRoom) -> None:
    me, author = post.me(post.person()), new_id()
    wanted = {
        "occasions": [{"name": "mandates", "channels": ["inbox", "sms"]}, {"name": "cases", "channels": []}],
        "quiet_hours": {"begin": "22:00", "end": "07:00"}, "digest": {"at": "18:30", "channel": "sms"},
        "new_documents": {"types": ["imaging"], "authors": [author]},
    }  # fmt: skip
    changed = post.set(me, version=1, **wanted)
    assert changed == post.read(me) and changed["version"] == 2
    assert shown(changed, "mandates")["channels"] == ["sms", "inbox"] and shown(changed, "cases")["channels"] == []
    assert shown(changed, "presence_code")["channels"] == ["email", "inbox", "push"]
    assert {name: changed[name] for name in ("quiet_hours", "digest", "new_documents")} == {
        name: wanted[name] for name in ("quiet_hours", "digest", "new_documents")
    }
    assert post.traces(me)[0] == ("notification_settings.changed", "allowed", None)
    again = post.set(me, version=2)
    assert again["version"] == 3 and shown(again, "mandates")["channels"] == ["email", "inbox", "push"]


def test_nothing_of_what_somebody_wishes_stands_in_the_trace(post: SettingsRoom) -> None:
    me = post.me(post.person())
    post.set(me, **chosen("cases"), new_documents={"types": ["imaging"], "authors": [new_id()]})
    told = str([each for each in post.house.events("notifications") if me.account_id in str(each)])
    assert "imaging" not in told and "cases" not in told


@pytest.mark.parametrize(
    ("wanted", "errors"),
    [
        (chosen("something"), [("/occasions/0/name", "choice")]),
        (chosen("hidden_documents"), [("/occasions/0/name", "choice")]),
        (chosen("mandates", "letter"), [("/occasions/0/channels", "choice")]),
        (chosen("mandates", "sms", "sms"), [("/occasions/0/channels", "choice")]),
        (chosen("account", "email", "sms", "inbox"), [("/occasions/0/channels", "choice")]),
        ({"occasions": [{"name": "cases", "channels": []}] * 2}, [("/occasions/1/name", "twice")]),
        ({"quiet_hours": {"begin": "24:00", "end": "7:00"}},
         [("/quiet_hours/begin", "time"), ("/quiet_hours/end", "time")]),
        ({"quiet_hours": {"begin": "22:00", "end": "22:00"}}, [("/quiet_hours/end", "same_time")]),
        ({"digest": {"at": "18", "channel": "inbox"}}, [("/digest/at", "time"), ("/digest/channel", "choice")]),
        ({"quiet_hours": {"begin": "22:00", "end": "07:00"}, "digest": {"at": "06:59", "channel": "email"}},
         [("/digest/at", "quiet_hours")]),
        ({"new_documents": {"types": ["../x"], "authors": ["me"]}},
         [("/new_documents/types/0", "choice"), ("/new_documents/authors/0", "uuid")]),
        ({"new_documents": {"types": ["imaging"] * 201}}, [("/new_documents/types", "too_many")]),
    ],
)  # fmt: skip
def test_a_wish_that_cannot_be_met_is_an_error_and_changes_nothing(
    post: SettingsRoom, wanted: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    me = post.me(post.person())
    refusal = post.refused(me, **wanted)
    assert isinstance(refusal, InvalidInput)
    assert [(one["pointer"], one["message"]) for one in refusal.detail["errors"]] == errors
    assert post.read(me)["version"] == 1


def test_a_digest_at_the_end_of_the_quiet_hours_is_possible(post: SettingsRoom) -> None:
    hours = {"quiet_hours": {"begin": "22:00", "end": "07:00"}, "digest": {"at": "07:00", "channel": "email"}}
    assert post.set(post.me(post.person()), **hours)["digest"] == hours["digest"]


@pytest.mark.parametrize(
    ("name", "channels", "source"),
    [("first_access", (), "RGD 3(3)"), ("first_access", ("email", "push"), "RGD 3(3)"),
     ("emergency_access", ("sms",), "RGD 3(3)"), ("licences", ("inbox",), "RGD 7(4)"),
     ("account", ("email",), "GDPR 32")],
)  # fmt: skip
def test_what_is_fixed_cannot_be_switched_off_and_says_by_which_rule(
    post: SettingsRoom, name: str, channels: tuple[str, ...], source: str
) -> None:
    me = post.me(post.person())
    refusal = post.refused(me, **chosen(name, *channels))
    assert refusal.code == "notice_fixed" and (refusal.detail["name"], refusal.detail["source"]) == (name, source)
    assert post.traces(me) == [("notification_settings.changed", "refused", "notice_fixed")]
    assert post.read(me)["version"] == 1


def test_what_is_fixed_may_be_told_on_another_way_besides(post: SettingsRoom) -> None:
    me = post.me(post.person())
    wanted = chosen("first_access", "email", "sms", "inbox", "push")
    assert shown(post.set(me, **wanted), "first_access")["channels"] == ["email", "sms", "inbox", "push"]


def test_who_has_read_something_older_changes_nothing(post: SettingsRoom) -> None:
    me = post.me(post.person())
    for version in (2, 7):
        assert isinstance(post.refused(me, version=version), ChangedMeanwhile)
    post.set(me, version=1, **chosen("cases"))
    assert isinstance(post.refused(me, version=1), ChangedMeanwhile)
    assert shown(post.read(me), "cases")["channels"] == []
    assert post.set(me, version=None)["version"] == 3, "a star takes whatever is there"
    assert post.traces(me)[0] == ("notification_settings.changed", "refused", "changed_meanwhile")


@pytest.mark.parametrize("before", [0, 1])
def test_of_two_who_change_at_once_one_is_told(post: SettingsRoom, before: int) -> None:
    me = post.me(post.person())
    for _ in range(before):
        post.set(me)
    start = threading.Barrier(4)

    def change(_: int) -> str:
        start.wait()
        try:
            post.set(me, version=1 + before)
        except ChangedMeanwhile:
            return "refused"
        return "changed"

    with ThreadPoolExecutor(4) as several:
        done = sorted(several.map(change, range(4)))
    assert done == ["changed", "refused", "refused", "refused"] and post.read(me)["version"] == 2 + before


def test_a_request_repeated_under_its_key_gets_the_first_answer(post: SettingsRoom) -> None:
    who = post.person()
    once = post.me(who, context=context(idempotency_key=new_id()))
    first = post.set(once, version=1, **chosen("cases"))
    post.set(post.me(who), version=2)
    assert post.set(once, version=1, **chosen("cases")) == first
    assert post.read(post.me(who))["version"] == 3, "what was set since stays"


# --- each for themselves ----------------------------------------------------------------------------------------------


def test_holder_representative_and_assistant_are_told_as_each_has_set_it(post: SettingsRoom, ring: Ring) -> None:
    post.set(post.me(ring.holder), **chosen("mandates"))
    post.set(post.me(ring.representative), **chosen("mandates", "inbox"))
    event_id = post.news(ring)
    told = {(row.recipient_id, row.channel) for row in post.rows(event_id, recipient_kind="patient")}
    assert told == {
        (ring.representative.patient_id, "inbox"), (ring.assistant.patient_id, "email"),
        (ring.assistant.patient_id, "inbox"),
    }  # fmt: skip
    assert [len(post.received(one)) for one in ring.whole_side] == [0, 0, 1]


def test_what_the_law_fixes_reaches_whoever_switched_off_all_they_could(post: SettingsRoom, ring: Ring) -> None:
    me = post.me(ring.holder)
    off = [{"name": one["name"], "channels": []} for one in post.read(me)["occasions"] if not one["fixed"]]
    quiet = hours_from_now(-2, 2)
    post.set(me, occasions=off, quiet_hours=quiet, digest={"at": quiet["end"], "channel": "email"})
    post.news(ring)
    assert post.received(ring.holder) == []
    opened = dossier.EmergencyAccessOpened(ring.record_id, str(ring.holder.patient_id), new_id(), new_id(), AT)
    post.happen(opened, source="dossier")
    assert len(post.received(ring.holder)) == 1


def test_a_professional_who_is_a_patient_too_sets_each_for_itself(post: SettingsRoom) -> None:
    who = post.front.member(post.front.professional(post.front.patient()), "professional")
    post.set(post.me(who), **chosen("referring_physician"))
    assert shown(post.read(post.me(who, "professional")), "referring_physician")["channels"] != []
    name = "record_news.physician.referring_proposed"
    as_professional = Reader("professional", str(who.professional_id), name, None)
    post.tell(as_professional, holder_of(who, "record_news.referring_proposed"))
    assert {(row.recipient_kind, row.channel) for row in post.rows()} == {
        ("professional", "email"), ("professional", "inbox"),
    }  # fmt: skip


def test_whoever_deposits_is_told_as_they_set_it_in_the_capacity_they_have(post: SettingsRoom) -> None:
    loud, silent = post.professional(), post.professional()
    post.set(post.me(silent, "professional"), **chosen("own_deposits", "inbox"))
    for who in (loud, silent):
        rejected = DocumentRejected(new_id(), new_id(), new_id(), str(who.account_id), "professional", "infected", AT)
        post.happen(rejected, source="documents")
    assert (len(post.received(loud)), len(post.received(silent))) == (1, 0)


def test_what_one_of_two_merged_patients_set_last_holds_for_the_person(post: SettingsRoom) -> None:
    owner, survivor, stranger = post.person(), post.person(), post.person()
    post.set(post.me(survivor), **chosen("cases"))
    post.set(post.me(owner), **chosen("mandates", "inbox"))
    with post.sessions.transaction() as session:
        ids = {"survivor_id": survivor.patient_id, "merged_id": owner.patient_id}
        session.add(PatientMerge(merge_id=new_id(), undone=False, **ids))
    people = {("patient", str(one.patient_id)) for one in (owner, survivor, stranger)}
    with post.sessions.transaction() as session:
        found = store_settings.settings_of(session, people)
    assert set(found) == {("patient", owner.patient_id), ("patient", survivor.patient_id)}
    seen = post.read(post.me(survivor))
    assert (shown(seen, "mandates")["channels"], seen["version"]) == (["inbox"], 2)
    post.set(post.me(survivor), version=2)
    assert shown(post.read(post.me(owner)), "mandates")["channels"] == ["email", "inbox", "push"]
    with post.sessions.transaction() as session:
        session.execute(sa.update(PatientMerge).values(undone=True))
    assert shown(post.read(post.me(survivor)), "cases")["channels"] == [], "each their own again"


def test_however_many_are_told_their_settings_are_one_statement(post: SettingsRoom) -> None:
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    people = [Reader("patient", new_id(), "record_news.closed", "holder") for _ in range(20)]
    with post.sessions.transaction() as session:
        event = Received(new_id(), "dossier", "x.v1", rfc3339(now()), None, None, None, context("dossier"))
        session.execute(sa.select(1))
        sa.event.listen(post.sessions.engine, "before_cursor_execute", note)
        try:
            post.notifications._put_down(session, event, [Notice(reader, AT) for reader in people])
        finally:
            sa.event.remove(post.sessions.engine, "before_cursor_execute", note)
    assert len(seen) == 2 and len(post.rows()) == 40


# --- quiet hours ------------------------------------------------------------------------------------------------------


def hours_from_now(begin: int, end: int) -> dict[str, str]:
    here = now().astimezone(HERE)
    times = {"begin": here + timedelta(hours=begin), "end": here + timedelta(hours=end)}
    return {name: moment.strftime("%H:%M") for name, moment in times.items()}


def test_in_quiet_hours_a_mail_waits_and_the_inbox_does_not(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), quiet_hours=hours_from_now(-1, 1))
    event_id = post.tell(holder_of(who))
    assert {row.channel: row.state for row in post.rows(event_id)} == {"email": "queued", "inbox": "delivered"}
    assert post.received(who) == []
    post.later(hours=1.1)
    post.send()
    assert len(post.received(who)) == 1


def test_outside_quiet_hours_nothing_waits(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), quiet_hours=hours_from_now(2, 3))
    post.tell(holder_of(who))
    assert len(post.received(who)) == 1


# --- the digest -------------------------------------------------------------------------------------------------------


def test_what_can_wait_goes_as_one_mail_that_says_how_many_of_what_and_for_whom(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    for occasion, role in (
        ("record_news.mandate_opened", "holder"), ("record_news.mandate_opened", "holder"),
        ("record_news.referring_proposed", "holder"), ("record_news.referring_effective", "holder"),
        ("record_news.closed", "representative"), ("record_news.mandate_opened", "assistant"),
    ):  # fmt: skip
        post.tell(holder_of(who, occasion, role))
    assert post.received(who) == [] and post.make_digests() == 0, "its hour has not come"
    post.next_day()
    [mail] = post.received(who)
    text = text_of(mail)
    assert "6 avis" in mail["Subject"] and "6 avis vous attendent" in text
    lines = [line.strip() for line in text.splitlines() if line.strip().endswith((" : 1", " : 2"))]
    assert lines == [
        "Mandats : 2", "Médecin référent : 2", "État du dossier (personne représentée) : 1",
        "Mandats (personne assistée) : 1",
    ]  # fmt: skip
    assert "http://localhost:8080" in text
    assert {row.state for row in post.rows(channel="email")} == {"sent"}


def test_a_digest_of_one_speaks_of_one(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    post.tell(holder_of(who))
    post.next_day()
    [mail] = post.received(who)
    assert "1 avis vous attend :" in text_of(mail)


def test_who_has_a_digest_and_hears_nothing_gets_none(post: SettingsRoom) -> None:
    who, other = post.person(), post.person()
    for one in (who, other):
        post.set(post.me(one), **EVENING)
    post.tell(holder_of(other))
    post.next_day()
    assert (len(post.received(who)), len(post.received(other))) == (0, 1)


def test_there_is_one_digest_a_day_and_what_is_late_waits_for_the_next(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    post.tell(holder_of(who))
    post.later(hours=24.5)
    late = post.tell(holder_of(who))
    [first] = [row.due_at for row in post.rows(digest=True) if row.event_id != late]
    assert (post.make_digests(), post.make_digests()) == (1, 0)
    with post.sessions.transaction() as session:  # as if it had been put down a moment before that, and committed now
        session.execute(sa.update(Message).where(Message.event_id == late, Message.digest).values(due_at=first))
    assert post.make_digests() == 0
    [waits] = post.rows(late, digest=True)
    assert (waits.digest_id, waits.state) == (None, "queued") and waits.due_at is not None
    local = [moment.astimezone(HERE) for moment in (first, waits.due_at)]
    assert local[1].replace(tzinfo=None) - local[0].replace(tzinfo=None) == timedelta(days=1)
    post.send()
    assert len(post.received(who)) == 1
    post.later(hours=48)  # it is some other day now
    post.make_digests()
    post.send()
    assert len(post.received(who)) == 2


def test_after_days_without_a_maker_all_goes_in_one_and_the_next_day_has_its_own(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    post.tell(holder_of(who))
    post.later(hours=24)
    post.tell(holder_of(who))
    post.later(hours=48)
    assert post.make_digests() == 1
    post.send()
    [mail] = post.received(who)
    assert "2 avis" in mail["Subject"]


def test_of_several_makers_at_once_one_makes_it(post: SettingsRoom) -> None:
    people = [post.person() for _ in range(6)]
    for who in people:
        post.set(post.me(who), **EVENING)
        post.tell(holder_of(who))
        post.tell(holder_of(who))
    post.later(hours=24.5)
    start = threading.Barrier(4)

    def make(_: int) -> int:
        start.wait()
        return post.make_digests()

    with ThreadPoolExecutor(4) as several:
        assert sum(several.map(make, range(4))) == 6
    post.send()
    assert [len(post.received(who)) for who in people] == [1] * 6
    assert all("2 avis" in post.received(who)[0]["Subject"] for who in people)


def test_killed_before_its_commit_a_digest_was_never_made_and_is_made_once(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    post.tell(holder_of(who))
    post.later(hours=24.5)
    with pytest.raises(KeyboardInterrupt), post.sessions.transaction() as session:
        assert store_digests.make_digests(session, now(), 10) == (1, 1)
        raise KeyboardInterrupt
    assert post.rows(occasion="digest") == []
    assert (post.make_digests(), post.make_digests()) == (1, 0)
    post.send()
    assert len(post.received(who)) == 1


def test_a_mail_server_that_is_away_delays_a_digest_and_doubles_nothing(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    post.tell(holder_of(who))
    post.go_out(replace(post.settings, smtp_port=1))
    post.next_day()
    post.next_day()
    assert post.received(who) == [] and {row.state for row in post.rows(channel="email")} == {"queued"}
    post.go_out(post.settings)
    post.later(hours=1)
    post.send()
    post.send()
    assert len(post.received(who)) == 1


def test_what_went_with_a_digest_shares_its_fate(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    event_id = post.tell(holder_of(who))
    post.next_day()
    [digest] = post.rows(occasion="digest")
    with post.sessions.transaction() as session:
        entry = [*digest.history, {"state": "bounced", "at": AT, "cause": "refused"}]
        bounced = {"state": "bounced", "cause": "refused", "history": entry}
        session.execute(sa.update(Message).where(Message.message_id == digest.message_id).values(**bounced))
    [row] = post.rows(event_id, channel="email")
    assert (row.digest_id, row.state, row.cause) == (digest.message_id, "bounced", "refused")
    assert [one["state"] for one in row.history] == ["queued", "sent", "bounced"]
    [inbox] = post.rows(event_id, channel="inbox")
    assert inbox.state == "delivered"


def test_what_is_hidden_when_the_digest_goes_is_not_counted_and_nothing_left_is_not_sent(post: SettingsRoom) -> None:
    some, none = post.person(), post.person()
    document_id = new_id()
    for who in (some, none):
        post.set(post.me(who), **EVENING)
        post.tell(holder_of(who), document_id=document_id)
    post.tell(holder_of(some))
    post.later(hours=24.5)
    assert post.make_digests() == 2
    with post.sessions.transaction() as session:
        session.add(HiddenDocument(document_id=document_id, kind="blocked", since=now()))
    post.send()
    [mail] = post.received(some)
    assert "1 avis" in mail["Subject"] and post.received(none) == []
    assert {row.cause for row in post.rows(document_id=document_id, channel="email")} == {"hidden"}
    [unsent] = post.rows(occasion="digest", recipient_id=str(none.patient_id))
    assert (unsent.state, unsent.cause) == ("failed", "hidden")


def test_who_has_left_a_record_hears_nothing_more_of_it_in_a_digest(post: SettingsRoom, ring: Ring) -> None:
    stays, left = ring.representative, post.person()
    for who in (stays, left):
        post.set(post.me(who), **EVENING)
        post.tell(holder_of(who, "record_news.lapsed", "representative"), record_id=ring.record_id)
        post.tell(holder_of(who, "record_news.mandate_opened"))
    past = [{"state": "queued", "at": rfc3339(now() - timedelta(days=1)), "cause": None}]
    with post.sessions.transaction() as session:
        session.execute(sa.update(Message).where(Message.digest).values(history=past))
    post.next_day()
    for who, lines in ((stays, ["Mandats : 1", "État du dossier (personne représentée) : 1"]), (left, ["Mandats : 1"])):
        [mail] = post.received(who)
        assert [line for line in text_of(mail).splitlines() if line.endswith(" : 1")] == lines
    assert [row.cause for row in post.rows(state="failed")] == ["ended"]


def test_a_digest_by_sms_says_how_many_and_where_to_read_them(post: SettingsRoom) -> None:
    who = post.person()
    number = post.by_mobile_alone(who)
    post.set(post.me(who), digest={"at": "18:00", "channel": "sms"})
    for _ in range(3):
        post.tell(holder_of(who))
    post.next_day()
    [sms] = post.sms()
    assert sms["to"] == number and sms["text"] == "DSP : 3 avis vous attendent. http://localhost:8080"


def test_another_hour_or_channel_holds_for_what_waits_already(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    post.tell(holder_of(who))
    [before] = post.rows(digest=True)
    post.set(post.me(who), digest={"at": "06:15", "channel": "sms"})
    [after] = post.rows(digest=True)
    assert (before.channel, after.channel) == ("email", "sms")
    assert shows(before.due_at) == "18:00" and shows(after.due_at) == "06:15"


def test_what_waits_when_the_digest_is_given_up_still_goes_with_the_last_one(post: SettingsRoom) -> None:
    who = post.person()
    post.set(post.me(who), **EVENING)
    post.tell(holder_of(who))
    post.set(post.me(who))
    post.tell(holder_of(who))
    assert len(post.received(who)) == 1
    post.next_day()
    assert len(post.received(who)) == 2


def shows(moment: datetime | None) -> str:
    assert moment is not None
    return moment.astimezone(HERE).strftime("%H:%M")
