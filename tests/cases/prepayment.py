"""Published and reckoned cases about commitments, balances and overage, each as a story with bills."""

from typing import Final

_YEAR: Final = """
        aggregation calls SUM n
        price calls 0:.46
        commitment year 15000 2024-01-01 2025-01-01 every=1 surcharge=1
        attach 2024-01-01
        use 2024-01-03 n=20000
        use 2024-02-03 n=20000
"""
_OVERAGE: Final = """
        aggregation calls SUM n
        price calls 0:0.50 overage=0:0.70
        commitment prepaid 100 2024-06-01 2025-06-01
        attach 2024-06-01
        use 2024-06-03 n=300
"""

CASES: Final = {
    "case 41 (R7.1): a commitment is drawn down": f"""{_YEAR}
        bill 2024-02-01
        -> USAGE 9200.00
        -> COMMITMENT_FEE 1250.00 a twelfth
        -> COMMITMENT_CONSUMED -9200.00
    """,
    "case 42 (R7.4): what is left is used up, and there is a surcharge on the rest": f"""{_YEAR}
        bill 2024-02-01 2024-03-01
        -> USAGE 5800.00
        -> COMMITMENT_FEE 1250.00
        -> COMMITMENT_CONSUMED -5800.00
        -> OVERAGE_USAGE 3400.00
        -> OVERAGE_SURCHARGE 34.00 1 %
    """,
    "case 43 (R7.4): a balance with a surcharge": """
        aggregation calls SUM n
        price calls 0:10
        balance extra 2024-06-01 2025-06-01 put=2024-06-01:100 surcharge=10
        attach 2024-06-01
        use 2024-06-03 n=12
        bill 2024-07-01
        -> USAGE 100.00
        -> BALANCE_CONSUMED -100.00
        -> OVERAGE_USAGE 20.00
        -> OVERAGE_SURCHARGE 2.00
    """,
    "case 44 (R7.4): overage has bands of its own": f"""{_OVERAGE}
        bill 2024-07-01
        -> USAGE 100.00 200 calls
        -> COMMITMENT_CONSUMED -100.00
        -> OVERAGE_USAGE 70.00 100x.70
    """,
    "case 45 (R7.3): a balance pays for its part of a window": """
        aggregation calls SUM n
        price calls 0:1
        balance extra 2024-06-01 2024-06-16 put=2024-06-01:100
        attach 2024-06-01
        use 2024-06-03 n=60
        use 2024-06-20 n=60
        bill 2024-07-01
        -> USAGE 120.00
        -> BALANCE_CONSUMED -60.00
    """,
    "case 46 (R7.2): at most the rollover amount stays": """
        aggregation calls SUM n
        price calls 0:1
        balance extra 2024-05-01 2024-06-01 put=2024-05-01:100 rollover=50:2024-07-01
        attach 2024-05-01
        use 2024-05-03 n=20
        use 2024-06-03 n=60
        bill 2024-06-01 2024-07-01
        -> USAGE 60.00
        -> BALANCE_CONSUMED -50.00
    """,
    "R7.2: what rolled over is gone for late usage of the term": """
        aggregation calls SUM n
        price calls 0:1
        balance extra 2024-05-01 2024-06-01 put=2024-05-01:100,2024-05-20:-10 rollover=80:2024-08-01
        template frequency=MONTHLY interval=2
        attach 2024-05-01
        use 2024-05-03 n=20
        use 2024-06-03 n=95
        bill 2024-07-01
        -> USAGE 115.00
        -> BALANCE_CONSUMED -20.00
        -> BALANCE_CONSUMED -70.00 of 70
    """,
    "case 82 (R1.7): line items are rounded first": """
        aggregation a SUM a
        aggregation b SUM b
        aggregation c SUM c
        price a 0:0.335
        price b 0:0.335
        price c 0:0.335
        balance extra 2024-06-01 2025-06-01 put=2024-06-01:50
        attach 2024-06-01
        use 2024-06-03 a=1 b=1 c=1
        bill 2024-07-01
        -> USAGE 0.34
        -> USAGE 0.34
        -> USAGE 0.34
        -> BALANCE_CONSUMED -1.02
    """,
    "case 89 (R7.4): all is overage once a commitment is used up": """
        aggregation calls SUM n
        price calls 0:1
        commitment prepaid 50 2024-06-01 2025-06-01 surcharge=1
        attach 2024-06-01
        use 2024-06-03 n=50
        use 2024-07-03 n=100
        bill 2024-07-01 2024-08-01
        -> USAGE 0.00
        -> OVERAGE_USAGE 100.00
        -> OVERAGE_SURCHARGE 1.00
    """,
    "case 90 (R7.4): overage is split by net over gross": f"""
        promotion fifth 20%
        grant fifth 2024-06-01
        {_OVERAGE}
        bill 2024-07-01
        -> USAGE 125.00 250 calls
        -> PROMOTION -25.00
        -> COMMITMENT_CONSUMED -100.00
        -> OVERAGE_USAGE 35.00 50x.70
    """,
    "case 40 (R6.4): there is no cap on negative prices": """
        aggregation calls SUM n
        price calls 0:-1
        commitment prepaid 50 2024-01-01 2024-01-02 fee=2024-06-15:50
        attach 2024-06-01
        use 2024-06-03 n=80
        bill 2024-06-01 2024-07-01
        -> USAGE -80.00
        -> COMMITMENT_FEE 50.00
    """,
    "case 61 (R7.3): a balance pays what promotions leave": """
        template standing_charge=50
        aggregation calls SUM n
        price calls 0:1
        promotion fifth 20%
        grant fifth 2024-06-01
        balance extra 2024-06-01 2025-06-01 put=2024-06-01:30
        attach 2024-06-01
        use 2024-06-03 n=100
        bill 2024-07-01
        -> USAGE 100.00
        -> STANDING_CHARGE 50.00
        -> PROMOTION -30.00
        -> BALANCE_CONSUMED -30.00
    """,
    "R7.4: blocks are split at whole blocks": """
        aggregation calls SUM n
        price calls 0:5/10
        commitment prepaid 7 2024-06-01 2025-06-01 surcharge=10
        attach 2024-06-01
        use 2024-06-03 n=25
        bill 2024-07-01
        -> USAGE 5.00 one block
        -> COMMITMENT_CONSUMED -5.00
        -> OVERAGE_USAGE 10.00 two blocks
        -> OVERAGE_SURCHARGE 1.00
    """,
    "R7.4: blocks that are begun before a commitment are not split": """
        aggregation calls SUM n
        price calls 0:5/10
        commitment prepaid 7 2024-06-16 2025-06-01 surcharge=10
        attach 2024-06-01
        use 2024-06-03 n=20
        use 2024-06-20 n=25
        bill 2024-07-01
        -> USAGE 15.00 10.00 before, and one block of three
        -> COMMITMENT_CONSUMED -5.00
        -> OVERAGE_USAGE 10.00
        -> OVERAGE_SURCHARGE 1.00
    """,
    "R7.4: where the band reached prices what is new, the amount is split": """
        aggregation calls SUM n
        price calls 0:.10 1000:.08 volume accumulate=POSITIONAL
        commitment prepaid 100 2024-06-01 2025-06-01 surcharge=10
        attach 2024-06-01
        use 2024-06-03 n=800
        use 2024-07-03 n=600
        bill 2024-07-01 2024-08-01
        -> USAGE 20.00 what is left of 100
        -> COMMITMENT_CONSUMED -20.00
        -> OVERAGE_USAGE 28.00 of 600x.08
        -> OVERAGE_SURCHARGE 2.80
    """,
    "R7.3: a part of a window that an override has cut off": """
        aggregation calls SUM n
        price calls 0:1 on=template
        price calls 0:2 from=2024-06-10 to=2024-06-20
        balance extra 2024-06-01 2024-06-05 put=2024-06-01:100
        attach 2024-06-01
        use 2024-06-03 n=10
        use 2024-06-15 n=10
        use 2024-06-25 n=10
        bill 2024-07-01
        -> USAGE 10.00
        -> USAGE 20.00
        -> USAGE 10.00
        -> BALANCE_CONSUMED -10.00
    """,
    "R7.3: balances pay first where the settings say so": """
        settings pays=BALANCE
        aggregation calls SUM n
        price calls 0:1
        commitment prepaid 30 2024-06-01 2025-06-01
        balance extra 2024-06-01 2025-06-01 put=2024-06-01:40
        attach 2024-06-01
        use 2024-06-03 n=50
        bill 2024-07-01
        -> USAGE 50.00
        -> BALANCE_CONSUMED -40.00
        -> COMMITMENT_CONSUMED -10.00
    """,
    "R7.1: a commitment of some kinds leaves the others to pay": """
        template standing_charge=50
        aggregation calls SUM n
        price calls 0:1
        commitment prepaid 1000 2024-06-01 2025-06-01 kinds=STANDING_CHARGE
        attach 2024-06-01
        use 2024-06-03 n=100
        bill 2024-07-01
        -> USAGE 100.00
        -> STANDING_CHARGE 50.00
        -> COMMITMENT_CONSUMED -50.00
    """,
    "R7.1: fees in advance, the first one set, the last takes the remainder": """
        aggregation calls SUM n
        price calls 0:1
        commitment quarter 100 2024-06-01 2024-10-01 every=1 first=10 in_advance
        attach 2024-06-01
        bill 2024-06-01 2024-07-01 2024-08-01 2024-09-01
        -> COMMITMENT_FEE 30.00
    """,
}
"""What is expected is on the last bill."""
