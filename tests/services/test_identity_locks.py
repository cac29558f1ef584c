"""What ends sessions from outside, over a real database: locks by the agency, licences that end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.bus import Received, fresh_context
from services.db import ended_sessions, new_id, now, rfc3339
from services.directory.contract import LicenceWithdrawn
from services.identity.contract import (
    LOCK_CAUSES,
    AccountLocked,
    AccountNotFound,
    LicenceNotValid,
    LogInRefused,
    RefreshRefused,
)
from services.identity.models import Account, LogInSession
from services.identity.models_machines import MachineToken, SoftwareClient
from services.refusals import InvalidInput, NotAllowed, Refusal, SessionEnded
from services.tokens import Caller
from tests.builders import caller
from tests.services.identity_house import AGENT, Front, Person, refused


def lock(front: Front, who: Person, cause: str = "lost_device", by: Caller = AGENT) -> Any:
    return front.ask("lock_account", by, matricule=who.matricule, cause=cause)


def ended(front: Front, session_id: str) -> int:
    """How often the end of a session was announced."""
    return len([event for event in front.events("session_ended.v1") if event["session_id"] == session_id])


def withdrawn(front: Front, professional_id: str | None, at: datetime, licence: str = "suspended") -> None:
    """The directory's word that a licence has ended, delivered as the inbox does."""
    told = LicenceWithdrawn(professional_id=str(professional_id), licence=licence, at=rfc3339(at))
    event = Received(new_id(), "directory", told.type, rfc3339(now()), professional_id, None, told, fresh_context())
    assert asdict(told)["professional_id"] == professional_id
    with front.sessions.transaction() as session:
        front.house.identity.on_licence_withdrawn(session, event)


# --- locks ------------------------------------------------------------------------------------------------------------


def test_a_lock_ends_every_session_and_lets_nobody_in_until_it_is_lifted(front: Front) -> None:
    who = front.member(front.patient())
    given = front.log_in(who), front.log_in(who)
    me = [front.caller_of(one["access_token"]) for one in given]
    assert lock(front, who) == {"account_id": who.account_id, "locked": True}
    for one, tokens in zip(me, given, strict=True):
        assert ended(front, one.session_id) == 1
        refused(SessionEnded, lambda one=one: front.ask("log_out", one))  # type: ignore[misc]
        refused(RefreshRefused, lambda t=tokens: front.ask("refresh", who.at(), refresh_token=t["refresh_token"]))  # type: ignore[misc]
    refused(AccountLocked, lambda: front.log_in(who))
    assert front.ask("unlock_account", AGENT, matricule=who.matricule)["locked"] is False
    assert front.log_in(who)["access_token"]
    occasions = [event["occasion"] for event in front.events("account_notice_due.v1")]
    assert occasions.count("account_locked") >= 1 and occasions.count("account_unlocked") >= 1


def test_a_second_lock_and_a_second_unlock_change_nothing(front: Front) -> None:
    who = front.member(front.patient())
    lock(front, who, "death")
    before = len(front.events("account_notice_due.v1"))
    assert lock(front, who, "request")["locked"]
    assert front.one(sa.select(Account.lock_cause).where(Account.account_id == who.account_id)) == "death"
    for _ in range(2):
        front.ask("unlock_account", AGENT, matricule=who.matricule)
    assert len(front.events("account_notice_due.v1")) == before + 1
    traced = [t["action"] for t in front.events("access_traced.v1") if t["object_id"] == who.account_id]
    assert traced == ["account.locked", "account.unlocked"]


@pytest.mark.parametrize("by", [caller("patient"), caller("professional"), caller("machine")], ids=lambda c: c.capacity)
def test_nobody_but_the_agency_locks_and_unlocks(front: Front, by: Caller) -> None:
    who = front.member(front.patient())
    refused(NotAllowed, lambda: lock(front, who, by=by))
    refused(NotAllowed, lambda: front.ask("unlock_account", by, matricule=who.matricule))
    traces = [t for t in front.events("access_traced.v1") if t["account_id"] == by.account_id]
    assert [(t["action"], t["reason"]) for t in traces] == [
        ("account.locked", "not_allowed"), ("account.unlocked", "not_allowed"),
    ]  # fmt: skip
    assert front.log_in(who)["access_token"]


@pytest.mark.parametrize("cause", LOCK_CAUSES)
def test_an_account_is_locked_for_a_cause_that_is_kept_and_traced(front: Front, cause: str) -> None:
    who = front.member(front.patient())
    lock(front, who, cause)
    [trace] = [t for t in front.events("access_traced.v1") if t["object_id"] == who.account_id]
    assert (trace["purpose"], trace["account_id"], trace["object_type"]) == (cause, AGENT.account_id, "account")
    assert who.matricule not in str(trace)


def test_a_lock_names_an_account_and_a_cause(front: Front) -> None:
    who, nobody = front.member(front.patient()), front.patient()
    refused(InvalidInput, lambda: lock(front, who, "revenge"))
    refused(AccountNotFound, lambda: lock(front, nobody))
    refused(AccountNotFound, lambda: front.ask("unlock_account", AGENT, matricule=nobody.matricule))
    refused(InvalidInput, lambda: front.ask("lock_account", AGENT, matricule="1", cause="death"))


def test_a_locked_account_is_refused_like_any_other_to_who_lacks_a_factor(front: Front) -> None:
    who = front.member(front.patient())
    lock(front, who)
    told = refused(LogInRefused, lambda: front.challenge(who, "wrong")).to_wire()
    assert told == refused(LogInRefused, lambda: front.challenge(front.person())).to_wire()


def test_no_session_opens_unseen_beside_a_lock(front: Front) -> None:
    for _ in range(6):
        who = front.member(front.patient())
        challenge_id = front.challenge(who)
        proof = {"challenge_id": challenge_id, "code": front.mail(challenge_id)["code"]}

        def enter(who: Person = who, proof: dict[str, str] = proof) -> str:
            try:
                return str(front.ask("confirm_log_in", who.at(), **proof)["session_id"])
            except Refusal as refusal:
                return refusal.code

        with ThreadPoolExecutor(2) as pool:
            entering, locking = pool.submit(enter), pool.submit(lock, front, who)
            locking.result()
            outcome = entering.result()
        running = sa.select(sa.func.count()).where(
            LogInSession.account_id == who.account_id, LogInSession.ended_at.is_(None)
        )
        assert front.one(running) == 0, outcome
        assert outcome == "account_locked" or ended(front, outcome) == 1


# --- licences ---------------------------------------------------------------------------------------------------------


def test_a_licence_that_ends_ends_what_runs_in_that_name_and_nothing_else(front: Front) -> None:
    doctor = front.member(front.member(front.professional(front.patient()), "patient"), "professional")
    colleague = front.member(front.professional(), "professional")
    acting = [front.session(doctor, capacity="professional") for _ in range(2)]
    as_patient, other = front.session(doctor, capacity="patient"), front.session(colleague)
    withdrawn(front, doctor.professional_id, now(), "withdrawn")
    for one in acting:
        assert ended(front, one.session_id) == 1
        refused(SessionEnded, lambda one=one: front.ask("log_out", one))  # type: ignore[misc]
        cause = front.one(sa.select(LogInSession.end_cause).where(LogInSession.session_id == one.session_id))
        assert cause == "licence_withdrawn"
    assert front.ask("log_out", as_patient) == {} and front.ask("log_out", other) == {}
    traces = [t for t in front.events("access_traced.v1") if t["session_id"] in {one.session_id for one in acting}
              and t["action"] == "session.ended"]  # fmt: skip
    assert {(t["purpose"], t["professional_id"]) for t in traces} == {("licence_withdrawn", doctor.professional_id)}
    withdrawn(front, doctor.professional_id, now(), "withdrawn")
    assert all(ended(front, one.session_id) == 1 for one in acting), "told twice, ended once"


def test_software_that_acts_for_a_professional_stops_with_the_licence(front: Front) -> None:
    doctor, at = front.professional(), now()
    client = new_id()
    tokens = {name: new_id() for name in ("acting", "revoked", "for_itself", "over")}
    facts = {"client_id": client, "scope": "system/Patient.rs", "issued_at": at}
    lives = {"expires_at": at + timedelta(minutes=5), "professional_id": doctor.professional_id}
    with front.sessions.transaction() as session:
        session.add(SoftwareClient(
            client_id=client, establishment_id=new_id(), name="x", version="1", vendor="y", scopes=[], jwks={},
            state="in_production", registered_by=new_id(), registered_at=at,
        ))  # fmt: skip
        session.flush()
        session.add(MachineToken(token_id=tokens["acting"], **facts, **lives))
        session.add(MachineToken(token_id=tokens["revoked"], revoked_at=at, **facts, **lives))
        session.add(MachineToken(token_id=tokens["for_itself"], **facts, **(lives | {"professional_id": None})))
        session.add(MachineToken(token_id=tokens["over"], **facts, **(lives | {"expires_at": at})))
    withdrawn(front, doctor.professional_id, now())
    assert {name: ended(front, token) for name, token in tokens.items()} == {
        "acting": 1, "revoked": 0, "for_itself": 0, "over": 0,
    }  # fmt: skip
    kept = sa.select(sa.func.count()).where(ended_sessions.c.session_id == tokens["acting"])
    assert front.one(kept) == 1, "identity itself knows at once"


def test_a_session_opened_after_a_licence_came_back_goes_on_when_the_news_of_its_end_come_late(front: Front) -> None:
    doctor = front.member(front.professional(), "professional")
    back = front.session(doctor)
    withdrawn(front, doctor.professional_id, now() - timedelta(minutes=1))
    assert ended(front, back.session_id) == 0
    assert front.session(doctor), "and another log-in comes in too"


def test_a_log_in_that_asked_before_the_licence_ended_does_not_come_in_after(front: Front) -> None:
    doctor = front.member(front.professional(), "professional")
    usual = front.house.identity.directory

    class Overtaken:
        """The directory, whose answer is overtaken by its own news."""

        def capacity_facts(self, who: Any, **asked: Any) -> Any:
            answer = usual.capacity_facts(who, **asked)
            withdrawn(front, doctor.professional_id, now())
            return answer

    front.house.identity.directory = Overtaken()
    try:
        refused(LicenceNotValid, lambda: front.log_in(doctor))
    finally:
        front.house.identity.directory = usual
