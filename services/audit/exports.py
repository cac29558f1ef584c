"""The export of a history: begun under a caller's rights and traced once, then given piece by piece.

Each piece is asked for under the same rights again; what the notary stated of the history is held against what may be
shown at the end, so that nothing of what was hidden meanwhile passes for whole.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules, rules_exports, rules_histories, store_attestations, store_exports, store_log
from services.audit.contract import EXPORT_LIMIT, AccessHistory
from services.audit.contract_exports import (
    LINES_PAGE,
    BegunHistoryExport,
    HistoryLines,
    HistoryStatement,
    HistoryUnattested,
)
from services.audit.histories import Reader, let_in, reading, was_read
from services.audit.rules_tree import kept_places, root_of
from services.bus import Service, emit, rpc
from services.db import now, rfc3339
from services.dossier.contract import NOBODY, AccessScope
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

KIND = "access_history"
EXPORTED = "log.exported"
LONGEST = timedelta(days=1)  # that the pieces of one export may be asked for


class HistoryExports(Service):
    """The entrypoints of exports of a history."""

    dossier: Any  # the service's way to dossier
    _scope: Any  # what a caller may do in a record
    _page: Any  # a page of a history

    @rpc
    def begin_history_export(self, caller: Caller, *, record_id: str) -> BegunHistoryExport | Refusal:
        """Begins the export of a whole access history, asks the notary about it, and leaves its one trace.

        By the holder side alone. Refuses: as `access_history`; NotAllowed where only a part of it is read.
        [RGD 8; seed 002, historique des accès]
        """
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            reader = _let_in(session, caller, record_id, scope)
            if isinstance(reader, Refusal):
                return reader
            at = now()
            records = store_exports.records_of(session, reader.record_id)
            store_attestations.forget(session, at - LONGEST)
            export_id = store_attestations.ask(session, records, reader.eyes["without"], at)
            emit(session, was_read(reader, KIND, None, action=EXPORTED, object_id=export_id))
            return {"export_id": export_id, "record_id": reader.record_id, "begun_at": rfc3339(at)}

    @rpc
    def history_statement(self, caller: Caller, *, record_id: str, export_id: str) -> HistoryStatement | Refusal | None:
        """Gives what the notary states of a history, with the head and the keys it is to be checked against; null as
        long as it has not answered. A part of the export, under its trace.

        Refuses: as `begin_history_export`, once the right has gone; HistoryUnattested.
        """
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            reader = _let_in(session, caller, record_id, scope)
            if isinstance(reader, Refusal):
                return reader
            asked = _running(session, reader, export_id)
            if asked is None or asked.refused is not None:
                return HistoryUnattested()
            return None if asked.answered_at is None else _statement(session, asked)

    @rpc
    def history_lines(self, caller: Caller, *, record_id: str, export_id: str, after: int) -> HistoryLines | Refusal:
        """Gives the lines of a history after a position; the last piece leads up to the size of the log that the
        notary's statement is about.

        after: -1 for the beginning. Refuses: as `history_statement`.
        """
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            reader = _let_in(session, caller, record_id, scope)
            if isinstance(reader, Refusal):
                return reader
            asked = _running(session, reader, export_id)
            if asked is None or asked.statement is None:
                return HistoryUnattested()
            _, size = _stated(asked)
            rows = store_exports.leaves_between(
                session, asked.record_ids, asked.without, after=after, size=size, limit=LINES_PAGE
            )
            last = rows[-1]["position"] if len(rows) == LINES_PAGE else None
            return _lines(session, rows, after + 1, size if last is None else last + 1, last)

    @rpc
    def history_page(
        self, caller: Caller, *, record_id: str, export_id: str, cursor: str | None = None
    ) -> AccessHistory | Refusal:  # fmt: skip
        """Gives a big page of the history for people, newest first; a part of a running export, under its trace.

        Refuses: as `history_statement`; InvalidInput (cursor).
        """
        after = rules.require_position(cursor)
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            reader = _let_in(session, caller, record_id, scope)
            if isinstance(reader, Refusal):
                return reader
            if _running(session, reader, export_id) is None:
                return HistoryUnattested()
        return self._page(caller, record_id, KIND, EXPORT_LIMIT, after, rules_histories.ALL, trace=False)


def _let_in(session: Session, caller: Caller, record_id: str, scope: AccessScope) -> Reader | Refusal:
    reader = let_in(session, caller, record_id, scope, KIND, action=EXPORTED)
    if isinstance(reader, Refusal) or reader.view == "record":
        return reader
    refusal = NotAllowed()
    emit(session, reading(caller, reader.record_id, KIND, action=EXPORTED, outcome="refused", reason=refusal.code))
    return refusal


def _running(session: Session, reader: Reader, export_id: str) -> Any | None:
    """A begun export, as long as what may be shown is still decided in the same way."""
    asked = store_exports.begun(session, rules.as_id(export_id) or NOBODY, reader.record_id, now() - LONGEST)
    if asked is None or list(asked.without) != sorted(reader.eyes["without"]):
        return None
    return asked if asked.record_ids == store_exports.records_of(session, reader.record_id) else None


def _statement(session: Session, asked: Any) -> HistoryStatement | Refusal:
    count, size = _stated(asked)
    head = store_log.head_of(session, size)
    if head is None:
        return HistoryUnattested()
    keys = [key.as_line() for key in store_log.keys(session)]
    header = rules_exports.history_header(
        asked.record_ids, head=head.as_line(), keys=keys, statement=asked.statement, key_id=asked.key_id,
        signature=asked.signature, at=asked.asked_at,
    )  # fmt: skip
    return {
        "header": header, "count": count, "size": size, "statement": asked.statement, "key_id": asked.key_id,
        "signature": b64encode(asked.signature).decode(),
    }  # fmt: skip


def _stated(asked: Any) -> tuple[int, int]:
    """Of how many entries a statement is, and of which size of the log."""
    said = asked.statement.split("\n")
    return int(said[2]), int(said[4])


def _lines(session: Session, rows: list[Any], start: int, end: int, last: int | None) -> HistoryLines:
    """The lines, with the nodes over what lies between; of what is left out nothing is there but its hash in those."""
    shown = [row for row in rows if row["trace_id"] is not None]
    gaps = rules_exports.gaps(start, [row["position"] for row in shown], end)
    wanted = [place for gap in gaps for place in rules_exports.skipped(*gap)]
    spans = {place: (place[1] << place[0], (place[1] + 1) << place[0]) for place in wanted}
    kept = store_exports.hashes_in(session, kept_places(spans.values()))
    nodes = {place: root_of(span, kept.__getitem__) for place, span in spans.items()}
    return {
        "lines": list(rules_exports.history_lines(start, shown, end, nodes)), "entries": len(shown), "position": last,
    }  # fmt: skip
