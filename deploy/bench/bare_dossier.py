"""Dossier with one method more: the least that a question of it costs, to measure the others against.

Runs in the place of the platform's own dossier while it is measured, so that both answer from one process.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.bus import rpc
from services.dossier.service import Dossier as Real
from services.tokens import Caller


class Dossier(Real):
    """Dossier, and a question that verifies the caller's token and asks the database for nothing."""

    @rpc
    def select_one(self, caller: Caller) -> dict[str, Any]:
        """Says what the database says to SELECT 1, in a transaction of the caller."""
        with self.db.transaction(caller) as session:
            return {"one": session.scalar(sa.select(1))}
