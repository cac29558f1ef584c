"""Every statement by which documents end: their words go, their keys go, and what lies in the store is condemned.

The tombstone stays: that there was a document, of which type, by whom, and when it went.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from services.documents.models import (
    Id,
    attempts,
    documents,
    opens,
    patient_blocks,
    record_keys,
    uploads,
    versions,
)
from services.documents.models_care import (
    condemned,
    deposit_wishes,
    descriptions,
    dispensations,
    entries,
    exports,
    image_references,
    images,
    prescription_lines,
    prescriptions,
    rectifications,
    removals,
    scrubs,
    study_opens,
    study_tokens,
)
from services.documents.models_reading import (
    binder_documents,
    binders,
    examinations,
    readings,
    renditions,
    texts,
    visits,
)

Row = Any
NO_KEY = b""
NO_DIGEST = bytes(32)


def any_of(ids: Collection[str]) -> sa.ColumnElement[Any]:
    """One array parameter, where `in` would have the statement rebuilt around its list at every call."""
    return sa.any_(sa.cast(sa.literal(list(ids), ARRAY(sa.Text)), ARRAY(Id)))


# --- what ends --------------------------------------------------------------------------------------------------------


def hold(session: Session, document_ids: Collection[str], *, skip: bool = False) -> Sequence[Row]:
    """Those of these documents that are not removed yet, held until the commit with all that could still add to them.

    In the order in which a deposit and a close look take them: uploads, versions, documents. skip: leaves those out
    that somebody else has.
    """
    session.execute(
        sa.select(uploads.c.upload_id)
        .where((uploads.c.document_id == any_of(document_ids)) | (uploads.c.replaces == any_of(document_ids)))
        .order_by(uploads.c.upload_id).with_for_update()
    )  # fmt: skip
    session.execute(
        sa.select(versions.c.version_id).where(versions.c.document_id == any_of(document_ids))
        .order_by(versions.c.version_id).with_for_update()
    )  # fmt: skip
    return session.execute(
        sa.select(
            documents.c.document_id, documents.c.record_id, documents.c.home_record_id, documents.c.state,
            documents.c.author_id, documents.c.patient_blocked_at, documents.c.withheld_at,
        )
        .where(documents.c.document_id == any_of(document_ids), documents.c.state != "removed")
        .order_by(documents.c.document_id).with_for_update(skip_locked=skip)
    ).all()  # fmt: skip


def overdue(session: Session, before: datetime, after: tuple[datetime, str] | None, limit: int) -> Sequence[Row]:
    """Documents deposited before a moment, the oldest first, after a place (`document_id`, `record_id`)."""
    place = sa.tuple_(documents.c.deposited_at, documents.c.document_id)
    query = sa.select(documents.c.document_id, documents.c.record_id, documents.c.deposited_at).where(
        documents.c.deposited_at <= before, documents.c.state != "removed"
    )
    if after is not None:
        query = query.where(place > sa.tuple_(sa.literal(after[0]), sa.literal(after[1])))
    return session.execute(query.order_by(documents.c.deposited_at, documents.c.document_id).limit(limit)).all()


def of_record(session: Session, record_id: str) -> Sequence[str]:
    """The documents that lie in a record and are not removed."""
    return session.scalars(
        sa.select(documents.c.document_id).where(documents.c.record_id == record_id, documents.c.state != "removed")
    ).all()


# --- bytes and keys ---------------------------------------------------------------------------------------------------


def condemn(session: Session, document_ids: Collection[str], at: datetime) -> None:
    """Has every object of these documents go from the store, under their approved removals, which count them."""
    of_these = (
        versions.join(removals, removals.c.document_id == versions.c.document_id)
    )  # fmt: skip
    here = (versions.c.document_id == any_of(document_ids)) & (removals.c.state == "approved")
    contents = (
        sa.select(versions.c.content_id, removals.c.removal_id).select_from(of_these)
        .where(here, sa.func.octet_length(versions.c.wrapped_key) > 0).distinct().cte("contents")
    )  # fmt: skip
    made = sa.select(renditions.c.rendition_id, contents.c.removal_id, sa.literal(at)).select_from(
        renditions.join(contents, contents.c.content_id == renditions.c.content_id)
    ).where(renditions.c.stored_at.is_not(None))  # fmt: skip
    everything = sa.union_all(sa.select(contents.c.content_id, contents.c.removal_id, sa.literal(at)), made)
    session.execute(
        insert(condemned).from_select(["object_id", "removal_id", "since"], everything).on_conflict_do_nothing()
    )
    going = sa.select(condemned.c.object_id).join(removals, removals.c.removal_id == condemned.c.removal_id)
    session.execute(
        sa.delete(scrubs).where(
            scrubs.c.object_id.in_(going.where(removals.c.document_id == any_of(document_ids)))
        )
    )  # fmt: skip
    counted = sa.select(sa.func.count()).where(condemned.c.removal_id == removals.c.removal_id).scalar_subquery()
    session.execute(
        sa.update(removals)
        .where(removals.c.document_id == any_of(document_ids), removals.c.state == "approved").values(objects=counted)
    )  # fmt: skip


def forget_keys(session: Session, document_ids: Collection[str]) -> None:
    """Destroys the keys of these documents' versions and of what was made of them: nothing opens their bytes again."""
    contents = sa.select(versions.c.content_id).where(versions.c.document_id == any_of(document_ids))
    made = renditions.c.content_id.in_(contents)
    session.execute(sa.delete(renditions).where(made, renditions.c.stored_at.is_not(None)))
    session.execute(sa.update(renditions).where(made).values(wrapped_key=NO_KEY))  # swept with what came to nothing
    session.execute(
        sa.update(versions).where(versions.c.document_id == any_of(document_ids))
        .values(wrapped_key=NO_KEY, sha256=NO_DIGEST)
    )  # fmt: skip


def key_records(session: Session, document_ids: Collection[str]) -> Sequence[str]:
    """The records whose keys wrap those of these documents."""
    return session.scalars(
        sa.select(versions.c.key_record_id).where(versions.c.document_id == any_of(document_ids)).distinct()
    ).all()  # fmt: skip


def note_deleted(session: Session, record_id: str, at: datetime) -> None:
    """Notes that a record was deleted, also one that never had a key: it gets none any more."""
    gone = insert(record_keys).values(record_id=record_id, created_at=at, destroyed_at=at, deleted_at=at)
    session.execute(
        gone.on_conflict_do_update(
            index_elements=["record_id"], set_={"deleted_at": sa.func.coalesce(record_keys.c.deleted_at, at)}
        )
    )


def spent_keys(session: Session, record_ids: Collection[str], at: datetime) -> Sequence[str]:
    """Destroys the keys of deleted records that open no document any more, wherever it lies; gives whose they were."""
    opens_one = sa.exists().select_from(
        versions.join(documents, documents.c.document_id == versions.c.document_id)
    ).where(versions.c.key_record_id == record_keys.c.record_id, documents.c.state != "removed")  # fmt: skip
    return session.scalars(
        sa.update(record_keys)
        .where(
            record_keys.c.record_id == any_of(record_ids), record_keys.c.deleted_at.is_not(None),
            record_keys.c.wrapped_key.is_not(None), ~opens_one,
        )
        .values(wrapped_key=None, destroyed_at=at).returning(record_keys.c.record_id)
    ).all()  # fmt: skip


def deleted_and_not_empty(session: Session, limit: int) -> Sequence[str]:
    """Deleted records into which something came after all."""
    lies = sa.exists().where(documents.c.record_id == record_keys.c.record_id, documents.c.state != "removed")
    return session.scalars(
        sa.select(record_keys.c.record_id).where(record_keys.c.deleted_at.is_not(None), lies).limit(limit)
    ).all()


# --- words ------------------------------------------------------------------------------------------------------------

_GONE = (
    texts, entries, images, image_references, prescription_lines, prescriptions, descriptions, binder_documents,
    readings,
)  # fmt: skip
"""What was made of a document's bytes or said of it: rows that go with it."""


def erase(session: Session, document_ids: Collection[str], at: datetime) -> None:
    """Leaves nothing of these documents but their tombstones, and lets nothing be added to them."""
    here = any_of(document_ids)
    in_versions = sa.select(versions.c.version_id).where(versions.c.document_id == here)
    session.execute(sa.delete(examinations).where(examinations.c.version_id.in_(in_versions)))
    session.execute(sa.delete(opens).where(opens.c.version_id.in_(in_versions)))
    for table in _GONE:
        session.execute(sa.delete(table).where(table.c.document_id == here))
    session.execute(
        sa.delete(rectifications).where(rectifications.c.document_id == here, rectifications.c.answered_at.is_(None))
    )
    _blank(session, rectifications, rectifications.c.document_id == here, wish="", words=None)
    _blank(session, patient_blocks, patient_blocks.c.document_id == here, reason="")
    _blank(session, dispensations, dispensations.c.document_id == here, cancel_reason=None)
    _blank(
        session, documents, documents.c.document_id == here,
        state="removed", removed_at=at, title="", act_date=None, language=None,
    )  # fmt: skip
    end_uploads(session, (uploads.c.document_id == here) | (uploads.c.replaces == here), at)


def end_uploads(session: Session, which: sa.ColumnElement[bool], at: datetime) -> None:
    """Refuses what was still to come, and forgets what was said of it; its tries are swept with the others."""
    ended = session.scalars(
        sa.update(uploads).where(which)
        .values(title="", act_date=None, language=None, details=_no_words(),
                expires_at=sa.func.least(uploads.c.expires_at, at))
        .returning(uploads.c.upload_id)
    ).all()  # fmt: skip
    if ended:
        _blank(
            session, attempts, attempts.c.upload_id == any_of(ended),
            condemned_at=sa.func.coalesce(attempts.c.condemned_at, at), wrapped_key=NO_KEY,
        )  # fmt: skip


def _no_words() -> sa.ColumnElement[Any]:
    """Of a new version's details the count that its sender had read, which is no word of anybody's; of others none."""
    read = sa.func.jsonb_build_object("version", uploads.c.details["version"])
    return sa.case((uploads.c.replaces.is_not(None) & uploads.c.details.is_not(None), read), else_=sa.null())


def end_record(session: Session, record_id: str, at: datetime) -> None:
    """Forgets what readers kept of a record beside its documents, and ends what was begun or wished in it."""
    end_uploads(session, uploads.c.record_id == record_id, at)
    for table in (binders, visits, study_opens, study_tokens, exports):
        session.execute(sa.delete(table).where(table.c.record_id == record_id))
    runs = (deposit_wishes.c.record_id == record_id) & deposit_wishes.c.until.is_(None)
    _blank(session, deposit_wishes, runs, until=at, outcome="withdrawn")


def _blank(session: Session, table: sa.Table, which: sa.ColumnElement[bool], **values: Any) -> None:
    session.execute(sa.update(table).where(which).values(**values))
