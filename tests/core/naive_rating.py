"""Rates the facts of a naive story by the core, and shows both engines' answers as rows that can be compared."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction

from ratel.core.account_rating import AccountRating
from ratel.core.bill import CounterWorkings, LineItem, PromotionWorkings, UsageWorkings
from ratel.core.compiled import compile_plan
from ratel.core.event import Events, Partial
from ratel.core.family import Child, Coverage
from ratel.core.instant import microseconds_from_instant
from ratel.core.integral import Partials
from ratel.core.layout import Layout
from ratel.core.money import ZERO
from ratel.core.period import Period
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import RatingContext, survey
from ratel.core.rollup import Rollup, fold_segments
from ratel.core.submission import Submission, check_submission
from ratel.core.window import Read
from tests.naive.account import Account, Answer
from tests.naive.account import LineItem as NaiveItem
from tests.naive.catalog import Catalog
from tests.naive.debts import Grant
from tests.naive.family import Family
from tests.naive.translation import (
    core_account_of,
    core_adjustments,
    core_attachment,
    core_catalog,
    core_granted,
    event_values,
    plain,
)

Row = tuple[object, ...]


def rate_by_core(
    catalog: Catalog, account: Account, start: datetime, end: datetime, grants: Sequence[Grant] = ()
) -> AccountRating:
    """Go the core's whole way: compile, survey, check and fold events, rate."""
    known = core_catalog(catalog)
    plans = {plan_id: compile_plan(known, plan_id) for plan_id in known.plans}
    attachments = tuple(core_attachment(account, each) for each in account.attachments)
    meters = tuple(known.meters.values())
    granted = tuple(core_granted(catalog, account, each) for each in grants)
    owner, adjustments = core_account_of(account), core_adjustments(account)
    context = RatingContext(owner, attachments, adjustments, plans, meters, granted, known.settings)
    scope = survey(context, Period(start, end))
    layouts = {each.id: Layout(number, each.fields) for number, each in enumerate(meters)}
    return rate(scope, partials_of(stored_events(account, layouts), layouts, scope.reads))


def family_of_core(family: Family) -> tuple[Child, ...]:
    """The children as the rating of their parent sees them."""
    return tuple(
        Child(core_account_of(each), coverages_of(family.catalog, each), core_adjustments(each))
        for each in family.children
    )


def coverages_of(catalog: Catalog, account: Account) -> tuple[Coverage, ...]:
    return tuple(
        Coverage(catalog.template(each.plan).product, core_attachment(account, each).period)
        for each in account.attachments
    )


def partials_of_family(family: Family, layouts: Mapping[str, Layout], reads: tuple[Read, ...]) -> Partials:
    """Fold the events of each read, account by account."""
    members = {each.id: stored_events(each, layouts) for each in (family.parent, *family.children)}
    found: dict[Read, dict[tuple[str, ...], Partial]] = {}
    for read in reads:
        kept = found.setdefault(read, {})
        for place, account_id in enumerate(sorted(read.account_ids or {family.parent.id})):
            for values, partial in fold_read(members[account_id], layouts[read.rollup.meter_id], read).items():
                kept.setdefault(values, Partial()).merge(partial.of_account(place))
    return found


def stored_events(account: Account, layouts: Mapping[str, Layout]) -> Events:
    """Check the events as they are sent; one that is sent again is the same event (R13)."""
    once = {each.id: each for each in account.events}.values()
    submission = Submission(
        [account.id for _ in once],
        [each.meter for each in once],
        [each.id for each in once],
        [microseconds_from_instant(each.time) for each in once],
        [event_values(dict(each.values)) for each in once],
    )
    checked = check_submission(
        submission, {account.id: 1}, layouts, microseconds_from_instant(datetime.max.replace(tzinfo=UTC))
    )
    assert not checked.rejections
    return checked.events


def partials_of(events: Events, layouts: Mapping[str, Layout], reads: tuple[Read, ...]) -> Partials:
    """Fold the events of each read."""
    return {read: fold_read(events, layouts[read.rollup.meter_id], read) for read in reads}


def fold_read(events: Events, layout: Layout, read: Read) -> Mapping[tuple[str, ...], Partial]:
    start = microseconds_from_instant(read.period.start)
    end = microseconds_from_instant(read.period.end) if read.period.end else None
    inside = [
        place
        for place, (time, meter_no) in enumerate(zip(events.times, events.meter_nos, strict=True))
        if meter_no == layout.meter_no and start <= time and (end is None or time < end)
    ]
    return fold_segments(events.take(inside), Rollup(1, layout, read.rollup))


# --- Rows -------------------------------------------------------------------------------------------------------------


def core_rows(rating: AccountRating) -> list[Row]:
    """What of line items must be equal, sorted."""
    items = [item for item in rating.line_items if not isinstance(item.workings, PromotionWorkings)]
    return sorted(map(core_row, items), key=repr)


def core_promotions(rating: AccountRating) -> list[tuple[str, Fraction | None]]:
    """What trials and promotions took off, in their order, as the naive engine names them."""
    return [
        (
            f"{item.workings.grant_id or 'trial'} {item.origin.attachment_id} {item.bill_period.start}",
            plain(item.amount),
        )
        for item in rating.line_items
        if isinstance(item.workings, PromotionWorkings)
    ]


def core_row(item: LineItem) -> Row:
    thing = (item.priced.kind.value, item.priced.id) if item.priced else None
    return (
        item.kind.value,
        (item.origin.attachment_id, plan_of(item), item.origin.product_id, item.pricing_id),
        thing,
        tuple(value for _, value in item.segment),
        (item.service.start, item.service.end),
        (item.currency, plain(item.amount), plain(item.exact_amount)),
        *core_workings(item),
    )


def plan_of(item: LineItem) -> str:
    """The plan, or the plan group of what it charges itself."""
    return item.origin.plan_id or item.origin.plan_group_id


def core_workings(item: LineItem) -> Row:
    match item.workings:
        case UsageWorkings() as workings:
            before = workings.before.units if workings.before else None
            if workings.accumulation:
                return None, plain(workings.accumulation.units_used), plain(before or ZERO)
            return plain(workings.through.quantity), plain(workings.through.units), plain(before)
        case CounterWorkings() as workings:
            return None, plain(workings.level), plain(workings.previous_level)
    return None, None, None


def naive_rows(answer: Answer) -> list[Row]:
    """The same of the naive engine's line items."""
    return sorted(map(naive_row, answer.items), key=repr)


def naive_row(item: NaiveItem) -> Row:
    return (
        item.kind,
        (item.attachment, item.plan, item.product, item.pricing),
        (item.thing.kind, item.thing.id) if item.thing else None,
        item.segment,
        (item.start, item.end),
        (item.currency, item.amount, item.exact),
        item.quantity,
        item.units,
        item.units_before,
    )


def core_warnings(rating: AccountRating) -> tuple[list[Row], dict[str, int]]:
    """Unpriced usage, and the number of unattached events of each meter."""
    unattached: dict[str, int] = {}
    for usage in rating.unattached_usages:
        unattached[usage.meter_id] = unattached.get(usage.meter_id, 0) + usage.event_count
    unpriced: list[Row] = [
        (
            each.attachment_id,
            (each.priced.kind.value, each.priced.id),
            tuple(value for _, value in each.segment),
            (each.period.start, each.period.end),
            plain(each.quantity),
        )
        for each in rating.unpriced_usages
    ]
    return sorted(unpriced, key=repr), unattached


def naive_warnings(answer: Answer) -> tuple[list[Row], dict[str, int]]:
    """The same of the naive engine's answer."""
    unpriced: list[Row] = [
        (each.attachment, (each.thing.kind, each.thing.id), each.segment, (each.start, each.end), each.quantity)
        for each in answer.unpriced
    ]
    return sorted(unpriced, key=repr), dict(answer.unattached)
