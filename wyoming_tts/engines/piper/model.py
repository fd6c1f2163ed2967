"""Chunked inference of a Piper model: in parts if its graph can be cut, else a sentence at a time.

Only the first part, the text encoder, sees the whole sentence. The frames it makes go through the flow
and the decoder in chunks: first a small one, for low latency, then each twice as long as the one before,
because the longer a chunk, the less its edges add to the work. A slow machine keeps to small chunks, so
that no step takes long.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.base import EngineOptions, always
from wyoming_tts.engines.chunked_inference import ChunkedInference, ModelStage, chunk_ends
from wyoming_tts.engines.onnx import NO_SAMPLES, OnnxModel, open_model, open_models, return_freed_memory
from wyoming_tts.engines.onnx_graph.duration_scaling import SPEED, speed_feed
from wyoming_tts.engines.piper.duration_guard import DURATIONS, FRAMES
from wyoming_tts.engines.piper.graph import GraphCut, PiperGraph
from wyoming_tts.engines.piper.text_check import check_rewritten
from wyoming_tts.errors import TooLong, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.speech import Samples

_LOGGER = logging.getLogger(__name__)

_FIRST_SECONDS = 0.25
"""Audio of the first chunk: half as much would come at most a tenth earlier, because most of the time
until then goes into the text."""

_MAX_DOUBLINGS = 3
"""Chunks grow to 2 seconds. There the edges are a twentieth of the work; longer chunks save less than
half of that, and delay other listeners for longer."""

_LATER_DOUBLINGS = 2
"""How much larger the first chunk is if the listener already has audio to play: a second."""

_CROWDED_DOUBLINGS = 1
"""The same under load: with half a second to play, a listener needs the next chunk only after the others
have got their first; of eight, the last hears its first audio a third sooner. The second chunk is as small,
because a whole second cannot always be computed while half a second plays."""

_CROWDED_MAX_DOUBLINGS = 2
"""Under load chunks grow to one second: as many are computed at once as there are cores, so that together
they take no more memory than one of two seconds."""

_STEP_SECONDS = 0.2
"""Longest that a step should take, as far as the size of its chunk decides: what a new listener waits
at worst. With less, a "high" voice on two cores would be confined to the smallest chunks, a quarter of whose
work goes into the edges."""

_UNMEASURED_DOUBLINGS = 1
"""How far chunks grow while a voice speaks for the first time, before its speed is known."""

_FLOW_AHEAD = 2
"""The flow also runs ahead for the next chunk, which is at most this many times as long: its edges are
wide (64 frames in a stock voice), its frames cheap."""

MAX_SECONDS = 180.0
"""Audio of a sentence: 500 characters, the longest segment, take 40 seconds, and four times that at a quarter
of the speed. The text part's memory grows with seconds times phonemes, here to 0.4 GB."""

MAX_WHOLE_SECONDS = 60.0
"""The same for a model that runs whole: there all layers are in memory at once, 26 MB for each second."""

_SECONDS_PER_ID = 1.0
_SECONDS_BESIDES = 10.0
"""A short sentence may last less. Voices speak 14 ids in a second: at a sixteenth of the speed, the least
that settings allow, an id takes one."""

_LARGE_PART = 1 / 6
"""Share of the longest sentence from which on a sentence's memory is returned to the system when it ends."""


IdSamples: TypeAlias = npt.NDArray[np.int64]
"""How many samples each phoneme id of a sentence lasts, shape (ids,); they add up to its audio."""

TellSamples: TypeAlias = Callable[[IdSamples], None]


class PiperModel(Protocol):
    """A voice's model, whole or in parts."""

    inputs: Mapping[str, str]
    """The type of each input by name."""

    @property
    def tells_durations(self) -> bool:
        """Whether it tells how long phonemes last."""
        ...

    @property
    def shares_cores(self) -> bool:
        """As `LoadedVoice.shares_cores`."""
        ...

    def speak(
        self,
        feeds: Mapping[str, Any],
        *,
        speed: float = 1.0,
        low_latency: bool = True,
        tell: TellSamples | None = None,
    ) -> Iterator[Samples]:
        """Run the model in steps, each of which yields the next samples, shape (n,).

        The time of the text is divided by `speed`.
        With `low_latency` the first audio comes as early as possible, at the price of more work for edges.
        `tell` is called within the first step, if the model `tells_durations`.

        Raises:
            TooLong: the sentence would last longer than `DurationBound` allows.
            EngineFailed: the model failed, or its output is not finite.
        """
        ...

    def close(self) -> None:
        """Free its memory."""
        ...


@dataclass(frozen=True, slots=True)
class DurationBound:
    """How long a sentence may last, by its phoneme ids."""

    sample_rate: int
    hop: int
    """Samples of a frame."""
    max_seconds: float = MAX_SECONDS

    @property
    def max_frames(self) -> int:
        """Frames of the longest sentence."""
        return int(self.max_seconds * self.sample_rate / self.hop)

    def is_large(self, frames: float) -> bool:
        """Whether a sentence of so many frames leaves much memory behind."""
        return frames > self.max_frames * _LARGE_PART

    def check(self, frames: float, ids: int) -> None:
        """Check the frames of a sentence of so many ids.

        Raises:
            TooLong: they are too many.
        """
        seconds = frames * self.hop / self.sample_rate
        most = min(self.max_seconds, _SECONDS_BESIDES + ids * _SECONDS_PER_ID)
        if seconds > most:
            raise TooLong(
                Message(
                    "sentence_too_long",
                    "A sentence would last {seconds} s, expected at most {most} s for its length.",
                    seconds=f"{seconds:.0f}",
                    most=f"{most:.0f}",
                ),
                hint=Message(
                    "lower_scales",
                    "Lower noise_w_scale or length_scale, raise the speed, or make the sentence shorter.",
                ),
            )


def open_piper_model(path: Path, options: EngineOptions, sample_rate: int, *, hop: int = 256) -> PiperModel:
    """Read a voice's model into memory: in parts if it can be cut; if not, a line in the log says why.

    Args:
        path: of the model.
        options: threads, and whether to use a GPU.
        sample_rate: Hz.
        hop: samples of a frame, as the voice's json says; a model that can be cut tells by itself.

    Raises:
        VoiceUnavailable: the file is gone, damaged, no model that onnxruntime can run, or none of Piper's.
    """
    model = _open_cut_or_whole(path, options, DurationBound(sample_rate, hop))
    if missing := {"input", "input_lengths", "scales"} - model.inputs.keys():
        raise VoiceUnavailable(
            Message(
                "piper_no_input",
                "{path} is not a Piper model: it has no input {name}.",
                path=path,
                name=repr(min(missing)),
            )
        )
    if not model.tells_durations:
        _LOGGER.info("%s does not tell when words sound: its durations cannot be found", path.name)
    return model


def model_feeds(
    inputs: Collection[str], ids: Sequence[int], scales: tuple[float, float, float], speaker: int
) -> dict[str, Any]:
    """What a model is fed with for a sentence.

    Args:
        inputs: names of the model's inputs.
        ids: of the phonemes.
        scales: noise, length, and noise of lengths.
        speaker: number of the speaker, for a voice that has several.
    """
    feeds = {
        "input": np.array([ids], dtype=np.int64),
        "input_lengths": np.array([len(ids)], dtype=np.int64),
        "scales": np.array(scales, dtype=np.float32),
    }
    return feeds | ({"sid": np.array([speaker], dtype=np.int64)} if "sid" in inputs else {})


def _at_speed(model: OnnxModel, feeds: Mapping[str, Any], speed: float) -> dict[str, Any]:
    """The feeds at a speed: exactly if the model has an input for it, else by the length of its phonemes."""
    if SPEED in model.inputs:
        return {**feeds, **speed_feed(speed)}
    noise, length, noise_of_lengths = feeds["scales"]
    return {**feeds, "scales": np.array([noise, length / speed, noise_of_lengths], dtype=np.float32)}


def _tell_samples(tell: TellSamples, durations: Any, ids: int, samples: int) -> None:
    """Tell how many samples each id lasts, unless the sentence is not made of these durations."""
    each: IdSamples = np.rint(durations).astype(np.int64).reshape(-1)
    if not each.any():
        each[-1:] = 1  # models make a frame at least
    frames = int(each.sum())
    if len(each) == ids and each.min() >= 0 and samples % frames == 0:
        tell(each * (samples // frames))


def _public_inputs(model: OnnxModel) -> Mapping[str, str]:
    return {name: kind for name, kind in model.inputs.items() if name != SPEED}


def _open_cut_or_whole(path: Path, options: EngineOptions, bound: DurationBound) -> PiperModel:
    try:
        return _open_parts(path, options, bound)
    except Exception as error:  # noqa: BLE001  # whatever is odd about the graph, the model can still run whole
        reason = str(error) or type(error).__name__
    return_freed_memory()
    bound = replace(bound, max_seconds=MAX_WHOLE_SECONDS)
    whole = WholeModel(_open_whole(path, options, bound), bound)
    _LOGGER.info("%s runs whole, a sentence is heard only once all of it is computed: %s", path.name, reason)
    return whole


def _open_parts(path: Path, options: EngineOptions, bound: DurationBound) -> CutModel:
    graph = PiperGraph(path)
    cut = graph.cut()
    bound = replace(bound, hop=cut.hop)
    graph.limit_frames(bound.max_frames)
    text, *parts = open_models(path, options, _contents(path, options, graph, cut))
    del graph
    return_freed_memory()
    if cut.flow is None:
        _LOGGER.info("%s speaks in chunks, but its flow runs whole: %s", path.name, cut.no_flow_reason)
    return CutModel(text, parts, cut, bound)


def _contents(path: Path, options: EngineOptions, graph: PiperGraph, cut: GraphCut) -> Iterator[bytes]:
    yield _text_encoder(path, options, graph, cut)
    for part in cut.parts:
        yield graph.extract_part(part)


def _text_encoder(path: Path, options: EngineOptions, graph: PiperGraph, cut: GraphCut) -> bytes:
    """The text part, rewritten if that computes the same; if not, a line in the log says why."""
    original = graph.extract_text_encoder(cut)
    if options.use_cuda or cut.flow is None:  # what is faster on a GPU was not measured
        return original
    try:
        text = graph.rewrite_text_encoder(cut)
        check_rewritten(path, options, original, text.content, text.phonemes)
    except Exception as error:  # noqa: BLE001  # whatever is odd about the graph, it can still run as it is
        _LOGGER.info("%s reads text by its graph as it is, which is slower: %s", path.name, error)
        return original
    return text.content


def _open_whole(path: Path, options: EngineOptions, bound: DurationBound) -> OnnxModel:
    """With the duration guard if it can be added; if not, only what it has spoken can be measured."""
    try:
        graph = PiperGraph(path)
        graph.limit_frames(bound.max_frames)
        # On one core it would occupy that for long.
        return open_models(path, replace(options, has_cores=always), [graph.extract_whole()])[0]
    except Exception as error:  # noqa: BLE001  # as above
        _LOGGER.debug("%s runs as it is: %s", path.name, error)
    return open_model(path, options)


class WholeModel:
    """A model that cannot be cut: one step a sentence."""

    def __init__(self, model: OnnxModel, bound: DurationBound) -> None:
        self._model = model
        self._bound = bound
        self.tells_durations = DURATIONS in [output.name for output in model.get_outputs()]
        self.inputs = _public_inputs(model)
        self.shares_cores = False
        """A whole sentence on a single core would occupy it for long."""

    def __repr__(self) -> str:
        return repr(self._model)

    def speak(
        self,
        feeds: Mapping[str, Any],
        *,
        speed: float = 1.0,
        low_latency: bool = True,
        tell: TellSamples | None = None,
    ) -> Iterator[Samples]:
        """As `PiperModel.speak`, in one step, whatever the latency."""
        del low_latency
        results = self._model.run(None, _at_speed(self._model, feeds, speed))
        samples: Samples = results[0].reshape(-1)
        ids = feeds["input"].shape[-1]
        frames = float(results[1]) if self.tells_durations else len(samples) / self._bound.hop
        self._bound.check(frames, ids)
        if tell and self.tells_durations:
            _tell_samples(tell, results[2], ids, len(samples))
        del results
        try:
            yield samples
        finally:
            if self._bound.is_large(frames):
                del samples
                return_freed_memory()

    def close(self) -> None:
        """Free its memory."""
        self._model.close()


class CutModel:
    """A model in parts: a step for the text, then one for each chunk of audio."""

    def __init__(
        self, text: OnnxModel, parts: Sequence[OnnxModel], cut: GraphCut, bound: DurationBound
    ) -> None:
        self.inputs = _public_inputs(text)
        self._bound = bound
        self.shares_cores = text.shares_cores
        self._text = text
        self._outputs = [output.name for output in text.get_outputs()]
        self.tells_durations = DURATIONS in self._outputs
        self._stages = [
            ModelStage(model, part, _FLOW_AHEAD if part is cut.flow else 0)
            for model, part in zip(parts, cut.parts, strict=True)
        ]
        self._first_chunk = max(1, round(_FIRST_SECONDS * bound.sample_rate / bound.hop))

    def __repr__(self) -> str:
        return f"{self._text!r} in {1 + len(self._stages)} parts"

    def speak(
        self,
        feeds: Mapping[str, Any],
        *,
        speed: float = 1.0,
        low_latency: bool = True,
        tell: TellSamples | None = None,
    ) -> Iterator[Samples]:
        """As `PiperModel.speak`; the first step, for the text, yields no samples."""
        # Decided once: the chunks of a sentence do not depend on the load while it is spoken.
        is_crowded = not self._text.has_cores()
        doublings = min(self._doublings(), _CROWDED_MAX_DOUBLINGS if is_crowded else _MAX_DOUBLINGS)
        larger = min(self._first_doublings(low_latency=low_latency, is_crowded=is_crowded), doublings)
        sentence = self._encode(_at_speed(self._text, feeds, speed), tell)
        yield NO_SAMPLES
        first = self._first_chunk << larger
        try:
            for end in chunk_ends(
                sentence.frames, first, doublings - larger, twice=low_latency and is_crowded
            ):
                yield sentence.result(end).reshape(-1)
        finally:
            if self._bound.is_large(sentence.frames):
                del sentence
                return_freed_memory()

    def _encode(self, feeds: Mapping[str, Any], tell: TellSamples | None) -> ChunkedInference:
        encoded = dict(zip(self._outputs, self._text.run(self._outputs, feeds), strict=True))
        told, durations = encoded.pop(FRAMES, None), encoded.pop(DURATIONS, None)
        sentence = ChunkedInference(self._stages, {**feeds, **encoded})
        ids = feeds["input"].shape[-1]
        self._bound.check(sentence.frames if told is None else float(told), ids)
        if tell and self.tells_durations:
            _tell_samples(tell, durations, ids, sentence.frames * self._bound.hop)
        return sentence

    def close(self) -> None:
        """Free its memory."""
        self._text.close()
        for stage in self._stages:
            stage.close()

    @staticmethod
    def _first_doublings(*, low_latency: bool, is_crowded: bool) -> int:
        if not low_latency:
            return _LATER_DOUBLINGS
        return _CROWDED_DOUBLINGS if is_crowded else 0

    def _doublings(self) -> int:
        """How often chunks may double.

        A power of two, by the mean of all measurements, so that it is the same after each start: the
        boundaries of chunks affect the last bits of the samples.
        """
        if self._step_seconds(1) == float("inf"):
            return _UNMEASURED_DOUBLINGS
        fitting = (
            doublings
            for doublings in range(_MAX_DOUBLINGS, 0, -1)
            if self._step_seconds(self._first_chunk << doublings) <= _STEP_SECONDS
        )
        return next(fitting, 0)

    def _step_seconds(self, frames: int) -> float:
        seconds, length = 0.0, frames
        for stage in self._stages:
            seconds += stage.seconds(length)
            length *= stage.part.hop
        return seconds
