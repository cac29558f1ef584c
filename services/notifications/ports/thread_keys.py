"""The keys of secure messages: one per thread, which seals its subject, its texts and the names of its files, and wraps
the data key of each file. The key file of the master keys above them is notifications' own."""

from __future__ import annotations

from services import keys, sealing


class ThreadKeys(keys.Keys):
    """Makes the keys of threads and of their files, and seals and opens what hangs from them."""

    owner = "thread"
    thing = "attachment"

    def seal(self, thread_id: str, wrapped: bytes, what: str, text: str) -> bytes:
        """A text under its thread's key. what: which text of the thread it is, and the only place where it opens."""
        return sealing.wrap(self._key(thread_id, wrapped), text.encode(), what.encode())

    def open(self, thread_id: str, wrapped: bytes, sealed: dict[str, bytes]) -> dict[str, str]:
        """Texts of one thread, by what each is. Raises BytesTampered."""
        key = self._key(thread_id, wrapped)
        return {what: sealing.unwrap(key, each, what.encode()).decode() for what, each in sealed.items()}
