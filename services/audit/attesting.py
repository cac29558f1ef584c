"""The notary's answer to what a history consists of: looked up in the database, held against what it knows itself.

It refuses where the leaves of a record are not those it noted, where a leaf is not that of its entry, and where the
table of hidden documents says otherwise than the entries about their hiding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from sqlalchemy.orm import Session

from services.audit import store_attestations
from services.audit.models_log import Attestation
from services.audit.ports.notebook import Chain
from services.audit.ports.signing import SigningKey
from services.audit.rules_attesting import Hidings, Shown, disputed
from services.audit.rules_heads import NO_CHAIN, Head, chained, history_text
from services.audit.rules_lines import leaf_hash, line
from services.db import now

PATIENCE = timedelta(seconds=3)
"""How long news of a hidden document and the trace of its hiding may be apart."""

log = logging.getLogger(__name__)

Chains = Callable[[Collection[str]], Mapping[str, Chain]]


def answer(
    session: Session, question: Attestation, head: Head | None, chains: Chains, key: SigningKey
) -> bool:  # fmt: skip
    """Answers a question as of a head of the log; False when it has to wait.

    chains: what the notary knows of records.
    """
    at = now()
    shown: list[bytes] | str = "no_head" if head is None else _shown(session, question, chains)
    if isinstance(shown, str):
        if shown == "hidden_without_trace" and at - question.asked_at < PATIENCE:
            return False
        log.critical("history not attested", extra={"code": shown, "record_id": ",".join(question.record_ids)})
        store_attestations.answer(session, question.attestation_id, at, refused=shown)
        return True
    assert head is not None
    statement = history_text(question.record_ids, shown, head, at)
    signature = key.sign(statement.encode())
    store_attestations.answer(
        session, question.attestation_id, at, statement=statement, key_id=key.id, signature=signature
    )
    return True


def _shown(session: Session, question: Attestation, chains: Chains) -> list[bytes] | str:
    """The leaves that may be shown, in the order of the log; or why nothing can be said."""
    hidings, entries = Hidings(), []
    found: dict[str, Chain] = {}
    for row in store_attestations.leaves_of(session, question.record_ids, question.without):
        leaf, of_record = bytes(row["hash"]), row["of_record"]
        if row["trace_id"] is None:
            return "contents_missing"
        if row["record_id"] != of_record or leaf_hash(line(row)) != leaf:
            return "other_entry"
        count, chain = found.get(of_record, (0, NO_CHAIN))
        found[of_record] = (count + 1, chained(chain, (leaf,)))
        entries.append((leaf, row["object_id"], bool(row["left_out"])))
        hidings.note(row["action"], row["outcome"], row["object_id"], row["at"])
    if found != chains(question.record_ids):
        return "entries_missing"
    if _settled(session, entries, hidings, question.without):
        return [leaf for leaf, _, left_out in entries if not left_out]
    return "hidden_without_trace"


def _settled(session: Session, entries: list[Shown], hidings: Hidings, without: Collection[str]) -> bool:
    """Whether the table and the entries agree on what is hidden; entries that lie in another record count too."""
    open_to_doubt = disputed(entries, hidings, without)
    if open_to_doubt:
        for hiding in store_attestations.hidings_of(session, open_to_doubt):
            hidings.note(hiding.action, hiding.outcome, hiding.object_id, hiding.at)
    return not disputed(entries, hidings, without)
