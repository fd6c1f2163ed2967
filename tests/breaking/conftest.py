"""The breaking suite: attacks by real processes over real sockets, beside listeners that want to be served.

    script/test --breaking                                  all of it, 25 minutes on two quiet cores
    .venv/bin/pytest tests/breaking/test_floods.py          one attack
    .venv/bin/pytest tests/breaking --server COMMAND        the same attacks on another build

Plain `pytest` and `script/test` do not enter this directory (`norecursedirs`); whoever names it, runs it.
Every test here is marked `breaking`, has five minutes, and runs in this order:

    async def test_a_flood_beside_listeners(open_scene: OpenScene) -> None:
        async with open_scene("--max-connections", "50", limits=Limits(descriptors=256)) as scene:
            before = await scene.quiet()               # 2 s of peace, for comparison
            async with scene.phase("flood") as attack: # a row of the table at the end of the run
                ...                                    # attack scene.server.wyoming / .http / .url
            attack.hearing.check_served()              # meanwhile: no error, no hopeless wait or gap
            assert attack.peak.pss < before.after.pss + 50 * MIB
            await scene.recovers(before)               # afterwards: served, and what it took came back

`scene.server` is an `AttackedServer` (server_under_attack.py): Wyoming, HTTP and WebSocket on loopback, the
tone voices in its own `data_dir`, RLIMIT_AS of 4 GB and 1,024 descriptors unless `limits` says otherwise, its
`log`, `footprint()`, `until(...)`. Flags are those of the command line. `start_server` gives it alone.

A `Phase` (scene.py) holds `hearing` (listening.py: first audio, gaps in terms of audio, errors), `before`,
`after` and `peak` (memory from smaps_rollup, descriptors, threads, children) and `processor_share`.

The listeners, one over Wyoming and one over HTTP, are processes of their own, so what the attacker computes
does not disturb their clocks. They come from 127.0.0.1, the connections of connections.py from `ATTACKER`,
another loopback address, unless told otherwise. Other attackers bind it too: httpx with
`AsyncHTTPTransport(local_address=ATTACKER)`, websockets with `local_addr=(ATTACKER, 0)`.

Attacks are bounded in count and time. What is asserted must hold on a slow, busy machine: bounds of
wall-clock time are those of a hopeless answer; the table has the figures.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.breaking import scene
from tests.breaking.scene import TRANSPORTS, Scene
from tests.breaking.server_under_attack import AttackedServer, Limits, run_attacked_server

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
"""Valid inputs of each kind, which are sent and parsed with mutations."""
_ROW = "breaking"
_TIMEOUT = 300


class StartServer(Protocol):
    """Starts a server with more flags; the block ends it."""

    def __call__(
        self, *flags: str, limits: Limits | None = None
    ) -> AbstractAsyncContextManager[AttackedServer]: ...


class OpenScene(Protocol):
    """Starts a server with more flags, and listeners beside it."""

    def __call__(
        self, *flags: str, limits: Limits | None = None, transports: tuple[str, ...] = TRANSPORTS
    ) -> AbstractAsyncContextManager[Scene]: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        metavar="COMMAND",
        help="breaking suite: command that starts the server under attack, instead of this checkout's",
    )
    parser.addoption(
        "--mutations",
        metavar="N",
        type=int,
        default=5_000,
        help="breaking suite: mutated inputs for each parser; slow parsers and sockets get fewer",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.breaking)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_TIMEOUT))


@pytest.fixture
def mutation_count(request: pytest.FixtureRequest) -> int:
    """Number of mutated inputs of the fastest target."""
    count: int = request.config.getoption("--mutations")
    return count


@pytest.fixture
def report_row(request: pytest.FixtureRequest) -> Callable[[dict[str, str]], None]:
    """Add a row to the table at the end of the run; a `Scene` does it for each of its phases."""
    return lambda row: request.node.user_properties.append((_ROW, row))


@pytest.fixture
def start_server(request: pytest.FixtureRequest, tmp_path: Path) -> StartServer:
    """Start servers without listeners."""
    given = request.config.getoption("--server")
    command = shlex.split(given) if given else [sys.executable, "-m", "wyoming_tts"]

    def start(*flags: str, limits: Limits | None = None) -> AbstractAsyncContextManager[AttackedServer]:
        return run_attacked_server(command, tmp_path, *flags, limits=limits)

    return start


@pytest.fixture
def open_scene(start_server: StartServer, report_row: Callable[[dict[str, str]], None]) -> OpenScene:
    """Start a server and the listeners beside it."""

    @asynccontextmanager
    async def open_(
        *flags: str, limits: Limits | None = None, transports: tuple[str, ...] = TRANSPORTS
    ) -> AsyncIterator[Scene]:
        async with (
            start_server(*flags, limits=limits) as server,
            scene.open_scene(server, report_row, transports=transports) as opened,
        ):
            yield opened

    return open_


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        {"test": report.nodeid.rpartition("::")[2].removeprefix("test_"), **row}
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, row in report.user_properties
        if name == _ROW and isinstance(row, dict)
    ]
    if rows:
        terminalreporter.section("figures of the breaking suite")
        for line in _table(rows):
            terminalreporter.write_line(line)


def _table(rows: list[dict[str, str]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [dict(zip(names, names, strict=True)), *rows]
    widths = {name: max(len(line.get(name, "")) for line in lines) for name in names}
    return ["  ".join(line.get(name, "").ljust(widths[name]) for name in names).rstrip() for line in lines]
