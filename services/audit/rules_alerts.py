"""The rules that raise alerts, each a function of what is known: an alert is a question to the privacy officer, never
a verdict, and whoever is alerted about is not told.

Entries are looked at in the order of the log, so that the same log raises the same alerts however often the work is cut
short and begun again, and however many entries are looked at at once. Pure: no I/O, no clock.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from services.audit.rules_oversight import HERE

HOUR: Final = timedelta(hours=1)
SEEN_FOR: Final = timedelta(days=1)
"""How long it is kept whom somebody saw in which minute: what comes later by that much is counted no more."""

CODE_FAILURES: Final = frozenset({
    "presence_code_refused", "one_time_code_refused", "activation_refused", "invitation_refused", "log_in_refused",
    "password_refused", "password_reset_refused", "too_many_tries",
})  # fmt: skip
"""Refusals of somebody who does not know a code or a password, or who was tried too often."""

NO_CARE: Final = frozenset({"author", "emergency", "responsibility"})
"""Grounds that do not come from running care: own writings, and a professional's own word."""

OWN_WORD: Final = frozenset({"emergency", "responsibility"})
"""Mandates that a professional opens on their own word: neither their beginning nor their end is one of care."""


# A name space of our own.
_LASTING: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:dsp:care")


@dataclass(frozen=True)
class Thresholds:
    """From when on the rules ask; 0 turns a rule off, and so do hours that end when they begin."""

    patients_an_hour: int
    failures_an_hour: int
    care_ended_days: int
    again_days: int
    day_begins: int
    day_ends: int

    @property
    def most(self) -> dict[str, int]:
        """By counting rule, how many may be counted within an hour."""
        return {"many_patients": self.patients_an_hour, "repeated_failures": self.failures_an_hour}


@dataclass(frozen=True)
class Seen:
    """What the rules read of an entry."""

    trace_id: str
    at: datetime
    action: str
    outcome: str
    reason: str | None
    ground: str | None
    account_id: str | None
    professional_id: str | None
    establishment_id: str | None
    record_id: str | None
    object_id: str | None


@dataclass(frozen=True)
class Times:
    """Since when and until when somebody had a person in care; None for what was not told."""

    begun_at: datetime | None
    ended_at: datetime | None

    def runs(self, at: datetime) -> bool:
        """True when it lasts at this moment; what was begun anew after its end lasts again."""
        if self.begun_at is None or at < self.begun_at:
            return False
        return self.ended_at is None or at < self.ended_at or self.ended_at < self.begun_at


@dataclass(frozen=True)
class Found:
    """A rule found an entry worth a look. subject: whom it is about, for whom it is not said again for a time."""

    rule: str
    entry: Seen
    subject: str
    number: int | None = None


Person = tuple[str, str]
"""A rule, and the person for whom it counts."""
Sight = tuple[datetime, str]
"""A minute, and what was seen in it."""


# --- the rules ----------------------------------------------------------------------------------------------


def same_surname(entry: Seen, likeness: frozenset[str]) -> bool:
    """True when a professional was let into the record of somebody else of their own name.

    likeness: what directory says of the professional and the holder.
    """
    return is_access(entry) and "same_surname" in likeness and "same_person" not in likeness


def own_record(entry: Seen, likeness: frozenset[str]) -> bool:
    """True when a professional was let, as one, into the record that is their own [domain, Accounts]."""
    return is_access(entry) and "same_person" in likeness


def many_patients(entry: Seen, sights: Iterable[Sight], most: int) -> int | None:
    """Returns in how many records a professional was within an hour of this entry, None when not in more than `most`.

    sights: the records and minutes known of them, this one too.
    """
    return _more_than(most, _within_an_hour(minute_of(entry.at), sights)) if is_access(entry) else None


def repeated_failures(entry: Seen, sights: Iterable[Sight], most: int) -> int | None:
    """Returns how many codes somebody got wrong within an hour of this entry, None when not more than `most`."""
    return _more_than(most, _within_an_hour(minute_of(entry.at), sights)) if is_failure(entry) else None


def after_care(entry: Seen, cares: Iterable[Times], days: int) -> int | None:
    """Returns how many days after the care had ended somebody came or tried to come; None below `days`, and where care
    runs, or never was.

    cares: of this record, by the professional or where they are logged in. Who comes by a ground that the care itself
    gives has not left.
    """
    if not days or entry.professional_id is None or entry.record_id is None or not _without_care(entry):
        return None
    known = list(cares)
    ends = [each.ended_at for each in known if each.ended_at is not None and each.ended_at <= entry.at]
    if not ends or any(each.runs(entry.at) for each in known):
        return None
    passed = (entry.at - max(ends)).days
    return passed if passed >= days else None


def out_of_hours(entry: Seen, begins: int, ends: int) -> bool:
    """True when an emergency access was opened at night, at a weekend or on a public holiday in Luxembourg.

    begins, ends: the hours of the day between which it is not night.
    """
    if entry.action != "emergency.opened" or entry.outcome != "allowed" or begins == ends:
        return False
    here = entry.at.astimezone(HERE)
    return here.weekday() >= 5 or is_holiday(here.date()) or not begins <= here.hour < ends


# --- what they stand on -------------------------------------------------------------------------------------


def is_access(entry: Seen) -> bool:
    """True when a professional was let into a record, whatever they did there."""
    return entry.outcome == "allowed" and entry.professional_id is not None and entry.record_id is not None


def is_failure(entry: Seen) -> bool:
    """True when somebody who is known did not know a code."""
    return entry.outcome == "refused" and entry.reason in CODE_FAILURES and _who(entry) is not None


def _who(entry: Seen) -> str | None:
    return entry.professional_id or entry.account_id


def _without_care(entry: Seen) -> bool:
    if entry.outcome == "refused":
        return entry.reason == "record_not_found"
    return entry.ground in NO_CARE


def minute_of(at: datetime) -> datetime:
    """Returns the minute of a moment: what is counted within an hour is counted by minutes."""
    return at.replace(second=0, microsecond=0)


def _within_an_hour(minute: datetime, sights: Iterable[Sight]) -> int:
    """The most different things of one hour that this minute lies in; an hour is sixty minutes, this one among them."""
    near = [sight for sight in sights if abs(sight[0] - minute) < HOUR]
    ends = {seen for seen, _ in near if seen >= minute} | {minute}
    return max(len({thing for seen, thing in near if timedelta() <= end - seen < HOUR}) for end in ends)


def _more_than(most: int, number: int) -> int | None:
    return number if most and number > most else None


def is_holiday(day: date) -> bool:
    """True on a public holiday of Luxembourg [Code du travail, art. L. 232-2]."""
    fixed = {(1, 1), (5, 1), (5, 9), (6, 23), (8, 15), (11, 1), (12, 25), (12, 26)}
    return (day.month, day.day) in fixed or (day - _easter(day.year)).days in (1, 39, 50)


def _easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian algorithm."""
    century, of_century = divmod(year, 100)
    moon = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (year % 19 + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def carer_of(kind: str, professional_id: str | None, establishment_id: str | None) -> str | None:
    """Returns who has the holder in care by a mandate of this kind; None by one on a professional's own word."""
    return None if kind in OWN_WORD else professional_id or establishment_id


def lasting_care(record_id: str, professional_id: str, ground: str) -> str:
    """Returns the id under which care by a lasting ground is kept: begun anew it is the same."""
    return str(uuid.uuid5(_LASTING, f"{record_id}/{professional_id}/{ground}"))


# --- all of them over a stretch of the log ------------------------------------------------------------------


def sights_of(entry: Seen) -> list[tuple[Person, Sight]]:
    """Returns what is counted of an entry, and for whom."""
    sights: list[tuple[Person, Sight]] = []
    if is_access(entry):
        assert entry.professional_id is not None and entry.record_id is not None
        sights.append((("many_patients", entry.professional_id), (minute_of(entry.at), entry.record_id)))
    if is_failure(entry):
        sights.append((("repeated_failures", _who(entry) or ""), (minute_of(entry.at), entry.trace_id)))
    return sights


def counted(entries: Iterable[Seen]) -> dict[Person, set[Sight]]:
    """Returns what is counted of entries, by whom it is counted for, each once."""
    found: dict[Person, set[Sight]] = defaultdict(set)
    for entry in entries:
        for person, sight in sights_of(entry):
            found[person].add(sight)
    return found


def findings(
    entries: Sequence[Seen],
    likeness: Mapping[tuple[str, str], frozenset[str]],
    cares: Mapping[tuple[str, str], Sequence[Times]],
    sights: Mapping[Person, Iterable[Sight]],
    thresholds: Thresholds,
) -> list[Found]:
    """Returns what the rules find in entries that follow one another in the log.

    likeness: by professional and record. cares: by record and carer. sights: what was counted before these entries; of
    those for whom that and these are too few together, nothing need be said.
    """
    known = defaultdict(set, {person: set(of_one) for person, of_one in sights.items()})
    found: list[Found] = []
    for entry in entries:
        found += _of_people(entry, likeness, cares, thresholds)
        for person, sight in sights_of(entry):
            if sight not in known[person]:
                known[person].add(sight)
                found += _of_counts(entry, person, known[person], thresholds)
        if out_of_hours(entry, thresholds.day_begins, thresholds.day_ends):
            found.append(Found("out_of_hours", entry, entry.object_id or entry.trace_id))
    return found


def _of_people(
    entry: Seen,
    likeness: Mapping[tuple[str, str], frozenset[str]],
    cares: Mapping[tuple[str, str], Sequence[Times]],
    thresholds: Thresholds,
) -> list[Found]:
    if entry.professional_id is None or entry.record_id is None:
        return []
    subject = f"{entry.professional_id}/{entry.record_id}"
    alike = likeness.get((entry.professional_id, entry.record_id), frozenset())
    carers = (entry.professional_id, entry.establishment_id)
    times = [each for carer in carers if carer for each in cares.get((entry.record_id, carer), ())]
    late = after_care(entry, times, thresholds.care_ended_days)
    return [
        *([Found("same_surname", entry, subject)] if same_surname(entry, alike) else []),
        *([Found("own_record", entry, subject)] if own_record(entry, alike) else []),
        *([Found("after_care", entry, subject, late)] if late is not None else []),
    ]


def _of_counts(entry: Seen, person: Person, sights: Iterable[Sight], thresholds: Thresholds) -> list[Found]:
    rule, who = person
    number = (
        many_patients(entry, sights, thresholds.patients_an_hour)
        if rule == "many_patients"
        else repeated_failures(entry, sights, thresholds.failures_an_hour)
    )
    return [] if number is None else [Found(rule, entry, who, number)]


def silence(rule: str, again_days: int) -> timedelta:
    """Returns for how long a rule that was heard about somebody is not heard about them again."""
    if rule in ("many_patients", "repeated_failures"):
        return HOUR
    return timedelta(days=again_days)


def unheard(found: Sequence[Found], raised: Mapping[Person, Iterable[datetime]], again_days: int) -> list[Found]:
    """Returns those of the findings that are to be raised: one for each subject within the time of its rule.

    raised: the times of the entries for which there are alerts, by rule and subject.
    """
    heard = defaultdict(list, {person: list(times) for person, times in raised.items()})
    kept: list[Found] = []
    for each in found:
        times = heard[each.rule, each.subject]
        if all(abs(each.entry.at - time) >= silence(each.rule, again_days) for time in times):
            times.append(each.entry.at)
            kept.append(each)
    return kept
