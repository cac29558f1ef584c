"""Every query of the close look at bytes: what waits for it, who has it, and what it changes."""

from __future__ import annotations

import select
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import Sessions
from services.documents.models import documents, record_keys, uploads, versions
from services.documents.models_reading import examinations
from services.plans import planned_once
from services.words import say_last

WAITING = "documents_examinations"
"""The channel on which a database tells that something waits."""

Row = Any


def queue(session: Session, version_id: str, at: datetime) -> None:
    """Puts a version in the queue with the commit, where it is not in it, and wakes whoever looks at it then."""
    say_last(session, _QUEUE, queued=version_id, queued_at=at)


_QUEUE = "; ".join((
    """
    insert into examinations (version_id, queued_at, due_at)
    values (cast(:queued as uuid), :queued_at, :queued_at) on conflict do nothing
    """,
    f"select pg_notify('{WAITING}', '')",
))  # fmt: skip


def claim(session: Session, at: datetime, until: datetime) -> Row | None:
    """Takes the deposit that waits longest, till `until`, with all that its bytes are found and opened by; in one word.

    A version that is shown already comes after the last deposit. Whoever takes one at the same time takes another; a
    version whose taker died is free again after `until`.
    """
    return session.execute(_CLAIM, {"at": at, "until": until}).first()


_FREE = examinations.c.leased_until.is_(None) | (examinations.c.leased_until <= sa.bindparam("at"))
_NEXT = (
    sa.select(examinations.c.version_id).where(examinations.c.due_at <= sa.bindparam("at"), _FREE)
    .order_by(examinations.c.shown, examinations.c.due_at).limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True)
).scalar_subquery()  # fmt: skip
_TAKEN = (
    sa.update(examinations).where(examinations.c.version_id == _NEXT)
    .values(leased_until=sa.bindparam("until"), tries=examinations.c.tries + sa.literal_column("1"))
    .returning(examinations.c.version_id, examinations.c.tries, examinations.c.queued_at).cte("taken")
)  # fmt: skip
_CLAIM = planned_once(
    sa.select(
        _TAKEN.c.version_id, _TAKEN.c.tries, _TAKEN.c.queued_at, versions.c.content_id, versions.c.media_type,
        versions.c.size, versions.c.state, versions.c.store_version, versions.c.wrapped_key,
        versions.c.key_record_id, record_keys.c.wrapped_key.label("wrapped_record_key"), documents.c.type,
        documents.c.category, documents.c.folder, documents.c.title, documents.c.language,
    ).select_from(
        _TAKEN.join(versions, versions.c.version_id == _TAKEN.c.version_id)
        .join(documents, documents.c.document_id == versions.c.document_id)
        .join(record_keys, record_keys.c.record_id == versions.c.key_record_id)
    )
)  # fmt: skip


def renew(session: Session, version_id: str, until: datetime) -> None:
    """Keeps a version that is worked on."""
    session.execute(
        sa.update(examinations).where(examinations.c.version_id == version_id).values(leased_until=until)
    )  # fmt: skip


def put_off(session: Session, version_id: str, due_at: datetime) -> None:
    """Gives a version back, to be tried again at `due_at`."""
    session.execute(
        sa.update(examinations).where(examinations.c.version_id == version_id).values(leased_until=None, due_at=due_at)
    )  # fmt: skip


def state_of_upload(session: Session, upload_id: str, account_id: str, capacity: str) -> Row | None:
    """What became of the bytes of one's own upload (`state`, `reason`); None where it is no document."""
    return session.execute(
        sa.select(versions.c.state, versions.c.reason)
        .select_from(uploads.join(versions, versions.c.version_id == uploads.c.version_id))
        .where(uploads.c.upload_id == upload_id, uploads.c.account_id == account_id, uploads.c.capacity == capacity)
    ).first()  # fmt: skip


def waiting(session: Session, at: datetime) -> tuple[int, float]:
    """How many deposits wait, and since how many seconds the eldest does; what is shown already does not count."""
    count, since = session.execute(
        sa.select(sa.func.count(), sa.func.min(examinations.c.queued_at))
        .select_from(examinations).where(~examinations.c.shown)
    ).one()  # fmt: skip
    return int(count), 0.0 if since is None else max(0.0, (at - since).total_seconds())


def lock_examined(session: Session, version_id: str) -> Row | None:
    """A version that waits, with its document, both held until the commit; None when another was faster."""
    return session.execute(
        sa.select(
            documents.c.document_id, documents.c.record_id, documents.c.home_record_id, documents.c.type,
            documents.c.category, documents.c.folder, documents.c.title, documents.c.language, documents.c.level,
            documents.c.author_id, documents.c.establishment_id, documents.c.deposited_at, documents.c.state,
            documents.c.patient_blocked_at, documents.c.withheld_at,
            sa.func.coalesce(versions.c.capacity, documents.c.capacity).label("capacity"),
            versions.c.version_id, versions.c.content_id, versions.c.number, versions.c.restores,
            versions.c.media_type, versions.c.size, versions.c.key_record_id, versions.c.state.label("version_state"),
            documents.c.current_version_id,
            versions.c.author_id.label("version_author_id"), versions.c.account_id.label("version_account_id"),
        )
        .select_from(
            versions.join(documents, documents.c.document_id == versions.c.document_id)
            .join(examinations, examinations.c.version_id == versions.c.version_id)
        )
        .where(versions.c.version_id == version_id).with_for_update()
    ).first()  # fmt: skip


def strike(session: Session, version_id: str) -> None:
    """Takes a version out of the queue, with the commit."""
    say_last(session, "delete from examinations where version_id = cast(:struck as uuid)", struck=version_id)


def settle(session: Session, version_id: str, state: str, reason: str | None, at: datetime) -> None:
    """Writes with the commit what came of the close look, and takes the version out of the queue."""
    strike(session, version_id)
    say_last(session, _SETTLE, settled=version_id, settled_as=state, settled_for=reason, settled_at=at)


_SETTLE = """
    update versions set state = :settled_as, reason = cast(:settled_for as text), checked_at = :settled_at
     where version_id = cast(:settled as uuid)
"""


def show(session: Session, document_id: str, version_id: str, number: int) -> bool:
    """Makes a version the current one of a document that everybody with a right may see from now on.

    False when a later version was faster: then it is one of the past from the beginning.
    """
    later = sa.exists().where(
        versions.c.document_id == document_id, versions.c.number > number, versions.c.state == "available"
    )
    shown = session.execute(
        sa.update(documents).where(documents.c.document_id == document_id, ~later)
        .values(state="available", current_version_id=version_id).returning(documents.c.document_id)
    )  # fmt: skip
    return shown.first() is not None


def give_up(session: Session, document_id: str) -> None:
    """A document whose first version did not pass stays its depositor's alone."""
    session.execute(
        sa.update(documents).where(documents.c.document_id == document_id, documents.c.state == "checking")
        .values(state="rejected")
    )  # fmt: skip


# --- quarantine -------------------------------------------------------------------------------------------------------


def over_in_quarantine(session: Session, before: datetime, limit: int) -> Sequence[str]:
    """The objects of infected files that were found before a moment and are still kept."""
    kept = sa.func.octet_length(versions.c.wrapped_key) > 0
    return session.scalars(
        sa.select(versions.c.content_id).where(
            versions.c.state == "rejected", versions.c.reason == "infected", versions.c.checked_at <= before, kept
        ).limit(limit)
    ).all()  # fmt: skip


def forget_key(session: Session, content_id: str) -> None:
    """Destroys the key of an infected file whose object is gone: with it the last way to its bytes."""
    session.execute(
        sa.update(versions).where(versions.c.content_id == content_id, versions.c.reason == "infected")
        .values(wrapped_key=b"")
    )  # fmt: skip


# --- waiting for work -------------------------------------------------------------------------------------------------


class Bell:
    """Rings when something was put into the queue, on a connection of its own."""

    def __init__(self, sessions: Sessions) -> None:
        self._connection = sessions.engine.connect()
        self._connection.execute(sa.text(f"listen {WAITING}"))
        wire = self._connection.connection.driver_connection
        assert wire is not None
        self._wire = wire

    def wait(self, seconds: float) -> None:
        """Until it rings, or for so long."""
        if not self._wire.notifies:
            select.select([self._wire], [], [], seconds)
        self._wire.poll()
        self._wire.notifies.clear()

    def close(self) -> None:
        """Hangs up: the connection still listens, and goes with it."""
        self._connection.invalidate()
        self._connection.close()
