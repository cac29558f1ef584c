"""Every way in and every way back: LuxTrust, passkeys, authenticators, SMS, helpdesk, resets, locks, software."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)
KINDS = "('patient', 'professional', 'agent')"
CLIENT_STATES = "('requested', 'tested', 'in_production', 'suspended')"


# The first release's check constraints got their prefix twice; from here on their names are those of the models.
RENAME_CHECKS = """
do $$ declare one record; begin
    for one in select conrelid::regclass as of_table, conname, regexp_replace(conname, '^ck_.*_ck_', 'ck_') as meant
        from pg_constraint where contype = 'c' and conname like 'ck\\_%\\_ck\\_%'
    loop execute format('alter table %s rename constraint %I to %I', one.of_table, one.conname, one.meant); end loop;
end $$"""


def upgrade() -> None:
    op.execute(RENAME_CHECKS)
    _accounts()
    _activations()
    _codes_and_sessions()
    _factors()
    _desk()
    _machines()


def _accounts() -> None:
    op.add_column("accounts", sa.Column("password_changed_at", MOMENT))
    op.execute("update accounts set password_changed_at = created_at")
    op.alter_column("accounts", "password_changed_at", nullable=False)
    op.add_column("accounts", sa.Column("mail_codes_from", MOMENT))
    op.add_column("accounts", sa.Column("locked_at", MOMENT))
    op.add_column("accounts", sa.Column("lock_cause", sa.String))
    for column in ("conditions_version", "conditions_language", "conditions_accepted_at"):
        op.alter_column("capacities", column, nullable=True)
    op.add_column("capacities", sa.Column("licence_lost_at", MOMENT))
    op.drop_constraint(op.f("ck_contacts_kind"), "contacts")
    op.create_check_constraint(op.f("ck_contacts_kind"), "contacts", "kind in ('email', 'mobile')")


def _activations() -> None:
    op.alter_column("invitations", "invited_by", nullable=True)
    op.create_index("ix_invitations_subject", "invitations", ["subject_kind", "subject_id", "invited_at"])
    op.add_column("activation_letters", sa.Column("purpose", sa.String, nullable=False, server_default="activation"))
    op.create_check_constraint(
        op.f("ck_activation_letters_purpose"), "activation_letters", "purpose in ('activation', 'recovery')"
    )
    op.add_column("activations", sa.Column("flow", sa.String))
    op.execute("update activations set flow = 'agent'")  # the flow with the steps that all had so far
    op.alter_column("activations", "flow", nullable=False)
    op.add_column("activations", sa.Column("luxtrust_subject", sa.LargeBinary))
    op.add_column("activations", sa.Column("luxtrust_product", sa.String))
    op.add_column("activations", sa.Column("person_confirmed_at", MOMENT))
    op.add_column("activations", sa.Column("password_hash", sa.String))
    for column in ("letter_id", "log_in_name", "subject_id"):
        op.alter_column("activations", column, nullable=True)
    op.create_check_constraint(op.f("ck_activations_subject_kind"), "activations", f"subject_kind in {KINDS}")
    op.create_check_constraint(
        op.f("ck_activations_letter"), "activations", "(letter_id is null) = (subject_id is null)"
    )


def _codes_and_sessions() -> None:
    op.add_column("challenges", sa.Column("channel", sa.String, nullable=False, server_default="email"))
    op.add_column("challenges", sa.Column("session_id", ID))
    op.add_column("challenges", sa.Column("sent", sa.Integer, nullable=False, server_default="1"))
    op.alter_column("challenges", "contact_id", nullable=True)
    op.drop_constraint(op.f("ck_challenges_purpose"), "challenges")
    op.create_check_constraint(op.f("ck_challenges_purpose"), "challenges",
        "purpose in ('contact', 'account_contact', 'helpdesk_contact', 'log_in')",
    )  # fmt: skip
    op.create_check_constraint(op.f("ck_challenges_channel"), "challenges", "channel in ('email', 'mobile', 'totp')")
    op.create_check_constraint(op.f("ck_challenges_contact"), "challenges", "(channel = 'totp') = (contact_id is null)")
    op.add_column("sessions", sa.Column("factors", sa.String, nullable=False, server_default="password email"))
    op.add_column("sessions", sa.Column("software", sa.String))
    op.add_column("sessions", sa.Column("address", sa.String))
    for column in ("authenticated_at", "last_used_at"):
        op.add_column("sessions", sa.Column(column, MOMENT))
        op.execute(f"update sessions set {column} = started_at")  # noqa: S608 (one of two names)
        op.alter_column("sessions", column, nullable=False)


def _factors() -> None:
    op.create_table(
        "luxtrust_flows",
        sa.Column("flow_id", ID, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("binding_hash", sa.LargeBinary, nullable=False),
        sa.Column("token_hash", sa.LargeBinary),
        sa.Column("activation_id", ID),
        sa.Column("account_id", ID),
        sa.Column("session_id", ID),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("returned_at", MOMENT),
        sa.Column("subject", sa.LargeBinary),
        sa.Column("product", sa.String),
        sa.Column("used_at", MOMENT),
        sa.CheckConstraint("purpose in ('activation', 'log_in', 'link')", name=op.f("ck_luxtrust_flows_purpose")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_luxtrust_flows_account_id"),
        sa.ForeignKeyConstraint(
            ["activation_id"], ["activations.activation_id"], name="fk_luxtrust_flows_activation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flow_id", name="pk_luxtrust_flows"),
    )
    op.create_index("ix_luxtrust_flows_account_id", "luxtrust_flows", ["account_id"])
    op.create_index("ix_luxtrust_flows_activation_id", "luxtrust_flows", ["activation_id"])
    op.create_index("ix_luxtrust_flows_expires_at", "luxtrust_flows", ["expires_at"])
    op.create_table(
        "luxtrust_products",
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("product_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("product", sa.String, nullable=False),
        sa.Column("linked_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_luxtrust_products_account_id"),
        sa.PrimaryKeyConstraint("subject", name="pk_luxtrust_products"),
        sa.UniqueConstraint("product_id", name="uq_luxtrust_products_product_id"),
    )
    op.create_index("ix_luxtrust_products_account_id", "luxtrust_products", ["account_id"])
    op.create_table(
        "ceremonies",
        sa.Column("ceremony_id", ID, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("session_id", ID),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.CheckConstraint("purpose in ('register', 'log_in')", name=op.f("ck_ceremonies_purpose")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_ceremonies_account_id"),
        sa.PrimaryKeyConstraint("ceremony_id", name="pk_ceremonies"),
    )
    op.create_index("ix_ceremonies_account_id", "ceremonies", ["account_id"])
    op.create_index("ix_ceremonies_expires_at", "ceremonies", ["expires_at"])
    op.create_table(
        "passkeys",
        sa.Column("device_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("credential_id", sa.LargeBinary, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("backed_up", sa.Boolean, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_passkeys_account_id"),
        sa.PrimaryKeyConstraint("device_id", name="pk_passkeys"),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
    )
    op.create_index("ix_passkeys_account_id", "passkeys", ["account_id"])
    op.create_table(
        "authenticators",
        sa.Column("authenticator_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("wrapped_secret", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("wrong_tries", sa.Integer, server_default="0", nullable=False),
        sa.Column("proved_at", MOMENT),
        sa.Column("last_step", sa.BigInteger, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_authenticators_account_id"),
        sa.PrimaryKeyConstraint("authenticator_id", name="pk_authenticators"),
    )
    op.create_index("ix_authenticators_account_id", "authenticators", ["account_id"])


def _desk() -> None:
    op.create_table(
        "helpdesk_requests",
        sa.Column("request_id", ID, nullable=False),
        sa.Column("reference", sa.String, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("name", sa.String),
        sa.Column("reply_kind", sa.String),
        sa.Column("reply_value", sa.String),
        sa.Column("message", sa.String),
        sa.Column("activation_id", ID),
        sa.Column("state", sa.String, server_default="open", nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("taken_by", ID),
        sa.Column("taken_at", MOMENT),
        sa.Column("subject_kind", sa.String),
        sa.Column("subject_id", ID),
        sa.Column("checked_by", ID),
        sa.Column("checked_at", MOMENT),
        sa.Column("check_method", sa.String),
        sa.Column("challenge_id", ID),
        sa.Column("answer", sa.String),
        sa.Column("answered_by", ID),
        sa.Column("answered_at", MOMENT),
        sa.Column("closed_at", MOMENT),
        sa.CheckConstraint("state in ('open', 'taken', 'answered', 'closed')", name=op.f("ck_helpdesk_requests_state")),
        sa.CheckConstraint(f"subject_kind in {KINDS}", name=op.f("ck_helpdesk_requests_subject_kind")),
        sa.ForeignKeyConstraint(
            ["activation_id"],
            ["activations.activation_id"],
            name="fk_helpdesk_requests_activation_id",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("request_id", name="pk_helpdesk_requests"),
        sa.UniqueConstraint("reference", name="uq_helpdesk_requests_reference"),
    )
    op.create_index("ix_helpdesk_requests_activation_id", "helpdesk_requests", ["activation_id"])
    op.create_index("ix_helpdesk_requests_state", "helpdesk_requests", ["state", "created_at", "request_id"])
    op.create_table(
        "password_resets",
        sa.Column("reset_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_password_resets_account_id"),
        sa.PrimaryKeyConstraint("reset_id", name="pk_password_resets"),
    )
    op.create_index("ix_password_resets_account_id", "password_resets", ["account_id"])
    op.create_index("ix_password_resets_expires_at", "password_resets", ["expires_at"])
    op.create_table(
        "notices",
        sa.Column("notice_id", ID, nullable=False),
        sa.Column("occasion", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("recipients", postgresql.JSONB(), nullable=False),
        sa.Column("object_id", ID),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("notice_id", name="pk_notices"),
    )
    op.create_index("ix_notices_created_at", "notices", ["created_at"])


def _machines() -> None:
    op.create_table(
        "organisation_managers",
        sa.Column("establishment_id", ID, nullable=False),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("named_by", ID, nullable=False),
        sa.Column("named_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.PrimaryKeyConstraint("establishment_id", "professional_id", name="pk_organisation_managers"),
    )
    op.create_table(
        "software_clients",
        sa.Column("client_id", ID, nullable=False),
        sa.Column("establishment_id", ID, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("vendor", sa.String, nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("jwks", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("registered_by", ID, nullable=False),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"state in {CLIENT_STATES}", name=op.f("ck_software_clients_state")),
        sa.PrimaryKeyConstraint("client_id", name="pk_software_clients"),
    )
    op.create_index("ix_software_clients_establishment_id", "software_clients", ["establishment_id"])
    op.create_table(
        "client_states",
        sa.Column("change_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("changed_by", ID, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"state in {CLIENT_STATES}", name=op.f("ck_client_states_state")),
        sa.ForeignKeyConstraint(["client_id"], ["software_clients.client_id"], name="fk_client_states_client_id"),
        sa.PrimaryKeyConstraint("change_id", name="pk_client_states"),
    )
    op.create_index("ix_client_states_client_id", "client_states", ["client_id"])
    op.create_table(
        "seen_assertions",
        sa.Column("client_id", ID, nullable=False),
        sa.Column("jti_hash", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti_hash", name="pk_seen_assertions"),
    )
    op.create_index("ix_seen_assertions_expires_at", "seen_assertions", ["expires_at"])
    op.create_table(
        "machine_tokens",
        sa.Column("token_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("professional_id", ID),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("purpose", sa.String),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.ForeignKeyConstraint(["client_id"], ["software_clients.client_id"], name="fk_machine_tokens_client_id"),
        sa.PrimaryKeyConstraint("token_id", name="pk_machine_tokens"),
    )
    op.create_index("ix_machine_tokens_client_id", "machine_tokens", ["client_id"])
    op.create_index("ix_machine_tokens_expires_at", "machine_tokens", ["expires_at"])
    op.create_index("ix_machine_tokens_professional_id", "machine_tokens", ["professional_id"])
