"""Counters."""

from ratel.core.counter import Counter
from ratel.store.resource import Resource, Row

INSERT = """
    INSERT INTO counters (id, product_id, name, unit, create_time, update_time) VALUES ($1, $2, $3, $4, $5, $5)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM counters WHERE id = $1"
PAGE = "SELECT * FROM counters WHERE ($1 = '' OR product_id = $1) AND id > $2 ORDER BY id LIMIT $3"
UPDATE = "UPDATE counters SET name = $2, unit = $3, update_time = $4, etag = nextval('etags') WHERE id = $1"
DELETE = "DELETE FROM counters WHERE id = $1"


def _to_row(counter: Counter) -> tuple[object, ...]:
    return counter.id, counter.product_id, counter.name, counter.unit


def _to_changes(counter: Counter) -> tuple[object, ...]:
    return counter.id, counter.name, counter.unit


def counter_from_row(row: Row) -> Counter:
    """Return the counter of a row."""
    return Counter(row["id"], row["product_id"], row["name"], row["unit"])


COUNTERS = Resource("counter", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, counter_from_row)
