"""The worker that looks closely at what was deposited: one version at a time, as often as it takes, with effect once.

It takes a version for a while (a lease), fetches its sealed bytes, opens them in memory, has them scanned for viruses
and then examined in the sandbox, stores what was made of them, and writes all that follows in one transaction. Killed
anywhere it leaves nothing half done: the lease runs out and another begins anew. What the outside world lets fail is
tried again later. No byte of a document touches a disk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from services.db import Sessions, now
from services.documents import examining, renditions, store_examining, store_renditions
from services.documents.ports.blobs import Blobs
from services.documents.ports.keys import Keys
from services.documents.ports.sandbox import Sandbox, SandboxGone, Unprepared
from services.documents.rules_examining import HEAD, IN_PIECES, LEASE, WHOLE, due_again
from services.documents.rules_findings import Findings
from services.refusals import Unavailable
from services.sealing import Buffer, BytesTampered, open_range, segments_for
from services.virus_scan import VirusScan

LEFT_BEHIND = timedelta(hours=24)
SWEPT_AT_ONCE = 200
RENEW_AFTER = 20.0  # seconds

log = logging.getLogger(__name__)
Row = Any


class Examiner:
    """One worker over one database, one store and one sandbox."""

    def __init__(
        self, sessions: Sessions, blobs: Blobs, keys: Keys, sandbox: Sandbox, virus_scan: VirusScan | None = None
    ) -> None:
        self._sessions = sessions
        self._blobs = blobs
        self._keys = keys
        self._sandbox = sandbox
        self._virus_scan = virus_scan
        self._renewed = 0.0

    def work(self) -> bool:
        """Takes the version that waits longest and looks at it; False when none is due."""
        at = now()
        with self._sessions.one_word() as session:
            row = store_examining.claim(session, at, at + LEASE)
        if row is None:
            return False
        self._renewed = time.monotonic()
        try:
            findings = self._findings(row)
        except (Unavailable, SandboxGone, Unprepared, BytesTampered) as failed:
            level = logging.ERROR if isinstance(failed, Unprepared | BytesTampered) else logging.WARNING
            log.log(level, "close look put off", extra={"kind": type(failed).__name__, "attempts": row.tries})
            with self._sessions.transaction() as session:
                store_examining.put_off(session, row.version_id, now() + due_again(row.tries))
            return True
        with self._sessions.transaction() as session:
            done = examining.finish(session, row.version_id, findings, now())
        if findings.rejection is not None and row.state == "available":
            # taken in by an earlier release: it stays, and somebody has to know
            log.warning("shown, and does not pass", extra={"code": findings.rejection, "object_id": row.version_id})
        waited = int((now() - row.queued_at).total_seconds() * 1000)
        told = {"code": findings.rejection or "passed", "kind": row.media_type, "ms": waited, "count": int(done)}
        log.info("close look", extra=told)
        return True

    def sweep(self, quarantine: timedelta) -> None:
        """Removes what tries that came to nothing left in the store, and infected files whose quarantine is over."""
        at = now()
        with self._sessions.transaction() as session:
            left = store_renditions.left_behind(session, at - LEFT_BEHIND, SWEPT_AT_ONCE)
            infected = store_examining.over_in_quarantine(session, at - quarantine, SWEPT_AT_ONCE)
        for name in left:
            self._blobs.remove(name)
            with self._sessions.transaction() as session:
                store_renditions.forget(session, name)
        for name in infected:
            self._blobs.remove(name)
            with self._sessions.transaction() as session:
                store_examining.forget_key(session, name)

    def tell_queue(self) -> None:
        """Logs how long the queue is and how old: what an operator scales by."""
        with self._sessions.transaction() as session:
            count, age = store_examining.waiting(session, now())
        log.info("queue", extra={"count": count, "ms": int(age * 1000)})

    # --- one version --------------------------------------------------------------------------------------------------

    def _findings(self, row: Row) -> Findings:
        if row.wrapped_record_key is None:  # destroyed meanwhile: there is nothing left to look at
            return Findings(rejection="broken")
        if row.size > WHOLE:
            return self._of_big(row)
        blocks = list(self._plain(row, 0, row.size))
        if self._virus_scan is not None and self._virus_scan.finds_something(blocks):
            return Findings(rejection="infected")
        self._go_on(row)
        return self._stored(row, self._sandbox.examine(row.media_type, _facts(row), row.size, blocks))

    def _of_big(self, row: Row) -> Findings:
        """Read through once for viruses, and then only as far as its examiner wants to know."""
        if self._virus_scan is not None and self._virus_scan.finds_something(self._plain(row, 0, row.size)):
            return Findings(rejection="infected")
        self._go_on(row)
        if row.media_type in IN_PIECES:

            def fetch(start: int, length: int) -> Iterable[Buffer]:
                return self._plain(row, start, length)

            found = self._sandbox.examine(row.media_type, _facts(row), row.size, (), fetch)
        else:
            found = self._sandbox.examine(row.media_type, _facts(row), HEAD, self._plain(row, 0, HEAD))
        return self._stored(row, found)

    def _stored(self, row: Row, found: Findings) -> Findings:
        if found.rejection is not None or not found.renditions:
            return found
        return renditions.put(self._sessions, self._blobs, self._keys, row, found, now())

    def _plain(self, row: Row, start: int, length: int) -> Iterator[Buffer]:
        """The plain bytes from `start` on, opened as they come; the lease is kept meanwhile."""
        key = self._keys.data_key(
            row.key_record_id, bytes(row.wrapped_record_key), row.content_id, bytes(row.wrapped_key)
        )
        part = segments_for(start, start + length - 1, row.size)
        sealed = self._blobs.read(
            row.content_id, row.store_version, part.sealed_start, part.sealed_end - part.sealed_start + 1
        )
        for block in open_range(sealed, key, row.content_id, part):
            yield block
            self._go_on(row)

    def _go_on(self, row: Row) -> None:
        """Keeps the lease, where that was not done lately."""
        if time.monotonic() - self._renewed > RENEW_AFTER:
            self._renewed = time.monotonic()
            with self._sessions.transaction() as session:
                store_examining.renew(session, row.version_id, now() + LEASE)


def _facts(row: Row) -> dict[str, Any]:
    """What an examiner may know of the document: nothing of whose it is."""
    return {
        "type": row.type, "category": row.category, "folder": row.folder, "title": row.title,
        "language": row.language, "size": row.size,
    }  # fmt: skip
