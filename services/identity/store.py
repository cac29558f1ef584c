"""The queries of throttles, accounts and keys; the session comes first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.identity import rules, rules_recovery
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
    TriesRow,
)

NOBODY = "00000000-0000-0000-0000-000000000000"  # asked for where there is nobody, so that both cost the same


# --- throttles --------------------------------------------------------------------------------------------------------


def take_tries(session: Session, keyed: Sequence[tuple[bytes, throttles.Limit]], now: datetime) -> int | None:
    """Counts one try under each key, narrowest first; seconds to wait when one of them is blocked.

    A blocked key alone counts the try: whoever knocks on one account's door does not use up the address of others.
    """
    rows = _rows_to_take(session, [key for key, _ in keyed], now)
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
    narrowest, limits = keyed[0][0], dict(keyed[1:])
    for row in _rows_to_give_back(session, [narrowest, *limits]):
        if row.key == narrowest:
            session.delete(row)
        else:
            _write_tries(row, throttles.give_back(_tries(row), limits[row.key]))


# Both hold the rows in one order, or two requests could wait for each other.


def _rows_to_take(session: Session, keys: Sequence[bytes], now: datetime) -> dict[bytes, TriesRow]:
    """A row for each key, held; made where there is none, or none any more in this very moment."""
    made = insert(TriesRow).values([{"key": key, "last_at": now} for key in sorted(keys)])
    held = made.on_conflict_do_update(index_elements=[TriesRow.key], set_={"last_at": TriesRow.last_at})
    rows = session.scalars(held.returning(TriesRow), execution_options={"populate_existing": True})
    return {row.key: row for row in rows}


def _rows_to_give_back(session: Session, keys: Sequence[bytes]) -> Sequence[TriesRow]:
    query = sa.select(TriesRow).where(TriesRow.key.in_(keys)).order_by(TriesRow.key).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _tries(row: TriesRow) -> throttles.Tries:
    return throttles.Tries(row.tries, row.checked, row.last_at, row.blocked_until)


def _write_tries(row: TriesRow, tries: throttles.Tries) -> None:
    row.tries, row.checked, row.last_at, row.blocked_until = (
        tries.tries, tries.checked, tries.last_at, tries.blocked_until,
    )  # fmt: skip


# --- accounts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AccountFacts:
    """An account as log-in needs it."""

    account_id: str
    password_hash: str
    language: str
    held: list[rules.Held]
    password_changed_at: datetime
    mail_codes_from: datetime | None = None
    locked_at: datetime | None = None

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


def account_to_enter(session: Session, account_id: str) -> Account:
    """An account as it is now, held until the transaction ends.

    Locking it and changing its password wait for a log-in that is under way, or it waits for them: no session opens
    unseen by who ends them all.
    """
    query = sa.select(Account).where(Account.account_id == account_id).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).one()


def held_capacity(session: Session, account_id: str, kind: SubjectKind) -> Capacity:
    """A capacity that the account has, as it is now, held until the transaction ends: news of a licence wait."""
    return session.get_one(Capacity, (account_id, kind), populate_existing=True, with_for_update=True)


def accept_conditions(capacity: Capacity, version: str, language: str, now: datetime) -> bool:
    """Keeps the conditions accepted for a capacity; true when it had accepted none before."""
    first = capacity.conditions_version is None
    capacity.conditions_version, capacity.conditions_language = version, language
    capacity.conditions_accepted_at = now
    return first


def lift_mail_bar(account: Account, factors: str) -> None:
    """After a reset by e-mail, a log-in with another factor than e-mail lets codes go by e-mail again."""
    if rules_recovery.lifts_mail_bar(factors):
        account.mail_codes_from = None


def accepted_conditions(session: Session, account_id: str) -> dict[str, str | None]:
    """Which version of the conditions each capacity of an account has accepted."""
    query = sa.select(Capacity.kind, Capacity.conditions_version).where(Capacity.account_id == account_id)
    return {row.kind: row.conditions_version for row in session.execute(query)}


def note_licence_lost(session: Session, professional_id: str, at: datetime) -> None:
    """Notes until when the word on a licence counts no more: a log-in that asked for it before does not come in."""
    statement = sa.update(Capacity).where(Capacity.kind == "professional", Capacity.subject_id == professional_id)
    session.execute(statement.values(licence_lost_at=sa.func.greatest(Capacity.licence_lost_at, at)))


def lock_account(session: Session, account_id: str, cause: str, now: datetime) -> bool:
    """Locks an account; false when it is locked already."""
    statement = sa.update(Account).where(Account.account_id == account_id, Account.locked_at.is_(None))
    return session.scalar(
        statement.values(locked_at=now, lock_cause=cause).returning(Account.account_id)
    ) is not None  # fmt: skip


def unlock_account(session: Session, account_id: str) -> bool:
    """Opens a locked account again; false when it is not locked."""
    statement = sa.update(Account).where(Account.account_id == account_id, Account.locked_at.is_not(None))
    return session.scalar(statement.values(locked_at=None, lock_cause=None).returning(Account.account_id)) is not None


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
    return AccountFacts(
        found.account_id, found.password_hash, found.language, held, found.password_changed_at, found.mail_codes_from,
        found.locked_at,
    )  # fmt: skip


def proved_contacts(session: Session, account_id: str) -> Sequence[Contact]:
    """Every proved address of an account, the newest first."""
    query = sa.select(Contact).where(Contact.account_id == account_id, Contact.proved_at.is_not(None))
    return session.scalars(query.order_by(Contact.proved_at.desc())).all()


def capacity_is_active(session: Session, kind: SubjectKind, subject_id: str) -> bool:
    """Whether this person already has an account in this capacity."""
    query = sa.select(sa.literal(1)).where(Capacity.kind == kind, Capacity.subject_id == subject_id)
    return session.execute(query).first() is not None


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
