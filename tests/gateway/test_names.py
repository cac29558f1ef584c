"""Names are asked for once a minute, in one question, and never invented."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import names


class Directory:
    """What directory was asked, and what it knows; stands at the end of the gateway's own question."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.up = True

    def __call__(self, service: str, method: str, **asked: Any) -> Any:
        assert (service, method) == ("directory", "names")
        self.asked.append(asked)
        known = {"a": "WEBER Anne", "b": "THILL Jil"}
        told = {one: known[one] for one in asked["patient_ids"] if one in known}
        return {"patients": told, "professionals": {}, "establishments": {}} if self.up else None


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Directory:
    made = Directory()
    monkeypatch.setattr(names, "ask_if_possible", made)
    return made


def of(book: names.NameBook, *ids: str) -> dict[str, Any]:
    return book.of({"patients": list(ids), "professionals": [], "establishments": []})["patients"]


def test_a_name_is_asked_for_once(directory: Directory) -> None:
    book = names.NameBook()
    assert of(book, "a") == of(book, "a") == {"a": "WEBER Anne"}
    assert len(directory.asked) == 1


def test_only_what_is_missing_is_asked_for(directory: Directory) -> None:
    book = names.NameBook()
    of(book, "a")
    assert of(book, "a", "b") == {"a": "WEBER Anne", "b": "THILL Jil"}
    assert directory.asked[-1]["patient_ids"] == ["b"]


def test_nobody_is_remembered_as_unknown(directory: Directory) -> None:
    book = names.NameBook()
    assert of(book, "x") == of(book, "x") == {}
    assert len(directory.asked) == 2


def test_without_directory_there_is_no_name_and_it_is_asked_again(directory: Directory) -> None:
    book = names.NameBook()
    directory.up = False
    assert of(book, "a") == {}
    directory.up = True
    assert of(book, "a") == {"a": "WEBER Anne"}


def test_after_its_minute_a_name_is_asked_for_again(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    book = names.NameBook()
    of(book, "a")
    later = names.time.monotonic() + names.KEPT + 1
    monkeypatch.setattr(names.time, "monotonic", lambda: later)
    of(book, "a")
    assert len(directory.asked) == 2


def test_the_book_does_not_grow_without_end(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "ROOM", 1)
    book = names.NameBook()
    of(book, "a")
    of(book, "b")
    assert len(book._names) == 1
