"""Brings the named services' databases to their newest schema: `python -m deploy.local.schemas STATE SERVICE...`.

The same as `python -m services.db migrate SERVICE` with each one's settings, in one process.
"""

import sys
from pathlib import Path

from deploy.local.layout import Layout
from services.db import migrate


def main(state: Path, services: list[str]) -> None:
    """Migrate one after the other; the first that fails is named and ends it."""
    layout = Layout(state)
    for service in services:
        sys.stderr.write(f"the migration of {service}\n")
        migrate(service, layout.database_url(service))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
