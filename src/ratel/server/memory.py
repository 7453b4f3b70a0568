"""How a process of ours looks for garbage."""

import gc

COLLECT_AFTER = (50_000, 20, 50)
"""Objects made more than freed until garbage is looked for, and how many times until it is among older ones."""


def collect_less() -> None:
    """Leave what is there now out of garbage collection, and look through the rest less often.

    Hardly anything of ours is garbage in circles; looking for it again and again took a fifth of a busy server's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
