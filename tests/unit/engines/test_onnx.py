from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest

from tests.support.endless_models import endless_model
from tests.support.tones import VOICES
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.onnx import OnnxModel, compute_device, open_model, open_models
from wyoming_tts.errors import EngineFailed, VoiceUnavailable


def _model(path: Path, body: str, *, input_type: str = "float", output_type: str = "float") -> Path:
    text = (
        '<ir_version: 8, opset_import: ["": 17]> '
        f"test ({input_type}[n] x) => ({output_type}[n] y) {{ {body} }}"
    )
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return path


@pytest.fixture
def logarithm(tmp_path: Path) -> Path:
    return _model(tmp_path / "logarithm.onnx", "y = Log(x)")


def test_a_model_runs_and_lists_its_inputs(logarithm: Path) -> None:
    model = open_model(logarithm, EngineOptions())
    assert model.inputs == {"x": "tensor(float)"}
    (result,) = model.run(None, {"x": np.array([1.0, np.e], dtype=np.float32)})
    np.testing.assert_allclose(result, [0.0, 1.0], atol=1e-6)


@pytest.mark.parametrize("broken", [-1.0, 0.0], ids=["nan", "infinity"])
def test_a_non_finite_output_is_an_error_and_not_played_as_noise(logarithm: Path, broken: float) -> None:
    model = open_model(logarithm, EngineOptions())
    with pytest.raises(EngineFailed, match=r"logarithm\.onnx produced values that are not finite"):
        model.run(None, {"x": np.array([1.0, broken], dtype=np.float32)})


def test_half_precision_output_is_converted_to_float32(tmp_path: Path) -> None:
    path = _model(tmp_path / "half.onnx", "y = Abs(x)", input_type="float16", output_type="float16")
    (result,) = open_model(path, EngineOptions()).run(None, {"x": np.array([-0.5], dtype=np.float16)})
    assert result.dtype == np.float32
    assert result.tolist() == [0.5]


def test_floats_are_given_to_a_model_in_half_precision_as_it_takes_them(tmp_path: Path) -> None:
    path = _model(tmp_path / "half.onnx", "y = Abs(x)", input_type="float16", output_type="float16")
    (result,) = open_model(path, EngineOptions()).run(None, {"x": np.array([-0.5], dtype=np.float32)})
    assert result.tolist() == [0.5]


def test_integer_output_is_unchanged(tmp_path: Path) -> None:
    path = _model(tmp_path / "whole.onnx", "y = Abs(x)", input_type="int64", output_type="int64")
    (result,) = open_model(path, EngineOptions()).run(None, {"x": np.array([-7], dtype=np.int64)})
    assert (result.dtype, result.tolist()) == (np.int64, [7])


def test_the_error_of_a_failing_run_names_the_model_and_the_cause(logarithm: Path) -> None:
    model = open_model(logarithm, EngineOptions())
    with pytest.raises(EngineFailed, match=r"The model logarithm\.onnx failed: .*int64"):
        model.run(None, {"x": np.array([1], dtype=np.int64)})


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08" * 500])
def test_an_invalid_model_file_raises_voice_unavailable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(VoiceUnavailable, match=r"broken\.onnx cannot be loaded"):
        open_model(path, EngineOptions())


def test_a_missing_model_file_raises_voice_unavailable(tmp_path: Path) -> None:
    with pytest.raises(VoiceUnavailable, match=r"gone\.onnx cannot be loaded"):
        open_model(tmp_path / "gone.onnx", EngineOptions())


def test_thread_counts_come_from_the_options_and_threads_spin_only_within_a_run(logarithm: Path) -> None:
    used = open_model(logarithm, EngineOptions(intra_op_threads=1))._open().get_session_options()
    assert used.intra_op_num_threads == 1
    assert not used.enable_mem_pattern
    assert used.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    assert used.get_session_config_entry("session.force_spinning_stop") == "1"
    assert used.get_session_config_entry("session.inter_op.allow_spinning") == "0"


def test_without_cuda_a_model_runs_on_the_cpu_and_logs_one_reason(
    logarithm: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    model = open_model(logarithm, EngineOptions(use_cuda=True))
    assert model._open().get_providers() == ["CPUExecutionProvider"]
    assert [record.message for record in caplog.records] == [
        "logarithm.onnx runs on the CPU: this onnxruntime has no CUDA (install onnxruntime-gpu in its place)"
    ]


def test_cuda_is_not_tried_unless_configured(logarithm: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert open_model(logarithm, EngineOptions())._open().get_providers() == ["CPUExecutionProvider"]
    assert not caplog.records


def test_cuda_is_requested_when_onnxruntime_provides_it(
    logarithm: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[object] = []
    real = onnxruntime.InferenceSession

    def session(path: str, *, sess_options: object, providers: list[object]) -> object:
        asked.extend(providers)
        return real(path, sess_options=sess_options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    options = EngineOptions(use_cuda=True, cuda_device=1)
    open_model(logarithm, options)
    assert asked == [
        ("CUDAExecutionProvider", {"device_id": "1", "cudnn_conv_algo_search": "HEURISTIC"}),
        "CPUExecutionProvider",
    ]
    assert compute_device(options) == "cuda:1"
    assert compute_device(EngineOptions(cuda_device=1)) == "cpu"
    assert "could not start CUDA" in caplog.text


def test_the_parts_of_a_model_are_opened_in_order_with_the_same_options(
    logarithm: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    opened: list[str] = []
    session = onnxruntime.InferenceSession

    def recorded(content: bytes, **options: Any) -> Any:
        opened.append("opened")
        return session(content, **options)

    def contents() -> Iterator[bytes]:
        for _ in range(2):
            opened.append("made")
            yield logarithm.read_bytes()

    monkeypatch.setattr(onnxruntime, "InferenceSession", recorded)
    models = open_models(logarithm, EngineOptions(use_cuda=True, intra_op_threads=1), contents())
    assert opened == ["made", "opened"] * 2
    assert [model._open().get_session_options().intra_op_num_threads for model in models] == [1, 1]
    assert {repr(model) for model in models} == {"<Model logarithm.onnx>"}
    assert len(caplog.records) == 1


def test_the_error_for_an_invalid_part_names_the_model_file(logarithm: Path) -> None:
    with pytest.raises(VoiceUnavailable, match=r"logarithm\.onnx cannot be loaded"):
        open_models(logarithm, EngineOptions(), [logarithm.read_bytes(), b"no model"])


class _RecordingSession:
    """A session that says which of a model's two it is."""

    def __init__(self, threads: str, used: list[str]) -> None:
        self._threads = threads
        self._used = used

    def get_inputs(self) -> list[Any]:
        return []

    def run(self, outputs: object, feeds: object, options: object) -> list[Any]:
        self._used.append(self._threads)
        return []


@pytest.mark.parametrize(
    ("may_use", "is_spare", "expected"),
    [(True, True, "all"), (True, False, "one"), (False, True, "one"), (False, False, "one")],
)
def test_all_threads_are_used_when_no_other_step_runs_and_a_core_is_spare(
    *, may_use: bool, is_spare: bool, expected: str
) -> None:
    used: list[str] = []
    wide, narrow = (_RecordingSession(threads, used) for threads in ("all", "one"))
    model = OnnxModel(
        wide, Path("x.onnx"), narrow=narrow, has_cores=lambda: may_use, is_spare=lambda: is_spare
    )
    model.run(None, {})
    assert used == [expected]
    assert model.has_cores() is may_use


def test_a_model_with_one_session_does_not_look_for_spare_cores() -> None:
    used: list[str] = []
    model = OnnxModel(_RecordingSession("all", used), Path("x.onnx"), is_spare=lambda: pytest.fail("looked"))
    model.run(None, {})
    assert used == ["all"]


def test_a_closed_model_reports_that_it_is_closed(logarithm: Path) -> None:
    model = open_model(logarithm, EngineOptions())
    model.close()
    assert repr(model) == "<Model logarithm.onnx closed>"
    with pytest.raises(EngineFailed, match="freed while it was still in use"):
        model.run(None, {"x": np.array([1.0], dtype=np.float32)})


def test_heavy_libraries_are_imported_lazily() -> None:
    code = (
        "import sys\n"
        "import wyoming_tts.engines.onnx\n"
        "import wyoming_tts.engines.kokoro.engine, wyoming_tts.engines.piper.engine\n"
        "heavy = {'onnxruntime', 'piper', 'kokoro_onnx', 'phonemizer', 'onnx'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


_LOADS_A_MODEL = """
import sys
import wyoming_tts
import onnxruntime
onnxruntime.InferenceSession(sys.argv[1])
"""


def test_loading_a_model_writes_no_onnxruntime_telemetry(tmp_path: Path) -> None:
    """ONNX Runtime keeps a device id and an event queue in the home directory and sends them later."""
    surroundings = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    model = VOICES / "en_US-tone-low.onnx"
    subprocess.run(
        [sys.executable, "-c", _LOADS_A_MODEL, str(model)],
        env=surroundings | {"HOME": str(tmp_path)},
        check=True,
        timeout=50,
    )
    assert list(tmp_path.rglob("*")) == []


def test_a_loop_without_end_is_interrupted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless_model())
    interrupts = list[Callable[[], None]]()

    @contextmanager
    def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
        interrupts.append(interrupt)
        timer = threading.Timer(0.05, interrupt)
        timer.start()
        yield
        timer.cancel()

    model = open_model(path, EngineOptions(interruptible=interruptible))
    feeds = {
        "input": np.zeros((1, 3), np.int64),
        "input_lengths": np.array([3], np.int64),
        "scales": np.zeros(3, np.float32),
    }
    with pytest.raises(EngineFailed, match="terminate flag"):
        model.run(None, feeds)
    assert len(interrupts) == 1
    assert capfd.readouterr().err == ""  # it was asked for, so it is no error for the log


def test_the_memory_of_a_large_model_is_returned_when_it_is_closed(tmp_path: Path) -> None:
    """The model has a few bytes and makes 400 MB when it is loaded, which stayed until the process ended."""
    path = _model(
        tmp_path / "large.onnx",
        "n = Constant<value = int64[1] {100000000}> () a = ConstantOfShape(n) y = Add(a, x)",
    )
    result = _in_a_process(
        f"model = open_model(Path({str(path)!r}), EngineOptions(intra_op_threads=1))\n"
        "loaded = resident(); model.close(); print(before, loaded, resident())"
    )
    before, loaded, after = map(int, result.split())
    assert loaded - before > 300_000_000
    assert after - before < 50_000_000


def test_the_memory_of_a_large_run_can_be_returned(tmp_path: Path) -> None:
    path = _model(tmp_path / "large.onnx", "s = Shape(x) a = ConstantOfShape(s) y = Add(a, x)")
    result = _in_a_process(
        f"model = open_model(Path({str(path)!r}), EngineOptions(intra_op_threads=1))\n"
        "model.run(None, {'x': np.zeros(50_000_000, np.float32)})\n"
        "ran = resident(); return_freed_memory(); print(before, ran, resident())"
    )
    before, ran, after = map(int, result.split())
    assert ran - before > 150_000_000
    assert after - before < 50_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no such limit")
def test_large_blocks_are_mapped_on_their_own_even_after_larger_ones_were_freed() -> None:
    mapped = _in_a_process(
        "import ctypes\n"
        "class Info(ctypes.Structure):\n"
        "    _fields_ = [(f'field{number}', ctypes.c_size_t) for number in range(10)]\n"
        "mallinfo = ctypes.CDLL(None).mallinfo2; mallinfo.restype = Info\n"
        "del [np.ones(4_000_000)][:]\n"  # 32 MB, up to which glibc raises its limit
        "without = mallinfo().field4; audio = np.ones(100_000); print(mallinfo().field4 - without)"
    )
    assert int(mapped) >= 800_000


def _in_a_process(script: str) -> str:
    """Run it where nothing else uses memory; `before` is what small models need."""
    preamble = (
        "import numpy as np, resource\nfrom pathlib import Path\n"
        "from wyoming_tts.engines.base import EngineOptions\n"
        "from wyoming_tts.engines.onnx import open_model, return_freed_memory, _share_arena\n"
        "def resident():\n"
        "    pages = int(Path('/proc/self/statm').read_text().split()[1])\n"
        "    return pages * resource.getpagesize()\n"
        "_share_arena(); before = resident()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", preamble + script], capture_output=True, text=True, check=True
    )
    return done.stdout
