"""The manifests: right by Kubernetes' own schema, by each other, and by what the server really does."""

from __future__ import annotations

import asyncio
import copy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.support.server_process import server_process
from tests.support.tones import LETTERS, VOICES
from wyoming_tts import __version__
from wyoming_tts.commands.cli import _parser
from wyoming_tts.settings import Settings, load_settings
from wyoming_tts.voices.catalogue import load_catalogue
from wyoming_tts.voices.names import find_catalogue_voice

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
SETTINGS = MANIFESTS / "settings.yaml"
BESIDE = {"secret.example.yaml", "servicemonitor.yaml"}
"""What is applied by itself, by those who want it."""
VERSIONS = ("1.30", "1.37")
"""The oldest that the manifests are for, and the newest whose schema there is."""
PATIENCE = 45.0

Manifest = dict[str, Any]


def manifests(*names: str) -> Iterator[Manifest]:
    for name in names:
        yield from yaml.safe_load_all((MANIFESTS / name).read_text())


KUSTOMIZATION = next(manifests("kustomization.yaml"))
ALL = tuple(manifests(*KUSTOMIZATION["resources"], *sorted(BESIDE)))


def of_kind(kind: str) -> list[Manifest]:
    return [manifest for manifest in ALL if manifest["kind"] == kind]


def one(kind: str) -> Manifest:
    (found,) = of_kind(kind)
    return found


def pods() -> list[Manifest]:
    """The pods that the manifests make: of the servers, and of the job."""
    return [manifest["spec"]["template"] for manifest in (one("Deployment"), one("Job"))]


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
def test_every_manifest_is_what_the_schema_wants(version: str) -> None:
    known = [manifest for manifest in ALL if manifest["kind"] != "ServiceMonitor"]
    for manifest in known:
        assert kubernetes_validate.validate(manifest, version, strict=True) == version
    assert len(known) >= 10


def test_a_wrong_key_would_be_found() -> None:
    wrong = copy.deepcopy(one("Deployment"))
    container(wrong["spec"]["template"])["readinessProbe"]["periodSecond"] = 5
    with pytest.raises(kubernetes_validate.ValidationError, match="periodSecond"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_makes_of_them_what_the_schema_wants() -> None:
    made = subprocess.run(["kubectl", "kustomize", MANIFESTS], capture_output=True, text=True, check=True)
    built = list(yaml.safe_load_all(made.stdout))
    for manifest in built:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
    named = {manifest["kind"]: manifest["metadata"]["name"] for manifest in built}
    deployment = next(manifest for manifest in built if manifest["kind"] == "Deployment")
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["settings"]["configMap"]["name"] == named["ConfigMap"] != "wyoming-tts"
    assert {manifest["metadata"].get("namespace") for manifest in built} == {None, "wyoming-tts"}


# -- each other ---------------------------------------------------------------------------------


def test_every_file_is_applied_or_said_to_be_beside() -> None:
    files = {path.name for path in MANIFESTS.iterdir()} - {"kustomization.yaml", SETTINGS.name}
    assert files == {*KUSTOMIZATION["resources"], *BESIDE}
    head = (MANIFESTS / "kustomization.yaml").read_text()
    assert all(name in head for name in BESIDE)
    assert all(path.read_text().startswith("# ") for path in MANIFESTS.iterdir())


def test_the_image_is_that_of_this_version() -> None:
    (image,) = KUSTOMIZATION["images"]
    assert image["newTag"] == __version__
    assert {container(pod)["image"] for pod in pods()} == {image["name"]}


def test_what_is_named_is_there() -> None:
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    assert KUSTOMIZATION["namespace"] == one("Namespace")["metadata"]["name"]
    claim = one("PersistentVolumeClaim")["metadata"]["name"]
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim
        assert {mount["name"] for mount in container(pod)["volumeMounts"]} == set(volumes)
        if "settings" in volumes:
            assert volumes["settings"]["configMap"]["name"] == generated["name"]
    assert generated["files"] == [SETTINGS.name]
    secret = one("Secret")
    for variable in container(SERVER)["env"]:
        wanted = variable["valueFrom"]["secretKeyRef"]
        assert wanted["name"] == secret["metadata"]["name"]
        assert wanted["key"] in secret["stringData"]


def test_selectors_find_the_servers_and_not_the_job() -> None:
    assert one("Deployment")["spec"]["selector"]["matchLabels"] == SERVER_LABELS
    budget = one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    (spread,) = SERVER["spec"]["topologySpreadConstraints"]
    for selector in (one("Service")["spec"]["selector"], budget, spread["labelSelector"]["matchLabels"]):
        assert selects(selector, SERVER_LABELS)
        assert not selects(selector, DOWNLOAD["metadata"]["labels"])
    target = one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", one("Deployment")["metadata"]["name"])
    policies = of_kind("NetworkPolicy")
    for pod in pods():
        labels = pod["metadata"]["labels"]
        assert sum(selects(each["spec"]["podSelector"]["matchLabels"], labels) for each in policies) == 1


def test_ports_are_those_that_the_server_listens_on(settings: Settings) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(SERVER)["ports"]}
    assert ports == {"wyoming": settings.port, "http": settings.http_port}
    service = one("Service")
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports
    (ingress,) = of_kind("NetworkPolicy")[0]["spec"]["ingress"]
    assert {port["port"] for port in ingress["ports"]} == set(ports)
    monitor = one("ServiceMonitor")["spec"]
    assert selects(monitor["selector"]["matchLabels"], service["metadata"]["labels"])
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= set(ports)


def test_the_servers_reach_nobody_and_the_job_reaches_the_hub_alone() -> None:
    servers, job = (policy["spec"] for policy in of_kind("NetworkPolicy"))
    assert servers["policyTypes"] == job["policyTypes"] == ["Ingress", "Egress"]
    assert servers["egress"] == job["ingress"] == []
    assert {port["port"] for rule in job["egress"] for port in rule["ports"]} == {53, 443}


def test_pods_may_do_nothing_that_they_need_not() -> None:
    for pod in pods():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 10200
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        own = container(pod)["securityContext"]
        assert own["readOnlyRootFilesystem"] is True
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} == set(container(pod)["resources"])


# -- what the server does -----------------------------------------------------------------------


def test_streams_end_before_the_server_is_killed(settings: Settings) -> None:
    before = container(SERVER)["lifecycle"]["preStop"]["sleep"]["seconds"]
    readiness = container(SERVER)["readinessProbe"]
    given = SERVER["spec"]["terminationGracePeriodSeconds"]
    assert given > before + settings.shutdown_grace + 5
    assert before >= readiness["periodSeconds"]


def test_its_memory_is_below_the_limit(settings: Settings) -> None:
    limit = int(container(SERVER)["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert limit > 360 + 1.5 * settings.max_model_memory + settings.cache_memory


def test_it_searches_the_volume_and_fetches_nothing(settings: Settings) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container(SERVER)["volumeMounts"]}
    assert [str(path) for path in settings.data_dir] == [mounts["data"]]
    assert settings.offline
    assert not settings.metrics, "replicas would write into one file"
    assert not settings.zeroconf
    config = container(SERVER)["args"][container(SERVER)["args"].index("--config") + 1]
    assert config == f"{mounts['settings']}/{SETTINGS.name}"


def test_the_names_in_the_environment_are_settings() -> None:
    environ = {variable["name"]: "a-key" for variable in container(SERVER)["env"]}
    loaded = load_settings({"config": str(SETTINGS)}, environ=environ)
    assert not loaded.warnings
    assert loaded.settings.api_keys == ("a-key",)


def test_the_job_fetches_the_voice_that_is_spoken_by_default(settings: Settings) -> None:
    arguments = _parser("voices").parse_args(container(DOWNLOAD)["args"])
    assert arguments.voices_command == "download"
    catalogue = load_catalogue()
    assert settings.voice in {find_catalogue_voice(catalogue.voices, name).name for name in arguments.names}
    mounts = {mount["name"]: mount["mountPath"] for mount in container(DOWNLOAD)["volumeMounts"]}
    assert arguments.data_dir == [mounts["data"]]


async def test_a_server_with_these_settings_answers_its_probes_and_its_neighbours() -> None:
    words = container(SERVER)["args"]
    assert words[0] == "serve"
    flags = [str(SETTINGS) if word.startswith("/etc/") else word for word in words[1:]]
    here = ("--data-dir", str(VOICES), "--voice", LETTERS.name)
    http = ("--http", "--http-host", "127.0.0.1", "--http-port", "0")
    async with asyncio.timeout(PATIENCE), server_process(*flags, *here, *http) as server:
        port = (await server.read_until(r"HTTP API listens on http://127\.0\.0\.1:(\d+)"))[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while (await client.get("/readyz")).status_code == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container(SERVER)[kind]["httpGet"]
                assert probe["port"] == "http"
                assert (await client.get(probe["path"], headers={"Host": "10.1.2.3:8880"})).status_code == 200
            (endpoint,) = one("ServiceMonitor")["spec"]["endpoints"]
            scraped = await client.get(endpoint["path"], headers={"Host": "10.1.2.3:8880"})
            assert "wyoming_tts_active_streams" in scraped.text
            service, namespace = one("Service")["metadata"]["name"], KUSTOMIZATION["namespace"]
            for domain in ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local"):
                asked = await client.get("/v1/models", headers={"Host": f"{service}{domain}:8880"})
                assert asked.status_code == 200, domain
            stranger = await client.get("/v1/models", headers={"Host": "rebound.example.org:8880"})
            assert stranger.status_code == 403
            assert (await client.get("/")).status_code == 404, "there is no page"
