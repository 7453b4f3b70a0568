"""The usage that is measured, made ahead: the same events as messages for the service and as rows for COPY.

Everything but the time is drawn from a fixed seed. Ids are UUIDv7 of the present, as senders make them.
"""

import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from uuid import UUID

from ratel.core.event import event_key, is_hashed
from ratel.usage.v1.usage_columns_pb2 import MeasureColumn, StringColumn, UsageColumns
from ratel.usage.v1.usage_service_pb2 import StreamUsageRequest

SEED = 19_540
METER = "calls"
REGIONS = ("eu", "us", "ap")
MODELS = ("small", "medium", "large")
# Accounts are named by their place: those that send usage, those that are rated, and three with ever more events.
INGEST_ACCOUNTS = range(1_000)
RATED_ACCOUNTS = range(1_000, 1_200)
GROWTH_ACCOUNTS = (1_200, 1_201, 1_202)
ACCOUNTS = tuple(f"account-{number:04}" for number in range(GROWTH_ACCOUNTS[-1] + 1))
HOUR = 3_600 * 1_000_000
# PostgreSQL counts from 2000-01-01.
POSTGRES_EPOCH = 946_684_800
TEXT_OID = 25
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
COPY_TRAILER = struct.pack("!h", -1)
NULL = struct.pack("!i", -1)


@dataclass(frozen=True, slots=True)
class Event:
    """One event, in microseconds since 1970."""

    id: UUID
    account: int
    time: int
    requests: int
    megabytes_hundredths: int
    region: str
    model: str


class Source:
    """An endless supply of events, whose ids are of the present and grow."""

    def __init__(self) -> None:
        self._random = Random(SEED)
        self._milliseconds = time.time_ns() // 1_000_000

    def recent(self, count: int) -> list[Event]:
        """Return so many events of the last hour, of all accounts that send."""
        now = self._milliseconds * 1_000
        return self.events(count, INGEST_ACCOUNTS, (now - HOUR, now))

    def random(self, count: int) -> list[Event]:
        """Return the same with ids that have no order."""
        return [replace(each, id=UUID(int=self._random.getrandbits(128), version=4)) for each in self.recent(count)]

    def old(self, count: int) -> list[Event]:
        """Return the same with ids that are an hour old."""
        return [replace(each, id=UUID(int=each.id.int - (HOUR // 1_000 << 80))) for each in self.recent(count)]

    def events(self, count: int, accounts: Sequence[int], period: tuple[int, int]) -> list[Event]:
        """Return so many events of these accounts, evenly over a period in microseconds since 1970."""
        random, first = self._random, max(self._milliseconds, time.time_ns() // 1_000_000)
        self._milliseconds = first + 1 + count // 500  # as if half a million came each second
        start, end = period
        return [
            Event(
                id=_uuid7(first + place // 500, random.getrandbits(74)),
                account=random.choice(accounts),
                time=start + (end - start) * place // count,
                requests=random.randint(1, 500),
                megabytes_hundredths=random.randint(1, 100_000),
                region=random.choice(REGIONS),
                model=random.choice(MODELS),
            )
            for place in range(count)
        ]


def _uuid7(milliseconds: int, random: int) -> UUID:
    high, low = random >> 62, random & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


# --- For the service --------------------------------------------------------------------------------------------------


def messages(events: Sequence[Event], size: int) -> list[bytes]:
    """Return the events as encoded messages of StreamUsage, so many in each."""
    starts = range(0, len(events), size)
    return [_message(number, events[start : start + size]) for number, start in enumerate(starts)]


def _message(sequence: int, events: Sequence[Event]) -> bytes:
    message = StreamUsageRequest(sequence=sequence)
    for each in events:
        event = message.events.add(account_id=ACCOUNTS[each.account], meter_id=METER, event_id=str(each.id))
        event.event_time.FromMicroseconds(each.time)
        event.values["requests"] = str(each.requests)
        event.values["megabytes"] = f"{each.megabytes_hundredths // 100}.{each.megabytes_hundredths % 100:02}"
        event.values["region"] = each.region
        event.values["model"] = each.model
    return message.SerializeToString()


def column_messages(events: Sequence[Event], size: int) -> list[bytes]:
    """Return the events as encoded messages of StreamUsage in columns, so many in each."""
    starts = range(0, len(events), size)
    return [_column_message(number, events[start : start + size]) for number, start in enumerate(starts)]


def _column_message(sequence: int, events: Sequence[Event]) -> bytes:
    places: dict[int, int] = {}
    columns = UsageColumns(
        accounts=[places.setdefault(each.account, len(places)) for each in events],
        meter_ids=[METER],
        event_uuids=b"".join([each.id.bytes for each in events]),
        event_times=[each.time for each in events],
        measures=[
            MeasureColumn(field="requests", values=[each.requests for each in events]),
            MeasureColumn(field="megabytes", values=[each.megabytes_hundredths for each in events], scale=2),
        ],
        strings=[
            StringColumn(field="region", texts=REGIONS, values=[REGIONS.index(each.region) for each in events]),
            StringColumn(field="model", texts=MODELS, values=[MODELS.index(each.model) for each in events]),
        ],
    )
    columns.account_ids.extend(ACCOUNTS[account] for account in places)
    return StreamUsageRequest(sequence=sequence, columns=columns).SerializeToString()


# --- For Postgres -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers by which rows name accounts and the meter, and a batch of their own."""

    accounts: Sequence[int]
    meter: int
    batch: int


COLUMNS = [
    "event_key",
    "event_time",
    "batch_id",
    "account_no",
    "meter_no",
    "measure",
    "measures",
    "strings",
    "event_id",
]


def copies(events: Sequence[Event], size: int, numbers: Numbers) -> list[bytes]:
    """Return the events as encoded binary COPY of the columns `COLUMNS`, so many rows in each, in the order of keys."""
    starts = range(0, len(events), size)
    return [COPY_HEADER + b"".join(_rows(events[start : start + size], numbers)) + COPY_TRAILER for start in starts]


def _rows(events: Sequence[Event], numbers: Numbers) -> Iterator[bytes]:
    for key, each in sorted(((event_key(str(each.id)), each) for each in events), key=lambda pair: pair[0]):
        fixed = struct.pack(
            "!hi16siqiqiiii",
            len(COLUMNS),
            16,
            key,
            8,
            each.time - POSTGRES_EPOCH * 1_000_000,
            8,
            numbers.batch,
            4,
            numbers.accounts[each.account],
            4,
            numbers.meter,
        )
        requests = _sized(_numeric(each.requests * 100))
        megabytes = _sized(_array(1700, [_numeric(each.megabytes_hundredths)]))
        strings = _sized(_array(TEXT_OID, [each.region.encode(), each.model.encode()]))
        event_id = _sized(str(each.id).encode()) if is_hashed(key) else NULL
        yield fixed + requests + megabytes + strings + event_id


def _numeric(hundredths: int) -> bytes:
    """Return hundredths, below a million, as a numeric: digits of base 10,000 around the point."""
    whole, rest = divmod(hundredths, 100)
    digits = [whole, rest * 100] if rest else [whole]
    return struct.pack(f"!hhHH{len(digits)}h", len(digits), 0, 0, 2 if rest else 0, *digits)


def _array(oid: int, elements: Sequence[bytes]) -> bytes:
    return struct.pack("!iiiii", 1, 0, oid, len(elements), 1) + b"".join(map(_sized, elements))


def _sized(value: bytes) -> bytes:
    return struct.pack("!i", len(value)) + value
