"""The first tables: record keys, documents, versions, levels, uploads with their tries, openings."""

import sqlalchemy as sa
from alembic import op

from services.plumbing import plumbing_tables_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)
LEVELS = "level in ('standard', 'confidential', 'private')"


def upgrade() -> None:
    """Creates the tables; documents and versions point at each other, so one foreign key comes last."""
    plumbing_tables_v1(op)

    op.create_table(
        "record_keys",
        sa.Column("record_id", ID, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("record_id", name="pk_record_keys"),
    )
    op.create_table(
        "documents",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("act_date", sa.Date),
        sa.Column("language", sa.Text),
        sa.Column("author_kind", sa.Text, nullable=False),
        sa.Column("author_id", ID),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("patient_blocked_at", MOMENT),
        sa.Column("current_version_id", ID, nullable=False),
        sa.Column("deposited_at", MOMENT, nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("document_id", name="pk_documents"),
        sa.UniqueConstraint("upload_id", name="uq_documents_upload_id"),
        sa.ForeignKeyConstraint(["record_id"], ["record_keys.record_id"], name="fk_documents_record_id"),
        sa.CheckConstraint("author_kind in ('holder', 'professional')", name="ck_documents_author_kind"),
        sa.CheckConstraint("(author_kind = 'professional') = (author_id is not null)", name="ck_documents_author"),
        sa.CheckConstraint(LEVELS, name="ck_documents_level"),
    )
    op.create_index(
        "ix_documents_page", "documents", ["record_id", sa.text("deposited_at desc"), sa.text("document_id desc")]
    )
    op.create_table(
        "versions",
        sa.Column("version_id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("store_version", sa.Text),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("author_id", ID),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("version_id", name="pk_versions"),
        sa.UniqueConstraint("document_id", "number", name="uq_versions_number"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name="fk_versions_document_id"),
        sa.CheckConstraint("size > 0", name="ck_versions_size"),
        sa.CheckConstraint("octet_length(sha256) = 32", name="ck_versions_sha256"),
    )
    op.create_foreign_key(
        "fk_documents_current_version_id", "documents", "versions", ["current_version_id"], ["version_id"],
        deferrable=True, initially="DEFERRED",
    )  # fmt: skip
    op.create_table(
        "levels",
        sa.Column("level_id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("valid_from", MOMENT, nullable=False),
        sa.Column("valid_to", MOMENT),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("risk_accepted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("level_id", name="pk_levels"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name="fk_levels_document_id"),
        sa.CheckConstraint(LEVELS, name="ck_levels_level"),
        sa.CheckConstraint("valid_to >= valid_from", name="ck_levels_period"),
    )
    op.create_index("ix_levels_document_id", "levels", ["document_id", "valid_from"])
    op.create_index(
        "uq_levels_current", "levels", ["document_id"], unique=True, postgresql_where=sa.text("valid_to is null")
    )
    op.create_table(
        "uploads",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("capacity", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("act_date", sa.Date),
        sa.Column("language", sa.Text),
        sa.Column("prepared_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("document_id", ID),
        sa.PrimaryKeyConstraint("upload_id", name="pk_uploads"),
        sa.UniqueConstraint("document_id", name="uq_uploads_document_id"),
        sa.ForeignKeyConstraint(["record_id"], ["record_keys.record_id"], name="fk_uploads_record_id"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name="fk_uploads_document_id"),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_table(
        "attempts",
        sa.Column("version_id", ID, nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("condemned_at", MOMENT),
        sa.PrimaryKeyConstraint("version_id", name="pk_attempts"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.upload_id"], name="fk_attempts_upload_id"),
    )
    op.create_index("ix_attempts_started_at", "attempts", ["started_at"])
    op.create_index("ix_attempts_upload_id", "attempts", ["upload_id"])
    op.create_table(
        "opens",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("read_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "version_id", name="pk_opens"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name="fk_opens_version_id"),
    )
    op.create_index("ix_opens_opened_at", "opens", ["opened_at"])


def downgrade() -> None:
    """Takes the tables of this service away again; the plumbing's stay."""
    op.drop_constraint("fk_documents_current_version_id", "documents", type_="foreignkey")
    for table in ("opens", "attempts", "uploads", "levels", "versions", "documents", "record_keys"):
        op.drop_table(table)
