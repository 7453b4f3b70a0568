"""`ratel rate`: asks a server what an account's service in a period costs."""

import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import grpc
from rich.console import Console

from ratel.catalog.v1.catalog_service_pb2 import GetSettingsRequest
from ratel.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from ratel.cli.bill import bill_table
from ratel.cli.failure import CommandFailed
from ratel.client import open_channel
from ratel.rating.v1.account_rating_pb2 import AccountRating
from ratel.rating.v1.rating_service_pb2 import RateAccountRequest
from ratel.rating.v1.rating_service_pb2_grpc import RatingServiceStub


def rate_account(target: str, account_id: str, period: str) -> None:
    """Print an account's line items of a period with their workings."""
    first, after = days_of(period)
    rating, zone = asyncio.run(_rate_at(target, account_id, first, after))
    console = Console()
    for table in bill_table(rating, period, zone):
        console.print(table)


async def _rate_at(target: str, account_id: str, first: date, after: date) -> tuple[AccountRating, ZoneInfo]:
    async with open_channel(target) as channel:
        return await rate_days(channel, account_id, first, after)


async def rate_days(
    channel: grpc.aio.Channel, account_id: str, first: date, after: date
) -> tuple[AccountRating, ZoneInfo]:
    """Return what an account's service costs from one day to before another, and the zone whose days these are."""
    answer = await CatalogServiceStub(channel).GetSettings(GetSettingsRequest())
    zone = ZoneInfo(answer.settings.time_zone)
    request = RateAccountRequest(account_id=account_id)
    request.start_time.FromDatetime(_start_of(first, zone))
    request.end_time.FromDatetime(_start_of(after, zone))
    response = await RatingServiceStub(channel).RateAccount(request)
    return response.account_rating, zone


def days_of(period: str) -> tuple[date, date]:
    """Return the first day of a year, month or day such as 2024, 2024-07 or 2024-07-31, and the first one after it."""
    match = re.fullmatch(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", period, re.ASCII)
    try:
        year, month, day = (int(part) if part else None for part in match.groups()) if match else (0, None, None)
        first = date(year or 0, month or 1, day or 1)
        if day:
            return first, first + timedelta(days=1)
        if month:
            return first, date(first.year + month // 12, month % 12 + 1, 1)
        return first, date(first.year + 1, 1, 1)
    except (ValueError, OverflowError) as error:
        raise CommandFailed(f"{period} is no year, month or day such as 2024, 2024-07 or 2024-07-31") from error


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
