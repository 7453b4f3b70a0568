"""What every message is made of: instants, days, decimals, and members of enums."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ratel.core.errors import FieldInvalid, Mistakes, PeriodInvalid
from ratel.core.money import ONE, decimal_from_text
from ratel.core.period import Period, date_from_text
from ratel.store.resource import Stored

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

WIDEST_CURRENCY: Final = "CLF"
"""Has as many digits as any: by it an amount is judged while its currency is not known."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NANOS: Final = 1_000_000_000


class EnumUnknown(FieldInvalid):
    """The number is no member of the enum, or none that may stand here."""

    reason = "ENUM_UNKNOWN"


# --- Instants and days ------------------------------------------------------------------------------------------------


def instant_from_proto(message: Timestamp) -> datetime:
    """Return an instant; digits finer than a microsecond are dropped, toward the past.

    Raises:
        PeriodInvalid: it lies outside the years 1 to 9999.
    """
    if not 0 <= message.nanos < _SECOND_NANOS:
        raise PeriodInvalid("must have from 0 to 999999999 nanos")
    try:
        return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError:
        raise PeriodInvalid("must lie in the years 1 to 9999") from None


def instant_to_proto(instant: datetime) -> Timestamp:
    """Return an instant as a message."""
    since = instant - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


class Scheduled(Protocol):
    """A message with a start and perhaps an end."""

    @property
    def start_time(self) -> Timestamp: ...

    @property
    def end_time(self) -> Timestamp: ...

    def HasField(self, field_name: Any) -> bool: ...


def period_from_proto(message: Scheduled) -> Period:
    """Return the period of a message; without an end it has none.

    Raises:
        Invalid: with all mistakes, at ``start_time`` and ``end_time``.
    """
    mistakes = Mistakes()
    end = None
    with mistakes.under("start_time"):
        start = instant_from_proto(message.start_time)
    if message.HasField("end_time"):
        with mistakes.under("end_time"):
            end = instant_from_proto(message.end_time)
    mistakes.check()
    return Period(start, end)


def optional_instant_to_proto(instant: datetime | None) -> Timestamp | None:
    """Return an instant as a message; None stays None."""
    return None if instant is None else instant_to_proto(instant)


def optional_date_from_text(text: str) -> date | None:
    """Return a day; none for an empty text.

    Raises:
        DateInvalid: no day of the calendar.
    """
    return date_from_text(text) if text else None


def date_to_text(day: date | None) -> str:
    """Return a day as text; empty for none."""
    return "" if day is None else day.isoformat()


# --- Decimals ---------------------------------------------------------------------------------------------------------


def optional_decimal_from_text(text: str, default: Decimal | None = None) -> Decimal | None:
    """Return a decimal, or the default for an empty text.

    Raises:
        DecimalInvalid: no plain decimal.
        DecimalRange: too many digits.
    """
    return decimal_from_text(text) if text else default


def one_or_decimal(text: str) -> Decimal:
    """Return a decimal; 1 for an empty text."""
    return decimal_from_text(text) if text else ONE


def amount_to_text(amount: Decimal | None) -> str | None:
    """Return an amount with the digits that it has, which are its currency's; None stays None."""
    return None if amount is None else format(amount, "f")


# --- Enums ------------------------------------------------------------------------------------------------------------


class EnumPair(Generic[E, T]):
    """A pair of enums whose members have the same names, but for the prefix in the contract.

    Args:
        kind: the core's enum.
        name: the generated function from number to name.
        value: the generated function from name to number.
        prefix: of the names in the contract.
    """

    def __init__(self, kind: type[E], name: Callable[[T], str], value: Callable[[str], T], prefix: str) -> None:
        self._kind = kind
        self._name = name
        self._value = value
        self._prefix = prefix
        self._numbers: dict[E, T] = {}

    def from_proto(self, number: T, default: E | None = None) -> E:
        """Return the member of a number; the default, if there is one, for UNSPECIFIED.

        Raises:
            EnumUnknown: there is none.
        """
        if not number and default is not None:
            return default
        try:
            return self._kind(self._name(number).removeprefix(self._prefix))
        except ValueError:
            raise EnumUnknown(f"must be one of {', '.join(self._kind)}") from None

    def to_proto(self, member: E) -> T:
        """Return the number of a member."""
        number = self._numbers.get(member)
        if number is None:
            number = self._numbers[member] = self._value(self._prefix + member.value)
        return number


# --- What the store adds ----------------------------------------------------------------------------------------------


M = TypeVar("M", bound=Message)


def stored_to_proto(stored: Stored[T], to_proto: Callable[[T], M]) -> M:
    """Return the message of something that is stored, with what the server sets."""
    message = to_proto(stored.value)
    stamped: Any = message  # every noun has these three fields
    stamped.etag = stored.etag
    stamped.create_time.CopyFrom(instant_to_proto(stored.create_time))
    stamped.update_time.CopyFrom(instant_to_proto(stored.update_time))
    return message
