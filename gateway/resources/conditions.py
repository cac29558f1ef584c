"""The general conditions of use, for everybody to read before and after accepting them."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, g

from gateway import general_conditions
from gateway.errors import refused
from gateway.operations import operation
from gateway.schemas import activations as shapes
from services.identity.contract import CONDITIONS_VERSION

conditions = APIBlueprint("conditions", __name__, url_prefix="/conditions")

CURRENT = "current"  # whoever begins an activation with the conditions has seen no version named yet
PDF = {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}


@operation(
    conditions, "GET", "/<version>", summary="Read the general conditions", answer=shapes.Conditions,
    query=shapes.LanguageAsked, token=False, refuses=("not_found",),
)  # fmt: skip
def read_conditions(version: str, query: dict[str, Any]) -> Any:
    """In the language asked for, else in the one of Accept-Language; `current` is the version in force."""
    language = query["language"] or g.context.locale
    version = CONDITIONS_VERSION if version == CURRENT else version
    text = general_conditions.text(version, language)
    if text is None:
        raise refused("not_found")
    return {"version": version, "language": language, "text": text}


@operation(
    conditions, "GET", "/<version>.pdf", summary="Keep the general conditions", answer=PDF, query=shapes.LanguageAsked,
    token=False, refuses=("not_found",),
)  # fmt: skip
def read_conditions_as_pdf(version: str, query: dict[str, Any]) -> Any:
    """The same as a page to print or keep."""
    version = CONDITIONS_VERSION if version == CURRENT else version
    sheet = general_conditions.sheet(version, query["language"] or g.context.locale)
    if sheet is None:
        raise refused("not_found")
    return Response(sheet, content_type="application/pdf")
