"""Alembic's way into this service's database; `python -m services.db migrate documents` comes through here."""

from services.db import run_migrations
from services.documents.models import metadata

run_migrations(metadata)
