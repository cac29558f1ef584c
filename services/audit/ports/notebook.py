"""What the notary knows by itself: the edge of the tree, and of each record how many entries it has and their chain.

An SQLite file beside the witness. It is never more than what can be found out anew from the database and the witness,
so losing it costs time alone; but as long as it is there, the database alone cannot take an entry from a record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from services.audit.rules_heads import NO_CHAIN, chained
from services.audit.rules_tree import CompactRange

FILE = "notebook.sqlite"
VERSION = 1
ASKED_AT_ONCE = 500

Chain = tuple[int, bytes]


class Notebook:
    """The file, as of a size of the log."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._open()

    def _open(self) -> None:
        try:
            self._begin()
        except (sqlite3.DatabaseError, ValueError):  # broken, or of another form: it is found out anew
            self.forget()

    def _begin(self) -> None:
        self._file = sqlite3.connect(self._path, isolation_level=None)
        self._file.execute("pragma journal_mode = wal")
        self._file.execute("pragma synchronous = normal")
        (version,) = self._file.execute("pragma user_version").fetchone()
        if version not in (0, VERSION):
            raise ValueError("another form")
        with self._file:
            self._file.execute("begin immediate")
            self._file.execute(
                "create table if not exists edge"
                " (only integer primary key check (only = 1), size integer not null, hashes blob not null)"
            )
            self._file.execute(
                "create table if not exists chains"
                " (record_id text primary key, entries integer not null, chain blob not null) without rowid"
            )
            self._file.execute("create table if not exists doubts (code text not null)")
            self._file.execute(f"pragma user_version = {VERSION}")
            self._file.execute("commit")
        self._read()

    def _read(self) -> None:
        row = self._file.execute("select size, hashes from edge").fetchone() or (0, b"")
        self.edge = CompactRange(row[0], [row[1][at : at + 32] for at in range(0, len(row[1]), 32)])

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def forget(self) -> None:
        """Begins anew, knowing nothing."""
        self._file.close()
        for end in ("", "-wal", "-shm"):
            self._path.with_name(FILE + end).unlink(missing_ok=True)
        self._begin()

    def begin(self) -> None:
        """What is noted from here on counts only once it is kept."""
        self._file.execute("begin immediate")

    def note(self, leaves: list[bytes], record_ids: Iterable[str | None]) -> list[tuple[int, int, bytes]]:
        """Notes further leaves, each with the record it belongs to; gives the nodes that became whole."""
        of_record: dict[str, list[bytes]] = {}
        for leaf, record_id in zip(leaves, record_ids, strict=True):
            if record_id is not None:
                of_record.setdefault(record_id, []).append(leaf)
        known = self.chains(of_record)
        rows = []
        for record_id, added in of_record.items():
            entries, chain = known.get(record_id, (0, NO_CHAIN))
            rows.append((record_id, entries + len(added), chained(chain, added)))
        self._file.executemany(
            "insert into chains (record_id, entries, chain) values (?, ?, ?)"
            " on conflict (record_id) do update set entries = excluded.entries, chain = excluded.chain",
            sorted(rows),
        )
        return self.edge.extend(leaves)

    def keep(self) -> None:
        """Keeps what was noted, as of the size it led to."""
        self._file.execute(
            "insert into edge (only, size, hashes) values (1, ?, ?)"
            " on conflict (only) do update set size = excluded.size, hashes = excluded.hashes",
            (self.edge.size, b"".join(self.edge.hashes)),
        )
        self._file.execute("commit")

    def undo(self) -> None:
        """As if nothing had been noted since it began."""
        if self._file.in_transaction:
            self._file.execute("rollback")
        self._read()

    def doubt(self, code: str) -> None:
        """Notes that the log was found bent, so that this is not forgotten."""
        self._file.execute("insert into doubts (code) values (?)", (code,))

    @property
    def doubted(self) -> bool:
        """Whether the log was found bent, and not whole since."""
        return self._file.execute("select 1 from doubts").fetchone() is not None

    def trust(self) -> None:
        """Notes that all of the log was looked at, and is as it was signed."""
        self._file.execute("delete from doubts")

    def chains(self, record_ids: Collection[str]) -> Mapping[str, Chain]:
        """How many entries these records have, and their chains; unknown ones are not in it."""
        asked, found = list(record_ids), {}
        for at in range(0, len(asked), ASKED_AT_ONCE):
            some = asked[at : at + ASKED_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"select record_id, entries, chain from chains where record_id in ({marks})"  # noqa: S608
            rows = self._file.execute(query, some)
            found.update({record_id: (entries, chain) for record_id, entries, chain in rows})
        return found
