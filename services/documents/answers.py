"""How rows become answers, and how each answer and each refusal leaves its trace in the transaction it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit
from services.db import new_id, now, rfc3339
from services.documents import rules, rules_ends, store, store_deposits, store_visits
from services.documents.contract import (
    CommittedDeposit,
    DepositableType,
    DocumentBlocked,
    DocumentDeposited,
    DocumentGone,
    DocumentNotFound,
    DocumentPage,
    DocumentRejected,
    DocumentUnfinished,
    DocumentVersioned,
    DocumentWithheld,
    Item,
    TypeNotDepositable,
    UploadNotFound,
    Version,
)
from services.documents.rules_visits import VISITORS
from services.dossier.contract import AccessScope, RecordClosed, RecordNotFound
from services.refusals import InvalidInput, KeyReused, NotAllowed, Refusal
from services.tokens import Caller

_Look = Callable[[Session, rules.Scope, str, str], store.Row | None]

# --- traces -----------------------------------------------------------------------------------------------------------


def allow(
    session: Session, caller: Caller, action: str, grant: rules.Grant | None, *, record_id: str | None,
    object_id: str | None = None, object_type: str = "document", count: int | None = None, at: datetime | None = None,
) -> None:  # fmt: skip
    """Writes the trace of something allowed, with the ground and the rule that allowed it, and that a reader came."""
    assert grant is not None, "the query let through what the rule forbids"
    emit(session, traced(
        caller, action, at=at or now(), record_id=record_id, object_id=object_id, object_type=object_id and object_type,
        ground=grant.ground, rule=grant.rule, count=count,
    ))  # fmt: skip
    if record_id is not None and caller.capacity in VISITORS:
        store_visits.note(session, caller, record_id, at or now())


def refuse(
    session: Session, caller: Caller, action: str, refusal: Refusal, *, record_id: str | None,
    object_id: str | None = None, object_type: str = "document",
) -> Refusal:  # fmt: skip
    """Writes the trace of a refusal and gives the refusal back, to be returned so that the trace is committed."""
    emit(session, traced(
        caller, action, at=now(), record_id=record_id, object_id=object_id, object_type=object_id and object_type,
        outcome="refused", reason=refusal.code,
    ))  # fmt: skip
    return refusal


def refuse_document(session: Session, caller: Caller, action: str, place: rules.Place) -> Refusal:
    """The one answer for unknown, hidden and foreign; the trace names the record where there is one, for its holder."""
    return refuse(session, caller, action, DocumentNotFound(), record_id=place.home_id, object_id=place.document_id)


def refuse_reading(session: Session, caller: Caller, action: str, scope: AccessScope, place: rules.Place) -> Refusal:
    """As `refuse_document`; who could see a document that was removed is told that it is gone."""
    if store.is_removed(session, scope, place.record_id or new_id(), place.document_id or new_id()):
        return refuse(session, caller, action, DocumentGone(), record_id=place.home_id, object_id=place.document_id)
    return refuse_document(session, caller, action, place)


def held(
    session: Session, caller: Caller, action: str, scope: AccessScope, place: rules.Place,
    may: Callable[[rules.Scope, rules.Facts], rules.Grant | None], *, look: _Look = store.lock_document,
    at: datetime | None = None,
) -> store.Row | Refusal:  # fmt: skip
    """A document that this caller may change, held until the commit, with the trace of it; else the traced refusal.

    may: the rule that lets them. look: `store.seen_document` where nothing changes. at: of the trace, None for now.

    Refuses: DocumentNotFound where it is not visible, NotAllowed where the rule says no; DocumentUnfinished for a
    change of what did not pass: nobody but who deposited it ever hears of it.
    """
    row = look(session, scope, place.record_id or new_id(), place.document_id or new_id())
    if row is None:
        return refuse_document(session, caller, action, place)
    grant = may(scope, facts_of(row))
    if grant is None:
        return refuse(session, caller, action, NotAllowed(), record_id=place.home_id, object_id=row.document_id)
    if look is store.lock_document and row.state == "rejected":
        unfinished = DocumentUnfinished()
        return refuse(session, caller, action, unfinished, record_id=place.home_id, object_id=row.document_id)
    allow(session, caller, action, grant, record_id=place.home_id, object_id=row.document_id, at=at)
    return row


def refuse_upload(session: Session, caller: Caller, upload_id: str) -> Refusal:
    """The one answer for an unknown upload and somebody else's; the trace names the record where there is one."""
    record_id = store_deposits.record_of_upload(session, upload_id)
    return refuse(
        session, caller, "document.created", UploadNotFound(), record_id=record_id, object_id=upload_id,
        object_type="upload",
    )  # fmt: skip


def no_ground(scope: AccessScope) -> Refusal:
    """The answer where there is no ground: that a record is closed is told to its holder alone."""
    return RecordClosed() if scope.holder_side else RecordNotFound()


def refused_deposit(scope: AccessScope, kind: rules.DocumentType) -> Refusal | None:
    """Why this caller may not deposit this type in this record, or None."""
    if not scope.clauses:
        return no_ground(scope)
    return None if rules.may_deposit(scope, kind) else TypeNotDepositable()


# --- answers ----------------------------------------------------------------------------------------------------------


def require(**fields: bool) -> None:
    """Refuses input whose named fields are not all right: InvalidInput with one pointer each."""
    wrong = [{"pointer": f"/{name}", "message": "invalid"} for name, right in fields.items() if not right]
    if wrong:
        raise InvalidInput(errors=wrong)


def require_risk(accepted: object, version: object, wordings: Collection[str]) -> None:
    """Refuses where the risks were not accepted, or in no wording there is: InvalidInput [seed 002]."""
    errors = []
    if accepted is not True:
        errors.append({"pointer": "/risk_accepted", "message": "must_be_accepted"})
    if not isinstance(version, str) or version not in wordings:
        errors.append({"pointer": "/risk_version", "message": "unknown"})
    if errors:
        raise InvalidInput(errors=errors)


def repeated(session: Session, caller: Caller, upload: store.Row, sha256: str) -> CommittedDeposit | Refusal:
    """What the first commit of this upload answered, without another trace; KeyReused when these are other bytes."""
    if bytes(upload.sha256).hex() != sha256:
        return refuse(session, caller, "document.created", KeyReused(), record_id=upload.record_id)
    return {
        "document_id": upload.document_id, "version_id": upload.version_id, "record_id": upload.record_id,
        "duplicate_of": upload.duplicate_of,
    }  # fmt: skip


def tell(session: Session, row: store.Row, change: Any) -> None:
    """Emits what befell a document that others have heard of; of what is still looked at `shown` tells all at once."""
    if row.state == "available":
        emit(session, change)


def shown(row: store.Row) -> list[Any]:
    """The events of a new document that others may see from now on: its deposit, and what hides it already."""
    told: list[Any] = [deposited(row)]
    if row.patient_blocked_at is not None:
        told.append(DocumentBlocked(row.record_id, row.document_id, rfc3339(row.patient_blocked_at)))
    if row.withheld_at is not None:
        since = rfc3339(row.withheld_at)
        told.append(DocumentWithheld(row.record_id, row.document_id, True, since, since))
    return told


def deposited(row: store.Row) -> DocumentDeposited:
    """The event of a new document that others may see from now on."""
    return DocumentDeposited(
        record_id=row.record_id, document_id=row.document_id, version_id=row.version_id, document_type=row.type,
        category=row.category, level=row.level, author_id=row.author_id, media_type=row.media_type, size=row.size,
        deposited_at=rfc3339(row.deposited_at), home_record_id=row.home_record_id, folder=row.folder,
        establishment_id=row.establishment_id,
        hidden=rules_ends.hidden_how(
            state="available", blocked=row.patient_blocked_at is not None, withheld=row.withheld_at is not None
        ),
    )  # fmt: skip


def versioned(row: store.Row, at: datetime) -> DocumentVersioned:
    """The event of a new current version that others may see from now on."""
    return DocumentVersioned(
        record_id=row.record_id, document_id=row.document_id, version_id=row.version_id, number=row.number,
        document_type=row.type, category=row.category, level=row.level, author_id=row.version_author_id,
        media_type=row.media_type, size=row.size, restores=row.restores, at=rfc3339(at),
    )  # fmt: skip


def rejected(row: store.Row, reason: str, at: datetime) -> DocumentRejected:
    """The event for who deposited what did not pass."""
    return DocumentRejected(
        record_id=row.record_id, document_id=row.document_id, version_id=row.version_id,
        account_id=row.version_account_id, capacity=row.capacity, reason=reason, at=rfc3339(at),
    )  # fmt: skip


def facts_of(row: store.Row) -> rules.Facts:
    """What the rules need of a row."""
    return rules.Facts(
        row.category, row.folder, row.level, row.author_id, row.patient_blocked_at is not None, row.type,
        row.withheld_at is not None, row.restricted,
    )  # fmt: skip


def item(row: store.Row) -> Item:
    """A document as a list shows it."""
    return {
        "document_id": row.document_id, "record_id": row.record_id, "version_id": row.version_id, "type": row.type,
        "category": row.category, "folder": row.folder, "title": row.title,
        "act_date": None if row.act_date is None else row.act_date.isoformat(), "language": row.language,
        "author_id": row.author_id, "holder_authored": row.author_kind == "holder",
        "establishment_id": row.establishment_id, "level": row.level,
        "media_type": row.media_type, "size": row.size, "deposited_at": rfc3339(row.deposited_at),
        "state": row.state, "reason": row.reason, "dispensation_state": row.dispensation_state,
    }  # fmt: skip


def page(rows: Sequence[store.Row], limit: int) -> DocumentPage:
    """The rows of a page, of which there is one more when another page follows."""
    shown = rows[:limit]
    last = rules.Position(shown[-1].deposited_at, shown[-1].document_id) if len(rows) > limit else None
    return {
        "documents": [item(row) for row in shown],
        "next_cursor": None if last is None else rules.to_cursor(last),
    }


def depositable(kind: rules.DocumentType, max_size: int) -> DepositableType:
    """A type as who may deposit it sees it."""
    return {
        "slug": kind.slug, "label": kind.label_fr, "folder": kind.folder, "category": kind.category,
        "media_types": list(rules.media_types_of(kind)),
        "max_sizes": {media_type: rules.most_bytes(media_type, max_size) for media_type in rules.media_types_of(kind)},
    }  # fmt: skip


def version(row: store.Row) -> Version:
    """One version of a document."""
    return {
        "version_id": row.each_id, "number": row.number, "media_type": row.each_media_type, "size": row.each_size,
        "sha256": bytes(row.sha256).hex(), "author_id": row.each_author_id, "created_at": rfc3339(row.created_at),
    }  # fmt: skip
