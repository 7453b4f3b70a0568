"""Plans made ready for rating: what is in force when, for each priced thing, looked up once and shared by all windows.

A compiled plan is a pure function of a `PlanCatalog`; it is valid as long as the catalog's revision is.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from ratel.core.meter import Aggregation, CompoundAggregation, Method
from ratel.core.money import ONE, Rounding
from ratel.core.period import Grid, Period
from ratel.core.plan import EffectiveTerms, Plan, PlanTemplate, Settings, bill_grid, effective_terms
from ratel.core.plan_catalog import PlanCatalog
from ratel.core.plan_group import PlanGroup
from ratel.core.pricing import WILDCARD, Owner, OwnerKind, PricedKind, PricedThing, Pricing
from ratel.core.quantity import Values
from ratel.core.schedule import by_thing, pricings_in_force


class InForce:
    """The pricings of one thing that are in force together, each for another segment."""

    __slots__ = ("_literal", "_wildcards", "pricings")

    def __init__(self, pricings: Iterable[Pricing]) -> None:
        self.pricings = tuple(sorted(pricings, key=_precedence))
        self._literal = {each.segment: each for each in self.pricings if WILDCARD not in each.segment}
        self._wildcards = tuple(each for each in self.pricings if WILDCARD in each.segment)

    def taking(self, values: Values) -> Pricing | None:
        """Return the pricing that a combination belongs to (R2.4): most literals, then the earlier literal; or None."""
        literal = self._literal.get(values)
        return literal or next((each for each in self._wildcards if _matches(each.segment, values)), None)

    def would_take(self, segment: Values, values: Values) -> bool:
        """Tell whether a combination belongs to a segment, if it is priced here or not; the rivals are."""
        if not _matches(segment, values):
            return False
        taking = self.taking(values)
        return taking is None or _segment_precedence(segment) <= _segment_precedence(taking.segment)


def _precedence(pricing: Pricing) -> tuple[int, tuple[bool, ...], Values]:
    return _segment_precedence(pricing.segment)


def _segment_precedence(segment: Values) -> tuple[int, tuple[bool, ...], Values]:
    wildcards = tuple(value == WILDCARD for value in segment)
    return sum(wildcards), wildcards, segment


def _matches(segment: Values, values: Values) -> bool:
    return all(wanted in (WILDCARD, value) for wanted, value in zip(segment, values, strict=True))


@dataclass(frozen=True, slots=True)
class CompiledThing:
    """One thing that a plan prices or ever priced, over all time.

    Attributes:
        segment_fields: of an aggregation.
        aggregations: whose events count: the aggregation itself, or a compound's operands by id; none for a counter.
        compound: what joins the operands.
        stretches: when which pricing is in force; by segment, then time. Those of different segments may overlap.
        boundaries: every instant at which one of these begins or ends, ascending.
        in_force: before the first boundary, between each two, and after the last.
    """

    priced: PricedThing
    name: str
    unit: str = ""
    quantity_per_unit: Decimal = ONE
    rounding: Rounding = Rounding.NONE
    segment_fields: tuple[str, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    compound: CompoundAggregation | None = None
    stretches: tuple[tuple[Period, Pricing], ...] = ()
    boundaries: tuple[datetime, ...] = ()
    in_force: tuple[InForce, ...] = (InForce(()),)

    @property
    def is_level(self) -> bool:
        """Whether its events change a level, which lasts (R2.7)."""
        return self.compound is None and any(each.method is Method.WEIGHTED_SUM for each in self.aggregations)

    @property
    def is_broken_down(self) -> bool:
        """Whether its quantity is the sum of what accounts of a family have (R11.1)."""
        return self.compound is None and any(each.method in (Method.SUM, Method.COUNT) for each in self.aggregations)

    def cut(self, start: datetime, end: datetime) -> Iterator[tuple[Period, InForce]]:
        """Yield ``[start, end)`` in pieces in which the same pricings are in force; nothing if it is empty."""
        index = bisect_right(self.boundaries, start)
        while start < end:
            stop = min(end, self.boundaries[index]) if index < len(self.boundaries) else end
            yield Period(start, stop), self.in_force[index]
            start, index = stop, index + 1


@dataclass(frozen=True, slots=True)
class CompiledPlan:
    """A plan with its terms resolved (R3.1), its things by kind and id, and the group that it is in."""

    plan: Plan
    template: PlanTemplate
    terms: EffectiveTerms
    settings: Settings
    things: tuple[CompiledThing, ...]
    group: PlanGroup | None = None

    def grid(self, *epochs: date | None) -> Grid:
        """Return the grid of bill periods, anchored at the first epoch that is set, else at the settings' (R4.2)."""
        return bill_grid(self.template, self.settings, next((each for each in epochs if each is not None), None))


def compile_plan(catalog: PlanCatalog, plan_id: str) -> CompiledPlan:
    """Return a plan of the catalog, ready for rating.

    Raises:
        KeyError: the catalog lacks the plan, its template, or something that is priced.
    """
    plan = catalog.plans[plan_id]
    template = catalog.plan_templates[plan.plan_template_id]
    stretches = _stretches(catalog, Owner(OwnerKind.PLAN, plan.id), Owner(OwnerKind.TEMPLATE, template.id))
    return CompiledPlan(
        plan=plan,
        template=template,
        terms=effective_terms(plan, template, catalog.settings),
        settings=catalog.settings,
        things=tuple(_scheduled(_thing(catalog, priced), found) for priced, found in sorted(stretches.items())),
        group=catalog.plan_groups.get(plan_id),
    )


def _stretches(
    catalog: PlanCatalog, plan: Owner, template: Owner
) -> dict[PricedThing, tuple[tuple[Period, Pricing], ...]]:
    own = by_thing(pricing for pricing in catalog.pricings if pricing.owner == plan)
    inherited = by_thing(pricing for pricing in catalog.pricings if pricing.owner == template)
    found: dict[PricedThing, tuple[tuple[Period, Pricing], ...]] = {
        # What was priced once stays, even if no pricing of it is left: its usage is unpriced, not free (R3.5).
        priced: ()
        for owner, priced in catalog.priced_things
        if owner in (plan, template)
    }
    for key in sorted(own.keys() | inherited.keys()):
        found[key[0]] = found.get(key[0], ()) + pricings_in_force(own.get(key, ()), inherited.get(key, ()))
    return found


def _thing(catalog: PlanCatalog, priced: PricedThing) -> CompiledThing:
    match priced.kind:
        case PricedKind.COUNTER:
            counter = catalog.counters[priced.id]
            return CompiledThing(priced, counter.name, counter.unit)
        case PricedKind.AGGREGATION:
            single = catalog.aggregations[priced.id]
            scale = single.quantity_per_unit, single.rounding
            return CompiledThing(priced, single.name, single.unit, *scale, single.segment_fields, (single,))
        case PricedKind.COMPOUND:
            compound = catalog.compound_aggregations[priced.id]
            scale = compound.quantity_per_unit, compound.rounding
            operands = tuple(catalog.aggregations[name] for name in sorted(compound.formula.names))
            return CompiledThing(priced, compound.name, compound.unit, *scale, (), operands, compound)


def _scheduled(thing: CompiledThing, stretches: tuple[tuple[Period, Pricing], ...]) -> CompiledThing:
    instants = {instant for period, _ in stretches for instant in (period.start, period.end) if instant is not None}
    boundaries = tuple(sorted(instants))
    found = (InForce(each for period, each in stretches if period.contains(instant)) for instant in boundaries)
    return replace(thing, stretches=stretches, boundaries=boundaries, in_force=(InForce(()), *found))
