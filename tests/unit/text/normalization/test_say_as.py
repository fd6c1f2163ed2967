from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.text.markup import InterpretAs, SayAs
from wyoming_tts.text.normalization import TextNormalizer, say_as


def speak_as(text: str, how: SayAs, language: str, before: str = "") -> str:
    return say_as.normalize_say_as(text, how, TextNormalizer(language), before)


@pytest.mark.parametrize(
    ("text", "kind", "language", "expected_words"),
    [
        ("12", "cardinal", "en", "twelve"),
        ("1,234", "cardinal", "en-GB", "one thousand two hundred thirty-four"),
        ("-3.5", "cardinal", "en", "minus three point five"),
        ("+7", "cardinal", "en", "seven"),
        ("1.500", "cardinal", "de", "eintausendfünfhundert"),
        ("1\u00a0500", "cardinal", "fr", "mille cinq cents"),
        ("2,5", "cardinal", "de_DE", "zwei Komma fünf"),
        ("a dozen", "cardinal", "en", "a dozen"),
        ("12", "cardinal", "tlh", "12"),
        ("3", "ordinal", "en", "third"),
        ("21st", "ordinal", "en", "twenty-first"),
        ("3.", "ordinal", "de", "dritte"),
        ("2e", "ordinal", "fr", "deuxième"),
        ("1re", "ordinal", "fr", "première"),
        ("1.ª", "ordinal", "es", "primera"),
        ("third", "ordinal", "en", "third"),
        ("abc", "characters", "en", "A, B, C"),
        ("WLAN-2 x", "characters", "en", "W, L, A, N, dash, two, X"),
        ("ß é", "characters", "de", "ß, É"),
        ("a/b,c?", "characters", "fr", "A, barre oblique, B, virgule, C, point d'interrogation"),
        ("e\u0301a", "characters", "fr", "E\u0301, A"),
        ("A1@", "characters", "tlh", "A, 1, @"),
        ("12-3", "digits", "en", "one two three"),
        ("007", "digits", "it", "zero zero sette"),
        ("12", "digits", "tlh", "1 2"),
        ("+49 (30) 123-45", "telephone", "en", "plus four nine, three zero, one two three, four five"),
        ("110", "telephone", "de", "eins eins null"),
        ("1-800-CALL", "telephone", "en", "one, eight zero zero, CALL"),
        ("+48 12", "telephone", "tlh", "+ 4 8, 1 2"),
        ("3/4", "fraction", "en", "three quarters"),
        ("1 1/2", "fraction", "en", "one and a half"),
        ("2+3/4", "fraction", "de", "zwei drei Viertel"),
        ("1 1/2", "fraction", "de", "ein einhalb"),
        ("2/3", "fraction", "tlh", "2/3"),
        ("5/7", "fraction", "it", "cinque settimi"),
        ("1/0", "fraction", "en", "1/0"),
        ("1/2/3", "fraction", "en", "1/2/3"),
        ("2:30pm", "time", "en", "2:30 pm"),
        ("14.30", "time", "de", "14:30"),
        ("143059", "time", "en", "14:30:59"),
        ("1'21\"", "time", "en", "1 min 21 s"),
        ("noon", "time", "en", "noon"),
        ("12 km/h", "unit", "en", "12 km/h"),
        ("$12.50", "currency", "en", "$12.50"),
        ("damn", "expletive", "en", "bleep"),
        ("damn", "expletive", "tlh", "bleep"),
        ("Mist", "expletive", "de-AT", "piep"),
        ("  ", "digits", "en", ""),
        (" two \n words ", "unit", "en", "two words"),
    ],
)
def test_say_as_content_becomes_words(text: str, kind: str, language: str, expected_words: str) -> None:
    assert speak_as(text, SayAs(InterpretAs(kind)), language) == expected_words


@pytest.mark.parametrize(
    ("text", "format_", "language", "expected_words"),
    [
        ("2024-05-03", "", "en", "May third, twenty twenty-four"),
        ("2024/05/03", "ymd", "en", "May third, twenty twenty-four"),
        ("03/05/24", "dmy", "de", "dritter Mai zweitausendvierundzwanzig"),
        ("5/3/99", "mdy", "en", "May third, nineteen ninety-nine"),
        ("20240503", "yyyymmdd", "it", "tre maggio duemilaventiquattro"),
        ("1.5.2024", "dmy", "fr", "premier mai deux mille vingt-quatre"),
        ("3/5/2024", "dd/mm/yyyy", "es", "tres de mayo de dos mil veinticuatro"),
        ("05/2024", "my", "nl", "mei tweeduizend vierentwintig"),
        ("5/3", "md", "en", "May third"),
        ("3/5", "dm", "en", "May third"),
        ("2024-05", "ym", "en", "May twenty twenty-four"),
        ("1984", "y", "en", "nineteen eighty-four"),
        ("5", "m", "en", "May"),
        ("3", "d", "en", "third"),
        ("99/99", "md", "en", "99/99"),
        ("0/0", "md", "en", "0/0"),
        ("5/3", "", "en", "5/3"),
        ("5/3/2024/1", "mdy", "en", "5/3/2024/1"),
        ("May 3", "md", "en", "May 3"),
        ("2024053", "ymd", "en", "2024053"),
        ("5/3", "xx", "en", "5/3"),
        ("3/1984", "dy", "en", "3/1984"),
        ("2024-05-03", "ymd", "tlh", "2024-05-03"),
        ("1/1/" + "9" * 5000, "mdy", "en", "1/1/" + "9" * 5000),
    ],
)
def test_dates_are_read_according_to_their_format(
    text: str, format_: str, language: str, expected_words: str
) -> None:
    assert speak_as(text, SayAs(InterpretAs.DATE, format_), language) == expected_words


def test_a_day_is_inflected_in_the_case_that_the_preceding_word_requires() -> None:
    date = SayAs(InterpretAs.DATE, "dmy")

    assert speak_as("3.5.2024", date, "de", before="Er kommt am ").startswith("dritten Mai ")
    assert speak_as("3.5.2024", date, "de", before="Das ist der ").startswith("dritte Mai ")


def test_words_of_user_data_are_used_too() -> None:
    normalizer = TextNormalizer("en", extra={"words": {"bleep": "quack"}, "characters": {"#": "pound"}})

    assert say_as.normalize_say_as("damn", SayAs(InterpretAs.EXPLETIVE), normalizer) == "quack"
    assert say_as.normalize_say_as("#", SayAs(InterpretAs.CHARACTERS), normalizer) == "pound"


def test_an_amount_without_a_currency_symbol_gets_the_currency_of_its_format() -> None:
    assert speak_as("42.01", SayAs(InterpretAs.CURRENCY, "usd"), "en") == "42.01 USD"
    assert speak_as("€42", SayAs(InterpretAs.CURRENCY, "usd"), "en") == "€42"


@given(
    text=st.text(st.sampled_from("0123456789 ./:-+'\"apm,٣²½é[]") | st.characters(), max_size=40),
    kind=st.sampled_from(InterpretAs),
    format_=st.sampled_from(["", "ymd", "dmy", "my", "d", "hms12", "usd", "zzz"]),
    language=st.sampled_from(["en", "de", "fr", "es", "it", "nl", "tlh", "", "x-y"]),
)
def test_any_say_as_content_becomes_words(text: str, kind: InterpretAs, format_: str, language: str) -> None:
    words = speak_as(text, SayAs(kind, format_), language)

    assert bool(words) == bool(text.split()) or kind in {InterpretAs.DIGITS, InterpretAs.CHARACTERS}
