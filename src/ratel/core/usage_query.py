"""What an account used, stretch by stretch: for people and programs that look at usage without rating it."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import Final

from ratel.core.errors import FieldInvalid
from ratel.core.event import Partial
from ratel.core.meter import Aggregation
from ratel.core.money import exact
from ratel.core.period import Frequency, Grid, Period
from ratel.core.quantity import Values, by_segment, quantity_of

_HOUR: Final = timedelta(hours=1)


class UsageGrain(StrEnum):
    """Into which stretches a query splits its time."""

    WHOLE = "WHOLE"
    HOUR = "HOUR"
    DAY = "DAY"


class StretchesTooMany(FieldInvalid):
    """The query splits its time into more stretches than are answered at once."""

    reason = "STRETCHES_TOO_MANY"


def split(asked: Period, grain: UsageGrain, zone: str, count_max: int) -> list[Period]:
    """Cut a period at every hour of UTC or every midnight of a zone; the first and last stretch may be shorter.

    Raises:
        StretchesTooMany: there are more than ``count_max``.
    """
    cuts = list(islice(_cuts(asked, grain, zone), count_max + 1))
    if len(cuts) > count_max:
        raise StretchesTooMany(f"must split the time into at most {count_max} stretches for each aggregation", "grain")
    return cuts


def _cuts(asked: Period, grain: UsageGrain, zone: str) -> Iterator[Period]:
    if grain is UsageGrain.WHOLE or asked.end is None:
        yield asked
    elif grain is UsageGrain.HOUR:
        yield from _hours(asked.start, asked.end)
    else:
        for day in Grid(Frequency.DAILY, zone=zone).periods(asked):
            part = day.intersect(asked)
            if part is not None:
                yield part


def _hours(start: datetime, end: datetime) -> Iterator[Period]:
    while start < end:
        hour = start.replace(minute=0, second=0, microsecond=0)
        stop = hour + _HOUR if end - hour > _HOUR else end
        yield Period(start, stop)
        start = stop


@exact
def quantities_of(
    aggregation: Aggregation, partials: Mapping[Values, Partial], stretch: Period
) -> dict[Values, Decimal]:
    """Return an aggregation's quantity for each combination of its segment fields' values; only where anything counts.

    The aggregation's default is left out: it stands for no usage.
    """
    quantities = {}
    for values, partial in by_segment(aggregation, partials).items():
        quantity = quantity_of(aggregation.method, partial, stretch)
        if quantity is not None:
            quantities[values] = quantity.value
    return quantities
