"""The queries of throttles, one-time codes, accounts, sessions and keys; the session comes first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity import rules
from services.identity import rules_throttles as throttles
from services.identity.contract import SubjectKind
from services.identity.models import (
    Account,
    Activation,
    Agent,
    Capacity,
    Challenge,
    Contact,
    LogInSession,
    PrivateKey,
    RefreshToken,
    TriesRow,
)

NOBODY = "00000000-0000-0000-0000-000000000000"  # asked for where there is nobody, so that both cost the same


# --- throttles --------------------------------------------------------------------------------------------------------


def take_tries(session: Session, keyed: Sequence[tuple[bytes, throttles.Limit]], now: datetime) -> int | None:
    """Counts one try under each key, narrowest first; seconds to wait when one of them is blocked.

    A blocked key alone counts the try: whoever knocks on one account's door does not use up the address of others.
    """
    keys = sorted(key for key, _ in keyed)  # one order for all, or two requests could wait for each other
    session.execute(insert(TriesRow).values([{"key": key, "last_at": now} for key in keys]).on_conflict_do_nothing())
    rows = {row.key: row for row in _locked_tries(session, keys)}
    taken = []
    for key, limit in keyed:
        row = rows[key]
        after, wait = throttles.take_try(_tries(row), limit, now)
        if wait is not None:
            _write_tries(row, after)
            return wait
        taken.append((row, after))
    for row, after in taken:
        _write_tries(row, after)
    return None


def give_back_tries(session: Session, keyed: Sequence[tuple[bytes, throttles.Limit]]) -> None:
    """The last try was right: the narrowest key is forgotten, the wider ones get it back."""
    session.execute(sa.delete(TriesRow).where(TriesRow.key == keyed[0][0]))
    limits = dict(keyed[1:])
    for row in _locked_tries(session, sorted(limits)):
        _write_tries(row, throttles.give_back(_tries(row), limits[row.key]))


def _locked_tries(session: Session, keys: Sequence[bytes]) -> Sequence[TriesRow]:
    query = sa.select(TriesRow).where(TriesRow.key.in_(keys)).order_by(TriesRow.key).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _tries(row: TriesRow) -> throttles.Tries:
    return throttles.Tries(row.tries, row.checked, row.last_at, row.blocked_until)


def _write_tries(row: TriesRow, tries: throttles.Tries) -> None:
    row.tries, row.checked, row.last_at, row.blocked_until = (
        tries.tries, tries.checked, tries.last_at, tries.blocked_until,
    )  # fmt: skip


# --- one-time codes ---------------------------------------------------------------------------------------------------


def add_challenge(
    session: Session, purpose: str, contact_id: str, language: str, now: datetime,
    *, account_id: str | None = None, activation_id: str | None = None,
) -> Challenge:  # fmt: skip
    """A one-time code to be sent."""
    challenge = Challenge(
        challenge_id=new_id(), purpose=purpose, contact_id=contact_id, account_id=account_id,
        activation_id=activation_id, language=language, created_at=now,
        expires_at=now + rules.ONE_TIME_CODE_LIFETIME, wrong_tries=0,
    )  # fmt: skip
    session.add(challenge)
    session.flush()
    return challenge


def newest_challenge(session: Session, activation_id: str) -> Challenge | None:
    """The code last sent in an activation."""
    query = sa.select(Challenge).where(Challenge.activation_id == activation_id)
    return session.scalars(query.order_by(Challenge.created_at.desc()).limit(1)).first()


def challenge(session: Session, challenge_id: str, purpose: str) -> Challenge | None:
    """A challenge of this purpose, dead or alive."""
    found = session.get(Challenge, challenge_id)
    return found if found is not None and found.purpose == purpose else None


def _is_live(now: datetime) -> Any:
    return sa.and_(
        Challenge.used_at.is_(None), Challenge.expires_at > now, Challenge.wrong_tries < rules.ONE_TIME_CODE_TRIES
    )


def use_challenge(session: Session, challenge_id: str, now: datetime) -> bool:
    """Uses up a code; true for exactly one of those who submit it, however many at once."""
    statement = sa.update(Challenge).where(Challenge.challenge_id == challenge_id, _is_live(now)).values(used_at=now)
    return session.scalar(statement.returning(Challenge.challenge_id)) is not None


def count_wrong_code(session: Session, challenge_id: str, now: datetime) -> None:
    """Counts a wrong code; from the fifth on the right one does not help any more."""
    statement = sa.update(Challenge).where(Challenge.challenge_id == challenge_id, _is_live(now))
    session.execute(statement.values(wrong_tries=Challenge.wrong_tries + 1))


def live_challenge(session: Session, challenge_id: str, now: datetime) -> tuple[Challenge, Contact] | None:
    """A challenge whose code can still be used, with the address it goes to."""
    query = sa.select(Challenge, Contact).join(Contact, Contact.contact_id == Challenge.contact_id)
    row = session.execute(query.where(Challenge.challenge_id == challenge_id, _is_live(now))).first()
    return None if row is None else (row[0], row[1])


# --- accounts and sessions --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AccountFacts:
    """An account as log-in needs it."""

    account_id: str
    password_hash: str
    language: str
    held: list[rules.Held]

    def subject_of(self, kind: SubjectKind) -> str | None:
        """The patient's, professional's or agent's id behind this account."""
        return next((held.subject_id for held in self.held if held.kind == kind), None)


def account_of_name(session: Session, log_in_name: bytes) -> AccountFacts | None:
    """The account of a log-in name; unknown names cost the same queries."""
    return _facts(session, sa.select(Account).where(Account.log_in_name == log_in_name))


def account(session: Session, account_id: str | None) -> AccountFacts | None:
    """The account with this id."""
    return _facts(session, sa.select(Account).where(Account.account_id == (account_id or NOBODY)))


def account_of_subject(session: Session, kind: SubjectKind, subject_id: str) -> AccountFacts | None:
    """The account of a patient or professional."""
    owner = sa.select(Capacity.account_id).where(Capacity.kind == kind, Capacity.subject_id == subject_id)
    return _facts(session, sa.select(Account).where(Account.account_id.in_(owner)))


def _facts(session: Session, query: sa.Select[Account]) -> AccountFacts | None:
    found = session.scalars(query).first()
    rows = session.execute(
        sa.select(Capacity.kind, Capacity.subject_id, Agent.role)
        .join(Agent, sa.and_(Capacity.kind == "agent", Agent.agent_id == Capacity.subject_id), isouter=True)
        .where(Capacity.account_id == (found.account_id if found else NOBODY)).order_by(Capacity.activated_at)
    ).all()  # fmt: skip
    if found is None:
        return None
    held = [rules.Held(cast(SubjectKind, row.kind), row.subject_id, row.role) for row in rows]
    return AccountFacts(found.account_id, found.password_hash, found.language, held)


def contact_for_codes(session: Session, account_id: str, kind: str) -> Contact | None:
    """Where an account's one-time codes go: the address proved last."""
    query = sa.select(Contact).where(
        Contact.account_id == account_id, Contact.kind == kind, Contact.proved_at.is_not(None)
    )
    return session.scalars(query.order_by(Contact.proved_at.desc()).limit(1)).first()


def proved_contacts(session: Session, account_id: str) -> Sequence[Contact]:
    """Every proved address of an account, the newest first."""
    query = sa.select(Contact).where(Contact.account_id == account_id, Contact.proved_at.is_not(None))
    return session.scalars(query.order_by(Contact.proved_at.desc())).all()


def capacity_is_active(session: Session, kind: SubjectKind, subject_id: str) -> bool:
    """Whether this person already has an account in this capacity."""
    query = sa.select(sa.literal(1)).where(Capacity.kind == kind, Capacity.subject_id == subject_id)
    return session.execute(query).first() is not None


def open_session(
    session: Session, account_id: str, held: rules.Held, establishment_id: str | None, stay_connected: bool,
    now: datetime,
) -> LogInSession:  # fmt: skip
    """A new log-in session."""
    opened = LogInSession(
        session_id=new_id(), account_id=account_id, capacity=held.kind,
        patient_id=held.subject_id if held.kind == "patient" else None,
        professional_id=held.subject_id if held.kind == "professional" else None,
        establishment_id=establishment_id, stay_connected=stay_connected, started_at=now,
        expires_at=rules.session_expiry(now, stay_connected),
    )  # fmt: skip
    session.add(opened)
    session.flush()
    return opened


def add_refresh_token(session: Session, log_in: LogInSession, token_hash: bytes, now: datetime) -> None:
    """The next link of a session's chain."""
    expires_at = rules.refresh_expiry(now, log_in.expires_at, log_in.stay_connected)
    session.add(RefreshToken(token_hash=token_hash, session_id=log_in.session_id, issued_at=now, expires_at=expires_at))


def session_of_refresh(session: Session, token_hash: bytes) -> tuple[LogInSession, bool] | None:
    """The session a refresh token belongs to, and whether that token was used before."""
    query = sa.select(LogInSession, RefreshToken.used_at).join(
        RefreshToken, RefreshToken.session_id == LogInSession.session_id
    )
    row = session.execute(query.where(RefreshToken.token_hash == token_hash)).first()
    return None if row is None else (row[0], row[1] is not None)


def use_refresh(session: Session, token_hash: bytes, now: datetime) -> bool:
    """Uses up a refresh token of a running session; true for exactly one of those who present it."""
    running = sa.exists().where(
        LogInSession.session_id == RefreshToken.session_id, LogInSession.ended_at.is_(None),
        LogInSession.expires_at > now,
    )  # fmt: skip
    unused = sa.and_(RefreshToken.used_at.is_(None), RefreshToken.expires_at > now)
    statement = (
        sa.update(RefreshToken).where(RefreshToken.token_hash == token_hash, unused, running)
        .values(used_at=now).returning(RefreshToken.token_hash)
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


# --- signing keys, sweeping -------------------------------------------------------------------------------------------


def lock_signing_keys(session: Session) -> None:
    """One at a time may make a signing key; held until the transaction ends."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("identity signing keys"))))


def add_signing_key(
    session: Session, kid: str, jwk: dict[str, str], wrapped: bytes, not_before: datetime, now: datetime
) -> PrivateKey:
    """Keeps a new signing key."""
    key = PrivateKey(
        kid=kid, jwk=jwk, wrapped=wrapped, not_before=not_before, not_after=rules.key_expiry(not_before), created_at=now
    )
    session.add(key)
    return key


def newest_key_start(session: Session) -> datetime | None:
    """From when on the newest signing key signs; None when there is no key."""
    return session.scalar(sa.select(sa.func.max(PrivateKey.not_before)))


def current_key(session: Session, now: datetime) -> PrivateKey:
    """The key that signs now."""
    query = sa.select(PrivateKey).where(PrivateKey.not_before <= now, PrivateKey.not_after > now)
    return session.scalars(query.order_by(PrivateKey.not_before.desc()).limit(1)).one()


def public_keys(session: Session, now: datetime) -> Sequence[dict[str, str]]:
    """Every public key that counts now or soon."""
    query = sa.select(PrivateKey.jwk).where(PrivateKey.not_after > now).order_by(PrivateKey.not_before)
    return session.scalars(query).all()


def sweep(session: Session, now: datetime) -> None:
    """Forgets what has had its day: codes, addresses of abandoned activations, throttles, sessions, old keys."""
    abandoned = sa.select(Activation.activation_id).where(
        Activation.completed_at.is_(None), Activation.expires_at < now
    )
    session.execute(sa.delete(Challenge).where(Challenge.expires_at < now - timedelta(hours=1)))
    session.execute(sa.delete(Contact).where(Contact.activation_id.in_(abandoned)))
    session.execute(sa.delete(Activation).where(Activation.activation_id.in_(abandoned)))
    session.execute(sa.delete(TriesRow).where(TriesRow.last_at < now - timedelta(days=2)))
    session.execute(sa.delete(LogInSession).where(LogInSession.expires_at < now - timedelta(days=90)))
    session.execute(sa.delete(PrivateKey).where(PrivateKey.not_after < now - timedelta(days=30)))
