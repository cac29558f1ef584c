"""The health fund's list of referring physicians, written over line by line [RGD 9(4)]."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import new_id, now, once, remember
from services.dossier import contract, rules, rules_referring, store_referring
from services.dossier.answers import invalid, refused
from services.dossier.rules_referring import Designation, Told, Transcript
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class ReferringFeed(Service):
    """The entrypoint of the health fund's list."""

    @rpc
    def transcribe_referring_physicians(
        self, caller: Caller, *, lines: list[dict[str, Any]]
    ) -> dict[str, Any] | Refusal:  # fmt: skip
        """Writes over lines of the health fund's list; each is answered for itself, the same line again is unchanged.

        A line: record_id or patient_id, professional_id, effective_on (the 1st of a month), ended_on (the day from
        whose beginning on it is over), or one of the two. Whoever was the referring physician before ends with it.
        Agents alone: software of the health fund has no scope that no other software could be given.
        Refuses: NotAllowed (agents only), InvalidInput. [RGD 9(4)]
        """
        if not isinstance(lines, list) or not 1 <= len(lines) <= contract.FEED_LINES:
            raise invalid("/lines", "length")
        if not all(isinstance(line, Mapping) for line in lines):
            raise invalid("/lines", "object")
        at = now()
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return refused(session, caller, "referring.transcribed", at, None, NotAllowed())
            answered: dict[str, Any] | None = once(session, caller, "transcribe_referring_physicians", lines)
            if answered is not None:
                return answered
            done = _transcribe(session, lines, at)
            emit(session, traced(caller, "referring.transcribed", at=at, count=len(lines)))
            answer = {"lines": [{"line": n, "outcome": each.outcome, "reason": each.reason}
                                for n, each in enumerate(done, 1)]}  # fmt: skip
            return remember(session, caller, "transcribe_referring_physicians", lines, answer)  # type: ignore[no-any-return]


def _transcribe(session: Session, lines: list[dict[str, Any]], at: datetime) -> list[Transcript]:
    """Every line in its order, in a handful of statements: what is known is read once, what changed is written once."""
    named = [tuple(rules.id_of(line[key]) if line.get(key) else None for key in ("record_id", "patient_id"))
             for line in lines]  # fmt: skip
    records = store_referring.records_told(session, [(record_id, patient_id) for record_id, patient_id in named])
    professions = store_referring.professions(session, [rules.id_of(line.get("professional_id")) for line in lines])
    before = store_referring.designations_of(session, [record.record_id for record in records if record is not None])
    after = {record_id: list(known) for record_id, known in before.items()}
    done = []
    for line, record in zip(lines, records, strict=True):
        told = rules_referring.told_by(line)
        reason = told if isinstance(told, str) else _fault(record, told, professions)
        if reason is not None or isinstance(told, str):
            done.append(Transcript("refused", reason))
            continue
        assert record is not None
        done.append(_fit(after, record.record_id, told, at))
    store_referring.write_told(session, before, after)
    return done


def _fault(record: Any | None, told: Told, professions: dict[str, str]) -> str | None:
    """The code of why a line cannot be written over, in the words of the refusals."""
    if record is None:
        return contract.RecordNotFound.code
    if record.state == "closed":
        return contract.RecordClosed.code
    if told.professional_id not in professions:
        return contract.ProfessionalNotFound.code
    physician = rules_referring.is_physician(professions[told.professional_id])
    return None if physician else contract.NotAPhysician.code


def _fit(after: dict[str, list[Designation]], record_id: str, told: Told, at: datetime) -> Transcript:
    done = rules_referring.transcribe(after[record_id], told, new_id(), at)
    after[record_id] = rules_referring.apply(after[record_id], done, at)
    return done
