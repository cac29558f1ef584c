"""gunicorn's configuration, for gateway, monitor, and notifications' answers to the broker; all from the settings."""

import json
import logging
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from gunicorn import util

from services.logs import begin
from services.process import keep_memory, settle_in
from services.settings import load

_settings = load()
_gateway = _settings.process == "gateway"

_binds = {"gateway": _settings.gateway_bind, "monitor": _settings.monitor_bind}

bind = _binds.get(_settings.process, _settings.broker_auth_bind)
workers = _settings.gateway_workers if _gateway else 1
threads = _settings.gateway_threads if _gateway else 8
worker_class = "gateway.pace.Worker" if _gateway else "gthread"
# An upload or a download may take its time: a thread is not a worker, but the worker's heartbeat is.
timeout = 120
graceful_timeout = 25
keepalive = 30
# Nobody needs to steer a running gunicorn but by signals.
control_socket_disable = True
# Bytes and names stay out of the log: the application logs each request itself, in JSON.
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "services.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        # Its warnings quote malformed request lines, which may hold anything.
        "gunicorn.error": {"level": "ERROR", "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
        "urllib3": {"level": "WARNING"},
        "amqp": {"level": "WARNING"},
    },
}


if _gateway:
    keep_memory()  # the workers inherit it


def when_ready(_server: Any) -> None:
    """The first line of the log; the workers inherit what comes with it."""
    begin()


def post_worker_init(_worker: Any) -> None:
    """A worker has its application: it settles in."""
    settle_in()


def _refuse(sock: Any, status: int, _reason: str, _message: str) -> None:
    """gunicorn's no to what it cannot read as a request: in the words of all others, and nothing of what came in it."""
    from gateway.app import HEADERS
    from gateway.errors import PROBLEM, STATUS, body

    code, request_id = "internal" if status == HTTPStatus.INTERNAL_SERVER_ERROR else "bad_request", str(uuid4())
    problem = json.dumps(body(code, {}, locale="fr", request_id=request_id), ensure_ascii=False).encode()
    headers = HEADERS | {"Connection": "close", "Content-Type": PROBLEM, "Content-Language": "fr",
                         "Content-Length": str(len(problem)), "X-Request-Id": request_id}  # fmt: skip
    head = [f"HTTP/1.1 {STATUS[code]} {HTTPStatus(STATUS[code]).phrase}", *map(": ".join, headers.items())]
    logging.getLogger("gateway").info("request", extra={"status": STATUS[code], "code": code, "request_id": request_id})
    util.write_nonblock(sock, "\r\n".join([*head, "", ""]).encode() + problem)


if _gateway:
    util.write_error = _refuse
