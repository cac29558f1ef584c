"""A real clamd of the tests' own, that knows one virus: a harmless sentence."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from clamav_client.clamd import ClamdError, ClamdUnixSocket

PROGRAM = "/usr/sbin/clamd"
VIRUS = "THIS SENTENCE IS WHAT THE TESTS CALL A VIRUS"


class Clamd:
    """One clamd in a folder; it may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "clamd.sock"
        signatures, self._configuration = folder / "signatures", folder / "clamd.conf"
        signatures.mkdir()
        (signatures / "tests.ndb").write_text(f"OpenDSP.Tests:0:*:{VIRUS.encode().hex()}\n")
        self._configuration.write_text(
            f"DatabaseDirectory {signatures}\nLocalSocket {self.socket}\nTemporaryDirectory {folder}\n"
            "Foreground yes\nStreamMaxLength 100M\nMaxFileSize 100M\nMaxScanSize 100M\nScanPDF yes\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [PROGRAM, f"--config-file={self._configuration}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        for _ in range(600):
            assert self._process.poll() is None, "clamd does not start"
            if self._answers():
                return
            time.sleep(0.05)
        raise AssertionError("clamd does not answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            return ClamdUnixSocket(str(self.socket)).ping().strip() == "PONG"
        except (ClamdError, OSError):
            return False
