"""What several ask for at the same moment, done once for all of them.

Who comes while nobody is at work goes at once. Who comes meanwhile gathers, and goes with all the others when that work
is done: the busier it is, the more go together. In a crowd, where several went together a moment ago, whoever goes next
takes a breath before, for those who are about to come. It knows threads only, which are greenlets in a service.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Any

LONGEST = 0.05  # seconds that anybody gathers behind work that is being done
BREATH = 0.015
"""Seconds. Measured with eight who deposit: three or four go together and not two, and a tenth more are through."""
CROWD = 0.25  # seconds after several went together
Work = Callable[[list[Any]], list[Any]]

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Place:
    """Somebody who waits. turn: that there is no need to any more. done: by whoever took them along."""

    asked: Any
    turn: Event = field(default_factory=Event)
    done: Event = field(default_factory=Event)
    told: list[Any] = field(default_factory=list)


class Together:
    """Where those of one process gather who ask for the same work."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[_Place] = []
        self._at_work = 0
        self._crowded_until = 0.0

    def __call__(self, asked: Any, work: Work) -> Any:
        """What `work` makes of what is asked here; it begins after this was asked, never before.

        work: the same of all who come here; of what several asked it makes as many answers, in that order. Where it
        raises for several, each has it done again for themselves alone, and what it raises then is theirs.
        """
        place = _Place(asked)
        in_time = self._is_first(place) or place.turn.wait(LONGEST)
        if in_time and monotonic() < self._crowded_until and not place.done.is_set():
            sleep(BREATH)
        if group := self._taken_along(place):
            self._do(group, work)
        else:
            place.done.wait()
        return place.told[0] if place.told else work([asked])[0]

    def _is_first(self, place: _Place) -> bool:
        with self._lock:
            self._waiting.append(place)
            return len(self._waiting) == 1 and not self._at_work

    def _taken_along(self, place: _Place) -> list[_Place]:
        """Those for whom this one does it, itself among them; none where somebody else does it for them all."""
        with self._lock:
            if place not in self._waiting:
                return []
            group, self._waiting = self._waiting, []
            self._at_work += 1
            if len(group) > 1:
                self._crowded_until = monotonic() + CROWD
            return group

    def _do(self, group: list[_Place], work: Work) -> None:
        try:
            for each, answer in list(zip(group, work([each.asked for each in group]), strict=True)):
                each.told.append(answer)
        except Exception as broken:
            if len(group) == 1:
                raise
            log.info("done one by one", extra={"kind": type(broken).__name__, "count": len(group)})
        finally:
            self._leave()
            for each in group:
                each.done.set()
                each.turn.set()

    def _leave(self) -> None:
        with self._lock:
            self._at_work -= 1
            if self._waiting and not self._at_work:
                self._waiting[0].turn.set()


def side_by_side(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each of several gives, all done at the same time; of those that raise, what the first one raised."""
    told: list[Any] = [None] * len(works)
    raised: list[BaseException | None] = [None] * len(works)

    def do(number: int) -> None:
        try:
            told[number] = works[number]()
        except BaseException as broken:
            raised[number] = broken

    others = [Thread(target=do, args=(number,)) for number in range(1, len(works))]
    for each in others:
        each.start()
    do(0)
    for each in others:
        each.join()
    for broken in raised:
        if broken is not None:
            raise broken
    return told
