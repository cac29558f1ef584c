"""A big file comes in parts: in any order, repeated, broken off and taken up again; over the real object store."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from services import sealing
from services.db import new_id
from services.documents import contract, rules_parts
from services.documents.contract import (
    PART,
    PartChanged,
    PartsMissing,
    TypeNotDepositable,
    UploadExpired,
    UploadNotFound,
)
from services.refusals import InvalidInput
from services.tokens import Caller
from tests.builders import pdf
from tests.services.ward import HTTP, Ward, at_once

WHOLE = pdf(size=3 * PART + 777_777)


class Sender:
    """Somebody who sends a file in parts, with the gateway's means."""

    def __init__(self, ward: Ward, who: Caller, data: bytes = WHOLE) -> None:
        self.ward, self.who, self.data = ward, who, data
        prepared = ward.ask("prepare_deposit", who, record_id=ward.record_id, type="imaging", title="Scanner",
                            size=len(data))  # fmt: skip
        self.upload_id = prepared["upload_id"]
        self.count = rules_parts.count(len(data))

    def ask(self, method: str, **said: Any) -> Any:
        return self.ward.ask(method, self.who, upload_id=self.upload_id, **said)

    def part(self, number: int) -> bytes:
        return self.data[(number - 1) * PART : number * PART]

    def start(self, number: int, plain: bytes | None = None) -> Any:
        plain = self.part(number) if plain is None else plain
        return self.ask(
            "start_part", number=number, size=len(plain), sha256=hashlib.sha256(plain).hexdigest(),
            gateway_key=self.ward.gateway.public,
        )  # fmt: skip

    def put(self, number: int, started: dict[str, Any], change: Callable[[bytes], bytes] = bytes) -> str:
        key = self.ward.gateway.receive(started["sealed_key"], started["version_id"].encode())
        sealed = b"".join(
            sealing.seal_part(
                self.part(number), key, started["version_id"], started["first_segment"], last=started["last"]
            )
        )
        answer = HTTP.request("PUT", started["put_url"], body=change(sealed))
        assert answer.status == 200
        return str(answer.headers["ETag"]).strip('"')

    def send(self, number: int, change: Callable[[bytes], bytes] = bytes) -> None:
        started = self.start(number)
        etag = self.put(number, started, change)
        self.ask("finish_part", version_id=started["version_id"], number=number, etag=etag)

    def stored(self) -> list[int]:
        return [part["number"] for part in self.ask("read_upload")["stored"]]

    def join(self) -> Any:
        return self.ask("join_parts", gateway_key=self.ward.gateway.public)

    def opened(self, joined: dict[str, Any], start: int = 0, end: int | None = None) -> bytes:
        part = sealing.segments_for(start, joined["size"] - 1 if end is None else end, joined["size"])
        key = self.ward.gateway.receive(joined["sealed_key"], joined["content_id"].encode())
        wanted = {"Range": f"bytes={part.sealed_start}-{part.sealed_end}"}
        answer = HTTP.request("GET", joined["get_url"], headers=wanted)
        return b"".join(sealing.open_range([answer.data], key, joined["content_id"], part))

    def commit(self, joined: dict[str, Any]) -> Any:
        read = self.opened(joined)
        return self.ask(
            "commit_deposit", version_id=joined["version_id"], sha256=hashlib.sha256(read).hexdigest(), size=len(read),
            media_type=contract.PDF,
        )  # fmt: skip


def test_parts_in_any_order_become_one_sealed_object_that_ranges_read_across_them(ward: Ward) -> None:
    sender = Sender(ward, ward.present())
    assert sender.count == 4
    numbers = [3, 1, 4, 2]
    for number in numbers:
        sender.send(number)
    joined = sender.join()
    assert sender.opened(joined) == WHOLE
    for boundary in (PART, 2 * PART, 3 * PART):
        for start, end in ((boundary - 1, boundary), (boundary - 70_000, boundary + 70_000), (boundary, boundary)):
            assert sender.opened(joined, start, end) == WHOLE[start : end + 1]
    assert ward.house.documents.blobs.stored(joined["version_id"]).size == sealing.sealed_size(len(WHOLE))
    document_id = sender.commit(joined)["document_id"]
    assert ward.read(sender.who, document_id) == WHOLE
    assert ward.sql("select 1 from upload_parts where version_id = :v", v=joined["version_id"]) == []
    [trace] = ward.traces("document.created")
    assert (trace["outcome"], trace["object_id"]) == ("allowed", document_id)


def test_the_object_is_sealed_as_if_it_had_come_whole() -> None:
    key, version_id = sealing.new_key(), new_id()
    data = random.Random(1).randbytes(2 * PART + 5)
    parts = b"".join(
        b"".join(
            sealing.seal_part(
                data[(number - 1) * PART : number * PART], key, version_id, rules_parts.first_segment(number),
                last=number == 3,
            )
        )
        for number in (1, 2, 3)
    )  # fmt: skip
    assert parts == b"".join(sealing.seal([data], key, version_id))
    for wrong, last in ((b"", True), (data[:100], False)):
        with pytest.raises(ValueError, match="whole segments"):
            list(sealing.seal_part(wrong, key, version_id, 0, last=last))


def test_an_upload_that_was_broken_off_anywhere_goes_on(ward: Ward) -> None:
    sender = Sender(ward, ward.present())
    assert sender.stored() == []
    sender.start(2)  # killed before its bytes were put
    started = sender.start(1)
    sender.put(1, started)  # killed before the receipt was noted
    sender.send(4)
    assert sender.stored() == [4]
    with pytest.raises(PartsMissing) as missing:
        sender.join()
    assert missing.value.detail == {"missing": [1, 2, 3]}
    for number in (1, 2, 3, 4):
        sender.send(number)
    assert sender.stored() == [1, 2, 3, 4]
    first = sender.join()  # killed while the file was read through
    assert sender.join()["version_id"] == first["version_id"]
    answer = sender.commit(sender.join())
    assert sender.join() == answer, "killed before its answer was out"
    assert sender.ask("read_upload")["document_id"] == answer["document_id"]
    with pytest.raises(UploadNotFound):
        sender.send(1)


def test_a_part_under_one_key_is_never_of_other_bytes(ward: Ward) -> None:
    sender = Sender(ward, ward.present())
    sender.start(1)
    other = bytes(PART)
    with pytest.raises(PartChanged):
        sender.start(1, other)
    sender.send(1)
    with pytest.raises(PartChanged):
        sender.start(1, other)
    assert [trace["reason"] for trace in ward.traces("document.created")] == ["part_changed"] * 2
    again = Sender(ward, sender.who)
    fresh, old = again.start(1, other), sender.start(1)
    keys = {ward.gateway.receive(each["sealed_key"], each["version_id"].encode()) for each in (fresh, old)}
    assert len(keys) == 2, "another upload has another key"


def test_parts_begun_at_once_share_one_object(ward: Ward) -> None:
    sender = Sender(ward, ward.present())
    begun = at_once(4, lambda index: sender.start(index + 1))
    assert len({each["version_id"] for each in begun}) == 1
    keys = {ward.gateway.receive(each["sealed_key"], each["version_id"].encode()) for each in begun}
    assert len(keys) == 1
    for number in range(1, 5):
        sender.send(number)
    assert sender.opened(sender.join()) == WHOLE


@pytest.mark.parametrize(
    "change",
    [lambda sealed: sealed[:-1] + b"\x00", lambda sealed: sealed[65_552:131_104] + sealed[:65_552] + sealed[131_104:]],
    ids=["a byte", "two segments swapped"],
)  # fmt: skip
def test_a_part_that_was_changed_in_the_store_does_not_open(ward: Ward, change: Callable[[bytes], bytes]) -> None:
    sender = Sender(ward, ward.present())
    for number in (1, 2, 3, 4):
        sender.send(number, change if number == 2 else bytes)
    joined = sender.join()
    with pytest.raises(sealing.BytesTampered):
        sender.opened(joined)
    assert sender.opened(joined, 0, PART - 1) == WHOLE[:PART]


def test_parts_swapped_in_the_store_and_parts_left_out_do_not_open(ward: Ward) -> None:
    sender = Sender(ward, ward.present())
    started = {number: sender.start(number) for number in (1, 2, 3, 4)}
    for number, place in ((1, 2), (2, 1), (3, 3), (4, 4)):
        etag = sender.put(number, {**started[number], "put_url": started[place]["put_url"]})
        sender.ask("finish_part", version_id=started[1]["version_id"], number=place, etag=etag)
    with pytest.raises(sealing.BytesTampered):
        sender.opened(sender.join())


@pytest.mark.parametrize(("number", "size"), [(0, PART), (5, 1), (-1, PART), (1, PART - 1), (4, PART), (4, 1)])
def test_a_part_that_the_file_has_not_is_refused(ward: Ward, number: int, size: int) -> None:
    sender = Sender(ward, ward.present())
    with pytest.raises(InvalidInput):
        sender.start(number, bytes(size))


def test_a_stranger_sees_and_sends_no_parts(ward: Ward) -> None:
    sender, other = Sender(ward, ward.present()), ward.present()
    sender.send(1)
    mine = sender.who
    sender.who = other
    for look in (lambda: sender.ask("read_upload"), lambda: sender.start(2), lambda: sender.join()):
        with pytest.raises(UploadNotFound):
            look()
    sender.who = mine
    whole = ward.prepare(mine)
    with pytest.raises(UploadNotFound):
        ward.ask("read_upload", mine, upload_id=whole["upload_id"])


def test_parts_nobody_completed_are_swept_with_all_the_store_has_of_them(ward: Ward) -> None:
    sender = Sender(ward, ward.present())
    sender.send(1)
    [row] = ward.sql("select version_id, multipart_id from attempts where upload_id = :u", u=sender.upload_id)
    ward.sql(
        "update attempts set started_at = started_at - interval '25 hours' where upload_id = :u", u=sender.upload_id
    )
    ward.sql(
        "update uploads set expires_at = expires_at - interval '25 hours' where upload_id = :u", u=sender.upload_id
    )
    with pytest.raises(UploadExpired):
        sender.send(2)
    ward.house.documents.sweep_orphans()
    assert ward.sql("select 1 from upload_parts where version_id = :v", v=row.version_id) == []
    late = ward.house.documents.blobs.part_url(str(row.version_id), row.multipart_id, 2, 60)
    assert HTTP.request("PUT", late, body=b"x").status == 404


def test_a_part_that_comes_again_is_put_until_the_parts_are_joined_and_then_is_there(ward: Ward) -> None:
    sender = Sender(ward, ward.present(), pdf(size=PART + 5000))
    sender.send(1)
    sender.send(2)
    sender.send(1)  # not joined yet: put once more
    joined = sender.join()
    assert [sender.start(number)["put_url"] for number in (1, 2)] == [None, None]
    with pytest.raises(PartChanged):
        sender.start(1, bytes(PART))
    assert sender.opened(joined) == sender.data and sender.commit(joined)["document_id"]


def test_rights_that_went_between_are_missed_and_a_size_is_bounded(ward: Ward) -> None:
    sender = Sender(ward, ward.present(), pdf(size=PART + 5000))
    sender.send(1)
    sender.send(2)
    joined = sender.join()
    ward.sql("update uploads set type = 'drug_dispensation' where upload_id = :u", u=sender.upload_id)
    with pytest.raises(TypeNotDepositable):
        sender.commit(joined)
    for size in (0, -1, ward.settings.upload_max_bytes + 1, True):
        with pytest.raises(InvalidInput):
            ward.prepare(sender.who, size=size)
