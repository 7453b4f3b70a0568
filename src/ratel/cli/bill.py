"""A rating as a table: every line item with its workings below it, and the totals."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ratel.rating.v1.account_rating_pb2 import AccountRating
from ratel.rating.v1.line_item_pb2 import (
    BandUsage,
    CounterWorkings,
    LineItem,
    LineItemKind,
    PricedQuantity,
    SpendWorkings,
    StandingChargeWorkings,
    UsageWorkings,
)

Row = tuple[str, str, str, str]


def bill_table(rating: AccountRating, period: str, zone: ZoneInfo) -> Iterator[RenderableType]:
    """Yield what a person wants to see of a rating: the table, then what nobody pays for."""
    table = Table(title=f"{rating.account_id}, {period}", title_justify="left", show_footer=False)
    table.add_column("Line item", overflow="fold")
    for name in ("Quantity", "Price", "Amount"):
        table.add_column(name, justify="right", overflow="fold")
    for item in rating.line_items:
        for index, row in enumerate(_rows(item, rating, zone)):
            table.add_row(*row, style="" if index == 0 else "dim")
        table.add_section()
    for total in rating.totals:
        table.add_row("Total", "", "", f"{total.amount} {total.currency}", style="bold")
    yield table
    yield from _notes(rating)


def _rows(item: LineItem, rating: AccountRating, zone: ZoneInfo) -> Iterator[Row]:
    """Yield a line item's own row, then one for each step of its workings."""
    yield item.description, "", "", f"{item.amount} {item.currency}"
    yield LineItemKind.Name(item.kind).removeprefix("LINE_ITEM_KIND_"), "", "", ""
    if (item.service_start_time, item.service_end_time) != (rating.start_time, rating.end_time):
        yield f"{_day(item.service_start_time, zone)} to {_day(item.service_end_time, zone)}", "", "", ""
    if item.account_id:
        yield f"account: {item.account_id}", "", "", ""
    for name, value in sorted(item.segment.items()):
        yield f"{name}: {value or 'missing'}", "", "", ""
    match item.WhichOneof("workings"):
        case "usage":
            yield from _usage_rows(item.usage)
        case "counter":
            yield from _counter_rows(item.counter)
        case "standing_charge":
            yield from _standing_charge_rows(item.standing_charge)
        case "spend":
            yield from _spend_rows(item.spend)
    if item.HasField("share"):
        share = item.share
        yield f"{share.quantity} of {share.whole_quantity}, of {share.whole_amount} {item.currency}", "", "", ""
    if item.HasField("conversion"):
        yield f"{item.conversion.amount} {item.conversion.currency} x {item.conversion.rate}", "", "", ""


def _usage_rows(workings: UsageWorkings) -> Iterator[Row]:
    yield from _quantity_rows("", workings.through, workings)
    if workings.HasField("before"):
        yield from _quantity_rows("less what was before: ", workings.before, workings)


def _quantity_rows(prefix: str, priced: PricedQuantity, workings: UsageWorkings) -> Iterator[Row]:
    quantity = priced.quantity or "no usage"
    per_unit = workings.quantity_per_unit
    if per_unit not in ("", "1"):
        quantity = f"{quantity} / {per_unit} = {priced.units}"
    yield f"{prefix}{quantity} {workings.unit}".rstrip(), "", "", ""
    yield from map(_band_row, priced.band_usages)


def _counter_rows(workings: CounterWorkings) -> Iterator[Row]:
    change = f"{workings.previous_level} to {workings.level}" if workings.previous_level else workings.level
    date = f" on {workings.date}" if workings.date else ""
    yield f"level {change}{date}", "", "", ""
    yield from map(_band_row, workings.band_usages)
    if workings.previous_band_usages:
        yield "less the level before", "", "", ""
        yield from map(_band_row, workings.previous_band_usages)
    if workings.prorated:
        yield from _days_row(workings.period_amount, workings.days, workings.period_days)


def _standing_charge_rows(workings: StandingChargeWorkings) -> Iterator[Row]:
    yield from _days_row(workings.period_amount, workings.days, workings.period_days)


def _spend_rows(workings: SpendWorkings) -> Iterator[Row]:
    yield from _days_row(workings.limit, workings.days, workings.period_days)
    yield f"limit {workings.prorated_limit}, spend {workings.spend}", "", "", ""


def _days_row(amount: str, days: int, period_days: int) -> Iterator[Row]:
    if days != period_days:
        yield f"{days} of {period_days} days", "", amount, ""


def _band_row(band: BandUsage) -> Row:
    limits = f"above {band.lower_limit}" + (f" to {band.upper_limit}" if band.upper_limit else "")
    quantity = f"{band.units} in {band.block_count} blocks" if band.block_count else band.units
    fixed = f"{band.fixed_price} + " if band.fixed_price not in ("", "0") else ""
    return f"  {limits}", quantity, f"{fixed}{band.unit_price}", band.amount


def _notes(rating: AccountRating) -> Iterator[RenderableType]:
    for unpriced in rating.unpriced_usages:
        priced = unpriced.WhichOneof("priced")
        name = getattr(unpriced, priced) if priced else ""
        yield Text(f"Not priced: {unpriced.quantity} of {name} in attachment {unpriced.attachment_id}", "yellow")
    for unattached in rating.unattached_usages:
        text = f"Without an attachment: {unattached.event_count} events of meter {unattached.meter_id}"
        yield Text(text, "yellow")


def _day(time: Timestamp, zone: ZoneInfo) -> str:
    local: datetime = time.ToDatetime(UTC).astimezone(zone)
    return f"{local:%Y-%m-%d}" if (local.hour, local.minute, local.second) == (0, 0, 0) else f"{local:%Y-%m-%d %H:%M}"
