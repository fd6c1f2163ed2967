"""A Piper voice's model in memory: run in parts where its graph can be cut, and whole where not.

Only the first part, the text encoder, sees a whole sentence. What it makes, the frames, goes through
the flow and the decoder in chunks: a small one, so that the first sound is there early, then each
twice as long as the one before, because what is computed only for a chunk's edges weighs the less
the longer it is. A slow machine keeps to small chunks, so that no single step takes long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.onnx import NO_SAMPLES, OnnxModel, open_model, open_models, return_freed_memory
from wyoming_tts.engines.piper.graph import GraphCut, GraphPart, PiperGraph
from wyoming_tts.errors import EngineFailed
from wyoming_tts.speech import Samples

_LOGGER = logging.getLogger(__name__)

_FIRST_SECONDS = 0.25
"""Audio of the first chunk: half as much would come no more than a tenth earlier, because by then
most of the time went into the text."""

_MAX_DOUBLINGS = 3
"""Chunks grow to 2 seconds. There the edges cost a twentieth of the work; longer ones save less than
half of that, and hold up other listeners for longer."""

_LATER_DOUBLINGS = 2
"""How much larger the first chunk is where the listener has something to hear already: a second."""

_CROWDED_DOUBLINGS = 1
"""The same where others want to compute too: with half a second to hear, a listener need not come back
before the others have heard something: of eight the last one hears a third sooner. The second chunk is
as small, because a whole second is not always made by the time that the half has been heard."""

_CROWDED_MAX_DOUBLINGS = 2
"""Chunks grow to one second there: as many are computed at the same time as there are cores, so that they
take no more memory together than one of two seconds."""

_STEP_SECONDS = 0.2
"""How long a step may take, as far as the size of its chunk decides it: what a new listener waits
for at worst. In less a "high" voice on two cores would be held to the smallest chunks, of which a
quarter of the work goes into the edges."""

_UNMEASURED_DOUBLINGS = 1
"""How far chunks grow while a voice speaks for the first time, before its speed is known."""

_FLOW_AHEAD = 2
"""The flow runs for the next chunk too, which is at most this many times as long: its edges are
wide (64 frames of a stock voice), its frames cheap."""

Clock = Callable[[], float]

Values = npt.NDArray[np.float32]


class PiperModel(Protocol):
    """What a voice needs of its model."""

    inputs: Mapping[str, str]
    """The type of each input by name."""

    @property
    def shares_cores(self) -> bool:
        """Whether its steps can run beside others, on one core."""
        ...

    def speak(self, feeds: Mapping[str, Any], *, soon: bool = True) -> Iterator[Samples]:
        """Run the model in steps; what each yields is the next of its sound.

        With `soon` the first sound comes as early as it can, at the price of more work for its edges.

        Raises:
            EngineFailed: it failed, or made numbers that are not finite.
        """
        ...

    def close(self) -> None:
        """Free its memory."""
        ...


def open_piper_model(path: Path, options: EngineOptions, sample_rate: int) -> PiperModel:
    """Read a voice's model into memory, in parts if it can be cut, with a line in the log if not.

    Raises:
        VoiceUnavailable: the file is gone, damaged, or no model that onnxruntime can run.
    """
    try:
        return _open_parts(path, options, sample_rate)
    except Exception as error:  # noqa: BLE001  # whatever a graph is like: if it runs, it runs whole
        reason = str(error) or type(error).__name__
    return_freed_memory()
    whole = WholeModel(open_model(path, options))
    _LOGGER.info("%s runs whole, a sentence is heard once all of it is computed: %s", path.name, reason)
    return whole


def _open_parts(path: Path, options: EngineOptions, sample_rate: int) -> CutModel:
    graph = PiperGraph(path)
    cut = graph.cut()
    text, *parts = open_models(path, options, _contents(graph, cut))
    del graph
    return_freed_memory()
    if cut.flow is None:
        _LOGGER.info("%s speaks in chunks, but its flow runs whole: %s", path.name, cut.why_no_flow)
    return CutModel(text, parts, cut, sample_rate)


def _contents(graph: PiperGraph, cut: GraphCut) -> Iterator[bytes]:
    yield graph.text(cut)
    for part in cut.parts:
        yield graph.part(part)


class WholeModel:
    """A model that cannot be cut: one step a sentence."""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self.inputs = model.inputs
        self.shares_cores = False
        """A whole sentence on one core would keep that from others for long."""

    def __repr__(self) -> str:
        return repr(self._model)

    def speak(self, feeds: Mapping[str, Any], *, soon: bool = True) -> Iterator[Samples]:
        """As `PiperModel.speak`, in one step: it has no way to be sooner."""
        del soon
        yield self._model.run(None, feeds)[0].reshape(-1)

    def close(self) -> None:
        """Free its memory."""
        self._model.close()


class ModelStage:
    """A part behind a cut in memory, and how fast it is."""

    def __init__(
        self, model: OnnxModel, part: GraphPart, ahead: int = 0, clock: Clock = time.thread_time
    ) -> None:
        """Take the part and what runs it.

        Args:
            model: the part as a model.
            part: what it is.
            ahead: how many times a chunk it is run further than that chunk needs.
            clock: the thread's own time, so that the speed is the machine's and not that of its load.
        """
        self.part = part
        self.ahead = ahead
        self._model = model
        self._clock = clock
        # In seconds and frames: on one core, and on all.
        self._measured = [[0.0, 0], [0.0, 0]]

    def run(self, feeds: Mapping[str, Values]) -> Values:
        """Run it on a stretch of its source.

        Raises:
            EngineFailed: the model failed, or made another number of values.
        """
        length = feeds[self.part.source].shape[-1]
        measured = self._measured[self._model.has_cores()]
        started = self._clock()
        result: Values = self._model.run(None, feeds)[0]
        measured[0] += self._clock() - started
        measured[1] += length
        if result.shape[-1] != length * self.part.hop:
            made = result.shape[-1]
            raise EngineFailed(f"The model made {made} values of {length}, not {self.part.hop} of each.")
        return result

    def seconds(self, length: int) -> float:
        """How long it takes for a stretch of its source, and what that needs on both sides.

        By the mean of all runs with all cores, if there were any; without end before the first.
        """
        seconds, measured = self._measured[True] if self._measured[True][1] else self._measured[False]
        if not measured:
            return float("inf")
        return (self.part.left + length * (1 + self.ahead) + self.part.right) * seconds / measured

    def close(self) -> None:
        """Free its memory."""
        self._model.close()


class CutModel:
    """A model in parts: a step for the text, then one for each chunk of its sound."""

    def __init__(self, text: OnnxModel, parts: Sequence[OnnxModel], cut: GraphCut, sample_rate: int) -> None:
        self.inputs = text.inputs
        self.shares_cores = text.shares_cores
        self._text = text
        self._outputs = [output.name for output in text.get_outputs()]
        self._stages = [
            ModelStage(model, part, _FLOW_AHEAD if part is cut.flow else 0)
            for model, part in zip(parts, cut.parts, strict=True)
        ]
        self._first_chunk = max(1, round(_FIRST_SECONDS * sample_rate / cut.hop))

    def __repr__(self) -> str:
        return f"{self._text!r} in {1 + len(self._stages)} parts"

    def speak(self, feeds: Mapping[str, Any], *, soon: bool = True) -> Iterator[Samples]:
        """As `PiperModel.speak`; the first step, for the text, makes no sound."""
        # Decided once, so that the chunks of a sentence do not depend on the moment.
        is_crowded = not self._text.has_cores()
        doublings = min(self._doublings(), _CROWDED_MAX_DOUBLINGS if is_crowded else _MAX_DOUBLINGS)
        larger = min(self._first_doublings(soon=soon, is_crowded=is_crowded), doublings)
        made = self._text.run(self._outputs, feeds)
        sentence = Sentence(self._stages, {**feeds, **dict(zip(self._outputs, made, strict=True))})
        yield NO_SAMPLES
        first = self._first_chunk << larger
        for end in chunk_ends(sentence.frames, first, doublings - larger, twice=soon and is_crowded):
            yield sentence.samples(end)

    def close(self) -> None:
        """Free its memory."""
        self._text.close()
        for stage in self._stages:
            stage.close()

    @staticmethod
    def _first_doublings(*, soon: bool, is_crowded: bool) -> int:
        if not soon:
            return _LATER_DOUBLINGS
        return _CROWDED_DOUBLINGS if is_crowded else 0

    def _doublings(self) -> int:
        """How far chunks may grow.

        In powers of two and by the mean of all that was ever measured, so that it is the same after
        each start: where chunks meet decides the last bits of the samples.
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


class Sentence:
    """The frames of a sentence on their way through the parts, from the first to the last."""

    def __init__(self, stages: Sequence[ModelStage], values: Mapping[str, Values]) -> None:
        """Take what the text gave.

        Args:
            stages: the parts, each working on the result of the one before.
            values: what the first works on, and all that they take besides, for the whole sentence.
        """
        self.frames: int = values[stages[0].part.source].shape[-1]
        """How many there are."""
        self._done = 0
        first, *further = stages
        self._last = _Work(first, values, None)
        for stage in further:
            self._last = _Work(stage, values, self._last)
        # How far the last part's source runs ahead of the frames.
        self._rate = prod(stage.part.hop for stage in stages[:-1])

    def samples(self, end: int) -> Samples:
        """The sound of the frames up to `end`, from where the last piece ended."""
        chunk = end - self._done if self._done else 0
        self._done = end
        return self._last.result(end * self._rate, chunk).reshape(-1)


class _Work:
    """What one part has done of a sentence, and what it needs of the part before to go on."""

    def __init__(self, stage: ModelStage, values: Mapping[str, Values], before: _Work | None) -> None:
        self.stage = stage
        self._values = values
        self._before = before
        part = stage.part
        if before is None:
            self._source = values[part.source]
            self.length: int = self._source.shape[-1]
        else:
            self._source = np.zeros((1, 0, 0), np.float32)
            self.length = before.length * before.stage.part.hop
        self._kept_from = 0
        self._done = 0

    def result(self, end: int, chunk: int) -> Values:
        """The result for the source up to `end`, from where the last piece ended.

        Args:
            end: at most `length`.
            chunk: frames of the chunk it is for, 0 if that is the first: nothing is run ahead of it.
        """
        part = self.stage.part
        low, high = max(0, self._done - part.left), min(self.length, end + part.right)
        self._fetch(high, chunk)
        feeds = {name: self._values[name] for name in part.still}
        feeds |= {name: self._along(name, low, high) for name in part.framed}
        feeds[part.source] = self._source[..., low - self._kept_from : high - self._kept_from]
        made = self.stage.run(feeds)
        piece = made[..., (self._done - low) * part.hop : (end - low) * part.hop]
        self._done = end
        return piece

    def _along(self, name: str, low: int, high: int) -> Values:
        value = self._values[name]
        return value[..., low:high] if value.shape[-1:] == (self.length,) else value

    def _fetch(self, needed: int, chunk: int) -> None:
        """Have the part before go on until there is enough of the source."""
        there = self._kept_from + self._source.shape[-1]
        before = self._before
        if before is None or needed <= there:
            return
        end = -(-needed // before.stage.part.hop) + before.stage.ahead * chunk
        if before.length - end <= before.stage.ahead * before.stage.part.right:
            end = before.length  # its edges would cost more than it does
        end = min(end, before.length)
        new = before.result(end, chunk)
        kept = self._source[..., max(0, self._done - self.stage.part.left) - self._kept_from :]
        self._kept_from = there - kept.shape[-1]
        self._source = np.concatenate([kept, new], axis=-1) if kept.shape[-1] else new


def chunk_ends(frames: int, first: int, doublings: int, *, twice: bool = False) -> Iterator[int]:
    """Cut a number of frames into chunks that double up to `first << doublings`.

    Args:
        frames: how many there are.
        first: how many go into the first chunk.
        doublings: how often they double.
        twice: have the second chunk as small as the first.

    Yields:
        The frame behind the last of each; a rest of less than half a first chunk goes with the chunk
        before it.
    """
    end, size = 0, first
    while end < frames:
        end += size
        if (frames - end) * 2 < first:
            end = frames
        yield end
        size = first if twice and end == first else min(2 * size, first << doublings)
