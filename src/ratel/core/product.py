"""Products group what is sold together (R3.1)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """What meters, counters, plan templates and plans belong to; an account has one plan of it at a time."""

    id: str
    name: str
