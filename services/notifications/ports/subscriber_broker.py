"""The subscribers' vhost: one durable queue per foreign system, CloudEvents 1.0 put into it with the broker's confirm.

One connection per process, made when first needed and made anew after any trouble. Every wait on it is bounded: a
broker that is gone, or that blocks its publishers under a memory alarm, costs seconds and the refusal `Unavailable`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC
from typing import Any, TypeVar

import amqp
from amqp.exceptions import MessageNacked
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from services.notifications.rules import SOURCE, ForeignEvent, queue_arguments
from services.refusals import Unavailable
from services.settings import Settings

EXCHANGE = "subscriptions"
CONTENT_TYPE = JSONFormat.CONTENT_TYPE
WAIT = 3.0
_BROKEN = (amqp.AMQPError, OSError, AttributeError)  # py-amqp lets go of its connection: AttributeError

Answer = TypeVar("Answer")


def encode(event: ForeignEvent) -> bytes:
    """The event as structured CloudEvents JSON [CloudEvents 1.0.2, JSON format]."""
    return JSONFormat().write(
        CloudEvent(
            {
                "id": event.event_id,
                "source": SOURCE,
                "specversion": "1.0",
                "type": event.type,
                "subject": event.subject,
                "time": event.time.astimezone(UTC),  # the same bytes again when it comes from the table
                "datacontenttype": "application/json",
            },
            event.data,
        )
    )


class SubscriberBroker:
    """Queues of foreign systems and what goes into them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._connection: amqp.Connection | None = None
        self._channel: amqp.Channel | None = None
        self._returned = False

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

    def publish(self, queue: str, event: ForeignEvent) -> bool:
        """Puts an event into a queue; True once the broker holds it on disk, False when the queue is full.

        A queue that is gone (an administrator's mistake, a restored broker) is declared anew first.
        Refuses: Unavailable.
        """
        return self._with_channel(lambda channel: self._publish(channel, queue, event))

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._drop()

    def _publish(self, channel: amqp.Channel, queue: str, event: ForeignEvent) -> bool:
        body = encode(event)
        for last in (False, True):
            self._returned = False
            message = amqp.Message(
                body, content_type=CONTENT_TYPE, content_encoding="utf-8", delivery_mode=2,
                message_id=event.event_id, type=event.type,
            )  # fmt: skip
            try:
                channel.basic_publish_confirm(
                    message, EXCHANGE, queue, mandatory=True, timeout=WAIT, confirm_timeout=WAIT
                )
            except MessageNacked:
                return False
            if not self._returned:
                return True
            if not last:
                self._declare(channel, queue)
        raise Unavailable(service="subscribers")

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
        channel.events["basic_return"].add(self._on_return)
        self._channel = channel
        return channel

    def _on_return(self, *_: Any) -> None:
        self._returned = True

    def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            try:
                connection.collect()  # no farewell: a blocked broker would not answer it
            except _BROKEN:
                pass
