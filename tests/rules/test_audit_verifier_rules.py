"""The verifier: it stands alone, it knows what is genuine, and nothing that was bent passes it."""

from __future__ import annotations

import ast
import io
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.audit import verifier
from services.audit.rules_heads import moment
from services.audit.rules_retention import said as said_of
from services.audit.verifier import Unreadable, all_signed, check
from services.db import new_id
from tests.sealed_log import SealedLog

SOURCE = Path(verifier.__file__)


def verdict(export: bytes, witness: bytes | None = None, keys: list[str] | None = None) -> Any:
    return check(io.BytesIO(export), witness=None if witness is None else io.BytesIO(witness), keys=keys or [])


def code(export: bytes, witness: bytes | None = None, keys: list[str] | None = None) -> int:
    """What the program would end with."""
    try:
        return int(verdict(export, witness, keys).code)
    except Unreadable:
        return 2


@pytest.fixture(scope="module")
def log() -> SealedLog:
    return SealedLog().fill(700, heads=9, records=[f"00000000-0000-7000-8000-{n:012}" for n in range(20)])


# --- alone ----------------------------------------------------------------------------------------------------------


def test_it_needs_nothing_but_the_standard_library_of_python_3_9() -> None:
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 9))
    taken = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    taken |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in taken} <= set(sys.stdlib_module_names)
    assert "from __future__ import annotations" in SOURCE.read_text()  # its annotations are of later versions


# --- Ed25519 --------------------------------------------------------------------------------------------------------

VECTORS = (
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
     "5141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0"
     "0d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc0"
     "27beceea1ec40a"),
)  # fmt: skip


@pytest.mark.parametrize("vector", VECTORS)
def test_it_agrees_with_rfc_8032(vector: tuple[str, str, str]) -> None:
    public, text, signature = map(bytes.fromhex, vector)
    assert all_signed(public, [(text, signature)])
    assert not all_signed(public, [(text + b"x", signature)])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=40), st.data())
def test_many_signatures_are_judged_as_each_alone(texts: list[bytes], data: st.DataObject) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    signed = [(text, key.sign(text)) for text in texts]
    assert all_signed(public, signed)
    at = data.draw(st.integers(0, len(texts) - 1))
    bit = data.draw(st.integers(0, 511))
    bent = bytearray(signed[at][1])
    bent[bit // 8] ^= 1 << bit % 8
    assert not all_signed(public, [*signed[:at], (texts[at], bytes(bent)), *signed[at + 1 :]])


def test_a_signature_is_not_genuine_with_another_number_for_the_same_point() -> None:
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"text")
    more = int.from_bytes(signature[32:], "little") + verifier.L  # malleable where S < L is not asked [5.1.7]
    bent = signature[:32] + more.to_bytes(32, "little")
    assert not all_signed(key.public_key().public_bytes_raw(), [(b"text", bent)])


# --- the log --------------------------------------------------------------------------------------------------------


def test_a_log_as_it_was_signed_is_genuine(log: SealedLog) -> None:
    assert verdict(log.export(), log.witness()).wrong == []
    assert code(log.export(), log.witness()) == 0 and code(log.export(), keys=log.trusted) == 0
    assert code(log.export(), log.witness(), log.trusted) == 0 and code(log.witness(), keys=log.trusted) == 0


def test_nobody_vouches_for_a_key_that_the_export_alone_names(log: SealedLog) -> None:
    assert code(log.export()) == 3 and code(log.witness()) == 3


def test_another_key_is_not_the_platforms(log: SealedLog) -> None:
    other = SealedLog()
    assert code(log.export(), keys=other.trusted) == 1 and code(log.witness(), keys=other.trusted) == 1


def test_the_part_of_a_log_after_a_position_is_genuine_too(log: SealedLog) -> None:
    for first in (1, 255, 256, 257, 513):
        assert code(log.export(first=first), log.witness()) == 0
    torn = log.export(first=257).replace(b'"frontier":["', b'"frontier":["AAAA', 1)
    assert code(torn, log.witness()) != 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_not_one_byte_of_an_export_can_be_changed(log: SealedLog, data: st.DataObject) -> None:
    export, witness = log.export(), log.witness()
    at = data.draw(st.integers(export.index(b"\n") + 1, len(export) - 1))
    bent = bytes([export[at] ^ 1 << data.draw(st.integers(0, 6))])
    assert code(export[:at] + bent + export[at + 1 :], witness) in (1, 2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_lines_cannot_be_taken_away_repeated_or_swapped(log: SealedLog, data: st.DataObject) -> None:
    lines, witness = log.export().splitlines(keepends=True), log.witness()
    one, other = data.draw(st.integers(1, len(lines) - 1)), data.draw(st.integers(1, len(lines) - 1))
    assert code(b"".join([*lines[:one], *lines[one + 1 :]]), witness) in (1, 2)
    assert code(b"".join(lines[:one]), witness) in (1, 2)
    if lines[one].startswith(b'{"v"'):
        assert code(b"".join([*lines[:one], lines[one], *lines[one:]]), witness) in (1, 2)
    if lines[one] != lines[other]:
        lines[one], lines[other] = lines[other], lines[one]
        assert code(b"".join(lines), witness) in (1, 2)


def test_a_log_that_was_shortened_as_a_whole_is_not_what_the_witness_knows() -> None:
    log = SealedLog().fill(300)
    short = SealedLog(key=log.key)
    short.rows, short.heads, short.at = log.rows[: log.heads[-2]["size"]], log.heads[:-1], log.at
    short.nodes = log.nodes
    assert code(short.export(), log.witness()) == 1
    assert code(short.export(), keys=log.trusted) == 0  # which is why there is a witness


def test_a_log_rebuilt_without_the_key_is_another(log: SealedLog) -> None:
    fork = SealedLog().fill(700, heads=9)
    assert code(fork.export(), log.witness()) == 1 and code(fork.export(), keys=log.trusted) == 1
    assert code(fork.export()) == 3  # in order in itself: nobody vouches for it


def test_an_entry_that_says_it_came_long_before_those_before_it_was_slipped_in() -> None:
    log = SealedLog().fill(300)
    late = log.entry(received_at=log.at - timedelta(seconds=61))
    log.sign()
    assert verdict(log.export(), log.witness()).wrong == [
        f"entry {late['position']}: says it came before others that stand before it"
    ]


def test_a_slow_transaction_and_a_notary_that_was_away_raise_no_alarm() -> None:
    log = SealedLog().fill(300)
    log.entry(received_at=log.at - timedelta(seconds=30))
    for _ in range(40):
        log.entry()
    log.at += timedelta(hours=5)
    log.sign()
    assert code(log.export(), log.witness()) == 0


def test_an_entry_cannot_come_after_it_was_signed() -> None:
    log = SealedLog().fill(30)
    log.entry(received_at=log.at + timedelta(minutes=10))
    log.sign()
    assert code(log.export(), log.witness()) == 1


def test_what_the_export_found_out_of_place_is_told(log: SealedLog) -> None:
    for said in ({"leaf": "00" * 32}, {"misfiled": 3}, {"unsealed": new_id()}):
        assert code(log.export(said), log.witness()) == 1


def test_contents_are_destroyed_by_order_alone() -> None:
    log = SealedLog().fill(300)
    order = {"said": log.destroy(17, 40), "at": moment(log.at)}
    log.sign()
    assert code(log.export({"destruction": order}), log.witness()) == 0
    assert code(log.export(), log.witness()) == 1
    other = {**order, "said": order["said"].replace("40-40", "40-41")}
    assert code(log.export({"destruction": other}), log.witness()) == 1
    log.rows[18] = {**log.rows[18], "trace_id": None}
    assert code(log.export({"destruction": order}), log.witness()) == 1


def test_the_entry_of_a_destruction_may_be_on_its_way() -> None:
    log = SealedLog().fill(300)
    log.rows[18] = {**log.rows[18], "trace_id": None}
    said = said_of([18])
    just_now, before = moment(log.at + timedelta(minutes=59, seconds=30)), moment(log.at + timedelta(minutes=58))
    assert code(log.export({"destruction": {"said": said, "at": just_now}}), log.witness()) == 0
    assert code(log.export({"destruction": {"said": said, "at": before}}), log.witness()) == 1


def test_a_head_that_the_database_lost_changed_or_made_up_is_found(log: SealedLog) -> None:
    for at in range(len(log.heads)):
        assert code(log.export(heads=[*log.heads[:at], *log.heads[at + 1 :]]), log.witness()) == 1
        bent = {**log.heads[at], "at": "2026-03-02T00:00:00.000000Z"}
        assert code(log.export(heads=[*log.heads[:at], bent, *log.heads[at + 1 :]]), log.witness()) == 1
        assert code(log.export(heads=[*log.heads[:at], bent, *log.heads[at + 1 :]]), keys=log.trusted) == 1


def test_a_log_that_nobody_signed_is_not_genuine(log: SealedLog) -> None:
    assert code(log.export(heads=[]), keys=log.trusted) == 1
    assert code(log.export(heads=log.heads[:-1]), keys=log.trusted) == 1
    assert code(log.export(), b"") == 1


def test_entries_that_came_a_moment_ago_need_no_head_yet() -> None:
    log = SealedLog().fill(40)
    log.entry()
    assert code(log.export(), log.witness()) == 0 and code(log.export(), keys=log.trusted) == 1
    log.at -= timedelta(minutes=59, seconds=30)  # the export is made an hour later
    assert code(log.export(), keys=log.trusted) == 0


def test_a_head_signed_after_the_export_raises_no_alarm() -> None:
    log = SealedLog().fill(300)
    before = log.export()
    log.at += timedelta(hours=2)
    log.entry()
    log.sign()
    assert code(before, log.witness()) == 0


def test_a_head_signed_after_the_witness_was_copied_raises_no_alarm_but_has_to_be_signed() -> None:
    log = SealedLog().fill(300)
    witness = log.witness()
    log.entry()
    head = log.sign()
    assert code(log.export(), witness) == 0
    bent = {**head, "signature": log.heads[0]["signature"]}
    assert code(log.export(heads=[*log.heads[:-1], bent]), witness) == 1


def test_a_document_is_hidden_only_by_somebody_and_as_long_as_nobody_shows_it() -> None:
    log, document = SealedLog().fill(30), new_id()

    def told(*rows: tuple[datetime, datetime | None]) -> int:
        lines: list[dict[str, Any]] = [
            {
                "hidden": {
                    "document_id": document,
                    "kind": "blocked",
                    "since": moment(since),
                    "until": end and moment(end),
                }
            }
            for since, end in rows
        ]
        log.sign()
        return code(log.export(*lines), log.witness())

    since = log.at
    assert told((since, None)) == 1
    log.entry(action="document.blocked", object_id=document, at=since)
    assert (told((since, None)), told()) == (0, 1)
    log.at += timedelta(hours=1)
    until = log.at
    assert told((since, until)) == 1
    log.entry(action="document.released", object_id=document, at=until)
    assert (told((since, until)), told((since, None)), told()) == (0, 1, 1)
    assert told((since, until + timedelta(hours=3))) == told((since - timedelta(hours=3), until)) == 1
    assert told((since, until), (until, None)) == 1


# --- the witness ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_nothing_in_a_witness_file_can_be_changed(log: SealedLog, data: st.DataObject) -> None:
    lines = [json.loads(line) for line in log.witness().splitlines()]
    said = lines[data.draw(st.integers(1, len(lines) - 1))]
    name = data.draw(st.sampled_from(sorted(said)))
    said[name] = (
        said[name] + 1 if name == "size" else "2027" + said[name][4:] if name == "at" else "AAAA" + said[name][4:]
    )
    assert code(b"".join(json.dumps(line).encode() + b"\n" for line in lines), keys=log.trusted) in (1, 2)


def test_a_witness_that_was_copied_in_the_middle_of_a_line_is_read_up_to_there(log: SealedLog) -> None:
    assert code(log.export(), log.witness() + b'{"size":70') == 0


def test_a_key_signs_in_its_own_time_alone() -> None:
    log = SealedLog().fill(30)
    old, first = log.key, log.keys
    log.key = Ed25519PrivateKey.generate()
    second = [{**log.keys[0], "from_size": 30}]
    log.entry()
    log.sign()
    told = [{"key": first[0]}, *log.heads[:-1], {"key": second[0]}, log.heads[-1]]
    assert code(b"".join(json.dumps(each).encode() + b"\n" for each in told)) == 3
    log.key = old
    log.entry()
    told.append(log.sign())
    assert code(b"".join(json.dumps(each).encode() + b"\n" for each in told)) == 1


# --- a history ------------------------------------------------------------------------------------------------------


def test_a_history_is_genuine_wherever_its_entries_lie() -> None:
    records = [new_id() for _ in range(4)]
    for size in (1, 2, 3, 7, 64, 255, 256, 300, 520):
        log = SealedLog().fill(size, records=records)
        for asked in ([records[0]], records[:2], records, [new_id()]):
            assert code(log.history(*asked), keys=log.trusted) == 0
            assert code(log.history(*asked), log.witness()) == 0
    assert code(log.history(records[0])) == 3


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_not_one_byte_of_a_history_can_be_changed(log: SealedLog, data: st.DataObject) -> None:
    export = log.history(str(log.rows[0]["record_id"]), str(log.rows[1]["record_id"]))
    at = data.draw(st.integers(export.index(b"\n") + 1, len(export) - 1))
    bent = bytes([export[at] ^ 1 << data.draw(st.integers(0, 6))])
    assert code(export[:at] + bent + export[at + 1 :], keys=log.trusted) in (1, 2)


def test_no_line_of_a_history_can_be_taken_away_and_no_other_put_there(log: SealedLog) -> None:
    mine, other = (str(log.rows[at]["record_id"]) for at in (0, 1))
    lines = log.history(mine).splitlines(keepends=True)
    for at in range(len(lines)):
        assert code(b"".join([*lines[:at], *lines[at + 1 :]]), keys=log.trusted) in (1, 2)
    stranger = next(line for line in log.history(other).splitlines(keepends=True)[1:] if line.startswith(b'{"v"'))
    assert code(b"".join([*lines, stranger]), keys=log.trusted) in (1, 2)


def test_a_history_with_something_left_out_of_it_is_not_what_was_signed_for(log: SealedLog) -> None:
    mine = str(log.rows[0]["record_id"])
    whole = json.loads(log.history(mine).splitlines()[0])
    less = log.history(mine, hidden=[0]).splitlines(keepends=True)
    header = {**json.loads(less[0]), "statement": whole["statement"], "signature": whole["signature"]}
    assert code(b"".join([json.dumps(header).encode() + b"\n", *less[1:]]), keys=log.trusted) == 1


def test_what_is_hidden_from_a_reader_leaves_no_gap_in_what_they_get(log: SealedLog) -> None:
    mine = str(log.rows[0]["record_id"])
    assert code(log.history(mine, hidden=[0]), keys=log.trusted) == 0


def test_a_history_out_of_another_log_than_the_witness_knows_is_found(log: SealedLog) -> None:
    fork = SealedLog(key=log.key).fill(400, records=[new_id()])
    assert code(fork.history(str(fork.rows[0]["record_id"])), log.witness()) == 1


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_found(log: SealedLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_bytes(log.export())
    (tmp_path / "heads").write_bytes(log.witness())
    assert verifier.main([str(tmp_path / "log"), "--witness", str(tmp_path / "heads")]) == 0
    assert capsys.readouterr().out.startswith(
        "GENUINE\n- 700 entries from 0 on, those before 700 under a signed head\n- signed with "
    )
    (tmp_path / "log").write_bytes(log.export().replace(b"document.read", b"document.rea_", 1))
    assert verifier.main([str(tmp_path / "log"), "--witness", str(tmp_path / "heads")]) == 1
    assert capsys.readouterr().out.startswith("NOT GENUINE\n- ")
    (tmp_path / "log").write_bytes(b"%PDF-1.7\n\xff")
    assert verifier.main([str(tmp_path / "log")]) == 2 and "CANNOT BE CHECKED" in capsys.readouterr().out
    assert verifier.main([str(tmp_path / "nowhere")]) == 2
    assert verifier.main([str(tmp_path / "heads"), "--key", "AAAA"]) == 2
