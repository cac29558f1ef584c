"""Alembic's door to audit's database."""

from services.audit import models_archive, models_cases, models_facts, models_log, models_retention, models_statistics
from services.audit.models import metadata
from services.db import run_migrations

# Importing them is what adds their tables.
_TABLES = (models_archive, models_cases, models_facts, models_log, models_retention, models_statistics)

run_migrations(metadata)
