"""The published and reckoned cases of bills, by the naive engine (R6.3, R7, R9, R11.2, R12)."""

from dataclasses import replace

import pytest

from tests.core.table import rows
from tests.naive.account import Account, Attachment, Event
from tests.naive.bill import CurrencyRateMissingError, Ledger, Line, bills
from tests.naive.catalog import Catalog, CounterTerms, Settings, Terms
from tests.naive.debts import AdHoc, Balance, Commitment, Debts, Grant, Schedule, Transaction
from tests.naive.exact import ZERO
from tests.naive.scene import T, account, at, bands, dollars, number, pricing, scene, total, used

JUNE = ("06-01", "07-01")
NOTHING_ELSE = Debts()


def billed(
    catalog: Catalog, of: Account, debts: Debts = NOTHING_ELSE, dates: tuple[str, ...] = JUNE
) -> list[list[Line]]:
    """The lines of the bill of each date, of an account that exists only between the first and the last."""
    made = dict(bills(catalog, of, debts, at(dates[-1])))
    return [made[at(date)] for date in dates]


def june_bill(catalog: Catalog, debts: Debts, *events: tuple[Event, ...]) -> str:
    return told(billed(catalog, account(*events, stay="06-01 07-01"), debts)[1])


def told(lines: list[Line]) -> str:
    return " ".join(f"{line.kind} {dollars(line.amount)}" for line in lines)


def sums(made: list[list[Line]]) -> str:
    return " ".join(dollars(sum((line.amount for line in lines), ZERO)) for lines in made)


# --- In advance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("usage", "refund"), [("800", "-800"), ("1200", "-1000")])
def test_case_37_a_minimum_in_advance_is_credited(usage: str, refund: str) -> None:
    catalog = scene(pricing("calls", "0:1"), terms=Terms(minimum=number("1000"), minimum_in_advance=True))
    first, second = billed(catalog, account(used(f"06-03:{usage}"), stay="06-01 07-01"))
    assert told(first) == "MINIMUM_SPEND 1000.00"
    assert told(second) == f"USAGE {usage}.00 MINIMUM_SPEND_REFUND {refund}.00"


def test_case_52_licences_in_arrears_come_with_the_usage() -> None:
    counter = pricing("counter/seats", "0:20 10:15", counter=CounterTerms(in_advance=False))
    catalog = scene(pricing("storage", "0:0.5 50:0.4"), counter)
    of = account(used("07-03:50 07-20:20"), levels="seats:07-01:15", stay="07-01 2025-07-01")
    first, second = billed(catalog, of, dates=("07-01", "08-01"))
    assert (told(first), told(second)) == ("", "USAGE 33.00 COUNTER_RUNNING_TOTAL 275.00")


def test_r8_2_a_running_total_in_advance_is_on_the_bill_before() -> None:
    catalog = scene(pricing("counter/seats", "0:2"))
    first, second = billed(catalog, account(levels="seats:06-01:15 seats:06-16:18", stay="06-01 07-01"))
    assert (told(first), told(second)) == ("COUNTER_RUNNING_TOTAL 30.00", "COUNTER_ADJUSTMENT_DEBIT 3.00")


@pytest.mark.parametrize(("in_advance", "expected"), [(False, "0 0 20 0 20"), (True, "20 0 20 0 20")])
def test_case_85_a_standing_charge_for_every_two_periods(in_advance: bool, expected: str) -> None:
    terms = Terms(number("20"), standing_in_advance=in_advance, standing_interval=2, standing_offset=1)
    made = billed(scene(terms=terms), account(), dates=("02-01", "03-01", "04-01", "05-01", "06-01"))
    assert sums(made).replace(".00", "") == expected


# --- Negative prices --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("usage", "total"), [("20", "30.00"), ("80", "-30.00")])
def test_case_40_there_is_no_cap_on_negative_prices(usage: str, total: str) -> None:
    fee = Commitment("c", number("50"), at("01-01"), at("01-02"), fees=((at("06-15"), number("50")),))
    catalog = scene(pricing("calls", "0:-1"))
    made = billed(catalog, account(used(f"06-03:{usage}"), stay="06-01 07-01"), Debts(commitments=(fee,)))
    assert sums(made[1:]) == total


# --- Commitments, balances, overage -----------------------------------------------------------------------------------


def commitment(amount: str, **more: object) -> Debts:
    made = Commitment("c", number(amount), at("01-01"), at("2025-01-01"))
    return Debts(commitments=(replace(made, **more),))  # type: ignore[arg-type]


def balance(amount: str, stay: str = "01-01 2025-01-01", **more: object) -> Debts:
    start, end = map(at, stay.split())
    made = Balance("b", (Transaction(start, number(amount)),), start, end)
    return Debts(balances=(replace(made, **more),))  # type: ignore[arg-type]


def test_cases_41_and_42_a_commitment_is_drawn_down_and_used_up() -> None:
    catalog = scene(pricing("calls", "0:.46"))
    debts = commitment("15000", schedule=Schedule("plan"), fees_in_advance=False, surcharge=number("1"))
    first, second = billed(catalog, account(used("01-03:20000 02-03:20000")), debts, ("02-01", "03-01"))
    assert told(first) == "USAGE 9200.00 COMMITMENT_FEE 1250.00 COMMITMENT_CONSUMED -9200.00"
    paid = "USAGE 5800.00 COMMITMENT_FEE 1250.00 COMMITMENT_CONSUMED -5800.00"
    assert told(second) == f"{paid} OVERAGE_USAGE 3400.00 OVERAGE_SURCHARGE 34.00"
    assert sums([first, second]) == "1250.00 4684.00"


def test_case_43_a_balance_with_a_surcharge() -> None:
    debts = balance("100", surcharge=number("10"))
    made = billed(scene(pricing("calls", "0:10")), account(used("06-03:12"), stay="06-01 07-01"), debts)
    assert sums(made[1:]) == "22.00"


OVERAGE = pricing("calls", "0:0.50", overage_bands=bands("0:0.70"))


def test_case_44_overage_has_bands_of_its_own() -> None:
    made = june_bill(scene(OVERAGE), commitment("100"), used("06-03:300"))
    assert made == "USAGE 100.00 COMMITMENT_CONSUMED -100.00 OVERAGE_USAGE 70.00"


def test_case_45_a_balance_pays_for_its_part_of_a_window() -> None:
    made = june_bill(scene(pricing("calls", "0:1")), balance("100", "06-01 06-16"), used("06-03:60 06-20:60"))
    assert made == "USAGE 120.00 BALANCE_CONSUMED -60.00"


def test_case_46_at_most_the_rollover_amount_stays() -> None:
    debts = balance("100", "05-01 06-01", rollover_amount=number("50"), rollover_end=at("07-01"))
    of = account(used("05-03:20 06-03:60"), stay="05-01 07-01")
    made = billed(scene(pricing("calls", "0:1")), of, debts, ("06-01", "07-01"))
    assert [told(lines) for lines in made] == [
        "USAGE 20.00 BALANCE_CONSUMED -20.00",
        "USAGE 60.00 BALANCE_CONSUMED -50.00",
    ]


def test_case_89_everything_is_overage_once_a_commitment_is_used_up() -> None:
    of = account(used("06-03:50 07-03:100"), stay="06-01 08-01")
    made = billed(scene(pricing("calls", "0:1")), of, commitment("50", surcharge=number("1")), ("07-01", "08-01"))
    assert told(made[1]) == "OVERAGE_USAGE 100.00 OVERAGE_SURCHARGE 1.00"


def test_case_90_overage_is_split_by_net_over_gross() -> None:
    grant = Grant("g", at("01-01"), "PERCENTAGE", number("20"), plan="plan")
    made = june_bill(scene(OVERAGE), replace(commitment("100"), grants=(grant,)), used("06-03:300"))
    assert made == "USAGE 125.00 PROMOTION -25.00 COMMITMENT_CONSUMED -100.00 OVERAGE_USAGE 35.00"


def test_r7_4_blocks_are_split_at_whole_blocks() -> None:
    made = june_bill(scene(pricing("calls", "0:5/10")), commitment("7", surcharge=number("10")), used("06-03:25"))
    assert made == "USAGE 5.00 COMMITMENT_CONSUMED -5.00 OVERAGE_USAGE 10.00 OVERAGE_SURCHARGE 1.00"


def test_r7_3_sources_pay_in_the_settings_order() -> None:
    debts = replace(commitment("30"), balances=balance("100").balances)
    catalog = scene(pricing("calls", "0:1"))
    assert (
        june_bill(catalog, debts, used("06-03:50")) == "USAGE 50.00 COMMITMENT_CONSUMED -30.00 BALANCE_CONSUMED -20.00"
    )
    turned = replace(debts, credit_order=("BALANCE", "COMMITMENT"))
    assert june_bill(catalog, turned, used("06-03:50")) == "USAGE 50.00 BALANCE_CONSUMED -50.00"


def test_case_82_line_items_are_rounded_first() -> None:
    catalog = scene(*(pricing(name, "0:0.335") for name in ("a", "b", "c")))
    assert (
        june_bill(catalog, balance("50"), used("06-03:1")) == "USAGE 0.34 USAGE 0.34 USAGE 0.34 BALANCE_CONSUMED -1.02"
    )


def test_r6_4_a_balance_pays_what_credits_leave() -> None:
    filtered = tuple(total(name, filter=("region", frozenset([name]))) for name in ("a", "b"))
    prices = pricing("a", "0:1"), pricing("b", "0:1", apply_as="GLOBAL_CREDIT")
    catalog = scene(*prices, terms=Terms(maximum=number("50")), aggregations=filtered)
    made = june_bill(catalog, balance("100"), used("06-03:80", region="a"), used("06-03:30", region="b"))
    assert made == "USAGE 80.00 MAXIMUM_SPEND -30.00 USAGE_CREDIT -30.00 BALANCE_CONSUMED -20.00"


# --- Promotions -------------------------------------------------------------------------------------------------------


def grants(*given: Grant) -> Debts:
    return Debts(grants=given)


def test_case_59_a_graduated_promotion() -> None:
    steps = (number("0"), number("10")), (number("500"), number("15"))
    debts = grants(Grant("g", at("01-01"), "GRADUATED", graduated=steps, plan="plan"))
    made = june_bill(scene(pricing("calls", "0:1")), debts, used("06-03:800"))
    assert made == "USAGE 800.00 PROMOTION -95.00"  # 50 + 45


def test_case_60_pricing_promotions_come_before_those_of_plans() -> None:
    a, b = (pricing(name, "0:1") for name in ("a", "b"))
    filtered = [total(name, filter=("region", frozenset([name]))) for name in ("a", "b")]
    debts = grants(
        Grant("1", at("01-01"), "FIXED", number("50"), plan="plan"),
        Grant("2", at("01-02"), "PERCENTAGE", number("20"), plan="plan"),
        Grant("3", at("01-03"), "PERCENTAGE", number("10"), pricing=a.id),
    )
    usage = used("06-03:200", region="a"), used("06-03:300", region="b")
    made = june_bill(scene(a, b, aggregations=tuple(filtered)), debts, *usage)
    assert made == "USAGE 200.00 USAGE 300.00 PROMOTION -20.00 PROMOTION -96.00 PROMOTION -50.00"


def test_case_61_a_balance_pays_what_promotions_leave() -> None:
    catalog = scene(pricing("calls", "0:1"), terms=Terms(number("50")))
    debts = replace(balance("30"), grants=(Grant("g", at("01-01"), "PERCENTAGE", number("20"), plan="plan"),))
    made = billed(catalog, account(used("06-03:100"), stay="06-01 07-01"), debts)
    assert sums(made[1:]) == "90.00"


def test_case_88_a_promotion_ends_at_its_total() -> None:
    debts = grants(Grant("g", at("06-01"), "PERCENTAGE", number("50"), plan="plan", max_total=number("80")))
    of = account(used("06-03:100 07-03:140 08-03:100"), stay="06-01 09-01")
    assert sums(billed(scene(pricing("calls", "0:1")), of, debts, ("07-01", "08-01", "09-01"))) == "50.00 110.00 100.00"


def test_case_91_a_trial_takes_off_what_lies_before_its_end() -> None:
    attachment = Attachment("a", "plan", at("06-01"), at("07-01"), trial_end=at("06-16"))
    of = account(used("06-03:100 06-20:50"), attachments=(attachment,))
    assert told(billed(scene(pricing("calls", "0:1")), of)[1]) == "USAGE 150.00 PROMOTION -100.00"


def test_case_95_promotions_do_not_touch_the_minimum() -> None:
    catalog = scene(pricing("calls", "0:1"), terms=Terms(minimum=number("1000")))
    debts = grants(Grant("g", at("01-01"), "PERCENTAGE", number("20"), plan="plan"))
    assert june_bill(catalog, debts, used("06-03:600")) == "USAGE 600.00 MINIMUM_SPEND 400.00 PROMOTION -120.00"


def test_r9_1_a_promotion_lasts_for_some_periods() -> None:
    debts = grants(Grant("g", at("06-10"), "PERCENTAGE", number("50"), plan="plan", periods=2))
    of = account(used("06-20:100 07-03:100 08-03:100"), stay="06-01 09-01")
    assert sums(billed(scene(pricing("calls", "0:1")), of, debts, ("07-01", "08-01", "09-01"))) == "50.00 50.00 100.00"


# --- Currency ---------------------------------------------------------------------------------------------------------


def in_currency(currency: str, units: str, prices: str, *rates: str) -> str:
    known = {("USD", currency): number(rates[0])} if rates else {}
    catalog = scene(pricing("calls", prices), settings=Settings(rates=known))
    made = billed(catalog, account(used(f"06-03:{units}"), stay="06-01 07-01"), Debts(currency=currency))
    return str(sum((line.amount for line in made[1]), ZERO))


def test_cases_58_and_92_line_items_are_converted_when_they_are_made() -> None:
    assert in_currency("GBP", "700", T, "0.8") == "76"
    assert in_currency("JPY", "95", "0:1", "151.33") == "14376"
    with pytest.raises(CurrencyRateMissingError):
        in_currency("GBP", "700", T)


# --- Groups of plans --------------------------------------------------------------------------------------------------


def test_r6_2_a_group_of_plans_compares_its_plans() -> None:
    given = replace(pricing("calls", "0:1"), owner=("TEMPLATE", "template"))
    catalog = scene(given)
    plans = tuple(replace(catalog.plans[0], id=name, group="both") for name in ("plan", "later"))
    catalog = replace(catalog, plans=plans, group_minimums={"both": number("100")})
    stays = Attachment("1", "plan", at("06-01"), at("06-16")), Attachment("2", "later", at("06-16"), at("07-01"))
    of = account(used("06-03:20 06-20:30"), attachments=stays)
    assert told(billed(catalog, of)[1]) == "USAGE 20.00 USAGE 30.00 MINIMUM_SPEND 50.00"


# --- Corrections (R12.3) ----------------------------------------------------------------------------------------------

RUNS = """
    how                  | 07-01 | 08-01 | 09-01
    on time              | 20.00 | 10.00 | 40.00
    a missed run         | 20.00 | -     | 50.00
    late usage for June  | 17.00 | 13.00 | 40.00
"""


@pytest.mark.parametrize(("how", "june", "july", "august"), rows(RUNS))
def test_the_sum_of_bills_does_not_depend_on_when_they_run(how: str, june: str, july: str, august: str) -> None:
    late = used("06-20:3")
    events = [*used("06-03:17 07-03:10 08-03:40"), *late]
    ledger, catalog = Ledger(), scene(pricing("calls", "0:1"))
    found = []
    for date in ("07-01", "08-01", "09-01"):
        known = [event for event in events if how != "late usage for June" or date != "07-01" or event not in late]
        if how == "a missed run" and date == "08-01":
            found.append("-")
            continue
        lines = ledger.run(catalog, account(tuple(known), stay="06-01 09-01"), Debts(), at(date))
        found.append(dollars(sum(lines.values(), ZERO)))
    assert found == [june, july, august]


def test_r12_3_an_attachment_that_ended_after_it_was_billed_in_advance() -> None:
    catalog = scene(terms=Terms(number("30"), standing_in_advance=True))
    ledger = Ledger()
    first = ledger.run(catalog, account(stay="06-01 "), Debts(), at("06-01"))
    second = ledger.run(catalog, account(stay="06-01 06-16"), Debts(), at("07-01"))
    assert [sum(each.values(), ZERO) for each in (first, second)] == [30, -15]
    assert ledger.run(catalog, account(stay="06-01 06-16"), Debts(), at("07-01")) == {}


def test_r12_2_purchases_and_ad_hoc_charges_are_due_at_their_instant() -> None:
    debts = Debts(ad_hoc=(AdHoc("a", at("06-15"), number("7")), AdHoc("b", at("07-15"), number("8"))))
    assert june_bill(scene(), debts) == "AD_HOC 7.00"
