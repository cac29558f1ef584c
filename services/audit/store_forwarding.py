"""How far the log was sent to external repositories."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.audit.models_retention import Forwarded
from services.db import Sessions


class Place:
    """The place of the one who forwards; on a connection of its own, and lost with it."""

    def __init__(self, sessions: Sessions) -> None:
        self._connection = sessions.engine.connect()
        self.held = bool(self._connection.scalar(sa.text("select pg_try_advisory_lock(hashtext('forward'))")))

    def close(self) -> None:
        """Leaves it."""
        self._connection.invalidate()
        self._connection.close()


def position_of(session: Session, repository: str) -> int:
    """Returns the first position of the log that a repository was not sent."""
    found = session.scalar(sa.select(Forwarded.position).where(Forwarded.repository == repository))
    return found or 0


def keep_position(session: Session, repository: str, position: int) -> None:
    """Keeps how far a repository was sent the log; what is sent once more takes nothing back."""
    row = insert(Forwarded).values(repository=repository, position=position)
    further = Forwarded.position < position
    session.execute(
        row.on_conflict_do_update(index_elements=["repository"], set_={"position": position}, where=further)
    )
