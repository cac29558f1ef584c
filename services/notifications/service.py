"""notifications tells people and foreign systems: letters, mail and SMS, and events on queues of their own.

It owns the letters (letters.py), which wait until they are printed (printing.py), the messages (messages.py,
record_news.py) that went out, that is, what was said to whom because of which event, the inbox in which people read
them (inbox.py, devices.py; stream.py is a process of its own), and the subscriptions of foreign systems
(subscribing.py) with their deliveries (foreign_news.py, sending.py). It also keeps what people write to one another
(threads.py and its neighbours), sealed, and the keys to it. It never decides who may see what (dossier is asked at the
moment of sending), never keeps a code, an address or a text, and never puts a name, a title or anything about health
into a mail, an SMS or an event.

What goes out to people is put down with its event and sent soon after (dispatching.py); to the outside they all talk
inside a transaction: a crash in between repeats the whole, under the same letter id, Message-ID, client reference or
event id, so that nobody can take the second for something new.
"""

from __future__ import annotations

import logging

import eventlet
from nameko.timer import timer

from services.bus import Made, MadeBucket, Remote, woken
from services.db import now
from services.notifications import contract
from services.notifications.batches import Batches
from services.notifications.desk import Outside
from services.notifications.devices import Devices
from services.notifications.digests import Digests
from services.notifications.document_news import DocumentNews
from services.notifications.inbox import Inbox
from services.notifications.letters import Letters
from services.notifications.message_states import MessageStates
from services.notifications.messages import Messages
from services.notifications.operating import Operating
from services.notifications.outlets import Outlets
from services.notifications.ports.thread_keys import ThreadKeys
from services.notifications.printing import Printing
from services.notifications.record_news import RecordNews
from services.notifications.retention import Retention
from services.notifications.rules_occasions import EMAIL, PUSH, SMS
from services.notifications.settings import NoticeSettings
from services.notifications.thread_files import ThreadFiles
from services.notifications.thread_people import ThreadPeople
from services.notifications.thread_upkeep import ThreadUpkeep
from services.notifications.threads import Threads
from services.object_store import Bucket
from services.virus_scan import VirusScan

LIMIT_EVERY = 60  # seconds
LOOK_EVERY = 1  # seconds
CLEAR_EVERY = 10  # seconds
DIGEST_EVERY = 5  # seconds
PRINT_EVERY = 0.5  # seconds
PRINT_AGAIN = 2.0  # seconds, while another part of the platform is away
TELL_EVERY = 3600  # seconds
MAIL_LINES = 4  # mails handed over side by side: one slow answer holds up no other
SMS_LINES = 3
PUSH_LINES = 2
WEBHOOK_LINES = 4
FILES_EVERY = 1  # seconds
SWEEP_EVERY = 600  # seconds
ROTATE_EVERY = 30  # seconds

log = logging.getLogger(__name__)


class Ports(Made):
    """Gives each worker the way outside, one for the whole process, and closes it at the end."""

    def stop(self) -> None:
        self.made.subscribers.close()


class Notifications(
    Operating, Letters, Batches, Printing, Messages, MessageStates, RecordNews, Outlets, DocumentNews, Inbox, Threads,
    ThreadPeople, ThreadFiles, ThreadUpkeep, Devices, NoticeSettings, Digests, Retention,
):  # fmt: skip
    """The nameko service; shapes and refusals are in contract.py."""

    name = contract.NAME
    identity = Remote("identity")
    dossier = Remote("dossier")
    directory = Remote("directory")
    outside = Ports(Outside.of)
    attachments = MadeBucket(Bucket.of)
    thread_keys = Made(ThreadKeys.of)
    virus_scan = Made(VirusScan.of)

    @timer(interval=CLEAR_EVERY)
    def clear_queues(self) -> None:
        """Deletes the queues of subscriptions that ended, or that were cut short while being made."""
        self._clear_queues()

    @woken("deliveries")
    def send_deliveries(self) -> bool:
        """Numbers what was put down for foreign systems, and sends what goes into queues."""
        return self._send_deliveries()

    @woken("webhooks", every=2.0, side_by_side=WEBHOOK_LINES, gives_way=True)
    def send_webhook(self) -> bool:
        """Sends what waits for the webhook whose turn it is."""
        return self._send_webhook()

    @timer(interval=LIMIT_EVERY)
    def keep_deliveries_small(self) -> None:
        """Parks foreign systems that are too far behind, and forgets what is too old to be played again."""
        self._keep_deliveries_small()

    @woken("messages_email", side_by_side=MAIL_LINES, gives_way=True)
    def send_mail(self) -> bool:
        """Sends the next mail that is due."""
        return self._send_next(EMAIL)

    @woken("messages_sms", side_by_side=SMS_LINES, gives_way=True)
    def send_sms(self) -> bool:
        """Sends the next short message that is due."""
        return self._send_next(SMS)

    @woken("messages_push", side_by_side=PUSH_LINES, gives_way=True)
    def send_push(self) -> bool:
        """Wakes the devices that are due to be woken next."""
        return self._send_next(PUSH)

    @timer(interval=DIGEST_EVERY)
    def make_digests(self) -> None:
        """Makes the daily digests whose hour has come."""
        self._make_digests()

    @timer(interval=SWEEP_EVERY)
    def forget_messages(self) -> None:
        """Deletes what people were told longer ago than it is kept."""
        self._forget_messages(now())

    @woken("told_documents", every=LOOK_EVERY, gives_way=True)
    def look_again(self) -> None:
        """Tells foreign systems of what they may not see any more, once something may have ended it."""
        self._look_again_at_due()

    @timer(interval=PRINT_EVERY)
    def print_letters(self) -> None:
        """Prints the letters that wait, the one due first in front."""
        if not self._print_waiting():
            eventlet.sleep(PRINT_AGAIN)

    @timer(interval=FILES_EVERY)
    def check_files(self) -> None:
        """Has the virus scan look at files that came with secure messages, whichever replica finds them first."""
        self._check_files(now())

    @timer(interval=SWEEP_EVERY)
    def sweep_files(self) -> None:
        """Removes files that nobody sent, and those of threads that were destroyed."""
        self._sweep_files(now())

    @timer(interval=SWEEP_EVERY)
    def forget_reaches(self) -> None:
        """Forgets what counts against nobody any more."""
        self._forget_reaches(now())

    @timer(interval=ROTATE_EVERY)
    def rotate_thread_keys(self) -> None:
        """Wraps the keys of threads anew that are not under the current master key."""
        self._rotate_thread_keys()

    @timer(interval=TELL_EVERY)
    def end_threads(self) -> None:
        """Destroys threads whose time is over, or whose record is."""
        self._end_threads(now())

    @timer(interval=CLEAR_EVERY)
    def work_letter_files(self) -> None:
        """Lays manifests beside their letters, and deletes the files of batches that are in the post."""
        self._work_files()

    @timer(interval=TELL_EVERY)
    def tell_overdue(self) -> None:
        """Says how many letters are late, a number alone, in the log."""
        if self._tell_overdue():
            self._agents_hear_of_letters()
