"""The life of accounts as a machine of states: whatever order people do things in, only the right ones get in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from services.db import new_id
from services.identity.contract import (
    AccountLocked,
    AccountNotFound,
    ChannelNotAvailable,
    LogInRefused,
    PasswordRefused,
    PasswordResetRefused,
    RefreshRefused,
)
from services.identity.models import Account
from services.identity.models_desk import PasswordReset
from services.refusals import Refusal, SessionEnded
from services.tokens import Caller
from tests.builders import caller, context
from tests.services.identity_house import KEY, PASSWORD, Front, identity_house

FRONT: list[Front] = []
ADDRESSES = itertools.count(1)
PASSWORDS = itertools.count(1)
NUMBERS = itertools.count(621_000_000)


@pytest.fixture(scope="module")
def front(database: Callable[[str], str]) -> Iterator[Front]:
    house = identity_house(database)
    FRONT.append(Front(house))
    yield FRONT[-1]
    house.close()


@dataclass
class Open:
    """A session the model knows, with every refresh token it ever had, the newest last."""

    who: Caller
    refresh_tokens: list[str] = field(default_factory=list)
    runs: bool = True


def address() -> str:
    """A new network address: the throttles are not what is looked at here."""
    number = next(ADDRESSES)
    return f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


class Life(RuleBasedStateMachine):
    """One person's account, beside what it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.front = FRONT[-1]
        self.person = self.front.patient()
        self.active = self.locked = self.mail_barred = self.has_mobile = False
        self.password, self.resets = PASSWORD, 0
        self.opened: list[Open] = []

    def ask(self, method: str, who: Any = None, **kwargs: Any) -> Any:
        who = who or context(address=address())
        if isinstance(who, Caller):
            who = replace(who, context=context(address=address()))
        return self.front.ask(method, who, **kwargs)

    def expect(self, kind: type[Refusal], method: str, who: Any = None, **kwargs: Any) -> None:
        with pytest.raises(Refusal) as refusal:
            self.ask(method, who, **kwargs)
        assert type(refusal.value) is kind

    def running(self) -> list[Open]:
        return [one for one in self.opened if one.runs]

    def end(self, but: Open | None = None) -> None:
        for one in self.opened:
            one.runs = one.runs and one is but

    # --- what people do -----------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.active)
    @rule()
    def activate(self) -> None:
        self.front.activate(self.person)
        self.active = True

    @rule(right=st.sampled_from([True, True, True, False]), channel=st.sampled_from(["email", "mobile"]))
    def log_in(self, right: bool, channel: str) -> None:
        given = {"matricule": self.person.matricule, "password": self.password if right else "quelque autre phrase"}
        if not self.active or not right:
            self.expect(LogInRefused, "start_log_in", **given, channel=channel)
            return
        if (channel == "email" and self.mail_barred) or (channel == "mobile" and not self.has_mobile):
            self.expect(ChannelNotAvailable, "start_log_in", **given, channel=channel)
            return
        challenge_id = self.ask("start_log_in", **given, channel=channel)["challenge_id"]
        proof = {"challenge_id": challenge_id, "code": self.front.mail(challenge_id)["code"]}
        if self.locked:
            self.expect(AccountLocked, "confirm_log_in", **proof)
            return
        tokens = self.ask("confirm_log_in", **proof)
        self.opened.append(Open(self.front.caller_of(tokens["access_token"]), [tokens["refresh_token"]]))
        self.mail_barred = self.mail_barred and channel == "email"

    @precondition(lambda self: self.opened)
    @rule(data=st.data(), again=st.booleans())
    def refresh(self, data: st.DataObject, again: bool) -> None:
        """With the newest token, or once more with the one before, which ends the session for both holders."""
        one = data.draw(st.sampled_from(self.opened))
        reused = again and len(one.refresh_tokens) > 1
        token = one.refresh_tokens[-2 if reused else -1]
        if reused or not one.runs:
            self.expect(RefreshRefused, "refresh", refresh_token=token)
            one.runs = one.runs and not reused
            return
        one.refresh_tokens.append(self.ask("refresh", refresh_token=token)["refresh_token"])

    @precondition(lambda self: self.running())
    @rule(data=st.data(), right=st.booleans())
    def change_password(self, data: st.DataObject, right: bool) -> None:
        one = data.draw(st.sampled_from(self.running()))
        fresh = f"une phrase neuve numéro {next(PASSWORDS)}"
        if not right:
            self.expect(PasswordRefused, "change_password", one.who, current_password="autre chose ici", password=fresh)
            return
        self.ask("change_password", one.who, current_password=self.password, password=fresh)
        self.password = fresh
        self.end(but=one)

    @precondition(lambda self: self.running() and not self.has_mobile)
    @rule(data=st.data())
    def add_mobile(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(self.running())).who
        sent = self.ask("add_account_contact", who, kind="mobile", value=f"+352{next(NUMBERS)}")
        code = self.front.mail(sent["challenge_id"])["code"]
        self.ask("prove_account_contact", who, challenge_id=sent["challenge_id"], code=code)
        self.has_mobile = True

    @precondition(lambda self: self.running() and self.has_mobile)
    @rule(data=st.data())
    def remove_mobile(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(self.running())).who
        contacts = self.ask("describe_account", who)["contacts"]
        mobile = next(one["contact_id"] for one in contacts if one["kind"] == "mobile")
        self.ask("remove_contact", who, contact_id=mobile)
        self.has_mobile = False

    @rule(theirs=st.sampled_from([True, True, False]), forged=st.booleans())
    def forget_password(self, theirs: bool, forged: bool) -> None:
        """By e-mail: theirs, or somebody else's; and the link's token as mailed, or a guess."""
        email = self.person.email if theirs else f"autre.{new_id()}@example.lu"
        self.ask("request_password_reset", matricule=self.person.matricule, email=email)
        newest = sa.select(PasswordReset.reset_id).order_by(PasswordReset.created_at.desc()).limit(1)
        made = self.front.one(newest.where(PasswordReset.used_at.is_(None), PasswordReset.account_id == self.account()))
        due = self.active and theirs and not self.locked and self.resets < 3
        self.resets += due
        assert due <= (made is not None)
        if made is None:
            return
        fresh = f"une phrase retrouvée numéro {next(PASSWORDS)}"
        link = {"reset_id": made, "token": KEY.reset_token(made)}
        if forged or self.locked:
            guess = link if self.locked else link | {"token": KEY.reset_token(new_id())}
            self.expect(PasswordResetRefused, "reset_password", **guess, password=fresh)
            return
        self.ask("reset_password", **link, password=fresh)
        self.expect(PasswordResetRefused, "reset_password", **link, password=fresh)
        self.password, self.mail_barred = fresh, True
        self.end()

    def account(self) -> str:
        name = KEY.log_in_name(self.person.matricule)
        return str(self.front.one(sa.select(Account.account_id).where(Account.log_in_name == name)) or new_id())

    # --- what the agency does -----------------------------------------------------------------------------------------

    @rule(lock=st.booleans())
    def lock_or_unlock(self, lock: bool) -> None:
        agent = caller("agent")
        given = {"matricule": self.person.matricule} | ({"cause": "lost_device"} if lock else {})
        method = "lock_account" if lock else "unlock_account"
        if not self.active:
            self.expect(AccountNotFound, method, agent, **given)
            return
        self.ask(method, agent, **given)
        if lock and not self.locked:
            self.end()
        self.locked = lock

    @precondition(lambda self: self.running())
    @rule(data=st.data(), everywhere=st.booleans())
    def log_out(self, data: st.DataObject, everywhere: bool) -> None:
        one = data.draw(st.sampled_from(self.running()))
        if everywhere:
            self.ask("end_sessions", one.who, others_only=True)
            self.end(but=one)
        else:
            self.ask("log_out", one.who)
            one.runs = False

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def every_session_is_as_the_model_says(self) -> None:
        running = {one.who.session_id for one in self.running()}
        for one in self.opened:
            if not one.runs:
                self.expect(SessionEnded, "list_sessions", one.who)
                continue
            assert {told["session_id"] for told in self.ask("list_sessions", one.who)["sessions"]} == running
            kinds = sorted(contact["kind"] for contact in self.ask("describe_account", one.who)["contacts"])
            assert kinds == ["email"] + ["mobile"] * self.has_mobile


def test_in_every_order_of_activating_logging_in_resetting_locking_and_changing_only_the_right_ones_get_in(
    front: Front,
) -> None:
    # Not shrunk: each step costs a hash, and fourteen steps are read quickly.
    chosen = settings(max_examples=15, stateful_step_count=14, deadline=None, derandomize=True, database=None,
                      phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
    run_state_machine_as_test(Life, settings=chosen)


@pytest.mark.long
def test_the_same_in_many_more_orders(front: Front) -> None:
    chosen = settings(max_examples=400, stateful_step_count=30, deadline=None, database=None,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
    run_state_machine_as_test(Life, settings=chosen)
