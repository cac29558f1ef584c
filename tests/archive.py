"""An archive of images as hospitals run one: a real HTTP server that speaks enough of DICOMweb over files it holds."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydicom import dcmread

from tests.dicom_objects import pixels, uids

USER, PASSWORD = "portal", "clé"
BOUNDARY = "parts-of-the-archive"


class Archive:
    """The files, what was asked for, and how it answers."""

    def __init__(self, *files: bytes) -> None:
        self.files = {uids(file): file for file in files}
        self.asked: list[str] = []
        self.redirects = False
        self.url = ""

    def answer(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Status, kind and body of one request."""
        self.asked.append(path)
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if authorization != f"Basic {expected}":
            return 401, "text/plain", b"who are you"
        steps = path.strip("/").split("/")
        place = dict(zip(steps[::2], steps[1::2], strict=False))
        wanted = [place.get("studies"), place.get("series"), place.get("instances")]
        found = {
            key: file
            for key, file in self.files.items()
            if all(want in (None, own) for want, own in zip(wanted, key, strict=True))
        }
        if not found:
            return 404, "text/plain", b"no such thing"
        if steps[-1] == "metadata":
            return 200, "application/dicom+json", json.dumps([_model(file) for file in found.values()]).encode()
        if steps[-1] == "rendered":
            return 200, "image/jpeg", b"\xff\xd8\xff picture"
        kind, parts = "application/dicom", list(found.values())
        if "frames" in steps:
            kind, parts = "application/octet-stream", [pixels(int(number)) for number in place["frames"].split(",")]
        body = b"".join(f"--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n" for part in parts)
        return 200, f'multipart/related; type="{kind}"; boundary={BOUNDARY}', body + f"--{BOUNDARY}--\r\n".encode()


def _model(file: bytes) -> dict[str, Any]:
    model: dict[str, Any] = dcmread(io.BytesIO(file), stop_before_pixels=True).to_json_dict()
    return model


@contextmanager
def running(archive: Archive) -> Iterator[Archive]:
    """Serves it on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if archive.redirects:
                self.send_response(302)
                self.send_header("Location", archive.url + "/elsewhere")
                self.end_headers()
                archive.asked.append(self.path)
                return
            status, kind, body = archive.answer(self.path.removeprefix("/rs"), self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    archive.url = f"http://127.0.0.1:{server.server_port}/rs"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
