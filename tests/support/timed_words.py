"""Words with times, as engines tell them, and strict parsers of captions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wyoming_tts.speech import SpokenWord
from wyoming_tts.spoken_words import words_of

SECONDS_PER_CHARACTER = 1 / 15
PAUSES = {",": 0.2, ";": 0.2, ".": 0.4, "!": 0.4, "?": 0.4, "\n": 0.4}


def timed_words(text: str, *, start_time: float = 0.0, pauses: bool = True) -> list[SpokenWord]:
    """The words of a text, each as long as its characters, with pauses at its punctuation."""
    words = []
    time, done = start_time, 0
    for begin, end in words_of(text):
        if pauses:
            time += max((PAUSES.get(mark, 0.0) for mark in text[done:begin]), default=0.0)
        until = time + (end - begin) * SECONDS_PER_CHARACTER
        words.append(
            SpokenWord(text[begin:end], begin, end, _utf16(text[:begin]), _utf16(text[:end]), time, until)
        )
        time, done = until, end
    return words


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(frozen=True, slots=True)
class ParsedCue:
    """A cue as a player sees it."""

    start: int
    """Milliseconds; the end below."""
    end: int
    text: str


_SRT_RE = re.compile(
    r"(\d+)\n(\d\d+):(\d\d):(\d\d),(\d{3}) --> (\d\d+):(\d\d):(\d\d),(\d{3})\n((?:[^\n]+\n)+)\n"
)
_VTT_RE = re.compile(r"(\d\d+):(\d\d):(\d\d)\.(\d{3}) --> (\d\d+):(\d\d):(\d\d)\.(\d{3})\n((?:[^\n]+\n)+)\n")
_VTT_TIME_RE = re.compile(r"<(\d\d+):(\d\d):(\d\d)\.(\d{3})>")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}


def parse_srt(captions: str) -> list[ParsedCue]:
    """Parse SRT; anything that is not in its form fails."""
    cues: list[ParsedCue] = []
    position = 0
    while position < len(captions):
        found = _SRT_RE.match(captions, position)
        assert found, captions[position : position + 200]
        number, *times, text = found.groups()
        assert int(number) == len(cues) + 1
        assert "-->" not in text
        cues.append(ParsedCue(_milliseconds(*times[:4]), _milliseconds(*times[4:]), text[:-1]))
        position = found.end()
    return cues


def parse_vtt(captions: str) -> list[ParsedCue]:
    """Parse WebVTT as its specification has it; anything that is not in its form fails."""
    assert captions.startswith("WEBVTT\n\n")
    cues: list[ParsedCue] = []
    position = len("WEBVTT\n\n")
    while position < len(captions):
        found = _VTT_RE.match(captions, position)
        assert found, captions[position : position + 200]
        *times, text = found.groups()
        start, end = _milliseconds(*times[:4]), _milliseconds(*times[4:])
        assert start < end
        cues.append(ParsedCue(start, end, _plain(text[:-1], start, end)))
        position = found.end()
    return cues


def vtt_word_times(captions: str) -> list[int]:
    """The times within the cues, in milliseconds."""
    return [_milliseconds(*found.groups()) for found in _VTT_TIME_RE.finditer(captions)]


def _plain(text: str, start: int, end: int) -> str:
    """The text of a cue without its times, which have to grow and to lie within the cue."""
    assert "-->" not in text
    times = vtt_word_times(text)
    assert [start, *times, end] == sorted({start, *times, end})
    bare = _VTT_TIME_RE.sub("", text)
    assert not set("<>") & set(bare)
    assert all(found in _ENTITIES for found in re.findall(r"&[^;]*;?", bare))
    return re.sub(r"&\w+;", lambda found: _ENTITIES[found[0]], bare)


def _milliseconds(hours: str, minutes: str, seconds: str, thousandths: str) -> int:
    assert int(minutes) < 60
    assert int(seconds) < 60
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)
