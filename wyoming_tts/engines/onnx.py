"""ONNX models in memory: opened and run by onnxruntime, for the neural engines.

The session options are set in one place, so that every model in the process keeps to the same
number of threads and none of them burns a core while it waits for the next sentence.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from wyoming_tts.engines.base import EngineOptions, Interruptible, always, uninterruptible
from wyoming_tts.engines.onnx_reasons import onnx_reason
from wyoming_tts.engines.spare_cores import has_spare_core
from wyoming_tts.errors import EngineFailed, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.speech import Samples

_LOGGER = logging.getLogger(__name__)

NO_SAMPLES: Samples = np.zeros(0, dtype=np.float32)
"""What a step yields that made no audio."""

_ONNX_ERRORS_ONLY = 3
_ONNX_FATAL_ONLY = 4

_PROBED = 64
"""Rows and columns of a product that is large enough for a processor's kernels for large ones."""
_SHARED_BYTES = 4096
"""Smaller weights are folded when a graph is optimized, and sharing them would save nothing."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
_MAPPED_BYTES = 256 * 1024
"""Regions of onnxruntime's arena and the audio of most sentences are larger."""
_TRIMMED_BYTES = 1024 * 1024
"""Free memory at the heap's end that is kept, or it would be returned and requested again all the time."""

_IDENTITY = bytes.fromhex(
    "080812003a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a"
    "08080112040a02080142040a00100f"
)
"""A model of one operator, y = Identity(x), for a single float."""
_NOTHING: Mapping[str, Any] = MappingProxyType({"x": np.zeros(1, dtype=np.float32)})


class OnnxModel:
    """An ONNX model in memory, with those methods of onnxruntime's session that voices need.

    It takes the session's place wherever piper and kokoro_onnx expect one: `run` raises our errors, takes
    and returns floats as float32 also where the model has half of that, and never lets through a number that
    is not finite.
    """

    def __init__(
        self,
        session: Any,
        path: Path,
        *,
        narrow: Any = None,
        has_cores: Callable[[], bool] = always,
        is_spare: Callable[[], bool] = has_spare_core,
        interruptible: Interruptible = uninterruptible,
    ) -> None:
        """Wrap the sessions of a model.

        Args:
            session: runs on all the threads that it may have.
            path: names it in messages.
            narrow: the same model, with the same weights, on the calling thread alone; None if there is none.
            has_cores: asked before each run: whether other threads may be used.
            is_spare: then asked whether another core is idle, without which they are of no use.
            interruptible: as `EngineOptions.interruptible`, around each run.
        """
        self._session = session
        self._narrow = narrow
        self._has_cores = has_cores
        self._is_spare = is_spare
        self._interruptible = interruptible
        self._path = path
        self._model_path = str(path)  # kokoro_onnx reads it from a session
        self.inputs: Mapping[str, str] = {each.name: each.type for each in session.get_inputs()}
        """The type of each input by name, such as `tensor(int64)`."""
        self._halves = [name for name, kind in self.inputs.items() if kind == "tensor(float16)"]

    def __repr__(self) -> str:
        return f"<Model {self._path.name}{'' if self._session else ' closed'}>"

    @property
    def shares_cores(self) -> bool:
        """Whether it can run on the calling thread alone, beside others."""
        return self._narrow is not None

    def has_cores(self) -> bool:
        """Whether this thread may run it on all its threads now."""
        return self._narrow is None or self._has_cores()

    def _uses_cores(self) -> bool:
        return self._narrow is None or (self._has_cores() and self._is_spare())

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
            EngineFailed: onnxruntime failed, or a result is not finite.
        """
        session = self._open() if self._uses_cores() else self._narrow
        halved = {name: np.asarray(feeds[name], np.float16) for name in self._halves if name in feeds}
        try:
            results = self._run(session, outputs, {**feeds, **halved})
        except Exception as error:
            raise EngineFailed(
                Message(
                    "model_failed",
                    "The model {name} failed: {reason}",
                    name=self._path.name,
                    reason=onnx_reason(error),
                )
            ) from error
        return [self._check_finite(result) for result in results]

    def close(self) -> None:
        """Free the model, and return its memory to the system."""
        self._session = self._narrow = None
        return_freed_memory()

    def _run(self, session: Any, outputs: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        import onnxruntime  # noqa: PLC0415  # heavy: only once there is a model to load

        options = onnxruntime.RunOptions()
        options.log_severity_level = _ONNX_FATAL_ONLY  # an error is raised: some are interruptions
        # Looked at after each operator, also within loops.
        with self._interruptible(partial(setattr, options, "terminate", True)):
            return session.run(outputs, feeds, options)  # type: ignore[no-any-return]

    def _open(self) -> Any:
        if self._session is None:
            raise EngineFailed(
                Message(
                    "model_freed",
                    "The model {name} was freed while it was still in use.",
                    name=self._path.name,
                )
            )
        return self._session

    def _check_finite(self, result: Any) -> Any:
        if not np.issubdtype(result.dtype, np.floating):
            return result
        if not np.isfinite(result).all():
            raise EngineFailed(
                Message(
                    "model_not_finite",
                    "The model {name} produced values that are not finite.",
                    name=self._path.name,
                ),
                hint=Message("install_voice_again", "Its file may be damaged: install the voice again."),
            )
        return result.astype(np.float32, copy=False)


def return_freed_memory() -> None:
    """Return freed memory to the system: that of onnxruntime's arena, and of the C library if it is glibc.

    By themselves they keep what they have once held: 3 GB after one sentence that needed as much, 113 MB
    after a Piper voice of 63 MB.
    """
    if _share_arena.cache_info().currsize:
        _shrink_arena(_share_arena())
    trim_heap()


def trim_heap() -> None:
    """Return freed memory of the C library's heap to the system, if that is glibc. Takes milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _map_large_blocks() -> None:
    """Have glibc map large blocks on their own, so that freeing them returns their memory.

    By itself it raises the limit to 32 MB when such a block is freed. Regions of the arena and audio then lie
    in the heap, between small objects that stay: after five minutes of 20 clients the heap had 425 MB instead
    of 143, half of it free, and the process grew on.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIMMED_BYTES)


def open_model(path: Path, options: EngineOptions) -> OnnxModel:
    """Read an ONNX model into memory.

    Raises:
        VoiceUnavailable: the file is gone, damaged, or no model that onnxruntime can run.
    """
    return open_models(path, options, [str(path)])[0]


def open_models(path: Path, options: EngineOptions, contents: Iterable[str | bytes]) -> list[OnnxModel]:
    """Read the models that a file consists of into memory.

    Args:
        path: names the models in messages.
        options: threads, and whether to use a GPU.
        contents: each a file's name or a serialized model, which is released before the next is taken.
            A serialized model can also run on one thread, beside others; its weights are held once.

    Raises:
        VoiceUnavailable: one of them is gone, damaged, or no model that onnxruntime can run.
    """
    import onnxruntime  # noqa: PLC0415  # heavy: only once there is a model to load

    providers = _providers(path, options, onnxruntime.get_available_providers())
    divides = options.has_cores is not always and options.intra_op_threads != 1 and not options.use_cuda

    def opened(content: str | bytes) -> tuple[Any, Any]:
        if isinstance(content, str) or not divides:
            return _session(content, _session_options(options.intra_op_threads), providers), None
        weights = _weights(content)
        pair = [
            _session(content, _session_options(threads, weights), providers)
            for threads in (options.intra_op_threads, 1)
        ]
        for session in pair:
            session.kept_weights = weights  # onnxruntime uses them in place, without a reference of its own
        return pair[0], pair[1]

    try:
        sessions = [opened(content) for content in contents]
    except Exception as error:
        raise VoiceUnavailable(
            Message(
                "model_not_loaded",
                "The model {path} cannot be loaded: {reason}",
                path=path,
                reason=onnx_reason(error),
            ),
            hint=Message("voice_again", "Install the voice again."),
        ) from error
    used = sessions[0][0].get_providers()
    if options.use_cuda and len(providers) > 1 and used == ["CPUExecutionProvider"]:
        _LOGGER.warning("%s runs on the CPU: onnxruntime could not start CUDA (see its message)", path.name)
    return [
        OnnxModel(wide, path, narrow=narrow, has_cores=options.has_cores, interruptible=options.interruptible)
        for wide, narrow in sessions
    ]


@cache
def has_exact_products() -> bool:
    """Whether products of unsigned and signed bytes are exact here: in older processors sums overflow."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415  # heavy: only once there is a model

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [_PROBED, _PROBED])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(np.full((_PROBED, _PROBED), 127, np.int8), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = _session(model.SerializeToString(), _session_options(1), ["CPUExecutionProvider"])
    (product,) = session.run(None, {"x": np.full((_PROBED, _PROBED), 255, np.uint8)})
    return bool(np.all(product == _PROBED * 255 * 127))


def _session_options(threads: int, weights: Mapping[str, Any] = MappingProxyType({})) -> Any:
    import onnxruntime  # noqa: PLC0415  # as above

    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = threads
    session_options.log_severity_level = _ONNX_ERRORS_ONLY
    # A memory layout planned for one length is of no use for the next sentence: 60 MB for nothing.
    session_options.enable_mem_pattern = False
    # Within a run threads spin for the next operator, a tenth faster than waking them; between runs they
    # sleep, or they would heat a machine that is idle most of its time.
    session_options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    session_options.add_session_config_entry("session.force_spinning_stop", "1")
    session_options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    _share_arena()
    session_options.add_session_config_entry("session.use_env_allocators", "1")
    for name, weight in weights.items():
        session_options.add_initializer(name, weight)
    return session_options


@cache
def _share_arena() -> Any:
    """Have all sessions of the process allocate from one arena: 80 MB less under load.

    Returns:
        A session that allocates next to nothing. It has the arena's first region, which is never returned.
    """
    import onnxruntime  # noqa: PLC0415  # as above

    _map_large_blocks()
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
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.use_env_allocators", "1")
    smallest = onnxruntime.InferenceSession(_IDENTITY, options, providers=["CPUExecutionProvider"])
    smallest.run(None, _NOTHING)
    return smallest


def _shrink_arena(smallest: Any) -> None:
    """Free the regions of the arena that are not in use; only a run can be asked to do it, when it ends."""
    import onnxruntime  # noqa: PLC0415  # as above

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    smallest.run(None, _NOTHING, options)


def _weights(content: bytes) -> dict[str, Any]:
    """The larger weights of a model, by name, for two sessions to share."""
    import onnx  # noqa: PLC0415  # heavy: only once there is a model to load
    import onnxruntime  # noqa: PLC0415  # as above

    return {
        each.name: onnxruntime.OrtValue.ortvalue_from_numpy(onnx.numpy_helper.to_array(each).copy())
        for each in onnx.load_from_string(content).graph.initializer
        if each.ByteSize() >= _SHARED_BYTES
    }


def _session(content: str | bytes, session_options: Any, providers: Sequence[Any]) -> Any:
    import onnxruntime  # noqa: PLC0415  # as above

    session = onnxruntime.InferenceSession(content, sess_options=session_options, providers=providers)
    # The session keeps it in case the providers change, which never happens: all the weights once more.
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
    # The default, an exhaustive search, is repeated for every new length of sentence.
    cuda = {"device_id": str(options.cuda_device), "cudnn_conv_algo_search": "HEURISTIC"}
    return [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"]


def compute_device(options: EngineOptions) -> str:
    """Name the device on which models compute, `cpu` or as `cuda:0`; nothing is imported for it."""
    onnxruntime = sys.modules.get("onnxruntime")
    has_cuda = onnxruntime is not None and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return f"cuda:{options.cuda_device}" if options.use_cuda and has_cuda else "cpu"
