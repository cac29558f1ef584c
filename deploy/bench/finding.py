"""Finding among ten million documents: a page, the tree and a search of one record, each in two figures.

Each request is of another record, drawn from those that hold something. First what the service's transaction spends in
its statements, beside the same statements sent by psycopg2 alone, one client each. Then the 99th percentile
through the gateway, beside what it may be: thrice that of a GET with one RPC and no SQL, asked by as many
clients in the same rounds, and thrice that of the bare statements.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from itertools import islice
from random import Random
from typing import Any

from deploy.bench import shelves
from deploy.bench.crowd import Client
from deploy.bench.figures import Row
from deploy.bench.ground import Ground, context, program
from deploy.bench.pages import MILLISECONDS
from deploy.bench.questions import PATH as WITHOUT_SQL
from deploy.bench.rounds import Compared, percentile
from deploy.bench.shelf_texts import queries
from services.rpc import RpcClient

CLIENTS = 4
LEAST = 200  # requests in each round: less has no 99th percentile
SEED = 11

Ask = Callable[[Ground, str, str], bytes]


def record_page(ground: Ground) -> list[Row]:
    """The newest fifty documents of a record."""
    return _measured(ground, "record_page_10m", "list_documents", _get("documents"))


def tree(ground: Ground) -> list[Row]:
    """The folders of a record, with the counts of what may be seen."""
    return _measured(ground, "tree_10m", "read_tree", _get("tree"))


def keyword(ground: Ground) -> list[Row]:
    """A search in a record for a word, its beginning, two words or a phrase."""
    return _measured(ground, "keyword_10m", "search_documents", _search)


def _measured(ground: Ground, figure: str, method: str, ask: Ask) -> list[Row]:
    amount, records = ground.amount, shelves.fill(ground)
    times = max(LEAST, amount.pages // 2)
    service, alone, through, granted = [], [], [], []
    with bare_reading(ground, "documents", records, scope_of(ground, "physician", records[0])) as bare:
        for number in range(amount.rounds + 1):  # the first warms all of it up
            p50, bare_p50, bare_p99 = bare(method, times, SEED + number)
            seen, empty = _through(ground, records, ask, times, SEED + number)
            service.append(p50)
            alone.append(bare_p50)
            through.append(percentile(seen, 99) * MILLISECONDS)
            granted.append(3 * percentile(empty, 99) * MILLISECONDS + 3 * bare_p99)
    size = amount.size
    return [
        Compared(tuple(service[1:]), tuple(alone[1:])).row(figure, size),
        Compared(tuple(through[1:]), tuple(granted[1:])).row(f"{figure}_p99", size),
    ]


# --- through the gateway ----------------------------------------------------------------------------------------------


def _get(what: str) -> Ask:
    return lambda ground, record_id, _: ground.request(ground.person("physician"), f"/records/{record_id}/{what}")


def _search(ground: Ground, record_id: str, query: str) -> bytes:
    path = f"/records/{record_id}/documents/search"
    head = ground.request(ground.person("physician"), path).replace(b"GET", b"POST", 1).removesuffix(b"\r\n")
    text = json.dumps({"query": query}).encode()
    return head + f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


def _through(
    ground: Ground, records: tuple[str, ...], ask: Ask, times: int, seed: int
) -> tuple[list[float], list[float]]:
    """Seconds of so many requests by several clients at once; and of as many without SQL, asked in between."""
    random = Random(seed)  # noqa: S311 (invented, no secret)
    sought = queries(random)
    requests = [ask(ground, random.choice(records), next(sought)) for _ in range(times)]
    nothing = ground.request(ground.person("physician"), WITHOUT_SQL)
    parts = 4  # in turns, so that a slow moment touches both
    seen: tuple[list[float], list[float]] = ([], [])
    for part in range(parts):
        some = requests[part::parts]
        seen[0].extend(_crowd(ground, some))
        seen[1].extend(_crowd(ground, [nothing] * len(some)))
    return seen


def _crowd(ground: Ground, requests: list[bytes]) -> list[float]:
    seen: list[float] = []
    broken: list[Exception] = []

    def run(number: int) -> None:
        with closing(Client(ground.address, requests[number])) as client:
            try:
                seen.extend([client.answer(request) for request in islice(requests, number, None, CLIENTS)])
            except Exception as error:
                broken.append(error)

    crew = [threading.Thread(target=run, args=(number,)) for number in range(min(CLIENTS, len(requests)))]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    if broken:
        raise broken[0]
    return seen


# --- in the database --------------------------------------------------------------------------------------------------


@cache
def scope_of(ground: Ground, role: str, record_id: str) -> Any:
    """What dossier says of one of the demo people in a record; in all that are measured it is the same."""
    client = RpcClient(ground.settings("gateway"))
    try:
        token = ground.person(role).tokens["access_token"]
        return client.call("dossier", "access_scope", context(token), record_id=record_id)
    finally:
        client.close()


@contextmanager
def bare_reading(
    ground: Ground, service: str, records: tuple[str, ...], scope: Any
) -> Iterator[Callable[[str, int, int], list[float]]]:
    """Asks a method of a service so often, with a seed: p50 of its statements, p50 and p99 of the same alone, in ms."""
    layout = ground.stack.layout
    environment = {"OPENDSP_SETTINGS": str(layout.settings_file(service))}
    told = {"service": service, "records": records, "scope": scope}
    with program(layout, ["-W", "ignore", "-m", "deploy.bench.bare_finding"], environment, pipes=True) as process:
        _say(process, told)

        def measured(what: str, times: int, seed: int) -> list[float]:
            _say(process, {"what": what, "clients": CLIENTS, "times": times, "seed": seed})
            assert process.stdout is not None
            answer = process.stdout.readline()
            if not answer:
                raise RuntimeError("reading cannot be measured; the reason stands above")
            found: list[float] = json.loads(answer)
            return found

        yield measured


def _say(process: subprocess.Popen[str], told: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()
