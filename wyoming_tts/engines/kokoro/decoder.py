"""Chunked decoding of a Kokoro model: text, source and decoder blocks once, the generator in chunks.

With the statistics of a sentence given, its first chunk is heard while the others are still to be computed.
Without, the generator runs once on all of it, and tells what its norms took.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from wyoming_tts.engines.chunked_inference import ChunkedInference, Clock, ModelStage, Values, chunk_ends
from wyoming_tts.engines.kokoro.generator_graph import HARMONICS, IS_WHOLE, GeneratorNames
from wyoming_tts.engines.kokoro.graph import STYLE, KokoroCut
from wyoming_tts.engines.kokoro.spectrum import InverseTransform
from wyoming_tts.engines.kokoro.statistics import NormStatistics, sentence_features
from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE, is_sounding, sounding_frames
from wyoming_tts.engines.kokoro.word_timings import PAIR_SAMPLES, BatchTimes, edges_of, heard_edges
from wyoming_tts.engines.onnx import OnnxModel
from wyoming_tts.errors import EngineFailed
from wyoming_tts.messages import Message
from wyoming_tts.speech import Samples

FRAME_SAMPLES: Final = 300

FIRST_SECONDS: Final = 0.3
"""Audio of the first two chunks; each further one is twice as long as the one before."""
_FIRST_FRAMES: Final = round(FIRST_SECONDS * SAMPLE_RATE / FRAME_SAMPLES)
MOST_DOUBLINGS: Final = 2
LEAST_DOUBLINGS: Final = 1
"""To 0.6 s on slow machines too: with less, more than a third of the work goes into the edges."""
STEP_SECONDS: Final = 0.2
"""Longest that a step should take, as far as the size of its chunk decides: what a new listener waits for."""


@dataclass(frozen=True, slots=True)
class GeneratorLayout:
    """What a part of the generator takes."""

    affines: tuple[tuple[str, str], ...]
    """Names of the scale and the shift of each, as the style part makes them."""
    factors: Values
    """By which both are multiplied, shape (channels of all affines,)."""
    channels: int
    """Of its norms."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be spoken in one pass."""

    tokens: tuple[int, ...]
    """Without those that are added at its ends."""
    style: Values
    """A row of a voice's table, shape (1, 256)."""
    speed: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the text part makes."""

    request: Request
    values: Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the generator makes a sentence of."""

    request: Request
    features: Values
    """As `sentence_features`."""
    inputs: Mapping[str, Values]
    """By the names of the generator's inputs."""
    first_frame: int
    """Where its sound begins, or a little earlier."""
    end_frame: int
    """Where its sound has ended."""

    @property
    def frames(self) -> Values:
        """The result of the decoder blocks, shape (1, channels, length)."""
        return self.inputs[GeneratorNames(0).source]

    @property
    def length(self) -> int:
        """Number of frames."""
        return int(self.frames.shape[-1])

    @property
    def seconds(self) -> float:
        """Of its audio."""
        return self.length * FRAME_SAMPLES / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class DecoderModels:
    """The parts of a Kokoro model, each as a model of its own."""

    text: OnnxModel
    source: OnnxModel
    blocks: OnnxModel
    style: OnnxModel
    generator: tuple[OnnxModel, ...]

    def close(self) -> None:
        """Free their memory."""
        for model in (self.text, self.source, self.blocks, self.style, *self.generator):
            model.close()


class KokoroDecoder:
    """Decodes with the parts of one model."""

    def __init__(
        self,
        models: DecoderModels,
        cut: KokoroCut,
        layouts: Sequence[GeneratorLayout],
        *,
        scale: float = 1.0,
        clock: Clock = time.thread_time,
    ) -> None:
        """Take the parts.

        Args:
            models: which compute.
            cut: where the model was cut.
            layouts: of the parts of the generator.
            scale: of the samples of the inverse transform.
            clock: CPU time of the thread, so that the speed measured does not depend on the load.
        """
        self._models = models
        self._cut = cut
        self._layouts = [*zip(map(GeneratorNames, range(len(layouts))), layouts, strict=True)]
        self._scale = scale
        self._text_outputs = [output.name for output in models.text.get_outputs()]
        self._style_outputs = [output.name for output in models.style.get_outputs()]
        self._stages = [
            ModelStage(model, part, clock=clock)
            for model, part in zip(models.generator, cut.parts, strict=True)
        ]

    @property
    def channels(self) -> int:
        """Of all norms, as `VoiceStatistics` takes them."""
        return sum(layout.channels for _, layout in self._layouts)

    def encode_text(self, request: Request) -> Encoded:
        """The first step: text and prosody.

        Raises:
            EngineFailed: the model failed.
        """
        feeds = self._model_feeds(self._models.text, request)
        results = self._models.text.run(self._text_outputs, feeds)
        return Encoded(request, dict(zip(self._text_outputs, results, strict=True)))

    def count_samples(self, encoded: Encoded) -> int:
        """How many samples it will last."""
        return int(encoded.values[self._cut.pitch].shape[-1]) * FRAME_SAMPLES

    @property
    def tells_durations(self) -> bool:
        """Whether it is known how long tokens last."""
        return bool(self._cut.durations)

    def time_phonemes(self, encoded: Encoded) -> BatchTimes | None:
        """When the phonemes are heard, one for each token; None if that cannot be told."""
        if not self._cut.durations:
            return None
        durations, energy = encoded.values[self._cut.durations], encoded.values[self._cut.energy]
        edges = edges_of(durations, len(encoded.request.tokens))
        if edges is None or durations.sum() * PAIR_SAMPLES != self.count_samples(encoded):
            return None
        return BatchTimes(heard_edges(edges), is_sounding(energy.ravel()), FRAME_SAMPLES)

    def make_sentence(self, encoded: Encoded) -> Sentence:
        """The second step: the source of harmonics, the decoder blocks, and the style's affines.

        Raises:
            EngineFailed: the model failed.
        """
        request, values = encoded.request, encoded.values
        pitch, energy = values[self._cut.pitch], values[self._cut.energy]
        harmonics: Values = self._models.source.run(None, {self._cut.pitch: pitch})[0]
        known = {**values, **self._model_feeds(self._models.blocks, request)}
        blocks = self._models.blocks
        frames: Values = blocks.run(None, {name: known[name] for name in blocks.inputs})[0]
        length = frames.shape[-1]
        if harmonics.shape[-1] != self._cut.rate * length + 1:
            raise EngineFailed(
                Message(
                    "model_harmonics",
                    "The model made {got} columns of harmonics for {length} frames, expected {expected} of "
                    "each and one.",
                    got=harmonics.shape[-1],
                    length=length,
                    expected=self._cut.rate,
                )
            )
        inputs = {GeneratorNames(0).source: frames, HARMONICS: harmonics, **self._affines(request.style)}
        features = sentence_features(pitch.ravel(), energy.ravel(), frames[0])
        return Sentence(request, features, inputs, *sounding_frames(energy.ravel()))

    def decode_whole(
        self, sentence: Sentence, statistics: NormStatistics | None = None
    ) -> tuple[Samples, NormStatistics]:
        """All samples of a sentence, and the statistics that its norms took, unless others are given.

        Raises:
            EngineFailed: the model failed.
        """
        spectrum, taken = self.generate_whole(sentence, statistics)
        transform = InverseTransform(self._cut.bins, self._scale)
        return np.concatenate([transform.add(spectrum), transform.finish()]), taken

    def decode_in_chunks(
        self, sentence: Sentence, statistics: NormStatistics
    ) -> Iterator[tuple[Samples, float]]:
        """The samples of a sentence's sound, and the seconds that are left after them; a chunk a step.

        Raises:
            EngineFailed: the model failed.
        """
        inputs = self._inputs(sentence, statistics)
        inference = ChunkedInference(self._stages, inputs, start=sentence.first_frame)
        transform = InverseTransform(self._cut.bins, self._scale)
        for end in self._chunk_ends(sentence.end_frame - sentence.first_frame):
            samples = transform.add(inference.result(sentence.first_frame + end)[0])
            left = sentence.end_frame - sentence.first_frame - end
            if not left:
                samples = np.concatenate([samples, transform.finish()])
            yield samples, left * FRAME_SAMPLES / SAMPLE_RATE

    def generate_whole(
        self, sentence: Sentence, statistics: NormStatistics | None = None
    ) -> tuple[Values, NormStatistics]:
        """The spectrum of a sentence, shape (bins + 2, columns), and the statistics, as `decode_whole`.

        Raises:
            EngineFailed: the model failed.
        """
        inputs = self._inputs(sentence, statistics)
        means, variances = [], []
        for (names, _), model in zip(self._layouts, self._models.generator, strict=True):
            outputs = [names.result, names.means_taken, names.variances_taken]
            feeds = {name: inputs[name] for name in model.inputs}
            inputs[names.result], mean, variance = model.run(outputs, feeds)
            means.append(mean.ravel())
            variances.append(variance.ravel())
        taken = NormStatistics(np.concatenate(means), np.concatenate(variances))
        return inputs[names.result][0], taken

    def generate_in_chunks(self, sentence: Sentence, statistics: NormStatistics) -> Values:
        """The spectrum of a sentence, put together from chunks.

        Raises:
            EngineFailed: the model failed.
        """
        inference = ChunkedInference(self._stages, self._inputs(sentence, statistics))
        ends = chunk_ends(sentence.length, _FIRST_FRAMES, 0)
        return np.concatenate([inference.result(end)[0] for end in ends], axis=-1)

    @staticmethod
    def _model_feeds(model: OnnxModel, request: Request) -> dict[str, Any]:
        tokens = np.array([[0, *request.tokens, 0]], dtype=np.int64)
        every: Mapping[str, Any] = {
            "tokens": tokens,
            "input_ids": tokens,
            STYLE: request.style,
            "speed": np.array([request.speed], dtype=_SPEED_TYPES[model.inputs.get("speed", "")]),
        }
        return {name: every[name] for name in model.inputs if name in every}

    def _affines(self, style: Values) -> dict[str, Values]:
        results = self._models.style.run(self._style_outputs, {STYLE: style})
        made = dict(zip(self._style_outputs, results, strict=True))
        affines = {}
        for names, layout in self._layouts:
            for place, name in enumerate((names.scales, names.shifts)):
                joined = np.concatenate([made[pair[place]].ravel() for pair in layout.affines])
                affines[name] = _as_input(joined * layout.factors)
        return affines

    def _inputs(self, sentence: Sentence, statistics: NormStatistics | None) -> dict[str, Any]:
        """What the generator takes, for the whole sentence; without statistics it takes its own."""
        given = statistics or NormStatistics(*np.zeros((2, self.channels), np.float32))
        inputs = {**sentence.inputs, IS_WHOLE: np.array(statistics is None)}
        start = 0
        for names, layout in self._layouts:
            end = start + layout.channels
            inputs[names.means] = _as_input(given.means[start:end])
            inputs[names.variances] = _as_input(given.variances[start:end])
            start = end
        return inputs

    def _chunk_ends(self, frames: int) -> Iterator[int]:
        """Ends of chunks: the first two are short, then each is twice as long, as far as steps may be."""
        fitting = (
            doublings
            for doublings in range(MOST_DOUBLINGS, 0, -1)
            if self._step_seconds(_FIRST_FRAMES << doublings) <= STEP_SECONDS
        )
        return chunk_ends(frames, _FIRST_FRAMES, next(fitting, LEAST_DOUBLINGS), twice=True)

    def _step_seconds(self, frames: int) -> float:
        seconds, length = 0.0, frames
        for stage in self._stages:
            seconds += stage.seconds(length)
            length *= stage.part.hop
        return seconds

    def close(self) -> None:
        """Free its memory."""
        self._models.close()


_SPEED_TYPES: Final[Mapping[str, type]] = {
    "": np.float32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def _as_input(values: Values) -> Values:
    return np.ascontiguousarray(values.reshape(1, -1, 1, 1), dtype=np.float32)
