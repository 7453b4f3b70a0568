"""The only clock. What needs the time is told it as an argument, so that a test can say any time."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)
