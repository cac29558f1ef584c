"""One consumer connection per process and broker, with bodies left to their provider and nothing declared."""

from __future__ import annotations

import logging
from typing import Any

from kombu import Connection, Queue
from nameko.messaging import QueueConsumer

from services.db import Database, Sessions
from services.rpc import BROKEN, read_in_blocks
from services.settings import Broker, Purpose, load

log = logging.getLogger(__name__)


class Consumer(QueueConsumer):  # type: ignore[misc]
    """Nameko's queue consumer with our own rules: nothing is declared here, bodies are decoded by their provider.

    purpose: what is consumed. Where one broker has all of it, all share one connection.
    """

    def __init__(self, purpose: Purpose = "events") -> None:
        self._purpose = purpose
        super().__init__()

    @property
    def sharing_key(self) -> tuple[type, Broker]:
        return type(self), load().broker_of(self._purpose)

    @property
    def amqp_uri(self) -> str:
        return ""  # the address comes from the settings, piece by piece, so that no secret stands in a URI

    @property
    def connection(self) -> Connection:
        settings = load()
        broker = settings.broker_of(self._purpose)
        return Connection(
            hostname=broker.host, port=broker.port, userid=broker.user, password=broker.password,
            virtual_host=broker.vhost, heartbeat=30, login_method="PLAIN",
            transport_options={"client_properties": {"connection_name": f"{settings.process}:consumer"}},
        )  # fmt: skip

    def get_consumers(self, consumer_cls: Any, channel: Any) -> Any:
        read_in_blocks(channel.connection)
        for provider in self._providers:
            consumer = consumer_cls(queues=[provider.queue], on_message=provider.receive, auto_declare=False)
            consumer.qos(prefetch_count=provider.prefetch)
            self._consumers[provider] = consumer
        return self._consumers.values()

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        log.warning("broker unreachable", extra={"kind": type(exc).__name__, "retry_in": interval})


def declared(queue: str) -> Queue:
    """A queue that the platform's topology declared; services have no right to declare."""
    return Queue(queue, no_declare=True)


def settle(message: Any, verb: str, **kwargs: Any) -> None:
    """Acks or rejects; when the connection went away the broker takes the message back by itself."""
    try:
        getattr(message, verb)(**kwargs)
    except (*BROKEN, message.MessageStateError) as broken:
        log.info("delivery taken back", extra={"kind": type(broken).__name__})


def sessions_of(container: Any) -> Sessions:
    """The database transactions of the container's service."""
    sessions = next(d.sessions for d in container.dependencies if isinstance(d, Database))
    assert isinstance(sessions, Sessions)
    return sessions
