"""Trial of an uploaded Piper voice: a child process with limits loads it and has it speak once.

An ONNX file is a program. It can ask for any amount of memory, run without end, or crash onnxruntime, and a
server that finds out by loading it is lost with all its listeners. So a child does first what the server
would do, by the same code; the server takes over only its verdict. Nothing is phonemized: the ids are made of
the voice's own letters, and a package that its language needs may be missing.

`try_voice` is the server's end, `main` the child's.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from wyoming_tts.engines.child.process import child_command
from wyoming_tts.engines.onnx_reasons import is_of_memory
from wyoming_tts.errors import SpeechError
from wyoming_tts.messages import Message, encode_messages
from wyoming_tts.system_reasons import system_reason

MEMORY_BESIDES: Final = 400_000_000
"""Bytes that a voice of any size may use; Python and the libraries need 120 MB of them."""

MEMORY_PER_BYTE: Final = 6
"""Further bytes for each of the file: one that can be cut needs two, one that runs whole four."""

SECONDS: Final = 120.0
"""What loading a large voice and speaking a few letters may take on a slow machine; others take 3 s."""

_MOST_REPORTED: Final = 10_000
_NICENESS: Final = 10
_LEAST_MEMORY: Final = 200_000_000
_LETTERS: Final = 12
_SILENCE: Final = 1e-4
"""Of full scale."""


class TrialFailed(Exception):
    """The voice did not pass; the message completes "NAME is not a voice: …"."""


def memory_limit(model_bytes: int) -> int:
    """Bytes of memory that the trial of a model of this size may use."""
    return MEMORY_BESIDES + MEMORY_PER_BYTE * model_bytes


async def try_voice(model: Path, model_bytes: int, *, seconds: float = SECONDS) -> None:
    """Load a voice, its configuration beside it, and have it speak, in a process of its own.

    Raises:
        TrialFailed: it needs too much memory or time, crashes, cannot be loaded, or makes no sound.
    """
    process = await _start(child_command(__name__, str(model), str(memory_limit(model_bytes))))
    try:
        async with asyncio.timeout(seconds):
            report = await _report(process)
    except TimeoutError as error:
        raise TrialFailed(
            Message(
                "trial_slow",
                "it did not load and speak a few letters within {seconds} s",
                seconds=f"{seconds:.0f}",
            )
        ) from error
    finally:
        await asyncio.shield(_end(process))
    if problem := _problem(process.returncode or 0, report):
        raise TrialFailed(problem)


async def _start(command: Sequence[str]) -> Process:
    try:
        # In a session of its own: an interrupt at the terminal is the server's to handle.
        return await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise TrialFailed(
            Message(
                "trial_not_started",
                "the process of its trial cannot be started: {reason}",
                reason=system_reason(error),
            )
        ) from error


async def _report(process: Process) -> bytes:
    assert process.stdout is not None
    report = await process.stdout.read(_MOST_REPORTED)
    await process.wait()
    return report


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _problem(status: int, report: bytes) -> str:
    """What is wrong with the voice; empty if nothing is."""
    if status == -signal.SIGKILL:  # the child is what the kernel kills first
        return Message(
            "trial_memory", "loading it and speaking a few letters needs more memory than the machine has"
        )
    if status < 0:
        return Message(
            "trial_crash", "it crashes onnxruntime ({signal})", signal=signal.Signals(-status).name
        )
    if status or not report:
        return Message("trial_status", "the process of its trial ended with status {status}", status=status)
    return str(Message.decode(json.loads(report)))


# The child's end


def main(model: str, limit: str) -> None:
    """Load the voice and have it speak; the problem, or an empty text, goes to standard output as JSON."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print complaints
    memory = min(int(limit), _available_memory())
    _limit_resources(memory)
    out.write(json.dumps(encode_messages(_verdict(Path(model), memory))).encode())
    out.flush()
    os._exit(0)  # the model's destructors are not worth a crash


def _available_memory() -> int:
    """Bytes that the kernel can give without swapping, but at least what any voice needs."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return max(
            _LEAST_MEMORY, next(int(line.split()[1]) for line in lines if "MemAvailable" in line) * 1024
        )
    except (OSError, StopIteration):
        return sys.maxsize  # not on Linux


def _limit_resources(memory: int) -> None:
    # Private writable memory, whether it is used or only asked for; RLIMIT_AS would count files and
    # the stacks and arenas that threads reserve.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _verdict(model: Path, memory: int) -> str:
    try:
        return _speak(model)
    except Exception as error:  # noqa: BLE001  # whatever a hostile file provokes
        if is_of_memory(error):
            return Message(
                "trial_needs_more",
                "loading it and speaking a few letters needs more than {most} MB",
                most=memory // 1_000_000,
            )
        # How to have it again is no help for one that is not here yet.
        return error.message if isinstance(error, SpeechError) else str(error) or type(error).__name__


def _speak(path: Path) -> str:
    """Why the voice is of no use; empty if it spoke."""
    # In the child alone: the server only waits for it.
    from wyoming_tts.engines.base import EngineOptions  # noqa: PLC0415
    from wyoming_tts.engines.piper.model import model_feeds, open_piper_model  # noqa: PLC0415
    from wyoming_tts.engines.piper.voice_json import read_voice_json, voice_json_path  # noqa: PLC0415

    if _has_external_weights(path):
        return Message("weights_elsewhere", "weights of its model lie in other files, and an upload has none")
    config = read_voice_json(voice_json_path(path))
    scales = config.inference.noise_scale, config.inference.length_scale, config.inference.noise_w
    options = EngineOptions(intra_op_threads=1)
    model = open_piper_model(path, options, config.audio.sample_rate, hop=config.hop_length)
    feeds = model_feeds(model.inputs, _ids_of_letters(config.phoneme_id_map), scales, speaker=0)
    loudest = max((float(abs(chunk).max(initial=0.0)) for chunk in model.speak(feeds)), default=0.0)
    return "" if loudest > _SILENCE else Message("no_sound", "it makes no sound")


def _ids_of_letters(symbols: Mapping[str, Sequence[int]]) -> list[int]:
    """Phoneme ids of a few of the voice's letters, framed and padded as those of a sentence."""
    begin, end, padding = (symbols[mark] for mark in ("^", "$", "_"))
    letters = [symbol for symbol in symbols if len(symbol) == 1 and symbol.isalpha()] or [*symbols]
    spoken = (symbols[letter] for letter in letters[:_LETTERS])
    return [*begin, *(number for ids in spoken for number in (*padding, *ids)), *padding, *end]


def _has_external_weights(path: Path) -> bool:
    """Whether any tensor of the model, at any depth, names a file to be read instead."""
    import onnx  # noqa: PLC0415  # as above

    model = onnx.load(path, load_external_data=False)
    functions = [node for function in model.functions for node in function.node]
    return any(tensor.data_location for tensor in _tensors([*model.graph.node, *functions], model.graph))


def _tensors(nodes: Sequence[Any], *graphs: Any) -> Iterator[Any]:
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph.node, graph)
