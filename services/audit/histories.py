"""The three histories of a record: who came, what each person did day by day, and what was changed [seed 002]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules, rules_histories, store, store_histories
from services.audit.archiving import bring_back
from services.audit.contract import EXPORT_LIMIT, AccessHistory, AccessTraced, Chronology, HistoryKind, traced
from services.bus import Service, emit, rpc
from services.db import now
from services.dossier.contract import AUTHOR_RULE, NOBODY, AccessScope, RecordClosed, RecordNotFound
from services.refusals import Refusal
from services.tokens import Caller

REFERRING = "referring_physician"


@dataclass(frozen=True)
class Reader:
    """Somebody who reads a record's history, and how much of it."""

    caller: Caller
    record_id: str
    scope: AccessScope
    view: rules.View

    @property
    def eyes(self) -> dict[str, Any]:
        """What the queries are told of who reads; the scope too, unless the reader may see all that is not hidden."""
        return {
            "of_professional": self.caller.professional_id if self.view == "own" else None,
            "without": rules.left_out(self.view, may_see_withheld=self.scope.may_see_withheld),
            "scope": None if self.view == "record" else self.scope,
        }

    def tells_count(self, row: store.Row) -> bool:
        """Whether an entry says to this reader how much its answer showed."""
        return rules.tells_count(
            row.action, self.view, own=row.account_id == self.caller.account_id,
            of_holder_side=row.capacity == "patient", may_see_withheld=self.scope.may_see_withheld,
        )  # fmt: skip


class Histories(Service):
    """The entrypoints of the histories."""

    dossier: Any  # the service's way to dossier

    @rpc
    def access_history(
        self, caller: Caller, *, record_id: str, limit: int = 50, cursor: str | None = None, since: str | None = None,
        until: str | None = None, professional_id: str | None = None, establishment_id: str | None = None,
        object_id: str | None = None, group: str | None = None, outcome: str | None = None, ground: str | None = None,
    ) -> AccessHistory | Refusal:  # fmt: skip
        """Who did what with a record, when and on what ground: newest first, a page at a time.

        The holder side reads every entry of the record, refusals and readings of this history included; the referring
        physician all but those on documents that are hidden from them, or of which audit does not know yet whether they
        are; another professional with a ground, or with a document of theirs in the record, their own entries. While
        another record leads to this one, its entries are among them.
        since, until: ISO days in UTC, the last one included. group: of rules_catalogue.GROUPS. The rest: as in entries.

        Each reading leaves one trace itself, also a refused one. Entries about a document that is hidden from who
        reads are left out, and come back with it; how many documents or entries somebody else's answer showed, some
        of them perhaps hidden, is not told [L14 16(5), L14 13].
        Refuses: RecordNotFound (unknown, or nothing lets the caller in), RecordClosed (to its holder alone),
        InvalidInput (cursor, limit, and whatever narrows it). [RGD 8; seed 002, historique des accès]
        """
        most, after = rules.require_limit(limit), rules.require_position(cursor)
        wanted = rules_histories.read_wanted(
            since=since, until=until, professional_id=professional_id, establishment_id=establishment_id,
            object_id=object_id, group=group, outcome=outcome, ground=ground,
        )  # fmt: skip
        return self._page(caller, record_id, "access_history", most, after, wanted)

    @rpc
    def activity_history(
        self, caller: Caller, *, record_id: str, limit: int = 50, cursor: str | None = None, since: str | None = None,
        until: str | None = None, professional_id: str | None = None, establishment_id: str | None = None,
        object_id: str | None = None, group: str | None = None, ground: str | None = None,
    ) -> AccessHistory | Refusal:  # fmt: skip
        """What changed a record's documents, who sees them, and its settings: the same entries without those that only
        read, searched or were refused.

        Refuses: as `access_history`. [RGD 8; seed 002, historique des activités]
        """
        most, after = rules.require_limit(limit), rules.require_position(cursor)
        wanted = rules_histories.read_wanted(
            since=since, until=until, professional_id=professional_id, establishment_id=establishment_id,
            object_id=object_id, group=group, ground=ground,
        )  # fmt: skip
        return self._page(
            caller, record_id, "activity_history", most, after, rules_histories.changes_alone(wanted)
        )  # fmt: skip

    @rpc
    def chronology(
        self, caller: Caller, *, record_id: str, limit: int = 10, cursor: str | None = None, since: str | None = None,
        until: str | None = None, professional_id: str | None = None, establishment_id: str | None = None,
        group: str | None = None, outcome: str | None = None, ground: str | None = None,
    ) -> Chronology | Refusal:  # fmt: skip
        """The same entries by person over time: a line for each day on which somebody did something with the record.

        limit: how many days with something in them, 1 to 31, in UTC. cursor: `next_cursor` of the page before. Nothing
        is counted that the reader is not shown.

        Refuses: as `access_history`. [RGD 8; seed 002, chronologie des accès]
        """
        days, before = rules_histories.require_days(limit), rules_histories.require_day(cursor)
        wanted = rules_histories.read_wanted(
            since=since, until=until, professional_id=professional_id, establishment_id=establishment_id, group=group,
            outcome=outcome, ground=ground,
        )  # fmt: skip
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            reader = let_in(session, caller, record_id, scope, "chronology")
            if isinstance(reader, Refusal):
                return reader
            rows = store_histories.lines_by_day(
                session, reader.record_id, before=before, days=days, wanted=wanted, **reader.eyes
            )
            lines = rules_histories.lines(rows)
            emit(session, was_read(reader, "chronology", len(lines)))
            return {"lines": lines, "next_cursor": lines[-1]["day"] if lines and rows[0].more else None}

    @rpc
    def export_history(
        self, caller: Caller, *, record_id: str, cursor: str | None = None
    ) -> AccessHistory | Refusal:  # fmt: skip
        """The access history in big pages, for the export of a whole record: one reading, with the one trace of its
        first page.

        Refuses: as `access_history`; a later page that is refused leaves its trace too.
        """
        after = rules.require_position(cursor)
        return self._page(
            caller, record_id, "access_history", EXPORT_LIMIT, after, rules_histories.ALL, trace=after is None
        )  # fmt: skip

    def _page(
        self, caller: Caller, record_id: str, kind: HistoryKind, most: int, after: rules.Position | None,
        wanted: rules_histories.Wanted, *, trace: bool = True,
    ) -> AccessHistory | Refusal:  # fmt: skip
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            reader = let_in(session, caller, record_id, scope, kind)
            if isinstance(reader, Refusal):
                return reader
            rows = store.entries_of_record(
                session, reader.record_id, after=after, limit=most + 1, wanted=wanted, **reader.eyes
            )
            page = rows[:most]
            if trace:
                emit(session, was_read(reader, kind, len(page)))
            return {
                "entries": [store.on_wire(row, count=reader.tells_count(row)) for row in page],
                "next_cursor": rules.cursor_after(page[-1].at, page[-1].trace_id) if len(rows) > most else None,
            }

    def _scope(self, caller: Caller, record_id: str) -> AccessScope:
        """What the caller may do in the record; what cannot be an id goes the way of an unknown one."""
        return AccessScope.from_wire(self.dossier.access_scope(caller, record_id=rules.as_id(record_id) or NOBODY))


def let_in(
    session: Session, caller: Caller, record_id: str, scope: AccessScope, kind: HistoryKind,
    missing: type[Refusal] = RecordNotFound, **about: Any,
) -> Reader | Refusal:  # fmt: skip
    """Who reads, and how much; else the refusal with its trace. What the history has in the archive is there from now
    on: who wrote in the record long ago reads their own entries too.

    missing: what is said where nothing lets the caller in. about: more facts of the trace.
    """
    asked = rules.as_id(record_id) or NOBODY
    bring_back(session, asked)
    has_clause = bool(scope.clauses)
    view = rules.view_of(
        holder_side=scope.holder_side, professional=caller.professional_id is not None, has_clause=has_clause,
        author=not has_clause and scope.author_id is not None and store.has_written(session, asked, scope.author_id),
        referring=any(clause.ground == REFERRING for clause in scope.clauses),
    )  # fmt: skip
    if view in ("none", "state"):
        refusal = missing() if view == "none" else RecordClosed()
        emit(session, reading(caller, asked, kind, outcome="refused", reason=refusal.code, **about))
        return refusal
    return Reader(caller, asked, scope, view)


def was_read(reader: Reader, kind: HistoryKind, count: int | None, **about: Any) -> AccessTraced:
    """The trace of a reading, with the ground that let the reader in: the strongest clause, or having written."""
    clauses = reader.scope.clauses
    ground, rule = (clauses[0].ground, clauses[0].rule) if clauses else ("author", AUTHOR_RULE)
    return reading(reader.caller, reader.record_id, kind, ground=ground, rule=rule, count=count, **about)


def reading(
    caller: Caller, record_id: str | None, kind: HistoryKind, action: str = "log.read", **facts: Any
) -> AccessTraced:  # fmt: skip
    """The trace of one reading of a history, or of what else is done with one."""
    return traced(caller, action, at=now(), record_id=record_id, object_type=kind, **facts)
