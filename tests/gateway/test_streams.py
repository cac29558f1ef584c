"""Bytes up and down against the real object store: sealed there, clear nowhere, and nothing stored when refused."""

from __future__ import annotations

import hashlib
import io
import random
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from minio import Minio

from deploy.local import processes
from deploy.local.stack import Stack
from gateway import content, multipart, streams
from gateway.clients import clients
from services import sealing
from services.db import new_id
from services.documents.ports.blobs import Blobs
from services.refusals import Refusal, Unavailable
from services.sealing import BytesTampered
from services.settings import Settings
from tests.builders import pdf
from tests.gateway.test_multipart import BOUNDARY
from tests.gateway.test_multipart import request as multipart_request

MIB = 1024 * 1024
MOST = 64 * MIB


class Store:
    """The bucket as documents uses it: names, keys and URLs for one try each."""

    def __init__(self, settings: Settings) -> None:
        self.blobs = Blobs.of(settings)
        self.blobs.ensure()
        self._settings = settings

    def start(self) -> dict[str, Any]:
        version_id, key = new_id(), sealing.new_key()
        sealed = sealing.hand_over(clients().keys.public, key, version_id.encode())
        url = self.blobs.put_url(version_id, 60)
        return {
            "version_id": version_id, "content_id": version_id, "put_url": url, "sealed_key": sealed, "key": key,
            "max_size": MOST,
        }  # fmt: skip

    def content(self, started: dict[str, Any]) -> dict[str, Any]:
        return started | {"get_url": self.blobs.get_url(started["version_id"], None, 60)}

    def raw(self, started: dict[str, Any]) -> bytes | None:
        if self.blobs.stored(started["version_id"]) is None:
            return None
        answer = clients().store.request("GET", self.content(started)["get_url"])
        return bytes(answer.data)

    def replace(self, started: dict[str, Any], data: bytes) -> None:
        settings = self._settings
        client = Minio(
            settings.s3_endpoint, access_key=settings.s3_access_key, secret_key=settings.s3_secret_key,
            region=settings.s3_region, secure=settings.s3_secure,
        )  # fmt: skip
        client.put_object(settings.s3_bucket, started["version_id"], io.BytesIO(data), len(data))


@pytest.fixture(scope="session")
def store(infra: Stack) -> Store:
    settings = processes.load_settings(infra.layout, "documents")
    return Store(replace(settings, s3_bucket=f"streams-{new_id()}"))


def pieces(data: bytes, step: int = streams.BLOCK) -> Iterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


def put(store: Store, data: bytes, size: int | None) -> tuple[dict[str, Any], streams.Received]:
    started = store.start()
    return started, streams.store(pieces(data), started, size=size, declared=None)


def got(store: Store, started: dict[str, Any], start: int, end: int, size: int) -> bytes:
    part = sealing.segments_for(start, end, size)
    body = streams.opened(store.content(started), part, lambda: True)
    try:
        return b"".join(body)
    finally:
        body.close()


@pytest.mark.parametrize("size", [0, 60_000, 65_536, 9 * MIB, 20 * MIB])
@pytest.mark.parametrize("told", [True, False])
def test_what_goes_up_comes_down_and_lies_sealed(store: Store, size: int, told: bool) -> None:
    data = pdf("Compte rendu secret", size)
    if not told and len(data) > streams.BUFFERED:
        with pytest.raises(Refusal) as refused:
            put(store, data, None)
        assert refused.value.code == "length_required"
        return
    started, received = put(store, data, len(data) if told else None)
    there = store.blobs.stored(started["version_id"])
    assert there is not None and there.size == sealing.sealed_size(len(data))
    expected = streams.Received(hashlib.sha256(data).hexdigest(), len(data), "application/pdf", there.version)
    assert received == expected and there.version, "the store's own name for exactly these bytes is their receipt"
    stored = store.raw(started)
    assert stored is not None and len(stored) == sealing.sealed_size(len(data))
    assert b"%PDF-1.4" not in stored and b"secret" not in stored and started["key"] not in stored
    assert got(store, started, 0, len(data) - 1, len(data)) == data


def test_any_range_is_exact(store: Store) -> None:
    data = pdf(size=3 * MIB)
    started, _ = put(store, data, len(data))
    chance = random.Random(7)
    for _ in range(30):
        start = chance.randrange(len(data))
        end = chance.randrange(start, len(data))
        assert got(store, started, start, end, len(data)) == data[start : end + 1]


WRONG = {
    "too large": (pdf(size=9 * MIB), None, MIB, "upload_too_large"),
    "announced too large": (b"", 2 * MIB, MIB, "upload_too_large"),
    "empty": (b"", 0, MOST, "upload_empty"),
    "shorter than announced": (pdf(size=9 * MIB), 10 * MIB, MOST, "upload_truncated"),
    "longer than announced": (pdf(size=10 * MIB), 9 * MIB, MOST, "malformed_multipart"),
    "a program": (b"MZ\x90\0" + bytes(9 * MIB), 9 * MIB + 4, MOST, "unsupported_media_type"),
    "cut": (pdf(size=9 * MIB)[:-40], None, MOST, "file_truncated"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused_is_not_stored(store: Store, name: str) -> None:
    data, size, most, code = WRONG[name]
    if name == "cut":
        size = len(data)
    if name == "too large":
        size = None
    started = store.start()
    with pytest.raises(Refusal) as refused:
        streams.store(pieces(data), started | {"max_size": most}, size=size, declared=None)
    assert refused.value.code == code
    assert store.blobs.stored(started["version_id"]) is None


def test_a_sender_that_leaves_in_the_middle_stores_nothing(store: Store) -> None:
    data, started = pdf(size=12 * MIB), store.start()

    def leaving() -> Iterator[bytes]:
        yield data[: 10 * MIB]
        raise Refusal

    with pytest.raises(Refusal):
        streams.store(leaving(), started, size=len(data), declared=None)
    assert store.blobs.stored(started["version_id"]) is None
    streams.store(pieces(data), store.start(), size=len(data), declared=None)


def test_a_store_out_of_reach_is_unavailable() -> None:
    version_id = new_id()
    sealed = sealing.hand_over(clients().keys.public, sealing.new_key(), version_id.encode())
    url = "http://127.0.0.1:9/x"
    nowhere = {
        "version_id": version_id, "content_id": version_id, "put_url": url, "get_url": url, "sealed_key": sealed,
        "max_size": MOST,
    }  # fmt: skip
    for size in (60_000, 9 * MIB):
        data = pdf(size=size)
        with pytest.raises(Unavailable):
            streams.store(pieces(data), nowhere, size=len(data), declared=None)
    with pytest.raises(Unavailable):
        streams.opened(nowhere, sealing.segments_for(0, 9, 10), lambda: True)


def test_a_url_of_another_time_is_unavailable_not_a_document(store: Store) -> None:
    started, data = store.start(), pdf()
    with pytest.raises(Unavailable):
        streams.opened(store.content(started), sealing.segments_for(0, 9, len(data)), lambda: True)


@pytest.mark.parametrize("how", ["flipped", "cut", "other key"])
def test_tampered_bytes_are_never_shown(store: Store, how: str) -> None:
    data = pdf(size=100_000)
    started, _ = put(store, data, len(data))
    stored = bytearray(store.raw(started) or b"")
    if how == "flipped":
        stored[100] ^= 1
    elif how == "cut":
        del stored[sealing.SEALED_SEGMENT :]
    store.replace(started, bytes(stored))
    if how == "other key":
        other = sealing.hand_over(clients().keys.public, sealing.new_key(), started["version_id"].encode())
        started = started | {"sealed_key": other}
    with pytest.raises(BytesTampered):
        got(store, started, 0, len(data) - 1, len(data))


def test_a_download_that_loses_its_right_breaks_off(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pdf(size=5 * MIB)
    started, _ = put(store, data, len(data))
    monkeypatch.setattr(streams, "REASK", -1.0)
    asked = iter([True, True, False])
    part = sealing.segments_for(0, len(data) - 1, len(data))
    body = streams.opened(store.content(started), part, lambda: next(asked))
    seen = b""
    with pytest.raises(streams.BrokenOff):
        for block in body:
            seen += block
    body.close()
    assert data.startswith(seen) and 0 < len(seen) < len(data)


def test_a_download_whose_store_dies_breaks_off(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    data = pdf(size=20 * MIB)
    started, _ = put(store, data, len(data))
    part = sealing.segments_for(0, len(data) - 1, len(data))
    body = streams.opened(store.content(started), part, lambda: True)
    seen = next(body)
    body._answer._connection.sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(streams.BrokenOff):
        for block in body:
            seen += block
    body.close()
    assert data.startswith(seen) and 0 < len(seen) < len(data)
    assert "object store left in the middle" in caplog.messages
    assert got(store, started, 0, 9, len(data)) == data[:10]


def test_a_reader_that_leaves_gives_the_connection_back(store: Store) -> None:
    data = pdf(size=5 * MIB)
    started, _ = put(store, data, len(data))
    for _ in range(streams_pool_size() + 5):
        body = streams.opened(store.content(started), sealing.segments_for(0, len(data) - 1, len(data)), lambda: True)
        next(iter(body))
        body.close()
    assert got(store, started, 0, 9, len(data)) == data[:10]


def streams_pool_size() -> int:
    return int(clients().store.connection_pool_kw["maxsize"])


def test_nothing_appears_in_the_temporary_folder(
    store: Store, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made: list[Any] = []
    original = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *a, **k: made.append(1) or original(*a, **k))
    data = pdf("secret", 20 * MIB)
    body = multipart_request(data)
    kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    with app.test_request_context(method="POST", data=body, content_type=kind), streams.uploading("a") as read:
        deposit = multipart.Deposit(read.read, BOUNDARY, read.length, streams.BLOCK)
        deposit.metadata()
        file = deposit.file()
        started = store.start()
        received = streams.store(file.chunks, started, size=file.size, declared=file.media_type)
    assert received.size == len(data) and got(store, started, 0, 99, len(data)) == data[:100]
    assert list(tmp_path.iterdir()) == [] and made == []


def test_an_account_uploads_only_so_many_at_once(app: Flask) -> None:
    with app.test_request_context(method="PUT", data=b"x"):
        running = [streams.uploading("one") for _ in range(streams.UPLOADS_AT_ONCE)]
        for each in running:
            each.__enter__()
        with pytest.raises(Refusal) as refused, streams.uploading("one"):
            pass
        assert refused.value.code == "too_many_uploads"
        with streams.uploading("another"):
            pass
        for each in running:
            each.__exit__(None, None, None)
        with streams.uploading("one"):
            pass


def test_a_body_shorter_than_its_length_is_truncated(app: Flask) -> None:
    with app.test_request_context(method="PUT", data=b"short", environ_overrides={"CONTENT_LENGTH": "50"}):
        with pytest.raises(Refusal) as refused:
            list(streams.Body().blocks())
        assert refused.value.code == "upload_truncated"


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=5-", (5, None)),
        ("bytes=-5", (-5, None)),
        ("bytes=0-1,4-5", None),
        ("lines=1-2", None),
        ("bytes=b-a", None),
        ("bytes=9-2", None),
    ],
)
def test_one_range_is_honoured_and_all_else_answered_whole(app: Flask, header: str | None, asked: Any) -> None:
    with app.test_request_context(headers={"Range": header} if header else {}):
        assert content._asked_range() == asked


@pytest.mark.parametrize(
    ("asked", "within"),
    [((0, 10), (0, 9)), ((5, None), (5, 99)), ((-5, None), (95, 99)), ((-500, None), (0, 99)), ((90, 500), (90, 99))],
)
def test_a_range_is_cut_to_the_file(asked: Any, within: Any) -> None:
    assert content._within(asked, 100) == within


@pytest.mark.parametrize("asked", [(100, None), (100, 101), (500, 600)])
def test_a_range_behind_the_file_cannot_be_satisfied(asked: Any) -> None:
    with pytest.raises(Refusal) as refused:
        content._within(asked, 100)
    assert refused.value.code == "range_not_satisfiable" and refused.value.detail == {"size": 100}


def test_of_a_part_that_is_joined_already_nothing_is_put(store: Store) -> None:
    started = {**store.start(), "first_segment": 0, "last": True}
    assert streams.store_part(b"x", started | {"put_url": None}) is None and store.raw(started) is None
    assert streams.store_part(b"x", started) and store.raw(started) is not None
