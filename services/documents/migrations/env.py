"""Alembic's way into this service's database; `python -m services.db migrate documents` comes through here."""

from services.db import run_migrations
from services.documents import models_care, models_reading
from services.documents.models import metadata

_TABLES = (models_care, models_reading)  # importing them is what adds their tables

run_migrations(metadata)
