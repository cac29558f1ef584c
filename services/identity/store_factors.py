"""The queries of LuxTrust journeys and products, of passkeys and their ceremonies; the session comes first."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity.models import Account
from services.identity.models_factors import Ceremony, LuxTrustFlow, LuxTrustProduct, Passkey
from services.identity.rules_factors import CEREMONY_LIFETIME, JOURNEY_LIFETIME
from services.identity.store import NOBODY

# --- LuxTrust: journeys -----------------------------------------------------------------------------------------------


def add_flow(
    session: Session, flow_id: str, purpose: str, binding_hash: bytes, now: datetime, *,
    token_hash: bytes | None = None, activation_id: str | None = None, account_id: str | None = None,
    session_id: str | None = None,
) -> LuxTrustFlow:  # fmt: skip
    """A journey to LuxTrust that begins."""
    flow = LuxTrustFlow(
        flow_id=flow_id, purpose=purpose, binding_hash=binding_hash, token_hash=token_hash,
        activation_id=activation_id, account_id=account_id, session_id=session_id, created_at=now,
        expires_at=now + JOURNEY_LIFETIME,
    )  # fmt: skip
    session.add(flow)
    session.flush()
    return flow


def flow(session: Session, flow_id: str | None) -> LuxTrustFlow | None:
    """A journey by its id."""
    return session.get(LuxTrustFlow, flow_id or NOBODY)


def claim_return(session: Session, flow_id: str, now: datetime) -> bool:
    """Takes the way back, which can be walked once; true for exactly one of those who come with it."""
    statement = (
        sa.update(LuxTrustFlow)
        .where(LuxTrustFlow.flow_id == flow_id, LuxTrustFlow.returned_at.is_(None), LuxTrustFlow.expires_at > now)
        .values(returned_at=now).returning(LuxTrustFlow.flow_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


def keep_subject(session: Session, flow_id: str, subject: bytes, product: str) -> None:
    """Who came back, for whoever finishes the log-in."""
    session.execute(
        sa.update(LuxTrustFlow).where(LuxTrustFlow.flow_id == flow_id).values(subject=subject, product=product)
    )


def use_flow(session: Session, flow_id: str, now: datetime) -> bool:
    """Ends a journey; true for exactly one of those who do."""
    statement = (
        sa.update(LuxTrustFlow)
        .where(LuxTrustFlow.flow_id == flow_id, LuxTrustFlow.used_at.is_(None), LuxTrustFlow.expires_at > now)
        .values(used_at=now).returning(LuxTrustFlow.flow_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


# --- LuxTrust: products -----------------------------------------------------------------------------------------------


def add_product(session: Session, subject: bytes, account_id: str, product: str, now: datetime) -> str | None:
    """Links a product with an account; its id, None when it is linked with some account already."""
    statement = (
        insert(LuxTrustProduct)
        .values(subject=subject, product_id=new_id(), account_id=account_id, product=product, linked_at=now)
        .on_conflict_do_nothing().returning(LuxTrustProduct.product_id)
    )  # fmt: skip
    return session.scalar(statement)


def product_owner(session: Session, subject: bytes) -> str | None:
    """The account that a product opens."""
    return session.scalar(sa.select(LuxTrustProduct.account_id).where(LuxTrustProduct.subject == subject))


def note_product_use(session: Session, subject: bytes, account_id: str, now: datetime) -> bool:
    """Dates a product's last use; false when it does not open this account any more."""
    statement = (
        sa.update(LuxTrustProduct)
        .where(LuxTrustProduct.subject == subject, LuxTrustProduct.account_id == account_id)
        .values(last_used_at=now).returning(LuxTrustProduct.product_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


def remove_product(session: Session, product_id: str, account_id: str) -> bool:
    """Unlinks a product of an account; false when there is none."""
    statement = (
        sa.delete(LuxTrustProduct)
        .where(LuxTrustProduct.product_id == product_id, LuxTrustProduct.account_id == account_id)
        .returning(LuxTrustProduct.product_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


# --- passkeys ---------------------------------------------------------------------------------------------------------


def add_ceremony(
    session: Session, purpose: str, now: datetime, *, account_id: str | None = None, session_id: str | None = None
) -> Ceremony:
    """A registration or log-in that begins."""
    ceremony = Ceremony(
        ceremony_id=new_id(), purpose=purpose, account_id=account_id, session_id=session_id, created_at=now,
        expires_at=now + CEREMONY_LIFETIME,
    )  # fmt: skip
    session.add(ceremony)
    session.flush()
    return ceremony


def use_ceremony(
    session: Session, ceremony_id: str, purpose: str, now: datetime, *,
    account_id: str | None = None, session_id: str | None = None,
) -> bool:  # fmt: skip
    """Ends a ceremony of this purpose, account and session; true for exactly one of those who do."""
    statement = sa.update(Ceremony).where(
        Ceremony.ceremony_id == ceremony_id, Ceremony.purpose == purpose, Ceremony.used_at.is_(None),
        Ceremony.expires_at > now, Ceremony.account_id.is_not_distinct_from(account_id),
        Ceremony.session_id.is_not_distinct_from(session_id),
    )  # fmt: skip
    return session.scalar(statement.values(used_at=now).returning(Ceremony.ceremony_id)) is not None


def passkeys(session: Session, account_id: str) -> Sequence[Passkey]:
    """The devices of an account, the newest first."""
    query = sa.select(Passkey).where(Passkey.account_id == account_id)
    return session.scalars(query.order_by(Passkey.added_at.desc(), Passkey.device_id.desc())).all()


def lock_account(session: Session, account_id: str) -> None:
    """Lets changes of one account's devices happen one after the other."""
    session.execute(sa.select(Account.account_id).where(Account.account_id == account_id).with_for_update())


def add_passkey(
    session: Session, account_id: str, credential_id: bytes, public_key: bytes, sign_count: int, name: str,
    backed_up: bool, now: datetime,
) -> Passkey | None:  # fmt: skip
    """A new device; None when this credential opens some account already."""
    device_id = session.scalar(
        insert(Passkey)
        .values(device_id=new_id(), account_id=account_id, credential_id=credential_id, public_key=public_key,
                sign_count=sign_count, name=name, backed_up=backed_up, added_at=now)
        .on_conflict_do_nothing(index_elements=[Passkey.credential_id]).returning(Passkey.device_id)
    )  # fmt: skip
    return session.get_one(Passkey, device_id) if device_id is not None else None


def passkey_of(session: Session, credential_id: bytes | None) -> Passkey | None:
    """The device a credential belongs to."""
    return session.scalars(sa.select(Passkey).where(Passkey.credential_id == (credential_id or b""))).first()


def use_passkey(session: Session, device_id: str, sign_count: int, backed_up: bool, now: datetime) -> bool:
    """Counts a use; false for a device removed meanwhile and for a counter that did not go on (a copied key)."""
    goes_on = sa.or_(Passkey.sign_count < sign_count, sa.and_(Passkey.sign_count == 0, sign_count == 0))
    statement = sa.update(Passkey).where(Passkey.device_id == device_id, goes_on)
    values = {"sign_count": sign_count, "backed_up": backed_up, "last_used_at": now}
    return session.scalar(statement.values(**values).returning(Passkey.device_id)) is not None


def own_passkey(session: Session, device_id: str, account_id: str) -> Passkey | None:
    """A device of this account, locked."""
    query = sa.select(Passkey).where(Passkey.device_id == device_id, Passkey.account_id == account_id)
    return session.scalars(query.with_for_update()).first()


def remove_passkey(session: Session, device_id: str, account_id: str) -> bool:
    """Forgets a device of an account; false when there is none."""
    statement = sa.delete(Passkey).where(Passkey.device_id == device_id, Passkey.account_id == account_id)
    return session.scalar(statement.returning(Passkey.device_id)) is not None


# --- sweeping ---------------------------------------------------------------------------------------------------------


def sweep_factors(session: Session, now: datetime) -> None:
    """Forgets journeys and ceremonies that are over."""
    over = now - timedelta(hours=1)
    session.execute(sa.delete(LuxTrustFlow).where(LuxTrustFlow.expires_at < over))
    session.execute(sa.delete(Ceremony).where(Ceremony.expires_at < over))
