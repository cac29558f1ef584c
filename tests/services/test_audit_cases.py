""" "I do not recognise this": cases over real databases, from the history to the answer, and who never hears of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.audit import store, store_retention
from services.audit.contract import CaseAnswered
from services.audit.models_cases import Case
from services.db import new_id, now, rfc3339
from services.documents.contract import DocumentBlocked, DocumentReleased
from services.dossier.contract import RecordsMerged
from services.dossier.models_entourage import Assistant, Representative
from services.refusals import InvalidInput, KeyReused
from services.tokens import Caller
from tests.builders import caller, context
from tests.services.oversight_house import OversightHouse, officer, refusal_code, rules_of
from tests.services.test_audit import AGENT, open_record, received

ANSWER = {"verdict": "justified", "answer": "Une remplaçante du cabinet."}
DAY = timedelta(days=1)
QUESTION = "Je ne connais pas cette personne."


@pytest.fixture(scope="module")
def house(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OversightHouse]:
    made = OversightHouse(database, Path(tmp_path_factory.mktemp("witness")))
    yield made
    made.close()


class Scene:
    """A record, its holder, and an access that the holder does not recognise."""

    def __init__(self, house: OversightHouse) -> None:
        self.house = house
        self.holder, self.record_id = open_record(house)
        self.stranger = caller("professional")
        self.document_id = new_id()
        self.entry_id = house.came(
            self.stranger, self.record_id, object_id=self.document_id, object_type="document"
        ).trace_id  # fmt: skip
        house.deliver()

    def open(self, who: Caller | None = None, **changes: Any) -> Any:
        given = {"record_id": self.record_id, "entry_id": self.entry_id, "comment": QUESTION}
        return self.house.audit.open_case(who or self.holder, **(given | changes))

    def cases(self, who: Caller | None = None) -> list[dict[str, Any]]:
        answer = self.house.audit.list_cases(who or self.holder, record_id=self.record_id)
        assert isinstance(answer, dict), answer
        return list(answer["cases"])

    def answered(self, case_id: str) -> Any:
        me = officer()
        self.house.audit.take_case(me, case_id=case_id)
        return self.house.audit.answer_case(me, case_id=case_id, **ANSWER)

    def told(self) -> list[dict[str, Any]]:
        """The answers that audit has told of in this record."""
        told = [event["data"] for event in self.house.events("audit") if event["type"] == CaseAnswered.type]
        return [each for each in told if each["record_id"] == self.record_id]

    def traces(self) -> list[dict[str, Any]]:
        return [trace for trace in self.house.traces() if trace["action"].startswith("case.")]

    def hide(self, kind: str, *, over: bool = False) -> None:
        with self.house.sessions["audit"].transaction() as session:
            since = now() - timedelta(minutes=1)
            store.note_hidden(session, self.document_id, kind, since, now() if over else None)

    def representative(self) -> Caller:
        """A parent, in force."""
        person = caller("patient")
        return self._beside(person, Representative(
            representative_id=new_id(), record_id=self.record_id, patient_id=person.patient_id, kind="parent",
            proof="x", since=now() - DAY, until=now() + DAY, until_cause="time", recorded_by=new_id(),
        ))  # fmt: skip

    def assistant(self) -> Caller:
        """Somebody who was invited, and accepted."""
        person = caller("patient")
        return self._beside(person, Assistant(
            assistant_id=new_id(), record_id=self.record_id, patient_id=person.patient_id, name="x",
            invited_by=new_id(), invited_at=now() - DAY, code_until=now() + DAY, accepted_at=now() - DAY,
        ))  # fmt: skip

    def _beside(self, person: Caller, row: Any) -> Caller:
        with self.house.sessions["dossier"].transaction() as session:
            session.add(row)
        return person


@pytest.fixture
def scene(house: OversightHouse) -> Scene:
    house.deliver()
    return Scene(house)


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_holder_asks_about_an_entry_and_the_officer_sees_the_whole_of_it(scene: Scene) -> None:
    opened = scene.open()
    assert (opened["state"], opened["entry_id"], opened["comment"]) == ("waiting", scene.entry_id, QUESTION)
    assert scene.cases() == [opened]
    read = scene.house.audit.read_case_of_queue(officer(), case_id=opened["case_id"])
    assert (read["patient_id"], read["opened_by"]) == (scene.holder.patient_id, scene.holder.account_id)
    entry = read["entry"]
    assert (entry["professional_id"], entry["address"]) == (scene.stranger.professional_id, "127.0.0.1")
    assert scene.house.audit.read_case(scene.holder, record_id=scene.record_id, case_id=opened["case_id"]) == opened


def test_the_words_of_holder_and_officer_stand_in_no_trace_and_no_event(scene: Scene) -> None:
    scene.answered(scene.open()["case_id"])
    told = str(scene.house.events("audit"))
    assert QUESTION not in told and ANSWER["answer"] not in told
    assert [(t["action"], t["outcome"], t["record_id"], t["ground"], t["purpose"]) for t in scene.traces()] == [
        ("case.opened", "allowed", scene.record_id, "holder", None),
        ("case.taken", "allowed", scene.record_id, None, None),
        ("case.answered", "allowed", scene.record_id, None, "justified"),
    ]  # fmt: skip


def test_of_one_entry_there_is_one_case_however_many_ask_at_once(scene: Scene) -> None:
    start = threading.Barrier(5)

    def ask(_: int) -> Any:
        start.wait()
        return scene.open()

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(ask, range(5)))
    [made] = [answer for answer in answers if isinstance(answer, dict)]
    refusals = [answer for answer in answers if not isinstance(answer, dict)]
    assert {refusal_code(each) for each in refusals} == {"case_exists"}
    assert {each.detail["case_id"] for each in refusals} == {made["case_id"]}


def test_asked_again_under_one_key_the_answer_is_the_same_and_another_question_is_refused(scene: Scene) -> None:
    who = replace(scene.holder, context=context(idempotency_key=new_id()))
    assert scene.open(who) == scene.open(who)
    assert len(scene.traces()) == 1
    with pytest.raises(KeyReused):
        scene.open(who, comment="Et maintenant ?")


def test_nobody_but_the_holder_side_opens_reads_or_lists(scene: Scene) -> None:
    case_id = scene.open()["case_id"]
    audit, it = scene.house.audit, {"record_id": scene.record_id}
    member = scene.house.doctor("Wagner")
    scene.house.ask("dossier", "add_to_circle", scene.holder, **it, professional_id=member.professional_id)
    for who in (caller("patient"), member, scene.stranger, AGENT, officer()):
        assert refusal_code(scene.open(who)) == "record_not_found"
        assert refusal_code(audit.list_cases(who, **it)) == "record_not_found"
        assert refusal_code(audit.read_case(who, **it, case_id=case_id)) == "record_not_found"
    assert {t["outcome"] for t in scene.traces() if t["account_id"] != scene.holder.account_id} == {"refused"}


def test_a_representative_asks_and_an_assistant_only_reads(scene: Scene) -> None:
    representative = scene.representative()
    assistant = scene.assistant()
    assert refusal_code(scene.open(assistant)) == "not_allowed"
    opened = scene.open(representative)
    assert opened["state"] == "waiting"
    assert [each["case_id"] for each in scene.cases(assistant)] == [opened["case_id"]]


def test_the_holder_of_a_closed_record_hears_that_it_is_closed(scene: Scene) -> None:
    scene.open()
    with scene.house.sessions["dossier"].transaction() as session:
        session.execute(sa.text("update records set state = 'closed' where record_id = :id"), {"id": scene.record_id})
    assert refusal_code(scene.open()) == "record_closed"
    assert refusal_code(scene.house.audit.list_cases(scene.holder, record_id=scene.record_id)) == "record_closed"


@pytest.mark.parametrize("entry", ["unknown", "no id", "of another record"])
def test_an_entry_that_the_history_does_not_have_is_not_found(scene: Scene, entry: str) -> None:
    other = scene.house.came(scene.stranger, new_id()).trace_id
    asked = {"unknown": new_id(), "no id": "x", "of another record": other}[entry]
    assert refusal_code(scene.open(entry_id=asked)) == "entry_not_found"
    assert scene.cases() == []


@pytest.mark.parametrize("comment", ["", "  ", 7, "x" * 2001])
def test_a_question_that_is_none_is_refused(scene: Scene, comment: object) -> None:
    with pytest.raises(InvalidInput):
        scene.open(comment=comment)
    assert scene.open(comment=None)["comment"] is None


def test_a_case_in_a_merged_record_is_read_in_the_one_it_leads_to(scene: Scene) -> None:
    opened, (survivor, other) = scene.open(), open_record(scene.house)
    with scene.house.sessions["audit"].transaction() as session:
        merged = RecordsMerged(new_id(), other, scene.record_id, str(survivor.patient_id), 1)
        scene.house.audit.on_records_merged(session, received(merged, "dossier"))
    [shown] = scene.house.audit.list_cases(survivor, record_id=other)["cases"]
    assert (shown["case_id"], shown["record_id"]) == (opened["case_id"], scene.record_id)
    again = scene.house.audit.open_case(survivor, record_id=other, entry_id=scene.entry_id)
    assert refusal_code(again) == "case_exists"


def test_pages_follow_one_another_newest_first(scene: Scene) -> None:
    opened = [scene.open()["case_id"]]
    for _ in range(4):
        entry = scene.house.came(scene.stranger, scene.record_id)
        opened.append(scene.open(entry_id=entry.trace_id)["case_id"])
    seen: list[str] = []
    cursor = None
    while True:
        page = scene.house.audit.list_cases(scene.holder, record_id=scene.record_id, limit=2, cursor=cursor)
        seen += [each["case_id"] for each in page["cases"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == opened[::-1]


# --- what is hidden ---------------------------------------------------------------------------------------------------


def test_about_a_document_that_is_blocked_nothing_can_be_asked_and_no_case_is_told(scene: Scene) -> None:
    other = Scene(scene.house)
    case_id = scene.open()["case_id"]
    scene.hide("blocked")
    other.hide("blocked")
    assert refusal_code(other.open()) == "entry_not_found"
    assert refusal_code(scene.open()) == "entry_not_found", "hidden equals absent, a case about it too"
    assert scene.cases() == []
    refusal = scene.house.audit.read_case(scene.holder, record_id=scene.record_id, case_id=case_id)
    assert refusal_code(refusal) == "case_not_found"
    assert scene.answered(case_id)["state"] == "settled"
    assert [told["hidden"] for told in scene.told()] == ["blocked"]


def test_released_the_case_and_its_answer_are_there_again(scene: Scene) -> None:
    case_id, since = scene.open()["case_id"], now()
    audit = scene.house.audit
    blocked = {"record_id": scene.record_id, "document_id": scene.document_id}
    with scene.house.sessions["audit"].transaction() as session:
        audit.on_document_blocked(session, received(made(DocumentBlocked, **blocked, at=rfc3339(since)), "documents"))
    scene.answered(case_id)
    assert scene.cases() == []
    over = {**blocked, "blocked_at": rfc3339(since), "at": rfc3339(now())}
    with scene.house.sessions["audit"].transaction() as session:
        audit.on_document_released(session, received(made(DocumentReleased, **over), "documents"))
    assert [each["answer"] for each in scene.cases()] == [ANSWER["answer"]]


def test_what_is_withheld_from_representatives_is_asked_about_by_the_holder_alone(scene: Scene) -> None:
    representative = scene.representative()
    scene.hide("withheld")
    with scene.house.sessions["dossier"].transaction() as session:
        text = "update records set autonomous_minor = true where record_id = :id"
        session.execute(sa.text(text), {"id": scene.record_id})
    assert refusal_code(scene.open(representative)) == "entry_not_found"
    opened = scene.open()
    assert opened["state"] == "waiting"
    scene.answered(opened["case_id"])
    assert [told["hidden"] for told in scene.told()] == ["withheld"]


# --- answering --------------------------------------------------------------------------------------------------------


def test_the_answer_is_read_by_the_holder_and_told_once(scene: Scene) -> None:
    case_id = scene.open()["case_id"]
    answered = scene.answered(case_id)
    [shown] = scene.cases()
    assert (shown["state"], shown["verdict"], shown["answer"]) == ("settled", *ANSWER.values())
    assert shown["answered_at"] == answered["answered_at"]
    assert not {"taken_by", "answered_by", "entry", "opened_by"} & set(shown), "the office answers, not a person"
    assert [(told["case_id"], told["hidden"]) for told in scene.told()] == [(case_id, None)]
    assert refusal_code(scene.house.audit.answer_case(officer(), case_id=case_id, **ANSWER)) == "already_settled"
    assert len(scene.told()) == 1


def test_an_answer_under_one_key_is_given_once(scene: Scene) -> None:
    case_id = scene.open()["case_id"]
    me = replace(officer(), context=context(idempotency_key=new_id()))
    scene.house.audit.take_case(me, case_id=case_id)
    first = scene.house.audit.answer_case(me, case_id=case_id, **ANSWER)
    assert scene.house.audit.answer_case(me, case_id=case_id, **ANSWER) == first
    assert len(scene.told()) == 1


def test_an_officer_answers_neither_for_what_they_did_nor_what_they_asked(scene: Scene) -> None:
    case_id = scene.open()["case_id"]
    for account_id in (scene.stranger.account_id, scene.holder.account_id):
        self_ = caller("agent", role="privacy_officer", account_id=account_id)
        assert refusal_code(scene.house.audit.take_case(self_, case_id=case_id)) == "not_allowed"
    assert scene.house.audit.take_case(officer(), case_id=case_id)["state"] == "taken"


def test_only_a_privacy_officer_comes_near_the_queue(scene: Scene) -> None:
    case_id, audit = scene.open()["case_id"], scene.house.audit
    administrator = caller("agent", role="administrator")
    for who in (AGENT, administrator, replace(scene.stranger, role="privacy_officer"), scene.holder):
        for answer in (
            audit.case_queue(who), audit.read_case_of_queue(who, case_id=case_id),
            audit.take_case(who, case_id=case_id), audit.release_case(who, case_id=case_id),
            audit.answer_case(who, case_id=case_id, **ANSWER),
        ):  # fmt: skip
            assert refusal_code(answer) == "not_allowed"
    with scene.house.sessions["audit"].transaction() as session:
        row = session.get_one(Case, case_id)
        assert (row.state, row.version) == ("waiting", 1)


def test_of_two_officers_at_once_one_takes_it_and_either_gives_it_back(scene: Scene) -> None:
    case_id, officers, start = scene.open()["case_id"], [officer() for _ in range(4)], threading.Barrier(4)

    def take(who: Caller) -> Any:
        start.wait()
        return scene.house.audit.take_case(who, case_id=case_id, version=1)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(take, officers))
    [taken] = [answer for answer in answers if isinstance(answer, dict)]
    assert {refusal_code(each) for each in answers if not isinstance(each, dict)} == {"changed_meanwhile"}
    back = scene.house.audit.release_case(officer(), case_id=case_id, version=taken["version"])
    assert (back["state"], back["taken_by"]) == ("waiting", None)


def test_the_queue_has_the_one_that_waits_longest_first(scene: Scene) -> None:
    first, second = scene.open()["case_id"], Scene(scene.house).open()["case_id"]
    me = officer()
    waiting = [each["case_id"] for each in scene.house.audit.case_queue(me, state="waiting", limit=100)["cases"]]
    assert waiting.index(first) < waiting.index(second)
    scene.house.audit.take_case(me, case_id=first)
    taken = scene.house.audit.case_queue(me, state="taken", limit=100)["cases"]
    assert [each["case_id"] for each in taken][-1] == first
    page = scene.house.audit.case_queue(me, limit=1)
    after = scene.house.audit.case_queue(me, limit=1, cursor=page["next_cursor"])
    assert page["cases"][0]["case_id"] < after["cases"][0]["case_id"]
    for unknown in (new_id(), "no id"):
        assert refusal_code(scene.house.audit.read_case_of_queue(me, case_id=unknown)) == "case_not_found"


# --- the end ----------------------------------------------------------------------------------------------------------


def test_with_the_traces_of_a_deleted_record_its_cases_and_alerts_go_and_those_of_others_stay(scene: Scene) -> None:
    house, other = scene.house, Scene(scene.house)
    me, gone, stays = officer(), scene.open()["case_id"], other.open()["case_id"]
    doctor, patient = house.doctor("Kieffer"), house.patient("Kieffer")
    with house.sessions["dossier"].transaction() as session:
        text = "update records set patient_id = :patient where record_id = :id"
        session.execute(sa.text(text), {"id": scene.record_id, "patient": patient})
    house.came(doctor, scene.record_id)
    house.look()
    assert rules_of(house.alerts_about(record_id=scene.record_id)) == ["same_surname"]
    with house.sessions["audit"].transaction() as session:
        store_retention.note_deleted(session, [scene.record_id], now() - DAY)
    house.audit._destroy_traces(now() + 10_000 * DAY)
    assert refusal_code(house.audit.read_case_of_queue(me, case_id=gone)) == "case_not_found"
    assert house.alerts_about(record_id=scene.record_id) == []
    assert house.audit.read_case_of_queue(me, case_id=stays)["comment"] == QUESTION


def made(kind: type[Any], **facts: Any) -> Any:
    """An event with these facts, and something for every other."""
    return kind(**{field.name: facts.get(field.name, new_id()) for field in fields(kind)})
