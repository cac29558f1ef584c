"""Finding documents in a record: by folder and by words. The list itself stands with the documents."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.resources.documents import ORIGIN
from gateway.schemas import finding as shapes

finding = APIBlueprint("finding", __name__, url_prefix="/records/<uuid:record_id>")

_PAGE = ("limit", "cursor")


@operation(
    finding, "GET", "/tree", summary="Read the tree of folders", answer=shapes.Tree,
    refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_tree(record_id: str) -> Any:
    """Every folder with the types in it and how many documents of each the caller may read."""
    return ask("documents", "read_tree", record_id=record_id)


@operation(
    finding, "POST", "/documents/search", summary="Search documents by words", answer=shapes.FoundDocuments,
    body=shapes.DocumentSearch, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def search_documents(record_id: str, body: dict[str, Any]) -> Any:
    """In title, type, author and text; best first. A page goes on with the same body and the `next_cursor`."""
    query, page = body.pop("query"), {name: body.pop(name) for name in _PAGE if name in body}
    answer = ask("documents", "search_documents", record_id=record_id, query=query, wanted=body, **page)
    return {**answer, "documents": named(answer["documents"], **ORIGIN)}
