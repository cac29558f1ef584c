"""The database itself refuses a caller whose session ended, in one word with the first statement."""

from alembic import op

from services.plumbing import plumbing_tables_v2

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    plumbing_tables_v2(op)
