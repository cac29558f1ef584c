"""Record keys under master keys: rotated while everything goes on, and worth nothing without the right one."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.documents.contract import UploadExpired
from services.documents.ports.keys import Keys
from services.keys import READ_AGAIN, FollowedKeyFile, KeyFile
from services.sealing import BytesTampered
from tests.builders import pdf
from tests.services.test_documents_series import Series
from tests.services.ward import Ward, at_once

NEW = os.urandom(32)


def written(path: Path, current: str, **keys: bytes) -> str:
    told = {"current": current, "keys": {name: base64.b64encode(key).decode() for name, key in keys.items()}}
    path.write_text(json.dumps(told))
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def old(ward: Ward) -> bytes:
    """The master key of the house so far."""
    told = json.loads(Path(ward.settings.master_key_file).read_text())
    return base64.b64decode(told["keys"][told["current"]])


@pytest.fixture
def before(ward: Ward, old: bytes) -> Iterator[Ward]:
    """A ward whose record keys are under the old master key, to which all others return afterwards too."""
    yield ward
    ward.house.documents.keys = Keys(KeyFile("1", {"1": old, "new": NEW}))
    ward.house.documents._rotate_keys()


def test_a_rotation_wraps_every_record_key_anew_and_every_document_still_opens(before: Ward, old: bytes) -> None:
    data, patient = pdf("avant"), before.holder
    document_id = before.deposit(before.present(), data)
    before.house.documents.keys = Keys(KeyFile("new", {"1": old, "new": NEW}))
    assert before.read(patient, document_id) == data  # not rotated yet: the old one still opens it
    assert before.house.documents._rotate_keys() >= 1
    [key] = before.sql("select master_key_id from record_keys where record_id = :record", record=before.record_id)
    assert key.master_key_id == "new"
    before.house.documents.keys = Keys(KeyFile("new", {"new": NEW}))
    assert before.read(patient, document_id) == data
    assert before.house.documents._rotate_keys() == 0


def test_what_the_old_key_wrapped_does_not_open_under_the_new_one_alone(before: Ward) -> None:
    document_id = before.deposit(before.present())
    before.house.documents.keys = Keys(KeyFile("new", {"new": NEW}))
    with pytest.raises(BytesTampered):
        before.read(before.holder, document_id)


def test_a_slot_given_before_a_rotation_is_good_as_long_as_its_master_key_is_there(before: Ward, old: bytes) -> None:
    series = Series(before, before.present())
    there, late = (series.put(series.slot(), pdf(name)) for name in ("avant", "trop tard"))
    before.house.documents.keys = Keys(KeyFile("new", {"1": old, "new": NEW}))
    before.house.documents._rotate_keys()
    made = series.deposit(there)
    before.examine()
    before.house.documents.keys = Keys(KeyFile("new", {"new": NEW}))
    assert before.read(before.holder, made["document_id"]) == pdf("avant")
    with pytest.raises(UploadExpired):
        series.deposit(late)


def test_a_rotation_touches_no_object_and_no_data_key(before: Ward, old: bytes) -> None:
    before.deposit(before.present())
    looks = "select wrapped_key, store_version from versions"
    seen = before.sql(looks)
    before.house.documents.keys = Keys(KeyFile("new", {"1": old, "new": NEW}))
    before.house.documents._rotate_keys()
    assert before.sql(looks) == seen


def test_a_record_key_that_no_key_opens_keeps_no_other_from_being_rotated(before: Ward, old: bytes) -> None:
    data = pdf("malgré tout")
    document_id, lost = before.deposit(before.present(), data), "00000000-0000-7000-8000-00000000dead"
    before.sql(f"insert into record_keys (record_id, wrapped_key, created_at) values ('{lost}', '\\x00', now())")
    before.house.documents.keys = Keys(KeyFile("new", {"1": old, "new": NEW}))
    before.house.documents._rotate_keys()
    before.house.documents.keys = Keys(KeyFile("new", {"new": NEW}))
    assert before.read(before.holder, document_id) == data
    before.sql(f"delete from record_keys where record_id = '{lost}'")


def test_two_replicas_rotate_without_undoing_each_other(before: Ward, old: bytes) -> None:
    data = pdf("à deux")
    documents = [before.deposit(before.present(), data) for _ in range(2)]
    before.house.documents.keys = Keys(KeyFile("new", {"1": old, "new": NEW}))
    at_once(2, lambda _: before.house.documents._rotate_keys())
    before.house.documents.keys = Keys(KeyFile("new", {"new": NEW}))
    assert all(before.read(before.holder, document_id) == data for document_id in documents)


def test_a_key_file_gives_its_keys_to_its_owner_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "keys.json", "1", **{"1": NEW})
    assert KeyFile.read(path).current == "1"
    Path(path).chmod(0o640)
    with pytest.raises(ValueError, match="open to others"):
        KeyFile.read(path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"current": "1"}', '{"current": "1", "keys": {"1": "short"}}', '{"current": "2", "keys": {}}',
     '{"current": "1", "keys": {"1": "!!"}}'],
)  # fmt: skip
def test_what_is_no_key_file_stops_the_process_at_its_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ValueError, match="key file"):
        KeyFile.read(str(path))


def test_a_missing_key_file_stops_the_process_at_its_start(ward: Ward, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Keys.of(replace(ward.settings, master_key_file=str(tmp_path / "none.json")))


# --- a replica that was not restarted yet -----------------------------------------------------------------------------


class Clock:
    """Seconds as a test lets them pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_replica_begun_before_the_new_key_reads_deposits_and_goes_on_under_it(
    before: Ward, old: bytes, path: Path
) -> None:
    data, patient = pdf("avant"), before.holder
    document_id = before.deposit(before.present(), data)
    running = Keys(FollowedKeyFile(written(path, "1", **{"1": old})))
    written(path, "new", **{"1": old, "new": NEW})
    before.house.documents.keys = restarted = Keys(FollowedKeyFile(str(path)))
    assert before.house.documents._rotate_keys() >= 1
    series = Series(before, before.present())
    filled = series.put(series.slot(), pdf("créneau"))
    before.house.documents.keys = running
    assert running.master_key_id == "1" and before.read(patient, document_id) == data
    assert running.master_key_id == "new", "the old one would be wrapped back"
    made = series.deposit(filled)
    before.examine()
    before.house.documents.keys = restarted
    assert before.read(patient, made["document_id"]) == pdf("créneau")


def test_a_replica_begun_before_the_new_key_wraps_nothing_back(before: Ward, old: bytes, path: Path) -> None:
    before.deposit(before.present())
    running = Keys(FollowedKeyFile(written(path, "1", **{"1": old})))
    written(path, "new", **{"1": old, "new": NEW})
    before.house.documents.keys = Keys(FollowedKeyFile(str(path)))
    before.house.documents._rotate_keys()
    before.house.documents.keys = running
    before.house.documents._rotate_keys()
    [row] = before.sql("select wrapped_key from record_keys where record_id = :record", record=before.record_id)
    alone = Keys(KeyFile("new", {"new": NEW}))
    assert alone.new_data_key(before.record_id, bytes(row.wrapped_key), "version")


def test_a_key_that_no_file_has_opens_nothing_and_the_file_is_not_read_for_each(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, wrapped = Clock(), KeyFile("x", {"x": NEW}).wrap(b"key", b"context")
    followed = FollowedKeyFile(written(path, "1", **{"1": os.urandom(32)}), clock)
    reads, read = [], KeyFile.read
    monkeypatch.setattr(KeyFile, "read", lambda where: reads.append(where) or read(where))
    for count, passed in ((1, 0.0), (1, READ_AGAIN / 2), (2, READ_AGAIN)):
        clock.now += passed
        for _ in range(20):
            with pytest.raises(BytesTampered):
                followed.unwrap(wrapped, b"context")
        assert len(reads) == count
    with pytest.raises(BytesTampered):
        followed.unwrap(b"", b"context")
    assert followed.current == "1"


@pytest.mark.parametrize("broken", ["missing", "cut", "binary", "open to others"])
def test_a_file_that_is_broken_at_that_moment_leaves_the_keys_that_were_known(path: Path, broken: str) -> None:
    first, clock = os.urandom(32), Clock()
    followed = FollowedKeyFile(written(path, "1", **{"1": first}), clock)
    mine, theirs = followed.wrap(b"mine", b"c"), KeyFile("2", {"2": NEW}).wrap(b"theirs", b"c")
    written(path, "2", **{"1": first, "2": NEW})
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:40], "binary": b"\xff\xfe"}.get(broken, whole))
    path.chmod(0o644 if broken == "open to others" else 0o600)
    if broken == "missing":
        path.unlink()
    with pytest.raises(BytesTampered):
        followed.unwrap(theirs, b"c")
    assert followed.current == "1" and followed.unwrap(mine, b"c") == b"mine"
    written(path, "2", **{"1": first, "2": NEW})
    clock.now += READ_AGAIN
    assert followed.unwrap(theirs, b"c") == b"theirs" and followed.unwrap(mine, b"c") == b"mine"
    assert followed.current == "2"


def test_all_that_meet_the_new_key_at_once_open_what_it_wraps(path: Path) -> None:
    first, theirs = os.urandom(32), KeyFile("2", {"2": NEW}).wrap(b"theirs", b"c")
    followed = FollowedKeyFile(written(path, "1", **{"1": first}))
    written(path, "2", **{"1": first, "2": NEW})
    assert at_once(16, lambda _: followed.unwrap(theirs, b"c")) == [b"theirs"] * 16
