"""The health fund is an establishment of its own kind: its software deposits as an institution."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_establishments_kind"), "establishments")
    op.create_check_constraint(
        op.f("ck_establishments_kind"),
        "establishments",
        "kind in ('practice', 'hospital', 'laboratory', 'pharmacy', 'care_network', 'health_fund')",
    )
