"""Every query of documents. What a caller may see stands here once, in `visible`, and every reading query uses it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from services.documents.models import attempts, documents, levels, opens, record_keys, restrictions, uploads, versions
from services.documents.rules import Metadata, Position, Scope

Row = Any  # a row of one of the queries below, read by column name


def visible(scope: Scope, record_id: str) -> sa.ColumnElement[bool]:
    """The documents of one record that this scope lets through, as a WHERE clause over `documents`.

    Each clause of the scope is one term of its own: a union of categories times a union of levels would grant too
    much. A patient block takes a document from the holder side, a withholding from the representatives, a restriction
    from the one it names; nothing takes an author's own document from them.
    """
    terms: list[sa.ColumnElement[bool]] = []
    for clause in scope.clauses:
        if clause.read and clause.levels and (clause.folders is None or clause.folders):
            term = _among(documents.c.category, clause.read) & _among(documents.c.level, clause.levels)
            if clause.folders is not None:
                term &= _among(documents.c.folder, clause.folders)
            if clause.unread:
                term &= sa.not_(_among(documents.c.type, clause.unread))
            terms.append(term)
    granted = sa.or_(sa.false(), *terms)
    if not scope.may_see_blocked:
        granted &= documents.c.patient_blocked_at.is_(None)
    if not scope.may_see_withheld:
        granted &= documents.c.withheld_at.is_(None)
    if scope.reader_id is not None:
        granted &= ~_restricted(scope)
    if scope.author_id is not None:
        granted |= documents.c.author_id == scope.author_id
    return (documents.c.record_id == record_id) & granted


def _restricted(scope: Scope) -> sa.ColumnElement[bool]:
    """Whether a document is hidden from who reads."""
    if scope.reader_id is None:
        return sa.false()
    against = restrictions.c.document_id == documents.c.document_id
    runs = (restrictions.c.professional_id == scope.reader_id) & restrictions.c.until.is_(None)
    return sa.exists().where(against, runs)


def _own_restricted(scope: Scope) -> sa.ColumnElement[bool]:
    """Whether a visible document is hidden from who reads all the same: only an author's own can be."""
    if scope.author_id is None:
        return sa.false()
    return (documents.c.author_id == scope.author_id) & _restricted(scope)


def _among(column: sa.Column[Any], values: Collection[str]) -> sa.ColumnElement[bool]:
    # one array parameter, where `in` would have the statement rebuilt around its list at every call
    return column == sa.any_(sa.literal(list(values), _TEXTS))


_TEXTS = ARRAY(sa.Text)
_ITEM = (
    documents.c.document_id, documents.c.record_id, documents.c.type, documents.c.category, documents.c.folder,
    documents.c.title, documents.c.act_date, documents.c.language, documents.c.author_id, documents.c.author_kind,
    documents.c.level, documents.c.patient_blocked_at, documents.c.withheld_at, documents.c.deposited_at,
    versions.c.version_id, versions.c.media_type, versions.c.size,
)  # fmt: skip
_CURRENT = documents.join(versions, versions.c.version_id == documents.c.current_version_id)


# --- reading ----------------------------------------------------------------------------------------------------------


def record_of(session: Session, document_id: str) -> str | None:
    """The record a document lies in."""
    return session.scalar(sa.select(documents.c.record_id).where(documents.c.document_id == document_id))


def page(
    session: Session, scope: Scope, record_id: str, after: Position | None, limit: int, *, shown_to: Scope | None = None
) -> Sequence[Row]:
    """The newest visible documents of a record after a position, one more than `limit` when there are more.

    shown_to: the scope of who looks over the reader's shoulder, and must not see more than they do themselves.
    """
    query = (
        sa.select(*_ITEM).select_from(_CURRENT).where(visible(scope, record_id))
        .order_by(documents.c.deposited_at.desc(), documents.c.document_id.desc()).limit(limit + 1)
    )  # fmt: skip
    if shown_to is not None:
        query = query.where(visible(shown_to, record_id))
    if after is not None:
        place = sa.tuple_(documents.c.deposited_at, documents.c.document_id)
        query = query.where(place < sa.tuple_(sa.literal(after.deposited_at), sa.literal(after.document_id)))
    return session.execute(query).all()


def sees_anything(session: Session, scope: Scope, record_id: str) -> bool:
    """Whether this scope lets at least one document of the record through."""
    return session.execute(sa.select(sa.literal(1)).where(visible(scope, record_id)).limit(1)).first() is not None


def history(session: Session, scope: Scope, record_id: str, document_id: str) -> Sequence[Row]:
    """A visible document beside each of its versions, newest version first; none when it is not visible."""
    each = versions.alias("each")
    return session.execute(
        sa.select(
            *_ITEM, _own_restricted(scope).label("restricted"),
            each.c.version_id.label("each_id"), each.c.number, each.c.media_type.label("each_media_type"),
            each.c.size.label("each_size"), each.c.sha256, each.c.author_id.label("each_author_id"), each.c.created_at,
        )
        .select_from(_CURRENT.join(each, each.c.document_id == documents.c.document_id))
        .where(documents.c.document_id == document_id, visible(scope, record_id))
        .order_by(each.c.number.desc())
    ).all()  # fmt: skip


def content(
    session: Session, scope: Scope, record_id: str, document_id: str, version_id: str | None, session_id: str
) -> Row | None:
    """One version of a visible document with its wrapped keys, and when this session last read it (`read_at`)."""
    wanted = documents.c.current_version_id if version_id is None else sa.literal(version_id, sa.Uuid(as_uuid=False))
    joined = (
        documents.join(versions, versions.c.document_id == documents.c.document_id)
        .join(record_keys, record_keys.c.record_id == versions.c.key_record_id)
        .outerjoin(opens, (opens.c.version_id == versions.c.version_id) & (opens.c.session_id == session_id))
    )
    return session.execute(
        sa.select(
            documents.c.document_id, documents.c.type, documents.c.category, documents.c.folder, documents.c.level,
            documents.c.author_id, documents.c.patient_blocked_at, documents.c.withheld_at,
            _own_restricted(scope).label("restricted"), versions.c.version_id, versions.c.store_version,
            versions.c.media_type, versions.c.size, versions.c.sha256, versions.c.wrapped_key, versions.c.key_record_id,
            versions.c.created_at, record_keys.c.wrapped_key.label("wrapped_record_key"), opens.c.read_at,
        )
        .select_from(joined)
        .where(documents.c.document_id == document_id, versions.c.version_id == wanted, visible(scope, record_id))
    ).first()  # fmt: skip


def open_version(session: Session, session_id: str, version_id: str, at: datetime, since: datetime) -> bool:
    """Begins an opening of a version in a session; False when one begun after `since` still stands.

    The row's key decides between simultaneous readers: exactly one of them begins it.
    """
    fresh = insert(opens).values(session_id=session_id, version_id=version_id, opened_at=at, read_at=at)
    begun = fresh.on_conflict_do_update(
        index_elements=["session_id", "version_id"],
        set_={"opened_at": at, "read_at": at},
        where=opens.c.opened_at <= since,
    ).returning(opens.c.version_id)
    return session.execute(begun).first() is not None


def note_reading(session: Session, session_id: str, version_id: str, at: datetime) -> None:
    """Notes that an opening is still read."""
    session.execute(
        sa.update(opens).where(opens.c.session_id == session_id, opens.c.version_id == version_id).values(read_at=at)
    )


# --- levels -----------------------------------------------------------------------------------------------------------


def seen_document(session: Session, scope: Scope, record_id: str, document_id: str) -> Row | None:
    """A visible document, as decisions about it need it."""
    return session.execute(_one(scope, record_id, document_id)).first()


def lock_document(session: Session, scope: Scope, record_id: str, document_id: str) -> Row | None:
    """The same, held until the commit: two changes of one document come one after the other."""
    return session.execute(_one(scope, record_id, document_id).with_for_update()).first()


def _one(scope: Scope, record_id: str, document_id: str) -> sa.Select[Any]:
    return sa.select(
        documents.c.document_id, documents.c.record_id, documents.c.type, documents.c.category, documents.c.folder,
        documents.c.level, documents.c.author_id, documents.c.patient_blocked_at, documents.c.withheld_at,
        _own_restricted(scope).label("restricted"),
    ).where(documents.c.document_id == document_id, visible(scope, record_id))  # fmt: skip


def set_level(session: Session, document_id: str, level: str, *, level_id: str, account_id: str, at: datetime) -> None:
    """Ends the present level and begins another, whose risk was accepted."""
    session.execute(
        sa.update(levels).where(levels.c.document_id == document_id, levels.c.valid_to.is_(None))
        .values(valid_to=sa.func.greatest(levels.c.valid_from, at))
    )  # fmt: skip
    add_level(session, document_id, level, level_id=level_id, account_id=account_id, at=at, risk_accepted=True)
    session.execute(sa.update(documents).where(documents.c.document_id == document_id).values(level=level))


def add_level(
    session: Session, document_id: str, level: str, *, level_id: str, account_id: str, at: datetime,
    risk_accepted: bool,
) -> None:  # fmt: skip
    """Writes a row of the level history that stands until further notice."""
    session.execute(
        sa.insert(levels).values(
            level_id=level_id, document_id=document_id, level=level, valid_from=at, account_id=account_id,
            risk_accepted=risk_accepted,
        )
    )  # fmt: skip


# --- depositing -------------------------------------------------------------------------------------------------------


def record_key(session: Session, record_id: str) -> bytes | None:
    """A record's key, wrapped."""
    found: bytes | memoryview | None = session.scalar(
        sa.select(record_keys.c.wrapped_key).where(record_keys.c.record_id == record_id)
    )
    return None if found is None else bytes(found)


def add_record_key(session: Session, record_id: str, wrapped_key: bytes, at: datetime) -> bytes:
    """Gives a record its key, once: of two simultaneous first deposits both get the key of the one that came first."""
    first = insert(record_keys).values(record_id=record_id, wrapped_key=wrapped_key, created_at=at)
    session.execute(first.on_conflict_do_nothing(index_elements=["record_id"]))
    kept = record_key(session, record_id)
    assert kept is not None, "a record key vanished"
    return kept


def add_upload(
    session: Session, *, upload_id: str, record_id: str, account_id: str, capacity: str, metadata: Metadata,
    at: datetime, expires_at: datetime,
) -> None:  # fmt: skip
    """Keeps what was said about a document until its bytes are there."""
    session.execute(
        sa.insert(uploads).values(
            upload_id=upload_id, record_id=record_id, home_record_id=record_id, account_id=account_id,
            capacity=capacity,
            type=metadata.type.slug, title=metadata.title, act_date=metadata.act_date, language=metadata.language,
            prepared_at=at, expires_at=expires_at,
        )
    )  # fmt: skip


def upload(session: Session, upload_id: str, account_id: str, capacity: str) -> Row | None:
    """A person's own upload in this capacity, with its record's key and, when committed, the version made of it."""
    first = versions.c.number == 1
    return session.execute(
        sa.select(uploads, record_keys.c.wrapped_key.label("wrapped_record_key"), versions.c.version_id,
                  versions.c.sha256)
        .select_from(
            uploads.join(record_keys, record_keys.c.record_id == uploads.c.record_id)
            .outerjoin(versions, (versions.c.document_id == uploads.c.document_id) & first)
        )
        .where(uploads.c.upload_id == upload_id, uploads.c.account_id == account_id, uploads.c.capacity == capacity)
    ).first()  # fmt: skip


def record_of_upload(session: Session, upload_id: str) -> str | None:
    """The record that somebody's upload was meant for, for the trace of a stranger's try."""
    return session.scalar(sa.select(uploads.c.record_id).where(uploads.c.upload_id == upload_id))


def add_attempt(
    session: Session, upload_id: str, version_id: str, wrapped_key: bytes, key_record_id: str, at: datetime
) -> None:
    """Remembers one try of an upload before its URL leaves: no object without a row."""
    session.execute(
        sa.insert(attempts).values(
            version_id=version_id, upload_id=upload_id, wrapped_key=wrapped_key, key_record_id=key_record_id,
            started_at=at,
        )
    )  # fmt: skip


def lock_upload(session: Session, upload_id: str) -> None:
    """Holds an upload until the commit: of two simultaneous commits one deposits, the other finds it done."""
    session.execute(sa.select(uploads.c.upload_id).where(uploads.c.upload_id == upload_id).with_for_update())


def take_attempt(session: Session, upload_id: str, version_id: str, not_before: datetime) -> Row | None:
    """Takes a try out of the sweeper's reach and gives its wrapped key (`wrapped_key`, `key_record_id`).

    None when it is unknown or too old.
    """
    return session.execute(
        sa.delete(attempts).where(
            attempts.c.version_id == version_id, attempts.c.upload_id == upload_id,
            attempts.c.condemned_at.is_(None), attempts.c.started_at > not_before,
        ).returning(attempts.c.wrapped_key, attempts.c.key_record_id)
    ).first()  # fmt: skip


def add_document(session: Session, *, document: dict[str, Any], version: dict[str, Any], level_id: str) -> None:
    """Writes a new document, its first version, its first level, and that its upload is done."""
    session.execute(sa.insert(documents).values(**document))
    session.execute(sa.insert(versions).values(number=1, **version))
    add_level(
        session, document["document_id"], document["level"], level_id=level_id, account_id=version["account_id"],
        at=document["deposited_at"], risk_accepted=False,
    )  # fmt: skip
    session.execute(
        sa.update(uploads).where(uploads.c.upload_id == document["upload_id"])
        .values(document_id=document["document_id"])
    )  # fmt: skip


# --- sweeping ---------------------------------------------------------------------------------------------------------


def condemn_attempts(session: Session, before: datetime, at: datetime, limit: int) -> Sequence[str]:
    """Marks tries begun before a moment that no commit took; those of an interrupted sweep come again."""
    due = (
        sa.select(attempts.c.version_id).where(attempts.c.started_at <= before)
        .order_by(attempts.c.started_at).limit(limit).with_for_update(skip_locked=True)
    )  # fmt: skip
    marked = sa.update(attempts).where(attempts.c.version_id.in_(due)).values(condemned_at=at)
    return session.scalars(marked.returning(attempts.c.version_id)).all()


def forget_attempt(session: Session, version_id: str) -> None:
    """Drops the row of a condemned try whose object is gone."""
    session.execute(
        sa.delete(attempts).where(attempts.c.version_id == version_id, attempts.c.condemned_at.is_not(None))
    )


def forget_uploads(session: Session, before: datetime) -> None:
    """Drops the words of uploads that expired before a moment, done or not, once none of their tries is left."""
    tried = sa.exists().where(attempts.c.upload_id == uploads.c.upload_id)
    session.execute(sa.delete(uploads).where(uploads.c.expires_at <= before, ~tried))


def forget_opens(session: Session, before: datetime) -> None:
    """Drops openings that ended long ago."""
    session.execute(sa.delete(opens).where(opens.c.opened_at <= before))
