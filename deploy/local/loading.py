"""Files into the directory of a running stack: an operator's own, or the invented country of `deploy/population`."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.local import processes
from deploy.local.failure import StackFailure
from deploy.local.layout import REPOSITORY, Layout, read_kept, write_private
from deploy.population import formats
from deploy.population.__main__ import write

SIZES: Final[dict[str, tuple[int, int]]] = {"small": (120_000, 2_500), "full": (1_200_000, 25_000)}
"""Patients and professionals."""

SEED: Final = 1
DUPLICATES: Final = 0.01
KINDS: Final = ("establishments", "professionals", "patients")
"""In this order: professionals name the establishments they work in."""


def load(layout: Layout, kind: str, file: Path, options: Sequence[str] = ()) -> None:
    """Runs the loader of directory on a file, its bar and its summary where the caller's output goes.

    Refuses: StackFailure when nothing was loaded, or it was broken off.
    """
    command = [sys.executable, "-m", "services.directory.load", kind, str(file.absolute()), *options]
    environment = processes.environment(layout, "directory")
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise StackFailure(f"{file.name} was not loaded", advice="mend what is told above; the same command goes on")


def populate(layout: Layout, size: str) -> Path:
    """Invents the country once per size and loads it; loaded again it changes nothing. Gives the folder of its files.

    Refuses: StackFailure.
    """
    folder = generated(layout, size, *SIZES[size])
    for kind in KINDS:
        load(layout, kind, folder / f"{kind}.csv")
    return folder


def generated(layout: Layout, name: str, patients: int, professionals: int) -> Path:
    """The files of so many people in the stack's state folder, written when they are not whole there."""
    folder = layout.state / "population" / name
    whole = folder / "whole.json"
    made_of = processes.digest(REPOSITORY / "deploy" / "population")
    wanted = {"people": [patients, professionals], "seed": SEED, "made_of": made_of}
    if read_kept(whole) != wanted:
        whole.unlink(missing_ok=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(folder, patients, professionals, SEED, "csv", DUPLICATES)
        write_private(whole, json.dumps(wanted))
    return folder


def to_try(folder: Path) -> list[str]:
    """What may be done with a loaded population: people to look for."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        twice = next(csv.DictReader(file), None)
    with (folder / "patients.csv").open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file)
        first = next(lines)
        again = next((line for line in lines if twice and line["matricule"] == twice["matricule"]), None)
    told = [f"a patient: {_person(first)}"]
    if twice and again:
        told.append(f"the same person on two sheets: {_person(again)}, and {twice['duplicate_of']}")
    with (folder / "professionals.csv").open(encoding="utf-8", newline="") as file:
        doctor = next(csv.DictReader(file))
    where = formats.LIST_SEPARATOR.join([doctor["profession"], *filter(None, [doctor["specialities"]])])
    return [*told, f"a professional: {doctor['family_name']} {doctor['first_name']} ({where})"]


def _person(line: Mapping[str, str]) -> str:
    return f"{line['birth_name']} {line['first_names']}, born {line['birth_date']}, matricule {line['matricule']}"
