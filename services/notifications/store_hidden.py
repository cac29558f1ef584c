"""Queries on what is hidden from the readers of notices: the holder side, and professionals."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.notifications.models_inbox import HiddenDocument
from services.notifications.models_messages import Message
from services.notifications.models_subscriptions import Restriction
from services.notifications.rules_occasions import HOLDER

BLOCKED = "blocked"
WITHHELD = "withheld"


def hide(session: Session, document_id: str, kind: str, since: datetime) -> None:
    """Notes that a document is hidden from a moment on; a repeat, or one whose end is known already, changes nothing.

    kind: `blocked` from the whole holder side, `withheld` from representatives.
    """
    told = insert(HiddenDocument).values(document_id=document_id, kind=kind, since=since)
    session.execute(told.on_conflict_do_nothing())


def show(session: Session, document_id: str, kind: str, since: datetime, until: datetime) -> None:
    """Notes that what was hidden `since` then is seen again; it may be told before its beginning is."""
    told = insert(HiddenDocument).values(document_id=document_id, kind=kind, since=since, until=until)
    session.execute(
        told.on_conflict_do_update(
            index_elements=["document_id", "kind", "since"], set_={"until": told.excluded.until},
            where=HiddenDocument.until.is_(None),
        )
    )  # fmt: skip


HIDDEN_NOW = sa.and_(
    Message.document_id.is_not(None),
    sa.case(
        (Message.recipient_kind == "patient", sa.exists().where(
            HiddenDocument.document_id == Message.document_id, HiddenDocument.until.is_(None),
            (HiddenDocument.kind == BLOCKED) | Message.role.is_distinct_from(HOLDER),
        )),
        else_=sa.exists().where(
            Restriction.document_id == Message.document_id, Restriction.restricted,
            sa.cast(Restriction.professional_id, sa.Text) == Message.recipient_id,
        ),
    ),
)  # fmt: skip
"""Whether a message is about a document that its reader may not hear of now: a condition on `Message`.

What a professional blocked, nobody of the holder side hears of; what is withheld, representatives do not; what the
holder side hid from a professional, that one does not. [L14 16(5), L14 13, RGD 6(3)]
"""
