"""From a scope and its usage to line items and totals: pure, so that the same input always gives the same bytes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from ratel.core.account_rating import AccountRating
from ratel.core.bill import LineItem, sum_by_currency
from ratel.core.integral import Partials, with_integrals
from ratel.core.money import exact
from ratel.core.rating.book import Book
from ratel.core.rating.breakdown import named, shown
from ratel.core.rating.conversion import convert
from ratel.core.rating.counters import counters, levels_of
from ratel.core.rating.credits import usage_credits
from ratel.core.rating.draft import Draft, sort_usage
from ratel.core.rating.minimums import group_spends, plan_spends, pricing_spends
from ratel.core.rating.promotions import promotions
from ratel.core.rating.scope import Scope
from ratel.core.rating.standing import standing_charges
from ratel.core.rating.unpriced import unattached_usages, unpriced_usages
from ratel.core.rating.usage import usage

Pass: TypeAlias = Callable[[Draft], Iterator[LineItem]]

SERVICE_PASSES: Final[tuple[Pass, ...]] = (
    usage,
    counters,
    standing_charges,
    pricing_spends,
    plan_spends,
    group_spends,
)
"""What a bill period comes to, whenever it is billed."""

BILL_PASSES: Final[tuple[Pass, ...]] = (usage_credits, promotions)
"""What takes from the line items that stand together: those asked for, or those of one bill."""

PASSES: Final = (*SERVICE_PASSES, *BILL_PASSES)
"""The order of computation (R12.2): each pass sees the line items of those before it, and adds its own."""


@exact
def rate(scope: Scope, partials: Partials) -> AccountRating:
    """Rate what was surveyed.

    Args:
        scope: what `survey` found.
        partials: what is kept of the account's events for each of ``scope.reads``.

    Raises:
        FormulaRange: a compound's result has too many digits.
        CurrencyRateMissing: there is no rate into the account's currency.
    """
    book = Book()
    for each in (scope.before, scope):
        if each is not None:
            draft = empty_draft(each, partials, book)
            add_passes(draft, SERVICE_PASSES)
            convert(draft)
            add_passes(draft, BILL_PASSES)
    return AccountRating(
        account_id=scope.context.account.id,
        period=scope.asked,
        line_items=tuple(shown(draft, draft.line_items)),
        totals=sum_by_currency(draft.line_items),
        unpriced_usages=tuple(unpriced_usages(draft)),
        unattached_usages=tuple(unattached_usages(scope, partials)),
    )


def empty_draft(scope: Scope, partials: Partials, book: Book | None = None) -> Draft:
    """Return a draft with its usage sorted and no line items yet."""
    known = with_integrals(scope.counted, partials)
    thing_usages = tuple(sort_usage(scope.thing_parts, known))
    levels = levels_of(scope)
    return Draft(scope, thing_usages, levels, book=book or Book(), exchange=scope.context.exchange)


def add_passes(draft: Draft, passes: Iterable[Pass]) -> None:
    """Let passes add their line items to a draft, one after the other."""
    for each in passes:
        draft.line_items.extend(named(draft, tuple(each(draft))))
