"""Results of the comparison of a model in parts with its graph, over a restart.

The comparison takes longer than all else of a load, and comes out the same as long as the model's file, this
code, onnxruntime and the processor are the same. These are what a result is found by; one that is damaged is
none.
"""

from __future__ import annotations

import hashlib
import logging
import math
import platform
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.regular_files import read_regular_file

_LOGGER = logging.getLogger(__name__)

_CODE: Final = ("wyoming_tts.engines.kokoro", "wyoming_tts.engines.onnx_graph")
"""The packages that rewrite a graph, run it and compare."""
_SUFFIX: Final = ".checked"
_MAX_FILES: Final = 32
"""Each update makes new ones; the oldest are removed."""
_MAX_BYTES: Final = 1000


class CheckResults:
    """The result of one model: that its parts are right, and what its inverse transform is scaled by."""

    def __init__(self, directory: Path | None, model_digest: str) -> None:
        """Read nothing yet.

        Args:
            directory: of the files, made when it is needed; None: nothing is kept.
            model_digest: of the model's file.
        """
        import onnxruntime  # noqa: PLC0415  # heavy: only once there is a model to load

        known = (model_digest, _code(), onnxruntime.__version__, np.__version__, _processor())
        self._directory = directory
        self._key = _sha256(*known)

    def read(self) -> float | None:
        """The scale of a model that was found right; None if it has to be checked."""
        if self._directory is None:
            return None
        try:
            content = read_regular_file(self._path(self._directory), _MAX_BYTES)
            scale, digest = content.decode("ascii").split()
            value = float(scale)
        except (OSError, ValueError):
            return None
        return value if digest == _sha256(self._key, scale) and math.isfinite(value) else None

    def save(self, scale: float) -> None:
        """Write that the model was found right; where it cannot be written, it is checked at each load."""
        if self._directory is None:
            return
        content = f"{scale!r} {_sha256(self._key, repr(scale))}\n"
        try:
            replace_file(self._path(self._directory), content.encode())
            self._remove_oldest(self._directory)
        except OSError as error:
            _LOGGER.info("The check of a Kokoro model is repeated at its next load: %s", error)

    def _path(self, directory: Path) -> Path:
        return directory / f"{self._key[:32]}{_SUFFIX}"

    @staticmethod
    def _remove_oldest(directory: Path) -> None:
        files = sorted(directory.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for path in files[: max(0, len(files) - _MAX_FILES)]:
            with suppress(OSError):
                path.unlink()


def _code() -> str:
    """Digest of the code that a result is of."""
    modules = [
        module for package in _CODE for module in files(package).iterdir() if module.name.endswith(".py")
    ]
    return _sha256(*(module.read_text("utf-8") for module in sorted(modules, key=lambda module: module.name)))


def _processor() -> str:
    """What onnxruntime chooses its kernels by: the architecture, and Linux's list of instruction sets."""
    features = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {features}"


def _sha256(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
