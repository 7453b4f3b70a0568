"""Ingest as the table grows, and the memory that the server has taken until then."""

from statistics import median

from bench.figure import Figure, Scale
from bench.ingest import COLUMNAR, SHAPES, stream_rates
from bench.rates import fill_events
from bench.stack import Stack
from bench.workload import INGEST_ACCOUNTS, Source

MEMORY_MB = 400
STEPS = 5


async def measure_ingest_growth(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure the rate of the first events and that after many more, which are written straight into the table."""
    figures = []
    if not wanted or "ingest_growth" in wanted:
        source, count = Source(), scale.ingest_events * scale.long_factor // STEPS
        before = [await _rate(stack, source, count) for _ in range(STEPS)]
        stored = await stack.connection.fetchval("SELECT count(*) FROM events")
        stack.curves["ingest"].append((stored, median(before)))
        await fill_events(stack.connection, INGEST_ACCOUNTS[0], scale.grown_events, is_pending=False)
        after = [await _rate(stack, source, count) for _ in range(STEPS)]
        stack.curves["ingest"].append((stored + scale.grown_events, median(after)))
        limit = f"the same with {scale.grown_events:,} events fewer in the table"
        figures.append(Figure("ingest_growth", "events/s", limit, after, before))
    if not wanted or "memory" in wanted:
        limit = f"{MEMORY_MB} MB, the peak of the server after all of the above; lower is better"
        figures.append(Figure("memory", "MB", limit, [float(stack.peak_memory_mb())], [float(MEMORY_MB)]))
    return figures


async def _rate(stack: Stack, source: Source, count: int) -> float:
    acknowledged, _ = await stream_rates(stack, source.recent(count), SHAPES[COLUMNAR])
    return acknowledged
