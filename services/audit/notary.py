"""The notary: gives every entry its place in the log, signs the head of it, and answers what a history consists of.

Each round takes the entries that wait, writes their leaves and takes them from the waiting in one transaction, notes
them in its notebook, signs the head over them, writes that into the witness, and only then into the database and
among the events. Killed anywhere it finds its way back by the three: what is in the witness stands, is published
again where it was not, and is never signed otherwise; leaves that no head is over yet are made out anew from their
entries. Where the database says otherwise than the witness, it signs nothing more and says so until somebody looks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from services.audit import attesting, store_attestations, store_log
from services.audit.contract_log import TreeHeadSigned
from services.audit.ports.notebook import Notebook
from services.audit.ports.signing import SigningKey
from services.audit.ports.witness import Key, Witness
from services.audit.rules_heads import DRIFT, Head, base64, head_text, moment
from services.audit.rules_lines import leaf_hash, line
from services.audit.rules_tree import CompactRange, kept_places, root_of
from services.bus import emit
from services.db import Sessions, now

BATCH = 10_000
CHUNK = 2_000
ASKED = 20
PATROLLED = 500
PATROL_EVERY = 60.0  # seconds

log = logging.getLogger(__name__)


class Disagreement(Exception):
    """The database and the witness tell two stories; `code` says where they part."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Notary:
    """The one notary over one database, one witness and one key."""

    def __init__(self, sessions: Sessions, witness: Witness, key: SigningKey) -> None:
        self._sessions = sessions
        self._witness = witness
        self._key = key
        self._desk: store_log.Desk | None = None
        self._book: Notebook | None = None
        self._received: datetime | None = None
        self._waited = timedelta(0)
        self._gone_through = CompactRange()
        self._next_patrol = 0.0

    def work(self) -> bool:
        """One round: seals what waits and signs the head over it; True when there may be more to do at once.

        Where another notary is at work, it does nothing.
        Raises Disagreement when the database does not fit what was signed: then nothing is, this time or next time.
        """
        try:
            if self._book is None and not self._begin():
                return False
            took = self._seal()
            self._sign()
            answered = self._answer()
        except BaseException:
            self.close()  # the next round begins by finding out how things stand
            raise
        return took == BATCH or answered

    def wait(self, seconds: float) -> None:
        """Until somebody asks something of the notary, or for so long."""
        if self._desk is not None:
            self._desk.wait(seconds)

    @property
    def at_work(self) -> bool:
        """Whether this is the one notary, and found everything in order."""
        return self._book is not None

    def close(self) -> None:
        """Lets witness and place go; a later round takes them again."""
        book, desk, self._book, self._desk = self._book, self._desk, None, None
        if book is not None:
            book.close()
        self._witness.close()
        if desk is not None:
            desk.close()

    # --- how things stand ---------------------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Brings witness, database and notebook together; False when another has the place."""
        if self._desk is None:
            self._desk = store_log.Desk(self._sessions)
        if not self._desk.held or not self._witness.take():
            self.close()
            return False
        self._book = book = Notebook(self._witness.folder)
        with self._sessions.transaction() as session:
            size, newest = store_log.size_of(session), store_log.newest_head(session)
        self._compare(size, newest)
        last = self._witness.last
        if last is not None and book.edge.size == last.size and book.edge.root() != last.root:
            book.forget()  # it is of another log
        self._catch_up(size)
        self._compare_edge(size)
        self._settle_doubts()
        self._announce_key()
        self._publish_missing(newest)
        return True

    def _compare(self, size: int, newest: Head | None) -> None:
        """What the database shows against what was signed."""
        last = self._witness.last
        if newest is not None:
            if last is None or last.size < newest.size:
                raise Disagreement("head_without_witness")
            if self._witness.head_of(newest.size) != newest:
                raise Disagreement("other_head")
        if size < (last.size if last is not None else 0) or size < self._notes.edge.size:
            raise Disagreement("leaves_missing")

    def _catch_up(self, size: int) -> None:
        """Notes the leaves that the notebook does not know, each made out anew from its entry; at each size that was
        signed, the root has to be the one that was."""
        book = self._notes
        if book.edge.size < size:
            log.info("notebook behind", extra={"count": size - book.edge.size})
        heads = self._witness.heads(book.edge.size)
        try:
            for head in heads:
                book.begin()
                self._note_up_to(head.size)
                if book.edge.root() != head.root:
                    raise Disagreement("other_root")
                book.keep()
            book.begin()
            self._note_up_to(size)
            book.keep()
        except Disagreement:
            book.forget()
            raise

    def _compare_edge(self, size: int) -> None:
        """The root as the database's own nodes and newest leaves make it."""
        with self._sessions.transaction() as session:
            kept = store_log.hashes_at(session, kept_places([(0, size)]))
        try:
            same = root_of((0, size), kept.__getitem__) == self._notes.edge.root()
        except KeyError:
            same = False
        if not same:
            raise Disagreement("other_leaves")

    def _note_up_to(self, size: int) -> None:
        book = self._notes
        while book.edge.size < size:
            rows = self._looked_at(book.edge.size, min(book.edge.size + CHUNK, size))
            book.note([bytes(row["hash"]) for row in rows], [row["of_record"] for row in rows])

    def _looked_at(self, first: int, end: int) -> list[Any]:
        """These leaves, each held against its entry; where the contents are gone, there is nothing to hold it against.

        Raises Disagreement.
        """
        with self._sessions.transaction() as session:
            rows = store_log.sealed(session, first, end)
        if [row["position"] for row in rows] != list(range(first, end)):
            raise Disagreement("leaves_missing")
        for row in rows:
            if row["trace_id"] is None:
                # a destruction takes the record's name off the leaf too; of the archive the export of the log tells
                if row["of_record"] is not None and not row["archived"]:
                    raise Disagreement("contents_missing")
                continue
            if leaf_hash(line(row)) != bytes(row["hash"]) or row["record_id"] != row["of_record"]:
                raise Disagreement("other_entry")
        return rows

    # --- going through what is there ----------------------------------------------------------------------------------

    def patrol(self) -> None:
        """Looks at a little more of the log, from the first entry to the last and then again: for idle moments.

        Raises Disagreement when something is not as it was signed; from then on nothing is signed until all of it is.
        """
        if self._book is None or (self._gone_through.size == 0 and time.monotonic() < self._next_patrol):
            return
        try:
            self._go_on(PATROLLED)
        except Disagreement as found:
            self._book.doubt(found.code)
            self.close()
            raise

    def _settle_doubts(self) -> None:
        """Where the log was found bent, all of it is looked at before anything is signed again."""
        self._gone_through = CompactRange()
        if self._notes.doubted:
            while not self._go_on(CHUNK):
                pass
            self._notes.trust()
            log.warning("the database is what was signed again")

    def _go_on(self, count: int) -> bool:
        """Looks at the next leaves; True when these were the last, and they all make the root that they have to."""
        whole, done = self._notes.edge, self._gone_through
        rows = self._looked_at(done.size, min(done.size + count, whole.size))
        done.extend([bytes(row["hash"]) for row in rows])
        if done.size < whole.size:
            return False
        if done.root() != whole.root():
            raise Disagreement("other_leaves")
        self._gone_through, self._next_patrol = CompactRange(), time.monotonic() + PATROL_EVERY
        return True

    def _announce_key(self) -> None:
        """Notes that this key signs from now on, where the witness does not say so yet."""
        known = self._witness.keys
        if not known or known[-1].key_id != self._key.id:
            self._witness.append_key(Key(self._key.id, self._key.public, self._last_size(), now()))
        with self._sessions.transaction() as session:
            for key in self._witness.keys:
                store_log.add_key(session, key)

    def _publish_missing(self, newest: Head | None) -> None:
        """Heads that were signed just before an end, and that nobody was told of."""
        for head in self._witness.heads(newest.size if newest is not None else 0):
            self._publish(head)

    # --- a round ------------------------------------------------------------------------------------------------------

    def _seal(self) -> int:
        """Gives the entries that wait their places; says how many."""
        book = self._notes
        try:
            with self._sessions.transaction() as session:
                if store_log.size_of(session) != book.edge.size:
                    raise Disagreement("leaves_differ")
                rows = store_log.take(session, BATCH)
                there = [row for row in rows if row["trace_id"] is not None]
                if there:
                    self._append(session, there)
        except store_log.Repeated:
            with self._sessions.transaction() as session:
                count = store_log.drop_repeated_arrivals(session)
            log.critical("entries announced again", extra={"count": count})
            raise
        if there:
            book.keep()
            self._received = max(row["received_at"] for row in there)
            self._waited = max(self._waited, now() - min(row["received_at"] for row in there))
        if len(there) < len(rows):
            log.critical("entries announced that are not there", extra={"count": len(rows) - len(there)})
        return len(rows)

    def _append(self, session: Any, rows: Sequence[Any]) -> None:
        book = self._notes
        first = book.edge.size
        leaves = [leaf_hash(line(row)) for row in rows]
        record_ids = [row["record_id"] for row in rows]
        book.begin()
        nodes = book.note(leaves, record_ids)
        store_log.append(session, first, leaves, [row["trace_id"] for row in rows], record_ids, nodes)

    def _sign(self) -> None:
        """Signs the head over all leaves, where that was not done yet."""
        edge = self._notes.edge
        if edge.size == self._last_size():
            return
        root, at = edge.root(), self._moment()
        head = Head(edge.size, root, at, self._key.id, self._key.sign(head_text(edge.size, root, at)))
        self._witness.append(head)
        self._publish(head)

    def _moment(self) -> datetime:
        """When a head is signed: not before the one before it, nor before what it is over was received, as far as
        clocks may differ."""
        at = now()
        if self._witness.last is not None:
            at = max(at, self._witness.last.at)
        if self._received is not None:
            at = max(at, min(self._received, now() + timedelta(seconds=DRIFT)))
        return at

    def _publish(self, head: Head) -> None:
        with self._sessions.transaction() as session:
            if store_log.add_head(session, head):
                emit(session, TreeHeadSigned(head.size, base64(head.root), moment(head.at), head.key_id,
                                             base64(head.signature)))  # fmt: skip
            elif store_log.head_of(session, head.size) != head:
                raise Disagreement("other_head")

    def _answer(self) -> bool:
        """Answers what is asked about histories, now that everything that waited has its place."""
        with self._sessions.transaction() as session:
            asked = store_attestations.open_ones(session, ASKED)
        answered = False
        for question in asked:
            with self._sessions.transaction() as session:
                answered |= attesting.answer(session, question, self._witness.last, self._notes.chains, self._key)
        return answered

    def tell(self) -> None:
        """Logs how big the log is and how long an entry waited for its seal at most, since it was told last."""
        log.info("sealed", extra={"count": self._notes.edge.size, "ms": int(self._waited.total_seconds() * 1000)})
        self._waited = timedelta(0)

    @property
    def _notes(self) -> Notebook:
        assert self._book is not None
        return self._book

    def _last_size(self) -> int:
        return self._witness.last.size if self._witness.last is not None else 0
