"""The Docker Compose files: valid by the schema, and consistent with the product and with HAProxy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from wyoming_tts import __version__
from wyoming_tts.settings import Settings

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
FILES = [COMPOSE / "single.yaml", COMPOSE / "replicas.yaml", COMPOSE / "dokploy.yaml"]
IMAGE = f"ghcr.io/wyoming-tts/wyoming-tts:{__version__}"


def services(path: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(path.read_text("utf-8"))["services"])


EVERY_SERVICE = [
    pytest.param(path, name, id=f"{path.stem}-{name}") for path in FILES for name in services(path)
]


def servers() -> list[dict[str, Any]]:
    every = [service for path in FILES for service in services(path).values()]
    return [service for service in every if service["image"] == IMAGE]


def test_all_files_are_valid_by_the_compose_schema() -> None:
    check = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        *map(str, FILES),
    ]
    completed = subprocess.run(check, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.parametrize(("path", "name"), EVERY_SERVICE)
def test_every_service_is_sandboxed_and_limited(path: Path, name: str) -> None:
    service = services(path)[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service.get("restart")


@pytest.mark.parametrize(("path", "name"), EVERY_SERVICE)
def test_images_are_pinned_and_our_image_can_be_built(path: Path, name: str) -> None:
    service = services(path)[name]
    assert re.fullmatch(r"\S+:\d+\.\d+\.\d+(-\w+)?", service["image"])
    if "build" in service:
        assert service["image"] == IMAGE
        assert service["build"] == {"context": "../..", "target": "container"}
        assert (path.parent / service["build"]["context"] / "pyproject.toml").exists()


@pytest.mark.parametrize(("path", "name"), EVERY_SERVICE)
def test_http_is_published_on_loopback_unless_configured(path: Path, name: str) -> None:
    service = services(path)[name]
    ports = [port for port in service.get("ports", ()) if not port.endswith(":10200")]
    assert all(port.startswith(("127.0.0.1:", "${HTTP_BIND:-127.0.0.1}:")) for port in ports)
    if service.get("network_mode") == "host":
        assert service["environment"]["WYOMING_TTS_HTTP_HOST"] == "${HTTP_BIND:-127.0.0.1}"


def test_every_variable_is_a_setting_with_a_valid_value() -> None:
    for server in servers():
        environment = {
            name.removeprefix("WYOMING_TTS_").lower(): value
            for name, value in server.get("environment", {}).items()
        }
        assert set(environment) <= set(Settings.model_fields)
        fixed = {name: value for name, value in environment.items() if "$" not in value}
        Settings.model_validate(fixed)


def test_the_stop_grace_period_exceeds_the_shutdown_grace() -> None:
    for server in servers():
        if "environment" in server:
            grace = int(server["environment"]["WYOMING_TTS_SHUTDOWN_GRACE"])
            assert int(server["stop_grace_period"].removesuffix("s")) > grace + 2


def test_one_service_downloads_voices_and_replicas_are_offline() -> None:
    every = services(COMPOSE / "replicas.yaml")
    replicas = {name: service for name, service in every.items() if name.startswith("replica")}
    for replica in replicas.values():
        assert replica["environment"]["WYOMING_TTS_OFFLINE"] == "true"
        assert replica["depends_on"] == {"voices": {"condition": "service_completed_successfully"}}
        assert replica["volumes"] == every["voices"]["volumes"]
    assert every["voices"]["command"][:2] == ["voices", "download"]
    assert every["balancer"]["depends_on"] == list(replicas)


def test_replicas_accept_more_connections_than_haproxy_sends() -> None:
    text = (COMPOSE / "haproxy.cfg").read_text("utf-8")
    (max_connections,) = re.findall(r"default-server maxconn (\d+)", text)
    replica = services(COMPOSE / "replicas.yaml")["replica"]["environment"]
    assert int(replica["WYOMING_TTS_MAX_CONNECTIONS_PER_PEER"]) > 2 * int(max_connections)
    assert int(replica["WYOMING_TTS_MAX_CONNECTIONS"]) > 2 * int(max_connections)


def test_the_shared_cache_is_bounded_below_its_container_and_nothing_waits_for_it() -> None:
    every = services(COMPOSE / "replicas.yaml")
    command, limit = every["cache"]["command"], every["cache"]["mem_limit"]
    assert int(command[command.index("--maxmemory") + 1].removesuffix("mb")) < int(limit.removesuffix("m"))
    assert command[command.index("--maxmemory-policy") + 1] == "allkeys-lru"
    assert every["replica"]["environment"]["WYOMING_TTS_CACHE_URL"] == "redis://cache"
    assert all("cache" not in service.get("depends_on", ()) for service in every.values())
    assert "ports" not in every["cache"], "it has no password"


def test_haproxy_finds_as_many_replicas_as_are_scaled_to_by_their_services_name() -> None:
    text = (COMPOSE / "haproxy.cfg").read_text("utf-8")
    every = services(COMPOSE / "replicas.yaml")
    templates = re.findall(
        r'server-template replica (\d+) "\$\{REPLICAS-(\w+)\}":(\d+) agent-port (\d+)', text
    )
    assert [port for _, _, port, _ in templates] == ["10200", "8880", "8880"]
    for slots, name, _, agent_port in templates:
        assert every[name]["scale"] <= int(slots)
        assert every[name]["environment"]["WYOMING_TTS_AGENT_PORT"] == agent_port
        assert "container_name" not in every[name]
        assert "ports" not in every[name], "two of them could not have the same"


def labels() -> dict[str, str]:
    """Traefik's labels of the file for Dokploy, split where the name of a router or the like ends."""
    (service,) = services(COMPOSE / "dokploy.yaml").values()
    return {name: value for name, value in service["labels"].items() if name.startswith("traefik.http.")}


def test_the_labels_for_traefik_name_what_is_there() -> None:
    known = {
        kind: {name.split(".")[3] for name in labels() if name.startswith(f"traefik.http.{kind}.")}
        for kind in ("routers", "services", "middlewares")
    }
    assert {name.split(".")[2] for name in labels()} == known.keys()
    for name, value in labels().items():
        match name.split(".")[2:]:
            case "routers", _, "service":
                assert value in known["services"]
            case "routers", _, "middlewares":
                assert set(value.split(",")) <= known["middlewares"]
            case "routers", _, "entrypoints":
                assert value in {"web", "websecure"}
            case "services", _, "loadbalancer", "server", "port":
                assert int(value) == Settings.model_fields["http_port"].default
            case _:
                pass
    for router in known["routers"]:
        assert {
            f"traefik.http.routers.{router}.{part}" for part in ("rule", "entrypoints", "service")
        } <= labels().keys()
        assert re.fullmatch(
            r"Host\(`\$\{TTS_DOMAIN\}`\)( && \(Path\(`/[\w/]+`\)( \|\| Path\(`/[\w/]+`\))*\))?",
            labels()[f"traefik.http.routers.{router}.rule"],
        )


def test_the_labels_are_valid_in_the_schema_of_traefiks_file() -> None:
    """As Traefik reads them: the same tree as its dynamic file, whatever the case of its names."""
    fields = {
        "routers": {"rule", "entrypoints", "service", "middlewares", "tls"},
        "services": {"loadbalancer"},
        "middlewares": {"redirectscheme", "ipallowlist"},
    }
    for name in labels():
        _, _, kind, _, field, *_ = name.split(".")
        assert field in fields[kind], name
