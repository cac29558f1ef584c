"""What the gateway may know of the settings of notices: shapes and the refusal."""

from __future__ import annotations

from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

TIME_ZONE: Final = "Europe/Luxembourg"
"""Whose clocks all hours of the settings are told by."""
NOTICE_CHANNELS: Final[tuple[str, ...]] = ("email", "sms", "inbox", "push")
"""On which ways people are told something."""
DIGEST_CHANNELS: Final[tuple[str, ...]] = ("email", "sms", "push")
"""On which ways a digest may go; what is in an inbox lies there anyway."""


class NoticeFixed(Refusal):
    """This notice goes out in any case; `name` says which, `source` the rule, `channels` those it keeps. [RGD 3(3)]"""

    code: ClassVar[str] = "notice_fixed"


class ShownOccasion(TypedDict):
    """One thing that a person may switch. default: where nothing is set. choices: what may be chosen.

    fixed: its default channels cannot be taken away, by the rule `source`, in words `reason`. at_once: neither quiet
    hours nor a digest keep it back.
    """

    name: str
    title: str
    channels: list[str]
    default: list[str]
    choices: list[str]
    fixed: bool
    source: str | None
    reason: str | None
    at_once: bool


class QuietHoursShown(TypedDict):
    begin: str
    end: str


class DigestShown(TypedDict):
    at: str
    channel: str


class NewDocumentsShown(TypedDict):
    types: list[str] | None
    authors: list[str] | None


class ShownSettings(TypedDict):
    """Answer of `notification_settings`; `changed_at` is null where nothing was ever set."""

    version: int
    occasions: list[ShownOccasion]
    quiet_hours: QuietHoursShown | None
    digest: DigestShown | None
    new_documents: NewDocumentsShown
    time_zone: str
    changed_at: str | None
