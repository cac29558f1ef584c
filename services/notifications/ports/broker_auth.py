"""Answers the broker's question "may this foreign system in, and what may it touch?" (rabbitmq_auth_backend_http).

Runs beside the service, on loopback, without nameko: `gunicorn services.notifications.ports.broker_auth:app`.
The broker asks at each connection and for each new resource on a channel, the answer comes from the table of
subscriptions: an ended one is refused from its commit on. A consumer that is already there is cut by the deletion of
its queue, which follows at once. Anything unclear is a "deny", nothing asked is ever logged (passwords are among it).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from services.notifications import rules_subscriptions, store_subscriptions
from services.settings import Settings, load

log = logging.getLogger(__name__)

LONGEST = 16 * 1024
Fields = dict[str, str]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class BrokerAuth:
    """The WSGI application: four questions, two answers."""

    def __init__(self, reading: store_subscriptions.Reading, vhost: str) -> None:
        self._reading = reading
        self._vhost = vhost
        self._questions: dict[str, Callable[[Fields], bool]] = {
            "/user": self.user,
            "/vhost": self.vhost,
            "/resource": self.resource,
            "/topic": self.topic,
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """One question of the broker; always 200, "allow" or "deny"."""
        try:
            allowed = self._questions[environ.get("PATH_INFO", "")](_fields(environ))
        except Exception as broken:  # whatever goes wrong, the door stays shut
            log.warning("broker question not answered", extra={"kind": type(broken).__name__})
            allowed = False
        answer = b"allow" if allowed else b"deny"
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer]

    def user(self, asked: Fields) -> bool:
        """Whether user name and password are those of an active subscription; the same work for any name."""
        with self._reading() as session:
            found = store_subscriptions.active_credential(session, asked["username"])
        return rules_subscriptions.password_matches(asked["password"], None if found is None else found[1])

    def vhost(self, asked: Fields) -> bool:
        """Whether an active subscriber may enter this vhost."""
        return self._queue(asked) is not None and rules_subscriptions.may_enter(asked["vhost"], self._vhost)

    def resource(self, asked: Fields) -> bool:
        """Whether an active subscriber may do this with this queue or exchange."""
        return rules_subscriptions.may_touch(
            asked["vhost"], asked["resource"], asked["name"], asked["permission"],
            own_vhost=self._vhost, own_queue=self._queue(asked),
        )  # fmt: skip

    def topic(self, asked: Fields) -> bool:
        """Foreign systems have nothing to do with topics."""
        return False

    def _queue(self, asked: Fields) -> str | None:
        with self._reading() as session:
            found = store_subscriptions.active_credential(session, asked["username"])
        return None if found is None else found[0]


def _fields(environ: dict[str, Any]) -> Fields:
    """The fields of a question, from the body of a POST or the query of a GET; a doubled field makes it void."""
    if environ["REQUEST_METHOD"] == "POST":
        size = int(environ.get("CONTENT_LENGTH") or 0)
        if size > LONGEST:
            raise ValueError("too long")
        text = environ["wsgi.input"].read(size).decode()
    else:
        text = environ.get("QUERY_STRING", "")
    fields = parse_qs(text, keep_blank_values=True, max_num_fields=20, errors="strict")
    if any(len(values) != 1 for values in fields.values()):
        raise ValueError("doubled field")
    return {name: values[0] for name, values in fields.items()}


@cache
def create_app(settings: Settings | None = None) -> BrokerAuth:
    """The application over the database of notifications."""
    settings = settings or load()
    return BrokerAuth(store_subscriptions.reading(settings.database_url), settings.subscriber_vhost)


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """What gunicorn serves; the settings are read at the first question, not at import."""
    return create_app()(environ, start_response)
