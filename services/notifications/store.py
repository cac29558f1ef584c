"""Queries on what notifications knows of documents, from their events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from services.notifications.models_subscriptions import Document, GoneDocument, Restriction
from services.notifications.rules_subscriptions import KnownDocument
from services.plans import planned_once

_ID = sa.Uuid(as_uuid=False)
_IDS = dict.fromkeys(("document_id", "record_id", "version_id", "author_id", "establishment_id"), "uuid")


def keep_document(session: Session, document: KnownDocument, at: datetime) -> KnownDocument | None:
    """Adds a deposited document to the projection; hands back what is known of it now (its level may be newer).

    None for a document that is gone: its end overtook its deposit.
    """
    row = session.execute(_KEEP, {
        "document_id": document.document_id, "record_id": document.record_id, "version_id": document.version_id,
        "document_type": document.document_type, "category": document.category, "folder": document.folder,
        "author_id": document.author_id, "establishment_id": document.establishment_id, "level": document.level,
        "level_at": at,
    }).first()  # fmt: skip
    return None if row is None else _known(row)


def keep_level(session: Session, document_id: str, level: str, at: datetime) -> KnownDocument | None:
    """Sets a document's level unless a newer one is known; None when the deposit itself has not arrived yet."""
    session.execute(
        sa.update(Document).where(Document.document_id == document_id, Document.level_at < at)
        .values(level=level, level_at=at)
    )  # fmt: skip
    return known_document(session, document_id)


def keep_version(session: Session, document_id: str, version_id: str, number: int) -> KnownDocument | None:
    """Sets a document's current version unless a later one is known; None when the deposit has not arrived yet."""
    session.execute(
        sa.update(Document).where(Document.document_id == document_id, Document.number < number)
        .values(version_id=version_id, number=number)
    )  # fmt: skip
    return known_document(session, document_id)


def keep_wording(
    session: Session, document_id: str, document_type: str, category: str, folder: str, number: int
) -> KnownDocument | None:
    """Sets what a document is unless a later wording is known; None when the deposit has not arrived yet."""
    session.execute(
        sa.update(Document).where(Document.document_id == document_id, Document.wording < number)
        .values(document_type=document_type, category=category, folder=folder, wording=number)
    )  # fmt: skip
    return known_document(session, document_id)


def keep_restriction(session: Session, document_id: str, professional_id: str, restricted: bool, at: datetime) -> None:
    """Notes whether a document is hidden from a professional, unless something newer is known of it."""
    told = insert(Restriction).values(
        document_id=document_id, professional_id=professional_id, restricted=restricted, at=at
    )
    newer = {"restricted": told.excluded.restricted, "at": told.excluded.at}
    session.execute(
        told.on_conflict_do_update(
            index_elements=["document_id", "professional_id"], set_=newer, where=Restriction.at < told.excluded.at
        )
    )


def keep_gone(session: Session, document_id: str, at: datetime) -> None:
    """Notes that a document was removed, and forgets what it was."""
    session.execute(insert(GoneDocument).values(document_id=document_id, at=at).on_conflict_do_nothing())
    session.execute(sa.delete(Document).where(Document.document_id == document_id))


def is_gone(session: Session, document_id: str) -> bool:
    """Whether the document was removed."""
    return session.scalar(sa.select(_gone(document_id))) is True


def _gone(document_id: str) -> sa.Exists:
    return sa.exists().where(GoneDocument.document_id == document_id)


def known_documents(session: Session, document_ids: Sequence[str]) -> dict[str, KnownDocument]:
    """What the projection holds of these documents now, by id; what is gone, or not known, is absent."""
    rows = session.execute(_KNOWN, {"ids": list(document_ids)})
    return {row.document_id: _known(row) for row in rows}


def known_document(session: Session, document_id: str) -> KnownDocument | None:
    """What the projection holds of a document now."""
    return known_documents(session, [document_id]).get(document_id)


def _known(row: Any) -> KnownDocument:
    return KnownDocument(**{**row._mapping, "restricted": tuple(row.restricted)})


_DOCUMENT = (
    Document.document_id, Document.record_id, Document.version_id, Document.document_type, Document.category,
    Document.author_id, Document.level, Document.folder, Document.establishment_id,
    sa.func.array(
        sa.select(Restriction.professional_id)
        .where(Restriction.document_id == Document.document_id, Restriction.restricted)
        .order_by(Restriction.professional_id).correlate(Document).scalar_subquery(),
        type_=ARRAY(_ID),
    ).label("restricted"),
)  # fmt: skip
_KNOWN = planned_once(
    sa.select(*_DOCUMENT).where(Document.document_id == sa.any_(sa.bindparam("ids", type_=ARRAY(_ID))))
)
_STANDS = sa.select(*_DOCUMENT).where(Document.document_id == sa.literal_column(":document_id")).compile(
    dialect=postgresql.dialect(paramstyle="named")
)  # fmt: skip
_KEEP = planned_once(sa.text(f"""
    insert into documents (document_id, record_id, version_id, document_type, category, folder, author_id,
                           establishment_id, level, level_at)
    select :document_id, :record_id, :version_id, :document_type, :category, :folder, :author_id, :establishment_id,
           :level, :level_at
     where not exists (select from gone_documents where document_id = :document_id)
        on conflict do nothing;
    {_STANDS}
""").columns(*_DOCUMENT), **_IDS, document_type="text", category="text", folder="text", level="text")  # fmt: skip  # noqa: S608 (words of this file alone)
