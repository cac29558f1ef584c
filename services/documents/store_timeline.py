"""The query of documents and coded entries in the order of time; only through `visible`, and nothing unfinished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.documents import store
from services.documents.contract import RISK_FACTOR_TYPES
from services.documents.models import documents
from services.documents.models_care import entries
from services.documents.rules import Scope
from services.documents.rules_timeline import Asked, Place

Row = Any

_DEPOSITED_ON = sa.cast(sa.func.timezone("UTC", documents.c.deposited_at), sa.Date)
_UNDATED = documents.c.act_date.is_(None) | (documents.c.act_date == _DEPOSITED_ON)
_MOMENT = sa.DateTime(timezone=True)


def _begin(day: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The first moment of a day."""
    return sa.func.timezone("UTC", sa.cast(day, sa.DateTime()), type_=_MOMENT)


def _text(value: Any) -> sa.ColumnElement[str]:
    # compared as bytes, as the other source of a timeline compares
    return sa.cast(value, sa.Text).collate("C")


_KIND = sa.case((documents.c.type.in_(RISK_FACTOR_TYPES), "risk_factor"), else_="document")
_ACTED = sa.case((_UNDATED, documents.c.deposited_at), else_=_begin(documents.c.act_date))
_ENTRY_NUMBER = sa.func.lpad(sa.cast(entries.c.number, sa.Text), 5, "0")


def lines(
    session: Session, scope: Scope, record_id: str, asked: Asked, after: Place | None, most: int
) -> Sequence[Row]:
    """The last visible documents and coded entries, newest first, after a place: a document's columns with `at`,
    `line_kind`, `line_id` and `day_only`, and of an entry number, kind, display, code, system and since."""
    seen = store.shown(scope, record_id).where(documents.c.state == "available")
    seen = seen.add_columns(_ACTED.label("at"), (~_UNDATED).label("day_only"), _KIND.label("line_kind"))
    here = seen.cte("seen")
    facts = [each for each in here.c if each.name not in ("at", "day_only", "line_kind")]
    nothing = [sa.null().label(name) for name in ("entry_kind", "display", "code", "system")]
    of_documents = sa.select(
        *facts, here.c.at, here.c.day_only, _text(here.c.line_kind).label("line_kind"),
        _text(here.c.document_id).label("line_id"), sa.cast(sa.null(), sa.Integer).label("number"), *nothing,
        sa.cast(sa.null(), sa.Date).label("since"),
    )  # fmt: skip
    of_entries = sa.select(
        *facts, sa.func.coalesce(_begin(entries.c.since), here.c.at),
        here.c.day_only | entries.c.since.is_not(None), _text(sa.literal("risk_factor")),
        (sa.cast(here.c.document_id, sa.Text) + ":" + _ENTRY_NUMBER).collate("C"), entries.c.number,
        entries.c.kind, entries.c.display, entries.c.code, entries.c.system, entries.c.since,
    ).select_from(here.join(entries, entries.c.document_id == here.c.document_id))  # fmt: skip
    every = sa.union_all(of_documents, of_entries).subquery("lines")
    place = (every.c.at, every.c.line_kind, every.c.line_id)
    query = sa.select(every).where(every.c.line_kind.in_(asked.kinds))
    if asked.since is not None:
        query = query.where(every.c.at >= asked.since)
    if asked.before is not None:
        query = query.where(every.c.at < asked.before)
    if after is not None:
        last = (sa.literal(after[0], _MOMENT), _text(sa.literal(after[1])), _text(sa.literal(after[2])))
        query = query.where(sa.tuple_(*place) < sa.tuple_(*last))
    return session.execute(query.order_by(*(each.desc() for each in place)).limit(most)).all()
