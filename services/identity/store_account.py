"""The queries of the account page and of forgotten passwords; the session comes first."""

from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.db import new_id, rfc3339
from services.identity import rules, rules_recovery
from services.identity.contract_account import AccountDescribed, ContactKind
from services.identity.models import Account, Agent, Capacity, Challenge, Contact
from services.identity.models_desk import PasswordReset
from services.identity.models_factors import Authenticator, LuxTrustProduct, Passkey
from services.identity.store import NOBODY, proved_contacts

ABANDONED_AFTER = timedelta(days=1)


# --- the page ---------------------------------------------------------------------------------------------------------


def locked_account(session: Session, account_id: str | None) -> Account | None:
    """The account, locked: changes to it, and log-ins into it, happen one after the other."""
    return session.get(Account, account_id or NOBODY, with_for_update={"key_share": True}, populate_existing=True)


def describe(session: Session, account: Account) -> AccountDescribed:
    """All that the owner of an account sees of it; nothing in it opens anything."""
    whose = account.account_id
    capacities = session.execute(
        sa.select(Capacity.kind, Capacity.conditions_version, Capacity.activated_at, Agent.role)
        .join(Agent, sa.and_(Capacity.kind == "agent", Agent.agent_id == Capacity.subject_id), isouter=True)
        .where(Capacity.account_id == whose).order_by(Capacity.activated_at, Capacity.kind)
    )  # fmt: skip
    products = sa.select(LuxTrustProduct).where(LuxTrustProduct.account_id == whose)
    apps = sa.select(Authenticator).where(Authenticator.account_id == whose, Authenticator.proved_at.is_not(None))
    devices = session.scalar(sa.select(sa.func.count()).where(Passkey.account_id == whose))
    return AccountDescribed(
        account_id=whose,
        language=account.language,
        capacities=[
            {"capacity": row.kind, "role": row.role, "conditions_version": row.conditions_version,
             "activated_at": rfc3339(row.activated_at)}
            for row in capacities
        ],
        contacts=[
            {"contact_id": one.contact_id, "kind": cast(ContactKind, one.kind), "value": one.value,
             "proved_at": rfc3339(one.proved_at or one.added_at)}
            for one in proved_contacts(session, whose)
        ],
        luxtrust=[
            {"product_id": one.product_id, "product": one.product, "linked_at": rfc3339(one.linked_at)}
            for one in session.scalars(products.order_by(LuxTrustProduct.linked_at))
        ],
        authenticators=[
            {"authenticator_id": one.authenticator_id, "name": one.name, "added_at": rfc3339(one.added_at)}
            for one in session.scalars(apps.order_by(Authenticator.added_at))
        ],
        devices=devices or 0,
        password_changed_at=rfc3339(account.password_changed_at),
    )  # fmt: skip


# --- contacts ---------------------------------------------------------------------------------------------------------


def holds_contact(session: Session, account_id: str, kind: str, value: str) -> bool:
    """Whether the account has proved this address already."""
    query = sa.select(sa.literal(1)).where(
        Contact.account_id == account_id, Contact.kind == kind, sa.func.lower(Contact.value) == value.lower(),
        Contact.proved_at.is_not(None),
    )  # fmt: skip
    return session.execute(query).first() is not None


def add_contact(session: Session, account_id: str, kind: str, value: str, now: datetime) -> Contact:
    """An address that the account's owner is about to prove; it counts for nothing until then."""
    contact = Contact(
        contact_id=new_id(), account_id=account_id, kind=kind, value=value, individual=False, added_at=now
    )
    session.add(contact)
    session.flush()
    return contact


def add_contact_challenge(
    session: Session, contact: Contact, session_id: str, language: str, now: datetime
) -> Challenge:
    """The code that proves a new address, good in the session alone that asked for it."""
    challenge = Challenge(
        challenge_id=new_id(), purpose="account_contact", channel=contact.kind, contact_id=contact.contact_id,
        account_id=contact.account_id, session_id=session_id, language=language, created_at=now,
        expires_at=now + rules.ONE_TIME_CODE_LIFETIME, wrong_tries=0,
    )  # fmt: skip
    session.add(challenge)
    session.flush()
    return challenge


def contact_challenge(session: Session, challenge_id: str, account_id: str, session_id: str) -> Challenge | None:
    """The challenge of this account and this session for a new address, dead or alive."""
    query = sa.select(Challenge).where(
        Challenge.challenge_id == challenge_id, Challenge.purpose == "account_contact",
        Challenge.account_id == account_id, Challenge.session_id == session_id,
    )  # fmt: skip
    return session.scalars(query).first()


def prove_contact(session: Session, contact_id: str, individual: bool, now: datetime) -> bool:
    """Marks an address as proved; false when it is a professional's and another account's, or was forgotten.

    The unique index has the last word between two professionals who prove one address at the same moment.
    """
    contact = session.get(Contact, contact_id)
    if contact is None or (individual and _is_of_another(session, contact)):
        return False
    try:
        with session.begin_nested():
            contact.proved_at, contact.individual = now, individual
    except IntegrityError:
        return False
    return True


def _is_of_another(session: Session, contact: Contact) -> bool:
    query = sa.select(sa.literal(1)).where(
        Contact.kind == contact.kind, sa.func.lower(Contact.value) == contact.value.lower(),
        Contact.proved_at.is_not(None), Contact.account_id.is_not(None), Contact.account_id != contact.account_id,
    )  # fmt: skip
    return session.execute(query).first() is not None


def drop_contact(session: Session, contact_id: str) -> None:
    """Forgets an address, with the codes sent to it."""
    session.execute(sa.delete(Contact).where(Contact.contact_id == contact_id))


# --- passwords --------------------------------------------------------------------------------------------------------


def change_password(session: Session, account_id: str, old_hash: str, new_hash: str, now: datetime) -> bool:
    """Sets a new password in the place of the one that was checked; false when it is another one by now."""
    statement = sa.update(Account).where(Account.account_id == account_id, Account.password_hash == old_hash)
    statement = statement.values(password_hash=new_hash, password_changed_at=now)
    return session.scalar(statement.returning(Account.account_id)) is not None


def renew_password_hash(session: Session, account_id: str, old_hash: str, new_hash: str) -> None:
    """Keeps the same password under a hash of today's cost, unless another password came in between."""
    session.execute(
        sa.update(Account).where(Account.account_id == account_id, Account.password_hash == old_hash)
        .values(password_hash=new_hash)
    )  # fmt: skip


def open_reset(
    session: Session, account_id: str, email: str, now: datetime
) -> tuple[str | None, list[dict[str, str]]]:  # fmt: skip
    """A reset of this account, and the address its link goes to; nothing where there is no such account or address.

    The same statements for everybody: whether there is an account, whether the address is its own, whether it is
    locked, whether it had its resets of the day. account_id: store.NOBODY for nobody.
    """
    locked_account(session, account_id)
    address = sa.select(Contact.value).where(
        Contact.account_id == account_id, Contact.kind == rules_recovery.MAIL, Contact.proved_at.is_not(None),
        sa.func.lower(Contact.value) == email.lower(),
    )  # fmt: skip
    value = session.scalar(address.limit(1))
    today = sa.select(sa.func.count()).where(
        PasswordReset.account_id == account_id, PasswordReset.created_at > now - timedelta(days=1)
    )
    row = sa.select(
        sa.literal(new_id(), sa.Uuid(as_uuid=False)), Account.account_id, sa.literal(now),
        sa.literal(now + rules_recovery.RESET_LIFETIME),
    ).where(
        Account.account_id == account_id, Account.locked_at.is_(None), address.exists(),
        today.scalar_subquery() < rules_recovery.RESETS_PER_DAY,
    )  # fmt: skip
    columns = ["reset_id", "account_id", "created_at", "expires_at"]
    reset_id = session.scalar(sa.insert(PasswordReset).from_select(columns, row).returning(PasswordReset.reset_id))
    if reset_id is None or value is None:
        return None, []
    return reset_id, [{"kind": rules_recovery.MAIL, "value": value}]


def live_reset(session: Session, reset_id: str, now: datetime) -> Account | None:
    """The account that a link which still works belongs to."""
    query = sa.select(Account).join(PasswordReset, PasswordReset.account_id == Account.account_id)
    return session.scalars(query.where(PasswordReset.reset_id == reset_id, *_is_live(now))).first()


def use_reset(session: Session, reset_id: str, now: datetime) -> bool:
    """Uses up a link; true for exactly one of those who follow it, however many at once."""
    unlocked = sa.exists().where(Account.account_id == PasswordReset.account_id, Account.locked_at.is_(None))
    statement = sa.update(PasswordReset).where(PasswordReset.reset_id == reset_id, unlocked, *_is_live(now, False))
    return session.scalar(statement.values(used_at=now).returning(PasswordReset.reset_id)) is not None


def _is_live(now: datetime, unlocked: bool = True) -> list[sa.ColumnElement[bool]]:
    facts = [PasswordReset.used_at.is_(None), PasswordReset.expires_at > now]
    return [*facts, Account.locked_at.is_(None)] if unlocked else facts


def void_resets(session: Session, account_id: str, now: datetime) -> None:
    """Every link to a new password that is still on its way is worth nothing."""
    statement = sa.update(PasswordReset).where(PasswordReset.account_id == account_id, PasswordReset.used_at.is_(None))
    session.execute(statement.values(used_at=now))


def ways_besides_mail(session: Session, account_id: str) -> list[str]:
    """By what the owner can log in without the mailbox, the usual first."""
    ways: tuple[tuple[str, sa.Select[Any]], ...] = (
        ("mobile", _any_of(Contact, account_id).where(Contact.kind == "mobile", Contact.proved_at.is_not(None))),
        ("totp", _any_of(Authenticator, account_id).where(Authenticator.proved_at.is_not(None))),
        ("passkey", _any_of(Passkey, account_id)),
        ("luxtrust", _any_of(LuxTrustProduct, account_id)),
    )
    return [way for way, query in ways if session.execute(query).first() is not None]


def _any_of(model: Any, account_id: str) -> sa.Select[Any]:
    return sa.select(sa.literal(1)).where(model.account_id == account_id).limit(1)


# --- sweeping ---------------------------------------------------------------------------------------------------------


def sweep_account(session: Session, now: datetime) -> None:
    """Forgets addresses that nobody proved, and links of days gone by."""
    unproved = sa.and_(Contact.account_id.is_not(None), Contact.proved_at.is_(None))
    session.execute(sa.delete(Contact).where(unproved, Contact.added_at < now - ABANDONED_AFTER))
    session.execute(sa.delete(PasswordReset).where(PasswordReset.created_at < now - 2 * ABANDONED_AFTER))
