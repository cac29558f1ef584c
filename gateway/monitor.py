"""For operators: figures for Prometheus and one page to look at. A process and a listener of its own.

`gunicorn gateway.monitor:create_app()`, with the broker user of the operator. It asks nobody who they are: it listens
on loopback, or where operators alone can reach it. Nothing it shows is about a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.backlogs import FRESH, Backlogs, Look, Told, asker, measurer
from services.settings import Purpose, load

STYLE = Path(__file__).parent / "pages" / "monitor.css"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
}
# What is carried, and the name of the figure; one broker may carry both.
BROKERS: tuple[tuple[str, Purpose, str], ...] = (
    ("events", "events", "broker_up"),
    ("questions", "rpc", "rpc_broker_up"),
)
# Of an inbox or an outbox: name of the figure, member of the answer, what it means.
GAUGES = (
    ("outbox_depth", "outbox", "depth", "Events not yet with the broker, or since a second at most."),
    ("outbox_oldest_seconds", "outbox", "age", "Age of the eldest of them."),
    ("inbox_depth", "inbox", "depth", "Events not yet worked."),
    ("inbox_oldest_seconds", "inbox", "age", "Age of the eldest of them."),
    ("inbox_failing", "inbox", "failing", "Events that failed at least once and are tried again."),
    ("inbox_parked", "inbox", "parked", "Events that failed for good and wait for an operator."),
)
COUNTERS = (
    ("outbox_written", "outbox", "written", "Events that were emitted."),
    ("inbox_taken", "inbox", "taken", "Events that were taken into the inbox."),
)
OUTCOMES = ("answered", "refused", "failed")


class Figures(Collector):
    """A look as Prometheus reads it."""

    def __init__(self, backlogs: Backlogs) -> None:
        self._backlogs = backlogs

    def collect(self) -> Iterator[Metric]:
        """All figures of now."""
        look, _ = self._backlogs.look()
        up = GaugeMetricFamily("opendsp_up", "Whether the service answers.", labels=["service"])
        for service, told in look.services.items():
            up.add_metric([service], float(bool(told)))
        yield up
        for carried, purpose, name in BROKERS:
            text = f"Whether the broker of {carried} answers."
            yield GaugeMetricFamily(f"opendsp_{name}", text, value=float(look.broker_answers(purpose)))
        yield from _of_queues(look)
        # What stands in a database is the same to all replicas of its service.
        first = {service: told[0] for service, told in look.services.items() if told}
        for name, box, member, text in GAUGES:
            gauge = GaugeMetricFamily(f"opendsp_{name}", text, labels=["service"])
            for service, one in first.items():
                gauge.add_metric([service], one[box][member])
            yield gauge
        for name, box, member, text in COUNTERS:
            counter = CounterMetricFamily(f"opendsp_{name}", text, labels=["service"])
            for service, one in first.items():
                counter.add_metric([service], one[box][member])
            yield counter
        yield from _of_questions(look)
        yield from _of_services(first)


def _of_queues(look: Look) -> Iterator[Metric]:
    messages = GaugeMetricFamily("opendsp_queue_messages", "Messages that nobody has taken yet.", labels=["queue"])
    consumers = GaugeMetricFamily("opendsp_queue_consumers", "Processes that take from it.", labels=["queue"])
    for queue, depth in look.queues.items():
        messages.add_metric([queue], depth.messages)
        consumers.add_metric([queue], depth.consumers)
    yield messages
    yield consumers


def _of_questions(look: Look) -> Iterator[Metric]:
    labels = ["service", "replica"]
    count = CounterMetricFamily("opendsp_questions", "Questions that were answered.", labels=[*labels, "outcome"])
    seconds = CounterMetricFamily("opendsp_question_seconds", "Time they took.", labels=labels)
    for service, told in look.services.items():
        for one in told:
            for outcome in OUTCOMES:
                count.add_metric([service, one["replica"], outcome], one["questions"][outcome])
            seconds.add_metric([service, one["replica"]], one["questions"]["seconds"])
    yield count
    yield seconds


def _of_services(first: dict[str, Told]) -> Iterator[Metric]:
    """What services tell beside, under the name they give it."""
    families: dict[str, GaugeMetricFamily] = {}
    for one in first.values():
        for figure in one["own"]:
            labels = figure["labels"]
            family = families.setdefault(
                figure["name"], GaugeMetricFamily(f"opendsp_{figure['name']}", figure["text"], labels=list(labels))
            )
            family.add_metric([str(value) for value in labels.values()], figure["value"])
    yield from families.values()


def page(look: Look, before: Look | None) -> str:
    """The page: a line for each service, for what they tell beside, and for each queue."""
    services = [_service_line(name, told, _rates(name, look, before)) for name, told in look.services.items()]
    own = [
        (figure["name"].replace("_", " "), " ".join(map(str, figure["labels"].values())), _number(figure["value"]))
        for told in look.services.values() for figure in (told[0]["own"] if told else ())
    ]  # fmt: skip
    queues = [(name, _number(depth.messages), str(depth.consumers)) for name, depth in look.queues.items()]
    heads = ("service", "replicas", "questions/s", "failed", "outbox", "oldest", "out/s", "inbox", "oldest", "in/s",
             "failing", "parked")  # fmt: skip
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{FRESH:.0f}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>OpenDSP: what waits</title>'
        '<link rel="stylesheet" href="/monitor.css"></head><body><h1>What waits</h1>'
        f"{_table(heads, services)}<h2>Beside</h2>{_table(('what', 'which', 'how many'), own)}"
        f"<h2>Queues of the broker</h2>{_away(look)}{_table(('queue', 'messages', 'consumers'), queues)}"
        '<p>Ages in seconds. The same for Prometheus: <a href="/metrics">/metrics</a></p></body></html>'
    )


def _away(look: Look) -> str:
    """Which broker does not answer, as a line of the page."""
    away = [carried for carried, purpose, _ in BROKERS if not look.broker_answers(purpose)]
    if not away:
        return ""
    which = f" of {away[0]}" if len(away) < len(BROKERS) else ""
    return f"<p>The broker{which} does not answer.</p>"


def _service_line(name: str, told: Any, rates: tuple[str, str, str]) -> tuple[str, ...]:
    if not told:
        return (name, "does not answer", *[""] * 10)
    outbox, inbox = told[0]["outbox"], told[0]["inbox"]
    failed = sum(one["questions"]["failed"] for one in told)
    asked, out, taken = rates
    return (
        name, str(len(told)), asked, _number(failed), _number(outbox["depth"]), _number(outbox["age"]), out,
        _number(inbox["depth"]), _number(inbox["age"]), taken, _number(inbox["failing"]), _number(inbox["parked"]),
    )  # fmt: skip


def _rates(service: str, look: Look, before: Look | None) -> tuple[str, str, str]:
    """Questions answered, events emitted and events taken in a second since the look before; empty where unknown."""
    now, then = look.services.get(service), before.services.get(service) if before is not None else None
    if not now or not then or before is None:
        return "", "", ""
    passed = max(look.at - before.at, 0.001)
    earlier = {one["replica"]: one["questions"] for one in then}
    both = [(one["questions"], earlier[one["replica"]]) for one in now if one["replica"] in earlier]
    asked = sum(later[outcome] - first[outcome] for later, first in both for outcome in OUTCOMES)
    written = now[0]["outbox"]["written"] - then[0]["outbox"]["written"]
    taken = now[0]["inbox"]["taken"] - then[0]["inbox"]["taken"]
    asked_rate, written_rate, taken_rate = (f"{max(0, count) / passed:.1f}" for count in (asked, written, taken))
    return asked_rate, written_rate, taken_rate


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def _table(heads: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def create_app(backlogs: Backlogs | None = None) -> Flask:
    """The application. backlogs: where its numbers come from; None: the services and the broker of the settings."""
    source = backlogs or Backlogs(asker(load()), measurer(load()))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(source))
    app = Flask(__name__, static_folder=None)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers=HEADERS)

    @app.get("/")
    def look() -> Response:
        return Response(page(*source.look()), content_type="text/html; charset=utf-8", headers=HEADERS)

    @app.get("/monitor.css")
    def style() -> Response:
        return Response(STYLE.read_bytes(), content_type="text/css; charset=utf-8", headers=HEADERS)

    @app.get("/health/live")
    def live() -> Response:
        return Response('{"status": "ok"}', content_type="application/json", headers=HEADERS)

    return app
