"""A document says in which establishment it was deposited, and so does each of its versions.

Of the older ones only those that an establishment deposited as itself are known: of the others it was not written down.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

ID = sa.Uuid(as_uuid=False)


def upgrade() -> None:
    for table in ("documents", "versions"):
        op.add_column(table, sa.Column("establishment_id", ID))
    op.execute("update documents set establishment_id = institution_id where institution_id is not null")
    op.execute(
        "update versions set establishment_id = documents.institution_id from documents"
        " where documents.document_id = versions.document_id and documents.institution_id is not null"
        " and versions.number = 1"
    )
    op.create_check_constraint(
        op.f("ck_documents_establishment"), "documents", "author_kind <> 'holder' or establishment_id is null"
    )
