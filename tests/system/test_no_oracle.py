"""Nobody learns from the answer, or from how long it takes, whether a matricule is known.

Known and unknown matricules ask in turns, each pair in a random order, so that a slow moment touches both alike. Were
the two distributions of times the same, the Kolmogorov-Smirnov distance would exceed the bound once in ten thousand
runs; the last test shows that a question which is spared its hash does exceed it.
"""

from __future__ import annotations

import random
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.agency import any_matricule
from deploy.local import processes
from deploy.visitors import Visitor
from services.db import Sessions
from services.identity.models import TriesRow
from services.identity.models_desk import PasswordReset
from tests.system.conftest import Village

PAIRS = 80
CHANCE = 1e-4
BOUND = sqrt(-log(CHANCE / 2) / 2) * sqrt(2 / PAIRS)

Body = dict[str, Any]


@dataclass
class Question:
    """What is asked of a public operation with a matricule in it."""

    path: str
    of: Callable[[str, str], Body]
    status: int


LOG_IN = Question("/sessions", lambda matricule, _: {"matricule": matricule, "password": "un mot de passe"}, 401)
QUESTIONS = {
    "log-in": LOG_IN,
    "activation": Question(
        "/activations", lambda matricule, _: {"matricule": matricule, "activation_code": "P2345-6789-ABC"}, 403
    ),
    "password reset, right address": Question(
        "/password-resets", lambda matricule, email: {"matricule": matricule, "email": email}, 202
    ),
    "password reset, another address": Question(
        "/password-resets", lambda matricule, _: {"matricule": matricule, "email": "x@example.lu"}, 202
    ),
    "letter": Question("/letter-requests", lambda matricule, _: {"matricule": matricule, "kind": "patient"}, 202),
}


@pytest.fixture(scope="module")
def identity(village: Village) -> Iterator[Sessions]:
    """identity's database: between two questions the throttles are emptied, they are not what is measured."""
    sessions = Sessions(processes.load_settings(village.platform.stack.layout, "identity").database_url)
    yield sessions
    sessions.engine.dispose()


@pytest.fixture(scope="module")
def known(village: Village) -> Visitor:
    """A person with an active account."""
    return village.patient()


def forget(identity: Sessions) -> None:
    with identity.transaction() as session:
        session.execute(sa.delete(TriesRow))
        session.execute(sa.delete(PasswordReset))


def asked(stranger: Visitor, question: Question, body: Body) -> tuple[float, tuple[int, Any]]:
    """How long an answer took, and what in it does not differ from request to request."""
    began = time.perf_counter()
    answer = stranger.raw("POST", question.path, json=body)
    took = time.perf_counter() - began
    told = answer.json() if answer.content else None
    if isinstance(told, dict):
        told = {name: value for name, value in told.items() if name not in ("request_id", "instance")}
    return took, (answer.status_code, told)


def distance(one: list[float], other: list[float]) -> float:
    """The Kolmogorov-Smirnov distance of two samples."""
    one, other = sorted(one), sorted(other)
    return max(abs(bisect_right(one, at) / len(one) - bisect_right(other, at) / len(other)) for at in (*one, *other))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(QUESTIONS))
def test_a_known_and_an_unknown_matricule_are_answered_alike_and_as_fast(
    village: Village, identity: Sessions, known: Visitor, name: str
) -> None:
    question, order = QUESTIONS[name], random.Random(name)
    stranger = Visitor(village.town, "stranger", any_matricule(), "stranger@example.lu")
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    answers = {}
    for _ in range(PAIRS + 5):
        bodies = {
            "known": question.of(known.matricule, known.email),
            "unknown": question.of(any_matricule(), known.email),
        }
        for which in order.sample(list(bodies), 2):
            forget(identity)
            took, answer = asked(stranger, question, bodies[which])
            times[which].append(took)
            answers[which] = answer
    assert answers["known"] == answers["unknown"] and answers["known"][0] == question.status
    seen = {which: took[5:] for which, took in times.items()}  # the first ones find cold caches
    medians = {which: f"{statistics.median(took) * 1000:.1f} ms" for which, took in seen.items()}
    assert distance(seen["known"], seen["unknown"]) < BOUND, medians


def test_a_question_that_is_spared_its_hash_would_be_noticed(village: Village, identity: Sessions) -> None:
    stranger = Visitor(village.town, "stranger", any_matricule(), "stranger@example.lu")
    hashed, spared = [], []
    for _ in range(40):
        forget(identity)
        hashed.append(asked(stranger, LOG_IN, LOG_IN.of(any_matricule(), ""))[0])
        spared.append(asked(stranger, LOG_IN, LOG_IN.of("19900101123", ""))[0])
    assert distance(hashed, spared) > BOUND
