"""A year of traces in a real object store: read as before, destroyed as before, and never taken on trust."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local import processes
from deploy.local.stack import Stack
from services.audit import archiving, export_log, rules_archive
from services.audit.archiving import NotYet, archive_year
from services.audit.models_archive import ArchivedGroup
from services.audit.notary import Disagreement
from services.audit.ports.archive import Archive
from services.audit.retention import note_deletions
from services.audit.verifier import check
from services.bus import Received, fresh_context
from services.db import new_id, now, rfc3339
from services.dossier.contract import RecordStateChanged
from services.refusals import Unavailable
from tests.builders import House
from tests.services.audit_log import Log, document_read

YEAR = 2025
THEN = datetime(YEAR, 5, 4, 10, tzinfo=UTC)


class Cellar:
    """A log with entries of a year that is over and of today, and its archive."""

    def __init__(self, house: House, folder: Path, archive: Archive) -> None:
        self.house, self.archive, self.folder = house, archive, folder
        self.log = Log(house.sessions["audit"].engine.url.render_as_string(hide_password=False), folder)
        self.record, self.other = new_id(), new_id()
        both = (self.record, self.other)
        self.log.keep(
            *(document_read(each, at=THEN + timedelta(minutes=n)) for n in range(4) for each in both),
            *(document_read(None, at=THEN) for _ in range(3)),
            document_read(self.record), document_read(self.other),
        )  # fmt: skip
        self.log.seal()
        self.looked_over()

    def looked_over(self) -> None:
        """Alerts and statistics have gone over everything."""
        for each in ("_raise_alerts", "_count_entries"):
            while getattr(self.house.audit, each)(*([now()] if each == "_raise_alerts" else [])):
                pass

    def archived(self) -> int:
        return archive_year(self.log.sessions, self.archive, YEAR, now())

    def history(self, record_id: str) -> list[str]:
        with self.log.sessions.transaction() as session:
            archiving.bring_back(session, record_id)
            its = sa.text("select cast(trace_id as text) from entries where record_id = :id order by 1")
            return list(session.scalars(its, {"id": record_id}))

    def count(self, table: str) -> int:
        [row] = self.log.sql(f"select count(*) as n from {table}")
        return int(row.n)

    def wrong(self) -> list[str]:
        """What the verifier finds wrong with the whole log."""
        file = io.BytesIO("".join(f"{each}\n" for each in export_log.lines(self.log.sessions)).encode())
        with (self.folder / "heads.jsonl").open("rb") as witness:
            verdict = check(file, witness=witness, keys=[b64encode(self.log.key.public).decode()], lag=0)
        assert verdict.trusted
        return verdict.wrong

    def bend(self, statement: str, **values: Any) -> None:
        with self.log.sessions.transaction() as session:
            session.execute(sa.text(statement), values)


@pytest.fixture(scope="module")
def archive(infra: Stack) -> Archive:
    settings = processes.load_settings(infra.layout, "audit")
    made = Archive.of(settings)
    made.ensure()
    return made


@pytest.fixture
def cellar(
    database: Callable[[str], str], tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cellar]:
    house = House(database, services=("directory", "dossier", "audit"))
    monkeypatch.setattr(archiving, "at_hand", lambda: archive)
    for name in list(archive.names("entries/")):  # one bucket for all of these tests
        archive.remove(name)
    made = Cellar(house, tmp_path / "witness", archive)
    yield made
    made.log.close()
    house.close()


# --- a year goes and comes back ---------------------------------------------------------------------------------------


def test_a_year_goes_into_the_store_and_a_history_is_what_it_was(cellar: Cellar) -> None:
    before, others = cellar.history(cellar.record), cellar.history(cellar.other)
    assert len(before) == 5
    assert cellar.archived() == 11
    assert cellar.count("entries") == 2 and cellar.count("arrivals") == 0
    assert cellar.history(cellar.record) == before
    assert cellar.count("entries") == 2 + 4  # of this record alone
    assert cellar.history(cellar.other) == others


def test_who_lies_in_the_store_is_unreadable_there(cellar: Cellar) -> None:
    cellar.archived()
    [name] = cellar.archive.names(f"entries/{YEAR}/")
    pack = cellar.archive.read(name)
    for hidden in (cellar.record, cellar.other, "document.read"):
        assert hidden.encode() not in pack


def test_the_log_has_the_hash_of_what_was_said_of_the_packs(cellar: Cellar) -> None:
    cellar.archived()
    [year] = cellar.log.sql("select said, digest, entries from archived_years")
    told = [json.loads(row.envelope)["data"] for row in cellar.log.sql("select envelope from outbox order by seq")]
    [trace] = [each for each in told if each.get("action") == "trace.archived"]
    assert trace["digest"] == bytes(year.digest).hex() == rules_archive.digest_of(year.said)
    assert (trace["count"], year.entries) == (11, 11)
    with pytest.raises(sa.exc.DBAPIError):
        cellar.bend("update archived_years set said = 'x'")


def test_what_came_back_goes_again_and_what_is_new_stays(cellar: Cellar) -> None:
    cellar.archived()
    cellar.history(cellar.record)
    late = document_read(cellar.record, at=THEN + timedelta(hours=1))  # of that year, told only now
    cellar.log.keep(late)
    cellar.log.seal()
    cellar.house.audit._send_back(now() + timedelta(hours=47))
    assert len(cellar.history(cellar.record)) == 6
    cellar.house.audit._send_back(now() + timedelta(hours=49))
    [left] = cellar.log.sql("select cast(trace_id as text) as id from entries where trace_id < first_id_of(2026)")
    assert left.id == late.trace_id
    assert len(cellar.history(cellar.record)) == 6


def test_the_same_year_again_takes_what_came_late(cellar: Cellar) -> None:
    cellar.archived()
    cellar.log.keep(document_read(cellar.record, at=THEN))
    cellar.log.seal()
    with pytest.raises(NotYet, match="waits_for"):
        cellar.archived()
    cellar.looked_over()
    cellar.history(cellar.other)  # a copy that lies there meanwhile is not taken for new
    assert cellar.archived() == 1
    assert len(cellar.history(cellar.record)) == 6 and len(cellar.history(cellar.other)) == 5
    cellar.looked_over()
    assert cellar.archived() == 0


# --- what may not go --------------------------------------------------------------------------------------------------


def test_a_year_that_runs_or_is_not_sealed_or_not_looked_over_stays(cellar: Cellar) -> None:
    with pytest.raises(NotYet, match="not_over"):
        archive_year(cellar.log.sessions, cellar.archive, now().year, now())
    with pytest.raises(NotYet, match="nothing_kept"):
        archive_year(cellar.log.sessions, cellar.archive, 2001, now())
    cellar.log.keep(document_read(cellar.record, at=THEN))
    with pytest.raises(NotYet, match="waits_for_seal"):
        cellar.archived()
    cellar.log.seal()
    with pytest.raises(NotYet, match="waits_for_alerts"):
        cellar.archived()
    cellar.looked_over()
    cellar.bend("insert into forwarded (repository, position) values ('r', 0)")
    with pytest.raises(NotYet, match="waits_for_syslog"):
        cellar.archived()
    assert cellar.count("archived_groups") == 0


class Killed(BaseException):
    pass


@pytest.mark.parametrize("line", ["put", "read", "seal", "add_groups", "add_year", "detach", "emit"])
def test_killed_on_the_way_nothing_has_gone_and_the_next_time_everything_does(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    def dies(*_: Any, **__: Any) -> Any:
        raise Killed

    before = cellar.history(cellar.record)
    where = {"put": Archive, "read": Archive, "seal": Archive, "emit": archiving}.get(line, archiving.store_archive)
    with monkeypatch.context() as patched:
        patched.setattr(where, line, dies)
        with pytest.raises(Killed):
            cellar.archived()
    assert cellar.count("entries") == 13 and cellar.count("archived_groups") == 0
    assert cellar.archived() == 11
    assert len(list(cellar.archive.names(f"entries/{YEAR}/"))) == 1  # what was left of the first time is swept
    assert cellar.history(cellar.record) == before


def test_entries_destroyed_meanwhile_are_not_archived(cellar: Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Archive.put

    def destroys(self: Archive, name: str, data: bytes) -> None:
        put(self, name, data)
        cellar.log.bend("delete from entries where record_id = :id", id=cellar.other)

    monkeypatch.setattr(Archive, "put", destroys)
    with pytest.raises(NotYet, match="changed"):
        cellar.archived()
    assert cellar.count("entries") == 8 and cellar.count("archived_groups") == 0


# --- the log ----------------------------------------------------------------------------------------------------------


def test_the_whole_log_is_checked_with_what_is_archived_and_that_goes_again(cellar: Cellar) -> None:
    cellar.archived()
    cellar.log.seal()
    assert cellar.wrong() == []
    assert cellar.count("entries where trace_id < first_id_of(2026)") == 0


def test_the_notary_goes_through_an_archived_year_and_notices_what_else_is_gone(cellar: Cellar) -> None:
    cellar.archived()
    cellar.log.seal()
    cellar.log.notary._next_patrol = 0.0
    cellar.log.notary.patrol()  # nothing is said
    cellar.log.bend("delete from entries where record_id = :id", id=cellar.other)
    cellar.log.notary._next_patrol = 0.0
    with pytest.raises(Disagreement, match="contents_missing"):
        cellar.log.notary.patrol()


def test_an_archived_year_lets_no_lost_notebook_be_a_problem(cellar: Cellar) -> None:
    cellar.archived()
    cellar.log.seal()
    cellar.log.notary.close()
    (cellar.folder / "notebook.sqlite").unlink()
    cellar.log.seal()


@pytest.mark.parametrize(
    "bent",
    [
        "update archived_groups set place = place + 1",
        "update archived_groups set wrapped_key = (select wrapped_key from archived_groups order by group_id limit 1)",
        "update archived_groups set pack_id = gen_random_uuid()",
        "update archived_groups g set group_id = gen_random_uuid()",
        "update archived_groups set entries = entries + 1",
        "update archived_groups set first_position = first_position + 1",
    ],
)
def test_an_archive_that_was_bent_is_shown_to_nobody(cellar: Cellar, bent: str) -> None:
    cellar.archived()
    cellar.bend(bent)
    with pytest.raises(Unavailable):
        [cellar.history(each) for each in (cellar.record, cellar.other)]
    with pytest.raises(Unavailable):
        cellar.wrong()


def test_entries_that_are_not_those_of_the_log_are_shown_to_nobody(cellar: Cellar) -> None:
    cellar.archived()
    [group] = cellar.log.sql("select * from archived_groups where record_id = :id", id=cellar.record)
    sealed = cellar.archive.read(rules_archive.name_of(YEAR, str(group.pack_id)), group.place, group.size)
    rows = rules_archive.read(cellar.archive.open(str(group.group_id), sealed, bytes(group.wrapped_key)))
    forged = [json.dumps(json.loads(rows[0]) | {"action": "document.searched"}), *rows[1:]]
    again, key = cellar.archive.seal(str(group.group_id), rules_archive.written(forged))
    pack_id = new_id()
    cellar.archive.put(rules_archive.name_of(YEAR, pack_id), again)
    with cellar.log.sessions.transaction() as session:
        session.execute(sa.update(ArchivedGroup).where(ArchivedGroup.group_id == str(group.group_id)).values(
            pack_id=pack_id, place=0, size=len(again), wrapped_key=key))  # fmt: skip
    with pytest.raises(Unavailable):
        cellar.history(cellar.record)
    assert cellar.count("entries where trace_id < first_id_of(2026)") == 0


def test_a_store_that_is_away_refuses_the_old_history_alone(cellar: Cellar, infra: Stack) -> None:
    cellar.archived()
    away = Archive.of(replace(processes.load_settings(infra.layout, "audit"), s3_endpoint="127.0.0.1:9"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(archiving, "at_hand", lambda: away)
        with pytest.raises(Unavailable):
            cellar.history(cellar.record)
        fresh = new_id()
        cellar.log.keep(document_read(fresh))
        assert len(cellar.history(fresh)) == 1
    assert len(cellar.history(cellar.record)) == 5


# --- destruction ------------------------------------------------------------------------------------------------------


def test_the_traces_of_a_deleted_record_are_destroyed_in_the_archive_too(cellar: Cellar) -> None:
    cellar.archived()
    told = RecordStateChanged(cellar.record, "deleted", "opposition")
    event = Received(new_id(), "dossier", told.type, rfc3339(now()), cellar.record, 2, told, fresh_context())
    with cellar.log.sessions.transaction() as session:
        note_deletions(session, [event], now())
    assert cellar.house.audit._destroy_traces(now() + timedelta(days=2)) == 5
    assert cellar.history(cellar.record) == [] and len(cellar.history(cellar.other)) == 5
    assert cellar.log.sql("select group_id from archived_groups where record_id = :id", id=cellar.record) == []
    cellar.house.deliver()
    cellar.log.seal()
    assert cellar.wrong() == []
