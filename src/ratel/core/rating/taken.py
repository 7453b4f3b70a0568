"""Usage as it is given to pricings: one combination of segment values in one slice of time."""

from dataclasses import dataclass
from typing import TypeAlias

from ratel.core.event import Partial
from ratel.core.quantity import Values
from ratel.core.window import Slice

Sources: TypeAlias = tuple[Partial, ...]
"""A partial for each aggregation of a thing, in its order."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Usage of one combination in one slice.

    Attributes:
        account_ids: whose; none: that of the account that is rated.
    """

    slice: Slice
    values: Values
    sources: Sources
    account_ids: frozenset[str] = frozenset()
