"""The documents of a record that is unknown, closed, barred or without a ground: one answer, made in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.db import new_id
from services.dossier.contract import RISK_WORDINGS
from services.refusals import Refusal
from services.tokens import Caller
from tests.builders import caller
from tests.services.ward import Ward

RISK = {"risk_accepted": True, "risk_version": max(RISK_WORDINGS)}


def absences(ward: Ward) -> Iterator[tuple[str, Caller, str]]:
    """Each for a professional and a record of its own; in all but the first and second they were trusted before."""
    for why in ("unknown", "no ground", "closed", "blocked", "removed"):
        holder = caller("patient")
        record_id, who = ward.new_record(holder), ward.professional()
        asked: dict[str, Any] = {"record_id": record_id, "professional_id": who.professional_id}
        if why not in ("unknown", "no ground"):
            ward.house.ask("dossier", "add_to_circle", holder, **asked)
            ward.ask("list_documents", who, record_id=record_id)  # it was there to be seen
        if why == "closed":
            ward.house.ask("dossier", "close_record", holder, record_id=record_id, confirmed=True)
        if why == "blocked":
            ward.house.ask("dossier", "block_professional", holder, **asked, **RISK)
        if why == "removed":
            ward.house.ask("dossier", "remove_from_circle", holder, **asked)
        yield why, who, new_id() if why == "unknown" else record_id


@pytest.mark.parametrize(
    ("method", "given"),
    [("list_documents", {}), ("depositable_types", {}), ("list_documents_as", {"professional_id": new_id()})],
)
def test_the_documents_of_what_is_not_there_for_a_reader_look_the_same_for_every_reason(
    ward: Ward, method: str, given: dict[str, Any]
) -> None:
    warm = ward.professional()
    with pytest.raises(Refusal):
        ward.ask(method, warm, record_id=new_id(), **given)  # this connection has planned what it plans once
    answers, works = [], []
    for _, who, record_id in absences(ward):
        traced = len(ward.traces())
        with ward.counted("dossier") as asked, ward.counted() as listed, pytest.raises(Refusal) as refused:
            ward.ask(method, who, record_id=record_id, **given)
        answers.append(refused.value.to_wire())
        works.append([statement.replace(who.session_id, "…") for statement in (*asked, *listed)])
        assert len(ward.traces()) == traced + 1
    assert answers == [{"code": "record_not_found", "detail": {}}] * 5
    assert all(work == works[0] for work in works), works
