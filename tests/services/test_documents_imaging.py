"""documents answers about images: what is not seen is nowhere, and a study that is opened is one trace."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from pydicom.uid import JPEG2000Lossless

from services import sealing
from services.db import new_id
from services.documents.contract import DICOM, DocumentNotFound, NotRendered, StudyNotFound, StudyTokenRefused
from services.dossier.contract import RecordNotFound
from services.refusals import InvalidInput, Unauthenticated
from services.tokens import Caller
from tests import dicom_objects as made
from tests.builders import caller, context, pdf
from tests.services.ward import HTTP, Ward


def deposit(ward: Ward, who: Caller, file: bytes, **changes: Any) -> str:
    return ward.deposit(who, file, DICOM, **{"type": "imaging", **changes})


def find(ward: Ward, who: Caller, what: str = "studies", **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ward.ask(f"find_{what}", who, record_id=ward.record_id, **asked)["found"]
    return found


def inside(ward: Ward, who: Caller, study: str, **asked: Any) -> list[str]:
    """The instances of a study, which is opened by that."""
    found = find(ward, who, "instances", study_uid=study, within_study=True, **asked)
    return [each["instance_uid"] for each in found]


def hand(ward: Ward, who: Caller, study: str, **asked: Any) -> Any:
    given = {"record_id": ward.record_id, "study_uid": study, "gateway_key": ward.gateway.public, **asked}
    return ward.ask("open_instances", who, **given)


def picture(ward: Ward, who: Caller, study: str, **asked: Any) -> Any:
    given = {"record_id": ward.record_id, "study_uid": study, "gateway_key": ward.gateway.public, **asked}
    return ward.ask("open_rendered", who, **given)


def read(ward: Ward, told: dict[str, Any]) -> bytes:
    key = ward.gateway.receive(told["sealed_key"], told["content_id"].encode())
    sealed = HTTP.request("GET", told["get_url"]).data
    total = sealing.segments_of(told["size"])
    return b"".join(sealing.open_sealed([sealed], key, told["content_id"], total_segments=total))


@pytest.fixture
def doctor(ward: Ward) -> Caller:
    return ward.present()


# --- searching --------------------------------------------------------------------------------------------------------


def test_a_study_is_found_with_its_series_and_instances(ward: Ward, doctor: Caller) -> None:
    study, series = made.uid(), made.uid()
    files = [made.image(study, series), made.image(study, series), made.image(study), made.manifest(made.image(study))]
    for file in files:
        deposit(ward, doctor, file)
    [found] = find(ward, ward.holder)
    assert (found["study_uid"], found["series"], found["instances"]) == (study, 3, 4)
    assert found["modalities"] == ["CT", "KO"] and found["attributes"]["00080060"]["Value"] == ["CT"]
    counted = {each["series_uid"]: each["instances"] for each in find(ward, ward.holder, "series", study_uid=study)}
    assert counted[series] == 2 and sum(counted.values()) == 4
    told = find(ward, ward.holder, "instances", series_uid=series)
    assert {each["instance_uid"] for each in told} == {made.uids(file)[2] for file in files[:2]}
    assert {each["frames"] for each in told} == {1}
    text = json.dumps(told)
    assert not [secret for secret in made.SECRETS if secret in text]


def test_a_search_is_one_trace_that_tells_how_many(ward: Ward, doctor: Caller) -> None:
    deposit(ward, doctor, made.image())
    deposit(ward, doctor, made.image())
    assert len(find(ward, ward.holder)) == 2
    [trace] = ward.traces("study.searched")
    assert (trace["count"], trace["ground"], trace["object_id"]) == (2, "holder", None)


def test_a_search_is_narrowed_by_what_is_asked_and_goes_on_where_it_ended(ward: Ward, doctor: Caller) -> None:
    old, new = made.image(StudyDate="20200102", Modality="MR"), made.image(StudyDate="20260303")
    for file in (old, new):
        deposit(ward, doctor, file)

    def studies(**asked: Any) -> list[str]:
        return [each["study_uid"] for each in find(ward, ward.holder, **asked)]

    first, last = made.uids(new)[0], made.uids(old)[0]
    assert studies() == [first, last]
    assert studies(modality="MR") == [last] == studies(study_date="20200102") == studies(study_date="-20211231")
    assert studies(study_date="20210101-") == [first] == studies(study_uid=first)
    assert studies(limit=1) == [first] and studies(limit=1, offset=1) == [last] and studies(offset=2) == []
    page = ward.ask("find_studies", ward.holder, record_id=ward.record_id, limit=1)
    assert page["more"] is True
    for wrong in ({"study_date": "2020"}, {"study_uid": "x"}, {"modality": "'"}, {"limit": 0}, {"offset": -1}):
        with pytest.raises(InvalidInput):
            find(ward, ward.holder, **wrong)


def test_an_instance_that_was_deposited_twice_is_there_once(ward: Ward, doctor: Caller) -> None:
    file = made.image()
    deposit(ward, doctor, file)
    deposit(ward, doctor, file)
    [found] = find(ward, ward.holder)
    assert found["instances"] == 1 and len(inside(ward, ward.holder, found["study_uid"])) == 1


def test_without_a_ground_there_is_no_record_and_no_study(ward: Ward, doctor: Caller) -> None:
    file = made.image()
    deposit(ward, doctor, file)
    study, _, instance = made.uids(file)
    for stranger in (ward.professional(), caller("patient"), ward.present("pharmacist")):
        try:
            assert find(ward, stranger) == []
        except RecordNotFound:
            pass
        for call in (
            lambda: inside(ward, stranger, study),  # noqa: B023 called at once
            lambda: hand(ward, stranger, study),  # noqa: B023
            lambda: hand(ward, stranger, study, instance_uid=instance, frames=[1]),  # noqa: B023
            lambda: picture(ward, stranger, study),  # noqa: B023
        ):
            with pytest.raises(StudyNotFound):
                call()
    assert {trace["outcome"] for trace in ward.traces("study.opened")} == {"refused"}
    assert inside(ward, doctor, study) == [instance]


# --- one of two is hidden ---------------------------------------------------------------------------------------------


def test_a_hidden_one_of_two_instances_is_absent_everywhere(ward: Ward, doctor: Caller) -> None:
    study, series = made.uid(), made.uid()
    shown, hidden = made.image(study, series), made.image(study, series)
    deposit(ward, doctor, shown)
    document_id = deposit(ward, doctor, hidden)
    kos = deposit(ward, doctor, made.manifest(shown, hidden))
    reader = ward.present()
    ward.restrict(ward.holder, document_id, reader)
    gone, there = made.uids(hidden)[2], made.uids(shown)[2]
    assert [each["instances"] for each in find(ward, reader)] == [2]  # with the manifest
    assert sum(each["instances"] for each in find(ward, reader, "series")) == 2
    assert gone not in inside(ward, reader, study) and there in inside(ward, reader, study)
    told = hand(ward, reader, study, elsewhere=True)
    assert gone not in json.dumps(told) and len(told["instances"]) == 2
    for asked in ({}, {"frames": [1]}, {"series_uid": series}, {"elsewhere": True}):
        with pytest.raises(StudyNotFound):
            hand(ward, reader, study, instance_uid=gone, **asked)
    with pytest.raises(StudyNotFound):
        picture(ward, reader, study, instance_uid=gone)
    [linked] = ward.ask("images_of", reader, document_id=kos)["studies"]
    assert document_id not in json.dumps(linked) and linked["instances"] == 2
    assert gone in inside(ward, ward.holder, study) and picture(ward, ward.holder, study, instance_uid=gone)


def test_hidden_unknown_and_foreign_studies_are_one_answer_at_one_cost(ward: Ward, doctor: Caller) -> None:
    hidden, foreign = made.image(), made.image()
    ward.set_level(ward.holder, deposit(ward, doctor, hidden), "private")
    neighbour = Ward(ward.house, ward.settings)
    deposit(neighbour, neighbour.present(), foreign)
    reader, seen = ward.present(), []
    for study in (made.uids(hidden)[0], made.uids(foreign)[0], made.uid()):
        with ward.counted() as statements, pytest.raises(StudyNotFound) as refused:
            inside(ward, reader, study)
        seen.append((json.dumps(refused.value.to_wire()), len(statements)))
    assert len(set(seen)) == 1


def test_only_the_current_version_is_an_instance_of_the_study(ward: Ward, doctor: Caller) -> None:
    file = made.image()
    document_id = deposit(ward, doctor, file)
    ward.sql("update images set content_id = :other where document_id = :d", other=new_id(), d=document_id)
    assert find(ward, ward.holder) == []


# --- one trace --------------------------------------------------------------------------------------------------------


def test_a_study_that_is_opened_is_one_trace_however_much_of_it_is_read(ward: Ward, doctor: Caller) -> None:
    study = made.uid()
    files = [made.image(study, frames=3), made.image(study)]
    ids = [deposit(ward, doctor, file) for file in files]
    place = dict(zip(("series_uid", "instance_uid"), made.uids(files[0])[1:], strict=True))
    inside(ward, ward.holder, study)
    find(ward, ward.holder, "series", study_uid=study, within_study=True)
    hand(ward, ward.holder, study)
    hand(ward, ward.holder, study, **place, frames=[1, 3])
    picture(ward, ward.holder, study, **place, frame=2)
    [trace] = ward.traces("study.opened")
    assert trace["object_id"] in ids and (trace["outcome"], trace["ground"]) == ("allowed", "holder")
    assert ward.traces("document.opened") == []
    again = replace(ward.holder, session_id=new_id())
    hand(ward, again, study)
    assert len(ward.traces("study.opened")) == 2  # another session is another opening


def test_a_study_opened_again_after_15_minutes_is_another_trace_and_reading_on_is_none(
    ward: Ward, doctor: Caller
) -> None:
    file = made.image()
    deposit(ward, doctor, file)
    study = made.uids(file)[0]
    inside(ward, ward.holder, study)

    def passed(opened: int, read: int) -> None:
        ward.sql(
            "update study_opens set opened_at = now() - make_interval(mins => :o), read_at = now() -"
            " make_interval(mins => :r)", o=opened, r=read,
        )  # fmt: skip

    passed(20, 5)
    hand(ward, ward.holder, study)
    assert len(ward.traces("study.opened")) == 1
    passed(20, 5)
    inside(ward, ward.holder, study)
    assert len(ward.traces("study.opened")) == 2
    passed(20, 16)
    hand(ward, ward.holder, study)
    assert len(ward.traces("study.opened")) == 3


def test_the_trace_of_an_opening_names_no_document_that_is_hidden_from_the_holder_while_another_is_not(
    ward: Ward, doctor: Caller
) -> None:
    study = made.uid()
    ids = [deposit(ward, doctor, made.image(study)) for _ in range(3)]
    for document_id in (ids[0], ids[2]):
        ward.block(doctor, document_id)
    inside(ward, doctor, study)
    assert [trace["object_id"] for trace in ward.traces("study.opened")] == [ids[1]]


# --- bytes, frames, pictures ------------------------------------------------------------------------------------------


def test_the_bytes_of_instances_are_handed_over_page_by_page(ward: Ward, doctor: Caller) -> None:
    study, series = made.uid(), made.uid()
    files = [made.image(study, series) for _ in range(3)]
    for file in files:
        deposit(ward, doctor, file)
    told = hand(ward, ward.holder, study, series_uid=series)
    assert told["next"] is None and sorted(read(ward, each) for each in told["instances"]) == sorted(files)
    first = told["instances"][0]
    rest = hand(ward, ward.holder, study, after=[first["series_uid"], first["instance_uid"]])
    assert rest["instances"] and [each["content_id"] for each in rest["instances"]] == [
        each["content_id"] for each in told["instances"][1:]
    ]


def test_frames_lie_where_it_is_said_and_a_frame_that_is_not_there_is_not_found(ward: Ward, doctor: Caller) -> None:
    file = made.image(frames=4)
    deposit(ward, doctor, file)
    study, _, instance = made.uids(file)
    [told] = hand(ward, ward.holder, study, instance_uid=instance, frames=[4, 2])["instances"]
    plain = read(ward, told)
    assert [plain[at : at + length] for at, length in told["frames"]] == [made.pixels(4), made.pixels(2)]
    for missing in ([5], [1, 5]):
        with pytest.raises(StudyNotFound):
            hand(ward, ward.holder, study, instance_uid=instance, frames=missing)
    for wrong in ([0], [], ["1"], [1] * 65):
        with pytest.raises(InvalidInput):
            hand(ward, ward.holder, study, instance_uid=instance, frames=wrong)


def test_a_picture_is_there_for_what_can_be_shown_and_for_nothing_else(ward: Ward, doctor: Caller) -> None:
    file = made.image(frames=2, syntax=JPEG2000Lossless)
    deposit(ward, doctor, file)
    study, _, instance = made.uids(file)
    for asked in ({"thumbnail": True}, {"instance_uid": instance}, {"instance_uid": instance, "frame": 2}):
        assert read(ward, picture(ward, ward.holder, study, **asked)).startswith(b"\xff\xd8\xff")
    with pytest.raises(StudyNotFound):
        picture(ward, ward.holder, study, instance_uid=instance, frame=3)
    report = made.structured_report("Nichts")
    deposit(ward, doctor, report)
    with pytest.raises(NotRendered):
        picture(ward, ward.holder, made.uids(report)[0])


def test_what_is_no_image_is_rejected_and_in_no_study(ward: Ward, doctor: Caller) -> None:
    file = made.image(Rows=17)
    started = ward.prepare(doctor, type="imaging")
    ward.put(started, file)
    ward.commit(doctor, started, file, media_type=DICOM)
    ward.examine()
    assert [row.reason for row in ward.sql("select reason from versions where version_id = :v", v=started["version_id"])
            ] == ["broken"]  # fmt: skip
    assert find(ward, doctor) == []


# --- what belongs together --------------------------------------------------------------------------------------------

CATALOGUE = """<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody><component><section>
<title>Compte rendu</title><entry><act classCode="ACT" moodCode="EVN"><id root="{study}"/>
<code code="113014" codeSystem="1.2.840.10008.2.16.4"/><entryRelationship><act classCode="ACT" moodCode="EVN">
<id root="{series}"/><code code="113015" codeSystem="1.2.840.10008.2.16.4"/><entryRelationship>
<observation classCode="DGIMG" moodCode="EVN"><id root="{instance}"/><code code="1.2.840.10008.5.1.4.1.1.2"/>
</observation></entryRelationship></act></entryRelationship></act></entry>
</section></component></structuredBody></component></ClinicalDocument>"""


def test_report_manifest_and_images_find_one_another_both_ways(ward: Ward, doctor: Caller) -> None:
    file = made.image()
    study, series, instance = made.uids(file)
    image = deposit(ward, doctor, file)
    kos = deposit(ward, doctor, made.manifest(file))
    cda = CATALOGUE.format(study=study, series=series, instance=instance).encode()
    report = ward.deposit(doctor, cda, "application/xml", type="imaging")
    loose = ward.deposit(doctor, pdf())
    for document_id in (image, kos, report):
        [told] = ward.ask("images_of", ward.holder, document_id=document_id)["studies"]
        kinds = {each["document_id"]: each["kind"] for each in told["documents"]}
        assert kinds == {image: "image", kos: "manifest", report: "report"}
        assert told["study_uid"] == study and told["description"] == "Thorax à jeun"
        assert told["key_images"] == [{"series_uid": series, "instance_uid": instance, "document_id": image}]
    assert ward.ask("images_of", ward.holder, document_id=loose)["studies"] == []
    with pytest.raises(DocumentNotFound):
        ward.ask("images_of", ward.professional(), document_id=kos)


def test_what_was_deposited_together_belongs_together(ward: Ward, doctor: Caller) -> None:
    file = made.image()
    image, report, other = deposit(ward, doctor, file), ward.deposit(doctor, pdf()), ward.deposit(doctor, pdf())
    ward.sql(
        "update documents set submission_id = :s where document_id = any(cast(:d as uuid[]))", s=new_id(),
        d=[image, report],
    )  # fmt: skip
    for document_id in (image, report):
        [told] = ward.ask("images_of", ward.holder, document_id=document_id)["studies"]
        assert {each["document_id"] for each in told["documents"]} == {image, report}
    assert ward.ask("images_of", ward.holder, document_id=other)["studies"] == []
    reader = ward.present()
    ward.restrict(ward.holder, image, reader)
    assert ward.ask("images_of", reader, document_id=report)["studies"] == []


def test_what_a_manifest_points_to_and_nobody_keeps_here_is_told_as_elsewhere(ward: Ward, doctor: Caller) -> None:
    here, there = made.image(), made.image()
    deposit(ward, doctor, here)
    deposit(ward, doctor, made.manifest(here, there))
    study = made.uids(there)[0]
    told = hand(ward, ward.holder, study, elsewhere=True)
    assert told["instances"] == [] and [each[:3] for each in told["elsewhere"]] == [list(made.uids(there))]
    with pytest.raises(StudyNotFound):
        hand(ward, ward.holder, study)
    with pytest.raises(StudyNotFound):
        hand(ward, ward.professional(), study, elsewhere=True)
    own = hand(ward, ward.holder, made.uids(here)[0], elsewhere=True)
    assert own["elsewhere"] == [] and len(own["instances"]) == 2


# --- the study token --------------------------------------------------------------------------------------------------


def shared(ward: Ward, who: Caller, document_id: str, **asked: Any) -> Any:
    return ward.ask("share_study", replace(who, context=context(token="access")), document_id=document_id, **asked)


def used(ward: Ward, token: str) -> Any:
    return ward.house.ask("documents", "use_study_token", context(), token=token)


def test_a_study_token_stands_for_its_owners_access_to_one_study(ward: Ward, doctor: Caller) -> None:
    file = made.image()
    document_id = deposit(ward, doctor, file)
    given = shared(ward, ward.holder, document_id)
    told = used(ward, given["token"])
    assert told["token"] == "access" and told["study_uid"] == made.uids(file)[0] == given["study_uid"]
    assert told["expires_at"] <= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ward.holder.expires_at + 1))
    [row] = ward.sql("select * from study_tokens where record_id = :r", r=ward.record_id)
    assert b"access" not in bytes(row.sealed_token) and given["token"].encode() not in bytes(row.digest)
    assert [trace["object_id"] for trace in ward.traces("study.shared")] == [document_id]


def test_a_study_token_that_is_over_or_made_up_is_refused(ward: Ward, doctor: Caller) -> None:
    given = shared(ward, ward.holder, deposit(ward, doctor, made.image()))
    ward.sql("update study_tokens set until = now() where record_id = :r", r=ward.record_id)
    for token in (given["token"], "dst_" + "x" * 43, "", "nonsense"):
        with pytest.raises((StudyTokenRefused, Unauthenticated)):
            used(ward, token)


def test_a_token_opens_no_other_study_and_no_other_record(ward: Ward, doctor: Caller) -> None:
    one, two = made.image(), made.image()
    for file in (one, two):
        deposit(ward, doctor, file)
    only, other = [ward.record_id, made.uids(one)[0]], made.uids(two)[0]
    assert inside(ward, ward.holder, only[1], only=only)
    assert [each["study_uid"] for each in find(ward, ward.holder, only=only)] == [only[1]]
    for wrong in (only, [new_id(), other]):
        for call in (
            lambda: inside(ward, ward.holder, other, only=wrong),  # noqa: B023 called at once
            lambda: hand(ward, ward.holder, other, only=wrong),  # noqa: B023
            lambda: picture(ward, ward.holder, other, only=wrong),  # noqa: B023
        ):
            with pytest.raises(StudyNotFound):
                call()
        with pytest.raises(RecordNotFound):
            find(ward, ward.holder, study_uid=other, only=wrong)
    assert inside(ward, ward.holder, other)


def test_only_a_study_of_the_document_is_shared_and_only_with_who_sees_it(ward: Ward, doctor: Caller) -> None:
    one, two = made.image(), made.image()
    deposit(ward, doctor, one)
    kos = deposit(ward, doctor, made.manifest(one, two))
    with pytest.raises(InvalidInput):
        shared(ward, ward.holder, kos)
    assert shared(ward, ward.holder, kos, study_uid=made.uids(two)[0])["study_uid"] == made.uids(two)[0]
    with pytest.raises(StudyNotFound):
        shared(ward, ward.holder, kos, study_uid=made.uid())
    with pytest.raises(StudyNotFound):
        shared(ward, ward.holder, ward.deposit(doctor, pdf()))
    with pytest.raises(DocumentNotFound):
        shared(ward, ward.professional(), kos)


def test_tokens_and_openings_that_are_over_are_swept(ward: Ward, doctor: Caller) -> None:
    file = made.image()
    document_id = deposit(ward, doctor, file)
    inside(ward, ward.holder, made.uids(file)[0])
    shared(ward, ward.holder, document_id)
    ward.house.documents.sweep_orphans()
    assert ward.sql("select 1 from study_tokens") and ward.sql("select 1 from study_opens")
    ward.sql("update study_tokens set until = now()")
    ward.sql("update study_opens set opened_at = now() - interval '25 hours'")
    ward.house.documents.sweep_orphans()
    assert not ward.sql("select 1 from study_tokens") and not ward.sql("select 1 from study_opens")


def test_an_answer_ends_where_its_room_does_and_goes_on_from_there(ward: Ward, doctor: Caller) -> None:
    study = made.uid()
    files = [made.image(study) for _ in range(3)]
    for file in files:
        deposit(ward, doctor, file)
    ward.sql(
        "update images set attributes = attributes || jsonb_build_object('00081030', jsonb_build_object('vr', 'LO',"
        " 'Value', jsonb_build_array(repeat('x', 3000000)))) where study_uid = :s", s=study,
    )  # fmt: skip
    found, offset = [], 0
    while True:
        page = ward.ask("find_instances", ward.holder, record_id=ward.record_id, study_uid=study, offset=offset)
        assert 1 <= len(page["found"]) <= 2
        found += [each["instance_uid"] for each in page["found"]]
        offset += len(page["found"])
        if not page["more"]:
            break
    assert sorted(found) == sorted(made.uids(file)[2] for file in files)
