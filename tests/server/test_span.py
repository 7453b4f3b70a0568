"""What is told of texts all at once is what is told of each by itself."""

import random
import re
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest

from ratel.core.event import event_key, is_hashed
from ratel.core.keys import keys_of_ids
from ratel.server.convert.span import PADDING, Bytes, Spans
from tests.store.metering import random_uuid7

PLAIN = re.compile(r"-?[0-9]+(\.[0-9]{1,16})?")
ODD = ("", "-", ".", "-.5", "5.", "1.2.3", "--1", "1e3", "+1", "12/4", "1:2", "9" * 19, "0." + "1" * 17, "é", "1\0")


def spans_of(chance: random.Random, texts: list[bytes]) -> tuple[Bytes, Spans]:
    """Return texts with other bytes between them."""
    starts, raw = [], b""
    for text in texts:
        raw += chance.randbytes(chance.randrange(4))
        starts.append(len(raw))
        raw += text
    lengths = [len(text) for text in texts]
    return Bytes(raw + PADDING), Spans(np.array(starts, np.int64), np.array(lengths, np.int64))


def decimal_text(chance: random.Random) -> str:
    whole = str(chance.randrange(10 ** chance.choice((1, 3, 7, 8, 9, 16, 18))))
    digits = "".join(chance.choices("0123456789", k=chance.choice((0, 0, 1, 2, 7, 8, 9, 16))))
    return (chance.choice(("", "", "-")) + "0" * chance.choice((0, 0, 2)) + whole + (f".{digits}" if digits else ""))[
        :18
    ]


@pytest.mark.parametrize("odd", [0.0, 0.5])
def test_decimals_are_what_they_say(odd: float) -> None:
    chance, read = random.Random(3), 0
    for _ in range(600):
        texts = [decimal_text(chance) for _ in range(chance.choice((1, 2, 30)))]
        if chance.random() < odd:
            texts[0] = chance.choice(ODD)
        chance.shuffle(texts)
        source, spans = spans_of(chance, [text.encode() for text in texts])
        found = source.decimals(spans)
        assert (found is not None) == all(PLAIN.fullmatch(text) and len(text.encode()) <= 18 for text in texts)
        if found is not None:
            read += 1
            decimals = found.decimals()
            assert decimals == [Decimal(text) for text in texts]
            assert found.scales.tolist() == [len(text.partition(".")[2]) for text in texts]
    assert read > 100


@pytest.mark.parametrize("kinds", [1, 3, 500])
@pytest.mark.parametrize("length_max", [1, 8, 20])
def test_texts_are_told_apart(kinds: int, length_max: int) -> None:
    chance = random.Random(4)
    for count in (0, 1, 7, 2_000):
        some = ["".join(chance.choices("abé\0", k=chance.randint(0, length_max))).encode() for _ in range(kinds)]
        some.append(b"\xff" * length_max)
        texts = chance.choices(some, k=count)
        source, spans = spans_of(chance, texts)
        odd = np.zeros(count, np.bool_)
        found, codes = source.distinct(spans, odd)
        assert odd.tolist() == [b"\xff" in text for text in texts]
        assert [found[code].encode() for code in codes] == [b"" if b"\xff" in text else text for text in texts]
        assert len(found) <= len(set(texts)) + count // 100


def test_texts_whose_mixtures_meet_are_told_apart() -> None:
    """More texts than there are drawers: several share each, round after round."""
    texts = [str(number).encode() for number in range(40_000)]
    source, spans = spans_of(random.Random(5), texts)
    found, codes = source.distinct(spans, np.zeros(len(texts), np.bool_))
    assert [found[code].encode() for code in codes] == texts


def test_keys_of_ids_are_those_of_each() -> None:
    chance = random.Random(6)
    for _ in range(300):
        ids = []
        for _ in range(chance.choice((1, 5))):
            text = random_uuid7(chance) if chance.random() < 0.8 else str(UUID(int=chance.getrandbits(128), version=4))
            place = chance.randrange(36)
            spoiled = text[:place] + chance.choice("-gA0/:`é ") + text[place + 1 :]
            ids.append(chance.choice((text, text, text, text.upper(), spoiled)))
        highs, lows, texts = keys_of_ids(ids)
        keys = [int(high).to_bytes(8) + int(low).to_bytes(8) for high, low in zip(highs, lows, strict=True)]
        assert keys == [event_key(each) for each in ids]
        hashed = [each if is_hashed(event_key(each)) else None for each in ids]
        assert (hashed if any(hashed) else None) == (None if texts is None else texts.tolist())
