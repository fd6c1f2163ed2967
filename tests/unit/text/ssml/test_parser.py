from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.errors import BadRequest, ErrorCode, MalformedMarkup
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.text.markup import (
    NEUTRAL,
    Break,
    InterpretAs,
    ParagraphEnd,
    PhonemeBlock,
    SayAs,
    SentenceEnd,
    SpeakingStyle,
    StyledText,
)
from wyoming_tts.text.ssml.parser import MAX_DEPTH, MAX_SAY_AS_CHARS, SsmlParser, SsmlPart, check_ssml


def read(*pieces: str) -> tuple[list[SsmlPart], MalformedMarkup | None]:
    """Parts, with adjacent texts of the same style joined, and the error if there was one."""
    reader = SsmlParser()
    parts: list[SsmlPart] = []
    try:
        for piece in pieces:
            parts += reader.feed(piece)
        parts += reader.finish()
    except MalformedMarkup as error:
        return joined(parts), error
    return joined(parts), None


def joined(parts: list[SsmlPart]) -> list[SsmlPart]:
    found: list[SsmlPart] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, StyledText) and isinstance(last, StyledText) and part.style == last.style:
            found[-1] = StyledText(last.text + part.text, part.style)
        else:
            found.append(part)
    return found


def parts_of(document: str) -> list[SsmlPart]:
    parts, error = read(document)
    assert error is None
    return parts


def only_text(document: str) -> StyledText:
    (text,) = (part for part in parts_of(document) if isinstance(part, StyledText))
    return text


def words_of(document: str) -> str:
    return "".join(part.text for part in parts_of(document) if isinstance(part, StyledText))


def style_of(document: str) -> SpeakingStyle:
    return only_text(document).style


def error_of(document: str) -> MalformedMarkup:
    _, error = read(document)
    assert error is not None
    return error


def test_a_document_becomes_text_with_its_style() -> None:
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<speak version="1.1" '
        'xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">\n'
        '  Good <prosody rate="fast">morning</prosody><break time="250ms"/> to you.\n</speak>\n'
    )

    english = SpeakingStyle(language="en-US")
    assert parts_of(document) == [
        StyledText("Good ", english),
        StyledText("morning", replace(english, rate=1.25)),
        Break(0.25),
        StyledText(" to you. ", english),
        SentenceEnd(),
    ]


def test_text_is_emitted_before_its_sentence_or_element_ends() -> None:
    reader = SsmlParser()

    assert reader.feed("<speak>The answer is") == [StyledText("The answer is")]
    assert reader.feed(" forty") == [StyledText(" forty")]
    assert reader.feed("-two.</spe") == [StyledText("-two.")]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", ""),
        ("no markup at all", "no markup at all"),
        ("a <emphasis>fragment</emphasis>", "a fragment"),
        ("<speak>one</speak>\n<speak>two</speak>", "onetwo"),
        ("<speak>in <speak>one</speak> another</speak>", "in oneanother"),
        ("Tom &amp; Jerry &lt;3 &#233; &#xE9; &eacute; &hellip;", "Tom & Jerry <3 é é é …"),
        ("a&nbsp;b", "a\u00a0b"),
        ("a <!-- no <b> & comment --> b", "a b"),
        ("a <?php no > ?> b", "a b"),
        ("<![CDATA[1 < 2 && ]] <b>]]> yes", "1 < 2 && ]] <b> yes"),
        ("many  \n\t spaces <s/> here", "many spaces here"),
        ("<amazon:effect name='whispered'>psst</amazon:effect>", "psst"),
        ("<mstts:express-as style='cheerful'>Hi</mstts:express-as>", "Hi"),
        ("un<b>known</b>", "unknown"),
        ('<audio src="file:///etc/passwd">a bell</audio>', "a bell"),
        ('<audio src="x"><desc>a picture of a bell</desc>a bell</audio>', "a bell"),
        ("a<mark name='here'/>b", "ab"),
        ("<metadata>about <b>this</b></metadata>said", "said"),
        ('<lexicon uri="http://example.org/x"/>said', "said"),
        ("<script>alert(1)</script><style>x</style>said", "said"),
        ('<sub alias="World Wide Web">WWW <break/></sub> rules', "World Wide Web rules"),
        ('<sub alias="a &amp; b&nbsp;c">x</sub>', "a & b\u00a0c"),
        ('<sub alias="">removed</sub>', ""),
        ("<sub>kept</sub>", "kept"),
        ("contr\x00ol \x07and \ud800lone\udfff and \ufffe", "control and lone and "),
        ("a ]]> b", "a ]]> b"),
    ],
)
def test_only_speakable_content_is_spoken(document: str, words: str) -> None:
    assert words_of(document) == words


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('rate="x-slow"', SpeakingStyle(rate=0.6)),
        ('rate=" FAST "', SpeakingStyle(rate=1.25)),
        ('rate="80%"', SpeakingStyle(rate=0.8)),
        ('rate="1.2"', SpeakingStyle(rate=1.2)),
        ('rate="+20%"', SpeakingStyle(rate=1.2)),
        ('rate="-20%"', SpeakingStyle(rate=0.8)),
        ('rate="900%"', SpeakingStyle(rate=4.0)),
        ('rate="0"', SpeakingStyle(rate=0.25)),
        ('rate="-900%"', SpeakingStyle(rate=0.25)),
        ('rate="quick"', NEUTRAL),
        ('volume="silent"', SpeakingStyle(volume=0.0)),
        ('volume="x-loud"', SpeakingStyle(volume=2.0)),
        ('volume="80"', SpeakingStyle(volume=0.8)),
        ('volume="50%"', SpeakingStyle(volume=0.5)),
        ('volume="+10"', SpeakingStyle(volume=1.1)),
        ('volume="+999dB"', SpeakingStyle(volume=4.0)),
        ('volume="-20dB"', SpeakingStyle(volume=0.1)),
        ('volume="+20 dB"', SpeakingStyle(volume=4.0)),
        ('pitch="x-high"', SpeakingStyle(pitch=1.4)),
        ('pitch="+10%"', SpeakingStyle(pitch=1.1)),
        ('pitch="+12st"', SpeakingStyle(pitch=2.0)),
        ('pitch="-999st"', SpeakingStyle(pitch=0.5)),
        ('pitch="+20Hz"', NEUTRAL),
        ('pitch="1.5"', NEUTRAL),
        ('range="high" contour="(0%,+20Hz)" duration="5s"', NEUTRAL),
        ('rate="slow" volume="loud" pitch="low"', SpeakingStyle(rate=0.8, volume=1.5, pitch=0.85)),
        ("", NEUTRAL),
    ],
)
def test_prosody_becomes_factors(attributes: str, expected: SpeakingStyle) -> None:
    style = style_of(f"<prosody {attributes}>x</prosody>")

    assert (style.rate, style.volume, style.pitch) == pytest.approx(
        (expected.rate, expected.volume, expected.pitch)
    )


def test_nested_prosody_multiplies_and_ends_with_its_element() -> None:
    document = '<prosody rate="2">a<prosody rate="+50%" volume="soft">b</prosody>c</prosody>d'

    assert parts_of(document) == [
        StyledText("a", SpeakingStyle(rate=2.0)),
        StyledText("b", SpeakingStyle(rate=3.0, volume=0.5)),
        StyledText("c", SpeakingStyle(rate=2.0)),
        StyledText("d"),
    ]


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("<break/>", 0.5),
        ('<break time="1.5s"/>', 1.5),
        ('<break time="250MS"/>', 0.25),
        ('<break time="+.5 s"/>', 0.5),
        ('<break time="3600s"/>', 10.0),
        ('<break strength="x-weak"/>', 0.1),
        ('<break strength="x-strong"/>', 1.2),
        ('<break time="2s" strength="none"></break>', 2.0),
        ('<break time="0s"/>', None),
        ('<break strength="none"/>', None),
        ('<break time="-1s"/>', None),
        ('<break time="500"/>', None),
        ('<break time="nans"/>', None),
        ('<break strength="huge"/>', None),
    ],
)
def test_breaks_are_seconds(tag: str, seconds: float | None) -> None:
    assert parts_of(tag) == ([] if seconds is None else [Break(seconds)])


def test_sentences_and_paragraphs_end_with_their_elements() -> None:
    document = "<speak>\n<p>\n <s>One</s>\n <s>Two</s>\n</p>\n<p>Three</p> four <s>five</s>\n</speak>"

    assert [part.text if isinstance(part, StyledText) else type(part) for part in parts_of(document)] == [
        *["One", SentenceEnd, "Two", SentenceEnd, ParagraphEnd, "Three", ParagraphEnd],
        *["four ", SentenceEnd, "five", SentenceEnd],
    ]


def test_an_empty_sentence_or_paragraph_emits_no_end() -> None:
    assert parts_of("<speak><p/><s/> <p><s> </s></p></speak>") == []


@pytest.mark.parametrize(
    ("attributes", "voice", "language"),
    [
        ('name="af_bella"', VoiceRequest(name="af_bella"), None),
        ('name="first second"', VoiceRequest(name="first"), None),
        ('name="a" speaker="3"', VoiceRequest(name="a", speaker="3"), None),
        ('xml:lang="de-DE" gender="female"', VoiceRequest(language="de-DE"), "de-DE"),
        ('language="fr"', VoiceRequest(language="fr"), "fr"),
        ('languages="ja:en de"', VoiceRequest(language="ja"), "ja"),
        ('name="a" xml:lang="de"', VoiceRequest(name="a", language="de"), "de"),
        ('gender="female"', None, "en"),
        ('name=" "', None, "en"),
    ],
)
def test_a_voice_element_requests_its_voice(
    attributes: str, voice: VoiceRequest | None, language: str | None
) -> None:
    assert style_of(f'<speak xml:lang="en"><voice {attributes}>x</voice></speak>') == SpeakingStyle(
        voice=voice, language=language
    )


@pytest.mark.parametrize(
    ("document", "language"),
    [
        ('<lang xml:lang="de">x</lang>', "de"),
        ('<s xml:lang="pt_BR">x</s>', "pt_BR"),
        ('<speak xml:lang="en"><p xml:lang="zh-Hant-TW">x</p></speak>', "zh-Hant-TW"),
        ('<speak xml:lang="en"><s xml:lang="">x</s></speak>', None),
        ('<speak xml:lang="en"><s xml:lang="../../x">x</s></speak>', "en"),
        ('<sub xml:lang="fr" alias="y">x</sub>', "fr"),
    ],
)
def test_any_element_may_set_its_language(document: str, language: str | None) -> None:
    assert style_of(document).language == language


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('interpret-as="cardinal"', SayAs(InterpretAs.CARDINAL)),
        ('interpret-as="Spell-Out"', SayAs(InterpretAs.CHARACTERS)),
        ('interpret-as="verbatim"', SayAs(InterpretAs.CHARACTERS)),
        ('interpret-as="date" format="YMD"', SayAs(InterpretAs.DATE, "ymd")),
        ('interpret-as="date:mdy"', SayAs(InterpretAs.DATE, "mdy")),
        ('interpret-as="telephone" format="1"', SayAs(InterpretAs.TELEPHONE, "1")),
        ('interpret-as="name"', None),
        ("", None),
    ],
)
def test_say_as_sets_how_its_content_is_read(attributes: str, expected: SayAs | None) -> None:
    assert style_of(f"<say-as {attributes}>12</say-as>").say_as == expected


def test_say_as_content_is_emitted_as_a_whole() -> None:
    reader = SsmlParser()

    assert reader.feed('<say-as interpret-as="digits">12') == []
    assert reader.feed("3&#52;<!-- - -->5") == []
    assert reader.feed("</say-as>") == [StyledText("12345", SpeakingStyle(say_as=SayAs(InterpretAs.DIGITS)))]


def test_overlong_say_as_content_is_plain_text() -> None:
    text = "1" * (MAX_SAY_AS_CHARS + 1)

    assert parts_of(f'<say-as interpret-as="digits">{text}</say-as>') == [StyledText(text)]


@pytest.mark.parametrize(
    ("tag", "parts"),
    [
        ('<phoneme alphabet="ipa" ph="təˈmeɪtoʊ">tomato</phoneme>', [PhonemeBlock("[[ təˈmeɪtoʊ ]]")]),
        ('<phoneme alphabet="IPA" ph="/t&#x259;/"/>', [PhonemeBlock("[[ tə ]]")]),
        ('<phoneme ph="a  b">tomato</phoneme>', [PhonemeBlock("[[ a b ]]")]),
        (
            '<phoneme alphabet="x-sampa" ph="t@&quot;meItoU">tomato</phoneme>',
            [PhonemeBlock("[[ təˈmeɪtoʊ ]]")],
        ),
        ('<phoneme alphabet="x-sampa" ph="tÖ">tomato</phoneme>', [StyledText("tomato")]),
        ('<phoneme alphabet="klingon" ph="x">tomato</phoneme>', [StyledText("tomato")]),
        ('<phoneme alphabet="ipa" ph="a ]] b">tomato</phoneme>', [StyledText("tomato")]),
        (f'<phoneme alphabet="ipa" ph="{"a" * 600}">tomato</phoneme>', [StyledText("tomato")]),
        ('<phoneme alphabet="ipa" ph=" ">tomato</phoneme>', [StyledText("tomato")]),
        ("<phoneme>tomato</phoneme>", [StyledText("tomato")]),
    ],
)
def test_a_phoneme_element_becomes_a_raw_block(tag: str, parts: list[SsmlPart]) -> None:
    assert parts_of(tag) == parts


def test_a_raw_block_has_the_surrounding_style() -> None:
    document = '<prosody rate="2"><s><phoneme ph="x" xml:lang="de">y</phoneme></s></prosody>'

    assert parts_of(document) == [
        PhonemeBlock("[[ x ]]", SpeakingStyle(rate=2.0, language="de")),
        SentenceEnd(),
    ]


@pytest.mark.parametrize(
    ("document", "line", "column", "expected_message"),
    [
        ("<speak>\n  <b>x</c>\n</speak>", 2, 7, "expected that of an element, opened at line 2, column 3"),
        ("<speak>one\n<p>two", 2, 1, "<p> is not closed; expected its closing tag"),
        ("ä\r\n5 < 6", 2, 3, "expected the name of an element"),
        ("Tom & Jerry", 1, 5, "Write '&amp;' for an '&' that is text"),
        ("a &bogus; b", 1, 3, "an entity that stands for no character"),
        ("a &#0; b", 1, 3, "stands for no character"),
        ("a &amp", 1, 3, "the text ends inside the markup"),
        ("</speak>", 1, 1, "no element is open"),
        ("x</all>", 1, 2, "no element is open"),
        ("<a b=c>", 1, 1, "not well-formed"),
        ("<a b='1' b='2'/>", 1, 1, "duplicate attribute"),
        ("<a b='<'/>", 1, 1, "not well-formed"),
        ("<a <b>", 1, 1, "another '<'"),
        ("<a b='x'", 1, 1, "the text ends inside"),
        ("text <!-- never closed", 1, 6, "the text ends inside"),
        ('<!DOCTYPE speak SYSTEM "x.dtd"><speak/>', 1, 1, "refused"),
        ("<b " + "x" * 5000 + ">", 1, 1, "more than 4096 characters"),
        ("<b>" * (MAX_DEPTH + 1), 1, 3 * MAX_DEPTH + 1, "nested more than 50 deep"),
    ],
)
def test_malformed_markup_is_reported_with_its_position(
    document: str, line: int, column: int, expected_message: str
) -> None:
    error = error_of(document)

    assert f"line {line}, column {column}: " in str(error)
    assert expected_message in str(error)


def test_malformed_markup_is_a_bad_request_with_its_own_code() -> None:
    error = error_of("<")

    assert isinstance(error, BadRequest)
    assert error.code is ErrorCode.BAD_MARKUP


def test_parts_before_an_error_are_emitted_and_none_after_it() -> None:
    reader = SsmlParser()

    assert reader.feed("<speak>said</spoke> not said") == [StyledText("said")]
    with pytest.raises(MalformedMarkup):
        reader.feed(" nor this")
    assert reader.feed("</speak>") == []
    assert reader.finish() == []


def test_each_ignored_element_or_attribute_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read(
            '<audio src="a"/><audio src="b"/><b>x</b><b>y</b>\n<prosody pitch="+5Hz" contour="c">z</prosody>'
        )

    assert [record.getMessage() for record in caplog.records] == [
        "SSML, line 1: <audio> has no effect; its content is spoken.",
        "SSML, line 1: an unknown element has no effect; its content is spoken.",
        "SSML, line 2: <prosody contour> has no effect.",
        "SSML, line 2: <prosody pitch> is ignored because its value is neither a number nor a label.",
    ]


def test_a_hostile_text_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read("".join(f'<x{number}/><say-as interpret-as="{number}"/>' for number in range(200)))

    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "document",
    [
        "<SECRET>a</SECRET>",
        '<SECRET SECRET="SECRET">a</SECRET>',
        '<say-as interpret-as="SECRET" SECRET="SECRET">a</say-as>',
        '<prosody rate="SECRET" pitch="SECRET" volume="SECRET">a</prosody>',
        '<voice SECRET="SECRET">a</voice>',
        '<p xml:lang="SECRET SECRET">a</p>',
        '<break time="SECRET"/>',
        '<phoneme ph="SECRET" alphabet="SECRET">a</phoneme>',
        "<p><SECRET></p>",
        "<SECRET>",
        "</SECRET>",
        "<p>SECRET",
        "<p></SECRET>",
        "<1SECRET>",
        "<!SECRET>",
        "<![SECRET[",
        "&SECRET;",
        '<p SECRET="&SECRET;">',
        '<p SECRET="1" SECRET="2">',
        "<p SECRET>",
        "<p SECRET<",
    ],
)
def test_no_words_of_a_document_reach_the_log_or_an_error(
    document: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader, errors = SsmlParser(), []
    steps: list[Callable[[], object]] = [lambda: reader.feed(document), reader.finish]
    with caplog.at_level(logging.DEBUG):
        for step in steps:
            try:
                step()
            except MalformedMarkup as error:
                errors.append(str(error))

    assert "SECRET" not in caplog.text + "".join(errors)


DOCUMENTS = [
    '<speak xml:lang="en">Hi <prosody rate="80%">there</prosody><break time="1s"/> you &amp; me</speak>',
    '<p><s>A <sub alias="be">b</sub></s> <say-as interpret-as="date" format="dmy">1/2/3</say-as></p>',
    "<![CDATA[x ]] ]]]>y<!-- --- -->z<?a ? ?>w &hellip;&#8230;",
    '<phoneme alphabet="x-sampa" ph="&quot;a:">a</phoneme><voice name=\'a > b\'>c</voice>',
    "one <b>two</c> three",
    "one & two",
    "<speak>unclosed <say-as interpret-as='digits'>12",
    "a <!DOCTYPE x>",
]
FRAGMENTS = st.sampled_from(
    [
        *["<", ">", "/", "&", ";", "&amp;", "&nbsp;", "&#9", "'", '"', "=", " ", "\n", "]]>", "-->", "?>"],
        *[
            "<!--",
            "<![CDATA[",
            "<?",
            "<p>",
            "</p>",
            "<s>",
            "</s>",
            "<break/>",
            "<say-as interpret-as='digits'>",
        ],
        *["</say-as>", "<prosody rate='2'>", "</prosody>", "<sub alias='x'>", "</sub>", "text", "12", "\x00"],
        *["\ud800", "é", "<speak>", "</speak>"],
    ]
)
TEXTS = st.sampled_from(DOCUMENTS) | st.lists(FRAGMENTS, max_size=25).map("".join)


def outcome(*pieces: str) -> tuple[list[SsmlPart], str]:
    parts, error = read(*pieces)
    return parts, str(error)


@given(text=TEXTS, cuts=st.lists(st.integers(0, 120), max_size=6))
def test_the_result_does_not_depend_on_chunk_boundaries(text: str, cuts: list[int]) -> None:
    positions = [0, *sorted(cuts), len(text)]
    whole = outcome(text)

    assert outcome(*text) == whole
    assert outcome(*(text[start:end] for start, end in pairwise(positions))) == whole


@given(words=st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cn"]), max_size=60))
def test_no_text_is_lost_or_duplicated(words: str) -> None:
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert words_of(f"<speak>{escaped}|</speak>") == re.sub(" +", " ", f"{words}|").lstrip(" ")


def test_the_parser_buffers_at_most_one_tag_of_an_endless_text() -> None:
    reader = SsmlParser()

    for _ in range(300):
        reader.feed("text <!-- comment --> <![CDATA[ x ]]> <p>y</p> &amp; ")
        reader.feed('<say-as interpret-as="digits">' + "1" * 3000 + "</say-as><!-- " + "-" * 3000 + " -->")
    assert sum(map(len, reader._tokens._held)) + len(reader._tokens._tail) < 100
    assert (reader._text, reader._parts, reader._open) == ([], [], [])


@pytest.mark.parametrize("document", ["", "text", "<speak><s>a</s></speak>", "<emphasis>a</emphasis>"])
def test_a_whole_text_is_checked_without_a_word_in_the_log(
    document: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    check_ssml(document)
    assert not caplog.records


@pytest.mark.parametrize("document", ["<speak>a", "<speak>a</b>", "a</speak>b<", "<a>&x;</a>", "a <b"])
def test_checking_finds_what_reading_finds(document: str) -> None:
    _, error = read(document)
    with pytest.raises(MalformedMarkup, match=f"^{re.escape(str(error))}$"):
        check_ssml(document)
