"""Who computes first: the event loop, or a thread beside it.

Python runs one of them at a time, and numpy lets the other in at each operation on more than some hundred elements, so
two that compute hinder each other at every one of them: what takes the loop 2 ms by itself takes it 5 to 7. The thread
therefore gives way at its stations while the loop has something to compute.
"""

import threading
from datetime import timedelta
from types import TracebackType
from typing import Final

STATION_MAX: Final = timedelta(milliseconds=5)
"""How long a thread gives way at each of its stations: about as long as the loop computes in one go. It must get on
where the loop always has something to do."""


class Precedence:
    """The event loop's, over threads that fold: the loop computes in a ``with`` block, and never waits inside it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()  # only ever held by a thread for the next line of `give_way`

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()

    def give_way(self) -> None:
        """Wait in a thread while the loop computes, but not for long."""
        if self._lock.acquire(timeout=STATION_MAX.total_seconds()):
            self._lock.release()
