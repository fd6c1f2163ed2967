"""Piper voice configuration: the validated model of the JSON file beside a voice's ONNX file.

Whatever reads such a file reads it through here, so that no number in it is used before it is known to be
sensible: a voice for a billion speakers would be listed with a billion names. The bounds leave room above
all voices of the catalogue and those that people train; fields that the server does not need are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from wyoming_tts.messages import Message
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.speech import LENGTH_SCALE_RANGE, MAX_SPEAKERS, NOISE_SCALE_RANGE, SAMPLE_RATE_RANGE

MAX_BYTES: Final = 1_000_000
"""Most bytes of the file; the largest of the catalogue, with 904 speakers, has 20,163."""

FRAMING_SYMBOLS: Final = ("^", "$", "_")
"""Begin, end and padding: the symbols that the piper package puts around and between phonemes."""

_MAX_SYMBOLS = 20_000
"""Chinese voices that were trained on characters have thousands; those of the catalogue at most 256."""
_MAX_IDS = 16
"""Ids of one phoneme: a long list for each would make millions of a sentence. Voices have one or two."""
_MAX_ID = 1_000_000
_MAX_NAME = 100
_MAX_SILENCE = 2.0
"""Seconds after a phoneme; longer ones are shortened to this."""
_SHOWN_CHARACTERS = 40


class InvalidVoiceJson(ValueError):
    """A value is missing or out of range; the message names the field and what was expected."""


class PhonemeKind(StrEnum):
    """What a voice was trained on: the piper package's `PhonemeType`, which imports onnxruntime.

    Exporters have written the member's name in place of its value: `PhonemeType.ESPEAK`.
    """

    ESPEAK = "espeak"
    TEXT = "text"
    PINYIN = "pinyin"
    HEBREW = "hebrew"
    JAPANESE = "japanese"
    THAI = "thai"

    @classmethod
    def _missing_(cls, value: object) -> PhonemeKind | None:
        name = str(value).casefold().removeprefix("phonemetype.")
        return next((kind for kind in cls if kind == name), None)


def _text_or_nothing(value: object) -> str | None:
    """Descriptions of any other type are ignored, as there are voices with a list or `null` there."""
    return value if isinstance(value, str) else None


def _language_by_fields(value: object) -> object:
    """A mapping like the catalogue's, or a bare tag; anything else says nothing."""
    if isinstance(value, str):
        return {"code": value}
    return value if isinstance(value, dict) else {}


def _silences(value: object) -> dict[str, float]:
    """Seconds by phoneme; what is no such thing is ignored, as a voice speaks well without."""
    given = value.items() if isinstance(value, Mapping) else ()
    return {
        str(phoneme): min(float(seconds), _MAX_SILENCE)
        for phoneme, seconds in given
        if type(seconds) in (int, float) and isfinite(seconds) and seconds > 0
    }


def _has_framing(symbols: dict[str, list[int]]) -> dict[str, list[int]]:
    for mark in FRAMING_SYMBOLS:
        if mark not in symbols:
            raise ValueError(f"should have {mark!r}")
    return symbols


Text: TypeAlias = Annotated[
    Annotated[str, Field(max_length=_MAX_NAME)] | None, BeforeValidator(_text_or_nothing)
]
Name: TypeAlias = Annotated[str, Field(max_length=_MAX_NAME)]
PhonemeId: TypeAlias = Annotated[StrictInt, Field(ge=0, le=_MAX_ID)]
Speaker: TypeAlias = Annotated[int, Field(ge=-_MAX_ID, le=_MAX_ID)]
Noise: TypeAlias = Annotated[
    float, Field(ge=NOISE_SCALE_RANGE[0], le=NOISE_SCALE_RANGE[1], allow_inf_nan=False)
]
Length: TypeAlias = Annotated[
    float, Field(ge=LENGTH_SCALE_RANGE[0], le=LENGTH_SCALE_RANGE[1], allow_inf_nan=False)
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Audio(_Part):
    """The field `audio`."""

    sample_rate: Annotated[StrictInt, Field(ge=SAMPLE_RATE_RANGE[0], le=SAMPLE_RATE_RANGE[1])]
    quality: Text = None


class Espeak(_Part):
    """The field `espeak`."""

    voice: Annotated[str, Field(min_length=1, max_length=_MAX_NAME)]


class Language(_Part):
    """The field `language`."""

    code: Text = None
    family: Text = None
    region: Text = None


class Inference(_Part):
    """The field `inference`; the defaults are the piper package's."""

    noise_scale: Noise = 0.667
    length_scale: Length = 1.0
    noise_w: Noise = 0.8
    phoneme_silence: Annotated[dict[str, float], BeforeValidator(_silences)] = Field(default_factory=dict)
    """Seconds of silence after each of these phonemes; the phonemes up to it are spoken by themselves."""


class VoiceJson(_Part):
    """A voice's configuration."""

    audio: Audio
    espeak: Espeak
    phoneme_id_map: Annotated[
        dict[Name, Annotated[list[PhonemeId], Field(max_length=_MAX_IDS)]],
        Field(max_length=_MAX_SYMBOLS),
        AfterValidator(_has_framing),
    ]
    num_symbols: Annotated[StrictInt, Field(ge=0, le=_MAX_ID)]
    num_speakers: Annotated[StrictInt, Field(ge=0, le=MAX_SPEAKERS)]
    phoneme_type: PhonemeKind = PhonemeKind.ESPEAK
    speaker_id_map: Annotated[dict[Name, Speaker], Field(max_length=MAX_SPEAKERS)] = Field(
        default_factory=dict
    )
    default_speaker_id: Speaker = 0
    language: Annotated[Language, BeforeValidator(_language_by_fields)] = Language()
    inference: Inference = Inference()
    hop_length: Annotated[StrictInt, Field(ge=64, le=4096)] = 256
    vowel_clusters: Annotated[
        list[Annotated[list[Name], Field(max_length=_MAX_IDS)]] | None, Field(max_length=_MAX_SYMBOLS)
    ] = None
    piper_version: Text = None

    def speakers(self) -> dict[str, int]:
        """Numbers of the speakers by name; empty for a single-speaker voice."""
        if self.num_speakers <= 1:
            return {}
        if not self.speaker_id_map:
            return {str(number): number for number in range(self.num_speakers)}
        named = self.speaker_id_map.items()
        return {name: number for name, number in named if 0 <= number < self.num_speakers}

    def piper_config(self) -> Any:
        """The piper package's form of it."""
        from piper import PiperConfig  # noqa: PLC0415  # it imports onnxruntime

        return PiperConfig.from_dict(self.model_dump(mode="json"))


def voice_json_path(model: Path) -> Path:
    """Where the configuration of a model lies."""
    return model.with_name(f"{model.name}.json")


def read_voice_json(path: Path) -> VoiceJson:
    """Read and validate a voice's configuration. Blocks.

    Raises:
        InvalidVoiceJson: it is too large, no JSON, or a value is missing or out of range.
        OSError: it cannot be read.
    """
    content = read_regular_file(path, MAX_BYTES)
    if len(content) > MAX_BYTES:
        raise InvalidVoiceJson(
            Message(
                "json_too_large",
                "its json is larger than {most} bytes, the most that is read",
                most=MAX_BYTES,
            )
        )
    try:
        return VoiceJson.model_validate_json(content)
    except ValidationError as error:
        raise InvalidVoiceJson(_reason(error)) from error


def _reason(error: ValidationError) -> str:
    """The first problem, in the words of this module's messages."""
    problem = error.errors(include_url=False)[0]
    kind, message = problem["type"], problem["msg"]
    if kind == "json_invalid":
        return Message(
            "json_broken", "its json is broken: {reason}", reason=message.removeprefix("Invalid JSON: ")
        )
    field = ".".join(_cut(str(step)) for step in problem["loc"] if step != "[key]")
    if kind == "missing":
        return Message("json_lacks", "its json has no {field}", field=repr(field))
    given = problem["input"]
    shown = f" {_cut(repr(given))}" if field and isinstance(given, str | int | float | None) else ""
    return Message(
        "json_wrong",
        "its json has {found}: it should {expected}",
        found=f"{field or 'no fields'}{shown}",
        expected=message.partition(" should ")[2],
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
