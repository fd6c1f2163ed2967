"""ONNX models whose run does not end."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx.parser

from tests.support.tones import LOW, VOICES

NAME = "en_US-endless-low"

_PIPER = """
<ir_version: 8, opset_import: ["": 17]>
endless (int64[b, n] input, int64[b] input_lengths, float[3] scales) => (float[3] output) {
    started = Cast<to: int = 9>(input_lengths)
    keep_going = Squeeze(started)
    output = Loop(, keep_going, scales) <body: graph = body (int64 i, bool going, float[3] x)
        => (bool still_going, float[3] y) { still_going = Identity(going) y = Identity(x) }>
}
"""


def endless_model() -> bytes:
    """A Piper voice's model with a loop that has no end, in some 400 bytes."""
    content: bytes = onnx.parser.parse_model(_PIPER).SerializeToString()
    return content


def write_endless_voice(directory: Path) -> None:
    """Copy a voice's description, with that model beside it."""
    shutil.copy(VOICES / f"{LOW.name}.onnx.json", directory / f"{NAME}.onnx.json")
    (directory / f"{NAME}.onnx").write_bytes(endless_model())
