"""Deliveries have numbers, can be played again, and go to webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "outlets",
        sa.Column("subscription_id", ID, sa.ForeignKey("subscriptions.subscription_id"), primary_key=True),
        sa.Column("way", sa.Text, nullable=False, server_default="queue"),
        sa.Column("url", sa.Text),
        sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("state", sa.Text, nullable=False, server_default="active"),
        sa.Column("cause", sa.Text),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retry_at", MOMENT),
        sa.Column("leased_until", MOMENT),
        sa.Column("turn_at", MOMENT),
        sa.CheckConstraint("way in ('queue', 'webhook')", name=op.f("ck_outlets_way")),
        sa.CheckConstraint("(way = 'webhook') = (url is not null)", name=op.f("ck_outlets_url")),
        sa.CheckConstraint("state in ('active', 'lagging', 'parked')", name=op.f("ck_outlets_state")),
        sa.CheckConstraint("(state = 'active') = (cause is null)", name=op.f("ck_outlets_cause")),
    )
    for column in (
        sa.Column("source", sa.Text, nullable=False, server_default=""),
        sa.Column("number", sa.BigInteger),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("allowed_at", MOMENT),
    ):
        op.add_column("deliveries", column)
    op.alter_column("deliveries", "document_id", nullable=True)
    # What went out before is numbered in the order it stands in; what waits gets its number when its turn comes.
    op.execute(
        "update deliveries set sequence = placed.sequence from (select delivery_id, row_number() over (partition by"
        " subscription_id order by delivery_id) as sequence from deliveries where state = 'published') as placed"
        " where deliveries.delivery_id = placed.delivery_id"
    )
    op.execute(
        "insert into outlets (subscription_id, since, sequence) select subscription_id, created_at, (select"
        " coalesce(max(sequence), 0) from deliveries where deliveries.subscription_id = subscriptions.subscription_id)"
        " from subscriptions"
    )
    op.create_unique_constraint("uq_deliveries_subscription_id_sequence", "deliveries", ["subscription_id", "sequence"])
    op.create_check_constraint(
        op.f("ck_deliveries_sequence"), "deliveries",
        "state = 'waiting' or (state = 'published') = (sequence is not null)",
    )  # fmt: skip
    op.drop_index("ix_deliveries_waiting", "deliveries")
    waiting = "state = 'waiting' and sequence is"
    for name, columns, where in (
        ("new", ["subscription_id", "delivery_id"], f"{waiting} null"),
        ("waiting", ["subscription_id", "sequence"], f"{waiting} not null"),
        ("created_at", ["created_at"], None),
    ):
        clause = None if where is None else sa.text(where)
        op.create_index(f"ix_deliveries_{name}", "deliveries", columns, postgresql_where=clause)
