"""Opening of a Kokoro model: in parts if its graph can be cut and its parts compute the same, else whole."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from wyoming_tts.engines.base import EngineOptions, always
from wyoming_tts.engines.chunked_inference import Values
from wyoming_tts.engines.kokoro.decoder import DecoderModels, GeneratorLayout, KokoroDecoder, Request
from wyoming_tts.engines.kokoro.decoder_check import LEAST_DECIBELS_OF_CHUNKS, compare, transform_scale
from wyoming_tts.engines.kokoro.generator_graph import HARMONICS, WrittenGenerator
from wyoming_tts.engines.kokoro.graph import STYLE, KokoroCut, KokoroGraph
from wyoming_tts.engines.onnx import OnnxModel, open_models, return_freed_memory

_LOGGER = logging.getLogger(__name__)

_PROBE: Final = Request(
    tokens=(
        50,
        83,
        54,
        156,
        31,
        16,
        65,
        156,
        138,
        64,
        4,
        16,
        53,
        156,
        51,
        158,
        61,
        3,
        16,
        46,
        156,
        76,
        56,
        4,
    ),
    style=np.zeros((1, 256), np.float32),
    speed=1.0,
)
"""A few syllables; what they sound like does not matter."""

_DIGEST_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class OpenedDecoder:
    """A model in parts."""

    decoder: KokoroDecoder
    text: OnnxModel
    """The part that has the whole's inputs."""
    digest: str
    """Of the model's file."""


def open_decoder(path: Path, options: EngineOptions, style: Callable[[], Values]) -> OpenedDecoder | None:
    """Open a model in parts; None, with a line in the log that says why, if that cannot be done.

    Args:
        path: of the model.
        options: threads, and whether to use a GPU.
        style: reads a row of any voice, shape (1, 256), for the comparison.
    """
    if options.use_cuda:  # it is fast enough there, and what is faster was not measured
        return None
    try:
        return _open(path, options, style)
    except Exception as error:  # noqa: BLE001  # whatever is odd about the graph, the model can still run whole
        reason = str(error) or type(error).__name__
    return_freed_memory()
    _LOGGER.info("%s runs whole, a clause is heard only once all of it is computed: %s", path.name, reason)
    return None


def _open(path: Path, options: EngineOptions, style: Callable[[], Values]) -> OpenedDecoder:
    graph = KokoroGraph(path)
    cut = graph.cut()
    written = graph.write_generator(cut)
    text, source, blocks, styles, *generator = open_models(path, options, _contents(graph, cut, written))
    models = DecoderModels(text, source, blocks, styles, tuple(generator))
    layouts = [
        GeneratorLayout(
            tuple((affine.scale, affine.shift) for affine in part.affines), part.factors, part.channels
        )
        for part in written
    ]
    del written
    unscaled = KokoroDecoder(models, cut, layouts)
    probed = Probed(unscaled, cut, replace(_PROBE, style=style()))
    scale = _check(path, options, graph, probed)
    del graph
    return_freed_memory()
    return OpenedDecoder(KokoroDecoder(models, cut, layouts, scale=scale), text, _digest(path))


def _contents(graph: KokoroGraph, cut: KokoroCut, written: Sequence[WrittenGenerator]) -> Iterator[bytes]:
    yield graph.extract_text(cut)
    yield graph.extract_source(cut)
    yield graph.extract_blocks(cut)
    yield graph.extract_style(written)
    for part in written:
        yield part.content


@dataclass(frozen=True, slots=True)
class Probed:
    """What is compared with the graph, and by which utterance."""

    decoder: KokoroDecoder
    cut: KokoroCut
    request: Request


def _check(path: Path, options: EngineOptions, graph: KokoroGraph, probed: Probed) -> float:
    """Compare a decoder with the graph; returns the scale of the samples of its inverse transform."""
    decoder, cut, probe = probed.decoder, probed.cut, probed.request
    sentence = decoder.make_sentence(decoder.encode_text(probe))
    spectrum, taken = decoder.generate_whole(sentence)
    alone = replace(options, has_cores=always)
    original, transform = open_models(
        path, alone, [graph.extract_generator(cut), graph.extract_transform(cut)]
    )
    try:
        feeds = {
            cut.frames: sentence.frames,
            cut.harmonics: sentence.inputs[HARMONICS],
            STYLE: probe.style,
        }
        expected = original.run(None, feeds)[0]
        compare("generator", spectrum, expected[0])
        compare(
            "generator in chunks",
            decoder.generate_in_chunks(sentence, taken),
            spectrum,
            LEAST_DECIBELS_OF_CHUNKS,
        )
        samples = transform.run(None, {cut.places[-1]: spectrum[None]})[0]
        return transform_scale(spectrum, samples.reshape(-1), cut.bins)
    finally:
        original.close()
        transform.close()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_DIGEST_BLOCK):
            digest.update(block)
    return digest.hexdigest()
