"""What a decision costs: beside a SELECT by primary key, beside the least question, with many grants, explained."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.bench.figures import Row
from deploy.bench.ground import Ground, context, program
from deploy.bench.pages import MILLISECONDS, WARM
from deploy.bench.rounds import Compared, percentile
from deploy.local import processes
from deploy.local.layout import REPOSITORY
from deploy.local.supervise import wait_until
from services.refusals import Refusal
from services.rpc import RpcClient

CALLS = 4  # decisions for each page of the amount: they take a fraction of its time


def decision(ground: Ground) -> list[Row]:
    """p99 of situation and decision, beside p99 of a row by its key: one engine, one kind of transaction, no trace."""
    return [_compared(ground, "decision", "decision", "key", percent=99)]


def many_grants(ground: Ground) -> list[Row]:
    """The decision in a record with 200 grants, beside the one in a record with 2."""
    return [_compared(ground, "many_grants", "many_grants", "decision")]


def explain(ground: Ground) -> list[Row]:
    """The holder's question about a professional and a document, beside the decision about that one alone."""
    return [_compared(ground, "explain", "explain", "decision")]


def filtered_list(ground: Ground) -> list[Row]:
    """500 documents through the scope of a physician who may read them all, beside the same 500 unasked."""
    return [_compared(ground, "filtered_list", "filtered", "unfiltered", fewer=20)]


def access_scope(ground: Ground) -> list[Row]:
    """p50 of the question documents asks of dossier, beside a question that verifies the token and runs SELECT 1."""
    amount, record_id = ground.amount, ground.record_id
    token = ground.person("physician").tokens["access_token"]
    ours, baseline = [], []
    with _asking(ground) as client:

        def ask(method: str, **given: str) -> float:
            began = time.perf_counter()
            client.call("dossier", method, context(token), **given)
            return (time.perf_counter() - began) * MILLISECONDS

        for _ in range(amount.rounds + 1):  # the first warms both up
            seen = [(ask("access_scope", record_id=record_id), ask("select_one")) for _ in range(amount.pages)]
            ours.append(percentile([one for one, _ in seen], 50))
            baseline.append(percentile([other for _, other in seen], 50))
    return [Compared(tuple(ours[1:]), tuple(baseline[1:])).row("access_scope", amount.size)]


def _compared(ground: Ground, figure: str, ours: str, baseline: str, percent: int = 50, fewer: int = 1) -> Row:
    amount = ground.amount
    times = max(WARM, amount.pages * CALLS // fewer)
    with _bare(ground) as bare:
        bare.measured(ours, baseline, max(WARM, times // 10), percent)
        rounds = [bare.measured(ours, baseline, times, percent) for _ in range(amount.rounds)]
    return Compared(tuple(one for one, _ in rounds), tuple(other for _, other in rounds)).row(figure, amount.size)


@dataclass(frozen=True)
class Bare:
    """The process that decides."""

    process: subprocess.Popen[str]

    def measured(self, ours: str, baseline: str, times: int, percent: int) -> tuple[float, float]:
        """Milliseconds of both."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"ours": ours, "baseline": baseline, "times": times}) + "\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline()
        if not told:
            raise RuntimeError("decisions cannot be measured; the reason stands above")
        which = (50, 99).index(percent)
        mine, theirs = json.loads(told)
        return mine[which], theirs[which]


@contextmanager
def _bare(ground: Ground) -> Iterator[Bare]:
    layout = ground.stack.layout
    environment = {"OPENDSP_SETTINGS": str(layout.settings_file("dossier"))}
    with program(layout, ["-W", "ignore", "-m", "deploy.bench.bare_decision"], environment, pipes=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"documents": layout.database_url("documents")}) + "\n")
        process.stdin.flush()
        yield Bare(process)


@contextmanager
def _asking(ground: Ground) -> Iterator[RpcClient]:
    """The gateway's client, while the bench's dossier stands in the place of the platform's."""
    layout, supervisor = ground.stack.layout, ground.stack.supervisor
    environment = processes.environment(layout, "dossier")
    arguments = [str(processes.BIN / "nameko"), "run", "--config", str(REPOSITORY / "deploy" / "nameko.yaml"),
                 "deploy.bench.bare_dossier:Dossier"]  # fmt: skip
    client = RpcClient(ground.settings("gateway"))
    supervisor.stop(["dossier"])
    try:
        with program(layout, ["-W", "ignore", *arguments], environment):
            token = ground.person("physician").tokens["access_token"]
            if not wait_until(lambda: _answers(client, token), 60, step=0.3):
                raise TimeoutError("the bench's dossier does not answer after 60 s")
            yield client
    finally:
        client.close()
        supervisor.start(["dossier"])


def _answers(client: RpcClient, token: str) -> bool:
    try:
        client.call("dossier", "select_one", context(token))
    except Refusal:
        return False
    return True
