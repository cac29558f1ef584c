"""Revocation is immediate, whichever replica is asked: what arrives after the acknowledgement is answered no more.

Four processes stand over the same databases. One takes a ground away, another reads once that has answered, and often
at the same moment too: after the acknowledgement it may not answer. Nothing in a process outlives a change.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import Sessions, new_id, now
from services.documents import models as shelves
from services.documents.contract import PDF
from services.dossier import models
from services.dossier.contract import RISK_WORDINGS
from services.refusals import Refusal
from services.tokens import Caller
from tests.builders import caller
from tests.services.replica import Replica, replicas

URLS = ("dossier", "documents")
RISK = {"risk_accepted": True, "risk_version": next(iter(RISK_WORDINGS))}
KINDS = ("block", "closing", "mandate", "circle")


@dataclass
class Pair:
    """A record, its holder, and a professional who may read it until the holder says otherwise."""

    kind: str
    record_id: str
    mandate_id: str
    holder: Caller
    doctor: Caller

    def revocation(self) -> tuple[str, dict[str, Any]]:
        doctor = {"professional_id": self.doctor.professional_id}
        return {
            "block": ("block_professional", doctor | RISK),
            "closing": ("close_record", {"confirmed": True}),
            "mandate": ("end_mandate", {"mandate_id": self.mandate_id}),
            "circle": ("remove_from_circle", doctor),
        }[self.kind]


class Ground:
    """The two databases, and pairs laid in them without a service."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._dossier, self._documents = (Sessions(urls[name]) for name in URLS)
        self._doctors = [caller("professional") for _ in range(20)]
        with self._dossier.transaction() as session:
            session.execute(sa.insert(models.Professional), [
                {"professional_id": doctor.professional_id, "profession": "physician", "licence": "valid",
                 "establishment_ids": [doctor.establishment_id], "version": 1}
                for doctor in self._doctors
            ])  # fmt: skip

    def lay(self, count: int) -> list[Pair]:
        kinds, doctors = itertools.cycle(KINDS), itertools.cycle(self._doctors)
        pairs = [Pair(next(kinds), new_id(), new_id(), caller("patient"), next(doctors)) for _ in range(count)]
        begun = now() - timedelta(hours=1)
        with self._dossier.transaction() as session:
            session.execute(sa.insert(models.Record), [
                {"record_id": pair.record_id, "patient_id": pair.holder.patient_id, "state": "active", "since": begun}
                for pair in pairs
            ])  # fmt: skip
            session.execute(sa.insert(models.CircleMember), [
                {"member_id": new_id(), "record_id": pair.record_id, "professional_id": pair.doctor.professional_id,
                 "since": begun}
                for pair in pairs if pair.kind != "mandate"
            ])  # fmt: skip
            session.execute(sa.insert(models.Mandate), [
                {"mandate_id": pair.mandate_id, "record_id": pair.record_id, "kind": "presence",
                 "professional_id": pair.doctor.professional_id, "wording_version": "x", "starts_at": begun,
                 "read_until": begun + timedelta(hours=24), "deposit_until": begun + timedelta(days=15)}
                for pair in pairs if pair.kind == "mandate"
            ])  # fmt: skip
        self._shelve(pairs)
        return pairs

    def close(self) -> None:
        for sessions in (self._dossier, self._documents):
            sessions.engine.dispose()

    def _shelve(self, pairs: list[Pair]) -> None:
        rows = [
            {"document_id": new_id(), "record_id": pair.record_id, "home_record_id": pair.record_id,
             "type": "medical_report", "category": "care_reports", "folder": "medical_data", "title": "x",
             "author_kind": "professional", "author_id": new_id(), "level": "standard",
             "current_version_id": new_id(), "deposited_at": now(), "upload_id": new_id()}
            for pair in pairs
        ]  # fmt: skip
        keys = [{"record_id": pair.record_id, "wrapped_key": b"k", "created_at": now()} for pair in pairs]
        with self._documents.transaction() as session:
            session.execute(sa.insert(shelves.record_keys), keys)
            session.execute(sa.insert(shelves.documents), rows)
            session.execute(sa.insert(shelves.versions), [
                {"version_id": row["current_version_id"], "content_id": row["current_version_id"],
                 "document_id": row["document_id"], "number": 1,
                 "wrapped_key": b"k", "key_record_id": row["record_id"], "media_type": PDF, "size": 1,
                 "sha256": bytes(32), "account_id": new_id(), "created_at": row["deposited_at"]}
                for row in rows
            ])  # fmt: skip


@pytest.fixture(scope="module")
def ground(database: Callable[[str], str]) -> Iterator[tuple[Ground, dict[str, str]]]:
    urls = {name: database(name) for name in URLS}
    made = Ground(urls)
    yield made, urls
    made.close()


def read(replica: Replica, pair: Pair) -> None:
    replica.ask("documents", "list_documents", pair.doctor, record_id=pair.record_id)


def revoke(replica: Replica, pair: Pair) -> None:
    method, given = pair.revocation()
    replica.ask("dossier", method, pair.holder, record_id=pair.record_id, **given)


class Lane:
    """Two replicas that take turns: one takes a ground away, the other reads; one read in four at the same moment."""

    def __init__(self, one: Replica, other: Replica) -> None:
        self._replicas = (one, other)
        self.answered = 0

    def run(self, pairs: list[Pair]) -> None:
        for number, pair in enumerate(pairs):
            revoking, reading = self._replicas if number % 2 else self._replicas[::-1]
            races = number % 16 < len(KINDS)
            if races:
                read(reading, pair)
            revoke(revoking, pair)
            acknowledged = revoking.answer()
            assert not isinstance(acknowledged, Refusal), (pair.kind, acknowledged.to_wire())
            read(reading, pair)
            if races:  # it came before or after: either answer is right
                self.answered += not isinstance(reading.answer(), Refusal)
            answer = reading.answer()
            assert isinstance(answer, Refusal), (pair.kind, answer)
            assert answer.code == "record_not_found"


def race(ground: Ground, urls: dict[str, str], pairs: int) -> None:
    laid = ground.lay(pairs)
    with replicas(urls, 4) as (first, second, third, fourth), ThreadPoolExecutor(2) as crew:
        for pair in laid[: len(KINDS)]:
            read(first, pair)
            assert len(first.answer()["documents"]) == 1, pair
        lanes = (Lane(first, third), Lane(second, fourth))
        for done in [crew.submit(lane.run, share) for lane, share in zip(lanes, _shares(laid), strict=True)]:
            done.result()
        assert all(lane.answered for lane in lanes), "no read was in time: nothing raced"


def _shares(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Halves with every kind in each."""
    half = len(pairs) // 2
    return pairs[:half], pairs[half:]


def test_after_an_acknowledged_block_closing_or_end_no_replica_answers_a_read(
    ground: tuple[Ground, dict[str, str]],
) -> None:
    race(*ground, pairs=2000)


@pytest.mark.long
def test_the_same_of_100_000_pairs(ground: tuple[Ground, dict[str, str]]) -> None:
    for _ in range(20):
        race(*ground, pairs=5000)
