"""Every query of what changes of a document: its versions, one after the other, and the wordings it had."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.documents import store
from services.documents.models import documents, versions
from services.documents.models_care import descriptions, rectifications
from services.documents.rules import Scope
from services.documents.store import Row

_EACH = versions.alias("each")

# --- looking ----------------------------------------------------------------------------------------------------------


def look(
    session: Session, scope: Scope, record_id: str, document_id: str, asked_since: datetime, *, hold: bool = False
) -> Row | None:
    """A visible document with all that decides about a change of it.

    hold: until the commit, so that of two changes at once the second sees what the first did. asked_since: since when
    the holder's request to put it right counts.
    """
    if hold and not _hold(session, scope, record_id, document_id):
        return None
    pending = sa.exists().where(
        _EACH.c.document_id == document_id, _EACH.c.state == "checking",
        _EACH.c.version_id != documents.c.current_version_id,
    )  # fmt: skip
    asked = sa.exists().where(
        rectifications.c.document_id == document_id, rectifications.c.asked_at > asked_since
    )  # fmt: skip
    return session.execute(
        sa.select(
            documents, store.own_restricted(scope).label("restricted"), versions.c.number, versions.c.media_type,
            store.wording(document_id).label("wording"), pending.label("pending"), asked.label("asked"),
        )
        .select_from(store.CURRENT)
        .where(documents.c.document_id == document_id, store.visible(scope, record_id))
    ).first()  # fmt: skip


def _hold(session: Session, scope: Scope, record_id: str, document_id: str) -> bool:
    # a statement of its own: what is counted beside a row that was waited for would be as it was before the wait
    query = sa.select(documents.c.document_id).where(
        documents.c.document_id == document_id, store.visible(scope, record_id)
    )  # fmt: skip
    return session.execute(query.with_for_update(of=documents)).first() is not None


def history(session: Session, scope: Scope, record_id: str, document_id: str) -> Sequence[Row]:
    """A visible document's versions that this reader may know of, newest first, beside what its answer needs."""
    return session.execute(
        sa.select(
            documents, store.own_restricted(scope).label("restricted"), versions.c.number.label("current_number"),
            store.wording(document_id).label("wording"), _EACH.c.version_id, _EACH.c.number,
            _EACH.c.state.label("version_state"), _EACH.c.reason, _EACH.c.restores, _EACH.c.media_type, _EACH.c.size,
            _EACH.c.sha256, _EACH.c.author_id.label("version_author_id"),
            _EACH.c.establishment_id.label("version_establishment_id"), _EACH.c.created_at,
        )
        .select_from(store.CURRENT.join(_EACH, _EACH.c.document_id == documents.c.document_id))
        .where(
            documents.c.document_id == document_id, store.visible(scope, record_id), store.finished(scope, _EACH)
        )
        .order_by(_EACH.c.number.desc())
    ).all()  # fmt: skip


# --- versions ---------------------------------------------------------------------------------------------------------


def add(session: Session, row: dict[str, Any]) -> int:
    """Writes a version with the next number of its document, which is held; gives the number."""
    newest = sa.select(sa.func.max(versions.c.number)).where(versions.c.document_id == row["document_id"])
    made = sa.insert(versions).values(**row, number=newest.scalar_subquery() + 1).returning(versions.c.number)
    return int(session.execute(made).scalar_one())


def past(session: Session, document_id: str, version_id: str) -> Row | None:
    """A version of a document that everybody sees who sees the document, with where its bytes are."""
    return session.execute(
        sa.select(versions).where(
            versions.c.document_id == document_id, versions.c.version_id == version_id,
            versions.c.state == "available",
        )
    ).first()  # fmt: skip


# --- wordings ---------------------------------------------------------------------------------------------------------


def add_wording(session: Session, row: Row, changed: dict[str, Any], by: dict[str, Any]) -> int:
    """Writes another wording of a document, which is held, and puts it in force; the first time also the one before.

    by: author_id, account_id and created_at of who corrects. Gives the number.
    """
    words = {name: getattr(row, name) for name in ("type", "title", "act_date", "language")}
    number = int(row.wording) + 1
    rows = [{"document_id": row.document_id, "number": number, **words,
             **{name: value for name, value in changed.items() if name in words}, **by}]  # fmt: skip
    if row.wording == 1:
        # some are older than the column that says who deposited
        first = sa.select(versions.c.account_id).where(
            versions.c.document_id == row.document_id, versions.c.number == 1
        )
        account_id = row.account_id or session.scalar(first)
        rows.append({"document_id": row.document_id, "number": 1, **words, "author_id": row.author_id,
                     "account_id": account_id, "created_at": row.deposited_at})  # fmt: skip
    session.execute(sa.insert(descriptions), rows)
    session.execute(sa.update(documents).where(documents.c.document_id == row.document_id).values(**changed))
    return number


def wordings(session: Session, document_id: str) -> Sequence[Row]:
    """The wordings a document had, newest first; none while it has the one it was deposited with."""
    return session.execute(
        sa.select(descriptions).where(descriptions.c.document_id == document_id)
        .order_by(descriptions.c.number.desc())
    ).all()  # fmt: skip
