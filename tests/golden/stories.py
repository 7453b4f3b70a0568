"""The stories of golden bills: each says what happens, on which day a bill is made, and what it must come to, reckoned.

They are told in the language of `tests.story`. What is not in it (purchases, charges) is said apart.
"""

from typing import Final

from tests.golden import families, settled
from tests.golden.told import TIERS, Told

STORIES: Final[dict[str, Told]] = {
    "hybrid": Told(
        """
        aggregation storage SUM gb
        counter licences
        price storage 0:0.5 50:0.4
        price licences 0:20 10:15 total_in_arrears
        level licences 2024-07-01 15
        attach 2024-07-01
        use 2024-07-03 gb=50
        use 2024-07-20 gb=20
        """,
        "2024-08-01",
        "308.00",
        ["50 x 0.50 + 20 x 0.40 = 33.00", "10 x 20 + 5 x 15 = 275.00"],
    ),
    "price_change_in_mid_month": Told(
        """
        aggregation calls SUM n
        price calls 0:.10 to=2024-06-16
        price calls 0:.12 from=2024-06-16
        attach 2024-06-01
        use 2024-06-03 n=100
        use 2024-06-20 n=200
        """,
        "2024-07-01",
        "34.00",
        ["100 x 0.10 = 10.00 before the change", "200 x 0.12 = 24.00 after it"],
    ),
    "plan_replaced_in_mid_month": Told(
        """
        template minimum_spend=100
        plan gold minimum_spend=100
        aggregation calls SUM n
        price calls 0:1 on=template
        attach 2024-06-01 2024-06-16
        attach 2024-06-16 plan=gold
        use 2024-06-03 n=10
        use 2024-06-20 n=60
        """,
        "2024-07-01",
        "110.00",
        ["10.00, and 40.00 up to the half month's minimum of 50.00", "60.00, above its half of 50.00"],
    ),
    "override_for_ten_days": Told(
        """
        aggregation calls SUM n
        price calls 0:1 on=template
        price calls 0:2 from=2024-06-10 to=2024-06-20
        attach 2024-06-01
        use 2024-06-05 n=10
        use 2024-06-15 n=10
        use 2024-06-25 n=10
        """,
        "2024-07-01",
        "40.00",
        ["10 x 1 = 10.00", "10 x 2 = 20.00 while the plan's own price is in force", "10 x 1 = 10.00"],
    ),
    "top_up_sixth_month": Told(
        """
        aggregation gb SUM gb
        price gb 0:2000/2000 accumulate
        attach 2024-07-01 2025-07-01
        use 2024-07-03 gb=2800
        use 2024-08-03 gb=2500
        use 2024-09-03 gb=1000
        use 2024-11-03 gb=3400
        use 2024-12-03 gb=5000
        """,
        "2025-01-01",
        "6000.00",
        ["14,700 used of 16,000 owned: 8 blocks, of which 5 were paid before: 3 x 2000"],
        earlier=["2024-08-01", "2024-09-01", "2024-10-01", "2024-11-01", "2024-12-01"],
    ),
    "top_up_of_a_year_in_one_bill": Told(
        """
        template frequency=ANNUALLY
        aggregation gb SUM gb
        price gb 0:25+0 100:20+0 1000:15+0 accumulate
        attach 2024-01-01
        use 2024-02-03 gb=60
        use 2024-05-03 gb=50
        use 2024-09-03 gb=900
        """,
        "2025-01-01",
        "60.00",
        ["1,010 used: the steps of 25, 20 and 15"],
    ),
    "retroactive_volume_gives_back": Told(
        """
        aggregation calls SUM n
        price calls 0:.10 1000:.05 volume accumulate=RETROACTIVE
        attach 2024-06-01
        use 2024-06-03 n=900
        use 2024-07-03 n=200
        """,
        "2024-08-01",
        "-35.00",
        ["1,100 x 0.05 = 55.00, less 90.00 that June was charged"],
        earlier=["2024-07-01"],
    ),
    "credit_that_hits_its_cap": Told(
        """
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1
        price b 0:1 as=GLOBAL_CREDIT
        attach 2024-06-01
        use 2024-06-03 a=50
        use 2024-06-04 b=70
        """,
        "2024-07-01",
        "0.00",
        ["50.00", "-50.00: of a credit of 70.00 there are 20.00 that nothing is left for"],
    ),
    "leap_february_with_daylight_saving": Told(
        """
        zone America/New_York
        template standing_charge=31
        attach 2024-03-09
        """,
        "2024-04-01",
        "23.00",
        ["23 local days of 31, across the change of the clocks"],
    ),
    "leap_february_prorated": Told(
        """
        zone Europe/Berlin
        template standing_charge=29
        aggregation calls SUM n
        price calls 0:1
        attach 2024-02-10
        use 2024-02-29T23:30 n=2
        """,
        "2024-03-01",
        "22.00",
        ["2 x 1 = 2.00 in the last hour of February 29", "20 of 29 days: 20.00"],
    ),
    "yen_have_no_cents": Told(
        """
        template currency=JPY
        aggregation calls SUM n
        price calls 0:0.335
        attach 2024-06-01
        use 2024-06-03 n=1000
        use 2024-06-04 n=7
        """,
        "2024-07-01",
        "337",
        ["1,007 x 0.335 = 337.345"],
    ),
    "late_usage_is_a_correction": Told(
        f"""
        aggregation calls SUM n
        {TIERS}
        attach 2024-06-01
        use 2024-06-03 n=400
        """,
        "2024-08-01",
        "35.00",
        ["700 calls in June: 95.00, of which 60.00 were billed on July 1"],
        earlier=["2024-07-01"],
        late="use 2024-06-30 n=300",
    ),
    "missed_runs": Told(
        f"""
        aggregation calls SUM n
        {TIERS}
        attach 2024-06-01
        use 2024-06-03 n=400
        use 2024-07-03 n=700
        """,
        "2024-09-01",
        "155.00",
        ["June, never billed: 60.00", "July, never billed: 95.00", "August: nothing was used"],
    ),
    "in_advance": Told(
        """
        template standing_charge=20 standing_charge_in_advance=yes minimum_spend=1000 minimum_spend_in_advance=yes
        aggregation calls SUM n
        counter seats
        price calls 0:1
        price seats 0:2
        level seats 2024-06-01 15
        attach 2024-06-01 2024-07-01
        use 2024-06-03 n=800
        """,
        "2024-07-01",
        "-30.00",
        ["800.00", "-830.00: what was spent, seats included, of the minimum that June 1 was billed"],
        earlier=["2024-06-01"],
    ),
    "seats_added_and_taken_away": Told(
        """
        counter seats
        price seats 0:2 20:3
        level seats 2024-07-01 18
        level seats 2024-07-10 22
        level seats 2024-07-20 17
        attach 2024-07-01
        """,
        "2024-08-01",
        "36.45",
        [
            "August in advance: 17 x 2 = 34.00",
            "July 10: F(22) - F(18) = 46 - 36 = 10, x 22/31 = 7.10",
            "July 20: F(17) - F(22) = 34 - 46 = -12, x 12/31 = -4.65",
        ],
        earlier=["2024-07-01"],
    ),
    "segments_and_wildcards": Told(
        """
        aggregation gb SUM gb by=region
        price gb 0:1 segment=eu
        price gb 0:2 4:1 segment=*
        attach 2024-06-01
        use 2024-06-03 gb=5 region=eu
        use 2024-06-03 gb=3 region=us
        use 2024-06-03 gb=2 region=ap
        """,
        "2024-07-01",
        "15.00",
        ["ap: 2 x 2 = 4.00", "us: 3 x 2 = 6.00, bands of its own", "eu: 5 x 1 = 5.00"],
    ),
    "compound_of_two_aggregations": Told(
        """
        aggregation requests SUM n
        aggregation apps MAX apps
        compound beyond = requests - apps * 100
        price beyond 0:.5
        attach 2024-06-01
        use 2024-06-03 n=1000 apps=3
        use 2024-06-20 n=250 apps=2
        """,
        "2024-07-01",
        "475.00",
        ["1,250 - 3 x 100 = 950, x 0.50"],
    ),
    **settled.STORIES,
    **families.STORIES,
}
