"""nginx and Traefik as reverse proxies, run with the configurations of the deployment."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import re
import shutil
import ssl
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import connect

from tests.scenarios.ports import free_port, free_ports
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import speech_pcm
from tests.support.proxied_speech import SPEECH, passes_sound_at_once, speech_server
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.realtime.route import PATH

DEPLOY = Path(__file__).parents[2] / "deploy"
HTTP_FILE = DEPLOY / "nginx" / "wyoming-tts.conf"
STREAM_FILE = DEPLOY / "nginx" / "wyoming-stream.conf"
TRAEFIK_FILE = DEPLOY / "traefik" / "dynamic.yaml"
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
NAME = "tts.example.org"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")

TRAEFIK = shutil.which("traefik", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for the configurations' host name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "fullchain.pem", directory / "privkey.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def replace_all(text: str, changes: Mapping[str, str]) -> str:
    """The deployed configuration with test addresses; every text to be replaced must occur."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx_site(directory: Path, *, plain_port: int, port: int, server_port: int) -> str:
    certificate, key = make_certificate(directory)
    changes = {
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/wyoming-tts/fullchain.pem": str(certificate),
        "/etc/ssl/wyoming-tts/privkey.pem": str(key),
        "server 127.0.0.1:8880;": f"server 127.0.0.1:{server_port};",
    }
    return replace_all(HTTP_FILE.read_text("utf-8"), changes)


def nginx_file(directory: Path, contents: str, *, modules: str = "") -> Path:
    """Write a complete nginx configuration around the deployed part; it writes only below the directory."""
    paths = " ".join(
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    http = f"http {{ access_log off; {paths}\n{contents}\n}}" if "stream {" not in contents else contents
    path = directory / "nginx.conf"
    path.write_text(
        f"{modules}\ndaemon off; master_process off; pid {directory}/nginx.pid; error_log stderr notice;\n"
        f"events {{}}\n{http}\n",
        "utf-8",
    )
    return path


def check_nginx_config(path: Path) -> str:
    assert NGINX is not None
    completed = subprocess.run([NGINX, "-t", "-c", path], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    return completed.stderr


@needs_nginx
def test_nginx_accepts_the_site_without_warnings(tmp_path: Path) -> None:
    output = check_nginx_config(
        nginx_file(tmp_path, nginx_site(tmp_path, plain_port=18080, port=18443, server_port=8880))
    )
    assert "syntax is ok" in output
    assert "[warn]" not in output


@needs_nginx
@pytest.mark.skipif(not STREAM_MODULE.exists(), reason="libnginx-mod-stream is not installed")
def test_nginx_accepts_the_stream_configuration_without_warnings(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    changes = {
        "/etc/ssl/wyoming-tts/fullchain.pem": str(certificate),
        "/etc/ssl/wyoming-tts/privkey.pem": str(key),
    }
    contents = replace_all(STREAM_FILE.read_text("utf-8"), changes)
    output = check_nginx_config(nginx_file(tmp_path, contents, modules=f"load_module {STREAM_MODULE};"))
    assert "[warn]" not in output


@dataclass
class ProxiedServer:
    """A server behind nginx."""

    service: FakeSpeechService
    port: int
    plain_port: int
    trust: ssl.SSLContext
    client: httpx.AsyncClient


@asynccontextmanager
async def run_behind_nginx(directory: Path, **guard_options: Any) -> AsyncIterator[ProxiedServer]:
    """Run the server with its guard behind nginx with the deployed configuration."""
    service = FakeSpeechService()
    async with speech_server(service, **guard_options) as server_port:
        port, plain_port = free_port(), free_port()
        contents = nginx_site(directory, plain_port=plain_port, port=port, server_port=server_port)
        trust = ssl.create_default_context(cafile=directory / "fullchain.pem")
        async with (
            running_nginx(nginx_file(directory, contents), port),
            httpx.AsyncClient(
                base_url=f"https://127.0.0.1:{port}", headers={"Host": NAME}, verify=trust, trust_env=False
            ) as client,
        ):
            yield ProxiedServer(service, port, plain_port, trust, client)


@asynccontextmanager
async def running_nginx(path: Path, port: int) -> AsyncIterator[None]:
    assert NGINX is not None
    process = await asyncio.create_subprocess_exec(
        NGINX, "-c", path, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(10):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    break
        yield
    finally:
        if process.returncode is None:
            process.kill()
        log = await process.stderr.read()
        await process.wait()
        assert b"[emerg]" not in log, log


@needs_nginx
async def test_nginx_streams_audio_without_buffering(tmp_path: Path) -> None:
    async with run_behind_nginx(tmp_path, cors_origins=(f"https://{NAME}",)) as proxy:
        go_on = asyncio.Event()

        async def speak_two_pieces(utterance: Utterance) -> None:
            object.__setattr__(utterance, "text", _pieces("one", "two"))

        async def hold(_: Utterance, number: int) -> None:
            if number > 0:
                await go_on.wait()

        proxy.service.on_enter, proxy.service.on_chunk = speak_two_pieces, hold
        async with (
            asyncio.timeout(10),
            proxy.client.stream("POST", "/v1/audio/speech", json=SPEECH) as answer,
        ):
            assert answer.status_code == 200
            pieces = answer.aiter_raw()
            pcm = await anext(pieces)  # arrives before the rest can be synthesized
            assert proxy.service.left == 0
            go_on.set()
            pcm += b"".join([piece async for piece in pieces])
        assert pcm == speech_pcm("onetwo")


@needs_nginx
async def test_nginx_passes_each_piece_of_sound_on_when_it_is_made(tmp_path: Path) -> None:
    async with run_behind_nginx(tmp_path, cors_origins=(f"https://{NAME}",)) as proxy:
        assert await passes_sound_at_once(proxy.service, proxy.client)


async def _pieces(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


@needs_nginx
async def test_nginx_proxies_the_websocket(tmp_path: Path) -> None:
    async with run_behind_nginx(tmp_path, cors_origins=(f"https://{NAME}",)) as proxy:
        url = f"wss://127.0.0.1:{proxy.port}{PATH}"
        async with (
            asyncio.timeout(10),
            connect(
                url,
                ssl=proxy.trust,
                host="127.0.0.1",
                additional_headers={"Origin": f"https://{NAME}"},
                proxy=None,
            ) as socket,
        ):
            assert "session" in str(await socket.recv())


@needs_nginx
async def test_nginx_rate_limits_speech_requests_only(tmp_path: Path) -> None:
    async with run_behind_nginx(tmp_path, cors_origins=(f"https://{NAME}",)) as proxy:
        statuses = Counter(
            [(await proxy.client.post("/v1/audio/speech", json=SPEECH)).status_code for _ in range(25)]
        )
        assert set(statuses) == {200, 429}
        assert statuses[200] >= 11  # one request and the burst
        assert (await proxy.client.get("/readyz")).status_code == 200
        assert (await proxy.client.get("/v1/audio/voices")).status_code == 200


@needs_nginx
async def test_behind_nginx_the_host_name_must_be_listed_or_a_key_set(tmp_path: Path) -> None:
    async with run_behind_nginx(tmp_path) as proxy:
        refused = await proxy.client.get("/v1/audio/voices")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "host_not_allowed")
        assert (await proxy.client.get("/readyz")).status_code == 200
    async with run_behind_nginx(tmp_path, api_keys=("sk-mine",)) as proxy:
        assert (await proxy.client.get("/v1/audio/voices")).status_code == 401
        allowed = {"Authorization": "Bearer sk-mine"}
        assert (await proxy.client.get("/v1/audio/voices", headers=allowed)).status_code == 200


@needs_nginx
async def test_nginx_redirects_http_to_https(tmp_path: Path) -> None:
    async with run_behind_nginx(tmp_path) as proxy, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{proxy.plain_port}/v1/models", headers={"Host": NAME})
        assert (answer.status_code, answer.headers["Location"]) == (301, f"https://{NAME}/v1/models")


@asynccontextmanager
async def run_behind_traefik(directory: Path, service: FakeSpeechService) -> AsyncIterator[httpx.AsyncClient]:
    """Run the server behind Traefik with the deployed configuration."""
    certificate, key = make_certificate(directory)
    ports = dict(zip(("web", "websecure", "wyoming", "wyomingsecure"), free_ports(4), strict=True))
    trust = ssl.create_default_context(cafile=certificate)
    async with speech_server(service, cors_origins=(f"https://{NAME}",)) as server_port:
        changes = {
            "/etc/ssl/wyoming-tts/fullchain.pem": str(certificate),
            "/etc/ssl/wyoming-tts/privkey.pem": str(key),
            "http://127.0.0.1:8880": f"http://127.0.0.1:{server_port}",
        }
        dynamic = directory / "dynamic.yaml"
        dynamic.write_text(replace_all(TRAEFIK_FILE.read_text("utf-8"), changes), "utf-8")
        static = {
            "providers": {"file": {"filename": str(dynamic)}},
            "entryPoints": {name: {"address": f"127.0.0.1:{port}"} for name, port in ports.items()},
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        }
        (directory / "traefik.yaml").write_text(yaml.safe_dump(static), "utf-8")
        async with (
            running_traefik(directory),
            httpx.AsyncClient(
                base_url=f"https://127.0.0.1:{ports['websecure']}",
                headers={"Host": NAME},
                verify=trust,
                trust_env=False,
            ) as client,
        ):
            yield client


@asynccontextmanager
async def running_traefik(directory: Path) -> AsyncIterator[None]:
    assert TRAEFIK is not None
    process = await asyncio.create_subprocess_exec(
        *(TRAEFIK, f"--configFile={directory}/traefik.yaml"), stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
    )
    assert process.stdout is not None
    try:
        yield
    finally:
        process.kill()
        log = await process.stdout.read()
        await process.wait()
        assert b" ERR " not in log, log


@pytest.mark.skipif(TRAEFIK is None, reason="Traefik is not installed")
async def test_traefik_passes_each_piece_of_sound_on_when_it_is_made(tmp_path: Path) -> None:
    service = FakeSpeechService()
    async with asyncio.timeout(30), run_behind_traefik(tmp_path, service) as client:
        while True:
            try:
                if (await client.get("/readyz", extensions={"sni_hostname": NAME})).status_code == 200:
                    break
            except httpx.TransportError:
                pass  # it has not opened its ports yet
            await asyncio.sleep(0.02)
        assert await passes_sound_at_once(service, client)


# There is no published schema of Traefik's dynamic configuration for offline use: keys and references are
# checked against these names from its reference documentation.
ROUTER_KEYS = {"rule", "entryPoints", "middlewares", "service", "tls", "priority"}
MIDDLEWARES = {
    "http": {"redirectScheme", "rateLimit", "inFlightReq", "ipAllowList", "basicAuth", "forwardAuth"},
    "tcp": {"inFlightConn", "ipAllowList"},
}
MATCHER = re.compile(r"(?:Host|HostSNI|Path|PathPrefix)\(`[^`]+`\)")


@pytest.fixture(scope="module")
def traefik() -> dict[str, Any]:
    return dict(yaml.safe_load(TRAEFIK_FILE.read_text("utf-8")))


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_every_traefik_router_references_existing_services_and_middlewares(
    traefik: dict[str, Any], kind: str
) -> None:
    part = traefik[kind]
    used = set()
    for name, router in part["routers"].items():
        assert set(router) <= ROUTER_KEYS, name
        assert router["service"] in part["services"], name
        assert set(router.get("middlewares", ())) <= set(part["middlewares"]), name
        assert re.fullmatch(r"[\s&|()]*", MATCHER.sub("", router["rule"])), router["rule"]
        used |= set(router.get("middlewares", ()))
    assert used == set(part["middlewares"])
    for name, middleware in part["middlewares"].items():
        assert len(middleware) == 1, name
        assert set(middleware) <= MIDDLEWARES[kind], name


def test_traefik_does_not_buffer_or_compress_audio(traefik: dict[str, Any]) -> None:
    middlewares = traefik["http"]["middlewares"].values()
    assert not any({"buffering", "compress"} & set(middleware) for middleware in middlewares)


def test_traefiks_entry_points_are_those_in_its_header_comment(traefik: dict[str, Any]) -> None:
    head = TRAEFIK_FILE.read_text("utf-8").partition("\nhttp:")[0]
    named = set(re.findall(r"^#       (\w+): \{address", head, re.MULTILINE))
    routers = [*traefik["http"]["routers"].values(), *traefik["tcp"]["routers"].values()]
    assert {entry for router in routers for entry in router["entryPoints"]} == named
