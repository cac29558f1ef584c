"""The number of a record that people quote; patients that are one, and where their records lead."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # The rows there are get theirs in the order of the table; later ones in the order of opening.
    op.add_column("records", sa.Column("record_number", sa.BigInteger, sa.Identity(always=True), nullable=False))
    op.create_unique_constraint(op.f("uq_records_number"), "records", ["record_number"])
    _merging()


def _merging() -> None:
    op.add_column("records", sa.Column("opened_for", ID))
    op.add_column("records", sa.Column("merged_into", ID, sa.ForeignKey("records.record_id", name="fk_records_merged")))
    op.add_column("records", sa.Column("merged_at", MOMENT))
    op.add_column("records", sa.Column("state_before", sa.Text))
    op.add_column("records", sa.Column("moves", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_check_constraint(
        op.f("ck_records_merged"), "records",
        "(merged_into is null) = (merged_at is null) and (merged_into is null) = (state_before is null)",
    )  # fmt: skip
    op.drop_index("uq_records_patient", "records")
    op.create_index(
        "uq_records_patient", "records", ["patient_id"], unique=True,
        postgresql_where=sa.text("state <> 'deleted' and merged_into is null"),
    )  # fmt: skip
    op.create_index("ix_records_merged", "records", ["patient_id"], postgresql_where=sa.text("merged_into is not null"))
    for table in ("blocklist", "circle_members", "mandates", "first_accesses"):
        op.add_column(table, sa.Column("copied_from", ID))
    op.create_table(
        "patient_merges",
        sa.Column("merge_id", ID, primary_key=True),
        sa.Column("survivor_id", ID, nullable=False),
        sa.Column("merged_id", ID, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("speaks_id", ID),
        sa.CheckConstraint("state in ('running', 'undone')", name="ck_patient_merges_state"),
        sa.CheckConstraint("(state = 'running') = (speaks_id is not null)", name="ck_patient_merges_speaks"),
    )
    op.create_index(
        "uq_patient_merges_running", "patient_merges", ["merged_id"], unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )  # fmt: skip
    op.create_index("ix_patient_merges_merged", "patient_merges", ["merged_id"])
    op.create_index("ix_patient_merges_survivor", "patient_merges", ["survivor_id"])
