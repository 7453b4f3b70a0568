"""Random usage, right and wrong, and the ways to say it."""

import random
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from ratel.usage.v1.usage_columns_pb2 import UsageColumns
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from tests.store.metering import random_uuid7

TIMES = (0, 1_720_000_000, 1_720_000_000, 1_720_003_600, -1, 10**11, 2**40)
NUMBERS = (
    "1",
    "1.50",
    "-0",
    "-0.00",
    "007",
    "12.345",
    "-3",
    "",
    "9" * 18,
    "9" * 19,
    "0." + "1" * 17,
    "1" * 38,
    "1" * 39,
)
WRONG_NUMBERS = ("x", "1e3", ".5", "1.", "+1", "٣", "1\0", " 1", "NaN")
TEXTS = ("eu", "us", "", "ünïcode", "12.5", "a\0b", "x" * 256, "x" * 257)


def random_event(chance: random.Random, wrong: float) -> UsageEvent:
    """Return an event of the example's meters; each part of it is wrong with a probability."""

    def pick(right: str, *others: str) -> str:
        return chance.choice(others) if chance.random() < wrong else right

    version4 = str(UUID(int=chance.getrandbits(128), version=4))
    event = UsageEvent(
        account_id=pick("acme", "nobody", "no spaces", ""),
        meter_id=pick(chance.choice(("storage", "plain")), "nothing", "", "é"),
        event_id=pick(random_uuid7(chance), "e-1", version4, "", "é", "x" * 129),
    )
    if chance.random() >= wrong / 4:
        seconds = chance.choice(TIMES) if chance.random() < wrong else 1_720_000_000 + chance.randrange(10**6)
        nanos = chance.choice((-1, 10**9)) if chance.random() < wrong / 4 else chance.randrange(10**9)
        event.event_time.CopyFrom(Timestamp(seconds=seconds, nanos=nanos))
    if chance.random() < 0.8:
        event.values["gb"] = pick(f"{chance.randrange(-99, 9999)}.{chance.randrange(100):02}", *NUMBERS, *WRONG_NUMBERS)
    if chance.random() < 0.5:
        event.values["further"] = pick(chance.choice(NUMBERS[:6]), *NUMBERS, *WRONG_NUMBERS)
    for name in ("region", "tier"):
        if chance.random() < 0.7:
            event.values[name] = pick(chance.choice(TEXTS[:3]), *TEXTS)
    if chance.random() < wrong / 2:
        event.values[chance.choice(("", "1", "zzz", "mb", "tier"))] = chance.choice(("", "1", "x"))
    return event


def with_numbers(columns: UsageColumns, name: str, scale: int) -> UsageColumns | None:
    """Return columns that say a field as integers; None if it is not such a field."""
    changed = UsageColumns()
    changed.CopyFrom(columns)
    del changed.strings[:]
    for column in columns.strings:
        if column.field != name:
            changed.strings.add().CopyFrom(column)
            continue
        texts = [column.texts[place] for place in column.values]
        carried = [
            not column.present or bool(column.present[place // 8] >> place % 8 & 1) for place in range(len(texts))
        ]
        numbers = [_scaled(text, scale) if flag else 0 for text, flag in zip(texts, carried, strict=True)]
        if None in numbers:
            return None
        added = changed.measures.add(field=name, scale=scale, present=column.present)
        added.values.extend(number or 0 for number in numbers)
    return changed


def _scaled(text: str, scale: int) -> int | None:
    whole, point, fraction = text.partition(".")
    if not whole.lstrip("-").isdecimal() or len(fraction) != scale or (point and not fraction) or text.startswith("-0"):
        return None
    number = int(whole + fraction)
    # What begins with zeros is the same number as a shorter text.
    return number if abs(number) < 2**63 and whole.isascii() else None
