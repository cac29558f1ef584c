"""A new master key: the record keys are wrapped by it, row by row, while everything goes on; no object is touched."""

from __future__ import annotations

import logging
from typing import Any

from services.bus import Service
from services.documents import store_keys
from services.sealing import BytesTampered

ROTATED_AT_ONCE = 500

log = logging.getLogger(__name__)


class Rotation(Service):
    """Puts every record key under the current master key."""

    keys: Any  # the service's key ring

    def _rotate_keys(self) -> int:
        """Wraps all others anew, some at a time, and gives how many; killed, it goes on where it was."""
        rotated, place = 0, None
        while True:
            held, anew = self._rotate_some(place)
            rotated += anew
            if not held:
                break
            place = held[-1]
        if rotated:
            log.info("record keys wrapped anew", extra={"count": rotated, "master_key": self.keys.master_key_id})
        return rotated

    def _rotate_some(self, place: str | None) -> tuple[list[str], int]:
        """Looks at some record keys after a place: which, and how many of them are under the current one now."""
        # named before they are wrapped: should another become the current one meanwhile, they are wrapped once more
        current, anew = self.keys.master_key_id, {}
        with self.db.transaction() as session:
            held = store_keys.hold_others(session, current, place, ROTATED_AT_ONCE)
            for row in held:
                try:
                    anew[row.record_id] = self.keys.wrap_anew(row.record_id, bytes(row.wrapped_key))
                except BytesTampered:  # one that no key of ours opens must not keep the others from it
                    log.error("record key does not open", extra={"record_id": row.record_id})
            store_keys.put(session, anew, current)
        return [row.record_id for row in held], len(anew)
