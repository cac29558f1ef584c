"""The designation of a referring physician: who may sign what, from when it counts, when it ends [RGD 9(4)].

Pure, as rules.py: moments are arguments. The calendar is Luxembourg's, where the months of the health fund begin.

One at a time: a new designation ends the one before at the moment it takes effect. While somebody stands in (a
replacement, of twelve months at most), they alone have the ground, and the physician they stand in for has it back when
the replacement ends; when that designation ends, the replacement ends with it. An end that was announced stands, even
when the designation that was to follow comes to nothing. [ours]
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from services.dossier.contract import AccessScope, DesignationNotSigned, DesignationOver, DesignationPending
from services.dossier.rules import Facts, id_of, may_open_presence_mandate
from services.dossier.rules_tables import Tables
from services.refusals import InvalidInput, NotAllowed, Refusal

HERE: Final = ZoneInfo("Europe/Luxembourg")
FIRST_YEAR: Final = 12  # months in which only both sides together end a designation
NOTICE: Final = 2  # months between notice and end, afterwards
LONGEST_REPLACEMENT: Final = 12  # months
YEARS: Final = range(1900, 2200)  # of a list's days; beyond, a calendar has no day before or after to reckon with

HOLDER: Final = "holder"
PHYSICIAN: Final = "professional"


@dataclass(frozen=True)
class Designation:
    """A designation as it stands; the fields are those of its row."""

    designation_id: str
    professional_id: str
    proposed_by: str
    proposed_at: datetime
    replaces_id: str | None = None
    holder_signed_at: datetime | None = None
    physician_signed_at: datetime | None = None
    notified_at: datetime | None = None
    effective_at: datetime | None = None
    ends_at: datetime | None = None
    ended_at: datetime | None = None
    end_cause: str | None = None
    end_asked_by: str | None = None


@dataclass(frozen=True)
class Ending:
    """What becomes of a designation whose end was asked for.

    ends_at: the end that is announced; ended: it is over at once; both None and False: the other side has to agree.
    """

    ends_at: datetime | None = None
    ended: bool = False
    cause: str | None = None


# --- the calendar -------------------------------------------------------------------------------------------------


def midnight(day: date) -> datetime:
    """When a day begins in Luxembourg."""
    return datetime.combine(day, time(), HERE).astimezone(UTC)


def effective_after(notified_at: datetime) -> datetime:
    """When what was notified counts: the beginning of the 1st of the following month."""
    return midnight(_months_on(notified_at.astimezone(HERE).date().replace(day=1), 1))


def months_later(moment: datetime, months: int) -> datetime:
    """The same time of day so many months later; where that month has no such day, on its last one."""
    here = moment.astimezone(HERE)
    return datetime.combine(_months_on(here.date(), months), here.time(), HERE).astimezone(UTC)


def _months_on(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


# --- how a designation stands -----------------------------------------------------------------------------------------


def end_of(one: Designation) -> datetime | None:
    """When it ends, or ended; None while nobody foresees an end."""
    return one.ends_at if one.ended_at is None else one.ended_at


def is_over(one: Designation, at: datetime) -> bool:
    """Whether it has ended, or came to nothing."""
    end = end_of(one)
    return end is not None and end <= at


def is_effective(one: Designation, at: datetime) -> bool:
    """Whether it counts now; whoever somebody stands in for has no ground meanwhile all the same."""
    return one.effective_at is not None and one.effective_at <= at and not is_over(one, at)


def has_run_out(one: Designation, at: datetime) -> bool:
    """Whether the announced end has come, and nothing ended it before."""
    return one.ends_at is not None and one.ends_at <= at and (one.ended_at is None or one.ended_at >= one.ends_at)


def state_of(one: Designation, at: datetime) -> str:
    """How far it is, in a word of DESIGNATION_STATES."""
    if is_over(one, at):
        return "ended"
    if one.effective_at is not None:
        return "effective" if one.effective_at <= at else "notified"
    return "proposed" if one.holder_signed_at is None or one.physician_signed_at is None else "signed"


def current(all_: Iterable[Designation], at: datetime) -> Designation | None:
    """Who is the referring physician now: whoever stands in, before whom they stand in for."""
    effective = [one for one in all_ if is_effective(one, at)]
    return next((one for one in effective if one.replaces_id), None) or next(iter(effective), None)


def ending_along(
    all_: Iterable[Designation], one: Designation, end: datetime, at: datetime
) -> list[Designation]:  # fmt: skip
    """Those who stand in for a designation now, and would have gone on after its end."""
    standing_in = [each for each in all_ if each.replaces_id == one.designation_id and is_effective(each, at)]
    return [each for each in standing_in if (until := end_of(each)) is None or until > end]


# --- who may do what --------------------------------------------------------------------------------------------------


def is_physician(profession: str | None) -> bool:
    """Only a physician may be designated."""
    return profession == "physician"


def may_be_asked(tables: Tables, facts: Facts) -> bool:
    """Whether a professional may see and sign what concerns them: a physician with a valid licence, in a record open to
    professionals, not barred. A ground they need not have: the holder asked them."""
    return may_open_presence_mandate(tables, facts) and is_physician(facts.profession)


def may_propose(given: AccessScope, facts: Facts) -> bool:
    """Whether a professional may propose themselves: a physician with a ground that reads."""
    return is_physician(facts.profession) and any(clause.read for clause in given.clauses)


def require_notice(one: Designation, others: Sequence[Designation], at: datetime) -> Refusal | None:
    """The refusal of a notice to the health fund: not signed by both, over, or another one takes effect first."""
    if is_over(one, at):
        return DesignationOver()
    if one.holder_signed_at is None or one.physician_signed_at is None:
        return DesignationNotSigned()
    effective_at = effective_after(at)
    if is_over(one, effective_at):
        return DesignationOver()
    rivals = [
        each for each in others
        if each.designation_id != one.designation_id and each.effective_at is not None and not is_over(each, at)
    ]  # fmt: skip
    if one.replaces_id is not None:
        replaced = [each for each in rivals if each.designation_id == one.replaces_id]
        if not replaced or is_over(replaced[0], effective_at):
            return DesignationOver()
        beside = [each for each in rivals if each.replaces_id == one.replaces_id and not is_over(each, effective_at)]
        return DesignationPending() if beside else None
    coming = [each for each in rivals if each.replaces_id is None and each.effective_at > at]  # type: ignore[operator]
    return DesignationPending() if coming else None


def notified(one: Designation, at: datetime) -> Designation:
    """The designation after the notice; a replacement ends after twelve months at the latest."""
    effective_at, ends_at = effective_after(at), one.ends_at
    if one.replaces_id is not None:
        latest = months_later(effective_at, LONGEST_REPLACEMENT)
        ends_at = latest if ends_at is None else min(ends_at, latest)
    return replace(one, notified_at=at, effective_at=effective_at, ends_at=ends_at)


def require_until(replaces_id: str | None, until: datetime | None, at: datetime) -> None:
    """A replacement has an end, within twelve months of when it could take effect; nothing else has one beforehand.

    Refuses: InvalidInput.
    """
    message = None
    if replaces_id is None:
        message = None if until is None else "only_of_replacement"
    elif until is None:
        message = "required"
    elif until > months_later(effective_after(at), LONGEST_REPLACEMENT):
        message = "replacement_too_long"
    elif until <= effective_after(at):
        message = "before_beginning"
    if message:
        raise InvalidInput(errors=[{"pointer": "/until", "message": message}])


def may_be_replaced(one: Designation | None, whose: str, at: datetime) -> bool:
    """Whether somebody may stand in for a designation: it counts or will, is no replacement, and another's."""
    standing = one is not None and one.effective_at is not None and one.replaces_id is None and not is_over(one, at)
    return standing and one is not None and one.professional_id != whose


def proposed_already(
    all_: Iterable[Designation], whose: str, replaces_id: str | None, at: datetime
) -> Designation | None:
    """The designation that a proposal means when there is one: proposed, or in force without an end ahead."""
    return next((
        one for one in all_
        if one.professional_id == whose and one.replaces_id == replaces_id and not is_over(one, at)
        and (one.effective_at is None or one.ends_at is None or replaces_id is not None)
    ), None)  # fmt: skip


def signed(one: Designation, side: str, at: datetime) -> Designation:
    """The designation with a side's signature; who has signed has signed."""
    if side == HOLDER:
        return replace(one, holder_signed_at=one.holder_signed_at or at)
    return replace(one, physician_signed_at=one.physician_signed_at or at)


def after(one: Designation, asked: Ending, side: str, at: datetime) -> Designation:
    """The designation after its end was asked for."""
    if asked.ended:
        return replace(one, ended_at=at, end_cause=asked.cause, end_asked_by=side)
    return replace(one, ends_at=asked.ends_at or one.ends_at, end_cause=asked.cause or one.end_cause, end_asked_by=side)


def ending(one: Designation, side: str, cause: str, at: datetime) -> Ending | Refusal:
    """What becomes of a designation when a side asks for its end.

    What was not notified comes to nothing at once. Afterwards: a physician who refuses to go on is free on the 1st of
    the following month; in the first year both sides have to ask; later either gives two months' notice. What ends
    earlier anyway ends then.
    """
    if is_over(one, at):
        return DesignationOver()
    if one.effective_at is None:
        return Ending(ended=True, cause="withdrawn" if side == one.proposed_by else "refusal")
    if cause == "refusal":
        return Ending(*_at_latest(one, effective_after(at), "refusal")) if side == PHYSICIAN else NotAllowed()
    if at < months_later(one.effective_at, FIRST_YEAR):
        agreed = one.end_asked_by is not None and one.end_asked_by != side
        return Ending(ended=True, cause="mutual_agreement") if agreed else Ending()
    return Ending(*_at_latest(one, months_later(at, NOTICE), "notice"))


def _at_latest(one: Designation, end: datetime, cause: str) -> tuple[datetime, bool, str | None]:
    if one.ends_at is not None and one.ends_at <= end:
        return one.ends_at, False, one.end_cause
    return end, False, cause


# --- the health fund's list -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What a line of the list says: from when on, or until when, a physician is a patient's referring physician."""

    professional_id: str
    effective_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True)
class Transcript:
    """What becomes of a line: `outcome`, of FEED_OUTCOMES; the designation to add; the ends to write, with causes.

    reason: of a line that is refused.
    """

    outcome: str
    reason: str | None = None
    added: Designation | None = None
    ends: tuple[tuple[str, datetime, str], ...] = ()


def told_by(line: Mapping[str, object]) -> Told | str:
    """What a line says, or the code of what is wrong with it. The days are those from whose beginning on it holds."""
    days: list[date | None] = []
    for field in ("effective_on", "ended_on"):
        value = line.get(field)
        try:
            days.append(None if value is None else date.fromisoformat(str(value)))
        except ValueError:
            return "date"
    begins, ends = days
    if any(day is not None and day.year not in YEARS for day in days):
        return "date"
    if (begins is None and ends is None) or bool(line.get("record_id")) == bool(line.get("patient_id")):
        return "incomplete"
    if begins is not None and begins.day != 1:
        return "not_first_of_month"
    if begins is not None and ends is not None and ends <= begins:
        return "before_beginning"
    professional_id = id_of(line.get("professional_id"))
    return Told(professional_id, None if begins is None else midnight(begins), None if ends is None else midnight(ends))


def transcribe(known: Sequence[Designation], told: Told, new_id: str, at: datetime) -> Transcript:
    """Fits a line into what is known of a record: one physician at a time, and the same line again changes nothing.

    The list says who it is, signed or not here: what it says of the same day stands before what was notified here.
    Whoever was the referring physician when the new one began ends then; one who began later ends the new one.
    """
    mains = [one for one in known if one.replaces_id is None and one.effective_at is not None]
    if told.effective_at is None:
        return _end_told(mains, told)
    same = [
        one for one in mains if (one.professional_id, one.effective_at) == (told.professional_id, told.effective_at)
    ]
    if same:
        known_end = told.ends_at is None or told_end(same[0]) == told.ends_at
        return Transcript("unchanged") if known_end else _end_told(same, told)
    begins = told.effective_at
    starts = [one.effective_at for one in mains if one.effective_at is not None and _holds_at(one, one.effective_at)]
    ends = [end for end in (told.ends_at, *(start for start in starts if start > begins)) if end is not None]
    added = Designation(
        new_id, told.professional_id, "health_fund", at, effective_at=begins, ends_at=min(ends, default=None),
        end_cause=None if not ends else "notice" if min(ends) == told.ends_at else "replaced",
    )  # fmt: skip
    displaced = [one.designation_id for one in mains if _holds_at(one, begins)]
    return Transcript("added", added=added, ends=tuple((each, begins, "replaced") for each in displaced))


def _end_told(mains: Sequence[Designation], told: Told) -> Transcript:
    assert told.ends_at is not None
    theirs = [one for one in mains if one.professional_id == told.professional_id]
    if any(told_end(one) == told.ends_at for one in theirs):
        return Transcript("unchanged")
    running = [one for one in theirs if one.effective_at != told.ends_at and _holds_at(one, told.ends_at)]
    if not running:
        return Transcript("refused", reason="designation_not_found")
    return Transcript("changed", ends=((running[0].designation_id, told.ends_at, "notice"),))


def told_end(one: Designation) -> datetime | None:
    """When it ended for the health fund: of one that was ended afterwards for a past day, that day."""
    return min((end for end in (one.ends_at, one.ended_at) if end is not None), default=None)


def _holds_at(one: Designation, moment: datetime) -> bool:
    end = told_end(one)
    return one.effective_at is not None and one.effective_at <= moment and (end is None or end > moment)


def apply(known: Sequence[Designation], transcript: Transcript, at: datetime) -> list[Designation]:
    """What is known after a line: the next one of the same record is fitted into this."""
    ends = {designation_id: (moment, cause) for designation_id, moment, cause in transcript.ends}
    return [
        ended(one, *ends[one.designation_id], at) if one.designation_id in ends else one for one in known
    ] + [each for each in (transcript.added,) if each is not None]  # fmt: skip


def ended(one: Designation, moment: datetime, cause: str, at: datetime) -> Designation:
    """A designation that ends at this moment; one that lies behind ended it officially, and the ground only now."""
    return replace(one, ends_at=moment, ended_at=at if moment <= at else None, end_cause=cause)
