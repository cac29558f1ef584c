"""Two registrations of one person, merged by an agent and taken apart again, on the whole platform."""

from __future__ import annotations

from typing import Any

import psycopg2

from deploy.visitors import Visitor, wait_for
from services.db import new_id
from tests.builders import pdf
from tests.system.conftest import Village


def test_two_registrations_become_one_person_and_two_again(village: Village) -> None:
    one, two = village.patient(), village.patient()
    first, second = one.ids["record_id"], two.ids["record_id"]
    friend, barred = village.professional("doctor a"), village.professional("doctor b")
    for patient, record_id in ((one, first), (two, second)):
        patient.ask("PUT", f"/records/{record_id}/circle/{barred.ids['professional_id']}", json={"comment": None})
    two.ask("PUT", f"/records/{second}/circle/{friend.ids['professional_id']}", json={"comment": None})
    block(village, second, barred)
    bodies = {deposit(one, first): pdf(first), deposit(two, second): pdf(second)}
    mine, theirs = bodies
    assert friend.ask("GET", f"/records/{first}", expect=404)["type"] == "urn:dsp:problem:record_not_found"

    pair = {
        "survivor_id": one.ids["patient_id"],
        "merged_id": two.ids["patient_id"],
        "reason": "duplicate_registration",
    }
    one.ask("POST", "/agency/merges", json=pair, expect=403)
    merge = village.agent.ask("POST", "/agency/merges", json=pair, expect=201)
    assert village.agent.ask("POST", "/agency/merges", json=pair, expect=201)["merge_id"] == merge["merge_id"]
    crosswise = pair | {"survivor_id": pair["merged_id"], "merged_id": pair["survivor_id"]}
    refused = village.agent.ask("POST", "/agency/merges", json=crosswise, expect=409)
    assert refused["type"] == "urn:dsp:problem:already_merged"
    both = {pair["survivor_id"], pair["merged_id"]}

    for holder in (one, two):
        wait_for(lambda holder=holder: listed(holder, first) == set(bodies) or None, "both documents")
        assert [record["record_id"] for record in holder.ask("GET", "/records")["records"]] == [first]
        for document_id, body in bodies.items():
            assert holder.ask("GET", f"/documents/{document_id}/content") == body
        wait_for(lambda holder=holder: marks(holder, first) >= both or None, "both histories")
        assert holder.ask("GET", f"/records/{second}")["state"] == "closed"
    assert listed(friend, first) == set(bodies)
    for record_id in (first, second):
        assert barred.ask("GET", f"/records/{record_id}", expect=404)["type"] == "urn:dsp:problem:record_not_found"
    come_again(village)
    assert [listed(each, first) for each in (one, two, friend, barred)] == [set(bodies)] * 3 + [set()]
    found = village.agent.ask("GET", "/agency/merges")["merges"]
    [shown] = [each for each in found if each["merge_id"] == merge["merge_id"]]
    assert shown["undone_at"] is None and shown["name"]

    since = deposit(two, first)
    undone = village.agent.ask("POST", f"/agency/merges/{merge['merge_id']}/undoing")
    assert undone["undone_at"]
    village.agent.ask("POST", f"/agency/merges/{new_id()}/undoing", expect=404)
    wait_for(lambda: listed(two, second) == {theirs} or None, "the document back in its record")
    come_again(village)
    assert (listed(one, first), listed(two, second)) == ({mine, since}, {theirs})
    two.ask("GET", f"/records/{first}/documents", expect=404)
    assert two.ask("GET", f"/documents/{theirs}/content") == bodies[theirs]
    wait_for(lambda: marks(one, first) == {pair["survivor_id"]} or None, "a history of its own")
    by_both = {one.ids["patient_id"], two.ids["patient_id"]}  # while they were one, each opened what is the other's
    for holder, record_id, own in ((one, first, mine), (two, second, theirs)):
        assert opened(holder, record_id) == {(own, patient_id) for patient_id in by_both}
    assert friend.ask("GET", f"/records/{second}")["ground"] == "circle"
    friend.ask("GET", f"/records/{first}", expect=404)
    assert barred.ask("GET", f"/records/{first}")["ground"] == "circle"
    barred.ask("GET", f"/records/{second}", expect=404)


def deposit(who: Visitor, record_id: str) -> str:
    made = who.deposit(record_id, pdf(record_id), type="holder_expression", title="Mes souhaits")
    return str(made["document_id"])


def listed(who: Visitor, record_id: str) -> set[str]:
    answer = who.raw("GET", f"/records/{record_id}/documents")
    return {item["document_id"] for item in answer.json()["documents"]} if answer.ok else set()


def marks(who: Visitor, record_id: str) -> set[str]:
    """Who added to the circle, by a history: of the two records, each was given its circle by its own holder."""
    answer = who.raw("GET", f"/records/{record_id}/access-history?limit=100")
    entries: list[dict[str, Any]] = answer.json()["entries"] if answer.ok else []
    return {entry["patient_id"] for entry in entries if entry["action"] == "circle.added"}


def opened(who: Visitor, record_id: str) -> set[tuple[str, str]]:
    """Which documents were opened, and by which patients, by a history."""
    entries = who.ask("GET", f"/records/{record_id}/access-history?limit=100")["entries"]
    return {(each["object_id"], each["patient_id"]) for each in entries if each["action"] == "document.opened"}


def block(village: Village, record_id: str, who: Visitor) -> None:
    """The holder bars a professional; there is no page for it yet."""
    run(village, "dossier", "insert into blocklist (block_id, record_id, professional_id, since) values"
        " (gen_random_uuid(), %s, %s, now())", record_id, who.ids["professional_id"])  # fmt: skip


_LEFT = "select count(*) from inbox where state <> 'done' and type ~ 'merged'"


def come_again(village: Village) -> None:
    """Every event about merging that arrived so far is worked once more, wherever it went."""
    for service in ("dossier", "documents", "audit"):
        run(village, service, "update inbox set state = 'due', due_at = now() where state = 'done' and type ~ 'merged'")
        wait_for(lambda service=service: run(village, service, _LEFT) == 0 or None, "the end of the repetition")


def run(village: Village, service: str, statement: str, *values: str) -> Any:
    url = village.platform.settings(service).database_url.replace("+psycopg2", "")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0] if cursor.description else None
