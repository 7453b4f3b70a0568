"""Cases of this project's own: periods asked that cut windows, credits, spends, defaults, and usage nobody prices."""

from typing import Final

CASES: Final = {
    "case 37 (R6.3): a minimum in advance, not reached": """
        template minimum_spend=1000 minimum_spend_in_advance=yes
        aggregation calls SUM n
        price calls 0:1
        attach 2024-06-01
        use 2024-06-03 n=800
        rate 2024-06-01 2024-07-01
        -> USAGE 800.00
        -> MINIMUM_SPEND 1000.00
        -> MINIMUM_SPEND_REFUND -800.00 what was spent of it
    """,
    "case 37 (R6.3): a pricing's minimum in advance, exceeded": """
        settings minimum_spend_in_advance=yes
        aggregation calls SUM n
        price calls 0:1 minimum=1000
        attach 2024-06-01
        use 2024-06-03 n=1200
        rate 2024-06-01 2024-07-01
        -> USAGE 1200.00
        -> MINIMUM_SPEND 1000.00
        -> MINIMUM_SPEND_REFUND -1000.00 all of it
    """,
    "R6.3: nothing is refunded of a minimum that nothing was spent of": """
        template minimum_spend=300 minimum_spend_in_advance=yes
        attach 2024-06-16
        rate 2024-06-01 2024-07-01
        -> MINIMUM_SPEND 150.00 15 of 30 days
    """,
    "case 38 (R6.4): a product credit is capped at the product": """
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1
        price b 0:1 as=PRODUCT_CREDIT
        use 2024-06-03 a=40 b=60
        rate 2024-06-01 2024-07-01
        -> USAGE 40.00
        -> USAGE_CREDIT -40.00
    """,
    "case 39 (R6.4): a global credit of 60 is capped at the bill": """
        aggregation a SUM a
        aggregation b SUM b
        aggregation c SUM c
        price a 0:1
        price b 0:1
        price c 0:1 as=GLOBAL_CREDIT
        use 2024-06-03 a=40 b=30 c=60
        rate 2024-06-01 2024-07-01
        -> USAGE 40.00
        -> USAGE 30.00
        -> USAGE_CREDIT -60.00
    """,
    "case 39 (R6.4): a global credit of 100 is capped at the bill": """
        aggregation a SUM a
        aggregation b SUM b
        aggregation c SUM c
        price a 0:1
        price b 0:1
        price c 0:1 as=GLOBAL_CREDIT
        use 2024-06-03 a=40 b=30 c=100
        rate 2024-06-01 2024-07-01
        -> USAGE 40.00
        -> USAGE 30.00
        -> USAGE_CREDIT -70.00
    """,
    "credits (R6.4): product before global, then by pricing id, until nothing is left": """
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1 minimum=50
        price b 0:0.1 id=y as=GLOBAL_CREDIT from=2024-06-01 to=2024-06-10
        price b 0:0.2 id=x as=GLOBAL_CREDIT from=2024-06-10 to=2024-06-20
        price b 0:1 id=z as=PRODUCT_CREDIT from=2024-06-20
        use 2024-06-03 a=40 b=200
        use 2024-06-15 b=100
        use 2024-06-25 b=20
        rate 2024-06-01 2024-07-01
        -> USAGE 40.00
        -> MINIMUM_SPEND 10.00 50-40
        -> USAGE_CREDIT -20.00 z
        -> USAGE_CREDIT -20.00 x
        -> USAGE_CREDIT -10.00 y, capped: 50-20-20
    """,
    "the second half of a window (R12.1): F(450) - F(200)": """
        aggregation calls SUM calls
        price calls 0:0.20 300:0.12
        use 2024-06-03 calls=200
        use 2024-06-20 calls=250
        rate 2024-06-16 2024-07-01
        -> USAGE 38.00 78-40
    """,
    "a window of which nothing is new (R12.1) still shows both ends": """
        aggregation calls SUM calls
        price calls 0:1
        use 2024-06-03 calls=200
        rate 2024-06-16 2024-07-01
        -> USAGE 0.00
    """,
    "a window that loses its quantity (R2.5, R12.1) gives back what it had come to": """
        aggregation a SUM a
        aggregation b SUM b
        compound ratio = a / b
        price ratio 0:1
        use 2024-06-03 a=10 b=2
        use 2024-06-20 b=-2
        rate 2024-06-16 2024-07-01
        -> USAGE -5.00 none less 10/2
    """,
    "no usage, no line item (R2.3)": """
        aggregation calls SUM calls
        price calls 0:1
        rate 2024-06-01 2024-07-01
    """,
    "a default quantity (R2.3) without usage, for each window of its own": """
        aggregation calls SUM calls default=3
        price calls 0:1 to=2024-06-16
        price calls 0:2 from=2024-06-16
        rate 2024-06-01 2024-07-01
        -> USAGE 3.00
        -> USAGE 6.00
    """,
    "a combination of a wildcard without a value has no default (R2.3)": """
        aggregation storage SUM size by=region default=3
        price storage 0:1 segment=*
        use 2024-06-03 region=eu
        use 2024-06-03 size=2 region=us
        rate 2024-06-01 2024-07-01
        -> USAGE 2.00
    """,
    "zero is charged (R1.4) without usage, once, but not for the combinations of a wildcard": """
        aggregation calls SUM calls
        aggregation storage SUM size by=region
        price calls volume charge_zero 0:12+0 4:25+0
        price storage segment=* volume charge_zero 0:7+0
        rate 2024-06-01 2024-07-01
        -> USAGE 12.00
    """,
    "zero is charged (R1.4) under a pooled wildcard": """
        aggregation storage SUM size by=region
        price storage segment=* pool charge_zero 0:7+0
        rate 2024-06-01 2024-07-01
        -> USAGE 7.00
    """,
    "one line item for each bill period (R4.2), and parts of weeks": """
        template frequency=WEEKLY
        aggregation calls SUM calls
        price calls 0:1
        attach 2024-06-05
        use 2024-06-05 calls=1
        use 2024-06-10 calls=2
        use 2024-06-16T23:59:59 calls=4
        use 2024-06-17 calls=8
        rate 2024-06-01 2024-07-01
        -> USAGE 1.00 from the 5th, a Wednesday
        -> USAGE 6.00 from Monday the 10th
        -> USAGE 8.00 from Monday the 17th
    """,
    "case 85 (R6.1): every two periods from the second on; five months": """
        template standing_charge=20 standing_charge_interval=2 standing_charge_offset=1
        attach 2024-01-01
        rate 2024-01-01 2024-06-01
        -> STANDING_CHARGE 20.00 February and March
        -> STANDING_CHARGE 20.00 April and May
    """,
    "one of two months of a standing charge (R6.1)": """
        template standing_charge=60 standing_charge_interval=2
        attach 2024-01-01
        rate 2024-02-01 2024-03-01
        -> STANDING_CHARGE 29.00 60x29/60
    """,
    "the plan's terms over the template's, 0 included (R3.1)": """
        template standing_charge=20 minimum_spend=50
        plan plan standing_charge=0 minimum_spend=30
        rate 2024-06-01 2024-07-01
        -> MINIMUM_SPEND 30.00
    """,
    "inner first (R6.2): the pricing's minimum counts for the plan's, the standing charge does not": """
        template standing_charge=500 minimum_spend=150
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1 minimum=100
        price b 0:1
        use 2024-06-03 a=60 b=20
        rate 2024-06-01 2024-07-01
        -> USAGE 60.00
        -> USAGE 20.00
        -> STANDING_CHARGE 500.00
        -> MINIMUM_SPEND 40.00 100-60
        -> MINIMUM_SPEND 30.00 150-60-20-40
    """,
    "maximum spends (R6.2) of a pricing and of the plan": """
        template maximum_spend=120
        aggregation a SUM a
        counter seats
        price a 0:1 maximum=100
        price seats 0:1
        level seats 2024-01-01 50
        use 2024-06-03 a=160
        rate 2024-06-01 2024-07-01
        -> USAGE 160.00
        -> COUNTER_RUNNING_TOTAL 50.00
        -> MAXIMUM_SPEND -60.00
        -> MAXIMUM_SPEND -30.00 120-160-50+60
    """,
    "a minimum (R6.2) of a pricing in force for 20 of 30 days, all combinations together": """
        aggregation storage SUM size by=region
        price storage segment=* 0:1 minimum=90 from=2024-06-11
        use 2024-06-12 size=10 region=eu
        use 2024-06-12 size=20 region=us
        rate 2024-06-01 2024-07-01
        -> USAGE 10.00
        -> USAGE 20.00
        -> MINIMUM_SPEND 30.00 90x20/30 - 30
    """,
    "a minimum (R6.2) of a template's pricing that is overridden for ten days": """
        aggregation calls SUM calls
        price calls 0:1 on=template minimum=90
        price calls 0:2 from=2024-06-11 to=2024-06-21
        use 2024-06-05 calls=10
        use 2024-06-15 calls=10
        use 2024-06-25 calls=10
        rate 2024-06-01 2024-07-01
        -> USAGE 10.00
        -> USAGE 20.00
        -> USAGE 10.00
        -> MINIMUM_SPEND 40.00 90x20/30 - 10 - 10
    """,
    "a counter's days in the part asked (R8.2, R8.3, R12.1)": """
        counter seats
        price seats 0:3
        level seats 2024-06-01 10
        level seats 2024-06-11 20
        rate 2024-06-06 2024-06-21
        -> COUNTER_RUNNING_TOTAL 15.00 10x3x15/30
        -> COUNTER_ADJUSTMENT_DEBIT 10.00 10x3x10/30
    """,
    "an unprorated running total (R8.2) belongs to the instant at which its window begins": """
        counter seats
        price seats 0:3 whole_total
        level seats 2024-06-01 10
        attach 2024-06-04
        rate 2024-06-05 2024-07-01
    """,
    "an unprorated running total (R8.2) of a part of a month": """
        counter seats
        price seats 0:3 whole_total
        level seats 2024-06-01 10
        attach 2024-06-04 2024-06-10
        rate 2024-06-01 2024-06-05
        -> COUNTER_RUNNING_TOTAL 30.00
    """,
    "a level that changes on the day of a new price (R8.2, R8.3) is charged also if totals are not prorated": """
        counter seats
        price seats 0:2 to=2024-06-16 whole_total
        price seats 0:3 from=2024-06-16 whole_total
        level seats 2024-06-01 10
        level seats 2024-06-16 12
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 20.00 10x2
        -> COUNTER_ADJUSTMENT_DEBIT 3.00 2x3x15/30
    """,
    "usage that no pricing takes (R3.5), in time and in segment": """
        aggregation calls SUM calls
        aggregation storage SUM size by=region
        price calls 0:1 from=2024-06-16
        price storage segment=eu 0:1
        use 2024-06-03 calls=7 size=2 region=us
        use 2024-06-20 calls=5 size=3 region=eu
        use 2024-06-21 size=4
        rate 2024-06-01 2024-07-01
        -> USAGE 5.00
        -> USAGE 3.00
        unpriced calls 7
        unpriced storage 4
        unpriced storage 2
    """,
    "usage outside attachments (R3.5)": """
        aggregation calls SUM calls
        price calls 0:1
        attach 2024-06-10 2024-06-20
        use 2024-06-03 calls=7 times=3
        use 2024-06-15 calls=5
        use 2024-06-20 calls=5
        rate 2024-06-01 2024-07-01
        -> USAGE 5.00
        unattached meter 3
        unattached meter 1
    """,
    "three lines of 0.335 (R1.7) are rounded before they are added": """
        aggregation a SUM a
        aggregation b SUM b
        aggregation c SUM c
        price a 0:0.335
        price b 0:0.335
        price c 0:0.335
        use 2024-06-03 a=1 b=1 c=1
        rate 2024-06-01 2024-07-01
        -> USAGE 0.34
        -> USAGE 0.34
        -> USAGE 0.34
    """,
    "rounding as the settings say (R1.7, R3.7), in a currency without a minor unit": """
        settings rounding_mode=HALF_EVEN
        template currency=JPY
        aggregation calls SUM calls
        price calls 0:0.5
        use 2024-06-03 calls=5
        rate 2024-06-01 2024-07-01
        -> USAGE 2 2.5 to the even digit
    """,
    "filters and derived fields (R2.1, R2.2)": """
        derived cost = size * rate
        aggregation spent SUM cost where=region:eu,us
        price spent 0:1
        use 2024-06-03 size=2 rate=3 region=eu
        use 2024-06-03 size=2 rate=5 region=us
        use 2024-06-03 size=2 rate=7 region=ap
        use 2024-06-03 size=2 region=eu
        rate 2024-06-01 2024-07-01
        -> USAGE 16.00 2x3 + 2x5
    """,
    "a compound (R2.5) whose operand has no quantity has none, unless null counts as zero": """
        aggregation a SUM a
        aggregation b SUM b
        compound strict = a - b
        compound lenient null_as_zero = a - b
        price strict 0:1
        price lenient 0:1
        use 2024-06-03 a=5
        rate 2024-06-01 2024-07-01
        -> USAGE 5.00
    """,
    "distinct users (R2.2), the same one in both halves of the window": """
        aggregation users UNIQUE user
        price users 0:1
        use 2024-06-03 user=x
        use 2024-06-20 user=x
        use 2024-06-21 user=y
        rate 2024-06-01 2024-07-01
        -> USAGE 2.00
    """,
    "least, greatest, mean (R2.2)": """
        aggregation a MIN a
        aggregation b MAX a
        aggregation c MEAN a
        price a 0:1
        price b 0:1
        price c 0:1
        use 2024-06-03 a=5
        use 2024-06-04 a=2
        use 2024-06-05 a=4
        rate 2024-06-01 2024-07-01
        -> USAGE 2.00
        -> USAGE 5.00
        -> USAGE 3.67 11/3
    """,
}
