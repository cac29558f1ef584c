"""Who may do what on the bus, asked of the real broker: every cell of the matrix, allowed and forbidden."""

import contextlib
import uuid
from collections.abc import Callable, Iterator

import pika
import pika.exceptions
import pytest
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from deploy.local.stack import Stack
from deploy.rabbitmq import topology
from deploy.rabbitmq.topology import CLIENTS, KINDS, RPC_EXCHANGE, SERVICES, SUBSCRIBER_VHOST, VHOST

REFUSED, FORGED = 403, 406
SHORT_LIVED = pika.BasicProperties(expiration="1")

Open = Callable[[str], BlockingChannel]


@pytest.fixture(scope="module")
def edges() -> set[tuple[str, str]]:
    return set(topology.edges(topology.contracts()))


@pytest.fixture(scope="module")
def connections(infra: Stack) -> Iterator[dict[str, BlockingConnection]]:
    opened = {kind: connect(infra, kind) for kind in KINDS}
    yield opened
    for connection in opened.values():
        connection.close()


@pytest.fixture
def channel(connections: dict[str, BlockingConnection]) -> Iterator[Open]:
    """Opens a channel as one kind of process, with confirms: a refusal comes back before the call ends."""
    opened = []

    def open_as(kind: str) -> BlockingChannel:
        made = connections[kind].channel()
        made.confirm_delivery()
        opened.append(made)
        return made

    yield open_as
    for made in opened:
        if made.is_open:
            made.close()


def connect(infra: Stack, user: str, vhost: str = VHOST, secret: str | None = None) -> BlockingConnection:
    secret = secret or infra.layout.secrets[f"broker_{user}"]
    return BlockingConnection(
        pika.ConnectionParameters(
            "127.0.0.1", infra.layout.ports["rabbitmq"], vhost, pika.PlainCredentials(user, secret), heartbeat=0
        )
    )


@contextlib.contextmanager
def refused(code: int = REFUSED) -> Iterator[None]:
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
        yield
    assert closed.value.reply_code == code


def only_if(allowed: bool) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if allowed else refused()


def reply_queue(channel: BlockingChannel, kind: str) -> str:
    name = f"reply.{kind}.{uuid.uuid4().hex}"
    channel.queue_declare(name, exclusive=True, auto_delete=True)
    return name


@pytest.mark.parametrize("called", SERVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_requests_go_where_the_contract_says_and_nowhere_else(
    channel: Open, edges: set[tuple[str, str]], kind: str, called: str
) -> None:
    with only_if((kind, called) in edges):
        channel(kind).basic_publish(RPC_EXCHANGE, f"{called}.ping", b"{}", SHORT_LIVED, mandatory=True)


@pytest.mark.parametrize("emitter", SERVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_events_are_emitted_in_ones_own_name_only(channel: Open, kind: str, emitter: str) -> None:
    with only_if(kind == emitter):
        channel(kind).basic_publish(f"{emitter}.events", "nobody_listens.v1", b"{}")


@pytest.mark.parametrize("queue", ["rpc-{}", "{}.inbox", "{}.parked"])
@pytest.mark.parametrize("owner", SERVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_queues_are_read_by_their_owner_only(channel: Open, kind: str, owner: str, queue: str) -> None:
    opened = channel(kind)
    with only_if(kind == owner):
        tag = opened.basic_consume(queue.format(owner), lambda *_: None)
        opened.basic_cancel(tag)
    if kind != owner:
        with refused():
            channel(kind).basic_get(queue.format(owner))
        with refused():
            channel(kind).queue_purge(queue.format(owner))


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_replies_to_another_cannot_be_diverted(channel: Open, kind: str, other: str) -> None:
    opened = channel(kind)
    own = reply_queue(opened, kind)
    with only_if(kind == other):
        opened.queue_bind(own, RPC_EXCHANGE, f"reply.{other}.{uuid.uuid4().hex}")


@pytest.mark.parametrize("pattern", ["#", "*.*", "reply.#", "reply.*.*", "dossier.*", "reply.{kind}.*"])
@pytest.mark.parametrize("kind", KINDS)
def test_nobody_listens_in_with_a_pattern(channel: Open, kind: str, pattern: str) -> None:
    opened = channel(kind)
    own = reply_queue(opened, kind)
    with refused():
        opened.queue_bind(own, RPC_EXCHANGE, pattern.format(kind=kind))


@pytest.mark.parametrize("emitter", SERVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_nobody_adds_a_subscription_of_their_own(channel: Open, kind: str, emitter: str) -> None:
    opened = channel(kind)
    own = reply_queue(opened, kind)
    with refused():
        opened.queue_bind(own, f"{emitter}.events", "#")


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_nobody_claims_to_be_another_process(channel: Open, kind: str, other: str) -> None:
    signed = pika.BasicProperties(user_id=other, expiration="1")
    answer_key = f"reply.{kind}.{uuid.uuid4().hex}"
    with contextlib.nullcontext() if kind == other else refused(FORGED):
        channel(kind).basic_publish(RPC_EXCHANGE, answer_key, b"{}", signed)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_goes_round_the_exchanges(channel: Open, kind: str) -> None:
    for queue in ("rpc-dossier", "dossier.inbox", "dossier.parked"):
        with refused():
            channel(kind).basic_publish("", queue, b"{}")
    with refused():
        channel(kind).basic_publish(topology.PARKING, "dossier.parked", b"{}")


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_changes_the_topology(channel: Open, kind: str) -> None:
    with refused():
        channel(kind).queue_declare(f"queue-of-{kind}")
    with refused():
        channel(kind).queue_declare(f"reply.{'gateway' if kind != 'gateway' else 'dossier'}.{uuid.uuid4().hex}")
    with refused():
        channel(kind).exchange_declare(f"exchange-of-{kind}", "fanout")
    for queue in ("rpc-dossier", "dossier.inbox", f"{kind}.inbox" if kind not in CLIENTS else "audit.inbox"):
        with refused():
            channel(kind).queue_delete(queue)
    with refused():
        channel(kind).queue_unbind("dossier.inbox", "identity.events", "session_ended.v1")
    with refused():
        channel(kind).exchange_delete("dossier.events")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "notifications"])
def test_the_outer_bus_is_closed_to_every_process_but_notifications(infra: Stack, kind: str) -> None:
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        connect(infra, kind, SUBSCRIBER_VHOST)


def test_notifications_makes_and_fills_the_queues_of_subscribers_but_does_not_read_them(infra: Stack) -> None:
    outer = connect(infra, "notifications", SUBSCRIBER_VHOST)
    name = f"sub.{uuid.uuid4().hex}"
    channel = outer.channel()
    channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(name, topology.SUBSCRIPTION_EXCHANGE, name)
    channel.confirm_delivery()
    channel.basic_publish(topology.SUBSCRIPTION_EXCHANGE, name, b"{}", mandatory=True)
    with refused():
        outer.channel().basic_get(name)
    with refused():
        outer.channel().queue_declare("not-a-subscription")
    outer.channel().queue_delete(name)
    outer.close()


def test_there_is_no_guest_and_no_way_in_with_a_wrong_password(infra: Stack) -> None:
    for user, secret in (("guest", "guest"), ("gateway", "wrong"), ("nobody", "nothing")):
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            connect(infra, user, secret=secret)
