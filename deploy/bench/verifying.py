"""How fast the verifier goes along exports, against the bare hash of the same lines by the same interpreter."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.bench.figures import Row
from deploy.bench.ground import Ground
from deploy.bench.rounds import Compared, alternate
from services.audit import rules_exports
from services.audit.rules_heads import Head, base64, head_text, history_text, key_id, moment
from services.audit.rules_lines import OPEN, SEALED, leaf_hash, line
from services.audit.rules_tree import CompactRange, Place, root
from services.audit.verifier import check
from services.db import new_id

ENTRIES = {"small": 50_000, "full": 500_000}
A_HEAD_EVERY = 2_000  # entries: a tenth of a second of the most there can be
SHOWN = 8  # one entry of so many is in the history


class Made:
    """A log as audit exports it, and a history out of it; made here, since no database has to be near."""

    def __init__(self, folder: Path, entries: int) -> None:
        self._chance = random.Random(9162)  # noqa: S311 (the same log in each run)
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes_raw()
        self.keys = [base64(public)]
        self._id = key_id(public)
        self._listed = [{"key_id": self._id, "public_key": self.keys[0], "from_size": 0, "since": moment(_BEGAN)}]
        self._rows = [self._row(number) for number in range(entries)]
        self.log, self.history = folder / "log.jsonl", folder / "history.jsonl"
        self._write()
        self._rows.clear()  # a verifier has nothing else in its memory either

    def _row(self, number: int) -> dict[str, Any]:
        at = _BEGAN + timedelta(milliseconds=number)
        said = {
            "trace_id": new_id(), "at": at, "received_at": at, "source": "documents", "action": "document.opened",
            "outcome": "allowed", "account_id": _ACCOUNT, "capacity": "professional", "professional_id": _DOCTOR,
            "profession": "physician", "establishment_id": _PLACE, "record_id": _RECORD, "object_id": _DOCUMENT,
            "object_type": "document", "ground": "presence", "rule": "mandate/presence", "request_id": new_id(),
            "software": "praxis/4.2", "session_id": _ACCOUNT, "salt": self._chance.randbytes(16),
        }  # fmt: skip
        row: dict[str, Any] = {**dict.fromkeys((*OPEN, *SEALED)), **said}
        return {**row, "position": number, "of_record": _RECORD, "hash": leaf_hash(line(row))}

    def _write(self) -> None:
        edge, heads = CompactRange(), {}
        nodes: dict[Place, bytes] = {}
        size = len(self._rows)
        for end in [*range(A_HEAD_EVERY, size, A_HEAD_EVERY), size]:
            made = edge.extend([row["hash"] for row in self._rows[edge.size : end]])
            nodes.update({(level, number): node for level, number, node in made})
            heads[end] = self._head(end, edge.root())
        begins = rules_exports.log_header(0, size, frontier=[], keys=self._listed, at=_END)
        ends = rules_exports.as_line({"end": size})
        lined = {end: head.as_line() for end, head in heads.items()}
        _written(self.log, [begins, *rules_exports.log_lines(self._rows, nodes, lined), ends])
        self._write_history(heads[size])

    def _head(self, size: int, made: bytes) -> Head:
        at = _BEGAN + timedelta(milliseconds=size)
        return Head(size, made, at, self._id, self._key.sign(head_text(size, made, at)))

    def _write_history(self, head: Head) -> None:
        shown = [row for row in self._rows if self._chance.random() < 1 / SHOWN]
        statement = history_text([_RECORD], [row["hash"] for row in shown], head, _END)
        header = rules_exports.history_header(
            [_RECORD], head=head.as_line(), keys=self._listed, statement=statement, key_id=self._id,
            signature=self._key.sign(statement.encode()), at=_END,
        )  # fmt: skip
        gaps = rules_exports.gaps(0, [row["position"] for row in shown], len(self._rows))
        places = {place for gap in gaps for place in rules_exports.skipped(*gap)}
        leaves = [row["hash"] for row in self._rows]
        nodes = {(level, number): root(leaves[number << level : (number + 1) << level]) for level, number in places}
        _written(self.history, [header, *rules_exports.history_lines(0, shown, len(self._rows), nodes)])


_BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)
_END = _BEGAN + timedelta(days=1)
_ACCOUNT, _DOCTOR, _PLACE, _RECORD, _DOCUMENT = (new_id() for _ in range(5))


def _written(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{each}\n" for each in lines))


def verify(here: Ground) -> list[Row]:
    """Lines a second of an export of the log, and of a history, checked in full; against one hash call a line."""
    size = here.amount.size
    with TemporaryDirectory(dir=here.stack.layout.state) as folder:
        made = Made(Path(folder), ENTRIES[size])
        return [
            _compared(made.log, made.keys, here.amount.rounds).row("verify", size),
            _compared(made.history, made.keys, here.amount.rounds).row("verify_history", size),
        ]


def _compared(path: Path, keys: list[str], rounds: int) -> Compared:
    lines = path.read_bytes().splitlines()

    def ours() -> float:  # by the processor's clock: neither waits for anything, and others work here too
        began = time.process_time()
        with path.open("rb") as file:
            verdict = check(file, keys=keys)
        if verdict.code != 0:
            raise RuntimeError(f"not genuine: {verdict.wrong[:1]}")
        return len(lines) / (time.process_time() - began)

    def bare() -> float:
        began = time.process_time()
        for each in lines:
            sha256(each).digest()
        return len(lines) / (time.process_time() - began)

    return alternate(ours, bare, rounds)
