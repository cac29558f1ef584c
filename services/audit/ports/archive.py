"""The object store as audit uses it: one bucket of its own with packs of sealed entries, and the key above their keys.

All network calls raise Unavailable(service="object_store") when the store does not answer.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

from services import sealing
from services.object_store import Bucket
from services.settings import Settings

_CONNECTIONS = 8


class Archive:
    """The bucket, and who may open what lies in it."""

    def __init__(self, bucket: Bucket, key: bytes) -> None:
        if len(key) != sealing.KEY_BYTES:
            raise ValueError("archive_key has to be 32 bytes in base64")
        self._bucket = bucket
        self._key = key

    @classmethod
    def of(cls, settings: Settings) -> Archive:
        """The bucket and the key that the settings name; opens no connection yet.

        Raises ValueError when archive_key is no key.
        """
        bucket = Bucket.of(settings, connections=_CONNECTIONS, versioned=False)
        return cls(bucket, b64decode(settings.archive_key, validate=True))

    # --- keys -----------------------------------------------------------------------------------------------------

    def seal(self, group_id: str, plain: bytes) -> tuple[bytes, bytes]:
        """Returns a group's bytes sealed under a fresh key of its own, and that key, wrapped."""
        key = sealing.new_key()
        sealed = b"".join(sealing.seal([plain], key, group_id))
        return sealed, sealing.wrap(self._key, key, group_id.encode())

    def open(self, group_id: str, sealed: bytes, wrapped_key: bytes) -> bytes:
        """Returns what was sealed. Raises sealing.BytesTampered."""
        key = sealing.unwrap(self._key, wrapped_key, group_id.encode())
        try:
            segments = sealing.segments_of(sealing.plain_size(len(sealed)))
        except ValueError:
            raise sealing.BytesTampered("no sealed group has this size") from None
        return b"".join(sealing.open_sealed([sealed], key, group_id, total_segments=segments))

    # --- packs ----------------------------------------------------------------------------------------------------

    def ensure(self) -> None:
        """Makes the bucket if it is missing."""
        self._bucket.ensure()

    def put(self, name: str, data: bytes) -> None:
        """Stores a pack, durable when this returns."""
        self._bucket.put(name, data)

    def read(self, name: str, start: int = 0, length: int = 0) -> bytes:
        """Returns a pack, or `length` of its bytes from `start` on. Refuses: Unavailable, also where there is none."""
        return b"".join(self._bucket.read(name, start=start, length=length))

    def names(self, prefix: str) -> Iterator[str]:
        """Gives the names of packs that begin so."""
        return (found.name for found in self._bucket.listing(prefix=prefix))

    def remove(self, name: str) -> None:
        """Removes a pack; one that is not there is no error."""
        self._bucket.remove(name)
