"""Ingest as the table grows from empty, all of it through the service, and the server's memory meanwhile."""

from statistics import median

from bench.figure import Figure, Scale
from bench.ingest import COLUMNAR, SHAPES, stream_rates
from bench.stack import Stack
from bench.workload import Source

GROWTH, FLAT, MEMORY = "ingest_growth", "memory_flat", "memory"
MEMORY_MB = 400
# The first events and the last are sent in so many parts.
PARTS = 5
WARM_UP_EVENTS = 5_000


async def measure_memory(stack: Stack, _: Scale, wanted: set[str]) -> list[Figure]:
    """Tell the greatest memory that the server has taken until now."""
    if wanted and MEMORY not in wanted:
        return []
    limit = f"{MEMORY_MB} MB, the peak of the server after all of the above; lower is better"
    return [Figure(MEMORY, "MB", limit, [float(stack.peak_memory_mb())], [float(MEMORY_MB)])]


async def measure_ingest_growth(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure the rate of the first events, and that after many more have come the same way."""
    if wanted and not wanted & {GROWTH, FLAT}:
        return []
    source, step = Source(), scale.grown_events // scale.growth_steps
    await _rate(stack, source, WARM_UP_EVENTS)
    before = [await _rate(stack, source, step // PARTS) for _ in range(PARTS)]
    await _add_points(stack, median(before))
    for _ in range(scale.growth_steps - 1):
        await _add_points(stack, await _rate(stack, source, step))
    after = [await _rate(stack, source, step // PARTS) for _ in range(PARTS)]
    await _add_points(stack, median(after))
    memory = [megabytes for _, megabytes in stack.curves["memory"]]
    third = len(memory) // 3
    return [
        Figure(GROWTH, "events/s", f"the first {step:,}; after {scale.grown_events:,}", after, before),
        Figure(
            FLAT,
            "MB",
            "the server's memory in the last third of all that was sent, over that in the second; lower is better",
            memory[-third:],
            memory[third : 2 * third],
        ),
    ]


async def _rate(stack: Stack, source: Source, count: int) -> float:
    acknowledged, _ = await stream_rates(stack, source.recent(count), SHAPES[COLUMNAR])
    return acknowledged


async def _add_points(stack: Stack, rate: float) -> None:
    stored = await stack.connection.fetchval("SELECT count(*) FROM events")
    stack.curves["ingest"].append((stored, rate))
    stack.curves["memory"].append((stored, stack.memory_mb()))
