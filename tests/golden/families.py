"""The stories of golden bills that are about parents and children (see `tests.golden.stories`)."""

from typing import Final

from tests.golden.told import Told

STORIES: Final = {
    "a_family_of_accounts": Told(
        """
        template standing_charge=20
        family BREAKDOWN
        child north
        child south
        child west with_parent
        aggregation calls SUM n
        counter seats
        price calls 0:0.15 500:0.10
        price seats 0:5 total_in_arrears
        attach 2024-06-01
        attach 2024-06-16 of=south
        attach 2024-06-01 of=west
        level seats 2024-06-01 2
        level seats 2024-06-01 3 of=north
        use 2024-06-03 n=100
        use 2024-06-04 n=300 of=north
        use 2024-06-05 n=300 of=south
        use 2024-06-20 n=1000 of=south
        use 2024-06-05 n=10 of=west
        """,
        "2024-07-01",
        "161.50",
        [
            "pooled, without south's from June 16 on: 500 x 0.15 + 200 x 0.10 = 95.00",
            "x 1/7 = 13.57, x 3/7 = 40.72 and 40.71: the cent that is missing is the first's of those who lack most",
            "seats: (2 + 3) x 5 = 25.00; standing charge 20.00",
            "west by itself: 10 x 0.15 = 1.50, 20.00",
        ],
    ),
}
