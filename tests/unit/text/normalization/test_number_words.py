from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line_counting import measure_growth
from wyoming_tts.text.normalization.number_words import SPELLED_BELOW, NumberSpeller, spell_by_rules

LANGUAGES = ["en", "de", "fr", "es", "it", "nl"]

CARDINALS = {
    "en": {
        0: "zero",
        21: "twenty-one",
        101: "one hundred one",
        1234: "one thousand two hundred thirty-four",
        -5: "minus five",
    },
    "de": {
        1: "eins",
        16: "sechzehn",
        21: "einundzwanzig",
        2_000_000: "zwei Millionen",
        101_341: "einhunderteintausenddreihunderteinundvierzig",
        -5: "minus fünf",
    },
    "fr": {
        21: "vingt et un",
        71: "soixante et onze",
        80: "quatre-vingts",
        91: "quatre-vingt-onze",
        200: "deux cents",
        1900: "mille neuf cents",
        100_000_000: "cent millions",
        80_000_000: "quatre-vingts millions",
        400_027_000: "quatre cents millions vingt-sept mille",
        -5: "moins cinq",
    },
    "es": {
        16: "dieciséis",
        21: "veintiuno",
        100: "cien",
        101: "ciento uno",
        21_000: "veintiún mil",
        21_000_000: "veintiún millones",
        -5: "menos cinco",
    },
    "it": {
        3: "tre",
        23: "ventitré",
        28: "ventotto",
        118: "centodiciotto",
        2026: "duemilaventisei",
        -5: "meno cinque",
    },
    "nl": {
        1: "één",
        22: "tweeëntwintig",
        101: "honderdeen",
        1001: "duizend één",
        1500: "vijftienhonderd",
        2026: "tweeduizend zesentwintig",
        -5: "min vijf",
    },
}

BEFORE_NOUNS = {
    "en": {(1, "f"): "one"},
    "de": {
        (1, "m"): "ein",
        (1, "f"): "eine",
        (1, "n"): "ein",
        (21, "f"): "einundzwanzig",
        (-1, "n"): "minus ein",
    },
    "fr": {(1, "f"): "une", (21, "f"): "vingt et une", (21, "m"): "vingt et un"},
    "es": {
        (1, "m"): "un",
        (1, "f"): "una",
        (21, "m"): "veintiún",
        (200, "f"): "doscientas",
        (31, "m"): "treinta y un",
    },
    "it": {(1, "m"): "un", (1, "f"): "una", (21, "m"): "ventuno", (21, "f"): "ventuno"},
    "nl": {(1, "m"): "één"},
}

ORDINALS = {
    "en": {1: "first", 12: "twelfth", 21: "twenty-first", 2026: "two thousand twenty-sixth"},
    "de": {1: "erste", 3: "dritte", 7: "siebte", 21: "einundzwanzigste"},
    "fr": {1: "premier", 2: "deuxième", 21: "vingt et unième"},
    "es": {1: "primero", 3: "tercero", 7: "séptimo"},
    "it": {1: "primo", 8: "ottavo", 21: "ventunesimo"},
    "nl": {1: "eerste", 8: "achtste", 21: "eenentwintigste", 1000: "duizendste", 1001: "duizend eerste"},
}

DECIMALS = {
    "en": {"3.5": "three point five", "3.14": "three point one four", "-0.05": "minus zero point zero five"},
    "de": {"3.5": "drei Komma fünf", "3.14": "drei Komma eins vier", "2.0": "zwei Komma null"},
    "fr": {"3.5": "trois virgule cinq", "3.14": "trois virgule quatorze", "3.05": "trois virgule zéro cinq"},
    "es": {"3.5": "tres coma cinco", "21.75": "veintiuno coma setenta y cinco"},
    "it": {"3.5": "tre virgola cinque", ".5": "zero virgola cinque"},
    "nl": {"3.5": "drie komma vijf", "1.25": "één komma vijfentwintig", "7": "zeven"},
}

YEARS = {
    "en": {1066: "ten sixty-six", 1905: "nineteen oh five", 2000: "two thousand", 2026: "twenty twenty-six"},
    "de": {1984: "neunzehnhundertvierundachtzig", 2026: "zweitausendsechsundzwanzig"},
    "fr": {1984: "mille neuf cent quatre-vingt-quatre", 2026: "deux mille vingt-six"},
    "es": {1984: "mil novecientos ochenta y cuatro"},
    "it": {1984: "millenovecentottantaquattro"},
    "nl": {
        1905: "negentienhonderdvijf",
        1984: "negentienvierentachtig",
        2000: "tweeduizend",
        2026: "tweeduizend zesentwintig",
    },
}

FRACTIONS = {
    "en": {(1, 2): "one half", (3, 4): "three quarters", (2, 3): "two thirds", (1, 100): "one hundredth"},
    "de": {
        (3, 4): "drei Viertel",
        (1, 3): "ein Drittel",
        (1, 100): "ein Hundertstel",
        (3, 20): "drei Zwanzigstel",
    },
    "fr": {(1, 2): "un demi", (2, 3): "deux tiers", (3, 4): "trois quarts", (5, 8): "cinq huitièmes"},
    "es": {
        (1, 2): "un medio",
        (2, 3): "dos tercios",
        (7, 12): "siete doceavos",
        (2, 31): "dos treintaiunavos",
    },
    "it": {(1, 2): "un mezzo", (3, 4): "tre quarti", (7, 12): "sette dodicesimi"},
    "nl": {(1, 2): "een half", (3, 4): "drie kwart", (2, 5): "twee vijfde"},
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_cardinals_are_spelled_correctly(language: str) -> None:
    numbers = NumberSpeller(language)
    assert {number: numbers.cardinal(number) for number in CARDINALS[language]} == CARDINALS[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cardinal_agrees_with_the_following_noun(language: str) -> None:
    numbers, expected = NumberSpeller(language), BEFORE_NOUNS[language]
    assert {case: numbers.cardinal(case[0], gender=case[1]) for case in expected} == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_ordinals(language: str) -> None:
    numbers, expected = NumberSpeller(language), ORDINALS[language]
    assert {number: numbers.ordinal(number) for number in expected} == expected


def test_ordinals_have_genders_and_cases() -> None:
    german = NumberSpeller("de")
    assert [german.ordinal(21, gender=gender) for gender in "mfn"] == [
        "einundzwanzigster",
        "einundzwanzigste",
        "einundzwanzigstes",
    ]
    assert german.ordinal(21, gender="m", oblique=True) == "einundzwanzigsten"
    assert german.ordinal(3, gender="o") == "dritten"
    assert [NumberSpeller("es").ordinal(3, gender=gender) for gender in ("m", "f", "")] == [
        "tercer",
        "tercera",
        "tercero",
    ]
    assert [NumberSpeller(language).ordinal(1, gender="f") for language in ("fr", "es", "it", "nl")] == [
        "première",
        "primera",
        "prima",
        "eerste",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_decimals_are_read_as_the_language_reads_them(language: str) -> None:
    numbers, expected = NumberSpeller(language), DECIMALS[language]
    assert {number: numbers.decimal(number) for number in expected} == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_years(language: str) -> None:
    numbers, expected = NumberSpeller(language), YEARS[language]
    assert {number: numbers.year(number) for number in expected} == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_fractions(language: str) -> None:
    numbers, expected = NumberSpeller(language), FRACTIONS[language]
    assert {case: numbers.fraction(*case) for case in expected} == expected


def test_numbers_are_spelled_as_their_territory_does() -> None:
    swiss, belgian = NumberSpeller("fr", locale="fr_CH"), NumberSpeller("fr", locale="fr_BE")
    assert [swiss.cardinal(number) for number in (71, 80)] == ["septante et un", "huitante"]
    assert belgian.cardinal(80) == "quatre-vingts"
    assert belgian.cardinal(71) == "septante et un"
    assert NumberSpeller("de", locale="de_CH").cardinal(30) == "dreissig"
    assert NumberSpeller("es", point="punto").decimal("-3.5") == "menos tres punto cinco"


def test_languages_that_the_cldr_has_no_rules_for_are_spelled_by_ours() -> None:
    expected = {
        39: "hogeita hemeretzi",
        101: "ehun eta bat",
        1013: "mila eta hamahiru",
        1101: "mila ehun eta bat",
        1200: "mila eta berrehun",
        2_026: "bi mila eta hogeita sei",
        1_500_000: "milioi bat bostehun mila",
    }
    assert {number: spell_by_rules("eu", "spellout-cardinal", number) for number in expected} == expected


def test_digits_are_read_one_by_one() -> None:
    assert NumberSpeller("en").digits("0800 12") == "zero eight zero zero one two"
    assert NumberSpeller("de").digits("-01") == "minus null eins"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_number_of_ten_thousand_digits_is_spelled_quickly(language: str) -> None:
    numbers, hostile = NumberSpeller(language), "9" * 10_000
    spoken = numbers.cardinal(hostile), numbers.decimal(f"{hostile}.{hostile}"), numbers.digits(hostile)
    assert spoken[0] == spoken[2]
    assert len(spoken[0].split()) == len(hostile)
    assert measure_growth(lambda length: numbers.decimal(f"{'9' * length}.{'9' * length}"), size=2_000) < 2.1


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_too_large_for_names_are_read_digit_by_digit(language: str) -> None:
    numbers = NumberSpeller(language)
    assert len(numbers.cardinal(SPELLED_BELOW).split()) == 16
    assert numbers.cardinal(-SPELLED_BELOW) == numbers.digits(f"-{SPELLED_BELOW}")
    assert numbers.ordinal(SPELLED_BELOW) == numbers.year(SPELLED_BELOW) == numbers.cardinal(SPELLED_BELOW)
    assert numbers.cardinal(SPELLED_BELOW - 1) != numbers.digits(str(SPELLED_BELOW - 1))


@given(
    language=st.sampled_from(LANGUAGES),
    number=st.integers(1 - SPELLED_BELOW, SPELLED_BELOW - 1),
    gender=st.sampled_from(["", "m", "f", "n"]),
)
def test_every_number_becomes_words_of_letters(language: str, number: int, gender: str) -> None:
    numbers = NumberSpeller(language)
    forms = [
        numbers.cardinal(number, gender=gender),
        numbers.ordinal(number, gender=gender),
        numbers.year(number),
    ]
    for form in forms:
        assert all(part.isalpha() for word in form.split(" ") for part in word.split("-"))
    assert numbers.cardinal(str(number), gender=gender) == forms[0]


@given(st.sampled_from(LANGUAGES), st.integers(0, SPELLED_BELOW - 1), st.integers(0, SPELLED_BELOW - 1))
def test_two_numbers_are_never_spelled_alike(language: str, one: int, other: int) -> None:
    numbers = NumberSpeller(language)
    assert (numbers.cardinal(one) == numbers.cardinal(other)) is (one == other)


@pytest.mark.parametrize("wrong", ["", "-", "1,5", "1.", "١", "1e5", "--1", "1.5.2"])
def test_a_text_that_is_no_number_is_rejected(wrong: str) -> None:
    numbers = NumberSpeller("en")
    with pytest.raises(ValueError, match="is not a decimal number"):
        numbers.decimal(wrong)
    with pytest.raises(ValueError, match="is not an integer"):
        numbers.cardinal(wrong)


@pytest.mark.parametrize("denominator", [1, 0, -2])
def test_a_fraction_needs_a_denominator(denominator: int) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        NumberSpeller("en").fraction(1, denominator)


def test_other_languages_are_not_supported() -> None:
    assert [NumberSpeller.supports(language) for language in (*LANGUAGES, "pl", "de-AT", "")] == [
        *[True] * 6,
        *[False] * 3,
    ]
    with pytest.raises(ValueError, match="no number words for 'pl'"):
        NumberSpeller("pl")
