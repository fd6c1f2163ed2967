"""Phonemes out of a process of its own, where a text that kills espeak-ng kills nothing else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from wyoming_tts.engines.child import Child
from wyoming_tts.engines.phonemizer_process import REQUEST
from wyoming_tts.errors import EngineFailed

_RUN = (
    "import sys; sys.path = sys.argv.pop(1).split('\\n'); "
    "from wyoming_tts.engines.phonemizer_process import main; main(*sys.argv[1:])"
)
_ROOT = Path(__file__).parents[2]


class _Phonemizing:
    """The process for one voice of espeak-ng; it starts in the background, in 50 ms, with 15 MB."""

    def __init__(self, package: str, voice: str, **settings: Any) -> None:
        # Installed packages alone, never what lies in the working directory.
        paths = "\n".join([*filter(os.path.isabs, sys.path), str(_ROOT)])
        self._child = Child(
            f"espeak-ng for {voice!r} ({package})",
            ("-c", _RUN, paths, package, json.dumps({"voice": voice, **settings})),
            hint=f"Name a voice that espeak-ng has, or install the package {package} again.",
        )

    def wait(self) -> None:
        """Wait until it is ready.

        Raises:
            VoiceUnavailable: it does not start, or does not know the voice.
        """
        self._child.greeting()

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def _made_of(self, text: str) -> Any:
        content = text.encode()
        answer = json.loads(self._child.ask(REQUEST.pack(len(content)) + content))
        if "error" in answer:
            raise EngineFailed(f"espeak-ng failed at the text: {answer['error']}")
        return answer["phonemes"]


class PiperPhonemizing(_Phonemizing):
    """`piper.phonemize_espeak.EspeakPhonemizer` for one voice; used by any number of threads."""

    def __init__(self, voice: str, vowel_clusters: Collection[Sequence[str]] | None) -> None:
        """Start it, as `Child` does.

        Args:
            voice: as espeak-ng calls it.
            vowel_clusters: the vowels that are one phoneme together.
        """
        super().__init__("piper", voice, vowel_clusters=list(vowel_clusters or ()))

    def phonemize(self, voice: str, text: str, vowel_clusters: object = None) -> list[list[str]]:
        """The phonemes of each sentence; `voice` and `vowel_clusters` are as it was made with.

        Raises:
            EngineFailed: espeak-ng died of the text.
        """
        del voice, vowel_clusters
        sentences: list[list[str]] = self._made_of(text)
        return sentences


class KokoroPhonemizing(_Phonemizing):
    """phonemizer's espeak backend for one language, as Kokoro needs it; used by any number of threads."""

    def __init__(self, language: str) -> None:
        """Start it, as `Child` does, with the library that kokoro_onnx would take."""
        import espeakng_loader  # noqa: PLC0415  # heavy

        library = os.environ.get("PHONEMIZER_ESPEAK_LIBRARY") or espeakng_loader.get_library_path()
        super().__init__("phonemizer", language, library=library, data=espeakng_loader.get_data_path())

    def phonemes(self, text: str) -> str:
        """The text's phonemes and marks.

        Raises:
            EngineFailed: espeak-ng died of the text.
        """
        made: str = self._made_of(text)
        return made
