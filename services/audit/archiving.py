"""Years that are over go into the object store, and what somebody reads of them comes back for a while.

What goes is sealed under a key for each record and year, so that a record's traces can be destroyed there too: with
their key. The leaves stay where they are. What comes back is held against its leaf before anybody sees it, and an
entry of the log has the hash of the text that names the packs: an archive that was bent is not taken for the log.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules_archive, store_archive
from services.audit.contract import traced
from services.audit.models_archive import ArchivedGroup
from services.audit.ports.archive import Archive
from services.audit.rules_lines import leaf_hash, line
from services.bus import Service, emit
from services.db import Sessions, new_id, now
from services.refusals import Unavailable
from services.sealing import BytesTampered
from services.settings import load

ARCHIVED = "trace.archived"
AT_ONCE = 50  # groups of one transaction

log = logging.getLogger(__name__)


class NotYet(Exception):
    """A year cannot go into the store now; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@cache
def at_hand() -> Archive:
    """The archive of this process' settings, where it is needed."""
    return Archive.of(load())


class Archiving(Service):
    """The timer's work."""

    def _send_back(self, at: datetime) -> None:
        """Takes out of the entries again what came back from the store long enough ago."""
        before = at - timedelta(hours=rules_archive.KEPT_BACK_HOURS)
        while True:
            with self.db.transaction() as session:
                if store_archive.send_back(session, before, AT_ONCE) < AT_ONCE:
                    return


# --- a year goes ------------------------------------------------------------------------------------------------------


def archive_year(sessions: Sessions, archive: Archive, year: int, at: datetime) -> int:
    """Puts the entries of a year that is over into the store; returns how many. Again, it takes those that came late.

    Until its one transaction at the end everything is as it was: what was put into the store by then is swept.
    Raises NotYet (not_over, nothing_kept, waits_for_…, changed).
    """
    if not rules_archive.is_over(year, at):
        raise NotYet("not_over")
    archive.ensure()
    with sessions.transaction() as session:
        if not store_archive.is_kept(session, year):
            raise NotYet("nothing_kept")
        waits = store_archive.waits_for(session, year)
    if waits is not None:
        raise NotYet(f"waits_for_{waits}")
    send_all_back(sessions)
    sweep(sessions, archive, year)
    with sessions.transaction() as session:
        packing = Packing(archive, year)
        for record_id, positions, rows in store_archive.groups_of(session, year):
            packing.add(record_id, positions, rows)
        packing.close()
    if not packing.count:
        return 0
    said = rules_archive.said(year, packing.packs)
    digest = rules_archive.digest_of(said)
    with sessions.transaction() as session:
        if not store_archive.detach(session, year, packing.count):
            raise NotYet("changed")
        store_archive.add_groups(session, packing.groups)
        store_archive.add_year(session, digest, year, packing.count, said, at)
        emit(session, traced(None, ARCHIVED, at=at, count=packing.count, digest=digest))
    return packing.count


class Packing:
    """Groups on their way into the store, a pack at a time; each pack is read again before it counts."""

    def __init__(self, archive: Archive, year: int) -> None:
        self._archive = archive
        self._year = year
        self._pack_id, self._pack = new_id(), bytearray()
        self.packs: list[tuple[str, int, str]] = []
        self.groups: list[dict[str, Any]] = []
        self.count = 0

    def add(self, record_id: str | None, positions: Sequence[int], rows: Sequence[str]) -> None:
        """Takes a group."""
        group_id = new_id()
        sealed, wrapped_key = self._archive.seal(group_id, rules_archive.written(rows))
        self.groups.append({
            "group_id": group_id, "year": self._year, "record_id": record_id, "first_position": positions[0],
            "last_position": positions[-1], "entries": len(rows), "pack_id": self._pack_id, "place": len(self._pack),
            "size": len(sealed), "wrapped_key": wrapped_key,
        })  # fmt: skip
        self._pack += sealed
        self.count += len(rows)
        if len(self._pack) >= rules_archive.PACK_BYTES:
            self.close()

    def close(self) -> None:
        """Puts what was taken into the store."""
        if not self._pack:
            return
        name, data = rules_archive.name_of(self._year, self._pack_id), bytes(self._pack)
        self._archive.put(name, data)
        if self._archive.read(name) != data:
            raise Unavailable(service="object_store")
        self.packs.append((self._pack_id, len(data), sha256(data).hexdigest()))
        self._pack_id, self._pack = new_id(), bytearray()


def sweep(sessions: Sessions, archive: Archive, year: int) -> int:
    """Removes the packs of a year of which nothing can be read: of an archiving that broke off, or destroyed whole."""
    with sessions.transaction() as session:
        known = store_archive.packs_of(session, year)
    gone = [name for name in archive.names(rules_archive.name_of(year, "")) if name.rpartition("/")[2] not in known]
    for name in gone:
        archive.remove(name)
    return len(gone)


# --- and comes back ---------------------------------------------------------------------------------------------------


def bring_back(session: Session, record_id: str) -> None:
    """Has all entries of a record, and of those that lead to it, among the entries until this transaction ends.

    Refuses: Unavailable, where the store does not answer, or gives what is not in the log.
    """
    if not store_archive.touches(session, record_id):
        return
    for group in store_archive.away(session, record_id):
        _bring(session, at_hand(), group)


def bring_all_back(sessions: Sessions, archive: Archive) -> int:
    """Brings back whatever lies in the store, for who goes through the whole log; returns how many groups."""
    count = 0
    while True:
        with sessions.transaction() as session:
            groups = store_archive.next_away(session, AT_ONCE)
            for group in groups:
                _bring(session, archive, group)
        count += len(groups)
        if len(groups) < AT_ONCE:
            return count


def send_all_back(sessions: Sessions) -> None:
    """Takes every copy that came back out of the entries again."""
    at = now()
    while True:
        with sessions.transaction() as session:
            if store_archive.send_back(session, at, AT_ONCE) < AT_ONCE:
                return


def _bring(session: Session, archive: Archive, group: ArchivedGroup) -> None:
    sealed = archive.read(rules_archive.name_of(group.year, group.pack_id), group.place, group.size)
    try:
        rows = rules_archive.read(archive.open(group.group_id, sealed, bytes(group.wrapped_key)))
    except (BytesTampered, rules_archive.NotAnArchive) as bent:
        log.critical("the archive is not what was put there", extra={"object_id": group.group_id})
        raise Unavailable(service="archive") from bent
    found = store_archive.put_back(session, group, rows, now())
    there = [row for row in found if row["trace_id"] is not None]
    if len(there) != group.entries or any(leaf_hash(line(row)) != bytes(row["hash"]) for row in there):
        log.critical("the archive is not what is in the log", extra={"object_id": group.group_id})
        raise Unavailable(service="archive")
