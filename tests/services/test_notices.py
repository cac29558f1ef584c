"""Mail and SMS over a real database, mail server and SMS provider, with the real identity beside them."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.local.stack import Stack
from services.db import new_id, now, rfc3339
from services.dossier.contract import RecordFirstAccessedBy
from services.identity.contract import NOTICE_OCCASIONS, AccountNoticeDue, OneTimeCodeRequested
from services.identity.models_desk import PasswordReset
from services.notifications.ports.sms import HttpSms, SmsFolder, SmsRefused, sms_of
from services.settings import Settings
from tests.builders import House, caller
from tests.services.post_house import Post, Provider, number, text_of


@pytest.fixture
def post(together: House, infra: Stack, tmp_path: Path) -> Post:
    return Post.fresh(together, infra, tmp_path)


# --- one-time codes ---------------------------------------------------------------------------------------------------


def test_a_code_to_a_mobile_goes_by_sms_and_proves_it(post: Post) -> None:
    who, me = post.owner()
    mobile = number()
    challenge_id = post.add(me, mobile)
    event_id = post.happen(OneTimeCodeRequested(challenge_id, "account_contact"))
    [sms] = post.sms()
    code = post.front.mail(challenge_id)["code"]
    assert sms["to"] == mobile and f" {code} " in sms["text"] and "5 min" in sms["text"]
    assert post.states(event_id) == [("sms", "sent")]
    assert len(post.mails(who.email)) == 0
    post.front.ask("prove_account_contact", me, challenge_id=challenge_id, code=code)
    started = post.front.ask("start_log_in", who.at(), matricule=who.matricule, password="trois grenouilles violettes",
                             channel="mobile")  # fmt: skip
    post.happen(OneTimeCodeRequested(started["challenge_id"], "log_in"))
    assert len([one for one in post.sms() if one["to"] == mobile]) == 2


def test_killed_between_sms_and_commit_the_repeat_carries_the_same_reference_and_text(post: Post) -> None:
    _, me = post.owner()
    requested, event_id = OneTimeCodeRequested(post.add(me, number()), "account_contact"), new_id()
    with pytest.raises(KeyboardInterrupt):
        post.happen(requested, event_id, die=True)
    [first] = post.sms()
    assert post.states(event_id) == []
    post.happen(requested, event_id)
    post.happen(requested, event_id)
    assert post.sms() == [first], "the repeat overwrote the file of its own reference"
    assert first["client_reference"].startswith(event_id) and post.states(event_id) == [("sms", "sent")]


def test_a_code_that_is_over_is_not_sent(post: Post) -> None:
    _, me = post.owner()
    challenge_id = post.add(me, number())
    code = post.front.mail(challenge_id)["code"]
    post.front.ask("prove_account_contact", me, challenge_id=challenge_id, code=code)
    event_id = post.happen(OneTimeCodeRequested(challenge_id, "account_contact"))
    assert post.sms() == [] and [state for _, state in post.states(event_id)] == ["spent"]


def test_without_a_provider_nothing_is_sent_and_that_is_noted(post: Post) -> None:
    _, me = post.owner()
    challenge_id = post.add(me, number())
    post.go_out(replace(post.settings, sms_provider=""))
    event_id = post.happen(OneTimeCodeRequested(challenge_id, "account_contact"))
    assert post.states(event_id) == [("sms", "no_channel")] and post.sms() == []


def test_a_first_access_is_told_by_sms_to_a_holder_without_mail(post: Post) -> None:
    mobile = number()
    who, me = post.owner(mobile)
    page = post.front.ask("describe_account", me)
    [mail_id] = [one["contact_id"] for one in page["contacts"] if one["kind"] == "email"]
    post.front.ask("remove_contact", me, contact_id=mail_id)
    told = RecordFirstAccessedBy(record_id=new_id(), patient_id=who.patient_id or "", professional_id=new_id(),
                                 ground="circle", at=rfc3339(now()))  # fmt: skip
    event_id = post.happen(told, source="dossier")
    assert [one["to"] for one in post.sms()] == [mobile] and post.states(event_id) == [("sms", "sent")]


def test_a_first_access_reaches_the_account_of_either_of_two_merged_patients_and_of_nobody_else(post: Post) -> None:
    owner, _ = post.owner()
    other, survivor = post.front.patient(), post.front.patient()
    assert owner.patient_id and survivor.patient_id

    def told() -> list[tuple[str, str]]:
        return post.states(post.happen(
            RecordFirstAccessedBy(record_id=new_id(), patient_id=survivor.patient_id or "", professional_id=new_id(),
                                  ground="circle", at=rfc3339(now())), source="dossier",
        ))  # fmt: skip

    assert told() == [("email", "no_channel")] and post.mails(owner.email) == []
    for merged in (other, owner):
        post.house.ask("directory", "merge_patients", caller("agent"), survivor_id=survivor.patient_id,
                       merged_id=merged.patient_id, reason="other")  # fmt: skip
    assert told() == [("email", "sent")] and len(post.mails(owner.email)) == 1


# --- notices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("occasion", [one for one in NOTICE_OCCASIONS if one != "password_reset_requested"])
def test_every_address_of_an_account_is_told_each_once(post: Post, occasion: str) -> None:
    mobile = number()
    who, me = post.owner(mobile)
    due = post.due(occasion, me)
    event_id = post.happen(due)
    post.happen(due, event_id)
    [mail], [sms] = post.mails(who.email), post.sms()
    assert sms["to"] == mobile and sorted(post.states(event_id)) == [("email", "sent"), ("sms", "sent")]
    assert event_id in mail["Message-ID"] and event_id in sms["client_reference"]
    for said in (text_of(mail), sms["text"]):
        assert mobile not in said and who.email not in said and who.matricule not in said and "{" not in said


def test_an_sms_provider_that_is_away_neither_doubles_nor_holds_up_the_mail(post: Post, provider: Provider) -> None:
    mobile = number()
    who, me = post.owner(mobile)
    provider.answers = [503, 500]
    post.go_out(replace(post.settings, sms_provider="http", sms_url=provider.url))
    due = post.due("password_changed", me)
    event_id = post.happen(due)
    for _ in range(2):
        assert len(post.mails(who.email)) == 1 and provider.taken == []
        assert sorted(post.states(event_id)) == [("email", "sent"), ("sms", "queued")]
        post.happen(due, event_id)
        assert provider.taken == [], "it rests before it is tried again"
        post.later(hours=1)
        post.send()
    assert [one["to"] for one in provider.taken] == [mobile] and len(post.mails(who.email)) == 1
    assert sorted(post.states(event_id)) == [("email", "sent"), ("sms", "sent")]


def test_a_mail_server_that_is_away_does_not_hold_up_the_sms(post: Post) -> None:
    who, me = post.owner(number())
    post.go_out(replace(post.settings, smtp_port=1))
    event_id = post.happen(post.due("password_changed", me))
    assert sorted(post.states(event_id)) == [("email", "queued"), ("sms", "sent")]
    post.go_out(post.settings)
    post.later(hours=1)
    post.send()
    assert len(post.mails(who.email)) == 1 and len(post.sms()) == 1


def test_a_number_that_does_not_exist_is_refused_for_good(post: Post, provider: Provider) -> None:
    who, me = post.owner(number())
    provider.answers = [400]
    post.go_out(replace(post.settings, sms_provider="http", sms_url=provider.url))
    event_id = post.happen(post.due("password_changed", me))
    assert sorted(post.states(event_id)) == [("email", "sent"), ("sms", "bounced")]
    assert len(post.mails(who.email)) == 1


def test_the_mail_of_a_forgotten_password_holds_the_link_that_works_and_goes_to_that_address_alone(post: Post) -> None:
    who, _ = post.owner(number())
    post.front.ask("request_password_reset", who.at(), matricule=who.matricule, email=who.email.upper())
    due = AccountNoticeDue(**post.front.events("account_notice_due.v1")[-1])
    event_id = post.happen(due)
    [mail] = post.mails(who.email)
    found = re.search(r"^http://localhost:8080/password-reset#([0-9a-f-]{36})\.(\S+)$", text_of(mail), re.MULTILINE)
    assert found is not None and post.sms() == [] and post.states(event_id) == [("email", "sent")]
    answer = post.front.ask("reset_password", who.at(), reset_id=found[1], token=found[2],
                            password="quatre hérissons bleus")  # fmt: skip
    assert answer["next"]["channels"] == ["mobile"]


def test_the_link_leads_to_the_portal_where_there_is_one(post: Post) -> None:
    who, _ = post.owner()
    post.front.ask("request_password_reset", who.at(), matricule=who.matricule, email=who.email)
    post.go_out(replace(post.settings, portal_url="https://portail.example.lu"))
    post.happen(AccountNoticeDue(**post.front.events("account_notice_due.v1")[-1]))
    assert "https://portail.example.lu/password-reset#" in text_of(post.mails(who.email)[-1])


def test_a_request_for_nobody_and_a_link_that_is_over_send_nothing(post: Post) -> None:
    who, _ = post.owner()
    stranger = post.front.person()
    post.front.ask("request_password_reset", stranger.at(), matricule=stranger.matricule, email=stranger.email)
    nobody = AccountNoticeDue(**post.front.events("account_notice_due.v1")[-1])
    assert post.states(post.happen(nobody)) == [] and post.mails(stranger.email) == []
    post.front.ask("request_password_reset", who.at(), matricule=who.matricule, email=who.email)
    late = AccountNoticeDue(**post.front.events("account_notice_due.v1")[-1])
    post.front.change(sa.update(PasswordReset).values(expires_at=now()))
    assert post.states(post.happen(late)) == [] and post.mails(who.email) == []


# --- the two ways out -------------------------------------------------------------------------------------------------


def test_the_provider_gets_one_json_message_with_the_credential(provider: Provider) -> None:
    HttpSms(provider.url, "s3cret", "OpenDSP").send("Äre Code", to="+352691000001", client_reference="a.b.sms")
    assert provider.taken == [
        {"to": "+352691000001", "text": "Äre Code", "sender": "OpenDSP", "client_reference": "a.b.sms"}
    ]
    assert provider.headers[0]["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("status", [400, 404, 410, 413, 422])
def test_what_the_provider_will_never_take_is_refused_for_good(provider: Provider, status: int) -> None:
    provider.answers = [status]
    with pytest.raises(SmsRefused):
        HttpSms(provider.url, "t", "s").send("x", to="+1", client_reference="a")


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 408, 425, 429, 500, 502, 503, 504])
def test_what_is_not_the_messages_fault_is_tried_later_and_no_redirect_is_followed(
    provider: Provider, status: int
) -> None:
    provider.answers = [status]
    with pytest.raises(OSError, match=str(status)):
        HttpSms(provider.url, "t", "s").send("x", to="+1", client_reference="a")
    assert provider.taken == []


def test_a_provider_that_is_silent_or_gone_is_tried_later(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifications.ports.sms.TIMEOUT", 0.2)
    provider.silence = 1.0
    for url in (provider.url, "http://127.0.0.1:1/messages"):
        with pytest.raises(OSError) as away:
            HttpSms(url, "t", "s").send("Äre Code", to="+352691000001", client_reference="a")
        assert "Code" not in str(away.value) and "+352" not in str(away.value)


def test_an_sms_in_the_folder_is_whole_private_and_overwritten_by_its_repeat(tmp_path: Path) -> None:
    folder = tmp_path / "sms"
    for text in ("eent", "zwee"):
        SmsFolder(str(folder), "OpenDSP").send(text, to="+352691000001", client_reference="event.person.sms")
    [file] = folder.iterdir()
    assert file.name == "event.person.sms.json" and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert json.loads(file.read_text()) == {
        "to": "+352691000001", "text": "zwee", "sender": "OpenDSP", "client_reference": "event.person.sms",
    }  # fmt: skip


def test_a_folder_that_cannot_be_written_is_tried_later(tmp_path: Path) -> None:
    (tmp_path / "sms").write_text("no folder")
    with pytest.raises(OSError):
        SmsFolder(str(tmp_path / "sms"), "s").send("x", to="+1", client_reference="a")


def test_the_settings_choose_the_way_and_production_sends_nothing_in_clear() -> None:
    assert sms_of(Settings()) is None
    assert isinstance(sms_of(Settings(sms_provider="outbox", sms_folder="/x")), SmsFolder)
    assert isinstance(sms_of(Settings(sms_provider="http", sms_url="https://sms.example.lu/m")), HttpSms)
    assert isinstance(sms_of(Settings(profile="local", sms_provider="http", sms_url="http://127.0.0.1:9/m")), HttpSms)
    with pytest.raises(ValueError, match="https"):
        sms_of(Settings(sms_provider="http", sms_url="http://sms.example.lu/m"))
