"""Opposing a record with the letter's code: before it is active, never after, and nobody learns anything from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.dossier import models as dossier_models
from services.identity.contract import (
    ActivationComplete,
    ActivationNotFound,
    ActivationRefused,
    OppositionReceived,
)
from services.identity.models import Activation, ActivationLetter, Contact, TriesRow
from services.refusals import InvalidInput, TooManyTries
from tests.builders import context
from tests.services.identity_house import (
    AGENT,
    KEY,
    Front,
    Person,
    counting,
    identity_house,
    refused,
    trace_left,
)


@pytest.fixture(scope="module")
def town(database: Callable[[str], str]) -> Iterator[Front]:
    """identity, directory and dossier: people with a letter have a record, too."""
    house = identity_house(database, "dossier")
    yield Front(house)
    house.close()


def oppose(town: Front, who: Person, code: str, **changes: Any) -> OppositionReceived:
    """The person, at their own keyboard."""
    answer: OppositionReceived = town.ask(
        "oppose_record", who.at(**changes), matricule=who.matricule, activation_code=code
    )
    return answer


def record_of(town: Front, who: Person) -> str:
    opened = town.house.ask("dossier", "open_record", AGENT, patient_id=who.patient_id)
    town.house.deliver()
    return str(opened["record_id"])


def state(town: Front, record_id: str) -> str:
    with town.house.sessions["dossier"].transaction() as session:
        asked = sa.select(dossier_models.Record.state).where(dossier_models.Record.record_id == record_id)
        return str(session.scalar(asked))


def opposed(town: Front, who: Person) -> list[dict[str, Any]]:
    return [event for event in town.events("record_opposed.v1") if event["patient_id"] == who.patient_id]


# --- what it does -----------------------------------------------------------------------------------------------------


def test_the_letters_code_deletes_the_record_before_it_is_active(town: Front) -> None:
    who = town.patient()
    record_id, code = record_of(town, who), town.letter(who)
    answer = oppose(town, who, code)
    assert opposed(town, who) == [{"patient_id": who.patient_id, "at": answer["received_at"]}]
    town.house.deliver()
    assert state(town, record_id) == "deleted"
    refused(ActivationRefused, lambda: town.begin(who, code))


def test_an_active_record_is_not_deleted_with_the_letter_that_made_it_active(town: Front) -> None:
    who = town.patient()
    record_id, code = record_of(town, who), town.letter(who)
    town.activate(who, code=code)
    town.house.deliver()
    refused(ActivationRefused, lambda: oppose(town, who, code))
    refused(ActivationRefused, lambda: oppose(town, who, town.letter(who)))
    refused(ActivationRefused, lambda: oppose(town, who, town.letter(who, purpose="recovery")))
    assert opposed(town, who) == []
    town.house.deliver()
    assert state(town, record_id) == "active"


def test_what_was_begun_with_the_letter_ends_with_all_it_had_gathered(town: Front) -> None:
    who, other = town.patient(), town.patient()
    code, others = town.letter(who), town.begin(other, town.letter(other))
    run = town.begin(who, code)
    town.walk(run, who, "contact")
    town.prove(run, who.email)
    oppose(town, who, code)
    refused(ActivationNotFound, lambda: town.choose(run))
    for table in (Activation, Contact):
        asked = sa.select(sa.func.count()).select_from(table).where(table.activation_id == run["activation_id"])
        assert town.one(asked) == 0
    assert town.ask("activation_state", context(), **others)["next"] == "personal_data", "its twin goes on"


def test_a_new_letter_after_it_begins_a_new_life(town: Front) -> None:
    who = town.patient()
    record_of(town, who)
    oppose(town, who, town.letter(who))
    town.house.deliver()
    second = record_of(town, who)
    town.activate(who)
    town.house.deliver()
    assert state(town, second) == "active"


def test_a_repeat_gets_the_first_answer_and_tells_nobody_twice(town: Front) -> None:
    who = town.patient()
    code = town.letter(who)
    first = oppose(town, who, code)
    assert oppose(town, who, code) == first
    assert len(opposed(town, who)) == 1
    refused(ActivationRefused, lambda: oppose(town, who, town.letter(town.patient())))


def test_of_many_at_once_one_opposes_and_all_get_its_answer(town: Front) -> None:
    who = town.patient()
    code = town.letter(who)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: oppose(town, who, code), range(4)))
    assert len({answer["received_at"] for answer in answers}) == 1
    assert len(opposed(town, who)) == 1


def test_of_an_opposition_and_the_last_step_of_an_activation_one_wins(town: Front) -> None:
    for _ in range(4):
        who = town.patient()
        record_of(town, who)
        code = town.letter(who)
        run = town.begin(who, code)
        town.walk(run, who, "password")

        def try_it(do: Callable[[], Any]) -> bool:
            try:
                do()
            except (ActivationRefused, ActivationNotFound, ActivationComplete):
                return False
            return True

        def choose(run: dict[str, str] = run) -> Any:
            return town.choose(run)

        def go(who: Person = who, code: str = code) -> Any:
            return oppose(town, who, code)

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(try_it, (choose, go)))
        activated = [one for one in town.events("account_activated.v1") if one["patient_id"] == who.patient_id]
        assert sorted(done) == [False, True]
        assert (len(activated), len(opposed(town, who))) == ((1, 0) if done[0] else (0, 1))


# --- what nobody learns -----------------------------------------------------------------------------------------------


def test_every_wrong_opposition_is_refused_alike_at_the_price_of_one_hash(town: Front) -> None:
    activated, expired, replaced, used, doctor = (town.patient() for _ in range(5))
    record_of(town, activated)
    spent = town.letter(activated)
    town.activate(activated, code=spent)
    late = town.letter(expired)
    town.change(sa.update(ActivationLetter).where(ActivationLetter.subject_id == expired.patient_id)
                .values(expires_at=now()))  # fmt: skip
    older, newer = town.letter(replaced), town.letter(replaced)
    town.professional(doctor)
    professional = town.letter(doctor, "professional")
    stranger, typo = town.person(), replace(used)
    typo.matricule = used.matricule[:12] + str((int(used.matricule[12]) + 1) % 10)
    cases = [(stranger, newer), (used, newer), (activated, spent), (expired, late), (replaced, older), (typo, newer),
             (doctor, professional), (used, "nonsense"), (used, ""), (stranger, "X" * 500)]  # fmt: skip
    for who, code in cases:

        def attempt(who: Person = who, code: str = code) -> Any:
            return town.ask("oppose_record", town.person().at(), matricule=who.matricule, activation_code=code)

        assert refused(ActivationRefused, attempt).to_wire() == {"code": "activation_refused", "detail": {}}
        assert counting(town, attempt) == 1
    assert oppose(town, replaced, newer), "their right twin"
    assert counting(town, lambda: oppose(town, replaced, newer)) == 1


def test_what_is_no_matricule_is_refused_before_anything_is_looked_at(town: Front) -> None:
    who = town.patient()
    who.matricule = "12345"
    refused(InvalidInput, lambda: oppose(town, who, "P7KQ-4MXT-9RWB"))


def test_oppositions_and_activations_share_their_tries(town: Front) -> None:
    who = town.patient()
    code, wrong = town.letter(who), town.letter(town.patient())
    for _ in range(3):
        refused(ActivationRefused, lambda: oppose(town, who, wrong))
    for _ in range(2):
        refused(ActivationRefused, lambda: town.begin(who, wrong))
    refused(TooManyTries, lambda: oppose(town, who, code))
    refused(TooManyTries, lambda: town.begin(who, code))
    key = KEY.throttle_key("activation", KEY.log_in_name(who.matricule).hex(), who.address)
    assert town.one(sa.select(TriesRow.tries).where(TriesRow.key == key)) == 7
    traces = town.traces(who.address, "record.opposed")
    assert Counter(trace["reason"] for trace in traces) == {"activation_refused": 3, "too_many_tries": 1}


def test_every_answer_leaves_one_trace_without_a_record(town: Front) -> None:
    who = town.patient()
    code = town.letter(who)
    for do in (lambda: oppose(town, who, "P7KQ-4MXT-9RWB"), lambda: oppose(town, who, code)):
        trace = trace_left(town, do)
        assert (trace["action"], trace["patient_id"], trace["record_id"]) == ("record.opposed", who.patient_id, None)
    assert trace["purpose"] == "online"


# --- by post and at the helpdesk --------------------------------------------------------------------------------------


def test_an_opposition_at_the_agency_ends_the_letter_that_is_out(town: Front) -> None:
    who, other = town.patient(), town.patient()
    record_id, code = record_of(town, who), town.letter(who)
    others = town.letter(other)
    run = town.begin(who, code)
    town.house.ask("dossier", "oppose_record", AGENT, record_id=record_id, received_by="post")
    town.house.deliver()
    refused(ActivationNotFound, lambda: town.ask("activation_state", context(), **run))
    refused(ActivationRefused, lambda: town.begin(who, code))
    refused(ActivationRefused, lambda: oppose(town, who, code))
    assert town.begin(other, others), "its twin"


def test_a_closing_leaves_letters_alone_and_a_letter_sent_after_an_opposition_holds(town: Front) -> None:
    who = town.patient()
    record_id, code = record_of(town, who), town.letter(who)
    town.house.ask("dossier", "close_record_by_agency", AGENT, record_id=record_id, cause="agency_request")
    town.house.deliver()
    assert town.begin(who, code)
    again = town.patient()
    opposed_record = record_of(town, again)
    town.house.ask("dossier", "oppose_record", AGENT, record_id=opposed_record, received_by="helpdesk")
    later = town.letter(again, letter_id=new_id())
    town.house.deliver()
    assert town.begin(again, later), "the news came after the new letter"
