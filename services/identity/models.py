"""The tables of identity. A matricule stands here only as `log_in_name`, its HMAC under identity's own key."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)
KINDS = "('patient', 'professional', 'agent')"


class Model(DeclarativeBase):
    """What every table of identity has in common: the metadata its migrations build."""

    metadata = metadata


class Account(Model):
    """One person's account, whatever their capacities."""

    __tablename__ = "accounts"

    account_id: Mapped[str] = mapped_column(ID, primary_key=True)
    log_in_name: Mapped[bytes] = mapped_column(sa.LargeBinary, unique=True)
    password_hash: Mapped[str]
    password_changed_at: Mapped[datetime] = mapped_column(MOMENT)
    language: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    mail_codes_from: Mapped[datetime | None] = mapped_column(MOMENT)
    """After a reset by e-mail: from when on codes may go by e-mail again (rules_recovery.py)."""
    locked_at: Mapped[datetime | None] = mapped_column(MOMENT)
    lock_cause: Mapped[str | None]


class Capacity(Model):
    """In what capacity an account may log in, with the conditions accepted for it (version and language kept)."""

    __tablename__ = "capacities"
    __table_args__ = (
        sa.UniqueConstraint("kind", "subject_id", name="uq_capacities_subject"),
        sa.CheckConstraint(f"kind in {KINDS}", name="kind"),
    )

    account_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(ID)
    conditions_version: Mapped[str | None]
    conditions_language: Mapped[str | None]
    conditions_accepted_at: Mapped[datetime | None] = mapped_column(MOMENT)
    activated_at: Mapped[datetime] = mapped_column(MOMENT)
    licence_lost_at: Mapped[datetime | None] = mapped_column(MOMENT)
    """When the directory last told that this professional's licence ended: log-ins begun before do not come in."""


class Agent(Model):
    """Somebody who works for the agency; known by an administrator's invitation, not by the directory."""

    __tablename__ = "agents"
    __table_args__ = (sa.CheckConstraint("role in ('agent', 'administrator', 'privacy_officer')", name="role"),)

    agent_id: Mapped[str] = mapped_column(ID, primary_key=True)
    log_in_name: Mapped[bytes] = mapped_column(sa.LargeBinary, unique=True)
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(MOMENT)


class Invitation(Model):
    """Who asked for a letter for whom; the letter of a record's opening is printed without being asked for.

    invited_by: the agent; null when people asked for their own lost letter.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        sa.CheckConstraint(f"subject_kind in {KINDS}", name="subject_kind"),
        sa.Index("ix_invitations_subject", "subject_kind", "subject_id", "invited_at"),
    )

    invitation_id: Mapped[str] = mapped_column(ID, primary_key=True)
    subject_kind: Mapped[str]
    subject_id: Mapped[str] = mapped_column(ID)
    invited_by: Mapped[str | None] = mapped_column(ID)
    invited_at: Mapped[datetime] = mapped_column(MOMENT)


class ActivationLetter(Model):
    """A letter with an activation code; of a person's letters only the one first issued last can be used.

    purpose: `activation`, or `recovery` for somebody who has the capacity already and lost password or contact.
    opposed_at: when its code was used to oppose the record instead.
    """

    __tablename__ = "activation_letters"
    __table_args__ = (
        sa.CheckConstraint(f"subject_kind in {KINDS}", name="subject_kind"),
        sa.CheckConstraint("purpose in ('activation', 'recovery')", name="purpose"),
        sa.Index("ix_activation_letters_subject", "subject_kind", "subject_id", "issued_at"),
    )

    letter_id: Mapped[str] = mapped_column(ID, primary_key=True)
    subject_kind: Mapped[str]
    subject_id: Mapped[str] = mapped_column(ID)
    purpose: Mapped[str] = mapped_column(server_default="activation")
    code_hash: Mapped[str]
    issued_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT)
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)
    opposed_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Activation(Model):
    """One run through the steps of a flow (rules_activation.py), continued with a token of its own.

    Letter, name and subject are known from the step `code` on: a professional's first steps come before it.
    """

    __tablename__ = "activations"
    __table_args__ = (
        sa.CheckConstraint(f"subject_kind in {KINDS}", name="subject_kind"),
        sa.CheckConstraint("(letter_id is null) = (subject_id is null)", name="letter"),
    )

    activation_id: Mapped[str] = mapped_column(ID, primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(sa.LargeBinary)
    flow: Mapped[str]
    letter_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("activation_letters.letter_id"), index=True)
    log_in_name: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    subject_kind: Mapped[str]
    subject_id: Mapped[str | None] = mapped_column(ID)
    account_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("accounts.account_id"))
    keeps_password: Mapped[bool]
    keeps_contact: Mapped[bool]
    started_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT)
    conditions_version: Mapped[str | None]
    conditions_language: Mapped[str | None]
    conditions_accepted_at: Mapped[datetime | None] = mapped_column(MOMENT)
    luxtrust_subject: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    luxtrust_product: Mapped[str | None]
    person_confirmed_at: Mapped[datetime | None] = mapped_column(MOMENT)
    password_hash: Mapped[str | None]
    """Chosen before the last step, where the flow has the password first."""
    completed_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Contact(Model):
    """An address of a person: of a running activation until that is complete, of the account from then on.

    `individual`: proved by a professional, so nobody else may prove it for a professional account.
    """

    __tablename__ = "contacts"
    __table_args__ = (
        sa.CheckConstraint("kind in ('email', 'mobile')", name="kind"),
        sa.CheckConstraint("account_id is not null or activation_id is not null", name="owner"),
        sa.CheckConstraint("not individual or proved_at is not null", name="individual"),
    )

    contact_id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), index=True)
    activation_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("activations.activation_id"), index=True)
    kind: Mapped[str]
    value: Mapped[str]
    individual: Mapped[bool] = mapped_column(server_default=sa.false())
    added_at: Mapped[datetime] = mapped_column(MOMENT)
    proved_at: Mapped[datetime | None] = mapped_column(MOMENT)


_ADDRESS = (Contact.kind, sa.func.lower(Contact.value))
sa.Index("ix_contacts_value", *_ADDRESS, postgresql_where=Contact.proved_at.is_not(None))
sa.Index("uq_contacts_individual", *_ADDRESS, unique=True, postgresql_where=sa.text("individual"))


class Challenge(Model):
    """A one-time code that was sent. The code itself is stored nowhere: it follows from the id and identity's key.

    A challenge of the channel `totp` is answered from an authenticator app: nothing is sent, no contact is named.
    session_id: the session in which alone a code for a new contact counts.
    """

    __tablename__ = "challenges"
    __table_args__ = (
        sa.CheckConstraint("purpose in ('contact', 'account_contact', 'helpdesk_contact', 'log_in')", name="purpose"),
        sa.CheckConstraint("channel in ('email', 'mobile', 'totp')", name="channel"),
        sa.CheckConstraint("(channel = 'totp') = (contact_id is null)", name="contact"),
    )

    challenge_id: Mapped[str] = mapped_column(ID, primary_key=True)
    purpose: Mapped[str]
    channel: Mapped[str] = mapped_column(server_default="email")
    contact_id: Mapped[str | None] = mapped_column(
        ID, sa.ForeignKey("contacts.contact_id", ondelete="CASCADE"), index=True
    )
    account_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("accounts.account_id"))
    session_id: Mapped[str | None] = mapped_column(ID)
    activation_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("activations.activation_id"), index=True)
    language: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    wrong_tries: Mapped[int] = mapped_column(server_default="0")
    sent: Mapped[int] = mapped_column(server_default="1")
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class LogInSession(Model):
    """A log-in in one capacity, until log-out, expiry or the reuse of an old refresh token."""

    __tablename__ = "sessions"
    __table_args__ = (sa.CheckConstraint(f"capacity in {KINDS}", name="capacity"),)

    session_id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), index=True)
    capacity: Mapped[str]
    patient_id: Mapped[str | None] = mapped_column(ID)
    professional_id: Mapped[str | None] = mapped_column(ID)
    establishment_id: Mapped[str | None] = mapped_column(ID)
    stay_connected: Mapped[bool]
    factors: Mapped[str] = mapped_column(server_default="password email")
    """With what the person logged in, as words: `password email|mobile|totp`, `luxtrust`, `passkey`."""
    software: Mapped[str | None]
    address: Mapped[str | None]
    authenticated_at: Mapped[datetime] = mapped_column(MOMENT)
    last_used_at: Mapped[datetime] = mapped_column(MOMENT)
    started_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(MOMENT)
    end_cause: Mapped[str | None]
    opened_by: Mapped[str | None]
    """The request that opened it."""


class KnownDevice(Model):
    """A kind of device, as its software names itself, with which somebody has logged in; last_at: to the day."""

    __tablename__ = "known_devices"

    account_id: Mapped[str] = mapped_column(
        ID, sa.ForeignKey("accounts.account_id", ondelete="CASCADE"), primary_key=True
    )
    device: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    last_at: Mapped[datetime] = mapped_column(MOMENT, index=True)


class RefreshToken(Model):
    """One link of a session's chain of refresh tokens; only the newest is unused."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(sa.LargeBinary, primary_key=True)
    session_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("sessions.session_id", ondelete="CASCADE"), index=True)
    issued_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT)
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)
    used_by: Mapped[str | None]
    """The request that used it up."""


class TriesRow(Model):
    """Tries under one throttle key; the key is an HMAC, so neither addresses nor matricules can be read from it."""

    __tablename__ = "tries"

    key: Mapped[bytes] = mapped_column(sa.LargeBinary, primary_key=True)
    tries: Mapped[int] = mapped_column(server_default="0")
    checked: Mapped[int] = mapped_column(server_default="0")
    last_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    blocked_until: Mapped[datetime | None] = mapped_column(MOMENT)


class PrivateKey(Model):
    """A signing key; the private half wrapped under identity's own key."""

    __tablename__ = "private_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(sa.LargeBinary)
    jwk: Mapped[dict[str, str]] = mapped_column(JSONB)
    not_before: Mapped[datetime] = mapped_column(MOMENT)
    not_after: Mapped[datetime] = mapped_column(MOMENT)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
