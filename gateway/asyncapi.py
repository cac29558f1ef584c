"""The AsyncAPI 3 document: what foreign systems receive, made from notifications' contract; served at asyncapi.json."""

from __future__ import annotations

import json
from inspect import getdoc
from typing import Any, get_args, get_type_hints

from flask import Flask, Response

from services.documents.contract import LEVELS
from services.notifications.contract import FOREIGN_EVENTS, FOREIGN_FIELDS
from services.settings import load

VERSION = "3.0.0"
CLOUDEVENT = "application/cloudevents+json"
SOURCE = "urn:dsp"
PREFIX = "lu.dsp."

DESCRIPTION = """
What happens to documents and records, for the systems of organisations that subscribed (`POST /api/v1/subscriptions`).
An event goes to a subscription only if at that moment a professional of its organisation may read what it is about. It
holds ids and codes; whoever needs more asks the API and is traced there.

Every event is a CloudEvent 1.0 in structured JSON. It arrives at least once, with the same `id` and the same `sequence`
each time: keep what you have worked, and skip a repeat. `sequence` counts the events of one subscription without a gap.
Events of one record (`subject`) come in their order. A document that cannot be read any more, for whatever cause, is
told of once by `lu.dsp.document.no_longer_available.v1`: drop what you kept of it.

A type is never changed but by members that are added; what breaks gets another version, beside the old one for a while.
""".strip()

_BASE = {"str": {"type": "string"}, "int": {"type": "integer"}, "bool": {"type": "boolean"}}
_CODES: dict[str, tuple[str, ...]] = {"level": LEVELS}
_ID, _TIME = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01", "2026-11-21T08:30:00.000000Z"
_EXAMPLES: dict[str, Any] = {"type": "laboratory_results", "category": "laboratory", "state": "partial", "number": 2}


def register(app: Flask, prefix: str) -> None:
    """Serves the document."""
    made: list[str] = []

    def asyncapi() -> Response:
        if not made:
            made.append(json.dumps(document(load().public_url), ensure_ascii=False))
        return Response(made[0], content_type="application/json", headers={"Cache-Control": "no-cache"})

    Flask.add_url_rule(app, f"{prefix}/asyncapi.json", "asyncapi", asyncapi)


def document(public_url: str) -> dict[str, Any]:
    """The whole document. public_url: where people find the API that it belongs to."""
    names = {event_type: _name(event_type) for event_type in FOREIGN_EVENTS}
    on_channel = {name: {"$ref": f"#/components/messages/{name}"} for name in names.values()}
    return {
        "asyncapi": VERSION,
        "id": f"{SOURCE}:events",
        "info": {
            "title": "OpenDSP events",
            "version": "1",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "contact": {"name": "OpenDSP", "url": f"{public_url}/api/v1/docs"},
            "tags": [{"name": "document"}, {"name": "record"}],
        },
        "defaultContentType": CLOUDEVENT,
        "servers": {"broker": _broker(), "webhook": _webhook()},
        "channels": {
            "queue": _queue_channel(on_channel),
            "webhook": {
                "address": "/{path}",
                "title": "A subscriber's webhook",
                "description": "The address that the subscription names: https, and proved to be the subscriber's.",
                "servers": [{"$ref": "#/servers/webhook"}],
                "parameters": {"path": {"description": "The path of that address."}},
                "messages": on_channel,
            },
        },
        "operations": {"sendToQueue": _operation("queue", names.values()),
                       "sendToWebhook": _operation("webhook", names.values())},
        "components": {
            "messages": {name: _message(event_type) for event_type, name in names.items()},
            "schemas": {name: _payload(event_type) for event_type, name in names.items()},
            "securitySchemes": {"credential": {
                "type": "userPassword",
                "description": "User name and password of the subscription, shown once when it is made.",
            }},
        },
    }  # fmt: skip


def _broker() -> dict[str, Any]:
    told = {"host": "Its host.", "port": "Its port.", "vhost": "The vhost of the subscribers."}
    return {
        "host": "{host}:{port}",
        "protocol": "amqp",
        "protocolVersion": "0.9.1",
        "pathname": "/{vhost}",
        "description": "The broker of foreign systems, as the answer to `POST /api/v1/subscriptions` names it.",
        "variables": {name: {"description": text} for name, text in told.items()},
        "security": [{"$ref": "#/components/securitySchemes/credential"}],
    }


def _webhook() -> dict[str, Any]:
    return {
        "host": "{host}",
        "protocol": "https",
        "description": "The subscriber's own server. Before anything is sent it is asked whether it wants it (OPTIONS, "
        "CloudEvents 1.0.2, HTTP Web Hooks). Each event is a POST of its own, with the header `JWS-Signature`: a "
        "detached JWS (RFC 7515, appendix F; Ed25519) over the body, whose `aud` is the subscription and whose key is "
        "at `GET /api/v1/subscriptions/jwks`. Any 2xx takes the event; anything else has it come again, later and "
        "later, for a day.",
        "variables": {"host": {"description": "Its name, and its port where it is not 443."}},
    }


def _queue_channel(messages: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": "{queue}",
        "title": "A subscriber's own queue",
        "description": "A quorum queue that the subscription's credential may read, alone and nothing else: consume it "
        "by its name, declare nothing, acknowledge after the work.",
        "servers": [{"$ref": "#/servers/broker"}],
        "parameters": {"queue": {"description": "The name that the answer to `POST /api/v1/subscriptions` gives."}},
        "messages": messages,
        "bindings": {"amqp": {"is": "queue", "queue": {"durable": True, "exclusive": False, "autoDelete": False}}},
    }


def _operation(channel: str, names: Any) -> dict[str, Any]:
    bindings = {"queue": {"amqp": {"deliveryMode": 2, "ack": True}}, "webhook": {"http": {"method": "POST"}}}
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"OpenDSP sends an event to a subscriber's {channel}.",
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
        "bindings": bindings[channel],
    }


def _message(event_type: str) -> dict[str, Any]:
    name = _name(event_type)
    return {
        "name": event_type,
        "title": name,
        "summary": _first_line(event_type),
        "description": getdoc(FOREIGN_EVENTS[event_type]),
        "contentType": CLOUDEVENT,
        "tags": [{"name": event_type.removeprefix(PREFIX).partition(".")[0]}],
        "correlationId": {"location": "$message.payload#/id"},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": {"amqp": {"contentEncoding": "utf-8", "messageType": event_type}},
        "examples": [{"name": name, "summary": _first_line(event_type), "payload": _example(event_type)}],
    }


def _payload(event_type: str) -> dict[str, Any]:
    """A CloudEvent of this type. Members may be added: a reader passes over what it does not know."""
    members: dict[str, Any] = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid", "description": "Of the event; the same at each repeat and replay."},
        "source": {"const": SOURCE},
        "type": {"const": event_type},
        "subject": {"type": "string", "format": "uuid", "description": "The record: order is kept within it."},
        "time": {"type": "string", "format": "date-time", "description": "When it happened."},
        "datacontenttype": {"const": "application/json"},
        "sequence": {"type": "string", "pattern": "^[1-9][0-9]*$",
                     "description": "The number of the event among all of this subscription, without a gap."},
        "sequencetype": {"const": "Integer"},
        "data": _data(event_type),
    }  # fmt: skip
    return {"type": "object", "required": list(members), "properties": members}


def _data(event_type: str) -> dict[str, Any]:
    shape: Any = FOREIGN_EVENTS[event_type]
    members = get_type_hints(shape)
    properties = {name: _member(name, kind) for name, kind in members.items()}
    required = [name for name in members if name in shape.__required_keys__]
    return {"type": "object", "required": required, "properties": properties}


def _member(name: str, kind: Any) -> dict[str, Any]:
    kinds = [one for one in get_args(kind) if one is not type(None)] or [kind]
    schema: dict[str, Any] = {**_BASE[kinds[0].__name__], "description": FOREIGN_FIELDS[name]}
    if kinds != [kind]:
        schema["type"] = [schema["type"], "null"]
    if name.endswith("_id"):
        schema["format"] = "uuid"
    elif name == "at" or name.endswith("_at"):
        schema["format"] = "date-time"
    if name in _CODES:
        schema["enum"] = list(_CODES[name])
    return schema


def _example(event_type: str) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": _ID, "source": SOURCE, "type": event_type, "subject": _ID, "time": _TIME,
        "datacontenttype": "application/json", "sequence": "42", "sequencetype": "Integer",
        "data": {name: _value(name) for name in get_type_hints(FOREIGN_EVENTS[event_type])},
    }  # fmt: skip


def _value(name: str) -> Any:
    if name in _CODES:
        return _CODES[name][0]
    if name == "at" or name.endswith("_at"):
        return _TIME
    return _EXAMPLES.get(name, _ID)


def _name(event_type: str) -> str:
    """`lu.dsp.document.deposited.v1` as `DocumentDepositedV1`."""
    words = event_type.removeprefix(PREFIX).replace("_", ".").split(".")
    return "".join(word.capitalize() for word in words)


def _first_line(event_type: str) -> str:
    return (getdoc(FOREIGN_EVENTS[event_type]) or "").partition("\n")[0]
