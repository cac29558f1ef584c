"""A foreign system's own https server, with a certificate of the test's own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ALLOWED = "127.0.0.0/8, ::1"


@dataclass(frozen=True)
class Came:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What the server answers; `raw`: in place of all else."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: Callable[[Any], None] | None = None


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """(certificate, key) of a server, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(
            [x509.DNSName(name), *([x509.IPAddress(IPv4Address("127.0.0.1"))] if name == "localhost" else [])]
        ), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class Receiver:
    """Takes requests and keeps them; answers each as `replies` says next, as `reply` when that is empty.

    It agrees to be sent events by whoever asks, until `agrees` is False.
    """

    def __init__(self, folder: Path, name: str = "localhost") -> None:
        self.certificate, key = certificate(folder, name)
        self.came: list[Came] = []
        self.replies: list[Reply] = []
        self.reply = Reply()
        self.agrees = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.came.append(Came(self.command, self.path, headers, self.rfile.read(size)))
                reply = receiver.replies.pop(0) if receiver.replies else receiver.reply
                if reply.raw is not None:
                    reply.raw(self)
                    self.close_connection = True
                    return
                self._answer(reply)

            def do_OPTIONS(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.came.append(Came(self.command, self.path, headers, b""))
                origin = {"WebHook-Allowed-Origin": headers["webhook-request-origin"]} if receiver.agrees else {}
                self._answer(Reply(200, origin))

            def _answer(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for header, value in reply.headers.items():
                    self.send_header(header, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: Any) -> None:
                """The test's output stays readable."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request: Any, client_address: Any) -> None:
                request.settimeout(10)
                with context.wrap_socket(request, server_side=True) as wrapped:
                    super().finish_request(wrapped, client_address)  # type: ignore[misc]

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Whoever hangs up in the middle is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"https://{name}:{self.port}/events?of=us"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def posts(self) -> list[Came]:
        """What was sent, without the questions before."""
        return [one for one in self.came if one.method == "POST"]

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
