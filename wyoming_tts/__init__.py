"""A local text-to-speech server that speaks while the text is still arriving.

The public face, for programs that embed it (docs/embedding.md): `open_synthesizer` makes a `Synthesizer`
from `Settings`; the values that go in and come out, and the errors, are beside it. Each name loads its
module when it is first used: every start and every health check imports this package and must not wait.
"""

import os

TYPE_CHECKING = False  # as typing's, which would be imported for this alone

if TYPE_CHECKING:
    from wyoming_tts.assembly.embedding import open_synthesizer
    from wyoming_tts.errors import (
        BadRequest,
        Busy,
        EngineFailed,
        ErrorCode,
        MalformedMarkup,
        ShuttingDown,
        SpeechError,
        TooLong,
        UnknownVoice,
        Unsupported,
        VoiceUnavailable,
    )
    from wyoming_tts.settings import Settings, SettingsError
    from wyoming_tts.speech import (
        Attribution,
        AudioChunk,
        AudioFormat,
        Prosody,
        SpokenWord,
        TextFormat,
        Utterance,
        Voice,
        VoiceRequest,
    )
    from wyoming_tts.synthesis import Explanation, SpeechStream, Synthesizer

__all__ = [
    "Attribution",
    "AudioChunk",
    "AudioFormat",
    "BadRequest",
    "Busy",
    "EngineFailed",
    "ErrorCode",
    "Explanation",
    "MalformedMarkup",
    "Prosody",
    "Settings",
    "SettingsError",
    "ShuttingDown",
    "SpeechError",
    "SpeechStream",
    "SpokenWord",
    "Synthesizer",
    "TextFormat",
    "TooLong",
    "UnknownVoice",
    "Unsupported",
    "Utterance",
    "Voice",
    "VoiceRequest",
    "VoiceUnavailable",
    "__version__",
    "open_synthesizer",
]

__version__ = "0.1.0"

# ONNX Runtime sends telemetry to Microsoft unless this is set before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_PUBLIC_MODULES = ("errors", "settings", "speech", "synthesis", "assembly.embedding")
"""Where the names of `__all__` come from, in the order in which they are searched: the lightest first."""

if not TYPE_CHECKING:  # for a type checker no other name exists

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used.

        Raises:
            AttributeError: there is no such name.
        """
        if name in __all__:
            from importlib import import_module  # noqa: PLC0415

            for module in _PUBLIC_MODULES:
                loaded = import_module(f"{__name__}.{module}")
                if hasattr(loaded, name):
                    value = globals()[name] = getattr(loaded, name)
                    return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
