"""The invented country and an operator's own files on their way into the directory of a stack."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest

from deploy.local import loading
from deploy.local.failure import StackFailure
from deploy.local.stack import Stack


def counted(stack: Stack, table: str) -> int:
    url = stack.layout.database_url("directory").replace("+psycopg2", "")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {table}")
        return int(cursor.fetchone()[0])


def test_a_population_is_invented_once_and_loaded_once(infra: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loading.SIZES, "small", (600, 40))
    folder = loading.populate(infra.layout, "small")
    written = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert (counted(infra, "patients"), counted(infra, "professionals")) == (600, 40)
    assert loading.populate(infra.layout, "small") == folder
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == written
    assert (counted(infra, "patients"), counted(infra, "professionals")) == (600, 40)
    told = loading.to_try(folder)
    assert len(told) == 3 and told[0].startswith("a patient: ") and "two sheets" in told[1]


def test_a_file_that_cannot_be_loaded_says_so(infra: Stack, tmp_path: Path) -> None:
    file = tmp_path / "patients.csv"
    file.write_text("nothing\n")
    with pytest.raises(StackFailure, match=r"patients\.csv was not loaded"):
        loading.load(infra.layout, "patients", file)
