"""Makes small models with the architecture of Kokoro: `python -m tests.voices.make_kokoro DIRECTORY`.

As those of `make_vits` they say nothing, their weights are random. They have the layers, kernels, strides and
dilations of Kokoro v1.0 (StyleTTS 2 with iSTFTNet), as torch exports them, and in the same variants as there
are of it: 16-bit floats, and dynamically quantized. Only the channels are few, the decoder has two blocks
instead of five, and a stand-in for the text encoder gives each token its frames, pitch and energy.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.voices.net import Net

TABLE_ROWS: Final = 510
STYLE: Final = 256
BINS: Final = 20
"""Length of the Fourier transform; a column comes every quarter of it."""
FRAME_SAMPLES: Final = 300

_SYMBOLS, _HIDDEN, _HARMONICS = 178, 8, 9
_MOST_DURATION = 8
_BLOCKS, _RESIDUAL = 12, 2
"""Channels between the decoder's blocks, and of the text that each is given again."""
_FRAMES, _FIRST, _SECOND = 8, 4, 4
"""Channels that the generator is given, and those behind each ConvTranspose."""
_EPSILON = 1e-5
_RATE = 24000
_EXTRA: Final = {"DefaultTensorType": TensorProto.FLOAT}


@dataclass(frozen=True, slots=True)
class KokoroVariant:
    """How a model was exported."""

    numbers: str = "float32"
    """Or float16, or int8: dynamically quantized."""
    fused_norms: bool = False
    """Whether an instance norm is one operator, or seven."""
    fused_transform: bool = False
    """Whether the Fourier transform of the source is one operator, or a convolution."""

    def __str__(self) -> str:
        norms = "fused" if self.fused_norms else "decomposed"
        return f"{self.numbers}-{norms}-{'stft' if self.fused_transform else 'convolved'}"


VOICES: Final = ("af_one", "am_two")

V1_INT8 = KokoroVariant("int8", fused_transform=True)
"""As the one that the catalogue has."""
KOKORO_VARIANTS: Final = (
    V1_INT8,
    KokoroVariant("int8", fused_norms=True),
    KokoroVariant("float16", fused_transform=True),
    KokoroVariant("float16", fused_norms=True),
    KokoroVariant(fused_transform=True),
    KokoroVariant(fused_norms=True),
)


class _KokoroNet(Net):
    """The layers of StyleTTS 2 and iSTFTNet."""

    def __init__(self, seed: int, variant: KokoroVariant) -> None:
        super().__init__(seed)
        self._variant = variant
        self.style = ""
        """The half of the style that the following layers take."""

    def strided(self, data: str, sizes: tuple[int, int], taps: int, stride: int, pad: int) -> str:
        before, after = sizes
        weight = self.weight(after, before, taps, spread=1 / (before * taps) ** 0.5)
        bias = self.weight(after, spread=0.05)
        name: str = self.add(
            "Conv", data, weight, bias, kernel_shape=[taps], strides=[stride], pads=[pad, pad]
        )
        return name

    def upsampled(self, data: str, sizes: tuple[int, int], taps: int, stride: int, pad: int) -> str:
        before, after = sizes
        weight = self.weight(before, after, taps, spread=(stride / before / taps) ** 0.5)
        bias = self.weight(after, spread=0.05)
        name: str = self.add(
            "ConvTranspose", data, weight, bias, kernel_shape=[taps], strides=[stride], pads=[pad, pad]
        )
        return name

    def pooled(self, data: str, channels: int) -> str:
        """Twice as long, each channel on its own."""
        weight, bias = self.weight(channels, 1, 3, spread=0.5, middle=0.5), self.weight(channels, spread=0.05)
        pads: dict[str, Any] = {"strides": [2], "pads": [1, 1], "output_padding": [1]}
        name: str = self.add("ConvTranspose", data, weight, bias, kernel_shape=[3], group=channels, **pads)
        return name

    def resized(self, data: str, scale: float, mode: str = "nearest") -> str:
        attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": "half_pixel"}
        if mode == "nearest":
            attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        name: str = self.add("Resize", data, "", self.tensor([1, 1, scale]), **attributes)
        return name

    def linear(self, data: str, sizes: tuple[int, int], gain: float = 1.0) -> str:
        weight = self.weight(*sizes, spread=gain / sizes[0] ** 0.5)
        product = self.add("MatMul", data, weight)
        name: str = self.add("Add", product, self.weight(sizes[1], spread=0.1))
        return name

    def normalized(self, data: str, channels: int) -> str:
        """An instance norm without weights of its own."""
        name: str
        if self._variant.fused_norms:
            ones, zeros = self.tensor(np.ones(channels)), self.tensor(np.zeros(channels))
            name = self.add("InstanceNormalization", data, ones, zeros, epsilon=_EPSILON)
            return name
        along = self.integers(2)
        centred = self.add("Sub", data, self.add("ReduceMean", data, along, keepdims=1))
        variance = self.add("ReduceMean", self.add("Mul", centred, centred), along, keepdims=1)
        name = self.add("Div", centred, self.add("Sqrt", self.add("Add", variance, self.number(_EPSILON))))
        return name

    def adain(self, data: str, channels: int) -> str:
        """An instance norm with a scale and a shift that come from the style."""
        weight = self.weight(STYLE // 2, 2 * channels, spread=0.05)
        bias = self.weight(2 * channels, spread=0.1)
        affine = self.add("Unsqueeze", self.add("Gemm", self.style, weight, bias), self.integers(2))
        halves = self.integers(channels, channels)
        scale, shift = self.add("Split", affine, halves, axis=1, outputs=2)
        scaled = self.add("Mul", self.add("Add", scale, self.number(1.0)), self.normalized(data, channels))
        name: str = self.add("Add", scaled, shift)
        return name

    def block(self, data: str, sizes: tuple[int, int], *, twice: bool = False) -> str:
        """A residual block of the prosody and of the decoder; twice as long if wanted."""
        before, after = sizes
        result = self.add("LeakyRelu", self.adain(data, before), alpha=0.2)
        shortcut = data
        if twice:
            result, shortcut = self.pooled(result, before), self.resized(data, 2.0)
        result = self.conv(result, sizes, 3)
        result = self.add("LeakyRelu", self.adain(result, after), alpha=0.2)
        result = self.conv(result, (after, after), 3)
        if before != after:
            weight = self.weight(after, before, 1, spread=1 / before**0.5)
            shortcut = self.add("Conv", shortcut, weight, kernel_shape=[1])
        name: str = self.add("Div", self.add("Add", result, shortcut), self.number(2**0.5))
        return name

    def snake(self, data: str, channels: int) -> str:
        factors = np.abs(self._random.normal(1.0, 0.3, (1, channels, 1))) + 0.1
        sine = self.add("Sin", self.add("Mul", self.tensor(factors), data))
        square = self.add("Pow", sine, self.number(2.0))
        name: str = self.add("Add", data, self.add("Mul", self.tensor(1 / factors), square))
        return name

    def residual(self, data: str, channels: int, taps: int) -> str:
        """A residual block of the generator."""
        for dilation in (1, 3, 5):
            step = self.snake(self.adain(data, channels), channels)
            step = self.conv(step, (channels, channels), taps, dilation, gain=0.5)
            step = self.snake(self.adain(step, channels), channels)
            step = self.conv(step, (channels, channels), taps, gain=0.5)
            data = self.add("Add", step, data)
        return data

    def recurrent(self, data: str, width: int) -> str:
        """A bidirectional LSTM along the first of three axes, from and to `2 * width` values."""
        weight = self.weight(2, 4 * width, 2 * width, spread=0.4)
        state = self.weight(2, 4 * width, width, spread=0.4)
        bias = self.weight(2, 8 * width, spread=0.1)
        attributes: dict[str, Any] = {"direction": "bidirectional", "hidden_size": width}
        both = self.add("LSTM", data, weight, state, bias, **attributes)
        turned = self.add("Transpose", both, perm=[0, 2, 1, 3])
        name: str = self.add("Reshape", turned, self.integers(0, 0, -1))
        return name


@dataclass(frozen=True, slots=True)
class _Prosody:
    text: str
    """Shape (1, channels, pairs of frames)."""
    pitch: str
    energy: str
    """Shape (1, 1, frames)."""


def _durations(net: _KokoroNet, hidden: str) -> str:
    """Frames of each token, in pairs; at least one pair."""
    likely = net.add("Sigmoid", net.linear(hidden, (_HIDDEN, _MOST_DURATION), gain=2.0))
    long = net.add("Div", net.add("ReduceSum", likely, net.integers(-1), keepdims=0), "speed")
    name: str = net.add("Clip", net.add("Round", long), net.number(1.0), "")
    return name


def _alignment(net: _KokoroNet, durations: str) -> str:
    """Which token each pair of frames belongs to, shape (tokens, pairs)."""
    counts = net.add("Gather", net.add("Cast", durations, to=TensorProto.INT64), net.whole(0))
    ends = net.add("CumSum", counts, net.whole(0))
    total = net.add("Gather", ends, net.whole(-1))
    times = net.add("Unsqueeze", net.add("Range", net.whole(0), total, net.whole(1)), net.integers(0))
    last = net.add("Unsqueeze", ends, net.integers(1))
    first = net.add("Sub", last, net.add("Unsqueeze", counts, net.integers(1)))
    inside = net.add("And", net.add("GreaterOrEqual", times, first), net.add("Less", times, last))
    name: str = net.add("Cast", inside, to=TensorProto.FLOAT)
    return name


def _prosody(net: _KokoroNet) -> _Prosody:
    """A stand-in for the text encoder; behind the durations it is as Kokoro has it."""
    hidden = net.add("Gather", net.weight(_SYMBOLS, _HIDDEN, spread=1.0), "tokens")
    hidden = net.add("Add", hidden, net.linear(net.style, (STYLE // 2, _HIDDEN)))
    alignment = _alignment(net, _durations(net, hidden))
    known = net.add("MatMul", net.add("Transpose", hidden, perm=[0, 2, 1]), alignment)
    shared = net.recurrent(net.add("Transpose", known, perm=[2, 0, 1]), _HIDDEN // 2)
    shared = net.add("Transpose", shared, perm=[1, 2, 0])
    pitch = _curve(net, shared, gain=180.0, middle=80.0)
    energy = _curve(net, shared, gain=8.0, middle=-1.0)
    text = net.add("Gather", net.weight(_SYMBOLS, _HIDDEN, spread=1.0), "tokens")
    text = net.conv(net.add("Transpose", text, perm=[0, 2, 1]), (_HIDDEN, _HIDDEN), 5)
    return _Prosody(net.add("MatMul", net.add("LeakyRelu", text, alpha=0.2), alignment), pitch, energy)


def _curve(net: _KokoroNet, shared: str, *, gain: float, middle: float) -> str:
    data = net.block(shared, (_HIDDEN, _HIDDEN))
    data = net.block(data, (_HIDDEN, _HIDDEN // 2), twice=True)
    data = net.block(data, (_HIDDEN // 2, _HIDDEN // 2))
    weight = net.weight(1, _HIDDEN // 2, 1, spread=gain / _HIDDEN**0.5)
    data = net.add("Conv", data, weight, net.tensor([middle]), kernel_shape=[1])
    name: str = net.add("Unsqueeze", net.add("Squeeze", data, net.integers(1)), net.integers(1))
    return name


def _decoder(net: _KokoroNet, prosody: _Prosody) -> str:
    curves = [net.strided(curve, (1, 1), 3, 2, 1) for curve in (prosody.pitch, prosody.energy)]
    data = net.block(net.add("Concat", prosody.text, *curves, axis=1), (_HIDDEN + 2, _BLOCKS))
    again = net.conv(prosody.text, (_HIDDEN, _RESIDUAL))
    width = _BLOCKS + _RESIDUAL + 2
    data = net.block(net.add("Concat", data, again, *curves, axis=1), (width, _BLOCKS))
    return net.block(net.add("Concat", data, again, *curves, axis=1), (width, _FRAMES), twice=True)


def _source(net: _KokoroNet, pitch: str, variant: KokoroVariant) -> str:
    """Sines at the multiples of the pitch, as a spectrum: magnitudes, then phases."""
    pitch = net.resized(pitch, float(FRAME_SAMPLES))
    multiples = net.tensor(np.arange(1, _HARMONICS + 1).reshape(1, -1, 1))
    turns = net.add("Div", net.add("Mul", pitch, multiples), net.number(_RATE))
    turns = net.resized(net.add("Sub", turns, net.add("Floor", turns)), 1 / FRAME_SAMPLES, "linear")
    phase = net.add("CumSum", net.add("Transpose", turns, perm=[0, 2, 1]), net.whole(1))
    phase = net.add("Mul", net.add("Mul", phase, net.number(2 * np.pi)), net.number(FRAME_SAMPLES))
    phase = net.resized(net.add("Transpose", phase, perm=[0, 2, 1]), float(FRAME_SAMPLES), "linear")
    sines = net.add("Sin", net.add("Transpose", phase, perm=[0, 2, 1]))
    voiced = net.add("Greater", net.add("Transpose", pitch, perm=[0, 2, 1]), net.number(10.0))
    sines = net.add("Mul", net.add("Mul", sines, net.number(0.1)), net.add("Cast", voiced, to=1))
    mixed = net.add("Tanh", net.linear(sines, (_HARMONICS, 1), gain=4.0))
    mixed = net.add("Transpose", mixed, perm=[0, 2, 1])
    half = BINS // 2
    mixed = net.add("Pad", mixed, net.integers(0, 0, half, 0, 0, half), mode="reflect")
    real, imaginary = (_fused_transform if variant.fused_transform else _convolved_transform)(net, mixed)
    return _polar(net, real, imaginary)


def _window() -> Any:
    return np.square(np.sin(np.pi * np.arange(BINS) / BINS))


def _fused_transform(net: _KokoroNet, samples: str) -> tuple[str, str]:
    samples = net.add("Reshape", samples, net.integers(1, -1))
    window = net.tensor(_window())
    columns = net.add("STFT", samples, net.whole(BINS // 4), window, net.whole(BINS), onesided=1)
    columns = net.add("Transpose", columns, perm=[0, 2, 1, 3])
    real, imaginary = (net.add("Gather", columns, net.whole(part), axis=3) for part in range(2))
    return real, imaginary


def _convolved_transform(net: _KokoroNet, samples: str) -> tuple[str, str]:
    waves = np.exp(-2j * np.pi * np.outer(np.arange(BINS // 2 + 1), np.arange(BINS)) / BINS) * _window()
    real, imaginary = (
        net.add("Conv", samples, net.tensor(part[:, None]), strides=[BINS // 4], kernel_shape=[BINS])
        for part in (waves.real, waves.imag)
    )
    return real, imaginary


def _polar(net: _KokoroNet, real: str, imaginary: str) -> str:
    squares = [net.add("Pow", part, net.number(2.0)) for part in (real, imaginary)]
    magnitude = net.add("Sqrt", net.add("Add", net.add("Add", *squares), net.number(1e-9)))
    # As exporters write atan2.
    angle = net.add("Atan", net.add("Div", imaginary, net.add("Add", real, net.number(1e-6))))
    pi, zero = net.number(np.pi), net.number(0.0)
    turned = [net.add(kind, angle, pi) for kind in ("Add", "Sub")]
    turned_angle = net.add("Where", net.add("Greater", imaginary, zero), *turned)
    phase = net.add("Where", net.add("Less", real, zero), turned_angle, angle)
    name: str = net.add("Concat", magnitude, phase, axis=1)
    return name


def _generator(net: _KokoroNet, frames: str, harmonics: str) -> str:
    """The spectrum: logarithms of magnitudes, then what makes the phases."""
    bins = BINS + 2
    rising = (
        # Before and after; taps, stride and pad of each; then those of the harmonics' convolution.
        ((_FRAMES, _FIRST), (20, 10, 5), (12, 6, 3), 7),
        ((_FIRST, _SECOND), (12, 6, 3), (1, 1, 0), 11),
    )
    data = frames
    for number, (sizes, upsampling, convolved, taps) in enumerate(rising):
        channels = sizes[1]
        data = net.add("LeakyRelu", data, alpha=0.1)
        noise = net.residual(net.strided(harmonics, (bins, channels), *convolved), channels, taps)
        data = net.upsampled(data, sizes, *upsampling)
        if number:
            data = net.add("Pad", data, net.integers(0, 0, 1, 0, 0, 0), mode="reflect")
        data = net.add("Add", data, noise)
        results = [net.residual(data, channels, width) for width in (3, 7, 11)]
        total = net.add("Add", net.add("Add", results[0], results[1]), results[2])
        data = net.add("Div", total, net.number(3.0))
    data = net.add("LeakyRelu", data, alpha=0.01)
    weight = net.weight(bins, _SECOND, 7, spread=0.07 / (_SECOND * 7) ** 0.5)
    quiet = net.tensor(np.repeat([-1.5, 0.0], bins // 2))
    spectrum: str = net.add("Conv", data, weight, quiet, kernel_shape=[7], pads=[3, 3])
    return spectrum


def _inverse_transform(net: _KokoroNet, spectrum: str) -> str:
    half = BINS // 2 + 1
    magnitude = net.add("Exp", net.slice(spectrum, 0, half, axis=1))
    phase = net.add("Sin", net.slice(spectrum, half, BINS + 2, axis=1))
    parts = [net.add("Mul", magnitude, net.add(kind, phase)) for kind in ("Cos", "Sin")]
    weight = net.tensor(_inverse_basis()[:, None])
    columns = net.add("Concat", *parts, axis=1)
    samples = net.add("ConvTranspose", columns, weight, kernel_shape=[BINS], strides=[BINS // 4])
    samples = net.slice(samples, BINS // 2, -(BINS // 2), axis=2)
    name: str = net.add("Reshape", samples, net.integers(-1))
    return name


def _inverse_basis() -> Any:
    """What each real and each imaginary part adds to the samples, windowed; shape (bins + 2, bins)."""
    units = np.concatenate([np.eye(BINS // 2 + 1), 1j * np.eye(BINS // 2 + 1)])
    return np.fft.irfft(units, n=BINS, axis=1) * _window() / 1.5


@cache
def kokoro_like_model(variant: KokoroVariant = V1_INT8) -> onnx.ModelProto:
    """A graph with the inputs, the output and the architecture of a Kokoro export; not to be changed."""
    net = _KokoroNet(7, variant)
    halves = net.add("Split", "style", net.integers(STYLE // 2, STYLE // 2), axis=1, outputs=2)
    net.style = halves[1]
    prosody = _prosody(net)
    net.style = halves[0]
    frames = _decoder(net, prosody)
    spectrum = _generator(net, frames, _source(net, prosody.pitch, variant))
    samples = _inverse_transform(net, spectrum)
    net.nodes[-1].output[0] = "audio"
    assert samples != "audio"
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "sequence_length"]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, STYLE]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["samples"])]
    graph = helper.make_graph(net.nodes, "g", inputs, outputs, net.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return {"float32": lambda each: each, "float16": _halved, "int8": _quantized}[variant.numbers](model)


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415  # slow to import

    halved: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
    return halved


def _quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """In two passes, as the one in the catalogue was: convolutions, then products with a scale a channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  # slow to import

    with TemporaryDirectory() as directory:
        path = Path(directory) / "quantized.onnx"
        quantize_dynamic(
            model, path, op_types_to_quantize=["Conv"], weight_type=QuantType.QUInt8, extra_options=_EXTRA
        )
        convolved = onnx.load(path)
        quantize_dynamic(
            convolved,
            path,
            op_types_to_quantize=["MatMul", "Gather", "LSTM"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options=_EXTRA,
        )
        quantized: onnx.ModelProto = onnx.load(path)
    return quantized


def style_table(seed: int) -> Any:
    """Rows for each number of tokens, shape (510, 1, 256)."""
    random = np.random.default_rng(seed)
    voice = random.normal(0.0, 0.5, STYLE)
    slope = random.normal(0.0, 0.05, STYLE)
    rows = np.linspace(0.0, 1.0, TABLE_ROWS)[:, None]
    return (voice + rows * slope)[:, None].astype(np.float32)


def write_kokoro(directory: Path, variant: KokoroVariant = V1_INT8) -> None:
    """Write a model and a pack of voices, as a data directory for the engine."""
    directory.mkdir(parents=True, exist_ok=True)
    content = kokoro_like_model(variant).SerializeToString(deterministic=True)
    (directory / "kokoro-like.onnx").write_bytes(content)
    tables = {name: style_table(number) for number, name in enumerate(VOICES)}
    with (directory / "voices-like.bin").open("wb") as file:
        np.savez(file, allow_pickle=False, **tables)


if __name__ == "__main__":
    write_kokoro(Path(sys.argv[1]))
