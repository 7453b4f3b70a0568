"""Shapes of accounts: those of one shape are billed alike, but for their ids and for where their attachments begin.

The very instant at which an attachment begins or ends does not decide anything, only what comes before it and what
after: bill periods, pricings, the invoice date. So accounts that came at any time of one month are of one shape, and
what was made ready for one of them is right for all, with their own instants in place of its. Only what is prorated
counts days.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from operator import attrgetter
from typing import Final, TypeAlias

from ratel.core.account import Account, Attachment
from ratel.core.billing import BillKey
from ratel.core.errors import PeriodInvalid
from ratel.core.integral import Partials
from ratel.core.period import Grid, Period, start_of_day
from ratel.core.rating.scope import RatingContext, in_order_of_start

Instants: TypeAlias = tuple[datetime, ...]
"""At which an account's attachments begin and end between two marks, each once, ascending."""

Moved: TypeAlias = Mapping[datetime, datetime]
"""The instants of an account of some shape, each with what another one has in its place; none if they are the same."""

_Stretch: TypeAlias = tuple[int, ...] | datetime
_Outline: TypeAlias = tuple[str, date | None, int | None, int | None]
"""An attachment's plan and epoch, and the places of its start and end among the instants."""

Shape: TypeAlias = tuple[tuple[object, ...], tuple[_Outline, ...], tuple[_Stretch, ...]]
"""An account but for id and name, its attachments in the order of their starts, and between which marks they begin."""

_MARKS_MAX: Final = 1_000

_KNOWN: Final = frozenset(("account", "attachments", "plans", "meters", "settings"))
_more_of: Final = attrgetter(*(each.name for each in fields(RatingContext) if each.name not in _KNOWN))
_terms_of: Final = attrgetter(*(each.name for each in fields(Account) if each.name not in ("id", "name")))
_NOTHING_MORE: Final = ((),) * (len(fields(RatingContext)) - len(_KNOWN))


def moved_partials(partials: Partials, moved: Moved) -> Partials:
    """Return what is kept of an account's events by its own reads, not by those of the scope that it shares."""
    return {replace(read, period=moved_period(read.period, moved)): kept for read, kept in partials.items()}


def moved_period(period: Period, moved: Moved) -> Period:
    """Return a period with other instants in place of its own."""
    start, end = period.start, period.end
    return Period(moved.get(start, start), None if end is None else moved.get(end, end))


@dataclass(frozen=True, slots=True)
class _Marks:
    """What an instant may lie before, on, or after, beside other instants of the account."""

    grids: tuple[Grid, ...]
    instants: Instants
    _known: dict[datetime, _Stretch] = field(default_factory=dict)

    def stretch(self, instant: datetime) -> _Stretch:
        """Return the same for all instants between two marks, and for no others; of a mark, itself."""
        found = self._known.get(instant)
        if found is None:
            if len(self._known) >= _MARKS_MAX:
                self._known.clear()
            found = self._known[instant] = self._stretch(instant)
        return found

    def _stretch(self, instant: datetime) -> _Stretch:
        before, found = bisect_left(self.instants, instant), []
        if before < len(self.instants) and self.instants[before] == instant:
            return instant
        for grid in self.grids:
            number = grid.number_at(instant)
            if grid.boundary(number) == instant:
                return instant
            found.append(number)
        return before, *found


class Shapes:
    """Tells the shapes of accounts as far as one bill is concerned, as of one revision of the catalog.

    Args:
        key: which bill.
    """

    def __init__(self, key: BillKey) -> None:
        self._key = key
        self._marks: dict[tuple[object, ...], _Marks] = {}

    def of(self, context: RatingContext) -> tuple[Shape, Instants] | None:
        """Return an account's shape and instants; None if it has more than attachments, or these more than a time."""
        account, attachments = context.account, in_order_of_start(context.attachments)
        if _more_of(context) != _NOTHING_MORE:
            return None
        if any(each.trial_end or each.accumulation_start for each in attachments):
            return None
        periods = [each.period for each in attachments]
        instants = sorted({instant for period in periods for instant in (period.start, period.end) if instant})
        marks = self._marks_of(context, attachments)
        try:
            stretches = tuple(map(marks.stretch, instants))
        except PeriodInvalid:
            return None  # at the end of all time
        places: dict[datetime | None, int | None] = {instant: place for place, instant in enumerate(instants)}
        outlines = tuple(
            (each.plan_id, each.epoch, places[each.period.start], places.get(each.period.end)) for each in attachments
        )
        own = tuple(
            instant for instant, stretch in zip(instants, stretches, strict=True) if not isinstance(stretch, datetime)
        )
        return (_terms_of(account), outlines, stretches), own

    def _marks_of(self, context: RatingContext, attachments: Sequence[Attachment]) -> _Marks:
        wanted = context.account.epoch, *((each.plan_id, each.epoch) for each in attachments)
        found = self._marks.get(wanted)
        if found is None:
            if len(self._marks) >= _MARKS_MAX:
                self._marks.clear()  # of custom plans there may be one for each account
            found = self._marks[wanted] = self._marks_from(context, attachments)
        return found

    def _marks_from(self, context: RatingContext, attachments: Iterable[Attachment]) -> _Marks:
        instants = {start_of_day(self._key.invoice_date, context.settings.time_zone)}
        # Usage outside attachments is looked for in a single period of the account's own.
        grids = {context.own_grid(self._key.frequency): None}
        for each in attachments:
            plan = context.plans[each.plan_id]
            instants.update(*(thing.boundaries for thing in plan.things))
            grids[plan.grid(each.epoch, context.account.epoch)] = None
        return _Marks(tuple(grids), tuple(sorted(instants)))
