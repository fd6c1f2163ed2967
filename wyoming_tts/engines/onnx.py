"""What the neural engines share: how a model is opened and run, and which text is fit to phonemize.

One place decides the onnxruntime options, so that every model in the process keeps to the same
number of threads and none of them burns a core while it waits for the next sentence.
"""

from __future__ import annotations

import ctypes
import logging
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from wyoming_tts.engines.base import EngineOptions, always
from wyoming_tts.errors import EngineFailed, VoiceUnavailable
from wyoming_tts.speech import Samples, Segment

_LOGGER = logging.getLogger(__name__)

NO_SAMPLES: Samples = np.zeros(0, dtype=np.float32)
"""What a step yields that made no sound."""

# Punctuation that has a spoken name in every language; the rest only shapes a sentence, and a
# phonemizer that is given nothing else reads it out ("exclamation").
_NAMED_MARKS = frozenset("%&@#*/\\§")

_LONGEST_WORD, _LONGEST_LINE_NOISE, _MOST_MARKS = 60, 16, 8
"""Characters. espeak-ng, which turns text into phonemes, overruns its buffers at words such
as `s'` a hundred times over. Gaps lessen that; they do not rule it out."""

_ONNX_ERRORS_ONLY = 3

_SHARED_BYTES = 4096
"""Smaller weights are looked at when a graph is optimized, and weigh nothing."""


class OnnxModel:
    """An ONNX model in memory, with the part of onnxruntime's session that the voices need.

    It stands in for the session wherever piper and kokoro_onnx take one: `run` raises our errors,
    hands every floating output out as float32, and never lets a number through that is none.
    """

    def __init__(
        self, session: Any, path: Path, *, narrow: Any = None, has_cores: Callable[[], bool] = always
    ) -> None:
        """Take the sessions of a model.

        Args:
            session: on all the threads that it may have.
            path: by what it is called in messages.
            narrow: the same on the calling thread alone, with the same weights; None: there is none.
            has_cores: asked before each run: whether other threads may be used.
        """
        self._session = session
        self._narrow = narrow
        self._has_cores = has_cores
        self._path = path
        self._model_path = str(path)  # kokoro_onnx reads it from a session
        self.inputs: Mapping[str, str] = {each.name: each.type for each in session.get_inputs()}
        """The type of each input by name, such as `tensor(int64)`."""

    def __repr__(self) -> str:
        return f"<Model {self._path.name}{'' if self._session else ' closed'}>"

    @property
    def shares_cores(self) -> bool:
        """Whether it can run on the calling thread alone, beside others."""
        return self._narrow is not None

    def has_cores(self) -> bool:
        """Whether it runs on all its threads if it is run now, on this thread."""
        return self._narrow is None or self._has_cores()

    def get_inputs(self) -> Sequence[Any]:
        """As onnxruntime's session."""
        return self._open().get_inputs()  # type: ignore[no-any-return]

    def get_outputs(self) -> Sequence[Any]:
        """As onnxruntime's session."""
        return self._open().get_outputs()  # type: ignore[no-any-return]

    def get_modelmeta(self) -> Any:
        """As onnxruntime's session."""
        return self._open().get_modelmeta()

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        """Run the model once.

        Raises:
            EngineFailed: onnxruntime failed, or the model made a number that is not finite.
        """
        session = self._open() if self.has_cores() else self._narrow
        try:
            results = session.run(outputs, feeds)
        except Exception as error:
            raise EngineFailed(f"The model {self._path.name} failed: {error}") from error
        return [self._sound(result) for result in results]

    def close(self) -> None:
        """Free the model, and hand its memory back to the system."""
        self._session = self._narrow = None
        return_freed_memory()

    def _open(self) -> Any:
        if self._session is None:
            raise EngineFailed(f"The model {self._path.name} was freed while it was still in use.")
        return self._session

    def _sound(self, result: Any) -> Any:
        if not np.issubdtype(result.dtype, np.floating):
            return result
        if not np.isfinite(result).all():
            raise EngineFailed(
                f"The model {self._path.name} made numbers that are not finite.",
                hint="Its file may be damaged: install the voice again.",
            )
        return result.astype(np.float32, copy=False)


def return_freed_memory() -> None:
    """Have the C library let go of what was freed, where it can be asked to (glibc).

    Unasked it keeps all of a model: 113 MB after a Piper voice of 63 MB.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def open_model(path: Path, options: EngineOptions) -> OnnxModel:
    """Read an ONNX model into memory.

    Raises:
        VoiceUnavailable: the file is gone, damaged, or no model that onnxruntime can run.
    """
    return open_models(path, options, [str(path)])[0]


def open_models(path: Path, options: EngineOptions, contents: Iterable[str | bytes]) -> list[OnnxModel]:
    """Read the models that a file consists of into memory.

    Args:
        path: by what the models are called in messages.
        options: threads, and whether to use a GPU.
        contents: each a file's name, or a model itself, which is let go before the next is asked for.
            A model itself can also be run on one thread beside others, with its weights held once.

    Raises:
        VoiceUnavailable: one of them is gone, damaged, or no model that onnxruntime can run.
    """
    import onnxruntime  # noqa: PLC0415  # heavy: only once there is a model to load

    providers = _providers(path, options, onnxruntime.get_available_providers())
    divides = options.has_cores is not always and options.intra_op_threads != 1 and not options.use_cuda

    def opened(content: str | bytes) -> tuple[Any, Any]:
        if isinstance(content, str) or not divides:
            return _session(content, _settings(options.intra_op_threads), providers), None
        weights = _weights(content)
        pair = [
            _session(content, _settings(threads, weights), providers)
            for threads in (options.intra_op_threads, 1)
        ]
        for session in pair:
            session.kept_weights = weights  # onnxruntime uses them where they are, and does not hold them
        return pair[0], pair[1]

    try:
        sessions = [opened(content) for content in contents]
    except Exception as error:
        raise VoiceUnavailable(
            f"The model {path} cannot be loaded: {error}", hint="Install the voice again."
        ) from error
    used = sessions[0][0].get_providers()
    if options.use_cuda and len(providers) > 1 and used == ["CPUExecutionProvider"]:
        _LOGGER.warning("%s runs on the CPU: onnxruntime could not start CUDA (see its message)", path.name)
    return [OnnxModel(wide, path, narrow=narrow, has_cores=options.has_cores) for wide, narrow in sessions]


def _settings(threads: int, weights: Mapping[str, Any] = MappingProxyType({})) -> Any:
    import onnxruntime  # noqa: PLC0415  # as above

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = _ONNX_ERRORS_ONLY
    # Memory laid out for one length is of no use for the next sentence: 60 MB for nothing.
    settings.enable_mem_pattern = False
    # Within a run threads spin for the next operator, a tenth faster than waking them; between runs they
    # sleep, or they would heat a machine that is idle most of its time.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "1")
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
    _share_arena()
    settings.add_session_config_entry("session.use_env_allocators", "1")
    for name, weight in weights.items():
        settings.add_initializer(name, weight)
    return settings


@cache
def _share_arena() -> None:
    """Have all sessions of the process take their memory from one arena: 80 MB less under load."""
    import onnxruntime  # noqa: PLC0415  # as above

    kind, place = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    defaults = {
        "max_mem": 0,
        "arena_extend_strategy": 0,
        "initial_chunk_size_bytes": -1,
        "max_dead_bytes_per_chunk": -1,
    }
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo("Cpu", kind, 0, place), onnxruntime.OrtArenaCfg(defaults)
    )


def _weights(content: bytes) -> dict[str, Any]:
    """The larger weights of a model, by name, for two sessions to share."""
    import onnx  # noqa: PLC0415  # heavy: only once there is a model to load
    import onnxruntime  # noqa: PLC0415  # as above

    return {
        each.name: onnxruntime.OrtValue.ortvalue_from_numpy(onnx.numpy_helper.to_array(each).copy())
        for each in onnx.load_from_string(content).graph.initializer
        if each.ByteSize() >= _SHARED_BYTES
    }


def _session(content: str | bytes, settings: Any, providers: Sequence[Any]) -> Any:
    import onnxruntime  # noqa: PLC0415  # as above

    session = onnxruntime.InferenceSession(content, sess_options=settings, providers=providers)
    # It is kept for a change of providers, which is never made: all the weights once more.
    session._model_bytes = None  # noqa: SLF001
    return session


def _providers(path: Path, options: EngineOptions, available: Sequence[str]) -> list[Any]:
    if not options.use_cuda:
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in available:
        _LOGGER.warning(
            "%s runs on the CPU: this onnxruntime has no CUDA (install onnxruntime-gpu in its place)",
            path.name,
        )
        return ["CPUExecutionProvider"]
    # The exhaustive search, the default, is repeated for every new length of sentence.
    return [("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"}), "CPUExecutionProvider"]


def plain_text(segment: Segment) -> str:
    """The segment's text on one line, as a phonemizer can take it; empty if nothing is to be said."""
    # Lone surrogates cannot be encoded, and a NUL ends a C string.
    clean = segment.text.encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")
    return " ".join(map(_broken_up, clean.split())) if any(map(_is_spoken, clean)) else ""


def _broken_up(word: str) -> str:
    """The word with gaps where it is longer than words are; what stands in double brackets stays."""
    if len(word) <= _LONGEST_LINE_NOISE or not word.isascii() or "[[" in word or "]]" in word:
        return word  # Chinese and Thai sentences are one word
    marks = sum(not character.isalnum() for character in word)
    longest = _LONGEST_LINE_NOISE if marks > _MOST_MARKS else _LONGEST_WORD
    return " ".join(word[start : start + longest] for start in range(0, len(word), longest))


def _is_spoken(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or category in ("Sm", "Sc", "So") or character in _NAMED_MARKS


class BrokenVoice(NamedTuple):
    """Files that look like a voice and cannot be one."""

    path: Path
    """Of the model, or of the directory if that cannot be searched."""
    reason: str
    """What is wrong, beginning in lower case and without a full stop."""


class FileComplaints:
    """Says once what is wrong with a file, and again only when the file has changed."""

    def __init__(self) -> None:
        self._told: dict[Path, tuple[object, str]] = {}

    def tell(self, path: Path, reason: str) -> BrokenVoice:
        """Warn that the file was left out, unless that was said already."""
        state = (_stamp(path), reason)
        if self._told.get(path) != state:
            self._told[path] = state
            _LOGGER.warning("Voice file %s left out: %s", path, reason)
        return BrokenVoice(path, reason)


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
