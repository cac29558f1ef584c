"""clamd, over its own protocol: bytes are streamed to it and never lie in a file of ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from clamav_client.clamd import ClamdError, ClamdNetworkSocket, ClamdUnixSocket

from services.refusals import Unavailable
from services.sealing import Buffer
from services.settings import Settings

_PATIENCE = 60.0  # seconds that clamd may think of a whole file


class VirusScan:
    """The scanner that the settings name."""

    def __init__(self, clamd: ClamdNetworkSocket) -> None:
        self._clamd = clamd

    @classmethod
    def of(cls, settings: Settings) -> VirusScan | None:
        """The scanner of the settings, None where they name none. Raises ValueError where one has to be named."""
        if settings.clamd_socket:
            return cls(ClamdUnixSocket(settings.clamd_socket, timeout=cast("Any", _PATIENCE)))
        if settings.clamd_host:
            return cls(ClamdNetworkSocket(settings.clamd_host, settings.clamd_port, _PATIENCE))
        if settings.profile == "production":
            raise ValueError("clamd_host or clamd_socket has to name a virus scanner in the profile production")
        return None

    def finds_something(self, blocks: Iterable[Buffer]) -> bool:
        """Whether something harmful is in these bytes.

        Refuses: Unavailable when clamd does not answer, or does not take a file of this size.
        """
        try:
            found = self._clamd.instream(cast("Any", _Reading(iter(blocks))))
        except (ClamdError, OSError) as cause:
            raise Unavailable(service="virus_scan") from cause
        verdicts = {verdict for verdict, _ in found.values()}
        if not verdicts or not verdicts <= {"OK", "FOUND"}:
            raise Unavailable(service="virus_scan")
        return "FOUND" in verdicts


class _Reading:
    """Blocks as the library reads them: each whole, because every read of it becomes a packet of its own."""

    def __init__(self, blocks: Iterator[Buffer]) -> None:
        self._blocks = blocks

    def read(self, _size: int) -> bytes:
        return next((bytes(block) for block in self._blocks if len(block)), b"")
