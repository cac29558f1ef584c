"""What notifications says of the inbox: its refusals and the shapes of its calls.

With a token of a person, in the capacity they logged in with: `list_notifications(unread_only=False, limit=50,
cursor=None)`, `count_unread()`, `read_notification(notification_id)`, `read_notifications(up_to)`, `prepare_stream()`,
`list_devices()`, `add_device(endpoint, public_key, auth, name=None)`, `remove_device(device_id)`.
"""

from __future__ import annotations

from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

STREAM_PATH: Final = "/api/v1/notifications/stream"
"""Where the stream of news is, on the process of its own as on the gateway."""
STREAM_COOKIE: Final = "opendsp_stream"
"""The cookie that carries a ticket to it."""
DEVICES_MOST: Final = 10


class NotificationNotFound(Refusal):
    """Nothing of this id was told to the caller, or they may not hear of it now: nobody learns which."""

    code: ClassVar[str] = "notification_not_found"


class PushNotAvailable(Refusal):
    """This platform wakes no devices."""

    code: ClassVar[str] = "push_not_available"


class ShownNotification(TypedDict):
    """One notice: what happened in words of the caller's language, and what it is about, for a link."""

    notification_id: str
    occasion: str
    title: str
    text: str
    record_id: str | None
    object_type: str | None
    object_id: str | None
    count: int
    happened_at: str
    read_at: str | None


class NotificationPage(TypedDict):
    """Answer of `list_notifications`, newest first; `next_cursor` is null on the last page."""

    notifications: list[ShownNotification]
    next_cursor: str | None


class UnreadCount(TypedDict):
    """Answer of `count_unread`."""

    unread: int


class ReadNotification(TypedDict):
    """Answer of `read_notification`, the same at every repeat."""

    notification_id: str
    read_at: str


class ReadNotifications(TypedDict):
    """Answer of `read_notifications`: how many had been unread."""

    read: int


class StreamPrepared(TypedDict):
    """Answer of `prepare_stream`; the ticket goes into a cookie that no script reads."""

    ticket: str
    expires_at: str


class PushDevice(TypedDict):
    """A device that is woken. Its endpoint is a secret of its own, and is in no answer."""

    device_id: str
    name: str | None
    created_at: str


class PushDevices(TypedDict):
    """Answer of `list_devices`, the oldest first; public_key: what a browser subscribes with, null for no pushes."""

    devices: list[PushDevice]
    public_key: str | None
