"""Schemas of the responses that say when words sound, for the description of the API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

CAPTIONED_EXAMPLE: dict[str, Any] = {
    "audio": "UklGRv////9XQVZF",
    "audio_format": "audio/wav",
    "timestamps": [{"word": "Good", "start_time": 0.125, "end_time": 0.4}],
}


class CaptionWordTime(BaseModel):
    """A word of a caption."""

    text: str = Field(description="As it was written.")
    start_time: float = Field(description="Seconds after the beginning of the audio.")
    end_time: float
    begin: int = Field(description="Where it was written in the input, in code points.")
    end: int
    utf16_begin: int = Field(description="The same in UTF-16 code units, as JavaScript counts.")
    utf16_end: int
    estimated: bool | None = Field(None, description="True: spread by length, not told by the voice.")


class Caption(BaseModel):
    """Words that are on the screen together."""

    start_time: float
    end_time: float
    text: str = Field(description="One or two lines.")
    words: list[CaptionWordTime]


class Captions(BaseModel):
    """Captions as JSON."""

    captions: list[Caption]
    duration: float = Field(description="Seconds of audio.")
