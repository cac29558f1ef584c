"""The master key and what hangs from it: a key per record, a data key per version of a document.

The master key comes from the settings here; an outside key service would take this file's place. It wraps the record
keys, each record key wraps the data keys of its record, and a data key leaves this process only sealed to the gateway
process that asked. Nothing in clear is stored or logged.
"""

from __future__ import annotations

import base64
import binascii

from services import sealing
from services.settings import Settings


class Keys:
    """Makes, wraps and hands over keys."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != sealing.KEY_BYTES:
            raise ValueError("the master key has to be 32 bytes")
        self._master_key = master_key

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """The keys under the settings' master key (32 bytes in base64)."""
        try:
            return cls(base64.b64decode(settings.master_key, validate=True))
        except binascii.Error:
            raise ValueError("the master key is not base64") from None

    def new_record_key(self, record_id: str) -> bytes:
        """A fresh key for a record, wrapped."""
        return sealing.wrap(self._master_key, sealing.new_key(), _of_record(record_id))

    def new_data_key(self, record_id: str, wrapped_record_key: bytes, version_id: str) -> bytes:
        """A fresh data key for one version, wrapped by its record's key."""
        record_key = sealing.unwrap(self._master_key, wrapped_record_key, _of_record(record_id))
        return sealing.wrap(record_key, sealing.new_key(), _of_version(version_id))

    def hand_over(
        self, record_id: str, wrapped_record_key: bytes, version_id: str, wrapped_data_key: bytes, gateway_key: str
    ) -> str:
        """A version's data key, sealed to the gateway process that owns `gateway_key`.

        Raises ValueError when that is no public key.
        """
        record_key = sealing.unwrap(self._master_key, wrapped_record_key, _of_record(record_id))
        data_key = sealing.unwrap(record_key, wrapped_data_key, _of_version(version_id))
        return sealing.hand_over(gateway_key, data_key, version_id.encode())


def _of_record(record_id: str) -> bytes:
    return b"record:" + record_id.encode()


def _of_version(version_id: str) -> bytes:
    return b"version:" + version_id.encode()
