"""What leaves a service: event types are versioned and immutable, and hold ids, codes and times only."""

from __future__ import annotations

import dataclasses
import importlib
import re
from typing import Any

import pytest

from services.bus.inbox import EventHandler
from services.db import new_id
from services.documents.contract import DocumentDeposited
from services.refusals import Refusal

SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")
PLAIN = re.compile(
    r"^(str|int|bool|float|None|list\[str\]|dict\[str, (typing\.)?(Any|str|int)\]|[ |])+$",
)
PERSONAL = {
    "name", "names", "family_name", "first_name", "birth_name", "matricule", "title", "email", "contact", "value",
    "password", "token", "comment", "text", "content", "address_line", "presence_code", "activation_code",
}  # fmt: skip


def events() -> list[type[Any]]:
    found = []
    for service in SERVICES:
        contract = importlib.import_module(f"services.{service}.contract")
        for value in vars(contract).values():
            own = getattr(value, "__module__", "").startswith(contract.__name__)
            if own and dataclasses.is_dataclass(value) and isinstance(getattr(value, "type", None), str):
                found.append(value)
    return found


def test_there_are_events() -> None:
    assert {event.type for event in events()} >= {"document_deposited.v1", "record_opened.v1", "access_traced.v1"}


@pytest.mark.parametrize("event", events(), ids=lambda event: event.type)
def test_an_event_is_versioned_frozen_plain_and_impersonal(event: type[Any]) -> None:
    assert re.fullmatch(r"[a-z][a-z_]+\.v[1-9]\d*", event.type)
    assert event.__dataclass_params__.frozen
    fields = {field.name: str(field.type) for field in dataclasses.fields(event)}
    assert event.subject is None or event.subject in fields
    assert not PERSONAL & set(fields)
    for name, kind in fields.items():
        bare = kind.removeprefix("<class '").removesuffix("'>")
        assert PLAIN.match(bare), f"{name}: {kind} is no plain JSON value"


@pytest.mark.parametrize("event", events(), ids=lambda event: event.type)
def test_an_event_says_what_it_is(event: type[Any]) -> None:
    assert event.__doc__ and not event.__doc__.startswith(event.__name__ + "(")


def test_a_deposit_told_before_it_said_where_is_read_as_of_nowhere() -> None:
    facts = {
        "record_id": new_id(), "document_id": new_id(), "version_id": new_id(), "document_type": "medical_report",
        "category": "care_reports", "level": "standard", "author_id": None, "media_type": "application/pdf",
        "size": 10, "deposited_at": "2026-11-21T08:30:00.000000Z",
    }  # fmt: skip
    envelope = {
        "id": new_id(), "source": "documents", "type": "document_deposited.v1", "time": facts["deposited_at"],
        "subject": facts["record_id"], "number": 1, "request_id": new_id(), "traceparent": "",
    }  # fmt: skip
    handler = EventHandler("documents", DocumentDeposited)
    place = new_id()
    told = [handler.event({**envelope, "data": data}).data for data in (facts, {**facts, "establishment_id": place})]
    assert [one.establishment_id for one in told] == [None, place]
    assert {one.document_id for one in told} == {facts["document_id"]}


def test_event_types_are_unique() -> None:
    types = [event.type for event in events()]
    assert len(types) == len(set(types))


def test_every_refusal_of_a_contract_has_its_status_and_words_in_five_languages() -> None:
    from gateway.errors import STATUS, catalogue

    for service in SERVICES:
        contract = importlib.import_module(f"services.{service}.contract")
        for value in vars(contract).values():
            if isinstance(value, type) and issubclass(value, Refusal) and value is not Refusal:
                assert value.code in STATUS, value.code
    for locale in ("fr", "lb", "pt", "en", "de"):
        words = str(catalogue(locale))
        assert not [code for code in STATUS if f"'{code}'" not in words], locale
