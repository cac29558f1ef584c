"""Secure messages: between professionals, and between a holder and the professionals they trust for good."""

from functools import partial
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from gateway import content, deposits
from gateway.caller import ask, ask_anew, authenticate, gateway_key
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import threads as shapes
from services.notifications.contract import ATTACHMENT_KINDS

threads = APIBlueprint("threads", __name__, url_prefix="/threads")

_PEOPLE: dict[str, Any] = {"professional": "professional_id", "patient": "patient_id"}
_THERE = ("thread_not_found", "not_allowed")
_FILE_REFUSALS = (
    "unsupported_media_type", "media_type_not_allowed", "upload_empty", "upload_too_large", "file_encrypted",
    "file_truncated", "image_too_large", "too_many_uploads", "length_required", *deposits.REFUSALS,
    "attachment_not_found", "too_many_attachments", "writing_ended",
)  # fmt: skip


@operation(
    threads, "GET", "", summary="List my threads", answer=shapes.Threads, query=shapes.ThreadQuery, paged=True,
    refuses=("not_allowed",),
)  # fmt: skip
def list_threads(query: dict[str, Any]) -> Any:
    """Where something was written last first. Agents have none, and no thread of anybody's is there for them."""
    return ask("notifications", "list_threads", **{**query, "archived": query["archived"] == "true"})


@operation(
    threads, "POST", "", summary="Begin a thread", answer=shapes.Thread, status=201, body=shapes.ThreadWanted,
    once=True,
    refuses=(
        "not_allowed", "record_not_found", "record_closed", "correspondent_not_found", "writing_ended",
        "too_many_tries",
    ),
)  # fmt: skip
def begin_thread(body: dict[str, Any]) -> Any:
    """With the holder side of a record: for the holder side, its circle of trust and referring physician. Or among
    professionals, whom the search of professionals finds. A professional reaches at most 200 colleagues within a day,
    and with all messages of an hour 600 in sum; beyond that it is said how long to wait (Retry-After)."""
    return _shown(ask("notifications", "begin_thread", **body))


@operation(
    threads, "GET", "/unread-count", summary="Count my unread messages", answer=shapes.UnreadMessages,
    refuses=("not_allowed",),
)  # fmt: skip
def count_unread_messages() -> Any:
    """In all threads of the caller's, those put aside among them."""
    return ask("notifications", "count_unread_messages")


@operation(
    threads, "GET", "/correspondents", summary="List whom a holder may write to", answer=shapes.ReachableList,
    query=shapes.CorrespondentQuery, refuses=("not_allowed", "record_not_found"),
)  # fmt: skip
def list_correspondents(query: dict[str, Any]) -> Any:
    """The professionals of the circle of trust and the referring physician, for the holder side and for these."""
    answer = ask("notifications", "list_correspondents", **query)
    return {"correspondents": named(answer["correspondents"], professional="professional_id")}


@operation(
    threads, "GET", "/<uuid:thread_id>", summary="Read a thread", answer=shapes.Thread, refuses=_THERE
)  # fmt: skip
def read_thread(thread_id: str) -> Any:
    """Its subject, who takes part, and whether the caller may write now. Unknown and other people's are one refusal."""
    return _shown(ask("notifications", "read_thread", thread_id=thread_id))


@operation(
    threads, "PATCH", "/<uuid:thread_id>", summary="Put a thread aside", status=204, body=shapes.ThreadChange,
    refuses=_THERE,
)  # fmt: skip
def archive_thread(thread_id: str, body: dict[str, Any]) -> Any:
    """For the caller alone, until something is written in it; or takes it up again."""
    ask("notifications", "archive_thread", thread_id=thread_id, **body)


@operation(
    threads, "GET", "/<uuid:thread_id>/messages", summary="List messages", answer=shapes.Messages,
    query=shapes.MessageQuery, paged=True, refuses=_THERE,
)  # fmt: skip
def list_thread_messages(thread_id: str, query: dict[str, Any]) -> Any:
    """Newest first. A professional hears what was written while they took part and were let."""
    answer = ask("notifications", "list_thread_messages", thread_id=thread_id, **query)
    return {**answer, "messages": named(answer["messages"], **_PEOPLE)}


@operation(
    threads, "POST", "/<uuid:thread_id>/messages", summary="Write a message", answer=shapes.Message, status=201,
    body=shapes.MessageWanted, once=True,
    refuses=(*_THERE, "writing_ended", "attachment_not_found", "attachment_rejected", "too_many_tries"),
)  # fmt: skip
def write_message(thread_id: str, body: dict[str, Any]) -> Any:
    """Whoever may hear it is told that a message waits, and nothing of what it says."""
    return named([ask("notifications", "write_message", thread_id=thread_id, **body)], **_PEOPLE)[0]


@operation(
    threads, "POST", "/<uuid:thread_id>/participants", summary="Add a professional to a thread",
    answer=shapes.Receipts, status=201, body=shapes.CorrespondentAdded, once=True,
    refuses=(*_THERE, "writing_ended", "correspondent_not_found", "too_many_correspondents", "too_many_tries"),
)  # fmt: skip
def add_correspondent(thread_id: str, body: dict[str, Any]) -> Any:
    """They hear what the caller hears, from the first message on."""
    return _receipts(ask("notifications", "add_correspondent", thread_id=thread_id, **body))


@operation(
    threads, "DELETE", "/<uuid:thread_id>/participation", summary="Leave a thread", status=204, refuses=_THERE
)  # fmt: skip
def leave_thread(thread_id: str) -> Any:
    """For professionals: what they heard stays theirs to read, and they hear no more."""
    ask("notifications", "leave_thread", thread_id=thread_id)


@operation(
    threads, "GET", "/<uuid:thread_id>/receipts", summary="Read who has read what", answer=shapes.Receipts,
    refuses=_THERE,
)  # fmt: skip
def read_receipts(thread_id: str) -> Any:
    """Everybody who takes part, with the last message they have read."""
    return _receipts(ask("notifications", "read_receipts", thread_id=thread_id))


@operation(
    threads, "POST", "/<uuid:thread_id>/receipts", summary="Say what was read", answer=shapes.Receipts,
    body=shapes.ReadUpToMessage, once=True, refuses=_THERE,
)  # fmt: skip
def note_read(thread_id: str, body: dict[str, Any]) -> Any:
    """Up to this message; it never goes back. The others see it."""
    return _receipts(ask("notifications", "note_read", thread_id=thread_id, **body))


@operation(
    threads, "POST", "/<uuid:thread_id>/attachments", summary="Add a file to a thread", answer=shapes.Attachment,
    status=201, once=True, refuses=(*_THERE, *_FILE_REFUSALS),
    request_body=deposits.form(shapes.AttachmentWanted, ATTACHMENT_KINDS),
)  # fmt: skip
def add_attachment(thread_id: str) -> Any:
    """Part `metadata` (JSON) first, part `file` last, of at most 25 MiB; sealed on the way. It is sent with a message,
    within a day, and until then the caller alone sees it."""
    start = partial(ask, "notifications", "start_attachment", thread_id=thread_id)
    started, received = deposits.one_file(authenticate().account_id, shapes.AttachmentWanted, start)
    seen = {"sha256": received.sha256, "size": received.size, "media_type": received.media_type}
    return ask_anew("notifications", "commit_attachment", attachment_id=started["attachment_id"], **seen)


@operation(
    threads, "GET", "/<uuid:thread_id>/attachments/<uuid:attachment_id>", summary="Download a file of a thread",
    answer=content.BYTES, also=content.ALSO, headers=content.HEADERS, parameters=content.PARAMETERS,
    refuses=(
        *_THERE, "attachment_not_found", "attachment_unchecked", "attachment_rejected", "range_not_satisfiable",
        "content_damaged",
    ),
)  # fmt: skip
def read_attachment(thread_id: str, attachment_id: str) -> Response:
    """The bytes, opened on the way; one Range is honoured. Always to be saved, never shown by the browser itself."""
    which = {"thread_id": thread_id, "attachment_id": attachment_id, "gateway_key": gateway_key()}

    def first(*, from_start: bool) -> Any:
        return ask("notifications", "open_attachment", **which)

    return content.streamed(first, lambda _: ask_anew("notifications", "open_attachment", **which, again=True))


def _shown(thread: dict[str, Any]) -> dict[str, Any]:
    return {**thread, **_receipts(thread)}


def _receipts(answer: dict[str, Any]) -> dict[str, Any]:
    return {"correspondents": named(answer["correspondents"], **_PEOPLE)}
