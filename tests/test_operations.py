"""docs/operations.md names every variable with its default, and every metric with its kind."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from ratel.config import PREFIX, Configuration
from ratel.server.admission import Admission
from ratel.server.metrics import CallMetrics, create_pool_wait, create_registry
from ratel.server.rating import create_batch_size, create_plan_cache, create_repeated_answers
from ratel.server.usage_metrics import create_usage_metrics

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "operations.md").read_text()
FOREIGN = ("python_", "process_")


def rows(pattern: str) -> list[tuple[str, ...]]:
    return re.findall(rf"^\| {pattern} \|", PAGE, re.MULTILINE)


def registry_of_a_server() -> CollectorRegistry:
    registry = create_registry()
    CallMetrics(registry)
    Admission(1, 1, registry)
    create_pool_wait(registry)
    create_usage_metrics(registry)
    create_plan_cache(registry)
    create_batch_size(registry)
    create_repeated_answers(registry)
    return registry


def test_variables_stand_with_their_defaults() -> None:
    defaults = {name: field.default for name, field in Configuration.model_fields.items()}
    expected = [(f"{PREFIX}{name.upper()}", str(default)) for name, default in defaults.items()]
    assert [(name, value.strip()) for name, value in rows(r"`(RATEL_\w+)` \|([^|]*)")] == expected


def test_metrics_stand_with_their_kinds() -> None:
    suffixes = {"counter": "_total", "info": "_info"}
    found = {
        (metric.name + suffixes.get(metric.type, ""), "gauge" if metric.type == "info" else metric.type)
        for metric in registry_of_a_server().collect()
        if not metric.name.startswith(FOREIGN)
    }
    assert set(rows(r"`([a-z_]+)` \| (\w+)")) == found
