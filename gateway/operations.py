"""One decorator makes an HTTP operation: what it takes, what it answers, whom it serves and all it can refuse.

The same declaration runs the request (token, content type, body, query) and writes its page of the OpenAPI document,
so the two cannot disagree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, ClassVar, cast
from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response, request
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError

from gateway import caller
from gateway.errors import PROBLEM, STATUS, refused
from services.refusals import InvalidInput

JSON = "application/json"
BODY_LIMIT = 1024 * 1024
DEEPEST = 64  # objects and lists in one another; real bodies have a handful
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Same key and same body within 24 h: the first answer again; another body: 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
}
STRANGERS_KEY = {
    **IDEMPOTENCY_KEY,
    "description": "Same key and same body within 24 h: the first answer again; another body is another request.",
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "The ETag of what was read; `*` for whatever is there now.",
    "required": True,
    "schema": {"type": "string"},
}
_VERSION = re.compile(r'"([1-9][0-9]{0,8})"')

View = Callable[..., Any]


class Shape(Schema):
    """A JSON object with an example; unknown members are refused, and every message is a code of the catalogues."""

    class Meta:
        unknown = RAISE

    example: ClassVar[dict[str, Any]] = {}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error_messages = {**self.error_messages, "unknown": "unknown_member", "type": "object"}


class Query(Shape):
    """Parameters of a URL; what is not named here is not looked at."""

    class Meta:
        unknown = EXCLUDE


def operation(
    blueprint: APIBlueprint,
    method: str,
    path: str,
    *,
    summary: str,
    description: str | None = None,
    answer: type[Shape] | dict[str, Any] | None = None,
    status: int = 200,
    body: type[Shape] | None = None,
    query: type[Query] | None = None,
    token: bool = True,
    security: str | None = None,
    once: bool = False,
    paged: bool = False,
    conditional: bool = False,
    tagged: bool = False,
    refuses: tuple[str, ...] = (),
    headers: tuple[str, ...] = (),
    request_body: dict[str, Any] | None = None,
    parameters: tuple[dict[str, Any], ...] = (),
    also: dict[int, dict[str, Any]] | None = None,
    authenticate: Callable[[], Any] | None = None,
) -> Callable[[View], View]:
    """Registers a view as one operation of the API.

    answer: schema of the JSON answer, a ready OpenAPI response content, or None when nothing is sent back.
    body, query: schemas the view gets as `body` and `query`, already checked.
    token: a bearer token is required. once: honours Idempotency-Key. paged: `next_cursor` becomes a Link header.
    tagged: the answer's `version` is its ETag. conditional: needs If-Match, and the view gets its `version`.
    refuses: codes of the table in errors.py, beside those every operation of this kind has.
    headers: names of answer headers to document. also: further good answers by status.
    authenticate: who finds out whose token it is, where others than access tokens are taken.
    """
    refuses = (*refuses, "precondition_required", "changed_meanwhile") if conditional else refuses
    parameters = (*parameters, IF_MATCH) if conditional else parameters
    headers = (*headers, *(("Link",) if paged else ()), *(("ETag",) if tagged else ()))
    codes = _all_codes(refuses, token=token, body=body, query=query, once=once, stream=request_body is not None)

    def decorate(view: View) -> View:
        @wraps(view)
        def run(**arguments: Any) -> Response:
            if token:
                (authenticate or caller.authenticate)()
            if once:
                caller.with_idempotency_key()
            if body is not None:
                arguments["body"] = read_body(body)
            if query is not None:
                arguments["query"] = read_query(query)
            if conditional:
                arguments["version"] = version_to_match()
            result = view(**arguments)
            if isinstance(result, Response):
                return result
            if answer is None:
                return nothing(status)
            text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
            response = Response(text, status, content_type=JSON)
            if paged and result.get("next_cursor"):
                response.headers["Link"] = next_link(result["next_cursor"], query)
            if tagged:
                response.set_etag(str(result["version"]))
            return response

        documented = blueprint.doc(
            summary=summary,
            description=description or (view.__doc__ or "").strip() or None,
            operation_id=view.__name__,
            responses=cast("Any", _responses(answer, status, codes, headers, also)),
            security=security or ("bearer" if token else None),
            extensions=_request(body, query, once, token, request_body, parameters),
        )(run)
        blueprint.add_url_rule(path, view.__name__, documented, methods=[method])
        return view

    return decorate


def nothing(status: int, headers: dict[str, str] | None = None) -> Response:
    """An answer without a body, and so without a kind of body."""
    response = Response(status=status, headers=headers)
    del response.headers["Content-Type"]
    return response


# --- the request ----------------------------------------------------------------------------------------------------


def read_body(schema: type[Shape]) -> dict[str, Any]:
    """The request's JSON object, checked against its schema.

    Refuses: unsupported_media_type, body_too_large, invalid_json, InvalidInput.
    """
    return loaded(schema, bounded_body(JSON, BODY_LIMIT, broken="invalid_json"))


def bounded_body(media_type: str, limit: int, *, broken: str) -> bytes:
    """The request's body, of this one media type and at most `limit` bytes long, read from the stream.

    broken: the code of the refusal when its end never comes. Refuses: unsupported_media_type, body_too_large, `broken`.
    """
    if request.mimetype != media_type:
        raise refused("unsupported_media_type", allowed=[media_type])
    if (request.content_length or 0) > limit:
        raise refused("body_too_large", max_size=limit)
    try:
        raw = request.stream.read(limit + 1)
    except Exception:  # the server's own kinds: the sender left, crawled, or broke its chunks
        raise refused(broken) from None
    if len(raw) > limit:
        raise refused("body_too_large", max_size=limit)
    return raw


def loaded(schema: type[Shape], raw: bytes) -> dict[str, Any]:
    """A JSON object from bytes, checked. Refuses: invalid_json, InvalidInput."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise refused("invalid_json") from None
    if not isinstance(value, dict):
        raise refused("invalid_json")
    return _checked(schema, value, "")


def version_to_match() -> int | None:
    """The version that If-Match names; None for `*`. One tag, and a strong one: any other is of no version of ours.

    Refuses: precondition_required without it (RFC 6585 3), changed_meanwhile for what no answer was tagged with.
    """
    given = request.headers.get("If-Match", "").strip()
    if not given:
        raise refused("precondition_required")
    found = _VERSION.fullmatch(given)
    if found is None and given != "*":
        raise refused("changed_meanwhile")
    return int(found[1]) if found else None


def read_query(schema: type[Query]) -> dict[str, Any]:
    """The URL's parameters, checked. Refuses: InvalidInput."""
    return _checked(schema, request.args.to_dict(), "")


_schemas: dict[type[Shape], Shape] = {}


def _checked(schema: type[Shape], value: dict[str, Any], prefix: str) -> dict[str, Any]:
    instance = _schemas.get(schema) or _schemas.setdefault(schema, schema())
    try:
        result: dict[str, Any] = instance.load(value)
    except ValidationError as wrong:
        raise InvalidInput(errors=list(_pointers(wrong.messages, prefix))) from None
    if _holds_nul(result):
        raise InvalidInput(errors=[{"pointer": prefix, "message": "text"}])
    return result


def _holds_nul(value: Any, left: int = DEEPEST) -> bool:
    """Whether text that PostgreSQL and receivers of JSON do not know, NUL or a lone surrogate, is in it somewhere.

    Refuses: invalid_json for what is nested deeper than anybody means it.
    """
    if isinstance(value, str):
        return "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)
    if not isinstance(value, dict | list):
        return False
    if not left:
        raise refused("invalid_json")
    parts = chain.from_iterable(value.items()) if isinstance(value, dict) else value
    return any(_holds_nul(part, left - 1) for part in parts)


def _pointers(messages: Any, at: str) -> list[dict[str, str]]:
    """marshmallow's tree of messages as JSON pointers (RFC 6901) with codes."""
    if isinstance(messages, dict):
        found: list[dict[str, str]] = []
        for name, inner in messages.items():
            step = "" if name == "_schema" else "/" + str(name)[:64].replace("~", "~0").replace("/", "~1")
            step = step.encode("utf-8", "replace").decode()  # an unpaired surrogate cannot be written back
            found += _pointers(inner, at + step)
        return found
    listed = messages if isinstance(messages, list) else [messages]
    return [{"pointer": at, "message": str(message)} for message in listed]


def next_link(cursor: str, query: type[Query] | None = None) -> str:
    """The Link header of a page that is not the last (RFC 8288): the same question with the next cursor.

    query: whose parameters the question has; what else stood in the URL was not looked at, and is not said again.
    """
    names = ("limit",) if query is None else query().fields
    kept = [f"{quote(name)}={quote(value, safe='')}" for name, value in request.args.items()
            if name in names and name != "cursor"]  # fmt: skip
    return f'<{request.path}?{"&".join([*kept, "cursor=" + quote(cursor, safe="")])}>; rel="next"'


# --- the document ---------------------------------------------------------------------------------------------------


def _all_codes(
    refuses: tuple[str, ...], *, token: bool, body: Any, query: Any, once: bool, stream: bool
) -> tuple[str, ...]:
    codes = dict.fromkeys(refuses)
    if token:
        codes |= dict.fromkeys(("unauthenticated", "session_ended", "insufficient_scope"))
    if body is not None:
        codes |= dict.fromkeys(("invalid_json", "body_too_large", "unsupported_media_type", "invalid_input"))
    if query is not None or once:
        codes |= dict.fromkeys(("invalid_input",))
    if once:
        codes |= dict.fromkeys(("request_in_flight", *(("idempotency_key_reused",) if token else ())))
    if stream:
        codes |= dict.fromkeys(("unsupported_media_type", "upload_truncated"))
    codes |= dict.fromkeys(("too_many_requests", "internal", "unavailable"))
    unknown = set(codes) - set(STATUS)
    if unknown:
        raise ValueError(f"not in the table of errors: {sorted(unknown)}")
    return tuple(codes)


def _responses(
    answer: Any, status: int, codes: tuple[str, ...], headers: tuple[str, ...], also: dict[int, dict[str, Any]] | None
) -> dict[int, dict[str, Any]]:
    good: dict[str, Any] = {"description": _MEANING.get(status, "Done."), "headers": _headers(headers)}
    if isinstance(answer, dict):
        good["content"] = answer
    elif answer is not None:
        good["content"] = {JSON: {"schema": answer, "example": answer.example}}
    responses: dict[int, dict[str, Any]] = {status: good, **(also or {})}
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    for number, group in sorted(by_status.items()):
        extra = ("Retry-After",) if number in (429, 503) else ("WWW-Authenticate",) if number == 401 else ()
        there = responses.get(number, {})  # an answer of another form with the same status
        said = "Refused: " + ", ".join(f"`{code}`" for code in group)
        responses[number] = {
            "description": " ".join([*([there["description"]] if there else []), said]),
            "headers": _headers(extra),
            "content": {
                **there.get("content", {}),
                PROBLEM: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in group},
                },
            },
        }
    return responses


_MEANING = {200: "The answer.", 201: "Made.", 202: "Begun; go on as the answer says.", 204: "Done; nothing to say."}


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _request(
    body: type[Shape] | None,
    query: type[Query] | None,
    once: bool,
    token: bool,
    request_body: dict[str, Any] | None,
    parameters: tuple[dict[str, Any], ...],
) -> dict[str, Any]:
    """The parts of an operation object that describe its request."""
    found: dict[str, Any] = {"parameters": list(parameters)}
    if query is not None:
        found["parameters"].append({"in": "query", "schema": query})
    if once:
        found["parameters"].append(dict(IDEMPOTENCY_KEY if token else STRANGERS_KEY))
    if body is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": body, "example": body.example}}}
    if request_body is not None:
        found["requestBody"] = request_body
    return found
