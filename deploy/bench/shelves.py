"""Ten million documents over 1.2 million records, in the databases of the measured platform; small: a fiftieth.

Made in the database itself: a plan of who has how many documents and when they came (most records few, some hundreds),
then the rows in the order of their deposits, so that the documents of one record lie far apart as they do in life. The
texts are drawn from a few thousand different ones, whose words were made by the service's own function.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from deploy.bench import shelf_texts
from deploy.bench.carers import populate_professionals
from deploy.bench.figures import Size
from deploy.bench.ground import Ground, NoSpace
from deploy.local import postgres
from deploy.local.layout import database_of
from services.documents.document_types import document_types
from services.documents.ports.keys import Keys
from services.documents.rules_words import indexed

SIZES: dict[Size, tuple[int, int]] = {"small": (200_000, 24_000), "full": (10_000_000, 1_200_000)}
"""Documents, records."""

NEEDS = {"small": 2 * 1024**3, "full": 42 * 1024**3}
"""Bytes of disk; measured: 34 GB when full."""
POOL = {"small": 1_000, "full": 6_000}
AT_ONCE = 500_000
AUTHORS = 3_000
SAMPLE = 1_500
"""Records that are asked for; drawn by documents, as people do who look into records that hold something."""

SPAN = timedelta(days=637)  # from the first to the last moment of the statistics
_RECORD = "cast('0190b000-0000-7000-8000-' || lpad(to_hex({0}), 12, '0') as uuid)"
_DOCUMENT = "cast('0190d000-0000-7000-8000-' || lpad(to_hex({0}), 12, '0') as uuid)"
_VERSION = "cast('0190e000-0000-7000-8000-' || lpad(to_hex({0}), 12, '0') as uuid)"


@cache
def fill(ground: Ground) -> tuple[str, ...]:
    """Fills documents and dossier, once; the ids of the records to ask for, with the demo physician in their circle."""
    size = ground.amount.size
    count, records = SIZES[size]
    free = shutil.disk_usage(ground.stack.layout.state).free
    if free < NEEDS[size]:
        raise NoSpace(f"{count} documents need {NEEDS[size] / 1024**3:.0f} GB free, there are {free / 1024**3:.1f}")
    populate_professionals(ground)
    with closing(_admin(ground, "directory")) as connection, connection.cursor() as cursor:
        cursor.execute("select cast(professional_id as text) from professionals order by 1 limit %s", (AUTHORS,))
        authors = [row[0] for row in cursor.fetchall()]
    with closing(_admin(ground, "documents")) as connection, connection.cursor() as cursor:
        # a load as big as this checks no foreign key row by row, and waits for no disk
        cursor.execute("set session_replication_role = replica; set synchronous_commit = off")
        cursor.execute("set work_mem = '256MB'; set maintenance_work_mem = '512MB'")
        key = Keys.of(ground.settings("documents")).master_key_id
        sample = shelve(cursor, count, records, POOL[size], authors, key)
        for table in ("record_keys", "documents", "versions", "texts", "authors"):
            cursor.execute(f"vacuum analyze {table}")
    _open(ground, records, sample)
    return sample


def shelve(
    cursor: Any, count: int, records: int, pool: int, authors: Sequence[str], master_key_id: str
) -> tuple[str, ...]:
    """So many documents over so many records, in documents' own tables; the ids of records that hold something."""
    _plan(cursor, count, records, _texts(cursor, pool), authors)
    _write(cursor, count, records, master_key_id)
    cursor.execute(f"select distinct {_RECORD.format('record')} from bench_plan where g %% %s = 0 limit %s",  # noqa: S608
                   (max(1, count // (SAMPLE * 2)), SAMPLE))  # fmt: skip
    sample = tuple(str(row[0]) for row in cursor.fetchall())
    cursor.execute("drop table bench_plan, bench_texts, bench_authors")
    return sample


def _plan(cursor: Any, count: int, records: int, many: Sequence[int], authors: Sequence[str]) -> None:
    """Who has how many documents of which type, and when each came. many: the different texts of each type."""
    cursor.execute("create unlogged table bench_authors (number int primary key, professional_id uuid)")
    cursor.execute("insert into bench_authors select number, id from unnest(%s::uuid[]) with ordinality t (id, number)",
                   (list(authors),))  # fmt: skip
    end = datetime.now(UTC) - timedelta(hours=1)
    shares, of_kinds = shelf_texts.growth(), list(shelf_texts.mix().values())
    cursor.execute(
        _PLAN,
        {
            "many": list(many), "authors": len(authors), "count": count, "records": records, "shares": list(shares),
            "moments": [end - SPAN + SPAN * place / (len(shares) - 1) for place in range(len(shares))],
            "until": [sum(of_kinds[: place + 1]) for place in range(len(of_kinds) - 1)],
        },
    )  # fmt: skip
    cursor.execute("create index on bench_plan (g)")
    cursor.execute("analyze bench_plan")
    cursor.execute("select count(*) from bench_plan")
    if cursor.fetchone() != (count,):
        raise RuntimeError("the plan of the shelves has not as many documents as it should")


# A record's number of documents is log-normal: half have four or fewer, one in a thousand more than two hundred.
_PLAN = """
    create unlogged table bench_plan as
    select row_number() over (order by moment) as g, record, moment, kind,
           floor(random() * (%(many)s::int[])[kind + 1])::int as number,
           1 + floor(power(random(), 2) * %(authors)s)::int as author
      from (select record, kind, (%(moments)s::timestamptz[])[place] + luck * (
                   (%(moments)s::timestamptz[])[least(place + 1, array_length(%(shares)s::float8[], 1))]
                   - (%(moments)s::timestamptz[])[place]) as moment
              from (select record, random() as luck,
                           greatest(1, width_bucket(random(), %(shares)s::float8[])) as place,
                           width_bucket(random(), %(until)s::float8[]) as kind
                      from generate_series(1, %(records)s) as record
                     cross join lateral generate_series(1, least(600, round(exp(1.32 + 1.3
                           * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random() + 0 * record))))::int)) each
             order by random() limit %(count)s) chosen
"""


def _texts(cursor: Any, pool: int) -> list[int]:
    """Makes the different texts of each type, with their words; how many of each: its share, at least a few."""
    cursor.execute("""create unlogged table bench_texts (kind int, number int, type text, category text, folder text,
                      title text, body text, words tsvector, primary key (kind, number))""")
    numbers = [max(10, int(share * pool)) for share in shelf_texts.mix().values()]
    for kind, (slug, many) in enumerate(zip(shelf_texts.mix(), numbers, strict=True)):
        of = document_types()[slug]
        for number, text in enumerate(shelf_texts.texts(slug, many, 1)):
            cursor.execute(
                "insert into bench_texts values (%s, %s, %s, %s, %s, %s, %s, document_words(%s, %s::text[]))",
                (kind, number, slug, of.category, of.folder, text.title, text.body, indexed(text.title),
                 indexed(text.body)),
            )  # fmt: skip
    cursor.execute("analyze bench_texts")
    return numbers


def _write(cursor: Any, count: int, records: int, master_key_id: str) -> None:
    """Keys, documents, versions and texts, in the order of the deposits; the indexes that grow at random come last."""
    cursor.execute(
        f"insert into record_keys (record_id, wrapped_key, master_key_id, created_at)"  # noqa: S608
        f" select {_RECORD.format('n')}, '\\x00', %s, now() from generate_series(1, %s) n", (master_key_id, records),
    )  # fmt: skip
    cursor.execute("select indexname, indexdef from pg_indexes where tablename = 'documents' and indexname like 'ix_%'")
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"drop index {name}")
    for first in range(1, count + 1, AT_ONCE):
        part = (first, min(first + AT_ONCE - 1, count))
        cursor.execute(_DOCUMENTS, part)
        cursor.execute(_VERSIONS, part)
        cursor.execute(_TEXTS, part)
    for _, definition in indexes:
        cursor.execute(definition)
    cursor.execute("insert into authors (professional_id, asked_at) select professional_id, now() from bench_authors"
                   " on conflict do nothing")  # fmt: skip


_PLANNED = """
      from bench_plan p
      join bench_texts t on t.kind = p.kind and t.number = p.number
      join bench_authors a on a.number = p.author
     where p.g between %s and %s order by p.g
"""
_DOCUMENTS = f"""
    insert into documents (document_id, record_id, home_record_id, type, category, folder, title, act_date, language,
        author_kind, author_id, level, patient_blocked_at, current_version_id, deposited_at, state, account_id,
        capacity, upload_id)
    select {_DOCUMENT.format("p.g")}, {_RECORD.format("p.record")}, {_RECORD.format("p.record")}, t.type, t.category,
           t.folder, t.title, case when p.g %% 10 < 8 then p.moment::date - (p.g %% 30)::int end, 'fr',
           case when t.type = 'holder_expression' then 'holder' else 'professional' end,
           case when t.type <> 'holder_expression' then a.professional_id end,
           case when p.g %% 100 < 94 then 'standard' when p.g %% 100 < 99 then 'confidential' else 'private' end,
           case when p.g %% 500 = 0 then p.moment end, {_VERSION.format("p.g")}, p.moment, 'available',
           a.professional_id, 'professional', {_VERSION.format("p.g")}
    {_PLANNED}
"""
_VERSIONS = f"""
    insert into versions (version_id, document_id, number, content_id, state, wrapped_key, key_record_id, media_type,
        size, sha256, author_id, account_id, created_at)
    select {_VERSION.format("g")}, {_DOCUMENT.format("g")}, 1, {_VERSION.format("g")}, 'available',
           decode(repeat('00', 60), 'hex'), {_RECORD.format("record")}, 'application/pdf', 20000 + g %% 100000,
           sha256(int8send(g)), null, {_RECORD.format("record")}, moment
      from bench_plan where g between %s and %s order by g
"""  # noqa: S608
_TEXTS = f"insert into texts (document_id, body, words) select {_DOCUMENT.format('p.g')}, t.body, t.words {_PLANNED}"


def _open(ground: Ground, records: int, sample: Sequence[str]) -> None:
    """Every record in dossier, active; the demo physician is trusted in those of the sample, and was there before."""
    me = ground.person("physician").ask("GET", "/sessions/current")["professional_id"]
    with closing(_admin(ground, "dossier")) as connection, connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
        cursor.execute(
            f"insert into records (record_id, patient_id, state, since) select {_RECORD.format('n')},"  # noqa: S608
            f" {_DOCUMENT.format('n')}, 'active', now() from generate_series(1, %s) n", (records,)
        )  # fmt: skip
        for table, columns, values in (
            ("circle_members", "member_id, record_id, professional_id, since", "gen_random_uuid(), id, %s, now()"),
            ("first_accesses", "record_id, professional_id, ground, at, last_at", "id, %s, 'circle', now(), now()"),
        ):
            cursor.execute(f"insert into {table} ({columns}) select {values} from unnest(%s::uuid[]) id",  # noqa: S608
                           (me, list(sample)))  # fmt: skip
        for table in ("records", "circle_members", "first_accesses"):
            cursor.execute(f"vacuum analyze {table}")


def _admin(ground: Ground, service: str) -> Any:
    return postgres.connect(ground.stack.layout, database_of(service))
