"""The log over all traces, for whoever wants to check it: nobody has to say who they are."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import audit_log as shapes

audit_log = APIBlueprint("audit_log", __name__, url_prefix="/audit")


@operation(
    audit_log, "GET", "/tree-heads", summary="List the signed heads of the log", answer=shapes.TreeHeads,
    query=shapes.TreeHeadPage, token=False, paged=True,
)  # fmt: skip
def list_tree_heads(query: dict[str, Any]) -> Any:
    """Newest first. Who keeps them finds out whether anything they are over was changed since."""
    return ask("audit", "tree_heads", limit=query["limit"], cursor=query.get("cursor"))


@operation(
    audit_log, "GET", "/tree-heads/latest", summary="Read the newest head of the log", answer=shapes.TreeHead,
    token=False, refuses=("tree_head_not_found",),
)  # fmt: skip
def read_latest_tree_head() -> Any:
    """While there is traffic, it is a second old at most."""
    return ask("audit", "latest_tree_head")


@operation(audit_log, "GET", "/keys", summary="List the keys of the log", answer=shapes.LogKeys, token=False)
def list_log_keys() -> Any:
    """With them heads and statements are checked; the notary's witness file is who vouches for them."""
    return ask("audit", "log_keys")


@operation(
    audit_log, "GET", "/proofs/inclusion", summary="Prove that an entry is in the log", answer=shapes.InclusionProof,
    query=shapes.InclusionQuery, token=False, refuses=("leaf_not_found", "tree_head_not_found"),
)  # fmt: skip
def prove_inclusion(query: dict[str, Any]) -> Any:
    """By the hash of its line, which tells nobody else anything."""
    return ask("audit", "inclusion_proof", leaf=query["leaf"], size=query.get("size"))


@operation(
    audit_log, "GET", "/proofs/consistency", summary="Prove that the log only grew", answer=shapes.ConsistencyProof,
    query=shapes.ConsistencyQuery, token=False, refuses=("tree_head_not_found",),
)  # fmt: skip
def prove_consistency(query: dict[str, Any]) -> Any:
    """Between two heads that were signed."""
    return ask("audit", "consistency_proof", first=query["first"], second=query.get("second"))
