"""The Kubernetes manifests: valid by the schema, consistent with each other and with the server."""

from __future__ import annotations

import asyncio
import copy
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.support.fake_synthesizer import run_in_thread
from tests.support.server_process import server_process
from tests.support.tones import LETTERS, VOICES
from wyoming_tts import __version__
from wyoming_tts.commands.command_line import make_parser
from wyoming_tts.settings import Settings, load_settings
from wyoming_tts.telemetry.prometheus import PrometheusCounters
from wyoming_tts.voices.catalogue import load_catalogue
from wyoming_tts.voices.names import find_catalogue_voice

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
SETTINGS = MANIFESTS / "settings.yaml"
OPTIONAL = {"bucket.yaml", "cache.yaml", "keda.yaml", "secret.example.yaml", "servicemonitor.yaml"}
"""Optional manifests, which are applied separately."""
CUSTOM_KINDS = {"ScaledObject", "ServiceMonitor"}
"""Kinds that operators bring, of which Kubernetes has no schema."""
VERSIONS = ("1.30", "1.37")
"""The oldest supported version, and the newest one with a published schema."""
TIMEOUT = 45.0

Manifest = dict[str, Any]


def manifests(*names: str) -> Iterator[Manifest]:
    for name in names:
        yield from yaml.safe_load_all((MANIFESTS / name).read_text())


KUSTOMIZATION = next(manifests("kustomization.yaml"))
CACHE = tuple(manifests("cache.yaml"))
"""What servers may share."""
MANIFEST_LIST = tuple(
    manifests(*KUSTOMIZATION["resources"], *sorted(OPTIONAL - {"bucket.yaml", "cache.yaml"}))
)


def of_kind(kind: str) -> list[Manifest]:
    return [manifest for manifest in MANIFEST_LIST if manifest["kind"] == kind]


def only_of_kind(kind: str) -> Manifest:
    (found,) = of_kind(kind)
    return found


def pods() -> list[Manifest]:
    """The pod templates of the servers and of the download job."""
    return [manifest["spec"]["template"] for manifest in (only_of_kind("Deployment"), only_of_kind("Job"))]


def container(pod: Manifest) -> Manifest:
    (only,) = pod["spec"]["containers"]
    return dict(only)


def selects(selector: Manifest, labels: Manifest) -> bool:
    return selector.items() <= labels.items()


SERVER, DOWNLOAD = pods()
SERVER_LABELS = SERVER["metadata"]["labels"]


@pytest.fixture(scope="module")
def settings() -> Settings:
    loaded = load_settings({"config": str(SETTINGS)}, environ={})
    assert not loaded.warnings
    return loaded.settings


# -- the schema ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_by_the_schema(version: str) -> None:
    every = (*MANIFEST_LIST, *CACHE)
    validated = [manifest for manifest in every if manifest["kind"] not in CUSTOM_KINDS]
    for manifest in validated:
        assert kubernetes_validate.validate(manifest, version, strict=True) == version
    assert len(validated) >= 10


def test_schema_validation_detects_an_unknown_key() -> None:
    invalid = copy.deepcopy(only_of_kind("Deployment"))
    container(invalid["spec"]["template"])["readinessProbe"]["periodSecond"] = 5
    with pytest.raises(kubernetes_validate.ValidationError, match="periodSecond"):
        kubernetes_validate.validate(invalid, VERSIONS[-1], strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_valid_manifests() -> None:
    kustomized = subprocess.run(
        ["kubectl", "kustomize", MANIFESTS], capture_output=True, text=True, check=True
    )
    built = list(yaml.safe_load_all(kustomized.stdout))
    for manifest in built:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
    named = {manifest["kind"]: manifest["metadata"]["name"] for manifest in built}
    deployment = next(manifest for manifest in built if manifest["kind"] == "Deployment")
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["settings"]["configMap"]["name"] == named["ConfigMap"] != "wyoming-tts"
    assert {manifest["metadata"].get("namespace") for manifest in built} == {None, "wyoming-tts"}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_with_a_bucket_no_volume_is_shared(tmp_path: Path) -> None:
    files = tmp_path / "kubernetes"
    shutil.copytree(MANIFESTS, files)
    resources = [
        name for name in KUSTOMIZATION["resources"] if name not in {"voices.yaml", "voices-job.yaml"}
    ]
    changed = {**KUSTOMIZATION, "resources": resources, "patches": [{"path": "bucket.yaml"}]}
    (files / "kustomization.yaml").write_text(yaml.safe_dump(changed))
    kustomized = subprocess.run(["kubectl", "kustomize", files], capture_output=True, text=True, check=True)
    built = list(yaml.safe_load_all(kustomized.stdout))
    for manifest in built:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
    deployment = next(manifest for manifest in built if manifest["kind"] == "Deployment")
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["data"].keys() == {"name", "emptyDir"}
    assert "PersistentVolumeClaim" not in kustomized.stdout
    variables = {each["name"] for each in container(deployment["spec"]["template"])["env"]}
    assert {"WYOMING_TTS_VOICES_URL", "WYOMING_TTS_API_KEYS"} <= variables
    policy = next(each for each in built if each["kind"] == "NetworkPolicy" and each["spec"]["ingress"])
    assert {"port": 443, "protocol": "TCP"} in policy["spec"]["egress"][0]["ports"]


# -- consistency ---------------------------------------------------------------------------------


def test_every_file_is_a_resource_or_documented_as_optional() -> None:
    files = {path.name for path in MANIFESTS.iterdir()} - {"kustomization.yaml", SETTINGS.name}
    assert files == {*KUSTOMIZATION["resources"], *OPTIONAL}
    kustomization_text = (MANIFESTS / "kustomization.yaml").read_text()
    assert all(name in kustomization_text for name in OPTIONAL)
    assert all(path.read_text().startswith("# ") for path in MANIFESTS.iterdir())


def test_the_image_tag_is_this_version() -> None:
    (image,) = KUSTOMIZATION["images"]
    assert image["newTag"] == __version__
    assert {container(pod)["image"] for pod in pods()} == {image["name"]}


def test_referenced_claims_config_maps_and_secrets_exist() -> None:
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    assert KUSTOMIZATION["namespace"] == only_of_kind("Namespace")["metadata"]["name"]
    claim = only_of_kind("PersistentVolumeClaim")["metadata"]["name"]
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim
        assert {mount["name"] for mount in container(pod)["volumeMounts"]} == set(volumes)
        if "settings" in volumes:
            assert volumes["settings"]["configMap"]["name"] == generated["name"]
    assert generated["files"] == [SETTINGS.name]
    secret = only_of_kind("Secret")
    for variable in container(SERVER)["env"]:
        secret_key = variable["valueFrom"]["secretKeyRef"]
        assert secret_key["name"] == secret["metadata"]["name"]
        assert secret_key["key"] in secret["stringData"]


def test_selectors_match_the_servers_and_not_the_job() -> None:
    assert only_of_kind("Deployment")["spec"]["selector"]["matchLabels"] == SERVER_LABELS
    budget = only_of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    (spread,) = SERVER["spec"]["topologySpreadConstraints"]
    for selector in (
        only_of_kind("Service")["spec"]["selector"],
        budget,
        spread["labelSelector"]["matchLabels"],
    ):
        assert selects(selector, SERVER_LABELS)
        assert not selects(selector, DOWNLOAD["metadata"]["labels"])
    target = only_of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", only_of_kind("Deployment")["metadata"]["name"])
    policies = of_kind("NetworkPolicy")
    for pod in pods():
        labels = pod["metadata"]["labels"]
        assert sum(selects(each["spec"]["podSelector"]["matchLabels"], labels) for each in policies) == 1


def test_ports_match_the_servers_settings(settings: Settings) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(SERVER)["ports"]}
    assert ports == {"wyoming": settings.port, "http": settings.http_port}
    service = only_of_kind("Service")
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports
    (ingress,) = of_kind("NetworkPolicy")[0]["spec"]["ingress"]
    assert {port["port"] for port in ingress["ports"]} == set(ports)
    monitor = only_of_kind("ServiceMonitor")["spec"]
    assert selects(monitor["selector"]["matchLabels"], service["metadata"]["labels"])
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= set(ports)


def test_network_policies_deny_egress_to_servers_and_allow_the_job_dns_and_https() -> None:
    servers, job = (policy["spec"] for policy in of_kind("NetworkPolicy"))
    assert servers["policyTypes"] == job["policyTypes"] == ["Ingress", "Egress"]
    assert servers["egress"] == job["ingress"] == []
    assert {port["port"] for rule in job["egress"] for port in rule["ports"]} == {53, 443}


def test_pods_run_with_least_privilege() -> None:
    for pod in pods():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 10200
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        container_context = container(pod)["securityContext"]
        assert container_context["readOnlyRootFilesystem"] is True
        assert container_context["allowPrivilegeEscalation"] is False
        assert container_context["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} == set(container(pod)["resources"])


def test_the_shared_cache_is_bounded_and_reached_by_the_servers_alone() -> None:
    deployment, service, inwards, outwards = CACHE
    pod = deployment["spec"]["template"]
    labels, only = pod["metadata"]["labels"], container(pod)
    assert only["args"][only["args"].index("--maxmemory") :] == [
        *("--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru")
    ]
    assert only["resources"]["limits"]["memory"] == "1536Mi"
    assert only["securityContext"] == container(SERVER)["securityContext"]
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selects(selector, labels)
        assert not selects(selector, SERVER_LABELS)
    assert not any(selects(each["spec"]["selector"], labels) for each in of_kind("Service"))
    (asking,) = inwards["spec"]["ingress"][0]["from"]
    assert asking["podSelector"] == outwards["spec"]["podSelector"]
    assert selects(asking["podSelector"]["matchLabels"], SERVER_LABELS)
    assert outwards["spec"]["egress"][0]["to"] == [{"podSelector": inwards["spec"]["podSelector"]}]
    (url,) = re.findall(r"^# cache_url: (\S+)", SETTINGS.read_text(), re.MULTILINE)
    assert url == f"redis://{service['metadata']['name']}"
    Settings.model_validate({"cache_url": url})


def test_keda_scales_the_deployment_by_metrics_that_the_server_has() -> None:
    scaled = only_of_kind("ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == only_of_kind("Deployment")["metadata"]["name"]
    assert scaled["metadata"]["namespace"] == KUSTOMIZATION["namespace"]
    queries = [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]
    counters = PrometheusCounters(run_in_thread)
    exposed = {metric.name for metric in counters.registry.collect()}
    for query in queries:
        (name,) = re.findall(r"wyoming_tts_\w+", query)
        assert name.removesuffix("_total") in exposed
        assert f'namespace="{KUSTOMIZATION["namespace"]}"' in query


def test_a_pod_computes_with_the_cores_that_it_requests(settings: Settings) -> None:
    cores = int(container(SERVER)["resources"]["requests"]["cpu"])
    assert 4 <= cores <= 8
    assert settings.compute_threads == cores
    (trigger, _) = only_of_kind("ScaledObject")["spec"]["triggers"]
    assert float(trigger["metadata"]["threshold"]) < cores


# -- server behaviour -----------------------------------------------------------------------


def test_the_termination_grace_period_covers_pre_stop_and_shutdown_grace(settings: Settings) -> None:
    pre_stop_seconds = container(SERVER)["lifecycle"]["preStop"]["sleep"]["seconds"]
    readiness = container(SERVER)["readinessProbe"]
    grace_seconds = SERVER["spec"]["terminationGracePeriodSeconds"]
    assert grace_seconds > pre_stop_seconds + settings.shutdown_grace + 5
    assert pre_stop_seconds >= readiness["periodSeconds"]


def test_the_configured_memory_use_is_below_the_container_limit(settings: Settings) -> None:
    limit = int(container(SERVER)["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert limit > 360 + 1.5 * settings.max_model_memory + settings.cache_memory


def test_the_server_reads_voices_from_the_volume_and_is_offline(settings: Settings) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container(SERVER)["volumeMounts"]}
    assert [str(path) for path in settings.data_dir] == [mounts["data"]]
    assert settings.offline
    assert not settings.metrics, "replicas would write into one file"
    assert not settings.zeroconf
    config = container(SERVER)["args"][container(SERVER)["args"].index("--config") + 1]
    assert config == f"{mounts['settings']}/{SETTINGS.name}"


def test_environment_variables_are_settings() -> None:
    environ = {variable["name"]: "a-key" for variable in container(SERVER)["env"]}
    loaded = load_settings({"config": str(SETTINGS)}, environ=environ)
    assert not loaded.warnings
    assert loaded.settings.api_keys == ("a-key",)


def test_the_job_downloads_the_default_voice(settings: Settings) -> None:
    arguments = make_parser("voices").parse_args(container(DOWNLOAD)["args"])
    assert arguments.voices_command == "download"
    catalogue = load_catalogue()
    assert settings.voice in {find_catalogue_voice(catalogue.voices, name).name for name in arguments.names}
    mounts = {mount["name"]: mount["mountPath"] for mount in container(DOWNLOAD)["volumeMounts"]}
    assert arguments.data_dir == [mounts["data"]]


async def test_a_server_with_these_settings_answers_probes_scrapes_and_cluster_hosts() -> None:
    arguments = container(SERVER)["args"]
    assert arguments[0] == "serve"
    flags = [str(SETTINGS) if word.startswith("/etc/") else word for word in arguments[1:]]
    data_flags = ("--data-dir", str(VOICES), "--voice", LETTERS.name)
    http_flags = ("--http", "--http-host", "127.0.0.1", "--http-port", "0")
    async with asyncio.timeout(TIMEOUT), server_process(*flags, *data_flags, *http_flags) as server:
        port = (await server.read_until(r"HTTP API listens on http://127\.0\.0\.1:(\d+)"))[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while (await client.get("/readyz")).status_code == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container(SERVER)[kind]["httpGet"]
                assert probe["port"] == "http"
                assert (await client.get(probe["path"], headers={"Host": "10.1.2.3:8880"})).status_code == 200
            (endpoint,) = only_of_kind("ServiceMonitor")["spec"]["endpoints"]
            scraped = await client.get(endpoint["path"], headers={"Host": "10.1.2.3:8880"})
            assert "wyoming_tts_active_streams" in scraped.text
            service, namespace = only_of_kind("Service")["metadata"]["name"], KUSTOMIZATION["namespace"]
            for domain in ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local"):
                response = await client.get("/v1/models", headers={"Host": f"{service}{domain}:8880"})
                assert response.status_code == 200, domain
            foreign_host = await client.get("/v1/models", headers={"Host": "rebound.example.org:8880"})
            assert foreign_host.status_code == 403
            assert (await client.get("/")).status_code == 404, "there is no page"
