"""Makes small voices with the architecture of real ones: `python -m tests.voices.make_vits [DIRECTORY]`.

The tones of `make_voices` say what was spoken; these say nothing, their weights are random. They have
the layers, kernels, strides and dilations of Piper's medium, x_low and high voices and of one with
several speakers, as torch exports them, down to the operators it writes for a slice or for zeros:
only the channels are few. A stand-in for the text encoder gives each phoneme id its frames.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.support.tones import LETTERS, VOICES, ToneVoice
from tests.voices.make_voices import piper_config
from tests.voices.net import Net

VITS = VOICES / "vits"
"""The directory of these voices: a data directory for engines."""

_SYMBOLS = 112
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class VitsVoice:
    """The sizes of a voice."""

    name: str
    seed: int
    """Of the weights: one of those by which the voice is neither silent nor overdriven."""
    rate: int = 22050
    channels: int = 4
    initial: int = 8
    """Channels behind the decoder's first convolution; each upsampling halves them, down to one."""
    upsampling: Sequence[tuple[int, int]] = ((8, 16), (8, 16), (4, 8))
    """Stride and taps of each."""
    double_blocks: bool = False
    """Whether each dilated convolution of a block is followed by one without (resblock 1)."""
    taps: Sequence[int] = (3, 5, 7)
    dilations: Sequence[Sequence[int]] = ((1, 2), (2, 6), (3, 12))
    speakers: Sequence[str] = ()
    flows: int = 4
    flow_layers: int = 4

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return int(np.prod([stride for stride, _ in self.upsampling]))


MEDIUM = VitsVoice("en_US-vits-medium", seed=10)
X_LOW = VitsVoice("en_US-vits-x_low", seed=14, rate=16000, channels=2)
HIGH = VitsVoice(
    "en_US-vits-high",
    seed=30,
    upsampling=((8, 16), (8, 16), (2, 4), (2, 4)),
    double_blocks=True,
    taps=(3, 7, 11),
    dilations=((1, 3, 5),) * 3,
)
SPEAKERS = VitsVoice("en_US-vits_speakers-medium", seed=9, speakers=("anna", "bert", "clara"))
VITS_VOICES = (MEDIUM, X_LOW, HIGH, SPEAKERS)


@dataclass(frozen=True, slots=True)
class _Text:
    frames: str
    mask: str
    speaker: str | None


def _text_encoder(net: Net, voice: VitsVoice) -> _Text:
    """Frames with their noise: each phoneme id has a mean, a deviation and a length of its own."""
    channels = voice.channels
    scales = [net.add("Gather", "scales", net.whole(number)) for number in range(3)]
    table = net.weight(_SYMBOLS, 2 * channels, spread=1.0)
    statistics = net.add("Transpose", net.add("Gather", table, "input"), perm=[0, 2, 1])
    halves = net.integers(channels, channels)
    mean, deviation = net.add(
        "Split", net.conv(statistics, (2 * channels,) * 2, 3), halves, axis=1, outputs=2
    )
    lengths = net.add("Gather", net.weight(_SYMBOLS, spread=0.4, middle=1.2), "input")
    drawn = net.add("Mul", net.add("RandomNormalLike", lengths), scales[2])
    long = net.add("Mul", net.add("Exp", net.add("Add", lengths, drawn)), scales[1])
    ends = net.add("CumSum", net.add("Ceil", long), net.whole(1))
    last = net.add("Sub", "input_lengths", net.integers(1))
    count = net.add("Gather", net.add("Squeeze", ends, net.integers(0)), last)
    total = net.add("Cast", net.add("Squeeze", count), to=TensorProto.INT64)
    times = net.add("Cast", net.add("Range", net.whole(0), total, net.whole(1)), to=TensorProto.FLOAT)
    mask = net.add("Less", times, net.add("Unsqueeze", count, net.integers(1)))
    mask = net.add("Cast", net.add("Unsqueeze", mask, net.integers(1)), to=TensorProto.FLOAT)
    # A frame belongs to the first phoneme that ends behind it.
    ended = net.add("LessOrEqual", net.add("Unsqueeze", ends, net.integers(2)), times)
    place = net.add("ReduceSum", net.add("Cast", ended, to=TensorProto.INT64), net.integers(1), keepdims=0)
    place = net.add("Squeeze", place, net.integers(0))
    mean, deviation = (net.add("Gather", each, place, axis=2) for each in (mean, deviation))
    noise = net.add("Mul", net.add("RandomNormalLike", mean), net.add("Exp", deviation))
    frames = net.add("Add", mean, net.add("Mul", noise, scales[0]))
    return _Text(frames, mask, _speaker(net, voice))


def _speaker(net: Net, voice: VitsVoice) -> str | None:
    if not voice.speakers:
        return None
    table = net.weight(len(voice.speakers), 6, spread=1.0)
    name: str = net.add("Unsqueeze", net.add("Gather", table, "sid"), net.integers(2))
    return name


def _flow(net: Net, voice: VitsVoice, text: _Text) -> str:
    """Coupling layers, backwards, with the channels turned around before each."""
    half = voice.channels // 2
    frames = text.frames
    for _ in range(voice.flows):
        turned = net.slice(frames, -1, -_INT64_MAX, axis=1, step=-1)
        kept, moved = net.add("Split", turned, net.integers(half, half), axis=1, outputs=2)
        shift = _wavenet(net, voice, kept, text)
        scale = net.add("Exp", net.add("Neg", net.zeros_like(shift)))
        moved = net.add("Mul", net.add("Mul", net.add("Sub", moved, shift), scale), text.mask)
        frames = net.add("Concat", kept, moved, axis=1)
    name: str = net.add("Mul", frames, text.mask)
    return name


def _wavenet(net: Net, voice: VitsVoice, data: str, text: _Text) -> str:
    """What a coupling layer adds: gated convolutions with skip connections."""
    hidden = voice.channels
    data = net.add("Mul", net.conv(data, (hidden // 2, hidden)), text.mask)
    skipped = net.zeros_like(data)
    tells = text.speaker and net.conv(text.speaker, (6, 2 * hidden * voice.flow_layers))
    for layer in range(voice.flow_layers):
        both = net.conv(data, (hidden, 2 * hidden), taps=5, gain=1.5)
        if tells:
            start = 2 * hidden * layer
            condition = net.slice(tells, start, start + 2 * hidden, axis=1)
        else:
            condition = net.zeros_like(both)
        both = net.slice(net.add("Add", both, condition), 0, _INT64_MAX, axis=2)
        signal = net.add("Tanh", net.slice(both, 0, hidden, axis=1))
        gate = net.add("Sigmoid", net.slice(both, hidden, _INT64_MAX, axis=1))
        gated = net.add("Mul", signal, gate)
        if layer + 1 == voice.flow_layers:
            skipped = net.add("Add", skipped, net.conv(gated, (hidden, hidden)))
            break
        out = net.conv(gated, (hidden, 2 * hidden))
        data = net.add("Mul", net.add("Add", data, net.slice(out, 0, hidden, axis=1)), text.mask)
        skipped = net.add("Add", skipped, net.slice(out, hidden, _INT64_MAX, axis=1))
    post = net.conv(net.add("Mul", skipped, text.mask), (hidden, hidden // 2))
    name: str = net.add("Mul", post, text.mask)
    return name


def _decoder(net: Net, voice: VitsVoice, frames: str, speaker: str | None) -> str:
    channels = voice.initial
    data = net.conv(frames, (voice.channels, channels), taps=7)
    if speaker:
        data = net.add("Add", data, net.conv(speaker, (6, channels)))
    for stride, taps in voice.upsampling:
        data = net.add("LeakyRelu", data, alpha=0.1)
        after = max(1, channels // 2)
        weight = net.weight(channels, after, taps, spread=(stride / channels / taps) ** 0.5)
        channels, pad = after, (taps - stride) // 2
        bias = net.weight(channels, spread=0.05)
        data = net.add(
            "ConvTranspose", data, weight, bias, kernel_shape=[taps], strides=[stride], pads=[pad, pad]
        )
        data = _blocks(net, voice, data, channels)
    # The weights of the last convolution are shared under another name, as exports do it.
    data = net.add("LeakyRelu", data, alpha=0.01)
    weight = net.add("Identity", net.weight(1, channels, 7, spread=0.3 / (channels * 7) ** 0.5))
    data = net.add("Conv", data, weight, kernel_shape=[7], pads=[3, 3])
    name: str = net.add("Unsqueeze", net.add("Tanh", data), net.integers(1))
    return name


def _blocks(net: Net, voice: VitsVoice, data: str, channels: int) -> str:
    """The mean of residual blocks of different widths."""
    results = []
    for taps, dilations in zip(voice.taps, voice.dilations, strict=True):
        result = data
        for dilation in dilations:
            step = net.add("LeakyRelu", result, alpha=0.1)
            step = net.conv(step, (channels, channels), taps, dilation)
            if voice.double_blocks:
                step = net.conv(net.add("LeakyRelu", step, alpha=0.1), (channels, channels), taps)
            result = net.add("Add", step, result)
        results.append(result)
    total = net.add("Add", net.add("Add", results[0], results[1]), results[2])
    name: str = net.add("Div", total, net.number(len(results)))
    return name


def vits_model(voice: VitsVoice) -> onnx.ModelProto:
    """A graph with the inputs, the output and the architecture of a Piper export."""
    net = Net(voice.seed)
    text = _text_encoder(net, voice)
    output = _decoder(net, voice, _flow(net, voice, text), text.speaker)
    net.nodes[-1].output[0] = "output"
    assert output != "output"
    batch: list[str | int] = ["batch_size"]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [*batch, "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, batch),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if voice.speakers:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, batch))
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [*batch, 1, 1, "time"])]
    graph = helper.make_graph(net.nodes, "g", inputs, outputs, net.weights)
    # A node's name defaults to none, and torch's opset is 15.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def letters_of(voice: VitsVoice) -> ToneVoice:
    """The symbols and speakers of a voice, which is spoken to in letters."""
    return replace(LETTERS, hop=0, name=voice.name, rate=voice.rate, speakers=voice.speakers or ("only",))


def write_vits(directory: Path) -> None:
    """Write all of them; the same bytes every time."""
    directory.mkdir(parents=True, exist_ok=True)
    for voice in VITS_VOICES:
        content = vits_model(voice).SerializeToString(deterministic=True)
        (directory / f"{voice.name}.onnx").write_bytes(content)
        config = piper_config(letters_of(voice), language="en_US", espeak="en-us", phonemes="text")
        text = json.dumps(config, ensure_ascii=False, indent=1) + "\n"
        (directory / f"{voice.name}.onnx.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_vits(Path(sys.argv[1]) if len(sys.argv) > 1 else VITS)
