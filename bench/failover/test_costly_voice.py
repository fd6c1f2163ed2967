"""The costly voice says what the one says that it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from bench.failover.cluster import TEST_VOICE
from bench.failover.costly_voice import make_costly


def test_it_gives_the_same_audio(tmp_path: Path) -> None:
    make_costly(TEST_VOICE, tmp_path / "costly.onnx")
    audio = []
    for model in (TEST_VOICE, tmp_path / "costly.onnx"):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model, options)
        given = {
            "input": np.array([[1, 20, 21, 2]], np.int64),
            "input_lengths": np.array([4], np.int64),
            "scales": np.array([0, 1, 0], np.float32),
        }
        audio.append(session.run(None, given)[0])
    assert np.abs(audio[0]).max() > 0
    assert np.array_equal(*audio)
