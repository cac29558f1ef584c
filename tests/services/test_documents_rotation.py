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
from services.keys import KeyFile
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
