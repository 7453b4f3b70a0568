"""What a promotion can be, what it must fit, and in which order promotions act (R9.1, R9.2)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ratel.core.errors import Invalid
from ratel.core.period import Period
from ratel.core.pricing import ApplyAs
from ratel.core.promotion import (
    FixedAmount,
    Graduated,
    Grant,
    GrantedPromotion,
    Percentage,
    Promotion,
    PromotionPlace,
    SpendBand,
    Worth,
    fit_promotion,
    in_order,
)
from tests.story import read_story

TENTH = Promotion("tenth", "A tenth", Percentage(Decimal(10)), plan_id="plan")


def bands(*pairs: tuple[str, str]) -> Graduated:
    return Graduated(tuple(SpendBand(Decimal(limit), Decimal(percentage)) for limit, percentage in pairs))


def violations(make: Callable[[], object]) -> set[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        make()
    return {(each.field, each.reason) for each in caught.value.violations}


@pytest.mark.parametrize(
    ("worth", "expected"),
    [
        (Percentage(Decimal(0)), ("percentage", "PERCENTAGE_RANGE")),
        (Percentage(Decimal("100.01")), ("percentage", "PERCENTAGE_RANGE")),
        (FixedAmount(Decimal(0)), ("fixed_amount", "AMOUNT_NOT_POSITIVE")),
        (bands(("0", "-0.01")), ("graduated.bands[0].percentage", "PERCENTAGE_RANGE")),
        (bands(("0", "0"), ("1", "100.01")), ("graduated.bands[1].percentage", "PERCENTAGE_RANGE")),
    ],
)
def test_what_takes_off_nothing_or_too_much_is_refused(worth: Worth, expected: tuple[str, str]) -> None:
    assert violations(lambda: replace(TENTH, worth=worth)) == {expected}


def test_the_ends_of_the_ranges_are_inside() -> None:
    for worth in (Percentage(Decimal(100)), Percentage(Decimal("0.01")), bands(("0", "0"), ("0.01", "100"))):
        assert replace(TENTH, worth=worth).worth == worth


def test_bands_begin_at_zero_and_rise() -> None:
    assert violations(lambda: Graduated(())) == {("bands", "BAND_START")}
    assert violations(lambda: bands(("1", "5"))) == {("bands", "BAND_START")}
    order = ("bands[1].lower_limit", "BAND_ORDER")
    assert violations(lambda: bands(("0", "5"), ("0", "6"))) == {order}
    assert violations(lambda: bands(("0", "5"), ("2", "6"), ("1", "7"))) == {("bands[2].lower_limit", "BAND_ORDER")}


def test_limits_that_have_no_effect_are_refused() -> None:
    one, two = Decimal(1), Decimal(2)
    without_effect = {("max_per_period", "LIMIT_WITHOUT_EFFECT")}
    assert violations(lambda: replace(TENTH, max_per_period=two, max_total=one)) == without_effect
    assert violations(lambda: replace(TENTH, worth=FixedAmount(two), max_per_period=one)) == without_effect
    assert replace(TENTH, max_per_period=one, max_total=one).max_total == one
    zero = Decimal(0)
    assert violations(lambda: replace(TENTH, max_per_period=zero)) == {("max_per_period", "AMOUNT_NOT_POSITIVE")}
    assert violations(lambda: replace(TENTH, max_total=zero)) == {("max_total", "AMOUNT_NOT_POSITIVE")}
    assert violations(lambda: replace(TENTH, segment=(("region", "eu"),))) == {("segment", "SEGMENT_UNEXPECTED")}


PRICINGS = """
    aggregation calls SUM calls by=region,tier
    aggregation all SUM calls
    price calls 0:1 id=some segment=eu,*
    price calls 0:1 id=pooled segment=us,* pool
    price calls 0:1 id=one segment=ap,hot
    price all 0:1 id=all
    price all 0:1 id=credit as=PRODUCT_CREDIT on=template
"""


def fitted(pricing_id: str, **segment: str) -> Promotion:
    pricing = next(each for each in read_story(PRICINGS).pricings if each.id == pricing_id)
    promotion = Promotion("p", "P", Percentage(Decimal(10)), pricing_id=pricing_id, segment=tuple(segment.items()))
    return fit_promotion(promotion, PromotionPlace("USD", pricing))


def test_a_segment_is_one_combination_of_a_wildcard_in_the_order_of_the_pricing() -> None:
    assert fitted("some", tier="hot", region="eu").segment == (("region", "eu"), ("tier", "hot"))
    assert fitted("all").segment == ()
    for pricing_id, segment, reason in (
        ("some", {"region": "us", "tier": "hot"}, "SEGMENT_OUTSIDE"),
        ("some", {"region": "eu"}, "SEGMENT_FIELDS"),
        ("all", {"region": "eu"}, "SEGMENT_FIELDS"),
        ("pooled", {"region": "us", "tier": "hot"}, "SEGMENT_UNEXPECTED"),
        ("one", {"region": "ap", "tier": "hot"}, "SEGMENT_UNEXPECTED"),
    ):
        assert violations(lambda: fitted(pricing_id, **segment)) == {("segment", reason)}  # noqa: B023
    pricing = next(each for each in read_story(PRICINGS).pricings if each.apply_as is not ApplyAs.DEBIT)
    assert violations(lambda: fitted(pricing.id)) == {("pricing_id", "PRICING_IS_CREDIT")}


def test_amounts_are_in_the_currency_of_what_it_acts_on() -> None:
    place = PromotionPlace("JPY")
    given = replace(TENTH, worth=FixedAmount(Decimal("5.0")), max_total=Decimal("7.00"))
    found = fit_promotion(given, place)
    assert (found.currency, found.worth, str(found.max_total)) == ("JPY", FixedAmount(Decimal(5)), "7")
    wrong = replace(
        TENTH, worth=bands(("0.0", "5"), ("1.5", "6")), max_per_period=Decimal("0.5"), max_total=Decimal("1.5")
    )
    assert violations(lambda: fit_promotion(wrong, place)) == {
        ("graduated.bands[1].lower_limit", "AMOUNT_DIGITS"),
        ("max_per_period", "AMOUNT_DIGITS"),
        ("max_total", "AMOUNT_DIGITS"),
    }
    fixed = replace(TENTH, worth=FixedAmount(Decimal("0.5")))
    assert violations(lambda: fit_promotion(fixed, place)) == {("fixed_amount", "AMOUNT_DIGITS")}
    other = replace(TENTH, currency="USD")
    assert violations(lambda: fit_promotion(other, place)) == {("currency", "CURRENCY_DIFFERENT")}
    assert fit_promotion(other, PromotionPlace("USD")) == other


def test_the_order_in_which_they_act() -> None:
    """R9.2: of pricings before of plans, then priority, kind, time, id."""
    first = datetime(2024, 6, 1, tzinfo=UTC)

    def granted(name: str, *, hours: int = 0, priority: int = 0, **changed: object) -> GrantedPromotion:
        grant = Grant(name, "account", "tenth", Period(first + timedelta(hours=hours)), priority)
        return GrantedPromotion(grant, replace(TENTH, **changed))  # type: ignore[arg-type]  # as a test spells it

    expected = [
        granted("z", priority=9, worth=FixedAmount(Decimal(1)), plan_id="", pricing_id="p"),
        granted("y", priority=-1, worth=FixedAmount(Decimal(1))),
        granted("x"),
        granted("a", hours=1),
        granted("b", hours=1),
        granted("w", worth=bands(("0", "5"))),
        granted("v", worth=FixedAmount(Decimal(1))),
        granted("u", priority=1),
    ]
    assert in_order(expected[::-1]) == expected


def test_what_depends_on_what_was_taken_off_before() -> None:
    assert not TENTH.is_counted_by_period
    assert replace(TENTH, max_per_period=Decimal(1)).is_counted_by_period
    assert replace(TENTH, worth=FixedAmount(Decimal(1))).is_counted_by_period
    assert replace(TENTH, worth=bands(("0", "5"))).is_counted_by_period
