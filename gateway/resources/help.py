"""Where people find help: open to everybody, in five languages."""

from typing import Any

from apiflask import APIBlueprint
from flask import g

from gateway.errors import catalogue
from gateway.operations import operation
from gateway.schemas import people as shapes

help_page = APIBlueprint("help", __name__)


@operation(help_page, "GET", "/help", summary="Find help", answer=shapes.Help, token=False)
def read_help() -> Any:
    """Phone, mail, hours and first advice in the language of Accept-Language."""
    return {"language": g.context.locale, **catalogue(g.context.locale)["help"]}
