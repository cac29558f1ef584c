"""What happens to secure messages without anybody asking: files are looked at, orphans swept, threads destroyed at
their term or with their record, keys wrapped anew. Whichever replica finds it first; killed, the next one goes on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, fresh_context
from services.notifications import rules_thread_limits, store_thread_limits
from services.notifications import rules_threads as rules
from services.notifications import store_thread_files as store
from services.notifications.thread_desk import ThreadDesk
from services.notifications.thread_limits import LIMITS
from services.refusals import Unavailable
from services.sealing import BytesTampered, open_sealed, segments_of
from services.settings import load

AT_ONCE = 100
ROTATED_AT_ONCE = 500
GIVEN_UP_AFTER = 3  # files that could not be looked at: then it is not the files

log = logging.getLogger(__name__)


class ThreadUpkeep(ThreadDesk):
    """Looking at files, sweeping, ending, rotating."""

    # --- files --------------------------------------------------------------------------------------------------------

    def _check_files(self, at: datetime) -> int:
        """Has the virus scan look at the files that wait for it, one after the other; how many it looked at.

        A file is held meanwhile: no replica looks at it twice at a time. One that cannot be looked at now keeps no
        other from it, until that happens too often for it to be the file.
        """
        done = failed = 0
        place: str | None = None
        while failed < GIVEN_UP_AFTER:
            with self.db.transaction() as session:
                row = store.next_unchecked(session, place)
                if row is None:
                    break
                place = row.attachment_id
                verdict = self._verdict(row)
                if verdict is None:
                    failed += 1
                    continue
                store.note_checked(session, place, verdict, at)
                done += 1
        return done

    def _verdict(self, row: store.Row) -> str | None:
        """What was found in a file: clean, harmful, or damaged on its way here; None where nobody can say it now."""
        if self.virus_scan is None:
            return rules.CLEAN
        about = {"object_id": row.attachment_id}
        try:
            key = self.thread_keys.data_key(
                row.thread_id, bytes(row.thread_key), row.attachment_id, bytes(row.wrapped_key)
            )
        except BytesTampered:  # under a master key that is not there: the file waits for it
            log.error("thread key does not open", extra=about)
            return None
        try:
            sealed = self.attachments.read(row.attachment_id, row.store_version)
            plain = open_sealed(sealed, key, row.attachment_id, total_segments=segments_of(row.size))
            found = self.virus_scan.finds_something(plain)
        except BytesTampered:
            log.error("file damaged", extra=about)
            return rules.DAMAGED
        except Unavailable as missing:
            log.warning("file waits to be looked at", extra={**about, "kind": missing.detail.get("service")})
            return None
        if found:
            log.warning("harmful file", extra=about)
        return rules.HARMFUL if found else rules.CLEAN

    def _sweep_files(self, at: datetime) -> int:
        """Removes the objects of files that nobody sent within a day, or whose thread was destroyed."""
        with self.db.transaction() as session:
            store.condemn_loose(session, at - rules.LOOSE_FOR, at)
            condemned = store.condemned(session, AT_ONCE)
        for attachment_id in condemned:
            try:
                self.attachments.remove(attachment_id)
            except Unavailable:
                log.warning("sweep interrupted", extra={"kind": "object_store"})
                return 0
            with self.db.transaction() as session:
                store.forget(session, attachment_id)
        return len(condemned)

    def _forget_reaches(self, at: datetime) -> None:
        """Forgets whom professionals reached so long ago that no limit counts it."""
        with self.db.transaction() as session:
            store_thread_limits.forget(session, at - rules_thread_limits.longest(LIMITS))

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _end_threads(self, at: datetime) -> int:
        """Destroys the threads in which nothing was written for the term of documents, and those of deleted records.

        [RGD 9(5), RGD 4: what a record's deletion leaves nothing of]
        """
        ended = self._end_silent(at)
        place: str | None = None
        while True:
            with self.db.transaction() as session:
                records = store.records_after(session, place, AT_ONCE)
            if not records:
                return ended
            place = records[-1]
            context = fresh_context()
            gone = self.dossier.deleted_among(context, record_ids=list(records))["record_ids"]
            ended += sum(self._end_of(record_id, at) for record_id in gone)

    def _end_silent(self, at: datetime) -> int:
        before = rules.years_before(at, load().document_term_years)
        ended = 0
        while True:
            with self.db.transaction(fresh_context()) as session:
                held = store.silent_since(session, before, AT_ONCE)
                _destroy(session, held, at)
            ended += len(held)
            if len(held) < AT_ONCE:
                return ended

    def _end_of(self, record_id: str, at: datetime) -> int:
        with self.db.transaction(fresh_context()) as session:
            return self._end_threads_of(session, record_id, at)

    def _end_threads_of(self, session: Session, record_id: str, at: datetime) -> int:
        """Destroys the threads of a record that was deleted, in the transaction that hears of it."""
        held = store.of_record(session, record_id)
        _destroy(session, held, at)
        return len(held)

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _rotate_thread_keys(self) -> int:
        """Wraps all keys anew that are not under the current master key, some at a time, and gives how many."""
        rotated, place = 0, None
        while True:
            current, anew = self.thread_keys.master_key_id, {}
            with self.db.transaction() as session:
                held = store.hold_others(session, current, place, ROTATED_AT_ONCE)
                for row in held:
                    try:
                        anew[row.thread_id] = self.thread_keys.wrap_anew(row.thread_id, bytes(row.wrapped_key))
                    except BytesTampered:  # one that no key of ours opens must not keep the others from it
                        log.error("thread key does not open", extra={"object_id": row.thread_id})
                store.put_keys(session, anew, current)
            rotated += len(anew)
            if not held:
                break
            place = held[-1].thread_id
        if rotated:
            log.info("thread keys wrapped anew", extra={"count": rotated, "master_key": current})
        return rotated


def _destroy(session: Session, held: Sequence[store.Row], at: datetime) -> None:
    """Destroys threads, each with its trace."""
    if not held:
        return
    store.destroy(session, [row.thread_id for row in held], at)
    for row in held:
        emit(session, traced(
            session.info["context"], "thread.destroyed", at=at, object_id=row.thread_id, object_type="thread",
            record_id=None if row.holder_only else row.record_id,
        ))  # fmt: skip
