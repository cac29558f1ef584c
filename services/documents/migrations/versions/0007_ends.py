"""How documents end: what a deleted record's key still opens, the proof of a removal, exports that run."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("record_keys", sa.Column("deleted_at", MOMENT))
    op.create_index(
        "ix_record_keys_deleted_at", "record_keys", ["record_id"], postgresql_where=sa.text("deleted_at is not null")
    )
    op.create_index("ix_versions_key_record_id", "versions", ["key_record_id"])
    op.add_column("removals", sa.Column("objects", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_condemned_removal_id", "condemned", ["removal_id"])
    op.create_table(
        "exports",
        sa.Column("export_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("capacity", sa.Text, nullable=False),
        sa.Column("patient_id", ID),
        sa.Column("role", sa.Text),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("export_id", name=op.f("pk_exports")),
    )
    op.create_index("ix_exports_begun_at", "exports", ["begun_at"])
