"""Who may export a record that its holder cannot export any more, and what is in that export."""

from __future__ import annotations

from services.dossier.contract import PRIVACY_OFFICER, PROFESSIONS, AccessScope, RecordNotFound
from services.dossier.rules_life import Life
from services.dossier.rules_tables import Tables
from services.refusals import NotAllowed


def require_officer(life: Life | None, role: str | None) -> NotAllowed | RecordNotFound | None:
    """The refusal for an agent who may not export this record for entitled relatives: only an officer of the agency
    may, and only after the holder's death [domain, Life of a record]."""
    if role != PRIVACY_OFFICER:
        return NotAllowed()
    if life is None or life.state != "closed" or life.closed_for != "death":
        return RecordNotFound()
    return None


def scope_of_relatives(tables: Tables, life: Life) -> AccessScope:
    """All that the holder read, under the officer's own rule; what was hidden from the holder side stays hidden."""
    return AccessScope(
        record_id=life.record_id,
        patient_id=life.patient_id,
        state=life.state,
        holder_side=True,
        may_see_blocked=False,
        author_id=None,
        clauses=tuple(clause for _, clause in tables.clauses["holder", PROFESSIONS[0], True]),
    )
