"""Statistics of voices over a restart: a file for each voice of each model in the state directory.

A file is found by the contents of the model and of the voice's style table, not by their names: another model
under the same name has none. One that is damaged is ignored, and replaced once the voice is calibrated anew.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.engines.kokoro.statistics import VoiceStatistics
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.speech import Samples

_LOGGER = logging.getLogger(__name__)

_VERSION: Final = 2
"""Of what the files hold; part of their names."""
_MAX_FILES: Final = 64
"""Files of 1.2 to 1.8 MB each; the oldest are removed."""
_MAX_BYTES: Final = 4_000_000
_MAX_IN_MEMORY: Final = 32


class StatisticsStore:
    """The statistics of all voices of one model."""

    def __init__(self, directory: Path | None, model_digest: str, channels: int) -> None:
        """Begin with nothing in memory.

        Args:
            directory: of the files, made when it is needed; None: nothing is kept.
            model_digest: of the model's file.
            channels: as for `VoiceStatistics`.
        """
        self._directory = directory
        self._model_digest = model_digest
        self._channels = channels
        self._known: dict[str, VoiceStatistics] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<StatisticsStore of {len(self._known)} voices>"

    def of(self, table: Samples) -> VoiceStatistics:
        """The statistics of the voice with a style table; new ones if there are none yet. May read a file."""
        key = self._key(table)
        with self._lock:
            if key not in self._known:
                while len(self._known) >= _MAX_IN_MEMORY:
                    del self._known[next(iter(self._known))]
                self._known[key] = self._read(key) or VoiceStatistics(self._channels)
            return self._known[key]

    def save(self, table: Samples, statistics: VoiceStatistics) -> None:
        """Write the statistics of a voice to its file; where it cannot be written, they stay in memory.

        They are given, because those in memory may have been dropped for other voices' meanwhile.
        """
        if self._directory is None:
            return
        try:
            replace_file(self._path(self._directory, self._key(table)), statistics.to_bytes())
            self._remove_oldest(self._directory)
        except OSError as error:
            _LOGGER.info("The calibration of a voice is kept in memory only: %s", error)

    def _key(self, table: Samples) -> str:
        digest = hashlib.sha256(f"{_VERSION} {self._model_digest} ".encode())
        digest.update(table.tobytes())
        return digest.hexdigest()[:32]

    @staticmethod
    def _path(directory: Path, key: str) -> Path:
        return directory / f"{key}.npz"

    def _read(self, key: str) -> VoiceStatistics | None:
        if self._directory is None:
            return None
        path = self._path(self._directory, key)
        try:
            return VoiceStatistics.from_bytes(read_regular_file(path, _MAX_BYTES), self._channels)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _LOGGER.warning("A voice is calibrated anew: %s: %s", path, error)
            return None

    @staticmethod
    def _remove_oldest(directory: Path) -> None:
        files = sorted(directory.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for path in files[: max(0, len(files) - _MAX_FILES)]:
            with suppress(OSError):
                path.unlink()
