"""Alembic's way into this service's database; `python -m services.db migrate identity` comes through here."""

from services.db import run_migrations
from services.identity import models_desk, models_factors, models_machines
from services.identity.models import metadata

_TABLES = (models_desk, models_factors, models_machines)  # importing them is what adds their tables

run_migrations(metadata)
