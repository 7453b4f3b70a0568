"""What a story says, as the core has it (see `tests.story`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ratel.core.account import Account, Attachment
from ratel.core.counter import AccountAdjustment, Counter
from ratel.core.meter import Aggregation, CompoundAggregation, Field, FieldKind, Meter, Method
from ratel.core.period import Frequency, Period
from ratel.core.plan import Plan, PlanTemplate, Settings
from ratel.core.plan_group import PlanGroup
from ratel.core.prepayment import BalanceBook, Commitment
from ratel.core.pricing import (
    Pricing,
)
from ratel.core.promotion import Grant, GrantedPromotion, Promotion

ACCOUNT = Account("account", "The account")
METER = "meter"
PRODUCT = "product"
TEMPLATE = "template"
PLAN = "plan"


@dataclass(frozen=True)
class Usage:
    """Some equal events; each has an id of its own but with ``id`` given."""

    time: datetime
    values: Mapping[str, str]
    ids: tuple[str, ...]
    account_id: str = ACCOUNT.id


@dataclass
class Story:
    """What is there, what is asked, and what is expected."""

    account: Account = ACCOUNT
    children: dict[str, Account] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    template: PlanTemplate = field(
        default_factory=lambda: PlanTemplate(TEMPLATE, PRODUCT, "Template", "USD", Frequency.MONTHLY)
    )
    plans: list[Plan] = field(default_factory=lambda: [Plan(PLAN, TEMPLATE, "Plan")])
    groups: list[PlanGroup] = field(default_factory=list)
    derived: list[Field] = field(default_factory=list)
    aggregations: dict[str, Aggregation] = field(default_factory=dict)
    compounds: dict[str, CompoundAggregation] = field(default_factory=dict)
    counters: dict[str, Counter] = field(default_factory=dict)
    pricings: list[Pricing] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    adjustments: list[AccountAdjustment] = field(default_factory=list)
    promotions: dict[str, Promotion] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    commitments: list[Commitment] = field(default_factory=list)
    balances: list[BalanceBook] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    asked: Period | None = None
    asked_id: str = ACCOUNT.id
    invoice_dates: list[str] = field(default_factory=list)
    line_items: list[tuple[str, str]] = field(default_factory=list)
    unpriced: list[tuple[str, str]] = field(default_factory=list)
    unattached: list[tuple[str, str]] = field(default_factory=list)

    @property
    def granted(self) -> tuple[GrantedPromotion, ...]:
        """The grants with their promotions."""
        return tuple(GrantedPromotion(each, self.promotions[each.promotion_id]) for each in self.grants)

    @property
    def meter(self) -> Meter:
        """The one meter, with the fields that the aggregations and the derived fields need."""
        strings = {name for each in self.aggregations.values() for name in each.rollup.dimensions}
        strings |= {each.field for each in self.aggregations.values() if each.method is Method.UNIQUE}
        named = {each.field for each in self.aggregations.values() if each.field}
        named |= {name for each in self.derived if each.formula for name in each.formula.names}
        measures = named - strings - {each.name for each in self.derived}
        fields = [Field(name, FieldKind.MEASURE) for name in sorted(measures)]
        fields += [Field(name, FieldKind.STRING) for name in sorted(strings)]
        return Meter(METER, PRODUCT, "Meter", (*fields, *self.derived))
