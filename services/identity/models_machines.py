"""The tables of business software: who may register it, the clients, their states, their tokens."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.identity.models import ID, MOMENT, Model

STATES = "('requested', 'tested', 'in_production', 'suspended')"


class OrganisationManager(Model):
    """A professional who may register software for an establishment, as the agency has noted."""

    __tablename__ = "organisation_managers"

    establishment_id: Mapped[str] = mapped_column(ID, primary_key=True)
    professional_id: Mapped[str] = mapped_column(ID, primary_key=True)
    named_by: Mapped[str] = mapped_column(ID)
    named_at: Mapped[datetime] = mapped_column(MOMENT)
    ended_at: Mapped[datetime | None] = mapped_column(MOMENT)


class SoftwareClient(Model):
    """An installation of a business software at one establishment, with its public keys and attestation state."""

    __tablename__ = "software_clients"
    __table_args__ = (sa.CheckConstraint(f"state in {STATES}", name="state"),)

    client_id: Mapped[str] = mapped_column(ID, primary_key=True)
    establishment_id: Mapped[str] = mapped_column(ID, index=True)
    name: Mapped[str]
    version: Mapped[str]
    vendor: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    jwks: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]
    registered_by: Mapped[str] = mapped_column(ID)
    registered_at: Mapped[datetime] = mapped_column(MOMENT)


class ClientState(Model):
    """One change of a client's attestation state: who, when."""

    __tablename__ = "client_states"
    __table_args__ = (sa.CheckConstraint(f"state in {STATES}", name="state"),)

    change_id: Mapped[str] = mapped_column(ID, primary_key=True)
    client_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("software_clients.client_id"), index=True)
    state: Mapped[str]
    changed_by: Mapped[str] = mapped_column(ID)
    changed_at: Mapped[datetime] = mapped_column(MOMENT)


class SeenAssertion(Model):
    """A client assertion that was presented: nobody presents it twice [RFC 7523 3]."""

    __tablename__ = "seen_assertions"

    client_id: Mapped[str] = mapped_column(ID, primary_key=True)
    jti_hash: Mapped[bytes] = mapped_column(sa.LargeBinary, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)


class MachineToken(Model):
    """An access token of a client; its id is the session id in the token, so that its end reaches every service."""

    __tablename__ = "machine_tokens"

    token_id: Mapped[str] = mapped_column(ID, primary_key=True)
    client_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("software_clients.client_id"), index=True)
    professional_id: Mapped[str | None] = mapped_column(ID, index=True)
    scope: Mapped[str]
    purpose: Mapped[str | None]
    issued_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(MOMENT)
