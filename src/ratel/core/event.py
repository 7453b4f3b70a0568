"""Usage events as columns, what identifies them, and what is kept of many (R2.1 to R2.3).

`Partial` is what a rollup keeps of a set of events: partials of disjoint sets merge into the partial of their union,
so the order and the batching of events never matter.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Final, TypeAlias

from ratel.core.money import EXACT, ZERO

# --- Identity ---------------------------------------------------------------------------------------------------------

KEY_BYTES: Final = 16
NO_SEGMENT_KEY: Final = bytes(KEY_BYTES)

_HASHED: Final = b"\xff"
# Version 7, the variant of RFC 9562, and below 0xff, where the hashes are.
_UUID7: Final = re.compile(r"(?!ff)[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_UUID_LENGTH: Final = 36


def event_key(event_id: str) -> bytes:
    """Return the 16 bytes that an event is stored under in its account.

    A canonical lower-case UUIDv7 is itself; any other id is 0xff and 120 bits of its hash. Never changes: stored keys
    depend on it.
    """
    if len(event_id) == _UUID_LENGTH and _UUID7.fullmatch(event_id):
        return bytes.fromhex(event_id.replace("-", ""))
    return _HASHED + blake2b(event_id.encode(), digest_size=KEY_BYTES - 1, person=b"ratel event").digest()


def is_hashed(key: bytes) -> bool:
    """Tell whether a key does not say which id it was made from."""
    return key.startswith(_HASHED)


def event_id_from_key(key: bytes) -> str:
    """Return the id of a key that is not hashed."""
    digits = key.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def segment_key(values: Sequence[str]) -> bytes:
    """Return 16 bytes that stand for the values of some fields in their order; all zero for no fields."""
    if not values:
        return NO_SEGMENT_KEY
    digest = blake2b(digest_size=KEY_BYTES, person=b"ratel segment")
    for value in values:
        text = value.encode()
        digest.update(len(text).to_bytes(4, "big") + text)
    return digest.digest()


def value_key(value: str) -> bytes:
    """Return 16 bytes that stand for one value of a string field."""
    return blake2b(value.encode(), digest_size=KEY_BYTES, person=b"ratel value").digest()


# --- Columns ----------------------------------------------------------------------------------------------------------

Measures: TypeAlias = Sequence[Decimal | None]
Strings: TypeAlias = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Events:
    """Events as they are stored, one element of each column for each event.

    What an event stores is a function of what was sent: missing values at the end of its measures and strings are left
    out, and what is then empty is None. So fields that a meter is given later change nothing that is stored.

    Attributes:
        keys: `event_key` of the ids.
        ids: the id where the key is hashed, else None.
        times: microseconds since 1970.
        measures: of the meter's first measure field.
        further_measures: of its further ones, in the order of declaration.
        strings: of its string fields, in the order of declaration.
    """

    keys: list[bytes] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    account_nos: list[int] = field(default_factory=list)
    meter_nos: list[int] = field(default_factory=list)
    measures: list[Decimal | None] = field(default_factory=list)
    further_measures: list[Measures | None] = field(default_factory=list)
    strings: list[Strings | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keys)

    def extend(self, other: "Events") -> None:
        """Append all events of the other."""
        for name in _COLUMNS:
            getattr(self, name).extend(getattr(other, name))

    def take(self, places: Iterable[int]) -> "Events":
        """Return the events at these places, in this order."""
        places = list(places)
        taken = ([column[place] for place in places] for column in (getattr(self, name) for name in _COLUMNS))
        return Events(*taken)

    def id_at(self, place: int) -> str:
        """Return the id that an event was sent with."""
        return self.ids[place] or event_id_from_key(self.keys[place])

    def content_at(self, place: int) -> tuple[object, ...]:
        """Return all that makes an event itself, but its account and key; numbers are equal as numbers."""
        further, strings = self.further_measures[place], self.strings[place]
        return (
            self.ids[place],
            self.times[place],
            self.meter_nos[place],
            self.measures[place],
            None if further is None else tuple(further),
            None if strings is None else tuple(strings),
        )


_COLUMNS: Final = tuple(column.name for column in fields(Events))


# --- What is kept of many ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Partial:
    """What is kept of a set of events, for one field and one combination of dimension values.

    Attributes:
        value_count: events that carry a value of the field; equals ``event_count`` where there is no field.
        latest_time, latest_id, latest_value: of the greatest (event_time, event id) that carries a value.
        values: 16 bytes for each distinct value, where they are kept.
        value_moment: the sum of value times microseconds since 1970, where it is kept.
        min_event_time, max_event_time: of all of them; known of what was folded by the hour, for the buckets, and left
            out when partials are compared.
    """

    event_count: int = 0
    value_count: int = 0
    value_sum: Decimal = ZERO
    value_min: Decimal | None = None
    value_max: Decimal | None = None
    latest_time: datetime | None = None
    latest_id: str = ""
    latest_value: Decimal | None = None
    values: frozenset[bytes] = frozenset()
    value_moment: Decimal = ZERO
    min_event_time: datetime | None = field(default=None, compare=False)
    max_event_time: datetime | None = field(default=None, compare=False)

    def merge(self, other: "Partial") -> None:
        """Add what is kept of other events; exact in any context, and the other stays as it is."""
        self.event_count += other.event_count
        self.value_count += other.value_count
        self.value_sum = EXACT.add(self.value_sum, other.value_sum)
        if other.values:
            self.values |= other.values
        if other.value_moment:
            self.value_moment = EXACT.add(self.value_moment, other.value_moment)
        if other.value_min is not None and (self.value_min is None or other.value_min < self.value_min):
            self.value_min = other.value_min
        if other.value_max is not None and (self.value_max is None or other.value_max > self.value_max):
            self.value_max = other.value_max
        if other.latest_time is not None and self._is_before(other.latest_time, other.latest_id):
            self.latest_time, self.latest_id = other.latest_time, other.latest_id
            self.latest_value = other.latest_value
        if other.min_event_time is not None and (
            self.min_event_time is None or other.min_event_time < self.min_event_time
        ):
            self.min_event_time = other.min_event_time
        if other.max_event_time is not None and (
            self.max_event_time is None or other.max_event_time > self.max_event_time
        ):
            self.max_event_time = other.max_event_time

    def of_account(self, place: int) -> "Partial":
        """Return the same as one of several accounts' whose events come together, in the order of their places.

        Accounts may have events of the same id; this tells the latest of them apart.
        """
        if self.latest_time is None:
            return self
        return replace(self, latest_id=f"{self.latest_id}\0{place:06}")

    def _is_before(self, time: datetime, event_id: str) -> bool:
        return self.latest_time is None or (self.latest_time, self.latest_id) < (time, event_id)
