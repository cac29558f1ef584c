"""Audit: the traces of every access and action, kept as they came.

Owns the entries and the reading of them. It never changes or removes an entry, holds no name, title or content, and
decides nothing about records: who may read a history follows from the scope that dossier gives.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules, store
from services.audit.contract import EXPORT_LIMIT, NAME, TRACE_SOURCES, AccessHistory, AccessTraced, traced
from services.audit.models import EntryRow
from services.bus import Received, Remote, Service, emit, on, rpc
from services.db import now
from services.documents.contract import DocumentBlocked, DocumentReleased, DocumentWithheld
from services.dossier.contract import (
    AUTHOR_RULE,
    NOBODY,
    AccessScope,
    RecordClosed,
    RecordNotFound,
    RecordsMerged,
    RecordsUnmerged,
)
from services.refusals import Refusal
from services.tokens import Caller


class Audit(Service):
    """The keeper of traces."""

    name = NAME
    dossier = Remote("dossier")

    @on(TRACE_SOURCES, AccessTraced, together=True)
    def on_access_traced(self, session: Session, events: Sequence[Received]) -> None:
        """Keeps each trace, once, with the emitter that the broker vouches for."""
        store.insert_entries(session, [(event.data, event.source) for event in events], now())

    @on("dossier", RecordsMerged)
    def on_records_merged(self, session: Session, event: Received) -> None:
        """From now on whoever reads the surviving record's history reads the merged one's too; no entry changes."""
        told: RecordsMerged = event.data
        store.note_move(session, told.merged_record_id, told.record_id, told.merge_id, told.version)

    @on("dossier", RecordsUnmerged)
    def on_records_unmerged(self, session: Session, event: Received) -> None:
        """Each record's history is its own again."""
        told: RecordsUnmerged = event.data
        store.note_move(session, told.merged_record_id, None, told.merge_id, told.version)

    @on("documents", DocumentBlocked, urgent=True)
    def on_document_blocked(self, session: Session, event: Received) -> None:
        """From now on the holder side reads no entry about this document."""
        told: DocumentBlocked = event.data
        store.note_hidden(session, told.document_id, "blocked", _moment(told.at), None)

    @on("documents", DocumentReleased)
    def on_document_released(self, session: Session, event: Received) -> None:
        """All entries about it are there again, with their own times."""
        told: DocumentReleased = event.data
        store.note_hidden(session, told.document_id, "blocked", _moment(told.blocked_at), _moment(told.at))

    @on("documents", DocumentWithheld, urgent=True)
    def on_document_withheld(self, session: Session, event: Received) -> None:
        """The same for the legal representatives of an autonomous minor."""
        told: DocumentWithheld = event.data
        until = None if told.withheld else _moment(told.at)
        store.note_hidden(session, told.document_id, "withheld", _moment(told.since), until)

    @rpc
    def access_history(
        self, caller: Caller, *, record_id: str, limit: int = 50, cursor: str | None = None
    ) -> AccessHistory | Refusal:
        """Who did what with a record, when and on what ground: newest first, a page at a time.

        The holder side reads every entry of the record, refusals and readings of this history included; a
        professional with a ground, or with a document of theirs in the record, reads their own entries. While another
        record leads to this one, its entries are among them.
        Each reading leaves one trace itself, also a refused one. Entries about a document that is hidden from who
        reads are left out, and come back with it; how many documents or entries somebody else's answer showed, some
        of them perhaps hidden, is not told [L14 16(5), L14 13].
        Refuses: RecordNotFound (unknown, or nothing lets the caller in), RecordClosed (to its holder alone),
        InvalidInput (cursor, limit). [RGD 8; seed 002, historique des accès]
        """
        return self._history(caller, record_id, rules.require_limit(limit), rules.require_position(cursor), trace=True)

    @rpc
    def export_history(
        self, caller: Caller, *, record_id: str, cursor: str | None = None
    ) -> AccessHistory | Refusal:  # fmt: skip
        """The same in big pages, for the export of a whole record: one reading, with the one trace of its first page.

        Refuses: as `access_history`; a later page that is refused leaves its trace too.
        """
        after = rules.require_position(cursor)
        return self._history(caller, record_id, EXPORT_LIMIT, after, trace=after is None)

    def _history(
        self, caller: Caller, record_id: str, most: int, after: rules.Position | None, *, trace: bool
    ) -> AccessHistory | Refusal:
        record_id = rules.as_id(record_id) or NOBODY  # what cannot be an id goes the way of an unknown one
        scope = AccessScope.from_wire(self.dossier.access_scope(caller, record_id=record_id))
        with self.db.transaction(caller) as session:
            author = scope.author_id is not None and store.has_written(session, record_id, scope.author_id)
            view = rules.view_of(
                holder_side=scope.holder_side,
                professional=caller.professional_id is not None,
                has_clause=bool(scope.clauses),
                author=author,
            )
            if view in ("none", "state"):
                refusal = RecordNotFound() if view == "none" else RecordClosed()
                emit(session, _reading(caller, record_id, outcome="refused", reason=refusal.code))
                return refusal
            own = caller.professional_id if view == "own" else None
            without = rules.left_out(view, may_see_withheld=scope.may_see_withheld)
            rows = store.entries_of_record(
                session, record_id, of_professional=own, after=after, limit=most + 1, without=without
            )
            page = rows[:most]
            ground, rule = _ground(scope)
            if trace:
                emit(session, _reading(caller, record_id, ground=ground, rule=rule, count=len(page)))
            more = len(rows) > most
            return {
                "entries": [store.on_wire(row, count=_tells_count(row, caller, view, scope)) for row in page],
                "next_cursor": rules.cursor_after(page[-1].at, page[-1].trace_id) if more else None,
            }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _tells_count(row: EntryRow, caller: Caller, view: rules.View, scope: AccessScope) -> bool:
    return rules.tells_count(
        row.action, view, own=row.account_id == caller.account_id, of_holder_side=row.capacity == "patient",
        may_see_withheld=scope.may_see_withheld,
    )  # fmt: skip


def _ground(scope: AccessScope) -> tuple[str, str]:
    """The ground that let the reader in: the strongest clause, or having written something."""
    if scope.clauses:
        return scope.clauses[0].ground, scope.clauses[0].rule
    return "author", AUTHOR_RULE


def _reading(caller: Caller, record_id: str, **facts: Any) -> AccessTraced:
    return traced(caller, "log.read", at=now(), record_id=record_id, object_type="access_history", **facts)
