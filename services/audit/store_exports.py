"""The queries of exports: a record's leaves with their entries, and the log as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.audit import store
from services.audit.models import EntryRow, HiddenDocument
from services.audit.models_log import Arrival, Attestation, Leaf, Node, TreeHeadRow
from services.audit.models_retention import Destruction
from services.audit.rules_heads import Head, moment
from services.audit.rules_tree import STEP, Place

Row = Any

_ENTRY = tuple(EntryRow.__table__.columns)


def records_of(session: Session, record_id: str) -> list[str]:
    """Returns a record and those that lead to it now."""
    return sorted(session.scalars(sa.select(store.with_those_led_here(record_id).c.record_id)))


def begun(session: Session, export_id: str, record_id: str, since: datetime) -> Attestation | None:
    """Returns the export of a record that was begun under this id, unless that was before a moment."""
    row = session.get(Attestation, export_id)
    return row if row is not None and record_id in row.record_ids and row.asked_at >= since else None


def leaves_between(
    session: Session, record_ids: Collection[str], without: Sequence[str], *, after: int, size: int, limit: int
) -> list[Row]:  # fmt: skip
    """Returns leaves of records after a position in a log of that size, in order, as `log_lines` wants them.

    Of entries that are left out, as documents are hidden in these ways, nothing but the position is told.
    """
    left_out = store.tells_of(without) if without else sa.false()
    leaves = (
        sa.select(Leaf.position, Leaf.hash, Leaf.trace_id.label("arrived"), Leaf.record_id.label("of_record"))
        .where(Leaf.record_id.in_(record_ids), Leaf.position > after, Leaf.position < size)
        .order_by(Leaf.position).limit(limit).cte("leaves_here").prefix_with("materialized")
    )  # fmt: skip
    query = (
        sa.select(leaves.c.position, leaves.c.hash, leaves.c.of_record, *_ENTRY)
        .select_from(leaves.outerjoin(EntryRow, (EntryRow.trace_id == leaves.c.arrived) & ~left_out))
        .order_by(leaves.c.position)
    )  # fmt: skip
    return list(session.execute(query).mappings())


WIDTH = 1 << STEP
_LEAVES_IN = sa.text(
    "select l.position, l.hash from unnest(cast(:firsts as bigint[])) as f(first)"
    " join leaves l on l.position >= f.first and l.position < f.first + :width"
)
_NODES_IN = sa.text(
    "select n.level, n.number, n.hash"
    " from unnest(cast(:levels as integer[]), cast(:firsts as bigint[])) as f(level, first)"
    " join nodes n on n.level = f.level and n.number >= f.first and n.number < f.first + :width"
)


def hashes_in(session: Session, places: Collection[Place]) -> dict[Place, bytes]:
    """Returns the hashes of leaves and kept nodes, and of others beside them: whole stretches of what the database has
    side by side, since nearly all of each is wanted."""
    firsts = sorted({(level, number >> STEP << STEP) for level, number in places})
    leaves = session.execute(_LEAVES_IN, {"firsts": [one for level, one in firsts if not level], "width": WIDTH})
    found = {(0, position): bytes(made) for position, made in leaves}
    above = [(level, first) for level, first in firsts if level > 0]
    if above:
        levels, numbers = map(list, zip(*above, strict=True))
        nodes = session.execute(_NODES_IN, {"levels": levels, "firsts": numbers, "width": WIDTH})
        found.update({(level, number): bytes(made) for level, number, made in nodes})
    return found


def size_of(session: Session) -> int:
    """Returns how many leaves the log has."""
    return int(session.scalar(sa.select(sa.func.coalesce(sa.func.max(Leaf.position) + 1, 0))) or 0)


def nodes_of(session: Session, first: int, end: int) -> dict[tuple[int, int], bytes]:
    """Returns the kept nodes that become whole with the leaves from one position to before another."""
    of_levels = [
        (Node.level == level) & (Node.number >= first >> level) & (Node.number < end >> level)
        for level in range(STEP, 41, STEP)
    ]
    rows = session.execute(sa.select(Node.level, Node.number, Node.hash).where(sa.or_(*of_levels)))
    return {(level, number): bytes(made) for level, number, made in rows}


def heads_of(session: Session, first: int, end: int) -> dict[int, Any]:
    """Returns the heads over more leaves than the first and up to the second, as lines of the witness."""
    rows = session.scalars(sa.select(TreeHeadRow).where(TreeHeadRow.size > first, TreeHeadRow.size <= end))
    return {
        row.size: Head(row.size, bytes(row.root), row.at, row.key_id, bytes(row.signature)).as_line() for row in rows
    }


def destructions(session: Session) -> Iterator[dict[str, Any]]:
    """Gives what each destruction says, and when it was."""
    rows = sa.select(Destruction).order_by(Destruction.at, Destruction.digest)
    for row in session.scalars(rows):
        yield {"said": row.said, "at": moment(row.at)}


def hidden(session: Session) -> Iterator[dict[str, Any]]:
    """Gives the times in which documents were hidden, and whether any entry about the document is left."""
    left = sa.exists().where(EntryRow.object_id == HiddenDocument.document_id)
    for row, known in session.execute(sa.select(HiddenDocument, left)):
        until = None if row.until is None else moment(row.until)
        told = {"document_id": row.document_id, "kind": row.kind, "since": moment(row.since), "until": until}
        yield {**told, "known": known}


def unsealed(session: Session) -> Iterator[str]:
    """Gives the entries that have no place in the log and do not wait for one either."""
    sealed = sa.exists().where(Leaf.trace_id == EntryRow.trace_id)
    waits = sa.exists().where(Arrival.trace_id == EntryRow.trace_id)
    yield from session.scalars(sa.select(EntryRow.trace_id).where(~sealed, ~waits))


def freeze(session: Session) -> None:
    """From here on the transaction sees the database as it is now, and only reads."""
    session.execute(sa.text("set transaction isolation level repeatable read read only"))
