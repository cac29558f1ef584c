"""Every query of audit. Entries are inserted and read; there is no other verb for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from services.audit.contract import AccessTraced, Entry
from services.audit.models import EntryRow, HiddenDocument, Id, RecordMove
from services.audit.rules import Position, as_id
from services.db import rfc3339

# Built once: most of what audit does is this one statement.
_KEEP = insert(cast(sa.Table, EntryRow.__table__)).on_conflict_do_nothing(index_elements=["trace_id"])
IDS = ("account_id", "patient_id", "professional_id", "establishment_id", "record_id", "object_id", "session_id")


def insert_entries(session: Session, told: Sequence[tuple[AccessTraced, str]], at: datetime) -> None:
    """Keeps traces, each with its emitter; the same trace again changes nothing.

    What somebody asked for under an impossible id is kept without the id: losing the entry would be worse.
    """
    session.execute(_KEEP, [_values(trace, source, at) for trace, source in told])


def _values(trace: AccessTraced, source: str, at: datetime) -> dict[str, Any]:
    values = dict(vars(trace))
    values.update({name: as_id(values[name]) for name in IDS})
    values.update(at=datetime.fromisoformat(trace.at), source=source, received_at=at)
    return values


def note_move(session: Session, record_id: str, leads_to: str | None, merge_id: str, version: int) -> None:
    """Notes where a record leads; what is older than what is known changes nothing."""
    told = {"leads_to": leads_to, "merge_id": merge_id, "version": version}
    row = insert(RecordMove).values(record_id=record_id, **told)
    session.execute(
        row.on_conflict_do_update(index_elements=["record_id"], set_=told, where=RecordMove.version < version)
    )


def note_hidden(session: Session, document_id: str, kind: str, since: datetime, until: datetime | None) -> None:
    """Notes that a document is hidden since a moment, or was until another; the two may come in any order, and again.

    kind: "blocked" or "withheld".
    """
    row = insert(HiddenDocument).values(document_id=document_id, kind=kind, since=since, until=until)
    if until is None:
        session.execute(row.on_conflict_do_nothing())
    else:
        session.execute(
            row.on_conflict_do_update(index_elements=["document_id", "kind", "since"], set_={"until": until})
        )


def _tells_of(kinds: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether an entry would tell of a document that is hidden in one of these ways.

    All entries about it would, older ones too. The entry of the hiding itself may come before the news of it, so it
    waits until a time is known that it lies in, and that is over.
    """
    times = HiddenDocument.__table__.c
    of_it = (times.document_id == EntryRow.object_id) & times.kind.in_(kinds)
    over = of_it & (times.since <= EntryRow.at) & (times.until >= EntryRow.at)
    hiding = EntryRow.action.in_([f"document.{kind}" for kind in kinds]) & (EntryRow.outcome == "allowed")
    return sa.exists().where(of_it, times.until.is_(None)) | (hiding & ~sa.exists().where(over))


def _with_those_led_here(record_id: str) -> sa.CTE:
    """A record and the records that lead to it now, through others too."""
    here = sa.select(sa.literal(record_id, Id).label("record_id")).cte("here", recursive=True)
    return here.union(sa.select(RecordMove.record_id).join(here, RecordMove.leads_to == here.c.record_id))


def entries_of_record(
    session: Session, record_id: str, *, of_professional: str | None, after: Position | None, limit: int,
    without: Sequence[str] = (),
) -> list[EntryRow]:  # fmt: skip
    """Returns a record's entries after a place, newest first; of one professional alone when given.

    without: the kinds of hidden documents whose entries are left out.

    With them those of the records that lead to it: each is read in the order of its index, no further than the page
    reaches, so that a history of two costs what two pages do.
    A professional's own refused tries on a thing by its id stay out of their view: an id that lies in this record
    would leave a line here and an unknown one none, which tells what is hidden.
    """
    here = _with_those_led_here(record_id)
    query = sa.select(EntryRow).where(EntryRow.record_id == here.c.record_id)
    if of_professional is not None:
        tells_nothing = (EntryRow.outcome == "allowed") | EntryRow.object_id.is_(None)
        query = query.where(EntryRow.professional_id == of_professional, tells_nothing)
    if without:
        query = query.where(~_tells_of(without))
    if after is not None:
        query = query.where(sa.tuple_(EntryRow.at, EntryRow.trace_id) < sa.tuple_(*after))
    of_each = query.order_by(EntryRow.at.desc(), EntryRow.trace_id.desc()).limit(limit).correlate(here).lateral("each")
    entry = aliased(EntryRow, of_each)
    page = sa.select(entry).select_from(here.join(of_each, sa.true()))
    return list(session.scalars(page.order_by(entry.at.desc(), entry.trace_id.desc()).limit(limit)))


def has_written(session: Session, record_id: str, professional_id: str) -> bool:
    """True when this professional's deposit in this record, or in one that leads to it, is on file."""
    here = _with_those_led_here(record_id)
    written = sa.exists().where(
        EntryRow.record_id == here.c.record_id,
        EntryRow.professional_id == professional_id,
        EntryRow.action == "document.created",
        EntryRow.outcome == "allowed",
    )
    return bool(session.scalar(sa.select(written)))


def on_wire(row: EntryRow, *, count: bool) -> Entry:
    """Returns an entry as it travels; count: whether it says how much its answer showed."""
    return {
        "entry_id": row.trace_id,
        "at": rfc3339(row.at),
        "action": row.action,
        "account_id": row.account_id,
        "capacity": row.capacity,
        "professional_id": row.professional_id,
        "patient_id": row.patient_id,
        "profession": row.profession,
        "establishment_id": row.establishment_id,
        "object_id": row.object_id,
        "object_type": row.object_type,
        "ground": row.ground,
        "rule": row.rule,
        "outcome": row.outcome,
        "reason": row.reason,
        "software": row.software,
        "request_id": row.request_id,
        "count": row.count if count else None,
    }
