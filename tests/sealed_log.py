"""A log of accesses without a database: entries, sealed and signed as the notary does, and exported as audit does."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit import rules_exports
from services.audit.rules_heads import Head, base64, head_text, history_text, key_id, moment
from services.audit.rules_lines import OPEN, SEALED, leaf_hash, line
from services.audit.rules_retention import said
from services.audit.rules_tree import CompactRange, kept_places, root_of
from services.db import new_id

BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)
COLUMNS = (*OPEN, *SEALED)


@dataclass
class SealedLog:
    """The log as it grows; what a test changes in it is what somebody with full rights on the database could."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    rows: list[dict[str, Any]] = field(default_factory=list)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    heads: list[dict[str, Any]] = field(default_factory=list)
    edge: CompactRange = field(default_factory=CompactRange)
    at: datetime = BEGAN

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def keys(self) -> list[dict[str, Any]]:
        key = {"key_id": key_id(self.public), "public_key": base64(self.public), "from_size": 0, "since": moment(BEGAN)}
        return [key]

    @property
    def trusted(self) -> list[str]:
        return [base64(self.public)]

    def entry(self, record_id: str | None = None, **facts: Any) -> dict[str, Any]:
        """One more entry, a moment after the one before it; not sealed yet."""
        self.at += timedelta(milliseconds=self.chance.randint(1, 900))
        said = {
            "trace_id": new_id(), "at": self.at - timedelta(milliseconds=30), "received_at": self.at,
            "source": "documents", "action": "document.read", "outcome": "allowed", "account_id": new_id(),
            "capacity": "professional", "professional_id": new_id(), "record_id": record_id, "object_id": new_id(),
            "object_type": "document", "request_id": new_id(), "count": 1, "salt": self.chance.randbytes(16),
        }  # fmt: skip
        row = {**dict.fromkeys(COLUMNS), **said, **facts}
        leaf = leaf_hash(line(row))
        place = {"position": len(self.rows), "hash": leaf, "of_record": row["record_id"]}
        self.rows.append({**row, **place})
        self.nodes.update({(level, number): made for level, number, made in self.edge.extend([leaf])})
        return self.rows[-1]

    def sign(self) -> dict[str, Any]:
        """A head over all entries, which goes to the witness and to the database; the last one where nothing came."""
        if self.heads and self.heads[-1]["size"] == self.edge.size:
            return self.heads[-1]
        self.at += timedelta(milliseconds=200)
        text = head_text(self.edge.size, self.edge.root(), self.at)
        self.heads.append({
            "size": self.edge.size, "root": base64(self.edge.root()), "at": moment(self.at),
            "key_id": key_id(self.public), "signature": base64(self.key.sign(text)),
        })  # fmt: skip
        return self.heads[-1]

    def fill(self, entries: int, heads: int = 5, records: Sequence[str] = ()) -> SealedLog:
        """So many entries, of these records by turns, under so many heads."""
        ends = {entries, *(self.chance.randint(1, entries) for _ in range(heads - 1))}
        for number in range(1, entries + 1):
            self.entry(self.chance.choice(records) if records else new_id())
            if number in ends:
                self.sign()
        return self

    def destroy(self, *positions: int) -> str:
        """The contents of some entries are destroyed, by order; gives the order."""
        text = said(positions)
        self.entry(None, action="trace.destroyed", source="audit", digest=sha256(text.encode()).digest())
        for position in positions:
            self.rows[position] = {**self.rows[position], "trace_id": None}
        return text

    # --- what leaves it -----------------------------------------------------------------------------------------------

    def witness(self) -> bytes:
        told = [*({"key": key} for key in self.keys), *self.heads]
        return b"".join(json.dumps(each).encode() + b"\n" for each in told)

    def export(self, *after: dict[str, Any], first: int = 0, heads: Sequence[dict[str, Any]] | None = None) -> bytes:
        """The whole log, or what follows a position. after: lines about the rest of the database. heads: its own."""
        own = {head["size"]: head for head in (self.heads if heads is None else heads)}
        frontier = [self._root(place) for place in rules_exports.frontier_of(first)]
        size = len(self.rows)
        made_at = self.at + timedelta(hours=1)
        header = rules_exports.log_header(first, size, frontier=frontier, keys=self.keys, at=made_at)
        lines = rules_exports.log_lines(self.rows[first:], self.nodes, own)
        end = [rules_exports.as_line(said) for said in (*after, {"end": size})]
        return "".join(f"{each}\n" for each in (header, *lines, *end)).encode()

    def history(self, *records: str, hidden: Sequence[int] = ()) -> bytes:
        """The history of records, less some positions, with the notary's statement about the rest."""
        shown = [row for row in self.rows if row["record_id"] in records and row["position"] not in hidden]
        head, size = self.sign(), len(self.rows)
        statement = history_text(records, [row["hash"] for row in shown], Head.from_line(head), self.at)
        header = rules_exports.history_header(
            records, head=head, keys=self.keys, statement=statement, key_id=key_id(self.public),
            signature=self.key.sign(statement.encode()), at=self.at,
        )  # fmt: skip
        spans = rules_exports.gaps(0, [row["position"] for row in shown], size)
        nodes = {place: self._root(place) for span in spans for place in rules_exports.skipped(*span)}
        lines = rules_exports.history_lines(0, shown, size, nodes)
        return "".join(f"{each}\n" for each in (header, *lines)).encode()

    def _root(self, place: tuple[int, int]) -> bytes:
        level, number = place
        span = (number << level, (number + 1) << level)
        assert kept_places([span])
        return root_of(span, lambda kept: self.rows[kept[1]]["hash"] if kept[0] == 0 else self.nodes[kept])
