"""What was destroyed, and what lies in the archive."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass
