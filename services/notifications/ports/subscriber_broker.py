"""The subscribers' vhost: one durable queue per foreign system, CloudEvents 1.0 put into it with the broker's confirm.

One connection per process, made when first needed and made anew after any trouble. Every wait on it is bounded: a
broker that is gone, or that blocks its publishers under a memory alarm, costs seconds and the refusal `Unavailable`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar

import amqp
from amqp import spec
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from services.notifications.rules_subscriptions import QUEUE_BYTES, SOURCE, ForeignEvent, queue_arguments
from services.refusals import Unavailable
from services.settings import Settings

EXCHANGE = "subscriptions"
CONTENT_TYPE = JSONFormat.CONTENT_TYPE
WAIT = 3.0
LONGEST_EVENT = 4096  # far more than any event has
ROOMY = QUEUE_BYTES // 4 // LONGEST_EVENT  # messages in a queue that is certainly not about to be full
_BROKEN = (amqp.AMQPError, OSError, AttributeError)  # py-amqp lets go of its connection: AttributeError
_PUBLISH = "Bssbb"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Outgoing:
    """One event on its way into a queue."""

    queue: str
    event: ForeignEvent
    sequence: int | None


def encode(event: ForeignEvent, sequence: int | None = None) -> bytes:
    """The event as structured CloudEvents JSON [CloudEvents 1.0.2, JSON format].

    sequence: its number among all that its subscriber gets [CloudEvents, sequence extension].
    """
    attributes: dict[str, Any] = {
        "id": event.event_id,
        "source": SOURCE,
        "specversion": "1.0",
        "type": event.type,
        "subject": event.subject,
        "time": event.time.astimezone(UTC),  # the same bytes again when it comes from the table
        "datacontenttype": "application/json",
    }
    if sequence is not None:
        attributes |= {"sequence": str(sequence), "sequencetype": "Integer"}
    return JSONFormat().write(CloudEvent(attributes, event.data))


@contextmanager
def _in_one_go(channel: amqp.Channel) -> Iterator[None]:
    """Has what is sent meanwhile leave this machine together: the broker then writes it to its disk together too."""
    sock = channel.connection.transport.sock
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    try:
        yield
    finally:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


class SubscriberBroker:
    """Queues of foreign systems and what goes into them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._connection: amqp.Connection | None = None
        self._channel: amqp.Channel | None = None
        self._tag = 0
        self._open_tags: set[int] = set()
        self._nacked: set[int] = set()
        self._returned: set[str] = set()

    def connect(self) -> None:
        """Makes sure that there is a connection, as far as this side knows. Refuses: Unavailable."""
        if self._channel is None:
            self._with_channel(lambda _channel: None)

    def declare(self, queue: str) -> None:
        """Makes sure a subscriber's queue stands and gets what is sent to it; a repeat changes nothing.

        Refuses: Unavailable.
        """
        self._with_channel(lambda channel: self._declare(channel, queue))

    def remove(self, queue: str) -> None:
        """Deletes a queue with what is in it: the broker cancels whoever still consumes. Unknown queues are no error.

        Refuses: Unavailable.
        """
        self._with_channel(lambda channel: channel.queue_delete(queue))

    def publish(self, outgoing: Sequence[Outgoing]) -> dict[str, int]:
        """Puts events into queues, each queue's in their order; how many of its own each queue took.

        They count from the first: behind one that a full queue refused none counts, though it may have been taken.
        What counts the broker holds on disk. A queue that is gone (an administrator's mistake, a restored broker) is
        declared anew first. Refuses: Unavailable; nothing is known then, and all may be sent again.
        """
        by_queue: dict[str, list[Outgoing]] = {}
        for one in outgoing:
            by_queue.setdefault(one.queue, []).append(one)
        return self._with_channel(lambda channel: self._publish(channel, by_queue))

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._drop()

    def _publish(self, channel: amqp.Channel, by_queue: dict[str, list[Outgoing]]) -> dict[str, int]:
        taken = dict.fromkeys(by_queue, 0)
        # Many at once only where all have room: a queue that is full in between would take a later one before an
        # earlier one.
        going = [
            some[:] if len(some) == 1 or self._depth(channel, queue) < ROOMY else some[:1]
            for queue, some in by_queue.items()
        ]
        lost = self._send(channel, going, taken)
        if lost:
            for queue in lost:
                self._declare(channel, queue)
            if self._send(channel, [by_queue[queue][:1] for queue in lost], taken):
                raise Unavailable(service="subscribers")
        return taken

    def _send(self, channel: amqp.Channel, going: list[list[Outgoing]], taken: dict[str, int]) -> set[str]:
        """Sends and waits for the confirms; counts what was taken, and hands back the queues that do not stand."""
        self._returned, self._nacked, self._open_tags = set(), set(), set()
        tags: list[tuple[str, int]] = []
        with _in_one_go(channel):
            for one in (one for some in going for one in some):
                body = encode(one.event, one.sequence)
                message = amqp.Message(
                    body, content_type=CONTENT_TYPE, content_encoding="utf-8", delivery_mode=2,
                    message_id=one.event.event_id, type=one.event.type,
                )  # fmt: skip
                self._tag += 1
                self._open_tags.add(self._tag)
                tags.append((one.queue, self._tag))
                # Not channel.basic_publish: that one reads from the socket first, for each message.
                channel.send_method(spec.Basic.Publish, _PUBLISH, (0, EXCHANGE, one.queue, True, False), message)
        deadline = time.monotonic() + WAIT
        while self._open_tags:
            channel.connection.drain_events(timeout=max(0.001, deadline - time.monotonic()))
        refused: set[str] = set(self._returned)
        for queue, tag in tags:
            if tag in self._nacked:
                refused.add(queue)
            if queue not in refused:
                taken[queue] += 1
        return self._returned

    def _depth(self, channel: amqp.Channel, queue: str) -> int:
        """How many events lie in a queue; none in one that does not stand.

        Asked on a channel of its own, which the broker closes over a queue that is not there.
        """
        probe = channel.connection.channel()
        try:
            depth = int(probe.queue_declare(queue, passive=True).message_count)
        except amqp.NotFound:
            return 0
        probe.close()
        return depth

    def _declare(self, channel: amqp.Channel, queue: str) -> None:
        channel.queue_declare(queue, durable=True, auto_delete=False, arguments=queue_arguments())
        channel.queue_bind(queue, EXCHANGE, queue)

    def _with_channel(self, work: Callable[[amqp.Channel], Answer]) -> Answer:
        """Does the work on the one channel; any trouble drops the connection, so that no half-read answer stays."""
        if not self._lock.acquire(timeout=2 * WAIT):
            raise Unavailable(service="subscribers")
        try:
            kept = self._channel is not None
            try:
                return work(self._open())
            except _BROKEN as broken:
                self._drop()
                if not kept or isinstance(broken, TimeoutError):
                    raise Unavailable(service="subscribers") from broken
            # A connection that was kept may have died while nothing was said; all work here may be repeated.
            try:
                return work(self._open())
            except _BROKEN as broken:
                self._drop()
                raise Unavailable(service="subscribers") from broken
        finally:
            self._lock.release()

    def _open(self) -> amqp.Channel:
        if self._channel is not None:
            return self._channel
        settings = self._settings
        connection = amqp.Connection(
            host=f"{settings.subscriber_broker_host}:{settings.subscriber_broker_port}",
            userid=settings.subscriber_broker_user, password=settings.subscriber_broker_password,
            login_method="PLAIN", virtual_host=settings.subscriber_vhost, connect_timeout=WAIT, heartbeat=0,
            client_properties={"connection_name": f"{settings.process}:subscribers"},
        )  # fmt: skip
        self._connection = connection
        connection.connect()
        # Bounds every later read and write that names no time of its own (declare, delete, a blocked socket).
        connection.transport.sock.settimeout(WAIT)
        channel = connection.channel()
        channel.confirm_select()
        channel.events["basic_return"].add(self._on_return)
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        self._tag, self._channel = 0, channel
        return channel

    def _on_return(self, _error: Any, _exchange: str, queue: str, _message: Any) -> None:
        self._returned.add(queue)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._settled(tag, multiple)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._nacked |= self._settled(tag, multiple)

    def _settled(self, tag: int, multiple: bool) -> set[int]:
        done = {one for one in self._open_tags if one <= tag} if multiple else {tag}
        self._open_tags -= done
        return done

    def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            try:
                connection.collect()  # no farewell: a blocked broker would not answer it
            except _BROKEN:
                pass
