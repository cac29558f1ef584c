"""The number of a record that people quote."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # The rows there are get theirs in the order of the table; later ones in the order of opening.
    op.add_column("records", sa.Column("record_number", sa.BigInteger, sa.Identity(always=True), nullable=False))
    op.create_unique_constraint(op.f("uq_records_number"), "records", ["record_number"])
