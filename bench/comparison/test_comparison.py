"""The comparison of `script/bench`: its targets, its page, and the server processes it runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from bench.comparison.report import BenchmarkPage, render_markdown
from bench.comparison.results import (
    ComparisonRow,
    SectionResult,
    compare_medians,
    format_megabytes,
    format_seconds,
)
from bench.comparison.server_process import ServerCommand, ServerStartFailed, run_burner, run_server

LISTENS = """
import socket, subprocess, sys
port = int(sys.argv[-1].rpartition(":")[2])
holds = "held = bytearray(50_000_000); input()"
child = subprocess.Popen([sys.executable, "-c", holds], stdin=subprocess.PIPE)
listening = socket.create_server(("127.0.0.1", port))
while True:
    listening.accept()[0].close()
"""


def test_a_ratio_target_is_met_at_its_limit_and_missed_above() -> None:
    theirs = [1.0, 5.0, 1.0]
    assert compare_medians("x", theirs, [0.2, 0.1, 9.0], at_most=1 / 5).met is True
    assert compare_medians("x", theirs, [0.21, 0.1, 9.0], at_most=1 / 5).met is False


def test_an_absolute_limit_applies_in_addition_to_the_ratio() -> None:
    row = compare_medians("x", [10.0], [0.06], at_most=1 / 50, limit=0.05)
    assert (row.met, row.target) == (False, "at most 1/50, at most 50 ms")
    assert compare_medians("x", [10.0], [0.04], at_most=1 / 50, limit=0.05).met is True
    assert compare_medians("x", [1.0], [0.04], at_most=1 / 50, limit=0.05).met is False


def test_a_target_without_measurements_is_missed() -> None:
    row = compare_medians("x", [], [], at_most=0.5)
    assert (row.theirs, row.ours, row.ratio, row.met) == ("-", "-", None, False)


def test_a_row_without_a_target_is_neither_met_nor_missed() -> None:
    row = compare_medians("x", [2.0], [4.0], at_most=None)
    assert (row.ratio, row.target, row.met) == (2.0, "", None)


@pytest.mark.parametrize(
    ("value", "formatted"), [(0.0042, "4.2 ms"), (0.0567, "57 ms"), (0.999, "999 ms"), (13.004, "13.00 s")]
)
def test_durations_are_formatted_with_significant_digits(value: float, formatted: str) -> None:
    assert format_seconds(value) == formatted


def test_sizes_are_formatted_in_decimal_megabytes() -> None:
    assert format_megabytes(414_600_000) == "415 MB"


def test_the_report_has_results_machine_and_raw_numbers() -> None:
    rows = (
        compare_medians("first audio", [0.3], [0.03], at_most=1 / 5),
        ComparisonRow("underruns", "0", "3, worst 20 ms", None, "0", met=False),
    )
    page = BenchmarkPage(
        date="2000-01-02",
        command="script/bench --model voice.onnx",
        rounds=7,
        machine={"Cores": "2"},
        versions={"This server": "1.0"},
        voices={"Voice": "voice.onnx"},
        outcomes=[SectionResult("sentence", "As it is.", rows, {"ours": [0.03]})],
        took=90.0,
    )
    lines = render_markdown(page).splitlines()
    assert "| first audio | 300 ms | 30 ms | 1/10.0 | at most 1/5 | met |" in lines
    assert "| underruns | 0 | 3, worst 20 ms |  | 0 | **missed** |" in lines
    assert "* **sentence**: As it is." in lines
    assert "| Cores | 2 |" in lines
    assert '{"ours": [0.03]}' in lines


async def test_a_server_is_measured_with_its_child_processes_and_stopped_after_the_block(
    tmp_path: Path,
) -> None:
    command = ServerCommand("listens", (sys.executable, "-c", LISTENS))
    async with run_server(command, tmp_path) as server:
        await server.wait_until_idle()
        memory = server.memory()
        assert memory.resident > 55_000_000
        assert memory.proportional <= memory.resident
        assert 0.0 < server.opened_after < 30.0
        assert 0.0 < server.processor_time() < 30.0
        assert server.process.returncode is None
    assert server.process.returncode is not None


async def test_a_server_that_exits_at_startup_is_an_error_with_the_tail_of_its_log(tmp_path: Path) -> None:
    command = ServerCommand("broken", (sys.executable, "-c", "raise SystemExit('no such voice')"))
    with pytest.raises(ServerStartFailed, match="no such voice"):
        async with run_server(command, tmp_path):
            pass


async def test_a_server_is_stopped_when_the_measurement_fails(tmp_path: Path) -> None:
    command = ServerCommand("listens", (sys.executable, "-c", LISTENS))
    processes: list[asyncio.subprocess.Process] = []

    async def measure() -> None:
        async with run_server(command, tmp_path) as server:
            processes.append(server.process)
            raise RuntimeError("while measuring")

    with pytest.raises(RuntimeError, match="while measuring"):
        await measure()
    assert processes[0].returncode is not None


async def test_the_program_that_takes_a_core_ends_with_the_block() -> None:
    async with run_burner() as process:
        assert process.returncode is None
    assert process.returncode is not None
