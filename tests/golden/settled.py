"""Stories of what is taken off, bought, paid before, or brought into another currency; and one of everything."""

from typing import Final

from tests.golden.told import TIERS, Told

STORIES: Final[dict[str, Told]] = {
    "trial_to_mid_month": Told(
        """
        aggregation calls SUM n
        price calls 0:1
        attach 2024-06-01 trial=2024-06-16
        use 2024-06-03 n=100
        use 2024-06-20 n=50
        """,
        "2024-07-01",
        "50.00",
        ["150.00", "-100.00 before June 16"],
    ),
    "promotion_used_up": Told(
        """
        aggregation calls SUM n
        price calls 0:1
        promotion half 50% total=80
        grant half 2024-06-01
        attach 2024-06-01
        use 2024-06-03 n=100
        use 2024-07-03 n=140
        """,
        "2024-08-01",
        "110.00",
        ["140.00", "-30.00: half would be 70.00, but 50.00 of 80.00 were given in June"],
        earlier=["2024-07-01"],
    ),
    "promotions_one_after_the_other": Told(
        """
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1 id=a
        price b 0:1 id=b
        promotion tenth 10% price=a
        promotion fifth 20%
        promotion welcome 50
        grant tenth 2024-06-01
        grant fifth 2024-06-01
        grant welcome 2024-06-01
        attach 2024-06-01
        use 2024-06-03 a=200
        use 2024-06-04 b=300
        """,
        "2024-07-01",
        "334.00",
        ["200.00 - 20.00 + 300.00 = 480.00", "x 0.8 = 384.00", "- 50.00"],
    ),
    "group_of_plans": Told(
        """
        plan gold minimum_spend=60
        group both plan,gold minimum=100
        aggregation calls SUM n
        price calls 0:1 on=template
        attach 2024-06-01 2024-06-16
        attach 2024-06-16 plan=gold
        use 2024-06-03 n=20
        use 2024-06-20 n=10
        """,
        "2024-07-01",
        "100.00",
        ["20.00", "10.00, and 20.00 up to the half month's minimum of gold", "50.00 up to the group's 100.00"],
    ),
    "three_currencies": Told(
        f"""
        settings rates=USD:JPY:151.33,EUR:JPY:162.5
        account currency=JPY
        aggregation calls SUM n
        {TIERS}
        promotion welcome 10
        grant welcome 2024-06-01
        attach 2024-06-01
        use 2024-06-03 n=700
        """,
        "2024-07-01",
        "16926",
        [
            "95.00 USD x 151.33 = 14,376.35: 14,376",
            "5.00 EUR x 162.5 = 812.5: 813, and the setup fee of 20.00 EUR x 162.5 = 3,250",
            "10.00 USD off x 151.33 = 1,513.3: -1,513",
        ],
        add_on='{"id": "pack", "setup_fee": "20", "flat_price": "5", "currency": "EUR", "name": "Pack"}',
    ),
    "commitment_used_up_in_month_five": Told(
        """
        aggregation calls SUM n
        price calls 0:0.46
        commitment year 15000 2024-01-01 2025-01-01 every=1 surcharge=1
        attach 2024-01-01
        use 2024-01-03 n=7000
        use 2024-02-03 n=7000
        use 2024-03-03 n=7000
        use 2024-04-03 n=7000
        use 2024-05-03 n=7000
        """,
        "2024-06-01",
        "2361.00",
        [
            "Four months at 7,000 x 0.46 = 3,220.00 leave 15,000 - 12,880 = 2,120.00",
            "3,220.00 in May: 2,120.00 are paid, 1,100.00 are overage, and 1 % of that is 11.00",
            "the fee: 15,000 / 12 = 1,250.00",
        ],
        earlier=["2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"],
    ),
    "every_kind_of_line_item": Told(
        """
        template standing_charge=20 minimum_spend=300
        aggregation calls SUM n
        aggregation gifts SUM gift
        aggregation flat SUM flat
        aggregation early SUM early
        counter seats
        price calls 0:1 id=calls
        price gifts 0:1 as=PRODUCT_CREDIT
        price flat 0:1 maximum=30
        price early 0:1 minimum=40 minimum_in_advance
        price seats 0:1
        promotion tenth 10%
        grant tenth 2024-06-01
        level seats 2024-06-01 10
        level seats 2024-06-16 14
        level seats 2024-06-21 8
        commitment prepaid 150 2024-06-01 2025-06-01 fee=2024-06-15:25 surcharge=10 kinds=USAGE
        balance extra 2024-06-01 2025-06-01 put=2024-06-05:20/1 kinds=PURCHASE,COUNTER_RUNNING_TOTAL
        attach 2024-06-01
        use 2024-06-03 n=100
        use 2024-06-03 gift=15
        use 2024-06-03 flat=50
        use 2024-06-03 early=95
        """,
        "2024-07-01",
        "",
        ["June in arrears, and in advance what July begins with: the level of the counter, and a minimum"],
        earlier=["2024-06-01"],
        add_on='{"id": "pack", "setup_fee": "20", "flat_price": "5", "currency": "USD", "name": "Pack"}',
        charges=[("visit", "2024-06-10", "80")],
    ),
}
