"""Stories by chance: written as text, so that one that fails can be read and kept."""

from datetime import date, timedelta
from random import Random

FIRST = date(2024, 1, 1)
DAYS = 130
TIMES = ("", "", "T00:00:01", "T12:30", "T23:59:59")
PRICES = ("0:1", "0:0.15 10:0.1", "0:0.333 7.5:0.111 20:0.05", "0:5/3", "0:-0.2", "0:2+0.5 10:1+0.25", "0:0 4:1")
METHODS = ("SUM", "SUM", "SUM", "COUNT", "MIN", "MAX", "MEAN", "LATEST", "WEIGHTED_SUM")


def story_text(chance: Random) -> str:
    """Write a story with everything that this version rates."""
    lines = [f"zone {chance.choice(('UTC', 'America/New_York', 'Asia/Kolkata'))}"]
    if chance.random() < 0.2:
        lines += [f"settings rates=USD:GBP:{chance.choice(('0.8', '0.3333', '1.25'))}", "account currency=GBP"]
    lines.append(_template(chance))
    if chance.random() < 0.5:
        lines.append(f"plan gold {_terms(chance)}")
        if chance.random() < 0.3:
            lines.append(f"group both plan,gold minimum={chance.choice(('30', '90'))} maximum=90")
    things = []
    for index in range(chance.randrange(1, 4)):
        lines.append(_aggregation(chance, f"a{index}"))
        things.append(f"a{index}")
    if len(things) > 1 and chance.random() < 0.3:
        lines.append(f"compound c per=2 round=UP {chance.choice(('', 'null_as_zero'))} = a0 - a1")
        things.append("c")
    if chance.random() < 0.5:
        lines += ["counter n", *_levels(chance)]
        things.append("n")
    by = {line.split()[1]: line.partition(" by=")[2].split()[0] for line in lines if " by=" in line}
    plans = ["plan", *(["gold"] if any(line.startswith("plan gold") for line in lines) else [])]
    for thing in things:
        lines += _prices(chance, thing, len(by[thing].split(",")) if thing in by else 0, plans)
    lines += _promotions(chance, lines, plans)
    lines += _attachments(chance, plans)
    lines += [_use(chance) for _ in range(chance.randrange(25))]
    start, end = sorted(chance.sample(range(DAYS), 2))
    return "\n".join([*lines, f"rate {_time(chance, start)} {_day(end)}T23:59:59.5"])


def _day(number: int) -> str:
    return str(FIRST + timedelta(days=number))


def _time(chance: Random, number: int | None = None) -> str:
    return _day(chance.randrange(DAYS) if number is None else number) + chance.choice(TIMES)


def _terms(chance: Random) -> str:
    words = []
    if chance.random() < 0.5:
        words.append(f"standing_charge={chance.choice(('0', '20', '33.33'))}")
    if chance.random() < 0.3:
        words.append(f"standing_charge_interval={chance.randrange(1, 4)}")
        words.append(f"standing_charge_offset={chance.randrange(3)}")
    if chance.random() < 0.3:
        words.append("standing_charge_in_advance=yes")
    if chance.random() < 0.3:
        words.append(f"minimum_spend={chance.choice(('10', '40'))}")
    if chance.random() < 0.2:
        words.append(f"maximum_spend={chance.choice(('50', '75'))}")
    return " ".join(words)


def _template(chance: Random) -> str:
    frequency = chance.choice(("MONTHLY", "MONTHLY", "WEEKLY", "DAILY"))
    return f"template frequency={frequency} interval={chance.choice((1, 1, 2, 5))} {_terms(chance)}"


def _aggregation(chance: Random, name: str) -> str:
    method = chance.choice((*METHODS, "UNIQUE"))
    words = [f"aggregation {name} {method}", "user" if method == "UNIQUE" else chance.choice(("size", "weight"))]
    if chance.random() < 0.5:
        words.append(f"by={chance.choice(('region', 'region,kind'))}")
    if chance.random() < 0.2:
        words.append("where=region:eu,us")
    if chance.random() < 0.3:
        words.append(f"per=3 round={chance.choice(('UP', 'DOWN', 'NEAREST', 'NONE'))}")
    if chance.random() < 0.2:
        words.append("default=2")
    return " ".join(words)


def _levels(chance: Random) -> list[str]:
    days = sorted(chance.sample(range(-20, DAYS), chance.randrange(6)))
    return [f"level n {_day(day)} {chance.randrange(30)}" for day in days]


def _prices(chance: Random, thing: str, segment_count: int, plans: list[str]) -> list[str]:
    lines = []
    for owner in ("template", *plans):
        segments = {tuple(chance.choice(("eu", "us", "*", "")) for _ in range(segment_count)) for _ in range(3)}
        for segment in sorted(segments):
            bounds = sorted(chance.sample(range(DAYS), chance.choice((0, 2, 2, 4))))
            stretches = list(zip(bounds[::2], bounds[1::2], strict=True))
            if owner == "template" and chance.random() < 0.7:
                stretches = [(0, DAYS)]
            lines += [_price(chance, thing, owner, segment, stretch) for stretch in stretches]
    return lines


def _price(chance: Random, thing: str, owner: str, segment: tuple[str, ...], stretch: tuple[int, int]) -> str:
    words = [f"price {thing} on={owner} {chance.choice(PRICES)} from={_time(chance, stretch[0])} to={_day(stretch[1])}"]
    if segment:
        words.append(f"segment={','.join(segment)}")
        if "*" in segment and chance.random() < 0.4:
            words.append("pool")
    words += [switch for switch in ("volume", "charge_zero") if chance.random() < 0.15]
    if thing == "n":
        words += [
            switch
            for switch in ("total_in_arrears", "whole_total", "whole_debit", "whole_credit")
            if chance.random() < 0.3
        ]
    elif chance.random() < 0.15:
        return " ".join([*words, f"as={chance.choice(('PRODUCT_CREDIT', 'GLOBAL_CREDIT'))}"])
    if chance.random() < 0.2:
        words.append(f"minimum={chance.choice(('5', '12.34'))}")
    if chance.random() < 0.1:
        words.append("maximum=20")
    return " ".join(words)


def _promotions(chance: Random, lines: list[str], plans: list[str]) -> list[str]:
    prices = [line for line in lines if line.startswith("price ")]
    debits = [f"{line.split()[1]}-{place}" for place, line in enumerate(prices) if " as=" not in line]
    made = []
    for number in range(chance.choice((0, 0, 1, 3))):
        worth = chance.choice(("20%", "33.3%", "100%", "15", "0:10% 20:30%"))
        is_of_pricing = debits and chance.random() < 0.4
        words = [f"promotion p{number} {worth}"]
        words.append(f"price={chance.choice(debits)}" if is_of_pricing else f"on={chance.choice(plans)}")
        words += [f"count={chance.randrange(1, 3)}"] if chance.random() < 0.2 else []
        words += ["per_period=7.77"] if worth != "15" and chance.random() < 0.3 else []
        words += ["total=25"] if chance.random() < 0.3 else []
        start, end = sorted(chance.sample(range(DAYS), 2))
        until = f" {_day(end)}T23:59:59.5" if chance.random() < 0.4 else ""
        grant = f"grant p{number} {_time(chance, start // 2)}{until} priority={chance.randrange(2)}"
        made += [" ".join(words), grant]
    return made


def _attachments(chance: Random, plans: list[str]) -> list[str]:
    days = sorted(chance.sample(range(-10, DAYS), 3))
    first = f"attach {_time(chance, days[0])} {_day(days[1])} plan={chance.choice(plans)}"
    more = f" epoch={_day(chance.randrange(31))}" if chance.random() < 0.3 else ""
    more += f" trial={_day(days[2] + chance.randrange(1, 40))}" if chance.random() < 0.3 else ""
    return [first, f"attach {_time(chance, days[chance.choice((1, 2))])} plan={chance.choice(plans)}{more}"]


def _use(chance: Random) -> str:
    words = [f"use {_time(chance)}"]
    size, weight = (chance.choice((1, 2, 3.5, 7, 12, 0.25, -4)) for _ in range(2))
    region, kind = (chance.choice(("eu", "us", "ap")) for _ in range(2))
    values = {"size": size, "weight": weight, "region": region, "kind": kind, "user": chance.choice("xyz")}
    words += [f"{field}={value}" for field, value in values.items() if chance.random() < 0.7]
    return " ".join(words)
