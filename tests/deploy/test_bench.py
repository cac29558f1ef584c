"""What make bench writes and chooses. How fast anything is depends on the machine, so no test asks."""

import base64
import http.server
import json
import os
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.agency import any_matricule
from deploy.bench import carers, shelf_texts, shelves, typeahead
from deploy.bench.__main__ import MEASURES, main
from deploy.bench.bare_finding import Timed
from deploy.bench.crew import PASSWORD, People, Visits
from deploy.bench.crowd import Client, Unanswered, rate
from deploy.bench.figures import AMOUNTS, BY_ID, CATALOGUE, FIELDS, Figure, Row, chosen, spread, write
from deploy.bench.rest import CALM, LONGEST, come_to_rest, share_at_work
from deploy.bench.rounds import absolute, alternate, percentile
from deploy.local import postgres
from deploy.local.stack import Stack
from services.db import new_id
from services.directory.models import Professional
from services.directory.rules_professionals import require_search
from services.documents.rules_words import words
from services.identity.ports.codes import IdentityKey
from services.plans import planned_once
from services.words import say_last
from tests.builders import House, caller

HIGHER = Figure("some_rate", "a rate", "higher", 0.5)
LOWER = Figure("some_time", "a time", "lower", 5)


# --- ratios ---------------------------------------------------------------------------------------------------------


def test_a_ratio_is_ours_divided_by_the_baseline() -> None:
    assert Row(HIGHER, 30, 40, "small").ratio == 0.75


@pytest.mark.parametrize(
    ("figure", "ours", "met"), [(HIGHER, 50, True), (HIGHER, 49, False), (LOWER, 500, True), (LOWER, 501, False)]
)
def test_a_target_is_met_from_the_right_side(figure: Figure, ours: float, met: bool) -> None:
    assert Row(figure, ours, 100, "small").met is met


def test_an_absolute_figure_has_no_baseline_and_no_ratio_and_its_target_is_its_own() -> None:
    row = Row(BY_ID["deposit_rss_mb"], 65, None, "small")
    assert (row.as_json()["baseline"], row.as_json()["ratio"], row.met) == (None, None, False)
    assert Row(BY_ID["deposit_rss_mb"], 64, None, "small").met is True


def test_a_figure_without_target_meets_none_and_misses_none() -> None:
    assert Row(BY_ID["download_50mb"], 1, 2, "small").met is None


def test_the_targets_are_those_that_were_promised() -> None:
    promised = {
        "rpc": ("higher", 0.45),
        "http_rpc": ("higher", 0.22),
        "deposit_50mb": ("higher", 0.65),
        "deposit_rss_mb": ("lower", 64),
        "deposit_1mib": ("higher", 0.65),
        "deposit_64kib": ("higher", 0.35),
        "deposit_1gib_rss_mb": ("lower", 64),
        "record_page_p50": ("lower", 5),
        "record_page_p99": ("lower", 5),
        "login": ("higher", 0.85),
        "login_neighbours": ("lower", 2),
        "token_verify": ("lower", 2),
        "token_verify_cached": ("lower", 10),
        "audit_append": ("higher", 0.85),
        "audit_batch": ("higher", 0.7),
        "patient_lookup": ("lower", 2),
        "patient_search": ("lower", 150),
        "professional_typeahead": ("lower", 50),
        "bulk_load": ("higher", 0.5),
        "decision": ("lower", 2),
        "access_scope": ("lower", 1.6),
        "filtered_list": ("lower", 1.5),
        "many_grants": ("lower", 1.1),
        "explain": ("lower", 2),
        "record_page_10m": ("lower", 1.3),
        "record_page_10m_p99": ("lower", 1),
        "tree_10m": ("lower", 1.3),
        "tree_10m_p99": ("lower", 1),
        "keyword_10m": ("lower", 1.3),
        "keyword_10m_p99": ("lower", 1),
        "relay": ("higher", 0.6),
        "poison": ("higher", 0.95),
        "history_page": ("lower", 1.3),
        "verify": ("higher", 0.25),
        "delivery_p99": ("lower", 3),
    }
    assert {figure.id: (figure.better, figure.target) for figure in CATALOGUE if figure.target is not None} == promised


# --- rounds ---------------------------------------------------------------------------------------------------------


def test_ours_and_the_baseline_are_measured_in_turns_and_their_middles_compared() -> None:
    order: list[str] = []
    values = {"ours": iter([10.0, 30.0, 20.0]), "baseline": iter([40.0, 40.0, 1.0])}

    def measured(which: str) -> float:
        order.append(which)
        return next(values[which])

    compared = alternate(lambda: measured("ours"), lambda: measured("baseline"), 3)
    assert order == ["ours", "baseline", "baseline", "ours", "ours", "baseline"]
    row = compared.row("rpc", "small")
    assert (row.ours, row.baseline, row.ratio, row.noise) == (20, 40, 0.5, "0.25–20")


@pytest.mark.parametrize(("shares", "rests", "looks"), [
    ([0.1], True, 1), ([0.9, 0.3, 0.2], True, 3), ([0.9] * LONGEST, False, LONGEST),
])  # fmt: skip
def test_the_next_figure_waits_for_what_the_one_before_left_but_not_for_ever(
    shares: list[float], rests: bool, looks: int
) -> None:
    seen = iter(shares)
    asked: list[float] = []
    assert come_to_rest(lambda seconds: asked.append(seconds) or next(seen)) is rests
    assert asked == [CALM] * looks


def test_a_core_at_work_is_seen_and_the_share_is_one_of_all() -> None:
    over = threading.Event()

    def works() -> None:
        while not over.is_set():
            pass

    worker = threading.Thread(target=works)
    worker.start()
    try:
        share = share_at_work(0.5)
    finally:
        over.set()
        worker.join()
    assert 0.5 / (os.cpu_count() or 1) < share <= 1


def test_an_absolute_figure_is_the_middle_of_what_was_seen() -> None:
    row = absolute("deposit_50mb_sdk", [3, 1, 2], "full")
    assert (row.ours, row.baseline, row.noise, row.size) == (2, None, "1–3", "full")


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50, 99, 7)
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_the_spread_names_the_least_and_the_most() -> None:
    assert spread([0.5, 0.123456, 2]) == "0.1235–2"


# --- what is measured -----------------------------------------------------------------------------------------------


def test_every_figure_has_an_id_of_its_own_and_exactly_one_measurement() -> None:
    measured = [figure for _, ids in MEASURES for figure in ids]
    assert sorted(measured) == sorted(BY_ID) == sorted({figure.id for figure in CATALOGUE})


def test_only_names_figures_or_their_common_beginning() -> None:
    assert chosen("rpc,deposit") == (
        "deposit_rss_mb", "rpc", "deposit_50mb", "deposit_1mib", "deposit_64kib", "deposit_1gib_rss_mb",
        "deposit_50mb_sdk",
    )  # fmt: skip
    assert chosen(" http_rpc ") == ("http_rpc",)
    assert set(chosen("memory")) == {figure for figure in BY_ID if figure.startswith("memory_")}
    assert chosen(None) == chosen("") == tuple(BY_ID)


@pytest.mark.parametrize("only", ["rcp", "rpc,nothing", "deposit_", "rp"])
def test_a_name_that_fits_no_figure_is_refused(only: str) -> None:
    with pytest.raises(ValueError, match="no figure is called"):
        chosen(only)


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--size", "huge"]])
def test_the_command_refuses_what_it_does_not_know_before_anything_starts(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "nothing" in capsys.readouterr().err or "huge" in arguments


def test_the_larger_size_measures_more_of_everything() -> None:
    small, full = AMOUNTS["small"], AMOUNTS["full"]
    assert full.rounds > small.rounds and full.pages > small.pages and full.transfers > small.transfers
    assert full.needs > small.needs > small.transfers * small.unit


# --- bench.json -----------------------------------------------------------------------------------------------------


def test_the_file_is_a_list_of_rows_with_exactly_the_promised_members(tmp_path: Path) -> None:
    rows = [
        Row(BY_ID["http_rpc"], 1234.5678, 4321, "small"),
        Row(BY_ID["memory_gateway"], 96.97, None, "small"),
        Row(BY_ID["rpc"], 1, 3, "small"),
    ]
    write(rows, tmp_path / "bench.json")
    told = json.loads((tmp_path / "bench.json").read_text())
    assert [row["id"] for row in told] == ["memory_gateway", "rpc", "http_rpc"]
    assert all(tuple(row) == FIELDS for row in told)
    assert told[2] == {
        "id": "http_rpc", "name": BY_ID["http_rpc"].name, "ours": 1235, "baseline": 4321, "ratio": 0.286,
        "target": 0.22, "better": "higher", "size": "small",
    }  # fmt: skip
    assert (told[0]["baseline"], told[0]["ratio"], told[0]["target"]) == (None, None, None)


# --- the crowd ------------------------------------------------------------------------------------------------------


@contextmanager
def server(*pieces: bytes) -> Iterator[tuple[str, int]]:
    """Answers every request with these pieces, one after the other."""

    class Answering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65536):
                for piece in pieces:
                    self.request.sendall(piece)
                    time.sleep(0.002 if len(pieces) > 1 else 0)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Answering) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield "127.0.0.1", listening.server_address[1]
        listening.shutdown()


def test_a_crowd_counts_whole_answers_and_stops_at_anything_but_200() -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") as address:
        assert rate(address, b"GET / HTTP/1.1\r\n\r\n", 3, 0.1) > 0
    with (
        server(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") as address,
        pytest.raises(Unanswered, match="503"),
    ):
        rate(address, b"GET / HTTP/1.1\r\n\r\n", 3, 0.1)


def test_an_answer_that_comes_in_pieces_is_read_to_its_end() -> None:
    with server(b"HTTP/1.1 200 OK\r\nCont", b"ent-Length: 6\r\n\r\nhel", b"lo!") as address:
        client = Client(address, b"GET / HTTP/1.1\r\n\r\n")
        assert client.answer() > 0 and client.answer() > 0
        client.close()


@contextmanager
def front_door(key: IdentityKey, code_status: int) -> Iterator[tuple[str, int]]:
    """Asks for a code after each password and answers the right one with this status, a wrong one with 422."""

    class Answering(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/api/v1/sessions":
                self._told(202 if body["password"] == PASSWORD else 422, {"challenge_id": new_id()})
                return
            right = body["code"] == key.one_time_code(self.path.split("/")[-2])
            self._told(code_status if right else 422, {})

        def _told(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as listening:
        listening.handle_error = lambda *_: None  # a client that saw enough goes away in the middle
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield "127.0.0.1", listening.server_address[1]
        listening.shutdown()


def test_a_crew_counts_those_who_came_in_and_stops_at_anybody_who_did_not() -> None:
    key = os.urandom(32)
    where = {"key": base64.b64encode(key).decode(), "matricules": [any_matricule(), any_matricule()]}
    with front_door(IdentityKey(key), 201) as address, closing(Visits(People({"address": address, **where}), 3)) as few:
        assert few.rate(0.1) > 0
    other = {**where, "key": base64.b64encode(os.urandom(32)).decode()}
    for status, told, wrong in ((200, where, "200"), (201, other, "422")):
        with (
            front_door(IdentityKey(key), status) as address,
            closing(Visits(People({"address": address, **told}), 3)) as few,
            pytest.raises(Unanswered, match=wrong),
        ):
            few.rate(0.1)


def test_what_is_typed_is_three_to_six_letters_of_names_and_professions() -> None:
    questions = list(islice(typeahead.typed(Random(1)), 500))
    assert {len(question) for question in questions} == {3, 4, 5, 6}
    assert len(set(questions)) > 200
    assert {"inf", "med", "méd"} & set(questions), "what thousands are found by is among them"
    assert all(require_search(question, 20).words for question in questions)


def test_who_the_bench_finds_is_written_as_registering_would_have_written_them(
    database: Callable[[str], str],
) -> None:
    house = House(database, services=("directory",))
    sessions = house.sessions["directory"]
    with sessions.transaction() as session:
        carers.fill(session.connection().connection.cursor(), 300)
    with sessions.transaction() as session:
        person = session.scalars(sa.select(Professional).order_by(Professional.professional_id)).first()
        assert person is not None
        session.expunge(person)
    whole = house.ask("directory", "read_professional", caller("agent"), professional_id=person.professional_id)
    assert whole["establishments"] and whole["history"]["licences"][0]["licence"] == "valid"
    sheet = {name: whole[name] for name in ("family_name", "first_name", "profession", "specialities")}
    changes = {**sheet, "address": whole["history"]["address"]}
    asked = {"professional_id": person.professional_id, "changes": changes}
    assert house.ask("directory", "change_professional", caller("agent"), **asked)["version"] == 1, "nothing is another"
    house.close()


# --- the shelves ------------------------------------------------------------------------------------------------------


def test_the_shelves_hold_as_many_documents_as_they_should_of_the_national_mix(
    infra: Stack, database: Callable[[str], str]
) -> None:
    with closing(postgres.connect(infra.layout, sa.make_url(database("documents")).database or "")) as connection:
        cursor = connection.cursor()
        cursor.execute("set session_replication_role = replica")
        sample = shelves.shelve(cursor, 1_500, 300, 60, [new_id() for _ in range(5)], "key")
        cursor.execute("select type, count(*) from documents join versions using (document_id) group by type")
        counts = dict(cursor.fetchall())
        cursor.execute("select count(*) from texts join documents using (document_id) where words @@ 'sang:*'")
        assert cursor.fetchone()[0] > 10
        cursor.execute("select distinct cast(record_id as text) from documents")
        assert set(sample) <= {row[0] for row in cursor.fetchall()}
    assert sum(counts.values()) == 1_500
    assert abs(counts["laboratory_results"] / 1_500 - shelf_texts.mix()["laboratory_results"]) < 0.1


def test_what_is_sought_on_the_shelves_stands_there() -> None:
    written = {word for text in shelf_texts.texts("laboratory_results", 200, 1) for word in words(text.body)}
    asked = [words(query) for query in islice(shelf_texts.queries(Random(1)), 200)]
    assert all(asked) and sum(any(word in written for word in each) for each in asked) > 100


def test_what_a_service_says_is_said_again_by_the_driver_alone(database: Callable[[str], str]) -> None:
    timed = Timed(database("audit"))
    move = "insert into record_moves (record_id, merge_id, version) values (:moved, :moved, 1)"
    question = planned_once(sa.text("select count(*) from hidden_documents where kind = :kind"))
    noted = []
    for kind in ("blocked", "withheld"):  # the first with its plan, the second by the name of it
        timed.begin()
        with timed.sessions.transaction() as session:
            session.execute(question, {"kind": kind})
            say_last(session, move, moved=new_id())
        noted.append(timed.told()[1])
    timed.begin()
    with timed.sessions.transaction() as session:
        session.execute(sa.text("delete from record_moves"))
    assert not [text for statements in noted for text, _ in statements if "prepare " in text]
    again = timed.replayer()
    assert all(again(statements) > 0 for statements in noted)
    with timed.sessions.reading() as session:
        assert session.scalar(sa.text("select count(*) from record_moves")) == 2
