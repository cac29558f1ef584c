"""Binders: a reader's own collections of documents of a record, seen by nobody else."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import binders as shapes

binders = APIBlueprint("binders", __name__)


@operation(
    binders, "GET", "/records/<uuid:record_id>/binders", summary="List my binders", answer=shapes.Binders,
    refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def list_binders(record_id: str) -> Any:
    """The caller's own, by name; each counts what they may see now."""
    return ask("documents", "list_binders", record_id=record_id)


@operation(
    binders, "POST", "/records/<uuid:record_id>/binders", summary="Make a binder", answer=shapes.Binder, status=201,
    body=shapes.BinderWanted, once=True,
    refuses=("record_not_found", "record_closed", "binder_name_taken", "too_many_binders"),
)  # fmt: skip
def create_binder(record_id: str, body: dict[str, Any]) -> Any:
    """An empty one, for the caller alone."""
    return ask("documents", "create_binder", record_id=record_id, **body)


@operation(
    binders, "PATCH", "/binders/<uuid:binder_id>", summary="Rename a binder", answer=shapes.Binder,
    body=shapes.BinderWanted, refuses=("binder_not_found", "binder_name_taken"),
)  # fmt: skip
def rename_binder(binder_id: str, body: dict[str, Any]) -> Any:
    """One of the caller's own."""
    return ask("documents", "rename_binder", binder_id=binder_id, **body)


@operation(
    binders, "DELETE", "/binders/<uuid:binder_id>", summary="Remove a binder", status=204,
    refuses=("binder_not_found",),
)  # fmt: skip
def remove_binder(binder_id: str) -> Any:
    """The documents in it stay where they are."""
    ask("documents", "remove_binder", binder_id=binder_id)


@operation(
    binders, "PUT", "/binders/<uuid:binder_id>/documents/<uuid:document_id>", summary="Put a document into a binder",
    status=204, refuses=("binder_not_found", "document_not_found"),
)  # fmt: skip
def fill_binder(binder_id: str, document_id: str) -> Any:
    """A document of the binder's record that the caller may see."""
    ask("documents", "fill_binder", binder_id=binder_id, document_id=document_id)


@operation(
    binders, "DELETE", "/binders/<uuid:binder_id>/documents/<uuid:document_id>",
    summary="Take a document out of a binder", status=204, refuses=("binder_not_found",),
)  # fmt: skip
def empty_binder(binder_id: str, document_id: str) -> Any:
    """It stays in the record."""
    ask("documents", "empty_binder", binder_id=binder_id, document_id=document_id)
