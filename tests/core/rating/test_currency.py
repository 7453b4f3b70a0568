"""Ratings and bills in another currency than that of the plans (R11.2, R3.7)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.account import Account
from ratel.core.bill import Conversion
from ratel.core.billing import BillInRow
from ratel.core.currency import BillExchange, CurrencyRate, Exchange, Tally, exchanges_of
from ratel.core.errors import CurrencyRateMissing, Invalid
from ratel.core.money import RoundingMode
from ratel.core.plan import Settings
from tests.core.rating.billed import run, shown
from tests.core.rating.chance import FIRST, story_text
from tests.core.rating.rated import rate_story
from tests.story import read_story
from tests.told import Story
from tests.words import rates_from_text

STORY = """
    settings rates=USD:GBP:0.8
    account currency=GBP
    aggregation calls SUM calls
    price calls 0:1
    attach 2024-06-01
    use 2024-06-03 calls=100
    rate 2024-06-01 2024-07-01
"""


def with_rates(story: Story, rates: str) -> Story:
    return replace(story, settings=replace(story.settings, currency_rates=rates_from_text(rates)))


def used(story: Story, text: str) -> Story:
    more = read_story(f"{STORY}\n{text}").usages[len(read_story(STORY).usages) :]
    return replace(story, usages=[*story.usages, *more])


# --- Rates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "mistakes"),
    [
        ("USD:GBP:0.8,GBP:USD:1.2,USD:EUR:0.9", set()),
        ("USD:GBP:0", {("currency_rates[0].rate", "RATE_NOT_POSITIVE")}),
        ("USD:GBP:1,USD:USD:1", {("currency_rates[1].to_currency", "CURRENCY_SAME")}),
        ("USD:GBP:1,USD:GBP:1", {("currency_rates[1]", "CURRENCY_RATE_REPEATED")}),
        (
            "USX:GBP:1,USD:XAU:1",
            {
                ("currency_rates[0].from_currency", "CURRENCY_UNKNOWN"),
                ("currency_rates[1].to_currency", "CURRENCY_UNKNOWN"),
            },
        ),
    ],
)
def test_rates_are_checked(rates: str, mistakes: set[tuple[str, str]]) -> None:
    """R3.7."""
    found = set()
    try:
        Settings(currency_rates=rates_from_text(rates))
    except Invalid as error:
        found = {(each.field, each.reason) for each in error.violations}
    assert found == mistakes


def test_an_account_has_a_known_currency() -> None:
    with pytest.raises(Invalid) as caught:
        Account("acme", "Acme", currency="USX")
    assert [(each.field, each.reason) for each in caught.value.violations] == [("currency", "CURRENCY_UNKNOWN")]


def test_a_rate_is_not_turned_round() -> None:
    exchange = Settings(currency_rates=(CurrencyRate("USD", "GBP", Decimal("0.8")),)).exchange("USD")
    with pytest.raises(CurrencyRateMissing) as caught:
        exchange.rate("GBP")
    assert caught.value.metadata == {"from_currency": "GBP", "to_currency": "USD"}
    assert (exchange.rate("USD"), Exchange().rate("USD")) == (Decimal(1), Decimal(1))


def test_an_amount_is_rounded_once_more() -> None:
    exchange = Exchange("JPY", {"USD": Decimal("151.33")}, RoundingMode.DOWN)
    assert exchange.amount(Decimal("0.50"), "USD") == 75
    assert exchange.amount(Decimal("0.50"), "JPY") == Decimal("0.50")
    assert Exchange().amount(Decimal("0.50"), "USD") == Decimal("0.50")


def test_a_sum_is_exact_at_each_of_its_rates() -> None:
    tally = Tally()
    assert tally.at(Decimal("0.3")) == 0
    tally.add(Decimal("10.00"), Decimal("0.3"))
    tally.add(Decimal("0.01"), Decimal("0.3"))
    assert tally.at(Decimal("0.3")) == Decimal("10.01")
    tally.add(Decimal("2.00"), Decimal(1))
    assert tally.at(Decimal("0.3")) == Decimal("10.61")


def test_a_missing_rate_is_that_of_the_next_bill_of_the_currency() -> None:
    """R11.2: a bill's own rate, else that of a later bill of the same currency, else that of the settings."""
    bills = [
        bill("2024-07-01", "GBP", "USD:GBP:0.8"),
        bill("2024-08-01", "EUR", "JPY:EUR:0.006"),
        bill("2024-09-01", "GBP", "USD:GBP:0.7,EUR:GBP:0.9"),
    ]
    settings = Settings(currency_rates=rates_from_text("USD:GBP:0.6,EUR:GBP:0.5,JPY:GBP:0.005,USD:EUR:0.95"))
    found = exchanges_of(bills, settings.exchange)
    june = found.on(date(2024, 6, 1))
    assert june == found.on(date(2024, 7, 1)) == found.of(date(2024, 7, 1)).exchange
    assert june.rates == {"USD": Decimal("0.8"), "EUR": Decimal("0.9"), "JPY": Decimal("0.005")}
    assert found.on(date(2024, 7, 2)).rates == {"JPY": Decimal("0.006"), "USD": Decimal("0.95")}
    assert found.on(date(2024, 9, 2)) == Exchange()
    assert found.of(date(2024, 9, 2)) == BillExchange(date(2024, 9, 2), Exchange())


def bill(day: str, currency: str, rates: str) -> BillExchange:
    exchange = Exchange(currency, {each.from_currency: each.rate for each in rates_from_text(rates)})
    return BillExchange(date.fromisoformat(day), exchange)


# --- Line items -------------------------------------------------------------------------------------------------------


def test_both_amounts_stand_on_the_line_item() -> None:
    (item,) = rate_story(used(read_story(STORY), "use 2024-06-04 calls=0.005")).line_items
    assert (item.currency, item.amount, item.exact_amount) == ("GBP", Decimal("80.01"), Decimal("80.008"))
    assert item.conversion == Conversion("USD", Decimal("100.01"), Decimal("100.005"), Decimal("0.8"))
    assert item.own_currency == "USD"


def test_a_credit_that_was_capped_shows_what_it_would_be() -> None:
    text = f"{STORY}\naggregation gifts SUM gift\nprice gifts 0:1 as=PRODUCT_CREDIT\nuse 2024-06-04 gift=150"
    item = rate_story(read_story(text)).line_items[-1]
    assert (item.amount, item.conversion) == (
        Decimal("-80.00"),
        Conversion("USD", Decimal("-150.00"), Decimal(-150), Decimal("0.8")),
    )


def test_without_a_rate_nothing_is_rated() -> None:
    """Case 58."""
    with pytest.raises(CurrencyRateMissing):
        rate_story(with_rates(read_story(STORY), "GBP:USD:1.25"))


# --- Bills ------------------------------------------------------------------------------------------------------------


def bills(*runs: tuple[Story, str, str]) -> list[BillInRow]:
    row: list[BillInRow] = []
    for story, day, currency in runs:
        row = run(story, row, day, currency)
    return row


def lines(*runs: tuple[Story, str, str]) -> list[list[tuple[str, str, bool]]]:
    return [shown(each) for each in bills(*runs)]


def test_the_run_says_the_currency_else_the_account() -> None:
    story = with_rates(read_story(STORY), "USD:GBP:0.8,USD:EUR:0.9")
    assert lines((story, "2024-07-01", "")) == [[("USAGE", "80.00", False)]]
    assert lines((story, "2024-07-01", "EUR")) == [[("USAGE", "90.00", False)]]
    plain = replace(story, account=replace(story.account, currency=""))
    assert lines((plain, "2024-07-01", "")) == [[("USAGE", "100.00", False)]]


def test_a_bill_stays_in_the_currency_that_it_was_asked_to_be_in() -> None:
    story = with_rates(read_story(STORY), "USD:GBP:0.8,USD:EUR:0.9")
    assert lines((story, "2024-07-01", "EUR"), (story, "2024-07-01", "")) == [[("USAGE", "90.00", False)]]
    stale = bills((story, "2024-07-01", "EUR"), (story, "2024-06-01", ""))
    assert [(each.is_stale, each.exchange.target_currency) for each in stale] == [(False, ""), (True, "EUR")]
    assert [shown(each) for each in run(story, stale, "2024-08-01")][1] == [("USAGE", "90.00", False)]


def test_what_belongs_to_a_bill_keeps_its_rate() -> None:
    """R11.2: late usage of June is converted at the rate of June's bill, that of July at July's."""
    first, late = read_story(STORY), used(read_story(STORY), "use 2024-06-30 calls=10\nuse 2024-07-03 calls=10")
    assert lines((first, "2024-07-01", ""), (with_rates(late, "USD:GBP:0.5"), "2024-08-01", "")) == [
        [("USAGE", "80.00", False)],
        [("USAGE", "8.00", True), ("USAGE", "5.00", False)],
    ]


def test_a_bill_that_is_made_again_takes_the_rates_of_the_day() -> None:
    story = read_story(STORY)
    assert lines((story, "2024-07-01", ""), (with_rates(story, "USD:GBP:0.5"), "2024-07-01", "")) == [
        [("USAGE", "50.00", False)]
    ]


def test_a_correction_is_brought_into_the_currency_of_its_bill() -> None:
    """R11.2: June's bill is in pounds, July's in euros, and what is to be put right of June's too."""
    rates = "USD:GBP:0.8,USD:EUR:0.9,GBP:EUR:1.2"
    first = with_rates(read_story(STORY), rates)
    late = used(first, "use 2024-06-30 calls=10\nuse 2024-07-03 calls=10")
    row = bills((first, "2024-07-01", ""), (late, "2024-08-01", "EUR"))
    assert shown(row[1]) == [("USAGE", "9.60", True), ("USAGE", "9.00", False)]
    corrected = row[1].lines[0]
    assert (corrected.currency, corrected.amount) == ("GBP", Decimal("8.00"))
    assert corrected.billed is not None
    assert corrected.billed.conversion == Conversion("GBP", Decimal("8.00"), Decimal("8.000"), Decimal("1.2"))
    # What was carried of it was carried in pounds.
    latest = run(used(late, "use 2024-06-29 calls=5 id=latest"), row, "2024-09-01", "GBP")[2]
    assert shown(latest) == [("USAGE", "4.00", True)]
    with pytest.raises(CurrencyRateMissing):
        bills((first, "2024-07-01", ""), (with_rates(late, "USD:GBP:0.8,USD:EUR:0.9"), "2024-08-01", "EUR"))


def test_what_a_promotion_gave_counts_at_the_rate_of_each_bill() -> None:
    """R9.1: 80 dollars in all: 50 of them as 40 pounds in June, the other 30 as 15 pounds in July."""
    text = f"{STORY}\npromotion half 50% total=80\ngrant half 2024-06-01\nuse 2024-07-03 calls=140"
    story = read_story(text)
    assert lines((story, "2024-07-01", ""), (with_rates(story, "USD:GBP:0.5"), "2024-08-01", "")) == [
        [("USAGE", "80.00", False), ("PROMOTION", "-40.00", False)],
        [("USAGE", "70.00", False), ("PROMOTION", "-15.00", False)],
    ]


def test_bills_do_not_depend_on_when_they_are_run() -> None:
    """R13: while the rates stay as they are."""
    story = used(read_story(STORY), "use 2024-07-03 calls=33.33\nuse 2024-08-03 calls=0.7")
    one_by_one = lines((story, "2024-07-01", ""), (story, "2024-08-01", ""), (story, "2024-09-01", ""))
    assert lines((story, "2024-09-01", "")) == [[line for each in one_by_one for line in each]]


@given(st.integers(min_value=0))
@settings(max_examples=40, deadline=None)
def test_nothing_is_left_to_correct_whatever_currencies_bills_are_in(seed: int) -> None:
    """R11.2, R12.3: rates change, usage comes late, and each run names another currency."""
    chance = Random(seed)
    whole = read_story(story_text(chance))
    row: list[BillInRow] = []
    for day in sorted(chance.sample(range(140), 4)):
        known = replace(whole, usages=[each for each in whole.usages if chance.random() < 0.6])
        row = run(with_rates(known, all_rates(chance)), row, str(FIRST + timedelta(days=day)), any_currency(chance))
        check_currencies(row)
    story = with_rates(whole, all_rates(chance))
    row = run(story, row, str(FIRST + timedelta(days=140)), any_currency(chance))
    row = run(story, row, str(FIRST + timedelta(days=141)), any_currency(chance))
    check_currencies(row)
    assert not any(line.correction for line in row[-1].lines)


def any_currency(chance: Random) -> str:
    return chance.choice(("", "USD", "GBP", "EUR"))


def all_rates(chance: Random) -> str:
    pairs = permutations(("USD", "GBP", "EUR"), 2)
    return ",".join(f"{source}:{target}:{chance.choice(('0.8', '1.25', '0.3333'))}" for source, target in pairs)


def check_currencies(row: Sequence[BillInRow]) -> None:
    """A bill that has a currency is in that alone."""
    for each in row:
        currency = each.exchange.exchange.currency
        assert not currency or all(line.printed.currency == currency for line in each.lines)
