"""Alembic's door to audit's database."""

from services.audit.models import metadata
from services.db import run_migrations

run_migrations(metadata)
