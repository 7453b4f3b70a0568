"""Promotions and trials, on bills and under all that may happen (R9, R13)."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.bill import LineItem, PromotionWorkings
from ratel.core.compiled import compile_plan
from ratel.core.money import ZERO, amount_text, exact, round_amount
from ratel.core.promotion import FixedAmount, Graduated, Percentage, SpendBand, Worth
from ratel.core.rating.draft import Draft
from ratel.core.rating.rate import PASSES, add_passes, empty_draft
from ratel.core.rating.scope import survey
from tests.core.rating.billed import due_of
from tests.core.rating.chance import story_text
from tests.core.rating.rated import catalog_of, context_of, partials_of, rate_story
from tests.story import read_story
from tests.told import Story


@pytest.mark.parametrize(
    ("worth", "spend", "expected"),
    [
        (Percentage(Decimal("33.3")), "80", "26.64"),
        (FixedAmount(Decimal(25)), "80", "25.00"),
        (FixedAmount(Decimal(25)), "18", "25.00"),  # the spend is a limit of another kind
        (Graduated((SpendBand(ZERO, Decimal(10)), SpendBand(Decimal(500), Decimal(15)))), "800", "95.00"),
        (Graduated((SpendBand(ZERO, Decimal(10)), SpendBand(Decimal(500), Decimal(15)))), "500", "50.00"),
        (Graduated((SpendBand(ZERO, Decimal(10)), SpendBand(Decimal(500), Decimal(15)))), "499.9", "49.99"),
        (
            Graduated((SpendBand(ZERO, ZERO), SpendBand(Decimal(5), Decimal(100)), SpendBand(Decimal(7), ZERO))),
            "9",
            "2.00",
        ),
        (Graduated((SpendBand(ZERO, Decimal(10)), SpendBand(Decimal(500), Decimal(15)))), "-3", "0.00"),
    ],
)
def test_what_a_spend_is_worth(worth: Worth, spend: str, expected: str) -> None:
    assert amount_text(worth.of(Decimal(spend)), "USD") == expected


# --- On bills ---------------------------------------------------------------------------------------------------------


def promoted(text: str, until: str) -> list[tuple[str, str]]:
    """Return the day and the amount of each promotion that is due."""
    found = due_of(read_story(text), until).items
    return [
        (each.date.isoformat(), amount_text(each.item.amount, each.item.currency))
        for each in found
        if isinstance(each.item.workings, PromotionWorkings)
    ]


def test_case_88_month_by_month() -> None:
    text = """
        aggregation calls SUM calls
        price calls 0:1
        promotion half 50% total=80
        grant half 2024-06-01
        attach 2024-06-01
        use 2024-06-03 calls=100
        use 2024-07-03 calls=140
        use 2024-08-03 calls=100
    """
    assert promoted(text, "2024-09-01") == [("2024-07-01", "-50.00"), ("2024-08-01", "-30.00")]


IN_ADVANCE = """
    template standing_charge=30 standing_charge_in_advance=yes
    aggregation calls SUM calls
    price calls 0:1
    promotion it {worth}
    grant it 2024-06-01
    attach 2024-06-01 2024-08-01
    use 2024-06-03 calls=100
    use 2024-07-03 calls=7
"""


@pytest.mark.parametrize(
    ("worth", "amounts"),
    [
        ("20%", "-6.00 -20.00 -6.00 -1.40"),
        ("50", "-30.00 -20.00 -30.00 -7.00"),  # 50 of each month
        ("0:10% 100:50%", "-3.00 -22.00 -3.00 -0.70"),  # 130 are worth 25 in June
        ("20% per_period=10", "-6.00 -4.00 -6.00 -1.40"),
        ("20% total=27", "-6.00 -20.00 -1.00"),
        ("20% per_period=10 total=15", "-6.00 -4.00 -5.00"),
        ("20% count=1", "-6.00 -20.00"),
    ],
)
def test_a_bill_period_is_counted_together_though_it_is_billed_on_two_days(worth: str, amounts: str) -> None:
    """June's standing charge is due on June 1, with June's usage on July 1 there is July's standing charge."""
    found = promoted(IN_ADVANCE.format(worth=worth), "2024-08-01")
    assert " ".join(amount for _, amount in found) == amounts
    assert [day for day, _ in found] == ["2024-06-01", "2024-07-01", "2024-07-01", "2024-08-01"][: len(found)]


def test_what_acts_in_advance_and_in_arrears_are_items_of_their_own() -> None:
    found = [each.item for each in due_of(read_story(IN_ADVANCE.format(worth="50")), "2024-08-01").items]
    ours = [item for item in found if item.source_id]
    assert [item.source_id for item in ours] == ["grant-0/advance", "grant-0", "grant-0/advance", "grant-0"]
    assert [item.in_advance for item in ours] == [True, False, True, False]
    june, july = ours[0].service, ours[2].service
    assert [item.service for item in ours] == [june, june, july, july]
    assert june.end == july.start


def test_a_trial_of_an_attachment_that_begins_inside_a_period_is_one_item_of_all_that_is_due_at_its_end() -> None:
    text = IN_ADVANCE.format(worth="20%").replace("attach 2024-06-01 ", "attach 2024-06-02 trial=2024-07-16 ")
    found = [each.item for each in due_of(read_story(text), "2024-08-01").items if each.item.source_id]
    shown = [(item.source_id, amount_text(item.amount, "USD"), item.in_advance, item.description) for item in found]
    assert shown == [
        ("/trial", "-129.00", False, "Trial"),  # 29 of the standing charge, 100 of calls
        ("/trial/advance", "-14.52", True, "Trial"),  # 15 of 31 days
        ("grant-0/advance", "-3.10", True, "It"),  # what is left of July's standing charge
        ("/trial", "-7.00", False, "Trial"),
    ]


def test_nothing_is_given_back_where_a_spend_turns_out_negative() -> None:
    """R9.1, R1.5: of June's 30 in advance 6 were taken off; that June's calls came to -10 changes nothing of that."""
    text = IN_ADVANCE.format(worth="20% total=10").replace("price calls 0:1", "price calls 0:-0.1")
    assert promoted(text, "2024-08-01") == [("2024-06-01", "-6.00"), ("2024-07-01", "-4.00")]


def test_a_promotion_of_a_pricing_names_what_it_acted_on() -> None:
    """R9.2: in a pricing that each of two plans inherits, for one combination of it."""
    text = """
        aggregation calls SUM calls by=region
        price calls 0:1 on=template id=calls segment=*
        promotion half 50% price=calls segment=eu
        promotion third 30% price=calls
        grant half 2024-06-01
        grant third 2024-06-01
        use 2024-06-03 calls=8 region=eu
        use 2024-06-03 calls=6 region=us
        rate 2024-06-01 2024-07-01
    """
    found = [item for item, _ in promotions_of(read_story(text))]
    assert [(item.description, amount_text(item.amount, "USD")) for item in found] == [
        ("Half", "-4.00"),
        ("Third", "-3.00"),
    ]
    assert [item.segment for item in found] == [(("region", "eu"),), ()]
    for item in found:
        assert (item.pricing_id, item.priced and item.priced.id, item.origin.plan_id) == ("calls", "calls", "plan")
    plan = read_story(text.replace("price=calls segment=eu", "").replace("price=calls", ""))
    assert {(item.pricing_id, item.priced) for item, _ in promotions_of(plan)} == {("", None)}


SERVICE = """
    template standing_charge=90 standing_charge_interval=3
    promotion half 50%
    grant half {grant}
    attach {attach}
    rate {rate}
"""


@pytest.mark.parametrize(
    ("grant", "attach", "rate", "expected"),
    [
        ("2024-05-01", "2024-06-01", "2024-06-01 2024-09-01", "2024-06-01 2024-09-01"),  # longer than the bill period
        ("2024-06-16", "2024-06-01", "2024-06-01 2024-09-01", "2024-06-16 2024-09-01"),
        ("2024-06-16 2024-08-01", "2024-06-01", "2024-06-01 2024-09-01", "2024-06-16 2024-08-01"),
        ("2024-05-01 2025-01-01", "2024-06-01", "2024-06-01 2024-09-01", "2024-06-01 2024-09-01"),
        ("2024-05-01", "2024-06-11", "2024-06-01 2024-07-01", "2024-06-11 2024-07-01"),
        ("2024-05-01", "2024-06-01", "2024-06-05 2024-06-20", "2024-06-05 2024-06-20"),
        ("2024-05-01", "2024-06-01 2024-06-10", "2024-06-05 2024-06-20", "2024-06-05 2024-06-10"),
    ],
)
def test_the_service_is_what_is_asked_for_inside_the_grant(grant: str, attach: str, rate: str, expected: str) -> None:
    story = read_story(SERVICE.format(grant=grant, attach=attach, rate=rate))
    ((item, _),) = promotions_of(story)
    assert item.service.end is not None
    assert f"{item.service.start.date()} {item.service.end.date()}" == expected


def test_a_level_that_is_paid_whole_outlasts_what_is_asked_for() -> None:
    """R8.2: it belongs to its first instant, and is promoted there, or not at all (R7.3)."""
    text = """
        counter seats
        price seats 0:10 whole_total
        level seats 2024-06-01 10
        promotion half 50%
        grant half {grant}
        attach 2024-06-01
        rate 2024-06-01 2024-06-11
    """
    ((item, _),) = promotions_of(read_story(text.format(grant="2024-05-01 2024-06-05")))
    assert amount_text(item.amount, "USD") == "-50.00"
    assert promotions_of(read_story(text.format(grant="2024-06-02"))) == []
    ((item, _),) = promotions_of(read_story(text.format(grant="2024-05-01")))
    assert (item.service.start.day, item.service.end and item.service.end.month) == (1, 7)


def test_a_standing_charge_for_several_periods_is_of_the_first() -> None:
    text = """
        template standing_charge=90 standing_charge_interval=3
        promotion half 50% count=1
        grant half 2024-06-16
        attach 2024-06-01 2024-12-01
    """
    # Of the 92 days of the first three months, 46 are left on July 17.
    assert promoted(text.replace("2024-06-16", "2024-07-17"), "2024-12-01") == [("2024-09-01", "-22.50")]
    assert promoted(text.replace("2024-06-16", "2024-09-01"), "2024-12-01") == [("2024-12-01", "-45.00")]


def test_two_attachments_in_one_bill_period_share_what_there_is_for_it() -> None:
    text = """
        plan gold
        aggregation calls SUM calls
        price calls 0:1 on=template id=calls
        promotion welcome 50 price=calls
        grant welcome 2024-06-01
        attach 2024-06-01 2024-06-16
        attach 2024-06-16 2024-07-01 plan=gold
        use 2024-06-03 calls=40
        use 2024-06-20 calls=40
    """
    assert promoted(text, "2024-07-01") == [("2024-07-01", "-40.00"), ("2024-07-01", "-10.00")]


def test_a_maximum_that_was_taken_off_what_was_billed_before_lessens_the_spend() -> None:
    """R6.2, R9.1: of 100 in advance and 20 in arrears 60 are the most; the bill in arrears has 20 - 60 to promote."""
    text = """
        template maximum_spend=60 standing_charge=50
        aggregation calls SUM calls
        counter seats
        price calls 0:1
        price seats 0:10
        level seats 2024-06-01 10
        promotion half 50%
        grant half 2024-06-01
        attach 2024-06-01 2024-07-01
        use 2024-06-03 calls=20
    """
    # 50 of the standing charge, 20 of calls that the maximum took off whole, and 40 that it could not.
    assert promoted(text, "2024-07-01") == [("2024-06-01", "-50.00"), ("2024-07-01", "-5.00")]


# --- Laws -------------------------------------------------------------------------------------------------------------

SEEDS = st.integers(min_value=0)
LAW = settings(max_examples=60, deadline=None)


def promotions_of(story: Story) -> list[tuple[LineItem, PromotionWorkings]]:
    items = rate_story(story).line_items
    return [(item, item.workings) for item in items if isinstance(item.workings, PromotionWorkings)]


@given(SEEDS)
@LAW
def test_promotions_never_push_a_charge_below_zero(seed: int) -> None:
    draft = drafted(read_story(story_text(Random(seed))))
    assert all(charge.net >= ZERO for charge in draft.remainder.charges if charge.gross >= ZERO)
    assert sum((item.amount for item in draft.line_items), ZERO) == sum(
        (charge.net for charge in draft.remainder.charges), ZERO
    )


@exact
def drafted(story: Story) -> Draft:
    catalog = catalog_of(story)
    assert story.asked is not None
    scope = survey(context_of(story, {each: compile_plan(catalog, each) for each in catalog.plans}), story.asked)
    draft = empty_draft(scope, partials_of(story.meter, story.usages, scope.reads))
    add_passes(draft, PASSES)
    return draft


@given(SEEDS)
@LAW
def test_a_promotion_can_be_reckoned_again_from_its_line_item_alone(seed: int) -> None:
    """R12.6."""
    story = read_story(story_text(Random(seed)))
    for item, workings in promotions_of(story):
        assert -item.amount == worked_out(item, workings)
        assert ZERO < -item.amount <= workings.spend


@exact
def worked_out(item: LineItem, workings: PromotionWorkings) -> Decimal:
    if workings.worth is None:
        return workings.spend
    exact_amount = workings.worth.of(workings.earlier_spend + workings.spend) - workings.earlier_amount
    assert item.exact_amount == -exact_amount
    limits = [workings.spend] if workings.left is None else [workings.spend, workings.left]
    return min(round_amount(exact_amount, item.currency), *limits)


@given(SEEDS)
@LAW
def test_limits_hold_over_all_bills(seed: int) -> None:
    story = read_story(story_text(Random(seed)))
    given_by_grant: dict[str, Decimal] = {}
    given_in_period: dict[tuple[str, object], Decimal] = {}
    for each in due_of(story, "2024-08-01").items:
        if isinstance(each.item.workings, PromotionWorkings) and each.item.workings.grant_id:
            grant_id = each.item.workings.grant_id
            key = grant_id, each.item.bill_period
            given_by_grant[grant_id] = given_by_grant.get(grant_id, ZERO) - each.item.amount
            given_in_period[key] = given_in_period.get(key, ZERO) - each.item.amount
    promotions = {each.grant.id: each.promotion for each in story.granted}

    def limit(own: Decimal | None, otherwise: Decimal) -> Decimal:
        exchange = story.settings.exchange(story.account.currency)
        return otherwise if own is None else exchange.amount(own, story.template.currency)

    for grant_id, amount in given_by_grant.items():
        assert amount <= limit(promotions[grant_id].max_total, amount)
    for (grant_id, _), amount in given_in_period.items():
        worth = promotions[grant_id].worth
        assert amount <= limit(promotions[grant_id].max_per_period, amount)
        assert amount <= limit(worth.amount if isinstance(worth, FixedAmount) else None, amount)
