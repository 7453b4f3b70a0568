"""The published and reckoned cases of RateAccount, by the naive engine (R2, R3, R4, R6, R8, R12.1)."""

from dataclasses import replace
from datetime import date

import pytest

from tests.core.table import rows
from tests.naive.account import Attachment
from tests.naive.catalog import Catalog, Compound, CounterTerms, Plan, Settings, Terms
from tests.naive.grid import Grid
from tests.naive.rate import rate_account
from tests.naive.scene import T, account, at, june, number, pricing, scene, shown, total, used

# --- Windows ----------------------------------------------------------------------------------------------------------


def test_case_21_a_price_change_makes_two_line_items() -> None:
    catalog = scene(pricing("calls", "0:0.10", "01-01 06-16"), pricing("calls", "0:0.12", "06-16 "))
    assert shown(june(catalog, account(used("06-03:100 06-20:200")))) == "10.00 24.00"


def test_case_22_bands_restart_in_each_window() -> None:
    catalog = scene(pricing("calls", T, "01-01 06-16"), pricing("calls", T, "06-16 "))
    assert shown(june(catalog, account(used("06-03:400 06-20:400")))) == "60.00 60.00"


def test_case_23_a_maximum_is_taken_of_each_window() -> None:
    prices = pricing("seats", "0:1", "01-01 06-16"), pricing("seats", "0:2", "06-16 ")
    catalog = scene(*prices, aggregations=(total("seats", method="MAX"),))
    assert shown(june(catalog, account(used("06-02:8 06-10:3 06-20:10 06-21:4")))) == "8.00 20.00"


def test_case_71_an_override_makes_three_windows() -> None:
    given = replace(pricing("calls", "0:1"), owner=("TEMPLATE", "template"), id="given")
    catalog = scene(given, pricing("calls", "0:2", "06-10 06-20"))
    assert shown(june(catalog, account(used("06-05:10 06-15:10 06-25:10")))) == "10.00 20.00 10.00"


def test_case_74_the_start_counts_and_the_end_does_not() -> None:
    catalog = scene(pricing("calls", "0:1"))
    assert shown(june(catalog, account(used("06-01:7 07-01:5")))) == "7.00"


def test_case_78_an_event_counts_once() -> None:
    events = used("06-05:10 06-06:1")
    assert shown(june(scene(pricing("calls", "0:1")), account(events, events[:1], events))) == "11.00"


def test_case_79_of_two_events_at_an_instant_the_greater_id_is_the_latest() -> None:
    catalog = scene(pricing("level", "0:1"), aggregations=(total("level", method="LATEST"),))
    a, b = used("06-05:10 06-05:20")
    for events in ((replace(a, id="a"), replace(b, id="b")), (replace(b, id="b"), replace(a, id="a"))):
        assert shown(june(catalog, account(events))) == "20.00"


def test_case_80_another_price_cuts_nothing() -> None:
    storage = pricing("storage", "0:1", "01-01 06-16"), pricing("storage", "0:2", "06-16 ")
    aggregations = total("calls"), total("storage", meter="n")
    catalog = scene(pricing("calls", T), *storage, aggregations=aggregations)
    assert shown(june(catalog, account(used("06-03:400 06-20:400")))) == "105.00"


def test_r12_1_the_parts_of_a_window_add_up() -> None:
    catalog, of = scene(pricing("calls", "0:0.20 300:0.12")), account(used("06-03:200 06-20:250"))
    assert shown(rate_account(catalog, of, at("06-01"), at("06-16"))) == "40.00"
    assert shown(rate_account(catalog, of, at("06-16"), at("07-01"))) == "38.00"


def test_r3_5_usage_that_nothing_prices_is_named() -> None:
    catalog = scene(pricing("calls", "0:1", "01-01 06-10"), pricing("calls", "0:1", "06-20 "))
    answer = june(catalog, account(used("06-05:3 06-15:4"), stay="01-01 06-25"))
    assert [f"{each.thing.id} {each.quantity}" for each in answer.unpriced] == ["calls 4"]
    answer = june(catalog, account(used("06-05:3 06-26:4 06-27:1"), stay="01-01 06-25"))
    assert answer.unattached == {"m": 2}


# --- Segments and compounds -------------------------------------------------------------------------------------------


def by_region(*prices: tuple[str, ...]) -> Catalog:
    """Price an aggregation by its segments: values, bands and, if it is the pool, ``pool``."""
    fields = ("region", "type")[: len(prices[0][0].split("/"))]
    pricings = [
        pricing("use", bands, segment=tuple(values.split("/")), pool=pool == ["pool"])
        for values, bands, *pool in prices
    ]
    return scene(*pricings, aggregations=(total("use", segment_fields=fields),))


def test_case_53_segments_have_prices_of_their_own() -> None:
    catalog = by_region(("USA", "0:30"), ("EMEA", "0:40"), ("APAC", "0:50"))
    of = account(used("06-02:10", region="USA"), used("06-03:40", region="EMEA"), used("06-04:50", region="APAC"))
    assert june(catalog, of).totals == {"USD": 4400}


def test_case_54_segments_of_two_fields() -> None:
    catalog = by_region(("China/Standard", "0:0.20"), ("UK/Complete", "0:0.80"), ("USA/Extended", "0:0.50"))
    checks = ("10", "China", "Standard"), ("5", "UK", "Complete"), ("4", "USA", "Extended")
    of = account(*(used(f"06-02:{count}", region=region, type=sort) for count, region, sort in checks))
    assert shown(june(catalog, of)) == "2.00 4.00 2.00"


def test_case_72_each_combination_of_a_wildcard_has_its_own_bands() -> None:
    of = account(used("06-02:5", region="eu"), used("06-02:3", region="us"), used("06-02:2", region="ap"))
    assert shown(june(by_region(("eu", "0:1"), ("*", "0:2 4:1")), of)) == "4.00 6.00 5.00"  # ap, us, eu
    assert shown(june(by_region(("eu", "0:1"), ("*", "0:2 4:1", "pool")), of)) == "9.00 5.00"


def test_case_73_a_literal_in_the_earlier_field_wins() -> None:
    of = account(used("06-02:1", region="us", type="x"))
    assert shown(june(by_region(("us/*", "0:1"), ("*/x", "0:2")), of)) == "1.00"


def test_r2_4_a_wildcard_takes_a_missing_value_too() -> None:
    of = account(used("06-02:5"), used("06-02:3", region="us"))
    answer = june(by_region(("*", "0:1")), of)
    assert [(item.segment, str(item.amount)) for item in answer.items] == [(("",), "5"), (("us",), "3")]


def test_r3_5_usage_of_an_unpriced_segment_is_named() -> None:
    of = account(used("06-02:5", region="eu"), used("06-02:3", region="us"))
    answer = june(by_region(("eu", "0:1")), of)
    assert [(each.segment, str(each.quantity)) for each in answer.unpriced] == [(("us",), "3")]


def test_case_55_a_compound_of_two_aggregations() -> None:
    compound = Compound("billed", "requests - apps * 100")
    aggregations = total("requests"), total("apps", meter="n", method="MAX")
    catalog = scene(pricing("compound/billed", "0:0.50"), compounds=(compound,), aggregations=aggregations)
    of = account(used("06-02:1000 06-03:250"), used("06-02:2 06-04:3", meter="n"))
    assert shown(june(catalog, of)) == "475.00"


def test_case_56_operands_enter_raw() -> None:
    aggregations = (total("calls", per_unit=number("10"), rounding="UP"),)
    catalog = scene(pricing("compound/same", "0:1"), compounds=(Compound("same", "calls"),), aggregations=aggregations)
    assert shown(june(catalog, account(used("06-02:100")))) == "100.00"


# --- Days -------------------------------------------------------------------------------------------------------------


def test_case_35_a_standing_charge_is_prorated_by_days() -> None:
    catalog = scene(terms=Terms(standing=number("20")))
    assert shown(rate_account(catalog, account(stay="01-17 "), at("01-01"), at("02-01"))) == "9.68"


def test_case_75_days_are_local_days() -> None:
    catalog = scene(terms=Terms(standing=number("31")), settings=Settings(zone="America/New_York"))
    of = account(stay="03-09T05:00 ")
    assert shown(rate_account(catalog, of, at("03-01T05:00"), at("04-01T04:00"))) == "23.00"


def test_case_76_days_are_dates_not_hours() -> None:
    catalog = scene(terms=Terms(standing=number("31")))
    of = account(stay="01-17T10:00 01-20T09:00")
    assert shown(rate_account(catalog, of, at("01-01"), at("02-01"))) == "3.00"


def test_case_77_months_count_from_the_epoch_and_clamp() -> None:
    grid = Grid("MONTHLY", 1, date(2024, 1, 31), "UTC")
    assert [grid.first_day(number) for number in (1, 2)] == [date(2024, 2, 29), date(2024, 3, 31)]


def test_case_85_a_standing_charge_for_every_two_periods() -> None:
    terms = Terms(standing=number("20"), standing_interval=2, standing_offset=1)
    answer = rate_account(scene(terms=terms), account(), at("01-01"), at("06-01"))
    groups = (at("02-01"), at("04-01")), (at("04-01"), at("06-01"))
    assert [(item.start, item.end) for item in answer.items] == list(groups)
    assert shown(answer) == "20.00 20.00"


# --- Minimums and credits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("usage", "amounts"), [("60", "60.00 40.00"), ("100", "100.00"), ("130", "130.00")])
def test_case_36_a_minimum_is_filled_up(usage: str, amounts: str) -> None:
    catalog = scene(pricing("calls", "0:1", minimum=number("100")))
    assert shown(june(catalog, account(used(f"06-02:{usage}")))) == amounts


def test_case_84_a_minimum_is_prorated_by_days() -> None:
    catalog = scene(pricing("calls", "0:1"), terms=Terms(minimum=number("100")))
    plans = catalog.plans[0], Plan("later", "template", catalog.plans[0].terms)
    given = replace(catalog.pricings[0], owner=("TEMPLATE", "template"))
    catalog = replace(catalog, plans=plans, pricings=(given,))
    stays = Attachment("first", "plan", at("01-01"), at("06-16")), Attachment("second", "later", at("06-16"))
    answer = june(catalog, account(used("06-02:10 06-20:60"), attachments=stays))
    assert shown(answer) == "10.00 40.00 60.00"


CREDITS = """
    case | A  | B  | credit | apply_as       | amounts             | arithmetic
    38   | 40 | 30 | 60     | PRODUCT_CREDIT | 40.00 30.00 -60.00  | two pricings of one product
    38   | 40 |    | 60     | PRODUCT_CREDIT | 40.00 -40.00        | capped at the product
    39   | 40 | 30 | 60     | GLOBAL_CREDIT  | 40.00 30.00 -60.00  | bill 10
    39   | 40 | 30 | 100    | GLOBAL_CREDIT  | 40.00 30.00 -70.00  | capped at the bill
    R6.4 | 40 |    | -20    | GLOBAL_CREDIT  | 40.00 20.00         | a negative charge turned round, no cap
"""


@pytest.mark.parametrize(("case", "a", "b", "credit", "apply_as", "amounts", "arithmetic"), rows(CREDITS))
def test_credits(case: str, a: str, b: str, credit: str, apply_as: str, amounts: str, arithmetic: str) -> None:
    filtered = [total(name, filter=("region", frozenset([name]))) for name in ("a", "b", "c")]
    prices = pricing("a", "0:1"), pricing("b", "0:1"), pricing("c", "0:1", apply_as=apply_as)
    catalog = scene(*prices, aggregations=tuple(filtered))
    events = [
        used(f"06-02:{amount}", region=name) for name, amount in zip("abc", (a, b, credit), strict=True) if amount
    ]
    assert shown(june(catalog, account(*events))) == amounts, f"case {case}: {arithmetic}"


@pytest.mark.parametrize(("apply_as", "amount"), [("DEBIT", "-20.00"), ("PRODUCT_CREDIT", "20.00")])
def test_case_17_a_double_negative(apply_as: str, amount: str) -> None:
    catalog = scene(pricing("calls", "0:-0.02", apply_as=apply_as))
    assert shown(june(catalog, account(used("06-02:1000")))) == amount


# --- Counters ---------------------------------------------------------------------------------------------------------

PLAIN = CounterTerms(prorate_debit=False, prorate_credit=False)
C = "0:2 20:3"

COUNTERS = """
    case | month | levels                            | how      | amounts       | arithmetic
    47   | 06    | seats:06-01:15 seats:06-15:18     | plain    | 30.00 6.00    | 15x2; 3x2
    48   | 06    | seats:06-01:15 seats:06-15:18     | prorated | 30.00 3.20    | 6x16/30
    49   | 07    | seats:06-01:18 seats:07-10:22     | plain    | 36.00 10.00   | F(22)-F(18)
    49   | 07    | seats:06-01:18 seats:07-10:22     | prorated | 36.00 7.10    | 10x22/31
    50   | 07    | seats:06-01:22 seats:07-20:17     | plain    | 46.00 -12.00  | F(17)-F(22)
    50   | 07    | seats:06-01:22 seats:07-20:17     | prorated | 46.00 -4.65   | -12x12/31
"""


@pytest.mark.parametrize(("case", "month", "levels", "how", "amounts", "arithmetic"), rows(COUNTERS))
def test_counters(case: str, month: str, levels: str, how: str, amounts: str, arithmetic: str) -> None:
    catalog = scene(pricing("counter/seats", C, counter=PLAIN if how == "plain" else CounterTerms()))
    until = f"{int(month) + 1:02}"
    answer = rate_account(catalog, account(levels=levels), at(f"{month}-01"), at(f"{until}-01"))
    assert shown(answer) == amounts, f"case {case}: {arithmetic}"


def test_case_52_storage_and_licences() -> None:
    counter = CounterTerms(in_advance=False)
    catalog = scene(pricing("storage", "0:0.5 50:0.4"), pricing("counter/seats", "0:20 10:15", counter=counter))
    of = account(used("07-03:50 07-20:20"), levels="seats:07-01:15", stay="07-01 2025-07-01")
    answer = rate_account(catalog, of, at("07-01"), at("08-01"))
    assert shown(answer) == "33.00 275.00"
    assert answer.totals["USD"] == 308


@pytest.mark.parametrize(("prorated", "amounts"), [(True, "10.00 15.00"), (False, "20.00")])
def test_case_86_a_price_change_of_a_counter(prorated: bool, amounts: str) -> None:
    counter = CounterTerms(prorate_total=prorated)
    prices = [pricing("counter/seats", *each, counter=counter) for each in (("0:2", "01-01 06-16"), ("0:3", "06-16 "))]
    assert shown(june(scene(*prices), account(levels="seats:01-01:10"))) == amounts


def test_case_87_a_rise_is_prorated() -> None:
    catalog = scene(pricing("counter/seats", "0:1"))
    assert shown(june(catalog, account(levels="seats:01-01:10 seats:06-16:20"))) == "10.00 5.00"


# --- Levels over time -------------------------------------------------------------------------------------------------


def test_r2_7_a_weighted_sum_is_the_mean_level_of_the_window() -> None:
    catalog = scene(pricing("disk", "0:1"), aggregations=(total("disk", method="WEIGHTED_SUM"),))
    assert shown(june(catalog, account(used("05-01:10 06-16:10")))) == "15.00"
    assert shown(june(catalog, account(used("05-01:10 05-20:-10")))) == "0.00"
    assert shown(june(catalog, account())) == ""


def test_r2_7_the_parts_of_a_window_add_up() -> None:
    catalog = scene(pricing("disk", "0:1"), aggregations=(total("disk", method="WEIGHTED_SUM"),))
    of = account(used("05-01:10 06-16:10"))
    assert shown(rate_account(catalog, of, at("06-01"), at("06-16"))) == "5.00"
    assert shown(rate_account(catalog, of, at("06-16"), at("07-01"))) == "10.00"


def test_r2_7_a_level_goes_on_under_another_segment() -> None:
    prices = pricing("disk", "0:1", segment=("*",)), pricing("disk", "0:2", "06-16 ", segment=("eu",))
    catalog = scene(*prices, aggregations=(total("disk", method="WEIGHTED_SUM", segment_fields=("region",)),))
    of = account(used("05-01:10", region="eu"), used("05-01:20", region="us"))
    assert [(item.pricing, str(item.amount)) for item in june(catalog, of).items] == [
        ("P disk * 01-01", "5"),
        ("P disk * 01-01", "20"),
        ("P disk eu 06-16", "20"),
    ]
