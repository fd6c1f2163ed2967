"""Where voices are downloaded from: redirects, proxies, mirrors and the index."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest

from tests.support.fake_hub import Behaviour, FakeHub
from tests.unit.voices.download.conftest import (
    CONFIG,
    Sleeps,
    downloading,
    file_names,
    in_executor,
    no_jitter,
    publish_voice,
    wait_completed,
    wait_failed,
)
from wyoming_tts.voices.catalogue import load_catalogue
from wyoming_tts.voices.download.downloads import (
    DownloadEnvironment,
    DownloadFailed,
    DownloadManager,
    DownloadOptions,
)
from wyoming_tts.voices.download.hub import HUB, HubClient

# Sources: redirects, proxies and mirrors


async def test_no_socket_is_opened_when_offline(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleeps: Sleeps
) -> None:
    def no_socket(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    voice = publish_voice(hub)
    async with downloading(
        tmp_path, hub, DownloadEnvironment(sleep=sleeps, chance=no_jitter), offline=True
    ) as downloads:
        monkeypatch.setattr(socket, "socket", no_socket)
        monkeypatch.setattr(socket, "getaddrinfo", no_socket)
        error = await wait_failed(downloads.start(voice))
        with pytest.raises(DownloadFailed, match="offline"):
            await downloads.fetch_index()
        monkeypatch.undo()
    assert "offline" in error
    assert "data directory" in error
    assert hub.connections == 0
    assert sleeps == []


async def test_redirects_are_followed(downloads: DownloadManager, hub: FakeHub, tmp_path: Path) -> None:
    voice = publish_voice(hub)
    hub.files["/elsewhere"] = CONFIG
    hub.plan.append(Behaviour(status=302, headers={"Location": "/elsewhere"}))
    await wait_completed(downloads.start(voice))
    assert (tmp_path / "tone.onnx.json").read_bytes() == CONFIG


async def test_a_redirect_from_https_to_http_is_rejected(hub: FakeHub, tmp_path: Path) -> None:
    def portal(request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https"
        return httpx.Response(302, headers={"Location": "http://login.example/"})

    environment = DownloadEnvironment(transport=httpx.MockTransport(portal))
    async with DownloadManager(tmp_path, run_blocking=in_executor, environment=environment) as downloads:
        error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "http://login.example/" in error
    assert "captive portal" in error


async def test_endless_redirects_are_rejected(downloads: DownloadManager, hub: FakeHub) -> None:
    hub.plan.extend(Behaviour(status=302, headers={"Location": "/round"}) for _ in range(50))
    error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "redirects" in error


async def test_a_proxy_from_the_environment_is_used(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    voice = publish_voice(hub)
    hub.files |= {f"http://mirror.invalid{path}": content for path, content in hub.files.items()}
    async with DownloadManager(
        tmp_path, run_blocking=in_executor, mirror="http://mirror.invalid"
    ) as downloads:
        await wait_completed(downloads.start(voice))
    assert hub.requests[0].path == "http://mirror.invalid/voices/tone.onnx.json"


async def test_the_error_names_unusable_proxy_settings(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:70")
    async with downloading(tmp_path, hub) as downloads:
        error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "proxy settings" in error


def hub_of(mirror: str | None) -> HubClient:
    return HubClient(run_blocking=in_executor, mirror=mirror, options=DownloadOptions())


@pytest.mark.parametrize("mirror", ["https://mirror.example/hf", "https://mirror.example/hf/"])
def test_a_mirror_replaces_only_the_hub(mirror: str) -> None:
    mirrored = hub_of(mirror)
    assert mirrored.mirrored_url(f"{HUB}/a/b.onnx") == "https://mirror.example/hf/a/b.onnx"
    assert mirrored.mirrored_url("https://github.com/a/b.onnx") == "https://github.com/a/b.onnx"
    assert mirrored.mirrored_url(f"{HUB}.example/a") == f"{HUB}.example/a"
    assert hub_of(None).mirrored_url(f"{HUB}/a/b.onnx") == f"{HUB}/a/b.onnx"


@pytest.mark.parametrize("mirror", ["mirror.example", "ftp://mirror.example", "https://"])
def test_an_invalid_mirror_address_is_rejected_at_once(mirror: str) -> None:
    with pytest.raises(ValueError, match="HF_ENDPOINT"):
        hub_of(mirror)


# The index

INDEX_PATH = "/rhasspy/piper-voices/resolve/main/voices.json"


def index_of(name: str) -> bytes:
    files = {f"{name}{end}": {"size_bytes": 5, "md5_digest": "0" * 32} for end in (".onnx", ".onnx.json")}
    entry = {
        "language": {"code": "en_US"},
        "quality": "low",
        "num_speakers": 1,
        "files": files,
        "aliases": [],
    }
    return json.dumps({name: entry}).encode()


async def test_a_downloaded_index_takes_precedence_over_the_catalogue(
    downloads: DownloadManager, hub: FakeHub
) -> None:
    hub.files[INDEX_PATH] = index_of("en_US-new-low")
    where = await downloads.fetch_index()
    before = await in_executor(load_catalogue)
    after = await in_executor(lambda: load_catalogue(where))
    new = {voice.name for voice in after.voices} - {voice.name for voice in before.voices}
    assert new == {"en_US-new-low"}


@pytest.mark.parametrize("broken", [b'{"a": {"files"', b"[]", b'{"a": {}}', b""])
async def test_an_unreadable_index_replaces_nothing(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path, broken: bytes
) -> None:
    (tmp_path / "voices.json").write_bytes(b"old")
    hub.files[INDEX_PATH] = broken
    with pytest.raises(DownloadFailed, match="old one stays"):
        await downloads.fetch_index()
    assert file_names(tmp_path) == {"voices.json"}
    assert (tmp_path / "voices.json").read_bytes() == b"old"


async def test_the_index_is_never_assembled_from_two_versions(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "voices.json.part").write_bytes(b'{"left over')
    hub.files[INDEX_PATH] = index_of("en_US-new-low")
    await downloads.fetch_index()
    assert (tmp_path / "voices.json").read_bytes() == index_of("en_US-new-low")
    assert hub.requests[0].offset == 0
