"""Fuzzing of every parser that meets outside bytes: it returns a value, or raises the error that it declares.

Inputs are those of `corpus`, changed by bytes-level mutations with fixed seeds. `--mutations N` tries more.
"""

from __future__ import annotations

import io
import resource
import signal
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from pydantic import ValidationError

from tests.breaking.conftest import CORPUS
from tests.breaking.server_under_attack import GIB
from tests.support.byte_mutations import mutations, read_corpus
from tests.support.torch_files import make_pickle, make_torch_file
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.errors import BadRequest, SpeechError
from wyoming_tts.style_tables import pack_names, read_packed_table
from wyoming_tts.text.cleaning import CleanupOptions, TextCleaner
from wyoming_tts.text.lexicon.parser import parse_lexicon
from wyoming_tts.text.ssml.parser import SsmlParser
from wyoming_tts.transports.http.speech_request import (
    HttpOptions,
    SpeechBody,
    StreamBody,
    make_speech_request,
)
from wyoming_tts.transports.realtime.protocol import RealtimeProtocol, RefusedMessage, parse_message
from wyoming_tts.transports.realtime.server_messages import refusal_message
from wyoming_tts.transports.realtime.session import RealtimeLimits, RealtimeSession
from wyoming_tts.voices.blends.yaml_format import parse_blends, update_blends
from wyoming_tts.voices.style_files import read_style_file
from wyoming_tts.wyoming_framing import EventReader, ProtocolError, encode_event
from wyoming_tts.yaml_files.reading import InvalidYaml

Parse = Callable[[bytes, Path], object]

_HANGS_AFTER = 20
"""Seconds of processor time for one input: what takes milliseconds when it does not hang."""
_MEMORY = 4 * GIB


@dataclass(frozen=True, slots=True)
class Target:
    """A parser, and the errors that are its answers to malformed input."""

    corpus: str
    parse: Parse
    errors: tuple[type[Exception], ...]
    slowness: int = 1
    """Divides the number of mutations."""


def _frames(data: bytes, _: Path) -> None:
    reader = EventReader()
    for start in range(0, len(data), 50):
        for event in reader.feed(data[start : start + 50]):
            encode_event(event)
    for event in reader.end():
        encode_event(event)


def _realtime(data: bytes, _: Path) -> None:
    protocol = RealtimeProtocol(RealtimeSession("s"), RealtimeLimits())
    for line in data.split(b"\n"):
        try:
            protocol.receive(parse_message(line, RealtimeLimits()))
        except RefusedMessage as refused:
            refusal_message(refused)


def _speech(data: bytes, _: Path) -> None:
    for model in (SpeechBody, StreamBody):
        make_speech_request(model.model_validate_json(data), HttpOptions(), "id")


def _ssml(data: bytes, _: Path) -> None:
    parser = SsmlParser()
    text = data.decode(errors="surrogateescape")
    for start in range(0, len(text), 40):
        parser.feed(text[start : start + 40])
    parser.finish()


def _markdown(data: bytes, _: Path) -> None:
    cleaner = TextCleaner(CleanupOptions(emoji="name", code_blocks="read"))
    text = data.decode(errors="replace")
    for start in range(0, len(text), 40):
        cleaner.feed(text[start : start + 40])
    cleaner.finish()


def _lexicon(data: bytes, _: Path) -> None:
    parse_lexicon(data, "lexicon.yaml")


def _blends(data: bytes, _: Path) -> None:
    update_blends(data, parse_blends(data))


def _voice_json(data: bytes, directory: Path) -> None:
    (directory / "a.onnx").write_bytes(b"its json is read first")
    (directory / "a.onnx.json").write_bytes(data)
    engine = PiperEngine(EngineOptions(data_dirs=(directory,)))
    engine.installed()
    assert len(engine.broken) <= 1


def _style_file(data: bytes, directory: Path) -> None:
    for suffix in (".npy", ".bin", ".pt"):
        path = directory / f"style{suffix}"
        path.write_bytes(data)
        try:
            read_style_file(path)
        except BadRequest:
            continue


def _voice_pack(data: bytes, directory: Path) -> None:
    pack = directory / "voices.npz"
    pack.write_bytes(data)
    names = pack_names(pack)
    with zipfile.ZipFile(pack) as archive:
        for name in sorted(names):
            with suppress(ValueError, OSError):
                read_packed_table(archive, name)


def _pack_corpus() -> list[bytes]:
    """Stored and deflated, as numpy writes them."""
    table = np.linspace(-1, 1, 3 * 256, dtype=np.float32).reshape(3, 1, 256)
    packs = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, af_one=table, af_two=-table)
        packs.append(file.getvalue())
    return packs


def _style_corpus() -> list[bytes]:
    """Small tables; Kokoro's have half a megabyte."""
    table = np.zeros((3, 1, 256), dtype=np.float32)
    file = io.BytesIO()
    np.save(file, table)
    return [file.getvalue(), table.tobytes(), make_torch_file(make_pickle((3, 1, 256)), table.tobytes())]


TARGETS = {
    "wyoming frames": Target("wyoming", _frames, (ProtocolError,)),
    "realtime messages": Target("realtime", _realtime, ()),
    "speech requests": Target("speech_json", _speech, (ValidationError, SpeechError)),
    "SSML": Target("ssml", _ssml, (BadRequest,)),
    "Markdown": Target("markdown", _markdown, ()),
    "lexicons": Target("lexicon", _lexicon, (InvalidYaml,), slowness=4),
    "blends": Target("blends", _blends, (InvalidYaml,), slowness=8),
    "voice json": Target("voice_json", _voice_json, (), slowness=4),
    "style files": Target("", _style_file, (), slowness=2),
    "voice packs": Target("", _voice_pack, (ValueError, OSError, zipfile.BadZipFile), slowness=2),
}


@contextmanager
def _bounded_memory() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _bounded_processor_time() -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise AssertionError(f"it takes more than {_HANGS_AFTER} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _HANGS_AFTER)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_returns_or_raises_what_it_declares(name: str, mutation_count: int, tmp_path: Path) -> None:
    target = TARGETS[name]
    made = {"style files": _style_corpus, "voice packs": _pack_corpus}
    corpus = made[name]() if name in made else read_corpus(CORPUS / target.corpus)
    with _bounded_memory():
        for data in mutations(corpus, count=mutation_count // target.slowness, seed=name):
            try:
                with _bounded_processor_time():
                    target.parse(data, tmp_path)
            except target.errors:
                continue
            except Exception as error:
                raise AssertionError(f"{type(error).__name__} for {data[:2000]!r}") from error
