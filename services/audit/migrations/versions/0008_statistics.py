"""Counts for the statistics."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "statistic_subjects",
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("subject_id", ID, primary_key=True),
        sa.Column("steps", JSONB, nullable=False),
        sa.Column("ended_on", sa.Date),
    )
    op.create_index(
        "ix_statistic_subjects_ended", "statistic_subjects", ["ended_on"],
        postgresql_where=sa.text("ended_on is not null"),
    )  # fmt: skip
    op.create_table(
        "statistic_counts",
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
            for name in ("came", "moved_in", "moved_out", "went")
        ),
    )
    op.create_table(
        "statistic_progress",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.execute("insert into statistic_progress (source, position) values ('entries', 0)")
    coverage()


def coverage() -> None:
    op.create_table(
        "coverage_days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("after", ID),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT),
        sa.Column("salt", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "coverage_counts",
        sa.Column("day", sa.Date, sa.ForeignKey("coverage_days.day", name="fk_coverage_counts_day"), primary_key=True),
        sa.Column("commune", sa.Text, primary_key=True),
        sa.Column("registered", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("covered", sa.BigInteger, nullable=False, server_default="0"),
    )
