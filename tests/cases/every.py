"""All cases. They are told twice: to the core alone, and to a whole server on a real Postgres."""

from typing import Final

from tests.cases import accumulation, asked, currency, family, group, promotion, time, usage

CASES: Final = {
    **usage.CASES,
    **time.CASES,
    **accumulation.CASES,
    **asked.CASES,
    **promotion.CASES,
    **currency.CASES,
    **group.CASES,
    **family.CASES,
}
