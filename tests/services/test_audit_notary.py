"""The notary over a real database: each entry its place, each head signed once, and no way round the witness."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.audit import attesting, store, store_attestations, store_log
from services.audit.models_log import Attestation
from services.audit.notary import Disagreement
from services.audit.ports.notebook import FILE as NOTEBOOK
from services.audit.ports.signing import SigningKey
from services.audit.rules_heads import base64
from services.audit.rules_tree import root
from services.db import new_id, now
from tests.services.audit_log import Log, document_read, in_order, told, witnessed


@pytest.fixture
def log(database: Callable[[str], str], tmp_path: Path) -> Iterator[Log]:
    made = Log(database("audit"), tmp_path / "witness")
    yield made
    made.close()


def test_every_entry_gets_its_place_in_the_order_it_came(log: Log) -> None:
    record_id = new_id()
    traces = log.keep_some(3, record_id) + log.keep_some(300)
    log.seal()
    in_order(log)
    rows = log.sql("select cast(trace_id as text) as trace_id, cast(record_id as text) as of from leaves order by 1")
    assert sorted(row.trace_id for row in rows) == sorted(trace.trace_id for trace in traces)
    assert [row.of for row in rows].count(record_id) == 3
    assert len(witnessed(log)) == 1
    log.seal()
    assert len(witnessed(log)) == 1, "nothing new, nothing signed"
    log.keep(*traces[:5])  # delivered again
    log.keep_some(700)
    log.seal()
    in_order(log)
    assert [head.size for head in witnessed(log)] == [303, 1003]


# --- a history, attested ----------------------------------------------------------------------------------------------


def asked(log: Log, *record_ids: str, without: tuple[str, ...] = ()) -> str:
    with log.sessions.transaction() as session:
        return store_attestations.ask(session, record_ids, without, now())


def answered(log: Log, question: str) -> Attestation:
    with log.sessions.transaction() as session:
        found = store_attestations.answer_of(session, question)
    assert found is not None
    return found


def attested(log: Log, *record_ids: str, without: tuple[str, ...] = ()) -> Attestation:
    question = asked(log, *record_ids, without=without)
    log.seal()
    return answered(log, question)


def shown(log: Log, answer: Attestation) -> int:
    """How many entries an attestation states, once its signature and its leaves were found good."""
    assert answer.refused is None and answer.statement is not None and answer.signature is not None
    public = Ed25519PublicKey.from_public_bytes(log.key.public)
    public.verify(bytes(answer.signature), answer.statement.encode())
    title, records, count, _, size, log_root, _ = answer.statement.splitlines()
    assert title == "opendsp audit history"
    assert records == ",".join(answer.record_ids)
    head = witnessed(log)[-1]
    assert (int(size), log_root) == (head.size, base64(head.root))
    return int(count)


def hide(log: Log, document_id: str, kind: str, since: datetime, until: datetime | None = None) -> None:
    with log.sessions.transaction() as session:
        store.note_hidden(session, document_id, kind, since, until)


def test_a_history_is_attested_with_all_that_just_came(log: Log) -> None:
    one, other = new_id(), new_id()
    log.keep_some(2, one)
    log.seal()
    log.keep_some(1500, one)
    log.keep_some(3, other)
    answer = attested(log, one, other)
    assert shown(log, answer) == 1505
    rows = log.sql("select hash from leaves order by position")
    assert answer.statement is not None
    assert answer.statement.splitlines()[3] == base64(root([bytes(row.hash) for row in rows]))
    assert shown(log, attested(log, other)) == 3
    assert shown(log, attested(log, new_id())) == 0


@pytest.mark.parametrize(
    ("bent", "code"),
    [
        ("delete from leaves where position = (select max(position) from leaves where record_id = :record)",
         "leaves_differ"),
        ("delete from leaves where position = (select min(position) from leaves where record_id = :record)",
         "entries_missing"),
        ("update leaves set record_id = null where position = 1", "entries_missing"),
        ("update entries set action = 'log.read' where record_id = :record", "other_entry"),
        ("update entries set salt = decode(repeat('00', 16), 'hex') where record_id = :record", "other_entry"),
        ("update entries set count = 3 where record_id = :record", "other_entry"),
        ("delete from entries where record_id = :record", "contents_missing"),
    ],
)  # fmt: skip
def test_a_history_that_was_bent_is_not_attested(log: Log, bent: str, code: str) -> None:
    record_id = new_id()
    log.keep_some(1)
    log.keep_some(3, record_id)
    log.seal()
    assert shown(log, attested(log, record_id)) == 3
    log.bend(bent, **({"record": record_id} if ":record" in bent else {}))
    question = asked(log, record_id)
    if code == "leaves_differ":
        with pytest.raises(Disagreement, match=code):
            log.notary.work()
        return
    log.notary.work()
    assert answered(log, question).refused == code
    assert answered(log, question).statement is None


def test_what_is_hidden_is_left_out_as_the_log_itself_tells_it(log: Log) -> None:
    record_id, document_id = new_id(), new_id()
    log.keep(document_read(record_id, object_id=document_id), document_read(record_id))
    blocked = now()
    log.keep(document_read(record_id, object_id=document_id, action="document.blocked", at=blocked))
    hide(log, document_id, "blocked", blocked)
    assert shown(log, attested(log, record_id, without=("blocked",))) == 1
    assert shown(log, attested(log, record_id, without=("withheld",))) == 3
    assert shown(log, attested(log, record_id)) == 3
    released = now()
    log.keep(document_read(record_id, object_id=document_id, action="document.released", at=released))
    hide(log, document_id, "blocked", blocked, released)
    assert shown(log, attested(log, record_id, without=("blocked",))) == 4


def test_a_document_that_is_hidden_without_a_trace_of_it_is_waited_for_and_then_no_reason_to_leave_out(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_id, document_id, since = new_id(), new_id(), now()
    log.keep(document_read(record_id, object_id=document_id))
    hide(log, document_id, "blocked", since)
    question = asked(log, record_id, without=("blocked",))
    log.seal()
    assert log.sql("select answered_at from attestations")[0].answered_at is None, "the trace may be on its way"
    log.keep(document_read(record_id, object_id=document_id, action="document.blocked", at=since))
    log.seal()
    assert shown(log, answered(log, question)) == 0
    forged = new_id()
    log.keep(document_read(record_id, object_id=forged))
    hide(log, forged, "blocked", since)
    monkeypatch.setattr(attesting, "PATIENCE", timedelta(0))
    assert attested(log, record_id, without=("blocked",)).refused == "hidden_without_trace"


def test_a_release_that_is_forged_shows_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    record_id, document_id, since = new_id(), new_id(), now()
    log.keep(document_read(record_id, object_id=document_id, action="document.blocked", at=since))
    hide(log, document_id, "blocked", since, now())
    monkeypatch.setattr(attesting, "PATIENCE", timedelta(0))
    assert attested(log, record_id, without=("blocked",)).refused == "hidden_without_trace"


def test_a_hiding_that_was_traced_in_another_record_counts(log: Log) -> None:
    record_id, document_id, since = new_id(), new_id(), now()
    log.keep(document_read(record_id, object_id=document_id))
    log.keep(document_read(new_id(), object_id=document_id, action="document.blocked", at=since))
    hide(log, document_id, "blocked", since)
    assert shown(log, attested(log, record_id, without=("blocked",))) == 0


# --- bent databases ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bent", "code"),
    [
        ("delete from leaves where position = 9", "leaves_missing"),
        ("delete from leaves", "leaves_missing"),
        ("update tree_heads set root = decode(repeat('00', 32), 'hex')", "other_head"),
        ("insert into tree_heads select size + 1, root, at, key_id, signature from tree_heads",
         "head_without_witness"),
    ],
)  # fmt: skip
def test_a_database_that_says_otherwise_than_the_witness_is_refused_and_refused_again(
    log: Log, bent: str, code: str
) -> None:
    log.keep_some(10)
    log.seal()
    log.notary.close()
    log.bend(bent)
    log.keep_some(1)
    for _ in range(2):
        with pytest.raises(Disagreement, match=code):
            log.notary.work()
    assert not log.notary.at_work
    assert len(witnessed(log)) == 1


def test_another_log_under_the_same_witness_is_refused(
    log: Log, database: Callable[[str], str], tmp_path: Path
) -> None:
    log.keep_some(5)
    log.seal()
    log.notary.close()
    other = Log(database("audit"), log.folder, log.key)
    other.keep_some(5)
    try:
        with pytest.raises(Disagreement, match="leaves_missing"):
            other.notary.work()
        # rebuilt as a whole, leaves and all, but without the witness' key and file
        forger = Log(other.url, tmp_path / "elsewhere")
        forger.seal()
        forger.close()
        with pytest.raises(Disagreement, match="other_head"):
            other.notary.work()
        other.sql("delete from tree_heads")
        with pytest.raises(Disagreement, match="other_leaves"):
            other.notary.work()
    finally:
        other.close()


def test_a_lost_notebook_is_found_out_anew_and_gives_the_witnessed_roots(log: Log) -> None:
    record_id = new_id()
    for count in (3, 600, 5):
        log.keep_some(count)
        log.keep_some(2, record_id)
        log.seal()
    log.notary.close()
    for file in log.folder.glob(f"{NOTEBOOK}*"):
        file.unlink()
    log.keep_some(4)
    assert shown(log, attested(log, record_id)) == 6
    in_order(log)


def test_a_lost_notebook_is_no_way_to_have_a_bent_log_accepted(log: Log) -> None:
    record_id = new_id()
    log.keep_some(3, record_id)
    log.seal()
    log.notary.close()
    for file in log.folder.glob(f"{NOTEBOOK}*"):
        file.unlink()
    log.bend("update entries set address = '10.0.0.1'")
    with pytest.raises(Disagreement, match="other_entry"):
        log.notary.work()
    log.bend("update entries set address = null")
    log.bend("delete from leaves where position = 1")
    log.bend("update leaves set position = 1 where position = 2")
    with pytest.raises(Disagreement, match="leaves_missing"):
        log.notary.work()


def test_a_broken_notebook_is_no_more_than_a_lost_one(log: Log) -> None:
    log.keep_some(3)
    log.seal()
    log.notary.close()
    (log.folder / NOTEBOOK).write_bytes(b"\0" * 5000)
    log.keep_some(3)
    log.seal()
    in_order(log)


def test_leaves_without_a_head_are_made_out_anew_from_their_entries(log: Log) -> None:
    log.keep_some(3)
    log.seal()
    log.keep_some(3)
    log.seal()
    log.notary.close()
    lines = (log.folder / "heads.jsonl").read_text().splitlines(keepends=True)
    (log.folder / "heads.jsonl").write_text("".join(lines[:-1]) + lines[-1][:40])  # killed while it wrote
    log.sql("delete from tree_heads where size = 6")
    log.sql("delete from outbox where cast(envelope as json)->'data'->>'size' = '6'")
    log.seal()
    in_order(log)


def test_a_head_that_nobody_was_told_of_is_told(log: Log) -> None:
    for _ in range(3):
        log.keep_some(3)
        log.seal()
    log.notary.close()
    log.sql("delete from tree_heads where size > 3")
    log.sql("delete from outbox where cast(envelope as json)->'data'->>'size' <> '3'")
    assert told(log) == [3]
    log.seal()
    in_order(log)
    assert told(log) == [3, 6, 9]


def test_another_key_signs_on_and_the_witness_says_from_where(log: Log) -> None:
    log.keep_some(3)
    log.seal()
    log.notary.close()
    first, log.key = log.key, SigningKey(bytes(32))
    log.notary = log.another_notary()
    log.keep_some(2)
    log.seal()
    lines = [json.loads(line) for line in (log.folder / "heads.jsonl").read_text().splitlines()]
    assert [(line["key"]["key_id"], line["key"]["from_size"]) for line in lines if "key" in line] == [
        (first.id, 0), (log.key.id, 3)
    ]  # fmt: skip
    assert [line["key_id"] for line in lines if "key" not in line] == [first.id, log.key.id]
    rows = log.sql("select key_id, from_size from log_keys order by from_size")
    assert [(row.key_id, row.from_size) for row in rows] == [(first.id, 0), (log.key.id, 3)]


def test_of_two_notaries_one_works_and_the_other_follows_it(log: Log, tmp_path: Path) -> None:
    log.keep_some(3)
    log.seal()
    beside, elsewhere = log.another_notary(), log.another_notary(tmp_path / "elsewhere")
    for waiting in (beside, elsewhere):
        assert not waiting.work()
        assert not waiting.at_work
    log.keep_some(3)
    log.seal()
    log.notary.close()
    log.keep_some(3)
    with pytest.raises(Disagreement, match="head_without_witness"):
        elsewhere.work()
    beside.work()
    assert beside.at_work
    assert not log.notary.work()
    beside.close()
    in_order(log)


def test_who_leaves_the_place_has_left_it_before_the_database_sees_the_connection_gone(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.keep_some(1)
    log.seal()
    beside = Log(log.url, log.folder, log.key)
    assert not beside.notary.work() and not beside.notary.at_work
    with monkeypatch.context() as slow:
        slow.setattr("sqlalchemy.Connection.invalidate", lambda _: None)  # it stays open, in the pool
        log.notary.close()
    beside.notary.work()
    assert beside.notary.at_work
    beside.close()


def test_what_a_foreign_hand_writes_among_what_waits_holds_nothing_up(log: Log) -> None:
    told = log.keep_some(3)
    log.seal()
    log.sql("insert into arrivals (trace_id) values (:again)", again=told[0].trace_id)
    log.sql("insert into arrivals (trace_id) values (:nothing)", nothing=new_id())
    log.keep_some(1)
    with pytest.raises(store_log.Repeated):
        log.notary.work()
    log.seal()
    in_order(log)


def test_a_patrol_finds_what_was_bent_and_nothing_is_signed_until_it_is_mended(log: Log) -> None:
    log.keep_some(700)
    log.seal()
    for _ in range(3):
        log.notary.patrol()
    log.bend("update entries set software = 'x' where trace_id = (select trace_id from leaves where position = 650)")
    log.notary._next_patrol = 0
    log.notary.patrol()
    with pytest.raises(Disagreement, match="other_entry"):
        log.notary.patrol()
    log.keep_some(1)
    for _ in range(2):
        with pytest.raises(Disagreement, match="other_entry"):
            log.notary.work()
    assert len(witnessed(log)) == 1
    log.bend("update entries set software = null")
    log.seal()
    in_order(log)


def test_a_patrol_finds_a_node_and_a_leaf_that_were_exchanged(log: Log) -> None:
    log.keep_some(20)
    log.seal()
    log.bend("delete from entries where trace_id = (select trace_id from leaves where position = 4)")
    log.bend("update leaves set record_id = null where position = 4")
    log.notary.patrol()  # contents may be gone, as a destruction leaves it
    log.bend("update leaves set hash = sha256('x') where position = 4")
    log.notary._next_patrol = 0
    with pytest.raises(Disagreement, match="other_leaves"):
        log.notary.patrol()


def test_a_patrol_finds_contents_that_no_destruction_took(log: Log) -> None:
    log.keep_some(3, new_id())
    log.seal()
    log.notary.patrol()
    log.bend("delete from entries where trace_id = (select trace_id from leaves where position = 1)")
    log.notary._next_patrol = 0
    with pytest.raises(Disagreement, match="contents_missing"):
        log.notary.patrol()
    log.keep_some(1)
    with pytest.raises(Disagreement, match="contents_missing"):
        log.notary.work()
