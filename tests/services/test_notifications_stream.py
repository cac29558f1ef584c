"""The stream of news from its real process, over PostgreSQL's own LISTEN: told at once, resumed, ended, killed."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.local import postgres
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.local.supervise import wait_until
from services.db import Sessions, new_id, now
from services.notifications.contract import STREAM_PATH
from services.notifications.models_inbox import StreamTicket
from services.notifications.models_messages import Message
from services.notifications.ports.event_stream import Asked, EventStream, Line
from services.notifications.streaming import Streams
from tests.builders import House, caller
from tests.services.inbox_house import InboxHouse, of, patient
from tests.services.stream_process import PATIENCE, PORTAL, Follower, StreamProcess, announce_key, end_session, token_of

THOUSAND = 1000


@pytest.fixture(scope="module")
def together(database: Callable[[str], str]) -> Iterator[tuple[House, str]]:
    url = database("notifications")
    house = House(lambda _: url, ("notifications",))
    announce_key(house.sessions["notifications"])
    yield house, url
    house.close()


@pytest.fixture
def house(together: tuple[House, str]) -> InboxHouse:
    made = InboxHouse(together[0])
    made.actions()
    return made


@pytest.fixture(scope="module")
def process(together: tuple[House, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamProcess]:
    made = StreamProcess(together[1], tmp_path_factory.mktemp("stream"))
    yield made
    made.end()


# --- who is let in ----------------------------------------------------------------------------------------------------


def test_without_a_token_or_with_one_of_somebody_elses_making_nobody_is_let_in(process: StreamProcess) -> None:
    me = patient()
    forged = token_of(me).rpartition(".")[0] + "." + token_of(patient()).rpartition(".")[2]
    for headers in (
        {}, {"Authorization": f"Bearer {forged}"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"},
        {"Authorization": f"Bearer {token_of(me, exp=1)}"}, {"Authorization": f"Bearer {token_of(me, aud='other')}"},
        {"Cookie": "opendsp_stream=x"}, {"Cookie": "opendsp_stream"}, {"Cookie": "\x01=;;;"},
    ):  # fmt: skip
        answer = process.ask(**headers)
        assert answer.status_code == 401, headers
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:dsp:problem:unauthenticated"


def test_business_software_follows_nobodys_news(process: StreamProcess) -> None:
    answer = process.ask(Authorization=f"Bearer {token_of(patient(), cli=new_id(), scope='system/Patient.rs')}")
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:dsp:problem:insufficient_scope"


def test_whose_session_has_ended_is_not_let_in(house: InboxHouse, process: StreamProcess) -> None:
    me = patient()
    end_session(house.sessions, me)
    answer = process.follow(me)
    assert answer.status == 401


def test_each_opening_leaves_one_trace_of_who_opened_it(house: InboxHouse, process: StreamProcess) -> None:
    me = patient()
    follower = process.follow(me)
    assert follower.waits_for(unread=0)
    [trace] = [one for one in house.house.events("notifications") if one["data"].get("action") == "stream.opened"]
    assert trace["source"] == "notifications"
    assert trace["data"]["patient_id"] == me.patient_id and trace["data"]["outcome"] == "allowed"
    follower.leave()


def test_an_answer_may_be_kept_by_nobody_and_is_not_held_back_on_the_way(process: StreamProcess) -> None:
    follower = process.follow(patient())
    assert follower.status == 200
    assert follower.headers["Content-Type"] == "text/event-stream"
    assert follower.headers["Cache-Control"] == "no-store" and follower.headers["X-Accel-Buffering"] == "no"
    follower.leave()


# --- a ticket in a cookie ---------------------------------------------------------------------------------------------


def test_a_ticket_opens_the_stream_of_whoever_asked_for_it_and_of_nobody_else(
    house: InboxHouse, process: StreamProcess
) -> None:
    me = patient()
    ticket = house.ask("prepare_stream", me)["ticket"]
    follower = process.follow(Cookie=f"other=1; opendsp_stream={ticket}")
    told = house.told(of(me))
    house.told(of(patient()))
    assert follower.waits_for(told=[told], unread=1)
    follower.leave()


def test_a_ticket_is_kept_as_a_digest_ends_with_the_token_and_never_lasts_long(house: InboxHouse) -> None:
    soon = house.ask("prepare_stream", patient(expires_at=int(now().timestamp()) + 60))
    late = house.ask("prepare_stream", patient(expires_at=int(now().timestamp()) + 86400))
    with house.sessions.transaction() as session:
        kept = {bytes(row.ticket_digest): row.expires_at for row in session.scalars(sa.select(StreamTicket))}
    until = kept[sha256(soon["ticket"].encode()).digest()]
    assert 0 < (until - now()).total_seconds() <= 60
    assert (kept[sha256(late["ticket"].encode()).digest()] - now()).total_seconds() <= 600


def test_a_ticket_that_is_over_or_whose_session_has_ended_opens_nothing(
    house: InboxHouse, process: StreamProcess
) -> None:
    me, other = patient(), patient()
    over, ended = house.ask("prepare_stream", me)["ticket"], house.ask("prepare_stream", other)["ticket"]
    with house.sessions.transaction() as session:
        session.execute(
            sa.update(StreamTicket).where(StreamTicket.account_id == me.account_id).values(expires_at=now())
        )
    end_session(house.sessions, other)
    for ticket in (over, ended):
        assert process.follow(Cookie=f"opendsp_stream={ticket}").status == 401


# --- pages of other origins -------------------------------------------------------------------------------------------


def test_the_portals_pages_may_read_it_and_pages_of_other_origins_are_refused_before_their_cookie_is_looked_at(
    house: InboxHouse, process: StreamProcess
) -> None:
    ticket = house.ask("prepare_stream", patient())["ticket"]
    ours = process.ask(Cookie=f"opendsp_stream={ticket}", Origin=PORTAL)
    assert ours.status_code == 200
    assert ours.headers["Access-Control-Allow-Origin"] == PORTAL
    assert ours.headers["Access-Control-Allow-Credentials"] == "true"
    ours.close()
    for origin in ("https://evil.example", "null", PORTAL + ".evil.example"):
        theirs = process.ask(Cookie=f"opendsp_stream={ticket}", Origin=origin)
        assert theirs.status_code == 403 and "Access-Control-Allow-Origin" not in theirs.headers


def test_a_browser_that_asks_first_is_told_what_it_may_send(process: StreamProcess) -> None:
    answer = process.ask("OPTIONS", Origin=PORTAL, Access_Control_Request_Headers="authorization")
    assert answer.status_code == 204 and answer.headers["Access-Control-Allow-Origin"] == PORTAL
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


# --- what strangers send ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /api/v1/notifications/stream\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404), (b"GET /api/v1/notifications/stream HTTP/1.1\r\n\r\n", 400),
        (b"POST /api/v1/notifications/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        (b"GET /api/v1/notifications/stream HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40000 + b"\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    ],
)  # fmt: skip
def test_what_is_no_request_for_a_stream_is_refused_as_what_it_is(
    process: StreamProcess, sent: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", process.port), PATIENCE) as wire:
        wire.sendall(sent)
        answer = wire.recv(4096).decode()
    assert answer.startswith(f"HTTP/1.1 {status} "), answer
    assert process.is_there()


def test_nothing_of_what_was_sent_is_in_the_log(house: InboxHouse, process: StreamProcess) -> None:
    me = patient()
    ticket = house.ask("prepare_stream", me)["ticket"]
    process.ask(Cookie=f"opendsp_stream={ticket}").close()
    process.follow(me).leave()
    process.ask(Authorization="Bearer not-a-token-of-ours")
    text = process.log.read_text()
    assert '"status": 200' in text
    for secret in (ticket, "not-a-token", str(me.patient_id), token_of(me)[:30]):
        assert secret not in text


# --- telling ----------------------------------------------------------------------------------------------------------


def test_news_is_told_as_it_commits_by_ids_alone_and_to_its_reader_alone(
    house: InboxHouse, process: StreamProcess
) -> None:
    me, other = patient(), patient()
    mine, theirs = process.follow(me), process.follow(other)
    assert mine.waits_for(unread=0) and theirs.waits_for(unread=0)
    record_id, document_id = new_id(), new_id()
    told = house.told(of(me), record_id=record_id, object_type="document", object_id=document_id)
    assert mine.waits_for(told=[told], unread=1)
    [notice] = [told for kind, told in mine.events if kind == "notification"]
    assert set(notice) == {"notification_id", "occasion", "record_id", "object_type", "object_id", "happened_at"}
    assert notice["record_id"] == record_id and notice["object_id"] == document_id
    assert theirs.events == [("unread", {"unread": 0})]
    mine.leave(), theirs.leave()


def test_reading_on_one_page_is_told_to_the_others(house: InboxHouse, process: StreamProcess) -> None:
    me = patient()
    told = house.told(of(me))
    pages = [process.follow(me), process.follow(me)]
    assert all(page.waits_for(unread=1) for page in pages)
    house.ask("read_notification", me, notification_id=told)
    assert all(page.waits_for(unread=0, told=[]) for page in pages)
    for page in pages:
        page.leave()


def test_of_a_hidden_document_no_stream_says_a_word_until_it_is_seen_again(
    house: InboxHouse, process: StreamProcess
) -> None:
    me, document_id = patient(), new_id()
    since = house.hide(document_id, "blocked")
    follower = process.follow(me)
    assert follower.waits_for(unread=0)
    house.told(of(me), document_id=document_id)
    seen = house.told(of(me))
    assert follower.waits_for(told=[seen], unread=1)
    house.show(document_id, "blocked", since)
    assert follower.waits_for(told=[seen], unread=2)
    house.hide(document_id, "withheld")
    house.hide(document_id, "blocked")
    assert follower.waits_for(unread=1)
    follower.leave()


def test_news_for_a_patient_reaches_the_person_they_were_merged_with(house: InboxHouse, process: StreamProcess) -> None:
    survivor, merged = patient(), patient()
    house.merge(str(survivor.patient_id), str(merged.patient_id))
    follower = process.follow(merged)
    assert follower.waits_for(unread=0)
    told = house.told(of(survivor))
    assert follower.waits_for(told=[told], unread=1)
    follower.leave()


def test_a_professional_hears_at_work_nothing_of_what_they_are_told_as_a_patient(
    house: InboxHouse, process: StreamProcess
) -> None:
    account = new_id()
    ill, doctor = patient(account_id=account), caller("professional", account_id=account)
    follower = process.follow(doctor)
    assert follower.waits_for(unread=0)
    house.told(of(ill))
    told = house.told(of(doctor), "record_news.deposit_requested", role=None)
    assert follower.waits_for(told=[told], unread=1)
    follower.leave()


# --- from which moment on ---------------------------------------------------------------------------------------------


@contextmanager
def slowed(url: str, meanwhile: Callable[[], object]) -> Iterator[str]:
    """The server itself; meanwhile: what happens once somebody was let in, before a word is said to them."""
    loop, [port] = asyncio.new_event_loop(), free_ports(1, taken=[])
    streams = Streams(Sessions(url, "notifications"))

    async def let_in(asked: Asked, line: Line) -> None:
        await streams.open(asked, line)
        meanwhile()

    server = EventStream(STREAM_PATH, let_in, most=10, origins=frozenset())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.begin("127.0.0.1", port), loop).result(PATIENCE)
    try:
        yield f"http://127.0.0.1:{port}{STREAM_PATH}"
    finally:
        loop.call_soon_threadsafe(server.end)
        loop.call_soon_threadsafe(streams.end)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)


@pytest.mark.parametrize("last", [None, "1"])
def test_what_comes_between_being_let_in_and_the_first_word_is_told(
    house: InboxHouse, together: tuple[House, str], last: str | None
) -> None:
    me, came = patient(), []
    before = house.told(of(me))
    with slowed(together[1], lambda: came.append(house.told(of(me)))) as url:
        headers = {"Authorization": f"Bearer {token_of(me)}"} | ({"Last-Event-ID": last} if last else {})
        follower = Follower(url, headers)
        assert wait_until(lambda: follower.unread is not None, PATIENCE)
        assert follower.unread == 2 and follower.told == ([before] if last else []) + came
        follower.leave()


def test_what_was_there_before_is_no_news_however_long_somebody_else_has_been_writing(
    house: InboxHouse, process: StreamProcess
) -> None:
    me = patient()
    slow = house.sessions.engine.connect()
    slow.exec_driver_sql("begin")
    slow.exec_driver_sql("select pg_current_xact_id()")
    house.told(of(me))
    follower = process.follow(me)
    assert follower.waits_for(unread=1)
    after = house.told(of(me))
    assert follower.waits_for(told=[after], unread=2)
    slow.exec_driver_sql("commit")
    slow.close()
    house.told(of(patient()))
    later = house.told(of(me))
    assert follower.waits_for(told=[after, later], unread=3)
    follower.leave()


# --- going on after an interruption -----------------------------------------------------------------------------------


def test_whoever_comes_back_is_told_what_they_missed_and_nothing_twice(
    house: InboxHouse, process: StreamProcess
) -> None:
    me = patient()
    first = process.follow(me)
    seen = house.told(of(me))
    assert first.waits_for(told=[seen])
    first.leave()
    missed = [house.told(of(me)) for _ in range(3)]
    again = process.follow(me, last=first.last)
    assert again.waits_for(told=missed, unread=4)
    later = house.told(of(me))
    assert again.waits_for(told=[*missed, later], unread=5)
    again.leave()


def test_what_commits_late_is_not_lost_behind_what_committed_before_it(
    house: InboxHouse, process: StreamProcess
) -> None:
    me = patient()
    follower = process.follow(me)
    assert follower.waits_for(unread=0)
    slow = house.sessions.engine.connect()
    slow.exec_driver_sql("begin")
    late = new_id()
    slow.execute(sa.insert(Message).values(
        message_id=late, event_id=new_id(), recipient_kind="patient", recipient_id=me.patient_id, channel="inbox",
        occasion="record_news.mandate_opened", role="holder", happened_at=now(), state="delivered", settled_at=now(),
    ))  # fmt: skip
    fast = house.told(of(me))
    assert follower.waits_for(told=[fast], unread=1)
    follower.leave()
    slow.exec_driver_sql("commit")
    slow.close()
    again = process.follow(me, last=follower.last)
    assert wait_until(lambda: late in again.told, PATIENCE)
    assert again.waits_for(unread=2)
    again.leave()


@pytest.mark.parametrize("last", ["0", "nonsense", "-1", "9" * 19, "9" * 25, "1\u00e9"])
def test_an_unknown_place_is_no_error(house: InboxHouse, process: StreamProcess, last: str) -> None:
    me = patient()
    house.told(of(me))
    follower = process.follow(me, last=last.encode("latin-1"))  # type: ignore[arg-type]
    assert follower.waits_for(unread=1)
    told = house.told(of(me))
    assert wait_until(lambda: told in follower.told or last == "9" * 19, PATIENCE)
    follower.leave()


def test_killed_at_once_the_process_comes_back_and_nobody_has_missed_anything(
    house: InboxHouse, process: StreamProcess
) -> None:
    people = [patient() for _ in range(20)]
    before = [process.follow(who) for who in people]
    seen = [house.told(of(who)) for who in people]
    assert all(one.waits_for(told=[told]) for one, told in zip(before, seen, strict=True))
    process.end(signal.SIGKILL)
    assert wait_until(lambda: all(one.over for one in before), PATIENCE)
    missed = [house.told(of(who)) for who in people]
    process.start()
    again = [process.follow(who, last=one.last) for who, one in zip(people, before, strict=True)]
    assert all(one.waits_for(told=[told], unread=2) for one, told in zip(again, missed, strict=True))
    for one in again:
        one.leave()


def test_when_the_database_drops_the_bell_what_was_told_meanwhile_is_told_after(
    house: InboxHouse, process: StreamProcess, infra: Stack
) -> None:
    me = patient()
    follower = process.follow(me)
    assert follower.waits_for(unread=0)
    with postgres.connect(infra.layout) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where query ilike 'listen inbox%%'"
        )  # fmt: skip
        assert cursor.fetchone()[0] >= 1
    told = [house.told(of(me)) for _ in range(3)]
    assert follower.waits_for(told=told, unread=3)
    follower.leave()


# --- ending -----------------------------------------------------------------------------------------------------------


def test_a_stream_ends_with_its_session_and_with_its_token_and_others_go_on(
    house: InboxHouse, process: StreamProcess
) -> None:
    leaving, staying, over = patient(), patient(), patient()
    gone, there = process.follow(leaving), process.follow(staying)
    short = process.follow(Authorization=f"Bearer {token_of(over, exp=int(now().timestamp()) + 3)}")
    assert gone.waits_for(unread=0) and there.waits_for(unread=0) and short.waits_for(unread=0)
    end_session(house.sessions, leaving)
    assert wait_until(lambda: gone.over and short.over, 10), "closed within seconds"
    assert not there.over
    house.told(of(leaving))
    told = house.told(of(staying))
    assert there.waits_for(told=[told])
    assert gone.told == []
    there.leave()


def test_a_reader_who_takes_nothing_is_dropped_and_nothing_is_kept_for_them(
    house: InboxHouse, process: StreamProcess
) -> None:
    lazy, lively = patient(), patient()
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    wire.settimeout(PATIENCE)
    wire.connect(("127.0.0.1", process.port))
    head = f"GET {process.url.partition(str(process.port))[2]} HTTP/1.1\r\nHost: x\r\n"
    wire.sendall((head + f"Authorization: Bearer {token_of(lazy)}\r\n\r\n").encode())
    follower = process.follow(lively)
    assert follower.waits_for(unread=0)
    assert wire.recv(100).startswith(b"HTTP/1.1 200")

    def others() -> int:
        """Connections that the process holds to this reader."""
        port = f":{wire.getsockname()[1]:04X}"
        return sum(line.split()[2].endswith(port) and line.split()[3] == "01"
                   for line in Path("/proc/net/tcp").read_text().splitlines()[1:])  # fmt: skip

    assert others() == 1
    before, told = process.memory(), 0
    while others() and told < 2000:
        for _ in range(50):
            house.told(of(lazy))
        told += 50
        seen = house.told(of(lively))
        assert wait_until(lambda seen=seen: seen in follower.told, PATIENCE), "nobody else waits for them"
    assert others() == 0
    assert process.memory() - before < 20 * 1024**2
    wire.close()
    follower.leave()


def test_a_session_holds_no_more_streams_than_a_browser_has_pages(process: StreamProcess) -> None:
    me = patient()
    pages = [process.follow(me) for _ in range(20)]
    assert all(page.status == 200 for page in pages)
    one_more = process.follow(me)
    assert one_more.status == 429 and one_more.headers["Retry-After"]
    for page in pages:
        page.leave()
    assert wait_until(lambda: process.ask(Authorization=f"Bearer {token_of(me)}").status_code == 200, PATIENCE)


# --- many -------------------------------------------------------------------------------------------------------------


def test_a_thousand_hold_their_stream_open_in_one_process_and_each_hears_their_own(
    house: InboxHouse, process: StreamProcess
) -> None:
    people = [patient() for _ in range(THOUSAND)]
    crowd = Crowd(process.port)
    try:
        crowd.open([token_of(who) for who in people])
        assert wait_until(lambda: crowd.heard(b"event: unread") == THOUSAND, 120)
        with ThreadPoolExecutor(4) as threads:
            told = list(threads.map(lambda who: house.told(of(who)), people))
        assert wait_until(lambda: crowd.heard(b"event: notification") == THOUSAND, 120)
        assert [re.findall(rb'"notification_id":"([^"]+)"', text) for text in crowd.texts] == [
            [one.encode()] for one in told
        ]
        assert not crowd.ended
        assert process.memory() < 400 * 1024**2
    finally:
        crowd.close()


class Crowd:
    """A thousand readers in one thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.texts: list[bytes] = []
        self.ended = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def open(self, tokens: list[str]) -> None:
        self.texts = [b""] * len(tokens)
        # Kept: nothing else holds a reader who waits, and one that nobody holds is collected with its connection.
        self._reading = [
            asyncio.run_coroutine_threadsafe(self._follow(place, token), self._loop)
            for place, token in enumerate(tokens)
        ]

    async def _follow(self, place: int, token: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = "GET /api/v1/notifications/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        writer.write(f"{head}{token}\r\n\r\n".encode())
        while data := await reader.read(4096):
            self.texts[place] += data
        writer.close()
        self.ended += 1

    def heard(self, word: bytes) -> int:
        """How many heard it."""
        return sum(word in text for text in self.texts)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _hang_up(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def test_when_it_is_full_who_comes_is_told_to_come_later_and_who_is_there_stays(
    house: InboxHouse, together: tuple[House, str], tmp_path: Path
) -> None:
    small = StreamProcess(together[1], tmp_path, stream_connections=3)
    people = [patient() for _ in range(3)]
    followers = [small.follow(who) for who in people]
    assert all(one.waits_for(unread=0) for one in followers)
    refused = small.follow(patient())
    assert refused.status == 503 and refused.headers["Retry-After"]
    told = [house.told(of(who)) for who in people]
    assert all(one.waits_for(told=[each]) for one, each in zip(followers, told, strict=True))
    small.end()
    assert wait_until(lambda: all(one.over for one in followers), PATIENCE), "told to stop, it hangs up on everybody"
    assert small.process.returncode == 0
