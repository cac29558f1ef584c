"""Reads one delivery status notification on standard input, as a mail server pipes it, and notes what came back.

In the mail server: the address of `mail_bounces_to` as an alias to `|python -m services.notifications.bounce`, run with
OPENDSP_SETTINGS naming the settings of notifications. What is no notification about a mail of ours is dropped without a
word: an answer would go to whoever made it up. Ends with 75 (try again) while the database is away [sysexits].
"""

from __future__ import annotations

import logging
import os
import sys

from services.db import Sessions, now
from services.logs import begin
from services.notifications import rules_bounces, rules_delivery, store_messages
from services.notifications.rules_occasions import EMAIL
from services.settings import load

log = logging.getLogger(__name__)


def note_bounce(sessions: Sessions, raw: bytes) -> bool:
    """Notes what a notification says; False when it says nothing of a mail of ours."""
    told = rules_bounces.read_notification(raw)
    event_id = rules_delivery.event_of_reference(told[0]) if told is not None else None
    if told is None or event_id is None:
        return False
    message_id, state = told
    with sessions.transaction() as session:
        for message in store_messages.claim_event(session, event_id, EMAIL):
            if rules_delivery.is_message_id(message_id, message.event_id, message.recipient_id):
                store_messages.settle(message, state, now(), "returned" if state == rules_delivery.BOUNCED else None)
                return True
    return False


def main() -> int:
    """Ends with 0 once it is noted or dropped."""
    begin()
    raw = sys.stdin.buffer.read(rules_bounces.LONGEST + 1)
    sessions = Sessions(load().database_url)
    try:
        noted = note_bounce(sessions, raw)
    except Exception as missing:  # of ours alone: whatever the bytes are, reading them raises nothing
        log.warning("bounce waits", extra={"kind": type(missing).__name__})
        return os.EX_TEMPFAIL
    finally:
        sessions.engine.dispose()
    log.info("bounce noted" if noted else "bounce dropped")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
