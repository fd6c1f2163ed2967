"""Layout of a bucket: which objects are voice files, which belong together, and which names are refused.

Objects lie as files lie in a data directory: voices side by side, imported styles in `styles/`. A name is
taken only if it is known to be harmless, so none can leave the data directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wyoming_tts.voices.blends.store import FILE_NAME as BLENDS_FILE
from wyoming_tts.voices.styles import STYLES_DIRECTORY

LEXICON_FILE: Final = "lexicon.yaml"
SHARED_FILES: Final = (BLENDS_FILE, LEXICON_FILE)
"""What people edit on any of the servers; other files only come from the bucket."""
SUMS_FILE: Final = "SHA256SUMS"
"""As `sha256sum *` writes it. What it lists has to be as it says."""
VERSIONS_DIRECTORY: Final = "versions"
"""Of the shared files: what was replaced."""

_NAME = r"[A-Za-z0-9_][\w.+-]{0,200}"
_VOICE_FILE = re.compile(rf"{_NAME}\.(?:onnx|onnx\.json|bin)|{STYLES_DIRECTORY}/{_NAME}\.npy", re.ASCII)
_KOKORO_MODEL = "kokoro-"
"""How the names of Kokoro's models begin, which have no configuration beside them."""
_SUM = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?(.+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files that are one voice: they are brought together, or none of them."""

    names: tuple[str, ...]
    """The model last: a voice exists once its model does."""

    @property
    def main(self) -> str:
        """The model, or the only file."""
        return self.names[-1]


def is_voice_file(name: str) -> bool:
    """Whether an object of that name may become a file of the data directory."""
    return _VOICE_FILE.fullmatch(name) is not None


def group_files(names: Iterable[str]) -> tuple[tuple[FileGroup, ...], tuple[str, ...]]:
    """Group voice files into voices; also returns what is incomplete and waits for the rest."""
    present = {name for name in names if is_voice_file(name)}
    groups, waiting = [], []
    for name in sorted(present):
        config = f"{name}.json"
        if name.endswith(".onnx.json"):
            if name.removesuffix(".json") not in present:
                waiting.append(name)
        elif not name.endswith(".onnx") or name.startswith(_KOKORO_MODEL):
            groups.append(FileGroup((name,)))
        elif config in present:
            groups.append(FileGroup((config, name)))
        else:
            waiting.append(name)
    return tuple(groups), tuple(waiting)


def parse_sums(content: bytes) -> Mapping[str, str]:
    """Parse `SHA256SUMS`: digests by name.

    Raises:
        ValueError: a line is none of sha256sum's, or it is no text.
    """
    sums = {}
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{SUMS_FILE}: expected UTF-8, as sha256sum writes it") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if not (match := _SUM.fullmatch(line)):
            raise ValueError(f"{SUMS_FILE}, line {number}: expected a SHA-256 digest, two spaces and a name")
        sums[match[2]] = match[1]
    return sums
