"""The event loop computes first, and a thread beside it still gets on."""

from datetime import timedelta
from threading import Event, Thread

import numpy as np
import pytest

from ratel.core.block import Block, Numbers
from ratel.core.block_fold import fold_blocks
from ratel.core.layout import Layout
from ratel.core.meter import Field, FieldKind
from ratel.core.rollup import Rollup
from ratel.store.bucket import encode_buckets
from ratel.store.precedence import Precedence
from tests.store.metering import definition

SECONDS_MAX = 20
STATION_OF_MINUTES = timedelta(minutes=1)


def give_way(precedence: Precedence, about_to: Event, gone_on: Event) -> Thread:
    def work() -> None:
        about_to.set()
        precedence.give_way()
        gone_on.set()

    thread = Thread(target=work)
    thread.start()
    return thread


def test_a_thread_waits_while_the_loop_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratel.store.precedence.STATION_MAX", STATION_OF_MINUTES)
    precedence, about_to, gone_on = Precedence(), Event(), Event()
    with precedence:
        thread = give_way(precedence, about_to, gone_on)
        assert about_to.wait(SECONDS_MAX)
        assert not gone_on.wait(0.1)
    assert gone_on.wait(SECONDS_MAX)
    thread.join()
    with precedence:  # which the thread has not kept
        pass


def test_a_thread_gets_on_though_the_loop_always_computes() -> None:
    precedence, about_to, gone_on = Precedence(), Event(), Event()
    with precedence:
        thread = give_way(precedence, about_to, gone_on)
        assert gone_on.wait(SECONDS_MAX)
        thread.join()
    with precedence:  # which the thread has not ended
        pass


def test_there_are_stations_in_all_that_is_long() -> None:
    """For each rollup and each kind of work; what is computed is the same."""
    count = 1_000
    every = np.arange(count)
    numbers = Numbers(every, np.zeros(count, np.int8))
    highs, ones = every.astype(np.uint64), np.ones(count, np.int32)
    block = Block(highs, highs, None, every, ones, ones, (numbers,), (), ())
    layout = Layout(1, (Field("size", FieldKind.MEASURE), Field("region", FieldKind.STRING)))
    rollups = {1: [Rollup(1, layout, definition("size")), Rollup(2, layout, definition("size", "region"))]}
    stations = list[str]()
    sums, _ = fold_blocks([block], rollups, lambda: stations.append("fold"))
    encoded = encode_buckets(sums, lambda: stations.append("encode"))
    assert stations.count("fold") >= 2 * len(rollups[1])
    assert stations.count("encode") >= 2 * 2 * len(rollups[1])  # grains and layers
    assert encoded == encode_buckets(fold_blocks([block], rollups)[0])
