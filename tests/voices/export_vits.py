"""Exports small voices by Piper's own code: `python tests/voices/export_vits.py DIRECTORY`.

`make_vits` writes down a flow and a decoder by hand; the text part of these is what torch makes of VITS, in
thousands of operators. Needs torch==2.13.0 and piper-tts[train], which tests do without: what it has made
lies in `exported`. Weights are random, layers and channels few, names short.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import onnx
import torch
from piper.train.vits.models import SynthesizerTrn

_SIZES = {
    "n_vocab": 40,
    "spec_channels": 9,
    "segment_size": 32,
    "inter_channels": 4,
    "hidden_channels": 8,
    "filter_channels": 12,
    "n_heads": 2,
    "n_layers": 2,
    "kernel_size": 3,
    "p_dropout": 0.1,
    "resblock": "2",
    "resblock_kernel_sizes": (3,),
    "resblock_dilation_sizes": ((1, 2),),
    "upsample_rates": (8, 4),
    "upsample_initial_channel": 8,
    "upsample_kernel_sizes": (16, 8),
    "use_sdp": True,
}
_SCALES = (0.667, 1.0, 0.8)
_LENGTH = 50


def main() -> int:
    """Export one voice with one speaker, one with three."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, speakers in (("one_speaker", 1), ("three_speakers", 3)):
        onnx.save(_shorten_names(_export(speakers)), directory / f"{name}.onnx")
    return 0


def _export(speakers: int) -> onnx.ModelProto:
    torch.manual_seed(7)
    voice: Any = SynthesizerTrn(**_SIZES, n_speakers=speakers, gin_channels=0 if speakers == 1 else 6)
    with torch.no_grad():
        for weight in voice.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)  # some begin as zeros
    voice.eval()
    voice.dec.remove_weight_norm()

    def infer(text: Any, lengths: Any, scales: Any, sid: Any = None) -> Any:
        noise, length, noise_w = scales
        spoken = voice.infer(
            text, lengths, noise_scale=noise, length_scale=length, noise_scale_w=noise_w, sid=sid
        )
        return spoken[0].unsqueeze(1)

    voice.forward = infer
    text = torch.randint(0, _SIZES["n_vocab"], (1, _LENGTH))
    inputs = (text, torch.LongTensor([_LENGTH]), torch.FloatTensor(_SCALES))
    with tempfile.TemporaryDirectory() as scratch:
        path = f"{scratch}/voice.onnx"
        torch.onnx.export(
            voice,
            (*inputs, torch.LongTensor([0]) if speakers > 1 else None),
            path,
            opset_version=15,
            dynamo=False,
            input_names=["input", "input_lengths", "scales", "sid"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch_size", 1: "phonemes"}, "input_lengths": {0: "batch_size"}},
        )
        return onnx.load(path)


def _shorten_names(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = model.graph
    kept = {each.name for each in (*graph.input, *graph.output)} | {""}
    short: dict[str, str] = {}

    def shorten(name: str) -> str:
        return name if name in kept else short.setdefault(name, f"{len(short):x}")

    for node in graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
        node.input[:] = [shorten(name) for name in node.input]
        node.output[:] = [shorten(name) for name in node.output]
    for weight in graph.initializer:
        weight.name = shorten(weight.name)
    del graph.value_info[:]
    return model


if __name__ == "__main__":
    sys.exit(main())
