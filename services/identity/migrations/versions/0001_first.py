"""identity's tables, and under them those of the plumbing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.plumbing import plumbing_tables_v1

revision = "0001"
down_revision = None

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)
KINDS = "('patient', 'professional', 'agent')"


def upgrade() -> None:
    plumbing_tables_v1(op)
    op.create_table(
        "accounts",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("log_in_name", sa.LargeBinary, nullable=False),
        sa.Column("password_hash", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_accounts"),
        sa.UniqueConstraint("log_in_name", name="uq_accounts_log_in_name"),
    )
    op.create_table(
        "activation_letters",
        sa.Column("letter_id", ID, nullable=False),
        sa.Column("subject_kind", sa.String, nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("code_hash", sa.String, nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.CheckConstraint(f"subject_kind in {KINDS}", name="ck_activation_letters_subject_kind"),
        sa.PrimaryKeyConstraint("letter_id", name="pk_activation_letters"),
    )
    op.create_index("ix_activation_letters_subject", "activation_letters", ["subject_kind", "subject_id", "issued_at"])
    op.create_table(
        "agents",
        sa.Column("agent_id", ID, nullable=False),
        sa.Column("log_in_name", sa.LargeBinary, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("role in ('agent', 'administrator')", name="ck_agents_role"),
        sa.PrimaryKeyConstraint("agent_id", name="pk_agents"),
        sa.UniqueConstraint("log_in_name", name="uq_agents_log_in_name"),
    )
    op.create_table(
        "invitations",
        sa.Column("invitation_id", ID, nullable=False),
        sa.Column("subject_kind", sa.String, nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("invited_by", ID, nullable=False),
        sa.Column("invited_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"subject_kind in {KINDS}", name="ck_invitations_subject_kind"),
        sa.PrimaryKeyConstraint("invitation_id", name="pk_invitations"),
    )
    op.create_table(
        "private_keys",
        sa.Column("kid", sa.String, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("jwk", postgresql.JSONB(), nullable=False),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.Column("not_after", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_private_keys"),
    )
    op.create_table(
        "tries",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("tries", sa.Integer, server_default="0", nullable=False),
        sa.Column("checked", sa.Integer, server_default="0", nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("blocked_until", MOMENT),
        sa.PrimaryKeyConstraint("key", name="pk_tries"),
    )
    op.create_index("ix_tries_last_at", "tries", ["last_at"])
    op.create_table(
        "activations",
        sa.Column("activation_id", ID, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("letter_id", ID, nullable=False),
        sa.Column("log_in_name", sa.LargeBinary, nullable=False),
        sa.Column("subject_kind", sa.String, nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("keeps_password", sa.Boolean, nullable=False),
        sa.Column("keeps_contact", sa.Boolean, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("conditions_version", sa.String),
        sa.Column("conditions_language", sa.String),
        sa.Column("conditions_accepted_at", MOMENT),
        sa.Column("completed_at", MOMENT),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_activations_account_id"),
        sa.ForeignKeyConstraint(["letter_id"], ["activation_letters.letter_id"], name="fk_activations_letter_id"),
        sa.PrimaryKeyConstraint("activation_id", name="pk_activations"),
    )
    op.create_index("ix_activations_letter_id", "activations", ["letter_id"])
    op.create_table(
        "capacities",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("conditions_version", sa.String, nullable=False),
        sa.Column("conditions_language", sa.String, nullable=False),
        sa.Column("conditions_accepted_at", MOMENT, nullable=False),
        sa.Column("activated_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"kind in {KINDS}", name="ck_capacities_kind"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_capacities_account_id"),
        sa.PrimaryKeyConstraint("account_id", "kind", name="pk_capacities"),
        sa.UniqueConstraint("kind", "subject_id", name="uq_capacities_subject"),
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("capacity", sa.String, nullable=False),
        sa.Column("patient_id", ID),
        sa.Column("professional_id", ID),
        sa.Column("establishment_id", ID),
        sa.Column("stay_connected", sa.Boolean, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("end_cause", sa.String),
        sa.CheckConstraint(f"capacity in {KINDS}", name="ck_sessions_capacity"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_sessions_account_id"),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "contacts",
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("activation_id", ID),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("individual", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("proved_at", MOMENT),
        sa.CheckConstraint("kind in ('email')", name="ck_contacts_kind"),
        sa.CheckConstraint("account_id is not null or activation_id is not null", name="ck_contacts_owner"),
        sa.CheckConstraint("not individual or proved_at is not null", name="ck_contacts_individual"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_contacts_account_id"),
        sa.ForeignKeyConstraint(["activation_id"], ["activations.activation_id"], name="fk_contacts_activation_id"),
        sa.PrimaryKeyConstraint("contact_id", name="pk_contacts"),
    )
    op.create_index("ix_contacts_account_id", "contacts", ["account_id"])
    op.create_index("ix_contacts_activation_id", "contacts", ["activation_id"])
    op.create_index(
        "ix_contacts_value",
        "contacts",
        ["kind", sa.text("lower(value)")],
        postgresql_where=sa.text("proved_at IS NOT NULL"),
    )
    op.create_index(
        "uq_contacts_individual",
        "contacts",
        ["kind", sa.text("lower(value)")],
        unique=True,
        postgresql_where=sa.text("individual"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.session_id"], name="fk_refresh_tokens_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name="pk_refresh_tokens"),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])
    op.create_table(
        "challenges",
        sa.Column("challenge_id", ID, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("activation_id", ID),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("wrong_tries", sa.Integer, server_default="0", nullable=False),
        sa.Column("used_at", MOMENT),
        sa.CheckConstraint("purpose in ('contact', 'log_in')", name="ck_challenges_purpose"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_challenges_account_id"),
        sa.ForeignKeyConstraint(["activation_id"], ["activations.activation_id"], name="fk_challenges_activation_id"),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.contact_id"], name="fk_challenges_contact_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("challenge_id", name="pk_challenges"),
    )
    op.create_index("ix_challenges_activation_id", "challenges", ["activation_id"])
    op.create_index("ix_challenges_contact_id", "challenges", ["contact_id"])
    op.create_index("ix_challenges_expires_at", "challenges", ["expires_at"])


def downgrade() -> None:
    raise RuntimeError("the first migration is not undone: it would drop every account")
