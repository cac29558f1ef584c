"""The newest page of a record's access history among a hundred million entries; small: a million.

The entries are made in the database itself, in the order of their times, so that those of one record lie far apart as
they do in life. What the service's transaction spends in its statements stands beside the same statements sent by
psycopg2 alone.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.bench.figures import Row, Size
from deploy.bench.finding import LEAST, SEED, bare_reading, scope_of
from deploy.bench.ground import Ground, NoSpace
from deploy.bench.rounds import Compared
from deploy.local import postgres
from deploy.local.layout import database_of

SIZES: dict[Size, tuple[int, int]] = {"small": (1_000_000, 12_000), "full": (100_000_000, 1_200_000)}
"""Entries, records."""

BYTES = 900  # of an entry with its indexes, and room to make them
AT_ONCE = 1_000_000
SAMPLE = 1_500
SPAN = timedelta(days=600)
_RECORD = "cast('0190b000-0000-7000-8000-' || lpad(to_hex({0}), 12, '0') as uuid)"
# One in three is of somebody of the holder side; half of the others are about a document. Most records have few.
_WRITE = f"""
    insert into entries (trace_id, at, received_at, source, action, outcome, account_id, capacity, patient_id,
        professional_id, profession, establishment_id, record_id, object_id, object_type, ground, rule, session_id,
        request_id, software, count)
    select cast(lpad(to_hex(cast(extract(epoch from at) * 1000 as bigint)), 12, '0') || '70008'
                || substr(md5(cast(g as text)), 1, 15) as uuid),
           at, at, case when mod(g, 2) = 0 then 'documents' else 'dossier' end,
           case when mod(g, 2) = 0 then 'document.opened' else 'record.read' end, 'allowed', gen_random_uuid(),
           case when mod(g, 3) = 0 then 'patient' else 'professional' end,
           case when mod(g, 3) = 0 then gen_random_uuid() end,
           case when mod(g, 3) > 0 then gen_random_uuid() end, case when mod(g, 3) > 0 then 'physician' end,
           case when mod(g, 3) > 0 then gen_random_uuid() end,
           {_RECORD.format("floor(power(random(), 2) * %(records)s)::bigint")},
           case when mod(g, 2) = 0 then gen_random_uuid() end,
           case when mod(g, 2) = 0 then 'document' else 'record' end,
           case when mod(g, 3) = 0 then 'holder' else 'circle' end, 'circle/physician', gen_random_uuid(),
           cast(gen_random_uuid() as text), 'bench', 1
      from generate_series(%(first)s, %(last)s) as g,
           lateral (select cast(%(since)s as timestamptz) + %(span)s * (cast(g as float) / %(count)s)) as moment (at)
"""  # noqa: S608 (words of this file alone)


def page(ground: Ground) -> list[Row]:
    """The newest fifty entries of a record, as its holder reads them."""
    amount = ground.amount
    records = _fill(ground)
    scope = scope_of(ground, "patient", ground.record_id)
    service, alone = [], []
    with bare_reading(ground, "audit", records, scope) as bare:
        for number in range(amount.rounds + 1):  # the first warms all of it up
            p50, bare_p50, _ = bare("access_history", max(LEAST, amount.pages // 2), SEED + number)
            service.append(p50)
            alone.append(bare_p50)
    return [Compared(tuple(service[1:]), tuple(alone[1:])).row("history_page", amount.size)]


def _fill(ground: Ground) -> tuple[str, ...]:
    """Fills audit; some of the records that hold something."""
    count, records = SIZES[ground.amount.size]
    free, needed = shutil.disk_usage(ground.stack.layout.state).free, count * BYTES
    if free < needed:
        raise NoSpace(f"{count} entries need {needed / 1024**3:.0f} GB free, there are {free / 1024**3:.1f}")
    with closing(postgres.connect(ground.stack.layout, database_of("audit"))) as connection:
        cursor: Any = connection.cursor()
        # What a load as big as this is not: sealed. Nor does it wait for the disk.
        cursor.execute("set session_replication_role = replica; set synchronous_commit = off")
        for first in range(0, count, AT_ONCE):
            last = min(first + AT_ONCE, count) - 1
            cursor.execute(_WRITE, {
                "first": first, "last": last, "count": count, "records": records, "span": SPAN,
                "since": datetime.now(UTC) - SPAN - timedelta(hours=1),
            })  # fmt: skip
        cursor.execute("vacuum analyze entries")
        cursor.execute(f"select distinct record_id from entries tablesample system (1) limit {SAMPLE}")  # noqa: S608
        return tuple(str(row[0]) for row in cursor.fetchall())
