"""How long the page of a record takes one client: beside one question without SQL, and beside the SQL it needs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.bench.crowd import Client
from deploy.bench.figures import Row
from deploy.bench.ground import Ground, program
from deploy.bench.questions import asking
from deploy.bench.rounds import Compared, alternate, percentile

WARM = 20
MILLISECONDS = 1000.0


def against_rpc(ground: Ground) -> list[Row]:
    """p50 and p99 of the page, each beside that of one question; rounds in turns."""
    amount = ground.amount
    pages: list[list[float]] = []
    questions: list[list[float]] = []
    with _page(ground) as page, asking(ground) as asker:
        for _ in range(WARM):
            page.answer(), asker.once()
        alternate(
            lambda: _kept(pages, [page.answer() * MILLISECONDS for _ in range(amount.pages)]),
            lambda: _kept(questions, [asker.once() * MILLISECONDS for _ in range(amount.pages)]),
            amount.rounds,
        )
    rows = []
    for percent in (50, 99):
        of_pages = tuple(percentile(seen, percent) for seen in pages)
        of_questions = tuple(percentile(seen, percent) for seen in questions)
        rows.append(Compared(of_pages, of_questions).row(f"record_page_p{percent}", amount.size))
    return rows


def against_sql(ground: Ground) -> list[Row]:
    """p50 of the page beside p50 of its statements and commits, sent by psycopg2 and nothing else."""
    amount = ground.amount
    with _page(ground) as page, _bare_sql(ground) as sql:
        for _ in range(WARM):
            page.answer()
        sql.p50(WARM)
        compared = alternate(
            lambda: percentile([page.answer() * MILLISECONDS for _ in range(amount.pages)], 50),
            lambda: sql.p50(amount.pages),
            amount.rounds,
        )
    return [compared.row("record_page_sql", amount.size)]


def _kept(into: list[list[float]], seen: list[float]) -> float:
    into.append(seen)
    return 0.0


@contextmanager
def _page(ground: Ground) -> Iterator[Client]:
    record_id = ground.record_id
    client = Client(ground.address, ground.request(ground.person("physician"), f"/records/{record_id}"))
    try:
        yield client
    finally:
        client.close()


@dataclass(frozen=True)
class BareSql:
    """The process that sends the page's statements."""

    process: subprocess.Popen[str]

    def p50(self, times: int) -> float:
        """Milliseconds for all of them, the median of so many times."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline()
        if not told:
            raise RuntimeError("the bare SQL cannot be sent; the reason stands above")
        return float(json.loads(told))


@contextmanager
def _bare_sql(ground: Ground) -> Iterator[BareSql]:
    layout = ground.stack.layout
    environment = {"OPENDSP_SETTINGS": str(layout.settings_file("dossier"))}
    told = {
        "token": ground.person("physician").tokens["access_token"],
        "keys": ground.person("physician").ask("GET", "/jwks.json")["keys"],
        "record_id": ground.record_id,
        "directory": layout.database_url("directory"),
    }
    arguments = ["-W", "ignore", "-m", "deploy.bench.bare_sql"]
    with program(layout, arguments, environment, pipes=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        yield BareSql(process)
