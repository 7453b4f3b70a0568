"""Published and reckoned cases about what is paid by time, each as a story (see `tests.story`)."""

from typing import Final

CASES: Final = {
    "case 35 (R4.4, R6.1): a part of the standing charge": """
        template standing_charge=20
        attach 2024-01-17
        rate 2024-01-01 2024-02-01
        -> STANDING_CHARGE 9.68 20x15/31
    """,
    "case 36 (R6.2): below the minimum": """
        aggregation calls SUM calls
        price calls 0:1 minimum=100
        use 2024-06-03 calls=60
        rate 2024-06-01 2024-07-01
        -> USAGE 60.00
        -> MINIMUM_SPEND 40.00
    """,
    "case 36 (R6.2): at the minimum": """
        aggregation calls SUM calls
        price calls 0:1 minimum=100
        use 2024-06-03 calls=100
        rate 2024-06-01 2024-07-01
        -> USAGE 100.00
    """,
    "case 36 (R6.2): above the minimum": """
        aggregation calls SUM calls
        price calls 0:1 minimum=100
        use 2024-06-03 calls=130
        rate 2024-06-01 2024-07-01
        -> USAGE 130.00
    """,
    "case 47 (R8.2, R8.3): a level rises, not prorated": """
        counter seats
        price seats 0:2 20:3 whole_debit
        level seats 2024-06-01 15
        level seats 2024-06-15 18
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 30.00 15x2
        -> COUNTER_ADJUSTMENT_DEBIT 6.00 3x2
    """,
    "case 48 (R8.3): a level rises, prorated": """
        counter seats
        price seats 0:2 20:3
        level seats 2024-06-01 15
        level seats 2024-06-15 18
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 30.00 15x2
        -> COUNTER_ADJUSTMENT_DEBIT 3.20 6x16/30
    """,
    "case 49 (R8.3): bands look at the whole level, not prorated": """
        counter seats
        price seats 0:2 20:3 whole_debit
        level seats 2024-06-01 18
        level seats 2024-07-10 22
        rate 2024-07-01 2024-08-01
        -> COUNTER_RUNNING_TOTAL 36.00 18x2
        -> COUNTER_ADJUSTMENT_DEBIT 10.00 F(22)-F(18) = 46-36
    """,
    "case 49 and 50 (R8.3): up and down, prorated": """
        counter seats
        price seats 0:2 20:3
        level seats 2024-06-01 18
        level seats 2024-07-10 22
        level seats 2024-07-20 17
        rate 2024-07-01 2024-08-01
        -> COUNTER_RUNNING_TOTAL 36.00 18x2
        -> COUNTER_ADJUSTMENT_DEBIT 7.10 10x22/31
        -> COUNTER_ADJUSTMENT_CREDIT -4.65 -12x12/31
    """,
    "case 50 (R8.3): down, not prorated": """
        counter seats
        price seats 0:2 20:3 whole_credit
        level seats 2024-06-01 22
        level seats 2024-07-20 17
        rate 2024-07-01 2024-08-01
        -> COUNTER_RUNNING_TOTAL 46.00 20x2 + 2x3
        -> COUNTER_ADJUSTMENT_CREDIT -12.00 F(17)-F(22) = 34-46
    """,
    "case 52 (R1.2, R8.2): storage by use, licences by a counter": """
        aggregation storage SUM size
        counter licences
        price storage 0:0.5 50:0.4
        price licences 0:20 10:15
        attach 2024-07-01 2025-07-01
        level licences 2024-07-01 15
        use 2024-07-10 size=50
        use 2024-07-20 size=20
        rate 2024-07-01 2024-08-01
        -> USAGE 33.00 50x.5 + 20x.4
        -> COUNTER_RUNNING_TOTAL 275.00 10x20 + 5x15
    """,
    "case 75 (R4.4): 23 local days of 31, across the clock change": """
        zone America/New_York
        template standing_charge=31
        attach 2024-03-09
        rate 2024-03-01 2024-04-01
        -> STANDING_CHARGE 23.00 31x23/31
    """,
    "case 76 (R4.4): days are local dates": """
        template standing_charge=31
        attach 2024-01-17T10:00 2024-01-20T09:00
        rate 2024-01-01 2024-02-01
        -> STANDING_CHARGE 3.00 31x3/31
    """,
    "case 77 (R4.2): months from an epoch on the 31st": """
        settings month_epoch=2024-01-31
        template standing_charge=60
        attach 2024-01-31
        rate 2024-01-31 2024-04-30
        -> STANDING_CHARGE 60.00 to Feb 29
        -> STANDING_CHARGE 60.00 to Mar 31
        -> STANDING_CHARGE 60.00 to Apr 30
    """,
    "case 84 (R6.2): a plan is replaced, each has its half of the minimum": """
        plan first minimum_spend=100
        plan second minimum_spend=100
        aggregation calls SUM calls
        price calls 0:1 on=template
        attach 2024-06-01 2024-06-16 plan=first
        attach 2024-06-16 plan=second
        use 2024-06-03 calls=10
        use 2024-06-20 calls=60
        rate 2024-06-01 2024-07-01
        -> USAGE 10.00
        -> USAGE 60.00
        -> MINIMUM_SPEND 40.00 100x15/30 - 10
    """,
    "case 86 (R8.2): the price changes under 10 seats": """
        counter seats
        price seats 0:2 to=2024-06-16
        price seats 0:3 from=2024-06-16
        level seats 2024-06-01 10
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 10.00 10x2x15/30
        -> COUNTER_RUNNING_TOTAL 15.00 10x3x15/30
    """,
    "case 86, not prorated (R8.2)": """
        counter seats
        price seats 0:2 to=2024-06-16 whole_total
        price seats 0:3 from=2024-06-16 whole_total
        level seats 2024-06-01 10
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 20.00 10x2, once
    """,
    "an adjustment on the day at whose ten o'clock the price changes (R8.3), nothing prorated": """
        counter seats
        price seats 0:1 to=2024-06-16T10:00 whole_total whole_debit
        price seats 0:3 from=2024-06-16T10:00 whole_total whole_debit
        level seats 2024-06-01 10
        level seats 2024-06-16 14
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 10.00
        -> COUNTER_ADJUSTMENT_DEBIT 12.00 4x3
    """,
    "a day that a zone skips (R4.2, R6.1) is no period": """
        zone Pacific/Apia
        template frequency=DAILY standing_charge=1
        attach 2011-12-29 2012-01-02
        rate 2011-12-01 2012-02-01
        -> STANDING_CHARGE 1.00 December 29
        -> STANDING_CHARGE 1.00 December 31
        -> STANDING_CHARGE 1.00 January 1
    """,
    "some hours of a day (R4.4, R6.1, R6.2) are no day": """
        template standing_charge=30 minimum_spend=60 maximum_spend=90
        counter seats
        aggregation calls SUM calls
        price seats 0:1
        price calls 0:1 maximum=20
        level seats 2024-06-01 30
        use 2024-06-10T12:00 calls=50
        rate 2024-06-10T10:00 2024-06-10T15:00
        -> USAGE 50.00
    """,
    "case 87 (R8.3): 10 more for half of the month": """
        counter seats
        price seats 0:1
        level seats 2024-06-01 10
        level seats 2024-06-16 20
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 10.00
        -> COUNTER_ADJUSTMENT_DEBIT 5.00 10x15/30
    """,
}
