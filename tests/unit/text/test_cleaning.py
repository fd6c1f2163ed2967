from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.text.cleaning import CleanupOptions, TextCleaner
from wyoming_tts.text.markdown.scanner import MAX_HELD_CHARS
from wyoming_tts.text.plain_text import TextPiece, has_visible_character, is_speakable

ZWJ = "\u200d"
ZWNJ = "\u200c"
PICTURE_SELECTOR = "\ufe0f"
KEYCAP = "\u20e3"


def clean(*pieces: str, max_block_chars: int = 500) -> str:
    return "".join(piece.text for piece in cleaned(*pieces, max_block_chars=max_block_chars))


def cleaned(*pieces: str, max_block_chars: int = 500) -> list[TextPiece]:
    """Cleaned text, with adjacent plain pieces joined."""
    cleaner = TextCleaner(max_block_chars=max_block_chars)
    found = [piece for text in pieces for piece in cleaner.feed(text)] + cleaner.finish()
    joined: list[TextPiece] = []
    for piece in found:
        if joined and not piece.raw and not joined[-1].raw:
            joined[-1] = TextPiece(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \t\r\n\u00a0\u3000", ""),
        ("  two   words  ", "two words"),
        ("no\u00a0break, thin\u2009space, wide\u3000space", "no break, thin space, wide space"),
        ("one\ntwo\r\nthree", "one two three"),
        ("one\n\ntwo", "one\n\ntwo"),
        ("One\nTwo\r\n  Three\n-4\n- five", "One\nTwo\nThree\n-4. five."),
        ("One\u2028Two\vThree\v\vFour\v\nFive", "One\nTwo\nThree\nFour\nFive"),
        ("One 😀\n🌧 Two", "One\nTwo"),
        ("One.\nTwo,\nThree:\nFour (\nFive)\n(Six) —\nSeven", "One. Two, Three: Four ( Five) (Six) — Seven"),
        ("5\n% rain\n25 in", "5 % rain\n25 in"),
        ("1 + \nX", "1 + X"),
        ("It is\n25\nin the\nHall\nund\nBad\nOption a\nB", "It is 25 in the Hall und Bad\nOption a\nB"),
        ("one \r\n \r\n\r\n two", "one\n\ntwo"),
        ("one\u2029two\u2028three", "one\n\ntwo three"),
        ("in\u200bvi\ufeffsi\u00adble \u202amarks\u202c", "invisible marks"),
        ("con\x00trol\x07 \x1b[0m", "control"),
        ("lone \ud83d surro\ude00gates", "lone surrogates"),
        ("un\ufffdread\uffffable \ue000", "unreadable"),
    ],
)
def test_white_space_is_collapsed_and_invisible_characters_dropped(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("width", "expected"),
    [(59, "\n"), (60, " "), (100, " "), (101, "\n")],
    ids=["short", "70", "100", "long"],
)
def test_a_line_as_wide_as_those_of_wrapped_text_goes_on_in_the_next(width: int, expected: str) -> None:
    line = ("the train to Berlin and " * 5)[: width - 1] + "x"

    assert clean(f"It is.\n{line}\nHamburg") == f"It is. {line}{expected}Hamburg"


def test_a_line_of_wide_characters_is_as_long_as_it_looks() -> None:
    assert clean("你" * 30 + "\n好") == "你" * 30 + " 好"
    assert clean("你" * 29 + "\n好") == "你" * 29 + "\n好"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\n\u00a0\u3000\u2028",
        "\0\x1b\x9f",
        "\u200b\u200d\u2060\ufeff\u00ad\u202e",
        "\ufe0f\u034f",
        "\u3164\u115f",
        "\u2800",
        "\ud83d",
        "\U000e0041",
    ],
)
def test_a_text_of_nothing_but_invisible_characters_has_no_visible_one(text: str) -> None:
    assert not has_visible_character(text)
    assert has_visible_character(f"{text}.{text}")


@pytest.mark.parametrize("text", ["a", "***", "🎉", "\u0301", "漢", "\ue000", "€", "न", "…"])
def test_a_visible_character_need_not_be_spoken(text: str) -> None:
    assert has_visible_character(f"\0 {text}\u200b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wow!!! what?!?! really???", "wow! what?! really?"),
        ("hm..... so... 1..5", "hm... so... 1..5"),
        ("a,, b;; c", "a, b; c"),
        ("a---b, c -- d, e - f", "a — b, c — d, e - f"),
        ("say --explain, -5 to 5-3", "say --explain, -5 to 5-3"),
        ("https://x.com/a--b/??q!!r End!!", "https://x.com/a--b/??q!!r End!"),
    ],
)
def test_repeated_punctuation_is_collapsed(text: str, expected: str) -> None:
    assert clean(text) == expected
    assert clean(*text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good 😀 morning", "Good morning"),
        ("Done✅Next", "Done Next"),
        ("Well done 👍🏽.", "Well done."),
        ("**5** 👍🏽", "5"),
        (f"a 👩{ZWJ}🔬 works", "a works"),
        ("flags 🇩🇪🇫🇷 fly", "flags fly"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f England", "England"),
        (f"love ❤{PICTURE_SELECTOR}, ❤ love", "love, love"),
        (
            f"press 1{PICTURE_SELECTOR}{KEYCAP} or *{PICTURE_SELECTOR}{KEYCAP} or 2{KEYCAP} now",
            "press or or now",
        ),
        ("press 1 or 2 #3", "press 1 or 2 #3"),
        ("© 2024 Foo® Bar™", "© 2024 Foo® Bar™"),
        (f"©{PICTURE_SELECTOR} 2024", "2024"),
        (f"5{PICTURE_SELECTOR}6", "56"),
        ("A → B, 20 °C, 3 × 4", "A → B, 20 °C, 3 × 4"),
        ("☀ 20 degrees ⚡", "20 degrees"),
    ],
)
def test_emoji_are_dropped_and_text_symbols_stay(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"می{ZWNJ}خواهم", f"می{ZWNJ}خواهم"),
        (f"क्{ZWJ}ष", f"क्{ZWJ}ष"),
        (f"La{ZWJ}tin{ZWNJ}", "Latin"),
        (f"می{ZWNJ} خواهم", "می خواهم"),
        (f"क्\u200b{ZWJ}ष", "क्ष"),
    ],
)
def test_joiners_are_kept_where_they_affect_spelling(text: str, expected: str) -> None:
    assert clean(text) == expected
    assert clean(*text) == expected


def test_a_phoneme_block_is_unchanged() -> None:
    block = "[[ həˈloʊ  wɜːld.  ]]"

    assert cleaned(f"Say  {block} *now*") == [
        TextPiece("Say "),
        TextPiece(block, raw=True),
        TextPiece(" now"),
    ]


def test_a_phoneme_block_is_found_in_single_characters() -> None:
    assert cleaned(*"a [[ b ]]c") == [TextPiece("a "), TextPiece("[[ b ]]", raw=True), TextPiece("c")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("an [[ unclosed *one*", "an [[ unclosed one"),
        ("broken [[ by\na *line* ]]", "broken [[ by a line ]]"),
        ("not [[ \ud800 ]] encodable", "not encodable"),
        ("[[ *longer* than allowed ]]", "longer than allowed"),
        ("[", "["),
        ("a[0][1]", "a[0][1]"),
    ],
)
def test_brackets_that_form_no_phoneme_block_are_plain_text(text: str, expected: str) -> None:
    assert cleaned(text, max_block_chars=20) == [TextPiece(expected)]


def test_text_after_an_overlong_unclosed_block_is_not_buffered() -> None:
    cleaner = TextCleaner()

    assert cleaner.feed("[[ open") == []
    assert "".join(piece.text for piece in cleaner.feed("\nand on")) == "[[ open and on"


@pytest.mark.parametrize(
    "flood",
    [
        "[[",
        "*",
        "\n",
        "1\ufe0f",
        "😀",
        "[[ x",
        "[a",
        "[a](",
        "|a",
        "<a ",
        "<!--",
        "<think>",
        "`a",
        "```",
        "&a",
        "_a",
    ],
)
def test_the_buffered_text_is_bounded(flood: str) -> None:
    cleaner = TextCleaner(max_block_chars=50)

    for _ in range(2_000):
        cleaner.feed(flood)
        assert len(cleaner.held) <= MAX_HELD_CHARS + len(flood)


@pytest.mark.parametrize(
    "words",
    ["plain words come ", "- an item ", "# a heading ", "**strong words ", "> a quote ", "1. one two "],
)
def test_words_are_emitted_before_their_line_ends(words: str) -> None:
    emitted = "".join(piece.text for piece in TextCleaner().feed(words))

    assert emitted.endswith(words.rsplit(maxsplit=1)[-1])


@pytest.mark.parametrize(
    "options",
    [
        {"code_blocks": "loud"},
        {"emoji": "loud"},
        {"code_blocks": "announce", "code_block_notice": " "},
    ],
)
def test_meaningless_options_are_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|is empty"):
        CleanupOptions(**options)


FRAGMENTS = st.sampled_from(
    [
        *["a", "9", " ", "*", "[", "]", "[[", "]]", ".", "#", "©", "ℹ", "ह", "م", "好"],
        *["\n", "\r\n", "\u2029", "\u00a0", "\u200b", "\x00", "\ud800"],
        *[ZWJ, ZWNJ, PICTURE_SELECTOR, KEYCAP, "👩", "🏽", "🇩", "❤"],
    ]
)
TEXTS = st.lists(FRAGMENTS | st.characters(), max_size=30).map("".join)


@given(text=TEXTS, limit=st.integers(4, 12))
def test_the_result_does_not_depend_on_chunk_boundaries(text: str, limit: int) -> None:
    whole = cleaned(text, max_block_chars=limit)

    assert cleaned(*text, max_block_chars=limit) == whole
    assert cleaned(text[:3], text[3:11], text[11:], max_block_chars=limit) == whole


@given(text=TEXTS.filter(lambda text: "[[" not in text))
def test_clean_text_has_single_spaces_and_nothing_invisible(text: str) -> None:
    result = clean(text)

    assert result == result.strip()
    assert "  " not in result
    assert "\n\n\n" not in result
    assert " \n" not in result
    assert "\n " not in result
    assert not set(result) & set("\r\x00\u200b\u00a0\ud800👩❤🏽🇩")


@pytest.mark.parametrize("text", ["a", "7", "½", "好", "नमस्ते", "%", "€.", "costs 5", "²", "+", "°"])
def test_letters_digits_and_lone_signs_are_speakable(text: str) -> None:
    assert is_speakable(text)


@pytest.mark.parametrize(
    "text", ["", " ", "...", "?!", "---", "====", "+---+", "@#$%^&()", "^_^", "“”", "。", "#"]
)
def test_punctuation_and_rulers_are_not_speakable(text: str) -> None:
    assert not is_speakable(text)
