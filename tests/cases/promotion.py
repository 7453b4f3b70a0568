"""Published and reckoned cases about promotions and trials, each as a story (see `tests.story`)."""

from typing import Final

CASES: Final = {
    "case 59 (R9.1): graduated percentages": """
        aggregation calls SUM calls
        price calls 0:1
        promotion upward 0:10% 500:15%
        grant upward 2024-06-01
        use 2024-06-03 calls=800
        rate 2024-06-01 2024-07-01
        -> USAGE 800.00
        -> PROMOTION -95.00 500x10% + 300x15%
    """,
    "case 60 (R9.2): pricing before plan, percentage before fixed": """
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1 id=a
        price b 0:1 id=b
        promotion fixed 50
        promotion fifth 20%
        promotion tenth 10% price=a
        grant fixed 2024-06-01
        grant fifth 2024-06-01
        grant tenth 2024-06-01
        use 2024-06-03 a=200 b=300
        rate 2024-06-01 2024-07-01
        -> USAGE 200.00
        -> USAGE 300.00
        -> PROMOTION -20.00 200x10%
        -> PROMOTION -96.00 480x20%
        -> PROMOTION -50.00
    """,
    "case 61 (R9.1): the standing charge too": """
        template standing_charge=50
        aggregation calls SUM calls
        price calls 0:1
        promotion fifth 20%
        grant fifth 2024-06-01
        use 2024-06-03 calls=100
        rate 2024-06-01 2024-07-01
        -> USAGE 100.00
        -> STANDING_CHARGE 50.00
        -> PROMOTION -30.00 150x20%
    """,
    "case 88 (R9.1): at most 80 in all": """
        aggregation calls SUM calls
        price calls 0:1
        promotion half 50% total=80
        grant half 2024-06-01
        use 2024-06-03 calls=100
        use 2024-07-03 calls=140
        use 2024-08-03 calls=100
        rate 2024-06-01 2024-09-01
        -> USAGE 100.00
        -> USAGE 140.00
        -> USAGE 100.00
        -> PROMOTION -50.00
        -> PROMOTION -30.00 80-50
    """,
    "case 88, July alone (R9.1): what June was given counts": """
        aggregation calls SUM calls
        price calls 0:1
        promotion half 50% total=80
        grant half 2024-06-01
        attach 2024-06-01
        use 2024-06-03 calls=100
        use 2024-07-03 calls=140
        rate 2024-07-01 2024-08-01
        -> USAGE 140.00
        -> PROMOTION -30.00 80-50
    """,
    "case 88, under an attachment that is over (R9.1)": """
        aggregation calls SUM calls
        price calls 0:1
        promotion half 50% total=80
        grant half 2024-06-01
        attach 2024-06-01 2024-07-01
        attach 2024-07-01
        use 2024-06-03 calls=100
        use 2024-07-03 calls=140
        rate 2024-07-01 2024-08-01
        -> USAGE 140.00
        -> PROMOTION -30.00 80-50
    """,
    "what was given is reckoned by whole bill periods (R9.1), though the grant begins inside one": """
        template maximum_spend=60
        aggregation calls SUM calls
        price calls 0:1
        promotion half 50% total=35
        grant half 2024-06-16
        attach 2024-06-01
        use 2024-06-03 calls=100
        use 2024-06-20 calls=50
        use 2024-07-03 calls=100
        rate 2024-07-01 2024-08-01
        -> USAGE 100.00
        -> MAXIMUM_SPEND -40.00
        -> PROMOTION -25.00 35 less 50 % of 60x50/150
    """,
    "case 91 (R9.3): a trial takes off what lies before its end": """
        aggregation calls SUM calls
        price calls 0:1
        attach 2024-06-01 trial=2024-06-16
        use 2024-06-03 calls=100
        use 2024-06-20 calls=50
        rate 2024-06-01 2024-07-01
        -> USAGE 150.00
        -> PROMOTION -100.00
    """,
    "a trial (R9.3) takes off the days before its end, minimum and standing charge included": """
        template standing_charge=30 minimum_spend=60
        attach 2024-06-01 trial=2024-06-11
        promotion half 50%
        grant half 2024-06-01
        rate 2024-06-01 2024-07-01
        -> STANDING_CHARGE 30.00
        -> MINIMUM_SPEND 60.00
        -> PROMOTION -30.00 90x10/30
        -> PROMOTION -10.00 20x50%: no minimum
    """,
    "case 95 (R6.2, R9.1): promotions do not touch the minimum": """
        template minimum_spend=1000
        aggregation calls SUM calls
        price calls 0:1
        promotion fifth 20%
        grant fifth 2024-06-01
        use 2024-06-03 calls=600
        rate 2024-06-01 2024-07-01
        -> USAGE 600.00
        -> MINIMUM_SPEND 400.00
        -> PROMOTION -120.00
    """,
    "two bill periods from the one that holds the grant (R9.1), its part of the first": """
        aggregation calls SUM calls
        price calls 0:1
        promotion half 50% count=2
        grant half 2024-06-16
        use 2024-06-03 calls=20
        use 2024-06-20 calls=40
        use 2024-07-03 calls=60
        use 2024-08-03 calls=80
        rate 2024-06-01 2024-09-01
        -> USAGE 60.00
        -> USAGE 60.00
        -> USAGE 80.00
        -> PROMOTION -20.00 40x50%
        -> PROMOTION -30.00 60x50%
    """,
    "one combination of a wildcard (R2.4, R9.1), a limit for each period, and the end of a grant": """
        aggregation calls SUM calls by=region
        price calls 0:1 segment=* id=calls
        promotion half 50% price=calls segment=eu per_period=15
        grant half 2024-06-01 2024-07-16
        use 2024-06-03 calls=100 region=us
        use 2024-06-03 calls=40 region=eu
        use 2024-07-03 calls=20 region=eu
        use 2024-07-20 calls=10 region=eu
        rate 2024-06-01 2024-08-01
        -> USAGE 40.00
        -> USAGE 30.00
        -> USAGE 100.00
        -> PROMOTION -15.00 at most
        -> PROMOTION -10.00 20x50%
    """,
    "a fixed amount (R9.1) for each bill period, never below zero; the second half of a month gets what is left": """
        aggregation calls SUM calls
        price calls 0:1
        promotion welcome 50
        grant welcome 2024-06-01
        attach 2024-06-01
        use 2024-06-03 calls=30
        use 2024-06-20 calls=100
        use 2024-07-03 calls=40
        rate 2024-06-16 2024-08-01
        -> USAGE 100.00
        -> USAGE 40.00
        -> PROMOTION -20.00 50-30
        -> PROMOTION -40.00 all there is
    """,
    "usage that rose and fell (R7.3) leaves nothing to act on, whatever its halves were": """
        template standing_charge=30
        aggregation calls SUM calls
        price calls 0:1
        promotion half 50%
        grant half 2024-06-16
        use 2024-06-03 calls=-5
        use 2024-06-20 calls=5
        rate 2024-06-01 2024-07-01
        -> USAGE 0.00
        -> STANDING_CHARGE 30.00
        -> PROMOTION -7.50 15x50%
    """,
    "a part (R7.3) is never more than what is left of the whole": """
        aggregation calls SUM calls
        price calls volume 0:1 100:0.5
        promotion all 100%
        grant all 2024-06-01 2024-06-16
        use 2024-06-03 calls=100
        use 2024-06-20 calls=20
        rate 2024-06-01 2024-07-01
        -> USAGE 60.00 120x0.5
        -> PROMOTION -60.00 the first half came to 100
    """,
    "priority (R9.2) before kind; after credits, by shares of what they left": """
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1
        price b 0:1 as=GLOBAL_CREDIT
        promotion half 50%
        promotion welcome 30
        grant half 2024-06-01 priority=1
        grant welcome 2024-06-01
        use 2024-06-03 a=100 b=20
        rate 2024-06-01 2024-07-01
        -> USAGE 100.00
        -> USAGE_CREDIT -20.00
        -> PROMOTION -30.00
        -> PROMOTION -25.00 50x50%
    """,
}
