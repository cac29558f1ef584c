"""Alembic's door to audit's database."""

from services.audit import models_log
from services.audit.models import metadata
from services.db import run_migrations

_TABLES = (models_log,)  # importing them is what adds their tables

run_migrations(metadata)
