"""An external audit repository, spoken to in syslog over TLS [RFC 5425]: both sides show their certificates."""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
import time

from services.settings import Settings

CONNECT = 10.0  # seconds
TAKEN = 30.0  # seconds for the other machine to take what was sent
PAUSE = 0.02


class RepositoryAway(Exception):
    """The repository cannot be reached, is not who it should be, or went away."""


class Repository:
    """One connection, opened when first needed and again after it broke."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._stream: ssl.SSLSocket | None = None

    @classmethod
    def of(cls, settings: Settings) -> Repository:
        """The repository that the settings name; opens no connection yet."""
        context = ssl.create_default_context(cafile=settings.syslog_ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.syslog_certificate_file:
            context.load_cert_chain(settings.syslog_certificate_file, settings.syslog_key_file or None)
        return cls(settings.syslog_host, settings.syslog_port, context)

    @property
    def is_open(self) -> bool:
        """Whether a connection stands, as far as is known."""
        return self._stream is not None

    def open(self) -> None:
        """Connects. Raises RepositoryAway."""
        try:
            plain = socket.create_connection((self._host, self._port), CONNECT)
            self._stream = self._context.wrap_socket(plain, server_hostname=self._host)
        except (OSError, ssl.SSLError) as broken:
            raise RepositoryAway(type(broken).__name__) from broken

    def send(self, frames: bytes) -> None:
        """Sends messages; comes back when the other machine has taken every byte of them. Raises RepositoryAway.

        There is no receipt in syslog: what a machine took may still be lost with it, and is sent again (forwarding.py).
        """
        assert self._stream is not None
        try:
            self._stream.sendall(frames)
            end = time.monotonic() + TAKEN
            while self._waiting():
                if time.monotonic() > end:
                    raise TimeoutError
                time.sleep(PAUSE)
            self._look()
        except (OSError, ssl.SSLError) as broken:
            self.close()
            raise RepositoryAway(type(broken).__name__) from broken

    def close(self) -> None:
        """Ends the connection, if one stands."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _waiting(self) -> int:
        """How many bytes the other machine has not taken."""
        assert self._stream is not None
        left: int = struct.unpack("i", fcntl.ioctl(self._stream.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
        return left

    def _look(self) -> None:
        """A repository says nothing: whatever is to be read is its end."""
        assert self._stream is not None
        self._stream.setblocking(False)
        try:
            if not self._stream.recv(1):
                raise ConnectionResetError
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        finally:
            self._stream.settimeout(CONNECT)
