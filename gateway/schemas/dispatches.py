"""Shapes of what leaves the platform for people: print batches of letters, states of messages, receipts of SMS."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.notifications.contract import (
    BATCH_LIMIT,
    BATCH_STATES,
    LETTER_OCCASIONS,
    MESSAGE_CAUSES,
    MESSAGE_CHANNELS,
    MESSAGE_FAMILIES,
    MESSAGE_STATES,
)

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_BATCH = {"batch_id": ID, "state": "open", "size": 1, "made_at": TIME, "confirmed_at": None}


class BatchWanted(Shape):
    limit = Number("How many letters at most.", minimum=1, maximum=BATCH_LIMIT, load_default=BATCH_LIMIT)
    example: ClassVar = {"limit": BATCH_LIMIT}


class BatchesQuery(Query):
    limit = Number(minimum=1, maximum=100, load_default=50)
    cursor = Text("From next_cursor.", maximum=64)


class BatchLine(Shape):
    """A pile of letters that went to the print shop together; `confirmed` once it is in the post."""

    batch_id = Id()
    state = Choice(BATCH_STATES)
    size = Number("How many letters it was made of.")
    made_at = Moment()
    confirmed_at = Moment(allow_none=True)
    example: ClassVar = _BATCH


class Batches(Shape):
    batches = Listed(Part(BatchLine))
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"batches": [_BATCH], "next_cursor": None}


class ManifestLine(Shape):
    place = Number("In the pile, from 1.")
    letter_id = Id()
    file = Text("Its name in the folder of the print shop.")
    occasion = Choice(LETTER_OCCASIONS)
    pages = Number()
    sha256 = Text("Of the file, in hexadecimal.", maximum=64)


class Manifest(BatchLine):
    """What the print shop checks its pile against. A letter that is printed anew since is not in it any more."""

    letters = Listed(Part(ManifestLine))
    example: ClassVar = {
        **_BATCH,
        "letters": [
            {
                "place": 1,
                "letter_id": OTHER_ID,
                "file": f"{OTHER_ID}.pdf",
                "occasion": "record_opened",
                "pages": 2,
                "sha256": DIGEST,
            }
        ],
    }


class MessagesQuery(Query):
    """Exactly one of the four ids."""

    patient_id = Id("Whom it went to.")
    professional_id = Id("Whom it went to.")
    message_id = Id()
    request_id = Id("Of the request that caused it: X-Request-ID of its answer. A code is found by it.")
    limit = Number(minimum=1, maximum=100, load_default=50)
    cursor = Text("From next_cursor.", maximum=64)


class MessageStep(Shape):
    state = Choice(MESSAGE_STATES)
    at = Moment()
    cause = Choice(MESSAGE_CAUSES, allow_none=True)


class OutgoingMessage(Shape):
    """What became of a message: neither what it says nor where it went."""

    message_id = Id()
    channel = Choice(MESSAGE_CHANNELS)
    about = Choice(MESSAGE_FAMILIES, "Which family of messages, not which news.")
    state = Choice(MESSAGE_STATES)
    cause = Choice(MESSAGE_CAUSES, "Why it waits still, came back or was given up.", allow_none=True)
    attempts = Number("How often it could not be sent.")
    due_at = Moment("Before when it is not tried (again).", allow_none=True)
    history = Listed(Part(MessageStep), "Its states, the oldest first.")


class OutgoingMessages(Shape):
    messages = Listed(Part(OutgoingMessage))
    next_cursor = Text(allow_none=True)
    example: ClassVar = {
        "messages": [
            {
                "message_id": ID,
                "channel": "sms",
                "about": "code",
                "state": "delivered",
                "cause": None,
                "attempts": 0,
                "due_at": None,
                "history": [
                    {"state": "queued", "at": TIME, "cause": None},
                    {"state": "sent", "at": TIME, "cause": None},
                    {"state": "delivered", "at": TIME, "cause": None},
                ],
            }
        ],
        "next_cursor": None,
    }


class SmsReceipt(Shape):
    """What the provider says of a message."""

    client_reference = Text("As it was given with the message.", maximum=100, required=True)
    status = Text("`delivered` or `undelivered`; any other word is taken and changes nothing.", maximum=40,
                  required=True)  # fmt: skip
    example: ClassVar = {"client_reference": f"{ID}.0123456789ab.sms", "status": "delivered"}
