"""What the gateway may know of messages: their states, for the helpdesk, and what a provider reports of them."""

from __future__ import annotations

from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

MESSAGE_CHANNELS: Final[tuple[str, ...]] = ("email", "sms", "push")
"""On which ways messages leave the platform."""

MESSAGE_STATES: Final[tuple[str, ...]] = ("queued", "sent", "delivered", "bounced", "failed")
"""queued: to be sent; sent: a provider took it; delivered: it says so; bounced: it came back; failed: given up."""

MESSAGE_CAUSES: Final[tuple[str, ...]] = (
    "away", "put_off", "fault", "refused", "returned", "expired", "hidden", "no_channel", "spent", "ended",
)  # fmt: skip
"""Why a message waits still, came back or was given up."""

MESSAGE_FAMILIES: Final[tuple[str, ...]] = ("code", "account", "record", "digest", "thread", "work")
"""What a message was about, as far as the helpdesk needs to know; never which news it was."""


class ReceiptNotTaken(Refusal):
    """The token is not the provider's, or no message is known by this reference: which of the two nobody is told."""

    code: ClassVar[str] = "receipt_not_taken"


class MessageStep(TypedDict):
    """One state of a message, with its time and, where it is no success, its cause."""

    state: str
    at: str
    cause: str | None


class ShownMessage(TypedDict):
    """What the helpdesk sees of a message: neither what it says nor where it went."""

    message_id: str
    channel: str
    about: str
    state: str
    cause: str | None
    attempts: int
    due_at: str | None
    history: list[MessageStep]


class OutgoingPage(TypedDict):
    """Answer of `list_outgoing`, newest first; `next_cursor` is null on the last page."""

    messages: list[ShownMessage]
    next_cursor: str | None
