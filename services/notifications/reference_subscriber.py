"""A subscriber to copy from: reads the events of one queue, does its work, acknowledges, and never does it twice.

    python reference_subscriber.py --host HOST --port PORT --vhost VHOST --queue QUEUE --username NAME \\
        --password-file FILE [--seen FILE] [--count N] [--tls] \\
        [--api https://dsp.example/api/v1 --subscription ID --token-file FILE]

Prints one JSON line per event. Needs pika and the standard library, nothing else of this project. What it shows:

- it acknowledges after the work, so that an event is never lost, whatever dies in between;
- delivery is at least once, hence the event id is noted with the work and a repeat is skipped (`--seen` keeps the ids
  over restarts; a real system puts them into its own database, in the transaction of the work);
- each event has a number, one more than the one before: a gap says that something is missing (a queue was lost, an
  event was too old). It says so, and with `--api` has what is missing sent once more, by itself;
- it comes back by itself, with growing patience, when the broker or the network goes away, and goes on where it was;
- it gives up, with status 3, when the credential is refused: the subscription has ended;
- an event says what happened, by ids and codes; whoever needs the document asks the API for it, and is traced there.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import ssl
import sys
import time
from collections import OrderedDict
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    AMQPError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

CONTENT_TYPE = "application/cloudevents+json"
REMEMBERED = 100_000
LONGEST_WAIT = 60.0
ENDED = 3
_REFUSED = (403, 404, 530)  # no right to the queue, no such queue (any more), no right to the vhost


class Seen:
    """The ids and numbers of events whose work is done; in a file when they shall outlive this process.

    `last`: the highest number; None before the first. `missing`: the lower ones that have not come.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._ids: OrderedDict[str, None] = OrderedDict()
        self.last: int | None = None
        self.missing: set[int] = set()
        if file is not None and file.exists():
            for line in file.read_text().splitlines():
                event_id, _, number = line.partition(" ")
                self._note(event_id, int(number) if number else None)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._ids

    def add(self, event_id: str, number: int | None) -> list[int]:
        """Notes an event, and gives the numbers that it shows to be missing; the oldest ids are forgotten (a repeat
        comes soon or not at all)."""
        missing = self._note(event_id, number)
        if self._file is not None:
            with self._file.open("a") as file:
                file.write(f"{event_id} {number}\n" if number is not None else f"{event_id}\n")
        return missing

    def _note(self, event_id: str, number: int | None) -> list[int]:
        self._ids[event_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        if number is None:
            return []
        self.missing.discard(number)
        missing = [] if self.last is None else list(range(self.last + 1, number))
        self.missing.update(missing)
        self.last = number if self.last is None else max(self.last, number)
        return missing


class Api:
    """Asks the platform to send events once more; does nothing where no address was given."""

    def __init__(self, address: str | None, subscription: str | None, token_file: Path | None) -> None:
        self._address, self._subscription, self._token_file = address, subscription, token_file

    def replay(self, number: int) -> None:
        """Has everything from this number on sent again; what was worked already is skipped when it comes."""
        if self._address is None or self._token_file is None:
            return
        token = self._token_file.read_text().strip()
        asked = Request(  # noqa: S310 - the address is this system's own setting
            f"{self._address}/subscriptions/{self._subscription}/replay", method="POST",
            data=json.dumps({"from_sequence": number}).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )  # fmt: skip
        try:
            with urlopen(asked, timeout=10) as answer:  # noqa: S310
                print(f"replay: {answer.read().decode()}", file=sys.stderr, flush=True)
        except (URLError, TimeoutError) as broken:
            print(f"replay failed ({type(broken).__name__}): somebody has to ask for it", file=sys.stderr, flush=True)


class Subscriber:
    """Consumes one queue until it is told to stop."""

    def __init__(
        self, parameters: pika.ConnectionParameters, queue: str, seen: Seen, count: int | None, api: Api | None = None
    ) -> None:
        self._parameters, self._queue, self._seen, self._left, self._api = parameters, queue, seen, count, api
        self._stopping = False

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Ends after the event at hand."""
        self._stopping = True

    def run(self) -> int:
        """The exit status: 0 when told to stop or done, 3 when the subscription does not exist any more."""
        wait = 1.0
        while not self._done():
            try:
                with pika.BlockingConnection(self._parameters) as connection:
                    print("connected", file=sys.stderr, flush=True)
                    wait = 1.0
                    self._consume(connection.channel())
                if self._done():
                    return 0
                # The queue was deleted under us; if the subscription has ended the next log-in says so.
            except (ProbableAuthenticationError, ProbableAccessDeniedError) as refused:
                print(f"refused: {type(refused).__name__}", file=sys.stderr, flush=True)
                return ENDED
            except (ChannelClosedByBroker, ConnectionClosedByBroker) as closed:
                if closed.reply_code in _REFUSED:
                    print(f"refused: {closed.reply_code}", file=sys.stderr, flush=True)
                    return ENDED
                self._report(closed, wait)
            except (AMQPError, OSError) as broken:
                self._report(broken, wait)
            # Many subscribers come back after one outage: they should not all come back in the same second.
            time.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - patience, not a secret
            wait = min(2 * wait, LONGEST_WAIT)
        return 0

    def _consume(self, channel: BlockingChannel) -> None:
        channel.basic_qos(prefetch_count=20)
        # None for each second without an event, so that a signal is noticed; the end of the loop is a cancel.
        for method, properties, body in channel.consume(self._queue, inactivity_timeout=1.0):
            if method is not None:
                assert properties is not None and body is not None
                self._take(channel, method.delivery_tag, properties.content_type, body)
            if self._done():
                channel.cancel()
                return

    def _take(self, channel: BlockingChannel, tag: int, content_type: str | None, body: bytes) -> None:
        event = understood(content_type, body)
        if event is None:
            # Asking for it again would not make it better; a real system keeps it aside and tells a person.
            print("an event could not be understood", file=sys.stderr, flush=True)
            channel.basic_reject(tag, requeue=False)
            return
        if event["id"] not in self._seen:
            work(event)
            self._note(event)
            self._left = None if self._left is None else self._left - 1
        channel.basic_ack(tag)

    def _note(self, event: dict[str, Any]) -> None:
        number = event.get("sequence")
        missing = self._seen.add(event["id"], int(number) if number is not None else None)
        if missing:
            print(f"gap: {missing[0]} to {missing[-1]} have not come", file=sys.stderr, flush=True)
            if self._api is not None:
                self._api.replay(missing[0])

    def _done(self) -> bool:
        return self._stopping or (self._left is not None and self._left <= 0)

    @staticmethod
    def _report(broken: BaseException, wait: float) -> None:
        print(f"connection lost ({type(broken).__name__}), again in {wait:.0f} s", file=sys.stderr, flush=True)


def understood(content_type: str | None, body: bytes) -> dict[str, Any] | None:
    """The CloudEvent in a message; None when it is none that version 1.0 allows."""
    if (content_type or "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        return None
    try:
        event = json.loads(body)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("specversion") != "1.0":
        return None
    if not all(isinstance(event.get(name), str) and event[name] for name in ("id", "source", "type")):
        return None
    number = event.get("sequence")  # a test event has none
    return event if number is None or (isinstance(number, str) and number.isdecimal()) else None


def work(event: dict[str, Any]) -> None:
    """Here an integrator does the work: fetch the document, note the change. This one prints the event."""
    print(json.dumps(event, ensure_ascii=False, sort_keys=True), flush=True)


def main() -> int:
    """Reads the command line and runs until SIGINT or SIGTERM."""
    asked = argparse.ArgumentParser(description="Reads the events of one subscription and prints them as JSON lines.")
    for name, kind, default in (("host", str, None), ("port", int, 5672), ("vhost", str, None), ("queue", str, None),
                                ("username", str, None), ("password-file", Path, None)):  # fmt: skip
        asked.add_argument(f"--{name}", type=kind, default=default, required=default is None)
    asked.add_argument("--seen", type=Path, help="keep the ids of handled events in this file")
    asked.add_argument("--count", type=int, help="stop after this many events")
    asked.add_argument("--tls", action="store_true", help="speak TLS to the broker and check its certificate")
    asked.add_argument("--api", help="the address of the platform's API, to have missing events sent once more")
    asked.add_argument("--subscription", help="the id of the subscription, for --api")
    asked.add_argument("--token-file", type=Path, help="a file with the access token, for --api")
    given = asked.parse_args()
    parameters = pika.ConnectionParameters(
        given.host, given.port, given.vhost,
        pika.PlainCredentials(given.username, given.password_file.read_text().strip()),
        heartbeat=30, blocked_connection_timeout=60, socket_timeout=10,
        ssl_options=pika.SSLOptions(ssl.create_default_context(), given.host) if given.tls else None,
    )  # fmt: skip
    subscriber = Subscriber(parameters, given.queue, Seen(given.seen), given.count,
                            Api(given.api, given.subscription, given.token_file))  # fmt: skip
    signal.signal(signal.SIGINT, subscriber.stop)
    signal.signal(signal.SIGTERM, subscriber.stop)
    return subscriber.run()


if __name__ == "__main__":
    sys.exit(main())
