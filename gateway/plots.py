"""Plots as SVG 1.1, written by hand: a few lines or bars need no library, and nothing in them runs or is fetched.

Colours, widths and fonts are attributes, because the page's policy forbids styles. Each line has a name at its end in
words, so that nobody has to tell colours apart, and the picture says in words what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

WIDTH, LEFT, RIGHT, TOP, FOOT = 1100, 90, 400, 50, 60
HEIGHT, BAR = 560, 22
MOST_LINES, LONGEST = 12, 46
COLOURS = ("#1b5e9e", "#c0392b", "#1e7d4f", "#8e44ad", "#b9770e", "#16808a", "#6d4c41", "#ad1457", "#455a64",
           "#7d8a00", "#5c6bc0", "#e65100")  # fmt: skip
INK, GREY, FAINT = "#222222", "#777777", "#dddddd"


class Line(NamedTuple):
    """A name and its numbers, one for each column."""

    name: str
    counts: Sequence[int]


class Bar(NamedTuple):
    """A name, how much of a hundred, and what stands beside it; None where it is not shown."""

    name: str
    percent: float | None
    label: str


def lines(title: str, columns: Sequence[str], places: Sequence[float], drawn: Sequence[Line], others: str) -> str:
    """Numbers over time. places: where each column stands, in days. others: the name of all beyond the largest."""
    shown = _largest(drawn, others)
    highest = max((count for line in shown for count in line.counts), default=0)
    ticks = _ticks(highest)
    width, height, top = WIDTH - LEFT - RIGHT, HEIGHT - TOP - FOOT, max(ticks[-1], 1)
    first, span = min(places), (max(places) - min(places)) or 1

    def at(place: float, count: float) -> tuple[float, float]:
        return LEFT + (place - first) / span * width, TOP + height - count / top * height

    parts = [_grid(at(first, tick)[1], LEFT + width, f"{tick:,}".replace(",", " ")) for tick in ticks]
    free = LEFT - 1000.0  # where the last label of a column stands: others too near it are left out
    for column, place in sorted(zip(columns, places, strict=True), key=lambda pair: pair[1]):
        x = at(place, 0)[0]
        if x - free >= 70:
            parts.append(_text(x, TOP + height + 22, column, anchor="middle"))
            free = x
    ends = _apart([at(max(places), line.counts[_last(places)])[1] for line in shown])
    for number, (line, end) in enumerate(zip(shown, ends, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        points = sorted(at(place, count) for place, count in zip(places, line.counts, strict=True))
        if len(points) == 1:
            parts.append(f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="4" fill="{colour}"/>')
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        name = line.name if len(line.name) <= LONGEST else f"{line.name[: LONGEST - 1]}…"
        named = f"{name} ({line.counts[_last(places)]})"
        parts.append(_text(WIDTH - RIGHT + 10, end + 4, named, colour=colour))
    said = "; ".join(f"{line.name}: {', '.join(map(str, line.counts))}" for line in shown)
    return _picture(title, f"{', '.join(columns)}. {said}", HEIGHT, parts)


def bars(title: str, drawn: Sequence[Bar]) -> str:
    """Shares of a hundred, one below the other; what is not shown has its label and no bar."""
    height, left, width = TOP + BAR * len(drawn) + FOOT, 240, WIDTH - 240 - 160
    floor = TOP + BAR * len(drawn)
    parts = []
    for tick in (0, 20, 40, 60, 80, 100):
        x = left + tick / 100 * width
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{floor}" stroke="{FAINT}"/>')
        parts.append(_text(x, floor + 20, f"{tick} %", anchor="middle"))
    for number, bar in enumerate(drawn):
        y = TOP + BAR * number
        parts.append(_text(left - 8, y + 15, bar.name, anchor="end"))
        length = min(bar.percent or 0, 100) / 100 * width
        parts.append(
            f'<rect x="{left}" y="{y + 3}" width="{length:.1f}" height="{BAR - 6}" fill="{COLOURS[0]}"/>'
        )  # fmt: skip
        parts.append(_text(left + length + 8, y + 15, bar.label, colour=INK if bar.percent is not None else GREY))
    return _picture(title, "; ".join(f"{bar.name}: {bar.label}" for bar in drawn), height, parts)


def _largest(drawn: Sequence[Line], others: str) -> list[Line]:
    """The lines with the highest numbers, and the sum of all the others where there are more."""
    ordered = sorted(drawn, key=lambda line: (-max(line.counts, default=0), line.name))
    if len(ordered) <= MOST_LINES:
        return ordered
    rest = ordered[MOST_LINES - 1 :]
    summed = Line(others, [sum(column) for column in zip(*(line.counts for line in rest), strict=True)])
    return [*ordered[: MOST_LINES - 1], summed]


def _ticks(highest: int) -> list[int]:
    """Round numbers from nought to at least the highest, four to eight of them."""
    step = 1
    while highest / step > 7:
        step = step // 2 * 5 if str(step)[0] == "2" else step * 2
    return list(range(0, highest + step, step)) if highest else [0]


def _apart(ends: Sequence[float]) -> list[float]:
    """Where names stand beside the ends of their lines, moved until none covers another."""
    order = sorted(range(len(ends)), key=lambda number: ends[number])
    moved, above = list(ends), TOP - 16.0
    for number in order:
        above = moved[number] = max(ends[number], above + 16)
    below = HEIGHT - FOOT + 8.0
    for number in reversed(order):
        moved[number] = min(moved[number], below)
        below = moved[number] - 16
    return moved


def _last(places: Sequence[float]) -> int:
    return max(range(len(places)), key=lambda number: places[number])


def _grid(y: float, right: float, label: str) -> str:
    return (
        f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{FAINT}"/>'
        f"{_text(LEFT - 8, y + 4, label, anchor='end')}"
    )


def _text(x: float, y: float, said: str, *, anchor: str = "start", colour: str = INK, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{_safe(said)}</text>'
    )


def _picture(title: str, said: str, height: int, parts: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" font-family="sans-serif"><title>{_safe(title)}</title><desc>{_safe(said)}</desc>'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>{_text(LEFT, 28, title, size=18)}'
        f"{''.join(parts)}</svg>"
    )


def _safe(said: str) -> str:
    return escape("".join(each for each in said if each.isprintable()))
