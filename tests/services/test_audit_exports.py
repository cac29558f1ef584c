"""The export of a history: whole, as the notary states, with one trace, and never of what is hidden."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.audit.contract import HistoryUnattested
from services.audit.notary import Notary
from services.audit.ports.signing import SigningKey
from services.audit.ports.witness import Witness
from services.audit.rules_heads import base64
from services.audit.verifier import Verdict, check
from services.db import new_id, now, rfc3339
from services.documents.contract import DocumentBlocked, DocumentReleased
from services.dossier.contract import RecordNotFound
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import House, caller
from tests.services.audit_log import document_read
from tests.services.test_audit import in_circle, open_record, received, tell


class Archive:
    """A house with its notary."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house, self.folder = house, folder
        self.key = SigningKey(secrets.token_bytes(32))
        self.notary = Notary(house.sessions["audit"], Witness(folder), self.key)

    def seal(self) -> None:
        self.house.deliver()
        while self.notary.work():
            pass
        assert self.notary.at_work

    def ask(self, method: str, who: Caller, record_id: str, **asked: Any) -> Any:
        return self.house.ask("audit", method, who, record_id=record_id, **asked)

    def begin(self, who: Caller, record_id: str) -> str:
        return str(self.ask("begin_history_export", who, record_id)["export_id"])

    def lines(self, who: Caller, record_id: str) -> list[str]:
        """The whole file as the gateway sends it."""
        self.seal()
        export_id = self.begin(who, record_id)
        assert self.ask("history_statement", who, record_id, export_id=export_id) is None
        self.seal()
        stated = self.ask("history_statement", who, record_id, export_id=export_id)
        found, after, entries = [stated["header"]], -1, 0
        while after is not None:
            asked = {"export_id": export_id, "after": after}
            piece = self.ask("history_lines", who, record_id, **asked)
            found += piece["lines"]
            entries += piece["entries"]
            after = piece["position"]
        assert entries == stated["count"]
        return found

    def verdict(self, lines: list[str]) -> Verdict:
        export = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
        with (self.folder / "heads.jsonl").open("rb") as witness:
            return check(export, witness=witness, keys=[base64(self.key.public)])


@pytest.fixture(scope="module")
def archive(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    house = House(database, services=("directory", "dossier", "audit"))
    made = Archive(house, tmp_path_factory.mktemp("witness"))
    yield made
    made.notary.close()
    house.close()


def shown(lines: list[str]) -> int:
    return sum(line.startswith('{"v":1') for line in lines)


def test_the_holder_takes_the_whole_history_home_and_anybody_can_check_it(archive: Archive) -> None:
    holder, record_id = open_record(archive.house)
    for number in range(230):
        tell(archive.house, document_read(record_id))
        if number % 7 == 0:
            tell(archive.house, document_read(new_id()))
    lines = archive.lines(holder, record_id)
    assert shown(lines) >= 230
    verdict = archive.verdict(lines)
    assert (verdict.wrong, verdict.code) == ([], 0)
    less = [line for at, line in enumerate(lines) if at != 5]
    assert archive.verdict(less).code == 1


def test_an_export_leaves_one_trace(archive: Archive) -> None:
    holder, record_id = open_record(archive.house)
    archive.lines(holder, record_id)
    export_id = archive.begin(holder, record_id)
    archive.ask("history_page", holder, record_id, export_id=export_id)
    archive.house.deliver()
    entries = archive.ask("access_history", holder, record_id)["entries"]
    traces = [entry for entry in entries if entry["action"] in ("log.exported", "log.read")]
    assert [(each["action"], each["outcome"], each["ground"]) for each in traces] == [
        ("log.exported", "allowed", "holder")
    ] * 2
    assert traces[0]["object_id"] == export_id


def test_nobody_takes_home_what_they_do_not_read_whole(archive: Archive) -> None:
    holder, record_id = open_record(archive.house)
    doctor = in_circle(archive.house, holder, record_id)
    with pytest.raises(NotAllowed):
        archive.begin(doctor, record_id)
    for stranger, asked in ((caller("patient"), record_id), (holder, new_id()), (caller("agent"), record_id)):
        with pytest.raises(RecordNotFound):
            archive.begin(stranger, asked)
    archive.house.deliver()
    entries = archive.ask("access_history", holder, record_id)["entries"]
    refused = [entry["reason"] for entry in entries if entry["action"] == "log.exported"]
    assert sorted(refused) == ["not_allowed", "record_not_found", "record_not_found"]


def test_a_piece_of_somebody_elses_export_is_no_way_in(archive: Archive) -> None:
    holder, record_id = open_record(archive.house)
    other, elsewhere = open_record(archive.house)
    archive.seal()
    export_id = archive.begin(holder, record_id)
    archive.seal()
    pieces: list[tuple[str, dict[str, Any]]] = [
        ("history_statement", {}), ("history_lines", {"after": -1}), ("history_page", {}),
    ]  # fmt: skip
    for method, asked in pieces:
        for who, record, refusal in ((other, record_id, RecordNotFound), (other, elsewhere, HistoryUnattested)):
            with pytest.raises(refusal):
                archive.ask(method, who, record, export_id=export_id, **asked)
        with pytest.raises(HistoryUnattested):
            archive.ask(method, holder, record_id, export_id="nothing", **asked)


def blocked(archive: Archive, record_id: str, document_id: str) -> str:
    """A document becomes hidden from its holder, as documents tells it."""
    at = now()
    tell(archive.house, document_read(record_id, at=at, action="document.blocked", object_id=document_id))
    with archive.house.sessions["audit"].transaction() as session:
        event = received(DocumentBlocked(record_id, document_id, rfc3339(at)), "documents")
        archive.house.audit.on_document_blocked(session, event)
    return rfc3339(at)


def test_entries_on_a_blocked_document_are_not_in_it_and_it_is_whole_without_them(archive: Archive) -> None:
    holder, record_id = open_record(archive.house)
    document_id = new_id()
    tell(archive.house, document_read(record_id))
    tell(archive.house, document_read(record_id, object_id=document_id))
    before = shown(archive.lines(holder, record_id))
    since = blocked(archive, record_id, document_id)
    lines = archive.lines(holder, record_id)
    assert archive.verdict(lines).code == 0
    assert document_id not in "".join(lines)
    assert shown(lines) == before  # less the one about it, and with the export before
    at = now()
    tell(archive.house, document_read(record_id, at=at, action="document.released", object_id=document_id))
    with archive.house.sessions["audit"].transaction() as session:
        event = received(DocumentReleased(record_id, document_id, rfc3339(at), since), "documents")
        archive.house.audit.on_document_released(session, event)
    lines = archive.lines(holder, record_id)
    assert archive.verdict(lines).code == 0 and "".join(lines).count(document_id) == 3


def test_what_is_hidden_while_it_is_sent_is_not_in_it_any_more(archive: Archive) -> None:
    holder, record_id = open_record(archive.house)
    document_id = new_id()
    tell(archive.house, document_read(record_id, object_id=document_id))
    archive.seal()
    export_id = archive.begin(holder, record_id)
    archive.seal()
    stated = archive.ask("history_statement", holder, record_id, export_id=export_id)
    blocked(archive, record_id, document_id)
    asked = {"export_id": export_id, "after": -1}
    piece = archive.ask("history_lines", holder, record_id, **asked)
    assert document_id not in "".join(piece["lines"]) and piece["entries"] == stated["count"] - 1
    assert archive.verdict([stated["header"], *piece["lines"]]).code == 1  # the gateway breaks it off before its end


def test_an_export_of_the_day_before_is_over_and_forgotten(archive: Archive) -> None:
    holder, record_id = open_record(archive.house)
    archive.seal()
    old = archive.begin(holder, record_id)
    with archive.house.sessions["audit"].transaction() as session:
        session.execute(sa.text("update attestations set asked_at = now() - interval '25 hours'"))
    with pytest.raises(HistoryUnattested):
        archive.ask("history_page", holder, record_id, export_id=old)
    new = archive.begin(holder, record_id)
    with archive.house.sessions["audit"].transaction() as session:
        left = session.scalars(sa.text("select cast(attestation_id as text) from attestations")).all()
    assert left == [new]


def test_a_history_that_was_bent_is_not_exported(archive: Archive) -> None:
    holder, record_id = open_record(archive.house)
    tell(archive.house, document_read(record_id))
    archive.seal()
    with archive.house.sessions["audit"].transaction() as session:
        session.execute(sa.text("alter table entries disable trigger all"))
        session.execute(sa.text("update entries set ground = 'emergency' where record_id = :id"), {"id": record_id})
        session.execute(sa.text("alter table entries enable trigger all"))
    export_id = archive.begin(holder, record_id)
    archive.house.deliver()
    with pytest.raises(Refusal):
        while archive.notary.work() or archive.ask("history_statement", holder, record_id, export_id=export_id) is None:
            pass
