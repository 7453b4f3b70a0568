"""Reckoned cases about plan groups, each as a story (see `tests.story`)."""

from typing import Final

CASES: Final = {
    "R6.2: two plans of a group in one period": """
        plan gold minimum_spend=60
        group both plan,gold minimum=100
        aggregation calls SUM calls
        price calls 0:1 on=template
        attach 2024-06-01 2024-06-16
        attach 2024-06-16 plan=gold
        use 2024-06-03 calls=20
        use 2024-06-20 calls=10
        rate 2024-06-01 2024-07-01
        -> USAGE 20.00
        -> USAGE 10.00
        -> MINIMUM_SPEND 20.00 gold's: 60x15/30 - 10
        -> MINIMUM_SPEND 50.00 the group's: 100 - 20 - 10 - 20
    """,
    "R6.2: only some days on plans of the group": """
        plan gold
        plan other
        group both plan,gold minimum=90 maximum=300
        aggregation calls SUM calls
        price calls 0:1 on=template
        attach 2024-06-01 2024-06-11
        attach 2024-06-11 2024-06-21 plan=other
        attach 2024-06-21 plan=gold
        use 2024-06-03 calls=30
        use 2024-06-13 calls=700
        use 2024-06-23 calls=5
        rate 2024-06-01 2024-07-01
        -> USAGE 30.00
        -> USAGE 700.00
        -> USAGE 5.00
        -> MINIMUM_SPEND 25.00 90x20/30 - 35
    """,
    "R6.2: at the most": """
        template standing_charge=20
        plan gold
        group both plan,gold maximum=100
        aggregation calls SUM calls
        price calls 0:1 on=template
        promotion tenth 10%
        grant tenth 2024-06-01
        attach 2024-06-01 2024-06-16
        attach 2024-06-16 plan=gold
        use 2024-06-03 calls=75
        use 2024-06-20 calls=50
        rate 2024-06-01 2024-07-01
        -> USAGE 75.00
        -> USAGE 50.00
        -> STANDING_CHARGE 10.00
        -> STANDING_CHARGE 10.00
        -> MAXIMUM_SPEND -25.00 100-125
        -> PROMOTION -7.00 of 60.00, which the maximum left of 75, and 10
    """,
    "R6.2: a part of the period": """
        group only plan minimum=60
        aggregation calls SUM calls
        price calls 0:1
        use 2024-06-03 calls=10
        use 2024-06-20 calls=12
        rate 2024-06-16 2024-07-01
        -> USAGE 12.00
        -> MINIMUM_SPEND 18.00 60x15/30 - 12
    """,
}
