from __future__ import annotations

import re
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line_counting import measure_growth
from wyoming_tts.text.lexicon import parser
from wyoming_tts.text.lexicon.parser import ParsedLexicon, parse_lexicon
from wyoming_tts.text.lexicon.rules import Lexicon
from wyoming_tts.yaml_files.reading import MAX_PROBLEMS, InvalidYaml


def parsed(text: str) -> ParsedLexicon:
    return parse_lexicon(textwrap.dedent(text).encode(), "lexicon.yaml")


def problems(text: str | bytes) -> tuple[str, ...]:
    content = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
    with pytest.raises(InvalidYaml) as broken:
        parse_lexicon(content, "lexicon.yaml")
    return tuple(map(str, broken.value.problems))


def apply_lexicon(content: str, text: str, *, language: str = "en_US", voice: str = "") -> str:
    return Lexicon(parsed(content).rules).apply(text, language=language, voice=voice).text


def test_the_documented_example_works() -> None:
    example = re.search(r"```yaml\n(.*?)```", parser.__doc__ or "", re.DOTALL)
    assert example
    text = "Zigbee: 3 kWh, Siobhan, Polish polish, home assistant, v2.10, Yosemite"
    assert apply_lexicon(example[1], text, voice="en_US-lessac-medium") == (
        "zig bee: 3 kilowatt hours, [[ʃɪˈvɔːn]], poe lish polish, home assistant, version 2 point 10, "
        "yo semmity"
    )
    assert apply_lexicon(example[1], "Zigbee kWh Yosemite", language="de_DE") == "zig bee kWh Yosemite"


@pytest.mark.parametrize(
    "content", ["", "# nothing yet\n", "---\n", "en:\n", "\ufeffen: {}", "voices:\n  x:\n"]
)
def test_a_file_without_entries_is_valid(content: str) -> None:
    assert parsed(content) == ParsedLexicon()


def test_words_that_yaml_reads_as_other_types_are_words() -> None:
    content = "no: {yes: ja, 2024: twenty-four, null: nix, 1.5: x}\n"
    assert apply_lexicon(content, "yes 2024 null 1.5", language="no") == "ja twenty-four nix x"


def test_a_replacement_becomes_one_line_however_it_is_written() -> None:
    assert (
        apply_lexicon("en:\n  a: |\n    one\n\n    two\n  b: 'three\n\n    four'\n", "a b")
        == "one two three four"
    )


def test_every_mistake_is_reported_with_its_line() -> None:
    assert problems("""\
        en:
          a: {say: x, pronounce: y}
          b: {say: x, ipa: y}
          c: {}
          d: ""
          e: {ipa: " // "}
          f: [x]
          g: {say: {x: y}}
          h: {say: x, case: upper}
          i: {say: x, regex: maybe}
          "(": {say: x, regex: true}
          "k(.)": {say: '\\2', regex: yes}
          l: {ipa: "a]] b"}
          m: "half [[ a block"
          "[[n]]": x
          "": x
          o: {say: x, say: y}
        english: {a: b}
        voices: [a]
        de: text
        """) == (
        "lexicon.yaml line 2: got the key 'pronounce', expected say, ipa, case or regex",
        "lexicon.yaml line 3: got both `say` and `ipa`, expected one of them",
        "lexicon.yaml line 4: got neither `say` nor `ipa`, expected one of them",
        "lexicon.yaml line 5: got nothing to say, expected a respelling or `ipa`",
        "lexicon.yaml line 6: got no phonemes for `ipa`, expected some, such as ʃɪˈvɔːn",
        (
            "lexicon.yaml line 7: got a list for 'f', "
            "expected a respelling, or a mapping with `say` or `ipa` and perhaps `case` and `regex`"
        ),
        "lexicon.yaml line 8: got a mapping for 'say', expected text",
        "lexicon.yaml line 9: got 'upper' for 'case', expected exact or any",
        "lexicon.yaml line 10: got 'maybe' for 'regex', expected true or false",
        "lexicon.yaml line 11: the regular expression '(' is not valid: missing ) at position 1",
        "lexicon.yaml line 12: '\\\\2' in the replacement is not a group of the regular expression",
        "lexicon.yaml line 13: got brackets or control characters in `ipa`, expected the phonemes alone",
        "lexicon.yaml line 14: got 'half [[ a block', expected a ]] for each [[",
        "lexicon.yaml line 15: got '[[n]]', expected no [[ or ]], which mark phonemes",
        "lexicon.yaml line 16: got an entry without a word, expected the word as it is written",
        "lexicon.yaml line 17: got 'say' twice, it is in line 17 already",
        "lexicon.yaml line 18: got 'english', expected a language such as en or en_US, all or voices",
        "lexicon.yaml line 19: got a list for 'voices', expected a mapping of voices",
        "lexicon.yaml line 20: got 'text' for 'de', expected a mapping of words to their replacements",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "en:\n  a: b: c\n",
            (
                "lexicon.yaml line 2: got a second colon in this line, expected quotes around what follows "
                "the first"
            ),
        ),
        ("en:\n  a: [\n", "lexicon.yaml line 2: got a bracket or a quote that is not closed"),
        ("en:\n  a: b\n---\nde:\n", "lexicon.yaml line 3: got a second document, expected one"),
        ("en: &x {a: b}\nde: *x\n", "lexicon.yaml line 1: got the anchor or alias 'x', which is not allowed"),
        ("en:\n  ? [a]\n  : b\n", "lexicon.yaml line 2: got a list as a key, expected text"),
        ("- a\n", "lexicon.yaml line 1: got a list, expected a mapping of languages, `all` and `voices`"),
        (
            "en:\n  a: {say: {b: {c: {d: e}}}}\n",
            "lexicon.yaml line 2: got more than 4 levels of nesting, the most that are allowed",
        ),
        (
            b"en:\n  a: caf\xe9\n",
            "lexicon.yaml line 2: got the byte 0xe9, expected UTF-8; save the file as UTF-8",
        ),
        (
            "en:\n".encode("utf-16"),
            "lexicon.yaml line 1: got the byte 0xff, expected UTF-8; save the file as UTF-8",
        ),
        (b"en:\n  a: x\x07y\n", "lexicon.yaml line 2: got the character U+0007, which YAML does not allow"),
        (b"#" * 1_000_001, "lexicon.yaml line 1: got more than 1,000,000 bytes, the most that are allowed"),
    ],
)
def test_a_file_that_is_no_lexicon_is_reported_with_its_line(content: str | bytes, problem: str) -> None:
    assert problems(content) == (problem,)


def test_a_duplicate_word_is_reported() -> None:
    assert (
        problems("en:\n  kWh: x\n  kWh: y\n")[0]
        == "lexicon.yaml line 3: got 'kWh' twice, it is in line 2 already"
    )
    assert problems("en:\n  router: x\n  Router: y\n") == (
        "lexicon.yaml line 3: got 'Router' twice, it is in line 2 already",
    )
    assert len(parsed("en: {polish: x, Polish: {say: y, case: exact}}\nde: {polish: z}").rules) == 3


def test_a_yaml_bomb_is_rejected_before_it_expands() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert "anchor or alias" in problems("\n".join(lines))[0]
    assert "levels of nesting" in problems("[" * 5000)[0]


def test_too_many_entries_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_ENTRIES", 3)
    monkeypatch.setattr(parser, "MAX_PATTERNS", 1)
    assert problems("en: {a: x, b: x}\nde:\n  a: x\n  b: x\n") == (
        "lexicon.yaml line 4: got more than 3 entries, the most there may be",
    )
    assert problems("en:\n  a: {say: x, regex: true}\n  b: {say: x, regex: true}\n") == (
        "lexicon.yaml line 3: got more than 1 regular expressions, the most there may be",
    )


def test_a_file_with_the_maximum_number_of_entries_is_accepted() -> None:
    content = "en:\n" + "".join(f"  word{n}: said {n}\n" for n in range(20_000))
    assert len(parsed(content).rules) == 20_000


@pytest.mark.parametrize(
    ("ipa", "block"),
    [
        ("ʃɪˈvɔːn", "[[ʃɪˈvɔːn]]"),
        ("/ʃɪˈvɔːn/", "[[ʃɪˈvɔːn]]"),
        ("[ t͡ʃɛk ]", "[[tʃɛk]]"),
        ("'go:", "[[ˈɡoː]]"),
        ("two  words", "[[two words]]"),
    ],
)
def test_phonemes_are_accepted_in_dictionary_notation(ipa: str, block: str) -> None:
    found = parsed(f'en: {{x: {{ipa: "{ipa}"}}}}')
    assert apply_lexicon(f'en: {{x: {{ipa: "{ipa}"}}}}', "x") == block
    assert not found.warnings


def test_non_ipa_symbols_are_kept_with_a_warning() -> None:
    found = parsed("en:\n  a: b\n  Siobhan: {ipa: SH IH0 V AO1 N}\n")
    assert len(found.rules) == 2
    assert tuple(map(str, found.warnings)) == (
        (
            "lexicon.yaml line 3: got 0 1 A H I N O S V in the phonemes of 'Siobhan', expected IPA; "
            "voices leave out what they do not know"
        ),
    )


def test_a_regular_expression_may_be_replaced_by_phonemes() -> None:
    assert (
        apply_lexicon(r"en: {'gifs?\b': {ipa: dʒɪf, regex: true, case: any}}", "GIF gifs")
        == "[[dʒɪf]] [[dʒɪf]]"
    )


@given(
    st.text(max_size=80) | st.text(alphabet="en: {}[]&*!|>-\n\"'a,#%@?", max_size=80) | st.binary(max_size=60)
)
def test_any_content_parses_as_a_lexicon_or_is_reported_by_line(content: str | bytes) -> None:
    encoded = content.encode("utf-8", "ignore") if isinstance(content, str) else content
    for problem in _found(encoded):
        assert re.match(r"l\.yaml line [1-9]\d*: \S", problem)


def _found(content: bytes) -> tuple[str, ...]:
    try:
        parse_lexicon(content, "l.yaml")
    except InvalidYaml as broken:
        return tuple(map(str, broken.problems))
    return ()


def test_expressions_that_repeat_too_much_all_together_are_refused() -> None:
    entries = "".join(f"  '(((a+{number})+)+)+': {{say: x, regex: true}}\n" for number in range(500))
    parsed("en:\n" + entries)
    much = "".join(f"  '(?:ab{number}){{200}}': {{say: x, regex: true}}\n" for number in range(400))
    (problem,) = problems("en:\n" + much)
    assert "the regular expressions up to here repeat too much all together" in problem


@pytest.mark.parametrize(
    "line",
    [
        "  w{0}: {{say: x, ipa: y}}",
        "  w{0}: {{sayy: x}}",
        "  w{0}: [x]",
        "  w: x",
        "  [w{0}]: x",
        "  '(w{0}': {{say: x, regex: true}}",
        "  '(((((((((w{0}){{2}}){{2}}){{2}}){{2}}){{2}}){{2}}){{2}}){{2}}){{2}}': {{say: x, regex: true}}",
    ],
)
def test_a_file_with_any_number_of_mistakes_costs_no_more_than_reading_it(line: str) -> None:
    def check(count: int) -> None:
        content = "en:\n" + "\n".join(line.format(number) for number in range(count))
        with pytest.raises(InvalidYaml) as broken:
            parse_lexicon(content.encode(), "lexicon.yaml")
        assert len(broken.value.problems) == MAX_PROBLEMS

    assert measure_growth(check, size=300) < 2.1


@pytest.mark.parametrize("unit", ["[", "{", "- ", "? ", "{a: ", "&a ", "*a ", "!!str ", "[\n", "'"])
def test_nesting_without_end_costs_no_more_than_reading_it(unit: str) -> None:
    def check(count: int) -> None:
        with pytest.raises(InvalidYaml):
            parse_lexicon(b"en: " + unit.encode() * count, "lexicon.yaml")

    assert measure_growth(check, size=5_000) < 2.1
