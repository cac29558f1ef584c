"""Every query of audit. Entries are inserted and read; there is no other verb for them."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from services.audit import store_facts
from services.audit.contract import AccessTraced, Entry
from services.audit.models import EntryRow, HiddenDocument, Id, RecordMove
from services.audit.models_facts import DocumentFact
from services.audit.rules import Position, as_id
from services.audit.rules_histories import ALL, Wanted, kept_from_readers
from services.audit.rules_search import first_id_at
from services.db import rfc3339
from services.dossier.contract import AccessScope
from services.rpc import dumps
from services.words import say_last

Row = Any  # a row of one of the queries below, read by column name

IDS = ("account_id", "patient_id", "professional_id", "establishment_id", "record_id", "object_id", "session_id")
# Most of what audit does is this one statement, and all of it that waits goes in one: a text that the database takes
# apart by itself costs less than so many parameters.
_TOLD = {
    column.name: column.type.compile(postgresql.dialect())
    for column in EntryRow.__table__.columns
    if column.name not in ("received_at", "salt")
}
_KEEP = f"""
    select pg_advisory_xact_lock_shared(hashtext('entries'));
    insert into entries ({', '.join(_TOLD)}, received_at) select {', '.join(_TOLD)}, :received_at
      from json_to_recordset(cast(:told as json)) as told ({', '.join(f'{n} {kind}' for n, kind in _TOLD.items())})
        on conflict (trace_id) do nothing
"""  # noqa: S608 (columns)
# Until whoever is keeping traces has kept them: the first of two may be among theirs.
_WAIT = sa.text("select pg_advisory_xact_lock(hashtext('entries'))")
DIED_BEFORE = timedelta(minutes=5)  # how long before a request is done again somebody may have died over it
# The same of the same request, or what it did then: done once more, what is done is refused. Ids are made of times, so
# those of that time alone are read.
_KEEP_NEW = _KEEP.replace(
    "on conflict",
    """where not exists (
        select from entries e where e.trace_id >= cast(:since as uuid)
           and (e.request_id, e.action, e.source) = (told.request_id, told.action, told.source)
           and (e.outcome = 'allowed' or e.reason is not distinct from told.reason)
           and (e.record_id, e.object_id, e.account_id, e.professional_id, e.session_id)
             is not distinct from (told.record_id, told.object_id, told.account_id, told.professional_id,
                                   told.session_id)
           and coalesce(told.object_type, e.object_type) is not distinct from e.object_type) on conflict""",
)
_SPELT_AS_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_SHOWN = (
    EntryRow.trace_id, EntryRow.at, EntryRow.action, EntryRow.account_id, EntryRow.capacity, EntryRow.professional_id,
    EntryRow.patient_id, EntryRow.profession, EntryRow.establishment_id, EntryRow.record_id, EntryRow.object_id,
    EntryRow.object_type, EntryRow.ground, EntryRow.rule, EntryRow.outcome, EntryRow.reason, EntryRow.software,
    EntryRow.request_id, EntryRow.count, EntryRow.purpose, EntryRow.source,
)  # fmt: skip


def insert_entries(session: Session, told: Sequence[tuple[AccessTraced, str]], at: datetime) -> None:
    """Keeps traces with the commit of this transaction, each with its emitter; the same trace again changes nothing.

    What somebody asked for under an impossible id is kept without the id: losing the entry would be worse. A
    redelivered request's is kept where the same of that request is not kept yet: what was done once has one entry.
    """
    # In the order of their ids: two who keep the same ones at once wait for each other in one direction only.
    values = sorted((_values(trace, source) for trace, source in told), key=lambda value: str(value["trace_id"]))
    again = [value for value in values if "redelivered" in value]
    if not again:
        say_last(session, _KEEP, told=dumps(values).decode(), received_at=at)
        return
    session.execute(_WAIT)
    first = [value for value in values if "redelivered" not in value]
    session.execute(sa.text(_KEEP), {"told": dumps(first).decode(), "received_at": at})
    for value in again:  # one by one: a request may be handed out a third time
        since = first_id_at(datetime.fromisoformat(value["at"]) - DIED_BEFORE)
        told_once = {"told": dumps([value]).decode(), "since": since, "received_at": at}
        session.execute(sa.text(_KEEP_NEW), told_once)


def _values(trace: AccessTraced, source: str) -> dict[str, Any]:
    values = {name: value for name, value in vars(trace).items() if value is not None}
    for name in IDS:
        value = values.get(name)
        if value is not None and not (isinstance(value, str) and _SPELT_AS_IDS(value)):
            values[name] = as_id(value)
    values["source"] = source
    if "digest" in values:
        values["digest"] = rf"\x{values['digest']}"  # as the database reads bytes
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


def tells_of(kinds: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether an entry would tell of a document that is hidden in one of these ways.

    All entries about it would, older ones too, and also while the news of its hiding waits to be read. The entry of the
    hiding itself may come before the news of it, so it waits until a time is known that it lies in, and that is over.
    """
    times = HiddenDocument.__table__.c
    of_it = (times.document_id == EntryRow.object_id) & times.kind.in_(kinds)
    over = of_it & (times.since <= EntryRow.at) & (times.until >= EntryRow.at)
    hiding = EntryRow.action.in_([f"document.{kind}" for kind in kinds]) & (EntryRow.outcome == "allowed")
    told = store_facts.unread([store_facts.HIDING[kind] for kind in kinds])
    waits = EntryRow.object_id.is_not(None) & EntryRow.object_id.in_(told)
    return sa.exists().where(of_it, times.until.is_(None)) | (hiding & ~sa.exists().where(over)) | waits


def with_those_led_here(record_id: str) -> sa.CTE:
    """A record and the records that lead to it now, through others too."""
    here = sa.select(sa.literal(record_id, Id).label("record_id")).cte("here", recursive=True)
    return here.union(sa.select(RecordMove.record_id).join(here, RecordMove.leads_to == here.c.record_id))


def shown(
    of_professional: str | None, without: Sequence[str], scope: AccessScope | None
) -> list[sa.ColumnElement[bool]]:  # fmt: skip
    """What an entry must be for a reader to be shown it, as WHERE clauses over `entries`.

    of_professional: of this one alone. without: the kinds of hidden documents whose entries are left out. scope: of who
    reads the entries of others too, but not those on documents that it does not let through.

    Nobody's own refused tries on a thing by its id are in a professional's view: an id that lies in this record would
    leave a line here and an unknown one none, which tells what is hidden.
    """
    blind_try = (EntryRow.outcome == "refused") & EntryRow.object_id.is_not(None)
    clauses = [~tells_of(without)] if without else []
    if of_professional is not None:
        return [*clauses, EntryRow.professional_id == of_professional, ~blind_try]
    if scope is not None:
        own = EntryRow.professional_id.is_not_distinct_from(scope.reader_id)
        on_document = EntryRow.object_type.is_not_distinct_from("document") & EntryRow.object_id.is_not(None)
        others = EntryRow.action.not_in(kept_from_readers()) & ~(own & blind_try)
        seen = store_facts.visible(scope, cast(sa.ColumnElement[Any], EntryRow.object_id))
        clauses.append((own & ~blind_try) | sa.case((on_document, seen), else_=others))
    return clauses


def asked_for(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """What an entry must be to be among those wanted."""
    entry = EntryRow
    same = {
        "professional_id": entry.professional_id, "establishment_id": entry.establishment_id,
        "object_id": entry.object_id, "outcome": entry.outcome, "ground": entry.ground,
    }  # fmt: skip
    clauses: list[sa.ColumnElement[bool]] = [
        column == getattr(wanted, name) for name, column in same.items() if getattr(wanted, name) is not None
    ]
    if wanted.actions is not None:
        clauses.append(entry.action == sa.any_(sa.literal(sorted(wanted.actions), ARRAY(sa.Text))))
    if wanted.since is not None:
        clauses.append(entry.at >= wanted.since)
    if wanted.before is not None:
        clauses.append(entry.at < wanted.before)
    return clauses


def entries_of_record(
    session: Session, record_id: str, *, of_professional: str | None, after: Position | None, limit: int,
    without: Sequence[str] = (), scope: AccessScope | None = None, wanted: Wanted = ALL,
    also: Sequence[sa.ColumnElement[bool]] = (),
) -> Sequence[Row]:  # fmt: skip
    """Returns a record's entries after a place, newest first, each with the type of the document it is about.

    of_professional, without, scope: as `shown`; where a scope is given, of no document that it does not let through is
    the type told. also: what else they must be.

    With them those of the records that lead to it: each is read in the order of its index, no further than the page
    reaches, so that a history of two costs what two pages do.
    """
    here = with_those_led_here(record_id)
    query = sa.select(*_SHOWN).where(
        EntryRow.record_id == here.c.record_id, *shown(of_professional, without, scope), *asked_for(wanted), *also
    )
    if after is not None:
        query = query.where(sa.tuple_(EntryRow.at, EntryRow.trace_id) < sa.tuple_(*after))
    of_each = query.order_by(EntryRow.at.desc(), EntryRow.trace_id.desc()).limit(limit).correlate(here).lateral("each")
    newest = (of_each.c.at.desc(), of_each.c.trace_id.desc())
    page = sa.select(of_each).select_from(here.join(of_each, sa.true())).order_by(*newest).limit(limit).subquery("page")
    kind: sa.ColumnElement[Any] = sa.select(DocumentFact.type).where(
        DocumentFact.document_id == page.c.object_id
    ).scalar_subquery()  # fmt: skip
    if scope is not None:
        kind = sa.case((store_facts.visible(scope, page.c.object_id), kind))
    told = sa.select(page, kind.label("document_type")).order_by(page.c.at.desc(), page.c.trace_id.desc())
    return session.execute(told).all()


def has_written(session: Session, record_id: str, professional_id: str) -> bool:
    """True when this professional's deposit in this record, or in one that leads to it, is on file."""
    here = with_those_led_here(record_id)
    written = sa.exists().where(
        EntryRow.record_id == here.c.record_id,
        EntryRow.professional_id == professional_id,
        EntryRow.action == "document.created",
        EntryRow.outcome == "allowed",
    )
    return bool(session.scalar(sa.select(written)))


def on_wire(row: Row, *, count: bool) -> Entry:
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
        "document_type": row.document_type,
        "ground": row.ground,
        "rule": row.rule,
        "outcome": row.outcome,
        "reason": row.reason,
        "software": row.software,
        "request_id": row.request_id,
        "count": row.count if count else None,
    }
