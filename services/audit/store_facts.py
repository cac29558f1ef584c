"""What is known of documents, and which of them a reader may see: `visible` is the one place where that stands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from services.audit.models import HiddenDocument
from services.audit.models_facts import DocumentFact, DocumentRestriction
from services.db import inbox
from services.documents.contract import (
    ConfidentialityChanged,
    DocumentBlocked,
    DocumentCorrected,
    DocumentDeposited,
    DocumentRestricted,
    DocumentWithheld,
)
from services.dossier.contract import AccessScope

HIDING: dict[str, type] = {"blocked": DocumentBlocked, "withheld": DocumentWithheld}
"""The events that begin to hide a document from the holder side, or from the representatives."""

NARROWING = (DocumentDeposited, ConfidentialityChanged, DocumentCorrected, DocumentRestricted, DocumentBlocked,
             DocumentWithheld)  # fmt: skip
"""The events that may take a document from somebody's eyes."""

_FACTS = cast(sa.Table, DocumentFact.__table__)
_RESTRICTIONS = cast(sa.Table, DocumentRestriction.__table__)
_HIDDEN = cast(sa.Table, HiddenDocument.__table__)
_TEXTS = ARRAY(sa.Text)


# --- what is told -----------------------------------------------------------------------------------------------------


def note_shown(session: Session, told: DocumentDeposited, since: datetime, at: datetime) -> None:
    """Notes a document that others may see since a moment, as it was at another; what was told later stays."""
    named = {"type": told.document_type, "category": told.category, "folder": told.folder, "named_at": at}
    levelled = {"level": told.level, "level_at": at}
    always = {"shown_since": since, "author_id": told.author_id}
    _note(session, told.document_id, named, levelled, always)


def note_level(session: Session, document_id: str, level: str, at: datetime) -> None:
    """Notes a document's level as it was told at a moment."""
    _note(session, document_id, {}, {"level": level, "level_at": at}, {})


def note_kind(session: Session, told: DocumentCorrected, at: datetime) -> None:
    """Notes a document's type and place as they were told at a moment."""
    named = {"type": told.document_type, "category": told.category, "folder": told.folder, "named_at": at}
    _note(session, told.document_id, named, {}, {})


def _note(
    session: Session, document_id: str, named: dict[str, Any], levelled: dict[str, Any], always: dict[str, Any]
) -> None:  # fmt: skip
    """Writes what was told; each group of facts gives way to a later telling of itself alone."""
    row = insert(_FACTS).values(document_id=document_id, **named, **levelled, **always)
    changes: dict[str, Any] = {name: row.excluded[name] for name in always}
    for group, clock in ((named, "named_at"), (levelled, "level_at")):
        later = sa.func.coalesce(_FACTS.c[clock] <= row.excluded[clock], sa.true())
        changes |= {name: sa.case((later, row.excluded[name]), else_=_FACTS.c[name]) for name in group}
    session.execute(row.on_conflict_do_update(index_elements=["document_id"], set_=changes))


def note_restriction(
    session: Session, document_id: str, professional_id: str, restricted: bool, at: datetime
) -> None:  # fmt: skip
    """Notes whether a document is hidden from a professional, as it was told at a moment."""
    told = {"restricted": restricted, "told_at": at}
    row = insert(_RESTRICTIONS).values(document_id=document_id, professional_id=professional_id, **told)
    session.execute(row.on_conflict_do_update(
        index_elements=["document_id", "professional_id"], set_=told, where=_RESTRICTIONS.c.told_at <= at
    ))  # fmt: skip


# --- who sees what ----------------------------------------------------------------------------------------------------


def visible(scope: AccessScope, document_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether this scope lets a document through, by all that is known: what is not known yet is not let through.

    As `visible` of documents: each clause of the scope is a term of its own, blocks, withholdings and restrictions
    take from it, and nothing takes an author's own document from them. Nor is a document let through while an event
    lies in the inbox that may take it away: the answer reaches as far as what has been read of them.
    """
    facts = _FACTS.c
    terms = [_clause(clause) for clause in scope.clauses if clause.read and clause.levels]
    granted = sa.or_(sa.false(), *terms)
    hidden = [kind for kind, seen in (("blocked", scope.may_see_blocked), ("withheld", scope.may_see_withheld))
              if not seen]  # fmt: skip
    if hidden:
        now = sa.exists().where(
            _HIDDEN.c.document_id == facts.document_id, _among(_HIDDEN.c.kind, hidden), _HIDDEN.c.until.is_(None)
        )
        granted &= ~now
    if scope.reader_id is not None:
        against = sa.exists().where(
            _RESTRICTIONS.c.document_id == facts.document_id, _RESTRICTIONS.c.professional_id == scope.reader_id,
            _RESTRICTIONS.c.restricted,
        )  # fmt: skip
        granted &= ~against
    if scope.author_id is not None:
        granted |= facts.author_id == scope.author_id
    shown = sa.exists().where(facts.document_id == document_id, facts.shown_since.is_not(None), granted)
    return shown & sa.not_(document_id.in_(unread(NARROWING)))


def _clause(clause: Any) -> sa.ColumnElement[bool]:
    facts = _FACTS.c
    term = _among(facts.category, clause.read) & _among(facts.level, clause.levels)
    if clause.folders is not None:
        term &= _among(facts.folder, clause.folders)
    if clause.unread:
        term &= sa.not_(_among(facts.type, clause.unread))
    return term


def unread(events: Sequence[type]) -> sa.Select[Any]:
    """The documents of which news of these kinds lie in the inbox; of what was parked an operator is told."""
    told = sa.cast(inbox.c.envelope, sa.JSON)["data"]["document_id"].as_string()
    return sa.select(sa.cast(told, sa.Uuid(as_uuid=False))).where(
        inbox.c.state == "due", inbox.c.source == "documents", told.is_not(None),
        _among(inbox.c.type, [event.type for event in events]),  # type: ignore[attr-defined]
    )  # fmt: skip


def _among(column: sa.ColumnElement[Any], values: Collection[str]) -> sa.ColumnElement[bool]:
    return column == sa.any_(sa.literal(list(values), _TEXTS))
