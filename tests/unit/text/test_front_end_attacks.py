"""Text that was written to hurt: it ends, costs little and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest

from tests.support.steps import lines_run
from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.speech import Segment, TextFormat
from wyoming_tts.text.segments import Segmenter, SegmentOptions
from wyoming_tts.text.spoken import SpokenLanguages
from wyoming_tts.text.tags import TagReader

CHARS = 2_000
PIECE = 256
LINES = 500
"""Of Python for each character: twice what the costliest takes."""

SPOKEN = SpokenLanguages()
OPTIONS = SegmentOptions(voice_tags=True)

UNITS: dict[str, list[str]] = {
    "markdown": [
        *[
            "*",
            "**",
            "***",
            "* ",
            "*a",
            "**a",
            "*a* ",
            "**a*",
            "_",
            "__",
            "_a",
            "_a_ ",
            "_a*",
            "~",
            "~~",
            "~~a",
        ],
        *[
            "`",
            "``",
            "```",
            "````",
            "`a",
            "``a`",
            "```\n",
            "~~~\n",
            "```a\n```\n",
            "#",
            "# ",
            "# a\n",
            "####### ",
        ],
        *["> ", ">", ">> ", "> > a\n", "- ", "- - ", "- a\n", "-", "--", "---\n", "* * *\n", "1. ", "1) a\n"],
        *[
            "+ a\n",
            "- [ ] ",
            "- [x] a\n",
            "===\n",
            "==",
            "=a=",
            "|",
            "| ",
            "| a |\n",
            "|---|\n",
            "|a|b|c",
            "||||\n",
        ],
        *[
            "\\",
            "\\*",
            "\\\\",
            "![",
            "!",
            "![a](",
            "[^1]",
            "[^",
            "[a]: ",
            "[a]: b\n",
            "【",
            "【1",
            "】",
            "***a**b*",
        ],
        *["    - a\n", "\t", "a\n\n", "* a\n  * b\n    * c\n"],
    ],
    "brackets": [
        *[
            "[",
            "]",
            "[]",
            "[[",
            "]]",
            "[[]]",
            "[[ a",
            "[[ a ]]",
            "[[ a ]",
            "[[[",
            "][",
            "](",
            "[a](",
            "[a](b",
            "[(",
        ],
        *[
            "[a](b)",
            "[a][b]",
            "[a][",
            "[[a](b)](c)",
            "[a [b [c ",
            "(",
            ")",
            "()",
            "((a",
            "{",
            "{{ a }}",
            "{%",
            "[a](<",
        ],
        *["“", "”", "«", "»", "„", '"', "'", "''", '"a ', "‘a", "« a »", '("', '"(["'],
    ],
    "html": [
        *[
            "<",
            ">",
            "<<",
            "<>",
            "</",
            "</>",
            "<a",
            "<a ",
            "<b>",
            "</b>",
            "<b><i>",
            "<br>",
            "<p>",
            "<a href='",
            '<a b="',
        ],
        *[
            "<a b=c ",
            "<a b",
            "<!--",
            "<!-- a -->",
            "-->",
            "<!-",
            "<!DOCTYPE ",
            "<?",
            "<?a?>",
            "<think>",
            "</think>",
        ],
        *[
            "<think>a</think>",
            "<script>",
            "<style>a</style>",
            "<table><tr><td>",
            "<img alt='a'>",
            "<a@b.c>",
            "<a:b",
        ],
        *[
            "<a:b-c-d-e ",
            "&",
            "&amp;",
            "&amp",
            "&#",
            "&#x41;",
            "&#65",
            "&#1114112;",
            "&lt;b&gt;",
            "&&",
            "&a",
            "<x-y ",
        ],
        *["<http://a", "<a b='1' c=\"2\" d=3 e", "<textarea>", "<![CDATA["],
    ],
    "figures": [
        *[
            "5",
            "0",
            "1,",
            "1.",
            "1,000",
            "1.000,",
            "1 ",
            "1 000 ",
            "1'000",
            "5 5",
            "1/2",
            "1/2/",
            "½",
            "1½ ",
            "1e5",
            "0x",
        ],
        *[
            "+",
            "-",
            "−",
            "–",
            "±",
            "+5",
            "-5",
            "- 5",
            "–5–",
            "5-",
            "5–7",
            "5 - 7 ",
            "%",
            "5%",
            "5 % ",
            "‰",
            "$",
            "$5",
        ],
        *[
            "5$",
            "€ 5 ",
            "€5-€",
            "$1.2 million ",
            "£",
            "USD ",
            "#",
            "#5",
            "# 5",
            "№",
            "=",
            "5=",
            "2+2=",
            "5×",
            "5 x 5 ",
            "°",
        ],
        *[
            "5°",
            "5 °C ",
            "°C",
            "° C ",
            "km/h ",
            "5 km/",
            "km/h/",
            "µg/m³",
            "5 m² ",
            "m^2",
            "5kWh",
            "kWh/",
            "5'2\" ",
            "5' ",
        ],
        *[
            "1st",
            "22nd ",
            "5. ",
            "5.5.5.",
            "v1.2.",
            "v2 ",
            "²",
            "⁵",
            "①",
            "٣",
            "५",
            "5/7 ",
            "24/7 ",
            "~5 ",
            "<5 ",
            ">= ",
        ],
        *[
            "555-1234 ",
            "+1 555 123 4567 ",
            "(555) ",
            "007 ",
            "16:9 ",
            "3:1:",
            "192.168.1.1 ",
            "5GB ",
            "Mio. ",
            "1_0",
        ],
    ],
    "dates": [
        *[
            "7:05",
            "7:05 ",
            "7:05-",
            "19:30 Uhr ",
            "7:30pm ",
            "7 a.m. ",
            "am ",
            "a.m.",
            "9am-5pm ",
            "12:00:00 ",
            "24:00 ",
        ],
        *[
            "2026-11-21",
            "2026-11-21 ",
            "2026-",
            "11/21/2026 ",
            "1/1/",
            "21.11.",
            "21.11.2026 ",
            "Nov 21",
            "Nov. 21, ",
        ],
        *[
            "21 Nov 2026 ",
            "Nov ",
            "November ",
            "Mon-Fri ",
            "Mon, ",
            "Sun. ",
            "1990s ",
            "1999-",
            "the 80s ",
            "May 5-7, ",
        ],
        *[
            "Sat, 21 Nov, 14:00-15:30. ",
            "3h 20m ",
            "T07:05:00Z ",
            "2026-11-21T07:05:00Z ",
            "vom 3. bis 5. Mai ",
        ],
    ],
    "names": [
        *[
            "I",
            "I ",
            "IV ",
            "MCMXCIX ",
            "IVXLCDM",
            "Henry VIII ",
            "Chapter IV ",
            "II. ",
            "X-",
            "Dr. ",
            "Mr.",
            "e.g. ",
        ],
        *[
            "z. B. ",
            "z.",
            "d. h.",
            "v. Chr. ",
            "St. ",
            "No. 5 ",
            "No. ",
            "U.S.",
            "A. ",
            "a.b.",
            "i.e.,",
            "etc. ",
            "vs. ",
        ],
        *[
            "http://",
            "http://a.b ",
            "https://a/",
            "http://a?b=c&",
            "www.",
            "www.a.",
            "a@",
            "a@b",
            "a@b.c ",
            "a@a.",
            "@a ",
            "@",
        ],
        *[
            "a.b/c/",
            "file.txt ",
            "/usr/",
            "C:\\a\\",
            "a/b ",
            "and/or ",
            "#a",
            "#HomeAssistant ",
            "a-",
            "a_b_",
            "well-known-",
        ],
        *["a'", "aB", "A4", "1a2b", "mailto:a@b.c ", "ftp://", "//", "::", ":8123 ", "?a=b&c=d"],
    ],
    "signs": [
        *[
            ".",
            "..",
            "...",
            ". ",
            "!",
            "!?",
            "! ",
            "?",
            "…",
            "… ",
            ",",
            ", ",
            ";",
            ":",
            ".,;:",
            "。",
            "。”",
            "、",
            "؟ ",
        ],
        *[
            "\u0301",
            "e\u0301",
            "e\u0301\u0301",
            "a\u0300\u0301\u0302\u0303",
            "क्",
            "\u200d",
            "क्\u200d",
            "\u200c",
            "م\u200c",
        ],
        *[
            "👍",
            "👍🏽",
            "👩\u200d",
            "👩\u200d🔬",
            "🇩",
            "🇩🇪",
            "1\ufe0f\u20e3",
            "1\ufe0f",
            "\ufe0f",
            "\u20e3",
            "❤\ufe0f",
            "©",
        ],
        *[
            "\u202e",
            "\u202eabc",
            "\u2067a",
            "שלום ",
            "مرحبا. ",
            "\u200f",
            "\u061c5",
            "א.ב.",
            "\x00",
            "\x1b[31m",
            "\ud800",
        ],
        *[
            "\u00ad",
            "\ufeff",
            "\u2028",
            "\u00a0",
            " ",
            "\n",
            "\r\n",
            "\n\n",
            "\u3000",
            "今天",
            "ひ",
            "한국어 ",
            "ﷺ",
            "ﬁ",
            "İ",
        ],
        *[
            "→",
            "→ ",
            "a → b ",
            "&",
            " & ",
            "a&b ",
            "≤",
            "∞ ",
            "√",
            "+- ",
            "^",
            "^_^ ",
            "ಠ_ಠ ",
            "¯\\_(ツ)_/¯ ",
            "\U0010ffff",
        ],
    ],
    "tags": [
        *[
            "[voice:",
            "[voice:a]",
            "[voice:a] b ",
            "[voice:]",
            "[lang:",
            "[lang:de]",
            "[lang:de]a ",
            "[lang:de-",
            "[pause:",
        ],
        *[
            "[pause:1s]",
            "[pause:99999999",
            "[pause:0.5s] a",
            "[voice:a",
            "[[voice:a]]",
            "[voice: ",
            "[VOICE:a]",
            "[v",
        ],
        *["[lang:de]5 km ", "[lang:fr]a[lang:de]", "[voice:a]*", "[pause:1s][[ a"],
    ],
    "mixed": [
        *[
            "*a [b](c) `d` <e> ",
            "**5 °C** ",
            "[[5]] 5 ",
            "# 5. *a* 7:05\n",
            "| 5 % | $5 |\n",
            "- Dr. No. 5 e.g. 3/4\n",
        ],
        *[
            "<b>5</b>",
            "<b>**a**</b>",
            "`5 °C`",
            "_5_ km ",
            "*5*°*C*",
            "&deg;C 5 ",
            "5&nbsp;km/h ",
            "[5 km](http://a.b) ",
        ],
        *[
            "👍5 km👍",
            "5\u200dkm ",
            "5\u0301 ",
            "(5 [5 {5 ",
            '"5 °C." ',
            "1. 2. 3. ",
            "1) 2) ",
            "-5 - -5 ",
            "5.\n5.\n",
        ],
        *[
            "a" * 40 + " ",
            "a" * 250,
            "1" * 250 + " ",
            "A",
            "a ",
            "1 a ",
            "a.A",
            "a. A ",
            "A. a ",
            "Dr. Dr. med. ",
            "x x ",
        ],
    ],
}
ODD = [
    "[" * 1000 + "]" * 1000,
    "[[" * 500 + "]]" * 500,
    "(" * 1000 + ")" * 1000,
    "<b>" * 300 + "</b>" * 270,
    "*" * 999 + "a" + "*" * 1000,
    "`" * 999 + "a" + "`" * 998 + "b",
    "[a](" * 400 + ")" * 400,
    "![" * 500 + "](b)" * 250,
    "<a " + "b='c' " * 330,
    "<a href='" + "x" * 1990,
    "<!--" + "-" * 1990,
    "<!--" + "-->x" * 499,
    "```\n" + "`" * 1900,
    "| " + "a | " * 498 + "\n",
    "|" + "\\|" * 999,
    "|" + "-|" * 999,
    "[[ " + "ə" * 498 + " ]]",
    "[[ " + "ə" * 1990,
    "&" + "a" * 1990 + ";",
    "&#" + "0" * 1990 + ";",
    "$" + "9" * 1998,
    "-" * 1000 + "5" * 1000,
    "1" + ",000" * 499,
    "1" + ".000" * 499 + ",5",
    "http://" + "a." * 990,
    "http://" + "%41" * 660,
    "a" * 1990 + "@b.com",
    "@" + "a." * 999,
    "e" + "\u0301" * 1999,
    "\u202e" * 1000 + "a" * 1000,
    "M" * 2000,
    "Henry " + "I" * 1990,
    "Chapter " + "MCMXCIX" * 280,
    "1/" * 999 + "2",
    "5 km/" + "h/" * 990,
    "5 " + "° " * 990 + "C",
    "2026-11-21T" + "07:05:" * 330,
    " " * 1999 + "x",
    "\n" * 1999 + "x",
    "a" + "'" * 1998,
    "\\" * 2000,
    "A." * 1000,
    "a.b@" * 500,
    "<think>" + "<think" * 330,
    "<script>" + "</scrip" * 280,
    "[voice:" + "a" * 1990,
    "[lang:" + "de-" * 660,
    "[^" + "1" * 1990 + "]",
    "【" + "1" * 1998,
    "".join(chr(0x20 + n % 95) for n in range(0, 14_000, 7)),
    "".join(chr(0xA0 + n) for n in range(2000)),
    "".join(chr(0x1F300 + n % 768) for n in range(2000)),
]
PLAIN = list(
    dict.fromkeys(
        [(unit * CHARS)[:CHARS] for units in UNITS.values() for unit in units]
        + [text[:CHARS] for text in ODD]
    )
)
BOMBS = {
    "": ["<speak>", "<!DOCTYPE a [<!ENTITY b 'c'>", "<speak" + " " * 1990, "<speak a='" + "&lt;" * 490],
    "<speak>": [
        *[
            "<p>",
            "<prosody rate='200%'>a",
            "<s>a</s>",
            "&a;",
            "&amp;",
            "&#x41;",
            "<break time='9s'/>",
            "<a",
            "[[ a ",
        ],
        *[
            "<voice name='a'>b</voice>",
            "<lang xml:lang='de'>5 km</lang>",
            "<phoneme ph='a'>b</phoneme>",
            "5 °",
        ],
        *[
            "<sub alias='5 km'>x</sub>",
            "<emphasis>a",
            "*a* `b` # ",
            "<!--" + "-" * 1980,
            "<![CDATA[" + "]" * 1980,
        ],
        *["<say-as interpret-as='cardinal'>" + "5" * 1900, "<say-as interpret-as='date'>" + "1/" * 980],
        "<say-as interpret-as='characters'>" + "é5" * 950 + "</say-as>",
    ],
}
SSML = [(start + unit * CHARS)[:CHARS] for start, units in BOMBS.items() for unit in units]


def pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


def attacked(text: str, language: str, text_format: TextFormat) -> list[Segment]:
    """The segments of a hostile text up to its first mistake."""
    segmenter = Segmenter(OPTIONS, text_format=text_format, language=language, spellers=SPOKEN.speller)
    segments: list[Segment] = []
    try:
        for piece in pieces(text):
            segments += segmenter.feed(piece)
        segments += segmenter.finish()
    except MalformedMarkup:
        pass
    return segments


def test_there_are_many_attacks() -> None:
    assert len(PLAIN) >= 400
    assert len(set(SSML)) >= 24
    assert sum(len(text) == CHARS for text in PLAIN) >= 400


@pytest.fixture(scope="module", autouse=True)
def languages_read() -> None:
    for language in ("en", "de", "fr"):
        SPOKEN.read(language)  # is done on a worker before, and takes a while


ATTACKS = [
    *[(language, TextFormat.PLAIN, text) for language, text in zip(cycle(["en", "de"]), PLAIN, strict=False)],
    *[("en", TextFormat.SSML, text) for text in SSML],
]


@pytest.mark.parametrize(("language", "text_format", "text"), ATTACKS, ids=range(len(ATTACKS)))
def test_an_attack_ends_at_once(language: str, text_format: TextFormat, text: str) -> None:
    segments: list[Segment] = []

    assert lines_run(lambda: segments.extend(attacked(text, language, text_format))) < LINES * CHARS
    # Words for signs make a text longer, but not without limit; a segment stays a segment.
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
"""What the stages may hold together: some thousand characters, however long the text."""


def held(segmenter: Segmenter) -> int:
    """Characters that the stages hold."""
    run = segmenter._run
    tags = len(segmenter._reader._held) if isinstance(segmenter._reader, TagReader) else 0
    cutter = run._cutter
    blocks = sum(map(len, cutter._blocks))
    detector = cutter._detector
    known = len(detector.remaining_text) + len(detector.current_sentence)
    spoken = len(run._spoken._held) + len(run._spoken._before)
    return tags + len(run._cleaner.held) + spoken + len(cutter._pending) + blocks + known


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
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_what_the_stages_hold_does_not_grow_with_the_text(flood: str) -> None:
    segmenter = Segmenter(OPTIONS, language="en", spellers=SPOKEN.speller)
    most = 0
    for piece in pieces((flood * 40_000)[:40_000]):
        segmenter.feed(piece)
        most = max(most, held(segmenter))

    assert most < HELD_CHARS


def test_a_megabyte_of_prose_is_spoken_with_little_held() -> None:
    text = (PROSE * (1_000_000 // len(PROSE) + 1))[:1_000_000]
    segmenter = Segmenter(SegmentOptions(), language="en", spellers=SPOKEN.speller)
    most = segments = 0
    for start in range(0, len(text), 4096):
        segments += len(segmenter.feed(text[start : start + 4096]))
        most = max(most, held(segmenter))
    segments += len(segmenter.finish())

    assert most < HELD_CHARS
    assert segments >= 9 * text.count("Dr. Smith")
