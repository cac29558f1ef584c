"""People who write to one another, in a house of dossier and notifications, with the real store for their files.

What the gateway does with bytes stands here with the gateway's own means: it seals, puts, gets and opens them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sa
import urllib3

from deploy.local import processes
from deploy.local.stack import Stack
from services import sealing
from services.bus import Received
from services.db import new_id
from services.directory.contract import ProfessionalUpdated
from services.dossier.contract import RISK_WORDINGS
from services.dossier.models_entourage import Assistant, Representative
from services.identity.contract import AccountActivated
from services.notifications.ports.thread_keys import ThreadKeys
from services.object_store import Bucket
from services.settings import Settings
from services.tokens import Caller
from services.virus_scan import VirusScan
from tests.builders import caller, context

HTTP = urllib3.PoolManager()
TEXT = "text/plain"
RISK = {"risk_accepted": True, "risk_version": next(iter(RISK_WORDINGS))}


class Threads:
    """A holder with a record, and professionals around them, all of whom may write as far as they may."""

    def __init__(self, house: Any, settings: Settings) -> None:
        self.house = house
        self.settings = settings
        self.service = self.house.notifications
        self.service.thread_keys = ThreadKeys.of(settings)
        self.service.attachments = Bucket.of(settings)
        self.service.attachments.ensure()
        self.service.virus_scan = None
        self.gateway = sealing.KeyPair()
        self.holder = caller("patient")
        self.record_id = self.new_record(self.holder)

    @classmethod
    def fresh(cls, house: Any, infra: Stack) -> Self:
        """A fresh record and its people; nobody has written or been told anything."""
        made = cls(house, processes.load_settings(infra.layout, "notifications"))
        for table in ("outbox", "messages", "threads", "thread_attachments"):
            made.sql(f"delete from {table}")
        return made

    # --- people -------------------------------------------------------------------------------------------------------

    def new_record(self, holder: Caller) -> str:
        opened = self.house.ask("dossier", "open_record", caller("agent"), patient_id=holder.patient_id)
        self.hear("on_account_activated", "identity", AccountActivated(new_id(), "patient", holder.patient_id, None))
        return str(opened["record_id"])

    def professional(self, licence: str = "valid") -> Caller:
        who = caller("professional")
        self.practises(who, licence)
        return who

    def practises(self, who: Caller, licence: str = "valid", version: int = 1) -> None:
        place = [who.establishment_id or ""]
        told = ProfessionalUpdated(who.professional_id or "", who.profession or "", licence, place, version)
        self.hear("on_professional_updated", "directory", told)

    def trusted(self) -> Caller:
        who = self.professional()
        self.trust(who)
        return who

    def trust(self, who: Caller) -> None:
        self.dossier("add_to_circle", self.holder, professional_id=who.professional_id)

    def distrust(self, who: Caller) -> None:
        self.dossier("remove_from_circle", self.holder, professional_id=who.professional_id)

    def block(self, who: Caller) -> None:
        self.dossier("block_professional", self.holder, professional_id=who.professional_id, **RISK)

    def representative(self, **changes: Any) -> Caller:
        who = caller("patient")
        self.keep(Representative(**({
            "representative_id": new_id(), "record_id": self.record_id, "patient_id": who.patient_id,
            "kind": "parent", "proof": "x", "since": sa.text("now() - interval '1 day'"), "until_cause": "majority",
            "recorded_by": new_id(),
        } | changes)))  # fmt: skip
        return who

    def assistant(self) -> Caller:
        who, yesterday = caller("patient"), sa.text("now() - interval '1 day'")
        self.keep(Assistant(
            assistant_id=new_id(), record_id=self.record_id, patient_id=who.patient_id, name="x",
            invited_by=self.holder.account_id, invited_at=yesterday, code_until=yesterday, accepted_at=yesterday,
        ))  # fmt: skip
        return who

    def keep(self, row: Any) -> None:
        with self.house.sessions["dossier"].transaction() as session:
            session.add(row)

    def hear(self, handler: str, source: str, data: Any, service: str = "dossier") -> None:
        event = Received(new_id(), source, data.type, "2026-11-21T00:00:00.000000Z", None, None, data, context(source))
        with self.house.sessions[service].transaction(event.context) as session:
            getattr(getattr(self.house, service), handler)(session, event)

    def dossier(self, method: str, who: Caller, **said: Any) -> Any:
        return self.house.ask("dossier", method, who, record_id=self.record_id, **said)

    # --- what they do -------------------------------------------------------------------------------------------------

    def ask(self, method: str, who: Caller, **said: Any) -> Any:
        return self.house.ask("notifications", method, who, **said)

    def begin(self, who: Caller, *others: Caller, text: str | None = "Bonjour", **said: Any) -> str:
        """A thread with the holder side, unless `record_id` says otherwise."""
        ids = [one.professional_id for one in others]
        given = {"subject": "Sujet", "text": text, "professional_ids": ids, "record_id": self.record_id, **said}
        return str(self.ask("begin_thread", who, **given)["thread_id"])

    def write(self, who: Caller, thread_id: str, text: str = "Réponse", files: list[str] | None = None) -> Any:
        return self.ask("write_message", who, thread_id=thread_id, text=text, attachment_ids=files)

    def texts(self, who: Caller, thread_id: str, **page: Any) -> list[str]:
        """What somebody hears, the oldest first."""
        found = self.ask("list_thread_messages", who, thread_id=thread_id, **page)["messages"]
        return [message["text"] for message in reversed(found)]

    def there(self, who: Caller, **wanted: Any) -> list[str]:
        return [each["thread_id"] for each in self.ask("list_threads", who, **wanted)["threads"]]

    def thread(self, who: Caller, thread_id: str) -> Any:
        return self.ask("read_thread", who, thread_id=thread_id)

    def unread(self, who: Caller) -> tuple[int, int]:
        counted = self.ask("count_unread_messages", who)
        return counted["threads"], counted["messages"]

    # --- the gateway's part of files ----------------------------------------------------------------------------------

    def start(self, who: Caller, thread_id: str, name: str = "Courrier.txt") -> Any:
        said = {"thread_id": thread_id, "name": name, "gateway_key": self.gateway.public}
        return self.ask("start_attachment", who, **said)

    def put(self, started: dict[str, Any], data: bytes) -> None:
        key = self.gateway.receive(started["sealed_key"], started["version_id"].encode())
        sealed = b"".join(bytes(block) for block in sealing.seal([data], key, started["version_id"]))
        assert HTTP.request("PUT", started["put_url"], body=sealed).status == 200

    def commit(self, who: Caller, started: dict[str, Any], data: bytes, **changes: Any) -> Any:
        said = {
            "attachment_id": started["attachment_id"], "sha256": hashlib.sha256(data).hexdigest(), "size": len(data),
            "media_type": TEXT,
        }  # fmt: skip
        return self.ask("commit_attachment", who, **said | changes)

    def attach(self, who: Caller, thread_id: str, data: bytes = b"Bonjour", name: str = "Courrier.txt") -> str:
        started = self.start(who, thread_id, name)
        self.put(started, data)
        return str(self.commit(who, started, data)["attachment_id"])

    def open(self, who: Caller, thread_id: str, attachment_id: str) -> bytes:
        said = {"thread_id": thread_id, "attachment_id": attachment_id, "gateway_key": self.gateway.public}
        opened = self.ask("open_attachment", who, **said)
        key = self.gateway.receive(opened["sealed_key"], opened["content_id"].encode())
        answer = HTTP.request("GET", opened["get_url"])
        assert answer.status == 200
        total = sealing.segments_of(opened["size"])
        return b"".join(sealing.open_sealed([answer.data], key, opened["content_id"], total_segments=total))

    def scan_with(self, socket: str) -> None:
        from dataclasses import replace

        self.service.virus_scan = VirusScan.of(replace(self.settings, clamd_socket=socket))

    # --- what is left behind ------------------------------------------------------------------------------------------

    def traces(self) -> list[dict[str, Any]]:
        told = self.house.events("notifications")
        return [event["data"] for event in told if event["type"] == "access_traced.v1"]

    def told(self, channel: str = "inbox") -> list[tuple[str, str, str | None]]:
        """Who was told that a message waits: kind, person and role."""
        asked = "select recipient_kind, cast(recipient_id as text), role from messages where channel = :channel"
        return sorted(tuple(row) for row in self.sql(asked + " and occasion = 'thread.message'", channel=channel))

    def sql(self, statement: str, **values: Any) -> Any:
        with self.house.sessions["notifications"].transaction() as session:
            done: Any = session.execute(sa.text(statement), values)
            return done.all() if done.returns_rows else None

    def everything_kept(self) -> bytes:
        """Every row of every table of notifications, as it lies in the database."""
        tables = self.sql("select tablename from pg_tables where schemaname = 'public' order by tablename")
        rows = []
        for (table,) in tables:
            rows += [repr(tuple(row)).encode() for row in self.sql(f'select t.* from "{table}" t')]
            rows += [bytes(cell) for row in self.sql(f'select t.* from "{table}" t') for cell in row
                     if isinstance(cell, memoryview | bytes)]  # fmt: skip
        return b"\n".join(rows)

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The statements that the database gets meanwhile."""
        said: list[str] = []

        def note(*about: Any) -> None:
            said.append(about[2])

        engine = self.house.sessions["notifications"].engine
        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            yield said
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)
