"""Demonstration of the add-on's services in containers: run by script/show-addon, in separate namespaces.

Each container has process 1, mounts and options as the Supervisor sets them up. The Supervisor itself is an
HTTP server on loopback that can be made to fail.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, cast

from wyoming.event import Event, read_event, write_event

HOSTNAME = "local-wyoming-tts"
URI = f"tcp://{HOSTNAME}:10200"
INGRESS = "172.30.32.2"
TOKEN = "a-token-that-nobody-may-see"  # noqa: S105 - of the Supervisor here
START = "/opt/wyoming-tts/addon/start"
PATH = "/opt/wyoming-tts/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PORT, HTTP_PORT = 10200, 8880
PATIENCE = 60.0
"""Seconds for a server to start, on a slow machine."""
STOPS_WITHIN = 3.0
LONG_TEXT = "And so the story goes on and on, with one sentence after the other. " * 200


def main() -> int:
    """Run all demonstrations; the first check that fails ends them with an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rootfs", type=Path, help="root filesystem of the built add-on")
    asked = parser.parse_args()
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{INGRESS}/32", "dev", "lo")
    _run("hostname", HOSTNAME)
    with tempfile.TemporaryDirectory(prefix="show-addon-") as directory:
        root = Path(directory, "root")
        _run("cp", "--archive", "--reflink=auto", str(asked.rootfs), str(root))
        for show in (discovery, options, piper_options, access_control, stop, kill, wrong_option, refusal):
            print(f"{show.__name__.replace('_', ' ')}: {show.__doc__}", flush=True)
            show(root)
    return 0


def discovery(root: Path) -> None:
    """Home Assistant is notified of the server once, as soon as the Supervisor accepts the message."""
    with supervisor([502, 502, 502]) as asked, container(root, {"voice": "espeak-de"}, asked.url) as addon:
        until(lambda: len(asked.posts) == 4, "four posts")  # noqa: PLR2004 - three refusals and one success
        ok(all(post.is_answered for post in asked.posts), "posted only after the server answers on its port")
        ok(
            asked.statuses == [502, 502, 502, 200],
            "answered 502 three times, it asked again until it had 200",
        )
        pauses = [after.at - before.at for before, after in zip(asked.posts, asked.posts[1:], strict=False)]
        ok(
            pauses == sorted(pauses),
            f"pauses between the tries grow: {', '.join(f'{p:.1f} s' for p in pauses)}",
        )
        ok(asked.posts[-1].body == {"service": "wyoming", "config": {"uri": URI}}, f"it said {URI}")
        ok(asked.posts[-1].authorization == f"Bearer {TOKEN}", "it brought the Supervisor's token")
        until(lambda: addon.is_down("discovery"), "the service to end")
        time.sleep(3)
        ok(len(asked.posts) == 4, "it has ended, and nothing more is posted")  # noqa: PLR2004
        ok(TOKEN not in addon.log(), "the token is not in the log")
        ok(TOKEN not in addon.environment("wyoming-tts serve"), "the server does not know the token")


def options(root: Path) -> None:
    """The user's options are applied; without internet access the server still speaks."""
    chosen = {
        "voice": "espeak-de",
        "speaker": "",
        "api_keys": [],
        "debug_logging": True,
        "max_loaded_voices": 2,
    }
    with supervisor() as asked, container(root, chosen, asked.url) as addon:
        addon.wait_ready()
        ok("Ready: espeak-de speaks" in addon.log(), "options.json is read: the default voice is espeak-de")
        ok(" DEBUG " in addon.log(), "debug_logging, by the Piper add-on's name, logs every detail")
        heard = speak("Die Haustür ist offen.")
        ok(heard > 0, f"it speaks: {heard / 1000:.1f} kB of sound")
    with supervisor() as asked, container(root, {"voice": "en_US-lessac-medium"}, asked.url) as addon:
        until(lambda: speaks_soon() > 0, "speech")
        ok(addon.is_running(), "a voice that cannot be fetched does not end it: the embedded one speaks")


def piper_options(root: Path) -> None:
    """The options of the Piper add-on are accepted unchanged."""
    chosen = {
        "voice": "espeak-en-us",
        "speaker": "0",
        "length_scale": 1.1,
        "noise_scale": 0.667,
        "noise_w": 0.333,
        "sentence_silence": 0.2,
        "debug_logging": False,
        "update_voices": False,
    }
    with supervisor() as asked, container(root, chosen, asked.url) as addon:
        until(lambda: describes() > 0, "an answer to describe")
        ok(addon.is_running(), "the server started with them")


def access_control(root: Path) -> None:
    """Home Assistant's users need no key; everybody else does if one is set."""
    path = "/v1/audio/voices"
    with supervisor() as asked, container(root, {"api_keys": ["k1"]}, asked.url) as addon:
        addon.wait_ready(voice="")
        prefix = {"X-Ingress-Path": "/api/hassio_ingress/abc"}
        ok(get(path, source=INGRESS, headers=prefix) == 200, "ingress is let in without a key")  # noqa: PLR2004
        ok(get(path, headers=prefix) == 401, "a client that only claims to be ingress is refused")  # noqa: PLR2004
        ok(get(path) == 401, "a client without a key is refused")  # noqa: PLR2004
        ok(get(path, headers={"Authorization": "Bearer k1"}) == 200, "a client with the key is let in")  # noqa: PLR2004
    with supervisor() as asked, container(root, {"allow_networks": ["10.0.0.0/8"]}, asked.url) as addon:
        addon.wait_ready(voice="")
        ok(get(path, source=INGRESS) == 403, "an address outside allow_networks is not served")  # noqa: PLR2004
        ok(get(path, source=INGRESS, headers=prefix) == 200, "ingress still is")  # noqa: PLR2004


def stop(root: Path) -> None:
    """SIGTERM stops the container in time, with exit code 0."""
    with supervisor() as asked, container(root, {"voice": "espeak-en-us"}, asked.url) as addon:
        addon.wait_ready()
        until(lambda: addon.is_down("discovery"), "discovery")
        seconds, code = addon.stopped()
        ok(seconds < STOPS_WITHIN and code == 0, f"idle: stopped in {seconds:.2f} s with exit code {code}")
    with supervisor([502] * 99) as asked, container(root, {"voice": "espeak-en-us"}, asked.url) as addon:
        addon.wait_ready()
        with speaking(LONG_TEXT):
            seconds, code = addon.stopped()
        ok(
            seconds < STOPS_WITHIN and code == 0,
            f"while it speaks and discovery waits: stopped in {seconds:.2f} s with exit code {code}",
        )


def kill(root: Path) -> None:
    """A server that dies ends the container, so that the watchdog notices."""
    with supervisor() as asked, container(root, {"voice": "espeak-en-us"}, asked.url) as addon:
        addon.wait_ready()
        addon.kill_server()
        code = addon.wait()
        ok(code == 128 + signal.SIGKILL, f"killed by SIGKILL: the container ends with exit code {code}")
        ok("killed by signal 9" in addon.log(), "the log says so")


def wrong_option(root: Path) -> None:
    """A server that cannot start ends the container and logs the reason."""
    with supervisor() as asked, container(root, {"loudness": 3}, asked.url) as addon:
        code = addon.wait()
        said = re.search(r"loudness: got .*", addon.log())
        ok(code != 0 and said is not None, f"exit code {code}: {said and said[0]}")


def refusal(root: Path) -> None:
    """A Supervisor that rejects the message is not sent it again."""
    with supervisor([401]) as asked, container(root, {"voice": "espeak-en-us"}, asked.url) as addon:
        until(lambda: addon.is_down("discovery"), "discovery to give up")
        ok(len(asked.posts) == 1, "answered 401, it gave up")
        ok("by hand" in addon.log(), "the log tells what to do instead")
        ok(addon.is_running() and describes() > 0, "the server goes on")


# --- The Supervisor ---------------------------------------------------------------------------------------


@dataclass
class Post:
    """A discovery message received."""

    at: float
    authorization: str
    body: Any
    is_answered: bool
    """Whether the server answered clients at that moment."""


@dataclass
class SupervisorState:
    """State of the fake Supervisor: failures to come, and messages received."""

    url: str = ""
    troubles: list[int] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@contextmanager
def supervisor(troubles: list[int] | None = None) -> Iterator[SupervisorState]:
    """Run a fake Supervisor that answers with these statuses first, and then accepts messages."""
    state = SupervisorState(troubles=list(troubles or []))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            is_answered = describes() > 0
            state.posts.append(Post(time.monotonic(), self.headers["authorization"], body, is_answered))
            status = state.troubles.pop(0) if state.troubles else 200
            state.statuses.append(status)
            answer = json.dumps({"result": "ok", "data": {"uuid": "0"}}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- The container ----------------------------------------------------------------------------------------


class Container:
    """A running container of the add-on, by its process 1."""

    def __init__(self, process: subprocess.Popen[bytes], root: Path, log: Path) -> None:
        self._process = process
        self._root = root
        self._log = log

    def log(self) -> str:
        """The log so far."""
        return self._log.read_text("utf-8", errors="replace")

    def is_running(self) -> bool:
        """Whether process 1 is running."""
        return self._process.poll() is None

    def wait_ready(self, voice: str = "espeak") -> None:
        """Wait for the HTTP API and, unless `voice` is empty, for the default voice to be warm."""
        until(lambda: get("/readyz" if voice else "/health") == 200, "the HTTP API")  # noqa: PLR2004

    def is_down(self, service: str) -> bool:
        """Whether a service has ended for good."""
        status = self._inside("s6-svstat", "-o", "up,wantedup", f"/run/wyoming-tts/services/{service}")
        return status.split() == ["false", "false"]

    def environment(self, command: str) -> str:
        """Environment of the process whose command line contains this text."""
        pid = self._pid_of(command)
        return Path(f"/proc/{pid}/environ").read_text("utf-8")

    def kill_server(self) -> None:
        """Kill the server as the kernel does when memory runs out."""
        _run("kill", "-KILL", str(self._pid_of("wyoming-tts serve")))

    def stopped(self) -> tuple[float, int]:
        """Stop it as Docker does; returns the seconds taken and the exit code."""
        began = time.monotonic()
        _run("kill", "-TERM", str(self._init()))
        code = self.wait()
        return time.monotonic() - began, code

    def end(self) -> None:
        """Kill process 1, and with it everything that runs in the container."""
        if self.is_running():
            _run("kill", "-KILL", str(self._init()))
        self.wait()

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        return self._process.wait(PATIENCE)

    def _init(self) -> int:
        return _children(self._process.pid)[0]

    def _pid_of(self, command: str) -> int:
        waiting = [self._init()]
        for pid in waiting:
            if command in Path(f"/proc/{pid}/cmdline").read_text("utf-8").replace("\0", " "):
                return pid
            waiting.extend(_children(pid))
        raise AssertionError(f"No process runs {command!r}.")

    def _inside(self, *command: str) -> str:
        inside = ("nsenter", f"--target={self._init()}", "--pid", f"--root={self._root}", "--wdns=/")
        return subprocess.run([*inside, *command], capture_output=True, text=True, check=False).stdout  # noqa: S603


@contextmanager
def container(root: Path, chosen: Mapping[str, object], supervisor_url: str) -> Iterator[Container]:
    """Run the add-on with these options until the block ends."""
    mounted = [root / name for name in ("run", "data", "share", "config", "tmp")]
    for directory in mounted:
        directory.mkdir(exist_ok=True)
        _run("mount", "-t", "tmpfs", "tmpfs", str(directory))
    _run("mount", "--rbind", "/dev", str(root / "dev"))
    (root / "data/options.json").write_text(json.dumps(chosen), "utf-8")
    variables = {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "HOSTNAME": HOSTNAME,
        "SUPERVISOR_TOKEN": TOKEN,
        "HASSIO_TOKEN": TOKEN,
        "SUPERVISOR_URL": supervisor_url,
    }
    with tempfile.NamedTemporaryFile() as log:
        namespace = ("unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={root / 'proc'}")
        given = [f"{name}={value}" for name, value in variables.items()]
        command = [*namespace, "chroot", str(root), "env", "-i", *given, START]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
        addon = Container(process, root, Path(log.name))
        until(lambda: bool(_children(process.pid)), "process 1")
        try:
            yield addon
        except BaseException:
            print(addon.log(), file=sys.stderr)
            raise
        finally:
            addon.end()
            for directory in [root / "dev", *mounted]:
                _run("umount", "--recursive", "--lazy", str(directory))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


# --- Clients ----------------------------------------------------------------------------------------------


def describes() -> int:
    """Number of voices that the server describes; 0 if it does not answer."""
    try:
        with _connected() as stream:
            write_event(Event("describe"), stream)
            info = read_event(stream)
    except OSError:
        return 0
    return len(info.data["tts"][0]["voices"]) if info and info.type == "info" else 0


def speak(text: str) -> int:
    """Have the server speak a text; returns the bytes of audio."""
    with _connected() as stream:
        write_event(Event("synthesize", {"text": text}), stream)
        heard = 0
        while (event := read_event(stream)) and event.type != "audio-stop":
            heard += len(event.payload or b"")
    return heard


def speaks_soon() -> int:
    """Have the server speak a short text; returns the bytes of audio, 0 if it does not answer."""
    try:
        return speak("Hello.")
    except OSError:
        return 0


@contextmanager
def speaking(text: str) -> Iterator[None]:
    """Keep a client listening to a text during the block."""
    began = threading.Event()

    def listen() -> None:
        with _connected() as stream:
            write_event(Event("synthesize", {"text": text}), stream)
            while event := read_event(stream):
                if event.type == "audio-chunk":
                    began.set()
                    time.sleep(0.02)  # about as slowly as playback

    listener = threading.Thread(target=_until_closed, args=[listen])
    listener.start()
    if not began.wait(PATIENCE):
        raise AssertionError("Nothing was spoken.")
    yield
    listener.join(PATIENCE)


def _until_closed(listen: Callable[[], None]) -> None:
    try:
        listen()
    except OSError:
        return


@contextmanager
def _connected() -> Iterator[BinaryIO]:
    with (
        socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE) as connection,
        connection.makefile("rwb") as stream,
    ):
        yield cast("BinaryIO", stream)


def get(path: str, *, source: str = "127.0.0.1", headers: Mapping[str, str] | None = None) -> int:
    """Request a path of the HTTP API from a source address; returns the status, 0 if nothing answers."""
    client = http.client.HTTPConnection("127.0.0.1", HTTP_PORT, timeout=PATIENCE, source_address=(source, 0))
    try:
        client.request("GET", path, headers=dict(headers or {}))
        return client.getresponse().status
    except OSError:
        return 0
    finally:
        client.close()


# --- Checks -----------------------------------------------------------------------------------------------


def ok(is_so: bool, what: str) -> None:  # noqa: FBT001 - it reads as a sentence
    """Print that a check passed, or raise AssertionError."""
    if not is_so:
        raise AssertionError(f"Check failed: {what}")
    print(f"  ok {what}", flush=True)


def until(is_so: Callable[[], bool], what: str) -> None:
    """Poll until a condition holds; raises AssertionError after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"Timed out after {PATIENCE:g} s waiting for {what}.")
        time.sleep(0.1)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - its words are written here


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as error:
        sys.exit(f"FAILED: {error}")
