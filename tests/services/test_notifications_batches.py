"""Print batches over a real database, with the real press: what the shop gets, confirms, and has to print again."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from services.db import now, rfc3339
from services.dossier.contract import RecordOpened
from services.identity.contract import ActivationRefused
from services.notifications.contract import (
    LANGUAGES,
    LetterBatchNotFound,
    LetterInBatch,
    LetterNotFound,
    LetterSpent,
    NoLetters,
)
from services.notifications.desk import Outside
from services.notifications.ports.texts import catalogue
from services.refusals import InvalidInput, NotAllowed
from tests.builders import caller
from tests.services.identity_house import Front
from tests.services.test_letters import AGENT, Office, house, office

__all__ = ["house", "office"]


def ask(office: Office, method: str, who: Any = AGENT, **given: Any) -> Any:
    return office.house.ask("notifications", method, who, **given)


def printed(office: Office, count: int) -> list[str]:
    """Letters that lie printed, the one due first in front."""
    letters = [office.open(days_ago=count - turn) for turn in range(count)]
    assert office.print()
    return letters


def manifests(office: Office) -> list[Path]:
    return sorted(office.folder.glob("*.manifest.json"))


def codes_on(file: Path) -> list[str]:
    """Activation code and presence code on a letter."""
    lines = "\n".join(page.extract_text() for page in PdfReader(file).pages).splitlines()
    words = [catalogue(language)["letter"] for language in LANGUAGES]
    labels = tuple(each[label] for each in words for label in ("activation_code", "presence_code"))
    found = [line.rpartition(" ")[2] for line in lines if line.startswith(labels)]
    assert len(found) >= 2
    return found[:2]


def test_a_batch_holds_all_that_is_printed_with_pages_and_digest_of_each_file(office: Office) -> None:
    letters, waiting = printed(office, 3), office.open()
    manifest = ask(office, "make_letter_batch")
    assert [line["letter_id"] for line in manifest["letters"]] == letters
    assert [line["place"] for line in manifest["letters"]] == [1, 2, 3] and manifest["size"] == 3
    for line in manifest["letters"]:
        content = (office.folder / line["file"]).read_bytes()
        assert line["sha256"] == sha256(content).hexdigest()
        assert line["pages"] == len(PdfReader(office.folder / line["file"]).pages)
    [file] = manifests(office)
    assert json.loads(file.read_text()) == manifest and file.stat().st_mode & 0o777 == 0o600
    assert ask(office, "read_letter_batch", batch_id=manifest["batch_id"]) == manifest
    assert office.letters()[waiting].batch_id is None
    with pytest.raises(NoLetters):
        ask(office, "make_letter_batch")


def test_a_manifest_says_nothing_of_people_and_codes(office: Office) -> None:
    [letter_id] = printed(office, 1)
    told = json.dumps(ask(office, "make_letter_batch"))
    for secret in (*codes_on(office.folder / f"{letter_id}.pdf"), office.letters()[letter_id].recipient_id, "Weber"):
        assert secret not in told


def test_a_batch_is_as_large_as_wished_and_the_next_takes_the_rest(office: Office) -> None:
    letters = printed(office, 3)
    first, second = (ask(office, "make_letter_batch", limit=2) for _ in range(2))
    assert [[line["letter_id"] for line in one["letters"]] for one in (first, second)] == [letters[:2], letters[2:]]
    page = ask(office, "list_letter_batches", limit=1)
    assert [one["batch_id"] for one in page["batches"]] == [second["batch_id"]] == [page["next_cursor"]]
    rest = ask(office, "list_letter_batches", limit=1, cursor=page["next_cursor"])
    assert [one["batch_id"] for one in rest["batches"]] == [first["batch_id"]] and rest["next_cursor"] is None


def test_the_same_request_again_makes_no_second_batch(office: Office) -> None:
    printed(office, 2)
    again = replace(AGENT, context=replace(AGENT.context, idempotency_key="k"))
    first, second = (ask(office, "make_letter_batch", again, limit=1) for _ in range(2))
    assert first == second and len(manifests(office)) == 1


def test_a_confirmed_batch_leaves_no_file_and_no_code_behind(office: Office) -> None:
    letters = printed(office, 2)
    kept = office.open()
    batch = ask(office, "make_letter_batch")
    office.print()
    shown = ask(office, "confirm_letter_batch", batch_id=batch["batch_id"])
    assert shown["state"] == "confirmed" and shown["confirmed_at"] is not None
    assert office.files() == {kept} and manifests(office) == []
    assert {office.letters()[letter_id].state for letter_id in letters} == {"posted"}
    assert [one["letter_id"] for one in office.listed(state="posted")["letters"]] == letters[::-1]
    assert ask(office, "confirm_letter_batch", batch_id=batch["batch_id"]) == shown


def test_files_that_cannot_be_deleted_now_are_deleted_later(office: Office) -> None:
    [letter_id] = printed(office, 1)
    batch = ask(office, "make_letter_batch")
    (office.folder / f"{letter_id}.pdf").rename(office.folder / "aside")
    (office.folder / f"{letter_id}.pdf").mkdir()
    ask(office, "confirm_letter_batch", batch_id=batch["batch_id"])
    assert office.letters()[letter_id].state == "posted" and manifests(office) != []
    (office.folder / f"{letter_id}.pdf").rmdir()
    (office.folder / "aside").rename(office.folder / f"{letter_id}.pdf")
    office.house.notifications._work_files()  # type: ignore[attr-defined]
    assert office.files() == set() and manifests(office) == []


def test_killed_before_the_manifest_lay_there_it_is_laid_later(office: Office) -> None:
    printed(office, 1)
    office.house.notifications.outside = Outside.of(replace(office.settings, letters_folder="/proc/no-folder"))  # type: ignore[attr-defined]
    batch = ask(office, "make_letter_batch")
    assert manifests(office) == []
    office.house.notifications.outside = Outside.of(office.settings)  # type: ignore[attr-defined]
    office.house.notifications._work_files()  # type: ignore[attr-defined]
    assert json.loads(manifests(office)[0].read_text()) == batch


def test_a_letter_printed_again_has_new_codes_and_the_old_ones_open_nothing(office: Office) -> None:
    front = Front(office.house)
    who = front.patient()
    record_id = office.house.ask("dossier", "open_record", AGENT, patient_id=who.patient_id)["record_id"]
    letter_id = office.hear("dossier", RecordOpened(record_id, str(who.patient_id), rfc3339(now())))
    office.print()
    file = office.folder / f"{letter_id}.pdf"
    old = codes_on(file)
    batch = ask(office, "make_letter_batch")
    with pytest.raises(LetterInBatch):
        ask(office, "reprint_letter", letter_id=letter_id)
    ask(office, "confirm_letter_batch", batch_id=batch["batch_id"])
    shown = ask(office, "reprint_letter", letter_id=letter_id)
    assert (shown["letter_id"], shown["state"], shown["printed_at"]) == (letter_id, "waiting", None)
    office.print()
    new = codes_on(file)
    assert not set(old) & set(new)
    with pytest.raises(ActivationRefused):
        front.ask("start_activation", who.at(), matricule=who.matricule, activation_code=old[0])
    assert front.ask("start_activation", who.at(), matricule=who.matricule, activation_code=new[0])["activation_token"]
    again = ask(office, "make_letter_batch")
    assert [line["letter_id"] for line in again["letters"]] == [letter_id]
    assert ask(office, "read_letter_batch", batch_id=batch["batch_id"])["letters"] == []


def test_a_letter_that_was_used_is_not_printed_again(office: Office) -> None:
    front = Front(office.house)
    who = front.activate(front.patient())
    record_id = office.house.ask("dossier", "open_record", AGENT, patient_id=who.patient_id)["record_id"]
    letter_id = office.hear("dossier", RecordOpened(record_id, str(who.patient_id), rfc3339(now())))
    assert ask(office, "reprint_letter", letter_id=letter_id)["state"] == "waiting", "it is printed anyway"
    office.print()
    with pytest.raises(LetterSpent):
        ask(office, "reprint_letter", letter_id=letter_id)
    assert office.letters()[letter_id].state == "printed"


@pytest.mark.parametrize(("method", "given", "refusal"), [
    ("read_letter_batch", {"batch_id": "00000000-0000-7000-8000-000000000001"}, LetterBatchNotFound),
    ("read_letter_batch", {"batch_id": "x"}, LetterBatchNotFound),
    ("confirm_letter_batch", {"batch_id": "00000000-0000-7000-8000-000000000001"}, LetterBatchNotFound),
    ("reprint_letter", {"letter_id": "00000000-0000-7000-8000-000000000001"}, LetterNotFound),
    ("make_letter_batch", {"limit": 0}, InvalidInput),
    ("make_letter_batch", {"limit": True}, InvalidInput),
    ("list_letter_batches", {"cursor": "x"}, InvalidInput),
])  # fmt: skip
def test_what_is_not_there_is_said_so(office: Office, method: str, given: Any, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        ask(office, method, **given)


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
@pytest.mark.parametrize(("method", "given", "action"), [
    ("make_letter_batch", {}, "letter.batched"), ("list_letter_batches", {}, "letter.searched"),
    ("read_letter_batch", {"batch_id": "b"}, "letter.searched"),
    ("confirm_letter_batch", {"batch_id": "b"}, "letter.posted"),
    ("reprint_letter", {"letter_id": "l"}, "letter.reprinted"),
])  # fmt: skip
def test_nobody_else_has_to_do_with_batches_and_the_try_is_traced(
    office: Office, capacity: str, method: str, given: Any, action: str
) -> None:
    with pytest.raises(NotAllowed):
        ask(office, method, caller(capacity), **given)
    [trace] = office.told("notifications", action)
    assert trace["outcome"] == "refused"


def test_each_answered_request_leaves_one_trace(office: Office) -> None:
    [letter_id] = printed(office, 1)
    batch = ask(office, "make_letter_batch")["batch_id"]
    ask(office, "read_letter_batch", batch_id=batch)
    ask(office, "confirm_letter_batch", batch_id=batch)
    ask(office, "reprint_letter", letter_id=letter_id)
    for action, named in (("letter.batched", batch), ("letter.searched", batch), ("letter.posted", batch),
                          ("letter.reprinted", letter_id)):  # fmt: skip
        [trace] = office.told("notifications", action)
        assert (trace["outcome"], trace["object_id"]) == ("allowed", named)
