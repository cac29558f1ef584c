"""Letters wait from their event on until they are printed; those there are have been."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("request_id", "purpose", "reference", "state"):
        op.add_column("letters", sa.Column(name, sa.Text))
    op.add_column("letters", sa.Column("due_by", MOMENT))
    op.add_column("letters", sa.Column("attempts", sa.Integer))
    op.add_column("letters", sa.Column("retry_at", MOMENT))
    op.execute(
        "update letters set state = 'printed', due_by = printed_at, attempts = 0, reference = '',"
        " purpose = case when occasion = 'letter_recovery' then 'recovery' else 'activation' end"
    )
    for name in ("purpose", "reference", "state", "due_by", "attempts"):
        op.alter_column("letters", name, nullable=False)
    for name in ("language", "printed_at"):
        op.alter_column("letters", name, nullable=True)
    for name, holds in (
        ("state", "state in ('waiting', 'printed')"),
        ("printed_at", "(state = 'printed') = (printed_at is not null)"),
        ("purpose", "purpose in ('activation', 'recovery')"),
    ):
        op.create_check_constraint(op.f(f"ck_letters_{name}"), "letters", holds)
    op.create_index(
        "ix_letters_waiting", "letters", ["due_by", "letter_id"], postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index(
        "ix_letters_printed", "letters", ["printed_at", "letter_id"], postgresql_where=sa.text("state = 'printed'")
    )
