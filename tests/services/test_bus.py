"""The bus tried for real: a probe service in a process of its own, the real broker, the real database."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import amqp
import eventlet
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OKPKey

from services.audit.contract import traced
from services.bus.left import Left, Lefts
from services.bus.outbox import BUNDLE, ROUND, Relay, bundles, emit
from services.bus.way import LONGEST, Way
from services.bus.woken import SLOW, Woken
from services.db import Sessions, ended_sessions, inbox, new_id, now, outbox, rfc3339, signing_keys
from services.refusals import NotAllowed, Refusal, TooManyTries, Unauthenticated, Unavailable
from services.rpc import RpcClient
from services.settings import Settings
from services.tokens import AUDIENCE, ISSUER, Context
from tests.services.probe import Begged, Hailed, NotToday, Poked, Seen, Strolled

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def eventually(look: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.05)
    return found


def settings_of(stack: Any, process: str) -> Settings:
    return Settings(**tomllib.loads(stack.layout.settings_file(process).read_text()))


def context(seconds: float = 10, **changes: Any) -> Context:
    request = Context(request_id=new_id(), traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
                      deadline=time.time() + seconds)  # fmt: skip
    return replace(request, **changes)


class Bus:
    """The probe's process and a client per process kind."""

    def __init__(self, stack: Any) -> None:
        self.stack = stack
        self.settings = settings_of(stack, "audit")
        self.engine = sa.create_engine(self.settings.database_url)
        self.clients: dict[str, RpcClient] = {}
        self.log = stack.layout.state / "probe.log"
        self.process: subprocess.Popen[bytes] | None = None
        # These are no events of the platform: their routes are made for this test alone.
        from deploy.local import rabbitmq

        settings = settings_of(stack, "audit")
        arguments = {"source": "audit.events", "destination": "audit.inbox", "destination_type": "queue"}
        definitions = stack.layout.state / "probe-binding.json"
        bindings = [{**arguments, "vhost": settings.broker_vhost, "routing_key": kind.type, "arguments": {}}
                    for kind in (Poked, Begged, Hailed, Seen)]  # fmt: skip
        definitions.write_text(json.dumps({"bindings": bindings}))
        definitions.chmod(0o644)
        rabbitmq.control(stack.layout, "import_definitions", str(definitions))

    def start(self) -> None:
        environment = {**os.environ, "OPENDSP_SETTINGS": str(self.stack.layout.settings_file("audit")),
                       "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}  # fmt: skip
        nameko = Path(sys.executable).with_name("nameko")
        command = [str(nameko), "run", "--config", str(ROOT / "deploy/nameko.yaml"), "tests.services.probe:Probe"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
        eventually(self.ready, "the probe's start")

    def ready(self) -> bool:
        try:
            return bool(self.ask("ping", context(1)))
        except Unavailable:
            return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)

    def ask(self, method: str, who: Context | None = None, process: str = "gateway", **kwargs: Any) -> Any:
        client = self.clients.setdefault(process, RpcClient(settings_of(self.stack, process)))
        return client.call("audit", method, who or context(), **kwargs)

    def marks(self) -> dict[str, tuple[int, int]]:
        return {what: (count, number) for what, count, number in self.ask("marks")}

    def row(self, event_id: str) -> Any:
        with self.engine.begin() as connection:
            return connection.execute(sa.select(inbox).where(inbox.c.event_id == event_id)).first()


@pytest.fixture(scope="module")
def bus(infra: Any) -> Iterator[Bus]:
    made = Bus(infra)
    made.start()
    yield made
    made.stop()
    for client in made.clients.values():
        client.close()


def test_an_answer_comes_back_as_plain_json(bus: Bus) -> None:
    value = {"text": "é", "list": [1, 2.5, None, True], "nested": {"a": []}}
    assert bus.ask("echo", value=value) == value


def test_eight_threads_on_one_client_each_get_their_own_answers(bus: Bus) -> None:
    def asks(thread: int) -> bool:
        return all(bus.ask("echo", value=f"{thread}-{n}") == f"{thread}-{n}" for n in range(100))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(asks, range(8)))


def test_a_returned_refusal_travels_typed_and_leaves_what_was_written(bus: Bus) -> None:
    with pytest.raises(NotToday) as refused:
        bus.ask("mark", what="returned", outcome="returned")
    assert refused.value.detail == {"retry": "tomorrow"}
    assert bus.marks()["returned"][0] == 1


def test_a_raised_refusal_undoes_what_was_written(bus: Bus) -> None:
    with pytest.raises(NotToday):
        bus.ask("mark", what="raised", outcome="raised")
    assert "raised" not in bus.marks()


def test_a_refusal_after_the_commit_keeps_its_detail(bus: Bus) -> None:
    with pytest.raises(TooManyTries) as refused:
        bus.ask("mark", what="after", outcome="after")
    assert refused.value.detail["retry_after"] == 7
    assert bus.marks()["after"][0] == 1


def test_an_error_of_ours_is_internal_to_the_caller_and_without_text_in_the_log(bus: Bus) -> None:
    with pytest.raises(Refusal) as refused:
        bus.ask("mark", what="broken", outcome="broken")
    assert refused.value.code == "internal"
    assert "broken" not in bus.marks()
    assert "secret-in-an-error" not in bus.log.read_text()


def test_an_unknown_method_and_wrong_arguments_are_internal(bus: Bus) -> None:
    for method, arguments in (("nothing_like_it", {}), ("echo", {"wrong": 1})):
        with pytest.raises(Refusal) as refused:
            bus.ask(method, **arguments)
        assert refused.value.code == "internal"


def test_a_call_waits_no_longer_than_its_deadline(bus: Bus) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        bus.ask("mark", context(0.5), what="slow", wait=3)
    assert time.monotonic() - began < 1.5


def test_a_request_whose_deadline_passed_in_the_queue_is_not_executed_late(bus: Bus) -> None:
    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(bus.ask, "mark", context(20), what="busy", wait=2) for _ in range(10)]
        time.sleep(0.5)
        with pytest.raises(Unavailable):
            bus.ask("mark", context(0.5), what="too late")
        assert all(call.result() for call in waiting)
    time.sleep(0.5)
    assert "too late" not in bus.marks()


def test_a_request_whose_worker_died_over_it_is_done_again_and_says_so(bus: Bus) -> None:
    what = new_id()
    assert what not in bus.marks()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(bus.ask, "mark", context(30), what=what, wait=2)
        eventually(lambda: what in bus.marks(), "the first time")
        assert bus.marks()[what] == (1, 0)  # not redelivered
        bus.stop(signal.SIGKILL)
        bus.start()
        assert asked.result() == {"marked": what}
    assert bus.marks()[what] == (2, 1)


def test_nobody_says_of_their_own_request_that_it_was_handed_out_before(bus: Bus) -> None:
    what = new_id()
    bus.ask("mark", context(redelivered=True), what=what)
    assert bus.marks()[what] == (1, 0)


def test_the_database_blocks_no_other_worker(bus: Bus) -> None:
    with ThreadPoolExecutor(1) as pool:
        sleeping = pool.submit(bus.ask, "sleep_in_database", seconds=2.0)
        time.sleep(0.3)
        assert bus.ask("ping", context(1)) == {"ready": True, "delayed": False}
        assert not sleeping.done()
        assert sleeping.result()


def test_where_one_broker_carries_all_a_process_consumes_over_one_connection(bus: Bus) -> None:
    from deploy.local import rabbitmq

    assert bus.ask("echo", value=1) == 1
    told = rabbitmq.control(bus.stack.layout, "list_connections", "client_properties")
    assert told.count('"audit:consumer"') == 1 and '"audit:rpc"' in told


def test_a_dead_service_is_unavailable_within_the_deadline(bus: Bus) -> None:
    client = bus.clients["gateway"]
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        client.call("directory", "ping", context(1.0))
    assert time.monotonic() - began < 2
    assert refused.value.detail == {"service": "directory"}


def test_a_system_method_lets_only_its_process_in(bus: Bus) -> None:
    assert bus.ask("for_operators", process="operator") == "operator"
    with pytest.raises(NotAllowed):
        bus.ask("for_operators")


def test_a_public_method_lets_only_the_gateway_in(bus: Bus) -> None:
    with pytest.raises(NotAllowed):
        bus.ask("echo", process="operator", value=1)


class Keys:
    """A signing key the probe knows."""

    def __init__(self, bus: Bus) -> None:
        self.key = OKPKey.generate_key("Ed25519")
        self.kid = uuid.uuid4().hex
        with bus.engine.begin() as connection:
            connection.execute(signing_keys.insert().values(
                kid=self.kid, jwk=self.key.as_dict(private=False), not_before=now(),
                not_after=now().replace(year=now().year + 1)))  # fmt: skip

    def token(self, key: OKPKey | None = None, **changes: Any) -> str:
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": new_id(), "sid": new_id(), "cap": "patient",
                  "exp": int(time.time()) + 600}  # fmt: skip
        header = {"alg": "Ed25519", "kid": self.kid}
        return jwt.encode(header, claims | changes, key or self.key, algorithms=["Ed25519"])


@pytest.fixture(scope="module")
def keys(bus: Bus) -> Keys:
    return Keys(bus)


def test_a_genuine_token_says_who_calls(bus: Bus, keys: Keys) -> None:
    token = keys.token(sub="account-1", cap="patient")
    assert bus.ask("who_am_i", context(token=token)) == {"account_id": "account-1", "capacity": "patient"}


def _request(**changes: Any) -> str:
    context = {"request_id": "r", "traceparent": "t", "deadline": 99_999_999_999, "token": "x"}
    return json.dumps({"context": context | changes, "kwargs": {}})


UNREADABLE = {
    "too deep": "[" * 100_000, "a deadline beyond numbers": _request(deadline=10**400),
    "a number for a token": _request(token=5), "a token nobody can encode": _request(token="\ud800"),
}  # fmt: skip


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_request_that_cannot_be_read_stops_nobody(bus: Bus, body: str) -> None:
    settings = settings_of(bus.stack, "gateway")
    with amqp.Connection(f"{settings.broker_host}:{settings.broker_port}", settings.broker_user,
                         settings.broker_password, virtual_host=settings.broker_vhost) as connection:  # fmt: skip
        message = amqp.Message(body.encode(), user_id=settings.broker_user, reply_to="reply.gateway.0")
        connection.channel().basic_publish(message, "nameko-rpc", "audit.who_am_i")
    assert bus.ask("echo", value="behind it") == "behind it"
    assert bus.process is not None and bus.process.poll() is None


FAULTS = ["missing", "forged", "expired", "tampered", "foreign issuer", "foreign audience", "unsigned",
          "unknown key"]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_token_that_is_not_genuine_and_current_is_refused_on_the_bus(bus: Bus, keys: Keys, fault: str) -> None:
    genuine = keys.token()
    head, body, signature = genuine.split(".")
    richer = json.loads(base64.urlsafe_b64decode(body + "==")) | {"cap": "agent"}
    other = base64.urlsafe_b64encode(json.dumps(richer).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": keys.kid}).encode()).rstrip(b"=").decode()
    stranger = OKPKey.generate_key("Ed25519")
    token = {
        "missing": None, "forged": keys.token(stranger), "expired": keys.token(exp=int(time.time()) - 60),
        "tampered": f"{head}.{other}.{signature}", "foreign issuer": keys.token(iss="urn:other"),
        "foreign audience": keys.token(aud="urn:other"),
        "unsigned": f"{none}.{other}.", "unknown key": _with_kid(stranger, "nobody"),
    }[fault]  # fmt: skip
    with pytest.raises(Unauthenticated):
        bus.ask("who_am_i", context(token=token))
    assert bus.ask("who_am_i", context(token=genuine))["capacity"] == "patient"


def _with_kid(key: OKPKey, kid: str) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "sid": "b", "cap": "agent", "exp": int(time.time()) + 600}
    return jwt.encode({"alg": "Ed25519", "kid": kid}, claims, key, algorithms=["Ed25519"])


def test_an_ended_session_is_refused_although_its_token_is_genuine(bus: Bus, keys: Keys) -> None:
    session_id = new_id()
    token = keys.token(sid=session_id)
    assert bus.ask("who_am_i", context(token=token))
    with bus.engine.begin() as connection:
        connection.execute(ended_sessions.insert().values(session_id=session_id, ended_at=now()))
    with pytest.raises(Refusal) as refused:
        bus.ask("who_am_i", context(token=token))
    assert refused.value.code == "session_ended"


def test_an_idempotency_key_gives_the_first_answer_again_and_works_once(bus: Bus, keys: Keys) -> None:
    me = context(idempotency_key=new_id(), token=keys.token())
    assert bus.ask("mark_mine", me, what="once") == bus.ask("mark_mine", me, what="once") == {"marked": "once"}
    assert bus.marks()["once"][0] == 1
    with pytest.raises(Refusal) as refused:
        bus.ask("mark_mine", me, what="once, but other")
    assert refused.value.code == "idempotency_key_reused"
    other = replace(me, token=keys.token())
    assert bus.ask("mark_mine", other, what="once, but theirs") == {"marked": "once, but theirs"}


def test_strangers_who_choose_the_same_idempotency_key_never_get_each_others_answer(bus: Bus) -> None:
    key = new_id()
    mine, theirs = context(idempotency_key=key), context(idempotency_key=key)
    for _ in range(2):
        assert bus.ask("mark_once", mine, what="a stranger's") == {"marked": "a stranger's"}
        assert bus.ask("mark_once", theirs, what="another's") == {"marked": "another's"}
    assert (bus.marks()["a stranger's"][0], bus.marks()["another's"][0]) == (1, 1)


def test_an_idempotency_key_in_flight_is_refused(bus: Bus) -> None:
    key = context(idempotency_key=new_id())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(bus.ask, "mark_once", key, what="in flight", wait=1.5)
        time.sleep(0.5)
        with pytest.raises(Refusal) as refused:
            bus.ask("mark_once", key, what="in flight", wait=1.5)
        assert refused.value.code == "request_in_flight"
        assert first.result() == {"marked": "in flight"}


def test_events_of_one_subject_are_numbered_without_gaps_and_worked_once(bus: Bus) -> None:
    thing = new_id()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _n: bus.ask("poke", thing_id=thing, mood="good", times=5), range(4)))
    count, highest = eventually(lambda: _when(bus.marks().get(f"poked {thing}"), 20), "twenty pokes")
    assert (count, highest) == (20, 20)


def _when(mark: tuple[int, int] | None, count: int) -> tuple[int, int] | None:
    return mark if mark is not None and mark[0] >= count else None


def test_an_event_delivered_twice_has_its_effect_once(bus: Bus) -> None:
    thing = new_id()
    event_id = bus.ask("poke", thing_id=thing, mood="good")[0]
    row = eventually(lambda: _done(bus.row(event_id)), "the first delivery")
    with bus.engine.begin() as connection:
        for _ in range(3):
            connection.execute(outbox.insert().values(event_id=event_id, type=Poked.type, envelope=row.envelope))
    eventually(lambda: _empty(bus), "the relay")
    time.sleep(1)
    assert bus.marks()[f"poked {thing}"][0] == 1


def _done(row: Any) -> Any:
    return row if row is not None and row.state == "done" else None


def _empty(bus: Bus) -> bool:
    with bus.engine.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(outbox)) == 0


def test_the_request_id_and_traceparent_travel_with_the_event(bus: Bus) -> None:
    asked = context()
    event_id = bus.ask("poke", asked, thing_id=new_id(), mood="good")[0]
    row = eventually(lambda: bus.row(event_id), "the event")
    envelope = json.loads(row.envelope)
    assert (envelope["request_id"], envelope["traceparent"]) == (asked.request_id, asked.traceparent)
    assert envelope["source"] == "audit"


def test_a_failing_event_is_put_off_undone_parked_listed_and_replayed(bus: Bus) -> None:
    thing = new_id()
    event_id = bus.ask("poke", thing_id=thing, mood="bad")[0]
    row = eventually(lambda: _tried(bus.row(event_id)), "the first try")
    assert row.state == "due" and row.cause == "ValueError" and row.due_at > now()
    assert f"poked {thing}" not in bus.marks()
    with bus.engine.begin() as connection:  # nine tries later
        connection.execute(inbox.update().where(inbox.c.event_id == event_id).values(attempts=9, due_at=now()))
    eventually(lambda: bus.row(event_id).state == "parked", "parking")
    listed = bus.ask("list_parked", process="operator")["parked"]
    assert [p["cause"] for p in listed if p["event_id"] == event_id] == ["ValueError"]
    with bus.engine.begin() as connection:  # the cause is mended
        mended = row.envelope.replace('"bad"', '"good"')
        connection.execute(inbox.update().where(inbox.c.event_id == event_id).values(envelope=mended))
    assert bus.ask("replay_parked", process="operator", event_ids=[event_id]) == {"replayed": 1}
    eventually(lambda: bus.row(event_id).state == "done", "the replay")
    assert bus.marks()[f"poked {thing}"][0] == 1


def test_a_failing_event_undoes_none_of_those_worked_together_with_it(bus: Bus) -> None:
    thing = new_id()
    event_id = bus.ask("poke", thing_id=thing, mood="good")[0]
    row = eventually(lambda: _done(bus.row(event_id)), "the first event")
    due = [{"event_id": new_id(), "source": "audit", "type": Poked.type, "envelope": row.envelope} for _ in range(20)]
    failing = due[9]["event_id"]
    due[9]["envelope"] = row.envelope.replace('"good"', '"bad"')
    with bus.engine.begin() as connection:
        connection.execute(inbox.insert(), due)
    eventually(lambda: all(_done(bus.row(one["event_id"])) for one in due if one is not due[9]), "the others")
    assert eventually(lambda: _tried(bus.row(failing)), "the failing one's first try").state == "due"
    assert bus.marks()[f"poked {thing}"][0] == 20
    with bus.engine.begin() as connection:  # the cause is mended
        mended = inbox.update().where(inbox.c.event_id == failing).values(envelope=row.envelope, due_at=now())
        connection.execute(mended)
    eventually(lambda: _done(bus.row(failing)), "the last one")


def test_an_event_that_somebody_waits_for_goes_before_all_that_nobody_waits_for(bus: Bus) -> None:
    thing, many = new_id(), 1000
    event_id = bus.ask("poke", thing_id=thing, mood="good")[0]
    row = eventually(lambda: _done(bus.row(event_id)), "the first event")
    slow = row.envelope.replace('"good"', '"slow"')
    due = [{"event_id": new_id(), "source": "audit", "type": Poked.type, "envelope": slow} for _ in range(many)]
    with bus.engine.begin() as connection:
        connection.execute(inbox.insert(), due)
    bus.ask("beg", thing_id=thing)
    _, poked_before = eventually(lambda: bus.marks().get(f"begged {thing}"), "the urgent one")
    assert poked_before < many - 200  # at most what was in work already, and what came while it was on its way
    eventually(lambda: _when(bus.marks().get(f"poked {thing}"), 1 + many), "all the others")


def test_what_nobody_waits_for_leaves_a_worker_to_what_comes(bus: Bus) -> None:
    thing, kind = new_id(), Strolled.type
    told = {"type": kind, "source": "audit", "time": rfc3339(now()), "subject": None, "number": None}
    told |= {"request_id": new_id(), "traceparent": None, "data": {"thing_id": thing}}
    strolls = [new_id() for _ in range(3)]
    due = [
        {"event_id": one, "source": "audit", "type": kind, "envelope": json.dumps(told | {"id": one})}
        for one in strolls
    ]
    free = sa.text("select count(*) from (select from inbox where type = :type for update skip locked) as it")
    with bus.engine.begin() as connection:
        connection.execute(sa.text("create table if not exists gates (what text)"))
        connection.execute(inbox.insert(), due)

    def not_taken() -> int:
        with bus.engine.begin() as connection:
            return int(connection.scalar(free, {"type": kind}) or 0)

    eventually(lambda: not_taken() == 2, "one at it")
    event_id = bus.ask("poke", thing_id=thing, mood="good")[0]
    eventually(lambda: _done(bus.row(event_id)), "what came meanwhile")
    assert not_taken() == 2 and f"strolled {thing}" not in bus.marks()
    with bus.engine.begin() as connection:
        connection.execute(sa.text("insert into gates values (:what)"), {"what": thing})
    eventually(lambda: _when(bus.marks().get(f"strolled {thing}"), 3), "all of them")


def test_nobody_looks_again_where_all_that_came_was_taken() -> None:
    left = Left()
    assert left, "of what came before the start nobody knows"
    left.nothing(left.kept)
    assert not left
    left.keep(2)
    left.take(1)
    assert left
    left.take(1)
    assert not left


def test_what_comes_during_a_look_that_found_nothing_is_looked_for() -> None:
    left = Left()
    begun = left.kept
    left.keep(1)
    left.nothing(begun)
    assert left
    left.nothing(left.kept)
    assert not left


def test_who_looks_blindly_goes_on_until_there_is_nothing() -> None:
    left = Left()
    left.nothing(left.kept)
    left.take(1)  # of another replica's
    left.look_blindly()
    left.take(1)
    assert left
    left.nothing(left.kept)
    assert not left


UNHURRIED = SimpleNamespace(unhurried=True)


def test_the_unhurried_are_one_workers_at_a_time_and_nobody_else_looks_for_them() -> None:
    lefts = Lefts()
    with lefts.turn() as first, lefts.turn() as second:
        assert first and first.of_all and second and not second.of_all, "of what came before the start nobody knows"
        second.found_nothing()
        assert first and not second
        first.found_nothing()
        assert not first
        lefts.of(UNHURRIED).keep(1)
        assert first and not second
        lefts.of(None).keep(1)
        assert second
        lefts.of(None).take(1)
        assert first and not second
    with lefts.turn() as next_one:
        assert next_one and next_one.of_all
        lefts.of(UNHURRIED).take(1)
        assert not next_one
        lefts.look_blindly()
        with lefts.turn() as other:
            assert next_one and other


def test_a_look_begins_where_the_one_before_it_found_something_and_now_and_then_at_the_beginning() -> None:
    lefts, early, late = Lefts(), now(), now() + timedelta(minutes=1)
    with lefts.turn() as first, lefts.turn() as second:
        assert first.since is None and second.since is None
        second.found(late)
        assert second.since is not None and early < second.since < late
        assert first.since is None, "the unhurried may be older"
        first.found(early)
        assert first.since == second.since and first.since is not None and first.since < early
        second.found(late)
        assert first.since < early < second.since
        lefts.of(None).keep(1)
        assert first.since < early < second.since
        lefts.of(None).keep(1, urgent=True)
        assert first.since is None and second.since is None
        first.found(early)
        assert first.since is None, "it came while they looked"
    with lefts.turn() as first, lefts.turn() as second:
        first.found(early)
        assert first.since is not None
        lefts.look_blindly()
        assert first.since is None and second.since is None


def test_what_was_due_before_all_that_is_known_is_found_within_a_while(bus: Bus) -> None:
    thing, kind = new_id(), Poked.type
    bus.ask("poke", thing_id=thing, mood="good")
    told = {"type": kind, "source": "audit", "time": rfc3339(now()), "subject": None, "number": None}
    told |= {"request_id": new_id(), "traceparent": None, "data": {"thing_id": thing, "mood": "good"}}
    late = new_id()
    row = {"event_id": late, "source": "audit", "type": kind, "envelope": json.dumps(told | {"id": late})}
    with bus.engine.begin() as connection:
        connection.execute(inbox.insert(), row | {"due_at": now() - timedelta(days=1)})
    eventually(lambda: _done(bus.row(late)), "what another replica left")


def test_what_is_kept_while_a_worker_looks_is_not_taken_for_looked_for() -> None:
    lefts = Lefts()
    with lefts.turn() as look:
        lefts.of(UNHURRIED).keep(1)
        look.found_nothing()
        assert look
    with lefts.turn() as look:
        look.found_nothing()
        assert not look


def _sights(bus: Bus) -> dict[str, int]:
    with bus.engine.begin() as connection:
        rows = connection.execute(sa.text("select thing_id, seen from sights"))
        return {row.thing_id: row.seen for row in rows}


def _in_the_inbox(bus: Bus, things: list[str], kind: Any = Seen) -> list[Any]:
    with bus.engine.begin() as connection:
        rows = connection.execute(sa.select(inbox).where(inbox.c.type == kind.type)).all()
    return [row for row in rows if json.loads(row.envelope)["data"]["thing_id"] in things]


def test_events_of_which_there_are_many_travel_together_and_are_worked_as_they_arrive(bus: Bus) -> None:
    things = bus.ask("see", moods=["good"] * 300)
    seen = eventually(lambda: _all(_sights(bus), things), "all of them")
    assert max(seen[thing] for thing in things) > 1, "one transaction for many"
    assert not _in_the_inbox(bus, things), "what is worked as it arrives needs no row"
    again = bus.ask("see", moods=["good"])
    eventually(lambda: _all(_sights(bus), again), "a single one")


def test_only_those_of_which_there_are_many_travel_together_and_none_passes_another() -> None:
    def row(number: int, kind: str, bundled: bool) -> SimpleNamespace:
        return SimpleNamespace(event_id=str(number), type=kind, envelope=str(number), bundled=bundled)

    kinds = ["seen"] * 3 + ["poked"] * 2 + ["seen"] + ["glimpsed", "glimpsed", "seen"] + ["seen"] * BUNDLE
    rows = [row(number, kind, kind != "poked") for number, kind in enumerate(kinds)]
    made = [(json.loads(body), first.type) for body, first in bundles(rows)]
    assert [told for told, _ in made[:5]] == [[0, 1, 2], 3, 4, 5, [6, 7]]
    assert [kind for _, kind in made[:5]] == ["seen", "poked", "poked", "seen", "glimpsed"]
    assert [len(told) if isinstance(told, list) else 1 for told, _ in made[5:]] == [BUNDLE, 1]


def test_an_operator_is_told_what_waits_and_what_was_done_in_numbers_alone(bus: Bus) -> None:
    before = bus.ask("backlog", process="operator")
    for _ in range(3):
        bus.ask("echo", value=1)
    with pytest.raises(NotToday):
        bus.ask("mark", what="counted", outcome="returned")
    with pytest.raises(Refusal):
        bus.ask("no_such_number", process="gateway", value="x")
    after = bus.ask("backlog", process="operator")
    told = {name: after["questions"][name] - before["questions"][name] for name in ("answered", "refused")}
    assert told == {"answered": 4, "refused": 1}, "three echoes and the question for the backlog itself"
    assert after["replica"] == before["replica"] and after["questions"]["seconds"] > 0

    thing = new_id()
    with bus.engine.begin() as connection:
        waits = {"source": "audit", "type": "poked.v1", "envelope": "{}", "due_at": now() + timedelta(hours=1),
                 "received_at": now() - timedelta(hours=2)}  # fmt: skip
        connection.execute(inbox.insert().values(event_id=thing, attempts=2, **waits))
    inboxes = bus.ask("backlog", process="operator")["inbox"]
    assert inboxes["depth"] >= 1 and inboxes["failing"] >= 1 and inboxes["age"] >= 7200
    assert inboxes["taken"] > 0
    with bus.engine.begin() as connection:
        connection.execute(inbox.update().where(inbox.c.event_id == thing).values(state="parked", cause="told"))
    assert bus.ask("backlog", process="operator")["inbox"]["parked"] >= 1
    with bus.engine.begin() as connection:
        connection.execute(inbox.delete().where(inbox.c.event_id == thing))


def test_nobody_but_an_operator_hears_the_numbers(bus: Bus) -> None:
    with pytest.raises(NotAllowed):
        bus.ask("backlog", process="gateway")


def _all(sights: dict[str, int], things: list[str]) -> dict[str, int]:
    return sights if set(things) <= set(sights) else {}


def errands_run(bus: Bus, *whats: str) -> None:
    """They are left with a commit, and run by whom it wakes; without that it would take an hour."""
    bus.ask("leave_errands", whats=list(whats))
    eventually(lambda: {f"errand {what}" for what in whats} <= set(bus.marks()), "the errands")


def test_a_commit_wakes_work_which_goes_on_until_nothing_is_left(bus: Bus) -> None:
    bus.marks()
    errands_run(bus, *(new_id() for _ in range(5)))


def test_woken_work_that_fails_is_woken_again(bus: Bus) -> None:
    bus.marks()
    errands_run(bus, "bad")
    errands_run(bus, new_id())


def test_what_was_committed_while_nobody_listened_is_found(bus: Bus) -> None:
    bus.marks()
    errands_run(bus, new_id())
    with bus.engine.begin() as connection:
        cut = connection.execute(
            sa.text(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                " and query = 'listen errands'"
            )
        ).all()
    assert cut == [(True,)]
    errands_run(bus, new_id())


def test_a_lost_word_delays_work_by_a_beat_also_while_a_hand_is_full(bus: Bus) -> None:
    bus.marks()
    tedious, quick = f"tedious {new_id()}", new_id()
    for what in (tedious, quick):
        with bus.engine.begin() as connection:
            connection.execute(sa.text("create table if not exists chores (what text)"))
            connection.execute(sa.text("insert into chores values (:what)"), {"what": what})
        if what == tedious:
            eventually(lambda: _taken(bus), "a hand")
    eventually(lambda: f"chore {quick}" in bus.marks(), "the other hand")
    assert f"chore {tedious}" not in bus.marks()


def _taken(bus: Bus) -> bool:
    """Whether somebody has a chore in hand."""
    with bus.engine.begin() as connection:
        locked = sa.text("select count(*) from (select from chores for update skip locked) free")
        return connection.scalar(locked) == 0


def test_of_several_hands_one_looks_for_work_at_a_beat() -> None:
    work = Woken("chores", every=60, side_by_side=4)
    work.listener = SimpleNamespace(register_provider=lambda _: None)
    work.setup()
    for _ in range(5):
        work.beat()
    assert work._woken.qsize() == 1
    work._beaten_at -= 60
    work.beat()
    assert work._woken.qsize() == 2


def errand(seconds: float, calls: list[str], **how: Any) -> Woken:
    """Woken work without a container, of three calls that last so long each."""
    work = Woken("chores", every=60, side_by_side=2, **how)
    work.listener = SimpleNamespace(register_provider=lambda _: None)
    work.way = Way()
    work.setup()

    def call() -> bool:
        eventlet.sleep(seconds)
        calls.append("called")
        work._stopping = len(calls) == 3
        return True

    work._call = call
    return work


def test_only_a_slow_call_has_another_hand_join() -> None:
    for seconds, tokens in ((0.0, 0), (SLOW * 1.5, 2)):
        work = errand(seconds, calls := [])
        work._run(work._gone[0])
        assert calls == ["called"] * 3 and work._woken.qsize() == tokens


@pytest.mark.parametrize(
    ("lasts", "told", "at_once"), [(SLOW / 2, SLOW / 4, 1), (SLOW * 4, SLOW * 2, 2), (SLOW * 4, SLOW / 4, 2)],
    ids=["quick", "slow", "slow after all"],
)  # fmt: skip
def test_another_hand_waits_for_one_that_is_quick_and_for_no_other(lasts: float, told: float, at_once: int) -> None:
    work = errand(0, [])
    running: list[int] = []
    most: list[int] = []

    def call() -> bool:
        running.append(1)
        most.append(len(running))
        eventlet.sleep(lasts)
        running.pop()
        return False

    work._call = call
    hands = [eventlet.spawn(work._run, gone) for gone in work._gone]
    eventlet.sleep(lasts + SLOW)  # each has looked once, as at every start
    most.clear()
    work.wake()
    eventlet.sleep(told)
    work.wake()  # of what was committed after the look that runs
    eventlet.sleep(2 * lasts + SLOW)
    assert len(most) == 2 and max(most) == at_once
    work.stop()
    for hand in hands:
        hand.wait()


def test_work_that_nobody_waits_for_gives_way_to_what_arrives_but_not_for_ever() -> None:
    calls: list[str] = []
    work = errand(0.0, calls, gives_way=True)
    with work.way.ahead():
        line = eventlet.spawn(work._run, work._gone[0])
        eventlet.sleep(LONGEST / 4)
        assert calls == [], "it began although others were ahead"
        work._gone[0].wait()  # they never let it go, and it went
    line.wait()
    assert calls == ["called"] * 3
    with pytest.raises(KeyError), work.way.ahead():
        raise KeyError
    assert not work.way._ahead


def test_work_that_gives_no_way_is_ahead_of_what_does() -> None:
    calls: list[str] = []
    work = errand(0.0, calls)
    call, ahead = work._call, []
    work._call = lambda: ahead.append(work.way._ahead) or call()
    with work.way.ahead():
        work._run(work._gone[0])
    assert calls == ["called"] * 3 and ahead == [2] * 3


class Lying:
    """A relay at a database of its own, with a broker that confirms at once."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sessions = Sessions(url, speaks_for="audit")
        self.relay, self.given = Relay(), []
        self.relay.container = None
        self.on_given: Callable[[], None] = lambda: None
        monkeypatch.setattr("services.bus.outbox.load", lambda: SimpleNamespace(process="audit"))
        monkeypatch.setattr("services.bus.outbox.sessions_of", lambda _: self.sessions)
        monkeypatch.setattr("services.bus.outbox.Link", lambda *_, **__: self)
        self.relay.setup()

    def channel(self) -> None: ...

    def close(self) -> None: ...

    def publish(self, _body: bytes, _exchange: str, _kind: str, *, message_id: str, **_: Any) -> None:
        self.given.append(message_id)
        self.on_given()
        self.relay._confirmed(self.relay._tag, False)

    def emits(self, event: Any) -> str:
        with self.sessions.transaction() as session:
            return emit(session, event)

    def there(self) -> list[str]:
        """What lies in the outbox, in its order."""
        with self.sessions.transaction() as session:
            return list(session.scalars(sa.select(outbox.c.event_id).order_by(outbox.c.seq)))

    def serves(self) -> None:
        with self.sessions.engine.connect() as connection:
            self.relay._serve(connection)


@pytest.fixture
def lying(database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Lying]:
    found = Lying(database("audit"), monkeypatch)
    yield found
    found.sessions.engine.dispose()


def test_an_event_that_is_committed_while_a_batch_is_on_its_way_is_not_slept_over(
    lying: Lying, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [lying.emits(Poked(new_id(), "good"))]

    def another() -> None:
        if len(told) == 1:
            told.append(lying.emits(Poked(new_id(), "good")))

    def sleeps(wire: int, **_: Any) -> None:
        woken, *_ = select.select([wire], [], [], 2)  # the database's word takes its time on a busy machine
        lying.relay._stopping = not woken

    lying.on_given = another
    monkeypatch.setattr("services.bus.outbox.trampoline", sleeps)
    lying.serves()
    assert lying.given == told


def test_traces_gather_until_the_next_round_while_what_somebody_waits_for_goes_at_once(
    lying: Lying, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    waits: list[float] = []

    def sleeps(*_: Any, timeout: float, **__: Any) -> None:
        waits.append(timeout)
        if len(waits) == 1:
            told.append(lying.emits(traced(None, "log_in.begun", at=now())))
            told.append(lying.emits(Poked(new_id(), "good")))
        elif len(waits) == 2:
            assert lying.given == told[1:]
            time.sleep(timeout)
        else:
            lying.relay._stopping = True

    monkeypatch.setattr("services.bus.outbox.trampoline", sleeps)
    lying.serves()
    assert lying.given == [told[1], told[0]] and len(waits) == 3 and 0 < waits[1] <= ROUND


def test_what_the_broker_has_is_struck_with_the_next_look_or_before_the_process_goes(
    lying: Lying, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, there, carry = lying.emits(Poked(new_id(), "good")), [], lying.relay._carry

    def looks(connection: sa.Connection, **how: bool) -> int:
        carried = carry(connection, **how)
        there.append(lying.there())
        if len(there) == 1:
            there[0].append(lying.emits(Poked(new_id(), "good")))
        else:  # a word that comes late would have it look again
            lying.relay._stopping = True
        return carried

    monkeypatch.setattr(lying.relay, "_carry", looks)
    monkeypatch.setattr("services.bus.outbox.trampoline", lambda *_, **__: None)
    lying.serves()
    second = lying.given[1]
    assert there == [[first, second], [second]], "a look strikes what the one before carried"
    lying.relay.stop()
    assert lying.there() == [], "and a stop what no look will strike"


def test_what_was_not_struck_is_sent_once_more_and_then_struck(lying: Lying, monkeypatch: pytest.MonkeyPatch) -> None:
    told = lying.emits(Poked(new_id(), "good"))

    def sleeps(*_: Any, **__: Any) -> None:
        lying.relay._stopping = True

    monkeypatch.setattr("services.bus.outbox.trampoline", sleeps)
    lying.serves()
    lying.relay._carried, lying.relay._stopping = [], False  # who dies here knows nothing of it any more
    lying.serves()
    lying.relay.stop()
    assert lying.given == [told, told] and lying.there() == []


def test_one_that_fails_among_many_goes_the_way_of_all_others_and_undoes_none_of_them(bus: Bus) -> None:
    things = bus.ask("see", moods=["good", "bad", "good", "good"])
    good = [things[0], *things[2:]]
    eventually(lambda: _all(_sights(bus), good), "the good ones")
    row = eventually(lambda: next(iter(r for r in _in_the_inbox(bus, things[1:2]) if r.attempts), None), "its try")
    assert (row.state, row.cause) == ("due", "ValueError")
    assert things[1] not in _sights(bus)
    with bus.engine.begin() as connection:  # the cause is mended
        mended = row.envelope.replace('"bad"', '"good"')
        change = inbox.update().where(inbox.c.event_id == row.event_id)
        connection.execute(change.values(envelope=mended, due_at=now()))
    eventually(lambda: _all(_sights(bus), things), "the mended one")


def test_a_bundle_with_a_stranger_in_it_is_parked_as_a_whole(bus: Bus) -> None:
    data = {"mood": "good"}
    common = {"source": "audit", "type": Seen.type, "time": "2026-01-01T00:00:00Z", "subject": None, "number": None,
              "request_id": "r", "traceparent": "t"}  # fmt: skip
    bus.ask("see", moods=[])
    things = [new_id(), new_id()]
    bundle = [{**common, "id": new_id(), "data": {**data, "thing_id": thing}} for thing in things]
    bundle[1]["source"] = "dossier"
    _publish(bus, "audit", json.dumps(bundle).encode(), Seen.type)
    rows = eventually(lambda: _in_the_inbox(bus, things) or None, "the parked rows")
    assert [row.state for row in rows] == ["parked", "parked"]
    assert not set(things) & set(_sights(bus))


def test_one_that_somebody_waits_for_is_worked_as_it_arrives_and_by_itself(bus: Bus) -> None:
    things = bus.ask("hail", moods=["good", "bad", "good"])
    eventually(lambda: _all(_sights(bus), [things[0], things[2]]), "the good ones")
    failed = eventually(lambda: next(iter(r for r in _in_the_inbox(bus, things, Hailed) if r.attempts), None), "a try")
    assert json.loads(failed.envelope)["data"]["thing_id"] == things[1] and failed.cause == "ValueError"
    assert len(_in_the_inbox(bus, things, Hailed)) == 1 and things[1] not in _sights(bus)
    with bus.engine.begin() as connection:  # the cause is mended
        mended = inbox.update().where(inbox.c.event_id == failed.event_id)
        connection.execute(mended.values(envelope=failed.envelope.replace('"bad"', '"good"'), due_at=now()))
    eventually(lambda: _all(_sights(bus), things), "the mended one")


def test_where_all_who_work_at_once_are_busy_nothing_behind_waits_for_them(bus: Bus) -> None:
    thing = new_id()
    slow = bus.ask("hail", moods=["slow"] * 12)
    eventually(lambda: _in_the_inbox(bus, slow, Hailed), "those for whom there was no worker")
    behind = bus.ask("poke", thing_id=thing, mood="good")[0]
    eventually(lambda: bus.row(behind), "what came behind them")
    assert len(set(slow) & set(_sights(bus))) < 12
    eventually(lambda: _all(_sights(bus), slow), "all of them")


def test_several_in_one_message_that_are_worked_each_by_itself_go_through_the_table(bus: Bus) -> None:
    common = {"source": "audit", "type": Hailed.type, "time": "2026-01-01T00:00:00Z", "subject": None, "number": None,
              "request_id": "r", "traceparent": None}  # fmt: skip
    bus.ask("hail", moods=[])
    things = [new_id(), new_id()]
    told = [{**common, "id": new_id(), "data": {"mood": "good", "thing_id": thing}} for thing in things]
    _publish(bus, "audit", json.dumps(told).encode(), Hailed.type)
    eventually(lambda: _all(_sights(bus), things), "both")
    assert len(_in_the_inbox(bus, things, Hailed)) == 2


def _tried(row: Any) -> Any:
    return row if row is not None and row.attempts > 0 else None


ENVELOPE = {"id": new_id(), "source": "audit", "type": Poked.type, "request_id": "r", "traceparent": "t"}
UNDECODABLE = {
    "no text": b"\xff\xfe not json", "no envelope": b'{"id": 1}', "no object": b"[]", "too deep": b"[" * 100_000,
    "no id": json.dumps(ENVELOPE | {"id": "x"}).encode(),
    "a number for an id": json.dumps(ENVELOPE | {"id": 5}).encode(),
    "a type nobody can store": json.dumps(ENVELOPE | {"type": "\ud800"}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("body", UNDECODABLE.values(), ids=UNDECODABLE.keys())
def test_an_undecodable_message_is_parked_and_never_logged(bus: Bus, body: bytes) -> None:
    before = _parked(bus, "undecodable")
    _publish(bus, "audit", body)
    eventually(lambda: _parked(bus, "undecodable") > before, "parking")
    assert "not json" not in bus.log.read_text(errors="replace")


def test_an_event_that_claims_another_source_is_parked(bus: Bus) -> None:
    event_id, thing = new_id(), new_id()
    data = {"thing_id": thing, "mood": "good"}
    envelope = {"id": event_id, "source": "dossier", "type": Poked.type, "time": "2026-01-01T00:00:00Z", "data": data,
                "subject": None, "number": None, "request_id": "r", "traceparent": "t"}  # fmt: skip
    _publish(bus, "audit", json.dumps(envelope).encode())
    assert eventually(lambda: bus.row(event_id), "the parked row").state == "parked"
    assert f"poked {thing}" not in bus.marks()


def _parked(bus: Bus, kind: str) -> int:
    with bus.engine.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(inbox).where(inbox.c.type == kind)) or 0


def _publish(bus: Bus, process: str, body: bytes, kind: str = Poked.type) -> None:
    settings = settings_of(bus.stack, process)
    with amqp.Connection(f"{settings.broker_host}:{settings.broker_port}", settings.broker_user,
                         settings.broker_password, virtual_host=settings.broker_vhost) as connection:  # fmt: skip
        message = amqp.Message(body, user_id=settings.broker_user, delivery_mode=2)
        connection.channel().basic_publish(message, f"{process}.events", kind)


def test_events_survive_a_process_killed_at_any_moment(bus: Bus) -> None:
    thing, total = new_id(), 0
    seen: list[str] = []
    stop = threading.Event()

    def pokes() -> int:
        done = 0
        while not stop.is_set():
            try:
                done += len(bus.ask("poke", context(2), thing_id=thing, mood="good"))
                seen.extend(bus.ask("see", context(2), moods=["good"] * 5))
            except Refusal:
                time.sleep(0.05)
        return done

    with ThreadPoolExecutor(2) as pool:
        poking = [pool.submit(pokes) for _ in range(2)]
        for _ in range(3):
            time.sleep(0.7)
            bus.stop(signal.SIGKILL)
            bus.start()
        stop.set()
        total = sum(p.result() for p in poking)
    assert total > 0
    # What has left the outbox may be with the broker still: the backlog is at its end when the answered are all there.
    eventually(lambda: _empty(bus) and _none_due(bus) and bus.marks()[f"poked {thing}"][0] >= total, "the backlog")
    count, highest = bus.marks()[f"poked {thing}"]
    assert count == highest  # each committed event once; an unanswered one may be there too
    assert eventually(lambda: _all(_sights(bus), seen), "those that are worked as they arrive")


def _none_due(bus: Bus) -> bool:
    with bus.engine.begin() as connection:
        due = sa.select(sa.func.count()).select_from(inbox).where(inbox.c.state == "due")
        return connection.scalar(due) == 0
