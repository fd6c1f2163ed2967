"""Concurrent edits of one directory's blends, by threads and by processes, of which one is killed.

`python -m tests.scenarios.concurrent_blend_edits DIRECTORY NAME SECONDS` is such a process: it prints each
edit before making it, and again once it is acknowledged.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe
from wyoming_tts.voices.blends.store import FILE_NAME, BlendStore
from wyoming_tts.voices.blends.yaml_format import parse_blends
from wyoming_tts.yaml_files.reading import InvalidYaml

KEPT_EACH = 4
"""Blends of each editor, which it adds, changes and removes in turn."""
REMOVED_EVERY = 7
PAUSE = 0.02
"""Seconds between two edits of an editor: one that never pauses would starve the others."""
MIXED = ("af_bella", "af_sky")
REMOVED = "-"
"""Takes the place of the recipe of a removed blend."""

_ASKED, _DONE = "asked", "done"


@dataclass
class EditLog:
    """An editor's acknowledged edits, and the one in progress when it ended."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    """The recipe of each of its blends."""
    pending: tuple[str, str] | None = None
    count: int = 0
    """Edits that were acknowledged."""

    def note(self, word: str, name: str, recipe: str) -> None:
        """Record a step: an edit that starts, or one that is acknowledged."""
        if word == _ASKED:
            self.pending = (name, recipe)
            return
        self.acknowledged[name] = recipe
        self.pending = None
        self.count += 1

    def lost(self, there: dict[str, str]) -> list[str]:
        """Acknowledged edits that the file does not show."""
        return [
            f"{name}: acknowledged {recipe}, found {there.get(name, REMOVED)}"
            for name, recipe in self.acknowledged.items()
            if there.get(name, REMOVED) != recipe and (name, there.get(name, REMOVED)) != self.pending
        ]


class BlendEditor:
    """Adds, changes and removes blends that no other editor touches."""

    def __init__(self, directory: Path, name: str) -> None:
        self._store = BlendStore(directory)
        self._name = name
        self._blends: dict[str, Blend] = {}

    def step(self, number: int) -> tuple[str, str]:
        """Name and recipe of the next edit."""
        name = f"{self._name}_{number % KEPT_EACH}"
        is_removed = number % REMOVED_EVERY == REMOVED_EVERY - 1 and name in self._blends
        return name, REMOVED if is_removed else str(parse_recipe(f"{MIXED[0]}({number + 1})+{MIXED[1]}"))

    def edit(self, name: str, recipe: str) -> None:
        """Make an edit; it is acknowledged once this returns."""
        if recipe == REMOVED:
            self._store.remove(name)
            del self._blends[name]
            return
        blend = Blend(name, parse_recipe(recipe))
        before = self._blends.get(name)
        self._blends[name] = self._store.replace(blend, expected=before) if before else self._store.add(blend)


class EditingThread(threading.Thread):
    """An editor in this process."""

    def __init__(self, directory: Path, name: str, until: float) -> None:
        super().__init__(name=name)
        self._editor = BlendEditor(directory, name)
        self._until = until
        self.edits = EditLog()
        self.error: BaseException | None = None

    def run(self) -> None:
        """Edit until the deadline."""
        try:
            number = 0
            while time.monotonic() < self._until:
                name, recipe = self._editor.step(number)
                self._editor.edit(name, recipe)
                self.edits.note(_DONE, name, recipe)
                number += 1
                time.sleep(PAUSE)
        except BaseException as error:  # noqa: BLE001 -- reported by the thread that joins
            self.error = error


class ReadingThread(threading.Thread):
    """Reads the file over and over, as a server does."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="reader")
        self._path = path
        self._ended = threading.Event()
        self.reads = 0
        self.malformed: list[str] = []

    def run(self) -> None:
        """Read until `end` is called."""
        while not self._ended.is_set():
            if self._path.exists():
                self._read()
            time.sleep(0.001)

    def _read(self) -> None:
        self.reads += 1
        try:
            parse_blends(self._path.read_bytes())
        except (InvalidYaml, OSError) as error:
            self.malformed.append(str(error))

    def end(self) -> None:
        """Stop the thread and wait for it."""
        self._ended.set()
        self.join()


@dataclass(frozen=True, slots=True)
class ConcurrentEditResult:
    """Outcome of concurrent edits."""

    edits: int
    """Acknowledged edits of all editors."""
    edits_each: tuple[int, ...]
    """Acknowledged edits of each editor, processes first; the first one was killed."""
    blends: dict[str, str]
    """Recipes in the file at the end."""
    reads: int
    malformed: list[str]
    lost: list[str]
    errors: list[str]
    """Failures of editors."""


def run_concurrent_edits(
    directory: Path, seconds: float, *, threads: int = 20, processes: int = 4
) -> ConcurrentEditResult:
    """Run all editors for some seconds; the first process is killed half-way."""
    path = directory / FILE_NAME
    reader = ReadingThread(path)
    reader.start()
    try:
        running = [_start_process(directory, f"p{number}", seconds) for number in range(processes)]
        started = [_read_output(process, until=_ASKED) for process in running]
        until = time.monotonic() + seconds
        editors = [EditingThread(directory, f"t{number}", until) for number in range(threads)]
        for editor in editors:
            editor.start()
        time.sleep(seconds / 2)
        started[0] += _read_output(running[0], until=_DONE)  # or nothing could be lost of it
        running[0].kill()
        printed = [first + process.communicate()[0] for first, process in zip(started, running, strict=True)]
        for editor in editors:
            editor.join()
    finally:
        reader.end()
    there = {name: str(blend.recipe) for name, blend in parse_blends(path.read_bytes()).items()}
    of_processes = [_parse_edits(text.splitlines()) for text in printed]
    every = [*of_processes, *(editor.edits for editor in editors)]
    return ConcurrentEditResult(
        edits=sum(edits.count for edits in every),
        edits_each=tuple(edits.count for edits in every),
        blends=there,
        reads=reader.reads,
        malformed=reader.malformed,
        lost=[line for edits in every for line in edits.lost(there)],
        errors=[
            *(f"{editor.name}: {editor.error!r}" for editor in editors if editor.error),
            *(f"process ended with {each.returncode}" for each in running[1:] if each.returncode),
        ],
    )


def _start_process(directory: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.scenarios.concurrent_blend_edits",
        str(directory),
        name,
        str(seconds),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _read_output(process: subprocess.Popen[str], *, until: str) -> str:
    """Read its output up to the first line that starts with `until`."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith(until):
            break
    return text


def _parse_edits(lines: Iterable[str]) -> EditLog:
    edits = EditLog()
    for line in lines:
        word, name, recipe = line.split("\t")
        edits.note(word, name, recipe)
    return edits


def main(directory: Path, name: str, seconds: float) -> None:
    """Edit for some seconds and print each step."""
    editor, number, until = BlendEditor(directory, name), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        blend, recipe = editor.step(number)
        print(_ASKED, blend, recipe, sep="\t", flush=True)
        editor.edit(blend, recipe)
        print(_DONE, blend, recipe, sep="\t", flush=True)
        number += 1
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
