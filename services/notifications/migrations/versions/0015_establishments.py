"""Foreign systems choose by the establishment in which a document was deposited.

Of documents that were told of before it is not known: they are heard of by who chose no establishment.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0015"
down_revision = "0014"

ID = sa.Uuid(as_uuid=False)


def upgrade() -> None:
    op.add_column("subscriptions", sa.Column("establishments", ARRAY(ID), nullable=False, server_default="{}"))
    op.add_column("documents", sa.Column("establishment_id", ID))
