"""An archive of images outside: instances that a manifest or report points to and that are not kept here.

Reached only after documents decided that the reader sees what points to them and noted that the study is opened. One
address by setting; no redirects, short patience, private addresses only where the setting allows them, and the
connection goes to the very address that was checked. What it says of patients is left out of metadata.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import urllib3
from flask import Response, request
from urllib3.exceptions import HTTPError
from werkzeug.http import parse_options_header

from gateway import dicom_accept, streams
from gateway.dicom_parts import Part, may_go_on
from gateway.errors import refused
from gateway.study_access import Reader
from services.documents.contract import StudyNotFound, without_patient
from services.refusals import Unavailable
from services.settings import Settings, load

PATIENCE = urllib3.Timeout(connect=2.0, read=20.0)
DESCRIBED = 64 * 1024 * 1024  # bytes of metadata that are read at once
_INSTANCE = f'{dicom_accept.MULTIPART}; type="{dicom_accept.DICOM}"; transfer-syntax=*'
_PASSED = (dicom_accept.MULTIPART, dicom_accept.JPEG)
_KEPT_HEADERS = 8 * 1024

log = logging.getLogger(__name__)


def there() -> bool:
    """Whether there is such an archive."""
    return bool(load().pacs_url)


def has(reader: Reader, place: dict[str, str]) -> bool:
    """Whether an instance that the reader may see lies there and not here. Refuses: study_not_found."""
    told = reader.open_instances(**place, elsewhere=True)
    return not told["instances"] and bool(told["elsewhere"])


def passed_on(reader: Reader, place: dict[str, str], rest: str) -> Response:
    """What the archive answers to the same question about one instance, as it comes.

    Refuses: study_not_found, not_acceptable, unavailable.
    """
    answer = _get(_path(place) + rest, request.args.get("accept") or request.headers.get("Accept") or "*/*")
    kind = answer.headers.get("Content-Type", "")
    if parse_options_header(kind)[0].lower() not in _PASSED:
        answer.close()
        raise _unavailable("kind")
    body: Any = _running(answer, may_go_on(reader, place))
    return Response(body, 200, headers={"Content-Type": kind}, direct_passthrough=True)


def instances(places: list[list[str]], may_go_on: Callable[[], bool]) -> Iterator[Part]:
    """The files of these instances; one that the archive does not have is passed over. Refuses: unavailable."""
    for study_uid, series_uid, instance_uid, _ in places:
        path = _path({"study_uid": study_uid, "series_uid": series_uid, "instance_uid": instance_uid})
        try:
            answer = _get(path, _INSTANCE)
        except StudyNotFound:
            continue
        kind, options = parse_options_header(answer.headers.get("Content-Type", ""))
        download = _running(answer, may_go_on)
        if kind.lower() == dicom_accept.DICOM:
            yield dicom_accept.DICOM, download
        else:
            yield _only_part(download, options.get("boundary", "").encode())


def metadata(place: dict[str, str], places: list[list[str]]) -> Iterator[dict[str, Any]]:
    """What the archive tells of these instances, without who the patient is and without its own addresses.

    Refuses: unavailable.
    """
    meant = {each[2] for each in places}
    for model in _described(_path(place) + "/metadata"):
        uid = ((model.get("00080018") or {}).get("Value") or [None])[0]
        if uid in meant:
            meant.discard(uid)
            told = without_patient(model)
            told.pop("00081190", None)
            yield told


def _described(path: str) -> list[dict[str, Any]]:
    answer = _get(path, dicom_accept.DICOM_JSON)
    try:
        raw = answer.read(DESCRIBED + 1)
        models = json.loads(raw) if len(raw) <= DESCRIBED else None
    except (HTTPError, ValueError, RecursionError):
        models = None
    finally:
        answer.close()
    if not isinstance(models, list):
        raise _unavailable("metadata")
    return [model for model in models if isinstance(model, dict)]


# --- the line ---------------------------------------------------------------------------------------------------------


def _path(place: dict[str, str]) -> str:
    names = (("studies", "study_uid"), ("series", "series_uid"), ("instances", "instance_uid"))
    return "".join(f"/{word}/{place[name]}" for word, name in names if name in place)


def _get(path: str, accept: str) -> urllib3.BaseHTTPResponse:
    """An answer to be read. Refuses: study_not_found, not_acceptable, unavailable."""
    settings = load()
    base = urlsplit(settings.pacs_url)
    headers = {"Accept": accept[:2000], "Accept-Encoding": "identity", "Host": base.netloc.rpartition("@")[2]}
    if settings.pacs_user:
        secret = f"{settings.pacs_user}:{settings.pacs_password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(secret).decode("ascii")
    pool = _pool(settings)
    try:
        answer = pool.request(
            "GET", base.path.rstrip("/") + path, headers=headers, preload_content=False, redirect=False, retries=False
        )
    except HTTPError as broken:
        raise _unavailable(type(broken).__name__) from None
    if answer.status != 200:
        answer.close()
        if answer.status == 404:
            raise StudyNotFound()
        if answer.status == 406:
            raise refused("not_acceptable", allowed=[])
        raise _unavailable(str(answer.status))
    return answer


def _pool(settings: Settings) -> urllib3.HTTPConnectionPool:
    """Connections to the address that stands behind the setting's name now. Refuses: unavailable."""
    base = urlsplit(settings.pacs_url)
    secure = base.scheme == "https"
    host, port = base.hostname or "", base.port or (443 if secure else 80)
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
    except OSError:
        raise _unavailable("name") from None
    if not settings.pacs_private and not ipaddress.ip_address(str(address)).is_global:
        raise _unavailable("private address")
    if not secure:
        return urllib3.HTTPConnectionPool(str(address), port, timeout=PATIENCE)
    return urllib3.HTTPSConnectionPool(str(address), port, timeout=PATIENCE, server_hostname=host, assert_hostname=host)


def _unavailable(kind: str) -> Unavailable:
    log.warning("archive of images unreachable", extra={"kind": kind})
    return Unavailable(service="pacs")


def _running(answer: urllib3.BaseHTTPResponse, may_go_on: Callable[[], bool]) -> streams.Download:
    """The body of an answer, whose first block is there. Refuses: unavailable."""
    blocks = (memoryview(block) for block in answer.stream(streams.BLOCK))
    try:
        first = next(blocks)
    except (HTTPError, StopIteration):
        answer.close()
        raise _unavailable("body") from None
    return streams.Download(answer, first, blocks, may_go_on)


def _only_part(download: streams.Download, boundary: bytes) -> Part:
    """The one part of an answer that holds one: its kind, and its bytes as they come."""
    end, held = b"\r\n--" + boundary, b"\r\n"
    while (begin := held.find(b"\r\n\r\n", held.find(end))) < 0 or end not in held:
        if not boundary or len(held) > _KEPT_HEADERS + streams.BLOCK:
            raise _unavailable("parts")
        held += next(download, b"") or _missing()
    lines = held[:begin].decode("latin-1").split("\r\n")
    kinds = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("content-type:")]
    return (kinds or [dicom_accept.DICOM])[0], _until(download, held[begin + 4 :], end)


def _missing() -> bytes:
    raise _unavailable("parts")


def _until(download: streams.Download, held: bytes, end: bytes) -> Iterator[bytes]:
    try:
        while (at := held.find(end)) < 0:
            keep = max(0, len(held) - len(end) + 1)
            if keep:
                yield held[:keep]
            held = held[keep:] + (next(download, b"") or _missing())
        yield held[:at]
    finally:
        download.close()
