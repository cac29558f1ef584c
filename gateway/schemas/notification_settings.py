"""Shapes of what people wish to hear of, on which way, and when."""

from __future__ import annotations

from typing import ClassVar

from gateway.errors import catalogue
from gateway.operations import Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import OTHER_ID, TIME
from services.notifications.contract import DIGEST_CHANNELS, NOTICE_CHANNELS, TIME_ZONE

TYPES = tuple(catalogue("en")["document_types"])
CLOCK = r"\A[0-9]{2}:[0-9]{2}\Z"


def hour(description: str) -> Text:
    return Text(f"{description} HH:MM, by the clocks of {TIME_ZONE}.", pattern=CLOCK, code="time", required=True)


class QuietHours(Shape):
    """Nothing rings meanwhile but what is told at once in any case; they may span midnight."""

    begin = hour("Beginning.")
    end = hour("End.")
    example: ClassVar = {"begin": "22:00", "end": "07:00"}


class NoticeDigest(Shape):
    """All that can wait as one message a day; the inbox has it at once all the same."""

    at = hour("When it goes out; not within the quiet hours.")
    channel = Choice(DIGEST_CHANNELS, required=True)
    example: ClassVar = {"at": "18:00", "channel": "email"}


class NewDocuments(Shape):
    """Of which new documents to hear: those of one of these types and of one of these authors."""

    types = Listed(Choice(TYPES), "Null: of all.", maximum=200, allow_none=True)
    authors = Listed(Id(), "Professionals, by id. Null: of all.", maximum=200, allow_none=True)
    example: ClassVar = {"types": ["laboratory_results"], "authors": None}


class OccasionWanted(Shape):
    name = Text("One of those that are shown.", maximum=64, required=True)
    channels = Listed(Choice(NOTICE_CHANNELS), "Empty: not told at all.", maximum=4, required=True)
    example: ClassVar = {"name": "mandates", "channels": ["inbox"]}


class NotificationSettingsWanted(Shape):
    """Replaces all that was set; an occasion that is not named has its default."""

    occasions = Listed(Part(OccasionWanted), maximum=100, required=True)
    quiet_hours = Part(QuietHours, "Null for none.", allow_none=True, required=True)
    digest = Part(NoticeDigest, "Null for none.", allow_none=True, required=True)
    new_documents = Part(NewDocuments, required=True)
    example: ClassVar = {
        "occasions": [OccasionWanted.example], "quiet_hours": QuietHours.example, "digest": NoticeDigest.example,
        "new_documents": NewDocuments.example,
    }  # fmt: skip


class NoticeOccasion(Shape):
    name = Text()
    title = Text("In the language asked for.")
    channels = Listed(Choice(NOTICE_CHANNELS), "On which ways it is told now.")
    default = Listed(Choice(NOTICE_CHANNELS), "Where nothing is set.")
    choices = Listed(Choice(NOTICE_CHANNELS), "What may be chosen.")
    fixed = Flag("Its default channels cannot be taken away; others may be added where there is a choice.")
    source = Text("The rule that has it told in any case.", allow_none=True)
    reason = Text("The same in words.", allow_none=True)
    at_once = Flag("Neither quiet hours nor a digest keep it back.")
    example: ClassVar = {
        "name": "first_access", "title": "First access by a professional", "channels": ["email", "inbox", "push"],
        "default": ["email", "inbox", "push"], "choices": ["email", "sms", "inbox", "push"], "fixed": True,
        "source": "RGD 3(3)", "reason": "The law provides for this notice (RGD 3(3)): it cannot be switched off.",
        "at_once": True,
    }  # fmt: skip


class NotificationSettings(Shape):
    version = Number("Counts every change; also the ETag, for If-Match.")
    occasions = Listed(Part(NoticeOccasion), "All that this capacity hears of.")
    quiet_hours = Part(QuietHours, allow_none=True)
    digest = Part(NoticeDigest, allow_none=True)
    new_documents = Part(NewDocuments)
    time_zone = Text("Of all hours here.")
    changed_at = Moment("Null where nothing was ever set.", allow_none=True)
    example: ClassVar = {
        "version": 3, "occasions": [NoticeOccasion.example], "quiet_hours": QuietHours.example,
        "digest": NoticeDigest.example, "new_documents": {"types": None, "authors": [OTHER_ID]},
        "time_zone": TIME_ZONE, "changed_at": TIME,
    }  # fmt: skip
