"""The bare view that deposits and downloads are measured against: Flask, gunicorn, the same store, nothing else.

It streams a body to a presigned PUT and an object from a presigned GET, unsealed, unlooked at and for anybody, in
blocks of the gateway's own size. It runs on loopback, on the measured stack only, while it is measured, and has the C
library's own way with memory, as any view has that nobody tuned.
"""

from __future__ import annotations

from collections.abc import Iterator

import urllib3
from flask import Flask, Response, request

from services.documents.ports.blobs import Blobs
from services.settings import load

BLOCK = 512 * 1024
LIFETIME = 60  # seconds

app = Flask(__name__)
blobs = Blobs.of(load())
store = urllib3.PoolManager(maxsize=64, retries=False)


@app.put("/<name>")
def deposit(name: str) -> Response:
    """The body under this name."""
    length = {"Content-Length": str(request.content_length)}
    answer = store.request("PUT", blobs.put_url(name, LIFETIME), body=_blocks(), headers=length)
    return Response(status=201 if answer.status == 200 else 502)


@app.get("/<name>")
def download(name: str) -> Response:
    """What lies under this name."""
    answer = store.request("GET", blobs.get_url(name, None, LIFETIME), preload_content=False)
    length = {"Content-Length": answer.headers["Content-Length"]}
    response = Response(answer.stream(BLOCK), answer.status, length, direct_passthrough=True)
    response.call_on_close(answer.release_conn)
    return response


def _blocks() -> Iterator[bytes]:
    while block := request.stream.read(BLOCK):
        yield block
