"""Tries to put bytes: each with an object name, a key and a URL that no other try has or will have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from services.db import new_id, now
from services.documents import contract, store_deposits, store_slots
from services.documents.asking import Asking
from services.documents.contract import Put, StartedUpload
from services.object_store import Stored
from services.refusals import InvalidInput
from services.sealing import sealed_size
from services.settings import load
from services.tokens import Caller


class Tries(Asking):
    """What begins a try, and what the store holds of it in the end."""

    blobs: Any
    keys: Any

    def _start(
        self, session: Session, upload_id: str, record_id: str, record_key: bytes, gateway_key: str
    ) -> StartedUpload:
        version_id = new_id()
        wrapped_key = self.keys.new_data_key(record_id, record_key, version_id)
        sealed_key = self._sealed_key(record_id, record_key, version_id, wrapped_key, gateway_key)
        store_deposits.add_attempt(session, upload_id, version_id, wrapped_key, record_id, now())
        return self._started(version_id, sealed_key)

    def _slot(self, session: Session, caller: Caller, gateway_key: str) -> StartedUpload:
        """A try ahead of the next deposit: whoever may deposit nothing more leaves no more bytes with it than they did
        with this one."""
        version_id = new_id()
        wrapped_key = self.keys.new_ahead(version_id)
        with _key_of_gateway():
            sealed_key = self.keys.hand_over_ahead(version_id, wrapped_key, gateway_key)
        store_slots.add(session, version_id, caller.account_id, caller.capacity, wrapped_key, now())
        return self._started(version_id, sealed_key)

    def _started(self, version_id: str, sealed_key: str) -> StartedUpload:
        return {
            "version_id": version_id,
            "put_url": self.blobs.put_url(version_id, contract.URL_LIFETIME),
            "sealed_key": sealed_key,
            "max_size": load().upload_max_bytes,
        }

    def _sealed_key(
        self, record_id: str, record_key: bytes, version_id: str, wrapped_key: bytes, gateway_key: str
    ) -> str:
        with _key_of_gateway():
            sealed: str = self.keys.hand_over(record_id, record_key, version_id, wrapped_key, gateway_key)
        return sealed

    def _in_store(self, put: Put) -> Stored | None:
        """What the store holds of a try: what its receipt says, else what it says when asked; None where it is less."""
        receipt, size = put.get("store_version"), sealed_size(put["size"])
        found: Stored | None = Stored(size, receipt) if receipt else self.blobs.stored(put["version_id"])
        return found if found is not None and found.size == size else None


@contextmanager
def _key_of_gateway() -> Iterator[None]:
    """Around what seals to a gateway's key. Refuses: InvalidInput where it is none."""
    try:
        yield
    except ValueError:
        raise InvalidInput(errors=[{"pointer": "/gateway_key", "message": "invalid"}]) from None
