"""LuxTrust over a real database and a real issuer: log-in, activation, link; and every answer that is not believed."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.luxtrust import Card, home, new_card, url
from deploy.local.stack import Stack
from deploy.luxtrust_visit import way_back
from services.db import new_id, now
from services.identity.contract import (
    CONDITIONS_VERSION,
    AccountLocked,
    ActivationComplete,
    ActivationNotFound,
    ConditionsDue,
    LogInRefused,
    LuxTrustNotFound,
    LuxTrustPending,
    LuxTrustRefused,
    LuxTrustTaken,
    ReauthenticationDue,
)
from services.identity.models import Account, Activation, LogInSession, TriesRow
from services.identity.models_desk import Notice
from services.identity.models_factors import LuxTrustFlow, LuxTrustProduct
from services.identity.ports.luxtrust import Issuer
from services.refusals import InvalidInput, TooManyTries, Unavailable
from services.tokens import Caller, Context
from tests.authenticator import text
from tests.builders import context
from tests.services.identity_house import KEY, Front, Person, refused, run_of, trace_left

CALLBACK = "http://localhost:1/luxtrust/callback"


class Desk:
    """Journeys to the stack's own LuxTrust, with cards from its drawer."""

    def __init__(self, front: Front, infra: Stack) -> None:
        self.front = front
        self.cards = home(infra.layout) / "cards"
        client = json.loads((home(infra.layout) / "client.json").read_text())
        self.issuer = Issuer(
            url(infra.layout), client["client_id"], client["client_secret"], client["redirect_uris"][0]
        )
        front.house.identity.luxtrust = self.issuer

    def card(self, **like: Any) -> Card:
        return new_card(self.cards, **like)

    def at_luxtrust(self, begun: dict[str, Any], card: Card) -> dict[str, str]:
        """The PIN is typed; what LuxTrust sends the browser back with."""
        with requests.Session() as http:
            back = way_back(http, begun["authorization_url"], card)
        return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}

    def come_back(
        self, begun: dict[str, Any], given: dict[str, str], who: Context | None = None, **changes: Any
    ) -> Any:
        told = {"binding": begun["binding"]} | given | changes
        return self.front.ask("luxtrust_returned", who or context(), **told)

    def walk(self, begun: dict[str, Any], card: Card, who: Context | None = None) -> Any:
        return self.come_back(begun, self.at_luxtrust(begun, card), who)

    def begin(self, who: Person) -> dict[str, Any]:
        return dict(self.front.ask("start_luxtrust_log_in", who.at()))

    def finish(self, who: Person, begun: dict[str, Any], **choice: Any) -> Any:
        given = {"flow_id": begun["flow_id"], "log_in_token": begun["log_in_token"]} | choice
        return self.front.ask("finish_luxtrust_log_in", who.at(), **given)

    def log_in(self, who: Person, card: Card, **choice: Any) -> Any:
        begun = self.begin(who)
        assert self.walk(begun, card)["outcome"] == "done"
        return self.finish(who, begun, **choice)

    def link(self, caller: Caller, card: Card) -> Any:
        return self.walk(self.front.ask("start_luxtrust_link", caller), card)

    def owner(self, kind: str = "patient") -> tuple[Person, Card]:
        """Somebody with an account and a card that opens it."""
        made = self.front.patient() if kind == "patient" else self.front.professional()
        who, card = self.front.member(made, kind), self.card()
        assert self.link(self.front.session(who), card)["outcome"] == "done"
        return who, card


@pytest.fixture(scope="module")
def desk(front: Front, infra: Stack) -> Desk:
    return Desk(front, infra)


def tries(front: Front, purpose: str, who: Person) -> int | None:
    """How many tries count against a person's network address."""
    key = KEY.throttle_key(purpose, who.address)
    return front.one(sa.select(TriesRow.checked).where(TriesRow.key == key))


# --- log-in -----------------------------------------------------------------------------------------------------------


def test_a_card_and_its_pin_open_a_session_in_the_capacity_chosen(desk: Desk, front: Front) -> None:
    who, card = desk.owner("professional")
    given = desk.log_in(who, card, capacity="professional")
    me = front.caller_of(given["access_token"])
    assert (me.capacity, me.professional_id) == ("professional", who.professional_id)
    kept = front.one(sa.select(LogInSession).where(LogInSession.session_id == me.session_id))
    assert kept.factors == "luxtrust"
    assert [t["purpose"] for t in front.traces(who.address, "session.opened")][-1] == "luxtrust"
    product = front.one(sa.select(LuxTrustProduct).where(LuxTrustProduct.account_id == me.account_id))
    assert product.product == "smartcard" and product.last_used_at is not None


def test_a_journey_finished_again_by_the_request_whose_worker_died_gives_the_same_session(
    desk: Desk, front: Front
) -> None:
    who, card = desk.owner()
    begun = desk.begin(who)
    desk.walk(begun, card)
    said, asked = {"flow_id": begun["flow_id"], "log_in_token": begun["log_in_token"]}, who.at()
    lost = front.ask("finish_luxtrust_log_in", asked, **said)
    again = front.ask("finish_luxtrust_log_in", replace(asked, redelivered=True), **said)
    assert again["session_id"] == lost["session_id"] and again["refresh_token"] != lost["refresh_token"]
    for other in (asked, replace(who.at(), redelivered=True)):
        refused(LogInRefused, lambda other=other: front.ask("finish_luxtrust_log_in", other, **said))


def test_the_issuers_name_for_a_person_is_stored_nowhere(desk: Desk, front: Front) -> None:
    _, card = desk.owner()
    with front.sessions.transaction() as session:
        for table in (LuxTrustFlow.__table__, LuxTrustProduct.__table__):
            for row in session.execute(sa.select(table)):
                assert card.subject not in str(tuple(row)) and card.subject.encode() not in tuple(row)
    assert front.one(sa.select(sa.literal(1)).where(
        LuxTrustProduct.subject == KEY.luxtrust_subject(desk.issuer.issuer, card.subject))) == 1  # fmt: skip


def test_a_log_in_waits_until_the_person_is_back(desk: Desk) -> None:
    who, card = desk.owner()
    begun = desk.begin(who)
    refused(LuxTrustPending, lambda: desk.finish(who, begun))
    desk.walk(begun, card)
    assert desk.finish(who, begun)["access_token"]


def test_a_card_that_opens_no_account_is_refused_like_everything_else_that_is_wrong(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    stranger = front.person()
    begun = desk.begin(stranger)
    assert desk.walk(begun, desk.card())["outcome"] == "done"
    refused(LogInRefused, lambda: desk.finish(stranger, begun))
    begun, other = desk.begin(who), desk.begin(who)
    desk.walk(begun, card)
    wrong = ({"log_in_token": other["log_in_token"]}, {"log_in_token": "x"}, {"flow_id": new_id()}, {"flow_id": "x"})
    for changes in wrong:
        refused(LogInRefused, lambda changes=changes: desk.finish(who, begun | changes))
    assert desk.finish(who, begun)["access_token"]
    assert len(front.traces(who.address, "session.opened", "log_in_refused")) == len(wrong)


def test_a_journey_opens_one_session_even_when_it_is_finished_a_hundred_times_at_once(desk: Desk) -> None:
    who, card = desk.owner()
    begun = desk.begin(who)
    desk.walk(begun, card)

    def attempt(_: int) -> str:
        try:
            desk.finish(who, begun)
        except LogInRefused:
            return "refused"
        return "opened"

    with ThreadPoolExecutor(12) as many:
        assert Counter(many.map(attempt, range(100))) == {"opened": 1, "refused": 99}


def test_a_wrong_choice_and_conditions_that_are_due_leave_the_journey_good(desk: Desk, front: Front) -> None:
    who, card = front.member(front.patient(), accepted="2020-01"), desk.card()
    subject = KEY.luxtrust_subject(desk.issuer.issuer, card.subject)
    front.change(sa.insert(LuxTrustProduct).values(
        subject=subject, product_id=new_id(), account_id=who.account_id, product="smartcard", linked_at=now()
    ))  # fmt: skip
    begun = desk.begin(who)
    desk.walk(begun, card)
    refused(InvalidInput, lambda: desk.finish(who, begun, capacity="agent"))
    refused(ConditionsDue, lambda: desk.finish(who, begun))
    accepted = {"version": CONDITIONS_VERSION, "language": "fr"}
    assert desk.finish(who, begun, conditions=accepted)["access_token"]


def test_a_locked_account_is_told_so_only_to_who_has_the_card(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    locked = sa.update(Account).where(Account.account_id == who.account_id)
    front.change(locked.values(locked_at=now(), lock_cause="lost_device"))
    refused(LogInRefused, lambda: desk.log_in(who, desk.card()))
    refused(AccountLocked, lambda: desk.log_in(who, card))


def test_a_product_that_was_unlinked_meanwhile_opens_nothing(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    begun = desk.begin(who)
    desk.walk(begun, card)
    front.change(sa.delete(LuxTrustProduct).where(LuxTrustProduct.account_id == who.account_id))
    refused(LogInRefused, lambda: desk.finish(who, begun))


def test_an_address_that_begins_without_end_has_to_wait_and_no_other_has(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    flood = front.person()
    with pytest.raises(TooManyTries):
        for _ in range(200):
            desk.begin(flood)
    for _ in range(3):
        assert desk.log_in(who, card)["access_token"]
    assert tries(front, "luxtrust", who) == 0, "given back"


# --- the way back -----------------------------------------------------------------------------------------------------


def test_only_the_browser_that_set_out_comes_back_and_once(desk: Desk) -> None:
    who, card = desk.owner()
    begun, other = desk.begin(who), desk.begin(who)
    given = desk.at_luxtrust(begun, card)
    for binding in (None, "", "x", other["binding"]):
        refused(LuxTrustRefused, lambda binding=binding: desk.come_back(begun, given, binding=binding))
    assert desk.come_back(begun, given) == {"flow_id": begun["flow_id"], "purpose": "log_in", "outcome": "done"}
    refused(LuxTrustRefused, lambda: desk.come_back(begun, given))
    assert desk.finish(who, begun)["access_token"], "what came too late changes nothing"


def test_a_state_of_another_journey_or_of_nobody_is_refused(desk: Desk) -> None:
    who, card = desk.owner()
    begun, other = desk.begin(who), desk.begin(who)
    given = desk.at_luxtrust(begun, card)
    state = given["state"]
    crooked = (state[:-1] + ("A" if state[-1] != "A" else "B"), begun["flow_id"], f"{new_id()}.x", "", "é", "x" * 9000)
    for wrong in crooked:
        refused(LuxTrustRefused, lambda wrong=wrong: desk.come_back(begun, given, state=wrong))
    # LuxTrust's code of one journey on the other: neither verifier nor nonce fits
    refused(LuxTrustRefused, lambda: desk.come_back(other, {"state": KEY.luxtrust_state(other["flow_id"]),
                                                            "code": given["code"]}))  # fmt: skip
    refused(LogInRefused, lambda: desk.finish(who, other))


def test_a_way_back_walked_twenty_times_at_once_is_walked_once(desk: Desk) -> None:
    who, card = desk.owner()
    begun = desk.begin(who)
    given = desk.at_luxtrust(begun, card)

    def attempt(_: int) -> str:
        try:
            return str(desk.come_back(begun, given)["outcome"])
        except LuxTrustRefused:
            return "refused"

    with ThreadPoolExecutor(10) as many:
        assert Counter(many.map(attempt, range(20))) == {"done": 1, "refused": 19}
    assert desk.finish(who, begun)["access_token"]


def test_who_cancels_at_luxtrust_is_told_and_the_log_in_is_over(desk: Desk) -> None:
    who, _ = desk.owner()
    begun = desk.begin(who)
    back = {"state": KEY.luxtrust_state(begun["flow_id"]), "error": "access_denied"}
    assert desk.come_back(begun, back)["outcome"] == "cancelled"
    refused(LogInRefused, lambda: desk.finish(who, begun))
    begun = desk.begin(who)
    back = {"state": KEY.luxtrust_state(begun["flow_id"]), "error": "server_error"}
    refused(LuxTrustRefused, lambda: desk.come_back(begun, back))


def test_a_journey_that_took_too_long_is_over(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    begun, late = desk.begin(who), desk.begin(who)
    given = desk.at_luxtrust(late, card)
    desk.walk(begun, card)
    over = sa.update(LuxTrustFlow).where(LuxTrustFlow.flow_id.in_([begun["flow_id"], late["flow_id"]]))
    front.change(over.values(expires_at=now() - timedelta(seconds=1)))
    refused(LuxTrustRefused, lambda: desk.come_back(late, given))
    refused(LogInRefused, lambda: desk.finish(who, begun))


# --- activation -------------------------------------------------------------------------------------------------------


def professional_run(front: Front, who: Person) -> dict[str, str]:
    return run_of(front.ask("start_professional_activation", who.at(), version=CONDITIONS_VERSION, language="fr"))


def test_a_professionals_first_step_is_a_luxtrust_product_which_then_opens_the_account(
    desk: Desk, front: Front
) -> None:
    who, card = front.professional(), desk.card(product="token")
    run = professional_run(front, who)
    assert front.ask("activation_state", context(), **run)["next"] == "luxtrust"
    told = desk.walk(front.ask("start_luxtrust_activation", who.at(), **run), card)
    assert (told["purpose"], told["outcome"]) == ("activation", "done")
    assert front.ask("activation_state", context(), **run)["next"] == "code"
    front.show_letter(run, who, front.letter(who, "professional"))
    assert front.walk(run, who)["complete"]
    assert desk.log_in(who, card)["professional_id"] == who.professional_id
    traces = [t for t in front.events("access_traced.v1") if t["object_id"] == run["activation_id"]]
    assert [t["purpose"] for t in traces if t["action"] == "luxtrust.linked"] == ["activation"]


def test_a_hospital_whose_professionals_are_who_they_say_begins_activations_without_end(
    desk: Desk, front: Front
) -> None:
    who, card = front.professional(), desk.card()
    for _ in range(3):
        run = professional_run(front, who)
        begun = front.ask("start_luxtrust_activation", who.at(), **run)
        assert (tries(front, "activation_begun", who), tries(front, "luxtrust", who)) == (1, 1)
        assert desk.walk(begun, card, who.at())["outcome"] == "done"
        assert (tries(front, "activation_begun", who), tries(front, "luxtrust", who)) == (0, 0)


@pytest.mark.parametrize("end", ["cancelled", "walked twice", "another browser", "never"])
def test_an_activation_that_luxtrust_does_not_vouch_for_keeps_counting(desk: Desk, front: Front, end: str) -> None:
    who, card = front.professional(), desk.card()
    run = professional_run(front, who)
    begun = front.ask("start_luxtrust_activation", who.at(), **run)
    if end == "cancelled":
        given = {"state": desk.at_luxtrust(begun, card)["state"], "error": "access_denied"}
        assert desk.come_back(begun, given, who.at())["outcome"] == "cancelled"
    elif end == "another browser":
        refused(LuxTrustRefused, lambda: desk.walk(begun | {"binding": "another's"}, card, who.at()))
    elif end == "walked twice":
        given = desk.at_luxtrust(begun, card)
        assert desk.come_back(begun, given, who.at())["outcome"] == "done"
        again = front.ask("start_luxtrust_activation", who.at(), **professional_run(front, who))
        assert again["flow_id"] != begun["flow_id"]
        refused(LuxTrustRefused, lambda: desk.come_back(begun, given, who.at()))
    assert (tries(front, "activation_begun", who), tries(front, "luxtrust", who)) == (1, 1)


def test_a_step_that_is_not_ones_own_or_not_due_does_not_lead_to_luxtrust(desk: Desk, front: Front) -> None:
    who = front.professional()
    run, other = professional_run(front, who), professional_run(front, who)
    for wrong in ({"activation_token": other["activation_token"]}, {"activation_id": new_id()}, {"activation_id": "x"}):
        refused(ActivationNotFound, lambda wrong=wrong: front.ask(
            "start_luxtrust_activation", who.at(), **(run | wrong)))  # fmt: skip
    begun = front.ask("start_luxtrust_activation", who.at(), **run)
    given = desk.at_luxtrust(begun, desk.card())
    done = sa.update(Activation).where(Activation.activation_id == run["activation_id"])
    front.change(done.values(completed_at=now()))
    refused(ActivationComplete, lambda: front.ask("start_luxtrust_activation", who.at(), **run))
    refused(LuxTrustRefused, lambda: desk.come_back(begun, given))
    assert front.one(sa.select(Activation.luxtrust_subject).where(
        Activation.activation_id == run["activation_id"])) is None  # fmt: skip


def test_a_journey_of_an_activation_is_no_log_in(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    run = professional_run(front, who)
    begun = front.ask("start_luxtrust_activation", who.at(), **run)
    desk.walk(begun, card)
    refused(LogInRefused, lambda: desk.finish(who, begun | {"log_in_token": ""}))


# --- what each step leaves behind -------------------------------------------------------------------------------------


def test_each_step_of_a_journey_is_traced_once_and_so_is_waiting_for_its_end(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    begun: list[Any] = []
    steps = [trace_left(front, lambda: begun.append(desk.begin(who)))]
    pending = trace_left(front, lambda: desk.finish(who, begun[0]))
    assert (pending["action"], pending["reason"]) == ("session.opened", LuxTrustPending.code)
    steps.append(trace_left(front, lambda: desk.walk(begun[0], card)))
    assert [(step["action"], step["purpose"]) for step in steps] == [
        ("log_in.begun", "luxtrust"), ("log_in.continued", "luxtrust")]  # fmt: skip
    assert {(step["object_id"], step["account_id"]) for step in steps} == {(begun[0]["flow_id"], None)}
    opened = trace_left(front, lambda: desk.finish(who, begun[0]))
    assert (opened["action"], opened["account_id"]) == ("session.opened", who.account_id)


def test_a_link_is_traced_when_it_begins_and_each_time_it_ends(desk: Desk, front: Front) -> None:
    me, card = front.session(front.member(front.patient())), desk.card()
    for _ in range(2):  # linked twice is linked once
        begun: list[Any] = []
        out = trace_left(front, lambda begun=begun: begun.append(front.ask("start_luxtrust_link", me)))  # type: ignore[misc]
        assert (out["action"], out["purpose"], out["account_id"]) == (
            "account.change_begun", "luxtrust", me.account_id)  # fmt: skip
        back = trace_left(front, lambda begun=begun: desk.walk(begun[0], card))  # type: ignore[misc]
        assert (back["action"], back["account_id"]) == ("luxtrust.linked", me.account_id)


def test_the_step_of_an_activation_is_traced_when_it_begins_and_when_it_ends(desk: Desk, front: Front) -> None:
    run, begun = professional_run(front, front.professional()), []
    out = trace_left(front, lambda: begun.append(front.ask("start_luxtrust_activation", context(), **run)))
    assert (out["action"], out["purpose"], out["object_id"]) == ("activation.step", "luxtrust", begun[0]["flow_id"])
    back = trace_left(front, lambda: desk.walk(begun[0], desk.card()))
    assert (back["action"], back["object_id"]) == ("luxtrust.linked", run["activation_id"])


# --- the account's products -------------------------------------------------------------------------------------------


def notices(front: Front, who: Person) -> list[str]:
    rows = sa.select(sa.func.array_agg(Notice.occasion)).where(
        Notice.recipients.contains([{"kind": "email", "value": who.email}])
    )
    return list(front.one(rows) or [])


def test_a_product_is_linked_and_unlinked_and_the_owner_is_told_both_times(desk: Desk, front: Front) -> None:
    who = front.member(front.patient())
    me, card = front.session(who), desk.card()
    assert desk.link(me, card)["outcome"] == "done"
    assert desk.link(me, card)["outcome"] == "done", "linked twice is linked once"
    product_id = front.one(sa.select(LuxTrustProduct.product_id).where(LuxTrustProduct.account_id == who.account_id))
    assert desk.log_in(who, card)["access_token"]
    front.ask("unlink_luxtrust", me, product_id=product_id)
    refused(LogInRefused, lambda: desk.log_in(who, card))
    assert sorted(notices(front, who)) == ["luxtrust_linked", "luxtrust_unlinked"]
    traces = [t["action"] for t in front.events("access_traced.v1") if t["object_id"] == product_id]
    assert traces == ["luxtrust.linked", "luxtrust.unlinked"]


def test_a_product_that_is_linked_gives_the_try_back_and_one_that_is_not_does_not(desk: Desk, front: Front) -> None:
    who, other = front.member(front.patient()), front.member(front.patient())
    me, at = replace(front.session(who), context=who.at()), who.at()
    mine, others = desk.card(), desk.card()
    assert desk.link(front.session(other), others)["outcome"] == "done"
    for card, left in ((mine, 0), (mine, 0), (others, 1)):
        begun = front.ask("start_luxtrust_link", me)
        assert tries(front, "luxtrust_link", who) == 1
        if card is mine:
            assert desk.walk(begun, card, at)["outcome"] == "done"
        else:
            refused(LuxTrustTaken, lambda begun=begun: desk.walk(begun, others, at))
        assert tries(front, "luxtrust_link", who) == left


def test_a_product_opens_one_account_only(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    other = front.member(front.patient())
    refused(LuxTrustTaken, lambda: desk.link(front.session(other), card))
    assert desk.log_in(who, card)["account_id"] == who.account_id
    assert notices(front, other) == []


def test_a_link_counts_only_while_the_session_runs_that_began_it(desk: Desk, front: Front) -> None:
    who, card = front.member(front.patient()), desk.card()
    me = front.session(who)
    begun = front.ask("start_luxtrust_link", me)
    given = desk.at_luxtrust(begun, card)
    front.ask("log_out", me)
    refused(LuxTrustRefused, lambda: desk.come_back(begun, given))
    refused(LogInRefused, lambda: desk.log_in(who, card))


def test_an_old_log_in_must_be_renewed_before_products_change(desk: Desk, front: Front) -> None:
    who, _ = desk.owner()
    me = front.session(who)
    product_id = front.one(sa.select(LuxTrustProduct.product_id).where(LuxTrustProduct.account_id == who.account_id))
    ago = sa.update(LogInSession).where(LogInSession.session_id == me.session_id)
    front.change(ago.values(authenticated_at=now() - timedelta(minutes=16)))
    refused(ReauthenticationDue, lambda: front.ask("start_luxtrust_link", me))
    refused(ReauthenticationDue, lambda: front.ask("unlink_luxtrust", me, product_id=product_id))
    front.change(ago.values(authenticated_at=now() - timedelta(minutes=14)))
    assert front.ask("start_luxtrust_link", me)["authorization_url"]
    front.ask("unlink_luxtrust", me, product_id=product_id)


def test_nobody_unlinks_the_product_of_somebody_else(desk: Desk, front: Front) -> None:
    who, card = desk.owner()
    other = front.session(front.member(front.patient()))
    product_id = front.one(sa.select(LuxTrustProduct.product_id).where(LuxTrustProduct.account_id == who.account_id))
    for wrong in (product_id, new_id(), "x"):
        refused(LuxTrustNotFound, lambda wrong=wrong: front.ask("unlink_luxtrust", other, product_id=wrong))
    assert desk.log_in(who, card)["access_token"]


# --- issuers that are not to be believed ------------------------------------------------------------------------------


class Crooked:
    """A real issuer over HTTP that says whatever a test wants it to say."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256")
        self.about: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.signed_by: Any = self.key
        self.published = [self.key.as_dict(private=False) | {"kid": "1"}]
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.asked: list[str] = []
        outer = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.serve(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, door: BaseHTTPRequestHandler) -> None:
        self.asked.append(door.path)
        if door.path == "/token" and self.answer is not None:
            self.answer(door)
        elif door.path == "/token":
            say(door, {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token()})
        elif door.path == "/jwks":
            say(door, {"keys": self.published})
        else:
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            paths = ("/authorize", "/token", "/jwks")
            about = {"issuer": self.url} | {n: self.url + p for n, p in zip(names, paths, strict=True)}
            say(door, about | self.about)

    def id_token(self) -> str:
        at = int(time.time())
        claims = {"iss": self.url, "sub": "somebody", "aud": "opendsp", "iat": at, "exp": at + 300, "auth_time": at,
                  "nonce": "right", "amr": ["sc"]} | self.claims  # fmt: skip
        header = {"alg": "ES256", "kid": "1"} | self.header
        claims = {name: value for name, value in claims.items() if value is not None}
        if header["alg"] in ("none", "HS256"):  # no library helps with that
            signed = f"{_b64(header)}.{_b64(claims)}"
            secret = self.key.as_pem(private=False)
            return f"{signed}." + (
                text(hmac.digest(secret, signed.encode(), "sha256")) if header["alg"] != "none" else ""
            )
        return jwt.encode(header, claims, self.signed_by, algorithms=[header["alg"]])


def _b64(value: Any) -> str:
    return text(json.dumps(value).encode())


def say(door: BaseHTTPRequestHandler, value: Any, status: int = 200, **headers: str) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    door.send_response(status)
    for name, value in headers.items():
        door.send_header(name, value)
    door.send_header("Content-Type", "application/json")
    door.send_header("Content-Length", str(len(body)))
    door.end_headers()
    door.wfile.write(body)


@pytest.fixture
def crooked() -> Iterator[Crooked]:
    made = Crooked()
    yield made
    made.server.shutdown()


def asking(crooked: Crooked) -> Issuer:
    return Issuer(crooked.url, "opendsp", "secret", CALLBACK)


def identify(crooked: Crooked) -> Any:
    return asking(crooked).identify("code", nonce="right", verifier="v" * 43)


def test_a_token_that_is_right_in_everything_is_believed(crooked: Crooked) -> None:
    found = identify(crooked)
    assert (found.subject, found.means) == ("somebody", ["sc"]) and found.authenticated_at
    crooked.claims = {"aud": ["opendsp", "another"], "azp": "opendsp"}
    assert identify(crooked).subject == "somebody"


@pytest.mark.parametrize("claims", [
    {"iss": "https://elsewhere.example"}, {"iss": None}, {"aud": "another"}, {"aud": None}, {"aud": []},
    {"aud": ["opendsp", "another"], "azp": "another"}, {"exp": 1}, {"exp": None}, {"exp": "soon"}, {"iat": None},
    {"iat": 2**40}, {"nonce": "wrong"}, {"nonce": None}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 256},
    {"amr": "sc"}, {"auth_time": "now"},
], ids=str)  # fmt: skip
def test_a_token_that_is_wrong_in_one_thing_is_not(crooked: Crooked, claims: dict[str, Any]) -> None:
    crooked.claims = claims
    assert identify(crooked) is None


def test_a_token_without_a_signature_of_the_issuers_own_key_is_not_believed(crooked: Crooked) -> None:
    crooked.header = {"alg": "none"}
    assert identify(crooked) is None
    crooked.header = {"alg": "HS256"}  # with the public key for a secret
    assert identify(crooked) is None
    crooked.header, crooked.signed_by = {}, ECKey.generate_key("P-256")
    assert identify(crooked) is None
    crooked.signed_by, crooked.header = crooked.key, {"kid": "2"}
    assert identify(crooked) is None


def test_a_new_key_of_the_issuer_is_learned_but_not_at_every_question(
    crooked: Crooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer, fresh = asking(crooked), ECKey.generate_key("P-256")
    assert issuer.identify("code", nonce="right", verifier="v" * 43)
    crooked.signed_by, crooked.header = fresh, {"kid": "2"}
    crooked.published.append(fresh.as_dict(private=False) | {"kid": "2"})
    assert issuer.identify("code", nonce="right", verifier="v" * 43) is None, "asked a moment ago"
    moment = time.monotonic()
    monkeypatch.setattr("services.identity.ports.luxtrust.time.monotonic", lambda: moment + 61)
    assert issuer.identify("code", nonce="right", verifier="v" * 43)
    assert crooked.asked.count("/jwks") == 2 and crooked.asked.count("/.well-known/openid-configuration") == 1


def test_an_issuer_that_names_itself_otherwise_or_leads_into_the_open_is_not_one(crooked: Crooked) -> None:
    assert asking(crooked).authorization_url(state="s", nonce="n", verifier="v" * 43)
    wrong: tuple[dict[str, Any], ...] = (
        {"issuer": "https://elsewhere.example"}, {"token_endpoint": "http://elsewhere.example/token"},
        {"jwks_uri": None}, {"authorization_endpoint": "ftp://127.0.0.1/"},
    )  # fmt: skip
    for about in wrong:
        crooked.about = about
        refused(Unavailable, lambda: asking(crooked).authorization_url(state="s", nonce="n", verifier="v" * 43))
    for name in ("", "http://elsewhere.example", "http://127.0.0.1:1"):
        nobody = Issuer(name, "opendsp", "secret", CALLBACK)
        refused(Unavailable, lambda nobody=nobody: nobody.authorization_url(state="s", nonce="n", verifier="v" * 43))


def test_answers_of_the_token_endpoint_that_are_none(crooked: Crooked) -> None:
    for status, body in ((400, {"error": "invalid_grant"}), (401, {"error": "invalid_client"}), (200, {}),
                         (200, b"<html>"), (200, []), (200, {"id_token": 7}), (429, b"slow down")):  # fmt: skip
        crooked.answer = lambda door, status=status, body=body: say(door, body, status)  # type: ignore[misc]
        assert identify(crooked) is None, (status, body)
    crooked.answer = lambda door: say(door, b"", 500)
    refused(Unavailable, lambda: identify(crooked))
    crooked.answer = lambda door: say(door, b"", 307, Location=f"{crooked.url}/elsewhere")
    assert identify(crooked) is None
    assert "/elsewhere" not in crooked.asked, "redirects are not followed"


def test_an_outage_on_the_way_back_ends_the_journey_and_says_so(desk: Desk, front: Front, crooked: Crooked) -> None:
    who, _ = desk.owner()
    front.house.identity.luxtrust = asking(crooked)
    try:
        begun = desk.begin(who)
        crooked.answer = lambda door: say(door, b"", 503)
        state = KEY.luxtrust_state(begun["flow_id"])
        refused(Unavailable, lambda: desk.come_back(begun, {"state": state, "code": "c"}))
        refused(LogInRefused, lambda: desk.finish(who, begun))
        crooked.server.shutdown(), crooked.server.server_close()
        front.house.identity.luxtrust = asking(crooked)
        refused(Unavailable, lambda: desk.begin(who))
    finally:
        front.house.identity.luxtrust = desk.issuer


def test_a_pin_typed_before_this_journey_does_not_open_the_account_for_the_next_at_the_desk(
    desk: Desk, front: Front, crooked: Crooked
) -> None:
    who = front.member(front.patient())
    subject = KEY.luxtrust_subject(crooked.url, "somebody")
    front.change(sa.insert(LuxTrustProduct).values(
        subject=subject, product_id=new_id(), account_id=who.account_id, product="smartcard", linked_at=now()
    ))  # fmt: skip
    front.house.identity.luxtrust = asking(crooked)
    try:
        for auth_time, believed in ((int(time.time()) - 300, False), (None, False), (int(time.time()), True)):
            begun = desk.begin(who)
            asked = parse_qs(urlsplit(begun["authorization_url"]).query)
            assert asked["prompt"] == ["login"] and asked["max_age"] == ["0"]
            crooked.claims = {"nonce": asked["nonce"][0], "auth_time": auth_time}
            back = {"state": asked["state"][0], "code": "c"}
            if believed:
                desk.come_back(begun, back)
                assert desk.finish(who, begun)["access_token"]
            else:
                refused(LuxTrustRefused, lambda begun=begun, back=back: desk.come_back(begun, back))
    finally:
        front.house.identity.luxtrust = desk.issuer
