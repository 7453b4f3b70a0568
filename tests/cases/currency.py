"""Published and reckoned cases about currencies, each as a story (see `tests.story`)."""

from typing import Final

CASES: Final = {
    "case 58 (R11.2): dollars as pounds": """
        settings rates=USD:GBP:0.8
        account currency=GBP
        aggregation calls SUM calls
        price calls 0:0.15 500:0.10
        use 2024-06-03 calls=700
        rate 2024-06-01 2024-07-01
        -> USAGE 76.00 95.00x.8
    """,
    "case 92 (R11.2): no minor unit": """
        settings rates=USD:JPY:151.33
        account currency=JPY
        aggregation calls SUM calls
        price calls 0:0.15 500:0.10
        use 2024-06-03 calls=700
        rate 2024-06-01 2024-07-01
        -> USAGE 14376 95.00x151.33 = 14376.35
    """,
    "R11.2: rounded in the plan's currency, then once more": """
        settings rates=USD:GBP:0.5
        account currency=GBP
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1
        price b 0:1
        use 2024-06-03 a=1.004 b=1.006
        rate 2024-06-01 2024-07-01
        -> USAGE 0.50 1.00x.5
        -> USAGE 0.51 1.01x.5 = .505
    """,
    "R11.2: toward zero, as the settings say": """
        settings rates=USD:GBP:0.5 rounding_mode=DOWN
        account currency=GBP
        aggregation calls SUM calls
        price calls 0:1
        use 2024-06-03 calls=1.01
        rate 2024-06-01 2024-07-01
        -> USAGE 0.50
    """,
    "R11.2: minimums are compared in the plan's currency": """
        settings rates=USD:JPY:151.33
        account currency=JPY
        template minimum_spend=100.01
        aggregation calls SUM calls
        price calls 0:1
        use 2024-06-03 calls=60
        rate 2024-06-01 2024-07-01
        -> USAGE 9080 60x151.33 = 9079.8
        -> MINIMUM_SPEND 6055 40.01x151.33 = 6054.71
    """,
    "R11.2: credits and promotions act on what was converted": """
        settings rates=USD:GBP:0.8
        account currency=GBP
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1 id=a
        price b 0:1 as=PRODUCT_CREDIT
        promotion welcome 10
        promotion upward 0:0% 50:50%
        grant welcome 2024-06-01
        grant upward 2024-06-01
        use 2024-06-03 a=100.01 b=20
        rate 2024-06-01 2024-07-01
        -> USAGE 80.01 100.01x.8 = 80.008
        -> USAGE_CREDIT -16.00
        -> PROMOTION -12.01 half of what 64.01 is above 40
        -> PROMOTION -8.00 10x.8
    """,
    "R11.2: a currency that the plan is in": """
        account currency=USD
        aggregation calls SUM calls
        price calls 0:1
        use 2024-06-03 calls=7
        rate 2024-06-01 2024-07-01
        -> USAGE 7.00
    """,
}
