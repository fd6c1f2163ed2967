"""Hostile text through the whole front end: bounded time, bounded buffers and no leftovers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest

from tests.support.line_counting import count_lines
from tests.support.yaml_data import expand_texts, load_data_beside
from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.speech import Segment, TextFormat
from wyoming_tts.text.normalization import NormalizerRegistry
from wyoming_tts.text.segments import Segmenter, SegmentOptions
from wyoming_tts.text.voice_tags import VoiceTagParser

CHARS = 1_000
PIECE = 256
LINES = 500
"""Limit of Python lines executed per character: twice the most expensive text."""

SPOKEN = NormalizerRegistry()
OPTIONS = SegmentOptions(voice_tags=True)

DATA = load_data_beside(__file__)
UNITS = {name: expand_texts(units) for name, units in DATA["units"].items()}
ODD = [
    *expand_texts(DATA["odd"]),
    "".join(chr(0x20 + n % 95) for n in range(0, 7 * CHARS, 7)),
    "".join(chr(0xA0 + n) for n in range(CHARS)),
    "".join(chr(0xA0 + CHARS + n) for n in range(CHARS)),
    "".join(chr(0x1F300 + n % 768) for n in range(CHARS)),
]
PLAIN = list(
    dict.fromkeys(
        [(unit * CHARS)[:CHARS] for units in UNITS.values() for unit in units]
        + [text[:CHARS] for text in ODD]
    )
)
BOMBS = {start: expand_texts(units) for start, units in DATA["bombs"].items()}
SSML = [(start + unit * CHARS)[:CHARS] for start, units in BOMBS.items() for unit in units]


def pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


def segment_hostile_text(text: str, language: str, text_format: TextFormat) -> list[Segment]:
    """Segments of a hostile text up to its first error."""
    segmenter = Segmenter(OPTIONS, text_format=text_format, language=language, normalizers=SPOKEN.normalizer)
    segments: list[Segment] = []
    try:
        for piece in pieces(text):
            segments += segmenter.feed(piece)
        segments += segmenter.finish()
    except MalformedMarkup:
        pass
    return segments


@pytest.fixture(scope="module", autouse=True)
def languages_read() -> None:
    signs = "".join(map(chr, range(0xA0, 0x3000)))
    for language in ("en", "de", "fr"):
        SPOKEN.load(language)  # slow; the server does it on a worker beforehand
        segment_hostile_text(signs, language, TextFormat.PLAIN)  # names of signs are read when one comes


ATTACKS = [
    *[(language, TextFormat.PLAIN, text) for language, text in zip(cycle(["en", "de"]), PLAIN, strict=False)],
    *[("en", TextFormat.SSML, text) for text in SSML],
]


@pytest.mark.slow  # five hundred cases
@pytest.mark.parametrize(("language", "text_format", "text"), ATTACKS, ids=range(len(ATTACKS)))
def test_hostile_text_is_processed_in_bounded_time(language: str, text_format: TextFormat, text: str) -> None:
    segments: list[Segment] = []
    segment_hostile_text(text[:PIECE], language, text_format)  # loads what it needs, uncounted

    assert (
        count_lines(lambda: segments.extend(segment_hostile_text(text, language, text_format)))
        < LINES * CHARS
    )
    # Spelling out symbols lengthens a text, but only within limits, and segments keep their limit.
    assert sum(len(segment.text) for segment in segments) < 40 * CHARS
    assert all(len(segment.text) <= OPTIONS.max_segment_chars + 1 for segment in segments)


PROSE = (
    "The front door is **open**, and it is 25 °C outside. See [the forecast](https://example.com/x?a=b) "
    "for 21 Nov 2026, 7:05 am!\n\n"
    "- Eggs, e.g. 12\n- Milk, 2 l\n\n| Room | Temp |\n|---|---|\n| Hall | 5 % |\n\n"
    'Dr. Smith said: "Well... `lights.on` costs $3.50." <b>Really?</b> 👍🏽 [[ həˈloʊ ]] &amp; so on. '
    "\n```py\nprint('hello')\n```\n今天天气很好。 Das sind ca. 5 km/h, z. B. morgens.\n\n"
)
HELD_CHARS = 12_000
"""Limit of characters buffered in all stages together, however long the text."""
FLOOD = HELD_CHARS * 3 // 2


def buffered_characters(segmenter: Segmenter) -> int:
    """Number of characters buffered in all stages."""
    run = segmenter._run
    tags = len(segmenter._parser._held) if isinstance(segmenter._parser, VoiceTagParser) else 0
    splitter = run._splitter
    blocks = sum(map(len, splitter._blocks))
    detector = splitter._detector
    known = len(detector.remaining_text) + len(detector.current_sentence)
    normalizer_characters = len(run._normalizer._held) + len(run._normalizer._before)
    return tags + len(run._cleaner.held) + normalizer_characters + len(splitter._pending) + blocks + known


FLOODS = {
    "prose": PROSE,
    "open link": "[a link that never ends ",
    "open tag": "<a href='x",
    "open block": "[[ a b c ",
    "open table": "| a cell ",
    "digits": "5",
    "letters": "x",
    "spaces": " ",
    "emoji": "👩\u200d🔬",
    "marks": "\u0301",
    "stops": ".",
    "open code": "`a ",
    "figures": "5 km - ",
    "open formula": "$a + b ",
    "open formula on lines": "\\[a + b\n",
    "open terminal code": "\x1b]0;",
    "lines": "Ab\n",
    "open wiki link": "[[ab|",
}


@pytest.mark.slow
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_buffered_text_does_not_grow_with_the_input(flood: str) -> None:
    segmenter = Segmenter(OPTIONS, language="en", normalizers=SPOKEN.normalizer)
    most = 0
    for piece in pieces((flood * FLOOD)[:FLOOD]):
        segmenter.feed(piece)
        most = max(most, buffered_characters(segmenter))

    assert most < HELD_CHARS


@pytest.mark.slow
def test_a_book_of_prose_is_processed_with_small_buffers() -> None:
    text = PROSE * (4 * HELD_CHARS // len(PROSE))
    segmenter = Segmenter(SegmentOptions(), language="en", normalizers=SPOKEN.normalizer)
    most = segments = 0
    for start in range(0, len(text), 4096):
        segments += len(segmenter.feed(text[start : start + 4096]))
        most = max(most, buffered_characters(segmenter))
    segments += len(segmenter.finish())

    assert most < HELD_CHARS
    assert segments >= 9 * text.count("Dr. Smith")
