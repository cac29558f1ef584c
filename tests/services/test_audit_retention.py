"""The traces of a deleted record go with it, over a real log: what they said is gone, and every proof stays good."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from services.audit.ports.notebook import FILE as NOTEBOOK
from services.audit.retention import note_deletions
from services.audit.rules_retention import digest_of, said
from services.bus import Received, fresh_context
from services.db import new_id, now, rfc3339
from services.dossier.contract import RecordStateChanged
from tests.builders import House
from tests.services.audit_log import Log, document_read

A_DAY = timedelta(days=1, seconds=1)


class Archive:
    """A house of audit with its log."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        url = house.sessions["audit"].engine.url.render_as_string(hide_password=False)
        self.log = Log(url, folder)

    def tell(self, record_id: str, state: str, number: int = 2) -> None:
        told = RecordStateChanged(record_id, state, "opposition")
        event = Received(new_id(), "dossier", told.type, rfc3339(now()), record_id, number, told, fresh_context())
        with self.house.sessions["audit"].transaction() as session:
            self.house.audit.on_record_state_changed(session, [event])

    def destroy(self, after: timedelta = A_DAY) -> int:
        count: int = self.house.audit._destroy_traces(now() + after)
        return count

    def left(self, record_id: str) -> int:
        [row] = self.log.sql("select count(*) as n from entries where record_id = :id", id=record_id)
        return int(row.n)

    def leaves(self) -> list[tuple[int, bytes]]:
        rows = self.log.sql("select position, hash from leaves order by position")
        return [(row.position, bytes(row.hash)) for row in rows]

    def places(self, trace_ids: list[str]) -> list[int]:
        rows = self.log.sql("select position from leaves where trace_id = any(cast(:ids as uuid[])) order by position",
                            ids=trace_ids)  # fmt: skip
        return [row.position for row in rows]

    def destructions(self) -> list[str]:
        return [row.said for row in self.log.sql("select said from destructions order by at")]

    def told(self) -> list[dict[str, Any]]:
        """The traces of destructions that wait in the outbox."""
        return [event["data"] for event in self.house.events("audit")
                if event["data"].get("action") == "trace.destroyed"]  # fmt: skip


@pytest.fixture
def archive(database: Callable[[str], str], tmp_path: Path) -> Iterator[Archive]:
    house = House(database, services=("dossier", "audit"))
    made = Archive(house, tmp_path / "witness")
    yield made
    made.log.close()
    house.close()


def test_what_the_entries_of_a_deleted_record_said_is_gone_and_their_leaves_stay(archive: Archive) -> None:
    log, gone, kept = archive.log, new_id(), new_id()
    traces = [document_read(each) for each in (gone, kept, gone, gone, kept)]
    log.keep(*traces)
    log.seal()
    leaves, places = archive.leaves(), archive.places([t.trace_id for t in traces if t.record_id == gone])
    archive.tell(gone, "deleted")
    assert archive.destroy() == 3
    assert (archive.left(gone), archive.left(kept)) == (0, 2)
    assert archive.leaves() == leaves
    assert log.sql("select 1 from leaves where record_id = :id", id=gone) == []
    assert len(log.sql("select 1 from leaves where record_id = :id", id=kept)) == 2
    assert archive.destructions() == [said(places)]


def test_a_destruction_is_an_entry_of_the_log_with_the_hash_of_its_text(archive: Archive) -> None:
    gone = new_id()
    archive.log.keep_some(4, gone)
    archive.log.seal()
    archive.tell(gone, "deleted")
    archive.destroy()
    [told] = archive.told()
    [text] = archive.destructions()
    assert (told["count"], told["digest"], told["record_id"]) == (4, digest_of(text), None)
    archive.house.deliver()
    [row] = archive.log.sql("select digest, source from entries where action = 'trace.destroyed'")
    assert bytes(row.digest).hex() == digest_of(text)


def test_the_log_is_proved_anew_from_what_is_left(archive: Archive) -> None:
    log, gone = archive.log, new_id()
    log.keep_some(5)
    log.keep_some(6, gone)
    log.seal()
    archive.tell(gone, "deleted")
    archive.destroy()
    archive.house.deliver()
    log.seal()
    log.notary.close()
    (log.folder / NOTEBOOK).unlink()  # what the notary knew is lost: it reads the whole log again, holes and all
    log.notary = log.another_notary()
    log.keep_some(3)
    log.seal()
    heads = [json.loads(line) for line in (log.folder / "heads.jsonl").read_text().splitlines() if '"size"' in line]
    assert heads[-1]["size"] == len(archive.leaves())


def test_an_entry_that_no_head_is_over_yet_waits(archive: Archive) -> None:
    log, gone = archive.log, new_id()
    archive.tell(gone, "deleted")
    log.keep_some(2, gone)
    assert archive.destroy() == 0
    log.seal()
    assert archive.destroy() == 2
    assert archive.left(gone) == 0


def test_what_comes_later_goes_too_and_where_nothing_is_left_nothing_is_told(archive: Archive) -> None:
    log, gone = archive.log, new_id()
    log.keep_some(2, gone)
    log.seal()
    archive.tell(gone, "deleted")
    assert archive.destroy() == 2
    assert archive.destroy() == 0
    log.keep_some(1, gone)
    log.seal()
    assert archive.destroy() == 1
    assert len(archive.destructions()) == len(archive.told()) == 2


def test_traces_stay_until_their_day_and_those_of_other_states_for_good(archive: Archive) -> None:
    log, gone, closed = archive.log, new_id(), new_id()
    log.keep_some(1, gone)
    log.keep_some(1, closed)
    log.seal()
    archive.tell(gone, "deleted")
    archive.tell(gone, "deleted", 3)
    for state in ("open", "active", "closed"):
        archive.tell(closed, state)
    assert archive.destroy(timedelta(hours=23)) == 0
    assert archive.destroy() == 1
    assert archive.left(closed) == 1


def test_replicas_at_once_destroy_everything_once(archive: Archive) -> None:
    log = archive.log
    gone = [new_id() for _ in range(30)]
    log.keep(*(document_read(each) for each in gone * 3))
    log.seal()
    for each in gone:
        archive.tell(each, "deleted")
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: archive.destroy(), range(4)))
    counts.append(archive.destroy())
    assert sum(counts) == 90
    assert sum(trace["count"] for trace in archive.told()) == 90
    named = [line for text in archive.destructions() for line in text.splitlines()[1:]]
    places = [place for line in named for place in range(int(line.split("-")[0]), int(line.split("-")[1]) + 1)]
    assert sorted(places) == list(range(90)), "each place once"


def test_a_destruction_that_is_not_committed_never_was(archive: Archive) -> None:
    log, gone = archive.log, new_id()
    log.keep_some(2, gone)
    log.seal()
    archive.tell(gone, "deleted")
    log.sql("alter table destructions rename to destructions_away")  # as if killed between the two statements
    with pytest.raises(DBAPIError):
        archive.destroy()
    log.sql("alter table destructions_away rename to destructions")
    assert archive.left(gone) == 2 and archive.told() == []
    assert archive.destroy() == 2


def test_nothing_else_is_let_go_afterwards(archive: Archive) -> None:
    log, gone = archive.log, new_id()
    log.keep_some(1, gone)
    log.keep_some(1)
    log.seal()
    with archive.house.sessions["audit"].transaction() as session:
        note_deletions(session, [], now())
    archive.tell(gone, "deleted")
    archive.destroy()
    for change in ("delete from entries", "update destructions set said = ''", "delete from destructions"):
        with pytest.raises(DBAPIError, match="append-only"), log.sessions.transaction() as session:
            session.execute(sa.text(change))
