"""Client of the phonemizer processes, where a text that kills espeak-ng kills nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from typing import Any

from wyoming_tts.engines.child.process import ChildProcess
from wyoming_tts.errors import EngineFailed
from wyoming_tts.messages import Message

_PROCESS_MODULE = "wyoming_tts.engines.phonemizer.process"


class _PhonemizerProcess:
    """A process for one voice of espeak-ng; it starts in the background, in 50 ms, with 15 MB."""

    def __init__(self, package: str, voice: str, **settings: Any) -> None:
        self._child = ChildProcess(
            f"espeak-ng for {voice!r} ({package})",
            _PROCESS_MODULE,
            package,
            json.dumps({"voice": voice, **settings}),
            hint=Message(
                "name_espeak_voice",
                "Name a voice that espeak-ng has, or install the package {package} again.",
                package=package,
            ),
        )

    def wait_ready(self) -> None:
        """Wait until it has started.

        Raises:
            VoiceUnavailable: it does not start, or does not know the voice.
        """
        self._child.greeting()

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def _request(self, text: str) -> Any:
        answer = json.loads(self._child.request(text.encode()))
        if "error" in answer:
            raise EngineFailed(
                Message("espeak_failed", "espeak-ng failed on the text: {reason}", reason=answer["error"])
            )
        return answer["phonemes"]


class PiperPhonemizerProcess(_PhonemizerProcess):
    """`piper.phonemize_espeak.EspeakPhonemizer` for one voice, for any number of threads."""

    def __init__(self, voice: str, vowel_clusters: Collection[Sequence[str]] | None) -> None:
        """Start it, as `ChildProcess` does.

        Args:
            voice: espeak-ng's name of it.
            vowel_clusters: sequences of vowels that are one phoneme.
        """
        super().__init__("piper", voice, vowel_clusters=list(vowel_clusters or ()))

    def phonemize(self, voice: str, text: str, vowel_clusters: object = None) -> list[list[str]]:
        """Return the phonemes of each sentence.

        It has the signature of the package's method; `voice` and `vowel_clusters` are those it was made with.

        Raises:
            EngineFailed: espeak-ng crashed on the text.
        """
        del voice, vowel_clusters
        sentences: list[list[str]] = self._request(text)
        return sentences

    def phonemize_each(self, texts: Sequence[str]) -> list[str]:
        """Return the phonemes of each of some short texts, which are on one line.

        Raises:
            EngineFailed: espeak-ng crashed on the text.
        """
        if not texts:
            return []
        # A paragraph is a sentence at least: each of its own would cost as much as all of them.
        sentences: list[list[str]] = self._request("\n\n".join(texts))
        if len(sentences) == len(texts):
            return ["".join(phonemes) for phonemes in sentences]
        if len(texts) == 1:
            return [" ".join("".join(phonemes) for phonemes in sentences)]
        half = len(texts) // 2
        return self.phonemize_each(texts[:half]) + self.phonemize_each(texts[half:])


class KokoroPhonemizerProcess(_PhonemizerProcess):
    """phonemizer's espeak backend for one language, set up as Kokoro needs it, for any number of threads."""

    def __init__(self, language: str) -> None:
        """Start it, as `ChildProcess` does, with the library that kokoro_onnx would take.

        Args:
            language: espeak-ng's name of its voice.
        """
        import espeakng_loader  # noqa: PLC0415  # heavy

        library = os.environ.get("PHONEMIZER_ESPEAK_LIBRARY") or espeakng_loader.get_library_path()
        super().__init__("phonemizer", language, library=library, data=espeakng_loader.get_data_path())

    def phonemes(self, text: str) -> str:
        """Return the text's phonemes and punctuation.

        Raises:
            EngineFailed: espeak-ng crashed on the text.
        """
        phonemes: str = self._request(text)
        return phonemes
