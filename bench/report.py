"""The figures as a table for people and as data for those who come later."""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TypeAlias

from bench.figure import Figure

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results" / "latest.json"
CURVES = FOLDER / "results" / "curves.json"
PAGES = (FOLDER / "README.md", FOLDER.parent / "README.md")
Result: TypeAlias = dict[str, str | float]
Curves: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]

MARK = "<!-- figures -->\n"
HEADER = ("name", "ratio", "spread", "median", "limit", "unit", "against")


def results_of(figures: Sequence[Figure]) -> list[Result]:
    """Return the figures as data."""
    return [
        {
            "name": figure.name,
            "ratio": round(figure.ratio, 4),
            "median": round(median(figure.samples), 4),
            "spread": round(figure.spread, 4),
            "unit": figure.unit,
            "against": figure.against,
            "limit": round(median(figure.limits), 4),
        }
        for figure in figures
    ]


def table_of(results: Sequence[Result]) -> str:
    """Return results as a Markdown table, below the machine that they were measured on."""
    rows = [HEADER, *(_cells(result) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return f"{describe_machine()}\n\n" + "\n".join(lines) + "\n"


def _cells(result: Result) -> tuple[str, ...]:
    ratio, spread, middle, limit = (float(result[name]) for name in ("ratio", "spread", "median", "limit"))
    shown = (f"{ratio:.2f}", f"{spread:.0%}", _short(middle), _short(limit))
    return str(result["name"]), *shown, str(result["unit"]), str(result["against"])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def write_results(results: Sequence[Result], curves: Curves, *, is_part: bool) -> None:
    """Write results and curves as data, and the table of all that is stored into the pages between their marks.

    Args:
        results: what was measured.
        curves: likewise.
        is_part: whether what is stored already and was not measured now stays.
    """
    found = {str(result["name"]): result for result in results}
    stored = json.loads(RESULTS.read_text()) if is_part else []
    every = [found.pop(result["name"], result) for result in stored] + list(found.values())
    RESULTS.write_text(json.dumps(every, indent=2) + "\n")
    drawn = json.loads(CURVES.read_text()) if is_part and CURVES.exists() else {}
    drawn |= {name: sorted(points) for name, points in curves.items()}
    CURVES.write_text(json.dumps(drawn, indent=2) + "\n")
    for page in PAGES:
        before, _, after = page.read_text().split(MARK)
        page.write_text(MARK.join((before, f"\n{table_of(every)}\n", after)))


def describe_machine() -> str:
    """Return what the figures depend on and the ratios should not."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores, {cpu[1] if cpu else platform.machine()}, Python {platform.python_version()}"
