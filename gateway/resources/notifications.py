"""The inbox of portal and app: what the caller was told, as it comes, and the devices that are woken for it."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from gateway.caller import ask
from gateway.errors import refused
from gateway.operations import JSON, nothing, operation
from gateway.schemas import notifications as shapes
from services.notifications.contract import STREAM_COOKIE, STREAM_PATH
from services.settings import load

notifications = APIBlueprint("notifications", __name__, url_prefix="/notifications")

STREAM = {"text/event-stream": {"schema": {"type": "string"}, "example": (
    'retry: 3127\n\nevent: notification\ndata: {"notification_id":"019a0c5e-3f1a-7c3e-9b62-5f0f6b1f7a10","occasion":'
    '"record_news.mandate_opened","record_id":"019a0c5e-3f1a-7c3e-9b62-5f0f6b1f7a11","object_type":null,"object_id":'
    'null,"happened_at":"2026-11-21T08:30:00.000000Z"}\n\nevent: unread\nid: 48213\ndata: {"unread":4}\n\n'
)}}  # fmt: skip
ELSEWHERE = {307: {"description": "The stream is at this address; only where nobody routes to it before."}}


@operation(
    notifications, "GET", "", summary="List my notifications", answer=shapes.Notifications,
    query=shapes.NotificationQuery, paged=True,
)  # fmt: skip
def list_notifications(query: dict[str, Any]) -> Any:
    """What the caller was told in this capacity and may hear of now, newest first, in the language of the request.

    A notice about a document that was hidden from the caller since is not there, nor what somebody was told of a record
    as its holder's representative or assistant once they are that no more. Read or not, a notice is kept for two years,
    unless the operator says otherwise; what happened stands in the histories of the record.
    """
    return ask("notifications", "list_notifications", **{**query, "unread_only": query["unread_only"] == "true"})


@operation(
    notifications, "GET", "/unread-count", summary="Count my unread notifications", answer=shapes.Unread
)  # fmt: skip
def count_unread_notifications() -> Any:
    """A page that stays open follows the stream instead."""
    return ask("notifications", "count_unread")


@operation(
    notifications, "POST", "/<uuid:notification_id>/read", summary="Mark a notification as read",
    answer=shapes.NotificationRead, once=True, refuses=("notification_not_found",),
)  # fmt: skip
def read_notification(notification_id: str) -> Any:
    """Again changes nothing: the first time counts."""
    return ask("notifications", "read_notification", notification_id=notification_id)


@operation(
    notifications, "POST", "/read", summary="Mark notifications as read", answer=shapes.NotificationsRead,
    body=shapes.ReadUpTo, once=True, refuses=("notification_not_found",),
)  # fmt: skip
def read_notifications(body: dict[str, Any]) -> Any:
    """One and all older ones. What came after it, which the caller has not seen, stays unread."""
    return ask("notifications", "read_notifications", **body)


# --- as it comes ------------------------------------------------------------------------------------------------------


@operation(
    notifications, "POST", "/stream-tickets", summary="Prepare to follow my notifications",
    answer=shapes.StreamTicket, status=201, headers=("Set-Cookie",),
)  # fmt: skip
def prepare_notification_stream() -> Any:
    """A cookie with which a browser's EventSource opens the stream, and nothing else: it can send no token.

    No script reads it. It ends with the access token: ask anew, with the new one, when the stream has ended.
    """
    made = ask("notifications", "prepare_stream")
    response = Response(f'{{"expires_at":"{made["expires_at"]}"}}', 201, content_type=JSON)
    response.set_cookie(
        STREAM_COOKIE, made["ticket"], path=STREAM_PATH, httponly=True, samesite="Strict",
        secure=load().public_url.startswith("https:"),
    )  # fmt: skip
    return response


@operation(
    notifications, "GET", "/stream", summary="Follow my notifications", answer=STREAM, query=shapes.StreamQuery,
    token=False, security="bearer", also=ELSEWHERE,
    refuses=("unauthenticated", "session_ended", "insufficient_scope", "not_allowed", "not_found"),
)  # fmt: skip
def follow_notifications(query: dict[str, Any]) -> Any:
    """Server-sent events, with an access token or the cookie of a ticket, served by a process of its own.

    `notification` tells of one notice by its ids; what it says stands in the list. `unread` has the number of unread
    ones: it comes at once, and after each change, and its `id` is where the stream goes on after an interruption. A
    notice may then come a second time, under the same `notification_id`. Whatever comes from the moment on in which
    somebody was let in is told. The stream ends with the token or the session.
    """
    settings = load()
    if not settings.stream_url:
        raise refused("not_found")
    place = f"?last_event_id={query['last_event_id']}" if query["last_event_id"] else ""
    return nothing(307, {"Location": f"{settings.stream_url}{STREAM_PATH}{place}"})


# --- devices ----------------------------------------------------------------------------------------------------------


@operation(notifications, "GET", "/devices", summary="List my devices", answer=shapes.PushDevices)
def list_push_devices() -> Any:
    """The browsers and apps that are woken for the caller in this capacity, and the key to subscribe with."""
    return ask("notifications", "list_devices")


@operation(
    notifications, "POST", "/devices", summary="Have a device woken", answer=shapes.PushDevice, status=201,
    body=shapes.PushDeviceWanted, once=True, refuses=("push_not_available", "too_many_devices"),
)  # fmt: skip
def add_push_device(body: dict[str, Any]) -> Any:
    """From a browser's subscription (Push API). What it is sent says only `{"type":"news","notification_id":"…"}`.

    The same subscription again is the same device. One that somebody else had registered is the caller's from now on.
    """
    return ask("notifications", "add_device", **body)


@operation(
    notifications, "DELETE", "/devices/<uuid:device_id>", summary="Have a device woken no more", status=204,
    refuses=("device_not_found",),
)  # fmt: skip
def remove_push_device(device_id: str) -> Any:
    """One whose subscription has ended is forgotten by itself."""
    ask("notifications", "remove_device", device_id=device_id)
