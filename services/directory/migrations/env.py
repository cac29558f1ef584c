"""Alembic's door to directory's database."""

from services.db import run_migrations
from services.directory.models import metadata

run_migrations(metadata)
