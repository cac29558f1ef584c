"""Rights in a record: what I may do and why, who holds a ground, and how to ask for one."""

from typing import Any

from apiflask import APIBlueprint
from flask import g

from gateway.caller import ask
from gateway.errors import catalogue
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import rights as shapes

rights = APIBlueprint("rights", __name__, url_prefix="/records/<uuid:record_id>")


@operation(
    rights, "GET", "/rights/me", summary="Read my rights in a record", answer=shapes.OwnRights,
    refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def my_rights(record_id: str) -> Any:
    """What each ground gives the caller now, and until when."""
    return ask("dossier", "my_rights", record_id=record_id)


@operation(
    rights, "POST", "/rights/explain", summary="Ask why somebody may or may not", answer=shapes.Answered,
    body=shapes.Question, refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def explain_rights(record_id: str, body: dict[str, Any]) -> Any:
    """The decision on documents of a kind, its rule and what would change it: of anyone for the holder, else of me."""
    document = {name: body[name] for name in ("category", "level", "type", "folder")}
    given = {"who": "me" if body["who"] is None else body["who"], "action": body["action"], "moment": body["moment"]}
    return ask("dossier", "explain", record_id=record_id, document=document, **given)


@operation(
    rights, "GET", "/rights", summary="List the rights granted", answer=shapes.GivenRights,
    refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def list_rights(record_id: str) -> Any:
    """Everybody who holds a ground in this record now; for the holder's side."""
    given = ask("dossier", "rights_given", record_id=record_id)["rights"]
    shown = named(given, professional="professional_id", patient="patient_id", establishment="establishment_id")
    return {"rights": shown}


@operation(
    rights, "GET", "/access-options", summary="List the ways to ask for access", answer=shapes.AccessOptions,
    refuses=("not_allowed",),
)  # fmt: skip
def access_options(record_id: str) -> Any:
    """The same for a record without a ground, a closed one, one that bars the caller, and none at all."""
    options = ask("dossier", "access_options", record_id=record_id)["options"]
    words = catalogue(g.context.locale)["access_options"]
    return {"text": words["refused"], "options": [{**each, "text": words[each["option"]]} for each in options]}
