"""A log-in from a new kind of device is told to its account's owner, and no log-in costs a statement more for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import now
from services.identity import store
from services.identity.models import Account, Agent, KnownDevice
from services.identity.models_desk import Notice
from services.identity.rules_sessions import DEVICE_KEPT, device_of
from services.refusals import NotAllowed, Refusal
from tests.builders import context, said
from tests.services.identity_house import Front, Person

FIREFOX = "Mozilla/5.0 (X11 Linux x86_64 rv 115.0) Gecko/20100101 Firefox/115.0"
NEWER_FIREFOX = "Mozilla/5.0 (X11 Linux x86_64 rv 128.0) Gecko/20100101 Firefox/128.0"
PHONE = "Mozilla/5.0 (iPhone CPU iPhone OS 17_4 like Mac OS X) AppleWebKit"


def log_in(front: Front, who: Person, software: str | None) -> dict[str, Any]:
    challenge_id = front.challenge(who)
    code = front.mail(challenge_id)["code"]
    at = who.at(software=software)
    return dict(front.ask("confirm_log_in", at, challenge_id=challenge_id, code=code))


def told(front: Front, who: Person) -> list[str]:
    """The sessions of which this person was told as of a new device, at their own address."""
    ids = [each["notice_id"] for each in front.events("account_notice_due.v1") if each["occasion"] == "new_device"]
    with front.sessions.transaction() as session:
        found = session.scalars(sa.select(Notice).where(Notice.notice_id.in_(ids)).order_by(Notice.created_at)).all()
        return [str(one.object_id) for one in found if {"kind": "email", "value": who.email} in one.recipients]


@contextmanager
def statements(front: Front) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, _parameters: Any, asked: Any, _many: bool) -> None:
        sent.append(said(statement, asked))

    engine = front.sessions.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(engine, "before_cursor_execute", note)


def test_the_first_device_of_an_account_is_news_to_nobody_and_the_next_kind_is(front: Front) -> None:
    who, other = front.member(front.patient()), front.member(front.patient())
    log_in(front, other, PHONE)
    log_in(front, who, FIREFOX)
    assert told(front, who) == []
    opened = log_in(front, who, PHONE)
    assert told(front, who) == [opened["session_id"]] and told(front, other) == []
    for known in (FIREFOX, PHONE, NEWER_FIREFOX):
        log_in(front, who, known)
    assert told(front, who) == [opened["session_id"]]


def test_software_that_says_nothing_of_itself_is_a_device_like_any_other(front: Front) -> None:
    who = front.member(front.patient())
    log_in(front, who, FIREFOX)
    opened = log_in(front, who, None)
    log_in(front, who, None)
    assert told(front, who) == [opened["session_id"]]


def test_a_wrong_code_makes_no_device_known(front: Front) -> None:
    who = front.member(front.patient())
    log_in(front, who, FIREFOX)
    with pytest.raises(Refusal):
        front.ask("confirm_log_in", who.at(software=PHONE), challenge_id=front.challenge(who), code="000000")
    known = front.one(sa.select(sa.func.array_agg(KnownDevice.device)).where(KnownDevice.account_id == who.account_id))
    assert known == [device_of(FIREFOX)]
    assert told(front, who) == []


def test_what_opens_a_session_is_one_statement_on_a_known_device_and_on_the_first(front: Front) -> None:
    who = front.member(front.patient())
    for _ in range(2):
        with statements(front) as sent:
            log_in(front, who, FIREFOX)
        assert len([one for one in sent if "known_devices" in one]) == 1
        assert [one for one in sent if "known_devices" in one] == [one for one in sent if "INTO sessions" in one]
        assert [one for one in sent if "notices" in one] == []


def test_a_refresh_is_no_log_in(front: Front) -> None:
    who = front.member(front.patient())
    given = log_in(front, who, FIREFOX)
    front.ask("refresh", who.at(software=PHONE), refresh_token=given["refresh_token"])
    assert told(front, who) == []


def test_a_device_not_used_for_two_years_is_forgotten(front: Front) -> None:
    who = front.member(front.patient())
    log_in(front, who, FIREFOX), log_in(front, who, PHONE)
    old = sa.and_(KnownDevice.account_id == who.account_id, KnownDevice.device == device_of(PHONE))
    front.change(sa.update(KnownDevice).where(old).values(last_at=now() - DEVICE_KEPT - timedelta(minutes=1)))
    with front.sessions.transaction() as session:
        store.sweep(session, now())
    log_in(front, who, FIREFOX)
    again = log_in(front, who, PHONE)
    assert told(front, who)[-1] == again["session_id"] and len(told(front, who)) == 2


def test_versions_make_no_other_device() -> None:
    assert device_of(FIREFOX) == device_of(NEWER_FIREFOX) != device_of(PHONE)
    assert device_of(None) == device_of("") == device_of("  1.2 ") == ""


# --- agents -----------------------------------------------------------------------------------------------------------


def agents_of(front: Front, *roles: str, process: str = "notifications") -> list[str]:
    return list(front.ask("agents_of", context(), process, roles=list(roles))["account_ids"])


def test_the_agents_of_a_role_are_those_who_have_it_and_can_log_in(front: Front) -> None:
    agent, officer, locked = (front.member(front.person(), "agent") for _ in range(3))
    with front.sessions.transaction() as session:
        for who, role in ((officer, "privacy_officer"), (locked, "privacy_officer")):
            name = sa.select(Account.log_in_name).where(Account.account_id == who.account_id).scalar_subquery()
            session.execute(sa.update(Agent).where(Agent.log_in_name == name).values(role=role))
        session.execute(sa.update(Account).where(Account.account_id == locked.account_id).values(locked_at=now()))
    assert officer.account_id in agents_of(front, "privacy_officer")
    assert not {agent.account_id, locked.account_id} & set(agents_of(front, "privacy_officer"))
    assert agent.account_id in agents_of(front, "agent", "administrator")
    assert agents_of(front, "patient", "nobody") == agents_of(front) == []


def test_nobody_but_notifications_may_ask_who_the_agents_are(front: Front) -> None:
    for process in ("gateway", "documents", "dossier", "audit"):
        with pytest.raises(NotAllowed):
            agents_of(front, "agent", process=process)
