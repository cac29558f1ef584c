"""Every query of the files that come with secure messages, and of how threads and their keys end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.notifications.models_threads import Thread, ThreadAttachment, ThreadHearing, ThreadMessage
from services.notifications.rules_threads import CLEAN, HARMFUL, PROFESSIONAL, Person

Row = Any
_File = ThreadAttachment
_NO_KEY = b""

# --- a file on its way ------------------------------------------------------------------------------------------------


def count_loose(session: Session, thread_id: str, account_id: str) -> int:
    """How many files of an account wait in a thread, or may still come."""
    asked = sa.select(sa.func.count()).where(
        _File.thread_id == thread_id, _File.message_id.is_(None), _File.account_id == account_id,
        _File.condemned_at.is_(None),
    )  # fmt: skip
    return session.scalar(asked) or 0


def start(session: Session, **row: Any) -> None:
    """Remembers a file before its URL leaves: no object without a row."""
    session.execute(sa.insert(_File).values(**row))


def thread_of_file(session: Session, attachment_id: str, account_id: str) -> str | None:
    """The thread for which somebody began to put a file."""
    return session.scalar(
        sa.select(_File.thread_id).where(_File.attachment_id == attachment_id, _File.account_id == account_id)
    )


def of_messages(session: Session, message_ids: Collection[str]) -> Sequence[Row]:
    """The files that came with these messages, in their order."""
    columns = (
        _File.attachment_id, _File.message_id, _File.name, _File.media_type, _File.size, _File.checked_at,
        _File.rejected,
    )  # fmt: skip
    asked = sa.select(*columns).where(_File.message_id.in_(message_ids))
    return session.execute(asked.order_by(_File.message_id, _File.place)).all()


def loose(session: Session, thread_id: str, account_id: str, attachment_ids: Collection[str]) -> Sequence[Row]:
    """Those of these files that are the account's own and were not sent, held until the commit."""
    columns = (
        _File.attachment_id, _File.name, _File.media_type, _File.size, _File.sha256, _File.stored_at, _File.started_at,
        _File.checked_at, _File.rejected,
    )  # fmt: skip
    asked = sa.select(*columns).where(
        _File.attachment_id.in_(attachment_ids), _File.thread_id == thread_id, _File.account_id == account_id,
        _File.message_id.is_(None), _File.condemned_at.is_(None),
    )  # fmt: skip
    return session.execute(asked.order_by(_File.attachment_id).with_for_update()).all()


def note_stored(session: Session, attachment_id: str, **values: Any) -> None:
    """Notes that the store holds a file in full, and what it is."""
    session.execute(sa.update(_File).where(_File.attachment_id == attachment_id).values(**values))


def send(session: Session, message_id: str, attachment_ids: Sequence[str]) -> None:
    """Makes files part of a message, in this order."""
    for place, attachment_id in enumerate(attachment_ids):
        going = sa.update(_File).where(_File.attachment_id == attachment_id)
        session.execute(going.values(message_id=message_id, place=place))


def sent(session: Session, thread_id: str, attachment_id: str, person: Person, account_id: str) -> Row | None:
    """A file that somebody who may read the thread may open: it came with a message they hear, or it is their own and
    waits to be sent."""
    heard = sa.exists().where(ThreadMessage.message_id == _File.message_id)
    if person.kind == PROFESSIONAL:
        heard = sa.exists().where(
            ThreadMessage.message_id == _File.message_id, ThreadHearing.thread_id == ThreadMessage.thread_id,
            ThreadHearing.number == ThreadMessage.number, ThreadHearing.professional_id == person.person_id,
        )  # fmt: skip
    own = _File.message_id.is_(None) & (_File.account_id == account_id)
    asked = sa.select(_File).where(
        _File.attachment_id == attachment_id, _File.thread_id == thread_id, _File.stored_at.is_not(None),
        _File.condemned_at.is_(None), heard | own,
    )  # fmt: skip
    return session.scalar(asked)


# --- looking at them --------------------------------------------------------------------------------------------------


def next_unchecked(session: Session, after: str | None) -> Row | None:
    """The next file after one that nobody has looked at yet, with its thread's key; none that is held elsewhere."""
    asked = (
        sa.select(_File.attachment_id, _File.thread_id, _File.wrapped_key, _File.store_version, _File.size,
                  Thread.wrapped_key.label("thread_key"))
        .join(Thread, Thread.thread_id == _File.thread_id)
        .where(_File.stored_at.is_not(None), _File.checked_at.is_(None), _File.condemned_at.is_(None))
        .order_by(_File.attachment_id).limit(1).with_for_update(skip_locked=True, of=_File)
    )  # fmt: skip
    return session.execute(asked if after is None else asked.where(_File.attachment_id > after)).first()


def note_checked(session: Session, attachment_id: str, verdict: str, at: datetime) -> None:
    """Notes what was found in a file; of a harmful one the key goes, so that nobody ever opens it."""
    values: dict[str, Any] = {"checked_at": at, "rejected": verdict != CLEAN}
    if verdict == HARMFUL:
        values |= {"wrapped_key": _NO_KEY}
    session.execute(sa.update(_File).where(_File.attachment_id == attachment_id).values(**values))


# --- ends -------------------------------------------------------------------------------------------------------------


def condemn_loose(session: Session, before: datetime, at: datetime) -> None:
    """Condemns the files that nobody sent within their day."""
    session.execute(
        sa.update(_File).where(_File.message_id.is_(None), _File.started_at < before, _File.condemned_at.is_(None))
        .values(condemned_at=at, wrapped_key=_NO_KEY)
    )  # fmt: skip


def condemned(session: Session, limit: int) -> Sequence[str]:
    """Objects that have to go, the longest condemned first."""
    asked = sa.select(_File.attachment_id).where(_File.condemned_at.is_not(None)).order_by(_File.condemned_at)
    return session.scalars(asked.limit(limit)).all()


def forget(session: Session, attachment_id: str) -> None:
    """Drops the row of a file whose object is gone."""
    session.execute(
        sa.delete(_File).where(_File.attachment_id == attachment_id, _File.condemned_at.is_not(None))
    )  # fmt: skip


def of_record(session: Session, record_id: str) -> Sequence[Row]:
    """Threads that were begun in a record, held until the commit: thread_id, record_id, holder_only."""
    asked = _ENDED.where(Thread.record_id == record_id).order_by(Thread.thread_id)
    return session.execute(asked.with_for_update()).all()


def silent_since(session: Session, before: datetime, limit: int) -> Sequence[Row]:
    """The same of threads in which nothing was written since; none held elsewhere."""
    asked = _ENDED.where(Thread.last_at < before).order_by(Thread.thread_id).limit(limit)
    return session.execute(asked.with_for_update(skip_locked=True)).all()


_ENDED = sa.select(Thread.thread_id, Thread.record_id, Thread.holder_only)


def destroy(session: Session, thread_ids: Collection[str], at: datetime) -> None:
    """Destroys threads with all that was written; what came along is condemned. The keys go with the rows."""
    session.execute(
        sa.update(_File).where(_File.thread_id.in_(thread_ids), _File.condemned_at.is_(None))
        .values(condemned_at=at, wrapped_key=_NO_KEY, name=_NO_KEY, message_id=None)
    )  # fmt: skip
    session.execute(sa.delete(Thread).where(Thread.thread_id.in_(thread_ids)))


def records_after(session: Session, after: str | None, limit: int) -> Sequence[str]:
    """Records in which threads were begun, after one, in the order of their ids."""
    asked = sa.select(Thread.record_id).distinct().where(Thread.record_id.is_not(None))
    if after is not None:
        asked = asked.where(Thread.record_id > after)
    found = session.scalars(asked.order_by(Thread.record_id).limit(limit))
    return [one for one in found if one is not None]


# --- keys -------------------------------------------------------------------------------------------------------------


def hold_others(session: Session, master_key_id: str, after: str | None, limit: int) -> Sequence[Row]:
    """Some threads after one whose key another master key wraps, held until the commit; none held elsewhere."""
    asked = sa.select(Thread.thread_id, Thread.wrapped_key).where(Thread.master_key_id != master_key_id)
    if after is not None:
        asked = asked.where(Thread.thread_id > after)
    return session.execute(asked.order_by(Thread.thread_id).limit(limit).with_for_update(skip_locked=True)).all()


def put_keys(session: Session, wrapped: Mapping[str, bytes], master_key_id: str) -> None:
    """Keeps threads' keys as they are wrapped now."""
    for thread_id, key in wrapped.items():
        going = sa.update(Thread).where(Thread.thread_id == thread_id)
        session.execute(going.values(wrapped_key=key, master_key_id=master_key_id))
