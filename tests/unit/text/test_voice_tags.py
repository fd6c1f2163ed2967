from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line_counting import measure_growth
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.text.markup import NEUTRAL, Break, SpeakingStyle, StyledText
from wyoming_tts.text.voice_tags import MAX_TAG_CHARS, TagPart, VoiceTagParser, named_voices


def read(*pieces: str, voices: bool = True, pauses: bool = True) -> list[TagPart]:
    """Parts, with adjacent texts of the same style joined."""
    reader = VoiceTagParser(voices=voices, pauses=pauses)
    found: list[TagPart] = []
    for part in [part for piece in pieces for part in reader.feed(piece)] + reader.finish():
        last = found[-1] if found else None
        if isinstance(part, StyledText) and isinstance(last, StyledText) and part.style == last.style:
            found[-1] = StyledText(last.text + part.text, part.style)
        else:
            found.append(part)
    return found


def voice_style(voice: str) -> SpeakingStyle:
    return SpeakingStyle(voice=VoiceRequest(name=voice))


def test_a_voice_speaks_until_the_next_tag() -> None:
    text = "a [voice:af_bella]b [Voice: en_US-lessac-medium ] c[voice:] d"

    assert read(text) == [
        StyledText("a "),
        StyledText("b ", voice_style("af_bella")),
        StyledText(" c", voice_style("en_US-lessac-medium")),
        StyledText(" d"),
    ]


@pytest.mark.parametrize(
    ("tag", "style"),
    [
        ("[voice:af_bella(2)+bf_emma(1)]", voice_style("af_bella(2)+bf_emma(1)")),
        ("[voice:libritts#p3922]", voice_style("libritts#p3922")),
        ("[voice:DEFAULT]", NEUTRAL),
        ("[voice:x][voice:default]", NEUTRAL),
        ("[lang:de]", SpeakingStyle(language="de")),
        ("[lang:de-DE]", SpeakingStyle(language="de-DE")),
        ("[lang:de][lang:]", NEUTRAL),
        ("[lang:de][lang:default]", NEUTRAL),
        ("[voice:x][lang:de]", SpeakingStyle(voice=VoiceRequest(name="x"), language="de")),
        ("[lang:de][voice:x]", voice_style("x")),
        ("[rate:0.8]", SpeakingStyle(rate=0.8)),
        ("[Rate: 2 ]", SpeakingStyle(rate=2.0)),
        ("[rate:0]", SpeakingStyle(rate=0.25)),
        ("[rate:999999]", SpeakingStyle(rate=4.0)),
        ("[rate:2][rate:1.5]", SpeakingStyle(rate=1.5)),
        ("[rate:2][rate:]", NEUTRAL),
        ("[rate:2][rate:default]", NEUTRAL),
        ("[rate:2][voice:x]", voice_style("x")),
        ("[rate:2][voice:]", NEUTRAL),
        ("[rate:2][lang:de]", SpeakingStyle(rate=2.0, language="de")),
    ],
)
def test_tags_set_the_style(tag: str, style: SpeakingStyle) -> None:
    assert read(tag + "text") == [StyledText("text", style)]


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [("[pause:0.5s]", 0.5), ("[PAUSE:2s]", 2.0), ("[pause: 250ms ]", 0.25), ("[pause:999s]", 10.0)],
)
def test_pauses_are_breaks(tag: str, seconds: float) -> None:
    assert read(f"a{tag}b") == [StyledText("a"), Break(seconds), StyledText("b")]


@pytest.mark.parametrize(
    "text",
    [
        "[voice](https://example.org/a:b)",
        "[voice]",
        "[voice: a\nb]",
        "[voice:a[b]",
        "[voice:::]",
        "[voice :a]",
        "[voices:a]",
        "[lang:../x]",
        "[lang:d e]",
        "[pause:]",
        "[pause:soon]",
        "[pause:0.5]",
        "[pause:-1s]",
        "[speed:2]",
        "[rate:fast]",
        "[rate:-1]",
        "[rate:1:2]",
        "[rate: 4 of 5]",
        "[rating:5]",
        "[[voice:a]]",
        "[[ [[voice:a]] ]]",
        "[voice:never closed",
        "[",
        "a list [1], [x]",
        "[voice:" + "x" * MAX_TAG_CHARS + "]",
    ],
)
def test_brackets_that_are_no_tag_are_text(text: str) -> None:
    assert read(text) == [StyledText(text)]
    assert read(*text) == [StyledText(text)]


def test_a_tag_is_as_long_as_the_limit_at_most() -> None:
    name = "x" * (MAX_TAG_CHARS - len("[voice:]"))

    assert read(f"[voice:{name}]a") == [StyledText("a", voice_style(name))]
    assert read(f"[voice:{name}x]a") == [StyledText(f"[voice:{name}x]a")]


def test_the_voices_that_a_text_names_are_known_in_advance() -> None:
    text = "a [voice:x]b [voice:y(2)+z] c [lang:de]d [voice:x] e [voice:] [[voice:f]] [voice:g"

    assert named_voices(text) == (VoiceRequest("x"), VoiceRequest("y(2)+z"))


def test_each_kind_of_tag_can_be_disabled() -> None:
    text = "[voice:a][lang:de][rate:2][pause:1s]b"
    style = SpeakingStyle(voice=VoiceRequest(name="a"), language="de", rate=2.0)

    assert read(text, voices=False) == [StyledText("[voice:a][lang:de][rate:2]"), Break(1.0), StyledText("b")]
    assert read(text, pauses=False) == [StyledText("[pause:1s]b", style)]
    assert read(text, voices=False, pauses=False) == [StyledText(text)]


def test_only_a_possible_tag_is_buffered() -> None:
    reader = VoiceTagParser()

    assert reader.feed("text [pau") == [StyledText("text ")]
    assert reader.feed("l] and [voice") == [StyledText("[paul] and ")]
    assert reader.feed(":x]on") == [StyledText("on", voice_style("x"))]


FRAGMENTS = st.sampled_from(
    [
        "[",
        "]",
        "[[",
        "[voice:",
        "[voice:a]",
        "[lang:de]",
        "[rate:2]",
        "[rate:",
        "[pause:1s]",
        "[pause:",
        "a",
        " ",
        "\n",
        "default",
        "1s]",
    ]
)


@given(
    fragments=st.lists(FRAGMENTS | st.characters(), max_size=20),
    cuts=st.lists(st.integers(0, 80), max_size=5),
)
def test_the_result_does_not_depend_on_chunk_boundaries(fragments: list[str], cuts: list[int]) -> None:
    text = "".join(fragments)
    whole = read(text)

    assert read(*text) == whole
    assert read(*(text[start:end] for start, end in pairwise([0, *sorted(cuts), len(text)]))) == whole


@pytest.mark.parametrize(
    "flood",
    ["[", "]", "[voice:", "[voice:a]", "[pause:1s]", "[[", "[voice:a[", "[v", "[pause:1", "x", "[lang:a-a-"],
)
def test_tag_floods_are_parsed_in_linear_time(flood: str) -> None:
    def process_flood(length: int) -> int:
        text = (flood * length)[:length]
        parts = read(*(text[at : at + 1024] for at in range(0, length, 1024)))
        return sum(len(part.text) for part in parts if isinstance(part, StyledText))

    assert process_flood(20_000) <= 20_000
    assert measure_growth(process_flood, size=5_000) < 2.1
