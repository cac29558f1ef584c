"""Removal by the agency: two agents, nothing left but a tombstone, and the proof that the last byte is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.documents import models_care, models_reading
from services.documents.contract import (
    BytesDestroyed,
    DocumentNotFound,
    DocumentRemoved,
    RemovalDecided,
    RemovalNotFound,
    RemovalUnderWay,
    SecondAgentNeeded,
    UploadExpired,
)
from services.documents.models import metadata
from services.documents.ports.blobs import Blobs
from services.refusals import InvalidInput, NotAllowed, Refusal, Unavailable
from services.tokens import Caller
from tests.builders import caller, pdf
from tests.services.ward import Ward, at_once

TABLES = (models_care, models_reading)  # importing them is what adds their tables
TITLE = "Compte rendu Zirkumflex"
INSIDE = "Quintessenz"


@pytest.fixture(autouse=True)
def nothing_else_ends(ward: Ward) -> None:
    """What other tests of the house left to be destroyed is not waited for."""
    ward.sql("delete from condemned")
    ward.sql("update removals set state = 'refused' where state in ('asked', 'approved')")


def asked(ward: Ward, agent: Caller, document_id: str, **changes: Any) -> Any:
    said = {"cause": "wrong_patient", "reason": "Demande écrite du 3 mars", **changes}
    return ward.ask("ask_removal", agent, document_id=document_id, **said)


def removed(ward: Ward, document_id: str) -> str:
    """A document that two agents removed; its bytes still have to go."""
    first, second = caller("agent"), caller("agent")
    removal_id = str(asked(ward, first, document_id)["removal_id"])
    assert ward.ask("approve_removal", second, removal_id=removal_id)["state"] == "approved"
    return removal_id


def version(ward: Ward, who: Caller, document_id: str) -> Any:
    """The upload of a document's next version, begun."""
    said = {"document_id": document_id, "version": None, "gateway_key": ward.gateway.public}
    return ward.ask("prepare_version", who, **said)


def objects_of(ward: Ward, document_id: str) -> list[str]:
    rows = ward.sql(
        "select content_id from versions where document_id = :id union select rendition_id from renditions"
        " where content_id in (select content_id from versions where document_id = :id)", id=document_id,
    )  # fmt: skip
    return [str(row[0]) for row in rows]


def destroyed(ward: Ward) -> int:
    """The background step."""
    return int(ward.house.documents._destroy_condemned(now()))


def texts_anywhere(ward: Ward, needle: str) -> list[str]:
    """The tables of documents in which these words still stand, however they are kept."""
    found = []
    for table in metadata.sorted_tables:
        columns = [c.name for c in table.columns if not isinstance(c.type, sa.LargeBinary)]
        words = " || ' ' || ".join(f"coalesce(cast({name} as text), '')" for name in columns)
        if ward.sql(f"select 1 from {table.name} where {words} ilike :needle limit 1", needle=f"%{needle}%"):
            found.append(table.name)
    return found


def test_a_document_is_removed_when_another_agent_approves(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    removal_id = removed(ward, document_id)
    for who in (doctor, ward.holder):
        assert ward.listed(who) == []
        with pytest.raises(Refusal):
            ward.read(who, document_id)
    told = ward.ask("read_removal", caller("agent"), removal_id=removal_id)
    assert (told["state"], told["cause"], told["document_id"]) == ("approved", "wrong_patient", document_id)
    [event] = ward.events(DocumentRemoved)
    assert (event["document_id"], event["cause"]) == (document_id, "request")
    assert event["author_id"] == doctor.professional_id
    [trace] = ward.traces("document.removed")
    assert (trace["record_id"], trace["object_id"]) == (ward.record_id, document_id)


def test_who_asked_does_not_decide_and_the_document_stays(ward: Ward) -> None:
    agent, document_id = caller("agent"), ward.deposit(ward.present())
    removal_id = asked(ward, agent, document_id)["removal_id"]
    for method in ("approve_removal", "refuse_removal"):
        with pytest.raises(SecondAgentNeeded):
            ward.ask(method, agent, removal_id=removal_id)
    assert ward.listed(ward.holder) == [document_id]
    assert [trace["reason"] for trace in ward.traces("removal.approved")] == ["second_agent_needed"]


def test_a_refused_removal_leaves_the_document_and_may_be_asked_for_again(ward: Ward) -> None:
    agent, document_id = caller("agent"), ward.deposit(ward.present())
    removal_id = asked(ward, agent, document_id)["removal_id"]
    with pytest.raises(RemovalUnderWay):
        asked(ward, caller("agent"), document_id)
    assert ward.ask("refuse_removal", caller("agent"), removal_id=removal_id)["state"] == "refused"
    with pytest.raises(RemovalDecided):
        ward.ask("approve_removal", caller("agent"), removal_id=removal_id)
    assert ward.listed(ward.holder) == [document_id]
    assert asked(ward, agent, document_id)["state"] == "asked"


def test_nobody_but_agents_asks_reads_or_decides(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    removal_id = asked(ward, caller("agent"), document_id)["removal_id"]
    for who in (ward.holder, ward.present(), caller("machine")):
        with pytest.raises((NotAllowed, Refusal)):
            asked(ward, who, document_id)
        for method in ("read_removal", "approve_removal", "refuse_removal"):
            with pytest.raises(Refusal):
                ward.ask(method, who, removal_id=removal_id)
        with pytest.raises(Refusal):
            ward.ask("list_removals", who)
    assert ward.listed(ward.holder) == [document_id]


def test_what_is_unknown_or_gone_cannot_be_removed(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    removed(ward, document_id)
    for unknown in (document_id, new_id(), "x"):
        with pytest.raises(DocumentNotFound):
            asked(ward, caller("agent"), unknown)
    with pytest.raises(RemovalNotFound):
        ward.ask("approve_removal", caller("agent"), removal_id=new_id())


@pytest.mark.parametrize("said", [{"cause": "because"}, {"reason": " "}, {"reason": "x" * 501}])
def test_a_removal_has_a_cause_and_a_reason(ward: Ward, said: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        asked(ward, caller("agent"), ward.deposit(ward.present()), **said)


def test_agents_list_removals_a_page_at_a_time(ward: Ward) -> None:
    ward.sql("delete from removals")
    made = [asked(ward, caller("agent"), ward.deposit(ward.present()))["removal_id"] for _ in range(3)]
    agent, seen, cursor = caller("agent"), [], None
    while True:
        page = ward.ask("list_removals", agent, state="asked", limit=2, cursor=cursor)
        seen += [each["removal_id"] for each in page["removals"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    assert ward.ask("list_removals", agent, state="refused")["removals"] == []


def test_every_object_goes_and_the_proof_counts_them(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    names = objects_of(ward, document_id)
    assert all(ward.house.documents.blobs.stored(name) for name in names)
    removal_id = removed(ward, document_id)
    assert ward.events(BytesDestroyed) == []
    assert destroyed(ward) == len(names) and destroyed(ward) == 0
    assert not any(ward.house.documents.blobs.stored(name) for name in names)
    [event] = ward.events(BytesDestroyed)
    [proof] = ward.traces("document.destroyed")
    assert (event["document_id"], event["objects"], proof["count"]) == (document_id, len(names), len(names))
    told = ward.ask("read_removal", caller("agent"), removal_id=removal_id)
    assert (told["state"], told["objects"]) == ("destroyed", len(names)) and told["destroyed_at"]


def test_nothing_that_was_said_or_read_of_it_stays_in_the_database(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor, pdf(INSIDE), title=TITLE, language="fr")
    binder = ward.ask("create_binder", doctor, record_id=ward.record_id, name="Cœur")["binder_id"]
    ward.ask("fill_binder", doctor, binder_id=binder, document_id=document_id)
    ward.read(ward.holder, document_id)
    assert texts_anywhere(ward, "Zirkumflex") and texts_anywhere(ward, INSIDE)
    removed(ward, document_id)
    assert (texts_anywhere(ward, "Zirkumflex"), texts_anywhere(ward, INSIDE)) == ([], [])
    for table in ("binder_documents", "readings", "texts", "entries", "images"):
        assert ward.sql(f"select 1 from {table} where document_id = :id", id=document_id) == []
    [row] = ward.sql("select state, title, removed_at from documents where document_id = :id", id=document_id)
    assert (row.state, row.title) == ("removed", "") and row.removed_at
    [row] = ward.sql("select wrapped_key, sha256 from versions where document_id = :id", id=document_id)
    assert (bytes(row.wrapped_key), bytes(row.sha256)) == (b"", bytes(32))


def test_a_document_beside_it_stays_whole(ward: Ward) -> None:
    doctor, data = ward.present(), pdf("daneben")
    gone, stays = ward.deposit(doctor, pdf("weg")), ward.deposit(doctor, data, title=TITLE)
    removed(ward, gone)
    destroyed(ward)
    assert ward.read(ward.holder, stays) == data and texts_anywhere(ward, "Zirkumflex")


def test_bytes_that_are_on_their_way_to_it_are_refused(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    started = version(ward, doctor, document_id)
    ward.put(started, pdf("neu"))
    removed(ward, document_id)
    with pytest.raises(Refusal):
        ward.commit(doctor, started, pdf("neu"))
    with pytest.raises(UploadExpired):
        ward.ask("start_upload", doctor, upload_id=started["upload_id"], gateway_key=ward.gateway.public)
    with pytest.raises(Refusal):
        version(ward, doctor, document_id)
    assert len(ward.sql("select 1 from versions where document_id = :id", id=document_id)) == 1


def test_a_close_look_that_comes_late_brings_nothing_back(ward: Ward) -> None:
    doctor, data = ward.present(), pdf(INSIDE)
    started = ward.prepare(doctor, title=TITLE)
    ward.put(started, data)
    document_id = ward.commit(doctor, started, data)["document_id"]
    removed(ward, document_id)
    ward.examine()
    assert texts_anywhere(ward, INSIDE) == [] and ward.listed(ward.holder) == [] == ward.listed(doctor)


def test_of_two_agents_at_once_one_decides(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    removal_id = asked(ward, caller("agent"), document_id)["removal_id"]
    agents = [caller("agent") for _ in range(4)]
    answers = at_once(4, lambda n: ward.ask("approve_removal", agents[n], removal_id=removal_id))
    assert sum(isinstance(each, RemovalDecided) for each in answers) == 3
    assert len(ward.events(DocumentRemoved)) == 1 == len(ward.traces("document.removed"))


def test_the_same_request_again_asks_and_removes_once(ward: Ward) -> None:
    document_id, agent, other = ward.deposit(ward.present()), caller("agent"), caller("agent")
    agent = replace(agent, context=replace(agent.context, idempotency_key="a"))
    other = replace(other, context=replace(other.context, idempotency_key="b"))
    first, again = asked(ward, agent, document_id), asked(ward, agent, document_id)
    assert first == again
    ways = [ward.ask("approve_removal", other, removal_id=first["removal_id"]) for _ in range(2)]
    assert ways[0] == ways[1] and len(ward.events(DocumentRemoved)) == 1


class Failing:
    """A store that fails at the n-th object, as one does that is killed there."""

    def __init__(self, blobs: Blobs, at: int) -> None:
        self._blobs, self._left = blobs, at

    def remove(self, name: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise Unavailable(service="object_store")
        self._blobs.remove(name)


def test_destruction_goes_on_where_it_was_broken_off(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    names, blobs = objects_of(ward, document_id), ward.house.documents.blobs
    removed(ward, document_id)
    ward.house.documents.blobs = Failing(blobs, len(names) - 1)
    assert destroyed(ward) == len(names) - 1
    assert ward.events(BytesDestroyed) == []
    ward.house.documents.blobs = blobs
    assert destroyed(ward) == 1
    [event] = ward.events(BytesDestroyed)
    assert event["objects"] == len(names) and not any(blobs.stored(name) for name in names)


def test_two_replicas_destroy_and_prove_once(ward: Ward) -> None:
    documents = [ward.deposit(ward.present()) for _ in range(3)]
    for document_id in documents:
        removed(ward, document_id)
    at_once(3, lambda _: destroyed(ward))
    assert sorted(each["document_id"] for each in ward.events(BytesDestroyed)) == sorted(documents)


def test_bytes_that_two_versions_share_are_counted_and_removed_once(ward: Ward) -> None:
    doctor = ward.present()
    document_id, second = ward.deposit(doctor), pdf("zwei")
    first = ward.ask("read_document", doctor, document_id=document_id)["version_id"]
    started = version(ward, doctor, document_id)
    ward.put(started, second)
    ward.commit(doctor, started, second)
    ward.examine()
    ward.ask("restore_version", doctor, document_id=document_id, version_id=first, version=None)
    ward.examine()
    assert len(ward.sql("select 1 from versions where document_id = :id", id=document_id)) == 3
    names = objects_of(ward, document_id)
    removed(ward, document_id)
    assert destroyed(ward) == len(names)
    assert ward.events(BytesDestroyed)[0]["objects"] == len(names)
    assert not any(ward.house.documents.blobs.stored(name) for name in names)


def test_what_was_hidden_from_the_holder_side_is_told_as_hidden(ward: Ward) -> None:
    doctor = ward.present()
    shown, blocked = ward.deposit(doctor), ward.deposit(doctor)
    ward.block(doctor, blocked)
    for document_id in (shown, blocked):
        removed(ward, document_id)
    assert {e["document_id"]: e["hidden"] for e in ward.events(DocumentRemoved)} == {shown: None, blocked: "blocked"}
