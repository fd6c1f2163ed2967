"""The Helm chart: its values, its schema, and that it makes what deploy/kubernetes has."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.support.helm_charts import Manifest, RenderedChart, render_chart
from wyoming_tts import __version__
from wyoming_tts.settings import SETTINGS, Settings, load_settings
from wyoming_tts.settings.chart import POD_SETTINGS
from wyoming_tts.settings.model import SECRETS

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "wyoming-tts"
PLAIN = DEPLOY / "kubernetes"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
TEMPLATES = "\n".join(path.read_text("utf-8") for path in sorted((CHART / "templates").iterdir()))
NAME = "wyoming-tts"
VERSIONS = ("1.30", "1.37")
CUSTOM_KINDS = {"ScaledObject", "ServiceMonitor"}
HELM_LABELS = {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}

EVERYTHING: dict[str, Any] = {
    "image": {"tag": "9.9.9", "pullSecrets": ["registry"]},
    "cores": 8,
    "settings": {"cors_origins": ["https://example.org"], "shutdown_grace": 45.5, "max_body_kb": 1048576},
    "env": [{"name": "WYOMING_TTS_HUB_ENDPOINT", "value": "https://mirror.example.org"}],
    "apiKeysSecret": "keys",
    "voices": {"storageClass": "nfs", "download": ["de_DE-thorsten-medium", "af_heart"]},
    "autoscaling": {"by": "keda", "max": 24},
    "service": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "annotations": {"a": "b"}},
    "ingress": {"enabled": True, "className": "nginx", "annotations": {"a": "b"}, "tlsSecret": "tls"},
    "haproxy": {"enabled": True},
    "cache": {"enabled": True, "memory": "512mb", "limit": "768Mi"},
    "monitoring": {"serviceMonitor": True, "labels": {"release": "stack"}},
    "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}]},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}
VALUE_SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "optional": {
        "autoscaling": {"by": "keda", "max": 24},
        "monitoring": {"serviceMonitor": True},
        "cache": {"enabled": True},
    },
    "everything": EVERYTHING,
    "least": {
        "voices": {"existingClaim": "mine", "download": []},
        "autoscaling": {"by": "none"},
        "networkPolicy": {"enabled": False},
    },
    "bucket": {"voices": {"bucket": "s3://speech/prod", "serviceAccount": "speech"}},
    "misspelt": {"settings": {"max_stream": 8}},
}

needs_helm = pytest.mark.skipif(
    importlib.util.find_spec("helm_python") is None, reason="Helm is not installed"
)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values over the chart's own, as Helm merges them."""
    both = {
        name: merged(base[name], value) if isinstance(base.get(name), dict) else value
        for name, value in changes.items()
    }
    return {**base, **both}


# -- values and their schema, without Helm ----------------------------------------------------------


def value_paths(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{before}{name}"
        if isinstance(value, dict):
            yield from value_paths(value, f"{before}{name}.")


def test_the_values_are_valid_and_every_value_is_in_the_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    for changes in ({}, EVERYTHING, VALUE_SETS["optional"], VALUE_SETS["least"]):
        jsonschema.validate(merged(VALUES, changes), SCHEMA)


def test_an_unknown_value_is_refused_wherever_it_stands() -> None:
    groups = ["", *(name for name in value_paths(VALUES) if is_group(name))]
    assert {"settings", "image", "voices"} <= set(groups)
    for group in groups:
        wrong = json.loads(json.dumps(VALUES))
        (wrong[group] if group else wrong)["misspelt"] = 1
        with pytest.raises(jsonschema.ValidationError, match="misspelt"):
            jsonschema.validate(wrong, SCHEMA)


def is_group(name: str) -> bool:
    """Whether it is a mapping whose keys the chart defines."""
    described = SCHEMA["properties"].get(name, {})
    return described.get("additionalProperties") is False


def test_the_templates_use_every_value_and_no_other() -> None:
    used = set(re.findall(r"\.Values\.([\w.]+)", TEMPLATES))
    own = {name for name in value_paths(VALUES) if not name.startswith("settings.")}
    free = {name for name in own if not is_group(name)}
    assert used <= own | {"settings.shutdown_grace", "settings.cors_origins"}
    assert free <= used


def test_the_settings_are_those_of_the_server_and_none_that_are_secret_or_the_pods() -> None:
    allowed = set(SCHEMA["properties"]["settings"]["properties"])
    assert allowed == {info.name for info in SETTINGS} - POD_SETTINGS - SECRETS
    for name, value in {"port": 1, "api_keys": ["k"], "max_streams": 1001, "log_style": "xml"}.items():
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(merged(VALUES, {"settings": {name: value}}), SCHEMA)
    for busy_status in (503, "503"):
        jsonschema.validate(merged(VALUES, {"settings": {"busy_status": busy_status}}), SCHEMA)


def test_what_the_schema_allows_of_each_setting_the_server_takes(tmp_path: Path) -> None:
    described = SCHEMA["properties"]["settings"]["properties"]
    bounds = {
        name: bound
        for name, schema in described.items()
        for bound in [schema.get("maximum", schema.get("enum", [None])[-1])]
        if bound is not None and name != "length_scale"  # excludes speed
    }
    assert len(bounds) > 40
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(bounds), "utf-8")
    load_settings({"config": str(file)}, environ={})


def test_chart_and_program_have_the_same_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__
    assert (CHART / "haproxy.cfg").resolve() == DEPLOY / "compose" / "haproxy.cfg"


def test_values_are_as_in_the_plain_settings() -> None:
    plain = yaml.safe_load((PLAIN / "settings.yaml").read_text("utf-8"))
    values = dict(VALUES["settings"])
    assert values.pop("cors_origins") == []
    owned = {"http_host", "data_dir", "compute_threads", "intra_op_threads", "cors_origins"}
    assert values == {name: value for name, value in plain.items() if name not in owned}
    assert plain["compute_threads"] == VALUES["cores"]


# -- what Helm makes of it ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered() -> dict[str, RenderedChart]:
    return render_chart(CHART, VALUE_SETS, name=NAME, namespace=NAME)


def plain_manifests() -> Iterator[Manifest]:
    """What kustomization.yaml lists, as it is applied, without the namespace."""
    kustomization = yaml.safe_load((PLAIN / "kustomization.yaml").read_text("utf-8"))
    (image,) = kustomization["images"]
    for name in (*kustomization["resources"], "cache.yaml", "keda.yaml", "servicemonitor.yaml"):
        for manifest in yaml.safe_load_all((PLAIN / name).read_text("utf-8")):
            if manifest["kind"] != "Namespace":
                manifest["metadata"]["namespace"] = kustomization["namespace"]
                for container in containers(manifest):
                    if container["image"] == image["name"]:
                        container["image"] += f":{image['newTag']}"
                yield manifest


def containers(manifest: Manifest) -> list[Manifest]:
    template = manifest["spec"].get("template", {})
    return list(template.get("spec", {}).get("containers", ()))


def without_helms_own(part: Any) -> Any:
    """A manifest without what only Helm adds: labels, digests, and that the volume is kept."""
    if isinstance(part, list):
        return [without_helms_own(each) for each in part]
    if not isinstance(part, dict):
        return part
    kept = {name: without_helms_own(value) for name, value in part.items() if name not in HELM_LABELS}
    kept.pop("annotations", None)
    return kept


def by_name(manifests: Iterator[Manifest] | list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Manifests by kind and name; the digest is left out of the name of the Job."""
    found = {}
    for manifest in manifests:
        plain = without_helms_own(manifest)
        if plain["kind"] == "Job":
            plain["metadata"]["name"] = re.sub(r"-[0-9a-f]{8}$", "", plain["metadata"]["name"])
        found[plain["kind"], plain["metadata"]["name"]] = plain
    return found


@needs_helm
def test_the_chart_makes_what_the_plain_manifests_have(rendered: dict[str, RenderedChart]) -> None:
    expected = by_name(plain_manifests())
    made = by_name([*rendered["default"].manifests, *rendered["optional"].manifests])
    del made["ConfigMap", NAME]
    assert made.keys() == expected.keys()
    for key, manifest in expected.items():
        assert made[key] == manifest, key
    plain = yaml.safe_load((PLAIN / "settings.yaml").read_text("utf-8"))
    settings = rendered["default"].named("ConfigMap", NAME)
    assert yaml.safe_load(settings["data"]["settings.yaml"]) == plain


@needs_helm
def test_helm_finds_nothing_wrong_and_refuses_a_misspelt_setting(rendered: dict[str, RenderedChart]) -> None:
    problems = {name: chart.problems for name, chart in rendered.items() if chart.problems}
    assert problems.keys() == {"misspelt"}
    assert "max_stream" in problems["misspelt"][0]


@needs_helm
def test_with_a_bucket_no_volume_is_shared(
    rendered: dict[str, RenderedChart],
) -> None:
    chart = rendered["bucket"]
    assert {"Job", "PersistentVolumeClaim"}.isdisjoint(manifest["kind"] for manifest in chart.manifests)
    pod = chart.named("Deployment", NAME)["spec"]["template"]["spec"]
    assert {"name": "data", "emptyDir": {"sizeLimit": "5Gi"}} in pod["volumes"]
    assert pod["serviceAccountName"] == "speech"
    settings = yaml.safe_load(chart.named("ConfigMap", NAME)["data"]["settings.yaml"])
    assert settings["voices_url"] == "s3://speech/prod"
    (egress,) = chart.named("NetworkPolicy", NAME)["spec"]["egress"]
    assert {"port": 443, "protocol": "TCP"} in egress["ports"]


@needs_helm
def test_every_manifest_is_valid_by_kubernetes_schema(rendered: dict[str, RenderedChart]) -> None:
    for manifest in (each for name in ("everything", "least", "bucket") for each in rendered[name].manifests):
        if manifest["kind"] not in CUSTOM_KINDS:
            for version in VERSIONS:
                assert kubernetes_validate.validate(manifest, version, strict=True) == version


@needs_helm
def test_a_server_takes_the_settings_that_the_chart_writes(
    rendered: dict[str, RenderedChart], tmp_path: Path
) -> None:
    loaded: dict[str, Settings] = {}
    for name in ("default", "everything", "least"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(rendered[name].named("ConfigMap", NAME)["data"]["settings.yaml"], "utf-8")
        settings = load_settings({"config": str(file)}, environ={})
        assert not settings.warnings
        loaded[name] = settings.settings
    everything = loaded["everything"]
    assert (everything.compute_threads, everything.shutdown_grace) == (8, 45.5)
    assert everything.cache_url == f"redis://{NAME}-cache"
    assert rendered["everything"].named("Service", f"{NAME}-cache")
    assert everything.cors_origins == (
        "http://wyoming-tts.wyoming-tts:8880",
        "http://wyoming-tts.wyoming-tts.svc:8880",
        "https://tts.example.org",
        "https://example.org",
    )
    pod = rendered["everything"].named("Deployment", NAME)["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 5 + everything.shutdown_grace + 5


@needs_helm
def test_behind_haproxy_clients_reach_it_and_it_finds_every_server(
    rendered: dict[str, RenderedChart],
) -> None:
    chart = rendered["everything"]
    servers, balancers = (chart.named("Deployment", name) for name in (NAME, f"{NAME}-haproxy"))
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in (servers, balancers)]
    assert chart.named("Service", NAME)["spec"]["selector"].items() <= labels[1].items()
    replicas = chart.named("Service", f"{NAME}-replicas")["spec"]
    assert replicas["clusterIP"] == "None"
    assert replicas["selector"].items() <= labels[0].items()
    (balancer,) = containers(balancers)
    environment = {each["name"]: each["value"] for each in balancer["env"]}
    assert environment["REPLICAS"] == f"{NAME}-replicas.{NAME}.svc.cluster.local"
    configuration = chart.named("ConfigMap", f"{NAME}-haproxy")["data"]["haproxy.cfg"]
    assert configuration.strip() == (DEPLOY / "compose" / "haproxy.cfg").read_text("utf-8").strip()
    (server,) = containers(servers)
    ports = {each["containerPort"] for each in server["ports"]}
    settings = yaml.safe_load(chart.named("ConfigMap", NAME)["data"]["settings.yaml"])
    assert settings["agent_port"] in ports
    assert settings["busy_status"] == 503
    assert all(f":{port}" in configuration or f"port {port}" in configuration for port in ports)
    (monitor,) = chart.of_kind("ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    monitored = [each for each in chart.of_kind("Service") if wanted <= each["metadata"]["labels"].items()]
    assert [each["metadata"]["name"] for each in monitored] == [f"{NAME}-replicas"]
