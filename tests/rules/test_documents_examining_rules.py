"""What comes out of the sandbox is findings or nothing, and how an examiner ends says what its file is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.documents.contract import REJECTIONS
from services.documents.rules_examining import MEMORY, WALL, due_again, from_wire, rejection_of_end, to_wire
from services.documents.rules_findings import TEXT_LENGTH, Entry, Findings, Image, Line, Reference, Rendition

FULL = Findings(
    text="Compte rendu",
    renditions=(Rendition("thumbnail", "image/jpeg", b"one"), Rendition("page", "image/jpeg", b"", 2)),
    lines=(Line("Amoxicilline", "20", "cp"), Line("Repos")),
    entries=(Entry("allergy", "Pénicilline", "91936005", "2.16", "2020-01-01"),),
    image=Image("1.2", "1.3", "1.4", "1.5", "1.6", {"00100020": {"vr": "LO", "Value": ["x"]}}, ((0, 10), (10, 20))),
    references=(Reference("1.2", "1.3", "1.4", "1.5"),),
    valid_until="2027-01-01",
    noted={"a": [1, 2]},
)  # fmt: skip


def over_the_pipe(findings: Findings) -> Findings:
    told, beside = to_wire(findings)
    return from_wire(json.loads(json.dumps(told)), beside)


@pytest.mark.parametrize("findings", [FULL, Findings(), *(Findings(rejection=code) for code in REJECTIONS)])
def test_findings_pass_the_pipe_unchanged(findings: Findings) -> None:
    assert over_the_pipe(findings) == findings


@given(st.text(alphabet=st.characters(exclude_characters="\0"), max_size=200), st.lists(st.binary(max_size=64)))
def test_any_text_and_any_pictures_pass(text: str, pictures: list[bytes]) -> None:
    made = Findings(text=text, renditions=tuple(Rendition("page", "image/png", each) for each in pictures))
    if text.isprintable():
        assert over_the_pipe(made) == made


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=12), inside, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.sampled_from(sorted(vars(FULL))), _JSON)
def test_any_value_in_any_field_is_findings_or_refused(name: str, value: Any) -> None:
    told, beside = to_wire(FULL)
    try:
        found = from_wire({**told, name: value}, beside)
    except (ValueError, TypeError):
        return
    assert isinstance(found, Findings)
    assert over_the_pipe(found) == found


@pytest.mark.parametrize("told", [None, [], "x", 1, {}, {"text": "x"}])
def test_what_is_no_findings_at_all_is_refused(told: Any) -> None:
    with pytest.raises(ValueError):
        from_wire(told, [])


@pytest.mark.parametrize("change", [
    {"rejection": "nothing known"}, {"text": "x" * (TEXT_LENGTH + 1)}, {"text": "a\0b"},
    {"renditions": (Rendition("script", "text/html", b""),)},
    {"renditions": (Rendition("page", "image/png", b"", -1),)},
])  # fmt: skip
def test_findings_that_nobody_may_have_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        over_the_pipe(replace(FULL, **change))


@pytest.mark.parametrize("number", [-1, 2, True, "0", 0.0, None])
def test_bytes_that_do_not_lie_beside_are_refused(number: Any) -> None:
    told, beside = to_wire(FULL)
    told["renditions"][0]["data"] = number
    with pytest.raises(ValueError):
        from_wire(told, beside)


@pytest.mark.parametrize(("signal", "memory", "seconds", "code"), [
    (24, 0, 30, "too_slow"), (14, 0, 60, "too_slow"), (9, 0, WALL + 1, "too_slow"), (9, 0, 1, "too_large_inside"),
    (6, MEMORY, 1, "too_large_inside"), (11, MEMORY - 1, 1, "too_large_inside"), (11, 10_000_000, 1, "broken"),
    (0, 0, 1, "broken"),
])  # fmt: skip
def test_how_an_examiner_ends_says_what_its_file_is(signal: int, memory: int, seconds: float, code: str) -> None:
    assert rejection_of_end(signal, memory, seconds) == code


def test_what_the_world_let_fail_is_tried_again_ever_later_and_at_least_once_a_minute() -> None:
    waits = [due_again(tries) for tries in range(1, 12)]
    assert waits == sorted(waits) and waits[0] < timedelta(seconds=5) and waits[-1] == timedelta(seconds=60)
