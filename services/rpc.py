"""Questions and commands over the bus: one connection, one reply stream, answers matched by correlation id.

`Link` is a long-lived connection that any thread may publish on while one thread reads it; py-amqp guards its frame
writer with a lock, and reading never writes here (no heartbeats: TCP keep-alive watches the peer). `RpcClient` asks
over such a link. Both know threads only; under nameko's monkey patching the threads are greenlets. No nameko and no
eventlet are imported, so that the gateway stays small.

An RPC message is transient and expires with its deadline; the reply comes to an exclusive queue. A request nobody can
route is returned by the broker at once (`mandatory`), a stuck broker or a dead service is a refusal `Unavailable`
within the deadline, never a hanging request.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import amqp
from amqp import spec

from services.refusals import Refusal, Unavailable
from services.settings import Purpose, Settings, load
from services.tokens import Caller, Context

RPC_EXCHANGE = "nameko-rpc"
JSON = "application/json"
# py-amqp drops its channels' connection: AttributeError. A green socket whose number another took: EOFError.
BROKEN = (amqp.AMQPError, OSError, EOFError, AttributeError)
_CONNECT_TIMEOUT = 2.0
_WRITE_TIMEOUT = 4.0
_BLOCK = 16 * 1024
_PUBLISH = "Bssbb"
# json.dumps with arguments makes an encoder each time, which takes as long as a question's whole encoding.
_encoded = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

log = logging.getLogger(__name__)


def dumps(value: Any) -> bytes:
    """Plain JSON and nothing else: a value that is not plain is an error here, not at the receiver."""
    return _encoded(value).encode()


def read_in_blocks(connection: amqp.Connection) -> None:
    """Has py-amqp take from the socket all that is there; by itself it asks twice for each frame, six times a message.

    What it has too much of it keeps for the next frame. Each system call less is also one hand-over of the
    interpreter's lock less between the reader and whoever waits for it. Measured per question: a fifth of the asking
    side's time, an eighth of the service's.
    """
    receive = connection.transport.sock.recv
    connection.transport._quick_recv = lambda wanted: receive(max(wanted, _BLOCK))


class Link:
    """A connection of this process to the broker, made when first needed and made anew when it breaks.

    purpose: what goes over it, and so to which broker it leads, where there are two.
    on_open(channel): declares and consumes on each new connection, called before anybody publishes.
    on_lost(): called once for each connection that ended.
    """

    def __init__(
        self,
        settings: Settings,
        purpose: Purpose = "rpc",
        *,
        on_open: Callable[[amqp.Channel], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._broker = settings.broker_of(purpose)
        self._name = f"{settings.process}:{purpose}"
        self._on_open = on_open
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._connection: amqp.Connection | None = None
        self._channel: amqp.Channel | None = None
        self._blocked = False
        self._closed = False

    def channel(self) -> amqp.Channel:
        """The open channel. Refuses: Unavailable while the broker is unreachable or refuses to take messages."""
        channel = self._channel
        if channel is None:
            channel = self._open()
        if self._blocked:
            raise Unavailable(service="broker")
        return channel

    def publish(
        self, body: bytes, exchange: str, routing_key: str, *, mandatory: bool = False, **properties: Any
    ) -> None:
        """Sends one message as this process' own broker user. Refuses: Unavailable."""
        message = amqp.Message(body, content_type=JSON, user_id=self._broker.user, **properties)
        channel = self.channel()
        try:
            # Not channel.basic_publish: that one reads from the socket first, which is the reader's business.
            channel.send_method(spec.Basic.Publish, _PUBLISH, (0, exchange, routing_key, mandatory, False), message)
        except BROKEN as broken:
            self._drop(channel)
            raise Unavailable(service="broker") from broken

    def close(self) -> None:
        """Ends the connection; the reader ends with it."""
        self._closed = True
        channel = self._channel
        if channel is not None:
            self._drop(channel)

    def _open(self) -> amqp.Channel:
        with self._lock:
            if self._channel is not None:
                return self._channel
            broker = self._broker
            connection = amqp.Connection(
                host=f"{broker.host}:{broker.port}", userid=broker.user, password=broker.password,
                login_method="PLAIN", virtual_host=broker.vhost,
                connect_timeout=_CONNECT_TIMEOUT, write_timeout=_WRITE_TIMEOUT, heartbeat=0,
                on_blocked=self._block, on_unblocked=self._unblock,
                client_properties={"connection_name": self._name},
            )  # fmt: skip
            try:
                connection.connect()
                read_in_blocks(connection)
                channel = connection.channel()
                if self._on_open is not None:
                    self._on_open(channel)
            except BROKEN as broken:
                _shut(connection)
                raise Unavailable(service="broker") from broken
            self._blocked = False
            self._connection, self._channel = connection, channel
            threading.Thread(target=self._read, args=(connection, channel), daemon=True, name="link").start()
            return channel

    def _read(self, connection: amqp.Connection, channel: amqp.Channel) -> None:
        try:
            while True:
                connection.drain_events()
        except (*BROKEN, Refusal) as broken:
            if not self._closed:
                log.warning("broker link lost", extra={"kind": type(broken).__name__})
        finally:
            self._drop(channel)

    def _drop(self, channel: amqp.Channel) -> None:
        with self._lock:
            if self._channel is not channel:
                return
            connection, self._connection, self._channel = self._connection, None, None
        _shut(connection)
        if self._on_lost is not None:
            self._on_lost()

    def _block(self, _reason: str) -> None:
        self._blocked = True

    def _unblock(self) -> None:
        self._blocked = False


def _shut(connection: amqp.Connection | None) -> None:
    """Closes the socket under a connection without a farewell that could block; the reader wakes up with an error."""
    transport = getattr(connection, "_transport", None)
    sock = getattr(transport, "sock", None)
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was gone already
        sock.close()


class _Call:
    """One question on its way."""

    __slots__ = ("answer", "ready", "service")

    def __init__(self, service: str) -> None:
        self.service = service
        self.answer: dict[str, Any] | None = None
        self.ready = threading.Lock()
        self.ready.acquire()

    def finish(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        try:
            self.ready.release()
        except RuntimeError:
            pass  # answered twice: the first answer stands


_LOST = {"refusal": {"code": Unavailable.code, "detail": {"service": "broker"}}}


class RpcClient:
    """Asks services and waits for their answers; one object per process, for all its threads."""

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or load()
        self._user = settings.broker_of("rpc").user
        self._waiting: dict[str, _Call] = {}
        self._link = Link(settings, on_open=self._listen, on_lost=self._lose)
        self._reply_to = ""

    def call(self, service: str, method: str, who: Caller | Context, /, **kwargs: Any) -> Any:
        """The answer of `service.method(**kwargs)`, a plain JSON value.

        who: its token and request id travel with the call; the deadline it names bounds the wait.
        Refuses: whatever the service refuses, by its own type; Unavailable when no answer came in time.
        """
        context = who.context
        left = context.deadline - time.time()
        if left <= 0:
            raise Unavailable(service=service)
        call = _Call(service)
        correlation_id = uuid.uuid4().hex
        body = dumps({"context": context.to_wire(), "kwargs": kwargs})
        self._link.channel()  # the reply queue exists before the question leaves
        self._waiting[correlation_id] = call
        try:
            self._link.publish(
                body, RPC_EXCHANGE, f"{service}.{method}", mandatory=True, correlation_id=correlation_id,
                reply_to=self._reply_to, expiration=str(max(1, int(left * 1000))), delivery_mode=1,
            )  # fmt: skip
            if not call.ready.acquire(timeout=left):
                raise Unavailable(service=service)
        finally:
            self._waiting.pop(correlation_id, None)
        answer = call.answer or _LOST
        if "refusal" in answer:
            raise Refusal.from_wire(answer["refusal"])
        return answer["result"]

    def close(self) -> None:
        """Ends the link; whoever still waits is refused."""
        self._link.close()

    def _listen(self, channel: amqp.Channel) -> None:
        queue = f"reply.{self._user}.{uuid.uuid4().hex}"
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        channel.queue_bind(queue, RPC_EXCHANGE, queue)
        channel.events["basic_return"].add(self._returned)
        channel.basic_consume(queue, no_ack=True, callback=self._answered)
        self._reply_to = queue

    def _answered(self, message: amqp.Message) -> None:
        properties = message.properties
        call = self._waiting.get(properties.get("correlation_id", ""))
        if call is None or properties.get("user_id") != call.service:
            return  # too late, or not from whom we asked: the broker vouches for user_id
        try:
            call.finish(json.loads(message.body))
        except ValueError:
            call.finish({"refusal": {"code": Unavailable.code, "detail": {"service": call.service}}})

    def _returned(self, _error: Any, _exchange: str, _routing_key: str, message: amqp.Message) -> None:
        call = self._waiting.get(message.properties.get("correlation_id", ""))
        if call is not None:
            call.finish({"refusal": {"code": Unavailable.code, "detail": {"service": call.service}}})

    def _lose(self) -> None:
        for call in list(self._waiting.values()):
            call.finish(_LOST)
