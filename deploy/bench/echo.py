"""The bare echo that questions are measured against: pika on both ends, nothing in between but the broker.

A vhost and a user of its own on the stack's broker, for the run only. The consumer is a process of its own, answers
come by direct reply-to, messages are transient and unconfirmed; the asking side keeps a number of them in flight.
`python -m deploy.bench.echo` is the consumer; its address comes on stdin, so that no password stands in a command line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pika

from deploy.bench.ground import program
from deploy.local import rabbitmq
from deploy.local.layout import Layout, password

NAME = "bench-echo"
DIRECT = "amq.rabbitmq.reply-to"

Address = dict[str, Any]


@contextmanager
def echo(layout: Layout) -> Iterator[Echo]:
    """An echo on the stack's broker, gone with the block."""
    secret = password()
    address: Address = {"port": layout.ports["rabbitmq"], "password": secret}
    rabbitmq.control(layout, "add_vhost", NAME)
    try:
        rabbitmq.control(layout, "add_user", NAME, secret)
        rabbitmq.control(layout, "set_permissions", "--vhost", NAME, NAME, ".*", ".*", ".*")
        with program(layout, ["-m", "deploy.bench.echo"], {}, pipes=True) as consumer:
            assert consumer.stdin is not None and consumer.stdout is not None
            consumer.stdin.write(json.dumps(address) + "\n")
            consumer.stdin.flush()
            consumer.stdout.readline()  # it consumes
            yield Echo(address)
    finally:
        rabbitmq.control(layout, "delete_vhost", NAME)
        if f"{NAME}\t" in rabbitmq.control(layout, "list_users"):
            rabbitmq.control(layout, "delete_user", NAME)


class Echo:
    """The asking side."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def rate(self, in_flight: int, seconds: float, body: bytes) -> float:
        """Answers per second with so many questions on their way all the time."""
        answered = 0
        open_ones = in_flight
        with pika.BlockingConnection(_parameters(self._address)) as connection:
            channel = connection.channel()

            def ask() -> None:
                properties = pika.BasicProperties(reply_to=DIRECT, correlation_id=str(answered), delivery_mode=1)
                channel.basic_publish("", NAME, body, properties)

            def on_answer(*_: Any) -> None:
                nonlocal answered, open_ones
                answered += 1
                if time.perf_counter() < end:
                    ask()
                    return
                open_ones -= 1
                if not open_ones:
                    channel.stop_consuming()

            channel.basic_consume(DIRECT, on_answer, auto_ack=True)
            began = time.perf_counter()
            end = began + seconds
            for _ in range(in_flight):
                ask()
            channel.start_consuming()
            return answered / (time.perf_counter() - began)


def _parameters(address: Address) -> pika.ConnectionParameters:
    login = pika.PlainCredentials(NAME, address["password"])
    return pika.ConnectionParameters("127.0.0.1", address["port"], NAME, login, heartbeat=0)


def serve(address: Address) -> None:
    """Sends back whatever comes, until ended."""
    with pika.BlockingConnection(_parameters(address)) as connection:
        channel = connection.channel()
        channel.queue_declare(NAME, exclusive=True)

        def on_question(_channel: Any, _method: Any, properties: pika.BasicProperties, body: bytes) -> None:
            same = pika.BasicProperties(correlation_id=properties.correlation_id, delivery_mode=1)
            channel.basic_publish("", str(properties.reply_to), body, same)

        channel.basic_consume(NAME, on_question, auto_ack=True)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        channel.start_consuming()


if __name__ == "__main__":
    serve(json.loads(sys.stdin.readline()))
