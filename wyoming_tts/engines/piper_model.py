"""A Piper voice's model in memory: run in parts where its graph can be cut, and whole where not.

Only the first part, the text encoder, sees a whole sentence. What it makes, the frames, goes through
the flow and the decoder in chunks: a small one, so that the first sound is there early, then each
twice as long as the one before, because what is computed only for a chunk's edges weighs the less
the longer it is. A slow machine keeps to small chunks, so that no single step takes long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.neural import NO_SAMPLES, Model, open_model, open_models, return_freed_memory
from wyoming_tts.engines.piper_graph import Cut, Part, PiperGraph
from wyoming_tts.errors import EngineFailed
from wyoming_tts.speech import Samples

_LOGGER = logging.getLogger(__name__)

_FIRST_SECONDS = 0.25
"""Audio of the first chunk: half as much would cost two thirds as much, most of it for the edges."""

_MAX_DOUBLINGS = 3
"""Chunks grow to 2 seconds: there the edges of a medium voice cost a seventh, and twice the length
would save half of that for steps that hold up other listeners twice as long."""

_STEP_SECONDS = 0.25
"""How long a step may take, as far as the size of its chunk decides it: what a new listener waits
for at worst. With less, a slow voice on two cores would be held to the smallest chunks, of which
more than half of the work goes into edges; then it could serve half as many listeners."""

_UNMEASURED_DOUBLINGS = 1
"""How far chunks grow while a voice speaks for the first time, before its speed is known."""

_FLOW_AHEAD = 2
"""The flow runs for the next chunk too, which is at most this many times as long: its edges are
wide (64 frames of a stock voice), its frames cheap."""

Clock = Callable[[], float]

_Values = dict[str, npt.NDArray[Any]]


class PiperModel(Protocol):
    """What a voice needs of its model."""

    inputs: Mapping[str, str]
    """The type of each input by name."""

    def speak(self, feeds: Mapping[str, Any]) -> Iterator[Samples]:
        """Run the model in steps; what each yields is the next of its sound.

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
    first, *later = open_models(path, options, _contents(graph, cut))
    del graph
    return_freed_memory()
    if cut.flow is None:
        _LOGGER.info("%s runs in two parts, not three: %s", path.name, cut.why_no_flow)
    return CutModel(first, cut, later, sample_rate)


def _contents(graph: PiperGraph, cut: Cut) -> Iterator[bytes]:
    yield graph.first(cut)
    for part in filter(None, (cut.flow, cut.decoder)):
        yield graph.later(part)


class WholeModel:
    """A model that cannot be cut: one step a sentence."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.inputs = model.inputs

    def __repr__(self) -> str:
        return repr(self._model)

    def speak(self, feeds: Mapping[str, Any]) -> Iterator[Samples]:
        """As `PiperModel.speak`, in one step."""
        yield self._model.run(None, feeds)[0].reshape(-1)

    def close(self) -> None:
        """Free its memory."""
        self._model.close()


class Stage:
    """A part behind a cut, and how fast it is."""

    def __init__(self, model: Model, part: Part, clock: Clock = time.thread_time) -> None:
        """Take the part and what runs it.

        Args:
            model: the part as a model.
            part: what it is.
            clock: the thread's own time, so that the speed is the machine's and not that of its load.
        """
        self.part = part
        self._model = model
        self._clock = clock
        self._seconds_per_frame = float("inf")

    def run(self, values: Mapping[str, npt.NDArray[Any]], start: int, end: int) -> npt.NDArray[np.float32]:
        """What the part makes of the frames from `start` to `end`.

        Args:
            values: its inputs for all the frames there are; of those too far away to matter, any.
            start: first frame.
            end: the frame behind the last.

        Returns:
            Shape (..., (end - start) * hop).

        Raises:
            EngineFailed: the model failed, or made another number of samples.
        """
        part = self.part
        total = values[part.source].shape[-1]
        low, high = max(0, start - part.left), min(total, end + part.right)
        feeds = {name: values[name] for name in part.still}
        for name in part.framed | {part.source}:
            value = values[name]
            feeds[name] = value[..., low:high] if value.shape[-1:] == (total,) else value
        started = self._clock()
        result = self._model.run(None, feeds)[0]
        self._measured((self._clock() - started) / (high - low))
        if result.shape[-1] != (high - low) * part.hop:
            raise EngineFailed(f"The model made {result.shape[-1]} samples of {high - low} frames.")
        return result[..., (start - low) * part.hop : (end - low) * part.hop]  # type: ignore[no-any-return]

    def seconds(self, frames: int) -> float:
        """How long it takes for a stretch of frames; without end while nothing was measured."""
        return self._seconds_per_frame * (self.part.left + frames + self.part.right)

    def close(self) -> None:
        """Free its memory."""
        self._model.close()

    def _measured(self, seconds_per_frame: float) -> None:
        # The least: the first runs take longer, and nothing makes one shorter.
        self._seconds_per_frame = min(self._seconds_per_frame, seconds_per_frame)


class CutModel:
    """A model in parts: a step for the text, then one for each chunk of its sound."""

    def __init__(self, first: Model, cut: Cut, later: list[Model], sample_rate: int) -> None:
        self.inputs = first.inputs
        self._first = first
        self._outputs = cut.outputs
        parts = [part for part in (cut.flow, cut.decoder) if part]
        *flows, self._decoder = [Stage(model, part) for model, part in zip(later, parts, strict=True)]
        self._flow = flows[0] if flows else None
        self._first_chunk = max(1, round(_FIRST_SECONDS * sample_rate / cut.decoder.hop))

    def __repr__(self) -> str:
        return f"{self._first!r} in {3 if self._flow else 2} parts"

    def speak(self, feeds: Mapping[str, Any]) -> Iterator[Samples]:
        """As `PiperModel.speak`; the first step, for the text, makes no sound."""
        # Decided once, so that the chunks of a sentence do not depend on the moment.
        doublings = self._doublings()
        made = self._first.run(self._outputs, feeds)
        values = {**feeds, **dict(zip(self._outputs, made, strict=True))}
        frames = Frames(values, self._flow, self._decoder)
        yield NO_SAMPLES
        for start, end in chunks(frames.count, self._first_chunk, doublings):
            yield frames.samples(start, end)

    def close(self) -> None:
        """Free its memory."""
        for part in (self._first, self._flow, self._decoder):
            if part:
                part.close()

    def _doublings(self) -> int:
        """How far chunks may grow.

        In powers of two and by the best speed ever measured, so that it is the same after each
        start: where chunks meet decides the last bits of the samples.
        """
        if self._step_seconds(1) == float("inf"):
            return _UNMEASURED_DOUBLINGS
        return max(
            (
                doublings
                for doublings in range(1, _MAX_DOUBLINGS + 1)
                if self._step_seconds(self._first_chunk << doublings) <= _STEP_SECONDS
            ),
            default=0,
        )

    def _step_seconds(self, chunk: int) -> float:
        flow = self._flow.seconds(chunk + _FLOW_AHEAD * chunk) if self._flow else 0.0
        return flow + self._decoder.seconds(chunk)


class Frames:
    """The frames of a sentence on their way to sound."""

    def __init__(self, values: _Values, flow: Stage | None, decoder: Stage) -> None:
        self._values = values
        self._flow = flow
        self._decoder = decoder
        self.count: int = values[(flow or decoder).part.source].shape[-1]
        self._ready = 0 if flow else self.count

    def samples(self, start: int, end: int) -> Samples:
        """The sound of the frames from `start` to `end`, asked for in order."""
        self._prepare(min(self.count, end + self._decoder.part.right), end - start if start else 0)
        return self._decoder.run(self._values, start, end).reshape(-1)

    def _prepare(self, needed: int, chunk: int) -> None:
        """Run the flow up to the frames needed, and ahead where that is no detour to the first sound."""
        if self._flow is None or needed <= self._ready:
            return
        end = needed + _FLOW_AHEAD * chunk
        if self.count - end <= self._flow.part.right:
            end = self.count  # it would be computed now anyway, and once more later
        made = self._flow.run(self._values, self._ready, end)
        source = self._values.setdefault(
            self._decoder.part.source, np.zeros((*made.shape[:-1], self.count), np.float32)
        )
        source[..., self._ready : end] = made
        self._ready = end


def chunks(frames: int, first: int, doublings: int) -> Iterator[tuple[int, int]]:
    """Cut a number of frames into chunks that double up to `first << doublings`.

    Yields:
        First frame and the frame behind the last; a rest of less than half a first chunk goes with
        the chunk before it.
    """
    start, size = 0, first
    while start < frames:
        end = start + size
        if (frames - end) * 2 < first:
            end = frames
        yield start, end
        start, size = end, min(2 * size, first << doublings)
