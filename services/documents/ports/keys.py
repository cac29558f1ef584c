"""The master keys and what hangs from them: a key per record, a data key per version of a document.

A master key wraps the record keys, each record key wraps the data keys of its record, and a data key leaves this
process only sealed to the gateway process that asked. Nothing in clear is stored or logged. The master keys come from a
key file; an outside key service takes its place by being another `MasterKeys`.
"""

from __future__ import annotations

import base64
import binascii
import json
import stat
from pathlib import Path
from typing import Protocol

from services import sealing
from services.settings import Settings


class MasterKeys(Protocol):
    """Who wraps record keys: the key file below, or a key service outside that never gives its key away."""

    @property
    def current(self) -> str:
        """The name of the key that wraps from now on."""

    def wrap(self, record_key: bytes, context: bytes) -> bytes:
        """A record key under the current master key, bound to `context`."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The record key, whichever master key wraps it. Raises BytesTampered when none does."""


class KeyFile:
    """Master keys out of a file: {"current": name, "keys": {name: 32 bytes in base64, …}}.

    To rotate: add a key, name it as the current one, restart; when no record key is left under the old one (documents
    says so in its log), take that one out. It must be readable by its owner alone.
    """

    def __init__(self, current: str, keys: dict[str, bytes]) -> None:
        if current not in keys or not all(len(key) == sealing.KEY_BYTES for key in keys.values()):
            raise ValueError("a key file names its current key among keys of 32 bytes")
        self.current = current
        # the current one first: nearly every record key is under it
        self._keys = [keys[current], *(key for name, key in keys.items() if name != current)]

    @classmethod
    def read(cls, path: str) -> KeyFile:
        """The keys in a file. Raises ValueError when it is open to others or no key file; OSError when missing."""
        file = Path(path)
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise ValueError("the key file is open to others than its owner")
        try:
            told = json.loads(file.read_text())
            keys = {name: base64.b64decode(key, validate=True) for name, key in told["keys"].items()}
            return cls(told["current"], keys)
        except (KeyError, TypeError, AttributeError, binascii.Error, json.JSONDecodeError):
            raise ValueError("the key file is not one") from None

    def wrap(self, record_key: bytes, context: bytes) -> bytes:
        return sealing.wrap(self._keys[0], record_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        for key in self._keys[:-1]:
            try:
                return sealing.unwrap(key, wrapped, context)
            except sealing.BytesTampered:
                continue
        return sealing.unwrap(self._keys[-1], wrapped, context)


class Keys:
    """Makes, wraps and hands over keys."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self._master_keys = master_keys

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """The keys under those of the settings' key file."""
        return cls(KeyFile.read(settings.master_key_file))

    @property
    def master_key_id(self) -> str:
        """The name of the master key that new record keys are wrapped by."""
        return self._master_keys.current

    def new_record_key(self, record_id: str) -> bytes:
        """A fresh key for a record, wrapped."""
        return self._master_keys.wrap(sealing.new_key(), _of_record(record_id))

    def wrap_anew(self, record_id: str, wrapped_record_key: bytes) -> bytes:
        """The same record key under the current master key."""
        return self._master_keys.wrap(self._record_key(record_id, wrapped_record_key), _of_record(record_id))

    def new_data_key(self, record_id: str, wrapped_record_key: bytes, version_id: str) -> bytes:
        """A fresh data key for one version, wrapped by its record's key."""
        record_key = self._record_key(record_id, wrapped_record_key)
        return sealing.wrap(record_key, sealing.new_key(), _of_version(version_id))

    def data_key(self, record_id: str, wrapped_record_key: bytes, version_id: str, wrapped_data_key: bytes) -> bytes:
        """A version's data key in clear, for a process of this service that looks at its bytes."""
        record_key = self._record_key(record_id, wrapped_record_key)
        return sealing.unwrap(record_key, wrapped_data_key, _of_version(version_id))

    def hand_over(
        self, record_id: str, wrapped_record_key: bytes, version_id: str, wrapped_data_key: bytes, gateway_key: str
    ) -> str:
        """A version's data key, sealed to the gateway process that owns `gateway_key`.

        Raises ValueError when that is no public key.
        """
        data_key = self.data_key(record_id, wrapped_record_key, version_id, wrapped_data_key)
        return sealing.hand_over(gateway_key, data_key, version_id.encode())

    def _record_key(self, record_id: str, wrapped: bytes) -> bytes:
        return self._master_keys.unwrap(wrapped, _of_record(record_id))


def _of_record(record_id: str) -> bytes:
    return b"record:" + record_id.encode()


def _of_version(version_id: str) -> bytes:
    return b"version:" + version_id.encode()
