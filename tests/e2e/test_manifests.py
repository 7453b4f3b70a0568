"""The manifests say what the service does: ports, variables, time to end, and no more rights than it needs.

That they are valid Kubernetes is checked by deploy/check.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ratel.config import PREFIX, Configuration

ROOT = Path(__file__).resolve().parent.parent.parent
BASE = ROOT / "deploy" / "base"
KUSTOMIZATION = yaml.safe_load((BASE / "kustomization.yaml").read_text())
RESOURCES: dict[str, dict[str, Any]] = {
    resource["kind"]: resource
    for name in KUSTOMIZATION["resources"]
    for resource in yaml.safe_load_all((BASE / name).read_text())
}
PODS = {kind: RESOURCES[kind]["spec"]["template"] for kind in ("Deployment", "Job")}
CONTAINERS = {kind: pod["spec"]["containers"][0] for kind, pod in PODS.items()}
SERVER = CONTAINERS["Deployment"]
PROBES = [SERVER[f"{name}Probe"] for name in ("startup", "readiness", "liveness")]
DEFAULTS = {name: field.default for name, field in Configuration.model_fields.items()}


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def ports() -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in SERVER["ports"]}


def variables(container: dict[str, Any]) -> dict[str, str | None]:
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def test_every_file_is_part_of_the_base() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == sorted(
        path.name for path in BASE.iterdir() if path.stem != "kustomization"
    )


def test_image_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert KUSTOMIZATION["images"] == [{"name": "ratel", "newTag": version}]
    assert {container["image"] for container in CONTAINERS.values()} == {"ratel"}


def test_ports_are_those_that_the_service_listens_on() -> None:
    assert ports() == {"grpc": port_of(DEFAULTS["listen"]), "http-metrics": port_of(DEFAULTS["metrics_listen"])}
    assert variables(SERVER)["RATEL_LISTEN"] == f"0.0.0.0:{ports()['grpc']}"
    assert variables(SERVER)["RATEL_METRICS_LISTEN"] == f"0.0.0.0:{ports()['http-metrics']}"


def test_service_names_ports_and_protocols_for_a_mesh() -> None:
    offered = RESOURCES["Service"]["spec"]["ports"]
    assert {port["name"]: port["port"] for port in offered} == ports()
    assert all(port["targetPort"] == port["name"] for port in offered)
    assert {port["name"]: port["appProtocol"] for port in offered} == {"grpc": "grpc", "http-metrics": "http"}


def test_prometheus_reads_the_port_of_the_metrics() -> None:
    assert [endpoint["port"] for endpoint in RESOURCES["ServiceMonitor"]["spec"]["endpoints"]] == ["http-metrics"]


def test_probes_ask_the_health_service() -> None:
    # Without a service's name they ask for the server as a whole, which every gRPC server knows.
    assert [probe["grpc"] for probe in PROBES] == [{"port": ports()["grpc"]}] * len(PROBES)


@pytest.mark.parametrize("kind", PODS)
def test_variables_are_known_and_no_others_are_injected(kind: str) -> None:
    known = {PREFIX + name.upper() for name in Configuration.model_fields}
    assert set(variables(CONTAINERS[kind])) <= known
    # Else Kubernetes sets RATEL_PORT for the Service named ratel, and the server refuses to start.
    assert PODS[kind]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("kind", PODS)
def test_the_database_comes_from_a_secret(kind: str) -> None:
    sources = {variable["name"]: variable.get("valueFrom") for variable in CONTAINERS[kind]["env"]}
    assert sources["RATEL_DATABASE_URL"] == {"secretKeyRef": {"name": "ratel-database", "key": "url"}}


def test_there_is_time_to_pause_and_to_drain() -> None:
    pause = SERVER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert PODS["Deployment"]["spec"]["terminationGracePeriodSeconds"] >= pause + DEFAULTS["drain_seconds"] + 10


@pytest.mark.parametrize("kind", PODS)
def test_rights_are_those_of_the_restricted_standard(kind: str) -> None:
    pod = PODS[kind]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert CONTAINERS[kind]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("kind", PODS)
def test_resources_are_asked_for_and_limited(kind: str) -> None:
    resources = CONTAINERS[kind]["resources"]
    assert {"cpu", "memory"} == set(resources["requests"]) == set(resources["limits"])


def test_selectors_find_the_servers_and_not_the_migration() -> None:
    labels = PODS["Deployment"]["metadata"]["labels"]
    selectors = [
        RESOURCES["Deployment"]["spec"]["selector"]["matchLabels"],
        RESOURCES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        RESOURCES["Service"]["spec"]["selector"],
        *(each["labelSelector"]["matchLabels"] for each in PODS["Deployment"]["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector == labels for selector in selectors)
    assert PODS["Job"]["metadata"]["labels"] != labels
    assert RESOURCES["ServiceMonitor"]["spec"]["selector"]["matchLabels"] == RESOURCES["Service"]["metadata"]["labels"]


def test_an_eviction_leaves_a_server() -> None:
    assert RESOURCES["PodDisruptionBudget"]["spec"]["maxUnavailable"] < RESOURCES["Deployment"]["spec"]["replicas"]
