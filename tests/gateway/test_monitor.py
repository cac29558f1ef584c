"""What operators see: what waits and how fast it goes, found once for all who look, and nothing of anybody."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.backlogs import FRESH, SERVICES, Backlogs, Depth, Look
from gateway.monitor import create_app, page


def told(replica: str = "a:1", answered: int = 0, depth: int = 0, written: int = 0, **own: Any) -> dict[str, Any]:
    return {
        "replica": replica,
        "questions": {"since": 0.0, "answered": answered, "refused": 2, "failed": 1, "seconds": 1.5},
        "outbox": {"depth": depth, "age": 4.5, "written": written},
        "inbox": {"depth": 3, "age": 60.0, "failing": 1, "parked": 9, "taken": 40},
        "own": [own] if own else [],
    }


class Country:
    """What services and broker answer, as a test has it, and how often they were asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[dict[str, Any]]] = {name: [told()] for name in SERVICES}
        kinds = ("rpc-{}", "{}.inbox")
        self.queues: dict[str, Depth] = {kind.format(name): Depth(0, 1) for name in SERVICES for kind in kinds}
        self.asked: list[str] = []
        self.time = 100.0
        self.backlogs = Backlogs(self.ask, self.depths, lambda: self.time)

    def ask(self, service: str) -> dict[str, Any] | None:
        """Its replicas answer in turns."""
        self.asked.append(service)
        replicas = self.answers[service]
        return replicas[self.asked.count(service) % len(replicas)] if replicas else None

    def depths(self) -> Mapping[str, Depth]:
        return self.queues

    def figures(self) -> dict[tuple[str, ...], float]:
        answer = create_app(self.backlogs).test_client().get("/metrics")
        assert answer.status_code == 200
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


def test_prometheus_reads_depths_ages_and_counters_of_every_service() -> None:
    country = Country()
    own = {"name": "deliveries_waiting", "text": "Waiting.", "labels": {"way": "queue", "state": "lagging"}, "value": 7}
    country.answers["notifications"] = [told(depth=12, written=99, **own)]
    country.queues["dossier.inbox"] = Depth(31, 2)
    found = country.figures()
    assert found["opendsp_up", "dossier"] == 1
    assert found["opendsp_outbox_depth", "notifications"] == 12 and found["opendsp_outbox_depth", "dossier"] == 0
    assert found["opendsp_outbox_oldest_seconds", "notifications"] == 4.5
    assert found["opendsp_inbox_oldest_seconds", "audit"] == 60 and found["opendsp_inbox_parked", "audit"] == 9
    assert found["opendsp_outbox_written_total", "notifications"] == 99
    assert found["opendsp_inbox_taken_total", "identity"] == 40
    assert found["opendsp_questions_total", "failed", "a:1", "identity"] == 1
    assert found["opendsp_question_seconds_total", "a:1", "identity"] == 1.5
    assert found["opendsp_deliveries_waiting", "lagging", "queue"] == 7
    assert found["opendsp_queue_messages", "dossier.inbox"] == 31
    assert found["opendsp_queue_consumers", "dossier.inbox"] == 2


def test_a_service_that_does_not_answer_is_down_and_hides_none_of_the_others() -> None:
    country = Country()
    country.answers["documents"] = []
    found = country.figures()
    assert found["opendsp_up", "documents"] == 0 and found["opendsp_up", "dossier"] == 1
    assert ("opendsp_outbox_depth", "documents") not in found and ("opendsp_outbox_depth", "dossier") in found
    shown = page(*country.backlogs.look())
    assert shown.count("does not answer") == 1


def test_without_the_broker_it_says_so() -> None:
    country = Country()
    country.queues = {}
    country.answers = {name: [] for name in SERVICES}
    found = country.figures()
    assert found["opendsp_broker_up",] == 0 and found["opendsp_up", "audit"] == 0
    assert "The broker does not answer" in page(*country.backlogs.look())


@pytest.mark.parametrize(("away", "figure", "line"), [
    (".inbox", "opendsp_broker_up", "The broker of events does not answer"),
    ("rpc-", "opendsp_rpc_broker_up", "The broker of questions does not answer"),
])  # fmt: skip
def test_of_two_brokers_it_says_which_is_away(away: str, figure: str, line: str) -> None:
    country = Country()
    both = country.figures()
    assert both["opendsp_broker_up",] == both["opendsp_rpc_broker_up",] == 1
    assert "does not answer" not in page(*country.backlogs.look())
    country.queues = {name: depth for name, depth in country.queues.items() if away not in name}
    country.time += FRESH
    found = country.figures()
    assert {name: found[name,] for name in ("opendsp_broker_up", "opendsp_rpc_broker_up")} == {
        "opendsp_broker_up": 1, "opendsp_rpc_broker_up": 1, figure: 0,
    }  # fmt: skip
    assert line in page(*country.backlogs.look())


def test_each_replica_is_counted_by_itself_and_its_database_once() -> None:
    country = Country()
    country.answers["identity"] = [told("a:1", answered=5, depth=4), told("b:2", answered=8, depth=4)]
    country.queues["rpc-identity"] = Depth(0, 2)
    found = country.figures()
    assert found["opendsp_questions_total", "answered", "a:1", "identity"] == 5
    assert found["opendsp_questions_total", "answered", "b:2", "identity"] == 8
    assert found["opendsp_outbox_depth", "identity"] == 4


def test_however_many_look_the_services_are_asked_once_in_a_while() -> None:
    country = Country()
    looking = [threading.Thread(target=country.figures) for _ in range(8)]
    for one in looking:
        one.start()
    for one in looking:
        one.join()
    assert sorted(country.asked) == sorted(SERVICES)
    country.time += FRESH - 0.1
    country.figures()
    assert len(country.asked) == len(SERVICES)
    country.time += 0.1
    country.figures()
    assert len(country.asked) == 2 * len(SERVICES)


def test_rates_are_what_was_done_between_two_looks() -> None:
    before = Look(100.0, {"audit": [told(answered=100, written=40)]}, {})
    after = Look(110.0, {"audit": [told(answered=350, written=45), told("b:2", answered=7000)]}, {})
    line = page(after, before).partition("<tr><td>audit</td>")[2].partition("</tr>")[0]
    cells = [cell.removesuffix("</td>") for cell in line.split("<td>")[1:]]
    assert cells == ["2", "25.0", "2", "0", "4", "0.5", "3", "60", "0.0", "1", "9"], "a replica that is new has no rate"


def test_a_replica_that_began_anew_has_no_rate_below_nothing() -> None:
    before = Look(100.0, {"audit": [told(answered=100)]}, {})
    after = Look(110.0, {"audit": [told(answered=3)]}, {})
    assert "<td>0.0</td>" in page(after, before) and "-" not in page(after, before).partition("<tbody>")[2][:80]


def test_the_first_look_has_no_rates_and_the_page_needs_no_script() -> None:
    country = Country()
    client = create_app(country.backlogs).test_client()
    answer = client.get("/")
    assert answer.status_code == 200 and "<script" not in answer.text
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert client.get("/monitor.css").content_type.startswith("text/css")
    assert client.get("/health/live").json == {"status": "ok"} and client.get("/anything").status_code == 404


def test_what_a_service_names_cannot_become_markup() -> None:
    own = {"name": "x", "text": "t", "labels": {"a": "<script>alert(1)</script>"}, "value": 1}
    shown = page(Look(1.0, {"audit": [told(**own)]}, {"<b>": Depth(1, 1)}), None)
    assert "<script>" not in shown and "<b>" not in shown and "&lt;script&gt;" in shown
