"""From whom a document is hidden: one professional, the holder side, the representatives of an autonomous minor."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)
RUNS = sa.text("until is null")


def upgrade() -> None:
    op.add_column("documents", sa.Column("withheld_at", MOMENT))
    op.create_table(
        "restrictions",
        sa.Column("restriction_id", ID, nullable=False),
        _document("restrictions"),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("risk_version", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("restriction_id", name=op.f("pk_restrictions")),
    )
    op.create_index(
        "uq_restrictions_current", "restrictions", ["document_id", "professional_id"], unique=True,
        postgresql_where=RUNS,
    )  # fmt: skip
    op.create_table(
        "patient_blocks",
        sa.Column("block_id", ID, nullable=False),
        _document("patient_blocks"),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("released_by", ID),
        sa.Column("released_how", sa.Text),
        sa.Column("reminded_at", MOMENT),
        sa.Column("escalated_at", MOMENT),
        sa.CheckConstraint("released_how in ('explained', 'automatic')", name=op.f("ck_patient_blocks_released_how")),
        sa.CheckConstraint("(until is null) = (released_how is null)", name=op.f("ck_patient_blocks_released")),
        sa.PrimaryKeyConstraint("block_id", name=op.f("pk_patient_blocks")),
    )
    op.create_index("uq_patient_blocks_current", "patient_blocks", ["document_id"], unique=True, postgresql_where=RUNS)
    op.create_index("ix_patient_blocks_since", "patient_blocks", ["since"], postgresql_where=RUNS)
    op.create_table(
        "withholdings",
        sa.Column("withholding_id", ID, nullable=False),
        _document("withholdings"),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.PrimaryKeyConstraint("withholding_id", name=op.f("pk_withholdings")),
    )
    op.create_index("uq_withholdings_current", "withholdings", ["document_id"], unique=True, postgresql_where=RUNS)


def _document(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("documents.document_id", name=op.f(f"fk_{table}_document_id"))
    return sa.Column("document_id", ID, key, nullable=False)
