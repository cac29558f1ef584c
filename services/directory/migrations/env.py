"""Alembic's door to directory's database."""

from services.db import run_migrations
from services.directory import models_desk
from services.directory.models import metadata

_TABLES = (models_desk,)  # importing it is what adds its tables

run_migrations(metadata)
