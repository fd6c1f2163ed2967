"""The small Kokoro models: they speak, and are what they are for."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.voices.make_kokoro import (
    FRAME_SAMPLES,
    KOKORO_VARIANTS,
    V1_INT8,
    KokoroVariant,
    kokoro_like_model,
    style_table,
)
from wyoming_tts.speech import Samples

each_variant = pytest.mark.parametrize("variant", KOKORO_VARIANTS, ids=str)


@cache
def _session(variant: KokoroVariant) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more would wait for each other while other tests run
    content = kokoro_like_model(variant).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _spoken(variant: KokoroVariant, count: int, *, voice: int = 0, speed: float = 1.0) -> Samples:
    """So many tokens."""
    style, speeds = style_table(voice)[count - 1], np.array([speed], np.float32)
    tokens = np.array([[0, *range(3, 3 + count), 0]])
    (samples,) = _session(variant).run(None, {"tokens": tokens, "style": style, "speed": speeds})
    return np.asarray(samples)


@each_variant
def test_the_sound_is_neither_silent_nor_overdriven_and_follows_the_text(variant: KokoroVariant) -> None:
    short, long = _spoken(variant, 1), _spoken(variant, 24)
    assert short.ndim == long.ndim == 1
    assert len(short) % FRAME_SAMPLES == len(long) % FRAME_SAMPLES == 0
    assert len(long) > 5 * len(short)
    assert 0.02 < long.std() < 0.3


def test_each_style_is_another_voice_and_a_lower_speed_takes_longer() -> None:
    one, other = (_spoken(KokoroVariant(), 10, voice=voice) for voice in range(2))
    assert len(one) != len(other) or not np.allclose(one, other, atol=0.01)
    assert len(_spoken(KokoroVariant(), 10, speed=0.5)) > 1.5 * len(one)


@each_variant
def test_a_model_is_small_and_has_the_numbers_and_operators_of_its_variant(
    variant: KokoroVariant,
) -> None:
    model = kokoro_like_model(variant)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert model.ByteSize() < 600_000
    assert ("InstanceNormalization" in kinds) == variant.fused_norms
    assert ("STFT" in kinds) == variant.fused_transform
    assert ("ConvInteger" in kinds) == (variant.numbers == "int8")
    halves = [each for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT16]
    assert bool(halves) == (variant.numbers == "float16")


def test_the_quantized_one_has_the_operators_of_the_one_in_the_catalogue() -> None:
    kinds = {node.op_type for node in kokoro_like_model(V1_INT8).graph.node}
    assert kinds > {
        *("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DequantizeLinear"),
        *(
            "ConvTranspose",
            "ReduceMean",
            "Sqrt",
            "Pow",
            "Sin",
            "STFT",
            "Resize",
            "CumSum",
            "Round",
            "Pad",
            "Atan",
        ),
    }
