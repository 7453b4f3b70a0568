"""Rates a story with the core alone; partials are folded event by event, the plain way."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from ratel.core.account_rating import AccountRating
from ratel.core.bill import LineItem
from ratel.core.compiled import CompiledPlan, compile_plan
from ratel.core.event import Partial, value_key
from ratel.core.family import Child, Coverage
from ratel.core.instant import microseconds_from_instant
from ratel.core.integral import Partials
from ratel.core.meter import FieldKind, Meter, RollupDefinition
from ratel.core.money import ZERO, exact
from ratel.core.period import Period
from ratel.core.plan_catalog import PlanCatalog
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import RatingContext, survey
from ratel.core.window import Read
from tests.told import ACCOUNT, PRODUCT, TEMPLATE, Story, Usage


def rate_story(story: Story, asked: Period | None = None) -> AccountRating:
    """Rate what the story asks for, or another period of it."""
    catalog = catalog_of(story)
    plans = {plan_id: compile_plan(catalog, plan_id) for plan_id in catalog.plans}
    context = context_of(story, plans)
    period = asked or story.asked
    assert period is not None, "the story does not say what to rate"
    scope = survey(context, period)
    return rate(scope, partials_of(story.meter, story.usages, scope.reads, story.asked_id))


def own_items(rating: AccountRating) -> list[LineItem]:
    """Return the line items as they were before they were converted (R11.2)."""
    return [unconverted(item) for item in rating.line_items]


def unconverted(item: LineItem) -> LineItem:
    """Return a line item as it was before it was converted."""
    own = item.conversion
    if own is None:
        return item
    return replace(item, currency=own.currency, amount=own.amount, exact_amount=own.exact_amount, conversion=None)


def context_of(story: Story, plans: dict[str, CompiledPlan]) -> RatingContext:
    """Return the account that the story asks for with all that is its own."""
    if story.asked_id in story.children:
        child = child_of(story, story.asked_id)
        attachments = tuple(each for each in story.attachments if each.account_id == story.asked_id)
        return RatingContext(
            child.account,
            attachments,
            child.adjustments,
            plans,
            (story.meter,),
            settings=story.settings,
            parent_coverages=coverages_of(story, ACCOUNT.id),
        )
    return RatingContext(
        story.account,
        tuple(each for each in story.attachments if each.account_id == ACCOUNT.id),
        tuple(each.adjustment for each in story.adjustments if each.account_id == ACCOUNT.id),
        plans,
        (story.meter,),
        story.granted,
        story.settings,
        commitments=tuple(story.commitments),
        balances=tuple(story.balances),
        children=tuple(child_of(story, child_id) for child_id in sorted(story.children)),
    )


def child_of(story: Story, child_id: str) -> Child:
    """Return a child as its parent's rating sees it."""
    account = story.children[child_id]
    return Child(
        account,
        coverages_of(story, child_id),
        tuple(each.adjustment for each in story.adjustments if each.account_id == child_id),
        tuple(each for each in story.attachments if each.account_id == child_id and account.billed_with_parent),
    )


def coverages_of(story: Story, account_id: str) -> tuple[Coverage, ...]:
    """Return when an account is on plans."""
    return tuple(Coverage(PRODUCT, each.period) for each in story.attachments if each.account_id == account_id)


def catalog_of(story: Story) -> PlanCatalog:
    """Return the story's catalog as the store would load it."""
    meter = story.meter
    return PlanCatalog(
        settings=story.settings,
        plans={plan.id: plan for plan in story.plans},
        plan_templates={TEMPLATE: story.template},
        pricings=tuple(story.pricings),
        priced_things=frozenset((pricing.owner, pricing.priced) for pricing in story.pricings),
        aggregations=story.aggregations,
        compound_aggregations=story.compounds,
        counters=story.counters,
        meters={meter.id: meter},
        plan_groups={plan_id: group for group in story.groups for plan_id in group.plan_ids},
    )


def partials_of(meter: Meter, usages: Iterable[Usage], reads: Iterable[Read], account_id: str = ACCOUNT.id) -> Partials:
    """Fold the events of each read."""
    events: dict[str, Usage] = {}
    for usage in usages:
        for event_id in usage.ids:
            # An event is its account and its id: sent again it is the same one (R13).
            events.setdefault(f"{event_id}\0{usage.account_id}", usage)
    return {
        read: _fold(meter, events, replace(read, account_ids=read.account_ids or frozenset((account_id,))))
        for read in reads
    }


@exact
def _fold(meter: Meter, events: Mapping[str, Usage], read: Read) -> dict[tuple[str, ...], Partial]:
    folded: dict[tuple[str, ...], Partial] = {}
    for event_id, usage in events.items():
        if usage.account_id in read.account_ids and read.period.contains(usage.time):
            values = tuple(usage.values.get(name, "") for name in read.rollup.dimensions)
            folded.setdefault(values, Partial()).merge(_partial(meter, event_id, usage, read.rollup))
    return folded


def _partial(meter: Meter, event_id: str, usage: Usage, rollup: RollupDefinition) -> Partial:
    field = meter.field(rollup.field) if rollup.field else None
    if field is None:
        return Partial(event_count=1, value_count=1)
    if field.kind is FieldKind.STRING:
        text = usage.values.get(field.name, "")
        kept = frozenset([value_key(text)]) if text and rollup.keeps_values else frozenset()
        return Partial(event_count=1, value_count=1 if text else 0, values=kept)
    value = _number(meter, usage, field.name)
    if value is None:
        return Partial(event_count=1)
    moment = value * microseconds_from_instant(usage.time) if rollup.keeps_moment else ZERO
    return Partial(1, 1, value, value, value, usage.time, event_id, value, value_moment=moment)


def _number(meter: Meter, usage: Usage, name: str) -> Decimal | None:
    field = meter.field(name)
    if field and field.formula:
        return field.formula.evaluate({each: _number(meter, usage, each) for each in field.formula.names})
    text = usage.values.get(name)
    return Decimal(text) if text else None
