"""A database is bent in every way that somebody with full rights on it could, thousands of times: the verifier, with
the witness and nothing else to hold on to, finds each of them, and never cries wolf.

Whoever bends it has neither the notary's key nor its folder. Each bending is done to a real log with all triggers off,
exported as an auditor exports it, and taken back. `make test` tries some of each kind, `make test-long` thousands.
"""

from __future__ import annotations

import io
import random
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from deploy.local.layout import DATABASE_ADMIN
from deploy.local.stack import Stack
from services.audit import store, store_log, store_retention
from services.audit.export_log import as_it_is, lines
from services.audit.models import EntryRow
from services.audit.rules_heads import head_text, key_id
from services.audit.rules_lines import leaf_hash, line
from services.audit.rules_retention import digest_of, said
from services.audit.rules_tree import CompactRange
from services.audit.verifier import Unreadable, check
from services.db import new_id, now
from tests.services.audit_log import Log, document_read

SOME, THOUSANDS = 3, 2_000
IN_ONE_LOG = 100  # things that go on: each time all of it is checked, and it grows
COLUMNS = sorted(column.name for column in EntryRow.__table__.columns)


class Bench:
    """One log that is bent and put right again."""

    def __init__(self, log: Log, superuser: sa.Engine) -> None:
        self.log = log
        self.superuser = superuser
        self.chance = random.Random(20261121)
        self.session: Any = None
        self.records = [new_id() for _ in range(6)]
        self.documents = [new_id() for _ in range(3)]

    def fill(self) -> None:
        """Some records, documents blocked and released, one record destroyed, many heads."""
        for _ in range(7):
            self.log.keep(
                *(document_read(self.chance.choice(self.records)) for _ in range(self.chance.randint(30, 60)))
            )
            self.log.seal()
        for number, document_id in enumerate(self.documents):
            self.hide(document_id, "blocked")
            if number:
                self.show(document_id, "blocked")
        self.log.seal()
        self.destroy(self.records.pop())

    def hide(self, document_id: str, kind: str) -> None:
        at = now()
        told = document_read(self.chance.choice(self.records), action=f"document.{kind}", object_id=document_id, at=at)
        self.log.keep(told)
        with self.log.sessions.transaction() as session:
            store.note_hidden(session, document_id, kind, at, None)

    def show(self, document_id: str, kind: str) -> None:
        action = {"blocked": "document.released", "withheld": "document.unwithheld"}[kind]
        [row] = self.log.sql("select since from hidden_documents where document_id = :id and until is null",
                             id=document_id)  # fmt: skip
        at = now()
        self.log.keep(document_read(self.chance.choice(self.records), action=action, object_id=document_id, at=at))
        with self.log.sessions.transaction() as session:
            store.note_hidden(session, document_id, kind, row.since, at)

    def destroy(self, record_id: str) -> None:
        """As the service destroys what is left of a deleted record."""
        at = now()
        with self.log.sessions.transaction() as session:
            text = said(store_retention.destroy_contents(session, [record_id]))
            store_retention.add_destruction(session, digest_of(text), text, at)
        told = document_read(self.records[0], action="trace.destroyed", object_id=None, digest=digest_of(text))
        self.log.keep(told, source="audit")
        self.log.seal()

    # --- the auditor --------------------------------------------------------------------------------------------------

    def wrong(self, export: Iterator[str]) -> list[str]:
        """What the verifier finds wrong."""
        file = io.BytesIO("".join(f"{each}\n" for each in export).encode())
        with (self.log.folder / "heads.jsonl").open("rb") as witness:
            try:
                verdict = check(file, witness=witness, keys=[b64encode(self.log.key.public).decode()], lag=0)
            except Unreadable as broken:
                return [str(broken)]
        assert verdict.trusted
        return verdict.wrong

    def bent(self, bend: Callable[[Bench], Any]) -> list[str]:
        """What is found of a bending, which is taken back."""
        with self.superuser.connect() as connection, Session(connection) as session:
            connection.exec_driver_sql("begin")
            try:
                self.session = session
                self.run("set local session_replication_role = 'replica'")
                bend(self)
                return self.wrong(as_it_is(session, 0, now()))
            finally:
                connection.exec_driver_sql("rollback")

    # --- the bender ---------------------------------------------------------------------------------------------------

    def run(self, statement: str, **values: Any) -> Any:
        done = self.session.execute(sa.text(statement), values)
        assert not statement.startswith(("update", "delete", "insert")) or done.rowcount, statement
        return done

    def all(self, statement: str, **values: Any) -> list[Any]:
        return list(self.run(statement, **values))

    def one(self) -> Any:
        """Any sealed entry that has its contents."""
        rows = self.all("select l.position, e.* from leaves l join entries e using (trace_id) order by 1")
        return self.chance.choice(rows)

    def size(self) -> int:
        return int(self.all("select count(*) from leaves")[0][0])

    def seal_again(self, key: Any = None) -> None:
        """Makes leaves, nodes and heads fit the entries again, as far as that goes without the notary's key."""
        leaves, size = [], self.size()
        for row in store_log.sealed(self.session, 0, size):
            made = bytes(row["hash"]) if row["trace_id"] is None else leaf_hash(line(row))
            leaves.append(made)
            if made != bytes(row["hash"]):
                self.run("update leaves set hash = :made where position = :at", made=made, at=row["position"])
        self.session.execute(sa.text("delete from nodes"))
        edge = CompactRange()
        heads = {row.size: row for row in self.all("select * from tree_heads")}
        for at, leaf in enumerate(leaves):
            for level, number, made in edge.extend([leaf]):
                self.run("insert into nodes values (:level, :number, :made)", level=level, number=number, made=made)
            head = heads.get(at + 1)
            if head is not None:
                text = head_text(at + 1, edge.root(), head.at)
                signature = key.sign(text) if key else bytes(head.signature)
                self.run("update tree_heads set root = :root, signature = :signature where size = :size",
                         root=edge.root(), signature=signature, size=at + 1)  # fmt: skip


def another(bench: Bench, kind: str, value: Any) -> Any:
    """Another value for a column of this kind."""
    if kind == "uuid":
        return new_id()
    if kind.startswith("timestamp"):
        return (value or now()) - timedelta(microseconds=bench.chance.choice([1, 10**6, 10**11]))
    if kind == "bytea":
        return secrets.token_bytes(16 if value is not None and len(value) == 16 else 32)
    if kind in ("integer", "bigint"):
        return (value or 0) + 1
    return f"{value or ''}x"


# --- the ways -------------------------------------------------------------------------------------------------------


def edit(bench: Bench, column: str | None = None, keep_up: bool = False) -> None:
    """One column of one entry has another value, or none."""
    column, row = column or bench.chance.choice(COLUMNS), bench.one()
    [kind] = bench.all(
        "select data_type from information_schema.columns where table_name = 'entries' and column_name = :name",
        name=column,
    )[0]
    old = getattr(row, column)
    new = another(bench, kind, old)
    if column == "outcome":
        new = "refused" if old == "allowed" else "allowed"
    elif old is not None and column not in ("at", "received_at", "source", "action", "salt", "trace_id"):
        new = bench.chance.choice([new, None])
    bench.run(f"update entries set {column} = :new where trace_id = :id", new=new, id=row.trace_id)
    if column == "trace_id" and keep_up:
        bench.run("update leaves set trace_id = :new where trace_id = :id", new=new, id=row.trace_id)


def edit_and_make_fit(bench: Bench) -> None:
    """The same, and everything above is made out anew."""
    edit(bench, keep_up=True)
    bench.seal_again()


def change_salt(bench: Bench) -> None:
    edit(bench, "salt")


def delete_contents(bench: Bench) -> None:
    """Entries are gone, their leaves are there: as if by order."""
    bench.run("delete from entries where trace_id = :id", id=bench.one().trace_id)


def delete_with_an_order_of_ones_own(bench: Bench) -> None:
    """The same, with a destruction that no entry tells of."""
    row = bench.one()
    text = said([row.position])
    bench.run("delete from entries where trace_id = :id", id=row.trace_id)
    bench.run("insert into destructions (digest, said, at) values (:digest, :said, now())",
              digest=bytes.fromhex(digest_of(text)), said=text)  # fmt: skip


def delete_a_record(bench: Bench) -> None:
    """All entries of one record are gone."""
    bench.run("delete from entries where record_id = :id", id=bench.chance.choice(bench.records))


def delete_and_close_up(bench: Bench) -> None:
    """One entry is gone with its leaf, and the others move up."""
    row = bench.one()
    bench.run("delete from entries where trace_id = :id", id=row.trace_id)
    bench.run("delete from leaves where position = :at", at=row.position)
    if row.position < bench.size():
        bench.run("update leaves set position = -position where position > :at", at=row.position)
        bench.run("update leaves set position = -position - 1 where position < 0")
    if bench.chance.random() < 0.5:
        bench.seal_again()


def truncate(bench: Bench) -> None:
    """The log ends earlier: entries, leaves, nodes and heads."""
    size = bench.size() - bench.chance.randint(1, bench.size() - 1)
    bench.run("delete from entries e using leaves l where l.trace_id = e.trace_id and l.position >= :size", size=size)
    bench.run("delete from leaves where position >= :size", size=size)
    bench.run("delete from tree_heads where size > :size", size=size)
    bench.session.execute(sa.text("delete from nodes where (number + 1) * power(2, level) > :size"), {"size": size})


def reorder(bench: Bench) -> None:
    """Two entries change places."""
    one, other = bench.one(), bench.one()
    while other.position == one.position:
        other = bench.one()
    bench.run("update leaves set position = -1 where position = :at", at=one.position)
    bench.run("update leaves set position = :new where position = :at", new=one.position, at=other.position)
    bench.run("update leaves set position = :new where position = -1", new=other.position)
    if bench.chance.random() < 0.5:
        bench.seal_again()


def insert_beside(bench: Bench) -> None:
    """An entry is there that no place in the log was given to."""
    copy = ", ".join(column for column in COLUMNS if column != "trace_id")
    bench.run(f"insert into entries (trace_id, {copy}) select :new, {copy} from entries where trace_id = :id",
              new=new_id(), id=bench.one().trace_id)  # fmt: skip


def insert_in_the_middle(bench: Bench) -> None:
    """An entry of one's own, with a leaf, between two others."""
    row, new = bench.one(), new_id()
    copy = ", ".join(column for column in COLUMNS if column not in ("trace_id", "action"))
    bench.run(f"insert into entries (trace_id, action, {copy}) select :new, 'document.opened', {copy} from entries"
              " where trace_id = :id", new=new, id=row.trace_id)  # fmt: skip
    bench.run("update leaves set position = -position - 1 where position >= :at", at=row.position)
    bench.run("update leaves set position = -position where position < 0")
    bench.run("insert into leaves (position, hash, trace_id, record_id) values (:at, :hash, :new, :record_id)",
              at=row.position, hash=secrets.token_bytes(32), new=new, record_id=row.record_id)  # fmt: skip
    bench.seal_again()


def backdate(bench: Bench) -> None:
    """An entry says that it was earlier."""
    edit(bench, bench.chance.choice(["at", "received_at"]), keep_up=True)
    if bench.chance.random() < 0.5:
        bench.seal_again()


def fork(bench: Bench) -> None:
    """Another log is told from some place on, all of it in order in itself, under a key of one's own."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    edit(bench, bench.chance.choice(["ground", "action", "professional_id", "record_id"]))
    bench.run("update tree_heads set key_id = :id", id=key_id(public))
    if bench.chance.random() < 0.5:
        bench.run("update log_keys set key_id = :id, public_key = :public", id=key_id(public), public=public)
    else:
        bench.run("insert into log_keys values (:id, :public, 0, now())", id=key_id(public), public=public)
    bench.seal_again(key)


def change_a_head(bench: Bench) -> None:
    """A head says something else, is gone, or was never signed."""
    rows = bench.all("select * from tree_heads order by size")
    row, way = (
        bench.chance.choice(rows),
        bench.chance.choice(["root", "at", "key_id", "signature", "size", "gone", "made"]),
    )
    if way == "gone":
        bench.run("delete from tree_heads where size = :size", size=row.size)
    elif way == "made":
        size = bench.chance.choice(sorted(set(range(1, bench.size())) - {each.size for each in rows}))
        bench.run("insert into tree_heads select :new, root, at, key_id, signature from tree_heads where size = :size",
                  new=size, size=row.size)  # fmt: skip
    else:
        kind = {"root": "bytea", "at": "timestamp", "key_id": "text", "signature": "bytea", "size": "bigint"}[way]
        new = another(bench, kind, getattr(row, way))
        bench.session.execute(
            sa.text("delete from tree_heads where size = :new"), {"new": new if way == "size" else -1}
        )
        bench.run(f"update tree_heads set {way} = :new where size = :size", new=new, size=row.size)


def change_a_leaf(bench: Bench) -> None:
    """A leaf is another, is of another record, or of another entry."""
    one, other = bench.one(), bench.one()
    way = bench.chance.choice(["hash", "record", "swap"])
    if way == "hash":
        bench.run("update leaves set hash = :new where position = :at", new=secrets.token_bytes(32), at=one.position)
    elif way == "record":
        bench.run("update leaves set record_id = :new where position = :at", at=one.position,
                  new=bench.chance.choice([None, new_id()]))  # fmt: skip
    else:
        while other.position == one.position:
            other = bench.one()
        bench.run("update leaves set trace_id = :new where position = :at", new=new_id(), at=one.position)
        bench.run("update leaves set trace_id = :new where position = :at", new=one.trace_id, at=other.position)
        bench.run("update leaves set trace_id = :new where position = :at", new=other.trace_id, at=one.position)


def change_a_node(bench: Bench) -> None:
    """A node is another, or gone."""
    if bench.chance.random() < 0.5:
        bench.run("delete from nodes where number = 0")
    else:
        bench.run("update nodes set hash = :new where number = 0", new=secrets.token_bytes(32))


def change_the_key(bench: Bench) -> None:
    """The database names another key, or one more."""
    public = secrets.token_bytes(32)
    if bench.chance.random() < 0.5:
        bench.run("update log_keys set public_key = :public, key_id = :id", public=public, id=key_id(public))
    else:
        bench.run("insert into log_keys values (:id, :public, :size, now())", id=key_id(public), public=public,
                  size=bench.chance.randint(0, 500))  # fmt: skip


def forge_hiding(bench: Bench) -> None:
    """Entries about a document would be hidden from the holder, or shown, though nobody did that."""
    way = bench.chance.choice(["hide", "show", "hide_again", "stretch", "forget"])
    if way == "hide":
        kind = bench.chance.choice(["blocked", "withheld"])
        ago = timedelta(seconds=bench.chance.randint(-86_400, 86_400))
        bench.run("insert into hidden_documents values (:id, :kind, :since, null)", kind=kind, since=now() - ago,
                  id=bench.chance.choice([bench.one().object_id or bench.documents[1], bench.documents[1]]),
                  )  # fmt: skip
    elif way == "show":
        bench.run("update hidden_documents set until = now() where until is null")
    elif way == "hide_again":
        bench.run("update hidden_documents set until = null where document_id = :id", id=bench.documents[2])
    elif way == "stretch":
        bench.run("update hidden_documents set until = until + interval '2 hours' where document_id = :id",
                  id=bench.documents[1])  # fmt: skip
    else:
        bench.run("delete from hidden_documents where document_id = :id", id=bench.chance.choice(bench.documents))


WAYS = (
    edit, edit_and_make_fit, change_salt, delete_contents, delete_with_an_order_of_ones_own, delete_a_record,
    delete_and_close_up, truncate, reorder, insert_beside, insert_in_the_middle, backdate, fork, change_a_head,
    change_a_leaf, change_a_node, change_the_key, forge_hiding,
)  # fmt: skip


# --- what is no bending ---------------------------------------------------------------------------------------------


def more_entries(bench: Bench) -> None:
    bench.log.keep(*(document_read(bench.chance.choice(bench.records)) for _ in range(bench.chance.randint(1, 300))))
    if bench.chance.random() < 0.8:
        bench.log.seal()


def the_same_again(bench: Bench) -> None:
    told = bench.log.keep_some(3, bench.chance.choice(bench.records))
    bench.log.keep(*told)
    bench.log.seal()
    bench.log.keep(*told)


def a_document_is_hidden(bench: Bench) -> None:
    document_id = new_id()
    bench.log.keep_some(2, bench.records[0], object_id=document_id)
    kind = bench.chance.choice(["blocked", "withheld"])
    bench.hide(document_id, kind)
    if bench.chance.random() < 0.5:
        bench.show(document_id, kind)
    bench.log.seal()


def a_record_is_destroyed(bench: Bench) -> None:
    record_id, document_id = new_id(), new_id()
    bench.log.keep_some(bench.chance.randint(1, 9), record_id, object_id=document_id)
    bench.log.seal()
    bench.destroy(record_id)


def a_slow_transaction(bench: Bench) -> None:
    with bench.log.sessions.transaction() as session:
        store.insert_entries(session, [(document_read(bench.records[0]), "documents")], now() - timedelta(seconds=45))
    bench.log.seal()


def an_old_event(bench: Bench) -> None:
    bench.log.keep(document_read(bench.records[0], at=now() - timedelta(days=bench.chance.randint(1, 300))))
    bench.log.seal()


def another_notary(bench: Bench) -> None:
    bench.log.notary.close()
    bench.log.notary = bench.log.another_notary()
    more_entries(bench)


def housekeeping(bench: Bench) -> None:
    with bench.superuser.connect() as connection:
        connection.exec_driver_sql("vacuum full leaves")
        connection.exec_driver_sql("reindex table entries")


HARMLESS = (
    more_entries, the_same_again, a_document_is_hidden, a_record_is_destroyed, a_slow_transaction, an_old_event,
    another_notary, housekeeping,
)  # fmt: skip


@pytest.fixture(scope="module")
def bench(database: Callable[[str], str], infra: Stack, tmp_path_factory: Any) -> Iterator[Bench]:
    yield from _benches(database, infra, tmp_path_factory)


@pytest.fixture
def calm(database: Callable[[str], str], infra: Stack, tmp_path_factory: Any) -> Iterator[Bench]:
    """Another one, that grows."""
    yield from _benches(database, infra, tmp_path_factory)


def _benches(database: Callable[[str], str], infra: Stack, tmp_path_factory: Any) -> Iterator[Bench]:
    url = database("audit")
    name, layout = sa.make_url(url).database, infra.layout
    everything = layout.database_url_of(str(name), DATABASE_ADMIN, layout.secrets["database_admin"])
    superuser = sa.create_engine(everything, isolation_level="AUTOCOMMIT")
    made = Bench(Log(url, tmp_path_factory.mktemp("witness")), superuser)
    made.fill()
    yield made
    made.log.close()
    superuser.dispose()


def found_each(bench: Bench, bend: Callable[[Bench], Any], times: int) -> None:
    missed = [number for number in range(times) if not bench.bent(bend)]
    assert missed == []
    assert bench.bent(lambda _: None) == []  # and as it was, it is in order


@pytest.mark.parametrize("bend", WAYS, ids=lambda bend: bend.__name__)
def test_what_is_bent_is_found(bench: Bench, bend: Callable[[Bench], Any]) -> None:
    found_each(bench, bend, SOME)


def test_every_column_of_an_entry_is_under_the_log(bench: Bench) -> None:
    for column in COLUMNS:
        assert bench.bent(lambda bench, column=column: edit(bench, column)), column  # type: ignore[misc]


def in_order_after(bench: Bench, times: int) -> None:
    """Whatever goes on in a platform, the export of the log is in order, from its first position on or another."""
    for number in range(times):
        way = bench.chance.choice(HARMLESS) if number >= len(HARMLESS) else HARMLESS[number]
        way(bench)
        assert bench.wrong(lines(bench.log.sessions)) == [], way.__name__
        if number % 4 == 0:
            [(size,)] = bench.log.sql("select count(*) from leaves")
            assert bench.wrong(lines(bench.log.sessions, bench.chance.randint(0, size))) == [], way.__name__


def test_what_goes_on_in_a_platform_raises_no_alarm(calm: Bench) -> None:
    in_order_after(calm, 2 * len(HARMLESS))


@pytest.mark.long
@pytest.mark.parametrize("bend", WAYS, ids=lambda bend: bend.__name__)
def test_what_is_bent_is_found_thousands_of_times(bench: Bench, bend: Callable[[Bench], Any]) -> None:
    found_each(bench, bend, THOUSANDS)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(THOUSANDS // IN_ONE_LOG))
def test_what_goes_on_in_a_platform_raises_no_alarm_thousands_of_times(calm: Bench, seed: int) -> None:
    calm.chance = random.Random(seed)
    in_order_after(calm, IN_ONE_LOG)
