"""What is measured of usage on its way in, and of the rollups that follow it."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COMMIT_EVENTS = (1, 10, 100, 1_000, 2_000, 5_000, 10_000, 20_000)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
WAIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
FOLD_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
OUTCOMES = ("accepted", "duplicate", "rejected", "conflict")


@dataclass(frozen=True, slots=True)
class UsageMetrics:
    """The metrics of usage, registered once."""

    events: Counter
    group_events: Histogram
    group_wait: Histogram
    commit: Histogram
    commit_retries: Counter
    queued_events: Gauge
    queued_bytes: Gauge
    pending_batches: Gauge
    pending_events: Gauge
    rollup_lag: Gauge
    fold: Histogram
    folded_batches: Counter
    backfill_steps: Counter
    dropped_partitions: Counter


def create_usage_metrics(registry: CollectorRegistry) -> UsageMetrics:
    """Register the metrics of usage."""

    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=registry)

    def gauge(name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=registry)

    def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=registry)

    metrics = UsageMetrics(
        events=counter("ratel_usage_events", "Usage events answered, by what became of them.", "outcome"),
        group_events=histogram("ratel_commit_events", "Events committed together.", COMMIT_EVENTS),
        group_wait=histogram(
            "ratel_commit_wait_seconds",
            "Time that the oldest message of a commit waited for it to begin.",
            WAIT_SECONDS,
        ),
        commit=histogram("ratel_commit_seconds", "Time that a commit took, attempts included.", COMMIT_SECONDS),
        commit_retries=counter("ratel_commit_retries", "Commits tried again."),
        queued_events=gauge("ratel_queued_events", "Events read and not committed yet."),
        queued_bytes=gauge("ratel_queued_bytes", "Size, as sent, of the messages read and not committed yet."),
        pending_batches=gauge("ratel_pending_batches", "Batches that are not in the rollups yet, of all processes."),
        pending_events=gauge("ratel_pending_events", "Events that are not in the rollups yet, of all processes."),
        rollup_lag=gauge("ratel_rollup_lag_seconds", "Age of the oldest batch that is not in the rollups."),
        fold=histogram("ratel_fold_seconds", "Time that a fold of pending batches took.", FOLD_SECONDS),
        folded_batches=counter("ratel_folded_batches", "Batches folded into the rollups, by where from.", "source"),
        backfill_steps=counter("ratel_backfill_steps", "Steps of backfills of new rollups."),
        dropped_partitions=counter("ratel_dropped_partitions", "Months of events that were dropped by this process."),
    )
    for outcome in OUTCOMES:
        metrics.events.labels(outcome)
    for source in ("memory", "events"):
        metrics.folded_batches.labels(source)
    return metrics
