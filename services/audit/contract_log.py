"""The log as audit tells of it: its heads, its keys and its proofs, for anybody; ids and hashes only."""

from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

HEADS_LIMIT: Final = 100
"""The most heads one page holds."""


@dataclass(frozen=True)
class TreeHeadSigned:
    """The notary signed a head of the log; each of the same log extends all before it.

    `root` and `signature` in base64; the signature (Ed25519) is over "opendsp audit log\\n{size}\\n{root}\\n{at}\\n".
    """

    type: ClassVar[str] = "tree_head_signed.v1"
    subject: ClassVar[str | None] = None
    prompt: ClassVar[bool] = True

    size: int
    root: str
    at: str
    key_id: str
    signature: str


class TreeHead(TypedDict):
    """A head as it travels; root and signature in base64."""

    size: int
    root: str
    at: str
    key_id: str
    signature: str


class LogKey(TypedDict):
    """A public key (Ed25519, base64) and from which size of the log on it signs."""

    key_id: str
    public_key: str
    from_size: int
    since: str


class TreeHeads(TypedDict):
    """The answer of `tree_heads`: one page, newest first; `next_cursor` is null on the last page."""

    heads: list[TreeHead]
    next_cursor: str | None


class LogKeys(TypedDict):
    """The answer of `log_keys`."""

    keys: list[LogKey]


class InclusionProof(TypedDict):
    """The place of a leaf in the tree of a head, and the path from it to the root, in base64."""

    position: int
    head: TreeHead
    path: list[str]


class ConsistencyProof(TypedDict):
    """What shows that the second tree grew out of the first, in base64."""

    first: TreeHead
    second: TreeHead
    path: list[str]


class TreeHeadNotFound(Refusal):
    """No head of that size was signed, or none at all yet."""

    code = "tree_head_not_found"


class LeafNotFound(Refusal):
    """No such leaf is in the log, or not in that of the size asked for."""

    code = "leaf_not_found"
