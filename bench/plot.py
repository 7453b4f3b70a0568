"""Draw the curves of the last full run: ingest and memory over events stored, rating over events in the month.

Usage: python -m bench.plot; needs the packages of bench/requirements.lock, which nothing else does.
"""

import json

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.report import CURVES

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "ratel"  # the same curves are the same file
PANELS = (
    ("ingest", "Ingest", "events stored", "events a second", False),
    ("memory", "Memory of the server", "events stored", "MB", False),
    ("rating", "RateAccount of a month", "events in the month", "milliseconds", True),
)


def draw() -> None:
    """Write the plot beside the curves, as PNG and SVG."""
    curves = json.loads(CURVES.read_text())
    panels = [panel for panel in PANELS if any(name.endswith(panel[0]) for name in curves)]
    figure, places = plt.subplots(1, len(panels), figsize=(6 * len(panels), 4), squeeze=False, layout="constrained")
    for place, (suffix, title, below, beside, is_logarithmic) in zip(places[0], panels, strict=True):
        for name, points in sorted(curves.items()):
            if name.endswith(suffix):
                place.plot(*zip(*points, strict=True), marker="o", label=name.removesuffix(suffix).strip() or "Ratel")
        place.set(title=title, xlabel=below, ylabel=beside)
        if is_logarithmic:
            place.set(xscale="log", yscale="log")
        else:
            place.set_ylim(bottom=0)
        place.grid(visible=True, alpha=0.3)
        place.legend()
    figure.savefig(CURVES.with_suffix(".png"), dpi=120, metadata={"Software": None})
    figure.savefig(CURVES.with_suffix(".svg"), metadata={"Date": None})


if __name__ == "__main__":
    draw()
