"""The sandbox: what real files hold, what hostile ones are refused for, and what nobody inside can do."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from services.documents.contract import CDA, DICOM, JPEG, PDF, PNG, TEXT
from services.documents.ports import cda
from services.documents.ports.sandbox import Sandbox, SandboxGone, Unprepared
from services.documents.rules_examining import Limits
from services.documents.rules_findings import TEXT_LENGTH, Findings, NotPassed
from tests.builders import pdf, png
from tests.services import hostile_files as hostile


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture(scope="module")
def taken_over() -> Iterator[Sandbox]:
    """A sandbox whose examiners do what their file says."""
    made = Sandbox("tests.services.bad_examiners")
    yield made
    made.close()


def look(sandbox: Sandbox, data: bytes, media_type: str = PDF) -> Findings:
    return sandbox.examine(media_type, {}, len(data), [data])


def in_pieces(sandbox: Sandbox, data: bytes, media_type: str = PDF) -> tuple[Findings, int]:
    """The same, with the bytes that were asked for alone; how many those were."""
    asked = []

    def fetch(start: int, length: int) -> list[bytes]:
        asked.append(length)
        return [data[start : start + length]]

    return sandbox.examine(media_type, {}, len(data), (), fetch), sum(asked)


def picture(size: tuple[int, int] = (640, 480), kind: str = "JPEG", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 128).save(out, kind)
    return out.getvalue()


# --- what real files hold ---------------------------------------------------------------------------------------------


def test_a_pdf_has_its_text_a_first_page_and_a_thumbnail(sandbox: Sandbox) -> None:
    found = look(sandbox, pdf("Bilan sanguin"))
    assert found.rejection is None and found.text == "Bilan sanguin"
    shown = {each.kind: Image.open(io.BytesIO(each.data)) for each in found.renditions}
    assert set(shown) == {"page", "thumbnail"}
    assert shown["page"].height > shown["page"].width >= 800 and max(shown["thumbnail"].size) <= 320
    dark = sum(shown["page"].convert("L").histogram()[:100])
    assert dark > 100  # the words are there to be seen


@pytest.mark.parametrize(("data", "media_type"), [
    (png(40, 30), PNG), (picture(), JPEG), (picture((4000, 3000)), JPEG), (picture(mode="L", kind="PNG"), PNG),
    (picture(mode="RGBA", kind="PNG"), PNG), (picture(mode="I;16", kind="PNG"), PNG), (picture(mode="CMYK"), JPEG),
    (picture(mode="P", kind="PNG"), PNG), (picture(mode="1", kind="PNG"), PNG), (picture(mode="LA", kind="PNG"), PNG),
])  # fmt: skip
def test_pictures_of_every_kind_get_a_page_and_a_thumbnail(sandbox: Sandbox, data: bytes, media_type: str) -> None:
    found = look(sandbox, data, media_type)
    assert found.rejection is None and [each.kind for each in found.renditions] == ["page", "thumbnail"]
    assert all(Image.open(io.BytesIO(each.data)).format == "JPEG" for each in found.renditions)


def test_what_a_camera_noted_does_not_stand_in_a_preview(sandbox: Sandbox) -> None:
    out, noted = io.BytesIO(), Image.Exif()
    noted[0x010E], noted[0x0112] = "chez Marie, 12 rue des Fleurs", 6  # turned by a quarter
    Image.new("RGB", (640, 480)).save(out, "JPEG", exif=noted)
    found = look(sandbox, out.getvalue(), JPEG)
    for each in found.renditions:
        shown = Image.open(io.BytesIO(each.data))
        assert not shown.getexif() and b"Marie" not in each.data and shown.height > shown.width


@pytest.mark.parametrize(("data", "text"), [
    ("Été à Dudelange".encode(), "Été à Dudelange"), ("Été".encode("latin-1"), "Été"),
    ("\ufeffavec marque".encode(), "avec marque"), (b"x" * 3_000_000, "x" * TEXT_LENGTH),
])  # fmt: skip
def test_text_is_kept_as_far_as_it_is_searched(sandbox: Sandbox, data: bytes, text: str) -> None:
    assert look(sandbox, data, TEXT) == Findings(text=text)


def test_the_narrative_of_a_cda_is_found_by(sandbox: Sandbox) -> None:
    found = look(sandbox, hostile.cda("Tension <content>13/8</content><!-- rien -->, pouls 72"), CDA)
    assert found.rejection is None
    assert "Anamnèse" in found.text and "13/8" in found.text and "rien" not in found.text


def in_encoding(data: bytes, encoding: str) -> bytes:
    return data.decode().replace("UTF-8", encoding).encode(encoding)


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "windows-1252"])
def test_a_cda_may_wrap_a_file_as_big_as_it_may_be_itself(sandbox: Sandbox, encoding: str) -> None:
    found = look(sandbox, in_encoding(hostile.cda("x" * 18_000_000), encoding), CDA)
    assert found.rejection is None and "Anamnèse" in found.text


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-7", "IBM037"])
def test_entities_that_no_byte_tells_grow_no_further(encoding: str) -> None:
    laughing = in_encoding(hostile.cda('<content ID="&i;"/>', hostile.LAUGHS), encoding)
    if encoding == "UTF-7":  # may write any letter in digits
        laughing = laughing.replace(b"<!", b"+ADwAIQ-")
    assert b"<!DOCTYPE" not in laughing
    with pytest.raises(NotPassed):
        cda.parsed(laughing)


def test_of_a_long_pdf_only_what_is_needed_is_read(sandbox: Sandbox) -> None:
    found, read = in_pieces(sandbox, pdf("Un long dossier", 40_000_000))
    assert found.rejection is None and found.text == "Un long dossier" and found.renditions
    assert read < 4_000_000


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED = {
    "pdf with a password": (hostile.locked_pdf(), PDF, "encrypted"),
    "pdf locked without one": (hostile.locked_pdf(""), PDF, "encrypted"),
    "no pdf at all": (b"%PDF-1.4 nothing follows\nstartxref\n0\n%%EOF", PDF, "broken"),
    "pdf cut off": (pdf()[:300], PDF, "broken"),
    "pdf without a page": (
        hostile.assembled([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>"]),
        PDF,
        "broken",
    ),
    "pdf of too many pages": (hostile.pdf_of(hostile.squeezed(0), pages=6000), PDF, "too_many_pages"),
    "pdf that inflates": (hostile.pdf_of(hostile.squeezed(1200 * 1024 * 1024)), PDF, "too_large_inside"),
    "pdf with a page of a kilometre": (hostile.pdf_of(b"", "", box="0 0 3000000 3000000"), PDF, "too_large_inside"),
    "png of too many pixels": (hostile.png_claiming(60_000, 60_000), PNG, "too_many_pixels"),
    "png that inflates beside its pixels": (hostile.png_with_text(64 * 1024 * 1024), PNG, "too_large_inside"),
    "png cut off": (picture(kind="PNG")[:-40], PNG, "broken"),
    "jpeg cut off": (picture()[:700], JPEG, "broken"),
    "png that is a jpeg": (picture(), PNG, "wrong_kind"),
    "gif that is a png": (picture(kind="GIF", mode="L"), PNG, "broken"),
    "text with zeros": (b"text\0text", TEXT, "broken"),
    "xml with entities in one another": (hostile.cda("&i;", hostile.LAUGHS), CDA, "entities"),
    "xml that reads a file": (hostile.cda("&file;", hostile.OUTSIDE), CDA, "entities"),
    "xml with a document type": (hostile.cda(prologue="<!DOCTYPE ClinicalDocument>"), CDA, "entities"),
    "xml cut off": (hostile.cda()[:-30], CDA, "broken"),
    "xml that is no cda": (b"<html/>", CDA, "wrong_kind"),
    "xml, squeezed": (hostile.gzipped(hostile.cda()), CDA, "broken"),
    "xml, very deep": (hostile.cda("<content>" * 5000 + "</content>" * 5000), CDA, "broken"),
    "xml of countless elements": (hostile.cda("<br/>" * 600_000), CDA, "too_large_inside"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_made_to_do_harm_is_refused_with_its_code(sandbox: Sandbox, name: str) -> None:
    data, media_type, code = REFUSED[name]
    assert look(sandbox, data, media_type) == Findings(rejection=code)


def test_after_all_that_the_same_sandbox_still_works(sandbox: Sandbox) -> None:
    assert look(sandbox, pdf("Toujours là")).text == "Toujours là"


def test_a_media_type_without_an_examiner_passes_without_findings() -> None:
    from services.documents.ports import examiners

    assert examiners.examine(b"x", "application/x-unknown", {}) == Findings()
    assert set(examiners.EXAMINERS) >= {PDF, PNG, JPEG, TEXT, CDA} and DICOM


# --- what nobody inside can do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("deed", "rejection"), [
    ("eat", "too_large_inside"), ("crash", "broken"), ("leave", "broken"), ("lie", "broken"), ("flood", "broken"),
    ("talk", "broken"), ("reach", "broken"),
])  # fmt: skip
def test_an_examiner_that_is_taken_over_is_ended_and_believed_nothing(
    taken_over: Sandbox, deed: str, rejection: str
) -> None:
    assert look(taken_over, deed.encode()) == Findings(rejection=rejection)
    assert look(taken_over, b"environment").rejection is None


@pytest.mark.parametrize(("deed", "text"), [
    ("connect", "OSError 24"), ("write", "OSError 24"), ("read", "OSError 24"), ("fork", "BlockingIOError"),
    ("interfaces", "OSError 24"),
])  # fmt: skip
def test_it_reaches_neither_network_nor_disk(taken_over: Sandbox, deed: str, text: str) -> None:
    assert look(taken_over, deed.encode()).text.startswith(text)
    assert not Path("/var/tmp/opendsp-escaped").exists()


def test_it_knows_nothing_of_settings(taken_over: Sandbox) -> None:
    assert "OPENDSP" not in look(taken_over, b"environment").text


@pytest.mark.parametrize("deed", ["loop", "wait"])
def test_who_takes_more_than_its_time_is_ended(deed: str) -> None:
    sandbox = Sandbox("tests.services.bad_examiners", Limits(processor=2, wall=8))
    assert look(sandbox, deed.encode()) == Findings(rejection="too_slow")
    sandbox.close()


def test_a_file_has_half_a_minute_of_processor_and_a_gibibyte() -> None:
    assert Limits() == Limits(memory=2**30, processor=30, wall=60)


def test_it_is_given_no_byte_beyond_its_file(taken_over: Sandbox) -> None:
    found, _ = in_pieces(taken_over, b"reach" + bytes(100))
    assert found == Findings(rejection="broken")


def test_what_was_not_loaded_before_is_our_fault_and_not_the_file_s(taken_over: Sandbox) -> None:
    with pytest.raises(Unprepared):
        look(taken_over, b"import")


def test_a_sandbox_that_died_says_so_and_is_there_again_the_next_time() -> None:
    sandbox = Sandbox("tests.services.bad_examiners")
    look(sandbox, b"environment")
    room = sandbox._room
    assert room is not None
    os.kill(room.pid, signal.SIGKILL)
    with pytest.raises(SandboxGone):
        look(sandbox, b"environment")
    assert look(sandbox, b"environment").rejection is None
    sandbox.close()


def test_whoever_is_inside_ends_with_the_sandbox() -> None:
    sandbox = Sandbox("tests.services.bad_examiners")
    look(sandbox, b"environment")
    room = sandbox._room
    assert room is not None
    threading.Thread(target=lambda: _quietly(sandbox), daemon=True).start()
    child = _until(lambda: _children(room.pid))
    os.kill(room.pid, signal.SIGKILL)
    assert _until(lambda: all(not Path(f"/proc/{pid}").exists() or _is_zombie(pid) for pid in child))
    sandbox.close()


@pytest.mark.parametrize(("room", "told"), [("os.getppid()", True), ("os.getppid() + 1", False)])
def test_a_look_begins_only_while_its_room_is_there(room: str, told: bool) -> None:
    """Its room may end after it made the child and before the kernel knows what is to happen then."""
    ours, line = socket.socketpair()
    child = f"""
import os
from services.documents.ports import sandbox_room
from tests.services import bad_examiners
errand = {{"limits": {{}}, "size": 11, "pieces": False, "media_type": "text/plain", "facts": {{}}}}
sandbox_room._look(bad_examiners, errand, {line.fileno()}, {room})
"""
    with ours, line:
        ours.sendall(b"environment")
        ended = subprocess.run(
            [sys.executable, "-c", child], pass_fds=[line.fileno()], cwd=Path(__file__).parents[2], check=False
        )
        line.close()
        ours.settimeout(30)
        left = ours.recv(1) if told else _what_comes(ours)
    assert (ended.returncode, left) == ((0, b"F") if told else (1, b""))


def _what_comes(line: socket.socket) -> bytes:
    """Nothing, also where the other end left what it was sent unread."""
    try:
        return line.recv(1)
    except ConnectionResetError:
        return b""


def _quietly(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxGone):
        look(sandbox, b"wait")


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _until(look_again):  # type: ignore[no-untyped-def]
    for _ in range(600):
        if found := look_again():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")
