"""Every query of documents. What a caller may see stands here once, in `visible`, and every reading query uses it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from services.documents.contract import PRESCRIPTIONS
from services.documents.models import attempts, documents, levels, opens, record_keys, restrictions, uploads, versions
from services.documents.models_care import descriptions, prescriptions
from services.documents.models_reading import examinations
from services.documents.rules import Place, Position, Scope
from services.plans import planned_once

Row = Any  # a row of one of the queries below, read by column name


def visible(scope: Scope, record_id: str) -> sa.ColumnElement[bool]:
    """The documents of one record that this scope lets through, as a WHERE clause over `documents`.

    Each clause of the scope is one term of its own: a union of categories times a union of levels would grant too
    much. A patient block takes a document from the holder side, a withholding from the representatives, a restriction
    from the one it names; nothing takes an author's own document from them. What was not checked yet, or did not pass,
    is seen by who deposited it alone; of what was removed nobody sees more than the tombstone.
    """
    seen = (_granted(scope) & (documents.c.state == "available")) | _unfinished(scope)
    return (documents.c.record_id == record_id) & seen


def is_removed(session: Session, scope: Scope, record_id: str, document_id: str) -> bool:
    """Whether this is the tombstone of a document that this scope would let through, and that was ever to be seen."""
    shown = sa.exists().where(versions.c.document_id == documents.c.document_id, versions.c.state == "available")
    query = sa.exists().where(
        documents.c.document_id == document_id, documents.c.record_id == record_id, documents.c.state == "removed",
        _granted(scope), shown,
    )  # fmt: skip
    return bool(session.scalar(sa.select(query)))


def _granted(scope: Scope) -> sa.ColumnElement[bool]:
    """What the clauses, the authorship and all that hides say of a document, whatever its state."""
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
    return granted


def _unfinished(scope: Scope) -> sa.ColumnElement[bool]:
    """Deposits of who reads that others do not see yet, or never will."""
    if scope.account_id is None or (not scope.clauses and scope.author_id is None):
        return sa.false()
    kind = "holder" if scope.holder_side else "professional"
    own = (documents.c.account_id == scope.account_id) & (documents.c.author_kind == kind)
    return own & _among(documents.c.state, ("checking", "rejected"))


def finished(scope: Scope, each: Any = versions) -> sa.ColumnElement[bool]:
    """The versions of a visible document that this reader may know of: their own also while checked, or rejected."""
    passed: sa.ColumnElement[bool] = each.c.state == "available"
    if scope.account_id is None:
        return passed
    capacity = each.c.capacity == "patient" if scope.holder_side else each.c.capacity != "patient"
    return passed | ((each.c.account_id == scope.account_id) & capacity)


def readable(scope: Scope, each: Any = versions) -> sa.ColumnElement[bool]:
    """Those among them whose bytes this reader may be given: an infected file is in quarantine, and nobody's."""
    return finished(scope, each) & each.c.reason.is_distinct_from("infected")


def _restricted(scope: Scope) -> sa.ColumnElement[bool]:
    """Whether a document is hidden from who reads."""
    if scope.reader_id is None:
        return sa.false()
    against = restrictions.c.document_id == documents.c.document_id
    runs = (restrictions.c.professional_id == scope.reader_id) & restrictions.c.until.is_(None)
    return sa.exists().where(against, runs)


def own_restricted(scope: Scope) -> sa.ColumnElement[bool]:
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
    documents.c.establishment_id, documents.c.level, documents.c.patient_blocked_at, documents.c.withheld_at,
    documents.c.deposited_at, documents.c.state, documents.c.account_id, versions.c.reason,
    versions.c.version_id, versions.c.media_type, versions.c.size, prescriptions.c.state.label("dispensation_state"),
)  # fmt: skip
_PRESCRIBED = (prescriptions.c.document_id == documents.c.document_id) & (documents.c.category == PRESCRIPTIONS)
CURRENT = documents.join(versions, versions.c.version_id == documents.c.current_version_id).outerjoin(
    prescriptions, _PRESCRIBED
)


# --- reading ----------------------------------------------------------------------------------------------------------


def place_of(session: Session, document_id: str) -> Place:
    """Where a document lies, and whose it is."""
    query = sa.select(documents.c.record_id, documents.c.home_record_id)
    row = session.execute(query.where(documents.c.document_id == document_id)).first()
    return Place(document_id, *(row or (None, None)))


def shown(scope: Scope, record_id: str) -> sa.Select[Any]:
    """The visible documents of a record as lists show them, in no order."""
    return items().where(visible(scope, record_id))


def items() -> sa.Select[Any]:
    """Documents as lists show them, for who says which: any but those found through `visible` would be a leak."""
    return sa.select(*_ITEM).select_from(CURRENT)


def page(
    session: Session, scope: Scope, record_id: str, after: Position | None, limit: int, *,
    shown_to: Scope | None = None, beside: Sequence[sa.ColumnElement[Any]] = (),
) -> Sequence[Row]:  # fmt: skip
    """The newest visible documents of a record after a position, one more than `limit` when there are more.

    shown_to: the scope of who looks over the reader's shoulder, and must not see more than they do themselves.
    beside: what else is asked of each.
    """
    query = shown(scope, record_id).order_by(documents.c.deposited_at.desc(), documents.c.document_id.desc())
    query = query.limit(limit + 1).add_columns(*beside)
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
            *_ITEM, own_restricted(scope).label("restricted"),
            each.c.version_id.label("each_id"), each.c.number, each.c.media_type.label("each_media_type"),
            each.c.size.label("each_size"), each.c.sha256, each.c.author_id.label("each_author_id"), each.c.created_at,
            versions.c.number.label("current_number"), wording(document_id).label("wording"),
        )
        .select_from(CURRENT.join(each, each.c.document_id == documents.c.document_id))
        .where(documents.c.document_id == document_id, visible(scope, record_id), finished(scope, each))
        .order_by(each.c.number.desc())
    ).all()  # fmt: skip


def wording(document_id: str) -> sa.ColumnElement[int]:
    """The number of the wording in force."""
    most = sa.select(sa.func.max(descriptions.c.number)).where(descriptions.c.document_id == document_id)
    return sa.func.coalesce(most.scalar_subquery(), 1)


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
            documents.c.document_id, documents.c.home_record_id, documents.c.type, documents.c.category,
            documents.c.folder, documents.c.level, documents.c.author_id, documents.c.patient_blocked_at,
            documents.c.withheld_at, own_restricted(scope).label("restricted"), versions.c.version_id,
            versions.c.content_id, versions.c.store_version, versions.c.media_type, versions.c.size, versions.c.sha256,
            versions.c.wrapped_key, versions.c.key_record_id, versions.c.created_at, versions.c.number,
            versions.c.author_id.label("version_author_id"), documents.c.title, documents.c.act_date,
            record_keys.c.wrapped_key.label("wrapped_record_key"), opens.c.read_at,
        )
        .select_from(joined)
        .where(
            documents.c.document_id == document_id, versions.c.version_id == wanted, visible(scope, record_id),
            readable(scope),
        )
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
        own_restricted(scope).label("restricted"), documents.c.state, documents.c.current_version_id,
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
    """A record's key, wrapped; None where it has none yet, or none any more."""
    found: bytes | memoryview | None = session.scalar(_RECORD_KEY, {"record_id": record_id})
    return None if found is None else bytes(found)


_RECORD_KEY = planned_once(
    sa.select(record_keys.c.wrapped_key).where(record_keys.c.record_id == sa.bindparam("record_id"))
)


def add_record_key(
    session: Session, record_id: str, wrapped_key: bytes, master_key_id: str, at: datetime
) -> bytes | None:
    """Gives a record its key, once: of two simultaneous first deposits both get the key of the one that came first.

    A record that was deleted gets none any more.
    """
    first = insert(record_keys).values(
        record_id=record_id, wrapped_key=wrapped_key, master_key_id=master_key_id, created_at=at
    )
    session.execute(first.on_conflict_do_nothing(index_elements=["record_id"]))
    return record_key(session, record_id)


# --- sweeping ---------------------------------------------------------------------------------------------------------


def condemn_attempts(session: Session, before: datetime, at: datetime, limit: int) -> Sequence[Row]:
    """Marks tries begun before a moment that no commit took; those of an interrupted sweep come again."""
    due = (
        sa.select(attempts.c.version_id).where(attempts.c.started_at <= before)
        .order_by(attempts.c.started_at).limit(limit).with_for_update(skip_locked=True)
    )  # fmt: skip
    marked = sa.update(attempts).where(attempts.c.version_id.in_(due)).values(condemned_at=at)
    return session.execute(marked.returning(attempts.c.version_id, attempts.c.multipart_id)).all()


def forget_attempt(session: Session, version_id: str) -> None:
    """Drops the row of a condemned try whose object is gone."""
    session.execute(
        sa.delete(attempts).where(attempts.c.version_id == version_id, attempts.c.condemned_at.is_not(None))
    )


def forget_uploads(session: Session, before: datetime) -> None:
    """Drops the words of uploads that expired before a moment, done or not, once none of their tries is left.

    What was said of one that still waits for the close look is kept: its lines are written down then.
    """
    tried = sa.exists().where(attempts.c.upload_id == uploads.c.upload_id)
    waits = sa.exists().where(examinations.c.version_id == uploads.c.version_id)
    session.execute(sa.delete(uploads).where(uploads.c.expires_at <= before, ~tried, ~waits))


def forget_opens(session: Session, before: datetime) -> None:
    """Drops openings that ended long ago."""
    session.execute(sa.delete(opens).where(opens.c.opened_at <= before))
