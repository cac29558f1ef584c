"""How long notices are kept. No I/O, no clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

LEAST: Final = timedelta(days=30)
"""What is kept in any case: an event may come once more until then, and nobody is told of it twice."""
SETTLED_WITHIN: Final = timedelta(days=1)
"""By when nobody tells anything any more who asked before somebody left."""


def kept_since(at: datetime, days: int) -> datetime | None:
    """What was settled at this moment or before is deleted now; None: nothing is, ever. days: 0 for that."""
    return at - max(timedelta(days=days), LEAST) if days > 0 else None
