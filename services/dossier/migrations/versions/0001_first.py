"""Records, their states and every kind of grant, beside the plumbing tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from services.plumbing import plumbing_tables_v1

revision = "0001"
down_revision = None

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    plumbing_tables_v1(op)
    op.create_table(
        "records",
        sa.Column("record_id", ID, primary_key=True),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.CheckConstraint(
            "state in ('requested', 'open', 'open_by_lapse', 'active', 'closed', 'deleted')", name="ck_records_state"
        ),
    )
    op.create_index(
        "uq_records_patient", "records", ["patient_id"], unique=True, postgresql_where=sa.text("state <> 'deleted'")
    )
    op.create_table(
        "state_changes",
        sa.Column("change_id", ID, primary_key=True),
        sa.Column("record_id", ID, sa.ForeignKey("records.record_id", name="fk_state_changes_record"), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("previous", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("account_id", ID),
    )
    op.create_index("ix_state_changes_record", "state_changes", ["record_id", "at"])
    op.create_table(
        "professionals",
        sa.Column("professional_id", ID, primary_key=True),
        sa.Column("profession", sa.Text, nullable=False),
        sa.Column("licence", sa.Text, nullable=False),
        sa.Column("establishment_ids", ARRAY(ID), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "blocklist",
        sa.Column("block_id", ID, primary_key=True),
        sa.Column("record_id", ID, sa.ForeignKey("records.record_id", name="fk_blocklist_record"), nullable=False),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
    )
    op.create_index("ix_blocklist_record", "blocklist", ["record_id", "professional_id"])
    _grants()
    _presence_codes()
    op.create_table(
        "first_accesses",
        sa.Column(
            "record_id", ID, sa.ForeignKey("records.record_id", name="fk_first_accesses_record"), primary_key=True
        ),
        sa.Column("professional_id", ID, primary_key=True),
        sa.Column("ground", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )


def _grants() -> None:
    op.create_table(
        "circle_members",
        sa.Column("member_id", ID, primary_key=True),
        sa.Column("record_id", ID, sa.ForeignKey("records.record_id", name="fk_circle_members_record"), nullable=False),
        sa.Column(
            "professional_id",
            ID,
            sa.ForeignKey("professionals.professional_id", name="fk_circle_members_professional"),
            nullable=False,
        ),
        sa.Column("comment", sa.Text),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
    )
    op.create_index("ix_circle_members_record", "circle_members", ["record_id", "professional_id"])
    op.create_index(
        "uq_circle_members_current",
        "circle_members",
        ["record_id", "professional_id"],
        unique=True,
        postgresql_where=sa.text("until is null"),
    )
    op.create_table(
        "mandates",
        sa.Column("mandate_id", ID, primary_key=True),
        sa.Column("record_id", ID, sa.ForeignKey("records.record_id", name="fk_mandates_record"), nullable=False),
        sa.Column(
            "professional_id",
            ID,
            sa.ForeignKey("professionals.professional_id", name="fk_mandates_professional"),
            nullable=False,
        ),
        sa.Column("establishment_id", ID),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("wording_version", sa.Text, nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("read_until", MOMENT, nullable=False),
        sa.Column("deposit_until", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.CheckConstraint("read_until <= deposit_until", name="ck_mandates_period"),
    )
    op.create_index("ix_mandates_record", "mandates", ["record_id", "professional_id"])


def _presence_codes() -> None:
    op.create_table(
        "presence_codes",
        sa.Column("code_id", ID, primary_key=True),
        sa.Column("record_id", ID, sa.ForeignKey("records.record_id", name="fk_presence_codes_record"), nullable=False),
        sa.Column("letter_id", ID, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.UniqueConstraint("record_id", "letter_id", name="uq_presence_codes_letter"),
    )
    op.create_index("ix_presence_codes_record", "presence_codes", ["record_id", "issued_at"])
    op.create_table(
        "presence_tries",
        sa.Column("try_id", ID, primary_key=True),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.CheckConstraint("outcome in ('looked_at', 'wrong', 'put_off', 'right')", name="ck_presence_tries_outcome"),
    )
    op.create_index("ix_presence_tries_professional", "presence_tries", ["professional_id", "at"])
