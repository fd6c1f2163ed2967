"""Networks with random weights, written down operator by operator in the way torch exports them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph that is written down operator by operator, in the way torch exports it."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._constants: dict[bytes, str] = {}

    def add(self, kind: str, *inputs: str, outputs: int = 0, **attributes: Any) -> Any:
        """Add a node; the name of its output, or a list of names if told how many."""
        names = [f"{len(self.nodes)}{part}" for part in "abc"[: outputs or 1]]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names if outputs else names[0]

    def integers(self, *values: int) -> str:
        return self._constant(np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        return self._constant(np.array(value, dtype=np.float32))

    def whole(self, value: int) -> str:
        return self._constant(np.array(value, dtype=np.int64))

    def _constant(self, value: Any) -> str:
        tensor = numpy_helper.from_array(value)
        key = tensor.SerializeToString(deterministic=True)
        if key not in self._constants:
            self._constants[key] = self.add("Constant", value=tensor)
        return self._constants[key]

    def weight(self, *shape: int, spread: float, middle: float = 0.0) -> str:
        return self.tensor(self._random.normal(middle, spread, shape))

    def tensor(self, values: npt.ArrayLike) -> str:
        """A weight with given values."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def conv(
        self, data: str, sizes: tuple[int, int], taps: int = 1, dilation: int = 1, gain: float = 1.0
    ) -> str:
        """A convolution from the first to the second number of channels that keeps the length."""
        before, after = sizes
        weight = self.weight(after, before, taps, spread=gain / (before * taps) ** 0.5)
        bias = self.weight(after, spread=0.05)
        pad = dilation * (taps - 1) // 2
        name: str = self.add(
            "Conv", data, weight, bias, kernel_shape=[taps], dilations=[dilation], pads=[pad, pad]
        )
        return name

    def slice(self, data: str, start: int, end: int, axis: int, step: int = 1) -> str:
        bounds = (self.integers(each) for each in (start, end, axis, step))
        name: str = self.add("Slice", data, *bounds)
        return name

    def zeros_like(self, data: str) -> str:
        value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0])
        name: str = self.add("ConstantOfShape", self.add("Shape", data), value=value)
        return name
