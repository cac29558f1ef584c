"""What several ask for at the same moment, done once for all of them: who goes with whom, and what befalls each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from services.bus import together
from services.bus.together import Together, side_by_side
from tests.services.ward import at_once


class Doubling:
    """Work that doubles what it is given, and remembers who came together."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    def __call__(self, several: list[int]) -> list[int]:
        self.groups.append(list(several))
        return [2 * each for each in several]


class Busy:
    """A gathering at which somebody works until they are told to stop."""

    def __init__(self) -> None:
        self.line, self.go = Together(), threading.Event()
        self.threads: list[threading.Thread] = []
        self.told: dict[Any, Any] = {}
        began = threading.Event()
        self._spawn("busy", None, lambda _: [began.set() or self.go.wait(20)])  # type: ignore[func-returns-value]
        assert began.wait(5)

    def comes(self, asked: int, work: Callable[[list[int]], list[Any]]) -> None:
        """One more waits, behind all who came before."""
        waiting = self.waiting()
        self._spawn(asked, asked, work)
        while self.waiting() == waiting:
            time.sleep(0.001)

    def waiting(self) -> int:
        return len(self.line._waiting)

    def ends(self) -> dict[Any, Any]:
        """What each was told, or raised, once all are through."""
        self.go.set()
        for thread in self.threads:
            thread.join(20)
        assert not self.line._waiting and not self.line._at_work
        return {who: told for who, told in self.told.items() if who != "busy"}

    def _spawn(self, who: Any, asked: Any, work: Callable[[Any], Any]) -> None:
        def run() -> None:
            try:
                self.told[who] = self.line(asked, work)
            except BaseException as broken:
                self.told[who] = broken

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, nobody tires of gathering."""
    monkeypatch.setattr(together, "LONGEST", 20.0)


@pytest.fixture
def busy(patient: None) -> Iterator[Busy]:
    made = Busy()
    yield made
    made.go.set()


def test_who_comes_alone_goes_at_once_and_alone() -> None:
    line, work = Together(), Doubling()
    assert [line(number, work) for number in (1, 2)] == [2, 4]
    assert work.groups == [[1], [2]]


def test_those_who_come_meanwhile_go_together_and_each_is_told_theirs(busy: Busy) -> None:
    work = Doubling()
    for number in (1, 2, 3):
        busy.comes(number, work)
    assert work.groups == [], "not before the work before is done"
    assert busy.ends() == {1: 2, 2: 4, 3: 6} and work.groups == [[1, 2, 3]]


def test_what_is_done_begins_after_the_last_of_them_asked(busy: Busy) -> None:
    asked: list[float] = []
    for number in (1, 2):
        busy.comes(number, lambda several: [time.monotonic()] * len(several))
        asked.append(time.monotonic())
    assert all(begun > max(asked) for begun in busy.ends().values())


def test_work_that_hangs_holds_up_nobody_for_longer_than_they_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LONGEST", 0.2)
    hanging, work = Busy(), Doubling()
    began = time.monotonic()
    hanging.comes(1, work)
    hanging.comes(2, work)
    while len(hanging.told) < 2:
        assert time.monotonic() - began < 5, "they wait for what hangs"
        time.sleep(0.01)
    assert time.monotonic() - began >= 0.2 and work.groups == [[1, 2]] and not hanging.go.is_set()
    assert hanging.ends() == {1: 2, 2: 4}


def test_in_a_crowd_whoever_goes_next_takes_a_breath_for_those_about_to_come(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaths, late, work, at = [], [], Doubling(), [0.0]

    def breathe(seconds: float) -> None:
        breaths.append(seconds)
        if len(breaths) == 1:
            late.append(threading.Thread(target=lambda: late.append(busy.line(7, work))))
            late[0].start()
            while busy.waiting() != 2:
                time.sleep(0.001)

    monkeypatch.setattr(together, "sleep", breathe)
    monkeypatch.setattr(together, "monotonic", lambda: at[0])
    for number in (1, 2):
        busy.comes(number, work)
    assert busy.ends() == {1: 2, 2: 4} and not breaths, "so far it was no crowd"
    at[0] += together.CROWD / 2
    assert busy.line(3, work) == 6
    late[0].join()
    assert work.groups == [[1, 2], [3, 7]] and late[1] == 14 and breaths == [together.BREATH]
    at[0] += together.CROWD / 2
    assert busy.line(4, work) == 8 and work.groups[-1] == [4] and len(breaths) == 2, "nobody came"
    at[0] += together.CROWD / 2 + 0.01
    assert busy.line(5, work) == 10 and len(breaths) == 2, "the crowd has gone"


def test_what_fails_for_several_is_done_for_each_alone_and_fails_for_whom_it_must(busy: Busy) -> None:
    done = Doubling()

    def work(several: list[int]) -> list[int]:
        if 2 in several:
            raise ValueError(len(several))
        return done(several)

    for number in (1, 2, 3):
        busy.comes(number, work)
    told = busy.ends()
    assert told.pop(2).args == (1,), "what it raised for the second alone"
    assert told == {1: 2, 3: 6} and sorted(done.groups) == [[1], [3]]


@pytest.mark.parametrize("told", [[], [1], [1, 2, 3]])
def test_an_answer_for_each_or_each_alone(busy: Busy, told: list[int]) -> None:
    def work(several: list[int]) -> list[int]:
        return told if len(several) > 1 else [several[0] * 10]

    for number in (1, 2):
        busy.comes(number, work)
    assert busy.ends() == {1: 10, 2: 20}


def test_what_fails_for_one_alone_is_not_tried_again() -> None:
    tried = []

    def work(several: list[int]) -> list[int]:
        tried.append(several)
        raise ValueError

    line = Together()
    with pytest.raises(ValueError):
        line(1, work)
    assert tried == [[1]]


def test_who_is_stopped_in_the_middle_leaves_the_others_to_do_it_alone(busy: Busy) -> None:
    class Stopped(BaseException):
        """As a green thread is ended."""

    def work(several: list[int]) -> list[int]:
        if len(several) > 1:
            raise Stopped
        return [each * 10 for each in several]

    for number in (1, 2, 3):
        busy.comes(number, work)
    told = busy.ends()
    assert isinstance(told.pop(1), Stopped), "it led the others"
    assert told == {2: 20, 3: 30}


def test_a_crowd_is_told_right_whoever_goes_with_whom() -> None:
    line, work = Together(), Doubling()
    told = at_once(12, lambda number: [line(number * 100 + each, work) for each in range(100)])
    assert told == [[2 * (number * 100 + each) for each in range(100)] for number in range(12)]
    assert sorted(each for group in work.groups for each in group) == sorted(
        number * 100 + each for number in range(12) for each in range(100)
    )


def test_work_side_by_side_is_done_at_the_same_time_and_answers_in_order() -> None:
    met = threading.Barrier(3, timeout=10)

    def work(number: int) -> int:
        met.wait()
        return number

    assert side_by_side([partial(work, number) for number in range(3)]) == [0, 1, 2]
    assert side_by_side([lambda: 5]) == [5]


@pytest.mark.parametrize("failing", [{0}, {1}, {1, 2}, {0, 1, 2}])
def test_what_fails_side_by_side_is_raised_after_all_are_done(failing: set[int]) -> None:
    done = []

    def work(number: int) -> None:
        time.sleep(0.01 * (3 - number))
        done.append(number)
        if number in failing:
            raise ValueError(number)

    with pytest.raises(ValueError) as broken:
        side_by_side([partial(work, number) for number in range(3)])
    assert broken.value.args == (min(failing),) and sorted(done) == [0, 1, 2]
