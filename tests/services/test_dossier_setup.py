"""The set-up assistant over a real database: steps in the order of the menu, taken up again where they were left."""

from __future__ import annotations

from typing import Any

import pytest

from services.db import new_id
from services.dossier.contract import SETUP_STEPS
from services.refusals import InvalidInput
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.entourage_house import Home


@pytest.fixture
def home(house: DossierHouse) -> Home:
    return Home(house)


def put(home: Home, who: Any, step: str, state: str) -> Any:
    return home.dossier.set_setup_step(who, record_id=home.record, step=step, state=state)


def read(home: Home, who: Any) -> Any:
    return home.dossier.setup(who, record_id=home.record)


def states(answer: Any) -> dict[str, str]:
    return {each["step"]: each["state"] for each in answer["steps"] if each["state"] != "open"}


def test_the_list_begins_open_in_the_order_of_the_menu(home: Home) -> None:
    answer = read(home, home.holder)
    assert [each["step"] for each in answer["steps"]] == list(SETUP_STEPS)
    assert states(answer) == {} and answer["next"] == "organ_donation"
    assert all(each["may_do"] and each["by"] is None and each["at"] is None for each in answer["steps"])


def test_it_is_taken_up_again_where_it_was_left(home: Home) -> None:
    put(home, home.holder, "organ_donation", "done")
    answer = put(home, home.holder, "circle", "skipped")
    assert states(answer) == {"organ_donation": "done", "circle": "skipped"}
    assert answer == read(home, home.holder) and answer["next"] == "referring_physician"
    done = answer["steps"][0]
    assert done["by"] == "holder" and done["at"] is not None
    assert put(home, home.holder, "organ_donation", "done")["steps"][0] == done  # the same again changes nothing
    put(home, home.holder, "organ_donation", "open")
    assert read(home, home.holder)["next"] == "organ_donation"
    for step in SETUP_STEPS:
        answer = put(home, home.holder, step, "done")
    assert answer["next"] is None


def test_each_step_says_as_whom_it_was_taken_and_whether_the_caller_may(home: Home) -> None:
    parent, _ = home.represented_by()
    assistant, _ = home.assisted_by()
    answer = put(home, parent, "organ_donation", "done")
    assert answer["steps"][0]["by"] == "legal_representative"
    answer = put(home, assistant, "circle", "done")
    assert [each["by"] for each in answer["steps"][:2]] == ["legal_representative", "assistant"]
    may = {each["step"]: each["may_do"] for each in answer["steps"]}
    assert [step for step, allowed in may.items() if not allowed] == [
        "organ_donation", "referring_physician", "representatives", "assistants", "emergency", "presence_code",
    ]  # fmt: skip
    assert answer["next"] == "blocklist"  # the next one that is for them to do
    assert refusal_code(put(home, assistant, "organ_donation", "open")) == "not_allowed"
    assert states(read(home, home.holder)) == {"organ_donation": "done", "circle": "done"}


def test_it_is_the_holder_sides_alone(home: Home) -> None:
    friend = home.house.professional()
    home.house.enter(friend, home.record, home.house.code(home.record))
    for who in (friend, home.person(), home.house.agent):
        assert refusal_code(read(home, who)) == "record_not_found"
        assert refusal_code(put(home, who, "circle", "done")) == "record_not_found"
    unknown = home.dossier.setup(home.holder, record_id=new_id())
    assert refusal_code(unknown) == "record_not_found"
    home.house.set_state(home.record, "closed")
    assert refusal_code(read(home, home.holder)) == refusal_code(put(home, home.holder, "circle", "done"))
    assert refusal_code(read(home, home.holder)) == "record_closed"


def test_there_are_no_other_steps_and_states(home: Home) -> None:
    assert refusal_code(put(home, home.holder, "closing", "done")) == "setup_step_not_found"
    assert refusal_code(put(home, home.person(), "closing", "done")) == "record_not_found"
    for state in ("finished", "", None, 7):
        with pytest.raises(InvalidInput):
            put(home, home.holder, "circle", state)  # type: ignore[arg-type]


def test_every_answer_leaves_one_trace(home: Home) -> None:
    read(home, home.holder)
    put(home, home.holder, "circle", "done")
    put(home, home.person(), "circle", "done")
    told = [(each["action"], each["outcome"], each["ground"], each["purpose"]) for each in home.house.traces()]
    assert [each for each in told if each[0].startswith("setup.")] == [
        ("setup.read", "allowed", "holder", None),
        ("setup.changed", "allowed", "holder", "circle/done"),
        ("setup.changed", "refused", None, None),
    ]
