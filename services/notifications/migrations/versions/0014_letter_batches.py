"""Letters go to the print shop in batches, and their files are deleted once they are in the post.

And the helpdesk finds what went out to somebody, or because of a request.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "letter_batches",
        sa.Column("batch_id", ID, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("made_by", ID, nullable=False),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("confirmed_by", ID),
        sa.Column("files_due", sa.Boolean, nullable=False),
        sa.CheckConstraint("state in ('open', 'confirmed')", name=op.f("ck_letter_batches_state")),
        sa.CheckConstraint(
            "(state = 'confirmed') = (confirmed_at is not null)", name=op.f("ck_letter_batches_confirmed_at")
        ),
    )
    op.create_index("ix_letter_batches_made_at", "letter_batches", ["made_at", "batch_id"])
    op.create_index("ix_letter_batches_files_due", "letter_batches", ["made_at"], postgresql_where=sa.text("files_due"))
    op.add_column("letters", sa.Column("pages", sa.Integer))
    op.add_column("letters", sa.Column("digest", sa.LargeBinary))
    op.add_column("letters", sa.Column("batch_id", ID))
    op.add_column("letters", sa.Column("place", sa.Integer))
    for name in ("state", "printed_at"):
        op.drop_constraint(op.f(f"ck_letters_{name}"), "letters")
    op.create_check_constraint(op.f("ck_letters_state"), "letters", "state in ('waiting', 'printed', 'posted')")
    op.create_check_constraint(op.f("ck_letters_printed_at"), "letters", "(state = 'waiting') = (printed_at is null)")
    op.create_foreign_key("fk_letters_batch_id_letter_batches", "letters", "letter_batches", ["batch_id"], ["batch_id"])
    op.drop_index("ix_letters_printed", "letters")
    op.create_index(
        "ix_letters_printed", "letters", ["state", "printed_at", "letter_id"],
        postgresql_where=sa.text("state <> 'waiting'"),
    )  # fmt: skip
    op.create_index(
        "ix_letters_unbatched", "letters", ["due_by", "letter_id"],
        postgresql_where=sa.text("state = 'printed' and batch_id is null"),
    )  # fmt: skip
    op.create_index("ix_letters_batch_id", "letters", ["batch_id"])
    for name in ("recipient_id", "request_id"):
        op.create_index(
            f"ix_messages_{name}", "messages", [name, "seq"], postgresql_where=sa.text("channel <> 'inbox'")
        )  # fmt: skip
