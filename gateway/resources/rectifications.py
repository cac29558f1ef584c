"""Rectifications: the holder's side asks an author to put a document right, the author answers."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import versions as shapes

rectifications = APIBlueprint("rectifications", __name__)

_REFUSES = ("document_not_found", "document_removed", "not_allowed")


@operation(
    rectifications, "POST", "/documents/<uuid:document_id>/rectifications", summary="Ask for a rectification",
    answer=shapes.Rectification, status=201, body=shapes.RectificationWanted, once=True,
    refuses=(*_REFUSES, "document_unfinished", "rectification_open"),
)  # fmt: skip
def ask_rectification(document_id: str, body: dict[str, Any]) -> Any:
    """The author has 15 days to answer, and may make a new version meanwhile without another ground."""
    return named([ask("documents", "ask_rectification", document_id=document_id, **body)], professional=_WHO)[0]


@operation(
    rectifications, "GET", "/documents/<uuid:document_id>/rectifications", summary="List a document's rectifications",
    answer=shapes.Rectifications, refuses=_REFUSES,
)  # fmt: skip
def list_rectifications(document_id: str) -> Any:
    """For the holder's side and the author: what was asked, and what was answered."""
    return _named(ask("documents", "list_rectifications", document_id=document_id))


@operation(
    rectifications, "GET", "/rectifications", summary="List rectifications asked of me", answer=shapes.Rectifications,
    refuses=("not_allowed",),
)  # fmt: skip
def list_my_rectifications() -> Any:
    """For professionals: every request about a document that they wrote and still see."""
    return _named(ask("documents", "rectifications_for_me"))


@operation(
    rectifications, "PUT", "/rectifications/<uuid:rectification_id>/answer", summary="Answer a rectification",
    answer=shapes.Rectification, body=shapes.RectificationAnswer,
    refuses=("rectification_not_found", "rectification_settled"),
)  # fmt: skip
def answer_rectification(rectification_id: str, body: dict[str, Any]) -> Any:
    """Done, usually after a new version, or refused, and why."""
    told = ask("documents", "answer_rectification", rectification_id=rectification_id, **body)
    return named([told], professional=_WHO)[0]


_WHO = "professional_id"


def _named(told: dict[str, Any]) -> dict[str, Any]:
    return {"rectifications": named(told["rectifications"], professional=_WHO)}
