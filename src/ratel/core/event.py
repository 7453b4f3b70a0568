"""Usage events as columns, what is wrong with one, and how they fold into sums (R2.1 to R2.3).

`Partial` is what a rollup keeps of a set of events: partials of disjoint sets merge into the partial of their union,
so the order and the batching of events never matter.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction  # noqa: F401  (owner of this file: replace by what quantity needs)


@dataclass(slots=True)
class Partial:
    """What is kept of a set of events, for one field and one combination of dimension values.

    Attributes:
        value_count: events that carry a value of the field; equals ``event_count`` where there is no field.
        latest_time, latest_id, latest_value: of the greatest (event_time, event id) that carries a value.
        values: 16 bytes for each distinct value, where they are kept.
    """

    event_count: int = 0
    value_count: int = 0
    value_sum: Decimal = Decimal(0)
    value_min: Decimal | None = None
    value_max: Decimal | None = None
    latest_time: datetime | None = None
    latest_id: str = ""
    latest_value: Decimal | None = None
    values: set[bytes] = field(default_factory=set)
