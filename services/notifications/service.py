"""notifications tells people and foreign systems: letters, mail and SMS, and events on queues of their own.

It owns the letters (letters.py), which wait until they are printed (printing.py), the messages (messages.py,
record_news.py) that went out, that is, what was said to whom because of which event, and the subscriptions of foreign
systems with their deliveries (subscriptions.py). It never decides who may see what (dossier is asked at the moment of
sending), never keeps a code, an address or a text, and never puts a name, a title or anything about health into a mail,
an SMS or an event.

The handlers talk to the outside inside a transaction: a crash in between repeats the whole, under the same letter id,
Message-ID, client reference or event id, so that nobody can take the second for something new.
"""

from __future__ import annotations

from typing import Any

import eventlet
from nameko.extensions import DependencyProvider
from nameko.timer import timer

from services.bus import Remote
from services.notifications import contract
from services.notifications.desk import Outside
from services.notifications.letters import Letters
from services.notifications.messages import Messages
from services.notifications.printing import Printing
from services.notifications.record_news import RecordNews
from services.notifications.subscriptions import Subscriptions
from services.settings import load

SEND_EVERY = 2  # seconds
CLEAR_EVERY = 10  # seconds
PRINT_EVERY = 0.5  # seconds
PRINT_AGAIN = 2.0  # seconds, while another part of the platform is away
TELL_EVERY = 3600  # seconds


class Ports(DependencyProvider):  # type: ignore[misc]
    """Gives each worker the way outside, one for the whole process."""

    def setup(self) -> None:
        self.outside = Outside.of(load())

    def stop(self) -> None:
        self.outside.subscribers.close()

    def get_dependency(self, worker_ctx: Any) -> Outside:
        return self.outside


class Notifications(Letters, Printing, Messages, RecordNews, Subscriptions):
    """The nameko service; shapes and refusals are in contract.py."""

    name = contract.NAME
    identity = Remote("identity")
    dossier = Remote("dossier")
    directory = Remote("directory")
    outside = Ports()

    @timer(interval=CLEAR_EVERY)
    def clear_queues(self) -> None:
        """Deletes the queues of subscriptions that ended, or that were cut short while being made."""
        self._clear_queues()

    @timer(interval=SEND_EVERY)
    def send_waiting(self) -> None:
        """Sends the deliveries that wait, oldest first."""
        self._send_waiting()

    @timer(interval=PRINT_EVERY)
    def print_letters(self) -> None:
        """Prints the letters that wait, the one due first in front."""
        if not self._print_waiting():
            eventlet.sleep(PRINT_AGAIN)

    @timer(interval=TELL_EVERY)
    def tell_overdue(self) -> None:
        """Says how many letters are late, a number alone, in the log."""
        self._tell_overdue()
