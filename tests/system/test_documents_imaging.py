"""Images on the whole platform, through a DICOMweb client that knows nothing of us, and through a viewer's token."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from deploy.visitors import Visitor, wait_for
from tests import dicom_objects as made
from tests.system.conftest import Village

JPEG = b"\xff\xd8\xff"


def base(who: Visitor, patient: Visitor) -> str:
    return f"{who.town.url}/dicomweb/records/{patient.ids['record_id']}"


def bearer(who: Visitor) -> dict[str, str]:
    return {"Authorization": f"Bearer {who.tokens['access_token']}"}


def client(who: Visitor, patient: Visitor, token: str | None = None) -> DICOMwebClient:
    headers = bearer(who) if token is None else {"Authorization": f"Bearer {token}"}
    found = DICOMwebClient(url=base(who, patient), headers=headers)
    found.set_http_retry_params(retry=False)
    return found


def get(who: Visitor, patient: Visitor, path: str, **headers: str) -> requests.Response:
    return requests.get(base(who, patient) + path, headers=bearer(who) | headers, timeout=60)


def deposit(who: Visitor, patient: Visitor, file: bytes) -> str:
    return str(who.deposit(patient.ids["record_id"], file, type="imaging", title="Images")["document_id"])


def told(found: list[dict[str, Any]], tag: str) -> list[Any]:
    return [each[tag]["Value"][0] for each in found]


class Ward:
    """One patient with a study of two images, a compressed one in a series of its own, and a manifest."""

    def __init__(self, village: Village) -> None:
        self.village, self.doctor, self.patient = village, village.professional("doctor of images"), village.patient()
        village.mandate(self.doctor, self.patient)
        self.study, self.series = made.uid(), made.uid()
        self.plain = made.image(self.study, self.series, frames=3)
        self.other = made.image(self.study, self.series)
        self.packed = made.image(self.study, syntax=JPEG2000Lossless)
        self.files = [self.plain, self.other, self.packed, made.manifest(self.plain, self.other)]
        self.ids = [deposit(self.doctor, self.patient, file) for file in self.files]


@pytest.fixture(scope="module")
def ward(village: Village) -> Ward:
    return Ward(village)


def test_a_client_searches_and_retrieves_and_the_patient_sees_one_opening(ward: Ward) -> None:
    reader = ward.patient.log_in()
    viewer = client(reader, ward.patient)
    [study] = viewer.search_for_studies()
    assert told([study], "0020000D") == [ward.study] and told([study], "00201208") == [4]
    assert "Value" not in study["00100010"] and told([study], "00081030") == ["Thorax à jeun"]
    assert viewer.search_for_studies(search_filters={"StudyDate": "20200101-20201231"}) == []
    assert len(viewer.search_for_series(ward.study)) == 3
    assert len(viewer.search_for_instances(ward.study, ward.series)) == 2
    assert len(viewer.search_for_instances(ward.study, limit=1)) == 1

    metadata = viewer.retrieve_study_metadata(ward.study)
    assert sorted(told(metadata, "00080018")) == sorted(made.uids(file)[2] for file in ward.files)
    assert not [secret for secret in made.SECRETS if secret in str(metadata)]
    place = made.uids(ward.plain)
    one = Dataset.from_json(viewer.retrieve_instance_metadata(*place))
    assert (one.Rows, one.NumberOfFrames, one.SOPInstanceUID) == (16, 3, place[2])

    assert viewer.retrieve_instance(*place).pixel_array.tobytes() == b"".join(made.pixels(n) for n in (1, 2, 3))
    assert {each.SOPInstanceUID for each in viewer.iter_study(ward.study)} == set(told(metadata, "00080018"))
    assert len(viewer.retrieve_series(ward.study, ward.series)) == 2
    assert viewer.retrieve_instance_frames(*place, frame_numbers=[3, 1]) == [made.pixels(3), made.pixels(1)]
    packed = made.uids(ward.packed)
    [stream] = viewer.retrieve_instance_frames(*packed, [1], media_types=(("image/jp2", JPEG2000Lossless),))
    assert stream.startswith(b"\xff\x4f\xff\x51")
    assert viewer.retrieve_instance_rendered(*place).startswith(JPEG)
    assert viewer.retrieve_instance_frames_rendered(*place, [2]).startswith(JPEG)
    for path in (f"/studies/{ward.study}", f"/studies/{ward.study}/series/{ward.series}"):
        assert get(reader, ward.patient, path + "/thumbnail").content.startswith(JPEG)

    viewer.search_for_studies(limit=1)

    def all_there(entries: list[dict[str, Any]]) -> bool:
        """Three searches through the record; traces of one service come in their order."""
        return sum(one["action"] == "study.searched" for one in entries) == 3

    entries = ward.village.history(reader, all_there)
    [opening] = [one for one in entries if one["action"] == "study.opened"]
    assert opening["outcome"] == "allowed" and opening["object_id"] in ward.ids and opening["patient_id"]


def test_a_professional_without_a_ground_gets_nothing(ward: Ward) -> None:
    stranger, place = ward.village.professional("stranger of images"), made.uids(ward.plain)
    study = f"/studies/{place[0]}"
    instance = f"{study}/series/{place[1]}/instances/{place[2]}"
    paths = [study, f"{study}/series", f"{study}/instances", f"{study}/metadata", f"{study}/thumbnail", instance]
    paths += [f"{instance}/frames/1", f"{instance}/frames/1/rendered", f"{instance}/rendered", f"{instance}/metadata"]
    for path in paths:
        answer = get(stranger, ward.patient, path)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:dsp:problem:study_not_found"), path
        unknown = get(stranger, ward.patient, path.replace(place[0], made.uid()))
        assert unknown.json()["type"] == answer.json()["type"]
        assert get(ward.doctor, ward.patient, path).status_code == 200, path
    for path in ("/studies", "/series", "/instances"):
        assert get(stranger, ward.patient, path).status_code == 404
    assert requests.get(base(stranger, ward.patient) + study, timeout=60).status_code == 401
    stranger.ask("GET", f"/documents/{ward.ids[0]}/images", expect=404)


def test_a_hidden_one_of_two_instances_is_absent_everywhere(ward: Ward) -> None:
    hidden = made.uids(ward.other)[2]
    ward.doctor.ask("POST", f"/documents/{ward.ids[1]}/patient-block", json={"reason": "À expliquer"}, expect=201)
    try:
        viewer = client(ward.patient, ward.patient)
        assert told(viewer.search_for_studies(), "00201208") == [3]
        assert hidden not in told(viewer.retrieve_study_metadata(ward.study), "00080018")
        assert hidden not in {each.SOPInstanceUID for each in viewer.retrieve_study(ward.study)}
        for rest in ("", "/frames/1", "/rendered", "/metadata", "/thumbnail"):
            path = f"/studies/{ward.study}/series/{ward.series}/instances/{hidden}{rest}"
            assert get(ward.patient, ward.patient, path).status_code == 404
            assert get(ward.doctor, ward.patient, path).status_code == 200
        [study] = ward.patient.ask("GET", f"/documents/{ward.ids[3]}/images")["studies"]
        assert ward.ids[1] not in str(study) and study["instances"] == 3
    finally:
        ward.doctor.ask("DELETE", f"/documents/{ward.ids[1]}/patient-block", expect=204)
    assert told(client(ward.patient, ward.patient).search_for_studies(), "00201208") == [4]


def test_what_a_client_does_not_take_is_refused_and_what_it_takes_is_told_apart(ward: Ward) -> None:
    plain, packed = (
        f"/studies/{place[0]}/series/{place[1]}/instances/{place[2]}"
        for place in (made.uids(ward.plain), made.uids(ward.packed))
    )

    def answered(path: str, accept: str) -> tuple[int, str]:
        answer = get(ward.doctor, ward.patient, path, Accept=accept)
        return answer.status_code, answer.headers["Content-Type"]

    octets = 'multipart/related; type="application/octet-stream"'
    assert answered(plain + "/frames/1", octets)[0] == 200
    status, kind = answered(packed + "/frames/1", octets)
    assert (status, kind) == (406, "application/problem+json")
    assert answered(packed + "/frames/1", octets + "; transfer-syntax=*")[0] == 200
    assert answered(plain + "/rendered", "image/png")[0] == 406
    assert answered(plain + "/metadata", "application/dicom+xml")[0] == 406
    assert answered(plain, f'multipart/related; type="application/dicom"; transfer-syntax={JPEGBaseline8Bit}')[0] == 406
    assert answered("/studies", "application/json") == (200, "application/json")
    whole = get(ward.doctor, ward.patient, plain, Accept="application/dicom")
    assert whole.content == ward.plain and whole.headers["Content-Type"] == "application/dicom"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    for path, status in ((plain + "/frames/4", 404), (plain + "/frames/0", 404), ("/studies?StudyDate=x", 422)):
        assert get(ward.doctor, ward.patient, path).status_code == status


def test_report_and_key_images_find_each_other(ward: Ward) -> None:
    [study] = ward.patient.ask("GET", f"/documents/{ward.ids[3]}/images")["studies"]
    assert {each["document_id"]: each["kind"] for each in study["documents"]} == {
        ward.ids[0]: "image", ward.ids[1]: "image", ward.ids[2]: "image", ward.ids[3]: "manifest"
    }  # fmt: skip
    assert {each["document_id"] for each in study["key_images"]} == set(ward.ids[:2])
    assert ward.patient.town.url + study["dicomweb"] == base(ward.patient, ward.patient)


def test_a_study_token_opens_one_study_for_a_viewer_and_nothing_else_until_its_owner_may_no_more(
    village: Village, ward: Ward
) -> None:
    viewer = village.professional("doctor with a viewer")
    village.mandate(viewer, ward.patient, expect=201)
    neighbour = made.image()
    deposit(ward.doctor, ward.patient, neighbour)
    given = viewer.ask("POST", f"/documents/{ward.ids[0]}/study-tokens", json={}, expect=201)
    token = {"Authorization": f"Bearer {given['token']}"}
    web = client(viewer, ward.patient, given["token"])
    assert told(web.search_for_studies(), "0020000D") == [ward.study]
    assert len(web.retrieve_study_metadata(ward.study)) == 4
    place = made.uids(ward.plain)
    assert web.retrieve_instance_frames(*place, [2]) == [made.pixels(2)]

    def status(path: str, whose: Visitor = ward.patient) -> int:
        return requests.get(base(viewer, whose) + path, headers=token, timeout=60).status_code

    other = made.uids(neighbour)[0]
    assert get(viewer, ward.patient, f"/studies/{other}").status_code == 200
    assert status(f"/studies/{other}") == 404 == status(f"/studies/{other}/metadata")
    assert status(f"/studies?StudyInstanceUID={other}") == 404
    assert status(f"/studies?StudyInstanceUID={ward.study}") == 200 == status(f"/studies/{ward.study}")
    assert status(f"/studies/{ward.study}", village.patient()) == 404
    record = f"/records/{ward.patient.ids['record_id']}"
    for path in (f"{record}/documents", f"/documents/{ward.ids[0]}/content", "/account", "/sessions/current"):
        assert requests.get(f"{viewer.town.url}/api/v1{path}", headers=token, timeout=60).status_code == 401, path
    assert requests.get(base(viewer, ward.patient) + "/studies", headers={"Authorization": "Bearer dst_" + "x" * 43},
                        timeout=60).status_code == 401  # fmt: skip

    again = viewer.ask("POST", f"/documents/{ward.ids[0]}/study-tokens", json={}, expect=201)["token"]
    village.mandate(viewer, ward.patient)
    for mandate in ward.patient.ask("GET", f"{record}/mandates")["mandates"]:
        if mandate["professional_id"] == viewer.ids["professional_id"]:
            ward.patient.ask("DELETE", f"{record}/mandates/{mandate['mandate_id']}")
    assert status(f"/studies/{ward.study}") == 404
    village.mandate(viewer, ward.patient)
    assert status(f"/studies/{ward.study}") == 200
    viewer.ask("DELETE", "/sessions/current")
    assert wait_for(lambda: status(f"/studies/{ward.study}") == 401 or None, "the end of the session")
    token["Authorization"] = f"Bearer {again}"
    assert status(f"/studies/{ward.study}") == 401
    viewer.tokens = {}  # logged out: there is nothing to refresh before the next test


def test_no_page_of_another_origin_is_let_in_unless_the_settings_name_it(ward: Ward) -> None:
    answer = get(ward.doctor, ward.patient, "/studies", Origin="https://viewer.example")
    assert answer.status_code == 200 and "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


def test_bytes_that_are_streamed_are_those_that_were_deposited(ward: Ward) -> None:
    big = made.image(frames=60, side=256)
    deposit(ward.doctor, ward.patient, big)
    study, series, instance = made.uids(big)
    path = f"/studies/{study}/series/{series}/instances/{instance}"
    assert get(ward.doctor, ward.patient, path, Accept="application/dicom").content == big
    viewer = client(ward.doctor, ward.patient)
    frames = viewer.retrieve_instance_frames(study, series, instance, list(range(1, 61)))
    assert frames == [made.pixels(number, 256) for number in range(1, 61)]
    file = io.BytesIO()
    viewer.retrieve_instance(study, series, instance).save_as(file, enforce_file_format=True)
    assert made.uids(file.getvalue()) == (study, series, instance)
