"""Both engines agree on families made by chance: what is pooled when, whose it is, and what is due when (R11.1)."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from ratel.core.account import ChildBilling
from ratel.core.account_rating import AccountRating
from ratel.core.bill import LineItem, LineItemKind
from ratel.core.compiled import compile_plan
from ratel.core.family import Child
from ratel.core.layout import Layout
from ratel.core.period import Period
from ratel.core.rating.due import due, survey_due
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import RatingContext, survey
from tests.core.naive_rating import (
    core_promotions,
    core_rows,
    core_warnings,
    coverages_of,
    family_of_core,
    naive_rows,
    naive_warnings,
    partials_of,
    partials_of_family,
    stored_events,
)
from tests.core.test_against_naive import BATCH, differences
from tests.core.test_against_naive import COUNT as STORIES
from tests.core.test_bills_against_naive import Rows, rows
from tests.naive.account import Account, Answer
from tests.naive.account import LineItem as NaiveItem
from tests.naive.bill import bills
from tests.naive.debts import Debts
from tests.naive.families import FamilyStory, family_story
from tests.naive.family import Family
from tests.naive.grid import local_date, start_of_day
from tests.naive.quantity import readings
from tests.naive.rate import rate_account
from tests.naive.translation import (
    core_account_of,
    core_adjustments,
    core_attachment,
    core_catalog,
    core_granted,
    plain,
)

COUNT = max(STORIES // 8, BATCH)
"""Each is rated three times and more."""


def context_of(told: FamilyStory, child_billing: ChildBilling) -> RatingContext:
    """The parent with all that it pays for."""
    parent, known = told.family.parent, core_catalog(told.catalog)
    return RatingContext(
        replace(core_account_of(parent), child_billing=child_billing),
        tuple(core_attachment(parent, each) for each in parent.attachments),
        core_adjustments(parent),
        {plan_id: compile_plan(known, plan_id) for plan_id in known.plans},
        tuple(known.meters.values()),
        granted=tuple(core_granted(told.catalog, parent, each) for each in told.grants),
        children=family_of_core(told.family),
    )


def layouts_of(context: RatingContext) -> dict[str, Layout]:
    return {each.id: Layout(number, each.fields) for number, each in enumerate(context.meters)}


def rate_parent(told: FamilyStory, child_billing: ChildBilling) -> AccountRating:
    context = context_of(told, child_billing)
    scope = survey(context, Period(*told.asked))
    return rate(scope, partials_of_family(told.family, layouts_of(context), scope.reads))


def rate_child(told: FamilyStory, child: Account) -> AccountRating:
    context = replace(
        context_of(told, ChildBilling.SUMMARY),
        account=core_account_of(child),
        attachments=tuple(core_attachment(child, each) for each in child.attachments),
        adjustments=core_adjustments(child),
        granted=(),
        children=(),
        parent_coverages=coverages_of(told.catalog, told.family.parent),
    )
    scope = survey(context, Period(*told.asked))
    layouts = layouts_of(context)
    return rate(scope, partials_of(stored_events(child, layouts), layouts, scope.reads))


def rate_pooled(told: FamilyStory) -> Answer:
    """What the parent pays for, but unattached usage: of that only its own is its to show."""
    pooled = rate_account(told.catalog, told.family.pooled(), *told.asked, told.grants)
    return replace(pooled, unattached=rate_account(told.catalog, told.family.parent, *told.asked).unattached)


def rate_alone(told: FamilyStory, child: Account) -> Answer:
    """What the child pays for; what its parent's attachments cover is not unattached."""
    events = readings(told.catalog, child.events)
    family = Family(told.catalog, child, (told.family.parent,))
    kept = tuple(
        event
        for event in events
        if any(start <= event.time < end for start, end in family.apart(child, event))
        or not any(start <= event.time < end for start, end in family.apart(told.family.parent, event))
    )
    alone = rate_account(told.catalog, child, *told.asked)
    return replace(alone, unattached=rate_account(told.catalog, replace(child, events=kept), *told.asked).unattached)


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_both_engines_agree(first: int) -> None:
    """R11.1: of the parent and of each child."""
    for seed in range(first, min(first + BATCH, COUNT)):
        told = family_story(seed)
        pairs = [(rate_pooled(told), rate_parent(told, ChildBilling.SUMMARY))]
        pairs += [(rate_alone(told, child), rate_child(told, child)) for child in told.family.children]
        for answer, rating in pairs:
            assert differences(naive_rows(answer), core_rows(rating)) == "", f"story {seed}"
            assert list(answer.promotions) == core_promotions(rating), f"story {seed}"
            assert naive_warnings(answer) == core_warnings(rating), f"story {seed}"
            assert answer.totals == {currency: plain(total) for currency, total in rating.totals}, f"story {seed}"


Parts = Counter[tuple[object, ...]]


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_both_engines_agree_on_whose_it_is(first: int) -> None:
    """R11.1: the parts of each line item, which add up to it."""
    for seed in range(first, min(first + BATCH, COUNT)):
        told = family_story(seed)
        rating, answer = rate_parent(told, ChildBilling.BREAKDOWN), rate_pooled(told)
        assert answer.totals == {currency: plain(total) for currency, total in rating.totals}, f"story {seed}"
        assert core_parts(rating) == naive_parts(told, answer), f"story {seed}"


def core_parts(rating: AccountRating) -> Parts:
    return Counter(map(core_part, (item for item in rating.line_items if item.kind is not LineItemKind.PROMOTION)))


def core_part(item: LineItem) -> tuple[object, ...]:
    values = tuple(value for _, value in item.segment)
    of = (item.kind.value, item.origin.attachment_id, item.pricing_id, values, item.service.start)
    return *of, item.account_id, plain(item.amount)


def naive_parts(told: FamilyStory, answer: Answer) -> Parts:
    parts: Parts = Counter()
    for item in answer.items:
        shares = told.family.breakdown(item) if is_broken_down(told, item) else {"": item.amount}
        for account_id, amount in shares.items():
            parts[item.kind, item.attachment, item.pricing, item.segment, item.start, account_id, amount] += 1
    return parts


def is_broken_down(told: FamilyStory, item: NaiveItem) -> bool:
    if item.kind not in ("USAGE", "USAGE_CREDIT") or item.thing is None or item.thing.kind != "AGGREGATION":
        return False
    return told.catalog.aggregation(item.thing.id).method in ("SUM", "COUNT")


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_both_engines_agree_on_what_is_due(first: int) -> None:
    """R11.1, R12.3: what is pooled is on the parent's bills, on the day on which it falls due."""
    for seed in range(first, min(first + BATCH, COUNT)):
        told = family_story(seed)
        if len(told.catalog.templates) == 1:
            zone = told.catalog.settings.zone
            until = local_date(told.asked[1], zone) + timedelta(days=40)
            debts = Debts(grants=told.grants, currency=told.catalog.templates[0].currency)
            made = bills(told.catalog, told.family.pooled(), debts, start_of_day(until, zone))
            naive = rows((local_date(day, zone), line.kind, line.amount) for day, lines in made for line in lines)
            context = context_of(told, ChildBilling.SUMMARY)
            (frequency,) = {plan.template.frequency for plan in context.plans.values()}
            scope = survey_due(context, frequency, until)
            found = due(scope, partials_of_family(told.family, layouts_of(context), scope.reads), until)
            assert naive == rows((each.date, each.item.kind.value, Fraction(each.item.amount)) for each in found.items)


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_both_engines_agree_on_children_that_are_billed_with_their_parent(first: int) -> None:
    """R11.1: the parent's bill is its own and those of its children, as far as nothing acts on all of it."""
    for seed in range(first, min(first + BATCH, COUNT)):
        told = without_credits(family_story(seed))
        if len(told.catalog.templates) > 1:
            continue
        zone = told.catalog.settings.zone
        until = local_date(told.asked[1], zone) + timedelta(days=40)
        debts = Debts(currency=told.catalog.templates[0].currency)
        naive: Rows = Counter()
        for payer in (told.family.pooled(), *told.family.children):
            made = bills(told.catalog, payer, debts, start_of_day(until, zone))
            naive += rows((local_date(day, zone), line.kind, line.amount) for day, lines in made for line in lines)
        context = context_of(told, ChildBilling.SUMMARY)
        context = replace(context, children=tuple(map(with_parent, told.family.children, context.children)))
        (frequency,) = {plan.template.frequency for plan in context.plans.values()}
        scope = survey_due(context, frequency, until)
        items = due(scope, partials_of_family(told.family, layouts_of(context), scope.reads), until).items
        found = rows((each.date, each.item.kind.value, Fraction(each.item.amount)) for each in items)
        assert by_kind(naive) == by_kind(found), f"story {seed}"
        owners = {each.id: child.account.id for child in context.children for each in child.attachments}
        assert all(each.item.account_id == owners.get(each.item.origin.attachment_id, "") for each in items)


def with_parent(told: Account, child: Child) -> Child:
    account = replace(child.account, parent_id="account", billed_with_parent=True)
    return replace(child, account=account, attachments=tuple(core_attachment(told, each) for each in told.attachments))


def without_credits(told: FamilyStory) -> FamilyStory:
    """What would act on line items of several accounts."""
    pricings = tuple(replace(each, apply_as="DEBIT") for each in told.catalog.pricings)
    catalog = replace(told.catalog, pricings=pricings)
    return replace(told, family=replace(told.family, catalog=catalog), grants=())


def by_kind(found: Rows) -> Rows:
    """Maximums of several accounts that fall due on one day, added up."""
    return rows((day, kind, amount) for (day, kind, amount), count in found.items() for _ in range(count))


def test_chance_leaves_nothing_out() -> None:
    """What never occurs proves nothing."""
    told = [family_story(seed) for seed in range(40)]
    alone = [rate_account(each.catalog, each.family.parent, *each.asked, each.grants) for each in told]
    pooled = [rate_pooled(each) for each in told]
    changed = [(one, other) for one, other in zip(alone, pooled, strict=True) if one.items != other.items]
    assert len(changed) > 20
    shares = [
        each.family.breakdown(item)
        for each, answer in zip(told, pooled, strict=True)
        for item in answer.items
        if is_broken_down(each, item)
    ]
    assert sum(len(share) > 1 for share in shares) >= 5
    assert any(amount < 0 for share in shares if len(share) > 1 for amount in share.values())
