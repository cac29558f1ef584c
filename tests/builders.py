"""What tests are made of: valid matricules, people, files, and a house of real services in one process.

`House` joins the real service classes over real databases: a question to another service is a direct call of its
method after the same admission as on the bus, and `deliver()` carries the outboxes to the real handlers. Nothing of
ours is replaced by an imitation; only the broker in between is left out, and the system tests put it back.
"""

from __future__ import annotations

import importlib
import io
import json
import random
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR
from nameko.testing.services import worker_factory

from deploy.agency import any_matricule, birth_date, matricule
from services.bus import EventHandler, Received, Remote, Rpc, fresh_context
from services.db import Sessions, new_id, outbox
from services.refusals import Refusal
from services.tokens import Caller, Context

__all__ = ["any_matricule", "birth_date", "matricule"]  # made by the agency's desk, used all over the tests
SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")


def pdf(text: str = "Compte rendu", size: int = 0) -> bytes:
    """A real one-page PDF that says `text`, padded inside an own stream to at least `size` bytes."""
    padding = b""
    if size:
        padding = random.Random(size).randbytes(max(0, size - 900))
    content = f"BT /F1 14 Tf 72 760 Td ({text}) Tj ET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %d >>\nstream\n" % len(padding) + padding + b"\nendstream",
    ]
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n" % number + body + b"\nendobj\n")
    xref = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, xref))
    return out.getvalue()


# What tells a plain PDF, PNG or JPEG in the store, long enough that chance never writes it into sealed bytes.
PLAIN_RUNS = (b"%PDF-1.4\n", b"/Type /Catalog", b"\x89PNG\r\n\x1a\n", b"JFIF\x00\x01")


def png(width: int = 8, height: int = 8) -> bytes:
    """A real PNG of one colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    rows = b"".join(b"\x00" + b"\x20\x80\xc0" * width for _ in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def newest_revision(service: str) -> str | None:
    """The number of a service's newest migration."""
    folder = Path(__file__).parents[1] / "services" / service / "migrations"
    return ScriptDirectory(str(folder)).get_current_head()


def context(process: str = "gateway", **changes: Any) -> Context:
    """A fresh request's context, as the gateway would make it."""
    made = replace(fresh_context(), process=process, deadline=time.time() + 30, address="127.0.0.1", software="tests/1")
    return replace(made, **changes)


def caller(capacity: str, **facts: Any) -> Caller:
    """A caller in a capacity; ids not given are new."""
    given: dict[str, Any] = {
        "account_id": new_id(), "session_id": new_id(), "capacity": capacity, "patient_id": None,
        "professional_id": None, "profession": None, "establishment_id": None, "role": None,
        "expires_at": int(time.time()) + 600, "context": context(),
    }  # fmt: skip
    if capacity == "patient":
        given["patient_id"] = new_id()
    elif capacity == "professional":
        given |= {"professional_id": new_id(), "profession": "physician", "establishment_id": new_id()}
    elif capacity == "agent":
        given["role"] = "agent"
    return Caller(**(given | facts))


class InProcess:
    """The real service behind a Remote, called directly: same admission, same plain JSON, same refusals."""

    def __init__(self, house: House, service: str, asked_by: str) -> None:
        self._house, self._service, self._asked_by = house, service, asked_by

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("nameko"):
            raise AttributeError(method)  # nameko looks for entrypoints on whatever a service holds

        def call(who: Any, /, **kwargs: Any) -> Any:
            target = getattr(self._house, self._service)
            bound = getattr(target, method)
            entry = next(e for e in getattr(bound, ENTRYPOINT_EXTENSIONS_ATTR) if isinstance(e, Rpc))
            if entry.user and isinstance(who, Caller):
                entry.require_scope(who)
                admitted: Any = who
            else:
                admitted = entry.admit(replace(who.context, process=self._asked_by), self._house.verifier)
            answer = bound(admitted, **json.loads(json.dumps(kwargs)))
            if isinstance(answer, Refusal):
                raise Refusal.from_wire(json.loads(json.dumps(answer.to_wire())))
            return json.loads(json.dumps(answer))

        return call


class House:
    """Real services over real databases in one process. `database(name)` gives a migrated database's URL."""

    verifier: Any = None

    def __init__(self, database: Callable[[str], str], services: tuple[str, ...] = SERVICES) -> None:
        self.sessions: dict[str, Sessions] = {}
        self._contracts: dict[str, Any] = {}
        for name in services:
            kind = getattr(importlib.import_module(f"services.{name}.service"), name.capitalize())
            self.sessions[name] = Sessions(database(name))
            remotes = {
                attribute: InProcess(self, value.service, name)
                for attribute, value in vars(kind).items()
                if isinstance(value, Remote)
            }
            setattr(self, name, worker_factory(kind, db=self.sessions[name], **remotes))

    def ask(self, service: str, method: str, who: Any, /, process: str = "gateway", **kwargs: Any) -> Any:
        """Calls a method as `process` would over the bus; raises the refusal it answers with."""
        return getattr(InProcess(self, service, process), method)(who, **kwargs)

    def deliver(self) -> int:
        """Carries every outbox to its subscribed handlers until all are empty; says how many events there were."""
        count = 0
        while batch := list(self._take()):
            for source, envelope in batch:
                count += 1
                for name, sessions in self.sessions.items():
                    self._handle(name, sessions, source, envelope)
        return count

    def events(self, service: str) -> list[dict[str, Any]]:
        """The events waiting in a service's outbox, oldest first, without taking them."""
        with self.sessions[service].transaction() as session:
            rows = session.execute(sa.select(outbox.c.envelope).order_by(outbox.c.seq)).scalars().all()
        return [json.loads(row) for row in rows]

    def close(self) -> None:
        for sessions in self.sessions.values():
            sessions.engine.dispose()

    def _take(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, sessions in self.sessions.items():
            with sessions.transaction() as session:
                rows = session.execute(sa.delete(outbox).returning(outbox.c.seq, outbox.c.envelope)).all()
            for row in sorted(rows):
                yield name, json.loads(row.envelope)

    def _handle(self, name: str, sessions: Sessions, source: str, envelope: dict[str, Any]) -> None:
        service = getattr(self, name)
        for attribute in dir(type(service)):
            method = getattr(service, attribute, None)
            for entry in getattr(method, ENTRYPOINT_EXTENSIONS_ATTR, ()):
                if isinstance(entry, EventHandler) and source in entry.sources and entry.event_type == envelope["type"]:
                    event: Received = entry.event(envelope)
                    with sessions.transaction() as session:
                        session.info["context"] = event.context
                        method(session, [event] if entry.together else event)


def said(statement: str, asked: Any) -> str:
    """What the database is asked, as an engine's events tell it: its words, also where it is said by its plan's name.

    asked: the event's execution context.
    """
    return str(asked.compiled.string) if "execute plan_" in statement and asked.compiled else statement
