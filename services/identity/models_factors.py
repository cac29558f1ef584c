"""The tables of the ways to log in besides the password: LuxTrust products, passkeys, authenticator apps."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.identity.models import ID, MOMENT, Model


class LuxTrustFlow(Model):
    """One journey to LuxTrust and back. State, nonce and PKCE verifier follow from the id and identity's key.

    binding_hash: of the cookie that only the browser which set out has; without it nobody comes back.
    token_hash: of the token with which the front end that began a log-in finishes it.
    """

    __tablename__ = "luxtrust_flows"
    __table_args__ = (sa.CheckConstraint("purpose in ('activation', 'log_in', 'link')", name="purpose"),)

    flow_id: Mapped[str] = mapped_column(ID, primary_key=True)
    purpose: Mapped[str]
    binding_hash: Mapped[bytes] = mapped_column(sa.LargeBinary)
    token_hash: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    activation_id: Mapped[str | None] = mapped_column(
        ID, sa.ForeignKey("activations.activation_id", ondelete="CASCADE"), index=True
    )
    account_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), index=True)
    session_id: Mapped[str | None] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    returned_at: Mapped[datetime | None] = mapped_column(MOMENT)
    subject: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    product: Mapped[str | None]
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class LuxTrustProduct(Model):
    """A LuxTrust product that opens an account; `subject` is the HMAC of issuer and subject."""

    __tablename__ = "luxtrust_products"

    subject: Mapped[bytes] = mapped_column(sa.LargeBinary, primary_key=True)
    product_id: Mapped[str] = mapped_column(ID, unique=True)
    account_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), index=True)
    product: Mapped[str]
    linked_at: Mapped[datetime] = mapped_column(MOMENT)
    last_used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Ceremony(Model):
    """A WebAuthn registration or log-in under way; the challenge follows from the id and identity's key."""

    __tablename__ = "ceremonies"
    __table_args__ = (sa.CheckConstraint("purpose in ('register', 'log_in')", name="purpose"),)

    ceremony_id: Mapped[str] = mapped_column(ID, primary_key=True)
    purpose: Mapped[str]
    account_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), index=True)
    session_id: Mapped[str | None] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Passkey(Model):
    """A device that logs in by PIN, fingerprint or face [W3C WebAuthn]."""

    __tablename__ = "passkeys"

    device_id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), index=True)
    credential_id: Mapped[bytes] = mapped_column(sa.LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)
    name: Mapped[str]
    backed_up: Mapped[bool]
    added_at: Mapped[datetime] = mapped_column(MOMENT)
    last_used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Authenticator(Model):
    """An authenticator app (RFC 6238); its secret is wrapped under identity's key.

    last_step: the time step of the code used last, which with all before it is worth nothing any more.
    """

    __tablename__ = "authenticators"

    authenticator_id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), index=True)
    wrapped_secret: Mapped[bytes] = mapped_column(sa.LargeBinary)
    name: Mapped[str]
    added_at: Mapped[datetime] = mapped_column(MOMENT)
    wrong_tries: Mapped[int] = mapped_column(server_default="0")
    proved_at: Mapped[datetime | None] = mapped_column(MOMENT)
    last_step: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
