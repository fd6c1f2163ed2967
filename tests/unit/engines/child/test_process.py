from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import wyoming_tts
from wyoming_tts.engines.child.process import ChildProcess
from wyoming_tts.errors import EngineFailed, VoiceUnavailable

PACKAGE = Path(wyoming_tts.__file__).parent
CHILD_MODULES = ["wyoming_tts.engines.espeak.process", "wyoming_tts.engines.phonemizer.process"]

PROBE = """
import sys
from wyoming_tts.engines.child.protocol import ServerPipe

def main(*arguments):
    server = ServerPipe()
    import http, json, logging, signal, struct, types
    modules = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    server.greet({"arguments": arguments, "path": sys.path, "modules": modules})
    for request in server.requests():
        if request == b"crash":
            sys.exit(3)
        server.answer(request[::-1], status=9 if request == b"fail" else 0)
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that can run as a child process, installed in a directory with a space in its name."""
    directory = tmp_path / "some packages"
    directory.mkdir()
    (directory / "probe_child.py").write_text(PROBE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(directory))
    return "probe_child"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A directory with modules that shadow standard modules and our package."""
    directory = tmp_path / "hostile"
    directory.mkdir()
    for name in ("json", "struct", "signal", "http", "types", "ctypes", "wyoming_tts"):
        (directory / f"{name}.py").write_text("raise SystemExit('shadowed')", encoding="utf-8")
    return directory


def greeting_of(module: str, *arguments: str) -> dict[str, Any]:
    with ChildProcess("the probe", module, *arguments, hint="") as child:
        return child.greeting()


def test_a_child_receives_its_arguments_unchanged(probe: str) -> None:
    arguments = ["", "a b", "ü\n'\"", "--flag"]
    assert greeting_of(probe, *arguments)["arguments"] == arguments


def test_a_child_imports_standard_modules_from_the_standard_library_only(
    probe: str, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("PYTHONPATH", str(hostile))
    monkeypatch.setattr(sys, "path", ["", ".", str(hostile), str(PACKAGE / "engines/remote"), *sys.path])
    modules = greeting_of(probe)["modules"]
    standard = sysconfig.get_path("stdlib")
    for name in ("http", "json", "logging", "signal", "struct", "types"):
        assert Path(modules[name]).is_relative_to(standard), modules[name]
    assert Path(modules["wyoming_tts"]).parent == PACKAGE


def test_the_import_path_of_a_child_is_standard_library_then_our_package_then_site_packages(
    probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", "relative", *sys.path])
    path = greeting_of(probe)["path"]
    ours = path.index(str(PACKAGE.parent))
    assert not any("-packages" in entry for entry in path[:ours])
    assert any("-packages" in entry for entry in path[ours:])
    assert all(Path(entry).is_absolute() for entry in path)
    assert not any(Path(entry).is_relative_to(PACKAGE) for entry in path)


@pytest.mark.parametrize("module", CHILD_MODULES)
def test_child_modules_import_only_the_standard_library_and_the_protocol(module: str) -> None:
    code = (
        f"import sys; sys.path.append({str(PACKAGE.parent)!r}); import {module}\n"
        "for name, each in sys.modules.items(): print(name, getattr(each, '__file__', None), sep='\\t')"
    )
    listed = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    modules = dict(line.split("\t") for line in listed.splitlines())
    ours = {name for name, file in modules.items() if Path(file).is_relative_to(PACKAGE)}
    engines = "wyoming_tts.engines"
    protocol = {f"{engines}.child", f"{engines}.child.protocol"}
    assert ours == {"wyoming_tts", engines, *protocol, module.rpartition(".")[0], module}


LAYOUT_PROBE = """
import json, sys
from pathlib import Path
import wyoming_tts
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.espeak.engine import EspeakEngine
from wyoming_tts.engines.phonemizer.client import KokoroPhonemizerProcess, PiperPhonemizerProcess

voices = EspeakEngine(EngineOptions()).load(None)
pids = [voices._process._running.pid]
voices.close()
for process in (PiperPhonemizerProcess("en-us", None), KokoroPhonemizerProcess("en-us")):
    process.wait_ready()
    pids.append(process._child._running.pid)
    process.close()
print(json.dumps({"package": str(Path(wyoming_tts.__file__).parent), "pids": pids}))
"""


@pytest.mark.parametrize("layout", ["a checkout", "site packages"])
def test_every_child_starts_from_a_checkout_and_from_an_unpacked_wheel(
    layout: str, tmp_path: Path, hostile: Path
) -> None:
    root = tmp_path / layout
    shutil.copytree(PACKAGE, root / "wyoming_tts", ignore=shutil.ignore_patterns("__pycache__"))
    if layout == "a checkout":
        for name in ("ui", "tests", "script"):
            (root / name).mkdir()
    # Each module records the processes that import it, to detect a child that imported it from elsewhere.
    notes = tmp_path / "notes"
    notes.mkdir()
    note = f"__import__('pathlib').Path({str(notes)!r}, str(__import__('os').getpid())).touch()"
    for module in CHILD_MODULES:
        with (root / f"{module.replace('.', '/')}.py").open("a", encoding="utf-8") as file:
            file.write(f"\n{note}\n")
    code = f"import sys; sys.path.insert(0, {str(root)!r})\n{LAYOUT_PROBE}"
    completed = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=hostile,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert completed.returncode == 0, completed.stderr
    report = json.loads(completed.stdout)
    assert report["package"] == str(root / "wyoming_tts")
    assert {str(pid) for pid in report["pids"]} <= {file.name for file in notes.iterdir()}


# Faults


def test_a_crash_fails_only_the_current_request(probe: str) -> None:
    with ChildProcess("the probe", probe, hint="") as child:
        assert child.request(b"abc") == b"cba"
        with pytest.raises(EngineFailed, match=r"the probe ended \(status -?\d+\) before it answered"):
            child.request(b"crash")
        assert child.request(b"abc") == b"cba"


def test_a_response_reporting_a_dead_fork_fails_the_request_but_keeps_the_child(probe: str) -> None:
    with ChildProcess("the probe", probe, hint="") as child:
        child.greeting()
        pid = child._running.pid
        with pytest.raises(EngineFailed, match=r"the probe crashed on the text \(wait status 9\)"):
            child.request(b"fail")
        assert child.request(b"abc") == b"cba"
        assert child._running.pid == pid


def test_a_child_module_that_does_not_start_raises_voice_unavailable_with_a_hint(probe: str) -> None:
    with ChildProcess("the probe", f"{probe}_missing", hint="Install it.") as child:
        with pytest.raises(VoiceUnavailable, match="the probe did not start: its process ended") as raised:
            child.greeting()
        assert raised.value.hint == "Install it."


def test_a_missing_interpreter_raises_voice_unavailable(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(VoiceUnavailable, match="cannot be started"):
        ChildProcess("the probe", probe, hint="")
