"""Every query of the log: what waits for its place, the leaves and nodes, the heads and keys."""

import select
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from services.audit.models import EntryRow
from services.audit.models_log import Leaf, LogKey, Node, TreeHeadRow
from services.audit.ports.witness import Key
from services.audit.rules_heads import Head
from services.audit.rules_tree import Place
from services.db import Sessions, begun

BELL = "notary"
OWN_PLACE = "ux_leaves_trace_id"
Row = Any

_ENTRY = ", ".join(
    f"cast(e.{column.name} as text) as {column.name}" if isinstance(column.type, sa.Uuid) else f"e.{column.name}"
    for column in EntryRow.__table__.columns
)
# The places of entries are looked up one by one, in the one part of the table that each lies in: whatever is thought
# of how many wait, the table is not read through for them.
_TAKE = sa.text(
    "with taken as (delete from arrivals where arrival in"  # noqa: S608 (names of columns)
    " (select arrival from arrivals order by arrival limit :most) returning arrival, trace_id)"
    f" select cast(t.trace_id as text) as arrived, {_ENTRY} from taken t"
    " left join lateral (select * from entries where trace_id = t.trace_id offset 0) e on true order by t.arrival"
)
_LEAVES = (
    "select l.position, l.hash, cast(l.trace_id as text) as arrived, cast(l.record_id as text) as of_record,"  # noqa: S608
    f" {_ENTRY}, case when e.trace_id is null then exists(select from archived_groups g where g.record_id = l.record_id"
    " and l.position between g.first_position and g.last_position) else false end as archived from ({these}) l"
    " left join lateral (select * from entries where trace_id = l.trace_id offset 0) e on true order by l.position"
)
_SEALED = sa.text(_LEAVES.format(these="select * from leaves where position >= :first and position < :end"))
_OF_YEAR = (
    "select * from leaves where {whose} and position between :first and :last"
    " and trace_id >= first_id_of(:year) and trace_id < first_id_of(:year + 1)"
)
_SEALED_OF_RECORD = sa.text(_LEAVES.format(these=_OF_YEAR.format(whose="record_id = cast(:record_id as uuid)")))
_SEALED_OF_NONE = sa.text(_LEAVES.format(these=_OF_YEAR.format(whose="record_id is null")))
_APPEND = sa.text(
    "insert into leaves (position, hash, trace_id, record_id)"
    " select :first + told.number - 1, substring(:hashes from (32 * (told.number - 1) + 1)::integer for 32),"
    " told.trace_id, told.record_id"
    " from unnest(cast(:trace_ids as uuid[]), cast(:record_ids as uuid[])) with ordinality"
    " as told (trace_id, record_id, number)"
)
_SIZE = sa.select(sa.func.coalesce(sa.func.max(Leaf.position) + 1, 0))


class Repeated(Exception):
    """An entry waits for its place that has one."""


class Desk:
    """The place of the one notary of a database, with a bell; on a connection of its own, and lost with it."""

    def __init__(self, sessions: Sessions) -> None:
        self._connection = sessions.engine.connect()
        self.held = bool(self._connection.scalar(sa.text("select pg_try_advisory_lock(hashtext('notary'))")))
        self._connection.execute(sa.text(f"listen {BELL}"))
        wire = self._connection.connection.driver_connection
        assert wire is not None
        self._wire = wire

    def wait(self, seconds: float) -> None:
        """Until it rings, or for so long."""
        if not self._wire.notifies:
            select.select([self._wire], [], [], seconds)
        self._wire.poll()
        self._wire.notifies.clear()

    def close(self) -> None:
        """Leaves the place, free for another when this returns; the bell goes with the connection.

        Where that is broken its end frees the place, once the database has seen it.
        """
        with suppress(SQLAlchemyError):
            self._connection.execute(sa.text("select pg_advisory_unlock_all()"))
        self._connection.invalidate()
        self._connection.close()


def size_of(session: Session) -> int:
    """Returns how many leaves there are."""
    return int(session.scalar(_SIZE) or 0)


def take(session: Session, most: int) -> list[Row]:
    """Takes the entries that have waited longest for their place, in the order they came; nobody waits for this.

    `arrived` is the trace's id; `trace_id` is null where there is no such entry.
    """
    return list(session.execute(_TAKE, {"most": most}).mappings())


def sealed(session: Session, first: int, end: int) -> list[Row]:
    """Returns the leaves of these positions with their entries; `trace_id` is null where the contents are gone, and
    `archived` true where these lie in the object store."""
    return list(session.execute(_SEALED, {"first": first, "end": end}).mappings())


def sealed_of(session: Session, record_id: str | None, first: int, last: int, year: int) -> list[Row]:
    """Returns as `sealed` the leaves of a record, or of none, between two positions, of traces of a year."""
    told = {"record_id": record_id, "first": first, "last": last, "year": year}
    return list(session.execute(_SEALED_OF_NONE if record_id is None else _SEALED_OF_RECORD, told).mappings())


def append(
    session: Session, first: int, hashes: Sequence[bytes], trace_ids: Sequence[str], record_ids: Sequence[str | None],
    nodes: Sequence[tuple[int, int, bytes]],
) -> None:  # fmt: skip
    """Writes leaves from a position on, and the nodes that became whole with them.

    Raises Repeated when an entry has its place already.
    """
    told = {"first": first, "hashes": b"".join(hashes), "trace_ids": list(trace_ids), "record_ids": list(record_ids)}
    try:
        session.execute(_APPEND, told)
    except IntegrityError as refused:
        if getattr(refused.orig, "diag", None) is not None and refused.orig.diag.constraint_name == OWN_PLACE:  # type: ignore[union-attr]
            raise Repeated from refused
        raise
    if nodes:
        rows = [{"level": level, "number": number, "hash": made} for level, number, made in nodes]
        session.execute(insert(Node), rows)


def drop_repeated_arrivals(session: Session) -> int:
    """Takes away what waits though it has its place, or waits twice: only a foreign hand writes such rows."""
    sealed = sa.text("delete from arrivals a using leaves l where l.trace_id = a.trace_id")
    twice = sa.text("delete from arrivals a using arrivals b where a.trace_id = b.trace_id and a.arrival > b.arrival")
    return sum(begun(session).execute(each).rowcount for each in (sealed, twice))


def newest_head(session: Session) -> Head | None:
    """Returns the head of the most leaves, null when none was signed yet."""
    return _as_head(session.scalar(sa.select(TreeHeadRow).order_by(TreeHeadRow.size.desc()).limit(1)))


def head_of(session: Session, size: int) -> Head | None:
    """Returns the head of exactly so many leaves."""
    return _as_head(session.get(TreeHeadRow, size))


def heads_before(session: Session, size: int | None, limit: int) -> list[Head]:
    """Returns heads of fewer leaves than these, the newest first."""
    query = sa.select(TreeHeadRow).order_by(TreeHeadRow.size.desc()).limit(limit)
    if size is not None:
        query = query.where(TreeHeadRow.size < size)
    return [made for row in session.scalars(query) if (made := _as_head(row)) is not None]


def add_head(session: Session, head: Head) -> bool:
    """Keeps a head; False when there is one of that size, the same or not."""
    row = insert(TreeHeadRow).values(**vars(head)).on_conflict_do_nothing().returning(TreeHeadRow.size)
    return session.scalar(row) is not None


def add_key(session: Session, key: Key) -> None:
    """Keeps a public key; the same again changes nothing."""
    session.execute(insert(LogKey).values(**vars(key)).on_conflict_do_nothing())


def keys(session: Session) -> list[Key]:
    """Returns the public keys, in the order they came to sign."""
    rows = session.scalars(sa.select(LogKey).order_by(LogKey.from_size, LogKey.since))
    return [Key(row.key_id, bytes(row.public_key), row.from_size, row.since) for row in rows]


def position_of(session: Session, leaf: bytes) -> int | None:
    """Returns where a leaf is in the log."""
    found: int | None = session.scalar(sa.select(Leaf.position).where(Leaf.hash == leaf))
    return found


def hashes_at(session: Session, places: Collection[Place]) -> dict[Place, bytes]:
    """Returns the hashes of leaves (level 0) and kept nodes."""
    found: dict[Place, bytes] = {}
    positions = [number for level, number in places if level == 0]
    if positions:
        rows = session.execute(sa.select(Leaf.position, Leaf.hash).where(Leaf.position.in_(positions)))
        found.update({(0, position): bytes(made) for position, made in rows})
    above = [place for place in places if place[0] > 0]
    if above:
        query = sa.select(Node.level, Node.number, Node.hash).where(sa.tuple_(Node.level, Node.number).in_(above))
        found.update({(level, number): bytes(made) for level, number, made in session.execute(query)})
    return found


def _as_head(row: TreeHeadRow | None) -> Head | None:
    if row is None:
        return None
    return Head(row.size, bytes(row.root), row.at, row.key_id, bytes(row.signature))
