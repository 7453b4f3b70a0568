"""Check Kubernetes resources against the schemas of the oldest and the newest Kubernetes that Ratel is meant for.

Usage: python deploy/manifests.py FILE...

The kinds are listed here, since a validator that knows no schema for a kind lets it pass.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

# Since 1.30 a pod can pause before it ends without a shell in its image.
VERSIONS = ("1.30.0", kubernetes_validate.latest_version())
KINDS = ("Deployment", "Job", "PodDisruptionBudget", "Service", "ServiceAccount", "ServiceMonitor")
SERVICE_MONITOR = json.loads((Path(__file__).parent / "service_monitor.schema.json").read_text())


def read_resources(paths: list[str]) -> list[dict[str, Any]]:
    """Return every resource that stands in the files, in their order."""
    documents = (document for path in paths for document in yaml.safe_load_all(Path(path).read_text()))
    return [document for document in documents if document]


def find_mistakes(resources: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong: another set of kinds than `KINDS`, and whatever a schema refuses."""
    kinds = sorted(resource["kind"] for resource in resources)
    if kinds != sorted(KINDS):
        yield f"the kinds are {kinds}, not {sorted(KINDS)}"
    for resource in resources:
        for version in VERSIONS:
            try:
                check_resource(resource, version)
            except (jsonschema.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                path = ".".join(map(str, getattr(error, "path", ())))
                yield f"{resource['kind']} {resource['metadata']['name']} in {version}: {path}: {error.message}"


def check_resource(resource: dict[str, Any], version: str) -> None:
    """Raise what the resource's schema has against it, unknown fields included."""
    if resource["kind"] == "ServiceMonitor":
        jsonschema.validate(resource, SERVICE_MONITOR, jsonschema.Draft202012Validator)
    else:
        kubernetes_validate.validate(resource, version, strict=True)


def main() -> None:
    """Print the mistakes; end with 1 if there are any."""
    resources = read_resources(sys.argv[1:])
    mistakes = list(find_mistakes(resources))
    print("\n".join(mistakes) or f"{len(resources)} resources are valid in Kubernetes {' and '.join(VERSIONS)}")
    sys.exit(bool(mistakes))


if __name__ == "__main__":
    main()
