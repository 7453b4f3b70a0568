"""What usage costs at the margin: the bill periods that events lie in, and what these come to before and after."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ratel.core.account import Attachment
from ratel.core.account_rating import AccountRating
from ratel.core.errors import FieldInvalid
from ratel.core.event import Events, Partial
from ratel.core.family import periods_of
from ratel.core.instant import instant_from_microseconds, microseconds_from_instant
from ratel.core.integral import Partials, with_integrals
from ratel.core.money import ZERO, exact
from ratel.core.period import Period
from ratel.core.quantity import Values
from ratel.core.rating.draft import amounts, sort_usage
from ratel.core.rating.scope import RatingContext, Scope
from ratel.core.rollup import Definitions, fold_segments
from ratel.core.window import Read, end_of


class MarginsTooMany(FieldInvalid):
    """The events lie in more bill periods of attachments than are rated at once."""

    reason = "MARGINS_TOO_MANY"


@dataclass(frozen=True, slots=True)
class Touched:
    """A bill period of an attachment, as far as it is covered, in which events lie."""

    attachment: Attachment
    period: Period


def places_paid_by_parent(context: RatingContext, product_ids: Mapping[int, str], events: Events) -> list[int]:
    """Return which of an account's events its parent pays for (R11.1); see `touched_periods`."""
    found: list[int] = []
    for place, (time, meter_no) in enumerate(zip(events.times, events.meter_nos, strict=True)):
        instant, product_id = instant_from_microseconds(time), product_ids.get(meter_no, "")
        own = (
            each.period for each in context.attachments if context.plans[each.plan_id].template.product_id == product_id
        )
        parents = periods_of(context.parent_coverages, product_id)
        if any(each.contains(instant) for each in parents) and not any(each.contains(instant) for each in own):
            found.append(place)
    return found


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a bill period of an attachment comes to: in all, and the line items that name each pricing."""

    total: Decimal = ZERO
    by_pricing: Mapping[str, Decimal] = field(default_factory=dict)


def touched_periods(context: RatingContext, product_ids: Mapping[int, str], events: Events) -> list[Touched]:
    """Return the bill periods that an account's events lie in, by time, then attachment.

    Args:
        context: with all attachments of the account.
        product_ids: of the meters, by their number.
        events: that the account pays for; those of a product without a plan at their time touch nothing.
    """
    found: list[Touched] = []
    last: dict[str, Period] = {}
    for time, meter_no in sorted(set(zip(events.times, events.meter_nos, strict=True))):
        instant, product_id = instant_from_microseconds(time), product_ids.get(meter_no)
        for attachment in context.attachments:
            plan = context.plans[attachment.plan_id]
            if plan.template.product_id != product_id or not attachment.period.contains(instant):
                continue
            if attachment.id in last and last[attachment.id].contains(instant):
                continue  # in order of time, so an earlier one cannot hold it
            grid = plan.grid(attachment.epoch, context.account.epoch)
            covered = grid.period_at(instant).intersect(attachment.period)
            if covered is not None:
                last[attachment.id] = covered
                found.append(Touched(attachment, covered))
    return sorted(found, key=lambda each: (each.period.start, each.attachment.id))


@exact
def amounts_of(rating: AccountRating, attachment: Attachment) -> Amounts:
    """Return what a rating says of one attachment."""
    items = [item for item in rating.line_items if item.origin.attachment_id == attachment.id]
    pricing_ids = {item.pricing_id for item in items if item.pricing_id}
    by_pricing = {each: amounts(item for item in items if item.pricing_id == each) for each in sorted(pricing_ids)}
    return Amounts(amounts(items), by_pricing)


# --- Usage that is only supposed --------------------------------------------------------------------------------------


@exact
def added_by(
    scope: Scope, events: Events, definitions: Definitions, numbers: Callable[[Iterable[str]], Sequence[int]]
) -> Partials:
    """Return what would be kept of events for each of the scope's reads.

    Args:
        scope: of one account.
        events: of any accounts.
        definitions: of the rollups.
        numbers: returns the numbers of accounts by their ids; of none that of the account that is rated.
    """
    return {read: _folded(read, events, definitions, numbers(read.account_ids)) for read in scope.reads}


def _folded(read: Read, events: Events, definitions: Definitions, account_nos: Sequence[int]) -> dict[Values, Partial]:
    rollup = definitions.rollup(read.rollup)
    start, end = microseconds_from_instant(read.period.start), microseconds_from_instant(end_of(read.period))
    by_account: dict[int, list[int]] = {}
    for place, (time, meter_no) in enumerate(zip(events.times, events.meter_nos, strict=True)):
        if meter_no == rollup.layout.meter_no and start <= time < end:
            by_account.setdefault(events.account_nos[place], []).append(place)
    kept: dict[Values, Partial] = {}
    for place, account_no in enumerate(account_nos):
        if account_no in by_account:
            for values, partial in fold_segments(events.take(by_account[account_no]), rollup).items():
                told_apart = partial.of_account(place) if len(account_nos) > 1 else partial
                kept.setdefault(values, Partial()).merge(told_apart)
    return kept


def together(*parts: Partials) -> Partials:
    """Return what is kept of disjoint sets of events together; they themselves stay as they are."""
    total: dict[Read, dict[Values, Partial]] = {}
    for partials in parts:
        for read, kept in partials.items():
            into = total.setdefault(read, {})
            for values, partial in kept.items():
                into.setdefault(values, Partial()).merge(partial)
    return total


@exact
def pricings_taking(scope: Scope, added: Partials) -> set[str]:
    """Return the ids of the pricings that take some of what was added to what is asked for (R2.4)."""
    return {
        pricing.id
        for usage in sort_usage(scope.thing_parts, with_integrals(scope.counted, added))
        for found in usage.by_segment.values()
        for each in found
        if each.slice.is_asked and _counts(each.sources) and (pricing := each.slice.in_force.taking(each.values))
    }


def _counts(sources: Iterable[Partial]) -> bool:
    return any(partial.value_count for partial in sources)
