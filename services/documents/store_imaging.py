"""Every query of images. What is seen is what `store.visible` shows of the current versions, each instance once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, insert
from sqlalchemy.orm import Session

from services.documents.models import documents, record_keys, versions
from services.documents.models_care import image_references, images, study_opens, study_tokens
from services.documents.models_reading import renditions
from services.documents.rules import Scope
from services.documents.rules_findings import Image, Reference
from services.documents.store import own_restricted, visible

Row = Any  # a row of one of the queries below, read by column name

_CURRENT = documents.join(versions, versions.c.version_id == documents.c.current_version_id)
_IMAGED = _CURRENT.join(images, images.c.content_id == versions.c.content_id)
_POINTING = _CURRENT.join(image_references, image_references.c.content_id == versions.c.content_id)
_PLACE = (images.c.study_uid, images.c.series_uid, images.c.instance_uid)
_FACTS = (
    documents.c.document_id, documents.c.type, documents.c.category, documents.c.folder, documents.c.level,
    documents.c.author_id, documents.c.patient_blocked_at, documents.c.withheld_at,
)  # fmt: skip
# what is hidden from somebody comes last: the trace of an opening names the first, and a holder's history must not
# tell of a study because of the one document in it that they may not know of
_OPENLY = (
    documents.c.patient_blocked_at.is_not(None), documents.c.withheld_at.is_not(None), documents.c.document_id,
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """Which instances are meant; None for all. dates: first and last study date, "" for open."""

    study_uid: str | None = None
    series_uid: str | None = None
    instance_uid: str | None = None
    class_uid: str | None = None
    modality: str | None = None
    dates: tuple[str, str] | None = None


def _text(tag: str) -> sa.ColumnElement[str]:
    return images.c.attributes[(tag, "Value", "0")].astext


def _matching(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    terms = [
        column == value
        for column, value in (
            (images.c.study_uid, wanted.study_uid), (images.c.series_uid, wanted.series_uid),
            (images.c.instance_uid, wanted.instance_uid), (images.c.class_uid, wanted.class_uid),
        )
        if value is not None
    ]  # fmt: skip
    if wanted.dates is not None:
        first, last = wanted.dates
        terms += [_text("00080020") >= first] if first else []
        terms += [_text("00080020") <= last] if last else []
    return terms


def _seen(scope: Scope, record_id: str, wanted: Wanted, *columns: Any) -> sa.Subquery:
    """The instances that are seen, each once however often it was deposited."""
    modality = _text("00080060")
    query = (
        sa.select(
            *_PLACE, images.c.class_uid, images.c.content_id, documents.c.document_id, modality.label("modality"),
            _text("00080020").label("study_date"), *columns,
        )
        .distinct(*_PLACE).select_from(_IMAGED).where(visible(scope, record_id), *_matching(wanted))
        .order_by(*_PLACE, documents.c.deposited_at, documents.c.document_id)
    )  # fmt: skip
    if wanted.modality is not None:
        query = query.where(modality == wanted.modality)
    return query.subquery("seen")


# --- searching --------------------------------------------------------------------------------------------------------


def studies(session: Session, scope: Scope, record_id: str, wanted: Wanted, offset: int, limit: int) -> Sequence[Row]:
    """The studies of a record, newest first, one more than `limit` when there are more."""
    whole = Wanted(study_uid=wanted.study_uid, dates=wanted.dates)
    seen = _seen(scope, record_id, whole, images.c.frame_count)
    # an image describes a study better than a manifest or a report about it
    telling = (seen.c.frame_count == 0, seen.c.series_uid, seen.c.instance_uid)
    newest = sa.func.max(seen.c.study_date)
    grouped = (
        sa.select(
            seen.c.study_uid, _first(seen.c.content_id, *telling).label("content_id"), newest.label("study_date"),
            sa.func.count(sa.distinct(seen.c.series_uid)).label("series"), sa.func.count().label("instances"),
            sa.func.array_remove(sa.func.array_agg(sa.distinct(seen.c.modality)), None).label("modalities"),
            sa.func.array_agg(sa.distinct(seen.c.class_uid)).label("classes"),
        )
        .group_by(seen.c.study_uid).order_by(newest.desc().nulls_last(), seen.c.study_uid)
        .offset(offset).limit(limit + 1)
    )  # fmt: skip
    if wanted.modality is not None:
        grouped = grouped.having(sa.func.bool_or(seen.c.modality == wanted.modality))
    found = grouped.subquery("found")
    return session.execute(
        _described(found).order_by(found.c.study_date.desc().nulls_last(), found.c.study_uid)
    ).all()  # fmt: skip


def series(session: Session, scope: Scope, record_id: str, wanted: Wanted, offset: int, limit: int) -> Sequence[Row]:
    """The series, in the order of their ids, one more than `limit` when there are more."""
    seen = _seen(scope, record_id, wanted)
    place = (seen.c.study_uid, seen.c.series_uid)
    found = (
        sa.select(*place, sa.func.count().label("instances"),
                  _first(seen.c.content_id, seen.c.instance_uid).label("content_id"))
        .group_by(*place).order_by(*place).offset(offset).limit(limit + 1).subquery("found")
    )  # fmt: skip
    return session.execute(_described(found).order_by(found.c.study_uid, found.c.series_uid)).all()


def _first(column: sa.ColumnElement[Any], *order: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The first of a group's values, in an order."""
    return sa.func.array_agg(aggregate_order_by(column, *order), type_=ARRAY(sa.Uuid(as_uuid=False)))[1]


def _described(found: sa.Subquery) -> sa.Select[Any]:
    """The rows of a group with the attributes of the one instance that tells of it."""
    return sa.select(found, images.c.attributes).select_from(
        found.join(images, images.c.content_id == found.c.content_id)
    )


def instances(session: Session, scope: Scope, record_id: str, wanted: Wanted, offset: int, limit: int) -> Sequence[Row]:
    """The instances with their attributes, in the order of their ids, one more than `limit` when there are more."""
    seen = _seen(scope, record_id, wanted, images.c.attributes, images.c.transfer_syntax, images.c.frame_count)
    place = (seen.c.study_uid, seen.c.series_uid, seen.c.instance_uid)
    return session.execute(sa.select(seen).order_by(*place).offset(offset).limit(limit + 1)).all()


def elsewhere(session: Session, scope: Scope, record_id: str, wanted: Wanted) -> Sequence[Row]:
    """The instances that visible manifests and reports point to and of which the record keeps none, seen or hidden."""
    kept = images.join(documents, documents.c.document_id == images.c.document_id)
    here = (images.c.instance_uid == image_references.c.instance_uid) & (documents.c.record_id == record_id)
    place = (image_references.c.study_uid, image_references.c.series_uid, image_references.c.instance_uid)
    terms = [
        column == value for column, value in zip(place, (wanted.study_uid, wanted.series_uid, wanted.instance_uid),
                                                 strict=True) if value is not None
    ]  # fmt: skip
    there = sa.exists().select_from(kept).where(here).correlate(image_references)
    return session.execute(
        sa.select(*place, sa.func.min(image_references.c.class_uid).label("class_uid")).select_from(_POINTING)
        .where(visible(scope, record_id), image_references.c.instance_uid != "", ~there, *terms)
        .group_by(*place).order_by(*place)
    ).all()  # fmt: skip


# --- opening ----------------------------------------------------------------------------------------------------------


def study(session: Session, scope: Scope, record_id: str, study_uid: str, session_id: str) -> Row | None:
    """The document by which a study is seen, and when this session last read the study (`read_at`)."""
    same = (study_opens.c.session_id == session_id) & (study_opens.c.study_uid == study_uid)
    joined = _CURRENT.outerjoin(study_opens, same & (study_opens.c.record_id == record_id))
    return session.execute(
        sa.select(
            *_FACTS, documents.c.home_record_id, own_restricted(scope).label("restricted"), study_opens.c.read_at
        ).select_from(joined)
        .where(visible(scope, record_id), _of_study(study_uid)).order_by(*_OPENLY).limit(1)
    ).first()  # fmt: skip


def _of_study(study_uid: str) -> sa.ColumnElement[bool]:
    """Whether the current version of a document is of a study, or points to it."""
    each = (
        sa.exists().where(table.c.content_id == versions.c.content_id, table.c.study_uid == study_uid)
        .correlate(versions)
        for table in (images, image_references)
    )  # fmt: skip
    return sa.or_(*each)


def open_study(
    session: Session, session_id: str, record_id: str, study_uid: str, at: datetime, since: datetime
) -> bool:
    """Begins an opening of a study in a session; False when one begun after `since` still stands."""
    place = {"session_id": session_id, "record_id": record_id, "study_uid": study_uid}
    fresh = insert(study_opens).values(**place, opened_at=at, read_at=at)
    begun = fresh.on_conflict_do_update(
        index_elements=list(place), set_={"opened_at": at, "read_at": at}, where=study_opens.c.opened_at <= since
    ).returning(study_opens.c.study_uid)
    return session.execute(begun).first() is not None


def note_reading(session: Session, session_id: str, record_id: str, study_uid: str, at: datetime) -> None:
    """Notes that an opening of a study is still read."""
    session.execute(
        sa.update(study_opens)
        .where(
            study_opens.c.session_id == session_id, study_opens.c.record_id == record_id,
            study_opens.c.study_uid == study_uid,
        )
        .values(read_at=at)
    )  # fmt: skip


def contents(
    session: Session, scope: Scope, record_id: str, wanted: Wanted, after: tuple[str, str] | None, limit: int,
    frames: list[int] | None,
) -> Sequence[Row]:  # fmt: skip
    """The bytes of instances with their wrapped keys, one more than `limit` when there are more.

    after: series and instance of the last one before. frames: where these lie, as a list with null for what is not.
    """
    places = sa.func.jsonb_build_array(*(images.c.frames[number - 1] for number in frames or ()))
    seen = _seen(
        scope, record_id, wanted, images.c.transfer_syntax, images.c.frame_count, places.label("frames"),
        versions.c.store_version, versions.c.size, versions.c.wrapped_key, versions.c.key_record_id,
    )  # fmt: skip
    place = (seen.c.series_uid, seen.c.instance_uid)
    query = (
        sa.select(seen, record_keys.c.wrapped_key.label("wrapped_record_key"))
        .select_from(seen.join(record_keys, record_keys.c.record_id == seen.c.key_record_id))
        .order_by(*place).limit(limit + 1)
    )  # fmt: skip
    if after is not None:
        query = query.where(sa.tuple_(*place) > sa.tuple_(sa.literal(after[0]), sa.literal(after[1])))
    return session.execute(query).all()


def pictured(session: Session, scope: Scope, record_id: str, wanted: Wanted, kind: str, number: int) -> Row | None:
    """The first of these instances that has such a picture (`pictured`), else the first without one, else None."""
    seen = _seen(scope, record_id, wanted, images.c.frame_count)
    made = (renditions.c.content_id == seen.c.content_id) & (renditions.c.kind == kind)
    counts = (renditions.c.number == number) & renditions.c.stored_at.is_not(None)
    return session.execute(
        sa.select(seen, renditions.c.rendition_id.is_not(None).label("pictured"))
        .select_from(seen.outerjoin(renditions, made & counts))
        .order_by(renditions.c.rendition_id.is_(None), seen.c.series_uid, seen.c.instance_uid).limit(1)
    ).first()  # fmt: skip


# --- what belongs together --------------------------------------------------------------------------------------------


def studies_of(session: Session, scope: Scope, record_id: str, document_id: str) -> Sequence[str]:
    """The studies of a visible document: its own, those it points to, and those of what was deposited with it."""
    asked = documents.alias("asked")
    one = documents.c.document_id == document_id
    together = sa.exists().where(asked.c.document_id == document_id, asked.c.submission_id == documents.c.submission_id)
    whose = (one | together) & visible(scope, record_id)
    own = sa.select(images.c.study_uid).select_from(_IMAGED).where(whose)
    told = sa.select(image_references.c.study_uid).select_from(_POINTING).where(whose)
    return session.scalars(sa.union(own, told).order_by("study_uid")).all()


def documents_of(session: Session, scope: Scope, record_id: str, study_uid: str, limit: int) -> Sequence[Row]:
    """The visible documents of a study or about it, or deposited with one of it; reports and manifests first."""
    submissions = (
        sa.select(documents.c.submission_id).select_from(_CURRENT)
        .where(visible(scope, record_id), _of_study(study_uid), documents.c.submission_id.is_not(None)).correlate(None)
    )  # fmt: skip
    together = documents.c.submission_id.in_(submissions)
    joined = _CURRENT.outerjoin(images, images.c.content_id == versions.c.content_id)
    foreign = images.c.study_uid.is_not(None) & (images.c.study_uid != study_uid)
    return session.execute(
        sa.select(documents.c.document_id, documents.c.type, documents.c.title, images.c.class_uid)
        .select_from(joined)
        .where(visible(scope, record_id), _of_study(study_uid) | (together & ~foreign))
        .order_by(images.c.frame_count.is_not(None) & (images.c.frame_count > 0), documents.c.deposited_at,
                  documents.c.document_id).limit(limit)
    ).all()  # fmt: skip


def key_images(session: Session, scope: Scope, record_id: str, study_uid: str, limit: int) -> Sequence[Row]:
    """The instances of a study that visible manifests and reports point to, with the document where it is visible."""
    seen = _seen(scope, record_id, Wanted(study_uid=study_uid))
    place = (image_references.c.series_uid, image_references.c.instance_uid)
    told = (
        sa.select(*place).select_from(_POINTING)
        .where(visible(scope, record_id), image_references.c.study_uid == study_uid,
               image_references.c.instance_uid != "")
        .distinct().subquery("told")
    )  # fmt: skip
    return session.execute(
        sa.select(told, seen.c.document_id).select_from(
            told.outerjoin(seen, seen.c.instance_uid == told.c.instance_uid)
        ).order_by(told.c.series_uid, told.c.instance_uid).limit(limit)
    ).all()  # fmt: skip


# --- writing ----------------------------------------------------------------------------------------------------------


def keep_image(session: Session, content_id: str, document_id: str, image: Image) -> None:
    """Writes down what a DICOM object is; what is known of these bytes already stays."""
    session.execute(
        insert(images).values(
            content_id=content_id, document_id=document_id, study_uid=image.study_uid, series_uid=image.series_uid,
            instance_uid=image.instance_uid, class_uid=image.class_uid, transfer_syntax=image.transfer_syntax,
            attributes=image.attributes, frames=[list(frame) for frame in image.frames], frame_count=image.frame_count,
        ).on_conflict_do_nothing()
    )  # fmt: skip


def keep_references(session: Session, content_id: str, document_id: str, references: Sequence[Reference]) -> None:
    """Writes down what a manifest or a report points to."""
    rows = [
        {"content_id": content_id, "document_id": document_id, "study_uid": each.study_uid,
         "series_uid": each.series_uid, "instance_uid": each.instance_uid, "class_uid": each.class_uid}
        for each in references
    ]  # fmt: skip
    session.execute(insert(image_references).on_conflict_do_nothing(), rows)


def add_token(session: Session, **row: Any) -> None:
    """Keeps the digest of a study token and what it stands for."""
    session.execute(sa.insert(study_tokens).values(**row))


def token(session: Session, digest: bytes, at: datetime) -> Row | None:
    """A study token that is not over."""
    return session.execute(
        sa.select(study_tokens).where(study_tokens.c.digest == digest, study_tokens.c.until > at)
    ).first()


def forget(session: Session, at: datetime, opened_before: datetime) -> None:
    """Drops study tokens that are over and openings that ended long ago."""
    session.execute(sa.delete(study_tokens).where(study_tokens.c.until <= at))
    session.execute(sa.delete(study_opens).where(study_opens.c.opened_at <= opened_before))
