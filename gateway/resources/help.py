"""Where people find help: open to everybody, in five languages."""

from typing import Any

from apiflask import APIBlueprint
from flask import g

from gateway.errors import catalogue
from gateway.opening_hours import in_words
from gateway.operations import operation
from gateway.schemas import helpdesk as shapes
from services.settings import load

help_page = APIBlueprint("help", __name__)


@operation(help_page, "GET", "/help", summary="Find help", answer=shapes.Help, token=False)
def read_help() -> Any:
    """Phone, mail, hours, first advice and the topics of a request, in the language of Accept-Language."""
    return help_in(g.context.locale)


def help_in(language: str) -> dict[str, Any]:
    """What the settings say of the helpdesk, in words of this language."""
    settings, words = load(), catalogue(language)["help"]
    topics = [topic.strip() for topic in settings.help_topics.split(",") if topic.strip()]
    return {
        "language": language, "phone": settings.help_phone, "mail": settings.help_mail,
        "hours": in_words(settings.help_hours, words["hours"]), "text": words["text"],
        "topics": [{"topic": topic, "label": words["topics"].get(topic, topic)} for topic in topics],
    }  # fmt: skip
