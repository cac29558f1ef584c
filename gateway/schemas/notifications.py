"""Shapes of the inbox: notices, what was read, devices that are woken."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Number, Part, Secret, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.notifications.contract import DEVICES_MOST

_KEY = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"


class NotificationQuery(Query):
    unread_only = Choice(("true", "false"), "`true`: without what was read.", load_default="false")
    limit = Number("How many at most.", minimum=1, maximum=100, load_default=50)
    cursor = Id("`next_cursor` of the page before.", load_default=None)


class Notification(Shape):
    notification_id = Id()
    occasion = Text("What kind of news this is.")
    title = Text("In the language of the request.")
    text = Text("In the language of the request; one line for each paragraph.")
    record_id = Id("The record it is about.", allow_none=True)
    object_type = Text("What of it: `document`, `mandate`, `rectification`, …", allow_none=True)
    object_id = Id(allow_none=True)
    count = Number("Of how many things it speaks.")
    happened_at = Moment("Of what is announced, the end of a mandate for one: when it is going to be.")
    read_at = Moment("When it was first read.", allow_none=True)
    example: ClassVar = {
        "notification_id": ID, "occasion": "record_news.mandate_opened", "title": "Un accès à votre dossier",
        "text": "Le 21 novembre 2026 à 08:30, un établissement a enregistré un accès à votre dossier.",
        "record_id": OTHER_ID, "object_type": None, "object_id": None, "count": 1, "happened_at": TIME, "read_at": None,
    }  # fmt: skip


class Notifications(Shape):
    notifications = Listed(Part(Notification), "The newest first.")
    next_cursor = Id("Null on the last page.", allow_none=True)
    example: ClassVar = {"notifications": [Notification.example], "next_cursor": None}


class Unread(Shape):
    unread = Number("Of what the caller may hear of now.")
    example: ClassVar = {"unread": 3}


class NotificationRead(Shape):
    notification_id = Id()
    read_at = Moment("The first time counts.")
    example: ClassVar = {"notification_id": ID, "read_at": TIME}


class ReadUpTo(Shape):
    up_to = Id("This notice and all older ones.", required=True)
    example: ClassVar = {"up_to": ID}


class NotificationsRead(Shape):
    read = Number("How many had been unread.")
    example: ClassVar = {"read": 3}


class StreamTicket(Shape):
    expires_at = Moment("Until when the cookie opens streams: as long as the token, and never long.")
    example: ClassVar = {"expires_at": TIME}


class StreamQuery(Query):
    last_event_id = Text(
        "Where the stream is taken up again, for a page that opens a new one: the `id` of the last event it had. What a"
        " browser sends by itself (Last-Event-ID) goes before it.",
        load_default=None, maximum=19, pattern=r"\A[0-9]+\Z", code="cursor",
    )  # fmt: skip


class PushDeviceWanted(Shape):
    endpoint = Text("`endpoint` of the browser's subscription (Push API).", maximum=2000, required=True)
    public_key = Text("`p256dh` of its keys, in base64url.", maximum=100, required=True)
    auth = Secret("`auth` of its keys, in base64url.", maximum=100, required=True)
    name = Text("What its owner calls it.", maximum=64, load_default=None, allow_none=True)
    example: ClassVar = {
        "endpoint": "https://push.example.org/d/8Z1n", "auth": "BTBZMqHH6r4Tts7J_aSIgg", "name": "Téléphone",
        "public_key": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    }  # fmt: skip


class PushDevice(Shape):
    device_id = Id()
    name = Text(allow_none=True)
    created_at = Moment()
    example: ClassVar = {"device_id": ID, "name": "Téléphone", "created_at": TIME}


class PushDevices(Shape):
    devices = Listed(Part(PushDevice), f"The oldest first; at most {DEVICES_MOST}.")
    public_key = Text("`applicationServerKey` for a browser; null: this platform wakes none.", allow_none=True)
    example: ClassVar = {"devices": [PushDevice.example], "public_key": _KEY}
