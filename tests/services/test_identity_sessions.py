"""Sessions over a real database: refreshing, ending, and everything that ends them from outside."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from nameko.testing.services import worker_factory

from services.db import new_id, now
from services.directory.models import Professional
from services.identity import contract
from services.identity.contract import (
    AccountLocked,
    PasswordRefused,
    ReauthenticationDue,
    RefreshRefused,
    SessionNotFound,
)
from services.identity.models import Account, LogInSession
from services.identity.service import Identity
from services.refusals import NotAllowed, Refusal, SessionEnded, TooManyTries
from services.tokens import Caller
from tests.builders import caller, context
from tests.services.identity_house import PASSWORD, Front, counting, refused


def test_a_refresh_gives_new_tokens_of_the_same_session(front: Front) -> None:
    who = front.member(front.patient())
    given = front.log_in(who, stay_connected=True)
    for _ in range(3):
        fresh = front.ask("refresh", who.at(), refresh_token=given["refresh_token"])
        assert fresh["refresh_token"] != given["refresh_token"] and fresh["session_id"] == given["session_id"]
        assert front.caller_of(fresh["access_token"]).patient_id == who.patient_id
        given = fresh


def test_a_refresh_token_used_twice_ends_the_session_for_both_holders(front: Front) -> None:
    who = front.member(front.patient())
    stolen = front.log_in(who)
    current = front.ask("refresh", who.at(), refresh_token=stolen["refresh_token"])
    me = front.caller_of(current["access_token"])
    refused(RefreshRefused, lambda: front.ask("refresh", who.at(), refresh_token=stolen["refresh_token"]))
    refused(RefreshRefused, lambda: front.ask("refresh", who.at(), refresh_token=current["refresh_token"]))
    refused(SessionEnded, lambda: front.ask("log_out", me))
    ended = [event for event in front.events("session_ended.v1") if event["session_id"] == me.session_id]
    assert len(ended) == 1
    assert [t["purpose"] for t in front.traces(who.address, "session.ended")] == ["refresh_token_reused"]
    assert len(front.traces(who.address, "session.opened", "refresh_refused")) == 2


def test_a_refresh_whose_answer_died_with_its_worker_is_done_again(front: Front) -> None:
    who = front.member(front.professional(), "professional")
    given = front.log_in(who)
    asked = who.at()
    lost = front.ask("refresh", asked, refresh_token=given["refresh_token"])
    for _ in range(2):
        again = front.ask("refresh", replace(asked, redelivered=True), refresh_token=given["refresh_token"])
        assert again["session_id"] == given["session_id"] and again["refresh_token"] != lost["refresh_token"]
    assert front.ask("refresh", who.at(), refresh_token=again["refresh_token"])["access_token"]
    front.ask("describe_account", front.caller_of(again["access_token"]))
    assert front.traces(who.address, "session.ended") == []


@pytest.mark.parametrize("other", [{"redelivered": True}, {"redelivered": True, "request_id": new_id()}, {}])
def test_a_refresh_token_of_another_request_ends_the_session_though_its_worker_died(
    front: Front, other: dict[str, Any]
) -> None:
    who = front.member(front.patient())
    given = front.log_in(who)
    asked = who.at()
    front.ask("refresh", asked, refresh_token=given["refresh_token"])
    again = replace(who.at(), **other) if other else asked  # the same request, if nobody died over it, is no repeat
    refused(RefreshRefused, lambda: front.ask("refresh", again, refresh_token=given["refresh_token"]))
    assert [t["purpose"] for t in front.traces(who.address, "session.ended")] == ["refresh_token_reused"]


def test_of_many_who_present_one_refresh_token_at_most_one_gets_tokens(front: Front) -> None:
    who = front.member(front.patient())
    given = front.log_in(who)

    def present(_: int) -> str:
        try:
            front.ask("refresh", who.at(), refresh_token=given["refresh_token"])
        except Refusal as refusal:
            return refusal.code
        return "in"

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(present, range(8)))
    assert answers == {"in": 1, "refresh_refused": 7}
    assert front.one(sa.select(LogInSession.end_cause).where(LogInSession.session_id == given["session_id"]))


@pytest.mark.parametrize("token", ["", "x", None, 7, "a" * 10_000])
def test_an_unknown_refresh_token_is_refused(front: Front, token: Any) -> None:
    refused(RefreshRefused, lambda: front.ask("refresh", context(), refresh_token=token))


def test_a_session_over_by_its_own_time_is_not_refreshed(front: Front) -> None:
    who = front.member(front.patient())
    given = front.log_in(who)
    front.change(sa.update(LogInSession).where(LogInSession.session_id == given["session_id"]).values(expires_at=now()))
    refused(RefreshRefused, lambda: front.ask("refresh", who.at(), refresh_token=given["refresh_token"]))


def test_log_out_ends_the_session_here_at_once_and_elsewhere_by_event(front: Front) -> None:
    who = front.member(front.patient())
    given = front.log_in(who)
    me = front.caller_of(given["access_token"])
    assert front.ask("log_out", me) == {}
    assert me.session_id in [event["session_id"] for event in front.events("session_ended.v1")]
    refused(SessionEnded, lambda: front.ask("log_out", me))
    refused(RefreshRefused, lambda: front.ask("refresh", who.at(), refresh_token=given["refresh_token"]))


def test_a_session_is_described_without_a_database() -> None:
    identity = worker_factory(Identity, db=None, directory=None)
    me = caller("professional")
    told = identity.describe_session(me)
    assert told["account_id"] == me.account_id and told["profession"] == "physician" and told["capacity"] == me.capacity
    assert told["expires_at"].endswith("Z") and set(told) == set(contract.SessionDescribed.__annotations__)


# --- the owner's list -------------------------------------------------------------------------------------------------


def listed(front: Front, me: Caller) -> list[dict[str, Any]]:
    return list(front.ask("list_sessions", me)["sessions"])


def test_an_owner_sees_all_sessions_of_the_account_and_nobody_elses(front: Front) -> None:
    who, other = front.member(front.member(front.patient()), "agent"), front.member(front.patient())
    front.session(other)
    first, second = front.session(who, capacity="patient"), front.session(who, capacity="agent", stay_connected=True)
    gone = front.session(who, capacity="patient")
    front.ask("log_out", gone)
    found = listed(front, first)
    assert [(one["session_id"], one["capacity"], one["current"], one["stay_connected"]) for one in found] == [
        (second.session_id, "agent", False, True), (first.session_id, "patient", True, False),
    ]  # fmt: skip
    assert {(one["factors"], one["software"]) for one in found} == {("password email", "tests/1")}
    assert who.address not in str(found)
    searched = [t for t in front.events("access_traced.v1") if t["session_id"] == first.session_id]
    assert [(t["action"], t["count"]) for t in searched if t["action"] == "session.searched"] == [
        ("session.searched", 2)
    ]


def test_a_session_that_is_refreshed_comes_to_the_top_and_one_over_by_its_time_is_gone(front: Front) -> None:
    who = front.member(front.patient())
    given, me = front.log_in(who), front.session(who)
    assert [one["session_id"] for one in listed(front, me)] == [me.session_id, given["session_id"]]
    front.ask("refresh", who.at(), refresh_token=given["refresh_token"])
    assert [one["session_id"] for one in listed(front, me)] == [given["session_id"], me.session_id]
    whose = LogInSession.session_id == given["session_id"]
    front.change(sa.update(LogInSession).where(whose).values(expires_at=now()))
    assert [one["session_id"] for one in listed(front, me)] == [me.session_id]


def test_an_owner_ends_one_session_and_a_stranger_ends_none(front: Front) -> None:
    who, stranger = front.member(front.patient()), front.session(front.member(front.patient()))
    lost, me = front.session(who), front.session(who)
    for by, session_id in ((stranger, lost.session_id), (me, new_id()), (me, "x"), (me, None)):
        refused(SessionNotFound, lambda b=by, i=session_id: front.ask("end_session", b, session_id=i))  # type: ignore[misc]
    assert front.ask("end_session", me, session_id=lost.session_id) == {}
    refused(SessionEnded, lambda: front.ask("log_out", lost))
    refused(SessionNotFound, lambda: front.ask("end_session", me, session_id=lost.session_id))
    assert len([e for e in front.events("session_ended.v1") if e["session_id"] == lost.session_id]) == 1
    assert listed(front, me)[0]["session_id"] == me.session_id


def test_logging_out_elsewhere_keeps_this_session_and_everywhere_keeps_none(front: Front) -> None:
    who, other = front.member(front.patient()), front.session(front.member(front.patient()))
    elsewhere = [front.session(who) for _ in range(3)]
    me = front.session(who)
    assert front.ask("end_sessions", me) == {"ended": 3}
    for one in elsewhere:
        refused(SessionEnded, lambda one=one: front.ask("log_out", one))  # type: ignore[misc]
    assert [one["session_id"] for one in listed(front, me)] == [me.session_id]
    assert front.ask("end_sessions", me, others_only=True) == {"ended": 0}
    assert front.ask("end_sessions", me, others_only=False) == {"ended": 1}
    refused(SessionEnded, lambda: front.ask("log_out", me))
    assert front.ask("log_out", other) == {}, "nobody else was logged out"


def test_a_session_of_a_locked_account_is_not_refreshed(front: Front) -> None:
    who = front.member(front.patient())
    given = front.log_in(who)
    front.change(sa.update(Account).where(Account.account_id == who.account_id).values(locked_at=now()))
    refused(AccountLocked, lambda: front.ask("refresh", who.at(), refresh_token=given["refresh_token"]))
    refused(SessionEnded, lambda: front.ask("log_out", front.caller_of(given["access_token"])))


# --- showing again that it is you -------------------------------------------------------------------------------------


def stale(front: Front, me: Caller) -> None:
    whose = LogInSession.session_id == me.session_id
    front.change(sa.update(LogInSession).where(whose).values(authenticated_at=now() - timedelta(hours=1)))


def require_fresh(front: Front, me: Caller) -> None:
    with front.sessions.transaction(me) as session:
        refusal = front.house.identity._not_fresh(session, me, "account.changed", now())
    if refusal is not None:
        raise refusal


def test_the_password_renews_what_a_log_in_has_shown(front: Front) -> None:
    me = front.session(front.member(front.patient()))
    require_fresh(front, me)
    stale(front, me)
    refused(ReauthenticationDue, lambda: require_fresh(front, me))
    refused(PasswordRefused, lambda: front.ask("authenticate", me, password="wrong"))
    refused(ReauthenticationDue, lambda: require_fresh(front, me))
    assert front.ask("authenticate", me, password=PASSWORD)["fresh_until"].endswith("Z")
    require_fresh(front, me)
    traces = [t for t in front.events("access_traced.v1") if t["session_id"] == me.session_id]
    shown = [(t["outcome"], t["reason"]) for t in traces if t["action"] == "session.authenticated"]
    assert shown == [("refused", "password_refused"), ("allowed", None)]


def test_freshness_belongs_to_a_session_and_not_to_an_account(front: Front) -> None:
    who = front.member(front.patient())
    one, other = front.session(who), front.session(who)
    stale(front, one), stale(front, other)
    front.ask("authenticate", one, password=PASSWORD)
    require_fresh(front, one)
    refused(ReauthenticationDue, lambda: require_fresh(front, other))


def test_wrong_passwords_at_an_open_session_wait_there_and_not_where_the_owner_is(front: Front) -> None:
    who = front.member(front.patient())
    me = front.session(who)
    left_open = replace(me, context=context(address=front.person().address))
    for _ in range(5):
        refused(PasswordRefused, lambda: front.ask("authenticate", left_open, password="wrong"))
    refused(TooManyTries, lambda: front.ask("authenticate", left_open, password=PASSWORD))
    assert counting(front, lambda: front.ask("authenticate", left_open, password=PASSWORD)) == 0
    at_home = replace(me, context=who.at())
    assert front.ask("authenticate", at_home, password=PASSWORD)
    assert front.log_in(who)["access_token"]


# --- "Mes services eSanté" --------------------------------------------------------------------------------------------


def test_an_account_opens_the_services_of_its_capacities(front: Front) -> None:
    who = front.member(front.member(front.professional(front.patient()), "patient"), "professional", accepted=None)
    me = front.session(who, capacity="patient")
    told = front.ask("account_services", me)["services"]
    assert [(one["service"], one["capacity"], one["reason"]) for one in told] == [
        ("dsp", "patient", None), ("dsp", "professional", "conditions_due"), ("edocuments", "patient", None),
        ("messaging", "professional", "conditions_due"),
    ]  # fmt: skip
    with front.house.sessions["directory"].transaction() as session:
        session.execute(sa.update(Professional).where(Professional.professional_id == who.professional_id)
                        .values(licence="suspended"))  # fmt: skip
    told = front.ask("account_services", me)["services"]
    assert {one["reason"] for one in told if one["capacity"] == "professional"} == {"licence_not_valid"}


def test_business_software_has_no_services_of_its_own(front: Front) -> None:
    refused(NotAllowed, lambda: front.ask("account_services", caller("machine")))
