"""Chunked inference: the parts of a model that are local in time, run one behind the other on stretches.

Each part keeps as much of what it was given as the next stretch needs, and asks the part before for the rest.
What comes out is what the parts would make of the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.onnx import OnnxModel
from wyoming_tts.engines.onnx_graph.local_part import LocalPart
from wyoming_tts.engines.onnx_graph.receptive_field import TimeAxis
from wyoming_tts.errors import EngineFailed
from wyoming_tts.messages import Message

Clock = Callable[[], float]

Values = npt.NDArray[np.float32]


class ModelStage:
    """A part of the model after a cut, with a measurement of its speed."""

    def __init__(
        self, model: OnnxModel, part: LocalPart, ahead: int = 0, clock: Clock = time.thread_time
    ) -> None:
        """Take the part and the model that runs it.

        Args:
            model: the part as a model of its own.
            part: its place in the graph.
            ahead: how many chunks it runs ahead of the one that needs it.
            clock: CPU time of the thread, so that the speed measured does not depend on the load.
        """
        self.part = part
        self.ahead = ahead
        self._model = model
        self._clock = clock
        # Seconds and frames: on one core, and on all.
        self._measured = [[0.0, 0], [0.0, 0]]

    def run(self, feeds: Mapping[str, Values]) -> Values:
        """Run it on a stretch of its source.

        Raises:
            EngineFailed: the model failed, or returned a wrong number of values.
        """
        length = feeds[self.part.source].shape[-1]
        measured = self._measured[self._model.has_cores()]
        started = self._clock()
        result: Values = self._model.run(None, feeds)[0]
        measured[0] += self._clock() - started
        measured[1] += length
        expected = self.part.axis.length(length)
        if result.shape[-1] != expected:
            got = result.shape[-1]
            raise EngineFailed(
                Message(
                    "model_values",
                    "The model produced {got} values for {length}, expected {expected}.",
                    got=got,
                    length=length,
                    expected=expected,
                )
            )
        return result

    def seconds(self, length: int) -> float:
        """Estimated seconds for a stretch of its source, edges included.

        By the mean of all runs on all cores, or on one if there were none; infinite before the first run.
        """
        seconds, measured = self._measured[True] if self._measured[True][1] else self._measured[False]
        if not measured:
            return float("inf")
        return (self.part.left + length * (1 + self.ahead) + self.part.right) * seconds / measured

    def close(self) -> None:
        """Free its memory."""
        self._model.close()


class ChunkedInference:
    """A sentence on its way through all parts, from frames to samples."""

    def __init__(self, stages: Sequence[ModelStage], values: Mapping[str, Values], *, start: int = 0) -> None:
        """Take what the parts are given.

        Args:
            stages: the parts, each working on the result of the one before.
            values: the first part's source, and all other inputs of the parts, for the whole sentence.
            start: frame to begin at; what is before is only computed as far as others depend on it.
        """
        self.frames: int = values[stages[0].part.source].shape[-1]
        """Frames of the sentence."""
        self._done = start
        self._is_first = True
        first, *further = zip(stages, _begins(stages, start), strict=True)
        self._last = _StageProgress(first[0], values, None, first[1])
        for stage, begin in further:
            self._last = _StageProgress(stage, values, self._last, begin)
        # Values of the last part's source for a frame.
        self._rate = prod(stage.part.hop for stage in stages[:-1])

    def result(self, end: int) -> Values:
        """The last part's result for the frames up to `end`, from where the last call ended."""
        chunk = 0 if self._is_first else end - self._done
        self._is_first = False
        self._done = end
        return self._last.result(end * self._rate, chunk)


def _begins(stages: Sequence[ModelStage], start: int) -> Sequence[int]:
    """Where each part has to begin in its source, for the last one to begin at a frame."""
    begins = [start * prod(stage.part.hop for stage in stages[:-1])]
    for before, stage in zip(stages[-2::-1], stages[:0:-1], strict=True):
        begins.append(max(0, begins[-1] - stage.part.left) // before.part.hop)
    return begins[::-1]


class _StageProgress:
    """Progress of one part through a sentence; it pulls its source from the part before."""

    def __init__(
        self, stage: ModelStage, values: Mapping[str, Values], before: _StageProgress | None, begin: int
    ) -> None:
        self.stage = stage
        self._values = values
        self._before = before
        part = stage.part
        self.begin = begin
        self._done = begin
        if before is None:
            self._source = values[part.source]
            self.length: int = self._source.shape[-1]
            self._kept_from = 0
        else:
            self._source = np.zeros((1, 0, 0), np.float32)
            self.length = before.length * before.stage.part.hop
            self._kept_from = before.begin * before.stage.part.hop

    def result(self, end: int, chunk: int) -> Values:
        """The result for the source up to `end`, from where the last call ended.

        Args:
            end: at most `length`.
            chunk: frames of the chunk; 0 for the first, before which nothing runs ahead.
        """
        part = self.stage.part
        low, high = max(0, self._done - part.left), min(self.length, end + part.right)
        self._fetch(high, chunk)
        feeds = {name: self._values[name] for name in part.static_inputs}
        feeds |= {name: self._along(name, axis, low, high) for name, axis in part.time_inputs.items()}
        feeds[part.source] = self._source[..., low - self._kept_from : high - self._kept_from]
        result = self.stage.run(feeds)
        extra = part.axis.extra if end == self.length else 0
        piece = result[..., (self._done - low) * part.hop : (end - low) * part.hop + extra]
        self._done = end
        return piece

    def _along(self, name: str, axis: TimeAxis, low: int, high: int) -> Values:
        value = self._values[name]
        is_along = value.shape[-1:] == (axis.length(self.length),)
        return value[..., axis.rate * low : axis.length(high)] if is_along else value

    def _fetch(self, needed: int, chunk: int) -> None:
        """Run the part before until enough of the source is there."""
        available = self._kept_from + self._source.shape[-1]
        before = self._before
        if before is None or needed <= available:
            return
        end = -(-needed // before.stage.part.hop) + before.stage.ahead * chunk
        if before.length - end <= before.stage.ahead * before.stage.part.right:
            end = before.length  # the rest costs less than the edges of another run
        end = min(end, before.length)
        new = before.result(end, chunk)
        kept = self._source[..., max(0, self._done - self.stage.part.left) - self._kept_from :]
        self._kept_from = available - kept.shape[-1]
        self._source = np.concatenate([kept, new], axis=-1) if kept.shape[-1] else new


def chunk_ends(frames: int, first: int, doublings: int, *, twice: bool = False) -> Iterator[int]:
    """Cut a number of frames into chunks that double up to `first << doublings`.

    Args:
        frames: their number.
        first: frames of the first chunk.
        doublings: how often chunks double.
        twice: whether the second chunk is as small as the first.

    Yields:
        The end of each chunk; a rest of less than half a first chunk is added to the chunk before it.
    """
    end, size = 0, first
    while end < frames:
        end += size
        if (frames - end) * 2 < first:
            end = frames
        yield end
        size = first if twice and end == first else min(2 * size, first << doublings)
