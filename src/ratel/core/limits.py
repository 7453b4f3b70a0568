"""Every limit of the domain, each with its reason beside it. Limits of the machinery stand in the configuration.

Limits of shape are enforced by the contracts' own rules; a test compares them with the figures here.
"""

# --- Decimals (R1.7) ---

DECIMAL_DIGITS_MAX = 38
"""Significant digits of an input decimal: what a decimal128 column holds, so Arrow and other engines can carry it."""

DECIMAL_FRACTION_DIGITS_MAX = 18
"""Digits after the point of an input decimal: a wei, the finest unit anybody prices in, and 20 before it are left."""

DIVISION_DIGITS = 50
"""Significant digits of a quotient: 12 more than any input has, so that a currency rounding sees the right digits."""

EXACT_DIGITS = 1_000
"""Significant digits that exact arithmetic keeps before it refuses. Formulas give at most `FORMULA_DIGITS_MAX`; a sum
over 10^18 events, times a price and a rate, adds fewer than 100; the rest is room. Short numbers cost nothing more."""

# --- Shape ---

ID_LENGTH_MAX = 128
"""Characters of an id: room for a namespaced UUID, and three of them in one index row of Postgres."""

IDENTIFIER_LENGTH_MAX = 63
"""Characters of a field's or aggregation's name: what Postgres takes as an identifier, should it ever be a column."""

EVENTS_PER_MESSAGE_MAX = 10_000
"""Twice what is advised: beyond it a message only holds its neighbours up, without being faster."""

METER_FIELDS_MAX = 64
"""Fields of a meter: a bitmap of present values fits 8 bytes."""

SEGMENT_FIELDS_MAX = 8
"""Segment fields of an aggregation: every priced segment is compared with each combination, field by field."""

FILTER_VALUES_MAX = 100
"""Values of an aggregation's filter: every event of the meter is compared with them."""

BANDS_MAX = 100
"""Bands of a pricing: ten times the longest price list known; bounds the workings that a line item carries."""

# --- Calendar ---

PERIOD_INTERVAL_MAX = 1_200
"""Days, weeks, months or years joined to one bill period: a century of months, and still inside the calendar."""

# --- Rating ---

RATING_YEARS_MAX = 10
"""Years that may be rated at once: as long as most books must be kept."""

RATING_WINDOWS_MAX = 10_000
"""Bill periods, windows and slices of one account's rating: ten years of days for one thing, or of months for twenty;
bounds what one request computes to about a second."""

BILL_WINDOWS_MAX = 100_000
"""The same of one account's bill, which looks back to where its attachments began: ten years of days for ten things."""

CHILDREN_MAX = 1_000
"""Children of an account: all that is theirs is read and added up wherever their parent is rated."""

USAGE_STRETCHES_MAX = 10_000
"""Stretches of time that one query of usage reads, over all its aggregations: a year of hours; a megabyte of answer."""

MARGINS_MAX = 1_000
"""Bill periods that the events of one message lie in where all are rated: some seconds of work."""

FEES_MAX = 1_000
"""Fees that a commitment lists: weekly ones for almost twenty years."""

# --- Formulas (R2.6) ---

FORMULA_LENGTH_MAX = 2_000
"""Characters: a screen and a half; bounds the time to read a formula to milliseconds."""

FORMULA_DEPTH_MAX = 64
"""Operations inside each other: far below Python's recursion limit, which evaluation would meet."""

FORMULA_DIGITS_MAX = 500
"""Digits of any result inside a formula: eight quotients multiplied. Bounds the time and memory of an evaluation."""

FORMULA_INTEGER_DIGITS_MAX = 100
"""Digits before the point of any result inside a formula; the rest of the digits may stand after the point."""

FORMULA_EXPONENT_MAX = 64
"""Greatest exponent of ``^`` (R2.6)."""
