"""A load from its beginning, or from where it was broken off, to its end.

Each step of some two thousand lines is one transaction: the rows, their history, the events, the counts and the place
in the file together. Killed at any moment, the next start with the same file goes on behind the last step committed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit
from services.db import Sessions, now
from services.directory import store_load
from services.directory.load_care import load_establishments, load_professionals
from services.directory.load_crew import Crew, Read
from services.directory.load_patients import Step, load_patients
from services.directory.ports.load_files import Chunk, Report, Source
from services.directory.rules_load import Good, Refused, Seen
from services.directory.store_load import Counts, Overtaken, Progress

TRIES: Final = 3
"""How often a step is done again as it is before it is halved; a single line is done again until it is in."""

_WRITTEN: Final[Mapping[str, Callable[[Session, Sequence[Good], str, datetime, Progress], Step]]] = {
    "patients": load_patients, "professionals": load_professionals, "establishments": load_establishments,
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is to be loaded. start: where in the file its people begin, and which line that is. named: the software."""

    kind: str
    form: str
    digest: bytes
    opens_records: bool
    start: tuple[int, int]
    named: str


class Loading:
    """One run of a load. watch: called with how far it is, after each step."""

    def __init__(
        self, sessions: Sessions, asked: Asked, source: Source, report: Report, watch: Callable[[Progress], None]
    ) -> None:  # fmt: skip
        self._sessions, self._asked, self._source, self._report = sessions, asked, source, report
        self._watch = watch
        self._seen = Seen()
        self._at = now()
        self.state: Progress | None = None

    def find(self) -> Progress | None:
        """How far this file is already, if it is; one loaded without opening records is another load with it."""
        with self._sessions.transaction() as session:
            found = store_load.find(session, self._asked.kind, self._asked.digest)
        return found if found is not None and found.opens_records == self._asked.opens_records else None

    def begin(self, roles_refused: Sequence[Refused]) -> None:
        """From the first line on, whatever was loaded of this file before."""
        self._report.begin()
        self._report.write(roles_refused)
        asked = self._asked
        position, line = asked.start
        with self._sessions.transaction() as session:
            self.state = store_load.begin(
                session, asked.kind, asked.form, asked.digest, asked.opens_records, position, line, now()
            )

    def go_on(self, found: Progress, crew: Crew) -> None:
        """From where it was broken off; who stands before that is read again, not written."""
        self.state = found
        self._report.go_on(found.lines)
        for _, (good, _) in crew.read(self._chunks(*self._asked.start, until=found.position)):
            for line in good:
                self._seen.is_new(line.identifier)
        with self._sessions.transaction() as session:
            self._trace(session, "resumed", found.lines)

    def run(self, crew: Crew) -> Progress:
        """Reads and writes what is left.

        Refuses: Broken when the database does not take it; what was committed stays, and the same command goes on.
        """
        assert self.state is not None
        for chunk, (good, refused) in crew.read(self._chunks(self.state.position, self.state.lines)):
            self._at = now()
            self._write(chunk, *self._each_once(good, refused), chunk.last)
        with self._sessions.transaction() as session:
            self._reach(session, replace(self.state, finished_at=now()))
            self._trace(session, None, sum(vars(self.state.counts).values()))
        self._report.close()
        return self.state

    def _chunks(self, position: int, lines: int, until: int | None = None) -> Iterator[Chunk]:
        return self._source.chunks(position, lines + 1, until)

    def _each_once(self, good: Sequence[Good], refused: Sequence[Refused]) -> Read:
        """Somebody's second line is refused, whether it says the same or not: a file says each person once."""
        first = [self._seen.is_new(line.identifier) for line in good]
        again = [
            Refused(line.number, (("", "duplicate_line"),)) for line, new in zip(good, first, strict=True) if not new
        ]
        return [line for line, new in zip(good, first, strict=True) if new], [*refused, *again]

    def _write(self, chunk: Chunk, good: Sequence[Good], refused: Sequence[Refused], last: int) -> None:
        """Commits the lines up to `last`; smaller steps when others register the same people at this moment."""
        tries = 0
        while True:
            mark = self._report.mark()
            try:
                self._step(good, refused, chunk.end_of(last), last)
                return
            except Overtaken:
                self._report.back_to(mark)
                tries += 1
            except BaseException:
                self._report.back_to(mark)
                raise
            if tries >= TRIES and len(good) > 1:
                break
        half = len(good) // 2
        middle = good[half].number - 1
        self._write(chunk, good[:half], [line for line in refused if line.number <= middle], middle)
        self._write(chunk, good[half:], [line for line in refused if line.number > middle], last)

    def _step(self, good: Sequence[Good], refused: Sequence[Refused], position: int, last: int) -> None:
        before = self.state
        assert before is not None
        with store_load.conflicts(), self._sessions.transaction() as session:
            step = _WRITTEN[self._asked.kind](session, good, self._asked.named, self._at, before) if good else Step()
            counts = before.counts + step.counts + Counts(refused=len(refused))
            self._report.write(sorted([*refused, *step.refused]))
            after = replace(before, position=position, lines=last, counts=counts)
            store_load.advance(session, before, after)
        self.state = after
        self._watch(after)

    def _reach(self, session: Session, after: Progress) -> None:
        assert self.state is not None
        store_load.advance(session, self.state, after)
        self.state = after

    def _trace(self, session: Session, what: str | None, lines: int) -> None:
        assert self.state is not None
        load_id = self.state.load_id
        emit(session, traced(
            None, "directory.loaded", at=now(), object_id=load_id, object_type=self._asked.kind, count=lines,
            purpose=what,
        ))  # fmt: skip
