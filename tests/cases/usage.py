"""Published and reckoned cases about usage, each as a story (see `tests.story`)."""

from typing import Final

CASES: Final = {
    "case 12 (R1.2, R2.2, R6.1): calls by bands, files counted, a mean of 4.0 s by steps, and a standing charge": """
        template standing_charge=20
        aggregation calls SUM calls
        aggregation files COUNT file
        aggregation wait MEAN seconds
        price calls 0:0.15 500:0.10
        price files 0:0.50
        price wait volume 0:12+0 4:25+0 6:50+0
        use 2024-06-03 calls=700
        use 2024-06-04 file=1 times=120
        use 2024-06-05 seconds=3.5
        use 2024-06-06 seconds=4.5
        rate 2024-06-01 2024-07-01
        -> USAGE 95.00 500x.15 + 200x.10
        -> USAGE 60.00 120x.50
        -> USAGE 12.00 up to 4
        -> STANDING_CHARGE 20.00
    """,
    "case 13 (R1.2): a free tier": """
        aggregation calls SUM calls
        price calls 0:0 100:0.05
        use 2024-06-03 calls=250
        rate 2024-06-01 2024-07-01
        -> USAGE 7.50 150x.05
    """,
    "case 14, UP (R1.6)": """
        aggregation calls SUM calls per=500 round=UP
        price calls 0:0.25
        use 2024-06-03 calls=48900
        rate 2024-06-01 2024-07-01
        -> USAGE 24.50 98x.25
    """,
    "case 14, DOWN (R1.6)": """
        aggregation calls SUM calls per=500 round=DOWN
        price calls 0:0.25
        use 2024-06-03 calls=48900
        rate 2024-06-01 2024-07-01
        -> USAGE 24.25 97x.25
    """,
    "case 14, NEAREST and NONE (R1.6)": """
        aggregation whole SUM calls per=500 round=NEAREST
        aggregation broken SUM calls per=500
        price whole 0:0.25
        price broken 0:0.25
        use 2024-06-03 calls=48900
        rate 2024-06-01 2024-07-01
        -> USAGE 24.45 97.8x.25
        -> USAGE 24.50 98x.25
    """,
    "case 15 (R1.6): half away from zero": """
        aggregation a SUM a round=NEAREST
        aggregation b SUM b round=NEAREST
        aggregation c SUM c round=NEAREST
        price a 0:1
        price b 0:1
        price c 0:1
        use 2024-06-03 a=5.1 b=3.5 c=2.5
        rate 2024-06-01 2024-07-01
        -> USAGE 5.00
        -> USAGE 4.00
        -> USAGE 3.00
    """,
    "case 16 (R1.6): 500 GB are one unit": """
        aggregation storage SUM size per=500
        price storage 0:0.25
        use 2024-06-03 size=500
        rate 2024-06-01 2024-07-01
        -> USAGE 0.25
    """,
    "case 17 (R6.4): a negative price": """
        aggregation calls SUM calls
        price calls 0:-0.02
        use 2024-06-03 calls=1000
        rate 2024-06-01 2024-07-01
        -> USAGE -20.00 1000x-.02
    """,
    "case 17 (R6.4): a negative price given as credit is a double negative": """
        aggregation calls SUM calls
        price calls 0:-0.02 as=PRODUCT_CREDIT
        use 2024-06-03 calls=1000
        rate 2024-06-01 2024-07-01
        -> USAGE_CREDIT 20.00
    """,
    "case 21 (R4.3): two windows": """
        aggregation calls SUM calls
        price calls 0:0.10 to=2024-06-16
        price calls 0:0.12 from=2024-06-16
        use 2024-06-03 calls=100
        use 2024-06-20 calls=200
        rate 2024-06-01 2024-07-01
        -> USAGE 10.00 100x.10
        -> USAGE 24.00 200x.12
    """,
    "case 22 (R4.3): bands begin again": """
        aggregation calls SUM calls
        price calls 0:0.15 500:0.10 to=2024-06-16
        price calls 0:0.15 500:0.10 from=2024-06-16
        use 2024-06-03 calls=400
        use 2024-06-20 calls=400
        rate 2024-06-01 2024-07-01
        -> USAGE 60.00 400x.15
        -> USAGE 60.00 400x.15
    """,
    "case 23 (R4.3): each window has its own maximum": """
        aggregation seats MAX seats
        price seats 0:1 to=2024-06-16
        price seats 0:2 from=2024-06-16
        use 2024-06-03 seats=8
        use 2024-06-04 seats=3
        use 2024-06-20 seats=10
        rate 2024-06-01 2024-07-01
        -> USAGE 8.00 8x1
        -> USAGE 20.00 10x2
    """,
    "case 53 (R2.4): storage by region": """
        aggregation storage SUM size by=region
        price storage 0:30 segment=USA
        price storage 0:40 segment=EMEA
        price storage 0:50 segment=APAC
        use 2024-06-03 size=10 region=USA
        use 2024-06-03 size=40 region=EMEA
        use 2024-06-03 size=50 region=APAC
        rate 2024-06-01 2024-07-01
        -> USAGE 2500.00 50x50
        -> USAGE 1600.00 40x40
        -> USAGE 300.00 10x30
    """,
    "case 54 (R2.4): checks by location and type": """
        aggregation checks COUNT by=location,type
        price checks 0:0.20 segment=China,Standard
        price checks 0:0.80 segment=UK,Complete
        price checks 0:0.50 segment=USA,Extended
        use 2024-06-03 location=China type=Standard times=10
        use 2024-06-03 location=UK type=Complete times=5
        use 2024-06-03 location=USA type=Extended times=4
        rate 2024-06-01 2024-07-01
        -> USAGE 2.00 10x.20
        -> USAGE 4.00 5x.80
        -> USAGE 2.00 4x.50
    """,
    "case 55 (R2.5): a compound": """
        aggregation requests SUM requests
        aggregation apps MAX apps
        compound extra = requests - apps * 100
        price extra 0:0.50
        use 2024-06-03 requests=1250 apps=3
        rate 2024-06-01 2024-07-01
        -> USAGE 475.00 950x.5
    """,
    "case 56 (R2.5): operands enter raw": """
        aggregation calls SUM calls per=10
        compound same = calls
        price same 0:1
        use 2024-06-03 calls=100
        rate 2024-06-01 2024-07-01
        -> USAGE 100.00
    """,
    "case 71 (R3.3): the plan's own price for ten days": """
        aggregation calls SUM calls
        price calls 0:1 on=template
        price calls 0:2 from=2024-06-10 to=2024-06-20
        use 2024-06-05 calls=10
        use 2024-06-15 calls=10
        use 2024-06-25 calls=10
        rate 2024-06-01 2024-07-01
        -> USAGE 10.00 the template's
        -> USAGE 20.00 the plan's own
        -> USAGE 10.00 the template's again
    """,
    "case 72 (R2.4): each combination counts its own bands": """
        aggregation storage SUM size by=region
        price storage 0:1 segment=eu
        price storage 0:2 4:1 segment=*
        use 2024-06-03 size=5 region=eu
        use 2024-06-03 size=3 region=us
        use 2024-06-03 size=2 region=ap
        rate 2024-06-01 2024-07-01
        -> USAGE 4.00 ap 2x2
        -> USAGE 5.00 eu 5x1
        -> USAGE 6.00 us 3x2
    """,
    "case 72, pooled (R2.4)": """
        aggregation storage SUM size by=region
        price storage 0:1 segment=eu
        price storage 0:2 4:1 segment=* pool
        use 2024-06-03 size=5 region=eu
        use 2024-06-03 size=3 region=us
        use 2024-06-03 size=2 region=ap
        rate 2024-06-01 2024-07-01
        -> USAGE 9.00 4x2 + 1x1
        -> USAGE 5.00 eu 5x1
    """,
    "case 73 (R2.4): the literal in the earlier field": """
        aggregation calls COUNT by=region,class
        price calls 0:1 segment=us,*
        price calls 0:2 segment=*,x
        use 2024-06-03 region=us class=x
        rate 2024-06-01 2024-07-01
        -> USAGE 1.00
    """,
    "case 74 (R2.2): the first instant counts, the last does not": """
        aggregation calls COUNT
        price calls 0:1
        use 2024-06-01
        use 2024-07-01
        rate 2024-06-01 2024-07-01
        -> USAGE 1.00
    """,
    "case 78 (R13): an event sent again is the same event": """
        aggregation calls SUM calls
        price calls 0:1
        use 2024-06-03 calls=5 id=e
        use 2024-06-03 calls=5 id=e
        rate 2024-06-01 2024-07-01
        -> USAGE 5.00
    """,
    "case 79 (R2.3): of two at the same instant, the greater id is later": """
        aggregation level LATEST level
        price level 0:1
        use 2024-06-03 level=7 id=b
        use 2024-06-03 level=3 id=a
        rate 2024-06-01 2024-07-01
        -> USAGE 7.00
    """,
    "case 80 (R4.3): another thing's price cuts nothing here": """
        aggregation calls SUM calls
        aggregation storage SUM size
        price calls 0:0.15 500:0.10
        price storage 0:1 to=2024-06-16
        price storage 0:2 from=2024-06-16
        use 2024-06-03 calls=400
        use 2024-06-20 calls=400
        rate 2024-06-01 2024-07-01
        -> USAGE 105.00 500x.15 + 300x.10
    """,
    "R2.7: a level lasts until it changes, also from before the window": """
        aggregation disk WEIGHTED_SUM size
        price disk 0:1
        use 2024-05-01 size=10
        use 2024-06-16 size=10
        rate 2024-06-01 2024-07-01
        -> USAGE 15.00 10x15/30 + 20x15/30
    """,
    "R2.7: a level that is back at 0 is a quantity of 0": """
        aggregation disk WEIGHTED_SUM size
        price disk 0:1
        use 2024-05-01 size=10
        use 2024-05-20 size=-10
        rate 2024-06-01 2024-07-01
        -> USAGE 0.00
    """,
    "R2.7: nothing ever happened": """
        aggregation disk WEIGHTED_SUM size
        price disk 0:1
        rate 2024-06-01 2024-07-01
    """,
    "R2.7, R12.1: a part of a window is what it adds to the mean of the whole": """
        aggregation disk WEIGHTED_SUM size
        price disk 0:1
        use 2024-05-01 size=10
        use 2024-06-16 size=10
        rate 2024-06-16 2024-07-01
        -> USAGE 10.00 15 - 10x15/30
    """,
    "R2.7, R4.3: a new price goes on with the level, over a window of its own": """
        aggregation disk WEIGHTED_SUM size
        price disk 0:1 to=2024-06-16
        price disk 0:2 from=2024-06-16
        use 2024-06-06 size=30
        rate 2024-06-01 2024-07-01
        -> USAGE 20.00 30x10/15
        -> USAGE 60.00 30 at 2
    """,
    "R2.7, R2.4: each combination has a level of its own, which goes on under another price": """
        aggregation disk WEIGHTED_SUM size by=region
        price disk 0:1 segment=*
        price disk 0:2 segment=eu from=2024-06-16
        use 2024-05-01 size=10 region=eu
        use 2024-05-01 size=20 region=us
        rate 2024-06-01 2024-07-01
        -> USAGE 5.00 10x15/30
        -> USAGE 20.00
        -> USAGE 20.00 10 at 2
    """,
    "R2.7, R2.5: a compound takes the mean level as it is": """
        aggregation disk WEIGHTED_SUM size
        aggregation calls SUM calls
        compound both = calls - disk
        price both 0:1
        use 2024-06-16 size=10 calls=12
        rate 2024-06-01 2024-07-01
        -> USAGE 7.00 12 - 5
    """,
    "R2.7, R3.5: a level that no pricing takes": """
        aggregation disk WEIGHTED_SUM size
        price disk 0:1 from=2024-06-16
        use 2024-05-01 size=10
        rate 2024-06-01 2024-07-01
        -> USAGE 10.00
        unpriced disk 10
    """,
    "case 81 (R1.6): decided on the exact ratio": """
        aggregation a SUM a per=500 round=UP
        aggregation b SUM b per=3 round=UP
        price a 0:1
        price b 0:1
        use 2024-06-03 a=1000 b=1
        rate 2024-06-01 2024-07-01
        -> USAGE 2.00
        -> USAGE 1.00
    """,
}
