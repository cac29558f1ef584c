"""The queries of log-in sessions and their chains of refresh tokens; the session of the database comes first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity import rules, rules_sessions
from services.identity.models import LogInSession, RefreshToken, metadata
from services.identity.models_machines import MachineToken
from services.identity.store import CURRENT_KEY, NOBODY
from services.plans import planned_once
from services.tokens import Context


def new_session(
    account_id: str, held: rules.Held, establishment_id: str | None, stay_connected: bool, now: datetime,
    *, factors: str, context: Context,
) -> LogInSession:  # fmt: skip
    """A new log-in session, to be opened; factors: with what the person logged in, see models.LogInSession."""
    return LogInSession(
        session_id=new_id(), account_id=account_id, capacity=held.kind,
        patient_id=held.subject_id if held.kind == "patient" else None,
        professional_id=held.subject_id if held.kind == "professional" else None,
        establishment_id=establishment_id, stay_connected=stay_connected, factors=factors, software=context.software,
        address=context.address, opened_by=context.request_id, authenticated_at=now, last_used_at=now, started_at=now,
        expires_at=rules.session_expiry(now, stay_connected),
    )  # fmt: skip


# What is written and the key that signs what is told of it: one journey to the database. A WITH does both.
_SESSIONS, _LINKS = metadata.tables["sessions"], metadata.tables["refresh_tokens"]
_SESSION = ("session_id", "account_id", "capacity", "patient_id", "professional_id", "establishment_id",
            "stay_connected", "factors", "software", "address", "authenticated_at", "last_used_at", "started_at",
            "expires_at", "opened_by")  # fmt: skip
_LINK = ("token_hash", "session_id", "issued_at", "expires_at")
_DEVICES = metadata.tables["known_devices"]
_opened = sa.insert(_SESSIONS).values({name: sa.bindparam(f"session_{name}") for name in _SESSION}).cte("opened")
_linked = sa.insert(_LINKS).values({name: sa.bindparam(f"link_{name}") for name in _LINK}).cte("linked")
_LINK_ALONE = planned_once(CURRENT_KEY.add_cte(_linked))
_seen = insert(_DEVICES).values(
    account_id=sa.bindparam("session_account_id"), device=sa.bindparam("device"), last_at=sa.bindparam("now")
)
_met = _seen.on_conflict_do_update(
    index_elements=["account_id", "device"], set_={"last_at": _seen.excluded.last_at},
    where=_DEVICES.c.last_at < _seen.excluded.last_at - timedelta(days=1),
).cte("met")  # fmt: skip
# What such a statement asks it asks of the moment before what it writes.
_known = sa.exists().where(_DEVICES.c.account_id == sa.bindparam("session_account_id"))
_NEW_DEVICE = sa.and_(_known, ~_known.where(_DEVICES.c.device == sa.bindparam("device")))
_SESSION_AND_LINK = planned_once(
    CURRENT_KEY.add_columns(_NEW_DEVICE.label("new_device")).add_cte(_opened, _linked, _met)
)


def open_session(session: Session, log_in: LogInSession, token_hash: bytes, now: datetime) -> sa.Row[Any]:
    """Opens a session with the first link of its chain; the key that signs now: kid, jwk, wrapped, and new_device.

    new_device: whether its account was opened with other kinds of devices before, and never with this one.
    """
    opened = {f"session_{name}": getattr(log_in, name) for name in _SESSION}
    device = {"device": rules_sessions.device_of(log_in.software)}
    return session.execute(_SESSION_AND_LINK, opened | device | _linked_to(log_in, token_hash, now)).one()


def add_refresh_token(session: Session, log_in: LogInSession, token_hash: bytes, now: datetime) -> sa.Row[Any]:
    """The next link of a session's chain; the key that signs now: kid, jwk, wrapped."""
    return session.execute(_LINK_ALONE, _linked_to(log_in, token_hash, now)).one()


def _linked_to(log_in: LogInSession, token_hash: bytes, now: datetime) -> dict[str, Any]:
    expires_at = rules.refresh_expiry(now, log_in.expires_at, log_in.stay_connected)
    return {"link_token_hash": token_hash, "link_session_id": log_in.session_id, "link_issued_at": now,
            "link_expires_at": expires_at, "now": now}  # fmt: skip


def opened_by(session: Session, account_id: str, context: Context) -> LogInSession | None:
    """The running session that this very request opened, when whoever worked it died over the answer."""
    if not context.redelivered:
        return None
    query = sa.select(LogInSession).where(LogInSession.account_id == account_id, LogInSession.ended_at.is_(None))
    return session.scalar(query.where(LogInSession.opened_by == context.request_id))


def session_of_refresh(session: Session, token_hash: bytes, context: Context) -> tuple[LogInSession, bool] | None:
    """The session a refresh token belongs to, and whether another request than this one has used that token."""
    query = sa.select(LogInSession, ~_unused(context)).join(
        RefreshToken, RefreshToken.session_id == LogInSession.session_id
    )
    row = session.execute(query.where(RefreshToken.token_hash == token_hash)).first()
    return None if row is None else (row[0], row[1])


def _unused(context: Context) -> sa.ColumnElement[bool]:
    """Whether a refresh token was not used, or by this very request, whose answer died with whoever worked it."""
    mine = sa.and_(sa.literal(context.redelivered), RefreshToken.used_by == context.request_id)
    return sa.or_(RefreshToken.used_at.is_(None), sa.func.coalesce(mine, sa.false()))


def use_refresh(session: Session, token_hash: bytes, now: datetime, context: Context) -> bool:
    """Uses up a refresh token of a running session; true for exactly one of those who present it."""
    running = sa.exists().where(
        LogInSession.session_id == RefreshToken.session_id, LogInSession.ended_at.is_(None),
        LogInSession.expires_at > now,
    )  # fmt: skip
    unused = sa.and_(_unused(context), RefreshToken.expires_at > now)
    statement = (
        sa.update(RefreshToken).where(RefreshToken.token_hash == token_hash, unused, running)
        .values(used_at=now, used_by=context.request_id).returning(RefreshToken.token_hash)
    )  # fmt: skip
    return session.scalar(statement) is not None


def was_used(session: Session, token_hash: bytes) -> bool:
    """Whether this refresh token has been used up (by now)."""
    used_at = sa.select(RefreshToken.used_at).where(RefreshToken.token_hash == token_hash)
    return session.scalar(used_at) is not None


def end_session(session: Session, session_id: str, cause: str, now: datetime) -> bool:
    """Ends a session; false when it has ended before."""
    statement = (
        sa.update(LogInSession).where(LogInSession.session_id == session_id, LogInSession.ended_at.is_(None))
        .values(ended_at=now, end_cause=cause).returning(LogInSession.session_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


def end_sessions_of(
    session: Session, account_id: str, cause: str, now: datetime, but: str | None = None
) -> Sequence[str]:
    """Ends every running session of an account in one statement, all but one; those it has ended."""
    whose = sa.and_(LogInSession.account_id == account_id, LogInSession.session_id != (but or NOBODY))
    return _end_where(session, whose, cause, now)


def end_sessions_of_professional(
    session: Session, professional_id: str, cause: str, until: datetime, now: datetime
) -> Sequence[str]:
    """Ends every running session, opened by then, in which somebody acts as this professional; those it has ended."""
    whose = sa.and_(LogInSession.professional_id == professional_id, LogInSession.started_at <= until)
    return _end_where(session, whose, cause, now)


def revoke_tokens_of_professional(
    session: Session, professional_id: str, until: datetime, now: datetime
) -> Sequence[str]:
    """Revokes every token, issued by then, with which software acts for this professional; their ids."""
    statement = sa.update(MachineToken).where(
        MachineToken.professional_id == professional_id, MachineToken.issued_at <= until,
        MachineToken.revoked_at.is_(None), MachineToken.expires_at > now,
    )  # fmt: skip
    return session.scalars(statement.values(revoked_at=now).returning(MachineToken.token_id)).all()


def _end_where(session: Session, whose: sa.ColumnElement[bool], cause: str, now: datetime) -> Sequence[str]:
    statement = sa.update(LogInSession).where(whose, LogInSession.ended_at.is_(None))
    return session.scalars(statement.values(ended_at=now, end_cause=cause).returning(LogInSession.session_id)).all()


def authenticated_at(session: Session, session_id: str) -> datetime | None:
    """When the owner of a running session last showed that it is them."""
    query = sa.select(LogInSession.authenticated_at).where(
        LogInSession.session_id == session_id, LogInSession.ended_at.is_(None)
    )
    return session.scalar(query)


def renew_authentication(session: Session, session_id: str, now: datetime) -> bool:
    """The owner has shown again that it is them; false when the session has ended meanwhile."""
    statement = (
        sa.update(LogInSession).where(LogInSession.session_id == session_id, LogInSession.ended_at.is_(None))
        .values(authenticated_at=now).returning(LogInSession.session_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


def running_sessions(session: Session, account_id: str, now: datetime) -> Sequence[LogInSession]:
    """The sessions of an account that neither ended nor expired, the last used first."""
    query = sa.select(LogInSession).where(
        LogInSession.account_id == account_id, LogInSession.ended_at.is_(None), LogInSession.expires_at > now
    )
    return session.scalars(query.order_by(LogInSession.last_used_at.desc(), LogInSession.session_id)).all()


def is_running_session_of(session: Session, session_id: str, account_id: str) -> bool:
    """Whether this is a session of this account that has not ended."""
    query = sa.select(sa.literal(1)).where(
        LogInSession.session_id == session_id, LogInSession.account_id == account_id, LogInSession.ended_at.is_(None)
    )
    return session.execute(query).first() is not None


def note_use(session: Session, session_id: str, now: datetime) -> None:
    """The session was used just now."""
    session.execute(sa.update(LogInSession).where(LogInSession.session_id == session_id).values(last_used_at=now))
