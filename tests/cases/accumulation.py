"""Published and reckoned cases of accumulation and top-up, each as a story (see `tests.story`)."""

from typing import Final

_TOP_UP = """
        aggregation gb SUM gb
        price gb 0:2000/2000 accumulate{more}
        attach 2024-07-01 {end}
        use 2024-07-03 gb=2800
        use 2024-08-03 gb=2500
        use 2024-09-03 gb=1000
        use 2024-11-03 gb=3400
        use 2024-12-03 gb=5000
"""

CASES: Final = {
    "case 26 (R5.1): three months, bands not reset": """
        aggregation calls SUM n
        price calls 0:.035 500:.03 1000:.025 accumulate
        attach 2024-06-01
        use 2024-06-03 n=400
        use 2024-07-03 n=100
        use 2024-08-03 n=600
        rate 2024-06-01 2024-09-01
        -> USAGE 14.00 400x.035
        -> USAGE 3.50 100x.035
        -> USAGE 17.50 F(1100) - F(500) = 500x.03 + 100x.025
    """,
    "case 26 (R5.1): the third month alone": """
        aggregation calls SUM n
        price calls 0:.035 500:.03 1000:.025 accumulate
        attach 2024-06-01
        use 2024-06-03 n=400
        use 2024-07-03 n=100
        use 2024-08-03 n=600
        rate 2024-08-01 2024-09-01
        -> USAGE 17.50 500x.03 + 100x.025
    """,
    "case 27, POSITIONAL (R5.2)": """
        aggregation calls SUM n
        price calls 0:.10 1000:.08 volume accumulate=POSITIONAL
        attach 2024-06-01
        use 2024-06-03 n=800
        use 2024-07-03 n=600
        rate 2024-06-01 2024-08-01
        -> USAGE 80.00 800x.10
        -> USAGE 48.00 600x.08
    """,
    "R5.2: a default quantity is new in the first window, and nothing after it": """
        aggregation calls SUM n default=3
        price calls 0:1 10:0.5 volume accumulate=POSITIONAL
        attach 2024-06-01
        rate 2024-06-01 2024-08-01
        -> USAGE 3.00
        -> USAGE 0.00
    """,
    "case 27, RETROACTIVE (R5.2)": """
        aggregation calls SUM n
        price calls 0:.10 1000:.08 volume accumulate=RETROACTIVE
        attach 2024-06-01
        use 2024-06-03 n=800
        use 2024-07-03 n=600
        rate 2024-06-01 2024-08-01
        -> USAGE 80.00 800x.10
        -> USAGE 32.00 1400x.08 - 80
    """,
    "R5.2: a cheaper band for all can give back": """
        aggregation calls SUM n
        price calls 0:.10 1000:.05 volume accumulate=RETROACTIVE
        attach 2024-06-01
        use 2024-06-03 n=900
        use 2024-07-03 n=200
        rate 2024-06-01 2024-08-01
        -> USAGE 90.00 900x.10
        -> USAGE -35.00 1100x.05 - 90
    """,
    "R5.2: a fixed price once, when its band is first reached": """
        aggregation calls SUM n
        price calls 0:3+1 10:5+2 volume accumulate=POSITIONAL
        attach 2024-06-01
        use 2024-06-03 n=4
        use 2024-07-03 n=7
        use 2024-08-03 n=1
        rate 2024-06-01 2024-09-01
        -> USAGE 7.00 3 + 4x1
        -> USAGE 19.00 5 + 7x2
        -> USAGE 2.00 1x2
    """,
    "case 28 (R5.2): stairs, RETROACTIVE": """
        aggregation gb SUM gb
        price gb 0:100+0 1000:400+0 volume accumulate=RETROACTIVE
        attach 2024-06-01
        use 2024-06-03 gb=800
        use 2024-07-03 gb=800
        use 2024-08-03 gb=800
        rate 2024-06-01 2024-09-01
        -> USAGE 100.00
        -> USAGE 300.00 400 - 100
        -> USAGE 0.00
    """,
    "case 29 (R5.4): a top-up, half a year": f"""
        {_TOP_UP.format(more="", end="2025-01-01")}
        rate 2024-07-01 2025-01-01
        -> USAGE 4000.00 2 blocks
        -> USAGE 2000.00 3
        -> USAGE 2000.00 4
        -> USAGE 0.00
        -> USAGE 2000.00 5
        -> USAGE 6000.00 8
    """,
    "case 30 (R5.4, R1.3): the same blocks, bought anew each month": f"""
        {_TOP_UP.format(more="", end="2025-01-01").replace(" accumulate", "")}
        rate 2024-07-01 2025-01-01
        -> USAGE 4000.00
        -> USAGE 4000.00
        -> USAGE 2000.00
        -> USAGE 4000.00
        -> USAGE 6000.00
    """,
    "case 31 (R5.4): a block is used up": """
        aggregation gb SUM gb
        price gb 0:2000/2000 accumulate
        attach 2024-07-01
        use 2024-07-03 gb=2000
        rate 2024-07-01 2024-08-01
        -> USAGE 2000.00
    """,
    "case 31 (R5.4): a block is exceeded": """
        aggregation gb SUM gb
        price gb 0:2000/2000 accumulate
        attach 2024-07-01
        use 2024-07-03 gb=2001
        rate 2024-07-01 2024-08-01
        -> USAGE 4000.00
    """,
    "case 32 (R5.3, R5.4): what is left is forfeited with the attachment": f"""
        {_TOP_UP.format(more="", end="2025-01-01")}
        attach 2025-01-01
        use 2025-01-03 gb=500
        rate 2025-01-01 2025-02-01
        -> USAGE 2000.00 one block, 1500 left
    """,
    "R4.1: or goes on": f"""
        {_TOP_UP.format(more="", end="2025-01-01")}
        attach 2025-01-01 accumulating_from=2024-07-01
        use 2025-01-03 gb=500
        use 2025-02-03 gb=801
        rate 2025-01-01 2025-03-01
        -> USAGE 0.00 1300 were left
        -> USAGE 2000.00 one block
    """,
    "case 33 (R5.4): each step once": """
        aggregation gb SUM gb
        price gb 0:25+0 100:20+0 1000:15+0 accumulate
        attach 2024-06-01
        use 2024-06-03 gb=60
        use 2024-07-03 gb=30
        use 2024-08-03 gb=20
        use 2024-09-03 gb=900
        use 2024-10-03 gb=100
        rate 2024-06-01 2024-11-01
        -> USAGE 25.00
        -> USAGE 0.00
        -> USAGE 20.00
        -> USAGE 15.00 F(1010) - F(110)
        -> USAGE 0.00
    """,
    "case 83 (R5.3): a new price does not reset what was used": """
        aggregation calls SUM n
        price calls 0:0.15 500:0.10 accumulate to=2024-06-16
        price calls 0:0.30 500:0.20 accumulate from=2024-06-16
        attach 2024-06-01
        use 2024-06-03 n=400
        use 2024-06-20 n=400
        rate 2024-06-01 2024-07-01
        -> USAGE 60.00 400x.15
        -> USAGE 90.00 210 - 120
    """,
    "case 94 (R1.4, R5.4): a block is owned from the start": f"""
        {_TOP_UP.format(more=" charge_zero", end="2025-01-01").replace("use 2024-07-03 gb=2800", "")}
        rate 2024-07-01 2024-08-01
        -> USAGE 2000.00
    """,
    "R5.1 (R12.1): a period that cuts a window, in the middle of the attachment": """
        aggregation calls SUM n
        price calls 0:1 10:0.1 accumulate
        attach 2024-06-10
        use 2024-06-15 n=6
        use 2024-06-20 n=6
        use 2024-06-29 n=10
        rate 2024-06-16 2024-06-25
        -> USAGE 4.20 F(12) - F(6) = 10.2 - 6
    """,
    "R5.1 (R2.4): each combination accumulates by itself": """
        aggregation calls SUM n by=region
        price calls 0:1 10:0.1 segment=* accumulate
        attach 2024-06-01
        use 2024-06-03 n=8 region=eu
        use 2024-06-04 n=9 region=us
        use 2024-07-03 n=4 region=eu
        rate 2024-07-01 2024-08-01
        -> USAGE 2.20 eu: F(12) - F(8) = 10.2 - 8
        -> USAGE 0.00 us: nothing new
    """,
    "R5.1 (R1.6): the units of all that was used, so rounding never adds up": """
        aggregation calls SUM n per=10 round=UP
        price calls 0:1 accumulate
        attach 2024-06-01
        use 2024-06-03 n=1
        use 2024-07-03 n=1
        use 2024-08-03 n=9
        rate 2024-06-01 2024-09-01
        -> USAGE 1.00
        -> USAGE 0.00
        -> USAGE 1.00 11 are 2 units
    """,
    "R5.1: the distinct values since the start": """
        aggregation users UNIQUE user
        price users 0:1 accumulate
        attach 2024-06-01
        use 2024-06-03 user=a
        use 2024-06-04 user=b
        use 2024-07-03 user=b
        use 2024-07-04 user=c
        rate 2024-06-01 2024-08-01
        -> USAGE 2.00
        -> USAGE 1.00 c is new
    """,
    "R5.1 (R2.5): a compound of sums and counts": """
        aggregation n SUM n
        aggregation m COUNT m
        compound net = n - m
        price net 0:1 3:0.5 accumulate
        attach 2024-06-01
        use 2024-06-03 n=5 m=1
        use 2024-07-03 n=2
        rate 2024-06-01 2024-08-01
        -> USAGE 3.50 F(4)
        -> USAGE 1.00 F(6) - F(4)
    """,
}
