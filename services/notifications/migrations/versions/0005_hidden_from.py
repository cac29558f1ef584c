"""Which documents are hidden from which professionals: who reads none of them hears nothing of them either."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ID = sa.Uuid(as_uuid=False)


def upgrade() -> None:
    op.create_table(
        "restrictions",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("restricted", sa.Boolean, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "professional_id", name="pk_restrictions"),
    )
