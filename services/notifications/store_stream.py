"""What the process of streams asks its database: tickets, keys, ended sessions, and the bell that rings for news."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg2
import psycopg2.extensions
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from services.db import Sessions, signing_keys
from services.notifications.models_inbox import StreamTicket

BELL = "inbox"


def keep_ticket(session: Session, at: datetime, **row: Any) -> None:
    """Notes a ticket, and drops those that are over."""
    session.execute(sa.delete(StreamTicket).where(StreamTicket.expires_at < at))
    session.execute(insert(StreamTicket).values(**row))


def ticket(session: Session, ticket_digest: bytes, at: datetime) -> Any | None:
    """Whom a ticket lets in at this moment; None for one that is over, or none of ours."""
    query = sa.select(StreamTicket).where(StreamTicket.ticket_digest == ticket_digest, StreamTicket.expires_at > at)
    return session.scalar(query)


def signing_key(sessions: Sessions, kid: str) -> dict[str, Any] | None:
    """identity's public key of this id, as it was announced."""
    with sessions.transaction() as session:
        found: dict[str, Any] | None = session.scalar(sa.select(signing_keys.c.jwk).where(signing_keys.c.kid == kid))
        return found


class Bell:
    """A connection of its own that hears for whom there is news; nothing of it waits: its owner watches `fileno`."""

    def __init__(self, url: str) -> None:
        """Raises OSError where the database cannot be reached."""
        place = make_url(url)
        try:
            self._wire = psycopg2.connect(
                host=place.host, port=place.port, user=place.username, password=place.password, dbname=place.database,
                connect_timeout=3, keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
            )  # fmt: skip
            self._wire.set_session(autocommit=True)
            with self._wire.cursor() as cursor:
                cursor.execute(f"listen {BELL}")
        except psycopg2.Error as broken:
            raise OSError("the database is not there") from broken

    def fileno(self) -> int:
        """What becomes readable when it rings, or breaks."""
        return int(self._wire.fileno())

    def rung(self) -> list[tuple[str, str]]:
        """For whom it rang since it was last asked, by kind and id. Raises OSError when the connection is gone."""
        try:
            self._wire.poll()
        except psycopg2.Error as broken:
            raise OSError("the bell is gone") from broken
        heard = [notice.payload.partition(" ") for notice in self._wire.notifies]
        self._wire.notifies.clear()
        return [(kind, person) for kind, _, person in heard]

    def close(self) -> None:
        """Hangs up."""
        try:
            self._wire.close()
        except psycopg2.Error:
            pass
