"""Hostile SSML gives bounded output or an error, in bounded time."""

from __future__ import annotations

import pytest

from tests.support.line_counting import count_lines, measure_growth
from tests.support.yaml_data import expand_texts, load_data_beside
from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.text.markup import Break, PhonemeBlock, StyledText
from wyoming_tts.text.ssml.parser import SsmlParser, SsmlPart

LINES = 60
"""Limit of Python lines executed per character: three times the most expensive document."""

BOMB = f"<!DOCTYPE l [<!ENTITY a '{'ha' * 100}'><!ENTITY b '&a;&a;&a;'>]><speak>&b;</speak>"
EXTERNAL = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><speak>&e;</speak>'
PARAMETER = '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p;]><speak/>'

DATA = load_data_beside(__file__)
REFUSED = [
    *expand_texts(DATA["refused"]),
    BOMB,
    EXTERNAL,
    PARAMETER,
    "<a " + "".join(f"b{n}='1' " for n in range(5000)) + "/>",
    "".join(f"<x{n}/>" for n in range(20_000)),
    "".join(f"<x y{n}=''/>" for n in range(20_000)),
]
HARMLESS = [
    *expand_texts(DATA["harmless"]),
]


def read(document: str, size: int) -> tuple[list[SsmlPart], MalformedMarkup | None]:
    reader = SsmlParser()
    parts: list[SsmlPart] = []
    error = None
    try:
        for start in range(0, len(document), size):
            parts += reader.feed(document[start : start + size])
        parts += reader.finish()
    except MalformedMarkup as raised:
        error = raised
    return parts, error


def cost(document: str, size: int) -> float:
    """Python lines executed per character."""
    return count_lines(lambda: read(document, size)) / (len(document) + 100)


def attack_id(document: str) -> str:
    return ascii(document[:24])


def is_bounded(parts: list[SsmlPart], document: str) -> bool:
    spoken = "".join(part.text for part in parts if isinstance(part, StyledText))
    blocks = all(len(part.block) <= 500 for part in parts if isinstance(part, PhonemeBlock))
    pauses = all(0 < part.seconds <= 10 for part in parts if isinstance(part, Break))
    styles = [part.style for part in parts if isinstance(part, StyledText | PhonemeBlock)]
    factors = all(0.25 <= style.rate <= 4 and style.volume <= 4 for style in styles)
    return len(spoken) <= len(document) and blocks and pauses and factors


def test_the_attack_corpus_is_large_enough() -> None:
    assert len({*REFUSED, *HARMLESS}) >= 100


@pytest.mark.parametrize("size", [1024, 2_000_000])
@pytest.mark.parametrize("document", REFUSED, ids=attack_id)
def test_hostile_markup_is_rejected_in_bounded_time(document: str, size: int) -> None:
    parts, error = read(document, size)

    assert error is not None
    assert len(str(error)) < 400
    assert is_bounded(parts, document)
    assert cost(document, size) < LINES


@pytest.mark.parametrize("size", [1024, 2_000_000])
@pytest.mark.parametrize("document", HARMLESS, ids=attack_id)
def test_harmless_markup_that_looks_hostile_is_parsed_in_bounded_time(document: str, size: int) -> None:
    parts, error = read(document, size)

    assert error is None
    assert is_bounded(parts, document)
    assert cost(document, size) < LINES


@pytest.mark.parametrize(
    "document", [BOMB, EXTERNAL, "<b>" * 100, "<a b='" + "x" * 20_000, "<!--" + "-" * 5000]
)
def test_hostile_markup_arriving_one_character_at_a_time_is_rejected_as_well(document: str) -> None:
    _, error = read(document, 1)

    assert error is not None
    assert cost(document, 1) < LINES


@pytest.mark.slow
def test_dense_markup_is_parsed_in_linear_time() -> None:
    sentence = (
        "<s>It is <prosody rate='fast'>twenty</prosody> degrees &amp; sunny outside, with some wind.</s>\n"
    )

    parts, error = read(sentence * (1_000_000 // len(sentence)), 1024)

    assert error is None
    assert sum(isinstance(part, StyledText) for part in parts) > 30_000
    assert measure_growth(lambda size: read(sentence * size, 1024), size=100) < 2.1
