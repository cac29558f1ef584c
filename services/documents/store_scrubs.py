"""Every query of the scrub: what lies in the store, when it was last read in full, what was found, and is nobody's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import Sessions
from services.documents.models import Id, attempts, record_keys, versions
from services.documents.models_care import condemned, scrubs
from services.documents.models_reading import renditions
from services.documents.store_erasing import any_of

Row = Any

# What a version restores lies under the other one's id, and is read once.
_CONTENTS = (versions.c.version_id == versions.c.content_id) & (sa.func.octet_length(versions.c.wrapped_key) > 0)
_MADE = renditions.c.stored_at.is_not(None)


def due(session: Session, before: datetime, after: str | None, limit: int) -> Sequence[Row]:
    """Objects that were not read since a moment, in the order of their names, each with all it is opened by."""
    each = sa.union_all(
        _some(versions, versions.c.version_id, "content", _CONTENTS, before, after, limit),
        _some(renditions, renditions.c.rendition_id, "rendition", _MADE, before, after, limit),
    ).subquery()
    return session.execute(sa.select(each).order_by(each.c.object_id).limit(limit)).all()


def _some(
    table: sa.Table, name: sa.Column[Any], kind: str, lies: sa.ColumnElement[bool], before: datetime,
    after: str | None, limit: int,
) -> Any:  # fmt: skip
    query = (
        sa.select(
            name.label("object_id"), sa.literal(kind).label("kind"), table.c.size, table.c.sha256,
            table.c.store_version, table.c.wrapped_key, table.c.key_record_id,
            record_keys.c.wrapped_key.label("wrapped_record_key"),
        )
        .select_from(
            table.join(record_keys, record_keys.c.record_id == table.c.key_record_id)
            .outerjoin(scrubs, scrubs.c.object_id == name)
        )
        .where(lies, record_keys.c.wrapped_key.is_not(None), scrubs.c.at.is_(None) | (scrubs.c.at <= before))
    )  # fmt: skip
    if after is not None:
        query = query.where(name > sa.literal(after, Id))
    return query.order_by(name).limit(limit).subquery().select()


def note(session: Session, object_id: str, finding: str | None, at: datetime) -> bool:
    """Notes how an object was found; False, and nothing, where it has ended meanwhile."""
    lies: sa.ColumnElement[bool] = sa.exists().where(versions.c.version_id == object_id, _CONTENTS)
    lies |= sa.exists().where(renditions.c.rendition_id == object_id, _MADE)
    row = sa.select(sa.literal(object_id, Id), sa.literal(at), sa.cast(finding, sa.Text)).where(lies)
    noted = insert(scrubs).from_select(["object_id", "at", "finding"], row)
    noted = noted.on_conflict_do_update(index_elements=["object_id"], set_={"at": at, "finding": finding})
    return session.execute(noted.returning(scrubs.c.object_id)).first() is not None


def known(session: Session, names: Collection[str]) -> set[str]:
    """Those of these names that some row speaks of."""
    columns = (versions.c.content_id, versions.c.version_id, attempts.c.version_id, renditions.c.rendition_id,
               condemned.c.object_id)  # fmt: skip
    # a content's name is always the id of the version that it was put for
    found = sa.union(*[sa.select(column).where(column == any_of(names)) for column in columns[1:]])
    return {str(name) for name in session.scalars(found)}


class Turn:
    """Whether this process is the one that scrubs: of several one is, as long as it lives."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._connection: sa.Connection | None = None

    def mine(self) -> bool:
        """Takes the turn where nobody has it."""
        if self._connection is not None:
            return True
        connection = self._sessions.engine.connect()
        if connection.scalar(sa.select(sa.func.pg_try_advisory_lock(sa.func.hashtext("scrub")))):
            self._connection = connection
            return True
        connection.close()
        return False


# --- the agency's look ------------------------------------------------------------------------------------------------


def findings(session: Session, after: str | None, limit: int) -> Sequence[Row]:
    """Objects that were found damaged, the newest object first; one more than `limit` when there are more."""
    query = (
        sa.select(
            scrubs.c.object_id, scrubs.c.at, scrubs.c.finding,
            sa.func.coalesce(versions.c.document_id, _of_rendition()).label("document_id"),
            sa.case((versions.c.version_id.is_not(None), "content"), else_="rendition").label("kind"),
        )
        .select_from(scrubs.outerjoin(versions, versions.c.version_id == scrubs.c.object_id))
        .where(scrubs.c.finding.is_not(None))
    )  # fmt: skip
    if after is not None:
        query = query.where(scrubs.c.object_id < sa.literal(after, Id))
    return session.execute(query.order_by(scrubs.c.object_id.desc()).limit(limit + 1)).all()


def _of_rendition() -> Any:
    of = versions.alias("of")
    return (
        sa.select(of.c.document_id).select_from(renditions.join(of, of.c.version_id == renditions.c.content_id))
        .where(renditions.c.rendition_id == scrubs.c.object_id).scalar_subquery()
    )  # fmt: skip


def progress(session: Session) -> Row:
    """How many objects there are (`objects`), how many were read (`scrubbed`), and since when (`since`)."""
    objects = (
        sa.select(sa.func.count()).select_from(versions).where(_CONTENTS).scalar_subquery()
        + sa.select(sa.func.count()).select_from(renditions).where(_MADE).scalar_subquery()
    )  # fmt: skip
    return session.execute(
        sa.select(
            objects.label("objects"), sa.func.count(scrubs.c.object_id).label("scrubbed"),
            sa.func.min(scrubs.c.at).label("since"),
        )
    ).one()  # fmt: skip
