"""Catalogs and accounts made by chance: small, and full of the places where engines go wrong.

All instants come from a few: midnights, clock changes, odd microseconds. So a price, an attachment, an event and what
is asked for often begin or end at the very same one.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from tests.naive.account import Account, Adjustment, Attachment, Event
from tests.naive.catalog import (
    FOREVER,
    Aggregation,
    Band,
    Catalog,
    Compound,
    CounterTerms,
    Field,
    Meter,
    Plan,
    Pricing,
    Settings,
    Template,
    Terms,
    Thing,
)
from tests.naive.debts import Grant
from tests.naive.prepayments import prepaid
from tests.naive.told import Story

# A zone, and a day in whose neighbourhood its clocks change.
PLACES = (
    ("UTC", date(2024, 2, 20)),
    ("America/New_York", date(2024, 3, 3)),
    ("Europe/Berlin", date(2024, 10, 20)),
    ("Australia/Lord_Howe", date(2024, 3, 30)),  # by half an hour
    ("America/Sao_Paulo", date(2017, 10, 5)),  # at midnight, which is skipped
    ("Africa/Cairo", date(2024, 4, 15)),  # at midnight too
    ("America/Havana", date(2024, 10, 25)),  # midnight comes twice
    ("Pacific/Apia", date(2011, 12, 20)),  # a whole day is skipped
    ("Asia/Kathmandu", date(2023, 12, 20)),  # never on the hour
)

MEASURES = ("size", "rate")
STRINGS = ("region", "sort")
VALUES = ("eu", "us", "ap", "")


def story(seed: int) -> Story:
    """Make the story of a number."""
    return Maker(Random(seed)).story()


class Maker:
    """Makes one story; every method draws from the same chance."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        zone, self.first = chance.choice(PLACES)
        self.zone = ZoneInfo(zone)
        self.span = chance.choice((20, 45, 100))
        self.instants = sorted({self.instant() for _ in range(14)})

    def often(self, percent: int) -> bool:
        return self.chance.randrange(100) < percent

    def day(self) -> date:
        return self.first + timedelta(days=self.chance.randrange(self.span))

    def instant(self) -> datetime:
        """Mostly a local midnight, at times an hour or a microsecond."""
        day = self.day().replace(day=1) if self.often(20) else self.day()
        local = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        if self.often(35):
            local += timedelta(hours=self.chance.randrange(24))
        if self.often(15):
            local += timedelta(microseconds=self.chance.randrange(3_600_000_000))
        return local.astimezone(UTC)

    def stretch(self) -> tuple[datetime, datetime]:
        start, end = sorted(self.chance.sample(self.instants, 2))
        return start, end

    def story(self) -> Story:
        products = [f"product{number}" for number in range(self.chance.choice((1, 2)))]
        catalog = self.catalog(products)
        told = Story(catalog, self.account(catalog), self.stretch())
        grants = [self.grant(number, told) for number in range(self.chance.choice((0, 0, 2, 3, 5)))]
        told = replace(told, grants=tuple(grants))
        return told if self.often(60) else prepaid(told, self.chance, self.instants)

    # --- Catalog ---

    def catalog(self, products: Sequence[str]) -> Catalog:
        meters = tuple(self.meter(f"meter_{product}_{number}", product) for product in products for number in (1, 2))
        aggregations = tuple(self.aggregation(f"a{number}", meters) for number in range(self.chance.randint(1, 5)))
        catalog = Catalog(
            self.settings(),
            meters,
            aggregations,
            tuple(self.compounds(meters, aggregations)),
            tuple(self.template(product) for product in products),
            tuple(
                Plan(f"plan_{product}_{number}", f"template_{product}", self.terms())
                for product in products
                for number in (1, 2)
            ),
        )
        return Pricer(self, catalog).priced()

    def settings(self) -> Settings:
        epochs = {name: self.day() for name in ("DAILY", "WEEKLY", "MONTHLY", "ANNUALLY") if self.often(15)}
        rounding = self.chance.choice(("HALF_UP", "HALF_UP", "HALF_EVEN", "DOWN"))
        return Settings(self.zone.key, minimum_in_advance=self.often(20), epochs=epochs, rounding=rounding)

    def meter(self, name: str, product: str) -> Meter:
        fields = [Field(each) for each in MEASURES] + [Field(each, "STRING") for each in STRINGS]
        if self.often(40):
            fields.append(Field("cost", "DERIVED", self.chance.choice(DERIVED)))
            if self.often(40):
                fields.append(Field("more", "DERIVED", self.chance.choice(("cost * 2", "coalesce(cost, 1) - size"))))
        return Meter(name, product, tuple(self.chance.sample(fields[:4], 4) + fields[4:]))

    def aggregation(self, name: str, meters: Sequence[Meter]) -> Aggregation:
        meter = self.chance.choice(meters)
        methods = (*("SUM",) * 3, "MIN", "MAX", "LATEST", "MEAN", "UNIQUE", "COUNT", "COUNT", "WEIGHTED_SUM")
        method = self.chance.choice(methods)
        numbers = [field.name for field in meter.fields if field.kind != "STRING"]
        fields = {"UNIQUE": list(STRINGS), "COUNT": ["", *STRINGS, *numbers]}.get(method, numbers)
        kept = frozenset(self.chance.sample(VALUES, self.chance.randint(1, 3)))
        return Aggregation(
            name,
            meter.id,
            method,
            self.chance.choice(fields),
            self.chance.choice((Fraction(0), Fraction(3))) if self.often(10) else None,
            Fraction(self.chance.choice(("1", "1", "1", "2", "3", "0.7"))),
            self.chance.choice(("NONE", "NONE", "UP", "DOWN", "NEAREST")),
            (self.chance.choice(STRINGS), kept) if self.often(20) else None,
            tuple(self.chance.sample(STRINGS, self.chance.choice((0, 0, 1, 2)))),
        )

    def compounds(self, meters: Sequence[Meter], aggregations: Sequence[Aggregation]) -> list[Compound]:
        made = []
        for number in range(self.chance.choice((0, 1, 2))):
            product = self.chance.choice(meters).product
            own = [each.id for each in aggregations if product in each.meter]
            if own:
                one, other = self.chance.choice(own), self.chance.choice(own)
                text = self.chance.choice(COMPOUNDS).format(one, other)
                per_unit = Fraction(self.chance.choice(("1", "1", "3")))
                rounding = self.chance.choice(("NONE", "NEAREST", "UP"))
                made.append(Compound(f"c{number}", text, per_unit, rounding, self.often(30)))
        return made

    def template(self, product: str) -> Template:
        frequency = self.chance.choice(("MONTHLY", "MONTHLY", "MONTHLY", "WEEKLY", "DAILY", "ANNUALLY"))
        interval = self.chance.choice((1, 1, 1, 2))
        if frequency == "DAILY" and (interval == 2 or self.span > 20):
            interval = self.chance.choice((5, 11))
        currency = self.chance.choice(("USD", "USD", "USD", "JPY", "KWD"))
        return Template(f"template_{product}", product, currency, frequency, interval, self.terms())

    def terms(self) -> Terms:
        if self.often(60):
            return Terms()
        maximum = self.amount() + 40 if self.often(20) else None
        minimum = self.chance.choice((Fraction(0), Fraction(5), Fraction(40))) if self.often(30) else None
        return Terms(
            standing=self.chance.choice((Fraction(0), self.amount())) if self.often(50) else None,
            standing_in_advance=self.often(50) if self.often(60) else None,
            standing_interval=self.chance.choice((1, 2, 3)) if self.often(30) else None,
            standing_offset=self.chance.choice((0, 1, 2)) if self.often(30) else None,
            minimum=minimum,
            minimum_in_advance=self.often(50) if self.often(50) else None,
            maximum=maximum,
        )

    def amount(self) -> Fraction:
        return Fraction(self.chance.choice((1, 7, 20, 31, 100)))

    # --- Account ---

    def account(self, catalog: Catalog) -> Account:
        counters = sorted({each.thing.id for each in catalog.pricings if each.thing.kind == "COUNTER"})
        levels = {(counter, self.day()): self.level() for counter in counters for _ in range(self.chance.randint(0, 4))}
        adjustments = tuple(Adjustment(counter, day, level) for (counter, day), level in levels.items())
        attachments = [each for template in catalog.templates for each in self.attachments(catalog, template)]
        epoch = self.day() if self.often(15) else None
        events = tuple(self.event(number, catalog) for number in range(self.chance.choice((0, 5, 20, 40))))
        return Account("account", tuple(attachments), adjustments, events, epoch)

    def level(self) -> Fraction:
        return Fraction(self.chance.choice(("0", "1", "3", "4.5", "10", "25")))

    def attachments(self, catalog: Catalog, template: Template) -> list[Attachment]:
        """One after the other, with and without a gap between them."""
        plans = [plan.id for plan in catalog.plans if plan.template == template.id]
        cuts = sorted(self.chance.sample(self.instants, self.chance.choice((2, 2, 4))))
        if len(cuts) == 4 and self.often(60):
            cuts[2] = cuts[1]
        pairs = [cuts[place : place + 2] for place in range(0, len(cuts), 2)]
        if self.often(50):
            pairs[-1][1] = FOREVER
        epoch = self.day() if self.often(10) else None
        return [
            Attachment(
                f"{template.product}-{number}",
                self.chance.choice(plans),
                start,
                end,
                epoch,
                trial_end=self.after(start) if self.often(15) else None,
                accumulation_start=pairs[0][0] if number and self.often(40) else None,
            )
            for number, (start, end) in enumerate(pairs)
        ]

    def after(self, start: datetime) -> datetime:
        later = [each for each in self.instants if each > start]
        return self.chance.choice(later) if later else start + timedelta(days=3)

    def grant(self, number: int, told: Story) -> Grant:
        """Of a plan that the account is on, or of a pricing that charges, at times only one segment of it."""
        start = self.chance.choice(self.instants[: 4 if self.often(60) else None])
        given = Grant(
            f"grant{number}",
            start,
            self.chance.choice(("PERCENTAGE", "GRADUATED", "FIXED")),
            periods=self.chance.choice((1, 2)) if self.often(30) else None,
            end=self.after(start) if self.often(30) else FOREVER,
            priority=self.chance.choice((0, 0, 1)),
            max_total=Fraction(self.chance.choice((3, 30))) if self.often(30) else None,
        )
        if given.kind == "FIXED":
            given = replace(given, value=Fraction(self.chance.choice((2, 15))))
        elif given.kind == "PERCENTAGE":
            given = replace(given, value=Fraction(self.chance.choice(("10", "33.3", "100"))))
        else:
            given = replace(given, graduated=((Fraction(0), Fraction(10)), (Fraction(5), Fraction(30))))
        if given.kind != "FIXED" and self.often(25):
            given = replace(given, max_per_period=Fraction(2))
        plans = {each.plan for each in told.account.attachments}
        owners = {("PLAN", each) for each in plans} | {("TEMPLATE", told.catalog.template(each).id) for each in plans}
        pricings = [each for each in told.catalog.pricings if each.apply_as == "DEBIT" and each.owner in owners]
        if not pricings or self.often(60):
            return replace(given, plan=self.chance.choice(sorted(plans)))
        pricing = self.chance.choice(pricings)
        segment = None
        if "*" in pricing.segment and not pricing.pool and self.often(50):
            segment = tuple(self.chance.choice(VALUES) if each == "*" else each for each in pricing.segment)
        return replace(given, pricing=pricing.id, segment=segment)

    def event(self, number: int, catalog: Catalog) -> Event:
        """Ids in an order of their own, some of them UUIDs, which are stored otherwise."""
        name = f"{self.chance.randrange(10)}-{number}"
        if self.often(30):
            name = f"01{self.chance.randrange(16**6):06x}-0000-7000-8000-{number:012x}"
        time = self.chance.choice(self.instants) if self.often(30) else self.instant()
        values: dict[str, Fraction | str] = {}
        for each in MEASURES:
            if self.often(85):
                values[each] = self.measure()
        for each in STRINGS:
            if self.often(85):
                values[each] = self.chance.choice(VALUES)
        return Event(name, self.chance.choice(catalog.meters).id, time, values)

    def measure(self) -> Fraction:
        texts = ("0", "1", "2", "2.5", "4", "7", "10.000000000000000001", "33", "120", "-1", "-3.3")
        return Fraction(self.chance.choice(texts))


DERIVED = ("size * rate", "size / rate", "if(size > 2, size, 0)", "max(size, rate) - 1", "size % 3", "-size ^ 2")
COMPOUNDS = (
    "{0} - {1}",
    "{0} / {1}",
    "{0} * 2 + 1",
    "coalesce({0}, 0) + coalesce({1}, 5)",
    "if({0} >= 3, {0}, {1})",
    "max(0, round({0} / 3, 1))",
)


class Pricer:
    """Prices the things of a catalog, on templates and plans, by segments, one after the other."""

    def __init__(self, maker: Maker, catalog: Catalog) -> None:
        self.maker = maker
        self.chance = maker.chance
        self.catalog = catalog
        self.credits = self.chance.choice((5, 5, 40))

    def priced(self) -> Catalog:
        pricings: list[Pricing] = []
        for template in self.catalog.templates:
            owners = [("TEMPLATE", template.id)]
            owners += [("PLAN", plan.id) for plan in self.catalog.plans if plan.template == template.id]
            for owner in owners:
                for thing in self.things(template.product):
                    if self.maker.often(70 if owner[0] == "TEMPLATE" else 35):
                        pricings += self.pricings(owner, thing)
        made = vars(self.catalog) | {"pricings": tuple(pricings), "ever_priced": self.forgotten(pricings)}
        return Catalog(**made)

    def forgotten(self, pricings: list[Pricing]) -> tuple[tuple[tuple[str, str], Thing], ...]:
        """Delete a pricing, and remember what it priced."""
        if not pricings or self.maker.often(70):
            return ()
        deleted = pricings.pop(self.chance.randrange(len(pricings)))
        return ((deleted.owner, deleted.thing),)

    def things(self, product: str) -> list[Thing]:
        meters = {each.id for each in self.catalog.meters if each.product == product}
        own = [each.id for each in self.catalog.aggregations if each.meter in meters]
        things = [Thing("AGGREGATION", each) for each in own]
        things += [
            Thing("COMPOUND", each.id) for each in self.catalog.compounds if any(name in each.formula for name in own)
        ]
        return [*things, Thing("COUNTER", f"seats_{product}")]

    def pricings(self, owner: tuple[str, str], thing: Thing) -> list[Pricing]:
        """For each of some segments, pricings one after the other."""
        fields = self.catalog.aggregation(thing.id).segment_fields if thing.kind == "AGGREGATION" else ()
        segments = {tuple(self.chance.choice(("*", "*", *VALUES)) for _ in fields) for _ in range(3)}
        made: list[Pricing] = []
        for segment in sorted(segments):
            for start, end in self.schedule():
                name = f"{owner[1]} {thing.id} {','.join(segment)} {len(made)}"
                made.append(self.pricing((name, owner, thing, start), segment, end))
        return made

    def schedule(self) -> list[tuple[datetime, datetime]]:
        before = self.maker.instants[0] - timedelta(days=200)
        cuts = sorted(self.chance.sample(self.maker.instants, self.chance.choice((0, 1, 1, 2, 3))))
        edges = [before, *cuts, FOREVER]
        return [each for each in pairwise(edges) if self.maker.often(85)]

    def pricing(
        self, named: tuple[str, tuple[str, str], Thing, datetime], segment: tuple[str, ...], end: datetime
    ) -> Pricing:
        is_counter = named[2].kind == "COUNTER"
        is_credit = self.maker.often(self.credits)
        minimum = self.maker.amount() if self.maker.often(15) and not is_credit else None
        switches = CounterTerms(
            in_advance=self.maker.often(60),
            prorate_total=self.maker.often(70),
            prorate_debit=self.maker.often(70),
            prorate_credit=self.maker.often(70),
        )
        bands, is_cumulative = self.bands(), self.maker.often(65)
        accumulates = self.can_accumulate(named[2]) and self.maker.often(20)
        modes = ["RETROACTIVE", "POSITIONAL"][: 1 if any(each.block for each in bands) else 2]
        return Pricing(
            *named,
            bands,
            is_cumulative,
            end,
            self.maker.often(10),
            segment,
            "*" in segment and self.maker.often(40),
            minimum,
            self.maker.often(50) if minimum is not None and self.maker.often(50) else None,
            maximum=self.maker.amount() + (minimum or 0) if self.maker.often(10) and not is_credit else None,
            apply_as=self.chance.choice(("PRODUCT_CREDIT", "GLOBAL_CREDIT")) if is_credit else "DEBIT",
            counter=switches if is_counter else CounterTerms(),
            accumulate=accumulates,
            accumulation_mode=self.chance.choice(modes) if accumulates and not is_cumulative else "",
        )

    def can_accumulate(self, thing: Thing) -> bool:
        if thing.kind == "COMPOUND":
            formula = self.catalog.compound(thing.id).formula
            return all(each.method in ("SUM", "COUNT") for each in self.catalog.aggregations if each.id in formula)
        is_single = thing.kind == "AGGREGATION"
        return is_single and self.catalog.aggregation(thing.id).method in ("SUM", "COUNT", "MAX", "UNIQUE")

    def bands(self) -> tuple[Band, ...]:
        limits = sorted(
            self.chance.sample(("1", "2.5", "4", "10", "50"), self.chance.choice((0, 0, 1, 2))), key=Fraction
        )
        return tuple(self.band(lower) for lower in ("0", *limits))

    def band(self, lower: str) -> Band:
        unit = self.chance.choice(("0", "0.005", "0.335", "1", "1", "2", "3.1", "0.1234567890123456789"[:18], "-0.5"))
        fixed = self.chance.choice(("5", "12", "0.125", "-1")) if self.maker.often(25) else "0"
        block = Fraction(self.chance.choice(("2", "2.5", "10"))) if self.maker.often(15) else None
        return Band(Fraction(lower), Fraction(unit), Fraction(fixed), block)
