"""What audit knows of documents, so that a history can be read within what its reader may see."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "document_facts",
        sa.Column("document_id", ID, primary_key=True),
        sa.Column("shown_since", MOMENT),
        sa.Column("type", sa.Text),
        sa.Column("category", sa.Text),
        sa.Column("folder", sa.Text),
        sa.Column("level", sa.Text),
        sa.Column("author_id", ID),
        sa.Column("named_at", MOMENT),
        sa.Column("level_at", MOMENT),
    )
    op.create_table(
        "document_restrictions",
        sa.Column("document_id", ID, primary_key=True),
        sa.Column("professional_id", ID, primary_key=True),
        sa.Column("restricted", sa.Boolean, nullable=False),
        sa.Column("told_at", MOMENT, nullable=False),
    )
