"""The privacy officer's cases and alerts, and what the rules of the alerts count by."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    cases()
    alerts()
    counting()


def cases() -> None:
    op.create_table(
        "cases",
        sa.Column("case_id", ID, primary_key=True),
        sa.Column("trace_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("opened_by", ID, nullable=False),
        sa.Column("patient_id", ID),
        sa.Column("comment", sa.Text),
        *worked("cases"),
        sa.UniqueConstraint("trace_id", name="uq_cases_trace_id"),
    )
    op.create_index("ix_cases_of_record", "cases", ["record_id", "case_id"])
    op.create_index("ix_cases_state", "cases", ["state", "case_id"])


def alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", ID, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("trace_id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("raised_at", MOMENT, nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("record_id", ID),
        sa.Column("professional_id", ID),
        sa.Column("account_id", ID),
        sa.Column("establishment_id", ID),
        sa.Column("mandate_id", ID),
        *worked("alerts"),
        sa.CheckConstraint(
            "rule in ('same_surname', 'own_record', 'many_patients', 'after_care', 'repeated_failures',"
            " 'out_of_hours')",
            name="ck_alerts_rule",
        ),
        sa.UniqueConstraint("rule", "trace_id", name="uq_alerts_cause"),
    )
    op.create_index("ix_alerts_subject", "alerts", ["subject", "rule", "at"])
    op.create_index("ix_alerts_state", "alerts", ["state", "alert_id"])
    op.create_index("ix_alerts_at", "alerts", ["at"])
    op.create_index(
        "ix_alerts_of_record", "alerts", ["record_id"], postgresql_where=sa.text("record_id is not null")
    )  # fmt: skip


def worked(table: str) -> tuple[Any, ...]:
    return (
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("taken_by", ID),
        sa.Column("taken_at", MOMENT),
        sa.Column("verdict", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("settled_by", ID),
        sa.Column("settled_at", MOMENT),
        sa.CheckConstraint("state in ('waiting', 'taken', 'settled')", name=f"ck_{table}_state"),
        sa.CheckConstraint("verdict in ('justified', 'not_justified')", name=f"ck_{table}_verdict"),
        sa.CheckConstraint(
            "(state = 'settled') = (verdict is not null) and (state = 'settled') = (settled_by is not null)",
            name=f"ck_{table}_settled",
        ),
        sa.CheckConstraint("(state = 'waiting') = (taken_by is null)", name=f"ck_{table}_taken"),
    )


def counting() -> None:
    op.create_table(
        "alert_progress",
        sa.Column("one", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.CheckConstraint("one", name="ck_alert_progress_one"),
    )
    op.execute("insert into alert_progress (position) values (0)")
    op.create_table(
        "alert_sightings",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("person_id", ID, primary_key=True),
        sa.Column("minute", MOMENT, primary_key=True),
        sa.Column("thing_id", ID, primary_key=True),
    )
    op.create_index("ix_alert_sightings_minute", "alert_sightings", ["minute"], postgresql_using="brin")
    op.create_table(
        "cares",
        sa.Column("care_id", ID, primary_key=True),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("carer_id", ID, nullable=False),
        sa.Column("begun_at", MOMENT),
        sa.Column("ended_at", MOMENT),
    )
    op.create_index("ix_cares_of_record", "cares", ["record_id", "carer_id"])
