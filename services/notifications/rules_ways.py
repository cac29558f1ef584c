"""On which ways and when somebody is told something: what they have set, what the law fixes, quiet hours, the digest.

No I/O, no clock. All hours are those of Luxembourg.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from services.notifications.rules_occasions import EMAIL, INBOX, NEW_DOCUMENT, OCCASIONS, Occasion

HERE: Final = ZoneInfo("Europe/Luxembourg")


class Facts(Protocol):
    """What of a notice counts for whether it is told: the document's type and author, where it is about a new one."""

    @property
    def document_type(self) -> str | None: ...
    @property
    def author_id(self) -> str | None: ...


@dataclass(frozen=True)
class QuietHours:
    """From when until when nothing may ring, each day; they may span midnight."""

    begin: time
    end: time


@dataclass(frozen=True)
class Digest:
    """At which time of day all that can wait goes out as one message, and on which channel."""

    at: time
    channel: str = EMAIL


@dataclass(frozen=True)
class PersonSettings:
    """What one person has set. channels: by setting, where it is not the default; empty: told on no way.

    types, authors: of which new documents they hear; None: of all.
    """

    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quiet: QuietHours | None = None
    digest: Digest | None = None
    types: frozenset[str] | None = None
    authors: frozenset[str] | None = None


@dataclass(frozen=True)
class Way:
    """One row to be put down: on which channel, before when it does not go out, and whether with the digest."""

    channel: str
    due_at: datetime
    digest: bool = False


def ways(occasion: str, settings: PersonSettings | None, notice: Facts, now: datetime) -> list[Way]:
    """The ways on which this person is told of this, none where they do not wish to hear of it.

    settings: None where they have set nothing. A way on push stands for each person: who has no device gets none.
    Raises KeyError for an occasion that does not stand in the table.
    """
    told = OCCASIONS[occasion]
    if settings is None:
        return [Way(channel, now) for channel in told.channels]
    if told.fixed is None and not _wished(told, settings, notice):
        return []
    chosen = channels_of(told, settings)
    if told.fixed is not None or told.urgent:
        return [Way(channel, now) for channel in chosen]
    return _in_time(chosen, settings, now)


def channels_of(told: Occasion, settings: PersonSettings) -> tuple[str, ...]:
    """The channels of an occasion as set; what is fixed keeps its own, and may have others besides."""
    chosen = settings.channels.get(told.setting, told.channels)
    return (*told.channels, *(one for one in chosen if one not in told.channels)) if told.fixed is not None else chosen


def _wished(told: Occasion, settings: PersonSettings, notice: Facts) -> bool:
    if told.setting != NEW_DOCUMENT:
        return True
    by_type = settings.types is None or notice.document_type in settings.types
    return by_type and (settings.authors is None or notice.author_id in settings.authors)


def _in_time(chosen: tuple[str, ...], settings: PersonSettings, now: datetime) -> list[Way]:
    """The inbox at once, for it does not ring; the others after the quiet hours, or all as one with the digest."""
    ringing = [channel for channel in chosen if channel != INBOX]
    if settings.digest is not None and ringing:
        at_once = [Way(channel, now) for channel in chosen if channel == INBOX]
        return [*at_once, Way(settings.digest.channel, next_time(settings.digest.at, now), digest=True)]
    due = now if settings.quiet is None else after_quiet(settings.quiet, now)
    return [Way(channel, now if channel == INBOX else due) for channel in chosen]


def next_time(at: time, now: datetime) -> datetime:
    """When the clocks here show this time of day next, later than now; an hour on where they skip it."""
    day = now.astimezone(HERE).date()
    while True:
        wall = datetime.combine(day, at, HERE)
        first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        if first > now:
            return first
        if second > now and second > first:  # in autumn they show an hour twice
            return second
        day += timedelta(days=1)


def after_quiet(quiet: QuietHours, now: datetime) -> datetime:
    """Now, or where it lies in the quiet hours their end."""
    return next_time(quiet.end, now) if is_quiet(quiet, now.astimezone(HERE).time()) else now


def is_quiet(quiet: QuietHours, clock: time) -> bool:
    """Whether this time of day lies in the quiet hours, their end not counted."""
    if quiet.begin <= quiet.end:
        return quiet.begin <= clock < quiet.end
    return clock >= quiet.begin or clock < quiet.end
