"""Ingest of events of which some are stored already, and of ids without an order, against COPY."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from bench.figure import Figure, Scale
from bench.ingest import COLUMNAR, COPIED, COPY, SHAPES, copy_rate, fold, read_numbers, send, stream_rates
from bench.stack import Stack
from bench.workload import SEED, Event, Source, column_messages

DUPLICATES, RANDOM = "ingest_duplicates", "ingest_random_ids"
# One of so many events was sent an hour ago.
NEW_PER_REPEAT = 100


async def measure_repeats(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure columns with 1 % old duplicates everywhere, and with random ids."""
    names = [name for name in (DUPLICATES, RANDOM) if not wanted or name in wanted]
    if not names:
        return []
    numbers = await read_numbers(stack.connection)
    source, count = Source(), min(scale.ingest_events * scale.long_factor, COPIED)
    old = source.old(count // NEW_PER_REPEAT)
    await send(stack, [column_messages(old, 1_000)], len(old))
    await fold(stack.connection)
    rates: dict[str, list[float]] = defaultdict(list)
    for run in range(scale.runs + 1):
        if run == 1:
            rates.clear()  # the first run only warms up
        for name in names:
            events, limits = (
                (source.random(count), source.random(count))
                if name == RANDOM
                else (_among(source.recent(count), old), source.recent(count))
            )
            rates[f"{name} copy"].append(await copy_rate(stack.connection, limits, numbers))
            acknowledged, _ = await stream_rates(stack, events, SHAPES[COLUMNAR], len(events) - count)
            rates[name].append(acknowledged)
    texts = {DUPLICATES: COPY, RANDOM: f"{COPY}, of such keys"}
    return [Figure(name, "events/s", texts[name], rates[name], rates[f"{name} copy"]) for name in names]


def _among(events: Sequence[Event], old: Sequence[Event]) -> list[Event]:
    """Return events with the old ones among them, each at a place of chance."""
    places = set(Random(SEED).sample(range(len(events) + len(old)), len(old)))
    new, repeats = iter(events), iter(old)
    return [next(repeats if place in places else new) for place in range(len(events) + len(old))]
