"""Records that lead to another one: where each document was deposited, and whose record's key wraps its key."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.Uuid(as_uuid=False)


def upgrade() -> None:
    op.create_table(
        "record_moves",
        sa.Column("record_id", ID, nullable=False),
        sa.Column("leads_to", ID),
        sa.Column("merge_id", ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("record_id", name="pk_record_moves"),
    )
    op.create_index(
        "ix_record_moves_leads_to", "record_moves", ["leads_to"], postgresql_where=sa.text("leads_to is not null")
    )
    _of_record("documents", "home_record_id", "update documents set home_record_id = record_id")
    _of_record("uploads", "home_record_id", "update uploads set home_record_id = record_id")
    _of_record(
        "versions", "key_record_id",
        "update versions v set key_record_id = d.record_id from documents d where d.document_id = v.document_id",
    )  # fmt: skip
    _of_record(
        "attempts", "key_record_id",
        "update attempts a set key_record_id = u.record_id from uploads u where u.upload_id = a.upload_id",
    )  # fmt: skip
    op.create_index("ix_documents_home_record_id", "documents", ["home_record_id"])


def _of_record(table: str, column: str, filled: str) -> None:
    """A column that names a record; until today nothing ever left the record it was deposited in."""
    op.add_column(table, sa.Column(column, ID))
    op.execute(filled)
    op.alter_column(table, column, nullable=False)
    op.create_foreign_key(f"fk_{table}_{column}", table, "record_keys", [column], ["record_id"])


def downgrade() -> None:
    """Takes the columns away again; possible while no record leads to another one."""
    for table, column in (
        ("attempts", "key_record_id"), ("versions", "key_record_id"), ("uploads", "home_record_id"),
        ("documents", "home_record_id"),
    ):  # fmt: skip
        op.drop_column(table, column)
    op.drop_table("record_moves")
