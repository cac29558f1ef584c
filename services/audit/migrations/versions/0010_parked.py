"""What is parked is found without a look at all that is done: an operator's figures ask for it often."""

from alembic import op

from services.plumbing import plumbing_tables_v3

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    plumbing_tables_v3(op)
