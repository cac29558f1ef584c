"""Runs the migrations of the notifications database."""

from services.db import run_migrations
from services.notifications.models import metadata

run_migrations(metadata)
