"""What the tests of loading are made of: files of invented people, and the real command in a process of its own."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg2

from deploy.local.layout import REPOSITORY
from deploy.population import care, formats
from deploy.population.care import Establishment, Professional
from deploy.population.people import Patient, patients
from services.db import Sessions
from services.directory.load_command import main

Row = tuple[Any, ...]


def people(count: int, seed: int = 1) -> list[Patient]:
    """So many patients, none of them twice."""
    return list(islice(patients(count, seed, 0), count))


def professionals(count: int, seed: int = 1) -> tuple[list[Professional], list[Establishment]]:
    """So many professionals, and the establishments they work in."""
    return list(care.professionals(count, seed)), list(care.establishments(care.establishments_for(count), seed))


def write_csv(path: Path, things: Sequence[Any], more: dict[str, Callable[[int], str]] | None = None) -> Path:
    """A CSV as the generator writes it, with further columns computed from the place of the line."""
    names = formats.columns(type(things[0]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, *(more or {})])
        for place, thing in enumerate(things):
            cells = [formats._cell(getattr(thing, name)) for name in names]
            writer.writerow([*cells, *(value(place) for value in (more or {}).values())])
    return path


def write_ndjson(folder: Path, things: Sequence[Any]) -> Path:
    """FHIR files in a folder."""
    folder.mkdir(exist_ok=True)
    files = formats.NdjsonFiles(folder)
    for thing in things:
        files.write(thing)
    files.close()
    return folder


class Loader:
    """The command over one database, as an operator starts it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.sessions = Sessions(url)
        self.settings = folder / "settings.toml"
        self.settings.write_text(f'process = "directory"\ndatabase_url = "{url}"\n')

    def load(self, *arguments: str | Path, status: int = 0) -> str:
        """A whole load, in this process; what it told."""
        told = io.StringIO()
        with redirect_stdout(told), redirect_stderr(told):
            assert main([*map(str, arguments), "--workers", "0"], self.sessions) == status, told.getvalue()
        return told.getvalue()

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Begins a load and comes back at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "services.directory.load", *map(str, arguments), "--workers", "1"],
            cwd=REPOSITORY,
            env={**os.environ, "OPENDSP_SETTINGS": str(self.settings), "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def rows(self, query: str, *given: Any) -> list[Row]:
        """What the database answers."""
        with psycopg2.connect(self.url.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
            cursor.execute(query, given)
            return list(cursor.fetchall()) if cursor.description else []

    def one(self, query: str, *given: Any) -> Any:
        """The first value of the first row."""
        return self.rows(query, *given)[0][0]

    def empty(self) -> None:
        """As on the first day."""
        self.rows("truncate patients, professionals, establishments, loads, outbox, outbox_subjects cascade")

    def counts(self) -> dict[str, int]:
        """What the last load came to."""
        [(added, changed, unchanged, refused)] = self.rows(
            "select added, changed, unchanged, refused from loads order by started_at desc limit 1"
        )
        return {"added": added, "changed": changed, "unchanged": unchanged, "refused": refused}

    def report(self, file: Path) -> list[tuple[int, str, str]]:
        """(line, field, reason) of each refusal, each with words."""
        path = file.with_name(f"{file.name}.refused.csv")
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as report:
            lines = list(csv.DictReader(report))
        assert all(line["words"] and line["words"] != line["reason"] for line in lines), lines
        return [(int(line["line"]), line["field"], line["reason"]) for line in lines]


def changed(person: Patient, **fields: Any) -> Patient:
    """The same person, otherwise."""
    return replace(person, **fields)
