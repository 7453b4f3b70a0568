"""docs/rules.md is the truth: each rule is cited by a test, each citation is a rule, and its examples are right."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ratel.core.band import Band, Bands
from ratel.core.money import Rounding, amount_text, round_amount, round_units, text_from_decimal
from ratel.core.period import days

ROOT = Path(__file__).resolve().parent.parent
RULES = (ROOT / "docs" / "rules.md").read_text()
BUILT, NOT_BUILT = RULES.split("\n## Not built yet\n")

CITATION = re.compile(r"\bR[0-9]+(?:\.[0-9]+)?\b")
SOURCES = ("src/**/*.py", "src/**/*.sql", "protos/ratel/**/*.proto")
# What is generated repeats its source, and this file cites nothing.
IGNORED = re.compile(r"_pb2(_grpc)?\.pyi?$|^test_rules\.py$")

Row = dict[str, str]


# --- Numbers ----------------------------------------------------------------------------------------------------------


def rules_built() -> list[str]:
    """Return the numbers of all rules: those of the sections, and of a section without numbers inside its own."""
    numbers = re.findall(r"^### (R[0-9]+\.[0-9]+) ", BUILT, re.MULTILINE)
    sections = re.findall(r"^## (R[0-9]+) ", BUILT, re.MULTILINE)
    return [*numbers, *(each for each in sections if not any(number.startswith(f"{each}.") for number in numbers))]


def rules_not_built() -> set[str]:
    return set(CITATION.findall(NOT_BUILT))


def citations(*patterns: str) -> Iterator[tuple[str, str]]:
    """Yield every rule number that stands in a file, with the file."""
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            if not IGNORED.search(path.name):
                yield from ((number, str(path.relative_to(ROOT))) for number in CITATION.findall(path.read_text()))


def test_each_rule_is_cited_by_a_test() -> None:
    cited = {number for number, _ in citations("tests/**/*.py")}
    assert [number for number in rules_built() if number not in cited] == []


def test_each_citation_names_a_rule() -> None:
    known = {*rules_built(), *rules_not_built()}
    known |= {number.split(".")[0] for number in known}
    unknown = sorted({each for each in citations("tests/**/*.py", *SOURCES) if each[0] not in known})
    assert unknown == []


def test_numbers_stand_once_and_in_order() -> None:
    numbers = re.findall(r"^### R([0-9]+)\.([0-9]+) ", BUILT, re.MULTILINE)
    found = [(int(section), int(number)) for section, number in numbers]
    assert found == sorted(set(found))


# --- Examples ---------------------------------------------------------------------------------------------------------


def rows(*columns: str) -> list[Row]:
    """Return the rows of every table that begins with these columns."""
    found: list[Row] = []
    header: list[str] = []
    for line in BUILT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            header = []
        elif not header:
            header = cells
        elif header[: len(columns)] == list(columns) and not set(cells) <= {"---"}:
            found.append(dict(zip(header, cells, strict=True)))
    return found


def bands(row: Row) -> Bands:
    """Read ``above 0: 5 fixed + 2; above 10: 8 per 250; zero is charged``."""
    text, charge_zero, _ = row["bands"].partition("; zero is charged")
    return Bands(row["cumulative"] == "yes", tuple(map(band, text.split("; "))), charge_zero=bool(charge_zero))


def band(text: str) -> Band:
    match = re.fullmatch(r"above (\S+): (?:(\S+) fixed)?(?: \+ )?(\S+?)?(?: per (\S+))?", text)
    assert match, text
    lower_limit, fixed_price, unit_price, block_size = match.groups()
    return Band(
        Decimal(lower_limit),
        Decimal(unit_price or 0),
        Decimal(fixed_price or 0),
        Decimal(block_size) if block_size else None,
    )


def price(row: Row) -> str:
    amount = bands(row).price(Decimal(row["units"])).amount
    return amount_text(round_amount(amount, "USD"), "USD")


def units(row: Row) -> str:
    rounding = Rounding(row["rounding"])
    return text_from_decimal(round_units(Decimal(row["quantity"]), Decimal(row["quantity per unit"]), rounding))


def count_days(row: Row) -> str:
    zone = row["time zone"]
    start, end = (
        datetime.fromisoformat(row[name]).replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))
        for name in ("from", "until")
    )
    return str(days(start, end, zone))


@pytest.mark.parametrize(
    ("columns", "compute", "result", "least"),
    [
        (("bands", "cumulative", "units", "amount"), price, "amount", 15),
        (("quantity", "quantity per unit", "rounding", "units"), units, "units", 6),
        (("from", "until", "time zone", "days"), count_days, "days", 3),
    ],
    ids=["R1.1 to R1.5", "R1.6", "R4.4"],
)
def test_examples_are_right(columns: tuple[str, ...], compute: Callable[[Row], str], result: str, least: int) -> None:
    found = rows(*columns)
    assert len(found) >= least
    assert [(row, compute(row)) for row in found if compute(row) != row[result]] == []
