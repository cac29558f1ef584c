"""What foreign systems are promised: the AsyncAPI document holds to its standard, and every event holds to it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, get_type_hints

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from gateway import asyncapi
from gateway.app import create_app
from services.db import new_id, rfc3339
from services.documents.contract import LEVELS
from services.notifications.contract import FOREIGN_EVENT_TYPES, FOREIGN_EVENTS, FOREIGN_FIELDS
from services.notifications.ports.subscriber_broker import encode
from services.notifications.ports.webhook import SIGNATURE
from services.notifications.rules_subscriptions import SOURCE, ForeignEvent
from tests.contract.asyncapi_parser import ERROR, WARNING, judged

AT = datetime(2026, 11, 21, 8, 30, 0, 123456, UTC)


@cache
def document() -> dict[str, Any]:
    return json.loads(json.dumps(asyncapi.document("https://dsp.example.lu")))  # as it is served


def facts(event_type: str) -> dict[str, Any]:
    """Data of this type as its shape has it."""
    made: dict[str, Any] = {}
    for name, kind in get_type_hints(FOREIGN_EVENTS[event_type]).items():
        if name == "at" or name.endswith("_at"):
            made[name] = rfc3339(AT)
        elif name.endswith("_id"):
            made[name] = new_id()
        elif name == "level":
            made[name] = LEVELS[-1]
        else:
            made[name] = 3 if kind is int else "code"
    return made


def sent(event_type: str, sequence: int = 7) -> dict[str, Any]:
    """An event as it stands on the wire."""
    event = ForeignEvent(new_id(), event_type, new_id(), AT, facts(event_type))
    told: dict[str, Any] = json.loads(encode(event, sequence))
    return told


def message_of(event_type: str) -> str:
    [name] = [name for name, told in document()["components"]["messages"].items() if told["name"] == event_type]
    return str(name)


def test_the_parser_finds_nothing_wrong_and_nothing_to_mend_and_every_event_fits() -> None:
    messages = [(event_type, sent(event_type)) for event_type in FOREIGN_EVENT_TYPES]
    examples = [
        (message["name"], example["payload"])
        for message in document()["components"]["messages"].values()
        for example in message["examples"]
    ]
    assert len(examples) == len(FOREIGN_EVENT_TYPES)
    nowhere = [(event_type, sent(event_type)) for event_type, event in messages if "establishment_id" in event["data"]]
    for _, event in nowhere:
        del event["data"]["establishment_id"]
    assert nowhere
    told = judged(document(), messages + nowhere + examples)
    assert [one for one in told["said"] if one["severity"] in (ERROR, WARNING)] == []
    assert told["unfit"] == {}
    assert sorted(told["names"]) == sorted(FOREIGN_EVENT_TYPES)


def without(member: str) -> Callable[[dict[str, Any]], None]:
    return lambda event: event.pop(member)


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no id": without("id"),
    "no sequence": without("sequence"),
    "a number that is none": lambda event: event.update(sequence="0"),
    "another version": lambda event: event.update(specversion="0.3"),
    "another type": lambda event: event.update(type="lu.dsp.document.deposited.v2"),
    "a subject that is no id": lambda event: event.update(subject="1980010112345"),
    "a datum missing": lambda event: event["data"].pop("document_id"),
    "an establishment that is no id": lambda event: event["data"].update(establishment_id="Clinique Une"),
    "a level that there is not": lambda event: event["data"].update(level="secret"),
    "a time that is none": lambda event: event["data"].update(deposited_at="yesterday"),
}


def test_what_is_not_as_promised_does_not_fit() -> None:
    deposited = FOREIGN_EVENT_TYPES[0]
    faulty = []
    for spoil in FAULTS.values():
        event = sent(deposited)
        spoil(event)
        faulty.append((deposited, event))
    unfit = judged(document(), faulty)["unfit"]
    assert {list(FAULTS)[int(number)] for number in unfit} == set(FAULTS)


def test_the_parser_tells_of_a_document_that_is_none() -> None:
    broken = copy.deepcopy(document())
    broken["operations"]["sendToQueue"]["action"] = "shout"
    broken["channels"]["queue"]["messages"]["Lost"] = {"$ref": "#/components/messages/Lost"}
    said = [one for one in judged(broken, [])["said"] if one["severity"] == ERROR]
    assert any("sendToQueue" in one["path"] for one in said) and any("Lost" in one["path"] for one in said)


@pytest.mark.parametrize("event_type", FOREIGN_EVENT_TYPES)
def test_every_event_is_a_cloudevent_to_the_sdk_and_says_exactly_its_shape(event_type: str) -> None:
    event = ForeignEvent(new_id(), event_type, new_id(), AT, facts(event_type))
    read = JSONFormat().read(CloudEvent, encode(event, 12))
    assert (read.get_id(), read.get_type(), read.get_source()) == (event.event_id, event_type, SOURCE)
    assert (read.get_subject(), read.get_time()) == (event.subject, AT)
    assert (read.get_extension("sequence"), read.get_extension("sequencetype")) == ("12", "Integer")
    assert read.get_data() == event.data
    promised = document()["components"]["schemas"][message_of(event_type)]["properties"]["data"]["properties"]
    assert set(promised) == set(event.data)


def test_the_document_speaks_of_every_type_and_of_no_other() -> None:
    told = document()
    assert [message["name"] for message in told["components"]["messages"].values()] == list(FOREIGN_EVENT_TYPES)
    for channel in told["channels"].values():
        assert set(channel["messages"]) == set(told["components"]["messages"])
    assert set(told["components"]["messages"]) == set(told["components"]["schemas"])


def test_every_member_of_every_event_is_explained_and_nothing_else_is() -> None:
    members = {name for shape in FOREIGN_EVENTS.values() for name in get_type_hints(shape)}
    assert members == set(FOREIGN_FIELDS)
    assert all(shape.__doc__ and "." in shape.__doc__ for shape in FOREIGN_EVENTS.values())


def test_events_hold_ids_codes_and_times_alone() -> None:
    for shape in FOREIGN_EVENTS.values():
        for name, kind in get_type_hints(shape).items():
            assert kind in (str, int)
            assert not {"name", "title", "matricule", "birth", "address", "comment"} & set(name.split("_"))


def test_a_webhook_is_told_which_header_its_signature_stands_in() -> None:
    assert f"`{SIGNATURE}`" in document()["servers"]["webhook"]["description"]


def test_anybody_may_read_the_document() -> None:
    answer = create_app().test_client().get("/api/v1/asyncapi.json")
    assert answer.status_code == 200 and answer.content_type == "application/json"
    assert answer.json["asyncapi"] == "3.0.0" and answer.json["components"] == document()["components"]


def test_a_time_on_the_wire_is_the_same_whatever_zone_it_came_from() -> None:
    event = ForeignEvent(new_id(), FOREIGN_EVENT_TYPES[0], new_id(), AT, facts(FOREIGN_EVENT_TYPES[0]))
    moved = ForeignEvent(event.event_id, event.type, event.subject, AT.astimezone(tz=None) + timedelta(0), event.data)
    assert encode(event, 1) == encode(moved, 1)
