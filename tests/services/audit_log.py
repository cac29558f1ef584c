"""A log of the tests' own: entries as services tell them, a notary with its key and its witness, all real."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from deploy.local.supervise import wait_until
from services.audit import store
from services.audit.contract import AccessTraced, traced
from services.audit.notary import Notary
from services.audit.ports.signing import SigningKey
from services.audit.ports.witness import Witness
from services.audit.rules_heads import Head, head_text
from services.audit.rules_tree import CompactRange, root
from services.db import Sessions, new_id, now


class Log:
    """A database of audit with its notary."""

    def __init__(self, url: str, folder: Path, key: SigningKey | None = None) -> None:
        self.url = url
        self.folder = folder
        self.seed = secrets.token_bytes(32)  # of the key, where none is given
        self.key = key or SigningKey(self.seed)
        self.sessions = Sessions(url, "audit")
        self.notary = self.another_notary()

    def another_notary(self, folder: Path | None = None) -> Notary:
        """One more over the same database."""
        return Notary(self.sessions, Witness(folder or self.folder), self.key)

    def keep(self, *traces: AccessTraced, source: str = "documents") -> None:
        """Keeps traces in one transaction, as the service does."""
        with self.sessions.transaction() as session:
            store.insert_entries(session, [(trace, source) for trace in traces], now())

    def keep_some(self, count: int, record_id: str | None = None, **facts: Any) -> list[AccessTraced]:
        """Keeps new traces about one record."""
        told = [document_read(record_id or new_id(), **facts) for _ in range(count)]
        self.keep(*told)
        return told

    def seal(self) -> None:
        """Has the notary work until nothing waits.

        The place of one that was killed is free once the database sees its connection gone, which takes it a moment.
        """
        assert wait_until(self._sealed, 60)

    def _sealed(self) -> bool:
        while self.notary.work():
            pass
        return self.notary.at_work

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Runs a statement in a transaction of its own."""
        with self.sessions.transaction() as session:
            done = session.execute(sa.text(statement), values)
            return list(done) if done.returns_rows else []  # type: ignore[attr-defined]

    def bend(self, statement: str, **values: Any) -> None:
        """Runs a statement with all triggers off, as an administrator of the database could."""
        with self.sessions.transaction() as session:
            session.execute(sa.text("alter table entries disable trigger all"))
            session.execute(sa.text(statement), values)
            session.execute(sa.text("alter table entries enable trigger all"))

    def close(self) -> None:
        """Ends notary and connections."""
        self.notary.close()
        self.sessions.engine.dispose()


def document_read(record_id: str | None, **facts: Any) -> AccessTraced:
    """A reading of a document of a record."""
    given: dict[str, Any] = {
        "at": now(), "record_id": record_id, "object_id": new_id(), "object_type": "document", "ground": "circle",
        "rule": "r7", "account_id": new_id(), "capacity": "professional", "professional_id": new_id(),
    }  # fmt: skip
    return traced(None, facts.pop("action", "document.read"), **(given | facts))


def leaves(log: Log) -> list[bytes]:
    rows = log.sql("select position, hash from leaves order by position")
    assert [row.position for row in rows] == list(range(len(rows)))
    return [bytes(row.hash) for row in rows]


def witnessed(log: Log) -> list[Head]:
    """The heads of the witness, each with a good signature and grown out of the one before it."""
    lines = [json.loads(line) for line in (log.folder / "heads.jsonl").read_text().splitlines()]
    assert "key" in lines[0]
    heads = [Head.from_line(line) for line in lines if "key" not in line]
    public = Ed25519PublicKey.from_public_bytes(log.key.public)
    for head in heads:
        public.verify(head.signature, head_text(head.size, head.root, head.at))
    assert sorted({head.size for head in heads}) == [head.size for head in heads]
    assert sorted(head.at for head in heads) == [head.at for head in heads]
    return heads


def published(log: Log) -> list[Head]:
    rows = log.sql("select size, root, at, key_id, signature from tree_heads order by size")
    return [Head(row.size, bytes(row.root), row.at, row.key_id, bytes(row.signature)) for row in rows]


def told(log: Log) -> list[int]:
    """The sizes that events told of."""
    rows = log.sql("select envelope from outbox where type = 'tree_head_signed.v1' order by seq")
    return [json.loads(row.envelope)["data"]["size"] for row in rows]


def in_order(log: Log) -> None:
    """Everything sealed, nothing twice, and all three stories the same."""
    made, heads = leaves(log), witnessed(log)
    assert log.sql("select count(*) from arrivals")[0].count == 0
    assert log.sql("select count(*) from entries")[0].count == len(made)
    assert heads == published(log)
    assert [head.size for head in heads] == told(log)
    assert heads[-1].size == len(made)
    for head in heads:
        assert head.root == root(made[: head.size])
    nodes = CompactRange().extend(made)
    kept = log.sql("select level, number, hash from nodes order by level, number")
    assert [(row.level, row.number, bytes(row.hash)) for row in kept] == sorted(nodes)
