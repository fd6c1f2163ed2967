"""Hostile markup ends in plain parts or in an error, at once."""

from __future__ import annotations

import pytest

from tests.support.steps import growth, lines_run
from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.text.manner import Break, Raw, Text
from wyoming_tts.text.ssml import SsmlPart, SsmlReader

LINES = 60
"""Of Python for each character: three times what the costliest takes."""

BOMB = f"<!DOCTYPE l [<!ENTITY a '{'ha' * 100}'><!ENTITY b '&a;&a;&a;'>]><speak>&b;</speak>"
EXTERNAL = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><speak>&e;</speak>'
PARAMETER = '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p;]><speak/>'

REFUSED = [
    *[BOMB, EXTERNAL, PARAMETER],
    '<!DOCTYPE speak PUBLIC "-//W3C//DTD SYNTHESIS 1.0//EN" "x.dtd"><speak/>',
    "<!doctype html>",
    "<!ENTITY x 'y'>",
    "<!ELEMENT x ANY>",
    "<!ATTLIST x y CDATA #IMPLIED>",
    "<!NOTATION x SYSTEM 'y'>",
    "<speak><!DOCTYPE x></speak>",
    "<!" + "D" * 50_000,
    "<![INCLUDE[ x ]]>",
    "<![CDATA",
    "<![CDATA[" + "x" * 50_000,
    "<![CDATA[" + "]" * 50_000,
    "<!--" + "-" * 50_000,
    "<!-" + "-" * 3,
    "<?" + "?" * 50_000,
    "<?xml version='1.0'",
    "<b>" * 10_000,
    "<b>" * 10_000 + "</b>" * 10_000,
    "</b>" * 10_000,
    "<speak>" * 10_000,
    '<prosody rate="2">' * 1000,
    "<metadata>" * 1000,
    "<a b='" + "x" * 1_000_000,
    "<a b='" + "x" * 1_000_000 + "'/>",
    "<a " + "b" * 1_000_000 + "='x'/>",
    "<a " + "b='1' " * 5000 + "/>",
    "<a " + "".join(f"b{n}='1' " for n in range(5000)) + "/>",
    "<" + "a" * 1_000_000 + "/>",
    "<a" + " " * 1_000_000 + "/>",
    "<a" + "\n" * 50_000,
    "<a b='" + "&amp;" * 50_000 + "'/>",
    "<a b='&lt;" + "'" * 50_000,
    "<" * 50_000,
    ">" + "<<" * 1000,
    "<>",
    "</>",
    "< a>",
    "<1>",
    "<-a>",
    "<a/ >",
    "<a//>",
    "</a/>",
    "<a></a b='1'>",
    "<a b></a>",
    "<a b=></a>",
    "<a b='1'c='2'/>",
    "<a b='1' b='1'/>",
    "<a b='\"/>",
    "<a 'b'/>",
    "<a><b></a></b>",
    "<p></s>",
    "<P></p>",
    "<a:b:c d='>' <",
    "<speak>never closed",
    "<speak><p><s>never closed",
    "<speak><break",
    "<speak></speak",
    "<speak></speak></speak>",
    "</all>",
    "<all>",
    "&" * 50_000,
    "&" + "a" * 50_000,
    "&" + "a" * 50_000 + ";",
    "&;",
    "&#;",
    "&#x;",
    "&#0;",
    "&#xD800;",
    "&#x110000;",
    "&#99999999;",
    "&#" + "9" * 50_000 + ";",
    "&#xFFFE;",
    "&#-1;",
    "&undefined;",
    "&a b;",
    "<sub alias='&undefined;'>x</sub>",
    "<sub alias='&#0;'>x</sub>",
    "<sub alias='&'>x</sub>",
    "<sub alias='&amp'>x</sub>",
    "AT&T",
    "a < b",
    "".join(f"<x{n}/>" for n in range(20_000)),
    "".join(f"<x y{n}=''/>" for n in range(20_000)),
    "<say-as interpret-as='digits'>" + "1" * 50_000,
    "<break time='" + "9" * 5000 + "s'/>",
    "<\u00d7/>",
    "<a\u00d7/>",
    "<\u0660/>",
]
HARMLESS = [
    "",
    "\x00" * 50_000,
    "\ud800" * 50_000,
    "\udfff\ud800text",
    "<sp\x00eak>text</spe\ud800ak>",
    "\ufeff<speak>text</speak>",
    "text " * 10_000,
    " " * 100_000,
    "\r" * 50_000,
    "]]>" * 10_000,
    ">" * 50_000,
    "'\"" * 20_000,
    "<p/>" * 1500,
    "<p>x</p>" * 500,
    "<break time='10s'/>" * 500,
    "<!---->" * 1500,
    "<!--" + "<!--" * 10_000 + "-->",
    "<!--" + "-" * 50_000 + "-->",
    "<??>" * 1500,
    "<![CDATA[]]>" * 1000,
    "<![CDATA[" + "]" * 50_000 + "]]>",
    "<![CDATA[<!DOCTYPE x [<!ENTITY e 'x'>]>&e;]]>",
    "&amp;" * 2000,
    "&amp;amp;" * 1000,
    "&#60;b&#62;" * 500,
    "&lt;!DOCTYPE x&gt;",
    "<a xmlns:x='y' x:z='w'/>",
    "<x:y:z/>",
    "<a xmlns='" + "u" * 4000 + "'/>",
    "<say-as interpret-as='digits'>" + "1" * 50_000 + "</say-as>",
    "<say-as interpret-as='date' format='" + "y" * 4000 + "'>1</say-as>",
    "<prosody rate='1e999' volume='inf' pitch='nan'>x</prosody>",
    "<prosody rate='" + "9" * 4000 + "'>x</prosody>",
    "<prosody volume='+999999dB' pitch='+999999st'>x</prosody>",
    "<voice name='" + "x" * 4000 + "'>x</voice>",
    "<voice name='../../etc/passwd'>x</voice>",
    "<lang xml:lang='" + "a-" * 2000 + "'>x</lang>",
    "<phoneme ph='" + "[[" * 1000 + "'>x</phoneme>",
    "<phoneme alphabet='x-sampa' ph='" + "@" * 4000 + "'>x</phoneme>",
    "<audio src='file:///dev/zero'>x</audio>" * 100,
    "<lexicon uri='http://127.0.0.1/'/>" * 100,
    "<b>" * 50 + "x" + "</b>" * 50,
    "<break time='1e9s'/><break time='-5s'/><break time='∞s'/>",
    "[[ " * 10_000,
]


def read(document: str, size: int) -> tuple[list[SsmlPart], MalformedMarkup | None]:
    reader = SsmlReader()
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
    """Lines for each character."""
    return lines_run(lambda: read(document, size)) / (len(document) + 100)


def named(document: str) -> str:
    return ascii(document[:24])


def sane(parts: list[SsmlPart], document: str) -> bool:
    spoken = "".join(part.text for part in parts if isinstance(part, Text))
    blocks = all(len(part.block) <= 500 for part in parts if isinstance(part, Raw))
    pauses = all(0 < part.seconds <= 10 for part in parts if isinstance(part, Break))
    manners = [part.manner for part in parts if isinstance(part, Text | Raw)]
    factors = all(0.25 <= manner.rate <= 4 and manner.volume <= 4 for manner in manners)
    return len(spoken) <= len(document) and blocks and pauses and factors


def test_there_are_enough_attacks() -> None:
    assert len({*REFUSED, *HARMLESS}) >= 100


@pytest.mark.parametrize("size", [1024, 2_000_000])
@pytest.mark.parametrize("document", REFUSED, ids=named)
def test_an_attack_is_refused_at_once(document: str, size: int) -> None:
    parts, error = read(document, size)

    assert error is not None
    assert len(str(error)) < 400
    assert sane(parts, document)
    assert cost(document, size) < LINES


@pytest.mark.parametrize("size", [1024, 2_000_000])
@pytest.mark.parametrize("document", HARMLESS, ids=named)
def test_what_only_looks_hostile_is_read_at_once(document: str, size: int) -> None:
    parts, error = read(document, size)

    assert error is None
    assert sane(parts, document)
    assert cost(document, size) < LINES


@pytest.mark.parametrize(
    "document", [BOMB, EXTERNAL, "<b>" * 100, "<a b='" + "x" * 20_000, "<!--" + "-" * 5000]
)
def test_an_attack_letter_by_letter_is_refused_as_well(document: str) -> None:
    _, error = read(document, 1)

    assert error is not None
    assert cost(document, 1) < LINES


def test_a_million_characters_of_dense_markup_are_read_in_time_in_proportion() -> None:
    sentence = (
        "<s>It is <prosody rate='fast'>twenty</prosody> degrees &amp; sunny outside, with some wind.</s>\n"
    )

    parts, error = read(sentence * (1_000_000 // len(sentence)), 1024)

    assert error is None
    assert sum(isinstance(part, Text) for part in parts) > 30_000
    assert growth(lambda size: read(sentence * size, 1024), size=100) < 2.1
