"""Reads stories: a catalog, an account, its usage, a period, and the line items that must come of it.

One line says one thing: a verb, perhaps an id, then words and ``key=value``. Times are local to the story's zone, and
what is not said has a default, so that a story shows only what it is about:
    zone America/New_York                         the settings' time zone
    settings rounding_mode=HALF_EVEN month_epoch=2024-01-31 rates=USD:GBP:0.8,USD:JPY:151.33 pays=BALANCE,COMMITMENT
    account currency=GBP
    template currency=JPY frequency=ANNUALLY interval=2 standing_charge=20 ...
    plan gold standing_charge=30                  made from the template; there is always a plan called "plan"
    group both plan,gold minimum=100 maximum=500
    derived cost = size * 2                       a field of the meter; all other fields follow from the aggregations
    aggregation calls SUM size by=region,kind where=region:eu,us per=500 round=UP default=3
    compound extra per=10 null_as_zero = calls - users * 100
    counter seats
    price calls 0:0.15 500:0.10 id=a on=template segment=eu,* from=2024-06-10 to=2024-06-20 volume charge_zero
    price calls 0:0.1 1000:0.08 volume accumulate=POSITIONAL
    price calls 0:0.5 overage=0:0.7,100:0.6
    attach 2024-06-01 2024-07-01 id=x plan=gold epoch=2024-01-31 trial=2024-06-16 accumulating_from=2024-05-01
    level seats 2024-06-15 18
    promotion third 33.3% on=gold count=3 per_period=80 total=200
    promotion upward 0:10% 500:15% price=a segment=eu,us
    promotion welcome 50                          a fixed amount; on the plan called "plan"
    grant third 2024-06-01 2024-09-01 id=g priority=1
    commitment year 15000 2024-01-01 2025-01-01 every=1 first=0 in_advance fee=2024-06-15:50 kinds=USAGE surcharge=1
    balance extra 2024-06-01 2024-06-16 put=2024-06-01:100/2,2024-06-10:-20 rollover=50:2024-07-01 surcharge=10
    use 2024-06-03 size=5 region=eu id=e1 times=10
    family BREAKDOWN                              how the account is shown what its children have used
    child a with_parent                           a child; its own attachments are charged on the account's bills
    attach 2024-06-01 of=a                        the child's; so with level, use and rate
    rate 2024-06-01 2024-07-01
    bill 2024-07-01 2024-08-01                    one bill after the other; what is expected is on the last
    -> USAGE 95.00 500x.15 + 200x.10              kind, amount, and any words that say why
    unpriced calls 7
    unattached meter 3

A story without `attach` is attached from 2024-01-01 on. Bands are ``lower:unit`` or ``lower:fixed+unit/block_size``.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from ratel.core.account import Account, Attachment, ChildBilling
from ratel.core.band import Bands
from ratel.core.counter import AccountAdjustment, Adjustment, Counter
from ratel.core.meter import Aggregation, CompoundAggregation, Field, FieldKind, Filter, Method, read_formula
from ratel.core.money import Rounding, RoundingMode
from ratel.core.period import Frequency, Period
from ratel.core.plan import CreditKind, Plan, PlanTemplate
from ratel.core.plan_group import GroupedPlan, PlanGroup, fit_plan_group
from ratel.core.pricing import (
    AccumulationMode,
    ApplyAs,
    CounterTerms,
    Owner,
    OwnerKind,
    PricedKind,
    PricedThing,
    Pricing,
    SpendLimits,
)
from ratel.core.promotion import Grant, Promotion, PromotionPlace, fit_promotion
from tests.agreed import Agreed
from tests.told import ACCOUNT, METER, PLAN, PRODUCT, TEMPLATE, Story, Usage
from tests.words import (
    bands_from_text,
    options_of,
    overage_from_options,
    rates_from_text,
    terms_from_options,
    worth_from_words,
)


def read_story(text: str) -> Story:
    """Read a story; see the module."""
    story = Story()
    for line in text.strip().splitlines():
        if line.strip():
            verb, *words = line.split()
            _VERBS[verb](story, words)
    if not any(each.account_id == ACCOUNT.id for each in story.attachments):
        story.attachments.append(Attachment("attachment", ACCOUNT.id, PLAN, Period(_time(story, "2024-01-01"))))
    return story


# --- Words ------------------------------------------------------------------------------------------------------------


def _time(story: Story, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(story.settings.time_zone)).astimezone(ZoneInfo("UTC"))


def _period(story: Story, start: str, end: str | None) -> Period:
    return Period(_time(story, start), _time(story, end) if end else None)


# --- Verbs ------------------------------------------------------------------------------------------------------------


def _zone(story: Story, words: list[str]) -> None:
    story.settings = replace(story.settings, time_zone=words[0])


def _settings(story: Story, words: list[str]) -> None:
    _, options = options_of(words)
    epochs = {key: date.fromisoformat(text) for key, text in options.items() if key.endswith("_epoch")}
    mode = RoundingMode(options.get("rounding_mode", "HALF_UP"))
    switches = {key: text == "yes" for key, text in options.items() if key.endswith("_advance")}
    rates = rates_from_text(options.get("rates", ""))
    order = tuple(map(CreditKind, filter(None, options.get("pays", "").split(","))))
    story.settings = replace(
        story.settings,
        rounding_mode=mode,
        currency_rates=rates,
        credit_application_order=order,
        **epochs,  # type: ignore[arg-type]
        **switches,  # type: ignore[arg-type]
    )


def _account(story: Story, words: list[str]) -> None:
    _, options = options_of(words)
    story.account = replace(story.account, **options)  # type: ignore[arg-type]


def _template(story: Story, words: list[str]) -> None:
    _, options = options_of(words)
    story.template = PlanTemplate(
        TEMPLATE,
        PRODUCT,
        "Template",
        options.pop("currency", "USD"),
        Frequency(options.pop("frequency", "MONTHLY")),
        int(options.pop("interval", "1")),
        terms_from_options(options),
    )


def _plan(story: Story, words: list[str]) -> None:
    (plan_id, *_), options = options_of(words)
    plan = Plan(plan_id, TEMPLATE, plan_id.title(), terms=terms_from_options(options))
    story.plans = [each for each in story.plans if each.id != plan_id] + [plan]


def _group(story: Story, words: list[str]) -> None:
    (group_id, plan_ids), options = options_of(words)
    minimum, maximum = (Decimal(options[key]) if key in options else None for key in ("minimum", "maximum"))
    group = PlanGroup(
        group_id, group_id.title(), tuple(plan_ids.split(",")), minimum_spend=minimum, maximum_spend=maximum
    )
    plans = [GroupedPlan(each, story.template.currency, story.template.frequency, 1, "") for each in group.plan_ids]
    story.groups.append(fit_plan_group(group, plans))


def _derived(story: Story, words: list[str]) -> None:
    story.derived.append(Field(words[0], FieldKind.DERIVED, formula=read_formula(" ".join(words[2:]))))


def _aggregation(story: Story, words: list[str]) -> None:
    (aggregation_id, method, *fields), options = options_of(words)
    where, _, values = options.get("where", "").partition(":")
    default = options.get("default")
    story.aggregations[aggregation_id] = Aggregation(
        id=aggregation_id,
        meter_id=METER,
        name=aggregation_id.title(),
        method=Method(method),
        field=fields[0] if fields else "",
        default_quantity=Decimal(default) if default else None,
        quantity_per_unit=Decimal(options.get("per", "1")),
        rounding=Rounding(options.get("round", "NONE")),
        filter=Filter(where, frozenset(values.split(","))) if where else None,
        segment_fields=tuple(options["by"].split(",")) if "by" in options else (),
    )


def _compound(story: Story, words: list[str]) -> None:
    head, text = words[: words.index("=")], " ".join(words[words.index("=") + 1 :])
    (compound_id, *switches), options = options_of(head)
    story.compounds[compound_id] = CompoundAggregation(
        id=compound_id,
        product_id=PRODUCT,
        name=compound_id.title(),
        formula=read_formula(text),
        quantity_per_unit=Decimal(options.get("per", "1")),
        rounding=Rounding(options.get("round", "NONE")),
        null_as_zero="null_as_zero" in switches,
    )


def _counter(story: Story, words: list[str]) -> None:
    story.counters[words[0]] = Counter(words[0], PRODUCT, words[0].title())


def _price(story: Story, words: list[str]) -> None:
    (thing, *plain), options = options_of(words)
    bands = [word for word in plain if ":" in word]
    owner = options.get("on", PLAN)
    aggregation = story.aggregations.get(thing)
    amounts = {key: Decimal(options[key]) for key in ("minimum", "maximum") if key in options}
    story.pricings.append(
        Pricing(
            id=options.get("id", f"{thing}-{len(story.pricings)}"),
            owner=Owner(OwnerKind.TEMPLATE if owner == TEMPLATE else OwnerKind.PLAN, owner),
            priced=PricedThing(_kind(story, thing), thing),
            period=_period(story, options.get("from", "2020-01-01"), options.get("to")),
            bands=Bands("volume" not in plain, bands_from_text(bands), charge_zero="charge_zero" in plain),
            segment=tuple(options["segment"].split(",")) if "segment" in options else (),
            segment_fields=aggregation.segment_fields if aggregation else (),
            pool="pool" in plain,
            spend=SpendLimits(**amounts, minimum_in_advance="minimum_in_advance" in plain or None),  # type: ignore[arg-type]
            description=options.get("description", "").replace("_", " "),
            apply_as=ApplyAs(options.get("as", "DEBIT")),
            accumulate="accumulate" in {*options, *plain},
            accumulation_mode=AccumulationMode(options["accumulate"]) if "accumulate" in options else None,
            overage_bands=overage_from_options(options),
            counter_terms=CounterTerms(
                running_total_in_advance="total_in_arrears" not in plain,
                prorate_running_total="whole_total" not in plain,
                prorate_debit="whole_debit" not in plain,
                prorate_credit="whole_credit" not in plain,
            ),
        )
    )


def _kind(story: Story, thing: str) -> PricedKind:
    if thing in story.counters:
        return PricedKind.COUNTER
    return PricedKind.COMPOUND if thing in story.compounds else PricedKind.AGGREGATION


def _attach(story: Story, words: list[str]) -> None:
    (start, *end), options = options_of(words)
    epoch, trial = options.get("epoch"), options.get("trial")
    story.attachments.append(
        Attachment(
            options.get("id", f"attachment-{len(story.attachments)}"),
            options.get("of", ACCOUNT.id),
            options.get("plan", PLAN),
            _period(story, start, end[0] if end else None),
            date.fromisoformat(epoch) if epoch else None,
            _time(story, trial) if trial else None,
            _time(story, options["accumulating_from"]) if "accumulating_from" in options else None,
        )
    )


def _promotion(story: Story, words: list[str]) -> None:
    (promotion_id, *worth), options = options_of(words)
    pricing_id, plan_id = options.get("price", ""), options.get("on", PLAN)
    fields = next((each.segment_fields for each in story.pricings if each.id == pricing_id), ())
    values = options["segment"].split(",") if "segment" in options else []
    per_period, total = (Decimal(options[key]) if key in options else None for key in ("per_period", "total"))
    promotion = Promotion(
        promotion_id,
        promotion_id.title(),
        worth_from_words(worth),
        "" if pricing_id else plan_id,
        pricing_id,
        tuple(zip(fields, values, strict=True)) if values else (),
        bill_period_count=int(options["count"]) if "count" in options else None,
        max_per_period=per_period,
        max_total=total,
    )
    pricing = next((each for each in story.pricings if each.id == pricing_id), None)
    story.promotions[promotion_id] = fit_promotion(promotion, PromotionPlace(story.template.currency, pricing))


def _grant(story: Story, words: list[str]) -> None:
    (promotion_id, start, *end), options = options_of(words)
    period = _period(story, start, end[0] if end else None)
    grant_id = options.get("id", f"grant-{len(story.grants)}")
    story.grants.append(Grant(grant_id, ACCOUNT.id, promotion_id, period, int(options.get("priority", "0"))))


def _commitment(story: Story, words: list[str]) -> None:
    story.commitments.append(_agreed_of(story).commitment(words))


def _balance(story: Story, words: list[str]) -> None:
    story.balances.append(_agreed_of(story).balance(words))


def _agreed_of(story: Story) -> Agreed:
    return Agreed(ACCOUNT.id, PLAN, story.template.currency, partial(_time, story))


def _level(story: Story, words: list[str]) -> None:
    (counter_id, day, level), options = options_of(words)
    adjustment = Adjustment(counter_id, date.fromisoformat(day), Decimal(level))
    story.adjustments.append(AccountAdjustment(options.get("of", ACCOUNT.id), adjustment))


def _use(story: Story, words: list[str]) -> None:
    (time, *_), values = options_of(words)
    times = int(values.pop("times", "1"))
    first = values.pop("id", f"event-{len(story.usages)}")
    ids = tuple(first if times == 1 else f"{first}-{index}" for index in range(times))
    account_id = values.pop("of", ACCOUNT.id)
    story.usages.append(Usage(_time(story, time), values, ids, account_id))


def _family(story: Story, words: list[str]) -> None:
    story.account = replace(story.account, child_billing=ChildBilling(words[0]))


def _child(story: Story, words: list[str]) -> None:
    is_billed_with_parent = "with_parent" in words
    child = Account(words[0], words[0].title(), parent_id=ACCOUNT.id, billed_with_parent=is_billed_with_parent)
    story.children[child.id] = child


def _rate(story: Story, words: list[str]) -> None:
    (start, end), options = options_of(words)
    story.asked, story.asked_id = _period(story, start, end), options.get("of", ACCOUNT.id)


def _bill(story: Story, words: list[str]) -> None:
    story.invoice_dates = words


def _line_item(story: Story, words: list[str]) -> None:
    story.line_items.append((words[0], words[1]))


def _unpriced(story: Story, words: list[str]) -> None:
    story.unpriced.append((words[0], words[1]))


def _unattached(story: Story, words: list[str]) -> None:
    story.unattached.append((words[0], words[1]))


_VERBS: dict[str, Callable[[Story, list[str]], None]] = {
    "zone": _zone,
    "settings": _settings,
    "account": _account,
    "template": _template,
    "plan": _plan,
    "group": _group,
    "derived": _derived,
    "aggregation": _aggregation,
    "compound": _compound,
    "counter": _counter,
    "price": _price,
    "attach": _attach,
    "promotion": _promotion,
    "grant": _grant,
    "level": _level,
    "family": _family,
    "child": _child,
    "use": _use,
    "commitment": _commitment,
    "balance": _balance,
    "rate": _rate,
    "bill": _bill,
    "->": _line_item,
    "unpriced": _unpriced,
    "unattached": _unattached,
}
