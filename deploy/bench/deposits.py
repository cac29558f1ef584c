"""Deposits by many at once against a bare view, and what one as big as can be costs in memory."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from deploy.bench.figures import Row
from deploy.bench.ground import Ground
from deploy.bench.memory import Peak
from deploy.bench.rounds import absolute, alternate
from deploy.bench.streams import Address, Refused, bare_view
from deploy.demo import shuffled

CLIENTS = 8
SIZES = {"deposit_1mib": 1024**2, "deposit_64kib": 64 * 1024}
GIBIBYTE = 1024**3
BLOCK = 1024**2
OURS = ("gateway", "documents", "examiner")
BOUNDARY = "5f0c7e2b9d8a41366fb2d0c49e17a358"  # of the length that urllib3 gives them; browsers give longer ones

Send = Callable[[http.client.HTTPConnection], None]


def deposit(ground: Ground) -> list[Row]:
    """Deposits per second, sealed, traced and looked at closely meanwhile, against bare puts of the same bytes."""
    token = ground.person("physician").tokens["access_token"]
    rows = []
    with bare_view(ground) as bare:
        for figure, size in SIZES.items():
            body = b"".join(shuffled(size))
            ours, baseline = _deposit(ground.record_id, token, body), _put(body)
            compared = alternate(
                lambda ours=ours: _rate(ground.address, ours, ground.amount.seconds),
                lambda baseline=baseline: _rate(bare, baseline, ground.amount.seconds),
                ground.amount.rounds,
            )
            rows.append(compared.row(figure, ground.amount.size))
    return rows


def gibibyte(ground: Ground) -> list[Row]:
    """The growth of whichever of our processes grows most while 1 GiB goes in, is looked at, and comes out again."""
    token = ground.person("physician").tokens["access_token"]
    peaks = [Peak(ground, part) for part in OURS]
    connection = http.client.HTTPConnection(*ground.address, timeout=600)
    said = json.dumps({"type": "medical_report", "title": "Mesure"}).encode()
    headers = {"Authorization": f"Bearer {token}"}
    made = _ask(
        connection, "POST", f"/api/v1/records/{ground.record_id}/uploads", said,
        headers | {"Content-Type": "application/json"},
    )  # fmt: skip
    sent = headers | {
        "Content-Type": "application/octet-stream", "Content-Length": str(GIBIBYTE), "Prefer": "wait=30"
    }  # fmt: skip
    deposited = _ask(connection, "PUT", f"/api/v1/uploads/{made['upload_id']}", _big(), sent)
    connection.request("GET", f"/api/v1/documents/{deposited['document_id']}/content", headers=headers)
    answer, got, buffer = connection.getresponse(), 0, bytearray(BLOCK)
    while count := answer.readinto(buffer):
        got += count
    if answer.status != 200 or got != GIBIBYTE:
        raise Refused(f"GET: {answer.status}, {got} bytes")
    connection.close()
    grown = max(one for peak in peaks for one in peak.each())
    return [absolute("deposit_1gib_rss_mb", [grown], ground.amount.size)]


def _big() -> Iterator[bytes]:
    """A DICOM object of exactly 1 GiB: only these may be so big. Most of it is one private element."""
    meta = _element(2, 1, b"OB", b"\0\1") + b"".join(
        _element(2, number, b"UI", uid)
        for number, uid in ((2, b"1.2.840.10008.5.1.4.1.1.7"), (3, b"2.25.1"), (16, b"1.2.840.10008.1.2.1"))
    )
    head = b"\0" * 128 + b"DICM" + _element(2, 0, b"UL", len(meta).to_bytes(4, "little")) + meta
    head += _element(8, 22, b"UI", b"1.2.840.10008.5.1.4.1.1.7") + _element(8, 24, b"UI", b"2.25.1")
    head += _element(32, 13, b"UI", b"2.25.2") + _element(32, 14, b"UI", b"2.25.3")
    left = GIBIBYTE - len(head) - 12
    yield head + b"\x21\x21\x10\x10OB\0\0" + left.to_bytes(4, "little")
    filler = bytes(BLOCK)
    while left:
        yield filler[: min(left, BLOCK)]
        left -= min(left, BLOCK)


def _element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
    """An element of explicit little endian; of a length that is even."""
    value += b"\0" * (len(value) % 2)
    length = b"\0\0" + len(value).to_bytes(4, "little") if kind == b"OB" else len(value).to_bytes(2, "little")
    return group.to_bytes(2, "little") + number.to_bytes(2, "little") + kind + length + value


# --- a crowd of senders -----------------------------------------------------------------------------------------------


def _rate(address: Address, send: Send, seconds: float) -> float:
    """How often `send` is done a second by all clients together, each on a connection of its own."""
    done, ready, stop = [0] * CLIENTS, threading.Barrier(CLIENTS + 1), threading.Event()

    def work(number: int) -> None:
        connection = http.client.HTTPConnection(*address, timeout=120)
        send(connection)  # each has found its worker
        ready.wait()
        while not stop.is_set():
            send(connection)
            done[number] += 1
        connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(work, number) for number in range(CLIENTS)]
        ready.wait()
        began = time.perf_counter()
        time.sleep(seconds)
        stop.set()
        for each in working:
            each.result()
        return sum(done) / (time.perf_counter() - began)


def _deposit(record_id: str, token: str, body: bytes) -> Send:
    said = json.dumps({"type": "medical_report", "title": "Mesure"})
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="metadata"\r\n'
        f"Content-Type: application/json\r\n\r\n{said}"
        f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    ).encode()  # fmt: skip
    foot = f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    path = f"/api/v1/records/{record_id}/documents"
    return lambda connection: _told(connection, "POST", path, b"".join((head, _another(body), foot)), headers)


def _put(body: bytes) -> Send:
    headers = {"Content-Type": "application/octet-stream"}
    return lambda connection: _told(connection, "PUT", f"/{time.perf_counter_ns()}", _another(body), headers)


def _another(body: bytes) -> bytes:
    """As many bytes that no deposit before had: nobody deposits the same file a thousand times."""
    middle = len(body) // 2  # of the filler: neither what the file begins with nor what it ends with
    return body[:middle] + secrets.token_hex(16).encode() + body[middle + 32 :]


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | Iterator[bytes],
    headers: dict[str, str],
) -> dict[str, str]:  # fmt: skip
    told: dict[str, str] = json.loads(_told(connection, method, path, body, headers))
    return told


def _told(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | Iterator[bytes],
    headers: dict[str, str],
) -> bytes:  # fmt: skip
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    told = answer.read()
    if answer.status != 201:
        raise Refused(f"{method}: {answer.status} {told[:200]!r}")
    return told
