"""Queries on the inbox: what was told to somebody, as far as they may hear of it now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session, aliased

from services.db import ended_sessions
from services.notifications.models_inbox import PatientMerge
from services.notifications.models_messages import Message
from services.notifications.rules_inbox import Owner
from services.notifications.rules_occasions import HOLDER
from services.notifications.store_departures import LEFT_NOW
from services.notifications.store_hidden import HIDDEN_NOW

_SHOWN = (
    Message.message_id, Message.occasion, Message.role, Message.record_id, Message.object_type, Message.object_id,
    Message.count, Message.happened_at, Message.read_at,
)  # fmt: skip


def keep_merge(session: Session, merge_id: str, survivor_id: str, merged_id: str, *, undone: bool) -> None:
    """Notes that two patients are one person, or are two again: that stays, whatever arrives after it."""
    told = insert(PatientMerge).values(merge_id=merge_id, survivor_id=survivor_id, merged_id=merged_id, undone=undone)
    session.execute(
        told.on_conflict_do_update(
            index_elements=["merge_id"], set_={"undone": sa.true()}, where=told.excluded.undone
        )
    )  # fmt: skip


def hand_over(session: Session, record_id: str, former_id: str, patient_id: str) -> None:
    """Makes what was told of a record to its former holder, as that, another patient's; whoever heard the same as
    somebody else heard it once."""
    other = aliased(Message)
    heard = sa.exists().where(
        other.event_id == Message.event_id, other.recipient_id == patient_id, other.channel == Message.channel
    )
    theirs = sa.and_(
        Message.channel == "inbox", Message.recipient_kind == "patient", Message.recipient_id == former_id,
        Message.record_id == record_id, Message.role == HOLDER,
    )  # fmt: skip
    handed_over = sa.update(Message).where(theirs).values(recipient_id=patient_id)
    for statement in (sa.delete(Message).where(theirs, heard), handed_over):
        session.execute(statement, execution_options={"synchronize_session": False})


def same_person(kind: sa.ColumnElement[Any], person: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """All ids under which the person of this kind and id is told something: of a patient also those merged with them.

    The function of the database says so, for every query alike.
    """
    return sa.select(sa.func.same_person(kind, person))


_PATIENT = sa.bindparam("patient_id", type_=sa.Text)
_OWN = sa.and_(
    Message.channel == "inbox",
    sa.or_(
        sa.and_(Message.recipient_kind == "patient", _PATIENT.is_not(None),
                Message.recipient_id.in_(same_person(sa.literal("patient"), _PATIENT))),
        sa.and_(
            Message.recipient_kind == "professional",
            Message.recipient_id == sa.bindparam("professional_id", type_=sa.Text),
        ),
        sa.and_(
            Message.recipient_kind == "account", Message.recipient_id == sa.bindparam("account_id", type_=sa.Text),
            Message.occasion == sa.any_(sa.bindparam("occasions", type_=ARRAY(sa.Text))),
        ),
    ),
)  # fmt: skip
_SEEN = sa.and_(_OWN, sa.not_(HIDDEN_NOW), sa.not_(LEFT_NOW))


def _of(owner: Owner) -> dict[str, Any]:
    return {"patient_id": owner.patient_id, "professional_id": owner.professional_id, "account_id": owner.account_id,
            "occasions": list(owner.occasions)}  # fmt: skip


def page(session: Session, owner: Owner, *, unread: bool, after: str | None, limit: int) -> list[dict[str, Any]]:
    """One page of what was told to somebody, newest first, after the one the cursor names.

    after: the id of the last one of the page before; nothing follows one that is not theirs.
    """
    query = sa.select(*_SHOWN).where(_SEEN)
    if unread:
        query = query.where(Message.read_at.is_(None))
    if after is not None:
        query = query.where(Message.seq < _seq_of(after))
    return [dict(row._mapping) for row in session.execute(query.order_by(Message.seq.desc()).limit(limit), _of(owner))]


def _seq_of(message_id: str) -> sa.ScalarSelect[int]:
    other = aliased(Message)
    return sa.select(other.seq).where(other.message_id == message_id).scalar_subquery()


def count_unread(session: Session, owner: Owner) -> int:
    """How many of them nobody has read yet."""
    query = sa.select(sa.func.count()).select_from(Message).where(_SEEN, Message.read_at.is_(None))
    return session.scalar(query, _of(owner)) or 0


def is_theirs(session: Session, owner: Owner, message_id: str) -> bool:
    """Whether this is a notice that they may see."""
    return session.scalar(sa.select(sa.exists().where(Message.message_id == message_id, _SEEN)), _of(owner)) is True


def read_one(session: Session, owner: Owner, message_id: str, at: datetime) -> datetime | None:
    """Notes that a notice was read; the first time counts. None where it is not theirs, or hidden from them."""
    query = (
        sa.update(Message).where(Message.message_id == message_id, _SEEN)
        .values(read_at=sa.func.coalesce(Message.read_at, at)).returning(Message.read_at)
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    return session.scalar(query, _of(owner))


def read_up_to(session: Session, owner: Owner, message_id: str, at: datetime) -> int:
    """Notes that this notice and all before it were read; how many were unread. What is hidden now stays unread."""
    query = (
        sa.update(Message).where(_SEEN, Message.read_at.is_(None), Message.seq <= _seq_of(message_id))
        .values(read_at=at).execution_options(synchronize_session=False)
    )  # fmt: skip
    done = session.execute(query, _of(owner))
    return int(done.rowcount)  # type: ignore[attr-defined]


# --- streams ----------------------------------------------------------------------------------------------------------


def present_place(session: Session) -> int:
    """The oldest transaction that still runs: whatever was told by an older one is committed, and can be seen."""
    return int(session.scalar(sa.text("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")))


def told_since(session: Session, owner: Owner, place: int, limit: int) -> list[dict[str, Any]]:
    """The newest of what was told to somebody by this or a later transaction, oldest first."""
    query = sa.select(*_SHOWN, Message.told_in).where(_SEEN, Message.told_in >= place)
    newest = session.execute(query.order_by(Message.seq.desc()).limit(limit), _of(owner))
    return [dict(row._mapping) for row in newest][::-1]


def readers_of_same_person(session: Session, patient_id: str) -> list[str]:
    """All ids under which a patient is told something."""
    return list(session.scalars(same_person(sa.literal("patient"), _PATIENT), {"patient_id": patient_id}))


def ended_among(session: Session, session_ids: Collection[str]) -> set[str]:
    """Which of these sessions have ended."""
    query = sa.select(ended_sessions.c.session_id).where(ended_sessions.c.session_id.in_(session_ids))
    return set(session.scalars(query))
