"""The figures as a table for people and as data for those who come later."""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.figure import Figure

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results" / "latest.json"
CURVES = FOLDER / "results" / "curves.json"
PAGES = (FOLDER / "README.md", FOLDER.parent / "README.md")
MARK = "<!-- figures -->\n"
HEADER = ("name", "ratio", "spread", "median", "limit", "unit", "against")


def table_of(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table, below the machine that they were measured on."""
    rows = [HEADER, *(_cells(figure) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return f"{describe_machine()}\n\n" + "\n".join(lines) + "\n"


def _cells(figure: Figure) -> tuple[str, ...]:
    middle, limit = (_short(median(samples)) for samples in (figure.samples, figure.limits))
    return figure.name, f"{figure.ratio:.2f}", f"{figure.spread:.0%}", middle, limit, figure.unit, figure.against


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def write_results(figures: Sequence[Figure], curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Write the figures and curves as data, and the figures' table into the pages between their marks."""
    results = [
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
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    CURVES.write_text(json.dumps({name: sorted(points) for name, points in curves.items()}, indent=2) + "\n")
    for page in PAGES:
        before, _, after = page.read_text().split(MARK)
        page.write_text(MARK.join((before, f"\n{table_of(figures)}\n", after)))


def describe_machine() -> str:
    """Return what the figures depend on and the ratios should not."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores, {cpu[1] if cpu else platform.machine()}, Python {platform.python_version()}"
