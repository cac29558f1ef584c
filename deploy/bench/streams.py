"""How fast and with how much memory big files go in and out: through the gateway, through a bare view, by the SDK."""

from __future__ import annotations

import http.client
import io
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3
from minio import Minio

from deploy.bench.figures import Row
from deploy.bench.ground import Ground, program
from deploy.bench.memory import Peak
from deploy.bench.rounds import absolute, alternate
from deploy.demo import shuffled
from deploy.local.supervise import wait_until

MEGABYTE = 1_000_000
TYPE = "medical_report"
AT_ONCE = 4  # while memory is watched

Address = tuple[str, int]


class Refused(Exception):
    """A transfer was answered otherwise than it should."""


@dataclass(frozen=True)
class Transfers:
    """The same file in and out of the gateway, as the demo physician; one connection, so one at a time."""

    address: Address
    token: str
    record_id: str
    body: bytes

    def deposit(self) -> str:
        """The whole deposit, prepared, sent and committed; the new document's id."""
        metadata = json.dumps({"type": TYPE, "title": "Mesure"}).encode()
        with _connection(self.address) as connection:
            path = f"/api/v1/records/{self.record_id}/uploads"
            prepared = _ask(connection, "POST", path, 201, metadata, self._headers("application/json"))
            path = f"/api/v1/uploads/{json.loads(prepared)['upload_id']}"
            deposited = _ask(connection, "PUT", path, 201, self.body, self._headers("application/octet-stream"))
        return str(json.loads(deposited)["document_id"])

    def download(self, document_id: str) -> None:
        """The whole file."""
        with _connection(self.address) as connection:
            path = f"/api/v1/documents/{document_id}/content"
            _fetch(connection, path, len(self.body), self._headers(None))

    def _headers(self, kind: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **({"Content-Type": kind} if kind else {})}


def growth(ground: Ground) -> list[Row]:
    """The gateway's growth while several files go in and out, some of them at once."""
    through = _through_the_gateway(ground)
    peak = Peak(ground, "gateway")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        documents = list(pool.map(lambda _: through.deposit(), range(ground.amount.transfers)))
        out = [pool.submit(through.download, document) for document in documents]
        list(pool.map(lambda _: through.deposit(), documents))
        for transfer in out:
            transfer.result()
    return [absolute("deposit_rss_mb", [peak.grown()], ground.amount.size)]


def deposit(ground: Ground) -> list[Row]:
    """A deposit through the gateway against the bare view, by the same client; the SDK's own rate beside it."""
    amount = ground.amount
    through = _through_the_gateway(ground)
    with bare_view(ground) as bare:
        through.deposit()
        _put(bare, through.body)
        compared = alternate(
            lambda: _rate(amount.unit, through.deposit),
            lambda: _rate(amount.unit, lambda: _put(bare, through.body)),
            amount.transfers,
        )
    return [compared.row("deposit_50mb", amount.size)]


def deposit_by_sdk(ground: Ground) -> list[Row]:
    """The minio SDK's own put of the same bytes, for information."""
    settings, amount = ground.settings("documents"), ground.amount
    body = _file(amount.unit)
    client = Minio(
        settings.s3_endpoint, access_key=settings.s3_access_key, secret_key=settings.s3_secret_key,
        region=settings.s3_region, secure=settings.s3_secure,
    )  # fmt: skip

    def put() -> None:
        client.put_object(settings.s3_bucket, str(uuid.uuid4()), io.BytesIO(body), len(body))

    put()
    return [absolute("deposit_50mb_sdk", [_rate(amount.unit, put) for _ in range(amount.transfers)], amount.size)]


def download(ground: Ground) -> list[Row]:
    """A download through the gateway against the bare view, by the same client."""
    amount = ground.amount
    through = _through_the_gateway(ground)
    document = through.deposit()
    with bare_view(ground) as bare:
        name = _put(bare, through.body)
        through.download(document)
        _get(bare, name, amount.unit)
        compared = alternate(
            lambda: _rate(amount.unit, lambda: through.download(document)),
            lambda: _rate(amount.unit, lambda: _get(bare, name, amount.unit)),
            amount.transfers,
        )
    return [compared.row("download_50mb", amount.size)]


def _through_the_gateway(ground: Ground) -> Transfers:
    record_id, token = ground.record_id, ground.person("physician").tokens["access_token"]
    return Transfers(ground.address, token, record_id, _file(ground.amount.unit))


def _file(size: int) -> bytes:
    return b"".join(shuffled(size))


def _rate(size: int, transfer: Callable[[], object]) -> float:
    began = time.perf_counter()
    transfer()
    return size / MEGABYTE / (time.perf_counter() - began)


# --- the bare view ----------------------------------------------------------------------------------------------------


@contextmanager
def bare_view(ground: Ground) -> Iterator[Address]:
    """The bare view behind a gunicorn like the gateway's, gone with the block."""
    port, settings, layout = ground.free_port(), ground.settings("gateway"), ground.stack.layout
    served = [
        "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--no-control-socket",
        "--workers", str(settings.gateway_workers), "--threads", str(settings.gateway_threads),
        "--worker-tmp-dir", str(layout.temporary), "--log-level", "error", "deploy.bench.bare_view:app",
    ]  # fmt: skip
    with program(layout, served, {"OPENDSP_SETTINGS": str(layout.settings_file("documents"))}) as server:
        if not wait_until(lambda: _answers(port) or server.poll() is not None, 30) or server.poll() is not None:
            raise Refused("the bare view does not start")
        yield "127.0.0.1", port


def _answers(port: int) -> bool:
    try:
        return urllib3.request("HEAD", f"http://127.0.0.1:{port}/none", retries=False).status > 0
    except urllib3.exceptions.HTTPError:
        return False


def _put(bare: Address, body: bytes) -> str:
    name = str(uuid.uuid4())
    with _connection(bare) as connection:
        _ask(connection, "PUT", f"/{name}", 201, body, {"Content-Type": "application/octet-stream"})
    return name


def _get(bare: Address, name: str, size: int) -> None:
    with _connection(bare) as connection:
        _fetch(connection, f"/{name}", size, {})


# --- one client for all -----------------------------------------------------------------------------------------------


@contextmanager
def _connection(address: Address) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(*address, timeout=120)
    try:
        yield connection
    finally:
        connection.close()


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, expect: int, body: bytes, headers: dict[str, str]
) -> bytes:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    told = answer.read()
    if answer.status != expect:
        raise Refused(f"{method}: {answer.status} {told[:200]!r}")
    return told


def _fetch(connection: http.client.HTTPConnection, path: str, size: int, headers: dict[str, str]) -> None:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    buffer, got = bytearray(1 << 20), 0
    while count := answer.readinto(buffer):
        got += count
    if answer.status != 200 or got != size:
        raise Refused(f"GET: {answer.status}, {got} of {size} bytes")
