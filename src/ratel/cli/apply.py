"""`ratel apply`: brings a server's catalog, accounts and attachments to what a file says, through the public API."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from rich.console import Console
from rich.progress import Progress

from ratel.account.v1 import (
    account_pb2,
    account_service_pb2,
    attachment_pb2,
    balance_pb2,
    commitment_pb2,
    counter_adjustment_pb2,
    grant_pb2,
)
from ratel.account.v1.account_service_pb2_grpc import AccountServiceStub
from ratel.catalog.v1 import (
    add_on_pb2,
    aggregation_pb2,
    catalog_service_pb2,
    counter_pb2,
    meter_pb2,
    plan_group_pb2,
    plan_pb2,
    plan_template_pb2,
    pricing_pb2,
    product_pb2,
    promotion_pb2,
    settings_pb2,
)
from ratel.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from ratel.cli.failure import CommandFailed, describe_call
from ratel.cli.yaml_file import parse_messages, read_yaml
from ratel.client import error_from, open_channel

# In the order in which one may name another.
KINDS: dict[str, type[Message]] = {
    "products": product_pb2.Product,
    "meters": meter_pb2.Meter,
    "aggregations": aggregation_pb2.Aggregation,
    "compound_aggregations": aggregation_pb2.CompoundAggregation,
    "counters": counter_pb2.Counter,
    "plan_templates": plan_template_pb2.PlanTemplate,
    "accounts": account_pb2.Account,
    "plans": plan_pb2.Plan,
    "plan_groups": plan_group_pb2.PlanGroup,
    "pricings": pricing_pb2.Pricing,
    "promotions": promotion_pb2.Promotion,
    "add_ons": add_on_pb2.AddOn,
    "attachments": attachment_pb2.Attachment,
    "grants": grant_pb2.Grant,
    "counter_adjustments": counter_adjustment_pb2.CounterAdjustment,
    "commitments": commitment_pb2.Commitment,
    "balances": balance_pb2.Balance,
    "balance_transactions": balance_pb2.BalanceTransaction,
}
SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a catalog file.

    Attributes:
        place: Where in the file, such as ``pricings[2]``.
        message: What it says.
    """

    place: str
    message: Message


def apply_file(target: str, path: Path) -> None:
    """Apply a file to a server and say what was done."""
    console = Console()
    entries = read_catalog(path)
    counts = asyncio.run(_apply_to(target, entries, console))
    console.print(describe(counts), highlight=False)


async def _apply_to(target: str, entries: list[Entry], console: Console) -> Counter[str]:
    async with open_channel(target) as channel:
        return await apply_entries(channel, entries, console)


def describe(counts: Counter[str]) -> str:
    """Return a line that says how many entries were applied, and how many of them changed what was there."""
    return f"{counts.total()} entries applied, {counts['changed']} of them changed what was there."


def read_catalog(path: Path) -> list[Entry]:
    """Return the entries of a catalog file in the order in which they can be applied.

    Raises:
        CommandFailed: The file cannot be read, or an entry is no message of its kind.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise CommandFailed(f"{path}: must say for each kind, such as products, a list")
    unknown = content.keys() - KINDS.keys() - {SETTINGS}
    if unknown:
        raise CommandFailed(f"{path}: there is no kind {', '.join(sorted(map(str, unknown)))}; see {', '.join(KINDS)}")
    return list(_entries(content))


def _entries(content: dict[str, object]) -> Iterator[Entry]:
    if SETTINGS in content:
        yield Entry(SETTINGS, parse_messages(settings_pb2.Settings, [content[SETTINGS]], SETTINGS)[0])
    for kind, message_type in KINDS.items():
        messages = parse_messages(message_type, content.get(kind, []), kind)
        entries = [Entry(f"{kind}[{index}]", message) for index, message in enumerate(messages)]
        yield from sorted(entries, key=_has_parent)


def _has_parent(entry: Entry) -> bool:
    """Tell children from accounts that they may name as their parent, which must come before."""
    return isinstance(entry.message, account_pb2.Account) and bool(entry.message.parent_account_id)


async def apply_entries(channel: grpc.aio.Channel, entries: list[Entry], console: Console) -> Counter[str]:
    """Create each entry, or change what is there under its id, and count what was done by what it was.

    Returns:
        How many there are of each: ``standing`` (new, or there with the same content) and ``changed``.

    Raises:
        CommandFailed: The server refuses one; those before it stay applied.
    """
    counts: Counter[str] = Counter()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for entry in progress.track(entries, description="Applying"):
            try:
                counts[await _apply(channel, entry.message)] += 1
            except grpc.aio.AioRpcError as error:
                raise CommandFailed(f"{entry.place} is refused. {describe_call(error)}") from error
    return counts


async def _apply(channel: grpc.aio.Channel, message: Message) -> str:
    if isinstance(message, settings_pb2.Settings):
        mask = FieldMask(paths=[field.name for field, _ in message.ListFields()])
        await _call(channel, "Update", message, update_mask=mask)
        return "standing"
    try:
        await _call(channel, "Create", message)
    except grpc.aio.AioRpcError as error:
        is_there = error.code() is grpc.StatusCode.ALREADY_EXISTS and error_from(error).reason
        if not is_there or isinstance(message, balance_pb2.BalanceTransaction):  # which never changes
            raise
        await _call(channel, "Update", message)
        return "changed"
    return "standing"


async def _call(channel: grpc.aio.Channel, verb: str, message: Message, **fields: Message) -> None:
    """Call CreateX or UpdateX of the service that keeps X."""
    noun = message.DESCRIPTOR.name
    is_account = message.DESCRIPTOR.full_name.startswith("ratel.account.")
    stub: Any = AccountServiceStub(channel) if is_account else CatalogServiceStub(channel)
    requests: Any = account_service_pb2 if is_account else catalog_service_pb2
    request = getattr(requests, f"{verb}{noun}Request")
    field = request.DESCRIPTOR.fields_by_number[1].name
    await getattr(stub, verb + noun)(request(**{field: message}, **fields))
