"""What a visit to a record is, by which "new since my last visit" is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

QUIET: Final = timedelta(minutes=30)
"""Without a request in a record for so long, the next one begins another visit [ours]."""

NOTED: Final = timedelta(minutes=1)
"""How much older than its last request a visit may look: a write per minute, not per request."""

VISITORS: Final = ("patient", "professional")
"""The capacities in which somebody visits; software and agents do not."""
