"""Figures for Prometheus, each labelled with its process: a scrape meets one worker, and says which."""

from __future__ import annotations

import os
from functools import cache

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
_REQUESTS = Counter(
    "opendsp_http_requests_total", "Requests answered.", ("route", "method", "status", "worker"), registry=REGISTRY
)
_SECONDS = Histogram(
    "opendsp_http_request_seconds", "Time to the answer's first byte.", ("route", "worker"), registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)  # fmt: skip
_MEMORY = Gauge("opendsp_resident_bytes", "Memory of this process.", ("worker",), registry=REGISTRY)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count(route: str, status: int, seconds: float) -> None:
    """One request more."""
    # a method is any word its sender likes, and every label is kept for ever
    method = request.method if request.method in _METHODS else "other"
    counter, histogram = _figures(route, method, status, os.getpid())
    counter.inc()
    histogram.observe(seconds)


@cache
def _figures(route: str, method: str, status: int, pid: int) -> tuple[Counter, Histogram]:
    """The two figures of an operation; looking them up by label is dearer than counting."""
    return _REQUESTS.labels(route, method, str(status), str(pid)), _SECONDS.labels(route, str(pid))


def register(app: Flask) -> None:
    """Serves /metrics."""

    @app.get("/metrics")
    def metrics() -> Response:
        with open("/proc/self/statm", encoding="ascii") as file:
            _MEMORY.labels(str(os.getpid())).set(int(file.read().split()[1]) * _PAGE)
        g.quiet = True
        return Response(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)
