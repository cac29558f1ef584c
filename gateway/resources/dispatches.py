"""What leaves the platform for people: batches of letters, states of messages, and what the SMS provider reports."""

from typing import Any

from apiflask import APIBlueprint
from flask import request

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import dispatches as shapes
from gateway.schemas.openings import LetterLine

dispatches = APIBlueprint("dispatches", __name__)

_BATCHES = "/agency/letter-batches"
_BATCH = f"{_BATCHES}/<uuid:batch_id>"


@operation(
    dispatches, "POST", _BATCHES, summary="Make a print batch", answer=shapes.Manifest, status=201,
    body=shapes.BatchWanted, once=True, refuses=("not_allowed", "no_letters"),
)  # fmt: skip
def make_letter_batch(body: dict[str, Any]) -> Any:
    """All letters that lie printed and in no batch yet, the one due first in front; the manifest lies beside them."""
    return ask("notifications", "make_letter_batch", **body)


@operation(
    dispatches, "GET", _BATCHES, summary="List print batches", answer=shapes.Batches, query=shapes.BatchesQuery,
    paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_letter_batches(query: dict[str, Any]) -> Any:
    """The newest first."""
    return ask("notifications", "list_letter_batches", **query)


@operation(
    dispatches, "GET", _BATCH, summary="Read the manifest of a print batch", answer=shapes.Manifest,
    refuses=("not_allowed", "letter_batch_not_found"),
)  # fmt: skip
def read_letter_batch(batch_id: str) -> Any:
    """Which letters, in which order, with how many pages and which SHA-256; nothing of whom they go to."""
    return ask("notifications", "read_letter_batch", batch_id=batch_id)


@operation(
    dispatches, "POST", f"{_BATCH}/confirmation", summary="Confirm that a print batch is in the post",
    answer=shapes.BatchLine, refuses=("not_allowed", "letter_batch_not_found"),
)  # fmt: skip
def confirm_letter_batch(batch_id: str) -> Any:
    """The files of its letters, the only place where their codes stand, are deleted. The same at a repeat."""
    return ask("notifications", "confirm_letter_batch", batch_id=batch_id)


@operation(
    dispatches, "POST", "/agency/letters/<uuid:letter_id>/reprint", summary="Print a lost letter again",
    answer=LetterLine, once=True, refuses=("not_allowed", "letter_not_found", "letter_in_batch", "letter_spent"),
)  # fmt: skip
def reprint_letter(letter_id: str) -> Any:
    """With new codes: from its printing on those of the lost one are void."""
    return ask("notifications", "reprint_letter", letter_id=letter_id)


@operation(
    dispatches, "GET", "/agency/messages", summary="Look what became of messages", answer=shapes.OutgoingMessages,
    query=shapes.MessagesQuery, paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_outgoing(query: dict[str, Any]) -> Any:
    """Of one person, of one request, or one of them: whether they were sent and arrived. Never what they say."""
    return ask("notifications", "list_outgoing", **query)


@operation(
    dispatches, "POST", "/sms-receipts", summary="Report what became of an SMS", status=204, body=shapes.SmsReceipt,
    token=False, security="provider", refuses=("receipt_not_taken",),
)  # fmt: skip
def take_sms_receipt(body: dict[str, Any]) -> Any:
    """For the SMS provider, with its own bearer token. A wrong token and an unknown reference are one refusal."""
    scheme, _, token = request.headers.get("Authorization", "")[:1024].partition(" ")
    return ask("notifications", "take_sms_receipt", token=token if scheme.lower() == "bearer" else "", **body)
