"""Meters, accounts and usage for the tests of the store, and the plainest way to say what usage comes to."""

import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import asyncpg

from ratel.core.event import Partial, value_key
from ratel.core.instant import microseconds_from_instant
from ratel.core.meter import RollupDefinition, counting_rollup
from ratel.core.money import exact
from ratel.core.rollup import Definitions, Rollup
from ratel.core.submission import Submission, check_submission
from ratel.core.tail import Tail
from ratel.store.batch import Group, Writer, prepare_writing, write_group
from ratel.store.definition import read_definitions
from ratel.store.pool import Connection
from ratel.store.quantity import Reading, read_partials
from ratel.store.question import Slice
from ratel.store.rollup import BackfillPace, backfill, create_stages, ensure_rollup, fold_pending
from ratel.store.usage import Appended, read_account_nos

MOVE_REVISION = "UPDATE catalog_revisions SET revision = revision + 1"
INSERT_PRODUCT = "INSERT INTO products (id, name, create_time, update_time) VALUES ('p', 'P', now(), now())"
INSERT_METER = """
    INSERT INTO meters (id, product_id, name, field_names, field_kinds, field_units, field_formulas, create_time,
        update_time)
    VALUES ($1, 'p', 'M', $2, $3, $4, $5, now(), now()) RETURNING meter_no
"""
INSERT_ACCOUNT = "INSERT INTO accounts (id, name, create_time, update_time) VALUES ($1, 'A', now(), now())"
COUNT_INCOMPLETE = "SELECT count(*) FROM rollups WHERE backfilled_batch_id < backfill_batch_id"


@dataclass(frozen=True)
class Usage:
    """One event as a test means it; a formula's value is not in ``values``."""

    account: str
    meter: str
    id: str
    time: datetime
    values: Mapping[str, str] = field(default_factory=dict)


def submission_of(usages: Iterable[Usage]) -> Submission:
    usages = list(usages)
    return Submission(
        [usage.account for usage in usages],
        [usage.meter for usage in usages],
        [usage.id for usage in usages],
        [microseconds_from_instant(usage.time) for usage in usages],
        [usage.values for usage in usages],
    )


class Process:
    """One process that writes and folds, on connections of its own."""

    def __init__(self, writing: Connection, folding: Connection) -> None:
        self.writing = writing
        self.folding = folding
        self.writer = Writer(uuid4(), Tail())
        self.definitions: Definitions | None = None

    async def write(self, usages: Iterable[Usage], group: Group | None = None) -> Appended:
        """Check and write usage as one batch, by the definitions that are known, unless these do not suffice."""
        submission = submission_of(usages)
        if self.definitions is None or not set(submission.meter_ids) <= self.definitions.layouts.keys():
            self.definitions = await read_definitions(self.writing)
        accounts = await read_account_nos(self.writing, set(submission.account_ids))
        checked = check_submission(submission, accounts, self.definitions.layouts, 10**17)
        assert not checked.rejections, checked.rejections
        return await write_group(self.writing, self.writer, group or Group(checked.events), self.definitions)

    async def fold(self) -> int:
        folded = await fold_pending(self.folding, self.writer, self.definitions)
        return folded.batch_count

    async def backfill_step(self) -> bool:
        return await backfill(self.folding, BackfillPace(1), None)

    async def read(self, slices: list[Slice], tail: Tail | None = None) -> Reading:
        async with self.folding.transaction(isolation="repeatable_read", readonly=True):
            return await read_partials(self.folding, self.writer.tail if tail is None else tail, slices)


@asynccontextmanager
async def process(url: str) -> AsyncIterator[Process]:
    writing, folding = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        await prepare_writing(writing)
        await create_stages(folding)
        yield Process(writing, folding)
    finally:
        await writing.close(timeout=10)
        await folding.close(timeout=10)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


# --- The catalog ------------------------------------------------------------------------------------------------------

FIELDS = (
    ("size", "MEASURE", ""),
    ("region", "STRING", ""),
    ("user", "STRING", ""),
    ("price", "MEASURE", ""),
    ("cost", "DERIVED", "size * price"),
)


async def create_meter(connection: Connection, meter_id: str, fields: Iterable[tuple[str, str, str]] = FIELDS) -> int:
    """Create a meter with the rollup that counts its events, and the product if there is none."""
    names, kinds, formulas = zip(*fields, strict=True)
    async with connection.transaction():
        await connection.execute(MOVE_REVISION)
        if not await connection.fetchval("SELECT count(*) FROM products"):
            await connection.execute(INSERT_PRODUCT)
        units = [""] * len(names)
        meter_no = await connection.fetchval(INSERT_METER, meter_id, names, kinds, units, formulas)
        await ensure_rollup(connection, meter_no, counting_rollup(meter_id))
    return int(meter_no)


async def create_accounts(connection: Connection, *account_ids: str) -> dict[str, int]:
    await connection.executemany(INSERT_ACCOUNT, [(account_id,) for account_id in account_ids])
    return await read_account_nos(connection, account_ids)


async def create_rollup(connection: Connection, definition: RollupDefinition) -> Rollup:
    definitions = await read_definitions(connection)
    async with connection.transaction():
        await connection.execute(MOVE_REVISION)
        await ensure_rollup(connection, definitions.layouts[definition.meter_id].meter_no, definition)
    return (await read_definitions(connection)).rollup(definition)


def definition(field: str, *dimensions: str, values: bool = False, moment: bool = False) -> RollupDefinition:
    return RollupDefinition("m", field, values, dimensions, moment)


# --- The reference ----------------------------------------------------------------------------------------------------


@exact
def partials_of(usages: Iterable[Usage], definition: RollupDefinition) -> dict[tuple[str, ...], Partial]:
    """Say what is kept of usage, one event after the other, knowing nothing of columns, hours or batches."""
    partials: dict[tuple[str, ...], Partial] = {}
    for usage in usages:
        if usage.meter != definition.meter_id:
            continue
        segment = tuple(usage.values.get(name, "") for name in definition.dimensions)
        partial = partials.setdefault(segment, Partial())
        partial.event_count += 1
        if not definition.field:
            partial.value_count += 1
        elif definition.field in ("region", "user"):
            _add_text(partial, usage.values.get(definition.field, ""), definition.keeps_values)
        else:
            number = _number(usage, definition.field)
            _add_number(partial, usage, number)
            if definition.keeps_moment:
                partial.value_moment += (number or 0) * microseconds_from_instant(usage.time)
    return partials


def _add_text(partial: Partial, text: str, keeps_values: bool) -> None:
    if text:
        partial.value_count += 1
        if keeps_values:
            partial.values |= {value_key(text)}


def _number(usage: Usage, name: str) -> Decimal | None:
    size, price = (Decimal(text) if (text := usage.values.get(key)) else None for key in ("size", "price"))
    if name == "cost":
        return None if size is None or price is None else size * price
    return size if name == "size" else price


def _add_number(partial: Partial, usage: Usage, number: Decimal | None) -> None:
    if number is None:
        return
    partial.value_count += 1
    partial.value_sum += number
    partial.value_min = number if partial.value_min is None else min(partial.value_min, number)
    partial.value_max = number if partial.value_max is None else max(partial.value_max, number)
    if partial.latest_time is None or (usage.time, usage.id) > (partial.latest_time, partial.latest_id):
        partial.latest_time, partial.latest_id, partial.latest_value = usage.time, usage.id, number


def within(usages: Iterable[Usage], account: str, start: datetime, end: datetime) -> list[Usage]:
    return [usage for usage in usages if usage.account == account and start <= usage.time < end]


# --- Random usage -----------------------------------------------------------------------------------------------------

START = datetime(2024, 6, 28, 22, 30, tzinfo=UTC)
"""Half past an hour, near the ends of a day and of a month."""

SPAN = timedelta(days=5)


def random_time(chance: random.Random) -> datetime:
    """Return an instant that is often exactly on an hour, a half hour or a day, or a microsecond beside it."""
    time = START + timedelta(microseconds=chance.randrange(SPAN // timedelta(microseconds=1)))
    kind = chance.randrange(6)
    if kind == 0:
        time = time.replace(minute=0, second=0, microsecond=0)
    elif kind == 1:
        time = time.replace(hour=0, minute=0, second=0, microsecond=0)
    elif kind == 2:
        time = time.replace(minute=30, second=0, microsecond=0)
    return time + timedelta(microseconds=chance.choice((-1, 0, 0, 0, 1)))


def random_usage(chance: random.Random, account: str, meter: str = "m") -> Usage:
    values = {}
    if chance.random() < 0.9:
        values["size"] = f"{chance.randrange(-50, 1000)}.{chance.randrange(1000):03}"
    if chance.random() < 0.7:
        values["price"] = chance.choice(("0.000000000000000001", "1.50", "1.5", f"{10**19}"))
    if chance.random() < 0.8:
        values["region"] = chance.choice(("eu", "us", "", "ünïcode"))
    if chance.random() < 0.8:
        values["user"] = f"u{chance.randrange(8)}"
    event_id = str(UUID(int=chance.getrandbits(128), version=4)) if chance.random() < 0.3 else random_uuid7(chance)
    return Usage(account, meter, event_id, random_time(chance), values)


def random_uuid7(chance: random.Random, milliseconds: int = 0) -> str:
    milliseconds = milliseconds or 1_719_000_000_000 + chance.randrange(10**9)
    number = milliseconds << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62)
    return str(UUID(int=number))
