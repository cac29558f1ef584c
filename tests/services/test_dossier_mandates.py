"""Presence codes and mandates over a real database: guesses, races, time, and who may end what."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import eventlet
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from services.db import new_id, now
from services.dossier import models, presence, presence_code
from services.refusals import InvalidInput, KeyReused, TooManyTries
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import WORDING, DossierHouse, refusal_code

WRONG = "AAAAAAAA"


# --- presence codes and mandates ----------------------------------------------------------------------------


def test_a_right_code_opens_a_mandate_of_24_hours_and_deposits_until_day_15(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    code, doctor = house.code(record_id), house.professional()
    mandate = house.enter(doctor, record_id, code.lower())
    start = datetime.fromisoformat(mandate["starts_at"])
    assert mandate["kind"] == "presence"
    assert datetime.fromisoformat(mandate["read_until"]) - start == timedelta(hours=24)
    assert datetime.fromisoformat(mandate["deposit_until"]) - start == timedelta(days=15)
    page = house.dossier.read_record(doctor, record_id=record_id)
    assert (page["ground"], page["access_until"], page["state"]) == ("presence", mandate["read_until"], None)
    [trace] = house.traces("mandate.opened")
    assert (trace["outcome"], trace["ground"], trace["rule"]) == ("allowed", "presence", "presence/24h")
    assert (trace["object_id"], trace["purpose"]) == (mandate["mandate_id"], WORDING)
    [told] = house.events("record_first_accessed_by.v1")
    assert told["patient_id"] == holder.patient_id
    assert [event["kind"] for event in house.events("mandate_opened.v1")] == ["presence"]


def test_after_24_hours_the_mandate_deposits_only_and_after_15_days_it_is_over(house: DossierHouse) -> None:
    _, record_id = house.holder()
    doctor = house.professional()
    mandate = house.enter(doctor, record_id, house.code(record_id))
    house.age_mandates(record_id, timedelta(hours=24))
    [clause] = house.scope(doctor, record_id).clauses
    assert (clause.rule, clause.read) == ("presence/deposit-only", ())
    assert "care_reports" in clause.deposit
    page = house.dossier.read_record(doctor, record_id=record_id)
    assert page["may_read"] == []
    assert page["access_until"] < mandate["deposit_until"]
    house.age_mandates(record_id, timedelta(days=14))
    assert house.scope(doctor, record_id).clauses == ()


def test_six_wrong_codes_leave_six_tries_and_six_traces_and_the_sixth_has_to_wait(house: DossierHouse) -> None:
    _, record_id = house.holder()
    code, doctor = house.code(record_id), house.professional()
    answers = [house.enter(doctor, record_id, WRONG) for _ in range(6)]
    assert [refusal_code(answer) for answer in answers] == ["presence_code_refused"] * 5 + ["too_many_tries"]
    assert 0 < answers[5].detail["retry_after"] <= 60
    assert sorted(row.outcome for row in house.rows(models.PresenceTry)) == ["put_off"] + ["wrong"] * 5
    reasons = [trace["reason"] for trace in house.traces("mandate.opened")]
    assert reasons == ["presence_code_refused"] * 5 + ["too_many_tries"]
    right = house.enter(doctor, record_id, code)
    assert isinstance(right, TooManyTries), "a right code is not looked at while the wait lasts"
    assert right.detail["retry_after"] > 60, "each try lengthens the wait"
    assert house.enter(house.professional(), record_id, code)["kind"] == "presence", "others are not locked out"


def test_after_the_wait_a_right_code_opens_and_forgives_the_tries_of_that_record(house: DossierHouse) -> None:
    _, record_id = house.holder()
    code, doctor = house.code(record_id), house.professional()
    for _ in range(6):
        house.enter(doctor, record_id, WRONG)
    with house.sessions.transaction() as session:
        session.execute(sa.update(models.PresenceTry).values(at=models.PresenceTry.at - timedelta(minutes=3)))
    assert house.enter(doctor, record_id, code)["kind"] == "presence"
    assert refusal_code(house.enter(doctor, record_id, WRONG)) == "presence_code_refused"


def test_a_try_is_forgotten_when_it_counts_no_more_and_not_before(house: DossierHouse) -> None:
    _, record_id = house.holder()
    hasty, long_ago = house.professional(), house.professional()
    for who in (*[hasty] * 6, long_ago):
        house.enter(who, record_id, WRONG)
    with house.sessions.transaction() as session:
        old = models.PresenceTry.at - presence.counted(now()) + timedelta(minutes=1)
        mine = models.PresenceTry.professional_id == long_ago.professional_id
        session.execute(sa.update(models.PresenceTry).where(mine).values(at=old))
        older = models.PresenceTry.at - timedelta(minutes=2)
    house.dossier.sweep()
    assert len(house.rows(models.PresenceTry)) == 7
    with house.sessions.transaction() as session:
        session.execute(sa.update(models.PresenceTry).where(mine).values(at=older))
    house.dossier.sweep()
    assert {row.professional_id for row in house.rows(models.PresenceTry)} == {hasty.professional_id}
    assert refusal_code(house.enter(hasty, record_id, WRONG)) == "too_many_tries"
    assert len(house.traces("mandate.opened")) == 8, "what happened stays in the history"


def test_an_unknown_record_slows_down_like_a_known_one(house: DossierHouse) -> None:
    doctor, unknown = house.professional(), new_id()
    answers = [house.enter(doctor, unknown, WRONG) for _ in range(6)]
    assert [refusal_code(answer) for answer in answers] == ["presence_code_refused"] * 5 + ["too_many_tries"]


def test_a_known_code_buys_no_guesses_on_other_records(house: DossierHouse) -> None:
    _, known = house.holder()
    code, doctor = house.code(known), house.professional()
    codes = [refusal_code(house.enter(doctor, new_id(), WRONG)) for _ in range(20)]
    assert set(codes) == {"presence_code_refused"}
    assert refusal_code(house.enter(doctor, known, code)) == "too_many_tries"


def test_every_reason_to_refuse_a_code_is_one_answer_and_one_hash(house: DossierHouse, hashes: list[bool]) -> None:
    _, record_id = house.holder()
    code = house.code(record_id)
    _, without_code = house.holder()
    _, not_yet_open = house.holder(activate=False)
    _, closed = house.holder()
    codes = {"not_yet_open": house.code(not_yet_open), "closed": house.code(closed)}
    house.set_state(closed, "closed")
    blocked, suspended = house.professional(), house.professional(licence="suspended")
    house.block(record_id, blocked)
    unannounced = builders.caller("professional")
    tries = [
        (house.professional(), record_id, WRONG),
        (house.professional(), new_id(), code),
        (house.professional(), "no id", code),
        (house.professional(), without_code, code),
        (house.professional(), not_yet_open, codes["not_yet_open"]),
        (house.professional(), closed, codes["closed"]),
        (blocked, record_id, code),
        (suspended, record_id, code),
        (unannounced, record_id, code),
    ]
    hashes.clear()
    answers = [house.enter(*each) for each in tries]
    assert {json.dumps(answer.to_wire()) for answer in answers} == {'{"code": "presence_code_refused", "detail": {}}'}
    assert len(hashes) == len(tries)
    assert {trace["reason"] for trace in house.traces("mandate.opened")} == {"presence_code_refused"}
    assert house.rows(models.Mandate) == []


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Each comparison with the real hasher, as it happens."""
    seen: list[bool] = []
    matches = presence_code.matches

    def counted(kept: str | None, entry: str) -> bool:
        seen.append(kept is not None)
        return matches(kept, entry)

    monkeypatch.setattr(presence_code, "matches", counted)
    return seen


def test_a_put_off_try_costs_no_hash(house: DossierHouse, hashes: list[bool]) -> None:
    doctor, unknown = house.professional(), new_id()
    for _ in range(7):
        house.enter(doctor, unknown, WRONG)
    assert len(hashes) == 5


@pytest.mark.parametrize("capacity", ["patient", "agent", "machine"])
def test_nobody_but_a_professional_enters_a_presence_code(house: DossierHouse, capacity: str) -> None:
    _, record_id = house.holder()
    code = house.code(record_id)
    assert refusal_code(house.enter(builders.caller(capacity), record_id, code)) == "not_allowed"
    assert house.rows(models.PresenceTry) == []
    assert len(house.traces("mandate.opened")) == 1


@pytest.mark.parametrize(
    "changes", [{"declaration_accepted": False}, {"wording_version": "my own words"}, {"presence_code": "  "}]
)
def test_a_code_is_not_looked_at_without_the_declaration(house: DossierHouse, changes: dict[str, Any]) -> None:
    _, record_id = house.holder()
    code = house.code(record_id)
    with pytest.raises(InvalidInput):
        house.enter(house.professional(), record_id, code, **changes)
    assert house.rows(models.PresenceTry) == []


def test_the_newest_letter_s_code_is_the_code(house: DossierHouse) -> None:
    _, record_id = house.holder()
    old, new = house.code(record_id), house.code(record_id)
    assert refusal_code(house.enter(house.professional(), record_id, old)) == "presence_code_refused"
    assert house.enter(house.professional(), record_id, new)["kind"] == "presence"


def test_the_same_letter_again_replaces_its_code_and_an_older_one_never_a_newer(house: DossierHouse) -> None:
    _, record_id = house.holder()
    letter = new_id()
    first, again = house.code(record_id, letter), house.code(record_id, letter)
    assert first != again
    assert refusal_code(house.enter(house.professional(), record_id, first)) == "presence_code_refused"
    assert house.enter(house.professional(), record_id, again)["kind"] == "presence"
    newer = house.code(record_id)
    late = house.code(record_id, letter)
    assert refusal_code(house.enter(house.professional(), record_id, late)) == "presence_code_refused"
    assert house.enter(house.professional(), record_id, newer)["kind"] == "presence"


def test_a_code_is_kept_as_a_salted_hash_and_stands_nowhere_else(house: DossierHouse) -> None:
    _, record_id = house.holder()
    code = house.code(record_id)
    house.enter(house.professional(), record_id, code)
    [kept] = house.rows(models.PresenceCode)
    assert kept.hash.startswith("$argon2id$")
    with house.sessions.transaction() as session:
        for table in [*models.metadata.tables, "outbox", "requests"]:
            text = session.execute(
                sa.text(f"select coalesce(string_agg(t::text, ' '), '') from {table} t")
            ).scalar_one()
            assert code not in text, table


def test_a_letter_of_an_unknown_or_deleted_record_gets_no_code(house: DossierHouse) -> None:
    _, record_id = house.holder()
    house.set_state(record_id, "deleted")
    context = builders.context("notifications")
    for each in (record_id, new_id()):
        answer = house.dossier.issue_presence_code(context, letter_id=new_id(), record_id=each)
        assert refusal_code(answer) == "record_not_found"


def test_a_wrong_code_is_told_to_the_holder_and_one_on_an_unknown_record_to_nobody(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.enter(doctor, record_id, WRONG)
    house.enter(doctor, new_id(), WRONG)
    [tried] = house.events("presence_code_tried.v1")
    assert (tried["patient_id"], tried["professional_id"]) == (holder.patient_id, doctor.professional_id)


def test_the_same_request_opens_one_mandate_and_gets_its_first_answer(house: DossierHouse) -> None:
    _, record_id = house.holder()
    code, doctor = house.code(record_id), house.professional()
    doctor = replace(doctor, context=builders.context(idempotency_key="visit-1"))
    first = house.enter(doctor, record_id, code)
    assert house.enter(doctor, record_id, code) == first
    assert len(house.rows(models.PresenceTry)) == 1
    with pytest.raises(KeyReused):
        house.enter(doctor, new_id(), code)


def test_a_refused_try_is_not_remembered_as_the_answer(house: DossierHouse) -> None:
    _, record_id = house.holder()
    code, doctor = house.code(record_id), house.professional()
    doctor = replace(doctor, context=builders.context(idempotency_key="visit-2"))
    assert refusal_code(house.enter(doctor, record_id, WRONG)) == "presence_code_refused"
    assert house.enter(doctor, record_id, code)["kind"] == "presence"


def test_a_right_code_entered_again_gives_the_mandate_that_runs(house: DossierHouse) -> None:
    _, record_id = house.holder()
    code, doctor = house.code(record_id), house.professional()
    first = house.enter(doctor, record_id, code)
    assert house.enter(doctor, record_id, code) == first
    assert len(house.events("mandate_opened.v1")) == 1
    house.age_mandates(record_id, timedelta(hours=24))
    assert house.enter(doctor, record_id, code)["mandate_id"] != first["mandate_id"]


def test_right_codes_entered_at_once_open_one_mandate(house: DossierHouse) -> None:
    _, record_id = house.holder()
    code, doctor = house.code(record_id), house.professional()
    answers = list(eventlet.GreenPool().imap(lambda _: house.enter(doctor, record_id, code), range(4)))
    assert len({answer["mandate_id"] for answer in answers}) == 1
    assert len(house.rows(models.Mandate)) == 1
    assert len(house.events("record_first_accessed_by.v1")) == 1


def test_two_replicas_that_settle_right_codes_at_once_open_one_mandate(house: DossierHouse) -> None:
    _, record_id = house.holder()
    house.code(record_id)
    doctor = house.professional()
    noted = [note(house, doctor, record_id), note(house, doctor, record_id)]
    first_has_settled, commit_first = threading.Event(), threading.Event()

    def settle(tried: Any, first: bool) -> Any:
        with house.sessions.transaction(doctor) as session:
            answer = presence.settle_try(session, doctor, record_id, tried, True, WORDING, datetime.now(UTC))
            if first:
                first_has_settled.set()
                assert commit_first.wait(10)
            return answer

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(settle, noted[0], True)
        assert first_has_settled.wait(10)
        two = threads.submit(settle, noted[1], False)
        time.sleep(0.3)
        assert not two.done(), "the second waits for the first"
        commit_first.set()
        assert one.result(10) == two.result(10)
    assert len(house.rows(models.Mandate)) == 1


def note(house: DossierHouse, doctor: Caller, record_id: str) -> Any:
    with house.sessions.transaction(doctor) as session:
        return presence.note_try(session, doctor, str(doctor.professional_id), record_id, datetime.now(UTC))


def test_tries_made_at_once_are_all_counted_before_any_is_looked_at(house: DossierHouse) -> None:
    _, record_id = house.holder()
    doctor = house.professional()
    with ThreadPoolExecutor(10) as threads:
        noted = list(threads.map(lambda _: note(house, doctor, record_id), range(20)))
    assert len([each for each in noted if isinstance(each, presence.Try)]) == 5
    assert len(house.rows(models.PresenceTry)) == 20


def test_a_code_regenerated_while_it_was_compared_opens_nothing(house: DossierHouse) -> None:
    _, record_id = house.holder()
    house.code(record_id)
    doctor = house.professional()
    tried = note(house, doctor, record_id)
    house.code(record_id)
    with house.sessions.transaction(doctor) as session:
        answer = presence.settle_try(session, doctor, record_id, tried, True, WORDING, datetime.now(UTC))
    assert refusal_code(answer) == "presence_code_refused"


def test_hashing_leaves_the_event_loop_free(house: DossierHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    dear = PasswordHasher(time_cost=4, memory_cost=46 * 1024, parallelism=1)
    monkeypatch.setattr(presence_code, "_HASHER", dear)
    monkeypatch.setattr(presence_code, "_NO_CODE", dear.hash(presence_code.draw()))
    doctor, beats = house.professional(), []

    def beat() -> None:
        while True:
            beats.append(time.monotonic())
            eventlet.sleep(0.002)

    heart = eventlet.spawn(beat)
    house.enter(doctor, new_id(), WRONG)
    heart.kill()
    assert len(beats) >= 5


def test_the_holder_ends_a_mandate_and_the_ground_ends_with_the_answer(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    mandate = house.enter(doctor, record_id, house.code(record_id))
    ended = house.dossier.end_mandate(holder, record_id=record_id, mandate_id=mandate["mandate_id"])
    assert house.scope(doctor, record_id).clauses == ()
    assert refusal_code(house.dossier.read_record(doctor, record_id=record_id)) == "record_not_found"
    again = house.dossier.end_mandate(holder, record_id=record_id, mandate_id=mandate["mandate_id"])
    assert again == ended
    assert len(house.events("mandate_ended.v1")) == 1
    assert [trace["outcome"] for trace in house.traces("mandate.ended")] == ["allowed", "allowed"]


def test_nobody_but_the_holder_ends_a_mandate(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    mandate = house.enter(doctor, record_id, house.code(record_id))
    for caller in (doctor, house.professional(), builders.caller("patient"), house.agent):
        answer = house.dossier.end_mandate(caller, record_id=record_id, mandate_id=mandate["mandate_id"])
        assert refusal_code(answer) == "record_not_found"
    assert house.scope(doctor, record_id).clauses
    assert (
        refusal_code(house.dossier.end_mandate(holder, record_id=record_id, mandate_id=new_id())) == "mandate_not_found"
    )


def test_a_holder_cannot_end_a_mandate_of_another_record_through_their_own(house: DossierHouse) -> None:
    _, record_id = house.holder()
    other, others_record = house.holder()
    doctor = house.professional()
    mandate = house.enter(doctor, record_id, house.code(record_id))
    answer = house.dossier.end_mandate(other, record_id=others_record, mandate_id=mandate["mandate_id"])
    assert refusal_code(answer) == "mandate_not_found"
    assert house.scope(doctor, record_id).clauses


def test_the_holder_lists_all_mandates_and_a_professional_their_own(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    code, one, two = house.code(record_id), house.professional(), house.professional()
    for doctor in (one, two):
        house.enter(doctor, record_id, code)
    assert len(house.dossier.list_mandates(holder, record_id=record_id)["mandates"]) == 2
    [own] = house.dossier.list_mandates(one, record_id=record_id)["mandates"]
    assert (own["professional_id"], own["ended_at"]) == (one.professional_id, None)
    assert refusal_code(house.dossier.list_mandates(house.professional(), record_id=record_id)) == "record_not_found"


def test_a_mandate_of_one_record_opens_no_other(house: DossierHouse) -> None:
    _, record_id = house.holder()
    _, other = house.holder()
    doctor = house.professional()
    house.enter(doctor, record_id, house.code(record_id))
    assert house.scope(doctor, other).clauses == ()


def test_a_presence_mandate_reads_no_confidential_document(house: DossierHouse) -> None:
    _, record_id = house.holder()
    pharmacist = house.professional("pharmacist")
    house.enter(pharmacist, record_id, house.code(record_id))
    found = house.scope(pharmacist, record_id)
    assert found.reading_clause("laboratory", "standard")
    assert found.reading_clause("laboratory", "confidential") is None
    assert found.reading_clause("summaries", "standard") is None
    assert not any("laboratory" in clause.deposit for clause in found.clauses)
