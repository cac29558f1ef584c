"""The queries of authenticator apps; the session comes first."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.identity import rules_sessions
from services.identity.models_factors import Authenticator


def add(
    session: Session, authenticator_id: str, account_id: str, wrapped_secret: bytes, name: str, now: datetime
) -> None:
    """An app whose secret was handed out; it counts once its first code has come back."""
    app = Authenticator(
        authenticator_id=authenticator_id, account_id=account_id, wrapped_secret=wrapped_secret, name=name,
        added_at=now, wrong_tries=0, last_step=0,
    )  # fmt: skip
    session.add(app)
    session.flush()


def forget_unproved(session: Session, account_id: str, now: datetime) -> None:
    """Drops what was begun and can no longer be proved."""
    session.execute(
        sa.delete(Authenticator).where(
            Authenticator.account_id == account_id, Authenticator.proved_at.is_(None), ~_is_provable(now)
        )
    )


def count(session: Session, account_id: str) -> int:
    """How many apps an account has, those begun included."""
    query = sa.select(sa.func.count()).where(Authenticator.account_id == account_id)
    return session.scalar(query) or 0


def unproved(session: Session, authenticator_id: str, account_id: str, now: datetime) -> Authenticator | None:
    """An app of this account whose first code is awaited, held: guesses are looked at one after the other."""
    query = sa.select(Authenticator).where(
        Authenticator.authenticator_id == authenticator_id, Authenticator.account_id == account_id,
        Authenticator.proved_at.is_(None), _is_provable(now),
    )  # fmt: skip
    return session.scalars(query.with_for_update()).first()


def prove(session: Session, authenticator_id: str, step: int, now: datetime) -> bool:
    """The first code was right: the app counts from now on, that code no more. True for exactly one who brings it."""
    statement = sa.update(Authenticator).where(
        Authenticator.authenticator_id == authenticator_id, Authenticator.proved_at.is_(None), _is_provable(now)
    )
    proved_ = statement.values(proved_at=now, last_step=step).returning(Authenticator.authenticator_id)
    return session.scalar(proved_) is not None


def count_wrong(session: Session, authenticator_id: str) -> None:
    """Counts a wrong first code."""
    statement = sa.update(Authenticator).where(Authenticator.authenticator_id == authenticator_id)
    session.execute(statement.values(wrong_tries=Authenticator.wrong_tries + 1))


def remove(session: Session, authenticator_id: str, account_id: str) -> bool:
    """Takes an app from an account; false when the account has none by this id."""
    statement = sa.delete(Authenticator).where(
        Authenticator.authenticator_id == authenticator_id, Authenticator.account_id == account_id
    )
    return session.scalar(statement.returning(Authenticator.authenticator_id)) is not None


def proved(session: Session, account_id: str) -> Sequence[Authenticator]:
    """The apps of an account whose codes count, the oldest first."""
    query = sa.select(Authenticator).where(Authenticator.account_id == account_id, Authenticator.proved_at.is_not(None))
    return session.scalars(query.order_by(Authenticator.added_at)).all()


def use_step(session: Session, authenticator_id: str, step: int) -> bool:
    """Uses up a code of an app and all before it; true for exactly one of those who bring it, however many at once."""
    statement = sa.update(Authenticator).where(
        Authenticator.authenticator_id == authenticator_id, Authenticator.last_step < step,
        Authenticator.proved_at.is_not(None),
    )  # fmt: skip
    return session.scalar(statement.values(last_step=step).returning(Authenticator.authenticator_id)) is not None


def sweep(session: Session, now: datetime) -> None:
    """Forgets apps that were begun and never proved."""
    session.execute(sa.delete(Authenticator).where(Authenticator.proved_at.is_(None), ~_is_provable(now)))


def _is_provable(now: datetime) -> sa.ColumnElement[bool]:
    begun = Authenticator.added_at > now - rules_sessions.AUTHENTICATOR_BEGUN
    return sa.and_(begun, Authenticator.wrong_tries < rules_sessions.AUTHENTICATOR_TRIES)
