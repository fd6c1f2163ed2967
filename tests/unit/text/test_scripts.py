"""Words in another script than the text's language."""

from __future__ import annotations

from itertools import groupby

import pytest
from babel.core import get_global
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.line_counting import measure_growth
from tests.support.offsets import character_spans, check_offsets, word_spans, written_pieces
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.espeak.engine import EspeakEngine
from wyoming_tts.languages import language_code
from wyoming_tts.offset_text import Span, join_texts
from wyoming_tts.speech import Segment, TextFormat, VoiceRequest
from wyoming_tts.text import scripts
from wyoming_tts.text.plain_text import TextPiece
from wyoming_tts.text.scripts import (
    SURE_CHARS,
    ScriptMode,
    ScriptSplitter,
    languages_in,
    letter_name,
    own_scripts,
)
from wyoming_tts.text.segments import Segmenter, SegmentOptions

Spans = list[tuple[str, str | None]]


def spans(
    text: str, *, language: str = "en_US", size: int | None = None, splitter: ScriptSplitter | None = None
) -> Spans:
    """The text of each language in turn, however it was divided."""
    splitter = splitter or ScriptSplitter(language)
    size = size or len(text) or 1
    pieces = written_pieces(text[at : at + size] for at in range(0, len(text), size))
    found = [each for piece in pieces for each in splitter.feed(TextPiece(piece))] + splitter.finish()
    return [
        (join_texts(each.piece.text for each in group), spoken)
        for spoken, group in groupby(found, key=lambda each: each.language)
    ]


def test_no_text_in_its_own_script_is_held_back() -> None:
    splitter = ScriptSplitter("en_US")
    for text in ("The ", "caf", "é is ", "open", ". ", "5 €"):
        assert [each.piece.text for each in splitter.feed(TextPiece(text))] == [text]


# Which words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Привет", [("Привет", "ru")]),
        ("The word Привет means hello.", [("The word ", None), ("Привет ", "ru"), ("means hello.", None)]),
        ('He said "Привет", and left.', [("He said ", None), ('"Привет", ', "ru"), ("and left.", None)]),
        ("He read (你好) twice.", [("He read ", None), ("(你好) ", "zh"), ("twice.", None)]),
        ("hello你好world", [("hello", None), ("你好", "zh"), ("world", None)]),
        ("Say 你好。Then go.", [("Say ", None), ("你好。", "zh"), ("Then go.", None)]),
        ("«Привет» — he said", [("«Привет» — ", "ru"), ("he said", None)]),
        ("Привет мир 2020 года. Bye", [("Привет мир 2020 года. ", "ru"), ("Bye", None)]),
        ('Да. 5 лет. "Да" Bye', [('Да. 5 лет. "Да" ', "ru"), ("Bye", None)]),
        ("In Японии 5 times", [("In ", None), ("Японии ", "ru"), ("5 times", None)]),
        ("Greek: καλημέρα!", [("Greek: ", None), ("καλημέρα!", "el")]),
        ("Say שלום or مرحبا.", [("Say ", None), ("שלום ", "he"), ("or ", None), ("مرحبا.", "ar")]),
        ("नमस्ते and สวัสดี", [("नमस्ते ", "hi"), ("and ", None), ("สวัสดี", "th")]),
        ("안녕하세요, Mr. Kim", [("안녕하세요, ", "ko"), ("Mr. Kim", None)]),
        ("A コーヒー please", [("A ", None), ("コーヒー ", "ja"), ("please", None)]),
        ("Привет 你好", [("Привет ", "ru"), ("你好", "zh")]),
        ("Приве\u0301т all", [("Приве\u0301т ", "ru"), ("all", None)]),
        ("One.\n\nПривет\n\nTwo.", [("One.\n\n", None), ("Привет\n\n", "ru"), ("Two.", None)]),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 3])
def test_words_in_another_script_are_spans_of_its_language(
    text: str, expected: Spans, size: int | None
) -> None:
    assert spans(text, size=size) == expected


@pytest.mark.parametrize(
    "text",
    [
        "A 10 kΩ resistor, π/2, α and β, Δt, ΔG°, 5 µm, 3 μm, λx, sin θ cos φ.",
        "α β γ δ ε ζ η θ ι κ λ μ ν ξ ο π ρ σ τ υ φ χ ψ ω",
        "Nice 👍🏽 ☃ → ★ 5 ℃ №7 ∑ ∞ ♥ ½ ™ ✓",
        "Größe, café, naïve, Łódź, Đà Nẵng, ﬁve, Ⅳ, Ａ",
        "/ˈθɪŋk/ ðə χ",
        "H\u0435llo",  # one Cyrillic letter in a Latin word: a misprint, or a joke
        "ᐃᓄᒃᑎᑐᑦ",  # no voice reads these
    ],
)
def test_symbols_emoji_and_single_greek_letters_are_the_texts_own(text: str) -> None:
    assert spans(text) == [(text, None)]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ru_RU", "Привет, Windows и Wi-Fi."),
        ("uk_UA", "Привіт"),
        ("sr_RS", "Здраво, svete"),
        ("sr_Latn", "Здраво, svete"),
        ("kk_KZ", "Сәлем"),
        ("ja_JP", "東京のコーヒーとWi-Fi"),
        ("zh_CN", "你好，Wi-Fi和优の良品"),
        ("zh_HK", "你好"),
        ("ko_KR", "한자(漢字)"),
        ("el_GR", "Καλημέρα"),
        ("fa_IR", "سلام"),
        ("ne_NP", "नमस्ते"),
        ("cmn", "你好"),
    ],
)
def test_a_languages_own_scripts_are_not_spans(language: str, text: str) -> None:
    assert spans(text, language=language) == [(text, None)]


def test_other_languages_have_spans_of_their_own() -> None:
    assert spans("Привет 你好", language="ru") == [("Привет ", None), ("你好", "zh")]
    assert spans("你好 にほん", language="zh") == [("你好 ", None), ("にほん", "ja")]


# Which language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Доброго ранку", "ru"),
        ("Привіт, світе", "uk"),
        ("Як ти, їжаче", "uk"),
        ("Прывітанне, ўсе", "be"),
        ("Ђорђе", "sr"),
        ("Сәлем, қала", "kk"),
        ("سلام، چطوری", "fa"),
        ("آپ کیسے ہیں ٹھیک", "ur"),
        ("日本語を話す", "ja"),
        ("東京タワー", "ja"),
        ("日本語", "zh"),
    ],
)
def test_letters_tell_the_language(text: str, language: str) -> None:
    assert spans(text) == [(text, language)]


def test_what_letters_told_once_holds_for_later_words() -> None:
    assert spans("東京, にほん and 東京") == [("東京, にほん ", "ja"), ("and ", None), ("東京", "ja")]


def test_a_word_that_the_lexicon_has_is_the_texts_own() -> None:
    splitter = ScriptSplitter("en", protected={"Привет"}.__contains__)
    assert spans("Say Привет and Пока.", splitter=splitter) == [("Say Привет and ", None), ("Пока.", "ru")]


# The other modes


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('The word "Привет" means hello.', "The word means hello."),
        ("Hello. Привет, мир. Bye.", "Hello. . Bye."),
        ("Привет", ""),
    ],
)
def test_words_are_left_out(text: str, left: str) -> None:
    assert "".join(text for text, _ in spans(text, splitter=ScriptSplitter("en", ScriptMode.SKIP))) == left


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Say Привет, now", [("Say pe er i ve ie te, now", None)]),
        ("Привет мир.", [("pe er i ve ie te, em i er.", None)]),
        ("안녕", [("an nyeong", None)]),
        ("ひと", [("hi to", None)]),
        ("Ωμέγα", [("omega mu epsilon gamma alpha", None)]),
        ("Say 你好.", [("Say ", None), ("你好.", "zh")]),
    ],
)
def test_letters_are_named(text: str, spelled: Spans) -> None:
    assert spans(text, splitter=ScriptSplitter("en", ScriptMode.SPELL)) == spelled


def test_letters_are_named_where_no_voice_reads_them() -> None:
    splitter = ScriptSplitter("en", speaks=lambda language: language != "lo")
    assert spans("ສະ and Да", splitter=splitter) == [("so sung a, and ", None), ("Да", "ru")]


def test_a_letters_name_has_no_case_and_no_accents() -> None:
    assert [letter_name(letter) for letter in "Пנםάक्ิ?"] == [
        "pe",
        "nun",
        "mem",
        "alpha",
        "ka",
        "",
        "sara i",
        "",
    ]


# As the text arrives

TEXTS = st.text('abéЖїΩπ你の5. "(“\n,—;?。!\u0301', max_size=60)
LANGUAGES = st.sampled_from(["en_US", "ru_RU", "zh_CN", "ja_JP", "el_GR", ""])


@settings(max_examples=scaled_examples(300))
@given(TEXTS, LANGUAGES, st.sampled_from(ScriptMode), st.integers(1, 7))
def test_spans_do_not_depend_on_the_pieces(text: str, language: str, mode: ScriptMode, size: int) -> None:
    whole, divided = (
        spans(text, size=each, splitter=ScriptSplitter(language, mode)) for each in (None, size)
    )
    assert whole == divided


@settings(max_examples=scaled_examples(300))
@given(TEXTS, LANGUAGES, st.lists(st.booleans(), max_size=60))
def test_nothing_is_lost_even_if_it_is_flushed(text: str, language: str, flushes: list[bool]) -> None:
    splitter = ScriptSplitter(language)
    found = []
    for index, letter in enumerate(text):
        found += splitter.feed(TextPiece(letter))
        if index < len(flushes) and flushes[index]:
            found += splitter.flush()
    assert "".join(each.piece.text for each in (*found, *splitter.finish())) == text


@settings(max_examples=scaled_examples(300))
@given(TEXTS, LANGUAGES, st.sampled_from(ScriptMode), st.integers(1, 7))
def test_offsets_do_not_depend_on_the_pieces(text: str, language: str, mode: ScriptMode, size: int) -> None:
    whole, divided = (
        join_texts(text for text, _ in spans(text, size=each, splitter=ScriptSplitter(language, mode)))
        for each in (None, size)
    )
    assert character_spans(whole) == character_spans(divided)
    check_offsets([whole], text)
    if mode is ScriptMode.SWITCH:
        assert character_spans(whole) == [(char, Span(at, at + 1)) for at, char in enumerate(text)]


@pytest.mark.parametrize("size", [1, 3, None])
def test_each_name_of_a_letter_stands_for_the_letter(size: int | None) -> None:
    [(spelled, _)] = spans("At Юа now", size=size, splitter=ScriptSplitter("en", ScriptMode.SPELL))
    assert word_spans(spelled) == [
        ("At", Span(0, 2)),
        ("yu", Span(3, 4)),
        ("a", Span(4, 5)),
        ("now", Span(6, 9)),
    ]


def test_a_span_is_held_back_no_longer_than_needed() -> None:
    splitter = ScriptSplitter("en")
    assert splitter.feed(TextPiece("Ж" * (SURE_CHARS - 1))) == []
    assert [each.language for each in splitter.feed(TextPiece("Ж"))] == ["ru"]
    assert [each.piece.text for each in splitter.feed(TextPiece("Ж"))] == ["Ж"]
    early = ScriptSplitter("en")
    assert [each.piece.text for each in early.feed(TextPiece("你好。"))] == ["你好"]


def test_a_phoneme_block_passes_between_the_words() -> None:
    splitter = ScriptSplitter("en")
    pieces = [TextPiece("Да "), TextPiece("[[ a ]]", raw=True), TextPiece(' "Да"')]
    found = [each for piece in pieces for each in splitter.feed(piece)] + splitter.finish()
    assert [(each.piece.text, each.language) for each in found] == [
        ("Да ", "ru"),
        ("[[ a ]]", None),
        (" ", None),
        ('"Да"', "ru"),
    ]


@pytest.mark.parametrize(
    "unit", ["a", "Ж", "Жз ab ", "(", "Ж 1 ", "Ж" + " " * 50, "Ж.", "你。", "aЖ", "αβ. α. ", '"']
)
def test_time_grows_linearly(unit: str) -> None:
    def split(count: int) -> None:
        splitter = ScriptSplitter("en")
        for letter in unit * (count // len(unit)):
            splitter.feed(TextPiece(letter))
        splitter.finish()

    assert measure_growth(split, size=2_000) < 2.2


# The table


def test_each_language_has_the_scripts_of_cldrs_likely_subtags() -> None:
    likely = get_global("likely_subtags")
    together = {"Hans": {"Hani"}, "Hant": {"Hani"}, "Jpan": {"Hani", "Kana"}, "Kore": {"Hang", "Hani"}}
    voices = EspeakEngine(EngineOptions()).installed()
    for language in {language_code(voice.language) for voice in voices} | {"yue"}:
        script = likely.get(language, "x_Latn_X").split("_")[1]
        expected = together.get(script) or {script} - {"Latn"}
        assert {*own_scripts(language)} == expected, language


def test_each_script_belongs_to_cldrs_likeliest_language() -> None:
    likely = get_global("likely_subtags")
    for name, script in scripts._SCRIPTS.items():
        assert likely[f"und_{name}"].split("_")[0] == script.likeliest
        assert all(language in script.languages for _, language in script.telling)


def test_the_languages_of_a_text_are_known_before_it_is_read() -> None:
    assert [*languages_in("Hello, café")] == []
    assert {*languages_in("Привіт, 日本 ひ")} == {"ru", "uk", "zh", "ja"}


# In the pipeline


def segments(
    text: str, *, text_format: TextFormat = TextFormat.PLAIN, size: int = 0, **options: object
) -> Spans:
    segmenter = Segmenter(
        SegmentOptions(**options),  # type: ignore[arg-type]
        language="en_US",
        text_format=text_format,
    )
    pieces = [text[at : at + (size or len(text))] for at in range(0, len(text), size or len(text))]
    found: list[Segment] = [each for piece in pieces for each in segmenter.feed(piece)] + segmenter.finish()
    return [(each.text, each.voice.language if each.voice else None) for each in found]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Say 你好 to her. Bye.", [("Say", None), ("你好", "zh"), ("to her.", None), ("Bye.", None)]),
        ("**Привет**, _мир_! Hello.", [("Привет, мир!", "ru"), ("Hello.", None)]),
        ("It is late. Привет. Bye", [("It is late.", None), ("Привет.", "ru"), ("Bye.", None)]),
        ("[Привет](https://example.org) all", [("Привет", "ru"), ("all.", None)]),
        ("- Привет\n- Hello", [("Привет.", "ru"), ("Hello.", None)]),
        ("Only 😀 Да", [("Only", None), ("Да.", "ru")]),
    ],
)
def test_segments_switch_to_a_voice_of_the_language(text: str, expected: Spans, size: int) -> None:
    assert segments(text, size=size) == expected


def test_markup_that_chooses_a_voice_or_a_language_decides() -> None:
    ssml = (
        "<speak>A <lang xml:lang='ru'>Да 你好</lang> <voice name='x'>Да</voice> "
        "<prosody rate='2'>Да</prosody></speak>"
    )
    assert segments(ssml, text_format=TextFormat.SSML) == [
        ("A", None),
        ("Да", "ru"),
        ("你好", "zh"),
        ("Да", None),
        ("Да.", "ru"),
    ]


def test_a_sentences_pause_follows_words_in_another_script() -> None:
    segmenter = Segmenter(SegmentOptions(sentence_silence=0.5), language="en_US")
    found = segmenter.feed("One. Да, да. Two 你好 three.") + segmenter.finish()
    assert [(each.text, each.pause_before) for each in found] == [
        ("One.", 0.0),
        ("Да, да.", 0.5),
        ("Two", 0.5),
        ("你好", 0.0),
        ("three.", 0.0),
    ]
    assert found[1].voice == VoiceRequest(language="ru")


def test_scripts_may_be_left_to_the_texts_voice() -> None:
    assert segments("Say Да.", scripts=None) == [("Say Да.", None)]
