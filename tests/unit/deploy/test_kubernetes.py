"""The manifests: valid YAML, and what they say of Gitward is so: settings, ports, paths, names, user ids."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitward.api.request_gate import OPEN_PATHS
from gitward.cli.identity import operators_of, rules_of
from gitward.settings.fields import Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
FOLDER = DEPLOY / "kubernetes"
ALIASES = {str(field.alias): name for name, field in Settings.model_fields.items()}
KINDS = {
    *("ConfigMap", "Deployment", "Kustomization", "Namespace", "Secret", "Service", "StatefulSet"),
}
Manifest = dict[str, Any]


@cache
def manifests() -> tuple[Manifest, ...]:
    return tuple(each for file in sorted(FOLDER.glob("*.yaml")) for each in yaml.safe_load_all(file.read_text()))


def find(kind: str, name: str) -> Manifest:
    [found] = [each for each in manifests() if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods() -> Iterator[tuple[str, Manifest]]:
    for each in manifests():
        if each["kind"] in {"Deployment", "StatefulSet"}:
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def pod(name: str) -> Manifest:
    return dict(pods())[name]


def container(name: str) -> Manifest:
    [only] = pod(name)["containers"]
    assert isinstance(only, dict)
    return only


def probes(name: str) -> dict[str, Manifest]:
    return {key: value for key, value in container(name).items() if key.endswith("Probe")}


def plain_variables(name: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(name).get("env", []) if "value" in each}


def test_every_document_is_of_a_kind_that_there_is() -> None:
    assert {each["kind"] for each in manifests()} == KINDS
    assert all(each["apiVersion"] for each in manifests())
    listed = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"])
    assert listed | {"kustomization.yaml", "secret.example.yaml"} == {file.name for file in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("name", ["gitward-api", "gitward-worker"])
def test_every_setting_exists_and_takes_its_value(name: str) -> None:
    source, secrets = container(name)["envFrom"]
    assert secrets["secretRef"] == {"name": f"{name}-secrets", "optional": True}
    assert f"create secret generic {name}-secrets" in (DEPLOY.parent / "docs" / "deployment.md").read_text()
    given = {**find("ConfigMap", source["configMapRef"]["name"])["data"], **plain_variables(name)}
    assert set(given) <= set(ALIASES)
    assert {each["name"] for each in container(name)["env"]} <= set(ALIASES)
    settings = Settings(**given)
    assert rules_of(settings)
    assert operators_of(settings)


def test_what_refers_to_a_secret_finds_it() -> None:
    keys = {
        (each["metadata"]["name"], key)
        for each in manifests()
        if each["kind"] == "Secret"
        for key in each["stringData"]
    }
    wanted = {
        (source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])
        for name, _ in pods()
        for variable in container(name)["env"]
        if (source := variable.get("valueFrom"))
    }
    [volume] = [each for each in pod("gitward-worker")["volumes"] if "secret" in each]
    [mount] = [each for each in container("gitward-worker")["volumeMounts"] if each["name"] == volume["name"]]
    folder, _, key = plain_variables("gitward-worker")["GITHUB_TOKEN_FILE"].rpartition("/")
    assert mount["mountPath"] == folder
    assert mount["readOnly"] is True
    assert wanted | {(volume["secret"]["secretName"], key)} == keys


def test_workers_alone_get_the_token() -> None:
    for name, spec in pods():
        has_token = "gitward-github" in str(spec)
        assert has_token is (name == "gitward-worker"), name


def test_an_api_s_probes_ask_what_it_answers_without_a_jwt() -> None:
    [port] = container("gitward-api")["ports"]
    assert str(port["containerPort"]) == plain_variables("gitward-api")["GITWARD_PORT"]
    assert set(probes("gitward-api")) == {"startupProbe", "livenessProbe", "readinessProbe"}
    for name, probe in probes("gitward-api").items():
        assert probe["httpGet"]["port"] == port["name"]
        assert probe["httpGet"]["path"] == ("/ready" if name == "readinessProbe" else "/health")
        assert probe["httpGet"]["path"] in OPEN_PATHS


def test_a_worker_s_probes_ask_its_own_loopback() -> None:
    """Its port is there for nobody else; tests/acceptance/test_metrics.py asks both paths."""
    port = plain_variables("gitward-worker")["GITWARD_METRICS_PORT"]
    for name, probe in probes("gitward-worker").items():
        path = "ready" if name == "readinessProbe" else "health"
        assert probe["exec"]["command"][0] == "curl"
        assert probe["exec"]["command"][-1] == f"http://127.0.0.1:{port}/{path}"
    assert "curl" in (DEPLOY / "Containerfile").read_text().partition("FROM docker.io")[2].partition("FROM")[2]


def test_services_lead_to_ports_of_their_pods() -> None:
    for each in manifests():
        if each["kind"] != "Service":
            continue
        app = each["spec"]["selector"]["app"]
        ports = {port["name"] for port in container(app).get("ports", [])}
        assert {port["targetPort"] for port in each["spec"].get("ports", [])} <= ports
    [postgres] = find("Service", "postgres")["spec"]["ports"]
    assert postgres["port"] == 5432
    assert "@postgres/" in find("Secret", "gitward-database")["stringData"]["url"]


def test_two_of_each_and_a_worker_keeps_its_folder() -> None:
    assert find("Deployment", "gitward-api")["spec"]["replicas"] == 2
    worker = find("StatefulSet", "gitward-worker")["spec"]
    assert worker["replicas"] == 2
    [claim] = worker["volumeClaimTemplates"]
    mounts = {each["name"]: each["mountPath"] for each in container("gitward-worker")["volumeMounts"]}
    # The volume itself belongs to root and its group may write it, which Gitward refuses: so a folder below it.
    assert plain_variables("gitward-worker")["GITWARD_DATA_DIR"] == f"{mounts[claim['metadata']['name']]}/data"


def test_a_worker_may_make_sandboxes_and_nothing_else_may() -> None:
    for name, spec in pods():
        inside = container(name)["securityContext"]
        assert inside["allowPrivilegeEscalation"] is False
        assert inside["capabilities"] == {"drop": ["ALL"]}
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
        profile = "Unconfined" if name == "gitward-worker" else "RuntimeDefault"
        assert spec["securityContext"]["seccompProfile"] == {"type": profile}
        assert ("procMount" in inside) is (name == "gitward-worker")
    worker = pod("gitward-worker")
    assert worker["hostUsers"] is False  # else Kubernetes refuses procMount: Unmasked
    assert container("gitward-worker")["securityContext"]["procMount"] == "Unmasked"
    assert worker["securityContext"]["appArmorProfile"] == {"type": "Unconfined"}
    assert find("Namespace", "gitward")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


def test_users_and_times_are_those_of_image_and_settings() -> None:
    assert f"USER {pod('gitward-api')['securityContext']['runAsUser']}\n" in (DEPLOY / "Containerfile").read_text()
    worker = pod("gitward-worker")
    assert worker["terminationGracePeriodSeconds"] > int(Settings.model_fields["grace_seconds"].default) + 30
    data = find("ConfigMap", "gitward")["data"]
    memory = int(data["GITWARD_MEMORY"]) * int(data["GITWARD_MAX_RUNS_PER_WORKER"])
    assert container("gitward-worker")["resources"]["limits"]["memory"] == f"{memory // 1024 + 2}Gi"
