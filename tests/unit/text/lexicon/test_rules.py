from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line_counting import count_lines, measure_growth
from wyoming_tts.text.lexicon.patterns import MAX_PATTERN_SIZE, PatternRule, pattern_size
from wyoming_tts.text.lexicon.places import RulePosition, Scope
from wyoming_tts.text.lexicon.rules import (
    EMPTY_LEXICON,
    Lexicon,
    LexiconHit,
    WordRule,
    is_case_sensitive,
    phoneme_block,
)
from wyoming_tts.text.pronunciation import load_pronunciations

ENGLISH = Scope("en")
DEFAULTS = load_pronunciations("en")
ANY_VOICE = "en_US-lessac-medium"


def word(
    written: str, replacement: str, *, exact: bool | None = None, scope: Scope = ENGLISH, line: int = 1
) -> WordRule:
    is_exact = is_case_sensitive(written) if exact is None else exact
    return WordRule(
        written, replacement, exact=is_exact, scope=scope, position=RulePosition("lexicon.yaml", line)
    )


def pattern(written: str, replacement: str, *, exact: bool = True) -> PatternRule:
    return PatternRule(
        written, replacement, exact=exact, scope=ENGLISH, position=RulePosition("lexicon.yaml", 7)
    )


def words(**replacements: str) -> Lexicon:
    return Lexicon(word(written, to) for written, to in replacements.items())


def apply_lexicon(lexicon: Lexicon, text: str, *, language: str = "en_US", voice: str = ANY_VOICE) -> str:
    return lexicon.apply(text, language=language, voice=voice).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ask Siobhan.", "Ask [[ʃɪˈvɔːn]]."),
        ("siobhan, SIOBHAN", "[[ʃɪˈvɔːn]], [[ʃɪˈvɔːn]]"),
        ("(Siobhan)", "([[ʃɪˈvɔːn]])"),
        ("Siobhan-Marie", "[[ʃɪˈvɔːn]]-Marie"),
        ("Siobhans", "Siobhans"),
        ("Siobhan_2 and Siobhan2", "Siobhan_2 and Siobhan2"),
        ("nobody", "nobody"),
        ("", ""),
    ],
)
def test_a_word_matches_only_as_a_whole_word(text: str, expected: str) -> None:
    assert apply_lexicon(words(Siobhan=phoneme_block("ʃɪˈvɔːn")), text) == expected


@pytest.mark.parametrize(("ipa", "expected"), [("vɔːn", "vɔːnz"), ("pæt", "pæts"), ("mæks", "mæksɪz")])
def test_an_english_possessive_becomes_part_of_the_phonemes(ipa: str, expected: str) -> None:
    lexicon = Lexicon([word("X", phoneme_block(ipa), scope=Scope())])
    assert apply_lexicon(lexicon, "X’s X'S [[a]]'s") == f"[[{expected}]] [[{expected}]] [[a]]'s"
    assert apply_lexicon(lexicon, "X's", language="de") == f"[[{ipa}]]'s"
    assert apply_lexicon(words(router="root"), "router's") == "root's"


@pytest.mark.parametrize(
    ("written", "text", "expected"),
    [
        ("C++", "learn C++, now", "learn X, now"),
        ("AT&T", "call AT&T.", "call X."),
        ("e.g.", "fruit, e.g. figs", "fruit, X figs"),
        ("node.js", "Node.js 20", "X 20"),
        ("don't", "I don’t", "I X"),
        ("I’m", "I'm in", "X in"),
        ("can", "You can, he can't, the can's lid.", "You X, he can't, the X's lid."),
        ("Café", "a cafe\u0301 here", "a X here"),
        ("Straße", "DIE STRASSE", "DIE X"),
        ("क्षेत्र", "यह क्षेत्र, क्षेत्रफल", "यह X, क्षेत्रफल"),
        ("東京", "私は東京に", "私はXに"),
        ("กรุงเทพ", "ไปกรุงเทพวันนี้", "ไปXวันนี้"),
    ],
)
def test_words_of_any_script_and_with_symbols_are_matched(written: str, text: str, expected: str) -> None:
    assert apply_lexicon(Lexicon([word(written, "X")]), text) == expected


@pytest.mark.parametrize(
    ("written", "found", "missed"),
    [
        ("Home Assistant", ["home assistant", "Home Assistant", "HOME ASSISTANT"], []),
        ("US", ["US"], ["us", "Us"]),
        ("mW", ["mW"], ["MW", "mw"]),
        ("GitHub", ["GitHub"], ["github"]),
        ("A", ["A"], ["a"]),
        ("wifi", ["WiFi", "wifi"], []),
        ("2FA", ["2FA"], ["2fa"]),
    ],
)
def test_case_matters_where_it_distinguishes_words(written: str, found: list[str], missed: list[str]) -> None:
    lexicon = Lexicon([word(written, "X")])
    assert [apply_lexicon(lexicon, text) for text in found] == ["X"] * len(found)
    assert [apply_lexicon(lexicon, text) for text in missed] == missed


def test_a_case_sensitive_entry_wins_over_a_case_insensitive_one() -> None:
    lexicon = Lexicon([word("polish", "shine", exact=False), word("Polish", "poe lish", exact=True)])
    assert apply_lexicon(lexicon, "polish Polish POLISH") == "shine poe lish shine"


def test_the_longest_phrase_wins_and_all_white_space_is_equivalent() -> None:
    lexicon = Lexicon([word("home", "H"), word("home assistant", "HA"), word("home assistant green", "HAG")])
    assert apply_lexicon(lexicon, "home\nassistant  green, Home assistant, home") == "HAG, HA, H"


def test_the_longest_phrase_wins_over_a_narrower_scope() -> None:
    lexicon = Lexicon([word("new york", "NY"), word("new", "N", scope=Scope("en-us"))])
    assert apply_lexicon(lexicon, "new york, new") == "NY, N"


@pytest.mark.parametrize(
    ("language", "voice", "expected"),
    [
        ("en_US", "lessac", "voice"),
        ("en_US", "other", "american"),
        ("en-us", "other", "american"),
        ("en_GB", "other", "english"),
        ("en", "other", "english"),
        ("eng", "other", "english"),
        ("enm", "other", "all"),
        ("de_DE", "other", "all"),
        ("", "", "all"),
    ],
)
def test_the_narrowest_scope_wins(language: str, voice: str, expected: str) -> None:
    scopes = {
        "all": Scope(),
        "english": ENGLISH,
        "american": Scope("en-us"),
        "voice": Scope(voice="lessac"),
    }
    lexicon = Lexicon(word("router", name, scope=scope) for name, scope in scopes.items())
    assert apply_lexicon(lexicon, "router", language=language, voice=voice) == expected


def test_of_two_entries_of_a_scope_the_first_wins() -> None:
    assert apply_lexicon(Lexicon([word("router", "first"), word("Router", "second")]), "router") == "first"


def test_no_rule_rewrites_the_output_of_another() -> None:
    lexicon = Lexicon([word("a", "b"), word("b", "a"), pattern("[ab]", "c")])
    assert apply_lexicon(lexicon, "a b ab") == "b a cc"


def test_phoneme_blocks_in_the_text_are_unchanged() -> None:
    lexicon = Lexicon([word("a", "X"), pattern(r"a|\[|\]", "Y")])
    assert apply_lexicon(lexicon, "a [[a b]] a [[a") == "X [[a b]] X YYX"


def test_applied_rules_are_reported_in_order_with_their_lines() -> None:
    lexicon = Lexicon([word("kWh", "kilowatt hours", line=3), pattern(r"v(\d+)", r"version \1")])
    applied = lexicon.apply("v2 used 3 kWh", language="en", voice="")
    assert applied.text == "version 2 used 3 kilowatt hours"
    assert applied.hits == (
        LexiconHit("v2", "version 2", "lexicon.yaml", 7),
        LexiconHit("kWh", "kilowatt hours", "lexicon.yaml", 3),
    )


@pytest.mark.parametrize(
    ("written", "to", "text", "expected"),
    [
        (r"\bv(\d+)\b", r"version \1", "v2, rev3", "version 2, rev3"),
        (r"(?P<n>\d+)h", r"\g<n> hours \\", "7h", "7 hours \\"),
        (r"(a)|(b)", r"<\1\2>", "ab", "<a><b>"),
        (r"(?<=\d)px", " pixels", "10px px", "10 pixels px"),
        ("x*", "Y", "axx", "aY"),
    ],
)
def test_a_regular_expression_sees_the_surrounding_text(
    written: str, to: str, text: str, expected: str
) -> None:
    assert apply_lexicon(Lexicon([pattern(written, to)]), text) == expected


def test_regular_expressions_are_case_sensitive_unless_flagged() -> None:
    assert apply_lexicon(Lexicon([pattern("abc", "x")]), "abc ABC") == "x ABC"
    assert apply_lexicon(Lexicon([pattern("abc", "x", exact=False)]), "abc ABC") == "x x"


@pytest.mark.parametrize(
    ("written", "to", "message"),
    [
        ("(a", "x", r"missing \)"),
        ("(a)", r"\2", r"\\2"),
        ("(?P<n>a)", r"\g<m>", r"g<m>"),
        ("a", r"\d", "is not a group; write"),
    ],
)
def test_an_invalid_regular_expression_is_rejected(written: str, to: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pattern(written, to)


def test_a_catastrophic_pattern_is_disabled_and_the_others_still_apply(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lexicon = Lexicon([pattern("(a|aa)+$", "X"), pattern("b", "B"), word("cat", "C")])
    text = "a" * 400 + "! b cat"  # exceeds the time limit of a pattern
    with caplog.at_level(logging.WARNING):
        assert apply_lexicon(lexicon, text) == "a" * 400 + "! B C"
        assert apply_lexicon(lexicon, "aaa") == "aaa"
    assert [record.getMessage().partition(" took")[0] for record in caplog.records] == [
        "lexicon.yaml:7: the regular expression '(a|aa)+$'"
    ]


@pytest.mark.parametrize(
    ("token", "expected"),
    [("kWh", True), ("kwh", False), ("Home", False), ("home assistant", True), ("v2", False), ("", False)],
)
def test_the_lexicon_knows_which_tokens_it_contains(token: str, *, expected: bool) -> None:
    lexicon = Lexicon([word("kWh", "x"), word("home assistant", "y"), pattern(r"v\d", "z")])
    assert lexicon.contains(token, "en_US", ANY_VOICE) is expected
    assert not lexicon.contains(token, "de_DE", ANY_VOICE)


def test_an_empty_lexicon_changes_nothing() -> None:
    assert EMPTY_LEXICON.apply("US [[x]]", language="en", voice="").hits == ()
    assert apply_lexicon(EMPTY_LEXICON, "US [[x]]") == "US [[x]]"
    assert not EMPTY_LEXICON.contains("US", "en", "")


@given(st.text(alphabet=st.characters() | st.sampled_from("[]ab '’\n"), max_size=60))
def test_text_matched_by_no_rule_is_unchanged(text: str) -> None:
    lexicon = Lexicon([word("zzzqq", "X"), pattern("zzzqqz", "Y")])
    assert apply_lexicon(lexicon, text) == text


@given(st.lists(st.sampled_from(["a", "b", "a b", "[[a]]", "[[", "]]", ",", "ab"]), max_size=12))
def test_restoring_the_matched_words_gives_the_original_text(parts: list[str]) -> None:
    text = " ".join(parts)
    lexicon = Lexicon([word("a", "\ue000"), word("a b", "\ue000"), pattern("b,?", "\ue000")])
    applied = lexicon.apply(text, language="en", voice="")
    for hit in applied.hits:
        applied = type(applied)(applied.text.replace("\ue000", hit.written, 1), applied.hits)
    assert applied.text == text


def test_ten_thousand_entries_cost_little_more_than_ten() -> None:
    entries = [word(f"the word{number}", "X") for number in range(10_000)]
    text = "the cat sat on the mat with word7 and the word9999. " * 200
    few, many = (
        count_lines(partial(apply_lexicon, Lexicon(rules), text)) for rules in (entries[:10], entries)
    )
    assert many < 1.1 * few


@pytest.mark.parametrize("unit", ["[[", "]]", "[[a", "a", "a ", "'", "\u0301", "東", "[[ ]]", "a b "])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    lexicon = Lexicon([word("a b", "X"), word("a", "Y"), pattern("q+", "Z")])
    assert measure_growth(lambda length: apply_lexicon(lexicon, (unit * length)[:length]), size=5_000) < 2.1


@pytest.mark.parametrize(
    "written",
    [
        "(" * 8 + "a" + "){2}" * 8,
        "(?:" * 6 + "a" + "){9}" * 6,
        "(" * 14 + "a" + ")+" * 14,
        "(?=" * 9 + "a" + "){3,}" * 9,
        "(?:a{1000}){1000}",
        "(a){99999999}",
        r"\X{100000}",
        "(?x)" + "(" * 14 + "a" + ") # \n + " * 14,
        "(?x)" + "(" * 9 + "a" + ") { 9 }" * 9,
        "(" * 14 + "a" + ")(?#b)+" * 14,
        "(a){" + "9" * 190 + "}",
    ],
)
def test_an_expression_that_would_compile_to_gigabytes_is_refused(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_nothing(*_: object) -> None:
        pytest.fail("it was compiled")

    monkeypatch.setattr("wyoming_tts.text.lexicon.patterns.regex.compile", compile_nothing)
    with pytest.raises(ValueError, match="repeats too much"):
        pattern(written, "x")


@pytest.mark.parametrize(
    "written",
    [
        r"\b(\d{1,3})(?:\.(\d{3}))+\b",
        r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
        r"[A-Z]{2}\d{2}\s?(?:\d{4}\s?){4}\d{2}",
        r"((?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)",
        r"(?:(?:(?:a|b)+\s*)+(?:c|d)*)+",
        r"v(\d+)\.(\d+)(?:\.(\d+))?(?:-(rc|beta)(\d+)?)?",
    ],
)
def test_ordinary_expressions_are_far_from_the_limit(written: str) -> None:
    assert pattern_size(written) < MAX_PATTERN_SIZE / 10


def test_many_slow_expressions_are_limited_together_and_the_slowest_is_disabled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, asked = [0.0], list[str]()

    class Slow(PatternRule):
        def hits(self, text: str) -> list[Any]:
            asked.append(self.written)
            now[0] += 0.05 if self.written == "p2" else 0.019
            return super().hits(text)

    rules = [Slow(f"p{number}", "x", exact=True, scope=ENGLISH) for number in range(400)]
    lexicon = Lexicon(rules, clock=lambda: now[0])
    for _ in range(3):
        asked.clear()
        apply_lexicon(lexicon, "p0 p1")
        assert len(asked) < 12
    assert "off" in repr(rules[2])
    assert 1 <= len(caplog.records) <= 3


def test_many_phrases_with_the_same_beginning_cost_no_more_than_the_longest() -> None:
    def cost(phrases: int) -> int:
        rules = [word("a " * (99 - number) + "b", "x") for number in range(phrases)]
        return count_lines(partial(apply_lexicon, Lexicon(rules), "a " * 200))

    assert cost(90) < 1.2 * cost(1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Live music, option A.", "Leeve music, option eigh."),
        ("I read it yesterday, [[hm mmm]].", "I red it yesterday, [[hm mmm]]."),
        ("Hmm, a live show.", "[[hmː]], a leeve show."),
        ("Press no letter at all.", "Press no letter at all."),
    ],
)
def test_default_pronunciations_apply_where_no_rule_does(text: str, expected: str) -> None:
    lexicon = Lexicon([word("live", "leeve"), word("Live", "Leeve", exact=True)])
    assert lexicon.apply(text, language="en_US", voice=ANY_VOICE, defaults=DEFAULTS).text == expected
