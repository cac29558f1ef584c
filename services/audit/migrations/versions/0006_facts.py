"""What audit knows of documents, so that a history can be read within what its reader may see."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    pass
