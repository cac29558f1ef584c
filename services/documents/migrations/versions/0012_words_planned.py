"""The words of a document are taken by a function whose plan a connection keeps: made anew each time, planning it took
the database longer than the words."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    function = "select prosrc from pg_proc where oid = cast('document_words(text[], text[])' as regprocedure)"
    question = op.get_bind().scalar(sa.text(function))
    op.get_bind().exec_driver_sql(
        "create or replace function document_words(title text[], body text[]) returns tsvector"
        f" language plpgsql immutable strict parallel safe as $$ begin return ({question}); end $$"
    )
