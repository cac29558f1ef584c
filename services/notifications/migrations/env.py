"""Runs the migrations of the notifications database."""

from services.db import run_migrations
from services.notifications import (
    models_batches,
    models_deliveries,
    models_inbox,
    models_messages,
    models_settings,
    models_subscriptions,
    models_threads,
)
from services.notifications.models import metadata

# Importing them is what adds their tables.
_TABLES = (
    models_batches, models_deliveries, models_inbox, models_messages, models_settings, models_subscriptions,
    models_threads,
)  # fmt: skip

run_migrations(metadata)
