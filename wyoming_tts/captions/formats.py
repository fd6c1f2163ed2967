"""Formats of captions: SRT, WebVTT and JSON, written while the words still arrive."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from wyoming_tts.captions.cues import Cue, CueMaker
from wyoming_tts.speech import SpokenWord


class CaptionFormat(StrEnum):
    """The formats, by the names of their files."""

    SRT = "srt"
    VTT = "vtt"
    """WebVTT."""
    JSON = "json"

    @classmethod
    def _missing_(cls, value: object) -> CaptionFormat | None:
        name = str(value).lower()
        return next((form for form in cls if form == name), None)

    @property
    def media_type(self) -> str:
        """The content type."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = MappingProxyType(
    {
        CaptionFormat.SRT: "application/x-subrip",
        CaptionFormat.VTT: "text/vtt; charset=utf-8",
        CaptionFormat.JSON: "application/json",
    }
)


class CaptionWriter:
    """Writes captions piece by piece; the text before a word has to be added before it.

    Args:
        form: The format.
        text: What is known of the text.
        word_times: Whether WebVTT tells the time of each word too, so that players can highlight it.
    """

    def __init__(self, form: CaptionFormat, text: str = "", *, word_times: bool = False) -> None:
        self._maker = CueMaker(text)
        self._form = _make_form(form, word_times=word_times)
        self._begun = False

    def add_text(self, text: str) -> None:
        """Take more of the text, as it was written."""
        self._maker.add_text(text)

    def add_words(self, words: Iterable[SpokenWord]) -> str:
        """Take the next words; returns what is certain by now, possibly nothing."""
        return self._write(self._maker.add_words(words))

    def finish(self, end_time: float) -> str:
        """Return the rest; `end_time` is when the audio ends."""
        written = self._write(self._maker.finish(end_time))
        return written + ("" if self._begun else self._form.begin()) + self._form.end(end_time)

    def _write(self, cues: Iterable[Cue]) -> str:
        written = "".join(map(self._form.cue, cues))
        if not written or self._begun:
            return written
        self._begun = True
        return self._form.begin() + written


class _Form(Protocol):
    """How cues are written, one after the other."""

    def begin(self) -> str: ...

    def cue(self, cue: Cue) -> str: ...

    def end(self, end_time: float) -> str: ...


def _make_form(form: CaptionFormat, *, word_times: bool) -> _Form:
    match form:
        case CaptionFormat.SRT:
            return _Srt()
        case CaptionFormat.VTT:
            return _Vtt(word_times=word_times)
        case CaptionFormat.JSON:
            return _Json()


class _Srt:
    def __init__(self) -> None:
        self._number = 0

    def begin(self) -> str:
        return ""

    def cue(self, cue: Cue) -> str:
        self._number += 1
        text = cue.text.replace("-->", "→")  # parsers would take the line for one of times
        return f"{self._number}\n{_times(cue, ',')}\n{text}\n\n"

    def end(self, _: float) -> str:
        return ""


class _Vtt:
    def __init__(self, *, word_times: bool) -> None:
        self._word_times = word_times

    def begin(self) -> str:
        return "WEBVTT\n\n"

    def cue(self, cue: Cue) -> str:
        text = self._timed_text(cue) if self._word_times else html.escape(cue.text, quote=False)
        return f"{_times(cue, '.')}\n{text}\n\n"

    def _timed_text(self, cue: Cue) -> str:
        """Return the text with the time of each word but the first: they must grow and lie within the cue."""
        shown = _milliseconds(cue.start_time)
        lines = []
        for line in cue.lines:
            written = ""
            for word in line:
                time = _milliseconds(word.spoken.start_time)
                mark = f"<{_clock(time, '.')}>" if shown < time < _end(cue) else ""
                shown = max(shown, time)
                space = word.space if written else ""
                written += space + mark + html.escape(word.text, quote=False)
            lines.append(written)
        return "\n".join(lines)

    def end(self, _: float) -> str:
        return ""


class _Json:
    def __init__(self) -> None:
        self._separator = ""

    def begin(self) -> str:
        return '{"captions": ['

    def cue(self, cue: Cue) -> str:
        content = {
            "start_time": _seconds(cue.start_time),
            "end_time": _seconds(cue.end_time),
            "text": cue.text,
            "words": [word_fields(word) for word in cue.words],
        }
        separator, self._separator = self._separator, ","
        return f"{separator}\n{json.dumps(content)}"

    def end(self, end_time: float) -> str:
        return f'], "duration": {_seconds(end_time)}}}\n'


def word_fields(word: SpokenWord) -> dict[str, object]:
    """Return a word as JSON: its text, its times in seconds, and where it was written."""
    return {
        "text": word.text,
        "start_time": _seconds(word.start_time),
        "end_time": _seconds(word.end_time),
        "begin": word.begin,
        "end": word.end,
        "utf16_begin": word.utf16_begin,
        "utf16_end": word.utf16_end,
    } | ({"estimated": True} if word.estimated else {})


def _times(cue: Cue, mark: str) -> str:
    return f"{_clock(_milliseconds(cue.start_time), mark)} --> {_clock(_end(cue), mark)}"


def _end(cue: Cue) -> int:
    """Return when a cue ends, in milliseconds: WebVTT wants it to last."""
    return max(_milliseconds(cue.end_time), _milliseconds(cue.start_time) + 1)


def _clock(milliseconds: int, mark: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{thousandths:03}"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _seconds(seconds: float) -> float:
    return round(seconds, 3)
