"""An agent may be the agency's privacy officer."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_agents_role"), "agents")
    op.create_check_constraint(
        op.f("ck_agents_role"), "agents", "role in ('agent', 'administrator', 'privacy_officer')"
    )
