"""Images that lie in an archive outside: a gateway that knows of one passes on what a visible manifest points to."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests

from deploy.local import processes
from deploy.visitors import Visitor, wait_for
from tests import dicom_objects as made
from tests.archive import PASSWORD, USER, Archive, running
from tests.system.conftest import Village
from tests.system.test_documents_imaging import bearer, client, deposit, told

VIEWER = "https://viewer.example"


@contextmanager
def gateway(village: Village, archive: Archive, **changes: str) -> Iterator[str]:
    """Another gateway of the same platform, with an archive and a viewer in its settings; gives its address."""
    layout = village.platform.stack.layout
    [part] = [each for each in processes.parts(layout) if each.name == processes.GATEWAY]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "OPENDSP_GATEWAY_BIND": f"127.0.0.1:{port}", "OPENDSP_GATEWAY_WORKERS": "1", "OPENDSP_PACS_URL": archive.url,
        "OPENDSP_PACS_USER": USER, "OPENDSP_PACS_PASSWORD": PASSWORD, "OPENDSP_PACS_PRIVATE": "yes",
        "OPENDSP_VIEWER_ORIGINS": f"https://other.example, {VIEWER}", **changes,
    }  # fmt: skip
    process = subprocess.Popen(
        part.command, cwd=part.directory, env={**os.environ, **part.environment, **told},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _lives(url), "the other gateway", patience=120)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _lives(url: str) -> bool | None:
    try:
        return requests.get(url + "/health/live", timeout=5).ok or None
    except requests.RequestException:
        time.sleep(0.1)
        return None


class Outside:
    """A patient whose manifest points to two images here and elsewhere, and the gateway that knows of elsewhere."""

    def __init__(self, village: Village, archive: Archive, url: str) -> None:
        self.village, self.archive, self.url = village, archive, url
        self.doctor, self.patient = village.professional("doctor of the archive"), village.patient()
        village.mandate(self.doctor, self.patient)
        self.study, self.series = made.uid(), made.uid()
        self.here, self.hidden, self.there, self.unnamed = (
            made.image(self.study, self.series, frames=2) for _ in range(4)
        )
        archive.files = {made.uids(file): file for file in (self.here, self.hidden, self.there, self.unnamed)}
        deposit(self.doctor, self.patient, self.here)
        hidden_id = deposit(self.doctor, self.patient, self.hidden)
        self.doctor.ask("POST", f"/documents/{hidden_id}/patient-block", json={"reason": "À expliquer"}, expect=201)
        deposit(self.doctor, self.patient, made.manifest(self.here, self.hidden, self.there))

    def base(self) -> str:
        return f"{self.url}/dicomweb/records/{self.patient.ids['record_id']}"

    def get(self, who: Visitor, path: str, **headers: str) -> requests.Response:
        return requests.get(self.base() + path, headers=bearer(who) | headers, timeout=60)

    def instance(self, file: bytes, rest: str = "") -> str:
        study, series, instance = made.uids(file)
        return f"/studies/{study}/series/{series}/instances/{instance}{rest}"

    def viewer(self, who: Visitor) -> Any:
        found = client(who, self.patient)
        found.base_url = self.base()
        return found


@pytest.fixture(scope="module")
def outside(village: Village) -> Iterator[Outside]:
    with ExitStack() as stack:
        archive = stack.enter_context(running(Archive()))
        yield Outside(village, archive, stack.enter_context(gateway(village, archive)))


def test_what_a_visible_manifest_points_to_is_fetched_from_the_archive(outside: Outside) -> None:
    viewer = outside.viewer(outside.patient)
    here, there = made.uids(outside.here)[2], made.uids(outside.there)[2]
    metadata = viewer.retrieve_study_metadata(outside.study)
    assert {here, there} < set(told(metadata, "00080018")) and len(metadata) == 3
    assert not [secret for secret in made.SECRETS if secret in str(metadata)]
    assert outside.archive.url not in str(metadata)
    retrieved = {each.SOPInstanceUID: each for each in viewer.retrieve_study(outside.study)}
    assert len(retrieved) == 3 and retrieved[there].pixel_array.tobytes() == made.pixels(1) + made.pixels(2)
    place = made.uids(outside.there)
    assert viewer.retrieve_instance(*place).SOPInstanceUID == there
    assert viewer.retrieve_instance_frames(*place, [2, 1]) == [made.pixels(2), made.pixels(1)]
    assert viewer.retrieve_instance_rendered(*place).startswith(b"\xff\xd8\xff")
    assert len(viewer.search_for_instances(outside.study)) == 3
    found = viewer.search_for_series(outside.study)
    counted = {each["0020000E"]["Value"][0]: each["00201209"]["Value"] for each in found}
    assert counted[outside.series] == [2]


def test_the_archive_is_not_even_asked_for_what_may_not_be_seen(outside: Outside) -> None:
    stranger = outside.village.professional("stranger of the archive")
    before = len(outside.archive.asked)
    for file in (outside.hidden, outside.unnamed):
        for rest in ("", "/metadata", "/frames/1", "/rendered"):
            assert outside.get(outside.patient, outside.instance(file, rest)).status_code == 404
    for rest in ("", "/metadata", "/frames/1", "/rendered"):
        assert outside.get(stranger, outside.instance(outside.there, rest)).status_code == 404
    assert len(outside.archive.asked) == before
    assert outside.get(outside.patient, outside.instance(outside.there)).status_code == 200
    assert len(outside.archive.asked) > before
    for file in (outside.hidden, outside.unnamed):
        assert made.uids(file)[2] not in str(outside.archive.asked)


def test_an_archive_that_is_gone_or_leads_elsewhere_is_unavailable_and_what_is_here_still_is(
    outside: Outside,
) -> None:
    outside.archive.redirects = True
    try:
        for rest in ("", "/metadata", "/frames/1", "/rendered"):
            answer = outside.get(outside.patient, outside.instance(outside.there, rest))
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:dsp:problem:unavailable"), rest
        assert "/elsewhere" not in str(outside.archive.asked)
        assert len(outside.get(outside.patient, f"/studies/{outside.study}/metadata").json()) == 2
        assert outside.get(outside.patient, outside.instance(outside.here, "/frames/1")).status_code == 200
    finally:
        outside.archive.redirects = False


def test_a_private_address_is_reached_only_where_the_setting_allows_it(outside: Outside) -> None:
    with gateway(outside.village, outside.archive, OPENDSP_PACS_PRIVATE="no") as url:
        before = len(outside.archive.asked)
        path = f"{url}/dicomweb/records/{outside.patient.ids['record_id']}{outside.instance(outside.there)}"
        assert requests.get(path, headers=bearer(outside.patient), timeout=60).status_code == 503
        assert len(outside.archive.asked) == before


def test_a_viewer_of_an_origin_that_the_settings_name_is_let_in_and_no_other(outside: Outside) -> None:
    path = "/studies"
    let = outside.get(outside.patient, path, Origin=VIEWER)
    assert let.headers["Access-Control-Allow-Origin"] == VIEWER
    assert let.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Access-Control-Allow-Credentials" not in let.headers
    asked = requests.options(outside.base() + path, headers={"Origin": VIEWER}, timeout=60)
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    for origin in ("https://viewer.example.evil", "null", VIEWER + ":8443"):
        assert "Access-Control-Allow-Origin" not in outside.get(outside.patient, path, Origin=origin).headers
    headers = bearer(outside.patient) | {"Origin": VIEWER}
    api = requests.get(f"{outside.url}/api/v1/records", headers=headers, timeout=60)
    assert api.status_code == 200 and "Access-Control-Allow-Origin" not in api.headers
