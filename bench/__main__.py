"""Run the benchmark: ``python -m bench [--quick] [NAME...]``; `make bench` runs all of it."""

import argparse
import asyncio
import gc
import signal
import sys
from typing import TypeAlias

import uvloop

from bench.bills import measure_bills
from bench.figure import Figure, Scale
from bench.growth import measure_ingest_growth, measure_memory
from bench.ingest import measure_ingest
from bench.latency import measure_latency
from bench.quoting import measure_quotes
from bench.rates import measure_growth, measure_rates
from bench.repeats import measure_repeats
from bench.report import CURVES, RESULTS, results_of, table_of, write_results
from bench.single import measure_single
from bench.stack import running_stack

Curves: TypeAlias = dict[str, list[tuple[float, float]]]

# The sections of each group share a server and a database.
GROUPS = (
    (
        *(measure_ingest, measure_repeats, measure_single, measure_latency, measure_memory),
        *(measure_rates, measure_quotes, measure_growth),
    ),
    # Where no autovacuum of the millions of events before it works beside them.
    (measure_bills,),
    (measure_ingest_growth,),
)
FULL = Scale(
    runs=5,
    ingest_events=100_000,
    long_factor=20,
    grown_events=30_000_000,
    growth_steps=30,
    call_seconds=2.0,
    latency_messages=500,
    growth_events=(100_000, 1_000_000, 10_000_000),
    billed_accounts=20_000,
)
QUICK = Scale(
    runs=3,
    ingest_events=20_000,
    long_factor=5,
    grown_events=300_000,
    growth_steps=6,
    call_seconds=0.5,
    latency_messages=50,
    growth_events=(1_000, 10_000, 100_000),
    billed_accounts=200,
)


async def measure(scale: Scale, wanted: set[str]) -> tuple[list[Figure], Curves]:
    """Measure everything, or only what is wanted."""
    task = asyncio.current_task()
    if task is not None:  # so that nothing that was started stays behind, as with Ctrl-C
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    figures: list[Figure] = []
    curves: Curves = {}
    for group in GROUPS:
        async with running_stack() as stack:
            for section in group:
                figures += await section(stack, scale, wanted)
                print(f"{section.__name__}: the server's peak memory is {stack.peak_memory_mb()} MB", file=sys.stderr)
                gc.collect()
            curves |= stack.curves
    return figures, curves


def main() -> None:
    """Measure, print the table, and write the results of a full run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="little of everything: proves the benchmark, not the speed"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these figures, such as ingest_simple")
    parser.add_argument("--keep", action="store_true", help="write what is measured into the results, beside the rest")
    options = parser.parse_args()
    # What is prepared stays to the end, and collecting it again and again would be measured too.
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures, curves = runner.run(measure(QUICK if options.quick else FULL, set(options.names)))
    results = results_of(figures)
    print(table_of(results))
    if not options.quick and (options.keep or not options.names):
        write_results(results, curves, is_part=bool(options.names))
        print(f"written to {RESULTS} and {CURVES}")


if __name__ == "__main__":
    main()
