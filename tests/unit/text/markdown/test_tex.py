from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.line_counting import measure_growth
from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.markdown.tex import NO_WORDS, TexWords, speak_formula
from wyoming_tts.text.normalization import NormalizerRegistry
from wyoming_tts.text.segments import Segmenter, SegmentOptions

AS_WRITTEN = SegmentOptions(auto_punctuation="", first_segment=FirstSegmentOptions(boundaries=""))
SPOKEN = NormalizerRegistry()


def say(pieces: str | list[str], language: str = "en") -> str:
    segmenter = Segmenter(AS_WRITTEN, language=language, normalizers=SPOKEN.normalizer)
    found = [segment for piece in pieces for segment in segmenter.feed(piece)] + segmenter.finish()
    return " ".join(segment.text for segment in found)


@cache
def english() -> TexWords:
    language = SPOKEN.normalizer("en").language
    assert language is not None
    return TexWords(language.section("words"), language.section("exponents"), language.section("tex"))


FORMULAS = [
    (r"x^2", "x squared"),
    (r"x^{3}", "x cubed"),
    (r"x^n", "x to the power of n"),
    (r"x^{-1}", "x to the power of minus one"),
    (r"\frac{a}{b}", "a over b"),
    (r"\frac12", "one half"),
    (r"\frac{1}{2}", "one half"),
    (r"\dfrac{x+1}{2y}", "x plus one over two y"),
    (r"a/b", "a over b"),
    (r"a \leq b", "a at most b"),
    (r"a \geq b", "a at least b"),
    (r"a \ge -1", "a at least minus one"),
    (r"a < b > c", "a less than b greater than c"),
    (r"a \neq b \approx c", "a is not equal to b approximately c"),
    (r"\sqrt{x}", "the square root of x"),
    (r"\sqrt 2", "the square root of two"),
    (r"\sqrt[3]{x}", "the cube root of x"),
    (r"\sqrt[n]{x}", "the root n of x"),
    (r"3 \times 4 \cdot y", "three times four times y"),
    (r"10 \div 2 \pm 1", "ten divided by two plus or minus one"),
    (r"\alpha + 2\pi r", "alpha plus two pi r"),
    (r"\Delta x", "Delta x"),
    (r"x_1 + x_{i+1}", "x sub one plus x sub i plus one"),
    (r"x_i^2", "x sub i squared"),
    (r"\sum_{i=1}^{n} i", "the sum from i equals one to n of i"),
    (r"\sum x", "the sum of x"),
    (r"\int_0^\infty f(x) dx", "the integral from zero to infinity of f of x d x"),
    (r"\lim_{x \to 0} \sin x", "the limit as x approaches zero of sine x"),
    (r"E = mc^2", "E equals m c squared"),
    (r"y = mx + b", "y equals m x plus b"),
    (r"f'(x) = n!", "f prime of x equals n factorial"),
    (r"90^\circ", "ninety degrees"),
    (r"\text{speed} = 5\,\mathrm{km}", "speed equals five km"),
    (r"\{1, 2, \ldots, n\}", "one, two, n"),
    (r"1{,}000 + 3.14", "one thousand plus three point one four"),
    (r"\boxed{42}", "forty-two"),
    (r"x \in A \cup B", "x in A union B"),
    (r"\binom{n}{k}", "n choose k"),
    (r"5x", "five x"),
    (r"2m", "two m"),
    (r"50\%", "fifty percent"),
]


@pytest.mark.parametrize(("tex", "expected"), FORMULAS)
@pytest.mark.parametrize("form", ["${}$", r"\({}\)", r"\[ {} \]", "$${}$$", "$$\n{}\n$$"])
def test_a_formula_is_said_plainly(tex: str, expected: str, form: str) -> None:
    text = f"Now {form.format(tex)} here."

    assert say([text]) == f"Now {expected} here."
    assert say(text) == f"Now {expected} here."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs $5 and $10.", "It costs five dollars and ten dollars."),
        ("It costs $5 (or $6), so $5.", "It costs five dollars, or six dollars, so five dollars."),
        (
            "That is $3-$5, US$5 or $1.2 million",
            "That is three to five dollars, five dollars or one point two million dollars",
        ),
        (r"That is \$5 and \$6.", "That is five dollars and six dollars."),
        ("A cheap $$ or $$$ place", "A cheap $$ or $$$ place"),
        ("Set $HOME/$USER or $PATH", "Set $HOME/$USER or $PATH"),
        (r"It is \(not this\) or \[that thing\]", "It is, not this, or, that thing"),
        (r"Take $2 \left( a + b \right)$ now", "Take two, a plus b, now"),
    ],
)
def test_money_is_no_formula_and_brackets_are_pauses(text: str, expected: str) -> None:
    assert say([text]) == expected
    assert say(text) == expected


@pytest.mark.parametrize(
    ("language", "tex", "expected"),
    [
        ("de", r"\frac{a}{b} \le x^2", "a durch b höchstens x Quadrat"),
        ("de", r"\sqrt{16} + x^3", "Wurzel aus sechzehn plus x hoch drei"),
        ("fr", r"\sqrt{x} = y^2", "racine carrée de x égale y au carré"),
        ("es", r"\frac{a}{b}", "a sobre b"),
        ("it", r"x^2", "x al quadrato"),
        ("nl", r"\frac{a}{b}", "a gedeeld door b"),
    ],
)
def test_the_words_are_those_of_the_language(language: str, tex: str, expected: str) -> None:
    assert say([f"x: ${tex}$."], language) == f"x: {expected}."


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        (r"x^2 \leq \frac{a}{b}", "x² ≤ a / b"),
        (r"\alpha \to \infty", "α → ∞"),
        (r"x^{n+1} + \sqrt{2}", "x^n + 1 + √ 2"),
        (r"\sum_{i=1}^n x_i", "∑ i = 1 n x i"),
        (r"\sin(x)", "sin (x)"),
    ],
)
def test_a_language_without_words_keeps_the_signs(tex: str, expected: str) -> None:
    assert speak_formula(tex, NO_WORDS) == expected


PARTS = st.sampled_from(
    [
        *r"{}[]()^_'!,.=+-x2& ",
        *["\\frac ", "\\sqrt", "\\sum", "\\lim", "\\text{a}", "\\\\", "\\left", "\\{", "\\alpha ", "\\foo"],
        *["{,}", "sin", "f("],
    ]
)


@settings(max_examples=scaled_examples(200))
@given(st.lists(PARTS, max_size=60).map("".join))
def test_any_formula_is_said_without_commands_and_braces(tex: str) -> None:
    spoken = speak_formula(tex, english())

    assert not set(spoken) & set("\\{}$")
    assert spoken == spoken.strip()


@pytest.mark.parametrize("unit", ["{", "x^{", r"\frac{", r"\sqrt[", "f(", "x_", "^", r"\sum_", "'", "{,}"])
def test_hostile_formulas_take_linear_time(unit: str) -> None:
    words = english()
    assert measure_growth(lambda length: speak_formula((unit * length)[:length], words), size=250) < 2.5
