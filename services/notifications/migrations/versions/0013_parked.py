"""What is parked is found without a look at all that is done: an operator's figures ask for it often."""

import sqlalchemy as sa
from alembic import op

from services.plumbing import plumbing_tables_v3

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    plumbing_tables_v3(op)
    op.create_index("ix_messages_bounced", "messages", ["seq"], postgresql_where=sa.text("state = 'bounced'"))
