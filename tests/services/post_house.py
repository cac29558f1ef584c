"""notifications with its ways outside, a mail server and an SMS provider, and the real identity beside it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR

from deploy.local import mailbox, processes
from deploy.local.stack import Stack
from services.bus import Received
from services.db import new_id, now, rfc3339
from services.identity.contract import AccountNoticeDue
from services.identity.models import Contact
from services.notifications.desk import Outside
from services.notifications.dispatching import Away
from services.notifications.models_messages import Message
from services.notifications.rules_occasions import EMAIL, PUSH, SMS
from services.settings import Settings
from services.tokens import Caller
from tests.builders import House, context
from tests.services.identity_house import Front, Person


class Provider:
    """An SMS provider: keeps what it took, and answers as it was told to."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.silence = 0.0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(provider.silence)
                status = provider.answers.pop(0) if provider.answers else 202
                if status < 300:
                    provider.taken.append(json.loads(body))
                    provider.headers.append(dict(self.headers))
                self.send_response(status)
                if status in (301, 302, 307, 308):
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """The test's output stays readable."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/messages"


class Post:
    """The house with its ways outside, and what came of them."""

    def __init__(self, house: House, settings: Settings, mail: Path) -> None:
        self.house, self.settings, self.mail = house, settings, mail
        self.front = Front(house)
        self.go_out(settings)

    @classmethod
    def of(cls, house: House, infra: Stack) -> Self:
        """The house as the platform's settings have it."""
        return cls(house, processes.load_settings(infra.layout, "notifications"), infra.layout.mail)

    @classmethod
    def fresh(cls, house: House, infra: Stack, folder: Path, *also: type[Any], **settings: Any) -> Self:
        """The same with an SMS provider that writes into `folder`; its mailboxes and tables, `also` too, are empty."""
        local = replace(
            processes.load_settings(infra.layout, "notifications"), letters_folder=str(folder / "letters"),
            sms_provider="outbox", sms_folder=str(folder / "sms"), public_url="http://localhost:8080", **settings,
        )  # fmt: skip
        with house.sessions["notifications"].transaction() as session:
            for table in (Message, *also):
                session.execute(sa.delete(table))
        for file in (infra.layout.mail / "new").glob("*"):
            file.unlink()
        return cls(house, local, infra.layout.mail)

    def go_out(self, settings: Settings) -> None:
        """From now on the service goes out by these settings."""
        self.house.notifications.outside = Outside.of(settings)

    def person(self) -> Person:
        return self.front.member(self.front.patient())

    def by_mobile_alone(self, who: Person) -> str:
        """Takes the mail address from somebody's account; the number that is left."""
        self.front.change(sa.delete(Contact).where(Contact.account_id == who.account_id))
        return self.front.mobile(who, number())

    def owner(self, mobile: str | None = None) -> tuple[Person, Caller]:
        who = self.front.activate(self.front.patient())
        me = self.front.caller_of(self.front.log_in(who)["access_token"])
        if mobile is not None:
            challenge_id = self.add(me, mobile)
            code = self.front.mail(challenge_id)["code"]
            self.front.ask("prove_account_contact", me, challenge_id=challenge_id, code=code)
        self.empty()
        return who, me

    def add(self, me: Caller, mobile: str) -> str:
        return str(self.front.ask("add_account_contact", me, kind="mobile", value=mobile)["challenge_id"])

    def empty(self) -> None:
        for name in ("identity", "notifications"):
            with self.house.sessions[name].transaction() as session:
                session.execute(sa.text("delete from outbox"))

    def due(self, occasion: str, me: Caller) -> AccountNoticeDue:
        """A notice as identity makes it."""
        with self.house.sessions["identity"].transaction() as session:
            self.house.identity._notice(session, me.account_id, occasion, now())
        told = self.front.events("account_notice_due.v1")[-1]
        return AccountNoticeDue(**told)

    def happen(self, data: Any, event_id: str | None = None, source: str = "identity", die: bool = False) -> str:
        """One event reaches its handler, in one transaction as the inbox gives it."""
        event_id = event_id or new_id()
        with self.house.sessions["notifications"].transaction() as session:
            event = Received(event_id, source, data.type, rfc3339(now()), None, None, data, context(source))
            handler = getattr(self.house.notifications, "on_" + data.type.removesuffix(".v1"))
            [entrypoint] = getattr(handler, ENTRYPOINT_EXTENSIONS_ATTR)
            handler(session, [event] if entrypoint.together else event)
            if die:
                raise KeyboardInterrupt
        self.send()
        return event_id

    def send(self) -> None:
        """The senders work off what is due."""
        for channel in (EMAIL, SMS, PUSH):
            while True:
                try:
                    if not self.house.notifications._send_next(channel):
                        break
                except Away:
                    continue  # it is due later: the next one has its turn

    def later(self, hours: float) -> None:
        """As if it were so much later, for all that waits."""
        earlier = {name: getattr(Message, name) - timedelta(hours=hours) for name in ("due_at", "expires_at")}
        with self.house.sessions["notifications"].transaction() as session:
            session.execute(sa.update(Message).where(Message.state == "queued").values(**earlier))

    def mails(self, address: str) -> list[Any]:
        kept = [message_from_bytes(one.as_bytes(), policy=policy.default) for one in mailbox.messages(self.mail)]
        return [one for one in kept if one["To"] == address]

    def sms(self) -> list[dict[str, Any]]:
        folder = Path(self.settings.sms_folder)
        return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))] if folder.exists() else []

    def states(self, event_id: str) -> list[tuple[str, str]]:
        """Channel and state (why, if it failed) of each mail and SMS of an event, in the order of its recipients."""
        query = sa.select(Message).where(Message.event_id == event_id, Message.channel.in_((EMAIL, SMS)))
        with self.house.sessions["notifications"].transaction() as session:
            found = session.scalars(query.order_by(Message.recipient_id, Message.channel))
            return [(row.channel, row.cause if row.state == "failed" else row.state) for row in found]


def text_of(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content())


def number() -> str:
    return f"+352691{int(new_id()[-6:], 16) % 1000000:06d}"
