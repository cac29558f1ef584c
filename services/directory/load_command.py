"""The operator's command that loads a file into the directory: patients, professionals or establishments.

`python -m services.directory.load patients patients.csv`
`python -m services.directory.load professionals Practitioner.ndjson --roles PractitionerRole.ndjson`

A CSV has the columns of the sheet in its first line, lists separated by |; NDJSON holds FHIR R4 resources. The same
file twice changes nothing. Broken off, the same command goes on; refused lines are told in a report and do not stop it.
A process of its own without eventlet, because psycopg2 cannot COPY under it.

Exit status: 0 when lines were taken, whatever was refused beside them; 1 when none was, or the load broke off.
"""

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from services.db import Sessions, day_of, now
from services.directory import store_load
from services.directory.contract import LANGUAGES
from services.directory.load_crew import Crew, cores
from services.directory.loading import Asked, Loading
from services.directory.ports.load_files import Report, Source, Words
from services.directory.rules_load import (
    FORMS,
    KINDS,
    HeaderRefused,
    Reader,
    Refused,
    Unreadable,
    decoded,
    require_header,
)
from services.directory.rules_load_fhir import Roles
from services.directory.store_load import Broken, Progress
from services.settings import load as settings

NAME_SHOWN = 100
SMALL = 512 * 1024
"""Bytes up to which a file is read sooner than a process is started."""

NOT_LOADED, BROKEN_OFF = Text("not loaded:", "red"), Text("broken off:", "red")
# What stands in a file and in its name is no markup.
out = Console(highlight=False, markup=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


class Stopped(Exception):
    """Nothing can be loaded; what to tell the operator."""


class Lines(ProgressColumn):
    """How many lines are through, and how many a second."""

    def render(self, task: Task) -> Text:
        lines, elapsed = task.fields["lines"], task.finished_time or task.elapsed
        speed = f"  {lines / elapsed:,.0f}/s" if elapsed else ""
        return Text(f"{lines:,} lines{speed}", style="progress.data.speed")


def main(arguments: Sequence[str] | None = None, sessions: Sessions | None = None) -> int:
    """Loads what is asked for; returns the exit status. sessions: of another database than the settings name."""
    asked = _parser().parse_args(arguments)
    sessions = sessions or Sessions(settings().database_url)
    gc.freeze()  # what is here to stay: looking for cycles in the lines of a million people finds none
    gc.set_threshold(100_000)
    gc.enable()
    try:
        with store_load.alone(sessions) as won:
            if not won:
                raise Stopped("another load is running: one at a time")
            return _load(asked, sessions)
    except Stopped as stopped:
        errors.print(NOT_LOADED, str(stopped))
    except OSError as error:
        errors.print(NOT_LOADED, f"{error.strerror}: {error.filename}")
    except Broken as broken:
        errors.print(BROKEN_OFF, f"the database does not take it ({broken}); the same command goes on")
    except KeyboardInterrupt:
        errors.print("broken off; the same command goes on where this one ended")
        return 130
    return 1


def _load(asked: argparse.Namespace, sessions: Sessions) -> int:
    source, form = Source(asked.file), asked.form or _form_of(asked.file)
    roles, roles_refused, digest = _roles(asked, form, source.digest())
    reader = Reader(asked.kind, form, day_of(now()), _columns(asked.kind, form, source), roles)
    start = (source.end_of_first, 1) if form == "csv" else (0, 0)
    named = f"load {asked.file.name}"[:NAME_SHOWN]
    report = Report(asked.report or asked.file.with_name(f"{asked.file.name}.refused.csv"), Words(asked.language),
                    (asked.file.name, asked.roles.name if asked.roles else "roles"))  # fmt: skip
    with _bar(source.size) as bar, Crew(reader, _workers(asked, source.size)) as crew:
        task = bar.add_task(asked.kind, total=source.size, lines=0)
        begun_at: list[int] = []

        def watch(state: Progress) -> None:
            bar.update(task, completed=state.position, lines=state.lines - begun_at[0])

        loading = Loading(
            sessions, Asked(asked.kind, form, digest, asked.open_records, start, named), source, report, watch
        )
        found = None if asked.restart else loading.find()
        if found is not None and found.finished_at is not None:
            bar.remove_task(task)
            out.print(f"{asked.file.name} was loaded before, on {found.finished_at:%Y-%m-%d at %H:%M} UTC: "
                      "nothing is changed. --restart reads it again.")  # fmt: skip
            return 0
        if found is None:
            loading.begin(roles_refused)
        else:
            out.print(f"going on after line {found.lines:,}")
            bar.update(task, description=f"{asked.kind}, read again", completed=0)
            loading.go_on(found, crew)
            bar.update(task, description=asked.kind)
        begun_at.append(found.lines if found else 0)
        done = loading.run(crew)
    _tell(done, report)
    return 0 if done.counts.added + done.counts.changed + done.counts.unchanged else 1


def _columns(kind: str, form: str, source: Source) -> tuple[str, ...]:
    if source.size == 0:
        raise Stopped("the file is empty")
    if form != "csv":
        return ()
    try:
        return require_header(kind, source.first)
    except HeaderRefused as wrong:
        kinds = (("missing", wrong.missing), ("unknown", wrong.unknown), ("there twice", wrong.twice))
        told = (f"{what}: {', '.join(names)}" for what, names in kinds if names)
        raise Stopped(f"columns {'; '.join(told)}") from None


def _roles(asked: argparse.Namespace, form: str, digest: bytes) -> tuple[Roles, list[Refused], bytes]:
    """The second file of professionals in NDJSON: where they work, as what."""
    roles = Roles()
    refused: list[Refused] = []
    wanted = asked.kind == "professionals" and form == "ndjson"
    if wanted != (asked.roles is not None):
        raise Stopped("--roles PractitionerRole.ndjson belongs to professionals in NDJSON, and only to them")
    if asked.roles is None:
        return roles, refused, digest
    source = Source(asked.roles)
    for chunk in source.chunks(0, 1):
        for number, line in enumerate(chunk.lines, start=chunk.first):
            try:
                text = decoded(line)
                if text and not text.isspace():
                    roles.add(text)
            except (Unreadable, ValueError) as wrong:
                refused.append(Refused(number, (("", str(wrong)),), roles=True))
    return roles, refused, digest + source.digest()


def _tell(done: Progress, report: Report) -> None:
    for what, count in vars(done.counts).items():
        out.print(f"{count:>12,} {what}")
    if report.path.exists():
        out.print(f"The refused lines with their reasons: {report.path}")


def _bar(size: int) -> Bar:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), Lines(), TimeRemainingColumn())
    return Bar(*columns, console=errors, refresh_per_second=4)


def _workers(asked: argparse.Namespace, size: int) -> int:
    if asked.workers is not None:
        return int(asked.workers)
    return cores() if size > SMALL else 0


def _form_of(path: Path) -> str:
    return "ndjson" if path.suffix in (".ndjson", ".jsonl") else "csv"


def _parser() -> argparse.ArgumentParser:
    about = str(__doc__).split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m services.directory.load", description=about)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--form", choices=FORMS, help="csv or ndjson; by the name when it is not said")
    parser.add_argument(
        "--roles", type=Path, metavar="FILE", help="PractitionerRole.ndjson, for professionals in NDJSON"
    )
    parser.add_argument("--open-records", action="store_true", help="an affiliation feed: each patient gets a record")
    parser.add_argument("--report", type=Path, metavar="FILE", help="of refused lines: CSV, or NDJSON by its name")
    parser.add_argument("--restart", action="store_true", help="read the file from its beginning, finished or not")
    parser.add_argument("--language", choices=LANGUAGES, default="fr", help="of the report")
    parser.add_argument(
        "--workers", type=int, choices=range(17), metavar="0..16", help="processes that read; 0: this one"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
