"""Buffer between audio of any length and a codec that takes frames of one."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Samples: TypeAlias = npt.NDArray[np.int16]


class FrameBuffer:
    """Cuts samples into frames, and keeps what does not fill one."""

    def __init__(self, frame: int) -> None:
        """Make frames of so many samples."""
        self._frame = frame
        self._rest = np.zeros(0, np.int16)

    def __len__(self) -> int:
        """The samples that are kept, fewer than a frame."""
        return len(self._rest)

    def cut(self, samples: _Samples) -> list[_Samples]:
        """Return the frames that are full with these samples."""
        samples = np.concatenate([self._rest, samples])
        full = len(samples) // self._frame * self._frame
        self._rest = samples[full:]
        return [samples[start : start + self._frame] for start in range(0, full, self._frame)]

    def take_rest(self) -> _Samples:
        """Return what fills no frame."""
        rest, self._rest = self._rest, np.zeros(0, np.int16)
        return rest
