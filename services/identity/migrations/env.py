"""Alembic's way into this service's database; `python -m services.db migrate identity` comes through here."""

from services.db import run_migrations
from services.identity.models import metadata

run_migrations(metadata)
