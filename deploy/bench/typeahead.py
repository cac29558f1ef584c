"""How soon those who type find a professional: each question through the gateway, beside its bare statement.

The questions are the beginnings, three to six letters long, of names of the population and of words for professions:
so some find nobody but one, and some thousands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from random import Random
from urllib.parse import quote

import psycopg2
from sqlalchemy.dialects import postgresql

from deploy.bench.carers import PROFESSIONALS, SEED, populate_professionals
from deploy.bench.crowd import Client
from deploy.bench.figures import Row
from deploy.bench.ground import Ground
from deploy.bench.pages import MILLISECONDS
from deploy.bench.rounds import Compared, absolute, percentile
from deploy.population import care
from services.directory.rules import PROFESSION_WORDS
from services.directory.rules_professionals import require_search
from services.directory.store_professional_search import statement

LIMIT = 20
WARM = 30
LENGTHS = range(3, 7)
NAMES = 2_000  # of the population's, to draw from
SHARE_OF_PROFESSIONS = 0.25


def professional_typeahead(ground: Ground) -> list[Row]:
    """p95 through the gateway, and beside that of the statement alone; the same questions in the same rounds."""
    populate_professionals(ground)
    amount, questions = ground.amount, typed(Random(SEED))  # noqa: S311 (invented, no secret)
    ours, bare = [], []
    with _asking(ground) as through, _alone(ground) as beside:
        for question in islice(questions, WARM):
            through(question), beside(question)
        for _ in range(amount.rounds):
            seen = [(through(question), beside(question)) for question in islice(questions, amount.pages)]
            ours.append(percentile([one for one, _ in seen], 95) * MILLISECONDS)
            bare.append(percentile([one for _, one in seen], 95) * MILLISECONDS)
    compared = Compared(tuple(ours), tuple(bare))
    return [
        absolute("professional_typeahead", ours, amount.size),
        compared.row("professional_typeahead_sql", amount.size),
    ]


def typed(random: Random) -> Iterator[str]:
    """What people have typed when the page asks: beginnings of words, drawn for ever."""
    people = islice(care.professionals(PROFESSIONALS, SEED), NAMES)
    names = [word for one in people for word in (one.family_name, one.first_name)]
    professions = [word for words in PROFESSION_WORDS.values() for word in words.split()]
    while True:
        words = professions if random.random() < SHARE_OF_PROFESSIONS else names
        question = random.choice(words)[: random.choice(LENGTHS)]
        if len(question) >= LENGTHS[0] and question.isalpha():
            yield question


@contextmanager
def _asking(ground: Ground) -> Iterator[Callable[[str], float]]:
    """Asks the gateway as the demo patient; the seconds until the answer is whole."""
    with closing(Client(ground.address, b"")) as client:

        def ask(question: str) -> float:
            path = f"/professionals?q={quote(question)}&limit={LIMIT}"
            return client.answer(ground.request(ground.person("patient"), path))

        yield ask


@contextmanager
def _alone(ground: Ground) -> Iterator[Callable[[str], float]]:
    """Sends the statement of the search by psycopg2 and nothing else; the seconds until all rows are there."""
    url = ground.stack.layout.database_url("directory").replace("+psycopg2", "")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:

        def ask(question: str) -> float:
            text, values = statement(require_search(question, LIMIT))
            compiled = text.compile(dialect=postgresql.psycopg2.dialect())  # type: ignore[no-untyped-call]
            began = time.perf_counter()
            cursor.execute(str(compiled), values)
            cursor.fetchall()
            connection.rollback()
            return time.perf_counter() - began

        yield ask
