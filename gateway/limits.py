"""A flood guard per process: generous for people and machines at work, in the way of a loop gone wild.

It protects this process only. Guessing is slowed down by the services that own the secrets, in their databases.
"""

from __future__ import annotations

import math
import time

from flask import Flask, Response, g
from flask_limiter import Limiter

from gateway.errors import problem, refused

PER_SECOND = 2000


def _sender() -> str:
    return g.context.address or "?"


def register(app: Flask) -> None:
    """Counts every request of an address; answers RateLimit headers, and 429 beyond the limit."""
    limiter = Limiter(
        _sender,
        app=app,
        storage_uri="memory://",
        strategy="fixed-window",
        application_limits=[f"{PER_SECOND}/second"],
        headers_enabled=False,
        on_breach=lambda _limit: problem(refused("too_many_requests")),
    )

    @app.after_request
    def tell(response: Response) -> Response:
        limit = limiter.current_limit
        if limit is not None:
            response.headers["RateLimit-Limit"] = str(limit.limit.amount)
            response.headers["RateLimit-Remaining"] = str(limit.remaining)
            response.headers["RateLimit-Reset"] = str(max(0, math.ceil(limit.reset_at - time.time())))
        return response
