"""Alembic's door to dossier's database."""

from services.db import run_migrations
from services.dossier import models_desk, models_entourage
from services.dossier.models import metadata

_TABLES = (models_desk, models_entourage)  # importing them is what adds their tables

run_migrations(metadata)
