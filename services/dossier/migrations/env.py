"""Alembic's door to dossier's database."""

from services.db import run_migrations
from services.dossier.models import metadata

run_migrations(metadata)
