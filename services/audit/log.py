"""The log as anybody may ask for it: heads, keys and proofs. It tells hashes and sizes, so nobody has to say who asks,
and nothing is traced: a monitor that looks every second must not be most of what it looks at."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules_log, store_log
from services.audit.contract_log import (
    ConsistencyProof,
    InclusionProof,
    LeafNotFound,
    LogKeys,
    TreeHead,
    TreeHeadNotFound,
    TreeHeads,
)
from services.audit.rules_heads import Head, base64
from services.audit.rules_tree import Span, consistency_spans, inclusion_spans, kept_places, root_of
from services.bus import Service, rpc_public
from services.refusals import Refusal
from services.tokens import Context


class PublicLog(Service):
    """The entrypoints of the log."""

    @rpc_public
    def tree_heads(self, context: Context, *, limit: int = 50, cursor: str | None = None) -> TreeHeads:
        """Gives the signed heads of the log, the newest first, a page at a time.

        Refuses: InvalidInput (limit, cursor) [RFC 9162 4.10].
        """
        most, below = rules_log.require_heads_page(limit, cursor)
        with self.db.transaction() as session:
            heads = store_log.heads_before(session, below, most + 1)
        more = len(heads) > most
        return {
            "heads": [_shown(head) for head in heads[:most]],
            "next_cursor": str(heads[most - 1].size) if more else None,
        }

    @rpc_public
    def latest_tree_head(self, context: Context) -> TreeHead | Refusal:
        """Gives the newest signed head.

        Refuses: TreeHeadNotFound before the first.
        """
        with self.db.transaction() as session:
            head = store_log.newest_head(session)
        return TreeHeadNotFound() if head is None else _shown(head)

    @rpc_public
    def log_keys(self, context: Context) -> LogKeys:
        """Gives the public keys that heads are signed with, in the order they came to sign."""
        with self.db.transaction() as session:
            return {"keys": [_key(key.as_line()) for key in store_log.keys(session)]}

    @rpc_public
    def inclusion_proof(self, context: Context, *, leaf: str, size: int | None = None) -> InclusionProof | Refusal:
        """Gives the place of a leaf in the log, and what shows it against a head: that of `size`, or the newest.

        leaf: its hash, as 64 hexadecimal digits.
        Refuses: LeafNotFound, TreeHeadNotFound, InvalidInput (leaf, size) [RFC 9162 2.1.3].
        """
        asked = rules_log.require_leaf(leaf)
        wanted = None if size is None else rules_log.require_size(size, "size")
        with self.db.transaction() as session:
            head = _head(session, wanted)
            if head is None:
                return TreeHeadNotFound()
            position = store_log.position_of(session, asked)
            if position is None or position >= head.size:
                return LeafNotFound()
            path = _path(session, inclusion_spans(position, head.size))
            return {"position": position, "head": _shown(head), "path": path}

    @rpc_public
    def consistency_proof(
        self, context: Context, *, first: int, second: int | None = None
    ) -> ConsistencyProof | Refusal:  # fmt: skip
        """Gives what shows that the log of the second head, or of the newest, grew out of that of the first.

        Refuses: TreeHeadNotFound, InvalidInput (first, second; the second before the first) [RFC 9162 2.1.4].
        """
        wanted = None if second is None else rules_log.require_size(second, "second")
        begins = rules_log.require_size(first, "first")
        with self.db.transaction() as session:
            old, new = _head(session, begins), _head(session, wanted)
            if old is None or new is None:
                return TreeHeadNotFound()
            if new.size < old.size:
                raise rules_log.backwards()
            path = _path(session, consistency_spans(old.size, new.size))
            return {"first": _shown(old), "second": _shown(new), "path": path}


def _head(session: Session, size: int | None) -> Head | None:
    return store_log.newest_head(session) if size is None else store_log.head_of(session, size)


def _path(session: Session, spans: list[Span]) -> list[str]:
    kept = store_log.hashes_at(session, kept_places(spans))
    return [base64(root_of(span, kept.__getitem__)) for span in spans]


def _shown(head: Head) -> TreeHead:
    return head.as_line()  # type: ignore[return-value]


def _key(line: dict[str, Any]) -> Any:
    return line
