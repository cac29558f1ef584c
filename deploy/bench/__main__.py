"""`python -m deploy.bench [--only rpc,deposit] [--size small|full]`: measures, shows a table, writes bench.json."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.bench import (
    decisions,
    deliveries,
    deposits,
    finding,
    histories,
    loads,
    logins,
    memory,
    pages,
    questions,
    relay,
    searches,
    streams,
    traces,
    typeahead,
    verifying,
)
from deploy.bench.figures import AMOUNTS, CATALOGUE, Row, chosen, write
from deploy.bench.ground import Ground, NoSpace, ground
from deploy.bench.rest import come_to_rest
from deploy.local.failure import StackFailure
from deploy.local.layout import REPOSITORY
from services.process import keep_memory

RESULTS = REPOSITORY / "bench.json"

Measure = Callable[[Ground], list[Row]]

# In this order: what needs an untouched platform first, what changes it last.
MEASURES: tuple[tuple[Measure, tuple[str, ...]], ...] = (
    (memory.idle, tuple(figure.id for figure in CATALOGUE if figure.id.startswith("memory_"))),
    (streams.growth, ("deposit_rss_mb",)),
    (questions.rpc, ("rpc",)),
    (pages.against_rpc, ("record_page_p50", "record_page_p99")),
    (pages.against_sql, ("record_page_sql",)),
    (streams.deposit, ("deposit_50mb",)),
    (deposits.deposit, ("deposit_1mib", "deposit_64kib")),
    (deposits.gibibyte, ("deposit_1gib_rss_mb",)),
    (streams.deposit_by_sdk, ("deposit_50mb_sdk",)),
    (streams.download, ("download_50mb",)),
    (questions.http_rpc, ("http_rpc",)),
    (logins.token_verify, ("token_verify", "token_verify_cached")),
    (logins.login, ("login",)),
    (logins.neighbours, ("login_neighbours",)),
    (traces.append, ("audit_append",)),
    (traces.batch, ("audit_batch",)),
    (relay.relay, ("relay",)),
    (relay.poison, ("poison",)),
    (decisions.decision, ("decision",)),
    (decisions.access_scope, ("access_scope",)),
    (decisions.filtered_list, ("filtered_list",)),
    (decisions.many_grants, ("many_grants",)),
    (decisions.explain, ("explain",)),
    (searches.patient_lookup, ("patient_lookup",)),
    (searches.patient_search, ("patient_search", "patient_search_sql")),
    (typeahead.professional_typeahead, ("professional_typeahead", "professional_typeahead_sql")),
    (finding.record_page, ("record_page_10m", "record_page_10m_p99")),
    (finding.tree, ("tree_10m", "tree_10m_p99")),
    (finding.keyword, ("keyword_10m", "keyword_10m_p99")),
    (histories.page, ("history_page",)),
    (verifying.verify, ("verify", "verify_history")),
    (deliveries.delivery, ("delivery_p99",)),
    (loads.bulk_load, ("bulk_load", "bulk_load_professionals")),
)

# Into a file or a pipe the table goes unfolded.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 180)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for; 0 when every figure was measured, whether it meets its target or not."""
    asked = _asked(arguments)
    keep_memory()  # what the asking side costs is no part of a figure
    began = time.monotonic()
    rows: list[Row] = []
    failed: list[str] = []
    try:
        with ground(AMOUNTS[asked.size], _tell) as here:
            for measure, ids in MEASURES:
                if wanted := [figure for figure in ids if figure in asked.figures]:
                    rows += [row for row in _measured(measure, here, wanted, failed) if row.figure.id in wanted]
    except (StackFailure, NoSpace) as failure:
        errors.print(f"\n[bold red]failed:[/] {escape(str(failure))}")
        return 1
    except KeyboardInterrupt:
        errors.print("\nInterrupted; the measured platform is taken down.")
        return 130
    write(rows, RESULTS)
    out.print(_table(rows))
    out.print(f"{len(rows)} figures in {time.monotonic() - began:.0f} s, written to {RESULTS.name}")
    return 1 if failed else 0


def _measured(measure: Measure, here: Ground, wanted: Iterable[str], failed: list[str]) -> list[Row]:
    names, began = ", ".join(wanted), time.monotonic()
    come_to_rest()
    try:
        rows = measure(here)
    except Exception as error:  # one figure that cannot be measured does not hide the others
        failed.append(names)
        errors.print(f"[bold red]✗[/] {names}: {type(error).__name__}: {escape(str(error))}")
        return []
    _tell(names if len(names) < 60 else f"{names[:57]}…", "measured", time.monotonic() - began)
    return rows


def _table(rows: Sequence[Row]) -> Table:
    """The figures beside their targets. Noise: between which ratios (values, where absolute) the rounds lay."""
    table = Table(box=None, header_style="bold")
    table.add_column("figure", no_wrap=True)
    for column in ("ours", "baseline", "ratio", "noise", "target"):
        table.add_column(column, justify="right")
    table.add_column("")
    table.add_column("what", overflow="fold")
    for row in rows:
        told = row.as_json()
        sign = {"higher": "≥", "lower": "≤"}[row.figure.better]
        target = "" if row.figure.target is None else f"{sign} {row.figure.target:g}"
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}[row.met]
        cells = [_cell(told["ours"]), _cell(told["baseline"]), _cell(told["ratio"]), row.noise, target, mark]
        table.add_row(row.figure.id, *cells, escape(row.figure.name))
    return table


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _tell(part: str, message: str, seconds: float) -> None:
    out.print(f"[green]✓[/] {part:<14} {message:<44} {seconds:6.1f} s")


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description=__doc__)
    parser.add_argument("--only", default="", help="ids of figures, comma-separated; `deposit` means every deposit_…")
    parser.add_argument("--size", choices=tuple(AMOUNTS), default="small", help="full takes longer and needs more disk")
    asked = parser.parse_args(arguments)
    try:
        asked.figures = chosen(asked.only)
    except ValueError as unknown:
        parser.error(str(unknown))
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
