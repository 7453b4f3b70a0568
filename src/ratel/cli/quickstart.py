"""`ratel quickstart`: all of Ratel on one screen, from an empty folder to a bill."""

import asyncio
from collections import Counter
from importlib.resources import as_file, files

import grpc
import uvloop
from rich.console import Console

from ratel.cli.apply import apply_entries, describe, read_catalog
from ratel.cli.bill import bill_table
from ratel.cli.database import database_url, migrate_url
from ratel.cli.rate import days_of, rate_days
from ratel.cli.yaml_file import parse_messages, read_yaml
from ratel.client import open_channel, stream_usage
from ratel.config import Configuration
from ratel.server.serve import RunningServer, serve
from ratel.usage.v1.usage_event_pb2 import EventOutcome, UsageEvent

EXAMPLES = files("ratel.examples")
ACCOUNT = "acme"
PERIOD = "2024-07"
REQUEST = '{"account_id": "acme", "start_time": "2024-07-01T00:00:00Z", "end_time": "2024-08-01T00:00:00Z"}'


def show_quickstart(configuration: Configuration, *, once: bool) -> None:
    """Start Postgres and a server, send the examples through the public API, and show July's bill.

    Running it again changes nothing.

    Args:
        configuration: See there.
        once: Whether to end then, instead of serving until Ctrl-C.
    """
    console = Console()
    if "log_level" not in configuration.model_fields_set:
        configuration = configuration.model_copy(update={"log_level": "WARNING"})
    where = "the database that RATEL_DATABASE_URL names" if configuration.database_url else "a Postgres of its own"
    console.print(f"Ratel starts, with {where}.")
    with database_url(configuration) as url:
        uvloop.run(_run(configuration, url, console, once=once))


async def _run(configuration: Configuration, url: str, console: Console, *, once: bool) -> None:
    async def show(server: RunningServer) -> None:
        async with open_channel(server.target) as channel:
            await _show_examples(channel, console)
        if not once:
            _say_how_to_call(server, console)
            await asyncio.Event().wait()

    for name in await migrate_url(url):
        console.print(f"Migrated: {name}.", highlight=False)
    await serve(configuration, url, show)


async def _show_examples(channel: grpc.aio.Channel, console: Console) -> None:
    with as_file(EXAMPLES / "hybrid.yaml") as path:
        counts = await apply_entries(channel, read_catalog(path), console)
    console.print(f"The example catalog: {describe(counts)}", highlight=False)
    console.print(f"The example usage: {await _stream_example(channel)}", highlight=False)
    rating, zone = await rate_days(channel, ACCOUNT, *days_of(PERIOD))
    for table in bill_table(rating, PERIOD, zone):
        console.print(table)


async def _stream_example(channel: grpc.aio.Channel) -> str:
    """Send the example usage and say what became of it."""
    with as_file(EXAMPLES / "hybrid_usage.yaml") as path:
        events = parse_messages(UsageEvent, read_yaml(path), path.name)
    counts: Counter[str] = Counter()
    async for receipt in stream_usage(channel, events):
        counts["accepted"] += receipt.accepted_count
        for verdict in receipt.verdicts:
            outcome = EventOutcome.Name(verdict.outcome).removeprefix("EVENT_OUTCOME_").lower()
            counts[f"{outcome} {verdict.reason}".rstrip()] += 1
    return ", ".join(f"{count} events {what}" for what, count in counts.items() if count) + "."


def _say_how_to_call(server: RunningServer, console: Console) -> None:
    console.print(f"\nRatel answers on {server.target}. Ask it the same:", highlight=False)
    url = f"http://{server.target}/ratel.rating.v1.RatingService/RateAccount"
    console.print(
        f"  buf curl --protocol grpc --http2-prior-knowledge {url} \\\n    -d '{REQUEST}'",
        highlight=False,
        soft_wrap=True,
    )
    if server.metrics_target:
        console.print(f"Its metrics are at http://{server.metrics_target}/metrics.", highlight=False)
    console.print("Ctrl-C ends it.")
