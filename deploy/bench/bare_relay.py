"""The bare publishing that the relay is measured against: the same messages, confirms pipelined, and nothing else.

A process of its own, by py-amqp as the relay has it, without eventlet: no database, no order to keep over a restart. A
line on stdin says how many; a line on stdout tells how many a second the broker confirmed. The address comes first, so
that no password stands in a command line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import amqp

IN_FLIGHT = 1000  # messages without a confirm at a time


class Publisher:
    """Publishes to one exchange, so many in flight."""

    def __init__(self, address: dict[str, Any]) -> None:
        self._address = address
        self._connection = amqp.Connection(
            f"127.0.0.1:{address['port']}", address["user"], address["password"], virtual_host=address["vhost"]
        )
        self._connection.connect()
        self._channel = self._connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._confirmed)
        self._published = self._settled = 0

    def rate(self, bodies: list[bytes]) -> float:
        """Messages a second, from the first that leaves to the last that is confirmed."""
        began = time.perf_counter()
        for body in bodies:
            message = amqp.Message(
                body, content_type="application/json", user_id=self._address["user"], delivery_mode=2,
                message_id=str(self._published), type=self._address["key"],
            )  # fmt: skip
            self._channel._basic_publish(message, self._address["exchange"], self._address["key"])
            self._published += 1
            while self._published - self._settled >= IN_FLIGHT:
                self._connection.drain_events()
        while self._settled < self._published:
            self._connection.drain_events()
        return len(bodies) / (time.perf_counter() - began)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _confirmed(self, tag: int, multiple: bool) -> None:
        # A quorum queue confirms in its order, so that the newest tag tells of all before it.
        self._settled = max(self._settled, tag)


def main() -> None:
    """Answers line by line until stdin ends."""
    address = json.loads(sys.stdin.readline())
    publisher = Publisher(address)
    for line in sys.stdin:
        asked = json.loads(line)
        bodies = [asked["body"].encode()] * asked["count"]
        print(json.dumps(publisher.rate(bodies)), flush=True)


if __name__ == "__main__":
    main()
