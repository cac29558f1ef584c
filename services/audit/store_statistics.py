"""What is counted: the steps of things as services told them, and the entries of the log; and the counts read back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.audit.models_statistics import StatisticCount, StatisticSubject
from services.audit.rules_statistics import ACCESSES, Counts, Step, Steps, difference, ended_on
from services.db import begun
from services.words import say_last

ENTRIES_AT_ONCE = 20_000
SUBJECTS_AT_ONCE = 10_000

Made = dict[str, list[int]]
"""By key, its counts in the order of the columns."""

_KEEP = sa.text(
    "insert into statistic_subjects (measure, subject_id, steps, ended_on)"
    " select :measure, told.* from unnest(cast(:ids as uuid[]), cast(:steps as jsonb[]), cast(:ended as date[]))"
    " as told (subject_id, steps, ended_on)"
    " order by told.subject_id on conflict do nothing returning cast(subject_id as text)"
)
_HELD = (
    sa.select(StatisticSubject.subject_id, StatisticSubject.steps)
    .where(StatisticSubject.measure == sa.bindparam("measure"),
           StatisticSubject.subject_id == sa.any_(sa.bindparam("ids", type_=ARRAY(StatisticSubject.subject_id.type))))
    .order_by(StatisticSubject.subject_id).with_for_update()
)  # fmt: skip
_ADD_STEPS = sa.text(
    "update statistic_subjects s set steps = told.steps, ended_on = told.ended_on"
    " from unnest(cast(:ids as uuid[]), cast(:steps as jsonb[]), cast(:ended as date[]))"
    " as told (subject_id, steps, ended_on)"
    " where s.measure = :measure and s.subject_id = told.subject_id"
)
_ADDING = (
    " on conflict (measure, day, key) do update set came = statistic_counts.came + excluded.came,"
    " moved_in = statistic_counts.moved_in + excluded.moved_in,"
    " moved_out = statistic_counts.moved_out + excluded.moved_out, went = statistic_counts.went + excluded.went"
)
# In one order, so that two that count the same days wait for one another and never each for the other.
_OF_DAYS = (
    "insert into statistic_counts (measure, day, key, came, moved_in, moved_out, went)"
    " select :measure, told.* from unnest(cast(:days as date[]), cast(:keys as text[]), cast(:came as bigint[]),"
    " cast(:moved_in as bigint[]), cast(:moved_out as bigint[]), cast(:went as bigint[]))"
    " as told (day, key, came, moved_in, moved_out, went) order by told.day, told.key"
)
_COUNT = _OF_DAYS + _ADDING

# --- things that come, change and go ----------------------------------------------------------------------------------


def note(session: Session, measure: str, steps: Iterable[Step]) -> None:
    """Notes steps of things and counts what follows from them, whatever came before; told again, nothing changes."""
    told: dict[str, dict[str, Sequence[str | None]]] = {}
    for step in steps:
        told.setdefault(step.subject_id, {})[step.place] = [step.key, step.day]
    ids = sorted(told)
    new = set(session.scalars(_KEEP, _rows(measure, {each: told[each] for each in ids})))
    changes: list[Counts] = [difference({}, told[each]) for each in new]
    known = [each for each in ids if each not in new]
    if known:
        grown: dict[str, Steps] = {}
        for row in session.execute(_HELD, {"measure": measure, "ids": known}):
            after = {**told[row.subject_id], **row.steps}  # what was told first of a step stays
            if after != row.steps:
                grown[row.subject_id] = after
                changes.append(difference(row.steps, after))
        if grown:
            session.execute(_ADD_STEPS, _rows(measure, grown))
    _count(session, measure, changes)


def _rows(measure: str, told: Mapping[str, Steps]) -> dict[str, Any]:
    return {
        "measure": measure,
        "ids": list(told),
        "steps": [json.dumps(steps) for steps in told.values()],
        "ended": [ended_on(steps) for steps in told.values()],
    }


def forget_ended(session: Session, until: date) -> int:
    """Leaves no trace of which documents and records they were that ended by a day; they count as they did."""
    ended = sa.update(StatisticSubject).where(StatisticSubject.ended_on <= until)
    return begun(session).execute(ended.values(subject_id=sa.func.gen_random_uuid(), ended_on=None)).rowcount


def _count(session: Session, measure: str, changes: Iterable[Counts]) -> None:
    """Adds to the counts of each day, with the commit: everybody who counts that day waits for who has them."""
    sums: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        for place, counts in change.items():
            sums[place] = [had + more for had, more in zip(sums.get(place, [0] * 4), counts, strict=True)]
    added = {place: counts for place, counts in sums.items() if any(counts)}
    if added:
        came, moved_in, moved_out, went = (list(column) for column in zip(*added.values(), strict=True))
        days, keys = (list(column) for column in zip(*added, strict=True))
        say_last(
            session, _COUNT, measure=measure, days=days, keys=keys, came=came, moved_in=moved_in, moved_out=moved_out,
            went=went,
        )  # fmt: skip


def recount(session: Session, measure: str) -> None:
    """Makes the counts of a measure again from all that was told; who counts meanwhile waits for it."""
    begun(session).exec_driver_sql("lock table statistic_subjects, statistic_counts in share row exclusive mode")
    session.execute(sa.delete(StatisticCount).where(StatisticCount.measure == measure))
    of_it = sa.select(StatisticSubject.subject_id, StatisticSubject.steps).where(StatisticSubject.measure == measure)
    after: str | None = None
    while True:
        query = of_it if after is None else of_it.where(StatisticSubject.subject_id > after)
        rows = session.execute(query.order_by(StatisticSubject.subject_id).limit(SUBJECTS_AT_ONCE)).all()
        if not rows:
            return
        _count(session, measure, (difference({}, row.steps) for row in rows))
        after = rows[-1].subject_id


# --- the entries of the log -------------------------------------------------------------------------------------------

_ADD = "insert into statistic_counts (measure, day, key, came)"
_DAY = "cast(e.at at time zone 'Europe/Luxembourg' as date)"
# Of what a programme calls itself, its name without the version; a deposit without one is counted as nobody's.
_COUNTED = f"""
    select 'accesses' as measure, {_DAY} as day, coalesce(e.profession, e.capacity, 'platform') as key, count(*) as came
    from told e where e.record_id is not null and e.action = any(cast(:accesses as text[])) group by 2, 3
    union all
    select 'deposits', {_DAY}, coalesce(nullif(btrim(split_part(e.software, '/', 1)), ''), 'unnamed'), count(*)
    from told e where e.action = 'document.created' group by 2, 3
"""  # noqa: S608 (constants of this file)
# Each entry has one place in the log, without gaps and for ever: none is missed that commits late, none comes twice.
_COUNT_ENTRIES = sa.text(f"""
    with place as (select position from statistic_progress where source = 'entries' for update skip locked),
    span as (
        select position as first,
            greatest(position, least(position + :most, (select coalesce(max(position) + 1, 0) from leaves))) as until
        from place
    ),
    told as (
        select e.* from span join leaves l on l.position >= span.first and l.position < span.until
        join entries e on e.trace_id = l.trace_id where e.outcome = 'allowed'
    ),
    counted as (
        {_ADD} select measure, day, key, came from ({_COUNTED}) as c order by measure, day, key {_ADDING} returning 1
    )
    update statistic_progress p set position = span.until from span where p.source = 'entries'
    returning span.until - span.first
""")  # noqa: S608 (constants of this file)


def count_entries(session: Session, most: int = ENTRIES_AT_ONCE) -> bool:
    """Counts the next entries of the log, once for ever; False when no more of them wait, or another one counts."""
    done = session.scalar(_COUNT_ENTRIES, {"most": most, "accesses": list(ACCESSES)})
    return done is not None and done >= most


_GONE = """
    select distinct cast(to_timestamp(cast(cast('x' || substr(replace(cast(l.trace_id as text), '-', ''), 1, 12)
        as bit(48)) as bigint) / 1000.0) at time zone 'Europe/Luxembourg' as date) as day
    from leaves l left join entries e on e.trace_id = l.trace_id
    where e.trace_id is null and l.position < :until
"""
_FORGET = sa.text(f"""
    delete from statistic_counts where measure in ('accesses', 'deposits') and day not in ({_GONE})
""")  # noqa: S608 (constants of this file)
_RECOUNT = sa.text(f"""
    with told as (
        select e.* from leaves l join entries e on e.trace_id = l.trace_id
        where l.position < :until and e.outcome = 'allowed' and {_DAY} not in ({_GONE})
    )
    {_ADD} select measure, day, key, came from ({_COUNTED}) as c
""")  # noqa: S608 (constants of this file)


def recount_entries(session: Session) -> None:
    """Makes the counts of entries again, of the days of which every entry is still there.

    A day of which contents were destroyed, or lie in the archive, keeps the counts it has.
    """
    held = sa.text("select position from statistic_progress where source = 'entries' for update")
    until = session.scalar(held)
    session.execute(_FORGET, {"until": until})
    session.execute(_RECOUNT, {"until": until, "accesses": list(ACCESSES)})


# --- reading ----------------------------------------------------------------------------------------------------------


def standing(session: Session, measure: str, days: Sequence[date]) -> Made:
    """Returns how many of each there were at the end of these days, in their order; what never was is left out."""
    columns = sorted(set(days))
    over = sa.literal([day + timedelta(days=1) for day in columns], ARRAY(sa.Date))
    column = sa.func.width_bucket(StatisticCount.day, over).label("column")  # the first day on which it counts
    here = StatisticCount.came + StatisticCount.moved_in - StatisticCount.moved_out - StatisticCount.went
    query = (
        sa.select(StatisticCount.key, column, sa.cast(sa.func.sum(here), sa.BigInteger).label("number"))
        .where(StatisticCount.measure == measure, StatisticCount.day <= columns[-1])
        .group_by(StatisticCount.key, column)
    )
    changes: dict[str, Counter[int]] = {}
    for row in session.execute(query):
        changes.setdefault(row.key, Counter())[row.column] += row.number
    found = {key: list(accumulate(changes[key][place] for place in range(len(columns)))) for key in sorted(changes)}
    return {
        key: [counts[columns.index(day)] for day in days] for key, counts in found.items() if any(counts)
    }  # fmt: skip


def added(session: Session, measure: str, months: Sequence[str], since: date, until: date) -> Made:
    """Returns how many of each came in these months, from a day to before another."""
    month = sa.func.to_char(StatisticCount.day, "YYYY-MM").label("month")
    query = (
        sa.select(StatisticCount.key, month, sa.cast(sa.func.sum(StatisticCount.came), sa.BigInteger).label("number"))
        .where(StatisticCount.measure == measure, StatisticCount.day >= since, StatisticCount.day < until)
        .group_by(StatisticCount.key, month)
        .order_by(StatisticCount.key)
    )
    found: dict[str, dict[str, Any]] = {}
    for row in session.execute(query):
        found.setdefault(row.key, {})[row.month] = row.number
    made = {key: [int(counts.get(each, 0)) for each in months] for key, counts in found.items()}
    return {key: counts for key, counts in made.items() if any(counts)}
