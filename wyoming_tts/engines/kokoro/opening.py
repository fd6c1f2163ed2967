"""Opening of a Kokoro model: in parts if its graph can be cut and its parts compute the same, else whole."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from wyoming_tts.engines.base import EngineOptions, always
from wyoming_tts.engines.chunked_inference import Values
from wyoming_tts.engines.kokoro.check_results import CheckResults
from wyoming_tts.engines.kokoro.decoder import DecoderModels, GeneratorLayout, KokoroDecoder, Request
from wyoming_tts.engines.kokoro.decoder_check import LEAST_DECIBELS_OF_CHUNKS, compare, transform_scale
from wyoming_tts.engines.kokoro.durations import durations_output
from wyoming_tts.engines.kokoro.generator_graph import HARMONICS, WrittenGenerator
from wyoming_tts.engines.kokoro.graph import STYLE, KokoroCut, KokoroGraph
from wyoming_tts.engines.onnx import OnnxModel, open_model, open_models, return_freed_memory
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph

_LOGGER = logging.getLogger(__name__)

_PROBE: Final = Request(
    tokens=(50, 83, 54, 156, 31, 16, 65, 156, 138, 64, 4), style=np.zeros((1, 256), np.float32), speed=2.0
)
"""Two syllables, spoken fast, which last longer than a chunk and its edges."""

_DIGEST_BLOCK = 1 << 20
_NOT_FOUND: Final = "the durations of its phonemes were not found"


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


@dataclass(frozen=True, slots=True)
class OpenedWhole:
    """A model that is not cut."""

    model: OnnxModel
    is_extended: bool
    """Whether the durations of its tokens were made a further output, which it has not by itself."""


def open_whole(path: Path, options: EngineOptions) -> OpenedWhole:
    """Open a model whole, with the durations of its tokens as an output if it has them.

    Raises:
        VoiceUnavailable: the file is gone, damaged, or no model that onnxruntime can run.
    """
    try:
        further = durations_output(OnnxGraph.read(path))
        reason = "" if further is not None else _NOT_FOUND
    except Exception as error:  # noqa: BLE001  # whatever is odd about the file, onnxruntime may take it
        further, reason = None, str(error) or type(error).__name__
    return_freed_memory()
    if not further:
        opened = OpenedWhole(open_model(path, options), is_extended=False)
    else:
        content = path.read_bytes() + further  # protobuf merges what is joined
        (model,) = open_models(path, replace(options, has_cores=always), [content])
        opened = OpenedWhole(model, is_extended=True)
    if reason:
        _log_no_timings(path, reason)
    return opened


def _log_no_timings(path: Path, reason: str) -> None:
    _LOGGER.info("%s does not tell when words are heard: %s", path.name, reason)


def _open(path: Path, options: EngineOptions, style: Callable[[], Values]) -> OpenedDecoder:
    digest = _digest(path)
    graph = KokoroGraph(path)
    cut = graph.cut()
    written = graph.write_generator(cut)
    # A second session of each for a single thread would be half as much memory again.
    alone = replace(options, has_cores=always)
    text, source, blocks, styles, *generator = open_models(path, alone, _contents(graph, cut, written))
    models = DecoderModels(text, source, blocks, styles, tuple(generator))
    layouts = [
        GeneratorLayout(
            tuple((affine.scale, affine.shift) for affine in part.affines), part.factors, part.channels
        )
        for part in written
    ]
    del written
    results = CheckResults(options.statistics_dir, digest)
    scale = results.read()
    if scale is None:
        scale = _check(path, alone, graph, Probed(models, cut, layouts, replace(_PROBE, style=style())))
        results.save(scale)
    del graph
    return_freed_memory()
    if not cut.durations:
        _log_no_timings(path, _NOT_FOUND)
    return OpenedDecoder(KokoroDecoder(models, cut, layouts, scale=scale), text, digest)


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

    models: DecoderModels
    cut: KokoroCut
    layouts: Sequence[GeneratorLayout]
    request: Request


def _check(path: Path, options: EngineOptions, graph: KokoroGraph, probed: Probed) -> float:
    """Compare a decoder with the graph; returns the scale of the samples of its inverse transform."""
    cut, probe = probed.cut, probed.request
    decoder = KokoroDecoder(probed.models, cut, probed.layouts)
    encoded = decoder.encode_text(probe)
    for contents in graph.extract_transforms(cut):
        with _opened(path, options, contents) as transforms:
            expected, got = (each.run(None, {cut.pitch: encoded.values[cut.pitch]})[0] for each in transforms)
        compare("source's transform", got, expected)
    sentence = decoder.make_sentence(encoded)
    with _opened(path, options, graph.extract_originals(cut)) as (text, blocks):
        original = KokoroDecoder(replace(probed.models, text=text, blocks=blocks), cut, probed.layouts)
        expected = original.encode_text(probe)
        for name, values in expected.values.items():
            compare("text part", encoded.values[name], values)
        compare("decoder blocks", sentence.frames, original.make_sentence(expected).frames)
    spectrum, taken = decoder.generate_whole(sentence)
    with _opened(path, options, [graph.extract_generator(cut)]) as (generator,):
        feeds = {
            cut.frames: sentence.frames,
            cut.harmonics: sentence.inputs[HARMONICS],
            STYLE: probe.style,
        }
        compare("generator", spectrum, generator.run(None, feeds)[0][0])
    in_chunks = decoder.generate_in_chunks(sentence, taken)
    compare("generator in chunks", in_chunks, spectrum, LEAST_DECIBELS_OF_CHUNKS)
    with _opened(path, options, [graph.extract_transform(cut)]) as (transform,):
        samples = transform.run(None, {cut.places[-1]: spectrum[None]})[0]
    return transform_scale(spectrum, samples.reshape(-1), cut.bins)


@contextmanager
def _opened(path: Path, options: EngineOptions, contents: Sequence[bytes]) -> Iterator[list[OnnxModel]]:
    models = open_models(path, options, contents)
    try:
        yield models
    finally:
        for model in models:
            model.close()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_DIGEST_BLOCK):
            digest.update(block)
    return digest.hexdigest()
