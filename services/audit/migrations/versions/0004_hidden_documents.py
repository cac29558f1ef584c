"""Which documents are hidden from whom, and since when."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "hidden_documents",
        sa.Column("document_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.CheckConstraint("kind in ('blocked', 'withheld')", name="ck_hidden_documents_kind"),
        sa.PrimaryKeyConstraint("document_id", "kind", "since", name="hidden_documents_pkey"),
    )
    op.create_index(
        "ix_hidden_documents_now", "hidden_documents", ["document_id"], postgresql_where=sa.text("until is null")
    )
