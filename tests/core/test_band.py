"""Bands against published and reckoned cases, a second naive implementation, and laws (R1.1 to R1.5, R13)."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core import money
from ratel.core.band import Band, Bands, BandUsage, PricingType, check_pricing_type, pricing_type
from ratel.core.errors import Invalid
from tests.core.table import rows

LAW = settings(max_examples=40, deadline=None)


def band_from_text(text: str) -> Band:
    """Read ``lower:unit``, ``lower:fixed+unit``, either with ``/block_size``."""
    lower, price = text.split(":")
    price, _, block = price.partition("/")
    fixed, _, unit = price.rpartition("+")
    return Band(Decimal(lower), Decimal(unit), Decimal(fixed or 0), Decimal(block) if block else None)


def bands_from_text(text: str) -> tuple[Band, ...]:
    return tuple(band_from_text(part) for part in text.split())


# --- Cases ------------------------------------------------------------------------------------------------------------

CUMULATIVE = """
    bands                           | units  | amount | arithmetic
    0:0.15 500:0.10                 | 700    | 95.00  | case 1: 500x.15 + 200x.10
    0:0.15 500:0.10                 | 500    | 75.00  | case 2: the edge belongs below
    0:0.15 500:0.10                 | 501    | 75.10  | case 3: 75 + 1x.10
    0:10+1 100:20+0.8 500:30+0.5    | 100    | 110.00 | case 10: 10+100
    0:10+1 100:20+0.8 500:30+0.5    | 101    | 130.80 | case 10: 110 + 20+.8
    0:10+1 100:20+0.8 500:30+0.5    | 600    | 530.00 | case 10: 110 + (20+320) + (30+50)
    0:0.50                          | 120    | 60.00  | case 12, the files: 120x.50
    0:0 100:0.05                    | 250    | 7.50   | case 13: 150x.05
    0:0.25                          | 97.8   | 24.45  | case 14, NONE
    0:0.25                          | 98     | 24.50  | case 14, UP and NEAREST
    0:0.25                          | 97     | 24.25  | case 14, DOWN
    0:0.25                          | 1      | 0.25   | case 16
    0:-0.02                         | 1000   | -20.00 | case 17: a negative price
    0:0 500:5/1000                  | 2600   | 15.00  | case 18: ceil(2100/1000) = 3
    0:25+0 100:20+0 1000:15+0       | 200    | 45     | case 19: 25+20
    0:25+0 100:20+0 1000:15+0       | 100    | 25     | case 19: the edge belongs below
    0:25+0 100:20+0 1000:15+0       | 1000   | 45     | case 19
    0:25+0 100:20+0 1000:15+0       | 1001   | 60     | case 19: 25+20+15
    0:5/1000                        | 1000   | 5      | R1.3: one whole block
    0:5/1000                        | 1000.1 | 10     | R1.3: the second is begun
    0:5/1000 1500:4/1000            | 1600   | 14     | R1.3: blocks by band: 2x5 + 1x4
    0:1+5/1000                      | 0      | 0      | R1.4: zero units enter no band
    0:10+1 100:0.5                  | -7     | -7     | R1.5: the first unit price, no fixed price
    0:5/1000                        | -2500  | -10    | R1.5: two whole blocks given back
    0:5/1000                        | -999   | 0      | R1.5: no whole block
    0:0.1 0.3:0.2                   | 0.4    | 0.05   | R1.1: 0.3x.1 + 0.1x.2, no binary fractions
"""

REACHED = """
    bands                           | units  | amount | arithmetic
    0:0.15 500:0.10                 | 500    | 75.00  | case 4: the first band
    0:0.15 500:0.10                 | 501    | 50.10  | case 5: 501x.10
    0:12+0 4:25+0 6:50+0            | 4.0    | 12.00  | case 6: up to 4
    0:12+0 4:25+0 6:50+0            | 4.0001 | 25.00  | case 7: above 4
    0:12+0 4:25+0 6:50+0            | 6      | 25.00  | case 8
    0:12+0 4:25+0 6:50+0            | 6.1    | 50.00  | case 8
    0:12+0 4:25+0 6:50+0            | 0      | 0.00   | case 9
    0:10+1 100:20+0.8 500:30+0.5    | 101    | 100.80 | case 11: 20+80.8
    0:10+1 100:20+0.8 500:30+0.5    | 600    | 330.00 | case 11: 30+300
    0:1 100:0.5                     | 99.5   | 99.50  | case 20: no hole between bands
    0:1 100:0.5                     | 100.5  | 50.25  | case 20
    0:0 500:5/1000                  | 2600   | 15.00  | R1.3: all in blocks of the band reached, ceil(2600/1000) = 3
    0:10+1 100:20+0.8               | -7     | -7     | R1.5
"""

CHARGE_ZERO = """
    bands                           | units  | amount | arithmetic
    0:12+0 4:25+0 6:50+0            | 0      | 12.00  | case 9 with charge_zero
    0:2000/2000                     | 0      | 2000   | case 94: the first block is owned from the start
    0:2000/2000                     | 1      | 2000   | it is the same block
    0:7+5/1000                      | 0      | 12     | fixed price and first block
    0:0.15 500:0.10                 | 0      | 0      | no fixed price, no units
    0:7+5/1000                      | -1     | 0      | R1.5: negative units are charged no fixed price
"""


@pytest.mark.parametrize(("bands", "units", "amount", "arithmetic"), rows(CUMULATIVE))
def test_each_unit_at_its_own_band(bands: str, units: str, amount: str, arithmetic: str) -> None:
    assert Bands(True, bands_from_text(bands)).price(Decimal(units)).amount == Decimal(amount)  # noqa: FBT003


@pytest.mark.parametrize(("bands", "units", "amount", "arithmetic"), rows(REACHED))
def test_all_units_at_the_band_reached(bands: str, units: str, amount: str, arithmetic: str) -> None:
    charge = Bands(cumulative=False, bands=bands_from_text(bands)).price(Decimal(units))
    assert charge.amount == Decimal(amount)


@pytest.mark.parametrize("cumulative", [True, False])
@pytest.mark.parametrize(("bands", "units", "amount", "arithmetic"), rows(CHARGE_ZERO))
def test_zero_units_enter_the_first_band_if_asked(
    bands: str, units: str, amount: str, arithmetic: str, cumulative: bool
) -> None:
    priced = Bands(cumulative, bands_from_text(bands), charge_zero=True)
    assert priced.price(Decimal(units)).amount == Decimal(amount)


def test_bill_of_case_12() -> None:
    """95 calls + 60 files + 12 for a mean of 4.0 s + standing charge 20 = 187."""
    calls = Bands(cumulative=True, bands=bands_from_text("0:0.15 500:0.10"))
    files = Bands(cumulative=True, bands=bands_from_text("0:0.50"))
    seconds = Bands(cumulative=False, bands=bands_from_text("0:12+0 4:25+0 6:50+0"))
    priced = [calls.amount(Decimal(700)), files.amount(Decimal(120)), seconds.amount(Decimal("4.0")), Decimal(20)]
    assert sum(money.round_amount(amount, "USD") for amount in priced) == Decimal("187.00")


def test_workings_show_each_band_entered() -> None:
    charge = Bands(cumulative=True, bands=bands_from_text("0:0 500:1+5/1000 9000:9")).price(Decimal(2600))
    assert charge.band_usages == (
        BandUsage(Decimal(0), Decimal(500), Decimal(500), None, Decimal(0), Decimal(0), Decimal(0)),
        BandUsage(Decimal(500), Decimal(9000), Decimal(2100), Decimal(3), Decimal(5), Decimal(1), Decimal(16)),
    )


def test_workings_show_the_band_reached() -> None:
    charge = Bands(cumulative=False, bands=bands_from_text("0:1 100:20+0.8")).price(Decimal(101))
    assert charge.band_usages == (
        BandUsage(Decimal(100), None, Decimal(101), None, Decimal("0.8"), Decimal(20), Decimal("100.8")),
    )


def test_band_reached() -> None:
    bands = Bands(cumulative=False, bands=bands_from_text("0:1 100:2 200:3"))
    reached = [bands.reached(Decimal(units)) for units in ("-1", "0", "0.1", "100", "100.1", "1E+30")]
    assert reached == [bands.bands[0], None, bands.bands[0], bands.bands[0], bands.bands[1], bands.bands[2]]


# --- Wrong bands ------------------------------------------------------------------------------------------------------

WRONG = """
    bands                | mistakes
    5:1                  | 0 lower_limit BAND_START
    -1:1                 | 0 lower_limit BAND_START
    0:1 100:2 100:3      | 2 lower_limit BAND_ORDER
    0:1 100:2 50:3 60:4  | 2 lower_limit BAND_ORDER
    0:1/0 10:1/-5        | 0 block_size BLOCK_SIZE, 1 block_size BLOCK_SIZE
    1:1 0:2/0            | 0 lower_limit BAND_START, 1 lower_limit BAND_ORDER, 1 block_size BLOCK_SIZE
"""


@pytest.mark.parametrize(("bands", "mistakes"), rows(WRONG))
def test_wrong_bands_are_refused_with_every_mistake(bands: str, mistakes: str) -> None:
    expected = [mistake.split() for mistake in mistakes.split(",")]
    with pytest.raises(Invalid) as caught:
        Bands(cumulative=True, bands=bands_from_text(bands))
    assert [(found.field, found.reason) for found in caught.value.violations] == [
        (f"bands[{index}].{name}", reason) for index, name, reason in expected
    ]


@pytest.mark.parametrize("count", [0, 101])
def test_number_of_bands_is_limited(count: int) -> None:
    with pytest.raises(Invalid) as caught:
        Bands(cumulative=True, bands=tuple(Band(Decimal(limit), Decimal(1)) for limit in range(count)))
    assert [(found.field, found.reason) for found in caught.value.violations] == [("bands", "BAND_COUNT")]


# --- Names (R1.2) -----------------------------------------------------------------------------------------------------

NAMES = """
    bands                        | cumulative | name
    0:1                          | True       | PER_UNIT
    0:0 100:0.05                 | True       | TIERED
    0:0.15 500:0.10              | True       | TIERED
    0:0.15 500:0.10              | False      | VOLUME
    0:1                          | False      | VOLUME
    0:12+0 4:25+0                | False      | STAIRSTEP
    0:12+0 4:25+0                | True       | STAIRSTEP_ADDITIVE
    0:10+1 100:20+0.8            | True       | CUSTOM_TIERED
    0:10+1 100:20+0.8            | False      | CUSTOM_VOLUME
    0:0 500:5/1000               | True       | PACKAGE
    0:5/1000                     | False      | PACKAGE
    0:1 500:5/1000               | True       | CUSTOM_TIERED
    0:7+5/1000                   | False      | CUSTOM_VOLUME
"""


@pytest.mark.parametrize(("bands", "cumulative", "name"), rows(NAMES))
def test_name_is_derived_and_accepted(bands: str, cumulative: str, name: str) -> None:
    priced = Bands(cumulative == "True", bands_from_text(bands))
    assert pricing_type(priced) is PricingType(name)
    assert check_pricing_type(PricingType(name), priced.bands, priced.cumulative) is priced.cumulative
    if name != "PACKAGE":
        assert check_pricing_type(PricingType(name), priced.bands) is priced.cumulative


MISNAMED = """
    name               | cumulative | bands          | mistakes
    PER_UNIT           | None       | 0:1 5:2        | bands
    TIERED             | False      | 0:1 5:2        | cumulative
    VOLUME             | True       | 0:1 5:2        | cumulative
    TIERED             | None       | 0:1 5:3+2      | bands[1].fixed_price
    VOLUME             | None       | 0:1/10 5:2     | bands[0].block_size
    STAIRSTEP          | None       | 0:12+1 5:2+0/3 | bands[0].unit_price, bands[1].block_size
    STAIRSTEP_ADDITIVE | False      | 0:12+1         | cumulative, bands[0].unit_price
    CUSTOM_VOLUME      | True       | 0:12+1         | cumulative
    PACKAGE            | None       | 0:5/10         | cumulative
    PACKAGE            | True       | 0:1 5:1+5/10   | bands[0].block_size, bands[1].fixed_price
    PACKAGE            | True       | 0:0            | bands
"""


@pytest.mark.parametrize(("name", "cumulative", "bands", "mistakes"), rows(MISNAMED))
def test_prices_that_the_name_does_not_know_are_refused(name: str, cumulative: str, bands: str, mistakes: str) -> None:
    given_cumulative = {"None": None, "True": True, "False": False}[cumulative]
    with pytest.raises(Invalid) as caught:
        check_pricing_type(PricingType(name), bands_from_text(bands), given_cumulative)
    assert ", ".join(found.field for found in caught.value.violations) == mistakes


# --- Laws (R13) -------------------------------------------------------------------------------------------------------


def naive_amount(bands: Bands, units: Fraction) -> Fraction:
    """Price again, by walking the bands with fractions: the rules read aloud, nothing precompiled."""
    if units < 0:
        return charge_of(bands.bands[0], units) - Fraction(bands.bands[0].fixed_price)
    entered = [band for band in bands.bands if units > band.lower_limit or (bands.charge_zero and not band.lower_limit)]
    if not entered:
        return Fraction(0)
    if not bands.cumulative:
        return charge_of(entered[-1], units)
    total = Fraction(0)
    for band, above in pairwise([*entered, None]):
        assert band is not None
        until = Fraction(above.lower_limit) if above else units
        total += charge_of(band, until - Fraction(band.lower_limit))
    return total


def charge_of(band: Band, units: Fraction) -> Fraction:
    if band.block_size is None:
        return Fraction(band.fixed_price) + units * Fraction(band.unit_price)
    blocks = ceil(units / Fraction(band.block_size)) if units else 1
    return Fraction(band.fixed_price) + blocks * Fraction(band.unit_price)


def decimals(low: int, high: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(low * 10**places, high * 10**places).map(lambda digits: Decimal(digits).scaleb(-places))


prices = decimals(-50, 50, 4)
costs = decimals(0, 50, 4)
quantities = decimals(0, 2_000, 3)
blocks = st.none() | decimals(1, 300, 1)


@st.composite
def bands_of(
    draw: st.DrawFn, price: st.SearchStrategy[Decimal], block: st.SearchStrategy[Decimal | None] = blocks
) -> tuple[Band, ...]:
    """Make up to five bands; limits are often whole, so that units often fall on them."""
    above = draw(st.lists(decimals(1, 1_000, 0) | decimals(1, 1_000, 3), max_size=4, unique=True))
    limits = [Decimal(0), *sorted(above)]
    return tuple(Band(limit, draw(price), draw(price), draw(block)) for limit in limits)


@LAW
@given(st.booleans(), bands_of(prices), st.booleans(), quantities | decimals(-2_000, 0, 3), st.data())
def test_a_second_implementation_agrees(
    cumulative: bool, bands: tuple[Band, ...], charge_zero: bool, units: Decimal, data: st.DataObject
) -> None:
    priced = Bands(cumulative, bands, charge_zero)
    on_a_limit = data.draw(st.sampled_from(bands)).lower_limit
    for tried in (units, on_a_limit):
        charge = priced.price(tried)
        assert Fraction(charge.amount) == naive_amount(priced, Fraction(tried))
        assert charge.amount == priced.amount(tried)


@LAW
@given(st.booleans(), bands_of(prices), st.booleans(), quantities | decimals(-2_000, 0, 3))
def test_workings_add_up_to_the_units_and_the_amount(
    cumulative: bool, bands: tuple[Band, ...], charge_zero: bool, units: Decimal
) -> None:
    charge = Bands(cumulative, bands, charge_zero).price(units)
    assert sum(usage.units for usage in charge.band_usages) == units
    assert sum(usage.amount for usage in charge.band_usages) == charge.amount
    for usage in charge.band_usages:
        count = usage.units if usage.block_count is None else usage.block_count
        assert usage.amount == usage.fixed_price + usage.unit_price * count


@LAW
@given(bands_of(costs), quantities, quantities)
def test_more_units_never_cost_less(bands: tuple[Band, ...], units: Decimal, more: Decimal) -> None:
    priced = Bands(cumulative=True, bands=bands)
    assert priced.amount(units) <= priced.amount(units + more)


@LAW
@given(bands_of(prices, st.none()), prices, quantities)
def test_one_price_in_every_band_is_per_unit(bands: Sequence[Band], price: Decimal, units: Decimal) -> None:
    for cumulative in (True, False):
        same = tuple(Band(band.lower_limit, price) for band in bands)
        assert Bands(cumulative, same).amount(units) == price * units


@LAW
@given(st.booleans(), bands_of(prices, st.none()), quantities, quantities)
def test_a_limit_where_no_price_changes_changes_nothing(
    cumulative: bool, bands: tuple[Band, ...], units: Decimal, limit: Decimal
) -> None:
    below = [band for band in bands if band.lower_limit < limit]
    above = [band for band in bands if band.lower_limit > limit]
    if not below or len(below) + len(above) < len(bands):
        return  # the limit is there already
    fixed_price = money.ZERO if cumulative else below[-1].fixed_price
    cut = Band(limit, below[-1].unit_price, fixed_price)
    assert Bands(cumulative, (*below, cut, *above)).amount(units) == Bands(cumulative, bands).amount(units)


# A quotient is cut off after so many places.
CUT = Fraction(1, 10**20)


@settings(LAW, max_examples=150)
@given(st.booleans(), bands_of(prices) | bands_of(costs), st.data())
def test_a_budget_pays_for_the_most_units_that_it_can(
    cumulative: bool, bands: tuple[Band, ...], data: st.DataObject
) -> None:
    """R7.4: the largest q, at most so much, with F(q) within the budget."""
    priced, most = Bands(cumulative, bands), data.draw(quantities.filter(bool) | st.just(bands[-1].lower_limit + 1))
    tried = [*data.draw(st.lists(quantities, max_size=20)), most, *(band.lower_limit for band in bands)]
    prices_of_tried = st.sampled_from(tried).map(priced.amount)
    budget = data.draw(costs | decimals(0, 20_000, 2) | prices_of_tried.filter(lambda amount: amount >= 0))
    units, amount = priced.within(budget, most)
    assert (0 <= units <= most, amount <= budget) == (True, True)
    assert abs(naive_amount(priced, Fraction(units)) - Fraction(amount)) < CUT
    assert [each for each in tried if units < each <= most and priced.amount(each) <= budget] == []


@LAW
@given(st.booleans(), bands_of(prices | st.just(Decimal(0))))
def test_every_shape_has_a_name_that_reads_back(cumulative: bool, bands: tuple[Band, ...]) -> None:
    priced = Bands(cumulative, bands)
    name = pricing_type(priced)
    assert check_pricing_type(name, bands, None if name != "PACKAGE" else cumulative) is cumulative
