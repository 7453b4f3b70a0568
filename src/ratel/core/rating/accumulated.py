"""How far usage that accumulates has come at an instant (R5.4): what a rating of that very instant would say."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ratel.core.bill import LineItem
from ratel.core.errors import PeriodInvalid
from ratel.core.integral import Partials
from ratel.core.money import exact
from ratel.core.period import Period
from ratel.core.pricing import Pricing
from ratel.core.rating.rate import empty_draft
from ratel.core.rating.scope import RatingContext, Scope, survey
from ratel.core.rating.usage import usage_of_window
from ratel.core.window import ThingPart


@dataclass(frozen=True, slots=True)
class Accumulating:
    """What is asked for: the pricings that accumulate and are in force at an instant.

    Attributes:
        product_id: only of this product; empty: of all.
        pricing_id: only this one; empty: all.
    """

    instant: datetime
    product_id: str = ""
    pricing_id: str = ""

    @property
    def period(self) -> Period:
        """The instant as the shortest period, so that usage of the instant itself counts.

        Raises:
            PeriodInvalid: it is the last instant of all, at ``time``.
        """
        try:
            return Period(self.instant, self.instant + timedelta.resolution)
        except OverflowError:
            raise PeriodInvalid("must be before the end of the year 9999", "time") from None

    def includes(self, pricing: Pricing) -> bool:
        """Tell whether a pricing in force is meant."""
        return pricing.accumulate and self.pricing_id in ("", pricing.id)

    def needs(self, thing_part: ThingPart) -> bool:
        """Tell whether the usage of a thing is needed."""
        product_id = thing_part.part.service.plan.template.product_id
        return self.product_id in ("", product_id) and any(self.includes(each.pricing) for each in thing_part.windows)


@exact
def survey_accumulated(context: RatingContext, asked: Accumulating) -> Scope:
    """Find what must be read; promotions and usage outside attachments play no part."""
    scope = survey(replace(context, granted=(), meters=()), asked.period)
    return replace(scope, thing_parts=tuple(filter(asked.needs, scope.thing_parts)))


@exact
def accumulated_usages(scope: Scope, partials: Partials, asked: Accumulating) -> list[LineItem]:
    """Return line items of usage whose workings say how far it has come, by attachment, thing, segment.

    Args:
        scope: what `survey_accumulated` found.
        partials: what is kept of the account's events for each of ``scope.reads``.
        asked: the same.
    """
    draft = empty_draft(scope, partials)
    return draft.in_order(
        item
        for usage in draft.thing_usages
        for window in usage.thing_part.windows
        if asked.includes(window.pricing)
        for item in usage_of_window(usage, window)
    )
