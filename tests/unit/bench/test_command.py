from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.scenarios.ports import free_port
from tests.support.server_process import SPEAKS_LETTERS, server_process
from wyoming_tts.bench.command import add_bench_flags, parse_bench_options
from wyoming_tts.bench.options import BenchOptions, Input, RequestMode
from wyoming_tts.commands.cli import main

RUN = (
    "import argparse, sys\n"
    "from wyoming_tts.bench.command import add_bench_flags, run_bench_command\n"
    "parser = argparse.ArgumentParser()\n"
    "add_bench_flags(parser)\n"
    "sys.exit(run_bench_command(parser.parse_args()))\n"
)


def parse(*words: str) -> BenchOptions:
    parser = argparse.ArgumentParser()
    add_bench_flags(parser)
    return parse_bench_options(parser.parse_args(words))


def test_without_flags_the_defaults_apply() -> None:
    assert parse("tcp://a:1") == BenchOptions("tcp://a:1")


def test_all_flags_are_parsed() -> None:
    given = parse(
        *("tcp://a:1", "--compare", "tcp://b:2", "--text", "all", "--input", "stream", "--clients", "1,16"),
        *("--rounds", "7", "--words-per-second", "5.5", "--with-voice", "x", "--timeout", "9"),
        *("--describe-every", "0", "--repeat", "--mode", "sentences", "--rate", "90", "--api-key", "k"),
        *("--read-ahead", "1.5"),
    )
    assert given == BenchOptions(
        "tcp://a:1",
        compare="tcp://b:2",
        texts=("short", "sentence", "paragraph", "llm"),
        inputs=(Input.STREAM,),
        clients=(1, 16),
        rounds=7,
        words_per_second=5.5,
        voice="x",
        timeout=9.0,
        describe_every=0.0,
        vary=False,
        mode=RequestMode.SENTENCES,
        rate=90.0,
        api_key="k",
        read_ahead=1.5,
    )


def test_a_duration_is_measured_once_unless_more_rounds_are_wanted() -> None:
    assert (
        parse("tcp://a:1", "--duration", "30").duration,
        parse("tcp://a:1", "--duration", "30").rounds,
    ) == (30.0, 1)
    assert parse("tcp://a:1", "--duration", "30", "--rounds", "2").rounds == 2


def test_a_duration_and_a_rate_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("tcp://a:1", "--duration", "30", "--rate", "60")
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "inputs"),
    [
        (("http://a:1",), (Input.PLAIN,)),
        (("tcp://a:1", "--compare", "http://a:2"), (Input.PLAIN,)),
        (("http://a:1", "--mode", "sentences"), tuple(Input)),
        (("http://a:1", "--input", "both"), tuple(Input)),
        (("ws://a:1",), tuple(Input)),
    ],
)
def test_text_is_streamed_by_default_where_supported(
    words: tuple[str, ...], inputs: tuple[Input, ...]
) -> None:
    assert parse(*words).inputs == inputs


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--text", "poem", "'poem' is not one of short, sentence, paragraph, llm"),
        ("--clients", "1,0", "expected a whole number above 0, got '0'"),
        ("--clients", "1,", "expected a whole number above 0, got ''"),
        ("--rounds", "-1", "expected a whole number above 0, got '-1'"),
        ("--rounds", "two", "expected a whole number above 0, got 'two'"),
        ("--rounds", "9" * 5000, "expected a whole number above 0"),
        ("--words-per-second", "0", "expected a number above 0, got '0'"),
        ("--mode", "words", "words"),
        ("--duration", "0", "expected seconds as a number above 0, such as 30 or 0.5, got '0'"),
        ("--duration", "-5", "expected seconds as a number above 0, such as 30 or 0.5, got '-5'"),
        ("--duration", "30s", "expected seconds as a number above 0, such as 30 or 0.5, got '30s'"),
        ("--duration", "1e400", "expected seconds as a number above 0, such as 30 or 0.5, got '1e400'"),
        ("--read-ahead", "nan", "expected seconds as a number above 0, such as 30 or 0.5, got 'nan'"),
        ("--rate", "0", "expected a number above 0, got '0'"),
        ("--timeout", "inf", "expected seconds as a number above 0, such as 30 or 0.5, got 'inf'"),
        ("--describe-every", "x", "expected seconds as a number, 0 or more, got 'x'"),
    ],
)
def test_invalid_flags_are_refused(
    flag: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse("tcp://a:1", flag, value)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_told_before_the_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept.json").write_text("before")
    nobody = f"tcp://127.0.0.1:{free_port()}"
    assert main(["bench", nobody, "--json", str(tmp_path / "no" / "file.json")]) == 1
    assert "file.json cannot be written: No such file or directory." in capsys.readouterr().err
    assert main(["bench", nobody, "--json", str(tmp_path / "kept.json")]) == 1
    assert (tmp_path / "kept.json").read_text() == "before"


async def test_a_real_server_is_measured_from_another_process(tmp_path: Path) -> None:
    kept = tmp_path / "bench.json"
    async with server_process(*SPEAKS_LETTERS) as server:
        bench = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RUN, server.uri, "--text", "short", "--clients", "1,2", "--rounds", "1"),
            *("--words-per-second", "500", "--json", str(kept)),
            stdout=PIPE,
            stderr=PIPE,
        )
        stdout, stderr = await bench.communicate()
    assert (bench.returncode, stderr) == (0, b"")  # no progress bar without a terminal
    assert "short, stream, 2 clients" in stdout.decode()
    loads = json.loads(kept.read_text())["loads"]
    assert [load["outcomes"] for load in loads] == [{"spoken": 1}, {"spoken": 2}] * 2
    assert all(load["ttfa"]["p50"] > 0 for load in loads)


def test_adding_the_flags_imports_no_heavy_package() -> None:
    code = (
        "import sys, wyoming_tts.bench.command\n"
        "heavy = {'rich', 'wyoming', 'h11', 'websockets', 'wyoming_tts.client'}\n"
        "heavy.add('wyoming_tts.bench.load_generator')\n"
        "print(*heavy & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
