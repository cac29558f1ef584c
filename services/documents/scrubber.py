"""The scrub: every stored object is read again from time to time, opened, hashed, and compared with what it was.

It works in the idle time of the process that looks at deposits, a second's worth of bytes at a time, so that neither
deposits nor readers wait for it. After each round the store is searched for what no row speaks of. Killed anywhere it
begins its round anew, and passes over what it has read.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.db import Sessions
from services.documents import rules, store_scrubs
from services.documents.ports.blobs import Blobs
from services.documents.ports.keys import Keys
from services.refusals import Unavailable
from services.sealing import BytesTampered, open_range, sealed_size, segments_for

BATCH = 100
LISTED_AT_ONCE = 500
BETWEEN_ROUNDS = 3600.0  # seconds
AFTER_TROUBLE = 60.0
NOBODYS = timedelta(hours=24)
"""How old an object is that nobody speaks of before it goes: as long as an upload may take."""

log = logging.getLogger(__name__)


@dataclass
class _Reading:
    """An object that is being read, and how far."""

    row: Any
    read: int = 0
    digest: Any = field(default_factory=hashlib.sha256)


class Scrubber:
    """One worker's scrub. rate: bytes a second. days: how old a reading may be."""

    def __init__(self, sessions: Sessions, blobs: Blobs, keys: Keys, *, rate: int, days: int) -> None:
        self._sessions, self._blobs, self._keys = sessions, blobs, keys
        self._rate, self._every = max(1, rate), timedelta(days=days)
        self._now_at: _Reading | None = None
        self._waiting: deque[Any] = deque()
        self._place: str | None = None
        self._searched: str | None = ""
        self._count = self._damaged = 0
        self._not_before = float("-inf")
        self._turn = store_scrubs.Turn(sessions)

    def step(self, at: datetime) -> float:
        """Reads as much as a second allows, or looks at some names; says how many seconds to rest after it."""
        begun = time.monotonic()
        if begun < self._not_before:
            return self._not_before - begun
        if not self._turn.mine():
            self._not_before = begun + AFTER_TROUBLE
            return AFTER_TROUBLE
        try:
            if not self._read_some(at) and not self._search_some(at):
                log.info("scrub", extra={"count": self._count, "code": "round", "attempts": self._damaged})
                self._begin()
                self._not_before = begun + BETWEEN_ROUNDS
        except Unavailable:
            log.warning("scrub waits", extra={"kind": "object_store"})
            self._now_at = None
            self._not_before = begun + AFTER_TROUBLE
        return max(0.0, 1.0 - (time.monotonic() - begun))

    def round(self, at: datetime) -> None:
        """One whole round at once, from the beginning. Refuses: Unavailable."""
        self._begin()
        while self._read_some(at) or self._search_some(at):
            pass
        self._begin()

    def _begin(self) -> None:
        self._now_at, self._place, self._searched = None, None, ""
        self._waiting.clear()
        self._count = self._damaged = 0

    # --- what rows speak of -------------------------------------------------------------------------------------------

    def _read_some(self, at: datetime) -> bool:
        """Reads on for a second's worth of bytes; False when the round has nothing left to read."""
        left = self._rate
        while left > 0:
            if self._now_at is None and not self._take(at):
                return left < self._rate
            left -= self._read_on(left, at)
        return True

    def _take(self, at: datetime) -> bool:
        if not self._waiting:
            with self._sessions.transaction() as session:
                rows = store_scrubs.due(session, at - self._every, self._place, BATCH)
            self._waiting.extend(rows)
        if not self._waiting:
            return False
        row = self._waiting.popleft()
        self._place, self._now_at = str(row.object_id), _Reading(row)
        return True

    def _read_on(self, most: int, at: datetime) -> int:
        """Reads on in one object, and notes it at its end; gives how many bytes that were."""
        reading = self._now_at
        assert reading is not None, "taken before"
        row, start = reading.row, reading.read
        end: int = min(row.size, start + most)
        finding = self._outside(row) if start == 0 else None
        if finding is None:
            try:
                self._hash(reading, start, end)
            except BytesTampered:
                finding = "changed"
            if finding is None and end < row.size:
                return end - start
            if finding is None and reading.digest.digest() != bytes(row.sha256):
                finding = "changed"
        self._note(row, finding, at)
        return max(1, end - start)

    def _outside(self, row: Any) -> str | None:
        """What the store's own word about an object shows before it is read."""
        stored = self._blobs.stored(str(row.object_id), row.store_version)
        if stored is None:
            return "missing"
        return None if stored.size == sealed_size(row.size) else "changed"

    def _hash(self, reading: _Reading, start: int, end: int) -> None:
        row = reading.row
        name = str(row.object_id)
        key = self._keys.data_key(str(row.key_record_id), bytes(row.wrapped_record_key), name, bytes(row.wrapped_key))
        part = segments_for(start, end - 1, row.size)
        length = part.sealed_end - part.sealed_start + 1
        sealed = self._blobs.read(name, row.store_version, part.sealed_start, length)
        for block in open_range(sealed, key, name, part):
            reading.digest.update(block)
        reading.read = end

    def _note(self, row: Any, finding: str | None, at: datetime) -> None:
        self._now_at = None
        with self._sessions.transaction() as session:
            noted = store_scrubs.note(session, row.object_id, finding, at)
        self._count += 1
        if noted and finding is not None:
            self._damaged += 1
            log.error("stored object damaged", extra={"code": finding, "kind": row.kind, "object_id": row.object_id})

    # --- what nobody speaks of ----------------------------------------------------------------------------------------

    def _search_some(self, at: datetime) -> bool:
        """Looks at some names in the store and removes what is nobody's and old; False at the end of the store."""
        if self._searched is None:
            return False
        listed = self._blobs.listed(self._searched or None, LISTED_AT_ONCE)
        self._searched = listed[-1].name if len(listed) == LISTED_AT_ONCE else None
        old = [each.name for each in listed if each.since is not None and each.since <= at - NOBODYS]
        ours = {name for name in old if rules.canonical_id(name) == name}
        with self._sessions.transaction() as session:
            known = store_scrubs.known(session, ours)
        orphans = [name for name in old if name not in known]
        for name in orphans:
            self._blobs.remove(name)
        if orphans:
            log.warning("orphans removed", extra={"count": len(orphans)})
        return bool(listed)
