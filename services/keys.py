"""Keys in three storeys: a master key wraps the key of each owner, and that one the data key of each thing of theirs.

Data keys leave a process only sealed to the gateway process that asked. Nothing in clear is stored or logged. The
master keys come from a key file; an outside key service takes its place by being another `MasterKeys`.
"""

from __future__ import annotations

import logging
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol, Self

from services import sealing
from services.settings import Settings

READ_AGAIN = 2.0
"""Seconds at least between two looks into a key file for a key that a process does not know."""

log = logging.getLogger(__name__)


class MasterKeys(Protocol):
    """Who wraps owners' keys: the key file below, or a key service outside that never gives its key away."""

    @property
    def current(self) -> str:
        """The name of the key that wraps from now on."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """An owner's key under the current master key, bound to `context`."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The owner's key, whichever master key wraps it. Raises BytesTampered when none does."""


class KeyFile(sealing.KeySet):
    """Master keys out of a file: {"current": name, "keys": {name: 32 bytes in base64, …}}.

    To rotate: add a key, name it as the current one, restart, replica by replica; when no owner's key is left under
    the old one (the service says so in its log), take that one out. It must be readable by its owner alone.
    """

    @classmethod
    def read(cls, path: str) -> Self:
        """The keys in a file. Raises ValueError when it is open to others or no key file; OSError when missing."""
        file = Path(path)
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise ValueError("the key file is open to others than its owner")
        return cls.of_json(file.read_text())


class FollowedKeyFile:
    """The keys of a file that may be written anew while the process runs: read again where none of them opens.

    What is wrapped does not name its key, so a replica that was restarted first with a new one is known by that alone.
    The current key is that of the file too: a process that kept the old one would wrap back what others wrapped anew,
    and go on under a key that is about to be taken out. `clock`: seconds that only grow.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ValueError when it is open to others or no key file; OSError when missing."""
        self._path = path
        self._clock = clock
        self._keys = KeyFile.read(path)
        self._not_before = clock()
        self._lock = threading.Lock()

    @property
    def current(self) -> str:
        """The name of the key that wraps from now on."""
        return self._keys.current

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """An owner's key under the current master key, bound to `context`."""
        return self._keys.wrap(key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The owner's key, whichever master key wraps it. Raises BytesTampered when none does."""
        known = self._keys
        try:
            return known.unwrap(wrapped, context)
        except sealing.BytesTampered:
            read = self._read_after(known)
            if read is known:
                raise
            return read.unwrap(wrapped, context)

    def _read_after(self, known: KeyFile) -> KeyFile:
        """The keys as another has read them meanwhile, or as the file has them now; `known` where it is no use."""
        with self._lock:
            if self._keys is known and self._clock() >= self._not_before:
                self._not_before = self._clock() + READ_AGAIN
                try:
                    self._keys = KeyFile.read(self._path)
                except (OSError, ValueError) as broken:  # being written, perhaps: what was known still opens the rest
                    log.warning("key file not read again", extra={"kind": type(broken).__name__})
            return self._keys


class Keys:
    """Makes, wraps and hands over the keys of owners and of their things.

    owner, thing: what a service calls them, a part of what each wrapped key is bound to.
    """

    owner: ClassVar[str]
    thing: ClassVar[str]

    def __init__(self, master_keys: MasterKeys) -> None:
        self._master_keys = master_keys

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The keys under those of the settings' key file.

        Raises ValueError when it is open to others or no key file; OSError when missing.
        """
        return cls(FollowedKeyFile(settings.master_key_file))

    @property
    def master_key_id(self) -> str:
        """The name of the master key that wraps from now on."""
        return self._master_keys.current

    def new(self, owner_id: str) -> bytes:
        """A fresh key for an owner, wrapped."""
        return self._master_keys.wrap(sealing.new_key(), self._of_owner(owner_id))

    def wrap_anew(self, owner_id: str, wrapped: bytes) -> bytes:
        """The same key under the current master key. Raises BytesTampered when none opens it."""
        return self._master_keys.wrap(self._key(owner_id, wrapped), self._of_owner(owner_id))

    def new_data_key(self, owner_id: str, wrapped: bytes, thing_id: str) -> bytes:
        """A fresh key for one thing, wrapped by its owner's key."""
        return sealing.wrap(self._key(owner_id, wrapped), sealing.new_key(), self._of_thing(thing_id))

    def new_ahead(self, thing_id: str) -> bytes:
        """A fresh key for one thing whose owner is not known yet, wrapped by the master key."""
        return self._master_keys.wrap(sealing.new_key(), self._of_thing(thing_id))

    def own(self, owner_id: str, wrapped: bytes, thing_id: str, wrapped_ahead: bytes) -> bytes | None:
        """The key of a thing that has an owner now, wrapped by theirs; None where no master key opens it any more.

        Raises BytesTampered when none opens the owner's.
        """
        context = self._of_thing(thing_id)
        try:
            data_key = self._master_keys.unwrap(wrapped_ahead, context)
        except sealing.BytesTampered:
            return None
        return sealing.wrap(self._key(owner_id, wrapped), data_key, context)

    def hand_over_ahead(self, thing_id: str, wrapped_ahead: bytes, gateway_key: str) -> str:
        """As `hand_over`, of a key whose thing has no owner yet. Raises ValueError when `gateway_key` is none."""
        data_key = self._master_keys.unwrap(wrapped_ahead, self._of_thing(thing_id))
        return sealing.hand_over(gateway_key, data_key, thing_id.encode())

    def data_key(self, owner_id: str, wrapped: bytes, thing_id: str, wrapped_data_key: bytes) -> bytes:
        """A thing's key in clear, for a process of this service that looks at its bytes."""
        return sealing.unwrap(self._key(owner_id, wrapped), wrapped_data_key, self._of_thing(thing_id))

    def hand_over(
        self, owner_id: str, wrapped: bytes, thing_id: str, wrapped_data_key: bytes, gateway_key: str
    ) -> str:  # fmt: skip
        """A thing's key, sealed to the gateway process that owns `gateway_key`.

        Raises ValueError when that is no public key.
        """
        data_key = self.data_key(owner_id, wrapped, thing_id, wrapped_data_key)
        return sealing.hand_over(gateway_key, data_key, thing_id.encode())

    def _key(self, owner_id: str, wrapped: bytes) -> bytes:
        return self._master_keys.unwrap(wrapped, self._of_owner(owner_id))

    def _of_owner(self, owner_id: str) -> bytes:
        return f"{self.owner}:{owner_id}".encode()

    def _of_thing(self, thing_id: str) -> bytes:
        return f"{self.thing}:{thing_id}".encode()
