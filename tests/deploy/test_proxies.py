"""nginx and Traefik before the HTTP side: their files are checked, and nginx's is used for real."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import re
import shutil
import ssl
import subprocess
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
from starlette.middleware import Middleware
from websockets.asyncio.client import connect

from tests.scenarios.ports import free_port
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread, speech_pcm
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.http.app import HttpOptions, HttpServer, HttpServerOptions, create_app
from wyoming_tts.transports.http.guard import Guard, GuardOptions
from wyoming_tts.transports.realtime.route import PATH, RealtimeOptions, realtime_router

DEPLOY = Path(__file__).parents[2] / "deploy"
HTTP_FILE = DEPLOY / "nginx" / "wyoming-tts.conf"
STREAM_FILE = DEPLOY / "nginx" / "wyoming-stream.conf"
TRAEFIK_FILE = DEPLOY / "traefik" / "dynamic.yaml"
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
NAME = "tts.example.org"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
SPEECH = {"input": "abcdefgh", "voice": "af_heart", "response_format": "pcm", "sample_rate": 16_000}

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for the name in the files, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
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


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """The deployed text with this machine's addresses; what is to be replaced has to be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def site(directory: Path, *, plain_port: int, port: int, server_port: int) -> str:
    certificate, key = make_certificate(directory)
    changes = {
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/wyoming-tts/fullchain.pem": str(certificate),
        "/etc/ssl/wyoming-tts/privkey.pem": str(key),
        "server 127.0.0.1:8880;": f"server 127.0.0.1:{server_port};",
    }
    return replaced(HTTP_FILE.read_text("utf-8"), changes)


def nginx_file(directory: Path, contents: str, *, modules: str = "") -> Path:
    """A whole configuration around what is deployed; everything that is written stays in the directory."""
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


def nginx_says(path: Path) -> str:
    assert NGINX is not None
    done = subprocess.run([NGINX, "-t", "-c", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@needs_nginx
def test_nginx_takes_the_site_without_a_warning(tmp_path: Path) -> None:
    says = nginx_says(nginx_file(tmp_path, site(tmp_path, plain_port=18080, port=18443, server_port=8880)))
    assert "syntax is ok" in says
    assert "[warn]" not in says


@needs_nginx
@pytest.mark.skipif(not STREAM_MODULE.exists(), reason="libnginx-mod-stream is not installed")
def test_nginx_takes_the_stream_without_a_warning(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    changes = {
        "/etc/ssl/wyoming-tts/fullchain.pem": str(certificate),
        "/etc/ssl/wyoming-tts/privkey.pem": str(key),
    }
    contents = replaced(STREAM_FILE.read_text("utf-8"), changes)
    says = nginx_says(nginx_file(tmp_path, contents, modules=f"load_module {STREAM_MODULE};"))
    assert "[warn]" not in says


@dataclass
class Proxied:
    """nginx before a server."""

    service: FakeSpeechService
    port: int
    plain_port: int
    trust: ssl.SSLContext
    client: httpx.AsyncClient


@asynccontextmanager
async def proxied(directory: Path, **guarding: Any) -> AsyncIterator[Proxied]:
    """The server with its guard, and nginx before it with the deployed file."""
    service = FakeSpeechService()
    guard = Guard(None, GuardOptions(**guarding))
    app = create_app(
        service,
        HttpOptions(),
        run_blocking=run_in_thread,
        routers=[realtime_router(service, RealtimeOptions(), run_blocking=run_in_thread)],
        middleware=[Middleware(guard.wrap)],
    )
    server = HttpServer(app, HttpServerOptions(port=0), run_blocking=run_in_thread)
    async with server, asyncio.TaskGroup() as tasks:
        await server.start()
        tasks.create_task(server.serve())
        port, plain_port = free_port(), free_port()
        contents = site(directory, plain_port=plain_port, port=port, server_port=server.bound[0][1])
        trust = ssl.create_default_context(cafile=directory / "fullchain.pem")
        async with (
            running_nginx(nginx_file(directory, contents), port),
            httpx.AsyncClient(
                base_url=f"https://127.0.0.1:{port}", headers={"Host": NAME}, verify=trust, trust_env=False
            ) as client,
        ):
            yield Proxied(service, port, plain_port, trust, client)
        await server.stop()


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
        said = await process.stderr.read()
        await process.wait()
        assert b"[emerg]" not in said, said


@needs_nginx
async def test_sound_passes_nginx_while_it_is_made(tmp_path: Path) -> None:
    async with proxied(tmp_path, cors_origins=(f"https://{NAME}",)) as proxy:
        go_on = asyncio.Event()

        async def in_two_pieces(utterance: Utterance) -> None:
            object.__setattr__(utterance, "text", _pieces("one", "two"))

        async def hold(_: Utterance, number: int) -> None:
            if number > 0:
                await go_on.wait()

        proxy.service.on_enter, proxy.service.on_chunk = in_two_pieces, hold
        async with (
            asyncio.timeout(10),
            proxy.client.stream("POST", "/v1/audio/speech", json=SPEECH) as answer,
        ):
            assert answer.status_code == 200
            pieces = answer.aiter_raw()
            pcm = await anext(pieces)  # comes although the rest cannot be made yet
            assert proxy.service.left == 0
            go_on.set()
            pcm += b"".join([piece async for piece in pieces])
        assert pcm == speech_pcm("onetwo")


async def _pieces(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


@needs_nginx
async def test_the_websocket_passes_nginx(tmp_path: Path) -> None:
    async with proxied(tmp_path, cors_origins=(f"https://{NAME}",)) as proxy:
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
async def test_nginx_tells_who_asks_too_often_and_nobody_else(tmp_path: Path) -> None:
    async with proxied(tmp_path, cors_origins=(f"https://{NAME}",)) as proxy:
        statuses = Counter(
            [(await proxy.client.post("/v1/audio/speech", json=SPEECH)).status_code for _ in range(25)]
        )
        assert set(statuses) == {200, 429}
        assert statuses[200] >= 11  # one and its burst
        assert (await proxy.client.get("/readyz")).status_code == 200
        assert (await proxy.client.get("/v1/audio/voices")).status_code == 200


@needs_nginx
async def test_a_name_has_to_be_listed_or_a_key_set(tmp_path: Path) -> None:
    async with proxied(tmp_path) as proxy:
        refused = await proxy.client.get("/v1/audio/voices")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "host_not_allowed")
        assert (await proxy.client.get("/readyz")).status_code == 200
    async with proxied(tmp_path, api_keys=("sk-mine",)) as proxy:
        assert (await proxy.client.get("/v1/audio/voices")).status_code == 401
        allowed = {"Authorization": "Bearer sk-mine"}
        assert (await proxy.client.get("/v1/audio/voices", headers=allowed)).status_code == 200


@needs_nginx
async def test_plain_http_is_sent_to_https(tmp_path: Path) -> None:
    async with proxied(tmp_path) as proxy, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{proxy.plain_port}/v1/models", headers={"Host": NAME})
        assert (answer.status_code, answer.headers["Location"]) == (301, f"https://{NAME}/v1/models")


# No published schema of Traefik's dynamic configuration can be had offline: names and references are held
# against these, which are those of its reference.
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
def test_every_router_of_traefik_leads_to_what_is_there(traefik: dict[str, Any], kind: str) -> None:
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


def test_traefik_holds_no_sound_back(traefik: dict[str, Any]) -> None:
    middlewares = traefik["http"]["middlewares"].values()
    assert not any({"buffering", "compress"} & set(middleware) for middleware in middlewares)


def test_the_entry_points_of_traefik_are_those_that_its_head_names(traefik: dict[str, Any]) -> None:
    head = TRAEFIK_FILE.read_text("utf-8").partition("\nhttp:")[0]
    named = set(re.findall(r"^#       (\w+): \{address", head, re.MULTILINE))
    routers = [*traefik["http"]["routers"].values(), *traefik["tcp"]["routers"].values()]
    assert {entry for router in routers for entry in router["entryPoints"]} == named
