"""Studies, series and instances as DICOM JSON (PS3.18, F): what a search tells, and all metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import request

Model = dict[str, Any]

_EVERYWHERE = ("00080005", "00080201")
_OF_STUDY = ("00080020", "00080030", "00080050", "00081030", "00100040", "0020000D", "00200010")
_OF_SERIES = ("00080060", "0008103E", "0020000E", "00200011", "00400244", "00400245", "00400275")
_OF_INSTANCE = ("00080016", "00080018", "00200013", "00280008", "00280010", "00280011", "00280100")
# who the patient is stands in the record alone; clients expect the elements all the same (PS3.18, 10.6.3.3)
_NAMELESS: Model = {
    tag: {"vr": vr} for tag, vr in (("00080090", "PN"), ("00100010", "PN"), ("00100020", "LO"), ("00100030", "DA"))
}


def study(found: Mapping[str, Any], base: str) -> Model:
    """A study as a search tells it; the numbers count what the reader may see."""
    uid = found["study_uid"]
    told = _chosen(found["attributes"], (*_EVERYWHERE, *_OF_STUDY)) | _NAMELESS
    told |= _values(
        ("0020000D", "UI", [uid]), ("00080056", "CS", ["ONLINE"]), ("00080061", "CS", found["modalities"]),
        ("00080062", "UI", found["classes"]), ("00081190", "UR", [f"{base}/studies/{uid}"]),
        ("00201206", "IS", [found["series"]]), ("00201208", "IS", [found["instances"]]),
    )  # fmt: skip
    return told


def series(found: Mapping[str, Any], base: str) -> Model:
    """A series as a search tells it."""
    study_uid, uid = found["study_uid"], found["series_uid"]
    told = _chosen(found["attributes"], (*_EVERYWHERE, *_OF_SERIES))
    return told | _values(
        ("0020000D", "UI", [study_uid]), ("0020000E", "UI", [uid]), ("00201209", "IS", [found["instances"]]),
        ("00081190", "UR", [f"{base}/studies/{study_uid}/series/{uid}"]),
    )  # fmt: skip


def instance(found: Mapping[str, Any], base: str) -> Model:
    """An instance as a search tells it."""
    return _chosen(found["attributes"], (*_EVERYWHERE, "00080060", *_OF_INSTANCE)) | _placed(found, base)


def metadata(found: Mapping[str, Any], base: str) -> Model:
    """All that is told of an instance: its attributes, without who the patient is and without pixels."""
    attributes: Model = found["attributes"]
    return attributes | _NAMELESS | _placed(found, base)


def foreign(model: Model, base: str) -> Model:
    """The metadata of an instance that lies elsewhere, with the address it has here."""
    uids = [((model.get(tag) or {}).get("Value") or [""])[0] for tag in ("0020000D", "0020000E", "00080018")]
    address = f"{base}/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}"
    return model | _NAMELESS | _values(("00080056", "CS", ["ONLINE"]), ("00081190", "UR", [address]))


def instance_elsewhere(told: Model) -> Model:
    """An instance that lies elsewhere, of whose metadata this is what a search tells."""
    kept = ("00080056", "00081190", "00083002", "0020000D", "0020000E")
    return _chosen(told, (*_EVERYWHERE, "00080060", *_OF_INSTANCE, *kept))


def with_series_elsewhere(told: list[Model], models: Iterable[Model]) -> list[Model]:
    """The series of a search, with those of instances that lie elsewhere; one that lies in both is one."""
    there = {each["0020000E"]["Value"][0]: each for each in told}
    for model in models:
        uid = str(((model.get("0020000E") or {}).get("Value") or [""])[0])
        if uid not in there:
            there[uid] = _chosen(model, (*_EVERYWHERE, *_OF_SERIES, "0020000D")) | _values(("00201209", "IS", [0]))
        there[uid]["00201209"]["Value"][0] += 1
    return list(there.values())


def _placed(found: Mapping[str, Any], base: str) -> Model:
    study_uid, series_uid, uid = found["study_uid"], found["series_uid"], found["instance_uid"]
    return _values(
        ("00080016", "UI", [found["class_uid"]]), ("00080018", "UI", [uid]), ("00080056", "CS", ["ONLINE"]),
        ("00081190", "UR", [f"{base}/studies/{study_uid}/series/{series_uid}/instances/{uid}"]),
        ("00083002", "UI", [found["transfer_syntax"]]), ("0020000D", "UI", [study_uid]),
        ("0020000E", "UI", [series_uid]),
    )  # fmt: skip


def _values(*told: tuple[str, str, list[Any]]) -> Model:
    return {tag: {"vr": vr, "Value": values} if values else {"vr": vr} for tag, vr, values in told}


def _chosen(attributes: Mapping[str, Any], tags: Iterable[str]) -> Model:
    """The elements of a level, with those that `includefield` asks for (tags, or all)."""
    asked = ",".join(request.args.getlist("includefield")).upper().split(",")
    if "ALL" in asked:
        return dict(attributes)
    return {tag: attributes[tag] for tag in (*tags, *asked) if tag in attributes}
