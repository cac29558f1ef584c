"""The plumbing's migration, written out by hand, makes what the plumbing's tables say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.db import migrate, plumbing


@pytest.mark.parametrize("service", ["identity", "directory", "dossier", "documents", "audit", "notifications"])
def test_the_migration_of_every_service_makes_the_plumbing_tables(database: Callable[[str], str], service: str) -> None:
    url = database(service)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        options = {"include_object": _ours, "compare_type": True, "compare_server_default": False}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), plumbing)
        checks = sa.inspect(connection).get_check_constraints("inbox")
    assert differences == []
    assert [check["name"] for check in checks] == ["ck_inbox_state"]
    migrate(service, url)  # a second run finds nothing to do
    engine.dispose()


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """The plumbing's own tables; the service's stand beside them in the same database."""
    return kind != "table" or name in plumbing.tables
