"""Foreign systems choose more closely, and lose what they may not see any more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0010"
down_revision = "0009"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for column in (
        sa.Column("client_id", ID),
        sa.Column("document_types", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("categories", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("suspended_at", MOMENT),
        sa.Column("client_at", MOMENT),
    ):
        op.add_column("subscriptions", column)
    op.create_index(
        "ix_subscriptions_client_id", "subscriptions", ["client_id"],
        postgresql_where=sa.text("client_id is not null"),
    )  # fmt: skip
    op.drop_index("ix_subscriptions_queue_to_remove", "subscriptions")
    op.create_index(
        "ix_subscriptions_queue_to_remove", "subscriptions", ["subscription_id"],
        postgresql_where=sa.text("(state <> 'active' or suspended_at is not null) and queue_removed_at is null"),
    )  # fmt: skip
    op.add_column("documents", sa.Column("folder", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "gone_documents",
        sa.Column("document_id", ID, primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_table(
        "told_documents",
        sa.Column("subscription_id", ID, sa.ForeignKey("subscriptions.subscription_id"), primary_key=True),
        sa.Column("document_id", ID, primary_key=True),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("through_id", ID, nullable=False),
        sa.Column("ask_at", MOMENT, nullable=False),
        sa.Column("loss_id", ID, nullable=False),
    )
    for column_name in ("record_id", "document_id", "through_id", "ask_at"):
        op.create_index(f"ix_told_documents_{column_name}", "told_documents", [column_name])
    op.create_table(
        "led_records",
        sa.Column("merged_record_id", ID, primary_key=True),
        sa.Column("record_id", ID),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_led_records_record_id", "led_records", ["record_id"])
    op.create_index("ix_deliveries_document_id", "deliveries", ["document_id", "subscription_id"])
    # What went out before this was kept: through nobody known, so that dossier is asked about it at once.
    op.execute(
        "insert into told_documents (subscription_id, document_id, record_id, through_id, ask_at, loss_id)"
        " select distinct on (d.subscription_id, d.document_id) d.subscription_id, d.document_id,"
        " cast(d.subject as uuid), d.document_id, now(), gen_random_uuid()"
        " from deliveries d join subscriptions s on s.subscription_id = d.subscription_id and s.state = 'active'"
        " where d.state = 'published' order by d.subscription_id, d.document_id, d.delivery_id desc"
    )
