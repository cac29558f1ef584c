"""Every query of finding without words: a narrowed list, the tree, what is new to somebody; all over `visible`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.documents import store, store_binders, store_visits
from services.documents.models import documents
from services.documents.models_reading import readings
from services.documents.rules import Position, Scope
from services.documents.rules_finding import EVERYTHING, HOLDER, Place, Wanted
from services.tokens import Caller

Row = Any

_ACTED = sa.func.coalesce(
    documents.c.act_date, sa.cast(sa.func.timezone("UTC", documents.c.deposited_at), sa.Date), type_=sa.Date
)
"""The day of the act, or of the deposit where none was told."""


def page(
    session: Session, caller: Caller, scope: Scope, record_id: str, wanted: Wanted, after: Place | None, limit: int,
    at: datetime,
) -> Sequence[Row]:  # fmt: skip
    """The first visible documents of a record that fit, after a place, one more than `limit` when there are more.

    Beside each: `new`, whether it came after the caller's last visit, and `since`, when that was, as seen at a moment.
    """
    since = store_visits.since(caller, record_id, at)
    new = store_visits.new_since(caller, since)
    beside = (new.label("new"), since.label("since"))
    if wanted == EVERYTHING:
        place = None if after is None else Position(after.deposited_at, after.document_id)
        return store.page(session, scope, record_id, place, limit, beside=beside)
    order = [documents.c.deposited_at, documents.c.document_id]
    last: list[Any] = [] if after is None else [after.deposited_at, after.document_id]
    if wanted.order == "acted":
        order.insert(0, _ACTED)
        last = last and [after and after.day, *last]
    query = store.shown(scope, record_id).add_columns(_ACTED.label("acted")).where(*narrowing(caller, wanted))
    query = query.order_by(*(column.desc() for column in order)).limit(limit + 1).add_columns(*beside)
    if wanted.new_since_visit:
        query = query.where(new)
    if last:
        query = query.where(sa.tuple_(*order) < sa.tuple_(*(sa.literal(value) for value in last)))
    return session.execute(query).all()


def narrowing(caller: Caller, wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """What is wanted, as WHERE clauses over `documents`; each only where it was said."""
    column = documents.c
    said = {column.type: wanted.type, column.category: wanted.category, column.folder: wanted.folder,
            column.level: wanted.level}  # fmt: skip
    found: list[sa.ColumnElement[bool]] = [of == value for of, value in said.items() if value is not None]
    if wanted.acted_from is not None:
        found.append(wanted.acted_from <= _ACTED)
    if wanted.acted_until is not None:
        found.append(wanted.acted_until >= _ACTED)
    if wanted.author == HOLDER:
        found.append(column.author_kind == HOLDER)
    elif wanted.author is not None:
        found.append(column.author_id == wanted.author)
    if wanted.new_to_me:
        found.append(_new_to(caller))
    if wanted.binder_id is not None:
        found.append(store_binders.in_binder(caller, wanted.binder_id))
    return found


def _new_to(caller: Caller) -> sa.ColumnElement[bool]:
    """What this reader, in this capacity, has never opened and did not deposit themselves."""
    opened = sa.exists().where(
        readings.c.account_id == caller.account_id, readings.c.capacity == caller.capacity,
        readings.c.document_id == documents.c.document_id,
    )  # fmt: skip
    return documents.c.account_id.is_distinct_from(caller.account_id) & ~opened


def tree(session: Session, scope: Scope, record_id: str) -> Sequence[Row]:
    """How many visible documents a record has in each folder, by type."""
    return session.execute(
        sa.select(documents.c.folder, documents.c.type, sa.func.count().label("number"))
        .where(store.visible(scope, record_id)).group_by(documents.c.folder, documents.c.type)
    ).all()  # fmt: skip


def note_opened(session: Session, caller: Caller, document_id: str, at: datetime) -> None:
    """Notes that a reader has opened a document: from now on it is not new to them."""
    first = insert(readings).values(
        account_id=caller.account_id, capacity=caller.capacity, document_id=document_id, at=at
    )
    session.execute(first.on_conflict_do_nothing())
