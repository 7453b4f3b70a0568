"""Short ways to say a small catalog and an account in a test of the naive engine."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from tests.naive.account import Account, Adjustment, Answer, Attachment, Event
from tests.naive.catalog import (
    FOREVER,
    Aggregation,
    Band,
    Catalog,
    Field,
    Meter,
    Plan,
    Pricing,
    Settings,
    Template,
    Terms,
    Thing,
)
from tests.naive.rate import rate_account

NOTHING = Terms()
T = "0:0.15 500:0.10"
FIELDS = (Field("amount"), Field("region", "STRING"), Field("type", "STRING"))
METERS = (Meter("m", "product", FIELDS), Meter("n", "product", FIELDS))


def number(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def at(text: str) -> datetime:
    """Read an instant of 2024 (``06-16``, ``06-16T10:00``) or of another year (``2023-06-16``); UTC."""
    has_year = text[4] == "-"
    return datetime.fromisoformat(text if has_year else f"2024-{text}").replace(tzinfo=UTC)


def day(text: str) -> date:
    return at(text).date()


def bands(text: str) -> tuple[Band, ...]:
    """Read ``lower:unit``, ``lower:fixed+unit``, either with ``/block``."""
    found = []
    for part in text.split():
        lower, _, price = part.partition(":")
        price, _, block = price.partition("/")
        fixed, _, unit = price.rpartition("+")
        found.append(Band(number(lower), number(unit), number(fixed or "0"), number(block) if block else None))
    return tuple(found)


def thing(name: str) -> Thing:
    """Read ``name``, ``compound/name`` or ``counter/name``."""
    kind, _, of = name.rpartition("/")
    return Thing(kind.upper() or "AGGREGATION", of)


def pricing(of: str, prices: str, stay: str = "01-01 ", **more: object) -> Pricing:
    """One of the plan; its id is what it prices, with its segment and start; the stay is ``start`` and ``end``."""
    start, _, end = stay.partition(" ")
    made = Pricing("", ("PLAN", "plan"), thing(of), at(start), bands(prices), end=at(end) if end else FOREVER)
    made = replace(made, **more)  # type: ignore[arg-type]
    return replace(made, id=" ".join([made.owner[0][0], of, *made.segment, start]))


def total(name: str, **more: object) -> Aggregation:
    """A SUM of the first meter's measure, unless something else is said."""
    return replace(Aggregation(name, "m", "SUM", "amount"), **more)  # type: ignore[arg-type]


def scene(*pricings: Pricing, terms: Terms = NOTHING, **more: object) -> Catalog:
    """Two meters, one monthly plan, and a SUM for everything that a pricing names."""
    named = {each.thing.id for each in pricings if each.thing.kind == "AGGREGATION"}
    made = Catalog(
        Settings(),
        METERS,
        tuple(total(name) for name in sorted(named)),
        templates=(Template("template", "product"),),
        plans=(Plan("plan", "template", terms),),
        pricings=pricings,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def used(text: str, meter: str = "m", **values: str) -> tuple[Event, ...]:
    """Read ``06-03:400 06-20:5``: an event each; further values are texts."""
    found = []
    for index, part in enumerate(text.split()):
        time, _, amount = part.rpartition(":")
        measure = {"amount": number(amount)} if amount else {}
        names = ",".join([meter, *values.values()])
        found.append(Event(f"{names} {index} {time}", meter, at(time), {**measure, **values}))
    return tuple(found)


def account(*events: tuple[Event, ...], stay: str = "01-01 ", levels: str = "", **more: object) -> Account:
    """One on the plan for the stay; levels are ``seats:06-01:15``."""
    start, _, end = stay.partition(" ")
    attachment = Attachment("attachment", "plan", at(start), at(end) if end else FOREVER)
    set_to = [each.split(":") for each in levels.split()]
    adjustments = tuple(Adjustment(counter, day(on), number(level)) for counter, on, level in set_to)
    made = Account("account", (attachment,), adjustments, tuple(event for group in events for event in group))
    return replace(made, **more)  # type: ignore[arg-type]


def june(catalog: Catalog, of: Account) -> Answer:
    return rate_account(catalog, of, at("06-01"), at("07-01"))


def shown(answer: Answer, *kinds: str) -> str:
    """The amounts of all line items, or of those kinds, in their order."""
    return " ".join(dollars(item.amount) for item in answer.items if not kinds or item.kind in kinds)


def dollars(amount: Fraction) -> str:
    cents = amount * 100
    assert cents.denominator == 1, f"{amount} was not rounded"
    return str(Decimal(int(cents)).scaleb(-2))
