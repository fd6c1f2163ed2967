"""Where the words that are left of a text with markup were written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Protocol, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.offset_text import OffsetText, Span, group, join_texts
from wyoming_tts.text.cleaning import CleanupOptions, TextCleaner
from wyoming_tts.text.markdown.tex import TexWords
from wyoming_tts.text.markup import MarkupPart, PhonemeBlock, StyledText
from wyoming_tts.text.plain_text import TextPiece
from wyoming_tts.text.ssml.parser import SsmlParser
from wyoming_tts.text.voice_tags import VoiceTagParser

Said: TypeAlias = str | tuple[str, str]
"""A word that is said as it was written, or with what it stands for."""

_WORD_RE = re.compile(r"\[\[.*?\]\]|\S*[^\s.,:;!?]")
"""Without the punctuation behind it."""
OPTIONS = CleanupOptions(emoji="name", code_blocks="announce", code_block_notice="Some code")
TEX = TexWords(signs={"plus": "plus", "equals": "equals"}, exponents={"2": "squared"})


class MarkupParser(Protocol):
    """What comes before cleaning."""

    def feed(self, text: str) -> Sequence[MarkupPart]: ...

    def finish(self) -> Sequence[MarkupPart]: ...


def written_pieces(text: str, cuts: Sequence[int]) -> list[OffsetText]:
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(text)}), len(text)]
    return [OffsetText.written(text[begin:end], begin) for begin, end in pairwise(bounds)]


def every_letter(text: str) -> range:
    return range(len(text))


def clean(text: str, cuts: Sequence[int] = (), options: CleanupOptions = OPTIONS) -> OffsetText:
    cleaner = TextCleaner(options, tex_words=TEX)
    found = [piece for written in written_pieces(text, cuts) for piece in cleaner.feed(written)]
    return joined(found + cleaner.finish())


def joined(pieces: list[TextPiece]) -> OffsetText:
    return OffsetText.of(join_texts([piece.text for piece in pieces]))


def parse(parser: MarkupParser, text: str, cuts: Sequence[int] = ()) -> OffsetText:
    """Parse the markup, up to where it is malformed; return its texts and blocks."""
    found: list[MarkupPart] = []
    with suppress(MalformedMarkup):
        for written in written_pieces(text, cuts):
            found += parser.feed(written)
        while rest := parser.finish():
            found += rest
    return OffsetText.of(join_texts(_texts(found)))


def _texts(parts: Sequence[MarkupPart]) -> Iterator[str]:
    """The texts, with a line end wherever something else is or the style changes."""
    style = None
    for part in parts:
        match part:
            case StyledText(text) | PhonemeBlock(text):
                yield text if part.style == style else "\n" + text
                style = part.style
            case _:
                style = None


def said_words(said: OffsetText, text: str) -> list[Said]:
    """Each word with what it stands for in a text, unless that is the word itself."""
    words: list[Said] = []
    for found in _WORD_RE.finditer(said):
        word = OffsetText.of(group(found))
        written = text[slice(*word.span)] if word.span else ""
        words.append(str(word) if written == word else (str(word), written))
    return words


def offsets_of(text: str) -> list[Span | None]:
    return [OffsetText.of(text[at : at + 1]).span for at in range(len(text))]


def check_order(said: OffsetText, text: str) -> None:
    """Check that what characters stand for is within the text, and in order."""
    spans = [span for span in offsets_of(said) if span]
    assert all(0 <= begin < end <= len(text) for begin, end in spans)
    for before, after in pairwise(spans):
        assert before == after or before.end <= after.begin


def check_letters(said: OffsetText, text: str) -> None:
    """Check that what stands for a single letter is that letter."""
    for char, span in zip(said, offsets_of(said), strict=True):
        written = text[slice(*span)] if span else ""
        if len(written) == 1 and written.isascii() and written.isalnum():
            assert char == written


MARKDOWN: list[tuple[str, list[Said]]] = [
    ("**bold** and *italic*, __strong__ ~~gone~~", ["bold", "and", "italic", "strong", "gone"]),
    ("**bo**ld it`s", [("bold", "bo**ld"), ("it's", "it`s")]),
    ("# Weather\nIt rains\n===\n> so", ["Weather", "It", "rains", "so"]),
    ("Buy:\n- Milk\n* [x] Tea\n1. Jam", ["Buy", "Milk", "Tea", "1", "Jam"]),
    ("| A | B c |\n|---|:-:|\n| 1\\|x | **2** |", ["A", "B", "c", ("1|x", "1\\|x"), "2"]),
    ("A | B\n--- | ---\n1 | 2", ["A", "B", "1", "2"]),
    ('the [*site* b](https://x.com/a_b "title") here', ["the", "site", "b", "here"]),
    ("![a cat](cat.png) [![b](i.png)](u) [c][1]\n\n[1]: https://x.com", ["a", "cat", "b", "c"]),
    ("See [[Main#Page]], [[a page|the *label*]]", ["See", "Main", "Page", "the", "label"]),
    ("Paris[1] is big.[2][3] so[^1] on【4†source】", ["Paris", "is", "big", "so", "on"]),
    ("Paris [2](https://x.com), now", ["Paris", "now"]),
    ("run `rm *.txt` \\*or\\*", ["run", "rm", "*.txt", ("*or*", "*or\\*")]),
    ("5 * 3 and 2**3", ["5", ("×", "*"), "3", "and", ("2^3", "2**3")]),
    ("a\n```python\nb = 1\n```\nc", ["a", ("Some", ""), ("code", ""), "c"]),
    ("\x1b[1;31mError\x1b[0m: bad", ["Error", "bad"]),
    ("<https://x.org/a_b> <mailto:me@x.org>", ["https://x.org/a_b", "me@x.org"]),
    ("say $x^2 + y$ or \\( 5 = y \\)", [
        "say", ("x", "x^2 + y"), ("squared", "x^2 + y"), ("plus", "x^2 + y"), ("y", "x^2 + y"),
        "or", ("5", "5 = y"), ("equals", "5 = y"), ("y", "5 = y"),
    ]),
    ("[Kokoro](/kˈOkəɹO/) [[ ˈxy ]] so", [("[[ kˈoʊkəɹoʊ ]]", "Kokoro"), "[[ ˈxy ]]", "so"]),
]  # fmt: skip
HTML: list[tuple[str, list[Said]]] = [
    ("<p>one<br>two</p><ul><li>three</li></ul>", ["one", "two", "three"]),
    (
        "fish &amp; chips&nbsp;now caf&eacute;",
        ["fish", ("&", "&amp;"), "chips", "now", ("café", "caf&eacute;")],
    ),
    ('a <img src="x.png" alt="small &lt;cat"> b', ["a", "small", ("<cat", "&lt;cat"), "b"]),
    ("<think>so they say</think>Yes<!-- no --> <script>x</script>sir", ["Yes", "sir"]),
    ("<table><tr><td>A</td><td>B</td></tr></table>", ["A", "B"]),
]
PICTURES: list[tuple[str, list[Said]]] = [
    ("so 😀 it", ["so", ("grinning", "😀"), ("face", "😀"), "it"]),
    ("so👍🏽 it", ["so", ("thumbs", "👍🏽"), ("up", "👍🏽"), "it"]),
    ("Bye ;)\nnow", ["Bye", ("winking", ";)"), ("face", ";)"), "now"]),
    ("love you <3", ["love", "you", ("red", "<3"), ("heart", "<3")]),
    ("I <3 you", ["I", ("love", "<3"), "you"]),
    ("① one, Ⓑ two", [("1", "①"), "one", ("B", "Ⓑ"), "two"]),
]
PUNCTUATION: list[tuple[str, list[Said]]] = [
    ("  two   words\n\nthree \n four", ["two", "words", "three", "four"]),
    ("in\u200bvi\u00adsi\ufeffble", [("invisible", "in\u200bvi\u00adsi\ufeffble")]),
    (
        "it is -5, well-known, a -- b --help -x",
        ["it", "is", "-5", "well-known", "a", ("—", ""), "b", "--help", "-x"],
    ),
    ("what?!?! no.... yes!!!", ["what", "no", "yes"]),
    ("می\u200cخواهم", ["می\u200cخواهم"]),
]
TAGS: list[tuple[str, list[Said]]] = [
    ("Hi [voice:bella]there[voice:] [pause:1s]you[lang:de] Ulm", ["Hi", "there", "you", "Ulm"]),
    ("a [voicemail] b[0]", ["a", "[voicemail]", "b[0]"]),
]
SSML: list[tuple[str, list[Said]]] = [
    ("<speak>Hello <emphasis>wo</emphasis>rld\n  now</speak>", [
        "Hello", ("world", "wo</emphasis>rld"), "now",
    ]),
    ("a &amp; b &#233;t&eacute; <![CDATA[c < d]]>", [
        "a", ("&", "&amp;"), "b", ("été", "&#233;t&eacute;"), "c", "<", "d",
    ]),
    ('the <sub alias="World Wide Web"> <w>WWW</w> </sub> is', [
        "the", ("World", "WWW"), ("Wide", "WWW"), ("Web", "WWW"), "is",
    ]),
    ('<sub alias="and">&amp;</sub> <sub alias="nothing"/>', [("and", "&amp;"), ("nothing", "")]),
    ('a <phoneme ph="təˈmɑːtəʊ">tomato</phoneme>.', ["a", ("[[ təˈmɑːtəʊ ]]", "tomato")]),
    ('on <say-as interpret-as="date">3.5.2024</say-as> <prosody rate="fast">go</prosody>', [
        "on", "3.5.2024", "go",
    ]),
    ("one<!-- no --><metadata>no</metadata><p>two</p><?no?>three", ["one", "two", "three"]),
]  # fmt: skip

CLEANED = MARKDOWN + HTML + PICTURES + PUNCTUATION


@pytest.mark.parametrize(("text", "words"), CLEANED)
def test_each_word_stands_for_what_it_was_written_as(text: str, words: list[Said]) -> None:
    said = clean(text)

    assert said_words(said, text) == words
    check_order(said, text)


@pytest.mark.parametrize(("text", "words"), TAGS)
def test_words_between_voice_tags_stand_for_themselves(text: str, words: list[Said]) -> None:
    assert said_words(parse(VoiceTagParser(), text), text) == words


@pytest.mark.parametrize(("text", "words"), SSML)
def test_each_word_of_ssml_stands_for_the_content_that_it_replaces(text: str, words: list[Said]) -> None:
    said = parse(SsmlParser(), text)

    assert said_words(said, text) == words
    check_order(said, text)


def test_a_sign_belongs_to_its_number() -> None:
    said = clean("it is  -5 \n-6")

    assert said == "it is -5\n-6"
    assert OffsetText.of(said[6:8]).span == (7, 9)
    assert OffsetText.of(said[9:]).span == (11, 13)


def test_a_space_stands_for_white_space_and_a_break_for_nothing() -> None:
    assert offsets_of(clean("a 😀\t b\n\nc", options=CleanupOptions())) == [
        (0, 1),
        (1, 2),
        (5, 6),
        None,
        None,
        (8, 9),
    ]


def test_the_marks_that_remain_of_many_stand_for_the_first_ones() -> None:
    assert offsets_of(clean("a!!?! b")) == [(0, 1), (1, 2), (3, 4), (5, 6), (6, 7)]


def test_code_that_is_read_stands_for_itself() -> None:
    text = "a\n```python\nb = 1\n```\nc"

    said = clean(text, options=CleanupOptions(code_blocks="read"))

    assert said_words(said, text) == ["a", "b", "=", "1", "c"]


def test_long_content_that_an_alias_replaces_is_not_waited_for() -> None:
    parser = SsmlParser()
    text = '<sub alias="so">' + "x" * 600 + "</sub>"

    said = [part for written in written_pieces(text, every_letter(text)) for part in parser.feed(written)]

    assert said_words(parse(SsmlParser(), text), text) == [("so", "x" * 500)]
    assert [OffsetText.of(part.text).span for part in said if isinstance(part, StyledText)] == [(16, 516)]


def test_an_alias_is_said_before_an_error_in_the_content_that_it_replaces() -> None:
    text = '<sub alias="so">ab<!x'

    assert said_words(parse(SsmlParser(), text), text) == [("so", "ab")]


lines = st.sampled_from([text for text, _ in CLEANED])
fragments = st.sampled_from(
    [*" \n*_`#-!?.,;:()[]<>&$\\|~=+xB5", "\n\n", "  ", "&lt;", "😀", "①", "--", "[1]", "$x^2$"]
)
texts = st.lists(lines | fragments | st.text(max_size=3), max_size=12).map("".join)
cuts = st.lists(st.integers(1, 300), max_size=12)


@settings(max_examples=scaled_examples(300))
@given(texts, cuts, st.sampled_from([OPTIONS, CleanupOptions(), CleanupOptions(markdown=False)]))
def test_offsets_do_not_depend_on_the_pieces(text: str, cuts: list[int], options: CleanupOptions) -> None:
    whole = clean(text, options=options)

    check_order(whole, text)
    check_letters(whole, text)
    for found in (clean(text, cuts, options), clean(text, every_letter(text), options)):
        assert found == whole
        assert offsets_of(found) == offsets_of(whole)


ssml_fragments = st.sampled_from(
    [
        *" \nab&<>/",
        "&amp;",
        "&#65;",
        "<s>",
        "</s>",
        "<break/>",
        "<sub alias='b c'>",
        "</sub>",
        "<!--x-->",
        "]]>",
        "<![CDATA[",
    ]
)
ssml_texts = st.lists(st.sampled_from([text for text, _ in SSML]) | ssml_fragments, max_size=8).map("".join)


@settings(max_examples=scaled_examples(200))
@given(ssml_texts, cuts)
def test_offsets_of_ssml_do_not_depend_on_the_pieces(text: str, cuts: list[int]) -> None:
    whole = parse(SsmlParser(), text)

    check_order(whole, text)
    for found in (parse(SsmlParser(), text, cuts), parse(SsmlParser(), text, every_letter(text))):
        assert found == whole
        assert offsets_of(found) == offsets_of(whole)
