"""The figures of `make bench` as data: their names, targets and rows, and how a part of them is chosen.

Pure: nothing is measured here. Absolute figures have neither baseline nor ratio; every other ratio is ours divided by
the baseline, whichever of the two is better when it is high.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from deploy.local.layout import SERVICES

Better = Literal["higher", "lower"]
Size = Literal["small", "full"]
FIELDS = ("id", "name", "ours", "baseline", "ratio", "target", "better", "size")


@dataclass(frozen=True)
class Figure:
    """One figure. target: of the ratio, or of ours when the figure is absolute; None: for information."""

    id: str
    name: str
    better: Better = "higher"
    target: float | None = None


@dataclass(frozen=True)
class Row:
    """One measured figure. noise: how far apart the rounds lay, for the reader of the table."""

    figure: Figure
    ours: float
    baseline: float | None
    size: Size
    noise: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours divided by the baseline; None for an absolute figure."""
        return None if self.baseline is None else self.ours / self.baseline

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        if self.figure.target is None:
            return None
        reached = self.ours if self.ratio is None else self.ratio
        return reached >= self.figure.target if self.figure.better == "higher" else reached <= self.figure.target

    def as_json(self) -> dict[str, Any]:
        """The row as it stands in bench.json."""
        return {
            "id": self.figure.id,
            "name": self.figure.name,
            "ours": _short(self.ours),
            "baseline": None if self.baseline is None else _short(self.baseline),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "target": self.figure.target,
            "better": self.figure.better,
            "size": self.size,
        }


@dataclass(frozen=True)
class Amount:
    """How much is measured under one SIZE. needs: free bytes on the disk of the stack."""

    size: Size
    rounds: int
    seconds: float
    pages: int
    transfers: int
    settle: float
    needs: int
    unit: int = field(default=50 * 1024 * 1024)


AMOUNTS: Mapping[str, Amount] = {
    "small": Amount("small", rounds=5, seconds=2.0, pages=150, transfers=5, settle=5.0, needs=4 * 1024**3),
    "full": Amount("full", rounds=15, seconds=5.0, pages=1000, transfers=25, settle=30.0, needs=12 * 1024**3),
}

PARTS = (
    *SERVICES, "examiner", "notary", "stream", "broker_auth", "gateway", "monitor", "postgres", "epmd", "rabbitmq",
    "weed", "mailbox", "supervisor",
)  # fmt: skip

CATALOGUE: tuple[Figure, ...] = (
    *(Figure(f"memory_{part}", f"{part}: memory when idle, MB", "lower") for part in PARTS),
    Figure("deposit_rss_mb", "gateway: growth of memory under 50 MB deposits and downloads, MB", "lower", 64),
    Figure("rpc", "calls/s of the gateway's client, 8 threads, to a method without SQL : bare echo, 8 in flight",
           target=0.45),
    Figure("record_page_p50", "page of a record, one client, ms at p50 : one RPC without SQL", "lower", 5),
    Figure("record_page_p99", "page of a record, one client, ms at p99 : one RPC without SQL", "lower", 5),
    Figure("record_page_sql", "page of a record, one client, ms at p50 : the bare SQL it needs", "lower"),
    Figure("deposit_50mb", "deposit of 50 MB through the gateway, MB/s : bare view that streams it unsealed",
           target=0.65),
    Figure("deposit_1mib", "deposits of 1 MiB a second, sealed, checked and traced, 8 clients : bare view that streams "
           "them unsealed", target=0.65),
    Figure("deposit_64kib", "deposits of 64 KiB a second, in the same way : the same bare view", target=0.35),
    Figure("deposit_1gib_rss_mb", "largest growth of any process of ours under one deposit and download of 1 GiB, MB",
           "lower", 64),
    Figure("deposit_50mb_sdk", "the same 50 MB straight to the store by the minio SDK, MB/s"),
    Figure("download_50mb", "download of 50 MB through the gateway, MB/s : bare view that streams it unsealed"),
    Figure("http_rpc", "GET/s with one RPC without SQL, two replicas, 16 clients : bare echo, 16 in flight",
           target=0.22),
    Figure("login", "full log-ins/s (password and code) through the gateway : that hash alone, a process per place "
           "of the pool", target=0.85),
    Figure("login_neighbours", "GET /sessions, ms at p99, at 80 % of that load : with nobody logging in", "lower", 2),
    Figure("token_verify", "access token met for the first time, µs : bare Ed25519 verification", "lower", 2),
    Figure("token_verify_cached", "access token met again, µs", "lower", 10),
    Figure("audit_append", "traces kept a second by 16 writers who wait for the disk, sealed beside : bare single-row "
           "INSERT commits of 16", target=0.85),
    Figure("audit_batch", "traces a second from the full queue into the store, sealed beside : bare INSERT of 500 rows "
           "a commit", target=0.7),
    Figure("relay", "events/s from a service's outbox into a quorum queue : bare publishing of the same, confirms "
           "pipelined", target=0.6),
    Figure("poison", "good events/s worked by a service when one in a hundred fails for good (these are parked with "
           "their cause, and replayed) : the good ones alone", target=0.95),
    Figure("history_page", "newest page of a record's access history among all (100 million entries when full), ms at "
           "p50 in the statements of the service : the same by psycopg2", "lower", 1.3),
    Figure("patient_lookup", "patient found by matricule among all, ms at p99 : GET with one RPC without SQL and one "
           "commit, both at p99", "lower", 2),
    Figure("patient_search", "patient sought by a name with a mistake in it, ms at p95", "lower", 150),
    Figure("patient_search_sql", "the same, ms at p95 : the bare query for the candidates", "lower"),
    Figure("professional_typeahead", "professionals found by 3 to 6 letters among 25,000, ms at p95", "lower", 50),
    Figure("professional_typeahead_sql", "the same, ms at p95 : the bare statement", "lower"),
    Figure("delivery_p99", "ms from a commit until each of 20 subscribers has its event, at p99 and less 20 ms : a "
           "bare message to 20 quorum queues, at p99", "lower", 3),
    Figure("bulk_load", "patients/s from CSV, the whole process of the loader : bare COPY of the same rows",
           target=0.5),
    Figure("bulk_load_professionals", "professionals/s from CSV, in the same way : bare COPY of the same rows"),
    Figure("decision", "situation and decision without trace, ms at p99 : a SELECT by primary key, same engine",
           "lower", 2),
    Figure("access_scope", "access scope over the bus, ms at p50 : a question that verifies the token, SELECT 1",
           "lower", 1.6),
    Figure("filtered_list", "list of 500 documents through a scope, ms at p50 : the same 500 unfiltered", "lower", 1.5),
    Figure("many_grants", "decision in a record with 200 grants, ms at p50 : in one with 2", "lower", 1.1),
    Figure("explain", "explanation for the holder, ms at p50 : the decision it explains", "lower", 2),
    *(
        figure
        for name, what in (("record_page", "page"), ("tree", "tree"), ("keyword", "search by words"))
        for figure in (
            Figure(f"{name}_10m", f"{what} of a record among all documents (10 million when full), ms at p50 in the "
                   "statements of the service : the same by psycopg2", "lower", 1.3),
            Figure(f"{name}_10m_p99", f"{what} of a record through the gateway, ms at p99 : 3 GET with one RPC without "
                   "SQL + 3 times the bare statements, both at p99", "lower", 1),
        )
    ),
    Figure("verify", "lines/s of an export of the log, checked in full by the verifier : one hash call a line",
           target=0.25),
    Figure("verify_history", "lines/s of a history with one entry in eight of its log, in the same way : the same"),
)  # fmt: skip
BY_ID: Mapping[str, Figure] = {figure.id: figure for figure in CATALOGUE}


def chosen(only: str | None) -> tuple[str, ...]:
    """The ids of the figures that ONLY names, all when it names none; `deposit` names every `deposit_…`.

    Refuses: ValueError with the known ids when a name fits no figure.
    """
    names = [name.strip() for name in (only or "").split(",") if name.strip()]
    if not names:
        return tuple(BY_ID)
    unknown = [name for name in names if not any(_fits(figure, name) for figure in BY_ID)]
    if unknown:
        raise ValueError(f"no figure is called {', '.join(unknown)}; there are: {', '.join(BY_ID)}")
    return tuple(figure for figure in BY_ID if any(_fits(figure, name) for name in names))


def _fits(figure_id: str, name: str) -> bool:
    return figure_id == name or figure_id.startswith(f"{name}_")


def write(rows: Iterable[Row], path: Path) -> None:
    """Writes bench.json: one object per figure, in the order of the catalogue."""
    order = list(BY_ID)
    listed = sorted((row.as_json() for row in rows), key=lambda row: order.index(row["id"]))
    path.write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def spread(values: Sequence[float]) -> str:
    """From the least to the most, as the table shows it."""
    return f"{_short(min(values)):g}–{_short(max(values)):g}"


def _short(value: float) -> float:
    """Four digits that count: what is behind them is noise."""
    return float(f"{value:.4g}")
