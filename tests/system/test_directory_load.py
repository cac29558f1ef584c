"""A file loaded beside the running platform: records are opened, professionals are known to who decides by them."""

from __future__ import annotations

from pathlib import Path

from deploy.local import loading
from tests.conftest import Platform, wait_for_query
from tests.services.load_files import people, professionals, write_csv


def test_what_is_loaded_beside_the_platform_arrives_everywhere(platform: Platform, tmp_path: Path) -> None:
    layout = platform.stack.layout
    working, places = professionals(12, seed=71)
    loading.load(layout, "establishments", write_csv(tmp_path / "establishments.csv", places))
    loading.load(layout, "professionals", write_csv(tmp_path / "professionals.csv", working))
    everyone = write_csv(tmp_path / "affiliated.csv", people(25, seed=71))
    loading.load(layout, "patients", everyone, ["--open-records"])

    ids = "select array_agg({0}_id::text) from {0}s where registered_with = 'load {1}.csv'"
    directory, dossier = layout.database_url("directory"), layout.database_url("dossier")
    patients = wait_for_query(directory, ids.format("patient", "affiliated"))
    carers = wait_for_query(directory, ids.format("professional", "professionals"))
    assert (len(patients), len(carers)) == (25, 12)  # type: ignore[arg-type]
    opened = f"select true from records where patient_id = any('{_array(patients)}') having count(*) = 25"
    known = f"select true from professionals where professional_id = any('{_array(carers)}') having count(*) = 12"
    assert wait_for_query(dossier, opened, 60) is True
    assert wait_for_query(dossier, known, 60) is True


def _array(ids: object) -> str:
    assert isinstance(ids, list)
    return "{" + ",".join(ids) + "}"
