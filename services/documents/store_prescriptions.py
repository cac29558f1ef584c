"""Every query of prescriptions: their lines, how much of them was dispensed, lists of them by state.

What is dispensed is decided on a prescription that is held: its document first, then itself with its lines. The
database refuses a line of which more would be given than was prescribed, whoever tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Session

from services.documents import store
from services.documents.contract import PRESCRIPTIONS
from services.documents.models import documents, uploads
from services.documents.models_care import prescription_lines as lines
from services.documents.models_care import prescriptions
from services.documents.rules import Position, Scope
from services.documents.rules_prescriptions import Given, Line, NewLine

Row = Any

# --- reading ----------------------------------------------------------------------------------------------------------

_TEXT_OF = (lines.c.text, lines.c.unit, lines.c.code, lines.c.system)
_AS_JSON = sa.func.json_build_object(
    *(part for column in (lines.c.number, *_TEXT_OF, lines.c.complete) for part in (column.name, column)),
    # as text: a decimal is no floating number
    "quantity", sa.cast(lines.c.quantity, sa.Text), "given", sa.cast(lines.c.given, sa.Text),
)  # fmt: skip
LINES = (
    sa.select(sa.func.json_agg(sa.text("json order by number")))
    .select_from(
        sa.select(lines.c.number, _AS_JSON.label("json")).where(lines.c.document_id == documents.c.document_id)
        .correlate(documents).lateral("each")
    ).scalar_subquery()
)  # fmt: skip


def page(
    session: Session, scope: Scope, record_id: str, state: str | None, today: date, after: Position | None, limit: int
) -> Sequence[Row]:
    """The newest visible prescriptions of a record in a state, one more than `limit` when there are more.

    state: as readers are told it: expired is what is not all dispensed when its last day is over.
    """
    query = _shown(scope, record_id).order_by(documents.c.deposited_at.desc(), documents.c.document_id.desc())
    expired = prescriptions.c.valid_until < today
    if state == "expired":
        query = query.where(prescriptions.c.state.in_(("open", "partial")), expired)
    elif state is not None:
        query = query.where(prescriptions.c.state == state)
        if state in ("open", "partial"):
            query = query.where(expired.is_not(True))
    if after is not None:
        place = sa.tuple_(documents.c.deposited_at, documents.c.document_id)
        query = query.where(place < sa.tuple_(sa.literal(after.deposited_at), sa.literal(after.document_id)))
    return session.execute(query.limit(limit + 1)).all()


def one(session: Session, scope: Scope, record_id: str, document_id: str) -> Row | None:
    """A visible prescription with its lines, and what the rules need of its document."""
    restricted = store.own_restricted(scope).label("restricted")
    query = _shown(scope, record_id).add_columns(restricted).where(documents.c.document_id == document_id)
    return session.execute(query).first()


def _shown(scope: Scope, record_id: str) -> sa.Select[Any]:
    return (
        store.shown(scope, record_id).add_columns(prescriptions.c.valid_until, LINES.label("lines"))
        .where(documents.c.category == PRESCRIPTIONS, prescriptions.c.document_id.is_not(None))
    )  # fmt: skip


# --- dispensing -------------------------------------------------------------------------------------------------------


def lock(session: Session, document_id: str, *, hold: bool = True) -> tuple[Row, list[Line]] | None:
    """A prescription (`state`, `valid_until`) and how its lines stand, held until the commit; None where it is none.

    Its document must be held already: then nothing of what is read here can change any more. Whoever holds it not
    holds nothing (hold=False): held the other way round, two would wait for each other.
    """
    query = (
        sa.select(
            prescriptions.c.state, prescriptions.c.valid_until, lines.c.number, lines.c.quantity, lines.c.given,
            lines.c.complete,
        )
        .join(lines, lines.c.document_id == prescriptions.c.document_id)
        .where(prescriptions.c.document_id == document_id).order_by(lines.c.number)
    )  # fmt: skip
    rows = session.execute(query.with_for_update() if hold else query).all()
    if not rows:
        return None
    return rows[0], [Line(row.number, row.quantity, row.given, row.complete) for row in rows]


_GIVE = sa.text(
    """
    update prescription_lines l
       set given = l.given + coalesce(g.quantity, 0), complete = l.quantity is null or l.given + g.quantity = l.quantity
      from unnest(:numbers, :quantities) as g (number, quantity)
     where l.document_id = :document_id and l.number = g.number and not l.complete
       and (l.quantity is null and g.quantity is null or l.given + g.quantity <= l.quantity)
    returning l.number
    """
).bindparams(sa.bindparam("numbers", type_=ARRAY(sa.Integer)), sa.bindparam("quantities", type_=ARRAY(sa.Numeric)))

_TAKE_BACK = sa.text(
    """
    update prescription_lines l set given = l.given - coalesce(g.quantity, 0), complete = false
      from unnest(:numbers, :quantities) as g (number, quantity)
     where l.document_id = :document_id and l.number = g.number
    returning l.number
    """
).bindparams(sa.bindparam("numbers", type_=ARRAY(sa.Integer)), sa.bindparam("quantities", type_=ARRAY(sa.Numeric)))


def give(session: Session, document_id: str, given: Sequence[Given], state: str) -> None:
    """Writes what is given of each line, and the state of the whole; never more than is left of one."""
    _each(session, _GIVE, document_id, given, state)


def take_back(session: Session, document_id: str, given: Sequence[Given], state: str) -> None:
    """Gives quantities back to the lines they were of."""
    _each(session, _TAKE_BACK, document_id, given, state)


def _each(session: Session, statement: sa.TextClause, document_id: str, given: Sequence[Given], state: str) -> None:
    quantities: list[Decimal | None] = [each.quantity for each in given]
    values = {"document_id": document_id, "numbers": [each.number for each in given], "quantities": quantities}
    changed = session.execute(statement, values).all()
    assert len(changed) == len(given), "a line of a held prescription changed"
    session.execute(sa.update(prescriptions).where(prescriptions.c.document_id == document_id).values(state=state))


def cancel(session: Session, document_id: str, by: str, reason: str, at: datetime) -> None:
    """Ends a prescription: nothing of it is dispensed any more."""
    session.execute(
        sa.update(prescriptions).where(prescriptions.c.document_id == document_id)
        .values(state="cancelled", cancelled_at=at, cancelled_by=by, cancel_reason=reason)
    )  # fmt: skip


def lines_as_told(session: Session, document_id: str) -> list[dict[str, Any]]:
    """The lines of a prescription as they stand now."""
    told: list[dict[str, Any]] | None = session.scalar(
        sa.select(LINES).select_from(documents).where(documents.c.document_id == document_id)
    )
    return told or []


# --- writing ----------------------------------------------------------------------------------------------------------


def details_of(session: Session, version_id: str) -> dict[str, Any] | None:
    """What the depositor of a version said is in it."""
    said: dict[str, Any] | None = session.scalar(
        sa.select(sa.cast(uploads.c.details, JSONB)).where(uploads.c.version_id == version_id)
    )
    return said


def write(session: Session, document_id: str, fresh: Sequence[NewLine], valid_until: date | None) -> None:
    """Makes a document a prescription with these lines, of which nothing was given."""
    session.execute(
        sa.insert(prescriptions).values(document_id=document_id, state="open", valid_until=valid_until)
    )  # fmt: skip
    _add(session, document_id, fresh)


def rewrite(session: Session, document_id: str, fresh: Sequence[NewLine], valid_until: date | None) -> None:
    """Puts other lines in the place of those of a prescription of which nothing was given."""
    session.execute(sa.delete(lines).where(lines.c.document_id == document_id))
    session.execute(
        sa.update(prescriptions).where(prescriptions.c.document_id == document_id).values(valid_until=valid_until)
    )
    _add(session, document_id, fresh)


def _add(session: Session, document_id: str, fresh: Sequence[NewLine]) -> None:
    session.execute(
        sa.insert(lines),
        [
            {"document_id": document_id, "number": line.number, "text": line.text, "quantity": line.quantity,
             "unit": line.unit, "code": line.code, "system": line.system}
            for line in fresh
        ],
    )  # fmt: skip
