"""Published and reckoned cases about parents and children, each as a story (see `tests.story`)."""

from typing import Final

T: Final = """
        aggregation calls SUM calls
        price calls 0:0.15 500:0.10
"""

CASES: Final = {
    "case 57 (R11.1): usage of children is pooled and rated once": f"""
        {T}
        child a
        child b
        use 2024-06-03 calls=300 of=a
        use 2024-06-03 calls=400 of=b
        rate 2024-06-01 2024-07-01
        -> USAGE 95.00 500x.15 + 200x.10
    """,
    "case 57 (R11.1): a child on a plan of its own": f"""
        {T}
        child a
        child b
        attach 2024-01-01 of=a
        attach 2024-01-01 of=b
        use 2024-06-03 calls=300 of=a
        use 2024-06-03 calls=400 of=b
        rate 2024-06-01 2024-07-01 of=a
        -> USAGE 45.00 300x.15
    """,
    "case 57 (R11.1): another child on a plan of its own": f"""
        {T}
        child a
        child b
        attach 2024-01-01 of=a
        attach 2024-01-01 of=b
        use 2024-06-03 calls=300 of=a
        use 2024-06-03 calls=400 of=b
        rate 2024-06-01 2024-07-01 of=b
        -> USAGE 60.00 400x.15
    """,
    "case 93 (R11.1): broken down by share of quantity": f"""
        {T}
        family BREAKDOWN
        child a
        child b
        use 2024-06-03 calls=300 of=a
        use 2024-06-03 calls=400 of=b
        rate 2024-06-01 2024-07-01
        -> USAGE 40.71 95 x 300/700
        -> USAGE 54.29 95 x 400/700
    """,
    "R11.1: a parent pays nothing for children that are on plans of their own": f"""
        {T}
        child a
        attach 2024-01-01 of=a
        use 2024-06-03 calls=300 of=a
        rate 2024-06-01 2024-07-01
    """,
    "R11.1: a child pays nothing for what its parent covers, and it is not unattached": f"""
        {T}
        child a
        use 2024-06-03 calls=300 of=a
        rate 2024-06-01 2024-07-01 of=a
    """,
    "R11.1: what neither is on a plan for is the child's to show": f"""
        {T}
        child a
        attach 2024-06-16
        use 2024-06-03 calls=300 of=a
        use 2024-06-20 calls=300 of=a
        rate 2024-06-01 2024-07-01 of=a
        unattached meter 1
    """,
    "R11.1: pooled until the child has a plan of its own, in the same window": f"""
        {T}
        child a
        attach 2024-06-11 2024-06-21 of=a
        use 2024-06-03 calls=400
        use 2024-06-05 calls=50 of=a
        use 2024-06-15 calls=1000 of=a
        use 2024-06-25 calls=60 of=a
        rate 2024-06-01 2024-07-01
        -> USAGE 76.00 400+50+60 = 510: 500x.15 + 10x.10
    """,
    "R11.1: the same value of two accounts is one value": """
        aggregation users UNIQUE user
        price users 0:1
        child a
        use 2024-06-03 user=ann
        use 2024-06-03 user=ann of=a
        use 2024-06-04 user=bob of=a
        rate 2024-06-01 2024-07-01
        -> USAGE 2.00 ann, bob
    """,
    "R11.1: the latest of all, and of the same id the greater account's": """
        aggregation seen LATEST n
        price seen 0:1
        child a
        child b
        use 2024-06-03 n=5
        use 2024-06-04 n=7 of=b id=same
        use 2024-06-04 n=6 of=a id=same
        rate 2024-06-01 2024-07-01
        -> USAGE 7.00
    """,
    "R11.1, R2.7: levels of usage are added as long as they are pooled": """
        aggregation disks WEIGHTED_SUM gb
        price disks 0:1
        child a
        attach 2024-06-16 of=a
        use 2024-05-01 gb=10
        use 2024-05-01 gb=20 of=a
        rate 2024-06-01 2024-07-01
        -> USAGE 20.00 10 + 20x15/30
    """,
    "R11.1, R8: levels of counters are added as long as the child has no plan of its own": """
        counter seats
        price seats 0:1
        child a
        attach 2024-06-16 of=a
        level seats 2024-01-01 10
        level seats 2024-01-01 20 of=a
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 30.00
        -> COUNTER_ADJUSTMENT_CREDIT -10.00 20x15/30
    """,
    "R11.1, R8.3: what rises for one child falls for the other": """
        counter seats
        price seats 0:1
        child a
        child b
        level seats 2024-01-01 10 of=a
        level seats 2024-06-11 4 of=a
        level seats 2024-06-11 6 of=b
        rate 2024-06-01 2024-07-01
        -> COUNTER_RUNNING_TOTAL 10.00
    """,
    "R11.1, R5: usage of all accumulates": """
        aggregation calls SUM calls
        price calls 0:1 100:0.5 accumulate
        child a
        use 2024-01-03 calls=60
        use 2024-02-03 calls=60 of=a
        rate 2024-02-01 2024-03-01
        -> USAGE 50.00 F(120)-F(60) = 110-60
    """,
    "R11.1: broken down, each account's part of its own window": """
        aggregation calls SUM calls by=region
        price calls 0:1 10:0.1 segment=*
        family BREAKDOWN
        child a
        use 2024-06-03 calls=10 region=eu
        use 2024-06-03 calls=5 region=eu of=a
        use 2024-06-03 calls=3 region=us of=a
        rate 2024-06-01 2024-07-01
        -> USAGE 7.00 10.50 x 10/15
        -> USAGE 3.50 10.50 x 5/15
        -> USAGE 3.00
    """,
    "R11.1: broken down, nothing to share by": """
        aggregation calls SUM calls
        price calls 0:5+1 charge_zero
        family BREAKDOWN
        child a
        use 2024-06-03 calls=10
        use 2024-06-03 calls=-10 of=a
        rate 2024-06-01 2024-07-01
        -> USAGE 5.00
    """,
    "R11.1: broken down, less than nothing": """
        aggregation calls SUM calls
        price calls 0:1
        family BREAKDOWN
        child a
        use 2024-06-03 calls=-1
        use 2024-06-03 calls=-2 of=a
        rate 2024-06-01 2024-07-01
        -> USAGE -1.00
        -> USAGE -2.00
    """,
    "R11.1, R3.5: usage of a child that the parent's plan does not price": """
        aggregation calls SUM calls
        price calls 0:1 to=2024-06-16
        child a
        use 2024-06-20 calls=7 of=a
        rate 2024-06-01 2024-07-01
        unpriced calls 7
    """,
    "R11.1: a promotion of the parent acts on what it pays for": f"""
        {T}
        child a
        promotion fifth 20%
        grant fifth 2024-06-16
        use 2024-06-03 calls=500
        use 2024-06-20 calls=200 of=a
        rate 2024-06-01 2024-07-01
        -> USAGE 95.00
        -> PROMOTION -4.00 20 % of the 20.00 after June 16
    """,
}
