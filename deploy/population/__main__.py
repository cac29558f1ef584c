"""`python -m deploy.population --patients 1200000 --professionals 25000 --seed 1 --out FOLDER [--format csv|ndjson]`.

Writes patients, professionals and establishments, and truth.csv with the planted duplicates. Streams: memory does not
grow with the numbers. The same arguments write the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from deploy.population import care, formats, people

STEP = 2_000
"""Lines between two looks at the bar: drawing must not cost what writing costs."""
MOST_PATIENTS = 5_000_000

out = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Rate(ProgressColumn):
    """How many lines a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files; returns the exit status."""
    asked = _parser().parse_args(arguments)
    folder: Path = asked.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = write(folder, asked.patients, asked.professionals, asked.seed, asked.format, asked.duplicates)
    except OSError as error:
        errors.print(f"[red]failed:[/red] {error.strerror}: {error.filename or folder}")
        errors.print("  what to do: give a folder that can be written to, on a disk with room")
        return 1
    for name, count in written.items():
        out.print(f"{count:>10,} {name}")
    return 0


def write(folder: Path, patients: int, professionals: int, seed: int, form: str, duplicates: float) -> dict[str, int]:
    """Writes everything into the folder; what was written, by name."""
    files = formats.CsvFiles(folder) if form == "csv" else formats.NdjsonFiles(folder)
    truth = formats.Truth(folder)
    places = care.establishments_for(professionals)
    planted = 0
    bar = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    try:
        with Progress(*bar, console=errors) as progress:
            for patient in _watched(progress, "patients", people.patients(patients, seed, duplicates), patients):
                files.write(patient)
                truth.write(patient)
                planted += patient.duplicate_of is not None
            for place in _watched(progress, "establishments", care.establishments(places, seed), places):
                files.write(place)
            everyone = care.professionals(professionals, seed)
            for professional in _watched(progress, "professionals", everyone, professionals):
                files.write(professional)
    finally:
        files.close()
        truth.close()
    return {
        "patients": patients,
        "duplicates among them": planted,
        "establishments": places,
        "professionals": professionals,
    }


def _watched(progress: Progress, name: str, things: Iterable[Any], total: int) -> Iterable[Any]:
    """The things, with a bar that moves as they pass."""
    task = progress.add_task(name, total=total)
    for count, thing in enumerate(things, start=1):
        yield thing
        if count % STEP == 0:
            progress.update(task, completed=count)
    progress.update(task, completed=total)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.population", description=str(__doc__).split("\n\n")[1])
    parser.add_argument("--patients", type=_count, default=1_200_000, metavar="N", help="sheets, duplicates included")
    parser.add_argument("--professionals", type=_count, default=25_000, metavar="M")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--format", choices=("csv", "ndjson"), default="csv")
    parser.add_argument("--duplicates", type=_share, default=0.01, metavar="SHARE", help="of the patients (0.01)")
    return parser


def _count(text: str) -> int:
    count = int(text.replace("_", ""))
    if not 0 <= count <= MOST_PATIENTS:
        raise argparse.ArgumentTypeError(f"between 0 and {MOST_PATIENTS:,}")
    return count


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("between 0 and 1")
    return share


if __name__ == "__main__":
    sys.exit(main())
